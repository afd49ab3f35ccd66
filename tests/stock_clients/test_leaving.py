"""How membership ends with stock Phoenix clients: leave, disconnect, replacement, deletion."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.stock_clients.phoenix import Frame, PhoenixProcess, Reply, Socket
from tests.support.daemon import Daemon

Connect = Callable[..., Socket]

LONGPOLL_SESSION_TIMEOUT = 15.0


def test_cha9_leave_is_confirmed_and_announced_to_the_others(
    connect: Connect, flow_id: str
) -> None:
    """The leaver gets a reply, then ``phx_close``; the others get ``client_left``."""
    topic = f"flow:{flow_id}"
    socket = connect()
    leaving, staying = socket.joined(topic), connect().joined(topic)
    join_ref = socket.frame(lambda frame: frame.event == "phx_reply").join_ref

    leaving.leave()
    assert staying.event("client_left") == {"client_count": 1, "flow_id": flow_id}
    close = socket.frame(lambda frame: frame.event == "phx_close")
    assert (close.join_ref, close.topic, close.payload) == (join_ref, topic, {})
    reply = socket.frame(lambda frame: frame.event == "phx_reply")
    assert (reply.join_ref, reply.payload) == (join_ref, {"status": "ok", "response": {}})
    assert all(frame.event != "client_left" for frame in socket.frames(topic))


def test_cha9_a_topic_can_be_joined_again_after_leaving(connect: Connect, flow_id: str) -> None:
    """Leave, then join, on one socket: the new channel works and its member counts once."""
    socket = connect()
    socket.joined(f"flow:{flow_id}").leave()
    again = socket.join(f"flow:{flow_id}")
    assert again.join_reply() == Reply("ok", {})
    assert again.event("client_joined") == {"client_count": 1, "flow_id": flow_id}
    again.settle()


def test_rel2_disconnect_is_announced_to_the_others(
    phoenix: PhoenixProcess, daemon: Daemon, flow_id: str
) -> None:
    """A socket that closes leaves all its flows."""
    leaver, stayer = (phoenix.connect(daemon.websocket_url, "websocket") for _ in range(2))
    flows = [f"{flow_id}-1", f"{flow_id}-2"]
    for flow in flows:
        leaver.joined(f"flow:{flow}")
    staying = [stayer.joined(f"flow:{flow}") for flow in flows]
    leaver.disconnect()
    for channel, flow in zip(staying, flows, strict=True):
        assert channel.event("client_left") == {"client_count": 1, "flow_id": flow}


def test_ses7_vanished_clients_are_announced_to_the_others(
    start_phoenix: Callable[[str], PhoenixProcess], daemon: Daemon, flow_id: str
) -> None:
    """
    Clients whose process dies leave: over a WebSocket at once, over long polling when the session
    ends for want of polls.
    """
    stayer = start_phoenix("phoenix18").connect(daemon.websocket_url, "websocket")
    staying = stayer.joined(f"flow:{flow_id}")
    vanishing = []
    for version in ("phoenix17", "phoenix18"):
        process = start_phoenix(version)
        vanishing.append(process)
        for transport in ("websocket", "longpoll"):
            process.connect(daemon.websocket_url, transport).joined(f"flow:{flow_id}")
    for process in vanishing:
        process.end()
    for count in (4, 3, 2, 1):
        left = staying.event("client_left", timeout=LONGPOLL_SESSION_TIMEOUT + 10)
        assert left == {"client_count": count, "flow_id": flow_id}


def test_cha9_second_channel_of_a_topic_replaces_the_first(connect: Connect, flow_id: str) -> None:
    """phoenix.js leaves the first channel and joins the second: one member all along."""
    topic = f"flow:{flow_id}"
    watcher = connect().joined(topic)
    socket = connect()
    first = socket.joined(topic)
    watcher.event("client_joined")

    second = socket.join(topic)
    first.event("phx_close")
    assert second.join_reply() == Reply("ok", {})
    assert second.event("client_joined") == {"client_count": 2, "flow_id": flow_id}
    assert watcher.event("client_left") == {"client_count": 1, "flow_id": flow_id}
    assert watcher.event("client_joined") == {"client_count": 2, "flow_id": flow_id}
    second.settle()
    assert socket.look()["channels"] == [{"topic": topic, "state": "joined"}]


def test_cha6_second_join_of_a_topic_closes_the_first_channel(
    connect: Connect, flow_id: str
) -> None:
    """A join without a leave before it: the new one is answered, then the old one is closed."""
    topic = f"flow:{flow_id}"
    watcher = connect().joined(topic)
    socket = connect()
    first = socket.joined(topic)
    watcher.event("client_joined")
    old_ref = socket.frame(lambda frame: frame.event == "phx_reply").join_ref

    socket.send(Frame("again", "again", topic, "phx_join", {}))
    first.event("phx_close")
    assert watcher.event("client_left") == {"client_count": 1, "flow_id": flow_id}
    assert watcher.event("client_joined") == {"client_count": 2, "flow_id": flow_id}
    ending = [frame for frame in socket.frames(topic) if frame.event in ("phx_reply", "phx_close")]
    assert ending == [
        Frame("again", "again", topic, "phx_reply", {"status": "ok", "response": {}}),
        Frame(old_ref, old_ref, topic, "phx_close", {}),
    ]
    assert socket.look()["channels"] == []


def test_cha7_frames_of_a_replaced_channel_are_ignored(connect: Connect, flow_id: str) -> None:
    """What names an old join_ref does nothing and gets no answer."""
    topic = f"flow:{flow_id}"
    socket = connect()
    socket.joined(topic).leave()
    channel = socket.joined(topic)
    socket.send(Frame("stale", "stale-push", topic, "flow_change", {"changes": 1}))
    socket.send(Frame("stale", "stale-leave", topic, "phx_leave", {}))
    channel.settle()
    assert channel.events("flow_update") == []
    assert not {"stale-push", "stale-leave"} & {frame.ref for frame in socket.frames(topic)}


def test_cha8_push_to_a_topic_not_joined_is_an_error(connect: Connect, flow_id: str) -> None:
    """A push without a join is answered, with no join_ref."""
    socket = connect()
    topic = f"flow:{flow_id}"
    socket.send(Frame(None, "lost", topic, "ping", {}))
    unmatched = {"status": "error", "response": {"reason": "unmatched topic"}}
    answer = socket.frame(lambda frame: frame.ref == "lost")
    assert answer == Frame(None, "lost", topic, "phx_reply", unmatched)


def test_man1_deleted_flow_closes_its_channels_for_good(connect: Connect, flow_id: str) -> None:
    """Each member gets ``flow_deleted`` and is closed; phoenix.js doesn't join again."""
    sockets = [connect(rejoinAfterMs=1) for _ in range(2)]
    members = [socket.joined(f"flow:{flow_id}") for socket in sockets]
    others = [socket.joined(f"flow:{flow_id}-other") for socket in sockets]

    management = connect().join("flow_management")
    assert management.join_reply() == Reply("ok", {})
    deleted = management.push("flow_deleted", {"flow_id": flow_id}).reply()
    assert deleted == Reply("ok", {"status": "session_closed", "clients_affected": 2})

    for socket, member, other in zip(sockets, members, others, strict=True):
        notice = member.event("flow_deleted")
        assert notice["flow_id"] == flow_id
        assert type(notice["timestamp"]) is int
        member.event("phx_close")
        other.settle()
        assert socket.look()["channels"] == [{"topic": f"flow:{flow_id}-other", "state": "joined"}]


def test_man1_deleting_a_flow_that_nobody_has_open_affects_nobody(
    connect: Connect, flow_id: str
) -> None:
    """The push is answered as usual, with no clients affected."""
    management = connect().join("flow_management")
    assert management.join_reply() == Reply("ok", {})
    reply = management.push("flow_deleted", {"flow_id": flow_id}).reply()
    assert reply.status == "ok"
    assert reply.response["clients_affected"] == 0


@pytest.mark.parametrize("payload", [{}, {"flow_id": ""}, {"flow_id": "  "}, {"flow_id": 7}, []])
def test_man2_deleting_without_a_flow_id_is_an_error(connect: Connect, payload: object) -> None:
    """What isn't a non-blank string names no flow."""
    management = connect().join("flow_management")
    assert management.join_reply() == Reply("ok", {})
    reply = management.push("flow_deleted", payload).reply()
    assert reply == Reply("error", {"reason": "Invalid flow_id"})
