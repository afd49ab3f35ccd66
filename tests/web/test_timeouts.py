"""What abusive or dead clients leave behind, as time passes, over the whole server in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random

import pytest

from helix.channels.clients import SILENCE_TIMEOUT, STALL_TIMEOUT, SWEEP_INTERVAL
from helix.errors import CloseCode
from helix.web.http_channel import ARRIVAL_TIMEOUT, PROGRESS_BYTES
from helix.web.long_poll import POLL_TIMEOUT, SESSION_TIMEOUT
from tests.support.memory_clients import MemoryConnection, MemoryWebSocket
from tests.support.rawsocket import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    build_frame,
    close_payload,
    upgrade_request,
)
from tests.support.stack import Stack
from tests.support.transport import TRANSPORT_BYTES

HIGH_WATER_MARK = 256 * 1024
KEEP_ALIVE = 75  # the default of --keep-alive


@pytest.fixture
def server() -> Iterator[Stack]:
    """A server that has no client, session or timer left when its clients are gone."""
    server = Stack(high_water_mark=HIGH_WATER_MARK)
    timers = len(server.clock.getDelayedCalls())
    try:
        yield server
        assert len(server.clients) == 0, "not all clients are gone"
        assert not list(server.sessions.sessions()), "a session is left"
        server.run(12)  # longer than what Autobahn's timers are batched for
        left = server.clock.getDelayedCalls()
        assert len(left) == timers, left
    finally:
        server.stop()
    assert not server.clock.getDelayedCalls()


def push(topic: str, event: str, payload: object = None, ref: str = "1") -> bytes:
    return json.dumps(
        [ref if event == "phx_join" else None, ref, topic, event, payload or {}]
    ).encode()


def joined(server: Stack, *topics: str) -> MemoryWebSocket:
    peer = server.open()
    for topic in topics:
        peer.send_frame(TEXT, push(topic, "phx_join"))
    server.settle()
    peer.take()
    return peer


def events(peer: MemoryWebSocket) -> list[list[object]]:
    """The text messages that have come."""
    return [json.loads(frame.payload) for frame in peer.take_frames() if frame.opcode == TEXT]


def numbers(peer: MemoryWebSocket, topic: str = "flow:f") -> list[int]:
    """The numbers in the changes that have come."""
    return [
        message[4]["changes"]["n"]  # type: ignore[index]
        for message in events(peer)
        if message[3] == "flow_update" and message[2] == topic
    ]


def change(topic: str, n: int, size: int = 0) -> bytes:
    return build_frame(TEXT, push(topic, "flow_change", {"changes": {"n": n, "pad": "." * size}}))


def leave_all(server: Stack, *peers: MemoryConnection) -> None:
    for peer in peers:
        peer.transport.peer_is_gone()
    server.settle()


def test_silent_client_is_closed(server: Stack) -> None:
    """Half-open: the peer is gone, and no FIN or RST ever came."""
    silent = joined(server, "flow:f")
    other = joined(server, "flow:f")
    for _ in range(int(SILENCE_TIMEOUT / 10)):
        server.run(10)
        other.send_frame(TEXT, push("phoenix", "heartbeat"))
    server.run(SWEEP_INTERVAL)
    frames = [frame for frame in silent.take_frames() if frame.opcode == CLOSE]
    assert [frame.close_code for frame in frames] == [CloseCode.SILENT]
    server.run(2)
    assert silent.gone
    assert events(other)[-1][3:] == ["client_left", {"client_count": 1, "flow_id": "f"}]
    assert not other.gone
    leave_all(server, other)


@pytest.mark.parametrize("sent", [b"\x81", build_frame(PING), build_frame(PONG), build_frame(TEXT)])
def test_whatever_is_sent_is_a_sign_of_life(server: Stack, sent: bytes) -> None:
    peer = server.open()
    server.run(SILENCE_TIMEOUT - 10)
    peer.send(sent)
    server.run(SILENCE_TIMEOUT - 10)
    assert not any(frame.opcode == CLOSE for frame in peer.take_frames())
    server.run(20)
    assert peer.gone


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.5, 0.999])
def test_con10_who_is_closed_has_a_second_to_answer(server: Stack, fraction: float) -> None:
    """Whenever in a second of the clock that is: Autobahn's timers end with whole ones."""
    server.clock.advance(fraction)
    answers, silent = server.open(), server.open()
    for peer in (answers, silent):
        peer.send(build_frame(TEXT, b"x") * 11)
        assert peer.take_frames()[-1].opcode == CLOSE
    server.run(1, step=0.1)
    assert not answers.gone
    assert not silent.gone
    answers.send_frame(CLOSE, close_payload(1000))
    server.settle()
    assert answers.gone
    server.run(1, step=0.1)
    assert silent.gone


def test_client_that_never_reads_is_cut_off(server: Stack) -> None:
    """It costs the server its mark, and the others nothing."""
    stuck = joined(server, "flow:f")
    writer = joined(server, "flow:f")
    reader = joined(server, "flow:f")
    writer.take()
    stuck.transport.reading = False
    sent = 0
    for n in range(200):
        writer.send(change("flow:f", n, 10_000))
        server.settle()
        sent = n + 1
    assert numbers(reader) == list(range(sent))
    held = len(stuck.transport.held)
    assert held <= TRANSPORT_BYTES + 32 * 1024
    for _ in range(int(STALL_TIMEOUT / 5) - 2):
        server.run(5)
        writer.send(change("flow:f", sent))
        sent += 1
    assert not stuck.gone
    server.run(15)
    assert stuck.gone
    assert len(server.clients) == 2
    assert not writer.gone
    assert not reader.gone
    leave_all(server, writer, reader)


def test_client_that_reads_again_gets_the_newest(server: Stack) -> None:
    stuck = joined(server, "flow:f")
    writer = joined(server, "flow:f")
    stuck.transport.reading = False
    for n in range(200):
        writer.send(change("flow:f", n, 10_000))
        server.settle()
    stuck.take()
    stuck.transport.start_reading()
    server.settle()
    got = numbers(stuck)
    assert got == sorted(set(got))
    assert got[-1] == 199
    assert len(got) < 100
    writer.send(change("flow:f", 200))
    server.settle()
    assert numbers(stuck) == [200]
    leave_all(server, stuck, writer)


def test_lagging_member_of_two_flows_gets_the_newest_of_each(server: Stack) -> None:
    stuck = joined(server, "flow:f", "flow:g")
    writer = joined(server, "flow:f", "flow:g")
    stuck.transport.reading = False
    for n in range(100):
        writer.send(change("flow:f", n, 10_000))
        server.settle()
    for n in range(100):
        writer.send(change("flow:g", n, 10_000))
        server.settle()
    stuck.take()
    stuck.transport.start_reading()
    server.settle()
    newest: dict[str, int] = {}
    for message in events(stuck):
        if message[3] == "flow_update":
            newest[str(message[2])] = message[4]["changes"]["n"]  # type: ignore[index]
    leave_all(server, stuck, writer)
    assert newest == {"flow:f": 99, "flow:g": 99}


@pytest.mark.parametrize(
    "last_words",
    [
        build_frame(CLOSE, close_payload(1000)),
        build_frame(CLOSE),
        build_frame(3) + build_frame(3),
        build_frame(TEXT, b"\xff"),
        build_frame(TEXT, b"x") * 11,
    ],
    ids=["close", "close without code", "two violations", "invalid UTF-8", "malformed frames"],
)
@pytest.mark.parametrize("written", [8, 60], ids=["blocked", "lagging"])
def test_client_that_closes_but_never_reads_is_cut_off(
    server: Stack, last_words: bytes, written: int
) -> None:
    """However the WebSocket ends, its TCP connection and its membership end soon after."""
    stuck = joined(server, "flow:f")
    writer = joined(server, "flow:f")
    stuck.transport.reading = False
    for n in range(written):
        writer.send(change("flow:f", n, 10_000))
        server.settle()
    stuck.send(last_words)
    server.settle()
    for _ in range(5):
        server.run(10)
        writer.send_frame(TEXT, push("phoenix", "heartbeat"))
    gone, members = stuck.gone, server.sessions.get("f").client_count  # type: ignore[union-attr]
    leave_all(server, writer, *(() if gone else (stuck,)))
    assert gone
    assert members == 1


def test_frames_behind_the_servers_close_are_not_served(server: Stack) -> None:
    """Whoever was closed for malformed frames changes nothing any more."""
    closed = joined(server, "flow:f")
    other = joined(server, "flow:f")
    closed.send(build_frame(TEXT, b"malformed") * 11)
    assert closed.take_frames()[-1].close_code == CloseCode.MALFORMED_FRAMES
    other.take()
    for n in range(5):
        closed.send(change("flow:f", n))
        server.settle()
    got = numbers(other)
    server.run(2)
    gone = closed.gone
    leave_all(server, other)
    assert gone
    assert got == []


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
        b"POST /api/flows/f/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        b"POST /socket/longpoll HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        upgrade_request()[:-2],
    ],
)
def test_http_connection_that_falls_silent_is_closed(server: Stack, sent: bytes) -> None:
    peer = server.connect()
    if sent:
        peer.send(sent)
    server.run(KEEP_ALIVE + 20)
    assert peer.gone


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\n",
        b"POST /api/flows HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
        b"POST /api/flows HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        + b"x" * PROGRESS_BYTES,
        upgrade_request()[:-2],
    ],
    ids=["head", "body", "rest of a body", "upgrade"],
)
def test_lim7_request_that_trickles_in_is_given_up(server: Stack, head: bytes) -> None:
    """A byte now and then is no sign of good will. (Slow loris)"""
    peer = server.connect()
    peer.send(head)
    for n in range(ARRIVAL_TIMEOUT // 4):
        server.run(5)
        peer.send(b"x" if n % 8 else b": x\r\n")
    assert peer.gone


def test_lim7_large_request_has_the_time_that_it_needs(server: Stack) -> None:
    peer = server.connect()
    part = b"[" + b" " * (PROGRESS_BYTES - 1)
    peer.send(
        b"POST /api/flows HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % (8 * len(part))
    )
    for _ in range(8):
        server.run(ARRIVAL_TIMEOUT - 5)
        assert not peer.gone
        peer.send(part)
    assert peer.take().startswith(b"HTTP/1.1 400"), "not all of it was read"
    leave_all(server, peer)


def test_lim7_connection_may_stay_open_between_requests(server: Stack) -> None:
    peer = server.connect()
    for _ in range(5):
        server.run(ARRIVAL_TIMEOUT - 5)
        peer.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.take().startswith(b"HTTP/1.1 200")
    server.run(KEEP_ALIVE + 20)
    assert peer.gone


def test_frm6_rest_of_a_half_sent_frame_is_no_new_frame(server: Stack) -> None:
    """The server closes between the halves; the client's answer behind them is understood."""
    peer = server.open()
    frame = build_frame(TEXT, "1234\x02\u00c056".encode(), mask=bytes(4))  # as a header: 67 bytes
    peer.send(frame[:-5])
    for _ in range(200):
        server.run(0.5)
        if closes := peer.take_frames():
            break
    assert [one.close_code for one in closes] == [CloseCode.SILENT]
    peer.send(frame[-5:] + build_frame(CLOSE, close_payload(CloseCode.SILENT)))
    server.settle()
    assert peer.gone


def test_half_sent_frame_does_not_keep_a_client(server: Stack) -> None:
    peer = server.open()
    peer.send(build_frame(TEXT, b"x" * 1000)[:500])
    server.run(SILENCE_TIMEOUT + 5)
    assert peer.gone


def longpoll(path: str, method: str = "GET", body: bytes = b"") -> bytes:
    head = f"{method} /socket/longpoll?vsn=2.0.0{path} HTTP/1.1\r\nHost: localhost\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def longpoll_token(peer: MemoryConnection) -> str:
    peer.send(longpoll(""))
    answer = peer.take()
    body = json.loads(answer[answer.index(b"{") : answer.index(b"}") + 1])
    assert body["status"] == 410
    return f"&token={body['token']}"


def test_longpoll_session_ends_with_its_polls(server: Stack) -> None:
    peer = server.connect()
    token = longpoll_token(peer)
    peer.send(longpoll(token, "POST", push("flow:f", "phx_join")))
    assert server.sessions.get("f") is not None
    peer.send(longpoll(token))
    server.run(POLL_TIMEOUT + SESSION_TIMEOUT + 1)
    assert len(server.clients) == 0
    leave_all(server, peer)


def test_longpoll_poll_that_is_cut_off(server: Stack) -> None:
    peer = server.connect()
    token = longpoll_token(peer)
    peer.send(longpoll(token))
    peer.send(longpoll(token))
    leave_all(server, peer)
    server.run(SESSION_TIMEOUT + POLL_TIMEOUT + 1)
    assert len(server.clients) == 0


def _cut_in_handshake(server: Stack, random: Random) -> MemoryConnection:
    peer = server.connect()
    request = upgrade_request()
    peer.send(request[: random.randrange(1, len(request))])
    return peer


def _cut_after_handshake(server: Stack, random: Random) -> MemoryWebSocket:
    return server.open()


def _cut_in_frame(server: Stack, random: Random) -> MemoryWebSocket:
    peer = joined(server, f"flow:{random.randrange(5)}")
    frame = build_frame(random.choice([TEXT, 2, PING]), b"x" * random.randrange(1, 125))
    peer.send(frame[: random.randrange(1, len(frame))])
    return peer


def _cut_while_closing(server: Stack, random: Random) -> MemoryWebSocket:
    peer = joined(server, f"flow:{random.randrange(5)}")
    peer.send(random.choice([b"\xff\xff", build_frame(TEXT, b"\xff"), build_frame(CLOSE)]))
    return peer


def _cut_while_stuck(server: Stack, random: Random) -> MemoryWebSocket:
    peer = joined(server, "flow:0")
    peer.transport.reading = False
    peer.send(change("flow:0", 1, 100_000) * random.randrange(1, 5))
    return peer


def _cut_in_poll(server: Stack, random: Random) -> MemoryConnection:
    peer = server.connect()
    token = longpoll_token(peer)
    peer.send(longpoll(token, "POST", push(f"flow:{random.randrange(5)}", "phx_join")))
    peer.send(longpoll(token) * random.randrange(1, 3))
    return peer


MOMENTS: list[Callable[[Stack, Random], MemoryConnection]] = [
    _cut_in_handshake,
    _cut_after_handshake,
    _cut_in_frame,
    _cut_while_closing,
    _cut_while_stuck,
    _cut_in_poll,
]


def test_nothing_is_left_of_clients_that_were_cut_off(server: Stack) -> None:
    """At whatever moment, in whatever order: no client, session or timer (see the fixture)."""
    random = Random(4)
    live: list[MemoryConnection] = []
    for _ in range(600):
        live.append(random.choice(MOMENTS)(server, random))
        if len(live) > 30:
            random.shuffle(live)
            leave_all(server, *live[:10])
            del live[:10]
        if random.random() < 0.1:
            server.run(0.5)
    leave_all(server, *live)
    server.run(SESSION_TIMEOUT + POLL_TIMEOUT + 1)
    assert server.metric("helix_connections") == 0
    assert server.metric("helix_members") == 0
    assert server.metric("helix_sessions") == 0


def test_ops12_client_to_whom_nothing_can_be_written_is_cut_off(server: Stack) -> None:
    peer = server.open()
    outlet = peer.transport.protocol.connection.outlet
    outlet.settle_error(ConnectionResetError(), b"frame", [])
    assert not peer.gone
    server.settle()
    assert peer.gone
    assert server.metric("helix_connections") == 0


def test_frame_is_what_it_was(server: Stack) -> None:
    """The memory transports carry what real ones do."""
    peer = server.open()
    peer.send_frame(PING, b"x")
    assert peer.take_frames() == [Frame(PONG, b"x")]
    leave_all(server, peer)
