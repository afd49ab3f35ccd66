"""Broadcasts to the members of a flow, and what lagging members get instead."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol

import attrs

from helix.delivery.outlet import KeyedFrame, LateFrame
from helix.delivery.protocol import MAX_NAME, BinaryKind, Encoding, encode_binary

Wire = tuple[Encoding, str]
"""Members of one encoding that wrote the topic alike: they get the same bytes."""


class Missed(Protocol):
    """The broadcasts of one kind that a lagging member has not been sent."""

    def behind(self, earlier: Any) -> Missed:
        """Combine this with ``earlier``, which the member had missed before."""

    def make(self) -> Broadcast | None:
        """Make what it gets instead; ``None`` when there is nothing to send any more."""


class Broadcast:
    """
    One event for all members of a flow.

    :param str event: its name.
    :param bytes payload: JSON, or data for a binary broadcast.
    :param key: for conflation: a lagging member gets only the newest broadcast of a key.
    :param bool binary: whether ``payload`` is data. Members that can't receive data get nothing.
    :param missed: gives what a lagging member gets instead, once it has drained. Only with a
        ``key``, and all broadcasts of that key use the same kind.
    """

    __slots__ = ("_binary", "_encoded", "_event", "_missed", "_payload", "key", "size")

    def __init__(
        self,
        event: str,
        payload: bytes,
        key: Hashable | None = None,
        binary: bool = False,
        missed: Missed | None = None,
    ) -> None:
        self.key = key
        self._missed = missed
        self.size = len(payload)
        self._event = event
        self._payload = payload
        self._binary = binary
        self._encoded: dict[Wire, bytes] = {}

    def encoded(self, wire: Wire) -> bytes:
        """The bytes for all members of one wire, made once."""
        made = self._encoded.get(wire)
        if made is None:
            made = self._encoded[wire] = self._encode(*wire)
        return made

    def keyed(self, wire: Wire) -> KeyedFrame:
        """What an outlet of that wire keeps of it while it is lagging."""
        key = None if self.key is None else (wire[1], self.key)
        if self._missed is None:
            return key, self.encoded(wire)
        return key, _MissedFrame(self._missed, wire)

    def _encode(self, encoding: Encoding, topic: str) -> bytes:
        if not self._binary:
            return encoding.frame(encoding.serializer.broadcast(topic, self._event, self._payload))
        if encoding.frame_binary is None or len(topic.encode()) > MAX_NAME:
            return b""
        return encoding.frame_binary(
            encode_binary(BinaryKind.BROADCAST, (topic, self._event), self._payload)
        )


@attrs.frozen
class Superseded:
    """The missed broadcasts are out of date; the current state is sent instead. (`Missed`)"""

    now: Callable[[], Broadcast | None]

    def behind(self, earlier: Superseded) -> Superseded:
        return self

    def make(self) -> Broadcast | None:
        return self.now()


@attrs.frozen
class _MissedFrame:
    """`Missed` for one wire. (`helix.delivery.outlet.LateFrame`)"""

    _missed: Missed
    _wire: Wire

    def behind(self, earlier: LateFrame) -> LateFrame:
        assert isinstance(earlier, _MissedFrame)
        return _MissedFrame(self._missed.behind(earlier._missed), self._wire)

    def make(self) -> bytes:
        broadcast = self._missed.make()
        return b"" if broadcast is None else broadcast.encoded(self._wire)
