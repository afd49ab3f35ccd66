"""Keys at an address: fetched, renewed, kept while it is away. (ACC9)"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from helix.access.principal import Principal
from helix.errors import KeysUnavailable, TokenRefused
from helix.identity.address import RENEW_SECONDS, RETRY_SECONDS, AddressKeys, FetchFailed
from helix.identity.fetching import FETCH_SECONDS, MAX_REDIRECTS, make_fetch
from helix.identity.keys import MAX_JWKS_BYTES
from helix.identity.tokens import TokenVerifier
from tests.support.logs import Log, logged
from tests.support.stack import NOW
from tests.support.tokens import claims, jwk, jwks, rsa_key, sign

__all__ = ["logged"]

OLD, NEW = rsa_key(0), rsa_key(1)


def signed(kid: str, key: Any) -> str:
    return sign(claims(), key, "RS256", kid=kid)


class Place:
    """
    An address with keys, and who fetches them.

    :ivar content: what is there; an error if it is away.
    :ivar held: where it is a list, answers wait there until a test calls them.
    """

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.clock = Clock()
        self.content: bytes | Exception = jwks(*keys)
        self.fetched = 0
        self.held: list[Deferred[None]] | None = None
        self.keys = AddressKeys("https://keys.test/jwks?key=s3cret", self._fetch, self.clock)
        self.verifier = TokenVerifier([self.keys], lambda: NOW + self.clock.seconds())

    def _fetch(self, url: str, most: int) -> Deferred[bytes]:
        assert (url, most) == ("https://keys.test/jwks?key=s3cret", MAX_JWKS_BYTES)
        self.fetched += 1
        if self.held is None:
            return self._answer(None)
        waiting: Deferred[None] = Deferred()
        self.held.append(waiting)
        return waiting.addCallback(self._answer)

    def _answer(self, _: None) -> Deferred[bytes]:
        return fail(self.content) if isinstance(self.content, Exception) else succeed(self.content)

    def verify(self, text: str) -> list[Any]:
        """What became of a token: a principal or an error, once it is known."""
        came: list[Any] = []

        def failed(failure: Failure) -> None:
            came.append(failure.value)

        Deferred.fromCoroutine(self.verifier.verify(text)).addCallbacks(came.append, failed)
        return came


def accepted(came: list[Any]) -> bool:
    (result,) = came
    return isinstance(result, Principal)


@pytest.fixture
def place() -> Iterator[Place]:
    one = Place(jwk(OLD, "old"))
    one.keys.startService()
    yield one
    one.keys.stopService()
    assert not one.clock.getDelayedCalls()


def test_acc9_keys_are_fetched_at_the_start_and_again_for_an_unknown_one(place: Place) -> None:
    assert place.fetched == 1
    assert accepted(place.verify(signed("old", OLD)))
    assert place.fetched == 1
    place.content = jwks(jwk(OLD, "old"), jwk(NEW, "new"))
    place.clock.advance(RENEW_SECONDS)
    assert accepted(place.verify(signed("new", NEW)))
    assert place.fetched == 2
    assert accepted(place.verify(signed("old", OLD)))
    place.content = jwks(jwk(NEW, "new"))
    place.clock.advance(RENEW_SECONDS)
    place.verify(signed("other", OLD))
    assert not accepted(place.verify(signed("old", OLD)))


def test_acc9_unknown_keys_are_asked_for_once_a_minute(place: Place) -> None:
    for second in range(int(2.5 * RENEW_SECONDS)):
        came = place.verify(signed(f"x{second}", OLD))
        assert isinstance(came[0], TokenRefused)
        place.clock.advance(1.0)
    assert place.fetched == 3


@pytest.mark.parametrize(
    "content",
    [FetchFailed("gone"), b"<html>", b"{}", jwks(), jwks({"kty": "oct", "k": "c2Vj" * 16})],
)
def test_acc9_last_good_keys_are_kept(place: Place, content: Any, logged: Log) -> None:
    place.content = content
    for _ in range(3):
        place.clock.advance(RENEW_SECONDS)
        assert isinstance(place.verify(signed("new", NEW))[0], TokenRefused)
        assert accepted(place.verify(signed("old", OLD)))
    assert place.fetched == 4
    assert logged.text.count("could not be fetched from keys.test") >= 3
    assert "s3cret" not in logged.text


def test_acc9_start_without_keys_is_tried_again(logged: Log) -> None:
    place = Place(jwk(OLD, "old"))
    content, place.content = place.content, FetchFailed("no connection")
    place.keys.startService()
    for _ in range(3):
        (refused,) = place.verify(signed("old", OLD))
        assert isinstance(refused, KeysUnavailable)
        assert refused.retry
        place.clock.advance(RETRY_SECONDS)
    assert place.fetched == 4
    place.content = content
    place.clock.advance(RETRY_SECONDS)
    assert accepted(place.verify(signed("old", OLD)))
    place.clock.advance(10 * RENEW_SECONDS)
    assert place.fetched == 5
    assert "no connection" in logged.text
    place.keys.stopService()


def test_acc9_all_who_wait_are_answered_by_one_fetch(place: Place) -> None:
    place.clock.advance(RENEW_SECONDS)
    place.content = jwks(jwk(NEW, "new"))
    place.held = []
    waiting = [place.verify(signed(kid, NEW)) for kid in ("new", "new", "other")]
    known = place.verify(signed("old", OLD))
    assert accepted(known), "who has a known key waits for nothing"
    assert waiting == [[], [], []]
    assert place.fetched == 2
    place.held[0].callback(None)
    assert [accepted(came) for came in waiting] == [True, True, False]


def test_acc9_stop_ends_a_fetch() -> None:
    place = Place(jwk(OLD, "old"))
    place.held = []
    place.keys.startService()
    came = place.verify(signed("old", OLD))
    place.keys.stopService()
    assert isinstance(came[0], KeysUnavailable)
    assert not place.clock.getDelayedCalls()
    place.clock.advance(2 * RENEW_SECONDS)
    assert place.verify(signed("old", OLD)) != []
    assert place.fetched == 1


def test_acc9_fault_of_a_fetch_is_logged_and_nothing_else(place: Place) -> None:
    """Without the fixture `logged`, which fails at faults."""
    place.content = ZeroDivisionError()
    place.clock.advance(RENEW_SECONDS)
    assert isinstance(place.verify(signed("new", NEW))[0], TokenRefused)
    assert accepted(place.verify(signed("old", OLD)))


# Over HTTP


class Pages(Resource):
    """Answers as a test says."""

    isLeaf = True

    def __init__(self, answer: Callable[[Request], bytes | int]) -> None:
        super().__init__()
        self._answer = answer

    def render(self, request: Request) -> bytes | int:
        return self._answer(request)


def fetched(answer: Callable[[Request], bytes | int], most: int = 1000) -> list[Any]:
    """What became of a fetch."""
    clock = Clock()
    came: list[Any] = []
    stub: Any = StubTreq(Pages(answer))
    fetching: Deferred[Any] = make_fetch(stub, clock)("https://keys.test/jwks", most)
    fetching.addBoth(came.append)
    for _ in range(20):
        stub.flush()
    if not came:
        clock.advance(FETCH_SECONDS)
    result = came[0]
    if isinstance(result, Failure):
        assert isinstance(result.value, FetchFailed), result
        return [str(result.value)]
    return came


def test_acc9_fetch_gives_the_body() -> None:
    def answer(request: Request) -> bytes:
        assert (request.method, request.uri) == (b"GET", b"/jwks")
        return b"x" * 1000

    assert fetched(answer) == [b"x" * 1000]


def test_acc9_fetch_is_bounded() -> None:
    assert fetched(lambda request: b"x" * 1001) == ["it has more than 1000 bytes"]
    assert fetched(lambda request: NOT_DONE_YET) == ["no answer within 5 s"]

    def drips(request: Request) -> int:
        request.write(b"x")
        return NOT_DONE_YET

    assert fetched(drips) == ["no answer within 5 s"]


@pytest.mark.parametrize("status", [201, 204, 400, 401, 404, 500])
def test_acc9_fetch_takes_200_alone(status: int) -> None:
    def answer(request: Request) -> bytes:
        request.setResponseCode(status)
        return b"" if status == 204 else b"{}"

    assert fetched(answer) == [f"the answer has status {status}"]


def redirects(target: str, times: int = 100) -> Callable[[Request], bytes]:
    left = [times]

    def answer(request: Request) -> bytes:
        if not left[0]:
            return b"there"
        left[0] -= 1
        request.setResponseCode(302)
        request.setHeader(b"location", target.encode())
        return b"elsewhere"

    return answer


@pytest.mark.parametrize(
    "target",
    [
        "https://other.test/jwks",
        "http://keys.test/jwks",
        "https://keys.test:8443/jwks",
        "https://user@keys.test/jwks",
        "//other.test/jwks",
        "file:///etc/passwd",
    ],
)
def test_acc9_fetch_follows_to_no_other_host(target: str) -> None:
    assert fetched(redirects(target, 1)) == ["it redirects to another host"]


def test_acc9_fetch_follows_on_the_same_host_for_a_while() -> None:
    for target in ("/keys", "https://keys.test/keys", "keys?x=y"):
        assert fetched(redirects(target, MAX_REDIRECTS)) == [b"there"]
    assert fetched(redirects("/keys")) == ["it redirects more than 3 times"]
