"""
Decodes JSON in a thread without blocking other threads; with no I/O.

A decoder has the interpreter to itself from the first byte to the last: 33 ms for 15 MiB. Of large
objects and arrays, one call finds where the members begin and end, at a fraction of that, and each
member is decoded by a call of its own.
"""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

import msgspec

PART_BYTES = 64 * 1024
"""What is no larger is decoded at once: it takes some 0.1 ms."""

MAX_LEVELS = 4
"""How deep members are looked for: a body, its document, the nodes, and a node. Each is a pass."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_decode = msgspec.json.Decoder().decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


def decode_in_parts(text: bytes | msgspec.Raw, levels: int = MAX_LEVELS) -> Any:
    """
    Decode JSON.

    :param levels: as `MAX_LEVELS`.
    :raises msgspec.DecodeError, RecursionError: as a decoder's ``decode`` does. The place that the
        error tells of may be one within a member.
    """
    view = memoryview(text)
    if levels and view.nbytes > PART_BYTES:
        first = bytes(view[:PART_BYTES]).lstrip(b" \n\r\t")[:1]
        if first == b"{":
            members = _decode_object(text)
            return {key: decode_in_parts(member, levels - 1) for key, member in members.items()}
        if first == b"[":
            return [decode_in_parts(member, levels - 1) for member in _decode_array(text)]
    return _decode(text)


class Decoder(Protocol[T_co]):
    """What ``msgspec.json.Decoder`` is, too."""

    def decode(self, text: bytes, /) -> T_co:
        """
        Decode JSON.

        :raises msgspec.MsgspecError, RecursionError: when it can't be.
        """


class PartsDecoder(Generic[T]):
    """
    A `Decoder` by `decode_in_parts`.

    :param kind: what is made; ``Any`` for plain data.
    """

    def __init__(self, kind: type[T] | Any) -> None:
        self._kind = kind

    def decode(self, text: bytes, /) -> T:
        """As `Decoder`."""
        decoded = decode_in_parts(text)
        made: T = decoded if self._kind is Any else msgspec.convert(decoded, self._kind)
        return made
