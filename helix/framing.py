"""WebSocket frames as a server sends them (RFC 6455, 5.2), deflated ones too (RFC 7692)."""

from __future__ import annotations

import zlib
from functools import partial

from helix.protocol import V1, V2, Encoding, Serializer

MAX_DEFLATED = 1024 * 1024
"""Bytes of the largest frame that is deflated: about 10 ms, in which all others wait."""

WINDOW_BITS = 15
"""The window of what is deflated, for every client."""

_LEVEL = 1
_TEXT = 0x81
_DEFLATED_TEXT = 0xC1
_BINARY = 0x82
_TAIL = b"\0\0\xff\xff"


def _frame(first: int, payload: bytes) -> bytes:
    """One whole, unmasked frame."""
    size = len(payload)
    if size < 126:
        return b"%c%c%b" % (first, size, payload)
    if size < 1 << 16:
        return b"%c\x7e%b%b" % (first, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (first, size.to_bytes(8, "big"), payload)


def frame_text(text: bytes) -> bytes:
    """A text frame."""
    return _frame(_TEXT, text)


def frame_binary(data: bytes) -> bytes:
    """A binary frame."""
    return _frame(_BINARY, data)


def frame_deflated(over: int, text: bytes) -> bytes:
    """A text frame; deflated, by itself, where it has more than ``over`` bytes."""
    if not over < len(text) <= MAX_DEFLATED:
        return _frame(_TEXT, text)
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -WINDOW_BITS)
    deflated = deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return _frame(_DEFLATED_TEXT, deflated.removesuffix(_TAIL))


ENCODINGS: dict[type[Serializer], Encoding] = {
    V1: Encoding(V1, frame_text, None),
    V2: Encoding(V2, frame_text, frame_binary),
}


def deflating(over: int) -> dict[type[Serializer], Encoding]:
    """Make the encodings of clients that take deflated frames; ``over`` as in `frame_deflated`."""
    frame = partial(frame_deflated, over)
    return {V1: Encoding(V1, frame, None), V2: Encoding(V2, frame, frame_binary)}
