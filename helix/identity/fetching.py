"""Asks other servers over HTTP, within bounds of time, size and place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers

from helix.identity.address import Fetch, FetchFailed

FETCH_SECONDS = 5.0
"""Seconds that a fetch may take, redirects included."""

MAX_REDIRECTS = 3

_REDIRECTS = (301, 302, 303, 307, 308)


@attrs.frozen
class Question:
    """
    A request to another server. What it holds may be secret.

    :ivar body: of a POST; ``None`` for a GET.
    :ivar most: how many bytes the answer may have.
    """

    url: str
    most: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Reply:
    """
    What another server has answered.

    :ivar status: of HTTP.
    """

    status: int
    body: bytes = attrs.field(repr=False)


Ask = Callable[[Question], Deferred[Reply]]
"""Asks another server; fires within a bounded time, perhaps with `FetchFailed`."""


def make_fetch(http: HTTPClient, clock: Any) -> Fetch:
    """
    Give a function that fetches over HTTP. (`helix.identity.address.Fetch`)

    :param clock: the reactor.
    """

    def fetch(url: str, most: int) -> Deferred[bytes]:
        fetching = Deferred.fromCoroutine(_fetch(http, clock, url, most))
        return fetching.addTimeout(FETCH_SECONDS, clock, _too_slow)

    return fetch


def make_ask(http: HTTPClient, clock: Any) -> Ask:
    """
    Give a function that asks over HTTP. It follows no redirect, since the question may be secret.

    :param clock: the reactor.
    """

    def ask(question: Question) -> Deferred[Reply]:
        asking = Deferred.fromCoroutine(_ask(http, clock, question))
        return asking.addTimeout(FETCH_SECONDS, clock, _too_slow)

    return ask


def _too_slow(_: Any, seconds: float) -> Any:
    raise FetchFailed(f"no answer within {seconds:.0f} s")


async def _fetch(http: HTTPClient, clock: Any, url: str, most: int) -> bytes:
    for _ in range(MAX_REDIRECTS + 1):
        response = await _request(http, clock, Question(url, most))
        if response.code not in _REDIRECTS:
            break
        response.original.deliverBody(_Unwanted())
        (location,) = response.headers.getRawHeaders("location", [""])[:1]
        target = urljoin(url, location)
        if _origin(target) != _origin(url):
            raise FetchFailed("it redirects to another host")
        url = target
    else:
        raise FetchFailed(f"it redirects more than {MAX_REDIRECTS} times")
    if response.code != HTTPStatus.OK:
        response.original.deliverBody(_Unwanted())
        raise FetchFailed(f"the answer has status {response.code}")
    return await _body_of(response, most)


async def _ask(http: HTTPClient, clock: Any, question: Question) -> Reply:
    response = await _request(http, clock, question)
    return Reply(response.code, await _body_of(response, question.most))


async def _request(http: HTTPClient, clock: Any, question: Question) -> Any:
    try:
        return await http.request(
            "GET" if question.body is None else "POST",
            question.url,
            headers=Headers({name: [value] for name, value in question.headers.items()}),
            data=question.body,
            allow_redirects=False,
            unbuffered=True,
            reactor=clock,
        )
    except CancelledError:
        raise
    except Exception as error:  # of the name, the connection, TLS, HTTP: each has its own
        raise FetchFailed(f"no connection ({type(error).__name__})") from None


async def _body_of(response: Any, most: int) -> bytes:
    body = _Body(most)
    response.original.deliverBody(body)
    return await body.whole


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


class _Unwanted(Protocol):
    """Reads nothing of a body."""

    transport: Any

    def connectionMade(self) -> None:
        self.transport.loseConnection()


class _Body(Protocol):
    """
    Reads a body that may not be large.

    :param most: how many bytes it may have.

    :ivar whole: a Deferred of the body; fails with `FetchFailed`.
    """

    transport: Any

    def __init__(self, most: int) -> None:
        self.whole: Deferred[bytes] = Deferred(self._cancelled)
        self._most = most
        self._parts: list[bytes] = []
        self._is_over = False

    def dataReceived(self, data: bytes) -> None:
        if self._is_over:
            return
        self._parts.append(data)
        if sum(map(len, self._parts)) > self._most:
            self._is_over = True
            self.transport.loseConnection()
            self.whole.errback(FetchFailed(f"it has more than {self._most} bytes"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._is_over:
            return
        self._is_over = True
        if reason.check(ResponseDone, PotentialDataLoss) is None:
            self.whole.errback(FetchFailed("the answer broke off"))
        else:
            self.whole.callback(b"".join(self._parts))

    def _cancelled(self, _: object) -> None:
        self._is_over = True
        self.transport.loseConnection()
