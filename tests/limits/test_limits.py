"""Who may send how much, and from where. (LIM)"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from helix.channels.budget import REFUSALS_BURST, ConnectionLimits
from helix.errors import CloseCode
from helix.limits.addresses import (
    CUSTOMER_BITS,
    MAX_HOPS,
    MAX_REMEMBERED,
    AddressBook,
    AddressLimits,
    TrustedProxies,
    customer_of,
)
from helix.limits.rate_limit import BURST_SECONDS, Rates, TokenBucket
from helix.web.http_channel import SPARE
from tests.channels.test_document_mode import FLOW, Editor, moving
from tests.support.logs import Log
from tests.support.stack import Stack
from tests.support.world import Client, World

MakeWorld = Callable[..., World]

HERE = "192.0.2.1"
LIMITED = {
    "reason": "too many messages, try again later",
    "code": "rate_limited",
    "retry": True,
}


# token buckets


@given(
    rate=st.floats(0.1, 1000),
    burst=st.floats(1, 10_000),
    steps=st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 20_000))),
)
def test_lim1_bucket_gives_no_more_than_its_rate(
    rate: float, burst: float, steps: list[tuple[float, float]]
) -> None:
    bucket = TokenBucket(rate, burst, 0.0)
    now = taken = 0.0
    for pause, amount in steps:
        now += pause
        wait = bucket.take(now, amount)
        if not wait:
            taken += min(amount, burst)
            assert taken <= (burst + now * rate) * (1 + 1e-9)
        else:
            assert bucket.take(now + wait * (1 + 1e-6) + 1e-6, amount) == 0
            now += wait * (1 + 1e-6) + 1e-6
            taken += min(amount, burst)


def test_lim1_time_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(1, 1, 100.0)
    assert bucket.take(100.0) == 0
    assert bucket.take(50.0) == 1
    assert bucket.take(50.5) == 0.5


# one connection


def beats(client: Client, count: int) -> list[dict[str, Any]]:
    """Send heartbeats; the payloads of the answers."""
    for n in range(count):
        client.send(client.text(None, str(n), "phoenix", "heartbeat", {}))
    return [message.payload for message in client.received()]


def limited(make_world: MakeWorld, address: str | None = None, **limits: float) -> Client:
    client: Client = make_world(limits=ConnectionLimits(**limits)).client(address=address)
    return client


def test_lim1_more_pushes_than_may_be_are_refused(make_world: MakeWorld) -> None:
    client = limited(make_world, pushes_per_second=0.5)
    answers = beats(client, 7)
    assert [one["status"] for one in answers] == ["ok"] * 5 + ["error"] * 2
    assert answers[-1]["response"] == {**LIMITED, "retry_after": 2}
    client.world.clock.advance(2)
    assert [one["status"] for one in beats(client, 2)] == ["ok", "error"]


def test_lim1_every_event_of_a_channel_counts(make_world: MakeWorld) -> None:
    client = limited(make_world, pushes_per_second=0.1)
    assert client.answer(client.join(FLOW))[0] == "ok"
    assert client.answer(client.push(FLOW, "ping"))[0] == "ok"
    ref = client.change(FLOW, 1)
    assert client.answer(ref) == ("error", {**LIMITED, "retry_after": 10})
    assert client.answer(client.leave(FLOW)) == ("ok", {}), "a leave is never refused"


def test_lim1_stale_and_unjoined_pushes_are_refused_as_ever(make_world: MakeWorld) -> None:
    client = limited(make_world, pushes_per_second=0.1)
    client.join(FLOW)
    assert client.answer(client.push("flow:other", "ping"))[0] == "error"
    client.send(client.text("stale", "7", FLOW, "ping", {}))
    assert client.received() == []
    client.send(client.text(None, "8", "flow:other", "ping", {}))
    (refused,) = client.received()
    assert (refused.join_ref, refused.ref) == (None, "8")
    assert refused.payload["response"]["code"] == "rate_limited"


def test_lim1_more_bytes_than_may_be_are_refused(make_world: MakeWorld) -> None:
    client = limited(make_world, bytes_per_second=1000)
    client.join(FLOW)
    client.received()
    assert client.answer(client.change(FLOW, "x" * 9000))[0] == "ok"
    assert client.answer(client.change(FLOW, "x" * 3000)) == (
        "error",
        {**LIMITED, "retry_after": 3},
    )
    client.world.clock.advance(3)
    assert client.answer(client.change(FLOW, "x" * 3000))[0] == "ok"
    client.world.clock.advance(BURST_SECONDS)
    assert client.answer(client.change(FLOW, "x" * 50_000))[0] == "ok", "it can't be had in parts"


def test_lim1_binary_frames_count(make_world: MakeWorld) -> None:
    client = limited(make_world, pushes_per_second=0.1)
    client.join(FLOW)
    client.received()
    strings = [b"1", b"2", FLOW.encode(), b"flow_change"]
    frame = bytes([0, *map(len, strings)]) + b"".join(strings) + b"\xff"
    client.send_binary(frame, frame)
    answers = [one.payload["status"] for one in client.received() if one.event == "phx_reply"]
    assert answers == ["ok", "error"]


def test_cha12_refused_join_closes_the_old_channel(make_world: MakeWorld) -> None:
    client = limited(make_world, max_channels=1, joins_per_second=0.1)
    first = client.join(FLOW)
    client.received()
    second = client.join(FLOW)
    refused, closed = client.received()
    assert (refused.ref, refused.payload["response"]["retry_after"]) == (second, 10)
    assert (closed.event, closed.join_ref) == ("phx_close", first)
    assert client.world.flow() is None


def test_lim4_who_goes_on_and_on_is_closed(make_world: MakeWorld) -> None:
    client = limited(make_world, pushes_per_second=0.1)
    beats(client, 1 + REFUSALS_BURST)
    assert client.close_code is None
    beats(client, 1)
    assert client.close_code is CloseCode.RATE_LIMITED


def test_lim8_refused_patch_is_not_overtaken(make_world: MakeWorld) -> None:
    world = make_world(limits=ConnectionLimits(pushes_per_second=0.3))
    editor = Editor(world, "e")
    for op_id in range(1, 6):
        editor.patch(op_id, {"title": str(op_id)})
    assert editor.refusals() == {4: ("rate_limited", True), 5: ("rate_limited", True)}
    world.clock.advance(4)
    editor.patch(6, {"title": "6"})
    assert editor.refusals()[6] == ("out_of_order", True)
    world.clock.advance(10)
    for op_id in (4, 5, 6):
        editor.patch(op_id, {"title": str(op_id)})
    editor.look()
    assert [entry["op_id"] for entry in editor.entries] == [1, 2, 3, 4, 5, 6]
    editor.patch(7, moving("none", 1))


# one address


def test_lim2_clients_of_one_address_share_what_it_may_send(make_world: MakeWorld) -> None:
    world = make_world(limits=ConnectionLimits(pushes_per_second=0.5), address_allowance=2)
    first, second, third = (world.client(address=HERE) for _ in range(3))
    other, local = world.client(address="192.0.2.2"), world.client()
    for client, expected in [(first, 5), (second, 5), (third, 0), (other, 5), (local, 5)]:
        assert [one["status"] for one in beats(client, 5)].count("ok") == expected


def test_lim2_channels_of_one_address_are_bounded(make_world: MakeWorld) -> None:
    """And with them the flows that one address can have open."""
    limits = ConnectionLimits(max_channels=2, joins_per_second=1e6)
    world = make_world(limits=limits, address_allowance=2)
    waiting = iter(range(100))

    def join(client: Client, topic: str) -> tuple[str, Any]:
        world.clock.advance(1 + next(waiting))  # so that there is no limit but that of channels
        return client.answer(client.join(topic))

    clients = [world.client(address=HERE) for _ in range(3)]
    answers = [
        join(client, f"flow:{client_number}-{n}")
        for client_number, client in enumerate(clients)
        for n in range(2)
    ]
    assert [status for status, _ in answers] == ["ok"] * 4 + ["error"] * 2
    assert answers[-1][1] == {"reason": "too many channels joined"}
    assert len(list(world.service.sessions())) == 4
    clients[0].leave("flow:0-0")
    clients[1].cut()
    for n in range(2):
        assert join(clients[2], f"flow:2-{n}")[0] == "ok"
    assert join(clients[0], "flow:0-1")[0] == "ok", "joining anew is no more"
    assert join(clients[0], "flow: ")[0] == "error"
    assert join(clients[0], "flow:0-0")[0] == "ok"
    for client in clients:
        client.cut()
    assert world.addresses.budget(HERE, 0).channels == 4  # type: ignore[union-attr]


def test_lim9_open_flows_are_bounded(make_world: MakeWorld) -> None:
    world = make_world(max_sessions=2)
    client = world.client()
    for n in range(2):
        assert client.answer(client.join(f"flow:{n}"))[0] == "ok"
    full = client.answer(client.join("flow:2"))
    assert full == ("error", {"reason": "Too many flows are open, try again later"})
    assert client.answer(client.join("flow:1", {"mode": "document", "client_id": "c"}))[0] == "ok"
    client.leave("flow:0")
    assert client.answer(client.join("flow:2"))[0] == "ok"


def test_lim5_book_of_addresses_is_bounded() -> None:
    book = AddressBook(AddressLimits(Rates(), 10, 1, 1, 1))
    kept = book.budget(HERE, 0)
    assert kept is not None
    kept.channels -= 1
    for n in range(MAX_REMEMBERED * 2):
        book.budget(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 0)
    gc.collect()
    assert len(book) == MAX_REMEMBERED + 1
    assert book.budget(HERE, 0) is kept, "somebody is connected from there"
    recent = book.budget("10.0.78.31", 0)
    assert recent is not None
    assert recent is book.budget("10.0.78.31", 0)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", None])
def test_lim5_this_machine_is_exempt(address: str | None) -> None:
    assert customer_of(address) is None


def test_lim5_customers_of_ipv6_are_networks() -> None:
    assert customer_of("2001:db8:1:2:3::4") == customer_of("2001:db8:1:2::") != None  # noqa: E711
    assert customer_of("2001:db8:1:3::4") != customer_of("2001:db8:1:2::4")
    assert customer_of("::ffff:192.0.2.1") == HERE
    assert CUSTOMER_BITS == 64


# connects and requests


def test_lim3_connects_are_limited() -> None:
    stack = Stack(max_connects_per_second=0.2)
    answers = [stack.upgrade(address=HERE).answer for _ in range(3)]
    assert [one.status for one in answers] == [101, 101, 429]
    assert answers[-1].json["code"] == "rate_limited"
    assert answers[-1].headers["retry-after"] == "5"
    assert stack.upgrade(address="192.0.2.9").answer.status == 101
    assert stack.request("GET", "/socket/longpoll", address=HERE).json == {"status": 403}
    stack.clock.advance(5)
    assert stack.upgrade(address=HERE).answer.status == 101


def test_lim3_refused_connects_count() -> None:
    stack = Stack(max_connects_per_second=0.2)
    for _ in range(2):
        assert stack.upgrade("vsn=9", address=HERE).answer.status == 403
    assert stack.upgrade(address=HERE).answer.status == 429


def test_lim3_requests_are_limited() -> None:
    stack = Stack(max_requests_per_second=0.3)
    answers = [stack.request("GET", "/healthz", address=HERE) for _ in range(4)]
    assert [one.status for one in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["retry-after"] == "4"
    assert answers[-1].json["retry"] is True
    assert stack.get("/healthz").status == 200
    stack.clock.advance(4)
    assert stack.request("GET", "/healthz", address=HERE).status == 200


@pytest.mark.parametrize("target", ["/api/flows", "/api/flows/import", "/api/flows/f/duplicate"])
def test_lim3_new_flows_are_limited(target: str) -> None:
    stack = Stack(max_creations_per_second=0.1)
    headers = [("Content-Type", "application/json")]
    stack.request("POST", "/api/flows", headers, b'{"id": "f"}', HERE)
    answer = stack.request("POST", target, headers, b'{"nodes": [], "edges": []}', HERE)
    assert (answer.status, answer.headers["retry-after"]) == (429, "10")
    assert stack.request("GET", "/api/flows/f", address=HERE).status == 200


def test_lim7_http_connections_are_bounded() -> None:
    stack = Stack(max_connections_per_address=2, max_connections=10)
    refused: list[object] = []
    stack.telemetry.subscribe("helix.connection.refused", lambda *told: refused.append(told[2]))
    open_ones = [stack.connect(HERE) for _ in range(2 + SPARE)]
    assert stack.site.buildProtocol(open_ones[0].transport.getPeer()) is None
    assert refused == [{"code": "too_many_connections"}]
    open_ones[0].lose()
    upgraded = stack.upgrade(address=HERE)
    assert upgraded.answer.status == 101
    assert stack.connect(HERE), "what has become a WebSocket is no HTTP connection"
    more = [stack.connect() for _ in range(10 - 2)]
    assert stack.site.buildProtocol(more[0].transport.getPeer()) is None


# proxies


TRUSTED = TrustedProxies.parse(["10.0.0.0/8", "2001:db8::1", "unix"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        (HERE, ["198.51.100.1"], HERE),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8::1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        (None, ["198.51.100.1"], "198.51.100.1"),
        (None, [], None),
        ("10.0.0.1", ["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1, 10.2.2.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown, 10.2.2.2"], "10.2.2.2"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::9]:4711"], "2001:db8::9"),
        ("10.0.0.1", ["2001:db8::9"], "2001:db8::9"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["", " , ,"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1," + "10.1.1.1," * MAX_HOPS + "10.2.2.2"], "10.1.1.1"),
    ],
)
def test_lim6_address_behind_proxies(
    peer: str | None, forwarded: list[str], expected: str | None
) -> None:
    assert TRUSTED.client_address(peer, forwarded) == expected


@given(st.lists(st.text(max_size=60), max_size=5))
def test_lim6_what_stands_left_of_a_client_changes_nothing(forged: list[str]) -> None:
    """A client sends what it likes; a proxy adds whom it sees, in a header or to one."""
    together = [*forged[:-1], ", ".join([*forged[-1:], HERE])]
    assert TRUSTED.client_address("10.0.0.1", together) == HERE
    assert TRUSTED.client_address("10.0.0.1", [*forged, HERE]) == HERE
    assert TRUSTED.client_address("192.0.2.7", [*forged, HERE]) == "192.0.2.7"


def test_lim6_limits_are_those_of_the_address_behind_the_proxy() -> None:
    stack = Stack(
        max_connections_per_address=1, max_requests_per_second=0.3, trusted_proxy=["127.0.0.1"]
    )

    def upgrade(client: str) -> int:
        return stack.upgrade("", ("X-Forwarded-For", f"192.0.2.99, {client}")).answer.status

    assert [upgrade(one) for one in (HERE, HERE, "192.0.2.2")] == [101, 503, 101]
    forwarded = ("X-Forwarded-For", HERE)
    assert [stack.get("/healthz", forwarded).status for _ in range(2)] == [200, 429]
    poll = stack.request("GET", "/socket/longpoll", [forwarded])
    assert poll.json == {"status": 403}


def test_lim6_unix_sockets_may_be_a_proxys() -> None:
    forwarded = ("X-Forwarded-For", HERE)
    for trusted, statuses in [(["unix"], [101, 503]), ([], [101, 101])]:
        stack = Stack(max_connections_per_address=1, trusted_proxy=trusted)
        answers = [stack.upgrade("", forwarded, address=None).answer for _ in range(2)]
        assert [one.status for one in answers] == statuses


# many tiny flows


def test_lim3_a_million_tiny_flows_of_one_address_are_not_to_be_had() -> None:
    """At once a few, then a few a second; nothing is left of what was refused."""
    stack = Stack(
        max_creations_per_second=2, max_requests_per_second=1e5, max_connections_per_address=9999
    )
    headers = [("Content-Type", "application/json")]
    made = 0
    for _ in range(2000):
        made += stack.request("POST", "/api/flows", headers, b"{}", HERE).status == 201
    assert made == 2 * BURST_SECONDS
    assert not list(stack.sessions.sessions())
    stack.clock.advance(3)
    statuses = [stack.request("POST", "/api/flows", headers, b"{}", HERE).status for _ in range(10)]
    assert statuses == [201] * 6 + [429] * 4


def test_lim2_flows_that_are_opened_and_left_leave_nothing(make_world: MakeWorld) -> None:
    world = make_world(limits=ConnectionLimits(joins_per_second=1e6, pushes_per_second=1e6))
    client = world.client(address=HERE)
    for n in range(3000):
        client.join(f"flow:tiny{n}")
        client.leave(f"flow:tiny{n}")
        client.socket.taken.clear()
    world.settle()
    assert not list(world.service.sessions())
    assert len(world.clock.getDelayedCalls()) == 0


# what is meant to be slow, deep or somebody else's


COLLIDING = {str(n * (2**61 - 1)): 0 for n in range(5000)}
"""Keys that are one and the same to a table of numbers by their remainders."""


def test_lim10_keys_that_are_alike_cost_no_more_than_others(make_world: MakeWorld) -> None:
    """Hashes of texts are seeded, so nobody can choose keys that collide."""
    world = make_world()
    editor = Editor(world, "e")
    editor.patch(1, {"data": COLLIDING})
    assert editor.accepted() == {1: 1}
    assert len({hash(key) % 8192 for key in COLLIDING}) > 3000


@pytest.mark.parametrize(
    "flow_id", ["__proto__", "constructor", "../../etc/passwd", "...", "%2e%2e%2f", "a\\b", "C:\\x"]
)
def test_lim10_ids_that_look_like_something_else_are_ids(flow_id: str) -> None:
    """They lead to a flow of that name, and nowhere else."""
    stack = Stack()
    made = stack.post_json("/api/flows", {"id": flow_id, "document": {"title": "mine"}})
    assert made.status == 201
    location = made.headers["location"]
    assert location.count("/") == 3
    assert stack.get(location).json["id"] == flow_id
    assert [one["id"] for one in stack.get("/api/flows").json["flows"]] == [flow_id]


@pytest.mark.parametrize("injected", ["\r\nX-Injected: 1", "\nX-Injected: 1", "\rX-Injected: 1"])
def test_lim10_nothing_that_is_sent_becomes_a_header(injected: str) -> None:
    stack = Stack()
    made = stack.post_json("/api/flows", {"document": {"title": f"t{injected}"}})
    exported = stack.get(f"/api/flows/{made.json['id']}/export")
    refused = stack.post_json("/api/flows", {"id": f"f{injected}"})
    missing = stack.get(f"/api/flows/{quote('f' + injected, safe='')}")
    for answer in (made, exported, refused, missing):
        assert answer.headers["x-injected"] is None
    assert (exported.status, refused.status, missing.status) == (200, 400, 400)


# SEC9: proxies that nobody named


@pytest.mark.parametrize(
    ("header", "address", "options", "counted"),
    [
        ("X-Forwarded-For", "127.0.0.1", {}, True),
        ("Forwarded", "127.0.0.1", {}, True),
        ("X-Forwarded-For", None, {}, True),
        ("X-Forwarded-For", "127.0.0.1", {"trusted_proxy": "127.0.0.1"}, False),
        ("X-Forwarded-For", None, {"trusted_proxy": "unix"}, False),
        ("X-Forwarded-For", "192.0.2.1", {}, False),
        ("X-Other", "127.0.0.1", {}, False),
    ],
)
def test_sec9_proxy_of_this_machine_that_is_not_trusted_is_told_of(
    header: str, address: str | None, options: dict[str, object], counted: bool
) -> None:
    stack, log = Stack(**options), Log()
    globalLogPublisher.addObserver(log)
    try:
        for target in ("/api/flows", "/api/status", "/socket/longpoll?vsn=2.0.0"):
            stack.request("GET", target, [(header, "203.0.113.9")], address=address)
        stack.request("GET", "/api/flows", address=address)
    finally:
        globalLogPublisher.removeObserver(log)
    warned = [formatEvent(event) for event in log.events if event["log_level"] is LogLevel.warn]
    exposed = stack.get("/metrics").body.decode()
    assert f"helix_untrusted_forwards_total {3.0 if counted else 0.0}" in exposed
    assert len(warned) == counted
    if counted:
        assert f"--trusted-proxy {address or 'unix'}" in warned[0]
        assert "203.0.113.9" not in warned[0], "whoever it is for is nobody's business"
