-- Flows and their logs. Whatever grows with the log is keyed by a small integer.

CREATE TABLE flows (
    flow INTEGER PRIMARY KEY,
    flow_id TEXT UNIQUE,  -- NULL: removed for good, and what is left of it is being cleared away
    epoch TEXT NOT NULL,
    version INTEGER NOT NULL,
    node_count INTEGER NOT NULL,
    edge_count INTEGER NOT NULL,
    created_at REAL NOT NULL,  -- Unix seconds, as the other times
    updated_at REAL NOT NULL,
    deleted_at REAL
);

CREATE INDEX flows_by_change ON flows (updated_at, flow_id)
    WHERE deleted_at IS NULL AND flow_id IS NOT NULL;

CREATE INDEX deleted_flows ON flows (updated_at, flow_id)
    WHERE deleted_at IS NOT NULL AND flow_id IS NOT NULL;

CREATE INDEX removed_flows ON flows (flow) WHERE flow_id IS NULL;

-- Apart from the flows, whose rows every append writes.
CREATE TABLE texts (
    flow INTEGER PRIMARY KEY REFERENCES flows,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    folded_id TEXT NOT NULL,  -- casefolded, as the next two: what a search looks through
    folded_title TEXT NOT NULL,
    folded_description TEXT NOT NULL
);

CREATE TABLE clients (
    client INTEGER PRIMARY KEY,
    flow INTEGER NOT NULL REFERENCES flows,
    client_id TEXT NOT NULL,
    UNIQUE (flow, client_id)
);

CREATE TABLE entries (
    flow INTEGER NOT NULL REFERENCES flows,
    version INTEGER NOT NULL,
    at REAL NOT NULL,
    by_name TEXT NOT NULL,
    client INTEGER REFERENCES clients,
    op_id INTEGER,
    patch TEXT NOT NULL,
    PRIMARY KEY (flow, version)
) WITHOUT ROWID;

CREATE UNIQUE INDEX entries_by_operation ON entries (client, op_id) WHERE client IS NOT NULL;

CREATE TABLE snapshots (
    flow INTEGER NOT NULL REFERENCES flows,
    version INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (flow, version)
);
