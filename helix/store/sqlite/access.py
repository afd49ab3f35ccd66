"""What flows give, in an SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import implementer

from helix.access.sharing import FlowAccess, Link, link_subject
from helix.errors import FlowNotFound
from helix.interfaces import IAccessStore
from helix.records import AuditEntry
from helix.store.access_rows import AccessRow, AccessRows, access_of, link_of, rows_of
from helix.store.rules import SOUGHT_SUBJECTS
from helix.store.sqlite.audit import add_audit, read_audited, read_changes
from helix.store.sqlite.bulk import Bulk

_KEEP_ROWS = Bulk.of(
    "INSERT INTO access (flow, subject, role, details) VALUES ",
    "(?,?,?,?)",
    " ON CONFLICT (flow, subject) DO UPDATE SET role = excluded.role, details = excluded.details",
)
_DROP_ROWS = Bulk.of("DELETE FROM access WHERE subject IN (VALUES ", "(?)", ") AND flow = ?")

# SQLite itself makes one text of the rows (`helix.store.sqlite.reads`). The parameter is JSON, too:
# ids, which have no NUL. Subjects may have one, at which JSON's would be cut off.
_ROWS = """
    SELECT json_group_array(json_array(flow_id, subject, role, details))
    FROM json_each(?) AS asked CROSS JOIN flows ON flow_id = asked.value
    LEFT JOIN access ON access.flow = flows.flow
"""

_decode_rows = msgspec.json.Decoder(list[tuple[str, str | None, int | None, str | None]]).decode


class Reading(Protocol):
    """What reads. (`helix.store.sqlite.reads.SQLiteReads`)"""

    @property
    def database(self) -> sqlite3.Connection: ...


class Writing(Protocol):
    """What writes, in a transaction that is under way."""

    @property
    def database(self) -> sqlite3.Connection: ...

    def check_quota(self) -> None:
        """:raises StoreFull: when nothing new is to be kept."""


Read = Callable[[Callable[[Reading], object]], Deferred[Any]]
"""Runs a read."""

Write = Callable[[Callable[[Writing], object]], Deferred[Any]]
"""
Runs a write in a transaction. What it refuses, it refuses before it has written anything.

Another process may write such things, too (`helix.store.sqlite.beside`). So nothing of what they
read may be remembered from one transaction to the next.
"""


def keep_rows(
    database: sqlite3.Connection, flow: int, before: AccessRows, after: AccessRows
) -> None:
    """Make what a flow gives ``after``, where it is ``before``, in the transaction under way."""
    dropped: list[object] = [*(before.keys() - after.keys())]
    for sql, some in _DROP_ROWS.pieces(dropped):
        database.execute(sql, [*some, flow])
    kept: list[object] = []
    for subject, row in after.items():
        if before.get(subject) != row:
            kept += (flow, subject, row.role, row.details)
    for sql, some in _KEEP_ROWS.pieces(kept):
        database.execute(sql, some)


def read_rows(
    database: sqlite3.Connection, flow_ids: Sequence[str], subjects: Sequence[str] | None = None
) -> Mapping[str, dict[str, AccessRow]]:
    """Give the rows of flows, where these are there, of some subjects or of all."""
    values: list[object] = [msgspec.json.encode(flow_ids).decode()]
    condition = ""
    if subjects is not None:
        among = "subject" if len(subjects) <= SOUGHT_SUBJECTS else "+subject"
        condition = f"AND {among} IN ({','.join('?' * len(subjects))})"
        values += subjects
    (found,) = database.execute(_ROWS + condition, values).fetchone()
    rows: dict[str, dict[str, AccessRow]] = {}
    for flow_id, subject, role, details in _decode_rows(found):
        of_flow = rows.setdefault(flow_id, {})
        if subject is not None and role is not None and details is not None:
            of_flow[subject] = AccessRow(role, details)
    return rows


def change_access(
    to: Writing, flow_id: str, edit: Callable[[FlowAccess], FlowAccess], audited: AuditEntry
) -> FlowAccess:
    """Do as `IAccessStore.change` says, in the transaction under way."""
    row = to.database.execute("SELECT flow FROM flows WHERE flow_id = ?", (flow_id,)).fetchone()
    if row is None:
        raise FlowNotFound()
    before = read_rows(to.database, [flow_id])[flow_id]
    after = rows_of(edit(access_of(before)))
    if len(after) > len(before):
        to.check_quota()  # what is given can be taken away also where there is no room
    if after != before:
        keep_rows(to.database, row[0], before, after)
        add_audit(to.database, audited)
    return access_of(after)


def find_link(database: sqlite3.Connection, link_id: str) -> tuple[str, Link] | None:
    """Do as `IAccessStore.find_link` says."""
    row = database.execute(
        "SELECT flow_id, role, details FROM access CROSS JOIN flows USING (flow)"
        " WHERE subject = ? AND flow_id IS NOT NULL AND deleted_at IS NULL",
        (link_subject(link_id),),
    ).fetchone()
    return None if row is None else (row[0], link_of(link_id, AccessRow(*row[1:])))


@implementer(IAccessStore)
class SQLiteAccess:
    """
    Keeps what flows give. (`helix.interfaces.IAccessStore`)

    :param read: what nobody waits for long behind.
    :param read_past: what may take long.
    """

    def __init__(self, write: Write, read: Read, read_past: Read) -> None:
        self._write = write
        self._read = read
        self._read_past = read_past

    def read(
        self, flow_ids: Sequence[str], subjects: Sequence[str] | None = None
    ) -> Deferred[dict[str, FlowAccess]]:
        def read(of: Reading) -> dict[str, FlowAccess]:
            rows = read_rows(of.database, flow_ids, subjects)
            return {flow_id: access_of(some) for flow_id, some in rows.items()}

        return self._read(read)

    def change(
        self, flow_id: str, edit: Callable[[FlowAccess], FlowAccess], audited: AuditEntry
    ) -> Deferred[FlowAccess]:
        return self._write(lambda to: change_access(to, flow_id, edit, audited))

    def find_link(self, link_id: str) -> Deferred[tuple[str, Link] | None]:
        return self._read(lambda of: find_link(of.database, link_id))

    def audit(self, entry: AuditEntry) -> Deferred[None]:
        return self._write(lambda to: add_audit(to.database, entry))

    def audited(self, before: int | None, limit: int) -> Deferred[list[AuditEntry]]:
        return self._read_past(lambda of: read_audited(of.database, before, limit))

    def changes(self, after: int | None, limit: int) -> Deferred[list[AuditEntry]]:
        return self._read(lambda of: read_changes(of.database, after, limit))
