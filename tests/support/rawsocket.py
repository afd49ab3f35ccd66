"""A WebSocket client that can say anything, right or wrong (RFC 6455), over a blocking socket."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import attrs

CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

PATH = "/socket/websocket?vsn=2.0.0"
TIMEOUT = 8.0
"""Seconds after which a blocking call fails its test."""

SMALL_SEGMENT = 536
"""Bytes of the smallest segment that every TCP has to take."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MASK = b"\x37\xfa\x21\x3d"


def masked(mask: bytes, data: bytes) -> bytes:
    """XOR ``data`` with ``mask``; its own inverse."""
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


def build_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = _MASK,
    length: int | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """
    One frame, as wrong as the parameters ask for.

    :param rsv: the three reserved bits, 0 to 7.
    :param mask: four bytes, or ``None`` for a frame without a mask.
    :param length: what the header says; by default the truth.
    :param length_bytes: 0, 2 or 8: how many bytes the length takes beyond the header's second one;
        by default as few as do.
    """
    size = len(payload) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 1 << 16 else 8
    short = {0: size, 2: 126, 8: 127}[length_bytes]
    header = bytes([fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short])
    extended = size.to_bytes(length_bytes, "big") if length_bytes else b""
    if mask is None:
        return header + extended + payload
    pattern = (mask * (len(payload) // 4 + 1))[: len(payload)]
    body = int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")
    return header + extended + mask + body.to_bytes(len(payload), "big")


def close_payload(code: int, reason: bytes = b"") -> bytes:
    """The payload of a close frame."""
    return struct.pack("!H", code) + reason


@attrs.frozen
class Frame:
    """One frame from the server."""

    opcode: int
    payload: bytes
    fin: bool = True

    @property
    def close_code(self) -> int | None:
        """The code of a close frame, if it has one."""
        return struct.unpack("!H", self.payload[:2])[0] if len(self.payload) >= 2 else None


def split_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """
    Split what a server sent (RFC 6455, 5.2).

    :return: the first byte and the payload of each whole WebSocket frame, and what is left.
    """
    frames = []
    at = 0
    while at + 2 <= len(data):
        size, start = data[at + 1], at + 2
        if size > 125:
            start += 2 if size == 126 else 8
            size = int.from_bytes(data[at + 2 : start], "big")
        if start + size > len(data):
            break
        frames.append((data[at], data[start : start + size]))
        at = start + size
    return frames, data[at:]


def parse_frames(data: bytes) -> list[Frame]:
    """The frames that a server sent; ``data`` ends with one."""
    frames, rest = split_frames(data)
    assert not rest, "a frame is cut off"
    return [Frame(first & 0x0F, payload, bool(first & 0x80)) for first, payload in frames]


@attrs.frozen
class Response:
    """The head of an HTTP answer, and its body where it says how long that is."""

    status: int
    headers: dict[str, str]
    body: bytes


class EndOfStream(Exception):
    """The server closed or cut the TCP connection."""


class RawConnection:
    """
    A TCP connection to a server on the loopback interface, with bounded reads.

    :param port: a TCP port, or a socket that is connected already.
    :param receive_buffer: the size of the socket's receive buffer, for a client that reads little.
        Its segments are small then too, from which the server's kernel sizes its own buffer.
    """

    def __init__(
        self,
        port: int | socket.socket,
        *,
        timeout: float = TIMEOUT,
        receive_buffer: int | None = None,
    ) -> None:
        if isinstance(port, int):
            self.sock = socket.socket()
            if receive_buffer is not None:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT)
            self.sock.connect(("127.0.0.1", port))
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.sock = port
        self.sock.settimeout(timeout)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket in order."""
        self.sock.close()

    def reset(self) -> None:
        """Cut the connection off with a TCP RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send all of ``data``, or as much as goes before the server closes: reading tells that."""
        with suppress(ConnectionError):
            self.sock.sendall(data)

    def read_exactly(self, size: int) -> bytes:
        """
        Read ``size`` bytes.

        :raises EndOfStream: when the server closed or cut the connection before.
        """
        while len(self._buffer) < size:
            self._fill()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def read_until(self, end: bytes) -> bytes:
        """Read up to and with ``end``, as `read_exactly`."""
        while end not in self._buffer:
            self._fill()
        data, _, self._buffer = self._buffer.partition(end)
        return data + end

    def read_response(self) -> Response:
        """Read one HTTP answer that carries a ``Content-Length`` or has no body."""
        head = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {}
        for line in head[1:-2]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        status = int(head[0].split(" ", 2)[1])
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(self.read_until(b"\r\n"), 16):
                body += self.read_exactly(size)
                self.read_exactly(2)
            self.read_exactly(2)
        else:
            body = self.read_exactly(int(headers.get("content-length", "0")))
        return Response(status, headers, body)

    def read_to_end(self) -> bytes:
        """Read until the server closes or cuts the connection."""
        while True:
            try:
                self._fill()
            except EndOfStream:
                data, self._buffer = self._buffer, b""
                return data

    def _fill(self) -> None:
        try:
            data = self.sock.recv(65536)
        except (ConnectionError, BrokenPipeError) as error:
            raise EndOfStream() from error
        if not data:
            raise EndOfStream()
        self._buffer += data


def upgrade_request(
    path: str = PATH, headers: Sequence[tuple[str, str]] = (), key: str = "dGhlIHNhbXBsZSBub25jZQ=="
) -> bytes:
    """The opening handshake of a client; ``headers`` come on top."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n"


class RawWebSocket(RawConnection):
    """
    A WebSocket after its opening handshake.

    :param path: the address and query.
    :param headers: on top of those of the handshake.
    """

    def __init__(
        self,
        port: int | socket.socket,
        path: str = PATH,
        headers: Sequence[tuple[str, str]] = (),
        *,
        timeout: float = TIMEOUT,
        receive_buffer: int | None = None,
    ) -> None:
        super().__init__(port, timeout=timeout, receive_buffer=receive_buffer)
        key = base64.b64encode(os.urandom(16)).decode()
        self.send(upgrade_request(path, headers, key))
        self.response = self.read_response()
        assert self.response.status == 101, self.response
        accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
        assert self.response.headers["sec-websocket-accept"] == accept
        self._ref = 0

    def send_frame(self, opcode: int, payload: bytes = b"", **how: object) -> None:
        """Send one frame, as `build_frame` makes it."""
        self.send(build_frame(opcode, payload, **how))  # type: ignore[arg-type]

    def send_json(self, message: object) -> None:
        """Send one text frame."""
        self.send_frame(TEXT, json.dumps(message).encode())

    def read_frame(self) -> Frame:
        """
        Read one frame and check that a server may send it.

        :raises EndOfStream: when the connection ends instead.
        """
        first, second = self.read_exactly(2)
        assert first & 0x70 == 0, f"reserved bits are set: {first:#x}"
        assert second < 0x80, "a server's frame is masked"
        size = second
        if size == 126:
            size = int.from_bytes(self.read_exactly(2), "big")
            assert size >= 126
        elif size == 127:
            size = int.from_bytes(self.read_exactly(8), "big")
            assert size >= 1 << 16
        frame = Frame(first & 0x0F, self.read_exactly(size), bool(first & 0x80))
        assert frame.opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG)
        if frame.opcode == TEXT and frame.fin:
            frame.payload.decode()
        return frame

    def read_json(self) -> list[object]:
        """Read one frame, which must be the text of an array."""
        frame = self.read_frame()
        assert frame.opcode == TEXT, frame
        message = json.loads(frame.payload)
        assert isinstance(message, list)
        return message

    def read_until_reply(self, ref: str) -> list[list[object]]:
        """Read messages up to and with the reply to ``ref``, at most 100,000."""
        seen = []
        for _ in range(100_000):
            seen.append(self.read_json())
            if seen[-1][1] == ref and seen[-1][3] == "phx_reply":
                return seen
        raise AssertionError(f"no reply to {ref} came")

    def ask(
        self, topic: str, event: str, payload: object = None, join_ref: str | None = None
    ) -> list[object]:
        """Push and wait for the reply, leaving out what comes before."""
        self._ref += 1
        ref = f"ask-{self._ref}"
        if event == "phx_join":
            join_ref = ref
        self.send_json([join_ref, ref, topic, event, {} if payload is None else payload])
        return self.read_until_reply(ref)[-1]

    def join(self, topic: str) -> str:
        """Join a flow's topic and read up to its ``client_joined``; the join_ref."""
        reply = self.ask(topic, "phx_join")
        assert reply[4] == {"status": "ok", "response": {}}, reply
        assert self.read_json()[3] == "client_joined"
        return str(reply[0])

    def assert_alive(self) -> None:
        """A heartbeat is answered."""
        reply = self.ask("phoenix", "heartbeat")
        assert reply[3:] == ["phx_reply", {"status": "ok", "response": {}}], reply

    def read_close(self) -> int | None:
        """
        Read up to the server's close frame, answer it, and read to the end of the stream.

        :return: the close code.
        """
        frame = self.read_frame()
        while frame.opcode != CLOSE:
            frame = self.read_frame()
        assert len(frame.payload) <= 125
        assert len(frame.payload) != 1
        frame.payload[2:].decode()
        self.send_frame(CLOSE, frame.payload)
        assert self.read_to_end() == b"", "something came after the close frame"
        return frame.close_code
