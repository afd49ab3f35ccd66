"""
Sends a large answer in parts, since a client sees a frame only when it is complete.

The document in the answers to joins is encoded once; all members that join share its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

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


def parts_of(response: Sequence[Data]) -> Iterator[tuple[Data, ...]]:
    """
    Split an answer.

    :param response: JSON in pieces, cut between characters.
    :return: the payloads ``{"text": ...}``, each in pieces, whose texts in a row are the answer.
    """
    for piece in response:
        if isinstance(piece, SharedText):
            escaped, cuts = piece.escaped
            view = memoryview(escaped)
            for start, end in pairwise(cuts):
                yield b'{"text":"', view[start:end], b'"}'
        else:
            text = bytes(piece).decode()
            for at in range(0, len(text), PART_CHARACTERS):
                yield (b'{"text":%b}' % quote(text[at : at + PART_CHARACTERS]),)
