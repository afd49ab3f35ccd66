"""Keeps the changes of a relay member in order while large ones are read in a thread."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred

from helix.errors import TooManyPending

Begin = Callable[[], Coroutine[Deferred[Any], Any, None]]

MAX_CHANGES = 1000
"""Changes of one member that may wait for another one to be read ..."""

MAX_BYTES = 4 * 1024 * 1024
"""... and their bytes."""


class ChangeOrder:
    """Begins changes one after another: each when the one before is on its way."""

    __slots__ = ("_bytes", "_is_beginning", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[tuple[int, Begin]] = []  # an empty deque takes 600 bytes
        self._bytes = 0
        self._is_beginning = False

    @property
    def is_idle(self) -> bool:
        """Whether none waits or is about to be on its way."""
        return not self._is_beginning

    def check_room(self, size: int) -> None:
        """
        Check that a change of ``size`` bytes may wait.

        :raises TooManyPending: when too many do.
        """
        is_full = len(self._waiting) >= MAX_CHANGES or self._bytes + size > MAX_BYTES
        if self._waiting and is_full:
            raise TooManyPending()

    def add(self, size: int, begin: Begin) -> None:
        """
        Have a change begun behind all others; at once if there are none.

        :param size: its bytes.
        :param begin: returns when the change is on its way. It must not fail.
        """
        self._waiting.append((size, begin))
        self._bytes += size
        if not self._is_beginning:
            self._next()

    def _next(self) -> None:
        self._is_beginning = True
        while self._waiting:
            size, begin = self._waiting.pop(0)
            self._bytes -= size
            begun = Deferred.fromCoroutine(begin())
            if not begun.called:
                begun.addCallback(lambda _: self._next())
                return
        self._is_beginning = False
