"""Relay mode with stock Phoenix clients, over both of their transports."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import pytest

from tests.stock_clients.phoenix import PhoenixProcess, Reply, Socket
from tests.support.daemon import Daemon

Connect = Callable[..., Socket]


def test_rel1_join_is_answered_and_announced_to_all(connect: Connect, flow_id: str) -> None:
    """Every member, the joiner too, hears of a join and of how many there are."""
    first = connect().join(f"flow:{flow_id}")
    assert first.join_reply() == Reply("ok", {})
    assert first.event("client_joined") == {"client_count": 1, "flow_id": flow_id}

    second = connect().join(f"flow:{flow_id}")
    assert second.join_reply() == Reply("ok", {})
    both = {"client_count": 2, "flow_id": flow_id}
    assert first.event("client_joined") == both
    assert second.event("client_joined") == both


def test_cha4_join_reply_precedes_everything_else(connect: Connect, flow_id: str) -> None:
    """A joiner's first frame of the topic is the reply, however busy the flow is."""
    topic = f"flow:{flow_id}"
    busy = connect().joined(topic)
    socket = connect()
    changes = [busy.push("flow_change", {"changes": number}) for number in range(50)]
    channel = socket.join(topic)
    changes += [busy.push("flow_change", {"changes": number}) for number in range(50)]
    for change in changes:
        change.reply()
    channel.event("client_joined")
    channel.settle()
    reply = socket.frames(topic)[0]
    assert (reply.event, reply.join_ref) == ("phx_reply", reply.ref)
    assert reply.payload == {"status": "ok", "response": {}}


@pytest.mark.parametrize(
    "changes",
    [
        {"text": 'Füße, 日本語, 🦊, \u2028, \u0000, "quoted\\"'},
        {"deep": {"list": [1, -2.5, 1e21, True, False, None, [], {}]}, "none": None},
        [{"type": "add", "item": {"id": "n1"}}],
        "only a string",
        None,
        {},
    ],
    ids=["unicode", "nested", "list", "string", "null", "empty"],
)
def test_rel3_changes_reach_all_members_verbatim(
    connect: Connect, flow_id: str, changes: object
) -> None:
    """All, the sender too, get the changes as they were sent, with whole seconds of Unix time."""
    sender, other = connect(), connect()
    sending, receiving = sender.joined(f"flow:{flow_id}"), other.joined(f"flow:{flow_id}")

    before = int(time.time())
    reply = sending.push("flow_change", {"changes": changes}).reply()
    assert reply == Reply("ok", {"status": "broadcasted"})
    for channel in (sending, receiving):
        update = channel.event("flow_update")
        assert update["changes"] == changes
        assert type(update["timestamp"]) is int
        assert before <= update["timestamp"] <= int(time.time())
        assert set(update) == {"changes", "timestamp"}


def test_cha10_broadcasts_name_no_ref(connect: Connect, flow_id: str) -> None:
    """A broadcast has neither ref nor join_ref: no pending reply can be taken for it."""
    topic = f"flow:{flow_id}"
    socket = connect()
    channel = socket.joined(topic)
    channel.push("flow_change", {"changes": {}}).reply()
    update = socket.frame(lambda frame: frame.event == "flow_update")
    assert (update.join_ref, update.ref, update.topic) == (None, None, topic)


def test_fan1_changes_keep_the_senders_order(connect: Connect, flow_id: str) -> None:
    """More pushes at once than a long poll takes in a request are answered, and come, in order."""
    channel = connect().joined(f"flow:{flow_id}")
    watcher = connect().joined(f"flow:{flow_id}")
    pushes = [channel.push("flow_change", {"changes": number}) for number in range(250)]
    assert [push.reply().status for push in pushes] == ["ok"] * 250
    for member in (channel, watcher):
        assert [member.event("flow_update")["changes"] for _ in pushes] == list(range(250))


def test_rel4_flow_change_without_changes_is_an_error(connect: Connect, flow_id: str) -> None:
    """What lacks ``changes`` is refused, and nobody gets anything."""
    sender, other = connect(), connect()
    sending, receiving = sender.joined(f"flow:{flow_id}"), other.joined(f"flow:{flow_id}")
    for payload in ({}, {"change": 1}, ["changes"], "changes", 7):
        reply = sending.push("flow_change", payload).reply()
        assert reply.status == "error", payload
        assert isinstance(reply.response["reason"], str)
    for channel in (sending, receiving):
        channel.settle()
        assert channel.events("flow_update") == []


def test_rel5_ping_is_answered_with_pong(connect: Connect, flow_id: str) -> None:
    """A ping needs no payload and gets a pong."""
    channel = connect().joined(f"flow:{flow_id}")
    assert channel.push("ping").reply() == Reply("ok", {"status": "pong"})


def test_rel5_unknown_event_is_an_error(connect: Connect, flow_id: str) -> None:
    """An event that a flow doesn't know is answered, not ignored."""
    channel = connect().joined(f"flow:{flow_id}")
    assert channel.push("no_such_event").reply() == Reply("error", {"reason": "Unknown event"})
    channel.settle()


def test_rel8_binary_changes_reach_those_who_can_carry_them(
    phoenix: PhoenixProcess, transport: str, daemon: Daemon, flow_id: str
) -> None:
    """A binary push is passed on as it is over WebSockets, and left out of long polls."""
    topic = f"flow:{flow_id}"
    watching = phoenix.connect(daemon.websocket_url, "websocket").joined(topic)
    polling = phoenix.connect(daemon.websocket_url, "longpoll").joined(topic)
    sending = phoenix.connect(daemon.websocket_url, transport).joined(topic)
    for data in (b"\x00\xff\x80 no JSON", b'{"changes": 1}', b""):
        assert sending.push("flow_change", data).reply() == Reply("ok", {"status": "broadcasted"})
        assert watching.event("flow_update") == {"binary": base64.b64encode(data).decode()}
    sending.push("flow_change", {"changes": "text again"}).reply()
    assert polling.event("flow_update")["changes"] == "text again"


def test_rel3_two_flows_on_one_socket_are_apart(connect: Connect, flow_id: str) -> None:
    """One socket is a member of two flows, and each gets its own updates only."""
    socket = connect()
    one, two = socket.joined(f"flow:{flow_id}-1"), socket.joined(f"flow:{flow_id}-2")
    one.push("flow_change", {"changes": "for one"}).reply()
    two.push("flow_change", {"changes": "for two"}).reply()
    assert one.event("flow_update")["changes"] == "for one"
    assert two.event("flow_update")["changes"] == "for two"
    one.settle()
    two.settle()
    assert one.events("flow_update") == two.events("flow_update") == []
    assert one.events("client_joined") == two.events("client_joined") == []


def test_cha8_cha14_unmatched_topic_is_refused_for_good(connect: Connect) -> None:
    """A topic that no channel serves can't be joined, and the client doesn't go on trying."""
    for topic in ("nowhere:1", "flow", "flow_management:1"):
        channel = connect().join(topic)
        assert channel.join_reply() == Reply("error", {"reason": "unmatched topic"}), topic
        channel.event("phx_close")


@pytest.mark.parametrize(
    "bad_id",
    ["", "   ", "é" * 128, "a\nb", "a\u0000b", "a\u007fb"],
    ids=["empty", "blank", "256_bytes", "newline", "nul", "delete"],
)
def test_rel6_cha14_invalid_flow_id_is_refused_for_good(connect: Connect, bad_id: str) -> None:
    """A flow id is 1 to 255 bytes after trimming, without control characters."""
    socket = connect()
    channel = socket.join(f"flow:{bad_id}")
    assert channel.join_reply() == Reply("error", {"reason": "Invalid flow identifier"})
    channel.event("phx_close")
    assert socket.look()["channels"] == [], "phoenix.js has forgotten the channel"


def test_rel6_flow_id_of_255_bytes_is_taken(connect: Connect, flow_id: str) -> None:
    """The longest id works, in any script."""
    longest = flow_id + "é" * ((255 - len(flow_id)) // 2) + "x"
    assert len(longest.encode()) == 255
    channel = connect().join(f"flow:{longest}")
    assert channel.join_reply() == Reply("ok", {})
    assert channel.event("client_joined") == {"client_count": 1, "flow_id": longest}


def test_rel6_flow_id_is_trimmed(connect: Connect, flow_id: str) -> None:
    """Topics that differ in blanks are one flow, and each client hears of it on its own topic."""
    plain, padded = connect().joined(f"flow:{flow_id}"), connect().join(f"flow:  {flow_id} ")
    assert padded.join_reply() == Reply("ok", {})
    both = {"client_count": 2, "flow_id": flow_id}
    assert plain.event("client_joined") == padded.event("client_joined") == both
    plain.push("flow_change", {"changes": 1}).reply()
    assert padded.event("flow_update")["changes"] == 1
    padded.push("flow_change", {"changes": 2}).reply()
    assert [plain.event("flow_update")["changes"] for _ in range(2)] == [1, 2]


def test_rel7_one_member_too_many_is_refused_until_one_leaves(
    phoenix: PhoenixProcess, transport: str, flow_id: str, start_daemon: Callable[..., Daemon]
) -> None:
    """A full flow refuses the next member, which phoenix.js retries until there is room."""
    daemon = start_daemon("--max-clients-per-flow", "2")
    topic = f"flow:{flow_id}"
    members = [phoenix.connect(daemon.websocket_url, transport).joined(topic) for _ in range(2)]
    waiting = phoenix.connect(daemon.websocket_url, transport, rejoinAfterMs=50).join(topic)
    assert waiting.join_reply() == Reply("error", {"reason": "max_clients_reached"})

    members[0].leave()
    assert members[1].event("client_left") == {"client_count": 1, "flow_id": flow_id}
    assert waiting.event("client_joined") == {"client_count": 2, "flow_id": flow_id}


def test_fan1_both_versions_meet_in_one_flow(
    start_phoenix: Callable[[str], PhoenixProcess], daemon: Daemon, flow_id: str
) -> None:
    """Clients of both versions, over both transports, see one another's changes in one order."""
    members = [
        start_phoenix(version).connect(daemon.websocket_url, transport).joined(f"flow:{flow_id}")
        for version in ("phoenix17", "phoenix18")
        for transport in ("websocket", "longpoll")
    ]
    for number, member in enumerate(members):
        assert member.push("flow_change", {"changes": number}).reply().status == "ok"
    for member in members:
        assert [member.event("flow_update")["changes"] for _ in members] == [0, 1, 2, 3]
