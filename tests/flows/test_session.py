"""One session: its members, its activity, and each of its ends."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from helix.delivery.framing import frame_binary, frame_text
from helix.delivery.protocol import V2, Encoding
from helix.errors import MaxClientsReached, SessionEnded
from helix.flows.farewell import MEMBERS_ENDED_AT_ONCE, End
from tests.support.world import START, Client, World

FLOW = "flow:f"
IDLE = 1800.0


class Member:
    """A member that is told its end and nothing more."""

    topic = FLOW

    def __init__(self, client: Client) -> None:
        self.outlet = client.outlet
        self.told: list[str] = []

    def push(self, event: str, payload: bytes) -> None:
        self.told.append(event)

    def end(self, event: str) -> None:
        self.told.append(event)


def kinds(client: Client) -> list[str]:
    return [event for event, _ in client.events()]


def ends(world: World) -> list[tuple[float, str]]:
    """How long each session lasted, and why it ended."""
    return [
        (values["seconds"], about["reason"])
        for values, about in world.events("helix.session.ended")
    ]


def fail_at(word: bytes) -> Encoding:
    """The encoding of a client that can't be sent what holds ``word``."""

    def frame(text: bytes) -> bytes:
        if word in text:
            raise RuntimeError("a fault")
        return frame_text(text)

    return Encoding(V2, frame, frame_binary)


def test_ses1_telemetry_of_a_session(world: World) -> None:
    first, second = world.client(), world.client()
    first.join(FLOW)
    second.join(FLOW)
    world.clock.advance(5)
    first.leave(FLOW)
    second.cut()
    flow = {"flow_id": "f"}
    told = [one for one in world.told if one[0].startswith("helix.session")]
    assert told == [
        ("helix.session.started", {}, flow),
        ("helix.session.client_joined", {"client_count": 1}, flow),
        ("helix.session.client_joined", {"client_count": 2}, flow),
        ("helix.session.client_left", {"client_count": 1}, flow),
        ("helix.session.client_left", {"client_count": 0}, flow),
        ("helix.session.ended", {"seconds": 5.0}, {"flow_id": "f", "reason": "empty"}),
    ]


@pytest.mark.parametrize("how", ["leave", "cut"])
def test_ses2_last_leave_ends_the_session(world: World, how: str) -> None:
    first, second = world.members(2)
    session = world.flow()
    world.told.clear()
    for client in (first, second):
        assert world.flow() is session
        if how == "leave":
            client.leave(FLOW)
        else:
            client.cut()
    assert world.flow() is None
    assert session.end_reason is End.EMPTY
    assert len(ends(world)) == 1
    world.settle()
    assert not world.clock.getDelayedCalls()


def test_ses2_next_join_starts_anew(world: World) -> None:
    [client] = world.members(1)
    first = world.flow()
    client.leave(FLOW)
    world.clock.advance(5)
    client.join(FLOW)
    assert world.flow() is not first
    assert world.flow().started_at == world.clock.seconds()
    assert client.events()[-1] == ("client_joined", {"client_count": 1, "flow_id": "f"})


def test_ses3_idle_session_is_released(world: World) -> None:
    members = world.members(3)
    session = world.flow()
    world.clock.advance(IDLE - 0.1)
    assert world.flow() is session
    world.clock.advance(0.1)
    assert world.flow() is None
    assert session.end_reason is End.IDLE
    world.settle()
    assert [member.received() for member in members] == [
        [("1", "1", FLOW, "phx_error", {})] for _ in members
    ]
    [(lasted, reason)] = ends(world)
    assert (round(lasted, 1), reason) == (IDLE, "idle")
    assert not world.clock.getDelayedCalls()
    members[0].join(FLOW)
    assert world.flow().client_count == 1


@pytest.mark.parametrize("activity", ["change", "binary", "join", "leave"])
def test_ses3_activity_keeps_a_session(world: World, activity: str) -> None:
    member, other = world.members(2)
    world.clock.advance(1000)
    at = world.clock.seconds()
    if activity == "change":
        member.change(FLOW, 1)
    elif activity == "binary":
        member.send_binary(b"\x00\x00\x00\x06\x0bflow:fflow_changex")
    elif activity == "join":
        world.client().join(FLOW)
    else:
        other.leave(FLOW)
    world.settle()
    assert world.flow().last_activity == at
    world.clock.advance(at + IDLE - world.clock.seconds() - 0.001)
    assert world.flow() is not None
    world.clock.advance(0.001)
    assert world.flow() is None
    assert [reason for _, reason in ends(world)] == ["idle"]


@pytest.mark.parametrize("event", ["ping", "unknown", "flow_change"])
def test_ses3_what_changes_nothing_is_no_activity(world: World, event: str) -> None:
    [member] = world.members(1)
    world.clock.advance(1000)
    member.push(FLOW, event)
    assert world.flow().last_activity < START + 1000
    world.clock.advance(IDLE - 1000)
    assert world.flow() is None


def test_ses3_steady_activity(make_world: Callable[..., World]) -> None:
    """One timer serves, however much happens."""
    world = make_world(idle_timeout=10.0)
    [member] = world.members(1)
    for _ in range(50):
        world.clock.advance(9)
        member.change(FLOW, 1)
        world.settle()
        assert len(world.clock.getDelayedCalls()) == 1
    world.clock.advance(9.9)
    assert world.flow() is not None
    world.clock.advance(0.1)
    assert world.flow() is None


def test_ses3_what_was_broadcast_before_the_end_arrives(make_world: Callable[..., World]) -> None:
    world = make_world(idle_timeout=0.0)
    client = world.client()
    client.join(FLOW)
    client.change(FLOW, 1)
    world.settle()
    assert [one for one in kinds(client) if one != "phx_reply"] == [
        "client_joined",
        "flow_update",
        "phx_error",
    ]


def test_ses4_ended_session_takes_nothing_more(world: World) -> None:
    [client] = world.members(1)
    session = world.flow()
    session.close()
    world.told.clear()
    for call in (session.change, session.change_binary):
        with pytest.raises(SessionEnded):
            call(b"1")
    with pytest.raises(SessionEnded):
        session.join(Member(client))
    session.leave(Member(client))
    session.close()
    assert session.client_count == 0
    world.settle()
    assert world.told == []


@pytest.mark.parametrize("end", ["close", "idle", "crash", "drain"])
def test_ses4_nothing_is_left(world: World, end: str) -> None:
    """Also of broadcasts that wait, and of a member that joined again under another spelling."""
    members = world.members(3)
    members[0].join("flow: f")
    session = world.flow()
    for number in range(3):
        members[2].change(FLOW, number)
    if end == "close":
        world.service.close("f")
    elif end == "idle":
        world.clock.advance(2 * IDLE)
    elif end == "crash":
        members[1].outlet.encoding = fail_at(b"flow_update")
        world.client().join(FLOW)
        world.settle()
        members[2].change(FLOW, 4)
        world.failures.clear()
    else:
        session.drain()
    world.settle()
    assert world.flow() is None
    assert session.client_count == 0
    assert len(ends(world)) == 1
    joined = world.events("helix.session.client_joined")
    assert len(world.events("helix.session.client_left")) == len(joined)
    assert not world.clock.getDelayedCalls()
    assert not session._relays._delivery._fanout._members
    client = world.client()
    assert client.answer(client.join(FLOW)) == ("ok", {})


@pytest.mark.parametrize("end", ["close", "idle", "crash"])
def test_ses4_many_members_are_told_in_slices(world: World, end: str) -> None:
    count = 2 * MEMBERS_ENDED_AT_ONCE + 50
    members = world.members(count)
    session = world.flow()
    if end == "close":
        assert session.close() == count
    elif end == "idle":
        world.clock.rightNow += IDLE
        world.clock.turn()
    else:
        members[0].outlet.encoding = fail_at(b"flow_update")
        session._relays._delivery._fanout._audience = None
        session.change(b"1")
        world.failures.clear()
    told = [sum(bool(member.socket.taken) for member in members)]
    while told[-1] < count:
        world.clock.turn()
        told.append(sum(bool(member.socket.taken) for member in members))
        assert len(told) < 10
    first = told[0]
    assert first <= MEMBERS_ENDED_AT_ONCE + 1
    assert all(b - a <= MEMBERS_ENDED_AT_ONCE for a, b in itertools.pairwise(told))
    expected = ["flow_deleted", "phx_close"] if end == "close" else ["phx_error"]
    assert all(
        [one for one in kinds(member) if one != "flow_update"] == expected for member in members
    )
    assert world.flow() is None


def test_ses4_members_who_act_before_they_are_told(world: World) -> None:
    """A leave, a change, a join anew and a cut, of members whose turn is still to come."""
    members = world.members(MEMBERS_ENDED_AT_ONCE + 4)
    leaves, changes, joins, cut = members[-4:]
    world.service.close("f")
    leaves.leave(FLOW)
    changes.change(FLOW, 1)
    joins.join(FLOW)
    cut.cut()
    world.settle()
    assert kinds(leaves) == ["phx_reply", "phx_close"]
    received = changes.received()
    assert [one.event for one in received] == ["phx_reply", "flow_deleted", "phx_close"]
    assert received[0].payload["status"] == "error"
    assert [(one.join_ref, one.event) for one in joins.received()] == [
        ("2", "phx_reply"),
        ("1", "phx_close"),
        (None, "client_joined"),
    ]
    assert world.flow().client_count == 1
    assert cut.received() == []


def test_ses4_drained_session_tells_nobody(world: World) -> None:
    """The clients are closed by their owner, and come back."""
    [member] = world.members(1)
    world.flow().drain()
    assert member.received() == []
    assert [reason for _, reason in ends(world)] == ["drained"]
    member.leave(FLOW)
    assert kinds(member) == ["phx_reply", "phx_close"]


def test_ses5_crash_ends_that_session_alone(world: World) -> None:
    first, second = world.members(2)
    elsewhere = world.members(2, "flow:g")
    first.join("flow:g")
    world.settle()
    second.outlet.encoding = fail_at(b"flow_update")
    third = world.client()
    third.join(FLOW)
    world.settle()
    for client in (first, second, third, *elsewhere):
        client.received()
    first.change(FLOW, 1)
    world.settle()
    assert "phx_error" in kinds(first)
    assert kinds(second) == ["phx_error"]
    assert kinds(third)[-1] == "phx_error"
    assert [(event["log_failure"].type, event["flow_id"]) for event in world.failures] == [
        (RuntimeError, "f")
    ]
    world.failures.clear()
    assert [reason for _, reason in ends(world)] == ["crashed"]
    assert world.events("helix.session.crashed") == [({"recent_crashes": 1}, {"flow_id": "f"})]
    first.change("flow:g", 1)
    world.settle()
    assert [kinds(member) for member in elsewhere] == [["flow_update"]] * 2
    assert world.flow("g").client_count == 3


@pytest.mark.parametrize("end", ["close", "idle"])
def test_ses5_crash_in_the_last_flush_ends_the_session_once(world: World, end: str) -> None:
    first, second = world.members(2)
    second.outlet.encoding = fail_at(b"flow_update")
    world.client().join(FLOW)
    world.settle()
    first.received(), second.received()
    first.push(FLOW, "ping")
    world.flow().announce()
    first.change(FLOW, 1)
    session = world.flow()
    if end == "close":
        session.close()
    else:
        world.clock.rightNow += IDLE
        world.clock.turn()
    world.settle()
    world.failures.clear()
    assert len(ends(world)) == 1
    assert session.end_reason is End.CRASHED
    assert kinds(second) == ["client_joined", "phx_error"]
    assert kinds(first)[-1] == "phx_error"


def test_rel7_full_session(make_world: Callable[..., World]) -> None:
    world = make_world(max_clients=2)
    first, _ = world.members(2)
    with pytest.raises(MaxClientsReached):
        world.flow().join(Member(first))
    assert world.flow().client_count == 2


def test_man1_count_of_a_closed_session(world: World) -> None:
    world.members(3)
    assert world.flow().close() == 3


def test_ses3_times_are_unix_seconds(world: World) -> None:
    world.members(1)
    assert world.flow().started_at == START
    assert START <= world.flow().last_activity <= world.clock.seconds()
