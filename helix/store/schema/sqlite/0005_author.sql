-- Who entries and names are by, where that is known. A log has each author once.

CREATE TABLE authors (
    author INTEGER PRIMARY KEY,
    flow INTEGER NOT NULL REFERENCES flows,
    digest BLOB NOT NULL,  -- of the rest, to find it by
    by_name TEXT NOT NULL,
    actor_id TEXT,  -- NULL, as the next two: nothing proves who it was
    kind TEXT,
    name TEXT,
    tags TEXT,  -- a JSON object; NULL for none
    UNIQUE (flow, digest)
);

-- NULL: none. The by_name of an entry with one is empty: the author has it.
ALTER TABLE entries ADD COLUMN author INTEGER REFERENCES authors;

ALTER TABLE version_names ADD COLUMN actor_id TEXT;
ALTER TABLE version_names ADD COLUMN kind TEXT;
ALTER TABLE version_names ADD COLUMN actor_name TEXT;
ALTER TABLE version_names ADD COLUMN tags TEXT;
