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
from helix.records import Author, FlowHead, NamedVersion
from helix.store.authors import parts_of
from helix.store.rules import MAX_NAMED_VERSIONS
from helix.store.sqlite.reads import NAMED, read_head, to_named

_KEEP = """
    INSERT INTO version_names
        (flow, version, name, at, by_name, actor_id, kind, actor_name, tags)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET name = excluded.name, at = excluded.at,
        by_name = excluded.by_name, actor_id = excluded.actor_id, kind = excluded.kind,
        actor_name = excluded.actor_name, tags = excluded.tags
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
        f"SELECT {NAMED} FROM version_names WHERE flow = ? AND version = ?", place
    ).fetchone()
    before = None if row is None else to_named(row)
    if before is None:
        (names,) = database.execute(
            "SELECT count(*) FROM version_names WHERE flow = ?", (flow,)
        ).fetchone()
        if names >= MAX_NAMED_VERSIONS:
            raise TooManyNames()
    if before is None or before.name != named.name:
        author = parts_of(Author(named.by, named.actor, named.tags))
        database.execute(_KEEP, (*place, named.name, named.at, *author))
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
