"""How long a session lives: it ends when it is unused or idle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

LINGER = 10.0
"""Seconds for which a session without members is kept for the next request."""


class Living(Protocol):
    """A session, as its `Lifetime` sees it."""

    @property
    def client_count(self) -> int:
        """How many members it has."""

    @property
    def is_busy(self) -> bool:
        """Whether it has something to commit."""

    def unused(self) -> None:
        """It isn't used any more."""

    def idle(self) -> None:
        """Nobody was active for a long time."""


class Lifetime:
    """
    Ends a session when it isn't used any more.

    It is used while it has members, is held, or has something to commit.

    :param clock: the reactor.
    :param wall: tells the time, in Unix seconds.
    :param timeout: seconds without activity after which it is idle.
    :param living: the session, which calls `close` when it has ended for any reason.

    :ivar started_at: Unix seconds.
    :ivar last_activity: likewise.
    """

    __slots__ = (
        "_active_at",
        "_began",
        "_clock",
        "_holds",
        "_is_over",
        "_lingers",
        "_living",
        "_timeout",
        "_timer",
        "_wall",
        "last_activity",
        "started_at",
    )

    def __init__(
        self, clock: IReactorTime, wall: Callable[[], float], timeout: float, living: Living
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._timeout = timeout
        self._living = living
        self._holds = 0
        self._lingers = self._is_over = False
        self._began = self._active_at = clock.seconds()
        self.started_at = self.last_activity = wall()
        self._timer: IDelayedCall = clock.callLater(timeout, self._look)

    @property
    def seconds(self) -> float:
        """For how long it has lived."""
        return self._clock.seconds() - self._began

    def touch(self) -> None:
        """Somebody did something."""
        self._active_at = self._clock.seconds()
        self.last_activity = self._wall()

    def joined(self) -> None:
        """There is one more member."""
        self._lingers = False
        self.touch()

    def left(self) -> None:
        """There is one member less."""
        if self._living.client_count:
            self.touch()
        else:
            self._end_if_unused()

    def settled(self) -> None:
        """There is nothing to commit any more."""
        if not self._living.client_count and not self._lingers:
            self._end_if_unused()

    def hold(self) -> None:
        """Keep it alive without a member, until `release`."""
        self._holds += 1

    def release(self) -> None:
        """Undo a `hold`. Without members the session stays a little, for the next request."""
        self._holds -= 1
        if not self._is_over and not self._holds and not self._living.client_count:
            self._lingers = True
            # Twisted looks through all its calls for one that is to be made sooner.
            self._timer.cancel()
            self._timer = self._clock.callLater(min(LINGER, self._timeout), self._look)

    def let_go(self) -> None:
        """Undo a `hold` for work that is pending or refused now: no further request follows."""
        self._holds -= 1
        self.settled()

    def close(self) -> None:
        """It has ended: leave no timer behind."""
        self._is_over = True
        if self._timer.active():
            self._timer.cancel()

    def _look(self) -> None:
        """
        The timer's call: end the session if it was idle all the time, else wait for the rest.

        Members that are still here join again, which costs little. (Moving the timer at each
        activity would make every change slower.)
        """
        left = self._active_at + self._timeout - self._clock.seconds()
        if not self._living.client_count:
            self._end_if_unused()
        if not self._is_over:
            if left > 0 or self._living.is_busy:
                wait = left if left > 0 and self._living.client_count else LINGER
                self._timer = self._clock.callLater(wait, self._look)
            else:
                self._living.idle()

    def _end_if_unused(self) -> None:
        if not self._is_over and not self._holds and not self._living.is_busy:
            self._living.unused()
