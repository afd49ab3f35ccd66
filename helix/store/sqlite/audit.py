"""Reads and writes the audit log in an SQLite database."""

from __future__ import annotations

import sqlite3
from typing import Any

from helix.records import Actor, AuditEntry
from helix.store.rules import KEPT_AUDIT

_ENTRIES = """
    SELECT number, at, action, flow_id, credential, actor_id, actor_kind, actor_name,
        CAST(details AS BLOB)
    FROM audit_log
"""

_ADD = """
    INSERT INTO audit_log (at, action, flow_id, credential, actor_id, actor_kind, actor_name,
        details)
    VALUES (?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT))
"""


def add_audit(database: sqlite3.Connection, entry: AuditEntry) -> None:
    """Add an entry in the transaction under way, and let the oldest one go."""
    actor = entry.actor
    who = (None, None, None) if actor is None else (actor.id, actor.kind, actor.name)
    about = (entry.at, entry.action, entry.flow_id, entry.credential)
    # One process at a time writes, and its number is the next one.
    number = database.execute(_ADD, (*about, *who, entry.details)).lastrowid
    assert number is not None
    database.execute("DELETE FROM audit_log WHERE number <= ?", (number - KEPT_AUDIT,))


def read_audited(database: sqlite3.Connection, before: int | None, limit: int) -> list[AuditEntry]:
    """Do as `IAccessStore.audited` says."""
    where, values = ("", ()) if before is None else ("WHERE number < ?", (before,))
    rows = database.execute(f"{_ENTRIES} {where} ORDER BY number DESC LIMIT ?", (*values, limit))
    return [_entry(row) for row in rows]


def read_changes(database: sqlite3.Connection, after: int | None, limit: int) -> list[AuditEntry]:
    """Do as `IAccessStore.changes` says."""
    if after is None:
        return read_audited(database, None, min(limit, 1))
    rows = database.execute(f"{_ENTRIES} WHERE number > ? ORDER BY number LIMIT ?", (after, limit))
    return [_entry(row) for row in rows]


def _entry(row: Any) -> AuditEntry:
    number, at, action, flow_id, credential, actor_id, kind, name, details = row
    actor = None if actor_id is None else Actor(actor_id, kind, name)
    return AuditEntry(number, at, action, flow_id, credential, actor, details)
