"""Loads a flow from a PostgreSQL database, in bounded blocks of entries."""

from __future__ import annotations

from helix.errors import FlowNotFound, StoreCorrupt, VersionNotFound
from helix.records import Entry, StoredFlow
from helix.store.postgresql import queries
from helix.store.postgresql.queries import pack, read_entry, read_head, unpack
from helix.store.postgresql.wire import Connection

MANY_ROWS = 1000
"""Entries that one statement of a load gives at most, so that other work gets its turn."""

FEW_ROWS = 100
"""The same for the first one, when nobody knows yet how large they are."""

BYTES_AT_ONCE = 4 << 20
"""What the patches of one statement take, by the size of those before."""


async def load_flow(connection: Connection, flow_id: str, version: int | None) -> StoredFlow:
    """Do as `IFlowStore.load` says, in a transaction of one moment."""
    rows = await connection.ask(queries.LOAD, {"flow_id": pack(flow_id), "version": version})
    if not rows:
        raise FlowNotFound()
    *columns, key, base, document = rows[0]
    head = read_head(tuple(columns))
    end = head.version if version is None else version
    if not 0 <= end <= head.version:
        raise VersionNotFound()
    entries = await _tail(connection, key, base, end)
    return StoredFlow(head, base, None if document is None else unpack(document).encode(), entries)


async def _tail(connection: Connection, key: int, after: int, end: int) -> list[Entry]:
    """Give a log's entries from ``after`` (excluded) to ``end``, a bounded block at a time."""
    entries: list[Entry] = []
    limit = FEW_ROWS
    while after < end:
        asked = {"key": key, "after": after, "end": end, "limit": limit}
        block = [read_entry(row) for row in await connection.ask(queries.TAIL, asked)]
        if not block or block[-1].version != after + len(block):
            raise StoreCorrupt()
        entries += block
        after += len(block)
        size = sum(len(entry.patch) for entry in block) // len(block) + 1
        limit = max(1, min(MANY_ROWS, BYTES_AT_ONCE // size))
    return entries
