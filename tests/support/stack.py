"""The whole server but its reactor: a `Clock` drives it, and its connections are in memory."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPMessage, HTTPResponse
from io import BytesIO
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import attrs
import pytest
from prometheus_client import disable_created_metrics
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from helix.config import Config, read_config
from helix.store.memory import MemoryStore
from helix.web.editor_files import EditorFiles
from helix.web.site import HelixSite
from helix.wiring import build_server
from tests.support.rawsocket import upgrade_request
from tests.support.world import Wall, open_memory_store

NOW = 1_700_000_000
"""What the clock of a `Stack` shows at first, in Unix seconds."""


class _Unclosed(BytesIO):
    """What ``http.client`` may close while more answers follow in it."""

    def makefile(self, mode: str) -> BytesIO:
        """``http.client``'s call."""
        return self

    def close(self) -> None:
        """Stay open."""


@attrs.frozen
class Answer:
    """One HTTP answer."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def content_type(self) -> str | None:
        return self.headers["content-type"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """All that the client can see, for looking for what must not be there."""
        return f"{self.headers}\n{self.body.decode('latin-1')}"


def parse_answers(data: bytes, methods: Sequence[str] = ()) -> tuple[list[Answer], bytes]:
    """
    The complete answers at the start of ``data``, and what follows them.

    :param methods: those of the requests; GET is assumed beyond.
    """
    stream = _Unclosed(data)
    answers = []
    end = 0
    while b"\r\n\r\n" in data[end:]:
        method = methods[len(answers)] if len(answers) < len(methods) else "GET"
        response = HTTPResponse(stream, method=method)  # type: ignore[arg-type]  # a file does
        response.begin()
        body = b"" if response.status == 101 else response.read()
        answers.append(Answer(response.status, response.headers, body))
        end = stream.tell()
    return answers, data[end:]


class MemoryConnection:
    """
    A connection to a `Stack`.

    :param address: where it comes from; ``None`` for a unix socket.
    """

    def __init__(self, site: HelixSite, address: str | None = "127.0.0.1") -> None:
        peer = UNIXAddress(None) if address is None else IPv4Address("TCP", address, 50_000)
        self.transport = StringTransport(peerAddress=peer)
        protocol = site.buildProtocol(peer)
        assert protocol is not None
        self.transport.protocol = protocol
        protocol.makeConnection(self.transport)
        self._methods: list[str] = []

    def send(self, data: bytes) -> None:
        """Bytes from the client."""
        self.transport.protocol.dataReceived(data)

    def request(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> None:
        """Send a request, its target as it is given."""
        lines = [f"{method} {target} HTTP/1.1", "Host: helix.test"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self._methods.append(method)
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))

    @property
    def answers(self) -> list[Answer]:
        """The complete answers that have come."""
        return parse_answers(self.transport.value(), self._methods)[0]

    @property
    def answer(self) -> Answer:
        """The one answer that has come."""
        (answer,) = self.answers
        return answer

    def lose(self) -> None:
        """The connection breaks."""
        self.transport.protocol.connectionLost(Failure(ConnectionDone()))


class WorkClock:
    """
    What the reactor's thread has taken, by its own account.

    :ivar step: seconds that everything takes which is measured.
    """

    def __init__(self) -> None:
        self.step = 0.0
        self._taken = 0.0

    def __call__(self) -> float:
        self._taken += self.step
        return self._taken


class Stack:
    """
    The parts of a server, wired as `helix.tap` does.

    :param wrap_store: puts something in front of the store in memory.
    :param editor: what was built of it.
    :param options: of ``twistd helix``, with underscores; several values in a list.
    """

    def __init__(
        self,
        wrap_store: Callable[[MemoryStore], Any] = lambda store: store,
        editor: EditorFiles | None = None,
        **options: object,
    ) -> None:
        self.config = make_config(**{"allow_host": "*", **options})
        config = self.config
        disable_created_metrics()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.wall = Wall(self.clock)
        self.store = wrap_store(open_memory_store())
        self.work = WorkClock()
        server = build_server(
            config, self.clock, self.wall, Random(1), self.store, editor, self.work
        )
        self.telemetry, self.site = server.telemetry, server.site
        self.sessions, self.clients = server.sessions, server.clients

    def connect(self, address: str | None = "127.0.0.1") -> MemoryConnection:
        """A new connection."""
        return MemoryConnection(self.site, address)

    def request(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        address: str | None = "127.0.0.1",
    ) -> Answer:
        """Request over a connection of its own, and the answer that must be there at once."""
        connection = self.connect(address)
        connection.request(method, target, headers, body)
        return connection.answer

    def get(self, target: str, *headers: tuple[str, str]) -> Answer:
        """A GET, as `request`."""
        return self.request("GET", target, headers)

    def post_json(self, target: str, value: object, *headers: tuple[str, str]) -> Answer:
        """A POST of ``value`` as JSON, as `request`."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.request("POST", target, [("Content-Type", "application/json"), *headers], body)

    def upgrade(
        self,
        query: str = "vsn=2.0.0",
        *headers: tuple[str, str],
        address: str | None = "127.0.0.1",
    ) -> MemoryConnection:
        """Ask for a WebSocket."""
        connection = self.connect(address)
        connection.send(upgrade_request(f"/socket/websocket?{query}", headers))
        return connection

    def poller(self, query: str = "vsn=2.0.0", address: str | None = "127.0.0.1") -> Poller:
        """A client that polls."""
        return Poller(self, query, address)

    def member(self, flow_id: str, query: str = "vsn=2.0.0") -> Poller:
        """A client that polls and has joined a flow; it has read what the join brought."""
        poller = self.poller(query)
        poller.join(flow_id)
        return poller


def make_config(**options: object) -> Config:
    """The configuration that ``options`` and the defaults make."""
    given = {
        name.replace("_", "-"): [
            str(one) for one in (value if isinstance(value, list) else [value])
        ]
        for name, value in options.items()
    }
    return read_config(given, {})


class Poller:
    """A client of long polling."""

    def __init__(
        self, stack: Stack, query: str = "vsn=2.0.0", address: str | None = "127.0.0.1"
    ) -> None:
        self._stack = stack
        self._query = query
        self._address = address
        self._ref = 0
        opened = self._request("GET", query).answer
        assert opened.json["status"] == 410, opened
        self.token: str = opened.json["token"]

    @property
    def query(self) -> str:
        """What each request carries."""
        return f"{self._query}&{urlencode({'token': self.token})}"

    def start_poll(self) -> MemoryConnection:
        """A poll, which may be answered later."""
        return self._request("GET", self.query)

    def poll(self) -> dict[str, Any]:
        """The body of a poll that is answered in this turn of the reactor."""
        connection = self.start_poll()
        self._stack.clock.advance(0)
        body: dict[str, Any] = connection.answer.json
        return body

    def messages(self) -> list[Any]:
        """The messages that wait, decoded; they must be some."""
        answer = self.poll()
        assert answer["status"] == 200, answer
        return [json.loads(message) for message in answer["messages"]]

    def post(self, body: bytes, content_type: str = "application/x-ndjson") -> dict[str, Any]:
        """The body of the answer to a POST."""
        answer = self._request("POST", self.query, [("Content-Type", content_type)], body).answer
        assert answer.status == 200, answer
        posted: dict[str, Any] = answer.json
        return posted

    def push(self, topic: str, event: str, payload: object = None, **refs: object) -> str:
        """Push one frame; its ref."""
        self._ref += 1
        ref = str(self._ref)
        frame = [refs.get("join_ref"), ref, topic, event, {} if payload is None else payload]
        if event == "phx_join":
            frame[0] = ref
        assert self.post(json.dumps(frame).encode()) == {"status": 200}
        return ref

    def push_binary(self, topic: str, event: str, data: bytes) -> dict[str, Any]:
        """Push one binary frame."""
        strings = [b"", b"9", topic.encode(), event.encode()]
        frame = bytes([0, *map(len, strings)]) + b"".join(strings) + data
        return self.post(base64.b64encode(frame))

    def join(self, flow_id: str) -> str:
        """Join a flow and read what that brings; the join_ref."""
        topic = f"flow:{flow_id}"
        ref = self.push(topic, "phx_join")
        reply, joined = self.messages()
        assert reply == [ref, ref, topic, "phx_reply", {"status": "ok", "response": {}}]
        assert joined[3] == "client_joined"
        return ref

    def _request(
        self,
        method: str,
        query: str,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> MemoryConnection:
        connection = self._stack.connect(self._address)
        connection.request(method, f"/socket/longpoll?{query}", headers, body)
        return connection


def escaped(flow_id: str) -> str:
    """A flow id as part of an address."""
    return quote(flow_id, safe="")


class Log:
    """What was logged, at every level."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        """Twisted's call."""
        self.events.append(event)

    @property
    def failures(self) -> list[LogEvent]:
        """The events that tell of a fault."""
        return [event for event in self.events if "log_failure" in event]

    @property
    def text(self) -> str:
        """All of it, the fields of the events too."""
        return "\n".join(f"{formatEvent(event)} {event}" for event in self.events)


@pytest.fixture
def logged() -> Iterator[Log]:
    """What the test logs; a fault among it fails the test."""
    log = Log()
    globalLogPublisher.addObserver(log)
    yield log
    globalLogPublisher.removeObserver(log)
    assert not log.failures, log.failures[0]["log_failure"].getTraceback()
