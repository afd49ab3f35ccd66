"""
How much work a JSON text is, told by a look at its bytes before it is decoded; with no I/O.

A thousand bytes of text are one string, or five hundred numbers: what is built of them takes a
hundred times as long, and as much memory.
"""

from __future__ import annotations

UNWEIGHED_BYTES = 4096
"""A text up to this size is no work, whatever it holds."""

BYTES_PER_UNIT = 4
"""
Of what a message or a patch may hold, for each unit of its weight. The smallest node takes five for
each, a move as many.
"""

DOCUMENT_BYTES_PER_UNIT = 16
"""As much of a whole document, which has more of everything."""

_QUOTED = b'"'


def is_too_heavy(text: bytes, most: int) -> bool:
    """
    Tell whether JSON weighs more than it may: one unit for each comma, two for each object and each
    array.

    What stands in strings is not counted. That is looked at only where it matters.

    :param text: valid or not.
    :param most: units.
    """
    if len(text) <= UNWEIGHED_BYTES or _weight_of(text) <= most:
        return False
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Of strings there are at most as many as values, and as many names.
    if text.count(_QUOTED) > 4 * (most + 1):
        return True
    return _weight_of(b"".join(text.split(_QUOTED)[::2])) > most


def _weight_of(text: bytes) -> int:
    return text.count(b",") + 2 * (text.count(b"{") + text.count(b"["))


def least_size(text: bytes) -> int:
    """
    Tell how many bytes JSON takes at the least without its white space and its escapes.

    :param text: valid or not.
    """
    spaces = sum(map(text.count, (b" ", b"\n", b"\r", b"\t")))
    long_escapes = text.count(b"\\u")
    return len(text) - spaces - 5 * long_escapes - (text.count(b"\\") - long_escapes)
