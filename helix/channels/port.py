"""A channel's place in its connection: its topic, its join_ref, and whether it is joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from twisted.internet.defer import Deferred

from helix.access.principal import Principal
from helix.channels.channel import Channel
from helix.channels.router import key_of
from helix.delivery.outlet import Outlet
from helix.delivery.parts import Parts
from helix.delivery.protocol import BinaryMessage, Data, Message, Ref

AnyMessage = Message | BinaryMessage


class Carrier(Protocol):
    """What a port asks of its connection. (`helix.channels.channel.Port` says what each does)"""

    outlet: Outlet
    principal: Principal

    @property
    def user_name(self) -> str: ...

    @property
    def work(self) -> Callable[[], float]: ...

    def charge(self, seconds: float, size: int) -> None: ...

    def push(self, port: ChannelPort, event: str, payload: bytes) -> None: ...

    def push_of(self, port: ChannelPort, event: str, payload: Sequence[Data]) -> None: ...

    def push_each(self, port: ChannelPort, event: str, payloads: Parts) -> None: ...

    def renew(self, payload: bytes) -> Deferred[bytes]: ...

    def end(self, port: ChannelPort, event: str) -> None: ...


class PortState(Enum):
    """Whether a channel is joined."""

    JOINING = "joining"
    JOINED = "joined"
    CLOSED = "closed"


class ChannelPort:
    """
    One channel of a connection: its place in the protocol. (`helix.channels.channel.Port`)

    :ivar key: of its topic, among the connection's channels.
    :ivar joining: the join, while it is under way.
    :ivar queue: the messages that wait for it.
    """

    __slots__ = ("_connection", "channel", "join_ref", "joining", "key", "queue", "state", "topic")

    def __init__(self, connection: Carrier, topic: str, join_ref: Ref) -> None:
        self._connection = connection
        self.topic = topic
        self.key = key_of(topic)
        self.join_ref = join_ref
        self.state = PortState.JOINING
        self.channel: Channel
        self.joining: Deferred[Sequence[Data]] | None = None
        self.queue: list[AnyMessage] | None = None

    @property
    def outlet(self) -> Outlet:
        return self._connection.outlet

    @property
    def user_name(self) -> str:
        return self._connection.user_name

    @property
    def principal(self) -> Principal:
        return self._connection.principal

    def work(self) -> float:
        return self._connection.work()

    def charge(self, seconds: float, size: int) -> None:
        self._connection.charge(seconds, size)

    def push(self, event: str, payload: bytes) -> None:
        if self.state is not PortState.CLOSED:
            self._connection.push(self, event, payload)

    def push_of(self, event: str, payload: Sequence[Data]) -> None:
        if self.state is not PortState.CLOSED:
            self._connection.push_of(self, event, payload)

    def push_each(self, event: str, payloads: Parts) -> None:
        if self.state is not PortState.CLOSED:
            self._connection.push_each(self, event, payloads)

    def renew(self, payload: bytes) -> Deferred[bytes]:
        return self._connection.renew(payload)

    def end(self, event: str) -> None:
        if self.state is not PortState.CLOSED:
            self._connection.end(self, event)
