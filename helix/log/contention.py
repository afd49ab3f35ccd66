"""Makes a node wait while others write to the same flow."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IDelayedCall

from helix.log.live_log import LiveLog
from helix.log.remote_writes import RemoteWrites
from helix.log.replaying import LogSettings
from helix.log.turns import Turns


@attrs.frozen
class _Beaten:
    """
    An append came second.

    :ivar version: the log's at that time.
    :ivar until: when what was first is read, if it isn't told before.
    """

    version: int
    until: float


class Contention:
    """
    What a commit loop waits for, so that appends seldom come second.

    :param others: what other writers do.
    :param go_on: called when a wait is over.

    :ivar in_a_row: how many appends have come second since one was first.
    """

    __slots__ = (
        "_beaten",
        "_began",
        "_clock",
        "_go_on",
        "_has_others",
        "_log",
        "_others",
        "_timer",
        "_turns",
        "in_a_row",
    )

    def __init__(
        self,
        log: LiveLog,
        settings: LogSettings,
        others: RemoteWrites,
        go_on: Callable[[], object],
    ) -> None:
        self.in_a_row = 0
        self._log = log
        self._clock = settings.clock
        self._others = others
        self._go_on = go_on
        self._has_others = bool(settings.nodes.node)
        self._turns = Turns(settings.clock, settings.nodes.node)
        self._timer: IDelayedCall | None = None
        self._began = 0.0
        self._beaten: _Beaten | None = None

    # what other nodes do

    def heard(self, node: str) -> None:
        """Another node has told of entries of its own."""
        self._turns.heard(node)

    def wanted(self, node: str) -> None:
        """Another node's append came second: it is to have its turn."""
        self._turns.wanted(node)

    def told(self) -> None:
        """What was told was taken. What was first need not be read once that is so told."""
        beaten, others = self._beaten, self._others
        if beaten is not None and self._log.version > beaten.version and not others.asked:
            self._beaten = None
            others.stale = False

    # appends

    def began(self) -> None:
        """An append is under way."""
        if self._has_others:
            self._began = self._clock.seconds()

    def won(self) -> None:
        """It is durable."""
        self.in_a_row = 0
        if self._has_others:
            self._turns.won(self._clock.seconds() - self._began)

    def lost(self, may_be_told: bool) -> None:
        """
        It came second.

        :param may_be_told: whether who was first may tell of that, so that nothing has to be read.
        """
        self.in_a_row += 1
        self._turns.lost(self.in_a_row)
        if may_be_told:
            until = self._clock.seconds() + self._turns.slot
            self._beaten = _Beaten(self._log.version, until)

    # waits

    def holds_read(self) -> bool:
        """Whether to read what others wrote only later, when they may have told it."""
        beaten = self._beaten
        if beaten is None or self._others.asked or not self._turns.hears:
            return self._waits(0.0)
        return self._waits(beaten.until - self._clock.seconds())

    def holds_append(self) -> bool:
        """Whether to append only later, when it is this node's turn."""
        seconds = self._turns.wait()
        return self._waits(seconds) if seconds > 0 or self._timer is not None else False

    def reads(self) -> None:
        """What others wrote is read now."""
        self._beaten = None

    def stop(self) -> None:
        """Leave no timer behind."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    # inside

    def _waits(self, seconds: float) -> bool:
        """Go on after a while, if that isn't over, and tell whether that is so."""
        self.stop()
        if seconds > 0:
            self._timer = self._clock.callLater(seconds, self._waited)
        return seconds > 0

    def _waited(self) -> None:
        self._timer = None
        self._go_on()
