"""How much of the server's time one client may take, and what counts as asking. (LIM)"""

from __future__ import annotations

import re

import pytest

from helix.channels.budget import REFUSALS_BURST
from helix.errors import CloseCode
from helix.limits.rate_limit import BURST_SECONDS, TokenBucket, Work
from helix.web.websocket import MAX_FRAGMENTS, TURN_SECONDS
from tests.support.memory_clients import MemoryConnection
from tests.support.rawsocket import CONTINUATION, PING, PONG, TEXT, build_frame
from tests.support.stack import Stack

HERE = "192.0.2.1"
HEARTBEAT = b'[null,"1","phoenix","heartbeat",{}]'
JSON = [("Content-Type", "application/json")]


def is_read(connection: MemoryConnection) -> bool:
    """Whether the server takes what the client sends."""
    return bool(connection.transport.producerState == "producing")


def close_code(connection: MemoryConnection) -> int | None:
    """With what the server closes, if it does."""
    data: bytes = connection.transport.value()
    at = data.rfind(b"\x88")
    return None if at < 0 else int.from_bytes(data[at + 2 : at + 4], "big")


# budgets


def test_lim22_what_is_owed_is_bounded() -> None:
    bucket = TokenBucket(2.0, 4.0, 0.0)
    assert bucket.owe(0.0, 3.0) == 0
    assert bucket.owe(0.0, 3.0) == 1
    assert bucket.take(0.0, 1.0) == 1.5
    assert bucket.owe(0.0, 1e9) == BURST_SECONDS
    assert bucket.take(BURST_SECONDS + 0.5, 1.0) == 0


def test_lim22_all_of_the_time_is_no_bound() -> None:
    work, now = Work(1.0, 0.0), 0.0
    for _ in range(1000):
        now += 0.1
        assert work.owe(now, 0.1) == 0


# work


def test_lim22_who_takes_too_much_time_is_not_read_from() -> None:
    """Also from this machine; nothing is lost, and the others are served."""
    stack = Stack(max_work_share=0.25)
    busy, other = stack.open(), stack.open()
    stack.work.step = 0.1
    sent = 0
    while is_read(busy):
        busy.send(build_frame(TEXT, HEARTBEAT))
        sent += 1
        assert sent < 100
    stack.work.step = 0.0
    assert sent > 1
    assert busy.transport.value().count(b"phx_reply") == sent
    assert is_read(other)
    stack.clock.advance(10.0)
    assert is_read(busy)
    busy.send(build_frame(TEXT, HEARTBEAT))
    assert busy.transport.value().count(b"phx_reply") == sent + 1


def test_lim22_who_is_not_read_from_may_go() -> None:
    stack = Stack(max_work_share=0.01)
    busy = stack.open()
    stack.work.step = 1.0
    busy.send(build_frame(TEXT, HEARTBEAT))
    assert not is_read(busy)
    busy.lose()
    stack.clock.advance(BURST_SECONDS)
    assert not len(stack.clients)


def test_lim22_clients_of_one_address_share_the_time() -> None:
    stack = Stack(max_work_share=0.25)
    stack.work.step = 0.1
    clients = [stack.open(address=HERE) for _ in range(10)]
    for client in clients:
        client.send(build_frame(TEXT, HEARTBEAT))
    stack.work.step = 0.0
    assert is_read(clients[0])
    assert not is_read(clients[-1])
    refused = stack.request("GET", "/api/flows", address=HERE)
    assert (refused.status, refused.json["code"]) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) >= 1
    assert stack.get("/api/flows").status == 200
    stack.clock.advance(BURST_SECONDS)
    assert stack.request("GET", "/api/flows", address=HERE).status == 200


def test_lim22_a_poller_is_answered_when_its_time_has_come() -> None:
    stack = Stack(max_work_share=0.25)
    poller = stack.poller()
    stack.work.step = 0.6
    post = poller._request("POST", poller.query, [], HEARTBEAT)
    assert not post.answers
    assert poller.post(HEARTBEAT) == {"status": 408}
    stack.work.step = 0.0
    stack.clock.advance(1.0)
    assert post.answer.json == {"status": 200}
    assert poller.post(HEARTBEAT) == {"status": 200}
    assert len(poller.messages()) == 2


def test_lim22_what_is_staged_later_counts() -> None:
    """An edit by REST is work of the address, whenever its turn comes."""
    stack = Stack(max_work_share=0.25)
    stack.post_json("/api/flows", {"id": "f"})
    stack.work.step = 0.6
    assert stack.request("PATCH", "/api/flows/f", JSON, b'{"title":"a"}', HERE).status == 200
    stack.work.step = 0.0
    assert stack.request("GET", "/healthz", address=HERE).status == 429


# what is no message


@pytest.mark.parametrize(("opcode", "answers"), [(PING, 5), (PONG, 0)])
def test_lim23_pings_and_pongs_count_as_messages(opcode: int, answers: int) -> None:
    stack = Stack(max_pushes_per_second=0.5)
    client = stack.open()
    client.send(build_frame(opcode, b"x") * 7)
    assert client.transport.value().count(b"\x8a\x01x") == answers
    client.send(build_frame(TEXT, HEARTBEAT))
    assert b"rate_limited" in client.transport.value()
    client.send(build_frame(opcode, b"x") * REFUSALS_BURST)
    assert close_code(client) == CloseCode.RATE_LIMITED


def test_lim23_fragments_count_as_messages() -> None:
    stack = Stack(max_pushes_per_second=1)
    client = stack.open()
    parts = [HEARTBEAT[at : at + 4] for at in range(0, len(HEARTBEAT), 4)]
    frames = [build_frame(CONTINUATION, part, fin=False) for part in parts[1:-1]]
    client.send(build_frame(TEXT, parts[0], fin=False) + b"".join(frames))
    client.send(build_frame(CONTINUATION, parts[-1]))
    assert client.transport.value().count(b'"status":"ok"') == 1
    client.send(build_frame(TEXT, HEARTBEAT) * 3)
    answers = client.transport.value()
    assert (answers.count(b'"status":"ok"'), answers.count(b"rate_limited")) == (2, 2)


def test_lim23_fragments_of_a_message_are_bounded() -> None:
    client = Stack().open()
    frames = build_frame(CONTINUATION, b"", fin=False) * (MAX_FRAGMENTS - 1)
    client.send(build_frame(TEXT, b"[", fin=False) + frames)
    assert close_code(client) is None
    client.send(build_frame(CONTINUATION, b"", fin=False))
    assert close_code(client) == CloseCode.RATE_LIMITED


# requests


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/socket", 404),
        ("GET", "/socket/nothing", 404),
        ("GET", "/socket/longpoll/nothing", 404),
        ("OPTIONS", "/socket/longpoll", 204),
        ("GET", "/socket/websocket", 426),
        ("PUT", "/socket/websocket", 405),
        ("POST", "/socket/check", 200),
        ("GET", "/nothing", 404),
    ],
)
def test_lim24_whatever_is_asked_for_counts(method: str, target: str, status: int) -> None:
    stack = Stack(max_requests_per_second=0.2)
    answers = [stack.request(method, target, address=HERE) for _ in range(3)]
    assert [one.status for one in answers[:2]] == [status] * 2
    assert answers[2].status == 429 or answers[2].json == {"status": 403}
    assert stack.request("GET", "/healthz", address=HERE).status == 429
    assert stack.request(method, target).status == status


def test_lim24_upgrades_count_as_requests() -> None:
    stack = Stack(max_requests_per_second=0.2)
    assert [stack.upgrade(address=HERE).answer.status for _ in range(3)] == [101, 101, 429]


def test_lim24_polls_count_as_messages_of_their_client() -> None:
    stack = Stack(max_requests_per_second=0.2, max_pushes_per_second=1)
    poller = stack.poller(address=HERE)
    answers = [poller.post(b"")["status"] for _ in range(12)]
    assert answers[:5] == [200] * 5
    assert answers[-1] == 408
    assert stack.request("GET", "/healthz", address=HERE).status == 200


# what is written


def test_lim25_bodies_count_as_bytes_of_the_address() -> None:
    stack = Stack(max_bytes_per_second=1024, address_allowance=1)
    body = b'{"data":{"text":"%b"}}' % (b"a" * 6000)
    stack.post_json("/api/flows", {"id": "f"})
    statuses = [stack.request("PATCH", "/api/flows/f", JSON, body, HERE).status for _ in range(3)]
    assert statuses == [200, 429, 429]
    assert stack.request("GET", "/api/flows/f", address=HERE).status == 200


def test_lim25_who_restores_pays_for_what_is_written() -> None:
    stack = Stack(max_bytes_per_second=1024, address_allowance=1)
    stack.post_json("/api/flows", {"id": "f", "document": {"data": {"a": "x" * 20_000}}})
    assert stack.request("PUT", "/api/flows/f", JSON, b"{}").status == 200
    restore = ("POST", "/api/flows/f/restore", JSON, b'{"version":1}', HERE)
    assert stack.request(*restore).status == 200
    assert stack.request(*restore).status == 429
    stack.clock.advance(2 * BURST_SECONDS)
    assert stack.request(*restore).status == 200


def test_lim25_who_deletes_pays_for_what_goes_with_it() -> None:
    stack = Stack(max_bytes_per_second=1024, address_allowance=1)
    nodes = {name: {"id": name, "position": {"x": 0, "y": 0}, "data": {}} for name in "ab"}
    edges = {f"e{n}": {"id": f"e{n}", "source": "a", "target": "b"} for n in range(2000)}
    stack.post_json("/api/flows", {"id": "f", "document": {"nodes": nodes, "edges": edges}})
    deleted = stack.request("PATCH", "/api/flows/f", JSON, b'{"nodes":{"a":null}}', HERE)
    assert deleted.status == 200
    assert stack.request("PATCH", "/api/flows/f", JSON, b'{"title":"a"}', HERE).status == 429


def test_lim22_many_messages_are_read_in_turns() -> None:
    """In order, each once, frames that are cut off too; others are served between."""
    stack = Stack(max_work_share=1)
    client, other = stack.open(), stack.open()
    stack.work.step = TURN_SECONDS / 4
    refs = range(200)
    frames = [build_frame(TEXT, HEARTBEAT.replace(b'"1"', b'"%d"' % ref)) for ref in refs]
    frames[50] = build_frame(PING, b"x") * 100 + frames[50]
    frames[60] = frames[60][:-5] + b"".join([frames[60][-5:], build_frame(PONG, b"y") * 100])
    data = b"".join(frames)
    client.send(data[:-3])
    client.send(data[-3:])
    told = client.transport.value()
    assert 0 < told.count(b"phx_reply") < 200
    other.send(build_frame(TEXT, HEARTBEAT))
    assert other.transport.value().count(b"phx_reply") == 1
    turns = 0
    while not is_read(client):
        stack.clock.advance(0.0 if turns % 2 else 0.5)
        turns += 1
        assert turns < 500
    answers = re.findall(rb'"(\d+)","phoenix"', client.transport.value())
    assert [int(ref) for ref in answers] == list(refs)
    assert client.transport.value().count(b"\x8a\x01x") == 100


def test_lim22_what_waits_for_its_turn_goes_with_its_client() -> None:
    stack = Stack(max_work_share=1)
    client = stack.open()
    stack.work.step = 2 * TURN_SECONDS
    client.send(build_frame(TEXT, HEARTBEAT) * 100)
    assert not is_read(client)
    client.lose()
    stack.clock.advance(1)
    assert not len(stack.clients)
