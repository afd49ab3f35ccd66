"""The statements that add entries in a PostgreSQL database, and their authors; their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from helix.chain import paths_text
from helix.records import Author, Entry, Summary
from helix.store.authors import author_of, digest_of, parts_of
from helix.store.postgresql.failures import Unfit
from helix.store.postgresql.queries import (
    ENTRY_COLUMNS,
    literal,
    pack,
    pack_any,
    searchable,
)
from helix.store.postgresql.wire import DURABLE, Prepared

# An entry on its way in; its chain is base64.
_ADDED = """version bigint, patch text, at double precision, by text, client_id text, op_id bigint,
        chain text, dropped text, author integer"""
_NEW_ENTRY = "version, patch, at, by, client_id, op_id, decode(chain, 'base64'), dropped"

# Locked in the order of their ids, so that no two batches wait for each other for ever. What
# somebody else changed during the wait is seen after it. Joined row by row, through the index: the
# planner can't know how few rows are asked for. Where nothing was won there is nothing to write to
# the disk: whoever comes next doesn't wait for that. What is written is durable, as is said
# here: a statement of its own for it would be planned each time.
_APPEND = f"""
WITH locked AS MATERIALIZED (
    SELECT asked.*, flow.key, flow.deleted
    FROM (
        SELECT * FROM json_to_recordset($1) AS asked (
            n bigint, flow_id text, epoch text, base bigint, base_chain text,
            size integer, at double precision, title text, description text,
            node_count integer, edge_count integer, search text, entries json, authors json)
        WHERE ({DURABLE}) IS NOT NULL
        ORDER BY flow_id COLLATE "C"
    ) AS asked LEFT JOIN LATERAL (
        SELECT key, deleted_at IS NOT NULL AS deleted FROM helix_flows
        WHERE helix_flows.flow_id = asked.flow_id FOR NO KEY UPDATE
    ) AS flow ON true
), won AS (
    UPDATE helix_flows AS flows
    SET version = locked.base + locked.size, updated_at = locked.at,
        node_count = locked.node_count, edge_count = locked.edge_count,
        -- What is the same stays where it is, however long.
        title = CASE WHEN flows.title = locked.title THEN flows.title ELSE locked.title END,
        description = CASE WHEN flows.description = locked.description
            THEN flows.description ELSE locked.description END,
        search = CASE WHEN flows.search = decode(locked.search, 'base64')
            THEN flows.search ELSE decode(locked.search, 'base64') END
    FROM locked
    WHERE flows.flow_id = locked.flow_id AND flows.version = locked.base
        AND decode(locked.base_chain, 'base64') = COALESCE(
            (SELECT chain FROM helix_entries
            WHERE helix_entries.flow = flows.key AND helix_entries.version = locked.base),
            flows.origin)
        AND flows.epoch = locked.epoch AND flows.deleted_at IS NULL
    RETURNING locked.n, flows.key, locked.entries, locked.authors
){{}} SELECT {{}}, CASE WHEN NOT EXISTS (SELECT FROM won)
    THEN set_config('synchronous_commit', 'off', true) END AS unwritten
FROM locked WHERE n NOT IN (SELECT n FROM won)
"""

_LOST = "n, deleted"

# Kept for `tell`, in a transaction later: ",12:false,17:" if the flow of 12 isn't deleted, and 17
# has none. It stays with the session, whatever that is; so it is none of a pooler's.
_KEEP_LOST = """set_config('helix.lost', COALESCE(string_agg(
    ',' || n || ':' || COALESCE(deleted::text, ''), ''), ''), false) AS lost"""

_TELL = """
SELECT kept.lost, CASE WHEN told.n IS NOT NULL THEN pg_notify(told.channel, told.message) END
FROM (SELECT current_setting('helix.lost') AS lost) AS kept
LEFT JOIN (VALUES {}) AS told (n, channel, message)
    ON strpos(kept.lost, ',' || told.n || ':') = 0
"""

_ADD_ALL = f"""
    INSERT INTO helix_entries (flow, {ENTRY_COLUMNS}, author)
    SELECT won.key, {_NEW_ENTRY}, {{}}
    FROM won CROSS JOIN LATERAL json_to_recordset(won.entries) AS added ({_ADDED})
"""

# An author is kept with its first entry. Another server adds none to a log meanwhile, which is
# locked, and has no other version. An entry names its author by the place in ``authors``.
_KEEP_AUTHORS = """, known AS (
    SELECT won.key, asked.*, decode(asked.digest, 'base64') AS bytes, there.author
    FROM won CROSS JOIN LATERAL json_to_recordset(won.authors) AS asked (
        place integer, digest text, by text, actor_id text, kind text, name text, tags text)
    LEFT JOIN helix_authors AS there
        ON there.flow = won.key AND there.digest = decode(asked.digest, 'base64')
), numbered AS (
    SELECT known.*, COALESCE(author, row_number() OVER (PARTITION BY key, author IS NULL) + (
        SELECT COALESCE(max(there.author), 0) FROM helix_authors AS there WHERE there.flow = key
    )) AS number FROM known
), kept AS (
    INSERT INTO helix_authors (flow, author, digest, by, actor_id, kind, name, tags)
    SELECT key, number, bytes, by, actor_id, kind, name, tags FROM numbered WHERE author IS NULL
)"""

_OF_AUTHORS = """LEFT JOIN (SELECT key, place, number FROM numbered) AS numbered
        ON numbered.key = won.key AND numbered.place = added.author"""

_ADDED_ALONE = f", added AS ({_ADD_ALL.format(0)})"
_ADDED_BY_AUTHORS = f"""{_KEEP_AUTHORS}, added AS (
    {_ADD_ALL.format("COALESCE(numbered.number, 0)")} {_OF_AUTHORS})"""

APPEND = Prepared(_APPEND.format(_ADDED_ALONE, _LOST))
APPEND_BY_AUTHORS = Prepared(_APPEND.format(_ADDED_BY_AUTHORS, _LOST))

# The same, before `tell`.
APPEND_TO_TELL = Prepared(_APPEND.format(_ADDED_ALONE, _KEEP_LOST))
APPEND_BY_AUTHORS_TO_TELL = Prepared(_APPEND.format(_ADDED_BY_AUTHORS, _KEEP_LOST))

ADD_FIRST = f"""
WITH won AS (
    SELECT %(key)s AS key, %(entries)s::json AS entries, %(authors)s::json AS authors
){_KEEP_AUTHORS}{_ADD_ALL.format("COALESCE(numbered.number, 0)")}
    {_OF_AUTHORS}
"""


class _Added(msgspec.Struct, gc=False):
    """An entry on its way into `APPEND` or `ADD_FIRST`; msgspec writes bytes as base64."""

    version: int
    patch: str
    at: float
    by: str
    client_id: str | None
    op_id: int | None
    chain: bytes
    dropped: str
    author: int


class _Named(msgspec.Struct, gc=False):
    """
    An author on its way likewise.

    :ivar place: by which its entries name it, >= 1.
    """

    place: int
    digest: bytes
    by: str
    actor_id: str | None
    kind: str | None
    name: str | None
    tags: str | None


class _Asked(msgspec.Struct, gc=False):
    """
    An append as `APPEND` takes it.

    :ivar n: tells it from the others of its batch.
    """

    n: int
    flow_id: str
    epoch: str
    base: int
    base_chain: bytes
    size: int
    at: float
    title: str
    description: str
    node_count: int
    edge_count: int
    search: bytes
    entries: list[_Added]
    authors: list[_Named]


_encode = msgspec.json.Encoder().encode


def encode_append(
    n: int,
    flow_id: str,
    epoch: str,
    base: int,
    base_chain: bytes,
    entries: Sequence[Entry],
    summary: Summary,
) -> bytes:
    """
    Give the JSON of one append for `APPEND`.

    :param n: tells it from the others of its batch.
    :raises Unfit: when it holds what no text can.
    """
    try:
        added, authors = _added(entries)
        asked = _Asked(
            n,
            pack(flow_id),
            pack(epoch),
            base,
            base_chain,
            len(entries),
            entries[-1].at,
            pack(summary.title),
            pack(summary.description),
            summary.node_count,
            summary.edge_count,
            searchable(flow_id, summary),
            added,
            authors,
        )
        return _encode(asked)
    except UnicodeError:
        raise Unfit() from None


def tell(words: Iterable[tuple[int, str, str]]) -> str:
    """
    Give the statement that sends messages for what was appended, in a transaction after that.

    :param words: one at least: the append's number, the channel and the message.
    :return: it; `read_lost` reads what it gives.
    """
    values = [f"({n}::bigint, '{channel}', {literal(word)})" for n, channel, word in words]
    return _TELL.format(", ".join(values))


def read_lost(kept: str) -> dict[int, bool | None]:
    """Give the appends that were not written: whether the flow is deleted, ``None`` for no flow."""
    lost = [one.split(":") for one in kept.split(",")[1:]]
    return {int(n): deleted == "true" if deleted else None for n, deleted in lost}


def encode_first(entries: Sequence[Entry]) -> dict[str, str]:
    """
    Give the JSON of entries, and of their authors, for `ADD_FIRST`.

    :raises Unfit: when one holds what no text can.
    """
    try:
        added, authors = _added(entries)
        return {"entries": _encode(added).decode(), "authors": _encode(authors).decode()}
    except UnicodeError:
        raise Unfit() from None


def _added(entries: Sequence[Entry]) -> tuple[list[_Added], list[_Named]]:
    """Give entries and their authors as they are sent."""
    places: dict[Author | None, int] = {None: 0}
    added = []
    for entry in entries:
        author = author_of(entry)
        place = places.setdefault(author, len(places))
        client_id = None if entry.client_id is None else pack(entry.client_id)
        row = _Added(
            entry.version,
            pack(entry.patch.decode()),
            entry.at,
            pack(entry.by) if author is None else "",
            client_id,
            entry.op_id,
            entry.chain,
            pack(paths_text(entry.dropped).decode()),
            place,
        )
        added.append(row)
    authors = [_named(place, author) for author, place in places.items() if author is not None]
    return added, authors


def _named(place: int, author: Author) -> _Named:
    parts = parts_of(author)
    by, *rest = map(pack_any, parts)
    return _Named(place, digest_of(parts), by or "", *rest)
