-- The versions that somebody gave names. They belong to the log, as its entries do.

CREATE TABLE helix_version_names (
    flow bigint NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    by text NOT NULL,
    at double precision NOT NULL,
    PRIMARY KEY (flow, version)
);
