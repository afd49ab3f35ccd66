"""Keeps snapshots in a PostgreSQL database, and thins them out."""

from __future__ import annotations

from helix.store.postgresql import queries
from helix.store.postgresql.failures import Unfit
from helix.store.postgresql.queries import pack
from helix.store.postgresql.wire import Connection
from helix.store.rules import due, expendable


async def keep_snapshot(connection: Connection, at: dict[str, object], document: bytes) -> None:
    """Do as `IFlowStore.snapshot` says; in a transaction."""
    try:
        text = pack(document.decode())
    except UnicodeError:
        raise Unfit() from None
    kept = await connection.ask(queries.KEEP_SNAPSHOT, {**at, "document": text})
    if not kept:
        return
    rows = await connection.ask(queries.SNAPSHOT_VERSIONS, at)
    before, decided = due([version for (version,) in rows])
    if not decided:
        return
    steps = {"key": kept[0][0], "after": [before, *decided[:-1]], "decided": decided}
    sizes = [int(size) for (size,) in await connection.ask(queries.SIZES, steps)]
    if gone := expendable(before, decided, sizes):
        await connection.ask(queries.THIN_OUT, {"key": kept[0][0], "versions": gone})
