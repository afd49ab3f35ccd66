"""The statements that add entries in a PostgreSQL database, and their authors; their parameters."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from helix.chain import paths_text
from helix.records import Author, Entry, Summary
from helix.store.authors import author_of, digest_of, parts_of
from helix.store.postgresql.failures import Unfit
from helix.store.postgresql.queries import ENTRY_COLUMNS, pack, pack_any, searchable

# An entry on its way in; its chain is base64.
_ADDED = """version bigint, patch text, at double precision, by text, client_id text, op_id bigint,
        chain text, dropped text, author integer"""
_NEW_ENTRY = "version, patch, at, by, client_id, op_id, decode(chain, 'base64'), dropped"

# Locked in the order of their ids, so that no two batches wait for each other for ever. What
# somebody else changed during the wait is seen after it. Joined row by row, through the index: the
# planner can't know how few rows are asked for. Where nothing was won there is nothing to write to
# the disk: whoever comes next doesn't wait for that.
_APPEND = """
WITH locked AS MATERIALIZED (
    SELECT asked.*, flow.key, flow.deleted
    FROM (
        SELECT * FROM json_to_recordset(%(asked)s) AS asked (
            n bigint, flow_id text, epoch text, base bigint, base_chain text,
            size integer, at double precision, title text, description text,
            node_count integer, edge_count integer, search text, entries json, authors json)
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
){} SELECT n, deleted, CASE WHEN NOT EXISTS (SELECT FROM won)
    THEN set_config('synchronous_commit', 'off', true) END AS unwritten
FROM locked WHERE n NOT IN (SELECT n FROM won)
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

APPEND = _APPEND.format(f", added AS ({_ADD_ALL.format(0)})")
APPEND_BY_AUTHORS = _APPEND.format(
    f"""{_KEEP_AUTHORS}, added AS ({_ADD_ALL.format("COALESCE(numbered.number, 0)")}
    {_OF_AUTHORS})"""
)

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
