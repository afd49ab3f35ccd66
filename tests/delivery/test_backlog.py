"""What waits for clients: counted over every transport, shared, and bounded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from helix.channels.clients import STALL_TIMEOUT
from helix.delivery.backlog import KEPT_SHARE, SHARED_BYTES, Backlog, Share
from helix.delivery.outlet import Flow
from helix.delivery.parts import PART_CHARACTERS, Parts, SharedText
from helix.errors import CloseCode
from helix.log.live_log import RECENT_BYTES
from helix.telemetry.events import Telemetry
from helix.web.answers import SLICE_BYTES
from tests.channels.test_document_mode import FLOW, Editor, node
from tests.support.memory_clients import MemoryConnection
from tests.support.stack import Stack
from tests.support.world import V1, V2, Client, World

MakeWorld = Callable[..., World]

MARK = 64 * 1024
BOUND = 4 * 1024 * 1024
DOCUMENT_BYTES = 1024 * 1024


# counting


def backlog(max_bytes: int = 1 << 40) -> Backlog:
    return Backlog(Clock(), Telemetry(), max_bytes)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.booleans()), max_size=60))
def test_slo8_what_many_wait_for_counts_once(steps: list[tuple[int, int, bool]]) -> None:
    """The model is the set of what anybody holds."""
    all_of_it = backlog()
    shares = [Share(all_of_it, lambda: None) for _ in range(4)]
    large = [bytes(SHARED_BYTES + n) for n in range(6)]
    held: list[list[int]] = [[] for _ in shares]
    for who, what, adds in steps:
        if adds:
            shares[who].add(memoryview(large[what])[n:] if (n := len(held[who])) else large[what])
            held[who].append(what)
        elif what in held[who]:
            shares[who].remove(memoryview(large[what])[:1])
            held[who].remove(what)
        else:
            shares[who].clear()
            held[who].clear()
        distinct = {one for ones in held for one in ones}
        assert all_of_it.size == sum(len(large[one]) for one in distinct)
        weights = sum(share.weight for share in shares)
        assert weights == pytest.approx(all_of_it.size)


def test_slo8_small_bytes_count_for_each() -> None:
    all_of_it = backlog()
    shares = [Share(all_of_it, lambda: None) for _ in range(3)]
    for share in shares:
        share.add(b"x" * 100)
    assert all_of_it.size == 300
    shares[0].remove(b"x" * 100)
    shares[1].clear()
    assert all_of_it.size == 100


def test_slo8_those_with_most_go_first() -> None:
    clock, gone = Clock(), []
    all_of_it = Backlog(clock, Telemetry(), 1_000_000)
    common = bytes(400_000)
    kept = []
    shares = {}
    for name, size in [("little", 10_000), ("most", 500_000), ("more", 200_000)]:

        def shed(name: str = name) -> None:
            gone.append(name)
            shares[name].clear()

        share = shares[name] = Share(all_of_it, shed)
        kept.append(bytes(size))
        share.add(kept[-1])
        share.add(common)
    assert not gone, "not in the midst of what made it too much"
    clock.advance(0)
    assert gone == ["most"]
    assert all_of_it.size == 610_000 <= KEPT_SHARE * 1_000_000


# members


def fill(world: World, size: int = DOCUMENT_BYTES) -> Editor:
    """A flow that holds so many bytes."""
    editor = Editor(world, "a")
    for number in range(size // 200_000 + 1):
        text = 'a "word" ' * 20_000
        editor.patch(
            number + 1, {"nodes": {f"n{number}": {**node(f"n{number}"), "data": {"t": text}}}}
        )
    editor.look()
    return editor


def unread(world: World, number: int, **more: object) -> Client:
    """A client that joins and takes nothing."""
    client = world.client()
    client.socket.room = 0
    client.join(FLOW, {"mode": "document", "client_id": f"u{number}", **more})
    world.settle()
    return client


@pytest.mark.parametrize("more", [{}, {"parts": True}])
def test_slo7_who_joins_one_version_waits_for_the_same_bytes(
    make_world: MakeWorld, more: dict[str, object]
) -> None:
    world = make_world(high_water_mark=MARK)
    fill(world)
    first = unread(world, 0, **more)
    size = world.backlog.size
    assert DOCUMENT_BYTES < size < 2 * DOCUMENT_BYTES
    for number in range(1, 20):
        unread(world, number, **more)
    assert world.backlog.size < size + 20 * 20_000
    first.socket.room = None
    world.settle()
    assert first.outlet.state is Flow.CLEAR
    assert any(one.event == "phx_reply" for one in first.received())
    for client in world.clients:
        client.socket.room = None
    world.settle()
    assert world.backlog.size == 0


@pytest.mark.parametrize("serializer", [V1, V2])
def test_slo7_relay_members_wait_for_the_same_bytes(
    make_world: MakeWorld, serializer: type[V1] | type[V2]
) -> None:
    world = make_world(high_water_mark=MARK)
    fill(world)
    clients = [world.client(serializer) for _ in range(10)]
    for client in clients:
        client.join(FLOW)
    world.settle()
    for client in clients:
        client.socket.room = 0
    world.clock.advance(1)
    world.settle()
    assert DOCUMENT_BYTES < world.backlog.size < 2 * DOCUMENT_BYTES
    for client in clients:
        client.socket.room = None
    world.settle()
    for client in clients:
        updates = [one for one in client.received() if one.event == "flow_update"]
        assert len(updates[0].payload["changes"]["nodes"]) > 5
    assert world.backlog.size == 0


def test_slo6_join_is_refused_while_much_waits(make_world: MakeWorld) -> None:
    world = make_world(high_water_mark=MARK)
    fill(world)
    Editor(world, "b")
    client = world.client()
    client.socket.room = 0
    flows = [FLOW, "flow:other"]
    frames = [
        client.text(str(n), str(n), topic, "phx_join", {"mode": "document", "client_id": "c"})
        for n, topic in enumerate(flows)
    ]
    client.send(*frames)
    world.settle()
    assert client.outlet.state is Flow.LAGGING
    client.socket.room = None
    world.settle()
    replies = {one.ref: one.payload for one in client.received() if one.event == "phx_reply"}
    assert replies["0"]["status"] == "ok"
    refused = replies["1"]["response"]
    assert (refused["code"], refused["retry"]) == ("too_much_unread", True)
    assert (
        client.answer(client.join("flow:other", {"mode": "document", "client_id": "c"}))[0] == "ok"
    )


def test_slo6_joins_of_one_flow_in_one_message_cost_one(make_world: MakeWorld) -> None:
    """As many as there are spellings of it."""
    world = make_world(high_water_mark=MARK)
    fill(world)
    client = world.client()
    client.socket.room = 0
    frames = [
        client.text(
            str(n), str(n), f"flow:{' ' * n}f", "phx_join", {"mode": "document", "client_id": "c"}
        )
        for n in range(100)
    ]
    client.send(*frames)
    world.settle()
    assert world.backlog.size < 2 * DOCUMENT_BYTES
    assert sum(map(len, client.outlet._queue or ())) < 3 * DOCUMENT_BYTES
    assert world.flow().client_count <= 2


def test_slo6_relay_member_is_greeted_once_it_has_read(make_world: MakeWorld) -> None:
    world = make_world(high_water_mark=MARK)
    fill(world)
    client = world.client()
    client.join(FLOW)
    world.settle()
    client.socket.room = 0
    client.outlet.send(b"x" * (MARK + SLICE_BYTES))
    waits = world.backlog.size
    world.clock.advance(1)
    assert world.backlog.size == waits, "the greeting waits too"
    client.socket.room = None
    world.settle()
    world.clock.advance(1)
    world.settle()
    assert b"flow_update" in bytes(client.socket.taken)


def test_slo8_who_has_most_is_closed(make_world: MakeWorld) -> None:
    """Of versions that are not the same, nothing is shared."""
    world = make_world(high_water_mark=MARK, max_queued_bytes=BOUND)
    editor = fill(world)
    patient = unread(world, 100)
    waiting = [patient]
    for number in range(6):
        # More than is kept in memory for those who begin with an earlier text.
        editor.patch(1000 + number, {"data": {"text": str(number) * (RECENT_BYTES + 1)}})
        editor.look()
        waiting.append(unread(world, number))
        assert world.backlog.size <= BOUND
    closed = [client for client in waiting if client.close_code is CloseCode.TOO_MUCH_WAITS]
    assert 1 <= len(closed) < len(waiting)
    assert len(world.events("helix.backlog.shed")) == len(closed)
    assert editor.client.close_code is None
    assert all(client.outlet.state is Flow.SHUT and client.lost for client in closed)
    for client in waiting:
        client.socket.room = None
    world.settle()
    assert world.backlog.size == 0


def test_slo8_what_is_kept_of_each_kind_counts(make_world: MakeWorld) -> None:
    world = make_world(high_water_mark=MARK)
    first, slow = world.members(2)
    slow.socket.room = 0
    for size in (MARK + SLICE_BYTES, 100_000, 120_000):
        first.change(FLOW, "x" * size)
        world.settle()
    assert slow.outlet.state is Flow.LAGGING
    newest = world.backlog.size
    first.change(FLOW, "x" * 50_000)
    world.settle()
    assert newest - 71_000 < world.backlog.size < newest - 69_000
    slow.leave(FLOW)
    slow.cut()
    assert world.backlog.size == 0


# what is shared, in parts


@given(st.text(max_size=300), st.integers(1, 4))
def test_slo7_parts_in_a_row_are_the_answer(text: str, times: int) -> None:
    document = SharedText(
        json.dumps({"t": text * times}, ensure_ascii=False).encode("utf-8", "replace")
    )
    pieces = [b'{"epoch":"e","document":', document, b"}"]
    parts = [b"".join(part) for part in Parts.of(pieces)]
    assert "".join(json.loads(part)["text"] for part in parts).encode() == b"".join(pieces)


def test_slo7_no_part_is_large() -> None:
    document = SharedText(
        json.dumps("\u00e4\U0001f600" * PART_CHARACTERS, ensure_ascii=False).encode()
    )
    parts = [b"".join(part) for part in Parts.of([document])]
    assert len(parts) > 2
    assert all(len(json.loads(part)["text"]) <= PART_CHARACTERS for part in parts)


# over HTTP


@pytest.fixture
def server() -> Iterator[Stack]:
    server = Stack(high_water_mark=MARK, max_queued_bytes=BOUND)
    yield server
    server.stop()


def ask(server: Stack, method: str, target: str, body: bytes = b"", *more: str) -> MemoryConnection:
    """A connection that asks for something and takes nothing."""
    peer = server.connect()
    peer.transport.reading = False
    send(peer, method, target, body, *more)
    return peer


def send(peer: MemoryConnection, method: str, target: str, body: bytes = b"", *more: str) -> None:
    headers = "\r\n".join(
        (f"{method} {target} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *more)
    )
    peer.send(f"{headers}\r\n\r\n".encode() + body)


def make_flow(server: Stack, flow_id: str, size: int) -> None:
    document = {"data": {"text": 'a "word" ' * (size // 11)}}
    body = json.dumps({"id": flow_id, "document": document}).encode()
    made = server.connect()
    send(made, "POST", "/api/flows", body, "Content-Type: application/json")
    assert made.take().startswith(b"HTTP/1.1 201")


def queued(server: Stack) -> float:
    return server.metric("helix_queued_bytes")


def test_slo9_answer_that_is_not_read_waits_here(server: Stack) -> None:
    make_flow(server, "f", DOCUMENT_BYTES)
    peer = ask(server, "GET", "/api/flows/f")
    assert len(peer.transport.held) <= 3 * SLICE_BYTES
    assert queued(server) >= DOCUMENT_BYTES
    peer.transport.start_reading()
    answer = peer.take()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"0\r\n\r\n"), "it is whole"
    assert len(answer) > DOCUMENT_BYTES
    assert queued(server) == 0


def test_slo9_next_answer_of_a_connection_waits_for_the_one_before(server: Stack) -> None:
    make_flow(server, "f", 2 * SLICE_BYTES)
    peer = ask(server, "GET", "/api/flows/f")
    for _ in range(50):
        send(peer, "GET", "/healthz")
    assert len(peer.transport.held) <= 3 * SLICE_BYTES
    peer.transport.start_reading()
    assert peer.take().count(b"HTTP/1.1 200") == 51


def test_slo9_small_answers_pile_up_no_more_than_large_ones(server: Stack) -> None:
    make_flow(server, "f", SLICE_BYTES // 2)
    peer = ask(server, "GET", "/api/flows/f")
    for _ in range(50):
        send(peer, "GET", "/api/flows/f")
    assert len(peer.transport.held) <= 3 * SLICE_BYTES
    peer.transport.start_reading()
    assert peer.take().count(b"HTTP/1.1 200") == 51


def test_slo9_who_takes_nothing_of_an_answer_is_cut_off(server: Stack) -> None:
    make_flow(server, "f", DOCUMENT_BYTES)
    peer = ask(server, "GET", "/api/flows/f")
    server.run(STALL_TIMEOUT - 1)
    assert not peer.gone
    server.run(2)
    assert peer.gone
    assert queued(server) == 0
    assert server.metric('helix_connections_dropped_total{code="4000"}') == 1


def test_slo9_who_goes_leaves_nothing(server: Stack) -> None:
    make_flow(server, "f", DOCUMENT_BYTES)
    peer = ask(server, "GET", "/api/flows/f")
    peer.transport.peer_is_gone()
    server.run(0.5)
    assert queued(server) == 0
    assert not [one for one in server.clock.getDelayedCalls() if "_cut" in str(one)]


def test_slo8_answers_count_and_those_with_most_go(server: Stack) -> None:
    for number in range(6):
        make_flow(server, f"f{number}", DOCUMENT_BYTES)
    peers = [ask(server, "GET", f"/api/flows/f{number}") for number in range(6)]
    server.run(0.5)
    assert queued(server) <= BOUND
    gone = [peer for peer in peers if peer.gone]
    assert 1 <= len(gone) < 6
    assert server.metric('helix_connections_dropped_total{code="4004"}') == len(gone)
    assert server.metric("helix_clients_shed_total") == len(gone)
    for peer in peers:
        if not peer.gone:
            peer.transport.start_reading()
            assert peer.take().endswith(b"0\r\n\r\n")


def test_slo8_mailboxes_count_and_share_the_document(server: Stack) -> None:
    make_flow(server, "f", DOCUMENT_BYTES)
    tokens = []
    for number in range(8):
        opened = server.connect()
        send(opened, "GET", "/socket/longpoll?vsn=2.0.0")
        tokens.append(read_json(opened)["token"])
        join = json.dumps(
            ["1", "1", "flow:f", "phx_join", {"mode": "document", "client_id": f"c{number}"}]
        )
        send(
            server.connect(),
            "POST",
            f"/socket/longpoll?vsn=2.0.0&token={quote(tokens[-1])}",
            join.encode(),
        )
    server.run(0.5)
    assert DOCUMENT_BYTES < queued(server) < 2 * DOCUMENT_BYTES
    polls = [ask(server, "GET", f"/socket/longpoll?vsn=2.0.0&token={quote(one)}") for one in tokens]
    assert queued(server) < 3 * DOCUMENT_BYTES, "what is answered is shared, too"
    for poll in polls:
        poll.transport.start_reading()
        reply = json.loads(read_json(poll)["messages"][0])
        assert len(reply[4]["response"]["document"]["data"]["text"]) > DOCUMENT_BYTES // 2
    assert queued(server) == 0


def read_json(peer: MemoryConnection) -> Any:
    """The body, in chunks, of the answer that has come."""
    body = peer.take().partition(b"\r\n\r\n")[2]
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        parts.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return json.loads(b"".join(parts))


def test_slo6_joins_of_one_post_are_refused_once_much_waits(server: Stack) -> None:
    for number in range(3):
        make_flow(server, f"f{number}", DOCUMENT_BYTES)
    opened = server.connect()
    send(opened, "GET", "/socket/longpoll?vsn=2.0.0")
    token = quote(read_json(opened)["token"])
    joins = [
        json.dumps(
            [str(n), str(n), f"flow:f{n}", "phx_join", {"mode": "document", "client_id": "c"}]
        )
        for n in range(3)
    ]
    query = f"/socket/longpoll?vsn=2.0.0&token={token}"
    send(
        server.connect(),
        "POST",
        query,
        "\n".join(joins).encode(),
        "Content-Type: application/x-ndjson",
    )
    poll = server.connect()
    send(poll, "GET", query)
    server.run(0.5)
    replies = [json.loads(one) for one in read_json(poll)["messages"]]
    assert [one[4]["status"] for one in replies] == ["ok", "error", "error"]
