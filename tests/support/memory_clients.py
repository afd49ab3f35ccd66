"""Clients of a server in memory (`Stack`): over HTTP, a WebSocket, and long polling."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from http.client import HTTPMessage, HTTPResponse
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import attrs
from twisted.internet.task import Clock

from helix.web.site import HelixSite
from tests.support.rawsocket import Frame, build_frame, parse_frames
from tests.support.transport import MemoryTransport

if TYPE_CHECKING:
    from tests.support.stack import Stack


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
    A connection of a client to a server in memory, for requests of HTTP.

    :param address: where it comes from; ``None`` for a unix socket.
    """

    def __init__(self, site: HelixSite, clock: Clock, address: str | None = "127.0.0.1") -> None:
        self.transport = MemoryTransport(clock, address)
        self._clock = clock
        self._methods: list[str] = []
        self.transport.protocol = site.buildProtocol(self.transport.getPeer())
        self.transport.protocol.makeConnection(self.transport)

    @property
    def gone(self) -> bool:
        """Whether the server has closed or cut the connection."""
        return self.transport.lost

    def send(self, data: bytes) -> None:
        """Send ``data`` as one segment, if the server still reads."""
        if not self.transport.lost and not self.transport.disconnecting:
            self.transport.receive(data)

    def take(self) -> bytes:
        """What has come since the last time."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

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

    def forget(self) -> None:
        """Forget what was asked and answered."""
        self.transport.clear()
        self._methods.clear()

    def lose(self) -> None:
        """The connection breaks, and the server is told."""
        self.transport.peer_is_gone()
        self._clock.advance(0)


class MemoryWebSocket(MemoryConnection):
    """A `MemoryConnection` on which a WebSocket was asked for."""

    def send_frame(self, opcode: int, payload: bytes = b"") -> None:
        """Send one frame."""
        self.send(build_frame(opcode, payload))

    def take_frames(self) -> list[Frame]:
        """`take`, as frames."""
        return parse_frames(self.take())


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
