"""Files at an address, such as keys: fetched, kept, and fetched again when more is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.identity.keys import MAX_JWKS_BYTES, BadKeys, VerificationKey, read_jwks

RENEW_SECONDS = 60.0
"""Seconds between two fetches, at least: anybody can send a token with an unknown key's id."""

RETRY_SECONDS = 5.0
"""Seconds after which it is tried again, as long as there was never a good one."""


class FetchFailed(Exception):
    """Something could not be fetched; the message says why."""


Fetch = Callable[[str, int], Deferred[bytes]]
"""Takes an address and how many bytes it may have; fires within a bounded time, perhaps with
`FetchFailed`."""


class AddressFile(Service):
    """
    A file at an address. While the address is away, or the file is bad, what came last is kept.

    :param what: names it in the log.
    :param url: the address.
    :param fetch: gets it.
    :param most: how many bytes it may have.
    """

    _log = Logger(namespace="helix.identity")

    def __init__(self, what: str, url: str, fetch: Fetch, clock: IReactorTime, most: int) -> None:
        self._what = what
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._most = most
        self._fetched_at: float | None = None
        self._fetching: Deferred[Any] | None = None
        self._waiting: list[Deferred[None]] = []
        self._retry: IDelayedCall | None = None

    @property
    def is_ready(self) -> bool:
        """Whether a good one has ever come."""
        raise NotImplementedError

    def take(self, content: bytes) -> None:
        """
        Read what has come.

        :raises FetchFailed: when it is none of what is wanted; the message shows none of it.
        """
        raise NotImplementedError

    def startService(self) -> None:
        """Fetch it for the first time."""
        super().startService()
        self._begin()

    def stopService(self) -> None:
        """Fetch no more; who waits goes on with what there is."""
        super().stopService()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._fetching is not None:
            self._fetching.cancel()

    def renew(self) -> Deferred[None]:
        """
        Fetch it again, unless that was less than a minute ago.

        :return: a Deferred that fires when the fetch under way, if there is one, has ended.
        """
        now = self._clock.seconds()
        is_due = self._fetched_at is None or now - self._fetched_at >= RENEW_SECONDS
        if self.running and self._fetching is None and is_due:
            self._begin()
        if self._fetching is None:
            return succeed(None)
        waiter: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiter)
        return waiter

    def _begin(self) -> None:
        self._retry = None
        self._fetched_at = self._clock.seconds()
        self._fetching = fetching = self._fetch(self._url, self._most)
        fetching.addCallback(self.take).addErrback(self._failed).addBoth(self._ended)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if failure.check(FetchFailed) is None:
            self._log.failure("{what} could not be fetched", failure, what=self._what)
            return
        self._log.warn(
            "{what} could not be fetched from {host}: {reason}",
            what=self._what,
            host=urlsplit(self._url).hostname,
            reason=failure.getErrorMessage(),
        )

    def _ended(self, _: None) -> None:
        self._fetching = None
        waiting, self._waiting = self._waiting, []
        if self.running and not self.is_ready:
            self._retry = self._clock.callLater(RETRY_SECONDS, self._begin)
        for waiter in waiting:
            waiter.callback(None)


class AddressKeys(AddressFile):
    """
    The keys of a JWKS at an address. (`helix.identity.keys.KeySource`)

    :ivar keys: those that came last.
    """

    def __init__(self, url: str, fetch: Fetch, clock: IReactorTime) -> None:
        super().__init__("The keys of tokens", url, fetch, clock, MAX_JWKS_BYTES)
        self.keys: Sequence[VerificationKey] = ()

    @property
    def is_ready(self) -> bool:
        """Whether keys have ever come."""
        return bool(self.keys)

    def take(self, content: bytes) -> None:
        try:
            self.keys = read_jwks(content, is_public=True)
        except BadKeys as error:
            raise FetchFailed(str(error)) from None
