"""Reads and writes the audit log in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID, uuid4

from helix.records import Actor, AuditEntry
from helix.store.postgresql.failures import Unfit
from helix.store.postgresql.queries import pack, unpack
from helix.store.postgresql.wire import Connection, Row
from helix.store.rules import KEPT_AUDIT

AUDIT_LOCK = 0x68656C6979
"""Who adds to the log holds it until its end, so that numbers are committed in their order."""

# Each statement sees what was committed before it begins: the second one, after the wait.
LOCK = f"SELECT pg_advisory_xact_lock({AUDIT_LOCK})"

_ADD = """
WITH added AS (
    INSERT INTO helix_audit (number, ticket, at, action, flow_id, credential, actor_id, actor_kind,
        actor_name, details)
    SELECT (SELECT COALESCE(max(number), 0) FROM helix_audit) + place, %(ticket)s::uuid, %(at)s,
        %(action)s, %(flow_id)s, credential, %(actor_id)s, %(actor_kind)s, %(actor_name)s,
        %(details)s
    FROM unnest(%(credentials)s::text[]) WITH ORDINALITY AS about (credential, place)
    RETURNING number
)
DELETE FROM helix_audit WHERE number <= (SELECT max(number) FROM added) - %(kept)s
"""

_COUNT = "SELECT count(*) FROM helix_audit WHERE ticket = %(ticket)s::uuid"

_ENTRIES = """
SELECT number, at, action, flow_id, credential, actor_id, actor_kind, actor_name, details
FROM helix_audit
"""
_NEWEST = f"{_ENTRIES} ORDER BY number DESC LIMIT %(limit)s"
_BEFORE = f"{_ENTRIES} WHERE number < %(before)s ORDER BY number DESC LIMIT %(limit)s"
_AFTER = f"{_ENTRIES} WHERE number > %(after)s ORDER BY number LIMIT %(limit)s"


def new_ticket() -> UUID:
    """Give what tells a request from all others."""
    return uuid4()


async def add_audit(
    connection: Connection,
    entry: AuditEntry,
    ticket: UUID,
    credentials: Sequence[str] | None = None,
) -> int:
    """
    Add an entry as the last thing in a transaction, and let the oldest ones go.

    Whoever holds the lock already must not wait for what another one has locked before it.

    :param credentials: to add an entry for each of these.
    :return: how many were added.
    """
    about = [entry.credential] if credentials is None else credentials
    actor = entry.actor
    await connection.ask(
        f"{LOCK};{_ADD}",
        {
            "ticket": str(ticket),
            "at": entry.at,
            "action": pack(entry.action),
            "flow_id": pack(entry.flow_id),
            "credentials": [pack(one) for one in about],
            "actor_id": None if actor is None else pack(actor.id),
            "actor_kind": None if actor is None else pack(actor.kind),
            "actor_name": None if actor is None else pack(actor.name),
            "details": packed(entry.details),
            "kept": KEPT_AUDIT,
        },
    )
    return len(about)


async def count_added(connection: Connection, ticket: UUID) -> int:
    """
    Tell how many entries a request has added, before it lost its connection.

    It is asked once the request holds what it locks first: it may have been committed meanwhile.
    """
    count: int = (await connection.ask(_COUNT, {"ticket": str(ticket)}))[0][0]
    return count


async def audited_once(
    connection: Connection, ticket: UUID, again: bool, work: Callable[[], Awaitable[int]]
) -> int:
    """
    Do in a transaction what adds entries to the audit log, unless it was done already.

    :param again: whether it was tried before.
    :param work: adds them, and gives how many.
    :return: how many were added.
    """

    async def once() -> int:
        await connection.ask(LOCK)
        if again and (added := await count_added(connection, ticket)):
            return added
        return await work()

    return await connection.transaction(once)


async def read_audited(connection: Connection, before: int | None, limit: int) -> list[AuditEntry]:
    """Do as `IAccessStore.audited` says."""
    asked = {"before": before, "limit": limit}
    return [
        _entry(row) for row in await connection.ask(_NEWEST if before is None else _BEFORE, asked)
    ]


async def read_changes(connection: Connection, after: int | None, limit: int) -> list[AuditEntry]:
    """Do as `IAccessStore.changes` says."""
    if after is None:
        return await read_audited(connection, None, min(limit, 1))
    asked = {"after": after, "limit": limit}
    return [_entry(row) for row in await connection.ask(_AFTER, asked)]


def packed(text: bytes) -> str:
    """
    Give a text of UTF-8 as a column can hold it.

    :raises Unfit: when it is none.
    """
    try:
        return pack(text.decode())
    except UnicodeError:
        raise Unfit() from None


def _entry(row: Row) -> AuditEntry:
    number, at, action, flow_id, credential, actor_id, kind, name, details = row
    actor = None if actor_id is None else Actor(unpack(actor_id), unpack(kind), unpack(name))
    texts = (unpack(action), unpack(flow_id), unpack(credential))
    return AuditEntry(number, at, *texts, actor, unpack(details).encode())
