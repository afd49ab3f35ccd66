"""
A small server of one flow, in memory, that speaks document mode to `FlowClient`s on a `Clock`.

It is Autobahn's on the other end of a wire in memory, so the client's side is real. What comes and
what goes can be held, and let through one message at a time.
"""

from __future__ import annotations

import copy
import json
from collections import deque
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from zope.interface import implementer

from helix.channels.patch_order import PatchOrder
from helix.documents.document import FlowDocument
from helix.documents.ids import public_id
from helix.documents.text_merge import merge_patch
from helix.errors import HelixError, OutOfOrder
from tests.support.transport import MemoryTransport

FLOW = "f"
TOPIC = "flow:f"
URL = "ws://helix.test/socket"


class _Protocol(WebSocketServerProtocol):
    connection: Connection

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.connection.arrived.append(json.loads(payload))

    def onClose(self, wasClean: bool, code: Any, reason: Any) -> None:
        self.connection.is_gone = True


class Wire(MemoryTransport):
    """One end of a connection."""

    def unregisterProducer(self) -> None:
        if self.producer is not None:  # Twisted's TCP transports don't mind, either
            super().unregisterProducer()
        self._close_if_done()


class Connection:
    """
    One connection of a client.

    :ivar arrived: messages of the client's that the server hasn't looked at.
    :ivar leaving: messages for the client that haven't been sent.
    :ivar seen: all messages that the server looked at.
    :ivar join_ref: of the joined channel, if there is one.
    """

    def __init__(self, server: FlowServer) -> None:
        self.server = server
        self.arrived: deque[list[Any]] = deque()
        self.leaving: deque[list[Any]] = deque()
        self.seen: list[list[Any]] = []
        self.join_ref: str | None = None
        self.client_id = ""
        self.order = PatchOrder()
        self.is_gone = False
        factory = WebSocketServerFactory(reactor=server.clock)
        factory.setProtocolOptions(openHandshakeTimeout=0, closeHandshakeTimeout=0)
        self.protocol = _Protocol()
        self.protocol.factory = factory
        self.protocol.connection = self
        self.here = Wire(server.clock)
        self.there = Wire(server.clock)

    @property
    def authorization(self) -> str | None:
        """What the client showed of who it is."""
        shown: str | None = self.protocol.http_headers.get("authorization")
        return shown

    # the wire

    def open(self, client: Any) -> None:
        self.here.protocol, self.there.protocol = self.protocol, client
        self.protocol.makeConnection(self.here)
        client.makeConnection(self.there)

    def carry(self) -> bool:
        """Carry what was written across; say whether there was anything."""
        moved = False
        for transport, other in ((self.there, self.here), (self.here, self.there)):
            data = transport.value()
            transport.clear()
            if transport is self.here and self.server.room is not None:
                data, rest = data[: self.server.room], data[self.server.room :]
                self.server.room -= len(data)
                transport.io.write(rest)
            if data and not other.lost:
                other.protocol.dataReceived(data)
                moved = True
            if transport.lost and not other.lost:
                other.peer_is_gone()
                moved = True
        return moved

    def cut(self) -> None:
        """The connection is lost, with all that is under way."""
        self.arrived.clear()
        self.leaving.clear()
        self.join_ref = None
        self.is_gone = True
        self.here.abortConnection()
        self.there.peer_is_gone()

    def close(self, code: int) -> None:
        """The server closes the connection."""
        self.join_ref = None
        self.protocol.sendCloseFrame(code=code, isReply=False)

    # messages

    def look(self) -> bool:
        """Look at the next message of the client's, if there is one."""
        if not self.arrived or self.is_gone:
            return False
        message = self.arrived.popleft()
        self.seen.append(message)
        join_ref, ref, _, event, payload = message
        if event == "heartbeat" and not self.server.answers_heartbeats:
            return True
        answer = {
            "heartbeat": self._beat,
            "phx_join": self._join,
            "patch": self._patch,
            "access_token": self._renew,
        }
        answer[event](join_ref, ref, payload)
        return True

    def send(self) -> bool:
        """Send the client its next message, if there is one."""
        if not self.leaving or self.is_gone:
            return False
        message = self.leaving.popleft()
        if self.protocol.state == self.protocol.STATE_OPEN:
            self.protocol.sendMessage(json.dumps(message).encode())
        return True

    def push(self, join_ref: Any, ref: Any, event: str, payload: Any) -> None:
        topic = "phoenix" if event == "phx_reply" and join_ref is None else TOPIC
        self.leaving.append([join_ref, ref, topic, event, copy.deepcopy(payload)])

    def end(self, event: str) -> None:
        """End the channel from the server's side."""
        join_ref, self.join_ref = self.join_ref, None
        self.push(join_ref, join_ref, event, {})

    def reply(self, join_ref: Any, ref: Any, response: Any, status: str = "ok") -> None:
        self.push(join_ref, ref, "phx_reply", {"status": status, "response": response})

    def events(self, event: str) -> list[Any]:
        """The payloads of all messages of a kind that the server looked at."""
        return [message[4] for message in self.seen if message[3] == event]

    def _beat(self, join_ref: Any, ref: Any, payload: Any) -> None:
        self.reply(None, ref, {})

    def _renew(self, join_ref: Any, ref: Any, payload: Any) -> None:
        if self.server.renew_error is not None:
            self.reply(join_ref, ref, self.server.renew_error, "error")
        else:
            self.reply(join_ref, ref, {})

    def _join(self, join_ref: Any, ref: Any, payload: Any) -> None:
        server = self.server
        if server.join_error is not None:
            self.reply(join_ref, ref, server.join_error, "error")
            return
        self.join_ref, self.client_id = join_ref, payload["client_id"]
        self.order = PatchOrder()
        response = {
            "client_id": public_id(self.client_id),
            "epoch": server.epoch,
            "version": len(server.log),
            "chain": server.chain,
            "last_op_id": max(server.known.get(self.client_id, ()), default=None),
            "role": "editor",
            "recovered": False,
            "limits": server.limits,
        }
        after = payload.get("version", -1)
        if payload.get("epoch") == server.epoch and after <= len(server.log) and server.resumes:
            response |= {"recovered": True, "entries": server.log[after:]}
        else:
            response |= {"document": server.document.content}
        self.reply(join_ref, ref, response)

    def _patch(self, join_ref: Any, ref: Any, payload: Any) -> None:
        if self.join_ref is None:
            self.reply(None, ref, {"reason": "unmatched topic"}, "error")
            return
        op_id = payload["op_id"]
        try:
            self.order.take_turn(op_id)
        except OutOfOrder:
            self._refuse(join_ref, ref, "out_of_order", True)
            return
        if self.server.refuse_for_now:
            self.server.refuse_for_now -= 1
            self.order.fail(op_id)
            self._refuse(join_ref, ref, "store_unavailable", True)
            return
        self.order.end(op_id)
        try:
            document, bases = self.server.document.content, payload.get("bases", {})
            patch = merge_patch(document, payload["patch"], bases)
            response = self.server.take(self.client_id, op_id, patch, payload.get("tags"))
        except HelixError as error:
            self._refuse(join_ref, ref, error.code, error.retry, error.message)
        else:
            if self.server.acknowledges:
                self.reply(join_ref, ref, response)

    def _refuse(self, join_ref: Any, ref: Any, code: str, retry: bool, reason: str = "no") -> None:
        self.reply(join_ref, ref, {"reason": reason, "code": code, "retry": retry}, "error")


class FlowServer:
    """
    The server, with the network to it.

    :ivar known: at which versions the log holds submissions, by client and number.
    :ivar judged: the submissions that were taken or refused for good, answered or not.
    :ivar connections: all that there ever were.
    :ivar refuses: whether nothing listens.
    :ivar hangs: whether connecting takes for ever.
    :ivar join_error: the error reply to joins, if they fail.
    :ivar renew_error: the error reply to other tokens, if none is taken.
    :ivar refuse_for_now: how many patches are to fail with ``retry``.
    :ivar room: how many bytes may still reach clients; ``None`` for all.
    :ivar resumes: whether a resume is answered with entries.
    :ivar acknowledges: whether patches are answered, when they are taken.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.epoch = "e1"
        self.document = FlowDocument.empty()
        self.log: list[dict[str, Any]] = []
        self.known: dict[str, dict[int, int]] = {}
        self.judged: set[tuple[str | None, int | None]] = set()
        self.connections: list[Connection] = []
        self.limits: dict[str, int] = {}
        self.refuses = self.hangs = False
        self.join_error: dict[str, Any] | None = None
        self.renew_error: dict[str, Any] | None = None
        self.refuse_for_now = 0
        self.room: int | None = None
        self.resumes = self.acknowledges = self.answers_heartbeats = True

    @property
    def open_connections(self) -> list[Connection]:
        return [one for one in self.connections if not one.is_gone]

    @property
    def chain(self) -> str:
        """Stands for the log's past: no two that differ have the same."""
        return f"{self.epoch}/{len(self.log)}"

    def take(
        self, client_id: str | None, op_id: int | None, patch: Any, tags: Any = None
    ) -> dict[str, Any]:
        """Take a patch into the log, or recognise it, and tell everybody; give the answer."""
        self.judged.add((client_id, op_id))
        known = {} if client_id is None else self.known.setdefault(client_id, {})
        if op_id in known:
            entry = self.log[known[op_id] - 1]
            response = {"duplicate": True}
        else:
            dropped: list[str] = []
            effective = self.document.stage(patch, dropped=dropped)
            entry = {
                "version": len(self.log),
                "patch": copy.deepcopy(effective),
                **({"dropped": dropped} if dropped else {}),
            }
            if effective:
                self.document.apply(effective)
                name = None if client_id is None else public_id(client_id)
                made = {"version": len(self.log) + 1, "client_id": name, "op_id": op_id}
                entry |= {**made, "by": "", "at": 0.5, **({"tags": tags} if tags else {})}
                self.log.append(entry)
                self.broadcast("entries", {"entries": [entry], "chain": self.chain})
                if op_id is not None:
                    known[op_id] = len(self.log)
            response = {}
        told = {key: entry[key] for key in ("version", "patch", "dropped") if key in entry}
        return {**told, **response}

    def broadcast(self, event: str, payload: Any) -> None:
        for connection in self.connections:
            if connection.join_ref is not None:
                connection.push(None, None, event, payload)

    def replace(self, epoch: str) -> None:
        """The log is another one now: an empty one."""
        self.epoch, self.document, self.log = epoch, FlowDocument.empty(), []
        self.known.clear()
        content = self.document.content
        reset = {"epoch": epoch, "version": 0, "chain": self.chain, "document": content}
        self.broadcast("reset", reset)

    def carry(self) -> None:
        """Carry all bytes, and do what is due now; look at nothing and send nothing."""
        for _ in range(100):
            self.clock.advance(0)
            moved = [connection.carry() for connection in self.connections]
            if not any(moved):
                return
        raise AssertionError("the wire never comes to rest")

    def settle(self) -> None:
        """Let everything through."""
        for _ in range(1000):
            self.carry()
            moved = [one.look() or one.send() for one in self.connections]
            if not any(moved):
                return
        raise AssertionError("the server never comes to rest")

    def run(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass, with everything let through."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.settle()


@implementer(IStreamClientEndpoint)
class FlowEndpoint:
    """Leads to a `FlowServer`."""

    def __init__(self, server: FlowServer) -> None:
        self._server = server
        self.attempts: list[float] = []

    def connect(self, factory: Any) -> Deferred[Any]:
        self.attempts.append(self._server.clock.seconds())
        # Twisted's endpoints tell of being cancelled as of a failure to connect.
        connected: Deferred[Any] = Deferred(
            lambda waiting: waiting.errback(error.ConnectingCancelledError(None))
        )
        if self._server.hangs:
            return connected
        if self._server.refuses:
            connected.errback(error.ConnectionRefusedError("nobody listens"))
            return connected
        connection = Connection(self._server)
        self._server.connections.append(connection)
        protocol = factory.buildProtocol(connection.there.getPeer())
        connection.open(protocol)
        connected.callback(protocol)
        return connected
