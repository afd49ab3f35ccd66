"""Measures all the time how late the reactor is."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from helix.telemetry.events import Telemetry

INTERVAL = 0.01
"""Seconds between two looks. A hundred a second take about 1 % of a core, if nothing else does."""

LOOKS_OF_A_REST = 10
"""For how many looks one stands while the reactor has nothing else to do."""

WINDOW = 60.0
"""Seconds after which a window begins; the largest lag is that of this one and the last."""


class Turns(Protocol):
    """Counts the turns of a reactor, and measures them."""

    @property
    def turns(self) -> int:
        """How many have begun, each when the wait before it ends."""

    def take_longest(self) -> float:
        """For how many seconds one has lasted at most since this was asked last."""


class WatchdogService(Service):
    """
    Schedules a call again and again, and measures how late each one is.

    The measured time of a blocked reactor is right, or up to `INTERVAL` too small.

    While the reactor has nothing else to do, looks are rare. Those between, which would have been
    on time, are told as such, and the longest turn counts as a lag. Only for how long the machine
    stopped meanwhile may be measured up to ten times `INTERVAL` too small.

    :param clock: the reactor.
    :param seconds: tells the time, which is never set.
    :param turns: counts its turns; ``None`` where nothing does, and then looks are never rare.
    """

    name = "watchdog"

    def __init__(
        self,
        clock: IReactorTime,
        telemetry: Telemetry,
        seconds: Callable[[], float] = monotonic,
        turns: Turns | None = None,
    ) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._seconds = seconds
        self._turns = turns
        self._call: IDelayedCall | None = None
        self._due = 0.0
        self._turns_before = 0
        self._looks = 1
        self._window_ends = 0.0
        self._largest = self._largest_before = 0.0

    def startService(self) -> None:
        super().startService()
        self._window_ends = self._seconds() + WINDOW
        self._wait()

    def stopService(self) -> None:
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _wait(self) -> None:
        """Wait for the next look; for longer if there was nothing else to do since the last."""
        self._looks = 1
        if self._turns is not None:
            if self._turns.turns - self._turns_before <= 1:
                self._looks = LOOKS_OF_A_REST
                self._turns.take_longest()
            self._turns_before = self._turns.turns
        wait = self._looks * INTERVAL
        self._due = self._seconds() + wait
        self._call = self._clock.callLater(wait, self._look)

    def _look(self) -> None:
        now = self._seconds()
        lag = max(0.0, now - self._due)
        if self._turns is not None and self._looks > 1:
            lag = max(lag, self._turns.take_longest())
        if now >= self._window_ends:
            self._window_ends = now + WINDOW
            self._largest_before, self._largest = self._largest, 0.0
        self._largest = max(self._largest, lag)
        largest = max(self._largest, self._largest_before)
        for _ in range(self._looks - 1):
            self._telemetry.emit("helix.reactor.turned", {"lag": 0.0, "largest_lag": largest})
        self._telemetry.emit("helix.reactor.turned", {"lag": lag, "largest_lag": largest})
        self._wait()
