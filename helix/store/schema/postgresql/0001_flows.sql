-- Flows, their logs and their snapshots. (docs/adr/0008-postgresql.md)
-- A NUL in a text is written as U+001A U+0001, and U+001A as U+001A U+0002. (JSON has neither.)

CREATE TABLE helix_flows (
    flow_id text COLLATE "C" PRIMARY KEY,
    -- Of the log: a flow that is created again has another one.
    key bigint GENERATED ALWAYS AS IDENTITY,
    version bigint NOT NULL,
    created_at double precision NOT NULL,
    updated_at double precision NOT NULL,
    deleted_at double precision,
    node_count integer NOT NULL,
    edge_count integer NOT NULL,
    epoch text COLLATE "C" NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    -- The id, the title and the description as UTF-8, casefolded, with a byte FF between them.
    search bytea NOT NULL
);

CREATE INDEX helix_flows_by_change ON helix_flows (updated_at, flow_id);

CREATE INDEX helix_flows_deleted ON helix_flows (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE helix_entries (
    flow bigint NOT NULL,
    version bigint NOT NULL,
    at double precision NOT NULL,
    op_id bigint,
    client_id text COLLATE "C",
    by text NOT NULL,
    -- JSON as it came: jsonb would neither keep its bytes nor take \u0000.
    patch text NOT NULL,
    PRIMARY KEY (flow, version)
);

CREATE UNIQUE INDEX helix_entries_by_operation ON helix_entries (flow, client_id, op_id)
    WHERE client_id IS NOT NULL;

CREATE TABLE helix_snapshots (
    flow bigint NOT NULL,
    version bigint NOT NULL,
    document text NOT NULL,
    PRIMARY KEY (flow, version)
);
