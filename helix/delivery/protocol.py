"""
Phoenix Channels frames, V1, V2 and binary: decode and encode, with no I/O.

The format is that of Phoenix 1.7 and 1.8 (``Phoenix.Socket.V1.JSONSerializer`` and
``V2.JSONSerializer``). Payloads stay unchanged bytes: only the envelope is decoded, and a payload
is copied into the outgoing frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import accumulate
from typing import Annotated, Protocol, TypeVar

import attrs
import msgspec
from msgspec import Meta

from helix.errors import MalformedFrame, UnsupportedVersion
from helix.limits.weight import outside_strings, unescaped_slices

MAX_TOPIC = 512
"""Characters of a topic: a flow id's 255 bytes, and room for a prefix and some white space."""

MAX_NAME = 255
"""Characters of an event or a ref."""

Topic = Annotated[str, Meta(max_length=MAX_TOPIC)]
Name = Annotated[str, Meta(max_length=MAX_NAME)]

T = TypeVar("T")

Ref = Name | Annotated[int, Meta(ge=-(2**53), le=2**53)] | None
"""A ``ref`` or ``join_ref`` as the client wrote it: it is echoed, never interpreted."""

MAX_DEPTH = 128
"""How deep the arrays and objects of a frame may nest, the frame itself counted."""

EMPTY = b"{}"

Data = bytes | memoryview
"""Bytes, or some of bytes that are shared."""


class Message(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """
    One decoded frame from a client.

    :ivar payload: the payload's JSON, as it came; of a binary frame the data itself.
    :ivar binary: whether the frame was binary.
    """

    join_ref: Ref
    ref: Ref
    topic: Topic
    event: Name
    payload: msgspec.Raw


class BinaryMessage(msgspec.Struct, gc=False):
    """One decoded binary push: as `Message`, but its payload is data, not JSON."""

    join_ref: Ref
    ref: Ref
    topic: str
    event: str
    payload: bytes


class _MessageV1(msgspec.Struct, gc=False):
    topic: Topic
    event: Name
    payload: msgspec.Raw
    ref: Ref = None
    join_ref: Ref = None


_decode_v2 = msgspec.json.Decoder(Message).decode
_decode_v1 = msgspec.json.Decoder(_MessageV1).decode
_encode = msgspec.json.Encoder().encode

quote: Callable[[str], bytes] = _encode
"""The JSON text of a string."""


def encode_json(value: object) -> bytes:
    """Encode plain data as JSON text."""
    return _encode(value)


_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - set(_STEPS))


def nests_too_deep(text: bytes) -> bool:
    """
    Tell whether valid JSON nests deeper than `MAX_DEPTH`.

    The first line settles nearly every frame; what holds more brackets is measured exactly, its
    strings taken out first.
    """
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    depth = quotes = 0
    for part in unescaped_slices(text):
        brackets = outside_strings(part, quotes).translate(None, _NO_BRACKETS)
        depths = [*accumulate(map(_STEPS.__getitem__, brackets), initial=depth)]
        if max(depths) > MAX_DEPTH:
            return True
        depth, quotes = depths[-1], quotes + part.count(b'"')
    return False


_BACKSLASHES = re.compile(rb"(?<!\\)\\++(?=u[dD])")
_HALF = re.compile(rb"u[dD][89a-fA-F][0-9a-fA-F]{2}")
_WHOLE = re.compile(rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")

_MAX_ESCAPES = 20_000
"""Maximum escapes of half a surrogate pair in a text that is still read."""


def _whole_characters(text: bytes) -> bytes:
    """
    Replace escapes of half a surrogate pair by U+FFFD, as browsers do for what they send as UTF-8.

    JavaScript writes such an escape for a string that was cut within a character; many parsers,
    ours too, refuse it. Only what may be one is looked at.
    """
    parts: list[bytes] = []
    done = 0
    for found in _BACKSLASHES.finditer(text):
        at = found.end()
        if len(found[0]) % 2 == 0 or at <= done:  # the backslashes stand for themselves
            continue
        if whole := _WHOLE.match(text, at):
            parts.append(text[done : whole.end()])
            done = whole.end()
        elif half := _HALF.match(text, at):
            parts += (text[done:at], b"ufffd")
            done = half.end()
    parts.append(text[done:])
    return b"".join(parts)


def decode_json(decode: Callable[[bytes], T], text: bytes) -> T:
    """
    Decode JSON that a peer sent.

    :param decode: a msgspec decoder's.
    :raises MalformedFrame: when it isn't what the decoder takes, or nests deeper than `MAX_DEPTH`.
    """
    try:
        try:
            decoded = decode(text)
        except msgspec.DecodeError:
            if not 0 < text.count(b"\\ud") + text.count(b"\\uD") <= _MAX_ESCAPES:
                raise
            decoded = decode(_whole_characters(text))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedFrame(str(error)) from None
    except RecursionError:
        raise MalformedFrame("nested too deep") from None
    if nests_too_deep(text):
        raise MalformedFrame("nested too deep")
    return decoded


def decode_binary(data: bytes) -> BinaryMessage:
    """
    Decode a binary push: ``0, len(join_ref), len(ref), len(topic), len(event)``, then the four
    strings, then the data.

    :raises MalformedFrame: when the kind is another one or the sizes don't fit.
    """
    if len(data) < 5 or data[0] != 0:
        raise MalformedFrame("not a binary push")
    join_ref_size, ref_size, topic_size, event_size = data[1:5]
    ref_at = 5 + join_ref_size
    topic_at = ref_at + ref_size
    event_at = topic_at + topic_size
    payload_at = event_at + event_size
    if len(data) < payload_at:
        raise MalformedFrame("the sizes of a binary push exceed it")
    try:
        return BinaryMessage(
            join_ref=data[5:ref_at].decode() or None,
            ref=data[ref_at:topic_at].decode() or None,
            topic=data[topic_at:event_at].decode(),
            event=data[event_at:payload_at].decode(),
            payload=data[payload_at:],
        )
    except UnicodeDecodeError:
        raise MalformedFrame("a binary push's strings are not UTF-8") from None


HEAD_BYTES = 8 * 1024
"""Bytes at a frame's beginning that surely hold everything before the payload."""

TAIL_BYTES = 8 * 1024
"""Bytes at a frame's end that surely hold everything after the payload."""

_STRING = rb'"(?:[^"\\]|\\.)*"'
_REF = rb"(?:%b|null|-?\d+)" % _STRING
_HEAD_V2 = re.compile(rb"\s*\[(?:\s*%b\s*,){4}" % _REF)
_HEAD_V1 = re.compile(rb'\s*\{(?:\s*"(?:topic|event|ref|join_ref)"\s*:\s*%b\s*,)*' % _REF)
_TAIL_V1 = re.compile(rb'(?:,\s*"(?:topic|event|ref|join_ref)"\s*:\s*%b\s*)*\}\s*\Z' % _REF)


class BinaryKind(IntEnum):
    """The kind of a binary frame from the server; `encode_binary` lists the strings of each."""

    PUSH = 0
    REPLY = 1
    BROADCAST = 2


def encode_binary(kind: BinaryKind, strings: tuple[str, ...], data: bytes) -> bytes:
    """
    Encode a binary frame: the kind, the size of each string in one byte, the strings, the data.

    :param strings: of a push ``join_ref, topic, event``; of a reply ``join_ref, ref, topic,
        status``; of a broadcast ``topic, event``.
    :raises ValueError: when a string is longer than 255 bytes.
    """
    encoded = [string.encode() for string in strings]
    if any(len(string) > 255 for string in encoded):
        raise ValueError("a binary frame's strings take at most 255 bytes each")
    return b"".join([bytes([kind, *map(len, encoded)]), *encoded, data])


class Serializer(Protocol):
    """
    One version of the text format.

    ``topic`` and ``event`` are strings, ``payload`` and ``response`` JSON text; what comes back is
    one frame as UTF-8 text.
    """

    @staticmethod
    def decode(text: bytes) -> Message:
        """Decode one text frame; `MalformedFrame` when it isn't one."""

    @staticmethod
    def decode_ends(head: bytes, tail: bytes) -> Message:
        """
        Decode a text frame without its payload, for which ``{}`` stands.

        :param head: its first `HEAD_BYTES`.
        :param tail: its last `TAIL_BYTES`.
        :raises MalformedFrame: when that can't be told.
        """

    @staticmethod
    def reply(join_ref: Ref, ref: Ref, topic: str, status: str, response: bytes) -> bytes:
        """Answer the push ``ref``; ``status`` is ``ok`` or ``error``."""

    @staticmethod
    def push(join_ref: Ref, topic: str, event: str, payload: bytes) -> bytes:
        """Send an event to one channel. It has no ref: a ref could match a pending reply."""

    @staticmethod
    def reply_of(
        join_ref: Ref, ref: Ref, topic: str, status: str, response: Sequence[Data]
    ) -> list[Data]:
        """As `reply`, of a response in pieces, which are pieces of the frame as they are."""

    @staticmethod
    def push_of(join_ref: Ref, topic: str, event: str, payload: Sequence[Data]) -> list[Data]:
        """As `push`, of a payload in pieces, as in `reply_of`."""

    @staticmethod
    def close(join_ref: Ref, topic: str, event: str) -> bytes:
        """End a channel: ``phx_close`` in order, ``phx_error`` after a crash."""

    @staticmethod
    def broadcast(topic: str, event: str, payload: bytes) -> bytes:
        """Send an event to all members of a topic."""


def _around(empty: bytes, end: bytes, pieces: Sequence[Data]) -> list[Data]:
    """Put pieces into a frame that was made with nothing in their place, before its end."""
    return [empty.removesuffix(end), *pieces, end]


class V2:
    """Arrays: ``[join_ref, ref, topic, event, payload]``."""

    @staticmethod
    def decode(text: bytes) -> Message:
        return decode_json(_decode_v2, text)

    @staticmethod
    def decode_ends(head: bytes, tail: bytes) -> Message:
        found = _HEAD_V2.match(head)
        return V2.decode(found[0] + b"{}]" if found else b"")

    @staticmethod
    def reply(join_ref: Ref, ref: Ref, topic: str, status: str, response: bytes) -> bytes:
        return b'[%b,%b,%b,"phx_reply",{"status":%b,"response":%b}]' % (
            _encode(join_ref),
            _encode(ref),
            _encode(topic),
            _encode(status),
            response,
        )

    @staticmethod
    def push(join_ref: Ref, topic: str, event: str, payload: bytes) -> bytes:
        return b"[%b,null,%b,%b,%b]" % (_encode(join_ref), _encode(topic), _encode(event), payload)

    @staticmethod
    def reply_of(
        join_ref: Ref, ref: Ref, topic: str, status: str, response: Sequence[Data]
    ) -> list[Data]:
        return _around(V2.reply(join_ref, ref, topic, status, b""), b"}]", response)

    @staticmethod
    def push_of(join_ref: Ref, topic: str, event: str, payload: Sequence[Data]) -> list[Data]:
        return _around(V2.push(join_ref, topic, event, b""), b"]", payload)

    @staticmethod
    def close(join_ref: Ref, topic: str, event: str) -> bytes:
        ref = _encode(join_ref)
        return b"[%b,%b,%b,%b,{}]" % (ref, ref, _encode(topic), _encode(event))

    @staticmethod
    def broadcast(topic: str, event: str, payload: bytes) -> bytes:
        return b"%b%b]" % (_broadcast_head(topic, event), payload)


@lru_cache(maxsize=4096)
def _broadcast_head(topic: str, event: str) -> bytes:
    return b"[null,null,%b,%b," % (_encode(topic), _encode(event))


class V1:
    """Objects with ``topic``, ``event``, ``payload`` and ``ref``; no ``join_ref`` goes out."""

    @staticmethod
    def decode(text: bytes) -> Message:
        m = decode_json(_decode_v1, text)
        return Message(m.join_ref, m.ref, m.topic, m.event, m.payload)

    @staticmethod
    def decode_ends(head: bytes, tail: bytes) -> Message:
        first, last = _HEAD_V1.match(head), _TAIL_V1.search(tail)
        return V1.decode(first[0] + b'"payload":{}' + last[0] if first and last else b"")

    @staticmethod
    def _frame(ref: Ref, topic: str, event: str, payload: bytes) -> bytes:
        return b'{"topic":%b,"event":%b,"ref":%b,"payload":%b}' % (
            _encode(topic),
            _encode(event),
            _encode(ref),
            payload,
        )

    @staticmethod
    def reply(join_ref: Ref, ref: Ref, topic: str, status: str, response: bytes) -> bytes:
        payload = b'{"status":%b,"response":%b}' % (_encode(status), response)
        return V1._frame(ref, topic, "phx_reply", payload)

    @staticmethod
    def push(join_ref: Ref, topic: str, event: str, payload: bytes) -> bytes:
        return V1._frame(None, topic, event, payload)

    @staticmethod
    def reply_of(
        join_ref: Ref, ref: Ref, topic: str, status: str, response: Sequence[Data]
    ) -> list[Data]:
        return _around(V1.reply(join_ref, ref, topic, status, b""), b"}}", response)

    @staticmethod
    def push_of(join_ref: Ref, topic: str, event: str, payload: Sequence[Data]) -> list[Data]:
        return _around(V1.push(join_ref, topic, event, b""), b"}", payload)

    @staticmethod
    def close(join_ref: Ref, topic: str, event: str) -> bytes:
        return V1._frame(join_ref, topic, event, EMPTY)

    @staticmethod
    def broadcast(topic: str, event: str, payload: bytes) -> bytes:
        return V1._frame(None, topic, event, payload)


def serializer_for(vsn: str | None) -> type[Serializer]:
    """
    Choose the serializer for a connect's ``vsn``; none means 1.0.0.

    :raises UnsupportedVersion: for anything but 1.0.x and 2.0.x.
    """
    numbers = (vsn or "1.0.0").split(".")
    if len(numbers) == 3 and all(n.isascii() and n.isdigit() and len(n) < 6 for n in numbers):
        if numbers[:2] == ["1", "0"]:
            return V1
        if numbers[:2] == ["2", "0"]:
            return V2
    raise UnsupportedVersion()


@attrs.frozen(eq=False)
class Encoding:
    """
    The encoding of one kind of connection: a serializer and a transport's framing.

    Members with the same encoding share the bytes of a broadcast. There is one object per kind.

    :ivar frame: turns the text of a frame into what the transport sends.
    :ivar frame_binary: the same for data, or ``None`` where the transport can't carry it.
    :ivar frame_pieces: the same as ``frame`` for a text in pieces, those that are to be shared as
        they are; joined, unless something else is said.
    """

    serializer: type[Serializer]
    frame: Callable[[bytes], bytes]
    frame_binary: Callable[[bytes], bytes] | None
    frame_pieces: Callable[[Sequence[Data]], list[Data]] = attrs.field()

    @frame_pieces.default
    def _frame_joined(self) -> Callable[[Sequence[Data]], list[Data]]:
        return lambda pieces: [self.frame(b"".join(pieces))]
