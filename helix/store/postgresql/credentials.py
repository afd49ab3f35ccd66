"""API keys, the sessions of who has signed in, and the secret, in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from secrets import token_bytes
from uuid import UUID

from twisted.internet.defer import Deferred
from zope.interface import implementer

from helix.errors import DuplicateOperation, KeyNotFound, TooManyKeys
from helix.interfaces import ICredentialStore
from helix.records import ApiKey, AuditEntry, SignIn
from helix.store.postgresql.access import Do
from helix.store.postgresql.audit import add_audit, audited_once, new_ticket, packed
from helix.store.postgresql.failures import Clash
from helix.store.postgresql.queries import pack, unpack
from helix.store.postgresql.wire import Connection, Row
from helix.store.rules import MAX_KEYS, SECRET_BYTES

_KEYS = """
SELECT key_id, name, digest, created_at, grants, creates, is_admin, created_by, expires_at, used_at
FROM helix_api_keys ORDER BY created_at, key_id
"""

_COUNT_KEYS = """
SELECT count(*), count(*) FILTER (WHERE key_id = %(key_id)s) FROM helix_api_keys
"""

_ADD_KEY = """
INSERT INTO helix_api_keys (key_id, name, digest, created_at, grants, creates, is_admin,
    created_by, expires_at, used_at)
VALUES (%(key_id)s, %(name)s, %(digest)s, %(created_at)s, %(grants)s, %(creates)s, %(is_admin)s,
    %(created_by)s, %(expires_at)s, %(used_at)s)
"""

_REMOVE_KEY = "DELETE FROM helix_api_keys WHERE key_id = %(key_id)s RETURNING key_id"

# Locked in their order, so that no two wait for each other for ever.
_KEYS_USED = """
WITH locked AS MATERIALIZED (
    SELECT key_id, used.at FROM helix_api_keys
    JOIN unnest(%(key_ids)s::text[], %(times)s::double precision[]) AS used (one, at)
        ON key_id = one COLLATE "C"
    ORDER BY key_id FOR NO KEY UPDATE OF helix_api_keys
)
UPDATE helix_api_keys SET used_at = GREATEST(used_at, locked.at) FROM locked
WHERE helix_api_keys.key_id = locked.key_id
"""

_REMOVE_OVER = "DELETE FROM helix_sign_ins WHERE expires_at <= %(now)s"

_ADD_SIGN_IN = """
INSERT INTO helix_sign_ins (session_id, digest, principal_id, details, created_at, seen_at,
    expires_at)
VALUES (%(session_id)s, %(digest)s, %(principal_id)s, %(details)s, %(created_at)s, %(seen_at)s,
    %(expires_at)s)
"""

_SIGN_IN = """
SELECT session_id, digest, principal_id, details, created_at, seen_at, expires_at
FROM helix_sign_ins WHERE digest = %(digest)s
"""

_RENEW_SIGN_IN = """
UPDATE helix_sign_ins SET seen_at = %(seen_at)s, expires_at = %(expires_at)s
WHERE session_id = %(session_id)s
"""

_REMOVE_SIGN_INS = """
DELETE FROM helix_sign_ins WHERE session_id = %(session_id)s OR principal_id = %(principal_id)s
RETURNING session_id
"""

_SECRET = "SELECT value FROM helix_secrets"

_MAKE_SECRET = """
INSERT INTO helix_secrets (secret, value) VALUES (1, %(value)s) ON CONFLICT DO NOTHING
"""


async def _find_secret(connection: Connection) -> bytes:
    found = await connection.ask(_SECRET)
    if not found:
        await connection.write(_MAKE_SECRET, {"value": token_bytes(SECRET_BYTES)})
        found = await connection.ask(_SECRET)
    return bytes(found[0][0])


async def _list_keys(connection: Connection) -> list[ApiKey]:
    return [_key(row) for row in await connection.ask(_KEYS)]


async def _add_key(connection: Connection, key: ApiKey, audited: AuditEntry, ticket: UUID) -> int:
    """Do as `ICredentialStore.add_key` says; within `audited_once`, so that two never count."""
    given = {
        "key_id": pack(key.id),
        "name": pack(key.name),
        "digest": key.digest,
        "created_at": key.created_at,
        "grants": packed(key.grants),
        "creates": packed(key.create),
        "is_admin": key.is_admin,
        "created_by": pack(key.created_by),
        "expires_at": key.expires_at,
        "used_at": key.used_at,
    }
    [(keys, same)] = await connection.ask(_COUNT_KEYS, given)
    if same:
        raise DuplicateOperation()
    if keys >= MAX_KEYS:
        raise TooManyKeys()
    await connection.ask(_ADD_KEY, given)
    return await add_audit(connection, audited, ticket)


async def _remove_key(
    connection: Connection, key_id: str, audited: AuditEntry, ticket: UUID
) -> int:
    """Do as `ICredentialStore.remove_key` says; within `audited_once`."""
    if not await connection.ask(_REMOVE_KEY, {"key_id": pack(key_id)}):
        raise KeyNotFound()
    return await add_audit(connection, audited, ticket)


async def _note_used(connection: Connection, used: Mapping[str, float]) -> None:
    named = {"key_ids": [pack(one) for one in used], "times": list(used.values())}
    await connection.write(_KEYS_USED, named)


async def _add_sign_in(connection: Connection, session: SignIn) -> None:
    """Do as `ICredentialStore.add_sign_in` says; in a transaction."""
    await connection.ask(_REMOVE_OVER, {"now": session.created_at})
    given = {
        "session_id": pack(session.id),
        "digest": session.digest,
        "principal_id": pack(session.principal_id),
        "details": packed(session.details),
        "created_at": session.created_at,
        "seen_at": session.seen_at,
        "expires_at": session.expires_at,
    }
    await connection.ask(_ADD_SIGN_IN, given)


async def _find_sign_in(connection: Connection, digest: bytes) -> SignIn | None:
    rows = await connection.ask(_SIGN_IN, {"digest": digest})
    return _sign_in(rows[0]) if rows else None


async def _remove_sign_ins(
    connection: Connection,
    audited: AuditEntry,
    session_id: str | None,
    principal_id: str | None,
    ticket: UUID,
) -> int:
    """Do as `ICredentialStore.remove_sign_ins` says; within `audited_once`."""
    named = {
        "session_id": None if session_id is None else pack(session_id),
        "principal_id": None if principal_id is None else pack(principal_id),
    }
    gone = sorted(unpack(one) for (one,) in await connection.ask(_REMOVE_SIGN_INS, named))
    if not gone:
        return 0
    return await add_audit(connection, audited, ticket, [f"session:{one}" for one in gone])


def _key(row: Row) -> ApiKey:
    key_id, name, digest, created_at, grants, creates, is_admin, created_by, *times = row
    what = (unpack(key_id), unpack(name), bytes(digest), created_at)
    may = (unpack(grants).encode(), unpack(creates).encode(), is_admin)
    return ApiKey(*what, *may, unpack(created_by), *times)


def _sign_in(row: Row) -> SignIn:
    session_id, digest, principal_id, details, *times = row
    who = (unpack(session_id), bytes(digest), unpack(principal_id))
    return SignIn(*who, unpack(details).encode(), *times)


@implementer(ICredentialStore)
class PostgresCredentials:
    """Keeps keys and sessions. (`helix.interfaces.ICredentialStore`)"""

    def __init__(self, do: Do) -> None:
        self._do = do

    def secret(self) -> Deferred[bytes]:
        return self._do(_find_secret)

    def keys(self) -> Deferred[list[ApiKey]]:
        return self._do(_list_keys)

    def add_key(self, key: ApiKey, audited: AuditEntry) -> Deferred[None]:
        return self._once(
            lambda connection, ticket: _add_key(connection, key, audited, ticket)
        ).addCallback(_nothing)

    def remove_key(self, key_id: str, audited: AuditEntry) -> Deferred[None]:
        return self._once(
            lambda connection, ticket: _remove_key(connection, key_id, audited, ticket)
        ).addCallback(_nothing)

    def keys_used(self, used: Mapping[str, float]) -> Deferred[None]:
        return self._do(lambda connection: _note_used(connection, used))

    def add_sign_in(self, session: SignIn) -> Deferred[None]:
        attempts = count()

        async def add_sign_in(connection: Connection) -> None:
            again = next(attempts) > 0
            try:
                await connection.transaction(lambda: _add_sign_in(connection, session))
            except Clash:
                # Its digest is its own: it was added before the connection was lost.
                if not again:
                    raise DuplicateOperation() from None

        return self._do(add_sign_in)

    def sign_in(self, digest: bytes) -> Deferred[SignIn | None]:
        return self._do(lambda connection: _find_sign_in(connection, digest))

    def renew_sign_in(self, session_id: str, seen_at: float, expires_at: float) -> Deferred[None]:
        named = {"session_id": pack(session_id), "seen_at": seen_at, "expires_at": expires_at}

        async def renew_sign_in(connection: Connection) -> None:
            await connection.write(_RENEW_SIGN_IN, named)

        return self._do(renew_sign_in)

    def remove_sign_ins(
        self, audited: AuditEntry, session_id: str | None = None, principal_id: str | None = None
    ) -> Deferred[int]:
        return self._once(
            lambda connection, ticket: _remove_sign_ins(
                connection, audited, session_id, principal_id, ticket
            )
        )

    def _once(self, work: Callable[[Connection, UUID], Awaitable[int]]) -> Deferred[int]:
        """Do what adds entries to the audit log; give how many."""
        attempts, ticket = count(), new_ticket()

        async def once(connection: Connection) -> int:
            again = next(attempts) > 0
            return await audited_once(connection, ticket, again, lambda: work(connection, ticket))

        return self._do(once)


def _nothing(_: object) -> None:
    """Give nothing, whatever is known."""
