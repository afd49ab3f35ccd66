"""Tries a connection by messages to ourselves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from twisted.internet.interfaces import IDelayedCall, IReactorTime

ECHO_SECONDS = 10.0
"""How often a connection is tried: it has to carry a message to ourselves."""

ECHO_PATIENCE = 5.0
"""Seconds that such a message may take."""


class Echo:
    """
    A message to ourselves, now and then. If it doesn't come, the server is gone without a word, or
    somebody between us and it carries no messages.

    :param due: is told when one is to be sent.
    :param missed: is told when one hasn't come.

    :ivar is_due: whether one is to be sent.
    """

    def __init__(
        self, clock: IReactorTime, due: Callable[[], None], missed: Callable[[], None]
    ) -> None:
        self.is_due = False
        self._clock = clock
        self._due = due
        self._missed = missed
        self._numbers = count(1)
        self._awaited = b""
        self._timer: IDelayedCall | None = None

    def begin(self) -> None:
        """One is to be sent on a new connection."""
        self.is_due = True

    def make(self) -> bytes:
        """Make the next, to be sent now."""
        self.is_due = False
        self._awaited = b"%d" % next(self._numbers)
        self._wait(ECHO_PATIENCE, self._miss)
        return self._awaited

    def hear(self, message: bytes) -> bool:
        """
        Take what came to ourselves.

        :return: whether it is the one that was sent last.
        """
        if not self._awaited or message != self._awaited:
            return False
        self._awaited = b""
        self._wait(ECHO_SECONDS, self._want)
        return True

    def stop(self) -> None:
        """The connection is gone."""
        self.is_due, self._awaited = False, b""
        self._stop_timer()

    def _want(self) -> None:
        self._timer = None
        self.is_due = True
        self._due()

    def _miss(self) -> None:
        self._timer = None
        self._missed()

    def _wait(self, seconds: float, call: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self._clock.callLater(seconds, call)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
