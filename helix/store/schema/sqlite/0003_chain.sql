-- What a log was before, in each entry (docs/adr/0015-chain.md); what an entry could
-- not take of its patch; and clients by what others call them.

ALTER TABLE flows ADD COLUMN origin BLOB NOT NULL DEFAULT x'';  -- the chain of version 0
UPDATE flows SET origin = helix_origin(epoch);

ALTER TABLE entries ADD COLUMN chain BLOB;  -- NULL: from before there were any
ALTER TABLE entries ADD COLUMN dropped TEXT;  -- a JSON array; NULL for nothing

-- By way of blobs, which equal no text: one client may be called what others are to call another.
UPDATE clients SET client_id = CAST(helix_public_id(client_id) AS BLOB);
UPDATE clients SET client_id = CAST(client_id AS TEXT);
