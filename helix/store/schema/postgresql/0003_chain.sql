-- What a log was before, in each entry (docs/adr/0015-chain.md); what an entry could
-- not take of its patch; and clients by what others call them.

-- The chain of version 0.
ALTER TABLE helix_flows ADD COLUMN origin bytea;
UPDATE helix_flows SET origin = substring(sha256(convert_to(epoch, 'UTF8')) FOR 8);
ALTER TABLE helix_flows ALTER COLUMN origin SET NOT NULL;

-- The table is written anew, once. A NUL and U+001A in a client_id are written as before.
ALTER TABLE helix_entries
    -- NULL: from before there were any.
    ADD COLUMN chain bytea,
    -- A JSON array; empty for nothing.
    ADD COLUMN dropped text NOT NULL DEFAULT '',
    ALTER COLUMN client_id TYPE text COLLATE "C" USING rtrim(translate(encode(substring(sha256(
        CASE WHEN position(chr(26) IN client_id) = 0 THEN convert_to(client_id, 'UTF8')
        ELSE decode(replace(replace(
            regexp_replace(encode(convert_to(client_id, 'UTF8'), 'hex'), '(..)', '\1 ', 'g'),
            '1a 01 ', '00 '), '1a 02 ', '1a '), 'hex') END
    ) FOR 16), 'base64'), '+/', '-_'), '=');

-- A server of before that still runs writes nothing to it any more.
ALTER TABLE helix_entries ADD CONSTRAINT helix_entries_chained CHECK (chain IS NOT NULL) NOT VALID;
