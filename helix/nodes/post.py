"""Sends a node's messages, and puts those together that come in parts."""

from __future__ import annotations

from itertools import count

import attrs
from twisted.internet.interfaces import IReactorTime

from helix.interfaces import IBroker
from helix.nodes.messages import Part, encode_part
from helix.telemetry.events import Telemetry

MAX_BYTES = 1024 * 1024
"""Bytes of the largest message, in however many parts."""

RESERVE_BYTES = 2 * 1024 * 1024
"""
Of the room at the broker, what is left for messages that are small, or whose sender keeps to a
rate: the loss of the broker's connection costs more than that of a broadcast.
"""

PART_PATIENCE = 10.0
"""Seconds in which all parts of a message must come."""

MAX_HELD_BYTES = 16 * 1024 * 1024
"""Bytes of parts that may wait for others. Beyond this, what has waited longest is given up."""

_FRAME_BYTES = 200
"""Of a part, besides its data, at the most."""


class Post:
    """
    Sends this node's messages: in parts where the broker takes no such large ones.

    :param node: this node's id, unlike any other.

    :ivar max_bytes: bytes of the largest message that goes in one part.
    """

    def __init__(self, broker: IBroker, node: str, telemetry: Telemetry) -> None:
        self.node = node
        self._broker = broker
        self._telemetry = telemetry
        self.max_bytes: int = broker.max_bytes
        self._numbers = count(1)
        # In base64, four characters hold three bytes.
        self._part_bytes = (self.max_bytes - _FRAME_BYTES) // 4 * 3

    @property
    def is_up(self) -> bool:
        """Whether messages are carried now."""
        return bool(self._broker.is_up)

    def subscribe(self, topic: str) -> None:
        self._broker.subscribe(topic)

    def unsubscribe(self, topic: str) -> None:
        self._broker.unsubscribe(topic)

    @property
    def is_crowded(self) -> bool:
        """Whether so much waits to be sent that only what is small should be."""
        return bool(self._broker.room < RESERVE_BYTES)

    def has_room(self, message: bytes) -> bool:
        """Whether a message that may be large can be sent now."""
        size = len(message)
        if size > self.max_bytes:
            size = self.max_bytes * -(-size // self._part_bytes)
        return bool(size + RESERVE_BYTES <= self._broker.room)

    def send(self, topic: str, kind: str, message: bytes) -> bool:
        """
        Send a message.

        :param kind: for telemetry.
        :return: whether it is on its way: not while the broker is away, nor if it has more than
            `MAX_BYTES`.
        """
        if not self._broker.is_up or len(message) > max(MAX_BYTES, self.max_bytes):
            return False
        if len(message) <= self.max_bytes:
            self._broker.publish(topic, message)
        else:
            number, size = next(self._numbers), self._part_bytes
            parts = -(-len(message) // size)
            for index in range(parts):
                data = message[index * size : (index + 1) * size]
                part = encode_part(self.node, Part(number, index, parts, data))
                self._broker.publish(topic, part)
        self.count(kind)
        return True

    def count(self, kind: str) -> None:
        """Count a message that was sent, by whomever."""
        self._telemetry.emit("helix.node.sent", metadata={"kind": kind})


@attrs.define(eq=False)
class _Collected:
    began_at: float
    parts: dict[int, bytes]
    size: int = 0


class Parts:
    """
    Messages of which some parts have come.

    :param clock: the reactor.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._held: dict[tuple[str, str, int], _Collected] = {}  # the oldest first
        self._size = 0

    def take(self, topic: str, node: str, part: Part) -> bytes | None:
        """
        Take a part of a node's message, in any order.

        :return: the message, once it is whole.
        """
        self._forget_old()
        key = (topic, node, part.number)
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = _Collected(self._clock.seconds(), {})
        if part.index not in held.parts:
            held.parts[part.index] = part.data
            held.size += len(part.data)
            self._size += len(part.data)
        if len(held.parts) == part.count:
            self._forget(key)
            return b"".join(held.parts[index] for index in range(part.count))
        while self._size > MAX_HELD_BYTES:
            self._forget(next(iter(self._held)))
        return None

    # inside

    def _forget_old(self) -> None:
        oldest = self._clock.seconds() - PART_PATIENCE
        while self._held:
            key, held = next(iter(self._held.items()))
            if held.began_at > oldest:
                break
            self._forget(key)

    def _forget(self, key: tuple[str, str, int]) -> None:
        self._size -= self._held.pop(key).size
