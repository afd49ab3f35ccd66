"""API keys, the sessions of who has signed in, and the secret, in an SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from secrets import token_bytes
from typing import Any

from msgspec import structs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from helix.errors import DuplicateOperation, KeyNotFound, TooManyKeys
from helix.interfaces import ICredentialStore
from helix.records import ApiKey, AuditEntry, SignIn
from helix.store.rules import MAX_KEYS, SECRET_BYTES
from helix.store.sqlite.access import Read, Write
from helix.store.sqlite.audit import add_audit

_KEYS = """
    SELECT key_id, name, digest, created_at, CAST(grants AS BLOB), CAST(creates AS BLOB), is_admin,
        created_by, expires_at, used_at
    FROM api_keys ORDER BY created_at, key_id
"""

_ADD_KEY = """
    INSERT INTO api_keys (key_id, name, digest, created_at, grants, creates, is_admin, created_by,
        expires_at, used_at)
    VALUES (?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, ?)
"""

_SIGN_IN = """
    SELECT session_id, digest, principal_id, CAST(details AS BLOB), created_at, seen_at, expires_at
    FROM sign_ins WHERE digest = ?
"""

_ADD_SIGN_IN = """
    INSERT INTO sign_ins (session_id, digest, principal_id, details, created_at, seen_at,
        expires_at)
    VALUES (?, ?, ?, CAST(? AS TEXT), ?, ?, ?)
"""


def read_secret(database: sqlite3.Connection) -> bytes | None:
    """Give the secret, if there is one yet."""
    row = database.execute("SELECT value FROM secrets").fetchone()
    return None if row is None else row[0]


def make_secret(database: sqlite3.Connection) -> bytes:
    """Give the secret; it is made in the transaction under way if there is none yet."""
    made = read_secret(database)
    if made is None:
        made = token_bytes(SECRET_BYTES)
        database.execute("INSERT INTO secrets (secret, value) VALUES (1, ?)", (made,))
    return made


def read_keys(database: sqlite3.Connection) -> list[ApiKey]:
    """Do as `ICredentialStore.keys` says."""
    return [_key(row) for row in database.execute(_KEYS)]


def add_key(database: sqlite3.Connection, key: ApiKey, audited: AuditEntry) -> None:
    """Do as `ICredentialStore.add_key` says, in the transaction under way."""
    (count, has_it) = database.execute(
        "SELECT count(*), count(*) FILTER (WHERE key_id = ?) FROM api_keys", (key.id,)
    ).fetchone()
    if has_it:
        raise DuplicateOperation()
    if count >= MAX_KEYS:
        raise TooManyKeys()
    what = (key.id, key.name, key.digest, key.created_at, key.grants, key.create)
    who = (key.is_admin, key.created_by, key.expires_at, key.used_at)
    database.execute(_ADD_KEY, (*what, *who))
    add_audit(database, audited)


def remove_key(database: sqlite3.Connection, key_id: str, audited: AuditEntry) -> None:
    """Do as `ICredentialStore.remove_key` says, in the transaction under way."""
    if not database.execute("DELETE FROM api_keys WHERE key_id = ?", (key_id,)).rowcount:
        raise KeyNotFound()
    add_audit(database, audited)


def note_used(database: sqlite3.Connection, used: Mapping[str, float]) -> None:
    """Do as `ICredentialStore.keys_used` says, in the transaction under way."""
    database.executemany(
        "UPDATE api_keys SET used_at = max(ifnull(used_at, 0), ?2) WHERE key_id = ?1",
        list(used.items()),
    )


def add_sign_in(database: sqlite3.Connection, session: SignIn) -> None:
    """Do as `ICredentialStore.add_sign_in` says, in the transaction under way."""
    place = (session.id, session.digest)
    if database.execute(
        "SELECT 1 FROM sign_ins WHERE session_id = ? OR digest = ?", place
    ).fetchone():
        raise DuplicateOperation()
    database.execute("DELETE FROM sign_ins WHERE expires_at <= ?", (session.created_at,))
    times = (session.created_at, session.seen_at, session.expires_at)
    database.execute(_ADD_SIGN_IN, (*place, session.principal_id, session.details, *times))


def read_sign_in(database: sqlite3.Connection, digest: bytes) -> SignIn | None:
    """Do as `ICredentialStore.sign_in` says."""
    row = database.execute(_SIGN_IN, (digest,)).fetchone()
    return None if row is None else SignIn(*row)


def renew_sign_in(
    database: sqlite3.Connection, session_id: str, seen_at: float, expires_at: float
) -> None:
    """Do as `ICredentialStore.renew_sign_in` says, in the transaction under way."""
    database.execute(
        "UPDATE sign_ins SET seen_at = ?, expires_at = ? WHERE session_id = ?",
        (seen_at, expires_at, session_id),
    )


def remove_sign_ins(
    database: sqlite3.Connection,
    audited: AuditEntry,
    session_id: str | None,
    principal_id: str | None,
) -> int:
    """Do as `ICredentialStore.remove_sign_ins` says, in the transaction under way."""
    gone = database.execute(
        "DELETE FROM sign_ins WHERE session_id = ? OR principal_id = ? RETURNING session_id",
        (session_id, principal_id),
    ).fetchall()
    for (one,) in sorted(gone):
        add_audit(database, structs.replace(audited, credential=f"session:{one}"))
    return len(gone)


def _key(row: Any) -> ApiKey:
    key_id, name, digest, created_at, grants, create, is_admin, *rest = row
    return ApiKey(key_id, name, digest, created_at, grants, create, bool(is_admin), *rest)


@implementer(ICredentialStore)
class SQLiteCredentials:
    """Keeps keys and sessions. (`helix.interfaces.ICredentialStore`)"""

    def __init__(self, write: Write, read: Read) -> None:
        self._write = write
        self._read = read

    def secret(self) -> Deferred[bytes]:
        return Deferred.fromCoroutine(self._secret())

    async def _secret(self) -> bytes:
        found: bytes | None = await self._read(lambda of: read_secret(of.database))
        if found is None:
            found = await self._write(lambda to: make_secret(to.database))
        return found

    def keys(self) -> Deferred[list[ApiKey]]:
        return self._read(lambda of: read_keys(of.database))

    def add_key(self, key: ApiKey, audited: AuditEntry) -> Deferred[None]:
        return self._write(lambda to: add_key(to.database, key, audited))

    def remove_key(self, key_id: str, audited: AuditEntry) -> Deferred[None]:
        return self._write(lambda to: remove_key(to.database, key_id, audited))

    def keys_used(self, used: Mapping[str, float]) -> Deferred[None]:
        return self._write(lambda to: note_used(to.database, used))

    def add_sign_in(self, session: SignIn) -> Deferred[None]:
        return self._write(lambda to: add_sign_in(to.database, session))

    def sign_in(self, digest: bytes) -> Deferred[SignIn | None]:
        return self._read(lambda of: read_sign_in(of.database, digest))

    def renew_sign_in(self, session_id: str, seen_at: float, expires_at: float) -> Deferred[None]:
        return self._write(lambda to: renew_sign_in(to.database, session_id, seen_at, expires_at))

    def remove_sign_ins(
        self, audited: AuditEntry, session_id: str | None = None, principal_id: str | None = None
    ) -> Deferred[int]:
        return self._write(
            lambda to: remove_sign_ins(to.database, audited, session_id, principal_id)
        )
