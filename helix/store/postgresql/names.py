"""Reads and writes the names of versions in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from helix.errors import (
    FlowDeleted,
    FlowNotFound,
    TooManyNames,
    VersionNotFound,
    VersionNotNamed,
)
from helix.records import NamedVersion
from helix.store.postgresql import queries
from helix.store.postgresql.pool import Work
from helix.store.postgresql.queries import read_name, write_name
from helix.store.postgresql.wire import Connection
from helix.store.rules import MAX_NAMED_VERSIONS

Log = Mapping[str, object]
"""The parameters of `queries.LOG`."""


def keep_name(log: Log, named: NamedVersion) -> Work[NamedVersion | None]:
    """Give what does as `IFlowStore.name_version` says."""
    attempts = count()

    async def work(connection: Connection) -> NamedVersion | None:
        again = next(attempts) > 0
        before = await connection.transaction(lambda: _keep(connection, log, named))
        # It was named before the connection was lost.
        return None if again and before == named else before

    return work


def drop_name(log: Log, version: int) -> Work[None]:
    """Give what does as `IFlowStore.unname_version` says."""
    attempts = count()

    async def work(connection: Connection) -> None:
        again = next(attempts) > 0
        try:
            await connection.transaction(lambda: _drop(connection, log, version))
        except VersionNotNamed:
            if not again:  # else it was done before the connection was lost
                raise

    return work


async def list_names(connection: Connection, log: Log) -> list[NamedVersion]:
    """Do as `IFlowStore.named_versions` says."""
    rows = await connection.ask(queries.NAMED_VERSIONS, log)
    if not rows:
        raise FlowNotFound()
    return [read_name(row) for row in rows if row[0] is not None]


async def _keep(connection: Connection, log: Log, named: NamedVersion) -> NamedVersion | None:
    key, newest = await _lock(connection, log)
    if not 0 <= named.version <= newest:
        raise VersionNotFound()
    place = {"key": key, "version": named.version}
    rows = await connection.ask(queries.NAME_OF, place)
    before = read_name(rows[0]) if rows else None
    if before is None:
        [(names,)] = await connection.ask(queries.COUNT_NAMES, place)
        if names >= MAX_NAMED_VERSIONS:
            raise TooManyNames()
    if before is None or before.name != named.name:
        await connection.ask(queries.KEEP_NAME, place | write_name(named))
    return before


async def _drop(connection: Connection, log: Log, version: int) -> None:
    key, newest = await _lock(connection, log)
    place = {"key": key, "version": version}
    if not 0 <= version <= newest or not await connection.ask(queries.DROP_NAME, place):
        raise VersionNotNamed()


async def _lock(connection: Connection, log: Log) -> tuple[int, int]:
    """Keep others from changing a log, and give its key and version."""
    rows = await connection.ask(queries.LOCK_LOG, log)
    if not rows:
        raise FlowNotFound()
    key, version, deleted = rows[0]
    if deleted:
        raise FlowDeleted()
    return key, version
