"""Writes the names of versions to an SQLite database."""

from __future__ import annotations

import sqlite3

from helix.errors import (
    FlowDeleted,
    FlowNotFound,
    TooManyNames,
    VersionNotFound,
    VersionNotNamed,
)
from helix.records import FlowHead, NamedVersion
from helix.store.rules import MAX_NAMED_VERSIONS
from helix.store.sqlite.reads import read_head

_KEEP = """
    INSERT INTO version_names (flow, version, name, by_name, at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET name = excluded.name, by_name = excluded.by_name, at = excluded.at
"""


def keep_name(
    database: sqlite3.Connection, flow_id: str, epoch: str, named: NamedVersion
) -> NamedVersion | None:
    """Do what `IFlowStore.name_version` says, in the transaction under way."""
    flow, head = _living_log(database, flow_id, epoch)
    if not 0 <= named.version <= head.version:
        raise VersionNotFound()
    place = (flow, named.version)
    row = database.execute(
        "SELECT version, name, by_name, at FROM version_names WHERE flow = ? AND version = ?", place
    ).fetchone()
    before = None if row is None else NamedVersion(*row)
    if before is None:
        (names,) = database.execute(
            "SELECT count(*) FROM version_names WHERE flow = ?", (flow,)
        ).fetchone()
        if names >= MAX_NAMED_VERSIONS:
            raise TooManyNames()
    if before is None or before.name != named.name:
        database.execute(_KEEP, (*place, named.name, named.by, named.at))
    return before


def drop_name(database: sqlite3.Connection, flow_id: str, epoch: str, version: int) -> None:
    """Do what `IFlowStore.unname_version` says, in the transaction under way."""
    flow, _ = _living_log(database, flow_id, epoch)
    dropped = database.execute(
        "DELETE FROM version_names WHERE flow = ? AND version = ?", (flow, version)
    ).rowcount
    if not dropped:
        raise VersionNotNamed()


def _living_log(database: sqlite3.Connection, flow_id: str, epoch: str) -> tuple[int, FlowHead]:
    flow, head = read_head(database, flow_id)
    if head.epoch != epoch:
        raise FlowNotFound()
    if head.deleted_at is not None:
        raise FlowDeleted()
    return flow, head
