"""Lets edits that come fast share appends, also where the store answers at once."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from helix.delivery.fanout import MAX_HOLD, Turns


class Pace:
    """
    Says when a commit loop makes its next append, if its store answers at once.

    While any other store works, edits gather for the next append by themselves. Here the first
    append of a turn of the reactor is made at once, and what comes later in the turn waits for its
    end. After an append of several edits, the next one waits as long as that took, with all that
    the members were sent, at most `MAX_HOLD`: as broadcasts do (`helix.delivery.fanout`). So a busy
    flow makes few large appends, and a quiet flow never waits.

    :param turns: those of the reactor.
    """

    __slots__ = ("_appended_in", "_clock", "_is_waiting", "_turns", "_was_shared")

    def __init__(self, clock: IReactorTime, turns: Turns) -> None:
        self._clock = clock
        self._turns = turns
        self._appended_in = -1  # the turn of the last append
        self._was_shared = False
        self._is_waiting = False

    def appended(self, entries: int) -> None:
        """Note an append of so many entries that was answered at once."""
        self._appended_in = self._turns.current()
        self._was_shared = entries > 1

    def holds(self, go_on: Callable[[], None]) -> bool:
        """
        Tell whether the next append waits.

        :param go_on: called when that is over, and makes the append.
        """
        if not self._is_waiting and self._appended_in == self._turns.current():
            self._is_waiting = True
            self._turns.at_end(lambda: self._end_wait(go_on))
        return self._is_waiting

    def _end_wait(self, go_on: Callable[[], None]) -> None:
        self._is_waiting = self._was_shared = False
        began = self._clock.seconds()
        go_on()
        if self._was_shared and not self._is_waiting:
            self._is_waiting = True
            spent = max(0.0, self._clock.seconds() - began)
            self._clock.callLater(min(MAX_HOLD, spent), self._end_wait, go_on)
