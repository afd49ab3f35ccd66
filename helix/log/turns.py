"""Lets the nodes that write to one flow at the same time do so one after another."""

from __future__ import annotations

from random import Random

from twisted.internet.interfaces import IReactorTime

CONTENDED_SECONDS = 1.0
"""For so long after an append that came second there are turns."""

WRITER_SECONDS = 2.0
"""For so long after its last entries a node is one of those that write."""

APPENDS_OF_SLOT = 3.0
"""A node is given as much as so many appends take: to hear of its turn, to append, to be heard."""

SHORTEST_SLOT = 0.006
"""Seconds that a node is given at least."""

LONGEST_SLOT = 0.1
"""The same at most: what a node that doesn't come costs the others."""

_SHARE = 0.2
"""Of the newest append in the average of what one takes."""

_DOUBLED = 4
"""How often the time of which a wait is drawn is doubled, where nobody is heard."""


class Turns:
    """
    Tells when this node may append.

    While nodes contend, each waits after an append until those had their turn that come after the
    appending one in a ring, the ids of the nodes in order. A turn that nobody takes ends after what
    an append takes. So appends seldom come second, and no node is left out. It is a courtesy: an
    append out of turn does no harm.

    :param node: this one's id; empty where there are no others, and so nothing to wait for.
    """

    __slots__ = (
        "_clock",
        "_contended_at",
        "_last",
        "_last_at",
        "_node",
        "_random",
        "_slot",
        "_writers",
    )

    def __init__(self, clock: IReactorTime, node: str) -> None:
        self._clock = clock
        self._node = node
        self._random: Random | None = None  # takes 3 KB, and few flows ever need it
        self._writers: dict[str, float] | None = None  # the others, and when they were heard
        self._contended_at: float | None = None
        self._last = ""
        self._last_at = 0.0
        self._slot = SHORTEST_SLOT

    @property
    def hears(self) -> bool:
        """Whether another node that writes is heard, and so will be."""
        return bool(self._writers)

    @property
    def slot(self) -> float:
        """Seconds that a node is given to begin, and to be heard of."""
        return self._slot

    def won(self, seconds: float) -> None:
        """
        An append of this node is durable.

        :param seconds: that it took.
        """
        mean = self._slot + _SHARE * (APPENDS_OF_SLOT * seconds - self._slot)
        self._slot = min(max(mean, SHORTEST_SLOT), LONGEST_SLOT)
        self._wrote(self._node)

    def heard(self, node: str) -> None:
        """Another node has told of entries of its own."""
        self._note(node)
        self._wrote(node)

    def wanted(self, node: str) -> None:
        """An append of another node came second."""
        self._contended_at = self._clock.seconds()
        self._note(node)

    def lost(self, in_a_row: int) -> None:
        """
        An append of this node came second.

        :param in_a_row: how many of them have, since one was first; >= 1.
        """
        now = self._contended_at = self._clock.seconds()
        if self._node and not self._writers and in_a_row > 1:
            # Nobody says who has the turn.
            if self._random is None:
                self._random = Random(self._node)
            most = self._slot * 2 ** min(in_a_row - 1, _DOUBLED)
            self._last, self._last_at = "", now + self._random.uniform(0.0, most)

    def wait(self) -> float:
        """Give the seconds until this node may append; 0 for now."""
        if self._contended_at is None:
            return 0.0
        now = self._clock.seconds()
        if now - self._contended_at > CONTENDED_SECONDS:
            self._contended_at = None
            return 0.0
        return max(0.0, self._last_at + self._slot * self._before(now) - now)

    def _before(self, now: float) -> int:
        """Give how many nodes have their turn before this one."""
        writers = {
            node: at for node, at in (self._writers or {}).items() if now - at <= WRITER_SECONDS
        }
        self._writers = writers
        if not writers or not self._last:
            return 0
        ring = sorted({*writers, self._node, self._last})
        return (ring.index(self._node) - ring.index(self._last) - 1) % len(ring)

    def _note(self, node: str) -> None:
        if self._writers is None:
            self._writers = {}
        self._writers[node] = self._clock.seconds()

    def _wrote(self, node: str) -> None:
        self._last, self._last_at = node, self._clock.seconds()
