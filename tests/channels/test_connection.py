"""One connection: joins, refs, what waits behind a join, limits, and frames that can't be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from helix.channels.budget import ConnectionLimits
from helix.channels.channel import Channel, Port, plain_refusal
from helix.channels.connection import MAX_QUEUED
from helix.channels.router import Router
from helix.delivery.framing import frame_binary, frame_text
from helix.delivery.protocol import V1, V2, Data, Encoding
from helix.errors import CloseCode, HelixError
from tests.support.world import Client, World

FLOW = "flow:f"


@attrs.define(eq=False)
class Loads:
    """Flows that load until the test says so."""

    under_way: dict[str, Deferred[None]] = attrs.field(factory=dict)

    def __call__(self, flow_id: str) -> Deferred[None]:
        assert flow_id not in self.under_way, "loaded twice"
        loading: Deferred[None] = Deferred(lambda _: self.under_way.pop(flow_id))
        self.under_way[flow_id] = loading
        return loading

    def finish(self, flow_id: str = "f", result: object = None) -> None:
        self.under_way.pop(flow_id).callback(result)  # type: ignore[arg-type]  # or a Failure


@pytest.fixture
def loads() -> Loads:
    return Loads()


@pytest.fixture
def slow_world(make_world: Callable[..., World], loads: Loads) -> World:
    return make_world(load=loads)


def shown(client: Client) -> list[tuple[object, object, str]]:
    """``join_ref``, ``ref`` and event of what arrived, and how replies ended."""
    return [
        (
            one.join_ref,
            one.ref,
            f"{one.event} {one.payload['status']}" if one.event == "phx_reply" else one.event,
        )
        for one in client.received()
    ]


# the phoenix topic


@pytest.mark.parametrize("ref", ["5", 5, None, "\u2603"])
def test_cha1_heartbeat(world: World, ref: object) -> None:
    client = world.client()
    client.send(client.text(None, ref, "phoenix", "heartbeat", {}))
    [answer] = client.received()
    assert answer == (None, ref, "phoenix", "phx_reply", {"status": "ok", "response": {}})


def test_cha1_heartbeat_in_v1(world: World) -> None:
    client = world.client(V1)
    client.send(b'{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"5"}')
    assert client.raw() == [
        b'{"topic":"phoenix","event":"phx_reply","ref":"5","payload":{"status":"ok","response":{}}}'
    ]


def test_cha1_binary_heartbeat(world: World) -> None:
    client = world.client()
    client.send_binary(b"\x00\x00\x01\x07\x095phoenixheartbeat")
    assert client.answer("5") == ("ok", {})


def test_cha8_other_events_on_phoenix(world: World) -> None:
    client = world.client()
    client.send(client.text(None, "5", "phoenix", "other", {}))
    assert client.received() == [
        (
            None,
            "5",
            "phoenix",
            "phx_reply",
            {"status": "error", "response": {"reason": "unmatched topic"}},
        )
    ]


# joins


@pytest.mark.parametrize(("join_ref", "ref"), [("1", "1"), (1, 1), ("1", "2"), (7, "x"), ("", "")])
def test_cha3_join_is_answered_with_its_join_ref(
    world: World, join_ref: object, ref: object
) -> None:
    client = world.client()
    client.send(client.text(join_ref, ref, FLOW, "phx_join", {}))
    answer = client.received()[0]
    assert answer == (join_ref, ref, FLOW, "phx_reply", {"status": "ok", "response": {}})


def test_cha3_join_without_join_ref_takes_its_ref(world: World) -> None:
    client = world.client()
    client.send(client.text(None, "9", FLOW, "phx_join", {}))
    assert shown(client)[0] == ("9", "9", "phx_reply ok")
    client.send(client.text("9", "10", FLOW, "ping", {}))
    client.send(client.text("8", "11", FLOW, "ping", {}))
    assert shown(client) == [("9", "10", "phx_reply ok")]


def test_cha3_join_without_any_ref(world: World) -> None:
    client = world.client()
    client.send(client.text(None, None, FLOW, "phx_join", {}))
    assert shown(client)[0] == (None, None, "phx_reply ok")
    client.send(client.text(None, 1, FLOW, "ping", {}))
    assert shown(client) == [(None, 1, "phx_reply ok")]


def test_cha3_v1_join(world: World) -> None:
    client = world.client(V1)
    client.send(b'{"topic":"flow:f","event":"phx_join","payload":{},"ref":"3"}')
    assert client.raw()[0] == (
        b'{"topic":"flow:f","event":"phx_reply","ref":"3","payload":{"status":"ok","response":{}}}'
    )
    client.send(b'{"topic":"flow:f","event":"phx_leave","payload":{},"ref":"4"}')
    assert client.raw()[-1] == (b'{"topic":"flow:f","event":"phx_close","ref":"3","payload":{}}')


@pytest.mark.parametrize("topic", ["flow", "flows:f", "", "Flow:f", "flow_management:x", "phoenix"])
def test_cha8_join_of_an_unmatched_topic(world: World, topic: str) -> None:
    client = world.client()
    ref = client.join(topic)
    answer, end = client.received()
    reason = {"reason": "unmatched topic"}
    assert answer == (None, ref, topic, "phx_reply", {"status": "error", "response": reason})
    assert end == (ref, ref, topic, "phx_close", {})


def test_cha14_wrong_topics_are_refused_for_good(world: World) -> None:
    client = world.client()
    ref = client.join("flow: ")
    assert shown(client) == [(ref, ref, "phx_reply error"), (ref, ref, "phx_close")]


def test_cha14_other_refusals_are_not_for_good(make_world: Callable[..., World]) -> None:
    world = make_world(max_clients=1)
    world.members(1)
    client = world.client()
    ref = client.join(FLOW)
    assert shown(client) == [(ref, ref, "phx_reply error")]


def test_cha8_push_to_a_topic_that_is_not_joined(world: World) -> None:
    client = world.client()
    for join_ref in (None, "1"):
        client.send(client.text(join_ref, "2", FLOW, "ping", {}))
        assert client.received() == [
            (
                None,
                "2",
                FLOW,
                "phx_reply",
                {"status": "error", "response": {"reason": "unmatched topic"}},
            )
        ]
    assert world.flow() is None


# frames behind a join


def test_cha4_reply_to_a_join_comes_first(slow_world: World, loads: Loads) -> None:
    client, other = slow_world.client(), slow_world.client()
    other.join(FLOW)
    ref = client.join(FLOW)
    client.change(FLOW, 1)
    client.push(FLOW, "ping")
    client.push(FLOW, "unknown")
    slow_world.settle()
    assert client.received() == []
    loads.finish()
    slow_world.settle()
    messages = shown(client)
    assert messages[0] == (ref, ref, "phx_reply ok")
    replies = [one for one in messages if one[1] is not None]
    assert replies == [
        (ref, ref, "phx_reply ok"),
        (ref, "2", "phx_reply ok"),
        (ref, "3", "phx_reply ok"),
        (ref, "4", "phx_reply error"),
    ]
    assert sum(event == "flow_update" for _, _, event in messages) == 1
    assert [event for event, _ in other.events()].count("flow_update") == 1


def test_cha4_other_topics_do_not_wait(slow_world: World, loads: Loads) -> None:
    client = slow_world.client()
    client.join(FLOW)
    client.send(client.text(None, "h", "phoenix", "heartbeat", {}))
    client.join("flow_management")
    assert [one[2] for one in shown(client)] == ["phx_reply ok"] * 2
    loads.finish()


def test_cha4_many_frames_wait_behind_a_join(slow_world: World, loads: Loads) -> None:
    client = slow_world.client()
    ref = client.join(FLOW)
    refs = [client.push(FLOW, "ping") for _ in range(MAX_QUEUED)]
    loads.finish()
    slow_world.settle()
    answered = [one[1] for one in shown(client) if one[1] is not None]
    assert answered == [ref, *refs]


def test_cha4_no_frame_behind_a_join_is_dropped_in_silence(slow_world: World, loads: Loads) -> None:
    client = slow_world.client()
    client.join(FLOW)
    for _ in range(MAX_QUEUED):
        client.push(FLOW, "ping")
    assert client.close_code is None
    client.push(FLOW, "ping")
    assert client.close_code is CloseCode.RATE_LIMITED
    loads.finish()


def test_cha4_stale_frames_do_not_wait_behind_a_join(slow_world: World, loads: Loads) -> None:
    client = slow_world.client()
    ref = client.join(FLOW)
    client.send(client.text("stale", "8", FLOW, "ping", {}))
    client.send(client.text(None, "9", FLOW, "ping", {}))
    loads.finish()
    assert [one[1] for one in shown(client) if one[1] is not None] == [ref, "9"]


def test_cha4_frames_behind_a_join_that_is_refused(
    make_world: Callable[..., World], loads: Loads
) -> None:
    """They go unanswered: phoenix.js sends them again when it has joined."""
    world = make_world(load=loads, max_clients=1)
    first, second = world.client(), world.client()
    first.join(FLOW)
    ref = second.join(FLOW)
    second.push(FLOW, "ping")
    loads.finish()
    assert shown(second) == [(ref, ref, "phx_reply error")]
    ref = second.push(FLOW, "ping")
    assert second.answer(ref) == ("error", {"reason": "unmatched topic"})


def test_cha4_frames_behind_a_join_whose_session_ends(slow_world: World, loads: Loads) -> None:
    """What waited behind the join can end the channel; the rest of it is not served."""
    client = slow_world.client()
    client.outlet.encoding = FAULTY
    client.join(FLOW)
    refs = [client.push(FLOW, "ping") for _ in range(3)]
    loads.finish()
    slow_world.settle()
    answered = {one[1] for one in shown(client) if one[2].startswith("phx_reply")}
    assert not answered & set(refs)
    assert len(slow_world.failures) == 1, "the crash, and nothing that comes of it"
    slow_world.failures.clear()


def test_cha5_leave_cancels_the_join(slow_world: World, loads: Loads) -> None:
    client = slow_world.client()
    ref = client.join(FLOW)
    client.push(FLOW, "ping")
    leave = client.leave(FLOW)
    assert shown(client) == [(ref, leave, "phx_reply ok"), (ref, ref, "phx_close")]
    loads.finish()
    slow_world.settle()
    assert client.received() == []
    assert slow_world.flow() is None
    ref = client.push(FLOW, "ping")
    assert client.answer(ref) == ("error", {"reason": "unmatched topic"})


def test_cha5_stale_leave_does_not(slow_world: World, loads: Loads) -> None:
    client = slow_world.client()
    ref = client.join(FLOW)
    client.send(client.text("stale", "9", FLOW, "phx_leave", {}))
    loads.finish()
    assert shown(client)[0] == (ref, ref, "phx_reply ok")


def test_cha5_join_after_a_cancelled_one(slow_world: World, loads: Loads) -> None:
    client = slow_world.client()
    client.join(FLOW)
    client.leave(FLOW)
    client.received()
    ref = client.join(FLOW)
    loads.finish()
    assert shown(client) == [(ref, ref, "phx_reply ok"), (None, None, "client_joined")]
    assert slow_world.flow().client_count == 1


def test_ses7_client_that_is_cut_off_during_a_join(slow_world: World, loads: Loads) -> None:
    client, other = slow_world.client(), slow_world.client()
    client.join(FLOW)
    other.join(FLOW)
    client.cut()
    loads.finish()
    assert slow_world.flow().client_count == 1
    assert len(slow_world.events("helix.session.client_joined")) == 1


# joining anew


def test_cha6_join_of_a_joined_topic(world: World) -> None:
    client, other = world.members(2)
    world.told.clear()
    old = "1"
    ref = client.join(FLOW)
    world.settle()
    assert shown(client) == [
        (ref, ref, "phx_reply ok"),
        (old, old, "phx_close"),
        (None, None, "client_joined"),
    ]
    assert other.events() == [
        ("client_left", {"client_count": 1, "flow_id": "f"}),
        ("client_joined", {"client_count": 2, "flow_id": "f"}),
    ]
    assert len(world.events("helix.session.client_left")) == 1
    assert world.flow().client_count == 2
    client.send(client.text(old, "8", FLOW, "ping", {}))
    client.send(client.text(old, "9", FLOW, "phx_leave", {}))
    assert client.received() == []
    client.change(FLOW, 1)
    assert [event for event, _ in client.events()].count("flow_update") == 1


def test_cha6_only_member_joins_anew(world: World) -> None:
    [client] = world.members(1)
    started = world.flow()
    ref = client.join(FLOW)
    world.settle()
    assert shown(client) == [
        (ref, ref, "phx_reply ok"),
        ("1", "1", "phx_close"),
        (None, None, "client_joined"),
    ]
    assert started.end_reason is not None
    assert world.flow().client_count == 1


def test_cha6_same_join_ref(world: World) -> None:
    """A client that counts its refs anew: still the old one is closed, the new one open."""
    [client] = world.members(1)
    client.send(client.text("1", "1", FLOW, "phx_join", {}))
    assert shown(client)[:2] == [("1", "1", "phx_reply ok"), ("1", "1", "phx_close")]
    client.send(client.text("1", "2", FLOW, "ping", {}))
    assert client.answer("2") == ("ok", {"status": "pong"})


def test_cha6_join_anew_with_a_slow_load(slow_world: World, loads: Loads) -> None:
    client = slow_world.client()
    old = client.join(FLOW)
    loads.finish()
    client.received()
    ref = client.join(FLOW)
    client.push(FLOW, "ping")
    assert slow_world.flow() is None
    assert client.received() == []
    loads.finish()
    slow_world.settle()
    assert shown(client) == [
        (ref, ref, "phx_reply ok"),
        (old, old, "phx_close"),
        (None, None, "client_joined"),
        (ref, "3", "phx_reply ok"),
    ]


def test_cha6_join_anew_during_a_join(slow_world: World, loads: Loads) -> None:
    client = slow_world.client()
    old = client.join(FLOW)
    client.push(FLOW, "ping")
    ref = client.join(FLOW)
    loads.finish()
    slow_world.settle()
    assert shown(client) == [
        (ref, ref, "phx_reply ok"),
        (old, old, "phx_close"),
        (None, None, "client_joined"),
    ]
    assert slow_world.flow().client_count == 1


def test_cha6_join_anew_that_is_refused(world: World) -> None:
    [client] = world.members(1)
    ref = client.join(FLOW, {"mode": "other"})
    assert shown(client) == [(ref, ref, "phx_reply error"), ("1", "1", "phx_close")]
    assert world.flow() is None


def test_cha6_leave_during_a_join_anew(slow_world: World, loads: Loads) -> None:
    client = slow_world.client()
    old = client.join(FLOW)
    loads.finish()
    client.received()
    ref = client.join(FLOW)
    leave = client.leave(FLOW)
    loads.finish()
    slow_world.settle()
    assert sorted(shown(client), key=str) == sorted(
        [(old, old, "phx_close"), (ref, leave, "phx_reply ok"), (ref, ref, "phx_close")], key=str
    )
    assert slow_world.flow() is None


# pushes and leaves


@pytest.mark.parametrize("ref", ["8", 8, None, ""])
def test_cha7_push_is_answered_with_the_channels_join_ref(world: World, ref: object) -> None:
    [client] = world.members(1)
    for join_ref in ("1", None):
        client.send(client.text(join_ref, ref, FLOW, "ping", {}))
        assert shown(client) == [("1", ref, "phx_reply ok")]


@pytest.mark.parametrize("join_ref", ["0", "2", 1, "", "01"])
def test_cha7_stale_join_ref_is_ignored(world: World, join_ref: object) -> None:
    client, other = world.members(2)
    client.send(client.text(join_ref, "8", FLOW, "flow_change", {"changes": 1}))
    client.send(client.text(join_ref, "9", FLOW, "phx_leave", {}))
    world.settle()
    assert client.received() == other.received() == []
    assert world.flow().client_count == 2


@pytest.mark.parametrize("join_ref", ["1", None])
def test_cha9_leave(world: World, join_ref: object) -> None:
    client, other = world.members(2)
    client.send(client.text(join_ref, "8", FLOW, "phx_leave", {}))
    other.change(FLOW, 1)
    world.settle()
    assert client.raw() == [
        b'["1","8","flow:f","phx_reply",{"status":"ok","response":{}}]',
        b'["1","1","flow:f","phx_close",{}]',
    ]
    assert world.flow().client_count == 1


@pytest.mark.parametrize("join_ref", ["1", None])
def test_cha9_leave_of_a_topic_that_is_not_joined(world: World, join_ref: object) -> None:
    client = world.client()
    client.send(client.text(join_ref, "8", FLOW, "phx_leave", {}))
    assert shown(client) == [(join_ref, "8", "phx_reply ok")]


def test_cha9_leave_twice(world: World) -> None:
    [client] = world.members(1)
    client.leave(FLOW)
    client.received()
    ref = client.leave(FLOW)
    assert shown(client) == [("1", ref, "phx_reply ok")]


def test_cha10_what_the_server_sends_by_itself_has_no_ref(world: World) -> None:
    members = world.members(2)
    members[0].change(FLOW, 1)
    world.service.close("f")
    world.settle()
    for _, member in enumerate(members):
        for one in member.received():
            if one.event in ("flow_update", "client_joined"):
                assert (one.join_ref, one.ref) == (None, None)
            elif one.event == "flow_deleted":
                assert (one.join_ref, one.ref) == ("1", None)


# limits


def limited(make_world: Callable[..., World], **limits: float) -> Client:
    client: Client = make_world(limits=ConnectionLimits(**limits)).client()
    return client


def test_cha11_too_many_channels(make_world: Callable[..., World]) -> None:
    client = limited(make_world, max_channels=3)
    client.world.clock.advance(1)
    for number in range(3):
        assert client.answer(client.join(f"flow:{number}"))[0] == "ok"
        client.world.clock.advance(1)
    refused = client.join("flow:3")
    assert client.answer(refused) == ("error", {"reason": "too many channels joined"})
    assert client.answer(client.join("flow:2"))[0] == "ok", "joining anew takes no more room"
    client.world.clock.advance(1)
    client.leave("flow:0")
    assert client.answer(client.join("flow:3"))[0] == "ok"


def test_cha11_joins_under_way_count(make_world: Callable[..., World], loads: Loads) -> None:
    world = make_world(load=loads, limits=ConnectionLimits(max_channels=2))
    client = world.client()
    client.join("flow:0")
    world.clock.advance(1)
    client.join("flow:1")
    world.clock.advance(1)
    ref = client.join("flow:2")
    assert client.answer(ref) == ("error", {"reason": "too many channels joined"})
    for flow in ("0", "1"):
        loads.finish(flow)


def test_cha12_join_rate(make_world: Callable[..., World]) -> None:
    client = limited(make_world, max_channels=10, joins_per_second=2)
    refs = [client.join(FLOW) for _ in range(11)]
    messages = client.received()
    refused = [one for one in messages if one.payload.get("status") == "error"]
    assert [(one.join_ref, one.ref) for one in refused] == [(refs[-1], refs[-1])]
    assert refused[0].payload["response"] == {
        "reason": "too many joins, try again later",
        "code": "rate_limited",
        "retry": True,
        "retry_after": 1,
    }
    client.world.clock.advance(0.5)
    assert client.answer(client.join(FLOW))[0] == "ok"
    assert client.answer(client.join(FLOW))[0] == "error"
    client.world.clock.advance(100)
    statuses = [client.answer(client.join(FLOW))[0] for _ in range(11)]
    assert statuses == ["ok"] * 10 + ["error"]


# faults


def fail(text: bytes) -> bytes:
    if b"client_joined" in text or b"flow_update" in text:
        raise RuntimeError("a fault")
    return frame_text(text)


FAULTY = Encoding(V2, fail, frame_binary)
"""Of a client whose broadcasts can't be framed."""


def test_cha13_join_that_crashes(make_world: Callable[..., World]) -> None:
    def load(flow_id: str) -> None:
        raise RuntimeError("a fault")

    world = make_world(load=load)
    client = world.client()
    ref = client.join(FLOW)
    assert client.received() == [
        (ref, ref, FLOW, "phx_reply", {"status": "error", "response": {"reason": "join crashed"}})
    ]
    assert [event["log_failure"].type for event in world.failures] == [RuntimeError]
    world.failures.clear()
    assert world.flow() is None
    assert client.close_code is None


@attrs.define(eq=False)
class Faulty:
    """A channel with a fault in some of its methods."""

    faults: set[str]

    def _meet(self, method: str) -> None:
        if method in self.faults:
            raise RuntimeError("a fault")

    async def join(self, params: bytes) -> Sequence[Data]:
        self._meet("join")
        return (b"{}",)

    def joined(self) -> None:
        self._meet("joined")

    def handle(self, event: str, payload: bytes, binary: bool) -> bytes:
        self._meet("handle")
        return b"{}"

    def refusal(self, error: HelixError) -> bytes:
        return plain_refusal(error)

    def leave(self) -> None:
        self._meet("leave")


@attrs.define(eq=False)
class FaultyRouter:
    """Serves the topic ``faulty``; the others are the true router's."""

    true: Router
    faults: set[str]

    def channel(self, port: Port, params: bytes) -> Channel:
        if port.topic == "faulty":
            return Faulty(self.faults)
        return self.true.channel(port, params)


def faulty_client(world: World, *faults: str) -> Client:
    """A client for which ``faulty`` has faults, and which is a member of a flow beside."""
    world.router = FaultyRouter(world.router, set(faults))  # type: ignore[assignment]
    client = world.client()
    client.join(FLOW)
    client.received()
    return client


def test_cha13_fault_in_a_channels_join(world: World) -> None:
    client = faulty_client(world, "join")
    assert client.answer(client.join("faulty")) == ("error", {"reason": "join crashed"})
    assert client.answer(client.push(FLOW, "ping"))[0] == "ok"
    world.failures.clear()


@pytest.mark.parametrize("faults", [("handle",), ("handle", "leave")])
def test_cha13_channel_that_crashes(world: World, faults: tuple[str, ...]) -> None:
    """A fault in a channel ends it, and it alone."""
    client = faulty_client(world, *faults)
    ref = client.join("faulty")
    client.received()
    client.push("faulty", "ping")
    assert shown(client) == [(ref, ref, "phx_error")]
    assert client.answer(client.push("faulty", "ping"))[0] == "error"
    assert client.answer(client.push(FLOW, "ping"))[0] == "ok"
    assert client.close_code is None
    world.failures.clear()


def test_cha13_fault_in_a_leave(world: World) -> None:
    client = faulty_client(world, "leave")
    ref = client.join("faulty")
    client.received()
    leave = client.leave("faulty")
    assert shown(client) == [(ref, leave, "phx_reply ok"), (ref, ref, "phx_close")]


def test_ses7_fault_in_a_leave_keeps_no_flow(world: World) -> None:
    client = faulty_client(world, "leave")
    client.join("faulty")
    client.join("flow:g")
    client.cut()
    assert not list(world.service.sessions())


def test_frm7_fault_after_a_join(world: World) -> None:
    """Nobody knows how far it came: the connection is closed, and its client comes back."""
    client = faulty_client(world, "joined")
    client.join("faulty")
    assert client.close_code is CloseCode.INTERNAL
    world.failures.clear()


def test_ses5_session_that_crashes_tells_its_members(world: World) -> None:
    first, second = world.members(2)
    faulty = world.client()
    faulty.outlet.encoding = FAULTY
    ref = faulty.join(FLOW)
    world.settle()
    assert shown(faulty) == [(ref, ref, "phx_reply ok"), (ref, ref, "phx_error")]
    for member in (first, second):
        assert shown(member)[-1] == ("1", "1", "phx_error")
        assert member.close_code is None
    assert world.flow() is None
    assert faulty.close_code is None
    world.failures.clear()


def test_ses7_client_that_is_cut_off_leaves_all_its_flows(world: World) -> None:
    client, other = world.client(), world.client()
    for flow in ("a", "b", "c"):
        client.join(f"flow:{flow}")
    other.join("flow:b")
    client.cut()
    world.settle()
    assert [session.flow_id for session in world.service.sessions()] == ["b"]
    assert world.flow("b").client_count == 1
    assert other.events()[-1] == ("client_left", {"client_count": 1, "flow_id": "b"})
    client.connection.receive(client.text("9", "9", "flow:a", "phx_join", {}))
    client.connection.receive_binary(b"\x00\x00\x00\x01\x01te")
    assert world.flow("a") is None


# frames that can't be read


MALFORMED = [b"", b"x", b"[1,2]", b"null", b"[" * 200_000, b'["1","1","flow:f","ping"]', b"\xff"]
MALFORMED += [b'[null,"1","flow:f\xff","ping",{}]', b'[null,"1","flow:f","ping",' + b"[" * 500]


@pytest.mark.parametrize("frame", MALFORMED, ids=range(len(MALFORMED)))
def test_frm4_malformed_frame_is_dropped(world: World, frame: bytes) -> None:
    client, other = world.members(2)
    world.told.clear()
    client.send(frame)
    world.settle()
    assert client.received() == other.received() == []
    assert [name for name, _, _ in world.told] == ["helix.frame.malformed"]
    assert client.answer(client.push(FLOW, "ping"))[0] == "ok"
    assert client.close_code is None


def test_frm4_malformed_binary_frame_is_dropped(world: World) -> None:
    client = world.client()
    client.send_binary(b"\x01")
    assert len(world.events("helix.frame.malformed")) == 1
    assert client.received() == []


def test_frm5_ten_malformed_frames_are_borne(world: World) -> None:
    client = world.client()
    for number in range(10):
        if number % 2:
            client.send(b"x")
        else:
            client.send_binary(b"x")
    assert client.close_code is None
    client.send(b"x")
    assert client.close_code is CloseCode.MALFORMED_FRAMES
    assert client.close_code == 4500


def test_frm5_one_more_every_ten_seconds(world: World) -> None:
    client = world.client()
    for _ in range(10):
        client.send(b"x")
    for _ in range(30):
        world.clock.advance(10)
        client.send(b"x")
    assert client.close_code is None
    world.clock.advance(9.9)
    client.send(b"x")
    assert client.close_code == 4500


def test_frm5_good_frames_do_not_count(world: World) -> None:
    client = world.client()
    for _ in range(10):
        client.send(b"x")
    for _ in range(50):
        client.send(client.text(None, "1", "phoenix", "heartbeat", {}))
    assert client.close_code is None


frames = st.one_of(
    st.binary(max_size=30),
    st.tuples(
        st.none() | st.sampled_from(["1", "2", 1]),
        st.none() | st.sampled_from(["1", "2", 3]),
        st.sampled_from(["phoenix", FLOW, "flow: f", "flow:g", "flow_management", "x"]),
        st.sampled_from(
            [
                "heartbeat",
                "phx_join",
                "phx_leave",
                "ping",
                "flow_change",
                "flow_deleted",
                "phx_error",
            ]
        ),
        st.sampled_from(
            [{}, {"changes": 1}, {"mode": "relay"}, {"mode": 1}, {"flow_id": "f"}, [], None, 1]
        ),
    ).map(lambda parts: json.dumps(parts).encode()),
)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 2), frames), max_size=40))
def test_frm7_nothing_that_a_peer_sends_raises(script: list[tuple[int, bytes]]) -> None:
    """And whatever it is, nothing is left when everybody has gone."""
    world = World()
    clients = [world.client(), world.client(), world.client(V1)]
    for number, frame in script:
        clients[number].send(frame)
        if len(frame) % 5 == 0:
            clients[number].send_binary(frame)
    world.settle()
    for client in clients:
        client.received()
    members = sum(session.client_count for session in world.service.sessions())
    topics = (topic for client in clients for topic in client.connection._ports)
    assert members == sum(topic.startswith("flow:") for topic in topics)
    world.end()
