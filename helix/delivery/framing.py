"""WebSocket frames as a server sends them (RFC 6455, 5.2), deflated ones too (RFC 7692)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import partial

from helix.delivery.protocol import V1, V2, Data, Encoding, Serializer

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
    return _header(first, len(payload)) + payload


def _header(first: int, size: int) -> bytes:
    if size < 126:
        return b"%c%c" % (first, size)
    if size < 1 << 16:
        return b"%c\x7e%b" % (first, size.to_bytes(2, "big"))
    return b"%c\x7f%b" % (first, size.to_bytes(8, "big"))


def frame_text(text: bytes) -> bytes:
    """A text frame."""
    return _frame(_TEXT, text)


def frame_pieces(pieces: Sequence[Data]) -> list[Data]:
    """A text frame of a text in pieces."""
    return [_header(_TEXT, sum(map(len, pieces))), *pieces]


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


def frame_pieces_deflated(over: int, pieces: Sequence[Data]) -> list[Data]:
    """As `frame_deflated`, of a text in pieces, which are joined where it is deflated."""
    if not over < sum(map(len, pieces)) <= MAX_DEFLATED:
        return frame_pieces(pieces)
    return [frame_deflated(over, b"".join(pieces))]


ENCODINGS: dict[type[Serializer], Encoding] = {
    V1: Encoding(V1, frame_text, None, frame_pieces),
    V2: Encoding(V2, frame_text, frame_binary, frame_pieces),
}


def deflating(over: int) -> dict[type[Serializer], Encoding]:
    """Make the encodings of clients that take deflated frames; ``over`` as in `frame_deflated`."""
    frame = partial(frame_deflated, over)
    pieces = partial(frame_pieces_deflated, over)
    return {
        V1: Encoding(V1, frame, None, pieces),
        V2: Encoding(V2, frame, frame_binary, pieces),
    }
