"""Measures all the time how late the reactor is."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from helix.telemetry.events import Telemetry

INTERVAL = 0.01
"""Seconds between two looks; about 0.2 % of a core."""

WINDOW = 60.0
"""Seconds after which a window begins; the largest lag is that of this one and the last."""


class WatchdogService(Service):
    """
    Schedules a call again and again, and measures how late each one is.

    The measured time of a blocked reactor is right, or up to `INTERVAL` too small.

    :param clock: the reactor.
    :param seconds: tells the time, which is never set.
    """

    name = "watchdog"

    def __init__(
        self,
        clock: IReactorTime,
        telemetry: Telemetry,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._seconds = seconds
        self._call: IDelayedCall | None = None
        self._due = 0.0
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
        self._due = self._seconds() + INTERVAL
        self._call = self._clock.callLater(INTERVAL, self._look)

    def _look(self) -> None:
        now = self._seconds()
        lag = max(0.0, now - self._due)
        if now >= self._window_ends:
            self._window_ends = now + WINDOW
            self._largest_before, self._largest = self._largest, 0.0
        self._largest = max(self._largest, lag)
        largest = max(self._largest, self._largest_before)
        self._telemetry.emit("helix.reactor.turned", {"lag": lag, "largest_lag": largest})
        self._wait()
