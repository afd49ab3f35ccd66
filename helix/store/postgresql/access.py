"""What flows give, in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Protocol, TypeVar
from uuid import UUID

import msgspec
from twisted.internet.defer import Deferred
from zope.interface import implementer

from helix.access.sharing import FlowAccess, Link, link_subject
from helix.errors import FlowNotFound, StoreCorrupt, StoreFull
from helix.interfaces import IAccessStore
from helix.records import AuditEntry, StoreUsage
from helix.store.access_rows import AccessRow, AccessRows, access_of, link_of, rows_of
from helix.store.postgresql.audit import (
    add_audit,
    audited_once,
    count_added,
    new_ticket,
    read_audited,
    read_changes,
)
from helix.store.postgresql.pool import Work
from helix.store.postgresql.queries import among_subjects, pack, unpack
from helix.store.postgresql.wire import Connection

T = TypeVar("T")

Edit = Callable[[FlowAccess], FlowAccess]

# Whoever changes what a flow gives, appends to it or removes it waits for the other.
_LOCK_FLOW = "SELECT key FROM helix_flows WHERE flow_id = %(flow_id)s FOR NO KEY UPDATE"

_KEEP_ROWS = """
INSERT INTO helix_access (flow, flow_id, subject, role, details)
SELECT %(key)s, %(flow_id)s, * FROM unnest(
    %(subjects)s::text[], %(roles)s::smallint[], %(details)s::text[])
ON CONFLICT (flow, subject) DO UPDATE SET role = excluded.role, details = excluded.details
"""

_DROP_ROWS = "DELETE FROM helix_access WHERE flow = %(key)s AND subject = ANY(%(subjects)s)"

_ROWS_OF_KEY = "SELECT subject, role, details FROM helix_access WHERE flow = %(key)s"

# Joined row by row, through the indexes: the planner can't know how few rows are asked for.
_ROWS = """
SELECT flows.flow_id, given.subject, given.role, given.details
FROM unnest(%(flow_ids)s::text[]) AS one
CROSS JOIN LATERAL (
    SELECT flow_id, key FROM helix_flows WHERE flow_id = one COLLATE "C" OFFSET 0
) AS flows
LEFT JOIN LATERAL (
    SELECT subject, role, details FROM helix_access WHERE flow = flows.key {condition} OFFSET 0
) AS given ON true
"""

_FIND_LINK = """
SELECT flows.flow_id, given.role, given.details FROM helix_access AS given
CROSS JOIN LATERAL (
    SELECT flow_id FROM helix_flows
    WHERE flow_id = given.flow_id AND key = given.flow AND deleted_at IS NULL OFFSET 0
) AS flows
WHERE given.subject = %(subject)s
"""


class Do(Protocol):
    """Has something done on a connection of the store."""

    def __call__(self, work: Work[T]) -> Deferred[T]: ...


async def keep_rows(
    connection: Connection, flow_id: str, key: int, before: AccessRows, after: AccessRows
) -> None:
    """Make what a flow gives ``after``, where it is ``before``; in a transaction."""
    dropped = [pack(subject) for subject in before.keys() - after.keys()]
    if dropped:
        await connection.ask(_DROP_ROWS, {"key": key, "subjects": dropped})
    kept = {subject: row for subject, row in after.items() if before.get(subject) != row}
    if kept:
        rows = {
            "subjects": [pack(subject) for subject in kept],
            "roles": [int(row.role) for row in kept.values()],
            "details": [pack(row.details) for row in kept.values()],
        }
        await connection.ask(_KEEP_ROWS, {"key": key, "flow_id": pack(flow_id), **rows})


async def _read(
    connection: Connection, flow_ids: Sequence[str], subjects: Sequence[str] | None
) -> dict[str, FlowAccess]:
    asked: dict[str, object] = {"flow_ids": [pack(one) for one in flow_ids]}
    condition = ""
    if subjects is not None:
        asked["subjects"] = [pack(subject) for subject in subjects]
        condition = f"AND {among_subjects(subjects)}"
    found: dict[str, dict[str, AccessRow]] = {}
    sql = _ROWS.format(condition=condition)
    for flow_id, subject, role, details in await connection.ask(sql, asked):
        rows = found.setdefault(unpack(flow_id), {})
        if subject is not None:
            rows[unpack(subject)] = AccessRow(role, unpack(details))
    return {flow_id: access_of(rows) for flow_id, rows in found.items()}


async def _change(
    connection: Connection,
    flow_id: str,
    edit: Edit,
    audited: AuditEntry,
    ticket: UUID,
    again: bool,
    usage: StoreUsage,
) -> FlowAccess:
    """
    Do as `IAccessStore.change` says; in a transaction.

    :param again: whether it was tried before.
    """
    locked = await connection.ask(_LOCK_FLOW, {"flow_id": pack(flow_id)})
    if not locked:
        raise FlowNotFound()
    [(key,)] = locked
    before = {
        unpack(subject): AccessRow(role, unpack(details))
        for subject, role, details in await connection.ask(_ROWS_OF_KEY, {"key": key})
    }
    if again and await count_added(connection, ticket):
        return access_of(before)
    after = rows_of(edit(access_of(before)))
    if len(after) > len(before) and usage.is_full:
        raise StoreFull()  # what is given can be taken away also where there is no room
    if after != before:
        await keep_rows(connection, flow_id, key, before, after)
        await add_audit(connection, audited, ticket)
    return access_of(after)


async def _find_link(connection: Connection, link_id: str) -> tuple[str, Link] | None:
    rows = await connection.ask(_FIND_LINK, {"subject": pack(link_subject(link_id))})
    if not rows:
        return None
    flow_id, role, details = rows[0]
    try:
        return unpack(flow_id), link_of(link_id, AccessRow(role, unpack(details)))
    except (ValueError, msgspec.MsgspecError):
        raise StoreCorrupt() from None


@implementer(IAccessStore)
class PostgresAccess:
    """
    Keeps what flows give. (`helix.interfaces.IAccessStore`)

    :param do_late: as ``do``, for what may take long.
    :param usage: of the store.
    """

    def __init__(self, do: Do, do_late: Do, usage: StoreUsage) -> None:
        self._do = do
        self._do_late = do_late
        self._usage = usage

    def read(
        self, flow_ids: Sequence[str], subjects: Sequence[str] | None = None
    ) -> Deferred[dict[str, FlowAccess]]:
        return self._do(lambda connection: _read(connection, flow_ids, subjects))

    def change(self, flow_id: str, edit: Edit, audited: AuditEntry) -> Deferred[FlowAccess]:
        attempts, ticket = count(), new_ticket()

        async def change(connection: Connection) -> FlowAccess:
            again = next(attempts) > 0
            return await connection.transaction(
                lambda: _change(connection, flow_id, edit, audited, ticket, again, self._usage)
            )

        return self._do(change)

    def find_link(self, link_id: str) -> Deferred[tuple[str, Link] | None]:
        return self._do(lambda connection: _find_link(connection, link_id))

    def audit(self, entry: AuditEntry) -> Deferred[None]:
        attempts, ticket = count(), new_ticket()

        async def audit(connection: Connection) -> None:
            again = next(attempts) > 0
            await audited_once(
                connection, ticket, again, lambda: add_audit(connection, entry, ticket)
            )

        return self._do(audit)

    def audited(self, before: int | None, limit: int) -> Deferred[list[AuditEntry]]:
        return self._do_late(lambda connection: read_audited(connection, before, limit))

    def changes(self, after: int | None, limit: int) -> Deferred[list[AuditEntry]]:
        return self._do(lambda connection: read_changes(connection, after, limit))
