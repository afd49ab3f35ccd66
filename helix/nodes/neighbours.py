"""Which other nodes are there."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

SILENCE = 15.0
"""Seconds without a word of a node after which it isn't there."""

HELLO = 1.0
"""Seconds after a node's first word in which those that are there have answered it."""


class Neighbours:
    """
    The other nodes that were heard within the last `SILENCE` seconds and have not left.

    :param clock: the reactor.

    :ivar on_found: called with the id of a node that is there, and wasn't.
    :ivar on_gone: called with the id of one that isn't any more.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.on_found: list[Callable[[str], object]] = []
        self.on_gone: list[Callable[[str], object]] = []
        self._clock = clock
        self._doubted_at = clock.seconds()
        self._heard: dict[str, float] = {}  # the last of them last
        self._left: dict[str, float] = {}
        self._timer: IDelayedCall | None = None

    @property
    def present(self) -> list[str]:
        """Their ids."""
        return list(self._heard)

    def knows(self, node: str) -> bool:
        """Whether a node is there."""
        return node in self._heard

    @property
    def may_be(self) -> bool:
        """Whether there are any, or may be, since this node has not listened for long."""
        return bool(self._heard) or self.are_in_doubt

    @property
    def are_in_doubt(self) -> bool:
        """Whether there may be others, since this node has not listened for long."""
        return self._clock.seconds() - self._doubted_at <= SILENCE

    @property
    def are_to_come(self) -> bool:
        """Whether none is known since this node has only just begun to listen."""
        return not self._heard and self._clock.seconds() - self._doubted_at < HELLO

    def doubt(self) -> None:
        """Others may have come unheard until now."""
        self._doubted_at = self._clock.seconds()

    def hear(self, node: str) -> None:
        """Take a sign of life. After a node's last word it may still come, late."""
        now = self._clock.seconds()
        if node in self._left:
            return
        is_new = self._heard.pop(node, None) is None
        self._heard[node] = now
        if self._timer is None:
            self._timer = self._clock.callLater(SILENCE, self._look)
        if is_new:
            for found in self.on_found:
                found(node)

    def leave(self, node: str) -> None:
        """Take a node's last word."""
        self._left[node] = self._clock.seconds()
        if self._timer is None:
            self._timer = self._clock.callLater(SILENCE, self._look)
        self._lose(node)

    def stop(self) -> None:
        """Leave no timer behind."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    # inside

    def _lose(self, node: str) -> None:
        if self._heard.pop(node, None) is not None:
            for gone in self.on_gone:
                gone(node)

    def _look(self) -> None:
        """The timer's call."""
        self._timer = None
        long_ago = self._clock.seconds() - SILENCE
        for node in [one for one, at in self._heard.items() if at <= long_ago]:
            self._lose(node)
        self._left = {one: at for one, at in self._left.items() if at > long_ago}
        times = [*self._heard.values(), *self._left.values()]
        if times:
            wait = min(times) - long_ago
            self._timer = self._clock.callLater(wait, self._look)
