"""Thousands of members in one thread: raw WebSockets that are told apart by what they were sent."""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from attacker import frame

HOST = "127.0.0.1"
READ_BYTES = 1 << 18
JOINING = 64
"""How many are connecting or joining at any time."""

HEARTBEAT_SECONDS = 25.0
CONNECT_SECONDS = 30.0
EVENT_BYTES = 200
"""Of a message: enough to tell its event."""

HEARTBEAT = frame(b'[null,"h","phoenix","heartbeat",{}]')


class CrowdError(Exception):
    """A member was sent, or wasn't, what it should have been; says what."""


class Member:
    """
    A member of a flow in document mode.

    :param number: among all members.
    :param principal_id: who it is.
    :param token: that it shows.
    :param opened: the versions in frames of entries that any member has opened.

    :ivar version: of the last entry that it has; ``None`` until it has joined.
    :ivar revoked_at: when it was told that it may no longer be here; ``None`` while it may.
    :ivar closed_at: when its channel was closed; likewise.
    """

    __slots__ = (
        "_data",
        "_is_open",
        "_opened",
        "_refs",
        "_socket",
        "closed_at",
        "flow",
        "number",
        "principal_id",
        "revoked_at",
        "token",
        "version",
    )

    def __init__(
        self,
        number: int,
        flow: str,
        principal_id: str,
        token: str,
        opened: dict[bytes, list[int]],
    ) -> None:
        self.number = number
        self.flow = flow
        self.principal_id = principal_id
        self.token = token
        self.version: int | None = None
        self.revoked_at: float | None = None
        self.closed_at: float | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._data = b""
        self._is_open = False
        self._opened = opened
        self._refs = 1

    def fileno(self) -> int:
        return self._socket.fileno()

    def connect(self, port: int) -> None:
        self._socket.settimeout(CONNECT_SECONDS)
        self._socket.connect((HOST, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        encoded = base64.urlsafe_b64encode(self.token.encode()).decode().rstrip("=")
        self._socket.sendall(
            f"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: {HOST}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.{encoded}\r\n\r\n".encode()
        )
        self._socket.setblocking(False)

    def send(self, data: bytes) -> None:
        """Send what is short: it goes into the socket's buffer at once."""
        self._socket.setblocking(True)
        self._socket.sendall(data)
        self._socket.setblocking(False)

    def patch(self, patch: object) -> None:
        self._refs += 1
        payload = json.dumps({"op_id": self._refs, "patch": patch})
        self.send(frame(f'["1","{self._refs}","flow:{self.flow}","patch",{payload}]'.encode()))

    def close(self) -> None:
        self._socket.close()

    def read(self) -> None:
        """
        Take what has arrived.

        :raises CrowdError: when the server cuts the connection, or sends what it may not.
        """
        while True:
            try:
                data = self._socket.recv(READ_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                raise CrowdError(f"member {self.number} was cut off: {error}") from None
            if not data:
                raise CrowdError(f"member {self.number} was cut off")
            self._data = self._take(self._data + data if self._data else data)
            if len(data) < READ_BYTES:
                return

    def _take(self, data: bytes) -> bytes:
        """Take the head of the answer, and then frames; give what is left."""
        if self._is_open:
            return self.take_frames(data)
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            return data
        if b" 101 " not in head[:20]:
            raise CrowdError(f"member {self.number} may not connect: {data[:300]!r}")
        self._is_open = True
        payload = json.dumps({"mode": "document", "client_id": f"client-{self.number:06}"})
        self.send(frame(f'["1","1","flow:{self.flow}","phx_join",{payload}]'.encode()))
        return self.take_frames(rest)

    def take_frames(self, data: bytes) -> bytes:
        """Take whole frames; give what is left."""
        at = 0
        while len(data) - at >= 2:
            size, begin = data[at + 1], at + 2
            if size == 126:
                begin = at + 4
                size = int.from_bytes(data[at + 2 : begin], "big")
            elif size == 127:
                begin = at + 10
                size = int.from_bytes(data[at + 2 : begin], "big")
            if len(data) < begin + size:
                break
            self._on_frame(data[at] & 15, data[begin : begin + size])
            at = begin + size
        return data[at:]

    def _on_frame(self, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self.send(frame(payload, 10))
        elif opcode == 8:
            code = int.from_bytes(payload[:2], "big")
            raise CrowdError(f"member {self.number} was closed with {code}")
        elif opcode == 1:
            self._on_text(payload)

    def _on_text(self, payload: bytes) -> None:
        start = payload[:EVENT_BYTES]
        if b'"presence_' in start:
            return
        if b'"entries"' in start and b'"phx_reply"' not in start:
            self._on_entries(payload)
        elif b'"phx_reply"' in start:
            self._on_reply(payload)
        elif b'"access_revoked"' in start:
            self.revoked_at = time.monotonic()
        elif b'"phx_close"' in start and self.revoked_at is not None:
            self.closed_at = time.monotonic()
        elif any(event in start for event in (b'"phx_close"', b'"phx_error"', b'"reset"')):
            raise CrowdError(f"member {self.number} was sent {payload[:300]!r}")

    def _on_reply(self, payload: bytes) -> None:
        if b'"status":"ok"' not in payload[:EVENT_BYTES]:
            raise CrowdError(f"member {self.number} was refused: {payload[:300]!r}")
        if self.version is None and payload.startswith(b'["1","1"'):
            self.version = json.loads(payload)[4]["response"]["version"]

    def _on_entries(self, payload: bytes) -> None:
        if self.revoked_at is not None:
            raise CrowdError(f"member {self.number} got an entry that it may not see any more")
        versions = self._opened.get(payload)
        if versions is None:
            if len(self._opened) > 1000:
                self._opened.clear()
            entries = json.loads(payload)[4]["entries"]
            versions = self._opened[payload] = [entry["version"] for entry in entries]
        for version in versions:
            if self.version is None or version != self.version + 1:
                raise CrowdError(f"member {self.number} has {self.version}, and got {version}")
            self.version = version


@dataclass(frozen=True)
class Answer:
    """
    What a request was answered.

    :ivar sent_at, answered_at: in the time of ``time.monotonic``.
    """

    status: int
    content: bytes
    sent_at: float
    answered_at: float


class Asker:
    """Makes one request at a time, over a connection that stays, and doesn't block meanwhile."""

    def __init__(self, port: int, token: str) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=CONNECT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._token = token
        self._data = b""
        self._sent_at = 0.0
        self._answered: Callable[[Answer], object] | None = None

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def is_free(self) -> bool:
        return self._answered is None

    def ask(
        self, method: str, path: str, body: object, answered: Callable[[Answer], object]
    ) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        self._answered, self._data = answered, b""
        self._sent_at = time.monotonic()
        self._socket.sendall(head.encode() + content)

    def read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := self._socket.recv(READ_BYTES):
                self._data += data
            raise CrowdError("a request's connection was cut off")
        head, end, content = self._data.partition(b"\r\n\r\n")
        if not end or self._answered is None:
            return
        status, *lines = head.split(b"\r\n")
        headers = http.client.parse_headers(io.BytesIO(b"\r\n".join(lines) + b"\r\n\r\n"))
        length = int(headers.get("Content-Length") or 0)
        if headers.get("Transfer-Encoding") == "chunked":
            if not content.endswith(b"0\r\n\r\n"):
                return
        elif len(content) < length:
            return
        answered, self._answered = self._answered, None
        answered(Answer(int(status.split()[1]), content, self._sent_at, time.monotonic()))

    def close(self) -> None:
        self._socket.close()


class Crowd:
    """
    Members and what asks for changes, in one loop.

    :param port: of the server.
    """

    def __init__(self, port: int) -> None:
        self.members: list[Member] = []
        self._port = port
        self._epoll = select.epoll()
        self._readers: dict[int, Member | Asker] = {}
        self._opened: dict[bytes, list[int]] = {}
        self._beating = 0
        self._beat_at = time.monotonic()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._readers.values():
            reader.close()
        self._epoll.close()

    def asker(self, token: str) -> Asker:
        """Make what asks, by a token."""
        asker = Asker(self._port, token)
        self._watch(asker)
        return asker

    def dismiss(self, asker: Asker) -> None:
        """End what asks."""
        del self._readers[asker.fileno()]
        asker.close()

    def join(self, wanted: Iterable[tuple[str, str, str]], seconds: float) -> list[Member]:
        """
        Let members join.

        :param wanted: of each the flow, who it is, and the token.
        :param seconds: within which all must have joined.
        """
        waiting, under_way = deque(wanted), list[Member]()
        came: list[Member] = []
        until = time.monotonic() + seconds
        while waiting or under_way:
            while waiting and len(under_way) < JOINING:
                member = Member(len(self.members), *waiting.popleft(), self._opened)
                member.connect(self._port)
                self._watch(member)
                self.members.append(member)
                under_way.append(member)
                came.append(member)
            self.turn(0.1)
            under_way = [member for member in under_way if member.version is None]
            if time.monotonic() > until:
                raise CrowdError(f"{len(waiting) + len(under_way)} have not joined")
        return came

    def turn(self, seconds: float) -> None:
        """Take what arrives, for so long at most; returns after the first that does."""
        self._beat()
        for number, _ in self._epoll.poll(seconds):
            self._readers[number].read()

    def run(self, seconds: float) -> None:
        """Take what arrives for so long."""
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            self.turn(min(rest, 0.01))

    def run_until(self, reached: Callable[[], bool], seconds: float, what: str) -> None:
        """
        Take what arrives until something is so.

        :raises CrowdError: when it isn't within this time.
        """
        until = time.monotonic() + seconds
        while not reached():
            self.turn(0.01)
            if time.monotonic() > until:
                raise CrowdError(f"after {seconds:g} s, {what}")

    def _watch(self, reader: Member | Asker) -> None:
        self._readers[reader.fileno()] = reader
        self._epoll.register(reader.fileno(), select.EPOLLIN)

    def _beat(self) -> None:
        """Send heartbeats, of each member one in a while, spread evenly."""
        if not self.members:
            return
        now = time.monotonic()
        step = HEARTBEAT_SECONDS / len(self.members)
        while self._beat_at < now:
            self._beat_at += step
            self._beating = (self._beating + 1) % len(self.members)
            self.members[self._beating].send(HEARTBEAT)
