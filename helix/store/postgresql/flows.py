"""Makes, deletes and removes flows in a PostgreSQL database, and gives their logs new epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from helix.errors import FlowDeleted, FlowExists, FlowNotFound, StoreUnavailable, VersionConflict
from helix.records import Entry, FlowHead
from helix.store.access_rows import AccessRows
from helix.store.postgresql import adding, queries
from helix.store.postgresql.access import keep_rows
from helix.store.postgresql.queries import pack, read_head, unpack
from helix.store.postgresql.wire import Connection, Row


async def head_of(connection: Connection, flow_id: str) -> FlowHead:
    """Do as `IFlowStore.head` says."""
    return _one_head(await connection.ask(queries.HEAD_OF, {"flow_id": pack(flow_id)}))


async def change(connection: Connection, sql: str, named: Mapping[str, object]) -> FlowHead:
    """Change one flow with a statement that answers its head."""
    return _one_head(await connection.write(sql, named))


async def check_base(connection: Connection, flow_id: str, base: tuple[str, int, bytes]) -> None:
    """Do as `IFlowStore.append` says of no entries."""
    head = await head_of(connection, flow_id)
    if head.deleted_at is not None:
        raise FlowDeleted()
    if (head.epoch, head.version, head.chain) != base:
        raise VersionConflict()


async def create(
    connection: Connection,
    head: FlowHead,
    entries: Sequence[Entry],
    replace_deleted: bool,
    owned: AccessRows,
    seconds: float,
) -> None:
    """
    Keep a new flow with its first entries; in a transaction.

    :param replace_deleted: whether a deleted flow of that id goes first.
    :param owned: what it gives from the first.
    :param seconds: within which the log of that one must be removed.
    :raises FlowExists, FlowDeleted: when there is a flow of that id.
    """
    flow_id = pack(head.flow_id)
    if replace_deleted:
        rows = await connection.ask(queries.REMOVE_DELETED, {"flow_id": flow_id})
        await remove_logs(connection, rows, seconds)
    rows = await connection.ask(queries.CREATE, queries.write_head(head))
    if not rows:
        found = await connection.ask(queries.HEAD_OF, {"flow_id": flow_id})
        if not found:
            raise StoreUnavailable()  # it was removed this very moment
        raise FlowExists() if read_head(found[0]).deleted_at is None else FlowDeleted()
    await keep_rows(connection, head.flow_id, rows[0][0], {}, owned)
    if entries:
        first = adding.encode_first(entries)
        await connection.ask(adding.ADD_FIRST, {"key": rows[0][0], **first})


async def remove_logs(connection: Connection, flows: list[Row], seconds: float) -> None:
    """Remove, within ``seconds``, the logs of flows that were removed in the same transaction."""
    keys = [key for (key,) in flows]
    for statement in queries.REMOVE_LOGS if keys else ():
        await connection.ask(statement, {"keys": keys}, seconds)


async def renew_epoch(
    connection: Connection, flow_id: str, base: tuple[str, int, bytes], new_epoch: str
) -> None:
    """Do as `IFlowStore.renew_epoch` says; in a transaction."""
    rows = await connection.ask(queries.LOCK_FLOW, {"flow_id": pack(flow_id)})
    if not rows:
        raise FlowNotFound()
    key, epoch, version, chain, deleted = rows[0]
    if deleted:
        raise FlowDeleted()
    found = (unpack(epoch), version, bytes(chain))
    if found == (new_epoch, *base[1:]):
        return  # it was done before the connection was lost
    if found != base:
        raise VersionConflict()
    await connection.ask(queries.RENEW_EPOCH, {"key": key, "epoch": pack(new_epoch)})


async def renew_epochs(connection: Connection, epoch: str, seconds: float) -> int:
    """Do as `IFlowStore.renew_epochs` says, within ``seconds``; in a transaction."""
    named = {"epoch": pack(epoch)}
    rows = await connection.ask(queries.RENEW_EPOCHS, named, seconds)
    count: int = rows[0][0]
    return count


def _one_head(rows: list[Row]) -> FlowHead:
    if not rows:
        raise FlowNotFound()
    return read_head(rows[0])
