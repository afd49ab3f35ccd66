"""The sessions of who has signed in: kept in the store, and for a while in memory."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence, Set
from hashlib import sha256

import attrs
import msgspec
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.access.principal import FlowPattern, Kind, Principal
from helix.errors import KeysUnavailable, StoreError
from helix.identity.person import Person
from helix.interfaces import ICredentialStore
from helix.records import Actor, AuditEntry, SignIn

IDLE_SECONDS = 12 * 3600.0
"""Seconds without a request, or an open connection, after which a session ends."""

LONGEST_SECONDS = 30 * 86_400.0
"""Seconds after which a session ends in any case."""

RENEW_SECONDS = 300.0
"""Seconds after which it is noted again that a session is used."""

FRESH_SECONDS = 60.0
"""Seconds after which the store is asked again, which should have told of changes before."""

MAX_KNOWN = 10_000
"""The most sessions that are kept in memory."""

MAX_KEPT_ID_TOKEN = 4096
"""Characters of the longest ID token that is kept: it has to fit into an address later."""

PREFIX = "session:"
"""How a `Principal.credential` begins that is a session."""

_ANY_FLOW = FlowPattern.parse("*")


class _Details(msgspec.Struct):
    issuer: str
    name: str = ""
    groups: list[str] = []
    id_token: str = ""


_decode = msgspec.json.Decoder(_Details).decode


@attrs.frozen
class Ended:
    """
    A session that its owner has ended.

    :ivar id_token: of the provider; empty if it wasn't kept.
    """

    id_token: str = attrs.field(default="", repr=False)


@attrs.frozen
class _Known:
    """A session in memory, and when the store told of it."""

    session: SignIn
    principal: Principal
    at: float


class Sessions(Service):
    """
    The sessions of one issuer's people.

    :param store: keeps them.
    :param issuer: others' sessions don't count.
    :param clock: the reactor.
    :param wall: tells the time, in Unix seconds.
    :param in_use: gives the `Principal.credential` of all open connections.
    :param on_ended: called with the `Principal.credential` of a session that has ended.
    """

    _log = Logger(namespace="helix.identity")

    def __init__(
        self,
        store: ICredentialStore,
        issuer: str,
        clock: IReactorTime,
        wall: Callable[[], float],
        in_use: Callable[[], Set[str]],
        on_ended: Callable[[str], None],
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._wall = wall
        self._in_use = in_use
        self._on_ended = on_ended
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._looking = 0
        self._ended_meanwhile: set[str] = set()
        self._sweep: Deferred[None] = succeed(None)
        self._sweeping = LoopingCall(self._begin_sweep)
        self._sweeping.clock = clock

    def startService(self) -> None:
        super().startService()
        self._sweeping.start(RENEW_SECONDS, now=False).addErrback(
            lambda failure: self._log.failure("Looking after sessions failed", failure)
        )

    def stopService(self) -> Deferred[None]:
        """Look after sessions no more."""
        super().stopService()
        if self._sweeping.running:
            self._sweeping.stop()
        self._sweep.cancel()
        return self._sweep

    async def begin(self, person: Person, id_token: str) -> str:
        """
        Begin a session.

        :return: what its cookie is to hold.
        :raises StoreError: when it can't be kept.
        """
        secret = secrets.token_urlsafe(32)
        now = self._wall()
        kept = id_token if len(id_token) <= MAX_KEPT_ID_TOKEN else ""
        details = _Details(self._issuer, person.name, sorted(person.groups), kept)
        session = SignIn(
            secrets.token_hex(16),
            _digest(secret),
            person.id,
            msgspec.json.encode(details),
            now,
            now,
            now + IDLE_SECONDS,
        )
        await self._store.add_sign_in(session)
        return secret

    async def find(self, secret: str) -> Principal | None:
        """
        Find whose session a cookie has, and note that it is used. It waits for nothing while the
        session is known.

        :return: ``None`` where it has none.
        :raises KeysUnavailable: when the store can't be asked.
        """
        known = await self._find(_digest(secret))
        if known is None:
            return None
        if self._wall() - known.session.seen_at >= RENEW_SECONDS:
            renewing = Deferred.fromCoroutine(self._renew(known))
            renewing.addErrback(self._log_failure)
        return known.principal

    async def end(self, secret: str) -> Ended | None:
        """
        End the session of a cookie.

        :return: ``None`` where it has none.
        :raises StoreError: when it may not have ended.
        """
        session = await self._store.sign_in(_digest(secret))
        if session is None or (details := self._details(session)) is None:
            return None
        actor = Actor(session.principal_id, Kind.PERSON.value, details.name)
        audited = AuditEntry(0, self._wall(), "session.end", actor=actor)
        await self._store.remove_sign_ins(audited, session.id)
        self.ended(PREFIX + session.id)
        return Ended(details.id_token)

    async def end_all(self, principal_id: str, actor: Actor | None) -> int:
        """
        End all sessions of a person.

        :param actor: who ends them.
        :return: how many there were.
        :raises StoreError: when they may not have ended.
        """
        audited = AuditEntry(0, self._wall(), "session.end", actor=actor)
        count = await self._store.remove_sign_ins(audited, principal_id=principal_id)
        for known in list(self._known.values()):
            if known.session.principal_id == principal_id:
                self.ended(PREFIX + known.session.id)
        return count

    def ended(self, credential: str) -> None:
        """Forget a session that has been removed from the store, by whomever."""
        session_id = credential.removeprefix(PREFIX)
        for digest, known in list(self._known.items()):
            if known.session.id == session_id:
                del self._known[digest]
        if self._looking:
            self._ended_meanwhile.add(session_id)
        self._on_ended(credential)

    def learn(self, entries: Sequence[AuditEntry]) -> None:
        """Learn of what was done to credentials, by any process."""
        for entry in entries:
            if entry.credential.startswith(PREFIX):
                self.ended(entry.credential)

    async def _find(self, digest: bytes) -> _Known | None:
        known, now = self._known.get(digest), self._wall()
        if known is not None and self._holds(known, now) and abs(now - known.at) < FRESH_SECONDS:
            self._known.move_to_end(digest)
            return known
        try:
            return await self._look(digest, known)
        except StoreError:
            if known is not None and self._known.get(digest) is known and self._holds(known, now):
                return known
            raise KeysUnavailable("The store is out of reach, try again later") from None

    async def _look(self, digest: bytes, known: _Known | None) -> _Known | None:
        """Ask the store for a session."""
        self._looking += 1
        try:
            session = await self._store.sign_in(digest)
            is_gone = session is None or session.id in self._ended_meanwhile
        finally:
            self._looking -= 1
            if not self._looking:
                self._ended_meanwhile.clear()
        if session is None or is_gone or session.expires_at <= self._wall():
            if known is not None and digest in self._known:
                self.ended(known.principal.credential)
            return None
        details = self._details(session)
        if details is None:
            return None
        found = _Known(session, _principal(session, details), self._wall())
        self._known[digest] = found
        self._known.move_to_end(digest)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return found

    def _details(self, session: SignIn) -> _Details | None:
        """Read what is known of somebody; ``None`` if another issuer has said it."""
        details = _decode(session.details)
        return details if details.issuer == self._issuer else None

    @staticmethod
    def _holds(known: _Known, now: float) -> bool:
        return now < known.session.expires_at

    async def _renew(self, known: _Known) -> None:
        """Note that a session is used."""
        now, session = self._wall(), known.session
        expires_at = min(now + IDLE_SECONDS, session.created_at + LONGEST_SECONDS)
        renewed = msgspec.structs.replace(session, seen_at=now, expires_at=expires_at)
        if self._known.get(session.digest) is known:
            self._known[session.digest] = attrs.evolve(known, session=renewed)
        try:
            await self._store.renew_sign_in(session.id, now, expires_at)
        except StoreError as error:
            self._log.warn("The use of a session could not be noted: {reason}", reason=str(error))

    def _begin_sweep(self) -> Deferred[None]:
        self._sweep = Deferred.fromCoroutine(self._sweep_all()).addErrback(self._log_failure)
        return self._sweep

    async def _sweep_all(self) -> None:
        """Note that sessions with open connections are used, and find out which have ended."""
        in_use = self._in_use()
        for digest, known in list(self._known.items()):
            if known.principal.credential not in in_use:
                continue
            try:
                found = await self._look(digest, known)
            except StoreError:
                continue
            if found is not None:
                await self._renew(found)

    def _log_failure(self, failure: Failure) -> None:
        if failure.check(CancelledError) is None:
            self._log.failure("A session could not be looked after", failure)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "replace")).digest()


def _principal(session: SignIn, details: _Details) -> Principal:
    return Principal(
        id=session.principal_id,
        name=details.name,
        kind=Kind.PERSON,
        groups=frozenset(details.groups),
        expires_at=session.created_at + LONGEST_SECONDS,
        create=(_ANY_FLOW,),
        credential=PREFIX + session.id,
    )
