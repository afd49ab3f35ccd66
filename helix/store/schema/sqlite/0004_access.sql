-- What flows give, the audit log of what was done to access, and what proves who somebody is.

-- It belongs to the flow, as its log does. A subject is an owner, a member, a group, everyone or a
-- link (helix/access/sharing.py).
CREATE TABLE access (
    flow INTEGER NOT NULL REFERENCES flows,
    subject TEXT NOT NULL,
    role INTEGER NOT NULL,  -- 1 (viewer) to 5 (owner)
    details TEXT NOT NULL,  -- a JSON object; empty for nothing
    PRIMARY KEY (flow, subject)
) WITHOUT ROWID;

CREATE INDEX access_by_subject ON access (subject, role, flow);

CREATE TABLE audit_log (
    number INTEGER PRIMARY KEY,  -- the newest has the largest
    at REAL NOT NULL,  -- Unix seconds, as the other times
    action TEXT NOT NULL,
    flow_id TEXT NOT NULL,  -- empty for none; the flow may be gone
    credential TEXT NOT NULL,
    actor_id TEXT,  -- NULL: the operator, at the machine
    actor_kind TEXT,
    actor_name TEXT,
    details TEXT NOT NULL  -- a JSON object
);

CREATE TABLE api_keys (
    key_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,  -- of the key, which is not kept
    created_at REAL NOT NULL,
    grants TEXT NOT NULL,  -- a JSON object: flows and roles
    creates TEXT NOT NULL,  -- a JSON array: the ids of flows that it may make
    is_admin INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at REAL,
    used_at REAL
);

CREATE TABLE sign_ins (
    session_id TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,  -- of the cookie, which is not kept
    principal_id TEXT NOT NULL,
    details TEXT NOT NULL,  -- a JSON object
    created_at REAL NOT NULL,
    seen_at REAL NOT NULL,
    expires_at REAL NOT NULL
);

CREATE INDEX sign_ins_by_principal ON sign_ins (principal_id);

CREATE INDEX sign_ins_by_end ON sign_ins (expires_at);

CREATE TABLE secrets (
    secret INTEGER PRIMARY KEY CHECK (secret = 1),
    value BLOB NOT NULL
);
