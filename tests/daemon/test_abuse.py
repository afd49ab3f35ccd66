"""Clients that misbehave against a real daemon: refused, counted, and no burden to the others."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from random import Random
from typing import Any

import pytest

from helix.errors import CloseCode
from tests.support.daemon import Daemon
from tests.support.rawsocket import (
    BINARY,
    CLOSE,
    PATH,
    TEXT,
    EndOfStream,
    RawConnection,
    RawWebSocket,
    build_frame,
    close_payload,
    upgrade_request,
)
from tests.support.watched import eventually, get, metric, no_faults, running_daemon, sessions

MALFORMED_BURST = 10
ALLOWED = "https://app.example.com"
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    options = ("--allow-origin", ALLOWED, "--high-water-mark", str(128 * 1024))
    with running_daemon(tmp_path_factory.mktemp("abuse"), *options) as daemon:
        yield daemon


@pytest.fixture
def daemon(shared: Daemon) -> Iterator[Daemon]:
    """The daemon, in whose log a test leaves no fault, and in which it leaves nobody."""
    clients, before = metric(shared, "helix_connections"), flow_ids(shared)
    with no_faults(shared):
        yield shared
        eventually(lambda: metric(shared, "helix_connections") <= clients, "all are gone", 5.0)
        eventually(lambda: flow_ids(shared) <= before, "no session is left", 5.0)


def flow_ids(daemon: Daemon) -> set[object]:
    """The flows that have a session."""
    return {session["flow_id"] for session in sessions(daemon)}


@pytest.fixture
def connect(daemon: Daemon) -> Iterator[Callable[..., RawWebSocket]]:
    """A function that opens a WebSocket; all are closed behind the test."""
    with ExitStack() as opened:

        def open_one(path: str = PATH, **options: object) -> RawWebSocket:
            websocket = RawWebSocket(daemon.port, path, **options)  # type: ignore[arg-type]
            return opened.enter_context(websocket)

        yield open_one


Connect = Callable[..., RawWebSocket]


def malformed(daemon: Daemon) -> float:
    return metric(daemon, "helix_malformed_frames_total")


# frames that are no messages

DEEP = b"[" * 1000 + b"]" * 1000

MALFORMED_V2 = {
    "nothing": b"",
    "no JSON": b"hello",
    "half of JSON": b'[null,"1","phoenix","heartbeat",{}',
    "two messages": b'[null,"1","phoenix","heartbeat",{}][]',
    "object": b'{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"1"}',
    "string": b'"phoenix"',
    "no elements": b"[]",
    "four elements": b'[null,"1","phoenix","heartbeat"]',
    "six elements": b'[null,"1","phoenix","heartbeat",{},1]',
    "topic is a number": b'[null,"1",5,"heartbeat",{}]',
    "topic is null": b'[null,"1",null,"heartbeat",{}]',
    "event is an object": b'[null,"1","phoenix",{},{}]',
    "ref is an object": b'[null,{},"phoenix","heartbeat",{}]',
    "ref is true": b'[null,true,"phoenix","heartbeat",{}]',
    "ref is a fraction": b'[null,1.5,"phoenix","heartbeat",{}]',
    "ref is no number": b'[null,NaN,"phoenix","heartbeat",{}]',
    "join_ref is an array": b'[[],"1","phoenix","heartbeat",{}]',
    "ref of 10,000 digits": b"[null," + b"9" * 10_000 + b',"phoenix","heartbeat",{}]',
    "payload is no JSON": b'[null,"1","phoenix","heartbeat",{"a":}]',
    "payload is NaN": b'[null,"1","phoenix","heartbeat",NaN]',
    "payload is Infinity": b'[null,"1","phoenix","heartbeat",-Infinity]',
    "byte order mark": b'\xef\xbb\xbf[null,"1","phoenix","heartbeat",{}]',
    "control character": b'[null,"1","phoenix","heart\nbeat",{}]',
    "deep payload": b'[null,"1","phoenix","heartbeat",' + DEEP + b"]",
    "deep object": b'[null,"1","phoenix","heartbeat",' + b'{"a":' * 1000 + b"1" + b"}" * 1001,
    "deep frame": DEEP,
    "deep and open": b"[" * 100_000,
}

MALFORMED_BINARY = {
    "nothing": b"",
    "one byte": b"\0",
    "head without strings": b"\0\1\1\1\1",
    "sizes exceed it": b"\0\xff\xff\xff\xffabc",
    "kind of a reply": b"\1\0\0\1\1te",
    "kind of a broadcast": b"\2\1\1te",
    "unknown kind": b"\xff" * 20,
    "topic is no UTF-8": b"\0\0\0\1\1\xffe",
    "ref is no UTF-8": b"\0\0\1\1\1\xffte",
}

MALFORMED_V1 = {
    "array": b'[null,"1","phoenix","heartbeat",{}]',
    "no topic": b'{"event":"heartbeat","payload":{},"ref":"1"}',
    "no event": b'{"topic":"phoenix","payload":{},"ref":"1"}',
    "no payload": b'{"topic":"phoenix","event":"heartbeat","ref":"1"}',
    "topic is a number": b'{"topic":1,"event":"heartbeat","payload":{},"ref":"1"}',
    "ref is an array": b'{"topic":"phoenix","event":"heartbeat","payload":{},"ref":[]}',
    "deep payload": b'{"topic":"phoenix","event":"heartbeat","ref":"1","payload":' + DEEP + b"}",
}


def assert_dropped(
    daemon: Daemon, websocket: RawWebSocket, opcode: int, data: bytes, heartbeat: bytes
) -> None:
    """The frame is counted, not answered, and the next is served."""
    before = malformed(daemon)
    websocket.send_frame(opcode, data)
    websocket.send_frame(TEXT, heartbeat)
    answer = json.loads(websocket.read_frame().payload)
    assert "after" in (answer["ref"] if isinstance(answer, dict) else answer[1])
    assert malformed(daemon) == before + 1


HEARTBEAT_V1 = b'{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"after"}'
HEARTBEAT_V2 = b'[null,"after","phoenix","heartbeat",{}]'


@pytest.mark.parametrize("text", MALFORMED_V2.values(), ids=MALFORMED_V2.keys())
def test_malformed_text_is_counted_and_dropped(
    daemon: Daemon, connect: Connect, text: bytes
) -> None:
    assert_dropped(daemon, connect(), TEXT, text, HEARTBEAT_V2)


@pytest.mark.parametrize("data", MALFORMED_BINARY.values(), ids=MALFORMED_BINARY.keys())
def test_malformed_binary_is_counted_and_dropped(
    daemon: Daemon, connect: Connect, data: bytes
) -> None:
    assert_dropped(daemon, connect(), BINARY, data, HEARTBEAT_V2)


@pytest.mark.parametrize("text", MALFORMED_V1.values(), ids=MALFORMED_V1.keys())
def test_malformed_v1_text_is_counted_and_dropped(
    daemon: Daemon, connect: Connect, text: bytes
) -> None:
    websocket = connect("/socket/websocket?vsn=1.0.0")
    assert_dropped(daemon, websocket, TEXT, text, HEARTBEAT_V1)


def test_repeated_malformed_frames_close_for_good(daemon: Daemon, connect: Connect) -> None:
    websocket = connect()
    for _ in range(MALFORMED_BURST):
        websocket.send_frame(TEXT, b"malformed")
    websocket.assert_alive()
    websocket.send_frame(BINARY, b"malformed")
    assert websocket.read_close() == CloseCode.MALFORMED_FRAMES


def test_malformed_frames_in_one_segment_close_for_good(daemon: Daemon, connect: Connect) -> None:
    before = malformed(daemon)
    websocket = connect()
    websocket.send(build_frame(TEXT, b"malformed") * 1000)
    assert websocket.read_close() == CloseCode.MALFORMED_FRAMES
    assert malformed(daemon) == before + MALFORMED_BURST + 1


def test_deep_changes_are_not_relayed(daemon: Daemon, connect: Connect) -> None:
    writer, reader = connect(), connect()
    join_ref = writer.join("flow:deep")
    reader.join("flow:deep")
    for depth in (1000, 125, 124):
        changes = b'{"changes":' + b"[" * depth + b"]" * depth + b"}"
        writer.send_frame(
            TEXT, b'["%b","c","flow:deep","flow_change",%b]' % (join_ref.encode(), changes)
        )
    writer.ask("phoenix", "heartbeat")
    writer.send_json([join_ref, "last", "flow:deep", "flow_change", {"changes": "last"}])
    seen = 0
    while (message := reader.read_json())[4].get("changes") != "last":  # type: ignore[attr-defined]
        assert message[3] == "flow_update"
        seen += 1
    assert seen <= 2


def test_malformed_polls_are_counted_and_close_the_session(daemon: Daemon) -> None:
    with polling(daemon) as (post, _):
        before = malformed(daemon)
        for text in (b"", b"hello", b"[]", b'[null,"1","a","b",\xff]', DEEP, b"\xff\xfe", b"AAAA"):
            assert post(text) == 200
        assert malformed(daemon) == before + 7
        for _ in range(4):
            post(b"malformed")
        assert post(HEARTBEAT_V2) == 410


class polling:  # noqa: N801 - used as a context manager
    """A session of long polling: two functions, one that posts and one that polls."""

    def __init__(self, daemon: Daemon) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=15.0)
        self._token = ""

    def __enter__(self) -> tuple[Callable[..., int], Callable[[], dict[str, object]]]:
        answer = self._poll()
        assert answer["status"] == 410
        self._token = f"&token={answer['token']}"
        return self._post, self._poll

    def __exit__(self, *_: object) -> None:
        # Nothing ends a session but time, or what closes it.
        for _ in range(2):
            self._post(b"malformed\n" * 60, "application/x-ndjson")
        self._connection.close()

    def _ask(self, method: str, body: bytes | None, headers: dict[str, str]) -> dict[str, object]:
        path = f"/socket/longpoll?vsn=2.0.0{self._token}"
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        assert response.status == 200
        answer: dict[str, object] = json.loads(response.read())
        return answer

    def _post(self, body: bytes, media_type: str = "text/plain") -> int:
        answer = self._ask("POST", body, {"content-type": media_type})
        return int(str(answer["status"]))

    def _poll(self) -> dict[str, object]:
        return self._ask("GET", None, {})


def test_longpoll_frames_behind_the_closing_one_are_not_served(daemon: Daemon) -> None:
    with polling(daemon) as (post, _):
        join = json.dumps(["1", "1", "flow:ghost", "phx_join", {}]).encode()
        post(b"malformed\n" * (MALFORMED_BURST + 1) + join, "application/x-ndjson")
        assert post(HEARTBEAT_V2) == 410
        assert "ghost" not in flow_ids(daemon)


@pytest.mark.parametrize("lines", [101, 100_000])
def test_longpoll_post_of_too_many_lines(daemon: Daemon, lines: int) -> None:
    with polling(daemon) as (post, _):
        before = malformed(daemon)
        assert post(b"[]\n" * lines, "application/x-ndjson") == 413
        assert malformed(daemon) == before


def test_longpoll_mailbox_is_bounded(daemon: Daemon) -> None:
    """Who posts and does not poll takes no more memory than who does not read."""
    push = json.dumps([None, "r" * 1_000_000, "nowhere", "e", {}]).encode()
    with polling(daemon) as (post, _poll):
        before = memory(daemon)
        for _ in range(40):
            post(b"\n".join([push] * 4), "application/x-ndjson")
        assert memory(daemon) - before < 60e6


def memory(daemon: Daemon) -> float:
    return metric(daemon, "process_resident_memory_bytes")


# joins


def test_join_flood_is_refused_and_slows_nobody_else(daemon: Daemon, connect: Connect) -> None:
    writer, reader, flooder = connect(), connect(), connect()
    join_ref = writer.join("flow:calm")
    reader.join("flow:calm")
    assert writer.read_json()[3] == "client_joined"
    joins = 2000
    flood = b"".join(
        build_frame(
            TEXT, json.dumps([str(n), str(n), f"flow:flood{n % 7}", "phx_join", {}]).encode()
        )
        for n in range(joins)
    )
    statuses: list[object] = []
    reasons = set()

    def listen() -> None:
        """Who doesn't read is refused for that."""
        while True:  # a join that another of its topic overtook isn't answered
            message: Any = flooder.read_json()
            if message[1] == "last":
                return
            if message[3] == "phx_reply":
                statuses.append(message[4]["status"])
                reasons.add(message[4]["response"].get("reason"))

    flooding = threading.Thread(target=flooder.send, args=(flood,))
    listening = threading.Thread(target=listen)
    flooding.start()
    listening.start()
    for n in range(50):
        started = time.monotonic()
        writer.send_json([join_ref, str(n), "flow:calm", "flow_change", {"changes": n}])
        assert reader.read_json()[4]["changes"] == n  # type: ignore[index]
        assert time.monotonic() - started < 2.0
    flooding.join(10.0)
    assert not flooding.is_alive()
    flooder.send_json([None, "last", "phoenix", "heartbeat", {}])
    listening.join(10.0)
    assert not listening.is_alive()
    assert 1500 <= statuses.count("error") < joins
    assert reasons - {None} == {"too many joins, try again later"}
    flooder.assert_alive()


def test_channels_of_a_connection_are_bounded(daemon: Daemon, connect: Connect) -> None:
    websocket = connect()
    for n in range(100):
        assert websocket.ask(f"flow:many{n}", "phx_join")[4]["status"] == "ok"  # type: ignore[index]
    eventually(
        lambda: (
            websocket.ask("flow:one-more", "phx_join")[4]  # type: ignore[return-value, arg-type]
            == {"status": "error", "response": {"reason": "too many channels joined"}}
        ),
        "the limit is told of",
    )
    websocket.assert_alive()


@pytest.mark.parametrize(
    "topic",
    [
        "flow:",
        "flow:   ",
        "flow:a\u0000b",
        "flow:" + "x" * 256,
        "flow:" + "é" * 128,
        "flow",
        "",
        "phoenix",
        "flow_management:x",
        "constructor",
    ],
)
def test_topic_that_cannot_be(daemon: Daemon, connect: Connect, topic: str) -> None:
    websocket = connect()
    reply = websocket.ask(topic, "phx_join")
    assert reply[3:] == ["phx_reply", {"status": "error", "response": reply[4]["response"]}]  # type: ignore[index]
    expected = "Invalid flow identifier" if topic.startswith("flow:") else "unmatched topic"
    assert reply[4]["response"]["reason"] == expected  # type: ignore[index]
    websocket.assert_alive()


@pytest.mark.parametrize(
    "params",
    [[], "x", 5, True, {"mode": 5}, {"mode": None}, {"mode": "x"}, {"mode": {"mode": {}}}],
)
def test_parameters_that_cannot_be(daemon: Daemon, connect: Connect, params: object) -> None:
    websocket = connect()
    websocket.send_json(["1", "1", "flow:params", "phx_join", params])
    reply = websocket.read_json()
    assert reply[:4] == ["1", "1", "flow:params", "phx_reply"]
    assert reply[4]["status"] == "error"  # type: ignore[index]
    websocket.assert_alive()


def binary_push(topic: str, event: str, data: bytes, ref: str = "b", join_ref: str = "") -> bytes:
    strings = [text.encode() for text in (join_ref, ref, topic, event)]
    return bytes([0, *map(len, strings)]) + b"".join(strings) + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b'{"mode":"\xff"}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 100_000,
        b'{"mode":"x"}',
    ],
)
def test_binary_join(daemon: Daemon, connect: Connect, data: bytes) -> None:
    websocket = connect()
    websocket.send_frame(BINARY, binary_push("flow:binary", "phx_join", data))
    reply = websocket.read_json()
    assert reply[4]["status"] == "error"  # type: ignore[index]
    assert reply[4]["response"]["reason"] != "join crashed"  # type: ignore[index]
    websocket.assert_alive()


@pytest.mark.parametrize("event", ["flow_change", "ping", "phx_leave", "flow_deleted", "", "\x00"])
def test_binary_pushes_of_any_event(daemon: Daemon, connect: Connect, event: str) -> None:
    websocket = connect()
    websocket.join("flow:events")
    websocket.ask("flow_management", "phx_join")
    for topic in ("flow_management", "flow:events"):
        websocket.send_frame(BINARY, binary_push(topic, event, b"\xff{"))
    websocket.send_json([None, "after", "phoenix", "heartbeat", {}])
    assert "phx_error" not in [message[3] for message in messages_before_after(websocket)]


def test_binary_push_reaches_a_member_with_a_long_topic_or_is_refused(
    daemon: Daemon, connect: Connect
) -> None:
    """A member's topic may be longer than a binary frame can say: nobody else suffers from it."""
    writer, long = connect(), connect()
    writer.join("flow:x")
    long.ask("flow:" + " " * 300 + "x", "phx_join")
    writer.send_frame(BINARY, binary_push("flow:x", "flow_change", b"data"))
    writer.send_json([None, "after", "flow:x", "ping", {}])
    events = [message[3] for message in messages_before_after(writer)]
    assert "phx_error" not in events


def messages_before_after(websocket: RawWebSocket) -> list[list[object]]:
    """The text messages up to the reply to ``after``; binary ones are left out."""
    messages = []
    while not messages or messages[-1][1] != "after":
        frame = websocket.read_frame()
        if frame.opcode == TEXT:
            messages.append(json.loads(frame.payload))
    return messages


def test_long_topics_leave_no_memory_behind(daemon: Daemon, connect: Connect) -> None:
    before = memory(daemon)
    for n in range(60):
        with RawWebSocket(daemon.port) as websocket:
            websocket.send_json(["1", "1", "flow:" + " " * 900_000 + str(n), "phx_join", {}])
            websocket.assert_alive()
    assert memory(daemon) - before < 40e6


def test_refs_come_back_or_are_malformed(daemon: Daemon, connect: Connect) -> None:
    websocket = connect()
    for ref in ("", "é" * 255, "\u0000", '"\\', 0, -1, 1 << 53):
        websocket.send_json([None, ref, "phoenix", "heartbeat", {}])
        assert websocket.read_json()[1] == ref
    for ref in ("é" * 256, 1 << 63, 1 << 64, 10**40, -(1 << 54)):
        websocket.send_json([None, ref, "phoenix", "heartbeat", {}])
    websocket.assert_alive()


# who doesn't read


def test_client_that_never_reads_costs_the_others_nothing(daemon: Daemon, connect: Connect) -> None:
    lagging = metric(daemon, "helix_clients_lagging_total")
    stuck = connect(receive_buffer=4096)
    stuck.ask("flow:flood", "phx_join")
    writer, reader = connect(), connect()
    join_ref = writer.join("flow:flood")
    reader.ask("flow:flood", "phx_join")
    before = memory(daemon)
    pad = "x" * 50_000
    frames, received = 600, []

    def read() -> None:
        while not received or received[-1] != frames - 1:
            message = reader.read_json()
            if message[3] == "flow_update":
                received.append(message[4]["changes"]["n"])  # type: ignore[index]

    def read_along(n: int) -> bool:
        return len(received) + 15 > n

    reading = threading.Thread(target=read)
    reading.start()
    for n in range(frames):
        changes = {"n": n, "pad": pad}
        writer.send_json([join_ref, f"c{n}", "flow:flood", "flow_change", {"changes": changes}])
        writer.read_until_reply(f"c{n}")
        eventually(partial(read_along, n), "the others read along")
    reading.join(20.0)
    assert not reading.is_alive()
    assert received == list(range(frames))
    assert memory(daemon) - before < 20e6
    assert metric(daemon, "helix_clients_lagging_total") == lagging + 1
    assert 3 in [session["client_count"] for session in sessions(daemon)]


def send_over_and_over(stuck: RawWebSocket, data: bytes) -> None:
    """Send ``data`` 2,000 times, or until the server takes no more."""
    for _ in range(2000):
        stuck.send(data)


def test_client_that_asks_and_never_reads_is_not_read_from(
    daemon: Daemon, connect: Connect
) -> None:
    """Its own answers would pile up otherwise."""
    before = memory(daemon)
    stuck = connect(receive_buffer=4096, timeout=1.0)
    push = build_frame(TEXT, json.dumps([None, "r" * 255, "nowhere", "e", {}]).encode()) * 200
    with pytest.raises(TimeoutError):
        send_over_and_over(stuck, push)
    assert memory(daemon) - before < 20e6
    connect().assert_alive()


def test_pings_of_a_client_that_never_reads(daemon: Daemon, connect: Connect) -> None:
    before = memory(daemon)
    stuck = connect(receive_buffer=4096, timeout=1.0)
    pings = build_frame(9, b"x" * 125) * 500
    with pytest.raises(TimeoutError):
        send_over_and_over(stuck, pings)
    assert memory(daemon) - before < 20e6
    connect().assert_alive()


# origins

ORIGINS = {
    "allowed": (ALLOWED, True),
    "allowed in capitals": ("HTTPS://APP.EXAMPLE.COM", True),
    "allowed with its port": ("https://app.example.com:443", True),
    "own": ("http://localhost", True),
    "other": ("https://evil.example.com", False),
    "other scheme": ("http://app.example.com", False),
    "other port": ("https://app.example.com:8443", False),
    "longer": ("https://app.example.com.evil.example.com", False),
    "shorter": ("https://example.com", False),
    "null": ("null", False),
    "star": ("*", False),
    "empty": ("", False),
    "user part": ("https://app.example.com@evil.example.com", False),
    "two": (f"https://evil.example.com, {ALLOWED}", False),
    "no port": ("https://app.example.com:port", False),
    "open bracket": ("http://[", False),
    "no ASCII": ("https://äpp.example.com", False),
}


@pytest.mark.parametrize(("origin", "allowed"), ORIGINS.values(), ids=ORIGINS.keys())
def test_origin_of_a_websocket(daemon: Daemon, origin: str, allowed: bool) -> None:
    with RawConnection(daemon.port) as client:
        client.send(upgrade_request(PATH, [("Origin", origin)]))
        response = client.read_response()
        if allowed:
            assert response.status == 101
            return
        assert response.status == 403
        assert response.headers["content-type"] == PROBLEM
        problem = json.loads(response.body)
        assert (problem["status"], problem["code"]) == (403, "origin_refused")


@pytest.mark.parametrize(("origin", "allowed"), ORIGINS.values(), ids=ORIGINS.keys())
@pytest.mark.parametrize("request_line", ["POST /api/flows/f/sync", "DELETE /api/sessions/f"])
def test_origin_of_a_rest_request(
    daemon: Daemon, origin: str, allowed: bool, request_line: str
) -> None:
    body = b'{"changes":1}'
    with RawConnection(daemon.port) as client:
        client.send(
            f"{request_line} HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode(
                "latin-1"
            )
            + body
        )
        response = client.read_response()
        if allowed:
            assert response.status in (200, 404)
            return
        assert response.status == 403
        assert response.headers["content-type"] == PROBLEM
        assert json.loads(response.body)["code"] == "origin_refused"


@pytest.mark.parametrize(("origin", "allowed"), ORIGINS.values(), ids=ORIGINS.keys())
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_origin_of_a_poll(daemon: Daemon, origin: str, allowed: bool, method: str) -> None:
    """A page may read the answers if, and only if, its origin is allowed."""
    with RawConnection(daemon.port) as client:
        client.send(
            f"{method} /socket/longpoll?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\n"
            f"Origin: {origin}\r\nContent-Length: 2\r\n\r\n[]".encode("latin-1")
        )
        response = client.read_response()
        if allowed:
            assert response.headers["access-control-allow-origin"] == origin
            assert "origin" in response.headers["vary"].lower()
        else:
            assert "access-control-allow-origin" not in response.headers
            assert json.loads(response.body)["status"] == 403


def test_refused_origins_are_counted(daemon: Daemon) -> None:
    before = metric(daemon, "helix_connections_refused_total") if _refused_before(daemon) else 0.0
    with RawConnection(daemon.port) as client:
        client.send(upgrade_request(PATH, [("Origin", "https://evil.example.com")]))
        assert client.read_response().status == 403
    assert metric(daemon, "helix_connections_refused_total") == before + 1


def _refused_before(daemon: Daemon) -> bool:
    return b"helix_connections_refused_total{" in get(daemon, "/metrics")[1]


# abrupt disconnects

DISCONNECTS = 10_000
BATCH = 250


def _rst_mid_handshake(daemon: Daemon, random: Random) -> RawConnection:
    connection = RawConnection(daemon.port)
    request = upgrade_request()
    connection.send(request[: random.randrange(len(request))])
    return connection


def _rst_without_reading_the_handshake(daemon: Daemon, random: Random) -> RawConnection:
    connection = RawConnection(daemon.port)
    connection.send(upgrade_request())
    return connection


def _rst_after_handshake(daemon: Daemon, random: Random) -> RawConnection:
    connection = RawConnection(daemon.port)
    connection.send(upgrade_request())
    connection.read_until(b"\r\n\r\n")
    return connection


def _rst_after_join(daemon: Daemon, random: Random) -> RawConnection:
    connection = _rst_after_handshake(daemon, random)
    topic = f"flow:rst{random.randrange(20)}"
    connection.send(build_frame(TEXT, json.dumps(["1", "1", topic, "phx_join", {}]).encode()))
    if random.random() < 0.5:
        connection.read_until(b"client_joined")
    return connection


def _rst_with_a_partial_frame(daemon: Daemon, random: Random) -> RawConnection:
    connection = _rst_after_join(daemon, random)
    frame = build_frame(random.choice([TEXT, BINARY, CLOSE]), b"x" * 100)
    connection.send(frame[: random.randrange(1, len(frame))])
    return connection


def _rst_while_closing(daemon: Daemon, random: Random) -> RawConnection:
    connection = _rst_after_join(daemon, random)
    connection.send(random.choice([build_frame(CLOSE, close_payload(1000)), b"\xff\xff"]))
    return connection


def _rst_in_a_request(daemon: Daemon, random: Random) -> RawConnection:
    connection = RawConnection(daemon.port)
    connection.send(
        b"POST /api/flows/f/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"
    )
    return connection


MOMENTS = [
    _rst_mid_handshake,
    _rst_without_reading_the_handshake,
    _rst_after_handshake,
    _rst_after_join,
    _rst_with_a_partial_frame,
    _rst_while_closing,
    _rst_in_a_request,
]


def test_nothing_is_left_after_ten_thousand_abrupt_disconnects(
    daemon: Daemon, connect: Connect
) -> None:
    """The timers are counted in ``web/test_timeouts.py``, where the clock can be looked into."""
    random = Random(1)
    witness = connect()
    connections = metric(daemon, "helix_connections")
    sessions_before = metric(daemon, "helix_sessions")
    members_before = metric(daemon, "helix_members")
    descriptors = metric(daemon, "process_open_fds")
    resident = 0.0
    for done in range(0, DISCONNECTS, BATCH):
        batch = [random.choice(MOMENTS)(daemon, random) for _ in range(BATCH)]
        random.shuffle(batch)
        for connection in batch:
            connection.reset()
        if done == DISCONNECTS // 2:
            resident = memory(daemon)
    eventually(lambda: metric(daemon, "helix_connections") == connections, "all are gone")
    eventually(lambda: metric(daemon, "process_open_fds") <= descriptors, "no descriptor is left")
    assert not [flow_id for flow_id in flow_ids(daemon) if "rst" in str(flow_id)]
    assert metric(daemon, "helix_sessions") == sessions_before
    assert metric(daemon, "helix_members") == members_before
    assert memory(daemon) - resident < 10e6
    witness.assert_alive()
    assert get(daemon, "/healthz")[0] == 200


def test_connection_refused_by_a_full_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Above the limits, the next client is told so, and those connected live on."""
    directory = tmp_path_factory.mktemp("full")
    with (
        running_daemon(
            directory, "--max-connections", "5", "--max-clients-per-flow", "2"
        ) as daemon,
        no_faults(daemon),
        ExitStack() as opened,
    ):
        clients = [opened.enter_context(RawWebSocket(daemon.port)) for _ in range(5)]
        with RawConnection(daemon.port) as client:
            client.send(upgrade_request())
            response = client.read_response()
            assert response.status == 503
            assert response.headers["content-type"] == PROBLEM
            assert json.loads(response.body)["code"] == "too_many_connections"
        replies = [client.ask("flow:full", "phx_join")[4] for client in clients]
        statuses = [reply["status"] for reply in replies]  # type: ignore[index]
        assert statuses == ["ok", "ok", "error", "error", "error"]
        for client in clients:
            client.assert_alive()
        clients[0].reset()
        eventually(lambda: metric(daemon, "helix_connections") == 4, "there is room again")
        opened.enter_context(RawWebSocket(daemon.port)).assert_alive()


def test_end_of_stream_is_told_apart() -> None:
    """The helper's own promise: a closed connection is no timeout."""
    assert not issubclass(EndOfStream, OSError)
