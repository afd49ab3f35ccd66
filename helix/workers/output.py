"""Puts what a worker writes into the parent's log, by whole lines."""

from __future__ import annotations

from collections.abc import Callable

MAX_LINE_BYTES = 256 * 1024
"""A longer line is broken, so that no worker can fill the parent's memory."""


class Lines:
    """
    Takes bytes as they come, and hands whole lines on.

    It keeps less than `MAX_LINE_BYTES`.

    :param write: takes text that ends with a line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._rest = bytearray()

    def take(self, data: bytes) -> None:
        """Take what came."""
        self._rest += data
        end = self._rest.rfind(b"\n") + 1
        if end:
            self._hand_on(end)
        elif len(self._rest) >= MAX_LINE_BYTES:
            self._rest += b"\n"
            self._hand_on(len(self._rest))

    def end(self) -> None:
        """Nothing more comes."""
        if self._rest:
            self._rest += b"\n"
            self._hand_on(len(self._rest))

    def _hand_on(self, end: int) -> None:
        text = self._rest[:end].decode("utf-8", "backslashreplace")
        del self._rest[:end]
        self._write(text)
