-- The versions that somebody gave names. They belong to the log, as its entries do.

CREATE TABLE version_names (
    flow INTEGER NOT NULL REFERENCES flows,
    version INTEGER NOT NULL,
    name TEXT NOT NULL,
    by_name TEXT NOT NULL,
    at REAL NOT NULL,  -- Unix seconds
    PRIMARY KEY (flow, version)
) WITHOUT ROWID;
