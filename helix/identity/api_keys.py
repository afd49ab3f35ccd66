"""API keys: made once, shown once, and known by their digests from then on."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable, Mapping
from hashlib import sha256
from random import Random
from typing import Any, Final

import attrs
import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.access.grants import describe_grant, parse_grants, parse_name, parse_patterns
from helix.access.principal import Kind, Principal
from helix.documents.ids import new_id
from helix.errors import InvalidParameters, KeysUnavailable, StoreError, TokenRefused
from helix.interfaces import IFlowStore
from helix.records import Actor, ApiKey, AuditEntry

KEY_PREFIX = "hx_"
"""How every key begins, so that who finds one knows what it is."""

KEY_BYTES = 32
"""Random bytes of a key."""

KEY_CHARACTERS = 46
"""How long every key is."""

MAX_RIGHTS_BYTES = 8192
"""What a key may do takes at most so many bytes of JSON."""

MAX_LIFETIME = 100 * 366 * 86_400.0
"""The longest that a key may hold, in seconds; what holds longer has no end."""

USED_SECONDS = 60.0
"""Seconds for which uses are gathered before they are noted in the store."""

CREATED, REVOKED = "key.create", "key.revoke"
"""The actions of the audit log that are about keys."""

RENEW_SECONDS = 5.0
"""Seconds between two readings, at least, for keys that nobody knows: anybody can send one."""

RETRY_SECONDS = 1.0
"""Seconds after which the keys are read again when that has failed."""


def digest_of(key: str) -> bytes:
    """Give what is kept of a key: its SHA-256. (256 random bits need no salt, and no slow hash.)"""
    return sha256(key.encode("utf-8", "replace")).digest()


def credential_of(key_id: str) -> str:
    """Give the `helix.access.principal.Principal.credential` of a key; its principal's id, too."""
    return f"key:{key_id}"


def make_key(
    random: Random,
    at: float,
    name: object,
    flows: object,
    create: object = None,
    *,
    is_admin: bool = False,
    expires_in: float | None = None,
    created_by: str = "",
) -> tuple[ApiKey, str]:
    """
    Make a key.

    :param random: can't be predicted.
    :param at: the time, Unix seconds.
    :param flows: as the claim ``flows`` of a token.
    :param create: as the claim ``create``; ``None`` for no flows.
    :param expires_in: seconds; ``None`` for ever.
    :return: what is kept, and the key itself, which nobody can make of that.
    :raises InvalidParameters: when one isn't what it should be; says which and why.
    """
    grants = _read("flows", parse_grants, flows)
    patterns = _read("create", parse_patterns, [] if create is None else create)
    if expires_in is not None and not 0 < expires_in <= MAX_LIFETIME:
        raise InvalidParameters(
            f"expires_in must be a number of seconds, more than 0 and at most {MAX_LIFETIME:.0f}"
        )
    try:
        rights = msgspec.json.encode({one.text: describe_grant(grant) for one, grant in grants})
        makes = msgspec.json.encode([one.text for one in patterns])
    except ValueError:  # half a character
        raise InvalidParameters("flows and create must be of flow ids") from None
    if len(rights) + len(makes) > MAX_RIGHTS_BYTES:
        raise InvalidParameters(f"flows and create take more than {MAX_RIGHTS_BYTES} bytes")
    text = KEY_PREFIX + urlsafe_b64encode(random.randbytes(KEY_BYTES)).rstrip(b"=").decode()
    key = ApiKey(
        id=new_id(random).replace("-", "_"),  # no option of a command begins so
        name=_read("name", parse_name, name).strip(),
        digest=digest_of(text),
        created_at=at,
        grants=rights,
        create=makes,
        is_admin=is_admin,
        created_by=created_by,
        expires_at=None if expires_in is None else at + expires_in,
    )
    return key, text


def _read(name: str, parse: Callable[[object], Any], given: object) -> Any:
    try:
        return parse(given)
    except ValueError as error:
        raise InvalidParameters(f"{name}: {error}") from None


def describe_key(key: ApiKey) -> dict[str, object]:
    """Describe a key to administrators: all but what proves it."""
    return {
        "id": key.id,
        "name": key.name,
        "flows": msgspec.Raw(key.grants),
        "create": msgspec.Raw(key.create),
        "admin": key.is_admin,
        "created_at": key.created_at,
        "created_by": key.created_by or None,
        "expires_at": key.expires_at,
        "used_at": key.used_at,
    }


def audit_creation(key: ApiKey, actor: Actor | None = None) -> AuditEntry:
    """
    Give the entry of the audit log for a new key.

    :param actor: ``None`` for the operator, at the machine.
    """
    described = describe_key(key)
    shown = {name: described[name] for name in ("name", "flows", "create", "admin", "expires_at")}
    return AuditEntry(
        number=0,
        at=key.created_at,
        action=CREATED,
        credential=credential_of(key.id),
        actor=actor,
        details=msgspec.json.encode(shown),
    )


def audit_revocation(
    key_id: str, at: float, name: str | None, actor: Actor | None = None
) -> AuditEntry:
    """As `audit_creation`, for a key that is revoked; ``name`` is ``None`` where it isn't known."""
    return AuditEntry(
        number=0,
        at=at,
        action=REVOKED,
        credential=credential_of(key_id),
        actor=actor,
        details=msgspec.json.encode({} if name is None else {"name": name}),
    )


def principal_of_key(key: ApiKey) -> Principal:
    """
    Give the principal of a key.

    :raises ValueError: when what it may do can't be read.
    """
    credential = credential_of(key.id)
    return Principal(
        id=credential,
        name=key.name,
        kind=Kind.SERVICE,
        expires_at=key.expires_at,
        is_admin=key.is_admin,
        grants=parse_grants(msgspec.json.decode(key.grants)),
        create=parse_patterns(msgspec.json.decode(key.create)),
        credential=credential,
    )


@attrs.define(eq=False)
class _Known:
    """
    A key that the book has.

    :ivar principal: its principal, once somebody has come with it.
    """

    key: ApiKey
    principal: Principal | None = None


class KeyBook(Service):
    """
    All API keys of a store, in memory by their digests. (`helix.identity.authenticator.Verifier`)

    It reads them when it is first asked for one, or told to. A look-up then asks nobody. When keys
    were used last is gathered, and noted in the store once a minute.

    :param store: keeps them.
    :param clock: the reactor.
    :param wall: tells the time, in Unix seconds.
    :param revoked: is told of the credentials of keys that are gone.
    """

    name = "api keys"

    _log: Final = Logger(namespace="helix.identity")

    def __init__(
        self,
        store: IFlowStore,
        clock: IReactorTime,
        wall: Callable[[], float],
        revoked: Callable[[Collection[str]], object],
    ) -> None:
        self._store = store
        self._clock = clock
        self._wall = wall
        self._revoked = revoked
        self._known: dict[bytes, _Known] | None = None
        self._waiting: list[Deferred[None]] = []
        self._loading: list[Deferred[None]] = []
        self._is_reading = self._is_stale = False
        self._read_at = 0.0
        self._retry: IDelayedCall | None = None
        self._used: dict[str, float] = {}
        self._noting: IDelayedCall | None = None

    def stopService(self) -> Deferred[None]:
        """Note what was used since the last time, and read no more."""
        super().stopService()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._noting is None:
            return succeed(None)
        self._noting.cancel()
        return self._note()

    # looking up

    async def verify(self, token: str) -> Principal:
        """
        Give the principal of a key. It waits for nothing but the first reading of all keys, and for
        another one where the key isn't known.

        :raises TokenRefused: when there is no such key, or it is over.
        :raises KeysUnavailable: when the keys can't be read yet.
        """
        known = await self._find(token) if len(token) == KEY_CHARACTERS else None
        if known is None:
            self._log.debug("Refused an API key: there is none such")
            raise TokenRefused("There is no such API key, or it was revoked")
        now = self._wall()
        if known.key.expires_at is not None and known.key.expires_at <= now:
            self._log.debug("Refused an API key: it is over")
            raise TokenRefused("The API key is over")
        if known.principal is None:
            try:
                known.principal = principal_of_key(known.key)
            except ValueError as error:
                self._log.warn(
                    "The API key {id} can't be read: {error}", id=known.key.id, error=error
                )
                raise TokenRefused("The API key can't be read") from None
        self._used[known.key.id] = now
        if self._noting is None:
            self._noting = self._clock.callLater(USED_SECONDS, self._note)
        return known.principal

    def used_at(self, key: ApiKey) -> float | None:
        """Tell when a key was used last, Unix seconds; ``None`` for never."""
        return self._used.get(key.id, key.used_at)

    def name_of(self, key_id: str) -> str | None:
        """Give the name of a key; ``None`` where the book has none of that id."""
        known = () if self._known is None else self._known.values()
        return next((one.key.name for one in known if one.key.id == key_id), None)

    # following the store

    def learn(self, entries: Iterable[AuditEntry]) -> None:
        """
        Follow what was done to keys, by any process. Those that were revoked count no more when
        this returns, and ``revoked`` was told of them. New ones are read.

        :param entries: of the audit log, in order; others may be among them.
        """
        keys = () if self._known is None else self._known.values()
        known = {credential_of(one.key.id) for one in keys}
        is_behind = False
        for entry in entries:
            if entry.action == REVOKED:
                self.revoke(entry.credential.removeprefix("key:"))
            elif entry.action == CREATED and entry.credential not in known:
                is_behind = self._known is not None or self._is_reading
        if is_behind:
            self.refresh().addErrback(lambda _: None)  # it was logged, and will be tried again

    def refresh(self) -> Deferred[None]:
        """
        Read all keys.

        :return: a Deferred that fires when a reading that began later than this call has ended.
        :raises StoreError: (through the Deferred) when the store can't tell. If they were read
            before, they are read again in a second.
        """
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        if not self._is_reading:
            self._read()
        return waiter

    def set_back(self) -> None:
        """The store may have other keys than before: read them, and revoke those that are gone."""
        if self._known is not None:
            self.refresh().addErrback(lambda _: None)  # it was logged, and will be tried again

    def revoke(self, key_id: str) -> None:
        """Forget a key that the store has no more. ``revoked`` is told of it in this call."""
        if self._known is not None:
            self._take([one.key for one in self._known.values() if one.key.id != key_id])
        self._is_stale = self._is_reading  # a reading under way may still find it

    # inside

    async def _find(self, token: str) -> _Known | None:
        digest = digest_of(token)
        if self._known is None or (digest not in self._known and self._may_be_new()):
            await self._load()
        assert self._known is not None
        return self._known.get(digest)

    def _may_be_new(self) -> bool:
        """Tell whether the keys are read, or may be read again, so that an unknown one is found."""
        return self._is_reading or self._clock.seconds() - self._read_at >= RENEW_SECONDS

    async def _load(self) -> None:
        """Read the keys, or wait for the reading under way."""
        if not self._store.is_open:
            raise KeysUnavailable("The store with the API keys is not open")
        waiter: Deferred[None] = Deferred()
        self._loading.append(waiter)
        if not self._is_reading:
            self._read()
        try:
            await waiter
        except StoreError:
            raise KeysUnavailable() from None

    def _read(self) -> None:
        self._is_reading, self._is_stale = True, False
        self._read_at = self._clock.seconds()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        reading: Deferred[list[ApiKey]] = self._store.credentials.keys()
        reading.addCallback(self._came, len(self._waiting)).addErrback(self._failed)

    def _came(self, keys: list[ApiKey], asked: int) -> None:
        if self._is_stale:
            self._read()
            return
        self._take(keys)
        done, self._loading = self._loading + self._waiting[:asked], []
        self._waiting = self._waiting[asked:]
        self._is_reading = False
        if self._waiting:
            self._read()
        for waiter in done:
            waiter.callback(None)

    def _failed(self, failure: Failure) -> None:
        self._is_reading = False
        if failure.check(StoreError) is None:
            self._log.failure("The API keys could not be read", failure)
        else:
            self._log.warn("The API keys could not be read: {error}", error=failure.value)
        if self._known is not None:
            self._retry = self._clock.callLater(RETRY_SECONDS, self._read_again)
        waiting, self._waiting, self._loading = self._waiting + self._loading, [], []
        for waiter in waiting:
            waiter.errback(failure)

    def _read_again(self) -> None:
        self._retry = None
        self.refresh().addErrback(lambda _: None)  # it was logged, and will be tried again

    def _take(self, keys: Iterable[ApiKey]) -> None:
        before = {} if self._known is None else self._known
        self._known = {key.digest: before.get(key.digest) or _Known(key) for key in keys}
        gone = [one.key.id for digest, one in before.items() if digest not in self._known]
        for key_id in gone:
            self._used.pop(key_id, None)
        if gone:
            self._revoked(frozenset(map(credential_of, gone)))

    def _note(self) -> Deferred[None]:
        """Note in the store when keys were used."""
        self._noting = None
        used, self._used = self._used, {}
        noted: Deferred[None] = self._store.credentials.keys_used(used)
        return noted.addErrback(self._not_noted, used)

    def _not_noted(self, failure: Failure, used: Mapping[str, float]) -> None:
        """Try again with the next ones."""
        if failure.check(StoreError) is None:
            self._log.failure("The use of API keys could not be noted", failure)
        self._used = {**used, **self._used}
        if self._noting is None and self.running:
            self._noting = self._clock.callLater(USED_SECONDS, self._note)
