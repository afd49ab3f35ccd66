"""
Estimates the work of a JSON text from its bytes, before it is decoded; with no I/O.

A thousand bytes may be one string or five hundred numbers. The numbers take a hundred times the
time and memory to decode.
"""

from __future__ import annotations

from collections.abc import Iterator

UNWEIGHED_BYTES = 4096
"""A text up to this size is never too much work."""

BYTES_PER_UNIT = 4
"""
Of what a message or a patch may hold, for each unit of its weight. The smallest node takes five for
each, a move as many.
"""

DOCUMENT_BYTES_PER_UNIT = 16
"""As much of a whole document, which has more of everything."""

_SLICE_BYTES = 64 * 1024
_QUOTE = b'"'


def is_too_heavy(text: bytes, most: int) -> bool:
    """
    Tell whether JSON weighs more than it may: one unit for each comma, two for each object and each
    array.

    What stands in strings is not counted. That is looked at only where it matters, and no further
    than the answer is sure.

    :param text: valid or not.
    :param most: units.
    """
    if len(text) <= UNWEIGHED_BYTES:
        return False
    weight = 0
    for at in range(0, len(text), _SLICE_BYTES):
        weight += _weight_of(text[at : at + _SLICE_BYTES])
        if weight > most:
            return _is_heavy_outside_strings(text, most)
    return False


def _is_heavy_outside_strings(text: bytes, most: int) -> bool:
    weight = quotes = 0
    for part in unescaped_slices(text):
        before, quotes = quotes, quotes + part.count(_QUOTE)
        if quotes > 4 * (weight + _weight_of(part) + 1):
            return True  # so many strings are in no JSON
        weight += _weight_of(outside_strings(part, before))
        if weight > most:
            return True
    return False


def unescaped_slices(text: bytes) -> Iterator[bytes]:
    """
    Cut a text into slices, so that other threads have their turns between.

    :param text: valid or not.
    :return: the slices, without escaped quotes and backslashes: each quote begins or ends a string.
    """
    at = 0
    while at < len(text):
        end = at + _SLICE_BYTES
        while text[end - 1 : end] == b"\\":  # what it escapes belongs to it
            end += 1
        part = text[at:end]
        at = end
        if b"\\" in part:
            part = part.replace(b"\\\\", b"").replace(b'\\"', b"")
        yield part


def outside_strings(part: bytes, quotes: int) -> bytes:
    """
    Give what of an unescaped slice stands in no string.

    :param quotes: how many there are before the slice.
    """
    return b"".join(part.split(_QUOTE)[quotes % 2 :: 2])


def _weight_of(text: bytes) -> int:
    return text.count(b",") + 2 * (text.count(b"{") + text.count(b"["))


def least_size(text: bytes) -> int:
    """
    Tell how many bytes JSON takes at the least without its white space and its escapes.

    :param text: valid or not.
    """
    escapes, long_escapes = text.count(b"\\"), text.count(b"\\u")
    return len(text.translate(None, b" \n\r\t")) - escapes - 4 * long_escapes
