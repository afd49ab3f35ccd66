"""What watches over the fan-outs and the slow clients of a simulation."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from twisted.internet.defer import Deferred

from helix.delivery.broadcast import Broadcast
from helix.delivery.fanout import Fanout
from helix.delivery.outlet import Flow
from tests.support.world import Client

MUST_ARRIVE = 64 * 1024
"""Bytes beyond the mark that may wait for one that doesn't read: answers and greetings."""

MISSABLE = (b'"cursors"', b'"entries"', b'"presence_diff"', b'"client_joined"')
"""Events of which a lagging member gets nothing, or one in place of all: its catch-up is made late,
and a newcomer is sent the cursors that there are."""


class WatchedFanout(Fanout):
    """
    A fan-out that is asked whether it has done all that it promised.

    :cvar broadcasts: the Deferreds of all.
    """

    broadcasts: list[Deferred[None]]

    def broadcast(self, broadcast: Broadcast) -> Deferred[None]:
        done = super().broadcast(broadcast)
        if not done.called:
            self.broadcasts.append(done)
        return done


class SlowWatch:
    """
    Sees to it that nobody's slowness costs more than it may.

    :param mark: the high-water mark, in bytes.
    """

    def __init__(self, mark: int) -> None:
        self._most = mark + MUST_ARRIVE
        self._lagging: dict[Client, int] = {}

    def look_at(self, *wires: Iterable[Client]) -> None:
        """Nobody costs more than the mark; what a lagging one may miss is not kept for it."""
        lagging = {}
        for wire in chain(*wires):
            assert wire.outlet._queued_bytes <= self._most, "too much waits for one"
            if wire.outlet.state is Flow.LAGGING:
                missed = _missable(wire)
                lagging[wire] = min(missed, self._lagging.get(wire, missed))
                assert missed <= lagging[wire] + 2, "a lagging one is not left alone"
        self._lagging = lagging


def _missable(wire: Client) -> int:
    """How many frames wait for a client that it could do without, or with the newest of."""
    heads = [bytes(frame[:100]) for frame in wire.outlet._queue or ()]
    return sum(any(event in head for event in MISSABLE) for head in heads)
