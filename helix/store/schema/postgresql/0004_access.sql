-- What flows give, the audit log of what was done to access, and what proves who somebody is.

-- It belongs to the flow, as its log does. A subject is an owner, a member, a group, everyone or a
-- link (helix/access/sharing.py).
CREATE TABLE helix_access (
    flow bigint NOT NULL,
    subject text COLLATE "C" NOT NULL,
    -- 1 (viewer) to 5 (owner)
    role smallint NOT NULL,
    -- By which lists find it: helix_flows has no index of keys, which each append would pay for. A
    -- row whose flow was removed may be left by a server of before; it has another key than a new
    -- flow of that id.
    flow_id text COLLATE "C" NOT NULL,
    -- A JSON object; empty for nothing.
    details text NOT NULL,
    PRIMARY KEY (flow, subject)
);

CREATE INDEX helix_access_by_subject ON helix_access (subject, role, flow_id, flow);

CREATE TABLE helix_audit (
    -- Each is larger than all that were committed before, under a lock.
    number bigint PRIMARY KEY,
    -- Tells whether a request that lost its connection was done.
    ticket uuid NOT NULL,
    at double precision NOT NULL,
    action text NOT NULL,
    -- Empty for none; the flow may be gone.
    flow_id text NOT NULL,
    credential text NOT NULL,
    -- NULL: the operator, at the machine.
    actor_id text,
    actor_kind text,
    actor_name text,
    -- A JSON object.
    details text NOT NULL
);

CREATE INDEX helix_audit_by_ticket ON helix_audit (ticket);

CREATE TABLE helix_api_keys (
    key_id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    -- Of the key, which is not kept.
    digest bytea NOT NULL,
    created_at double precision NOT NULL,
    -- A JSON object: flows and roles.
    grants text NOT NULL,
    -- A JSON array: the ids of flows that it may make.
    creates text NOT NULL,
    is_admin boolean NOT NULL,
    created_by text NOT NULL,
    expires_at double precision,
    used_at double precision
);

CREATE TABLE helix_sign_ins (
    session_id text COLLATE "C" PRIMARY KEY,
    -- Of the cookie, which is not kept.
    digest bytea NOT NULL UNIQUE,
    principal_id text COLLATE "C" NOT NULL,
    -- A JSON object.
    details text NOT NULL,
    created_at double precision NOT NULL,
    seen_at double precision NOT NULL,
    expires_at double precision NOT NULL
);

CREATE INDEX helix_sign_ins_by_principal ON helix_sign_ins (principal_id);

CREATE INDEX helix_sign_ins_by_end ON helix_sign_ins (expires_at);

CREATE TABLE helix_secrets (
    secret smallint PRIMARY KEY CHECK (secret = 1),
    value bytea NOT NULL
);
