"""What flows give, and what proves who somebody is, of the store ``memory:``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from secrets import token_bytes
from typing import Any, Protocol, TypeVar

from msgspec import structs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from helix.access.sharing import FlowAccess, Link, link_subject
from helix.errors import DuplicateOperation, FlowNotFound, KeyNotFound, TooManyKeys
from helix.interfaces import IAccessStore, ICredentialStore
from helix.records import ApiKey, AuditEntry, FlowHead, Scope, SignIn
from helix.store.access_rows import AccessRow, access_of, link_of, rows_of
from helix.store.rules import KEPT_AUDIT, MAX_KEYS, SECRET_BYTES

T = TypeVar("T")


class Do(Protocol):
    """Calls something of the store, if that is open."""

    def __call__(self, call: Callable[[], T]) -> Deferred[T]: ...


class AuditLog:
    """The newest `helix.store.rules.KEPT_AUDIT` entries."""

    def __init__(self) -> None:
        self._entries: deque[AuditEntry] = deque()
        self._newest = 0

    def add(self, entry: AuditEntry) -> None:
        self._newest += 1
        self._entries.append(structs.replace(entry, number=self._newest))
        if len(self._entries) > KEPT_AUDIT:
            self._entries.popleft()

    def before(self, number: int | None, limit: int) -> list[AuditEntry]:
        """As `IAccessStore.audited`."""
        found = [one for one in self._entries if number is None or one.number < number]
        return found[::-1][:limit]

    def after(self, number: int | None, limit: int) -> list[AuditEntry]:
        """As `IAccessStore.changes`."""
        if number is None:
            return list(self._entries)[-1:][:limit]
        if number >= self._newest:
            return []
        return [one for one in self._entries if one.number > number][:limit]


@implementer(IAccessStore)
class MemoryAccess:
    """
    Keeps what flows give. (`helix.interfaces.IAccessStore`)

    :param head_of: gives the head of a flow, if it is there.
    :param log: to which changes are added.
    :param do: calls what is asked.
    """

    def __init__(self, head_of: Callable[[str], FlowHead | None], log: AuditLog, do: Do) -> None:
        self._head_of = head_of
        self._log = log
        self._do = do
        self._rows: dict[str, dict[str, AccessRow]] = {}

    def begin(self, flow_id: str, owner: Mapping[str, AccessRow]) -> None:
        """Let a new flow give what its owner has, and nothing of what one before it gave."""
        self.forget(flow_id)
        if owner:
            self._rows[flow_id] = dict(owner)

    def forget(self, flow_id: str) -> None:
        """Let a flow that is gone give nothing."""
        self._rows.pop(flow_id, None)

    def is_in(self, scope: Scope, flow_id: str) -> bool:
        """Tell whether a flow belongs to a scope by one of its subjects."""
        rows = self._rows.get(flow_id)
        if rows is None:
            return False
        found = (rows[subject] for subject in scope.subjects if subject in rows)
        return any(row.role >= scope.least_role for row in found)

    def read(
        self, flow_ids: Sequence[str], subjects: Sequence[str] | None = None
    ) -> Deferred[dict[str, FlowAccess]]:
        def read() -> dict[str, FlowAccess]:
            there = [one for one in flow_ids if self._head_of(one) is not None]
            return {one: access_of(self._some(one, subjects)) for one in there}

        return self._do(read)

    def change(
        self, flow_id: str, edit: Callable[[FlowAccess], FlowAccess], audited: AuditEntry
    ) -> Deferred[FlowAccess]:
        def change() -> FlowAccess:
            if self._head_of(flow_id) is None:
                raise FlowNotFound()
            rows = self._some(flow_id)
            made = rows_of(edit(access_of(rows)))
            if made != rows:
                self._rows[flow_id] = made
                self._log.add(audited)
            return access_of(made)

        return self._do(change)

    def find_link(self, link_id: str) -> Deferred[tuple[str, Link] | None]:
        def find_link() -> tuple[str, Link] | None:
            subject = link_subject(link_id)
            for flow_id, rows in self._rows.items():
                head = self._head_of(flow_id)
                if subject in rows and head is not None and head.deleted_at is None:
                    return flow_id, link_of(link_id, rows[subject])
            return None

        return self._do(find_link)

    def audit(self, entry: AuditEntry) -> Deferred[None]:
        return self._do(lambda: self._log.add(entry))

    def audited(self, before: int | None, limit: int) -> Deferred[list[AuditEntry]]:
        return self._do(lambda: self._log.before(before, limit))

    def changes(self, after: int | None, limit: int) -> Deferred[list[AuditEntry]]:
        return self._do(lambda: self._log.after(after, limit))

    def _some(self, flow_id: str, subjects: Sequence[str] | None = None) -> dict[str, AccessRow]:
        rows = self._rows.get(flow_id, {})
        if subjects is None:
            return rows
        return {subject: rows[subject] for subject in subjects if subject in rows}


@implementer(ICredentialStore)
class MemoryCredentials:
    """
    Keeps keys and sessions. (`helix.interfaces.ICredentialStore`)

    :param log: to which changes are added.
    :param do: calls what is asked.
    """

    def __init__(self, log: AuditLog, do: Do) -> None:
        self._log = log
        self._do = do
        self._secret = token_bytes(SECRET_BYTES)
        self._keys: dict[str, ApiKey] = {}
        self._sign_ins: dict[str, SignIn] = {}

    def secret(self) -> Deferred[bytes]:
        return self._do(lambda: self._secret)

    def keys(self) -> Deferred[list[ApiKey]]:
        return self._do(
            lambda: sorted(self._keys.values(), key=lambda key: (key.created_at, key.id))
        )

    def add_key(self, key: ApiKey, audited: AuditEntry) -> Deferred[None]:
        def add_key() -> None:
            if key.id in self._keys:
                raise DuplicateOperation()
            if len(self._keys) >= MAX_KEYS:
                raise TooManyKeys()
            self._keys[key.id] = key
            self._log.add(audited)

        return self._do(add_key)

    def remove_key(self, key_id: str, audited: AuditEntry) -> Deferred[None]:
        def remove_key() -> None:
            if self._keys.pop(key_id, None) is None:
                raise KeyNotFound()
            self._log.add(audited)

        return self._do(remove_key)

    def keys_used(self, used: Mapping[str, float]) -> Deferred[None]:
        def keys_used() -> None:
            for key_id, at in used.items():
                key = self._keys.get(key_id)
                if key is not None and at > (key.used_at or 0.0):
                    self._keys[key_id] = structs.replace(key, used_at=at)

        return self._do(keys_used)

    def add_sign_in(self, session: SignIn) -> Deferred[None]:
        def add_sign_in() -> None:
            if session.id in self._sign_ins:
                raise DuplicateOperation()
            self._remove(lambda one: one.expires_at <= session.created_at)
            self._sign_ins[session.id] = session

        return self._do(add_sign_in)

    def sign_in(self, digest: bytes) -> Deferred[SignIn | None]:
        def sign_in() -> SignIn | None:
            found: list[Any] = [one for one in self._sign_ins.values() if one.digest == digest]
            return found[0] if found else None

        return self._do(sign_in)

    def renew_sign_in(self, session_id: str, seen_at: float, expires_at: float) -> Deferred[None]:
        def renew_sign_in() -> None:
            if (found := self._sign_ins.get(session_id)) is not None:
                self._sign_ins[session_id] = structs.replace(
                    found, seen_at=seen_at, expires_at=expires_at
                )

        return self._do(renew_sign_in)

    def remove_sign_ins(
        self, audited: AuditEntry, session_id: str | None = None, principal_id: str | None = None
    ) -> Deferred[int]:
        def is_meant(one: SignIn) -> bool:
            return one.id == session_id or one.principal_id == principal_id

        def remove_sign_ins() -> int:
            removed = self._remove(is_meant)
            for one in removed:
                self._log.add(structs.replace(audited, credential=f"session:{one.id}"))
            return len(removed)

        return self._do(remove_sign_ins)

    def _remove(self, condition: Callable[[SignIn], bool]) -> list[SignIn]:
        """Remove sessions, and give them in the order of their ids."""
        found = sorted(filter(condition, self._sign_ins.values()), key=lambda one: one.id)
        for one in found:
            del self._sign_ins[one.id]
        return found
