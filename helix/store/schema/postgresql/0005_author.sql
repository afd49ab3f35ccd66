-- Who entries and names are by, where that is known. A log has each author once.

CREATE TABLE helix_authors (
    flow bigint NOT NULL,
    author integer NOT NULL,
    digest bytea NOT NULL,  -- of the rest, to find it by
    by text NOT NULL,
    actor_id text,  -- NULL, as the next two: nothing proves who it was
    kind text,
    name text,
    tags text,  -- a JSON object as it came; NULL for none
    PRIMARY KEY (flow, author),
    UNIQUE (flow, digest)
);

-- 0: none, in four bytes; a first NULL would take a row eight. The name of an entry with one is
-- empty: the author has it.
ALTER TABLE helix_entries ADD COLUMN author integer NOT NULL DEFAULT 0;

-- A server of before that still runs writes nothing to it any more: it would take the entries of
-- others for another past.
ALTER TABLE helix_entries ALTER COLUMN author DROP DEFAULT;

ALTER TABLE helix_version_names
    ADD COLUMN actor_id text,
    ADD COLUMN kind text,
    ADD COLUMN actor_name text,
    ADD COLUMN tags text;
