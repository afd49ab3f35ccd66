"""
Sends a large answer in parts, since a client sees a frame only when it is complete.

The document in the answers to joins is encoded once; all members that join share its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import attrs

from helix.delivery.protocol import Data, quote

WHOLE_BYTES = 64 * 1024
"""An answer up to this size is told whole."""

PART_CHARACTERS = 32 * 1024
"""Of the answer's text in each part: some seconds over the slowest line that is one."""


class SharedText(bytes):
    """JSON that many are told, each within something else. What is made of it is made once."""

    _escaped: tuple[bytes, list[int]] | None = None

    @property
    def is_escaped(self) -> bool:
        """Whether `escaped` is at hand."""
        return self._escaped is not None

    @property
    def escaped(self) -> tuple[bytes, list[int]]:
        """
        It as the inside of a JSON string, and where that can be cut: after each
        `PART_CHARACTERS` of it, and at both ends. Any thread may ask.
        """
        if self._escaped is None:
            self._escaped = self._escape()
        return self._escaped

    def _escape(self) -> tuple[bytes, list[int]]:
        text = self.decode()
        starts = range(0, len(text), PART_CHARACTERS)
        parts = [escape(text[at : at + PART_CHARACTERS]) for at in starts]
        cuts = [0]
        for part in parts:
            cuts.append(cuts[-1] + len(part))
        return b"".join(parts), cuts


def escape(text: str) -> bytes:
    """Make text the inside of a JSON string."""
    return quote(text)[1:-1]


@attrs.frozen
class Parts:
    """
    An answer in parts: the payloads ``{"text": ...}`` whose texts in a row are the answer.

    They are made one by one, when they are asked for: an answer of 15 MiB has 480, and a client may
    never read them.

    :ivar texts: the answer as the inside of JSON strings, each with the places where it is cut.
    """

    texts: Sequence[tuple[bytes, list[int]]]

    @classmethod
    def of(cls, response: Sequence[Data]) -> Parts:
        """:param response: JSON in pieces, cut between characters."""
        return cls(
            [
                (piece if isinstance(piece, SharedText) else SharedText(piece)).escaped
                for piece in response
            ]
        )

    def __len__(self) -> int:
        return sum(len(cuts) - 1 for _, cuts in self.texts)

    def __iter__(self) -> Iterator[tuple[Data, ...]]:
        for text, cuts in self.texts:
            view = memoryview(text)
            for start, end in pairwise(cuts):
                yield b'{"text":"', view[start:end], b'"}'


@attrs.define(eq=False)
class FrameSeries:
    """
    Frames that are made one by one, as the peer takes them.

    :ivar frames: each in pieces.
    :ivar held: what they are made of, which is in memory until the last of them is made.
    :ivar size: bytes that are still to come, about.
    """

    frames: Iterator[Sequence[Data]]
    held: Sequence[bytes]
    size: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.size = sum(map(len, self.held))

    def make(self) -> Sequence[Data] | None:
        """Make the next; ``None`` when there is none."""
        pieces = next(self.frames, None)
        if pieces is not None:
            self.size = max(0, self.size - sum(map(len, pieces)))
        return pieces
