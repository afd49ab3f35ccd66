"""
The core in memory (`World`), for what clients, channels, flows and members do, turn by turn.

Its reactor is turned by hand. Twisted's TCP connection, the outlets and the framing are real, but
not the sockets: one takes as much as `Socket.room` says, and `Client.received` reads what it took.
What needs HTTP, or a handshake, is tested with the whole server, `tests.support.stack`.
"""

from __future__ import annotations

import errno
import itertools
import json
from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, NamedTuple

from twisted.internet import tcp
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from helix.access.principal import ANYBODY, Principal
from helix.channels.budget import ConnectionLimits
from helix.channels.clients import ClientLimits, ClientService
from helix.channels.connection import Connection
from helix.channels.document import PatchLimits
from helix.channels.router import Router
from helix.channels.tokens import Tokens
from helix.delivery.backlog import Backlog
from helix.delivery.fanout import MAX_HOLD
from helix.delivery.framing import ENCODINGS
from helix.delivery.outlet import Outlet
from helix.delivery.protocol import V1, V2, Serializer
from helix.delivery.streams import DirectOutlet, TransportOutlet
from helix.documents.ids import new_id
from helix.documents.validation import DocumentLimits
from helix.errors import CloseCode
from helix.flows.library import FlowLibrary
from helix.flows.lifetime import LINGER
from helix.flows.service import FlowSessionService
from helix.identity.authenticator import Authenticator
from helix.interfaces import IAuthenticator, IBroker, IFlowStore
from helix.limits.addresses import AddressBook, AddressBudget, AddressLimits
from helix.limits.apart import Apart, at_once
from helix.log.live_log import LiveLog
from helix.log.replaying import ALONE, LogSettings
from helix.nodes.service import NodeService
from helix.nodes.telling import Telling
from helix.sharing.service import AccessService
from helix.store.memory import MemoryStore
from helix.telemetry.events import Telemetry
from tests.support.rawsocket import split_frames

START = 1_700_000_000.25
"""When a world begins, in Unix seconds."""

HANDSHAKE = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def open_memory_store() -> MemoryStore:
    """A store in memory, started."""
    store = MemoryStore()
    store.start()
    return store


class Wall:
    """
    The wall clock: it goes with ``clock`` until somebody sets it.

    :ivar ahead: by how many seconds it is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead = 0.0

    def __call__(self) -> float:
        return self._clock.seconds() + self.ahead


class Reactor(Clock):
    """
    A reactor that is turned by hand.

    :ivar is_stopped: whether its process is (SIGSTOP): nothing happens in it, and time passes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rightNow = START
        self.readers: dict[IReadDescriptor, None] = {}
        self.writers: dict[IWriteDescriptor, None] = {}
        self.is_stopped = False
        self._missed_seconds = 0.0
        self._missed: list[Callable[[], None]] = []

    def advance(self, amount: float) -> None:
        if self.is_stopped:
            self._missed_seconds += amount
        else:
            super().advance(amount)

    def stop(self) -> None:
        """Let nothing happen until `go_on`."""
        self.is_stopped = True

    def go_on(self) -> None:
        """What is due by now happens at once."""
        self.is_stopped = False
        missed, self._missed_seconds = self._missed_seconds, 0.0
        self.advance(missed)
        calls, self._missed = self._missed, []
        for call in calls:
            call()

    def when_running(self, call: Callable[[], None]) -> None:
        """Call ``call`` now, or after the next `go_on`."""
        if self.is_stopped:
            self._missed.append(call)
        else:
            call()

    def addReader(self, reader: IReadDescriptor) -> None:
        self.readers[reader] = None

    def removeReader(self, reader: IReadDescriptor) -> None:
        self.readers.pop(reader, None)

    def addWriter(self, writer: IWriteDescriptor) -> None:
        self.writers[writer] = None

    def removeWriter(self, writer: IWriteDescriptor) -> None:
        self.writers.pop(writer, None)

    def turn(self) -> None:
        """One turn: the calls that are due now, not those that they make; then all I/O."""
        if self.is_stopped:
            return
        due = [call for call in self.getDelayedCalls() if call.getTime() <= self.seconds()]
        for call in due:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)
        for reader in list(self.readers):
            if reader in self.readers:
                self._ended(reader, reader.doRead())
        for writer in list(self.writers):
            if writer in self.writers:
                self._ended(writer, writer.doWrite())

    @staticmethod
    def _ended(descriptor: Any, why: Exception | None) -> None:
        if why is not None:
            descriptor.connectionLost(Failure(why))


class Socket:
    """
    The server's end of a connection.

    :ivar room: bytes that it takes yet, ``None`` for any number.
    :ivar error: raised by `send` in place of taking anything.
    :ivar taken: all that it took.
    :ivar writes: how many times it took something.
    :ivar cost: seconds that each `send` takes.
    """

    def __init__(self, clock: Clock) -> None:
        self.room: int | None = None
        self.error: OSError | None = None
        self.taken = bytearray()
        self.writes = 0
        self.cost = 0.0
        self.incoming: deque[bytes] = deque()
        self._clock = clock

    def send(self, data: bytes) -> int:
        self._clock.rightNow += self.cost
        if self.error is not None:
            raise self.error
        size = len(data) if self.room is None else min(len(data), self.room)
        if data and not size:
            raise BlockingIOError(errno.EAGAIN, "full")
        if self.room is not None:
            self.room -= size
        self.taken += data[:size]
        self.writes += 1
        return size

    def recv(self, size: int) -> bytes:
        if not self.incoming:
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        return self.incoming.popleft()

    def fileno(self) -> int:
        return -1

    def setblocking(self, blocking: bool) -> None:
        assert not blocking

    def setsockopt(self, *_: object) -> None:
        """Twisted's call before it resets a connection."""

    def shutdown(self, how: int) -> None:
        """Twisted's call when a connection is closed in order."""

    def close(self) -> None:
        """Twisted's call when a connection is lost."""


class Message(NamedTuple):
    """What a client received. V1 shows no ``join_ref``; of a binary frame ``payload`` is data."""

    join_ref: Any
    ref: Any
    topic: str
    event: str
    payload: Any


def decode(serializer: type[Serializer], first: int, payload: bytes) -> Message:
    """Decode what a server sent."""
    if first == 0x82:
        kind, topic_size, event_size = payload[:3]
        assert kind == 2, "only broadcasts are binary"
        topic = payload[3 : 3 + topic_size].decode()
        event = payload[3 + topic_size : 3 + topic_size + event_size].decode()
        return Message(None, None, topic, event, payload[3 + topic_size + event_size :])
    assert first == 0x81
    parsed = json.loads(payload)
    if serializer is V2:
        return Message(*parsed)
    return Message(None, parsed["ref"], parsed["topic"], parsed["event"], parsed["payload"])


class Client:
    """
    One client: a `Connection` over an outlet, as the transport wires them, and what its peer does.

    :ivar close_code: with what the server closed it.
    :ivar answers_close: whether it goes when the server closes it.
    :ivar close_delay: in how many seconds.
    """

    transport_name = "websocket"

    def __init__(
        self,
        world: World,
        serializer: type[Serializer],
        direct: bool,
        address: str | None,
        high_water_mark: int,
        limits: ConnectionLimits,
        budget: AddressBudget | None,
        principal: Principal,
    ) -> None:
        self.world = world
        self.serializer = serializer
        self.address = address
        self.close_code: CloseCode | None = None
        self.answers_close = False
        self.close_delay = 0.01
        self.lost = False
        self.lagged: list[bool] = []
        self.socket = Socket(world.clock)
        self.wire = tcp.Connection(self.socket, self, world.clock)
        self.wire.connected = 1
        self.wire.startReading()
        self.wire.write(HANDSHAKE)
        common = (
            ENCODINGS[serializer],
            high_water_mark,
            world.clock,
            self._pause,
            self.abort,
            world.backlog,
            self._have_shed,
        )
        self.outlet: Outlet = (
            DirectOutlet(self.wire, self.socket, *common)  # type: ignore[arg-type]  # stands in
            if direct
            else TransportOutlet(self.wire, *common)
        )
        self.connection = Connection(
            self.outlet,
            world.router,
            limits,
            world.clock,
            world.telemetry,
            self.close,
            budget,
            world.tokens,
            principal=principal,
        )
        self.wire.doWrite()
        assert self.socket.taken == HANDSHAKE
        self.socket.taken.clear()
        self.socket.writes = 0
        self._refs = itertools.count(1)
        self._join_refs: dict[str, str] = {}

    # what the client does

    def join(self, topic: str, params: object = None) -> str:
        """Join, and return the ``ref``, which is the ``join_ref`` too."""
        ref = self._join_refs[topic] = str(next(self._refs))
        self.send(self.text(ref, ref, topic, "phx_join", {} if params is None else params))
        return ref

    def push(self, topic: str, event: str, payload: object = None) -> str:
        """Push on a topic with the ``join_ref`` of its last join, and return the ``ref``."""
        ref = str(next(self._refs))
        payload = {} if payload is None else payload
        self.send(self.text(self._join_refs.get(topic), ref, topic, event, payload))
        return ref

    def change(self, topic: str, changes: object) -> str:
        return self.push(topic, "flow_change", {"changes": changes})

    def leave(self, topic: str) -> str:
        return self.push(topic, "phx_leave")

    def text(self, join_ref: Any, ref: Any, topic: str, event: str, payload: object) -> bytes:
        """A text frame of the client's version."""
        if self.serializer is V2:
            return json.dumps([join_ref, ref, topic, event, payload]).encode()
        frame = {"topic": topic, "event": event, "payload": payload, "ref": ref}
        return json.dumps({**frame, "join_ref": join_ref}).encode()

    def send(self, *frames: bytes) -> None:
        """Send text frames, which arrive together: at once, or when they are read again."""
        self._arrive(0x81, frames)

    def send_binary(self, *frames: bytes) -> None:
        self._arrive(0x82, frames)

    def cut(self) -> None:
        """The client is gone, without a word."""
        self.world.clock.when_running(self._lose)

    # what the client sees

    def frames(self) -> list[tuple[int, bytes]]:
        """The whole WebSocket frames that arrived since the last look."""
        frames, rest = split_frames(bytes(self.socket.taken))
        self.socket.taken[:] = rest
        return frames

    def raw(self) -> list[bytes]:
        """The payloads of the frames that arrived since the last look."""
        return [payload for _, payload in self.frames()]

    def received(self) -> list[Message]:
        """The messages that arrived since the last look."""
        return [decode(self.serializer, *frame) for frame in self.frames()]

    def events(self) -> list[tuple[str, Any]]:
        """The event and the payload of each message that arrived since the last look."""
        return [(message.event, message.payload) for message in self.received()]

    def answer(self, ref: Any) -> tuple[str, Any]:
        """The status and the response of the one reply to ``ref`` among what arrived."""
        replies = [
            message.payload
            for message in self.received()
            if message.event == "phx_reply" and message.ref == ref
        ]
        assert len(replies) == 1, f"{len(replies)} replies to {ref}"
        assert sorted(replies[0]) == ["response", "status"]
        return replies[0]["status"], replies[0]["response"]

    # Twisted's calls: what the transport does with them

    def dataReceived(self, data: bytes) -> None:
        self.connection.touch()
        self.outlet.cork()
        try:
            for first, payload in split_frames(data)[0]:
                if self.close_code is not None:
                    break
                if first == 0x81:
                    self.connection.receive(payload)
                else:
                    self.connection.receive_binary(payload)
        finally:
            self.outlet.uncork()

    def connectionLost(self, reason: Failure) -> None:
        self.lost = True
        self.world.registry.remove(self)
        self.connection.closed()

    # helix.clients.Client

    def close(self, code: CloseCode, reason: str) -> None:
        if self.close_code is None:
            self.close_code = code
            self.outlet.shut()
            if self.answers_close:
                self.world.clock.callLater(self.close_delay, self.cut)

    def abort(self) -> None:
        self.wire.abortConnection()

    def _lose(self) -> None:
        if not self.lost:
            self.wire.connectionLost(Failure(ConnectionDone()))

    def _have_shed(self) -> None:
        self.close(CloseCode.TOO_MUCH_WAITS, "")
        self.abort()

    def _pause(self, lagging: bool) -> None:
        self.lagged.append(lagging)
        if lagging:
            self.world.registry.lagging(self)
            self.wire.pauseProducing()
        else:
            self.connection.touch()
            self.wire.resumeProducing()

    def _arrive(self, first: int, frames: tuple[bytes, ...]) -> None:
        self.socket.incoming.append(
            b"".join(b"%c\x7f%b%b" % (first, len(one).to_bytes(8, "big"), one) for one in frames)
        )
        clock = self.world.clock
        if self.wire in clock.readers and not clock.is_stopped:
            self.wire.doRead()


class World:
    """
    A server's core and its clients.

    :param load: as `FlowSessionService` takes it.
    :param seed: of what is left to chance.
    :param broker: makes what carries messages to other worlds on the store, and from them.
    :param node: what it calls itself there; empty for what no other world does.
    :param shares_turns: as `LogSettings` has it.
    :ivar told: the telemetry: name, measurements, metadata.
    :ivar failures: what was logged as an error. A test that expects some clears them.
    """

    def __init__(
        self,
        *,
        max_clients: int = 1000,
        idle_timeout: float = 1800.0,
        load: Callable[[str], object] | None = None,
        limits: ConnectionLimits | None = None,
        client_limits: ClientLimits | None = None,
        address_allowance: float = 10,
        max_sessions: int = 50_000,
        high_water_mark: int = 1 << 20,
        seed: int = 0,
        store: IFlowStore | None = None,
        document_limits: DocumentLimits | None = None,
        management_deletes: bool = False,
        max_queued_bytes: int = 1 << 27,
        apart: Apart = at_once,
        authenticator: IAuthenticator | None = None,
        broker: Callable[[Clock], IBroker] | None = None,
        node: str = "",
        shares_turns: bool = False,
    ) -> None:
        self.clock = Reactor()
        self.wall = Wall(self.clock)
        self.told: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.failures: list[LogEvent] = []
        self.clients: list[Client] = []
        self.telemetry = Telemetry()
        self.telemetry.subscribe(
            "helix", lambda name, values, about: self.told.append((name, {**values}, {**about}))
        )
        self.backlog = Backlog(self.clock, self.telemetry, max_queued_bytes)
        self.store = store = store or open_memory_store()
        self.access = AccessService(store.access, self.clock)
        self.broker = None if broker is None else broker(self.clock)
        telling = None
        if self.broker is not None:
            node = node or f"node{id(self)}"
            telling = Telling(self.broker, node, self.clock, self.wall, self.telemetry)
        self.logs = LogSettings(
            store,
            self.clock,
            self.wall,
            document_limits or DocumentLimits(),
            partial(new_id, Random(seed)),
            apart=apart,
            made=self.access.made,
            made_elsewhere=self.access.made_elsewhere,
            nodes=telling or ALONE,
            learn_access=self.access.catch_up,
            shares_turns=shares_turns,
        )

        async def loaded(flow_id: str, logs: LogSettings) -> LiveLog:
            if load is not None:
                await maybeDeferred(load, flow_id)
            return await LiveLog.load(flow_id, logs)

        self.service = FlowSessionService(
            self.clock,
            self.telemetry,
            self.logs,
            max_clients,
            idle_timeout,
            max_sessions,
            loaded,
            None if telling is None else telling.showing,
        )
        self.nodes: NodeService | None = None
        if self.broker is not None and telling is not None:
            self.nodes = NodeService(
                self.broker, telling, self.service, self.access, self.clock, self.telemetry
            )
            self.nodes.startService()
        self.library = FlowLibrary(self.service, self.logs, partial(new_id, Random(seed + 1)), [])
        self.router = Router(
            self.service,
            PatchLimits(1 << 18, 1 << 24, 20_000, 1 << 20),
            self.access,
            self.library.delete if management_deletes else None,
        )
        self.registry = ClientService(
            self.clock, self.telemetry, client_limits or ClientLimits(), Random(seed)
        )
        self.tokens = Tokens(
            authenticator or Authenticator(None, frozenset(), is_open=True), self.wall
        )
        self._limits = limits or ConnectionLimits()
        self.addresses = AddressBook(
            AddressLimits(
                self._limits.rates.times(address_allowance),
                round(self._limits.max_channels * address_allowance),
                *(100.0, 100.0, 100.0),
            )
        )
        self._high_water_mark = high_water_mark
        globalLogPublisher.addObserver(self._observe)

    def client(
        self,
        serializer: type[Serializer] = V2,
        *,
        direct: bool = True,
        address: str | None = None,
        principal: Principal = ANYBODY,
    ) -> Client:
        """Connect one more client."""
        budget = self.addresses.budget(address, self.clock.seconds())
        client = Client(
            self,
            serializer,
            direct,
            address,
            self._high_water_mark,
            self._limits,
            budget,
            principal,
        )
        self.clients.append(client)
        self.registry.add(client)
        return client

    def members(self, count: int, topic: str = "flow:f") -> list[Client]:
        """Connect clients that have joined a topic and seen all that this caused."""
        clients = [self.client() for _ in range(count)]
        for client in clients:
            client.join(topic)
        self.settle()
        for client in clients:
            client.received()
        return clients

    def settle(self) -> None:
        """Turn the reactor until nothing is left to be done soon."""
        for _ in range(4):
            while self._busy():
                self.clock.turn()
            self.clock.advance(MAX_HOLD)

    def events(self, name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """The measurements and the metadata of the telemetry events of one name."""
        return [(values, about) for told, values, about in self.told if told == name]

    def flow(self, flow_id: str = "f") -> Any:
        """The live session of a flow."""
        return self.service.get(flow_id)

    def end(self) -> None:
        """Everybody leaves: nothing may be left, and nothing may have failed."""
        globalLogPublisher.removeObserver(self._observe)
        self.registry.stopService()
        for client in self.clients:
            client.cut()
        self.clock.advance(LINGER)
        self.settle()
        if self.nodes is not None:
            self.nodes.stopService()
        assert not len(self.registry), "a client is left"
        assert not list(self.service.sessions()), "a session is left"
        assert not self.clock.getDelayedCalls(), "a delayed call is left"
        assert not self.failures, f"something failed: {self.failures[0]}"

    def _busy(self) -> bool:
        if self.clock.is_stopped:
            return False
        now = self.clock.seconds()
        due = any(call.getTime() <= now for call in self.clock.getDelayedCalls())
        readable = any(reader.socket.incoming for reader in self.clock.readers)
        writable = any(writer.socket.room != 0 for writer in self.clock.writers)
        return due or readable or writable

    def _observe(self, event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.error:
            self.failures.append(event)


__all__ = ["START", "V1", "V2", "Client", "Message", "Reactor", "Socket", "World"]
