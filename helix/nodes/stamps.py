"""Times that all nodes agree on, however their clocks go."""

from __future__ import annotations

from collections.abc import Callable

MAX_STAMP = 2**60
"""What nobody's clock reaches; a stamp beyond it is a mistake."""


class Stamps:
    """
    A hybrid logical clock (Kulkarni et al., 2014, in one number): milliseconds of the wall clock,
    but always later than all that was given, or heard of, before.

    :param wall: tells the time, in Unix seconds; it may be set to any other.
    """

    __slots__ = ("_last", "_wall")

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._last = 0

    @property
    def last(self) -> int:
        """The latest time that was given or heard of."""
        return self._last

    def next(self) -> int:
        """Give a later time."""
        self._last = max(self._last + 1, round(self._wall() * 1000))
        return self._last

    def hear(self, stamp: int) -> None:
        """Take it that another node has given a time."""
        if stamp < MAX_STAMP:
            self._last = max(self._last, stamp)
