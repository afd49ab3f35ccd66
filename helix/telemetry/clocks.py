"""The two clocks: the reactor's steady clock for all waits, and the wall clock for times."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from helix.telemetry.events import Telemetry

LOOK_INTERVAL = 1.0
"""Seconds between two looks at the wall clock."""

TOLERANCE = 10.0
"""Seconds by which the wall clock may differ from what was expected before it was set."""


def keep_steady(reactor: Any, steady: Callable[[], float] = monotonic) -> None:
    """
    Let a reactor continue its seconds with a clock that is never set.

    Twisted's reactors use the wall clock: if it is set back an hour, all calls are an hour late.
    Calls that are already scheduled keep their time. The reactor no longer tells the time of day.

    :param reactor: one of Twisted's.
    :param steady: seconds since any moment.
    """
    start = reactor.seconds() - steady()
    reactor.seconds = lambda: start + steady()


class ClockWatch(Service):
    """
    Notices when the wall clock is set: it then differs from the reactor's clock.

    A machine that slept looks the same.

    :param clock: the reactor, which is steady.
    :param wall: tells the time, in Unix seconds.
    :param memory: for how many seconds a setting counts that has ended (`earliest`).
    """

    name = "clock-watch"

    _log: Final = Logger(namespace="helix.clocks")

    def __init__(
        self,
        clock: IReactorTime,
        wall: Callable[[], float],
        telemetry: Telemetry,
        memory: float,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._telemetry = telemetry
        self._memory = memory
        self._ahead = self._now_ahead()
        # How far it was ahead before it was set, and until when; each lower than those behind it.
        self._before: list[tuple[float, float]] = []
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def startService(self) -> None:
        super().startService()
        self._looking.start(LOOK_INTERVAL).addErrback(
            lambda failure: self._log.failure("Looking at the clock failed", failure)
        )

    def stopService(self) -> None:
        super().stopService()
        if self._looking.running:
            self._looking.stop()

    def earliest(self) -> float:
        """
        Give the earliest time that it can be now, by all recent settings of the wall clock.

        The result is never ahead of a clock that was right at some time. So data that was stored
        while the clock was behind isn't taken for older than it is.

        :return: Unix seconds.
        """
        self._look()
        self._forget()
        return self._clock.seconds() + min([self._ahead, *(ahead for ahead, _ in self._before)])

    def _now_ahead(self) -> float:
        return self._wall() - self._clock.seconds()

    def _look(self) -> None:
        ahead = self._now_ahead()
        change = ahead - self._ahead
        if abs(change) <= TOLERANCE:
            return
        self._forget()
        while self._before and self._before[-1][0] >= self._ahead:
            self._before.pop()
        self._before.append((self._ahead, self._clock.seconds()))
        self._ahead = ahead
        self._telemetry.emit("helix.clock.set", {"seconds": change})
        self._log.warn("The wall clock was set by {seconds:+.0f} s", seconds=change)

    def _forget(self) -> None:
        oldest = self._clock.seconds() - self._memory
        self._before = [(ahead, until) for ahead, until in self._before if until >= oldest]
