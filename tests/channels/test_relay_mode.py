"""What flows and their management do with a push: relay mode."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from helix.delivery.outlet import Flow
from helix.delivery.protocol import V1, V2, Serializer
from tests.support.world import START, Client, World, decode

FLOW = "flow:f"
NOW = int(START)


def reply(client: Client, ref: str, response: object, status: str = "ok") -> None:
    assert client.answer(ref) == (status, response)


def refusal(client: Client, ref: str, reason: str) -> None:
    reply(client, ref, {"reason": reason}, "error")


def binary_push(client_ref: bytes, topic: str, event: str, data: bytes) -> bytes:
    parts = [b"", client_ref, topic.encode(), event.encode()]
    return bytes([0, *map(len, parts)]) + b"".join(parts) + data


@pytest.mark.parametrize("params", [{}, {"mode": "relay"}, {"user": {"name": "x"}}])
def test_rel1_join(world: World, params: object) -> None:
    client = world.client()
    client.join(FLOW, params)
    assert client.raw() == [
        b'["1","1","flow:f","phx_reply",{"status":"ok","response":{}}]',
        b'[null,null,"flow:f","client_joined",{"client_count":1,"flow_id":"f"}]',
    ]


def test_rel1_all_members_are_told_of_a_join(world: World) -> None:
    first, second = world.members(2)
    third = world.client()
    third.join(FLOW)
    world.settle()
    joined = ("client_joined", {"client_count": 3, "flow_id": "f"})
    assert first.events() == second.events() == [joined]
    assert third.events() == [("phx_reply", {"status": "ok", "response": {}}), joined]


@pytest.mark.parametrize("params", [{"mode": "other"}, {"mode": 5}, {"mode": None}, [], "relay", 5])
def test_rel1_other_modes_are_refused(world: World, params: object) -> None:
    client = world.client()
    ref = client.join(FLOW, params)
    [answer] = client.received()
    assert (answer.join_ref, answer.ref, answer.payload["status"]) == (ref, ref, "error")
    assert world.flow() is None


@pytest.mark.parametrize("how", ["leave", "cut"])
def test_rel2_the_others_are_told_of_a_leave(world: World, how: str) -> None:
    members = world.members(3)
    if how == "leave":
        members[0].leave(FLOW)
    else:
        members[0].cut()
    world.settle()
    left = [("client_left", {"client_count": 2, "flow_id": "f"})]
    assert members[1].events() == members[2].events() == left
    assert left[0] not in members[0].events()


@pytest.mark.parametrize("kind", [V1, V2])
def test_rel3_change(world: World, kind: type[Serializer]) -> None:
    members = [world.client(kind), world.client(V1), world.client(V2)]
    for member in members:
        member.join(FLOW)
    world.settle()
    for member in members:
        member.received()
    ref = members[0].change(FLOW, {"nodes": [1]})
    world.settle()
    update = (FLOW, "flow_update", {"changes": {"nodes": [1]}, "timestamp": NOW})
    for member in members[1:]:
        [message] = member.received()
        assert (message.join_ref, message.ref) == (None, None)
        assert message[2:] == update
    received = members[0].received()
    assert update in [message[2:] for message in received]
    [answer] = [message for message in received if message.ref == ref]
    assert answer.payload == {"status": "ok", "response": {"status": "broadcasted"}}
    assert len(received) == 2


CHANGES = [
    b"null",
    b"[ ]",
    b'{"a" :\t1.50,\n "a":2E+1,"\\u00e9\\/":"\\ud83d\\ude00 \xc3\xa9"}',
    b'"<\\u2028>"',
    b"123456789012345678901234567890.0000",
    b"-0.0",
    b"1e400",
    b"[" * 100 + b"]" * 100,
    b'"' + b"x" * 70_000 + b'"',
]


@pytest.mark.parametrize("changes", CHANGES, ids=range(len(CHANGES)))
def test_rel3_changes_are_relayed_byte_for_byte(world: World, changes: bytes) -> None:
    first, second = world.members(2)
    old = world.client(V1)
    old.join(FLOW)
    world.settle()
    second.received(), old.received()
    first.send(b'[null, 7, "flow:f",\r\n"flow_change", { "x":1, "changes" : %b } ]' % changes)
    world.settle()
    payload = b'{"changes":%b,"timestamp":%d}' % (changes, NOW)
    assert second.raw() == [b'[null,null,"flow:f","flow_update",%b]' % payload]
    assert old.raw() == [
        b'{"topic":"flow:f","event":"flow_update","ref":null,"payload":%b}' % payload
    ]


def test_cha15_two_spellings_of_a_flow_are_one_channel(world: World) -> None:
    """The later join takes the place of the earlier, and each hears its own topic."""
    client, other = world.client(), world.client()
    first = client.join(FLOW)
    other.join(FLOW)
    world.settle()
    client.received()
    second = client.join("flow: f")
    world.settle()
    reply, closed, *_ = client.received()
    assert (reply.ref, reply.topic, reply.payload["status"]) == (second, "flow: f", "ok")
    assert (closed.topic, closed.event, closed.join_ref) == (FLOW, "phx_close", first)
    assert world.flow().client_count == 2
    other.change(FLOW, 1)
    world.settle()
    assert [one.topic for one in client.received() if one.event == "flow_update"] == ["flow: f"]
    assert client.answer(client.push(FLOW, "ping"))[0] == "error"
    assert client.answer(client.leave(FLOW)) == ("ok", {}), "it isn't joined"
    assert client.answer(client.push("flow: f", "ping"))[0] == "ok"
    client.leave("flow: f")
    world.settle()
    assert world.flow().client_count == 1


@pytest.mark.parametrize("payload", [{}, {"change": 1}, [], None, "changes", 5])
def test_rel4_no_changes(world: World, payload: object) -> None:
    first, second = world.members(2)
    ref = "9"
    first.send(first.text("1", ref, FLOW, "flow_change", payload))
    world.settle()
    refusal(first, ref, "Missing changes")
    assert second.received() == []


def test_rel5_ping(world: World) -> None:
    first, second = world.members(2)
    ref = first.push(FLOW, "ping")
    reply(first, ref, {"status": "pong"})
    assert second.received() == []


@pytest.mark.parametrize(
    "event", ["", "PING", "flow_update", "flow_deleted", "phx_close", "x" * 255]
)
def test_rel5_unknown_event(world: World, event: str) -> None:
    first, second = world.members(2)
    ref = first.push(FLOW, event)
    refusal(first, ref, "Unknown event")
    assert second.received() == []


@pytest.mark.parametrize("topic", ["flow:", "flow: ", "flow:a\x00b", "flow:" + "a" * 256])
def test_rel6_invalid_flow_id(world: World, topic: str) -> None:
    client = world.client()
    ref = client.join(topic)
    refusal(client, ref, "Invalid flow identifier")
    assert not list(world.service.sessions())


@pytest.mark.parametrize("topic", ["flow: f", "flow:f\n", "flow:\u2003f\t"])
def test_rel6_trimmed_flow_ids_are_one_flow(world: World, topic: str) -> None:
    [first] = world.members(1)
    second = world.client()
    second.join(topic)
    world.settle()
    joined = {"client_count": 2, "flow_id": "f"}
    assert first.events() == [("client_joined", joined)]
    assert second.received()[-1] == (None, None, topic, "client_joined", joined)


def test_rel7_full_flow(make_world: Callable[..., World]) -> None:
    world = make_world(max_clients=2)
    first, second = world.members(2)
    third = world.client()
    ref = third.join(FLOW)
    world.settle()
    assert third.raw() == [
        (
            b'["1","1","flow:f","phx_reply",'
            b'{"status":"error","response":{"reason":"max_clients_reached"}}]'
        )
    ]
    assert first.received() == []
    assert world.events("helix.session.join_refused") == [
        ({}, {"flow_id": "f", "code": "max_clients_reached"})
    ]
    third.join("flow:other")
    second.leave(FLOW)
    ref = third.join(FLOW)
    reply(third, ref, {})


def test_rel7_member_that_joins_anew_is_not_one_too_many(make_world: Callable[..., World]) -> None:
    world = make_world(max_clients=1)
    [member] = world.members(1)
    ref = member.join(FLOW)
    reply(member, ref, {})


def test_rel8_binary_change(world: World) -> None:
    first, second = world.members(2)
    old = world.client(V1)
    old.join(FLOW)
    world.settle()
    for member in (first, second, old):
        member.received()
    first.send_binary(binary_push(b"77", FLOW, "flow_change", b"\x00\xff{data"))
    world.settle()
    update = (0x82, b"\x02\x06\x0bflow:fflow_update\x00\xff{data")
    assert second.frames() == [update]
    frames = first.frames()
    assert update in frames
    frames.remove(update)
    assert decode(V2, *frames[0]) == (
        "1",
        "77",
        FLOW,
        "phx_reply",
        {"status": "ok", "response": {"status": "broadcasted"}},
    )
    assert old.frames() == []


def test_rel8_v1_gets_no_binary(world: World) -> None:
    old = world.client(V1)
    assert old.outlet.encoding.frame_binary is None


def test_rel8_topic_too_long_for_binary(world: World) -> None:
    """Its members get no binary change; nobody else is worse off."""
    first, second = world.members(2)
    padded = world.client()
    padded.join("flow:" + " " * 250 + "f")
    world.settle()
    first.received(), second.received(), padded.received()
    for data in (b"1", b"2"):
        first.send_binary(binary_push(b"7", FLOW, "flow_change", data))
    first.change(FLOW, 3)
    world.settle()
    assert [message.payload for message in second.received()][:2] == [b"1", b"2"]
    assert [event for event, _ in padded.events()] == ["flow_update"]


def test_rel8_text_and_binary_keep_their_order(world: World) -> None:
    first, second = world.members(2)
    old = world.client(V1)
    old.join(FLOW)
    world.settle()
    second.received(), old.received()
    for number in range(6):
        if number % 2:
            first.send_binary(binary_push(b"7", FLOW, "flow_change", b"%d" % number))
        else:
            first.change(FLOW, number)
    world.settle()
    seen = [
        int(payload if isinstance(payload, bytes) else payload["changes"])
        for _, payload in second.events()
    ]
    assert seen == list(range(6))
    assert [payload["changes"] for _, payload in old.events()] == [0, 2, 4]


def test_rel5_binary_ping(world: World) -> None:
    [member] = world.members(1)
    member.send_binary(binary_push(b"7", FLOW, "ping", b""))
    reply(member, "7", {"status": "pong"})


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"mode":"\xff"}', b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"]
)
def test_frm7_binary_join(world: World, data: bytes) -> None:
    client = world.client()
    client.send_binary(binary_push(b"7", FLOW, "phx_join", data))
    [answer] = client.received()
    assert answer.payload["status"] == "error"
    assert client.close_code is None


def manager_of(world: World) -> Client:
    manager = world.client()
    ref = manager.join("flow_management")
    reply(manager, ref, {})
    return manager


def test_man1_flow_deleted(world: World) -> None:
    members = world.members(3)
    manager = manager_of(world)
    ref = manager.push("flow_management", "flow_deleted", {"flow_id": " f ", "more": 1})
    world.settle()
    reply(manager, ref, {"status": "session_closed", "clients_affected": 3})
    for member in members:
        assert member.raw() == [
            b'["1",null,"flow:f","flow_deleted",{"flow_id":"f","timestamp":%d}]' % NOW,
            b'["1","1","flow:f","phx_close",{}]',
        ]
    assert world.flow() is None
    assert world.events("helix.session.ended")[0][1] == {"flow_id": "f", "reason": "forced"}
    ref = members[0].push(FLOW, "ping")
    refusal(members[0], ref, "unmatched topic")


def test_man1_a_member_that_ends_its_own_flow(world: World) -> None:
    [member] = world.members(1)
    member.join("flow_management")
    member.received()
    member.push("flow_management", "flow_deleted", {"flow_id": "f"})
    world.settle()
    assert [event for event, _ in member.events()] == ["flow_deleted", "phx_close", "phx_reply"]


def test_man1_members_are_told_by_whom(world: World) -> None:
    """By whoever the client of that connection says it is, where it was last heard to say so."""
    [member] = world.members(1)
    manager = manager_of(world)
    for flow, name in (("a", "Ada"), ("b", "Bob"), ("c", "")):
        params = {"mode": "document", "client_id": "m", "user": {"name": name}}
        manager.join(f"flow:{flow}", params)
    world.settle()
    manager.push("flow_management", "flow_deleted", {"flow_id": "f"})
    world.settle()
    ended = b'{"flow_id":"f","timestamp":%d,"by":"Bob"}' % NOW
    assert member.raw()[0] == b'["1",null,"flow:f","flow_deleted",%b]' % ended


def test_man1_a_member_in_document_mode_that_ends_its_own_flow(world: World) -> None:
    member = world.client()
    user = {"name": "Ada", "color": "#d33682"}
    member.join(FLOW, {"mode": "document", "client_id": "ada", "user": user})
    member.join("flow_management")
    world.settle()
    member.received()
    member.push("flow_management", "flow_deleted", {"flow_id": "f"})
    world.settle()
    ended = {"flow_id": "f", "timestamp": NOW, "by": "Ada"}
    assert member.events()[:2] == [("session_ended", ended), ("phx_error", {})]


def test_man1_members_in_document_mode_join_again_and_find_the_flow(world: World) -> None:
    """The session ends, not the flow; who is in relay mode is told what its client knows."""
    member, [relay] = world.client(), world.members(1)
    params = {"mode": "document", "client_id": "ada"}
    member.join(FLOW, params)
    member.push(FLOW, "patch", {"op_id": 1, "patch": {"title": "kept"}})
    manager = manager_of(world)
    world.settle()
    member.received(), relay.received()
    ref = manager.push("flow_management", "flow_deleted", {"flow_id": "f"})
    world.settle()
    reply(manager, ref, {"status": "session_closed", "clients_affected": 2})
    ended = {"flow_id": "f", "timestamp": NOW}
    assert member.events() == [("session_ended", ended), ("phx_error", {})]
    assert relay.events() == [("flow_deleted", ended), ("phx_close", {})]
    status, response = member.answer(member.join(FLOW, params))
    assert (status, response["document"]["title"]) == ("ok", "kept")


def test_man1_what_was_broadcast_before_comes_before(world: World) -> None:
    first, second = world.members(2)
    manager = manager_of(world)
    for number in range(3):
        first.change(FLOW, number)
    manager.push("flow_management", "flow_deleted", {"flow_id": "f"})
    world.settle()
    assert [event for event, _ in second.events()] == [
        *["flow_update"] * 3,
        "flow_deleted",
        "phx_close",
    ]


def test_man1_no_session(world: World) -> None:
    manager = manager_of(world)
    ref = manager.push("flow_management", "flow_deleted", {"flow_id": "f"})
    reply(manager, ref, {"status": "session_closed", "clients_affected": 0})


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"flow_id": ""},
        {"flow_id": "  "},
        {"flow_id": None},
        {"flow_id": 5},
        {"flow_id": ["f"]},
        {"flow_id": "a" * 256},
        {"flow_id": "a\x00b"},
        [],
        None,
        "f",
    ],
)
def test_man2_invalid_flow_id(world: World, payload: object) -> None:
    manager = manager_of(world)
    manager.send(manager.text(None, "9", "flow_management", "flow_deleted", payload))
    refusal(manager, "9", "Invalid flow_id")


def test_man2_binary(world: World) -> None:
    manager = manager_of(world)
    data = b'{"flow_id":"\xff"}'
    manager.send_binary(binary_push(b"9", "flow_management", "flow_deleted", data))
    refusal(manager, "9", "Invalid flow_id")


def test_man1_other_events(world: World) -> None:
    manager = manager_of(world)
    ref = manager.push("flow_management", "ping")
    refusal(manager, ref, "Unknown event")
    manager.leave("flow_management")
    assert [event for event, _ in manager.events()] == ["phx_reply", "phx_close"]


def lagging(world: World, flows: tuple[str, ...] = ("f",)) -> tuple[Client, Client]:
    """A member who writes and one who lags, both in some flows."""
    writer, slow = world.client(), world.client()
    for client in (writer, slow):
        for flow in flows:
            client.join(f"flow:{flow}")
    world.settle()
    writer.received(), slow.received()
    slow.socket.room = 0
    writer.change(f"flow:{flows[0]}", "x" * (1 << 21))
    world.settle()
    assert slow.outlet.state is Flow.LAGGING
    return writer, slow


def drained(world: World, client: Client) -> list[tuple[str, str, object]]:
    """What a lagging member gets when it drains, without what made it lag."""
    client.socket.room = None
    world.settle()
    messages = client.received()[1:]
    return [
        (one.topic, one.event, one.payload.get("changes", one.payload.get("client_count")))
        if isinstance(one.payload, dict)
        else (one.topic, one.event, one.payload)
        for one in messages
    ]


def test_slo1_newest_update_and_client_count(world: World) -> None:
    writer, slow = lagging(world)
    others = [world.client() for _ in range(3)]
    for other in others:
        other.join(FLOW)
    for number in range(5):
        writer.change(FLOW, number)
        world.settle()
    others[0].leave(FLOW)
    world.settle()
    assert drained(world, slow) == [(FLOW, "flow_update", 4), (FLOW, "client_left", 4)]
    writer.change(FLOW, 5)
    assert slow.events() == [("flow_update", {"changes": 5, "timestamp": NOW})]


def test_slo1_newest_of_each_flow(world: World) -> None:
    writer, slow = lagging(world, ("f", "g"))
    for number in range(3):
        writer.change("flow:f", number)
        writer.change("flow:g", number + 10)
        world.settle()
    assert drained(world, slow) == [("flow:f", "flow_update", 2), ("flow:g", "flow_update", 12)]


@pytest.mark.parametrize("joined", [True, False])
def test_slo1_binary_does_not_displace_what_v1_gets(world: World, joined: bool) -> None:
    writer, slow = world.client(), world.client(V1)
    for client in (writer, slow):
        client.join(FLOW)
    world.settle()
    slow.received()
    slow.socket.room = 0
    writer.change(FLOW, "x" * (1 << 21))
    world.settle()
    writer.change(FLOW, 1)
    writer.change(FLOW, 2)
    if not joined:
        world.settle()
    writer.send_binary(binary_push(b"9", FLOW, "flow_change", b"data"))
    world.settle()
    assert drained(world, slow) == [(FLOW, "flow_update", 2)]


def test_slo1_newest_update_may_be_binary(world: World) -> None:
    writer, slow = lagging(world)
    writer.change(FLOW, 1)
    writer.send_binary(binary_push(b"9", FLOW, "flow_change", b"data"))
    world.settle()
    assert drained(world, slow) == [(FLOW, "flow_update", b"data")]


def test_slo2_the_end_reaches_a_lagging_member(world: World) -> None:
    """And nothing of the flow after it."""
    writer, slow = lagging(world)
    writer.change(FLOW, 1)
    world.settle()
    assert world.service.close("f") == 2
    world.settle()
    events = [event for _, event, _ in drained(world, slow)]
    assert events == ["flow_deleted", "phx_close"]


def test_fan7_lagging_member_leaves_one_flow_of_two(world: World) -> None:
    writer, slow = lagging(world, ("f", "g"))
    for flow in ("f", "g"):
        writer.change(f"flow:{flow}", flow)
    world.settle()
    world.service.close("f")
    world.settle()
    kept = [one for one in drained(world, slow) if one[1] == "flow_update"]
    assert kept == [("flow:g", "flow_update", "g")]


def test_slo4_members_beside_a_lagging_one(world: World) -> None:
    writer, _ = lagging(world)
    [other] = [world.client()]
    other.join(FLOW)
    world.settle()
    other.received()
    for number in range(20):
        writer.change(FLOW, number)
    world.settle()
    assert [payload["changes"] for _, payload in other.events()] == list(range(20))


def test_rel3_timestamp_is_when_it_was_changed(world: World) -> None:
    [member] = world.members(1)
    world.clock.advance(2)
    member.change(FLOW, 1)
    texts = member.raw()
    update = next(json.loads(text) for text in texts if b"flow_update" in text)
    assert update[4]["timestamp"] == NOW + 2
    assert isinstance(update[4]["timestamp"], int)
