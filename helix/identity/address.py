"""Keys that are fetched from an address, and fetched again when a token names an unknown one."""

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
"""Seconds after which it is tried again, as long as there were never keys."""


class FetchFailed(Exception):
    """Something could not be fetched; the message says why."""


Fetch = Callable[[str, int], Deferred[bytes]]
"""Takes an address and how many bytes it may have; fires within a bounded time, perhaps with
`FetchFailed`."""


class AddressKeys(Service):
    """
    The keys of a JWKS at an address. (`helix.identity.keys.KeySource`)

    While the address is away, or has no keys, those that came last are kept.

    :param url: the address.
    :param fetch: gets it.

    :ivar keys: those that came last.
    """

    _log = Logger(namespace="helix.identity")

    def __init__(self, url: str, fetch: Fetch, clock: IReactorTime) -> None:
        self.keys: Sequence[VerificationKey] = ()
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._fetched_at: float | None = None
        self._fetching: Deferred[Any] | None = None
        self._waiting: list[Deferred[None]] = []
        self._retry: IDelayedCall | None = None

    @property
    def is_ready(self) -> bool:
        """Whether keys have ever come."""
        return bool(self.keys)

    def startService(self) -> None:
        """Fetch the keys for the first time."""
        super().startService()
        self._begin()

    def stopService(self) -> None:
        """Fetch no more; who waits goes on with the keys that there are."""
        super().stopService()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._fetching is not None:
            self._fetching.cancel()

    def renew(self) -> Deferred[None]:
        """
        Fetch the keys again, unless that was less than a minute ago.

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
        self._fetching = fetching = self._fetch(self._url, MAX_JWKS_BYTES)
        fetching.addCallback(self._take).addErrback(self._failed).addBoth(self._ended)

    def _take(self, content: bytes) -> None:
        self.keys = read_jwks(content, is_public=True)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if failure.check(FetchFailed, BadKeys) is None:
            self._log.failure("The keys of tokens could not be fetched", failure)
            return
        self._log.warn(
            "The keys of tokens could not be fetched from {host}: {reason}",
            host=urlsplit(self._url).hostname,
            reason=failure.getErrorMessage(),
        )

    def _ended(self, _: None) -> None:
        self._fetching = None
        waiting, self._waiting = self._waiting, []
        if self.running and not self.keys:
            self._retry = self._clock.callLater(RETRY_SECONDS, self._begin)
        for waiter in waiting:
            waiter.callback(None)
