"""Sessions of who has signed in: kept, found, renewed and ended. (ACC172, ACC175, ACC176)"""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from helix.access.principal import Principal
from helix.errors import KeysUnavailable, StoreUnavailable
from helix.identity.person import Person
from helix.identity.sessions import (
    FRESH_SECONDS,
    IDLE_SECONDS,
    LONGEST_SECONDS,
    MAX_KEPT_ID_TOKEN,
    MAX_KNOWN,
    RENEW_SECONDS,
    Sessions,
)
from helix.records import AuditEntry
from tests.support.logs import Log, logged
from tests.support.stack import NOW
from tests.support.world import open_memory_store

__all__ = ["logged"]

ISSUER = "https://id.test"

ADA = Person("ada", "Ada", frozenset({"a", "b"}))


class Watched:
    """
    A credential store that counts what it is asked.

    :ivar asked: the names of its methods.
    :ivar is_away: whether it fails.
    :ivar held: where it is a list, answers wait there until a test calls them.
    """

    def __init__(self) -> None:
        self.store: Any = open_memory_store().credentials
        self.asked: list[str] = []
        self.is_away = False
        self.held: list[Deferred[None]] | None = None

    def __getattr__(self, name: str) -> Any:
        def ask(*given: Any, **named: Any) -> Any:
            self.asked.append(name)
            if self.is_away:
                return fail(StoreUnavailable())
            answer = getattr(self.store, name)(*given, **named)
            if self.held is None:
                return answer
            waiting: Deferred[None] = Deferred()
            self.held.append(waiting)
            return waiting.addCallback(lambda _: answer)

        return ask


class Place:
    """Sessions, and what is around them."""

    def __init__(self, store: Watched | None = None) -> None:
        self.clock = Clock()
        self.store = store or Watched()
        self.in_use: set[str] = set()
        self.ended: list[str] = []
        given: Any = self.store
        self.sessions = Sessions(
            given, ISSUER, self.clock, self.wall, lambda: self.in_use, self.ended.append
        )

    def wall(self) -> float:
        """The time."""
        return NOW + self.clock.seconds()

    def begin(self, person: Person = ADA, id_token: str = "") -> str:
        """Begin a session; what its cookie holds."""
        (secret,) = came(self.sessions.begin(person, id_token))
        assert isinstance(secret, str)
        return secret

    def find(self, secret: str) -> Principal | None:
        """Find one; it must be known at once."""
        (found,) = came(self.sessions.find(secret))
        if isinstance(found, Exception):
            raise found
        assert found is None or isinstance(found, Principal)
        return found


def came(coroutine: Any) -> list[Any]:
    """What a coroutine gives, or fails with, once it is done."""
    results: list[Any] = []

    def failed(failure: Failure) -> None:
        results.append(failure.value)

    Deferred.fromCoroutine(coroutine).addCallbacks(results.append, failed)
    return results


@pytest.fixture
def place() -> Place:
    return Place()


def test_acc172_store_has_the_digest_alone(place: Place) -> None:
    secret = place.begin()
    assert len(secret) == 43
    ((kept,),) = [place.store.store._sign_ins.values()]
    assert secret not in repr(kept)
    assert secret.encode() not in kept.digest + kept.details


def test_acc175_known_sessions_are_not_asked_for_again(place: Place) -> None:
    secret = place.begin()
    place.store.asked.clear()
    found = [place.find(secret) for _ in range(10)][-1]
    assert found is not None
    assert (found.id, found.name, found.groups) == ("ada", "Ada", frozenset({"a", "b"}))
    assert found.may_create("anything")
    assert not found.is_admin
    assert found.expires_at == NOW + LONGEST_SECONDS
    assert place.store.asked == ["sign_in"]
    place.clock.advance(FRESH_SECONDS)
    place.find(secret)
    assert place.store.asked == ["sign_in"] * 2


def test_acc175_use_is_noted_now_and_then(place: Place) -> None:
    secret = place.begin()
    for _ in range(10):
        place.find(secret)
        place.clock.advance(RENEW_SECONDS / 5)
    assert place.store.asked.count("renew_sign_in") == 1
    other = Place(place.store)  # another process
    other.clock.advance(IDLE_SECONDS + 1)
    assert other.find(secret) is not None
    other.clock.advance(IDLE_SECONDS)
    assert other.find(secret) is None


def test_acc175_session_that_another_process_has_renewed_goes_on(place: Place) -> None:
    secret = place.begin()
    other = Place(place.store)
    place.find(secret)
    for one in (place, other):
        one.clock.advance(IDLE_SECONDS - 1)
    other.find(secret)
    place.clock.advance(2)
    assert place.find(secret) is not None


def test_acc175_open_connection_keeps_its_session(place: Place) -> None:
    secrets = [place.begin(), place.begin()]
    used, unused = [place.find(secret) for secret in secrets]
    assert used is not None
    assert unused is not None
    place.in_use.add(used.credential)
    place.sessions.startService()
    for _ in range(int(2 * IDLE_SECONDS / RENEW_SECONDS)):
        place.clock.advance(RENEW_SECONDS)
    assert place.find(secrets[0]) is not None
    assert place.find(secrets[1]) is None
    while place.wall() < NOW + LONGEST_SECONDS:
        place.clock.advance(RENEW_SECONDS)
    assert place.find(secrets[0]) is None
    assert used.credential in place.ended
    place.sessions.stopService()
    assert not place.clock.getDelayedCalls()


def test_acc176_ended_session_is_over_at_once(place: Place) -> None:
    secret = place.begin(id_token="a.b.c")
    found = place.find(secret)
    assert found is not None
    (ended,) = came(place.sessions.end(secret))
    assert ended.id_token == "a.b.c"
    assert place.ended == [found.credential]
    assert place.find(secret) is None
    assert came(place.sessions.end(secret)) == [None]
    (entries,) = came(_audited(place))
    assert [(one.action, one.credential, one.actor.id) for one in entries] == [
        ("session.end", found.credential, "ada")
    ]
    assert "a.b.c" not in repr(entries)


async def _audited(place: Place) -> Any:
    return place.store.store._log.before(None, 10)


def test_acc176_session_that_another_process_has_ended_is_over(place: Place) -> None:
    secret = place.begin()
    found = place.find(secret)
    assert found is not None
    other = Place(place.store)
    came(other.sessions.end(secret))
    assert place.find(secret) is not None, "nobody has told yet"
    place.sessions.learn(
        [AuditEntry(1, NOW, "key.revoke", credential="key:1"), *came(_audited(place))[0]]
    )
    assert place.ended == [found.credential]
    assert place.find(secret) is None


def test_acc176_even_if_nobody_tells(place: Place) -> None:
    secret = place.begin()
    found = place.find(secret)
    assert found is not None
    came(Place(place.store).sessions.end(secret))
    place.in_use.add(found.credential)
    place.sessions.startService()
    place.clock.advance(RENEW_SECONDS)
    assert place.ended == [found.credential]
    place.sessions.stopService()


def test_acc176_what_ends_while_it_is_looked_up_is_over(place: Place) -> None:
    secret = place.begin()
    (session,) = place.store.store._sign_ins.values()
    place.store.held = []
    finding = came(place.sessions.find(secret))
    place.sessions.ended(f"session:{session.id}")
    place.store.held[0].callback(None)
    assert finding == [None]
    again = came(place.sessions.find(secret))
    place.store.held[1].callback(None)
    assert isinstance(again[0], Principal), "what was told before doesn't count for ever"


def test_acc175_while_the_store_is_away_known_sessions_hold(place: Place) -> None:
    known, unknown = place.begin(), place.begin()
    place.find(known)
    place.store.is_away = True
    place.clock.advance(RENEW_SECONDS)
    assert place.find(known) is not None
    with pytest.raises(KeysUnavailable):
        place.find(unknown)
    with pytest.raises(KeysUnavailable):
        place.find("x")
    place.clock.advance(2 * IDLE_SECONDS)
    with pytest.raises(KeysUnavailable):
        place.find(known)


def test_acc175_what_is_known_is_bounded(place: Place) -> None:
    secrets = [place.begin() for _ in range(3)]
    for secret in secrets:
        place.find(secret)
    known = place.sessions._known
    (digest, one) = next(iter(known.items()))
    for number in range(MAX_KNOWN):
        known[number.to_bytes(32, "big")] = one
    place.find(place.begin())
    assert digest not in known


def test_acc172_long_id_tokens_are_not_kept(place: Place) -> None:
    for size, kept in ((MAX_KEPT_ID_TOKEN, MAX_KEPT_ID_TOKEN), (MAX_KEPT_ID_TOKEN + 1, 0)):
        secret = place.begin(id_token="x" * size)
        (ended,) = came(place.sessions.end(secret))
        assert len(ended.id_token) == kept


def test_acc175_stop_ends_a_sweep(place: Place, logged: Log) -> None:
    secret = place.begin()
    found = place.find(secret)
    assert found is not None
    place.in_use.add(found.credential)
    place.sessions.startService()
    place.store.held = []
    place.clock.advance(RENEW_SECONDS)
    stopped: list[Any] = []
    place.sessions.stopService().addCallback(stopped.append)
    assert stopped
    assert not place.clock.getDelayedCalls()
    assert not logged.failures
