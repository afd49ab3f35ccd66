"""The fan-out: one order for all members, first at once, then joined, in slices."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from helix.delivery.broadcast import Broadcast
from helix.delivery.fanout import MAX_BATCH_BYTES, MAX_HOLD, SLICE, SPELL, Fanout, Turns
from helix.delivery.framing import ENCODINGS, frame_binary, frame_text
from helix.delivery.outlet import CHUNK_BYTES, Flow, Outlet
from helix.delivery.protocol import V1, V2, Encoding
from tests.support.world import Client, World

TOPIC = "flow:f"
SLOW = 1.01 * SPELL / SLICE
"""Seconds for each send with which a slice is all that fits into a turn."""


@attrs.define(eq=False)
class Flowing:
    """A fan-out and its surroundings."""

    world: World
    fanout: Fanout = attrs.field(init=False)
    failures: list[Failure] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        turns = Turns(self.world.clock, self.world.telemetry)
        self.fanout = Fanout(self.world.clock, turns, self.failures.append)

    def member(self, topic: str = TOPIC, encoding: Encoding | None = None) -> Client:
        client = self.world.client(V2 if encoding is None else encoding.serializer)
        if encoding is not None:
            client.outlet.encoding = encoding
        self.fanout.add(client.outlet, topic)
        return client

    def broadcast(self, number: int, size: int = 0) -> Deferred[None]:
        return self.fanout.broadcast(Broadcast("n", str(number).ljust(size).encode()))


@pytest.fixture
def flowing(world: World) -> Flowing:
    return Flowing(world)


def numbers(client: Client) -> list[int]:
    return [message.payload for message in client.received()]


def audience(flowing: Flowing, count: int) -> list[Client]:
    """Members on whom sending costs so much that a turn is one slice."""
    members = [flowing.member() for _ in range(count)]
    for member in members:
        member.socket.cost = SLOW
    return members


def served(members: list[Client]) -> int:
    return sum(bool(member.socket.taken) for member in members)


def test_fan2_first_broadcast_of_a_turn_goes_at_once(flowing: Flowing) -> None:
    one, other = flowing.member(), flowing.member()
    done = flowing.broadcast(1)
    assert done.called
    assert numbers(one) == numbers(other) == [1]


def test_fan2_those_that_follow_are_joined(flowing: Flowing) -> None:
    one, other = flowing.member(), flowing.member()
    deferreds = [flowing.broadcast(number) for number in range(5)]
    assert [done.called for done in deferreds] == [True, False, False, False, False]
    assert numbers(one) == numbers(other) == [0]
    flowing.world.clock.turn()
    assert one.socket.writes == other.socket.writes == 2
    assert numbers(one) == numbers(other) == [1, 2, 3, 4]
    assert all(done.called for done in deferreds)


def test_fan2_quiet_flow_never_waits(flowing: Flowing) -> None:
    member = flowing.member()
    for number in range(5):
        flowing.broadcast(number)
        assert numbers(member) == [number]
        flowing.world.clock.turn()


@pytest.mark.parametrize("encodings", [[V2], [V1, V2]])
def test_fan2_first_goes_at_once_to_every_kind(flowing: Flowing, encodings: list[type]) -> None:
    members = [flowing.member(TOPIC, ENCODINGS[one]) for one in encodings * 2]
    flowing.broadcast(1)
    assert [numbers(member) for member in members] == [[1]] * len(members)


@pytest.mark.parametrize("cost", [0.0, 0.0005, 0.003, 0.2])
def test_fan2_no_broadcast_waits_longer_than_the_hold(world: World, cost: float) -> None:
    """From the end of one round to the start of the next."""
    flowing = Flowing(world)
    member = flowing.member()
    member.socket.cost = cost
    clock = world.clock
    for wave in range(0, 40, 4):
        for number in range(wave, wave + 4):
            flowing.broadcast(number)
        clock.turn()
        calls = [call.getTime() - clock.seconds() for call in clock.getDelayedCalls()]
        assert max(calls) <= MAX_HOLD + 1e-6
        clock.advance(MAX_HOLD / 3)
    world.settle()
    assert numbers(member) == list(range(40))


def test_fan2_busy_flow_is_joined_across_turns(world: World) -> None:
    flowing = Flowing(world)
    member = flowing.member()
    member.socket.cost = 0.004
    for number in range(3):
        flowing.broadcast(number)
    world.clock.turn()
    assert member.socket.writes == 2
    for number in range(3, 6):
        flowing.broadcast(number)
        world.clock.advance(0.001)
    assert member.socket.writes == 2
    world.clock.advance(MAX_HOLD)
    assert member.socket.writes == 3
    assert numbers(member) == list(range(6))


def test_fan2_busy_flow_writes_once_a_turn(flowing: Flowing) -> None:
    """While broadcasts go on to come, also the first of a turn waits for its end."""
    member = flowing.member()
    flowing.broadcast(0)
    flowing.broadcast(1)
    flowing.world.clock.turn()
    for turn in range(4):
        writes = member.socket.writes
        flowing.broadcast(2 * turn + 2)
        flowing.broadcast(2 * turn + 3)
        flowing.world.clock.turn()
        assert member.socket.writes == writes + 1
    assert numbers(member) == list(range(10))


def test_fan2_much_is_not_held(flowing: Flowing) -> None:
    member = flowing.member()
    done = [flowing.broadcast(0), flowing.broadcast(1), flowing.broadcast(2, MAX_BATCH_BYTES)]
    assert numbers(member) == [0, 1, 2]
    assert all(one.called for one in done)
    flowing.broadcast(3)
    assert numbers(member) == []
    flowing.world.clock.turn()
    assert numbers(member) == [3]


def test_fan3_encoded_and_framed_once_for_each_encoding(flowing: Flowing) -> None:
    framed: list[bytes] = []

    def frame(text: bytes) -> bytes:
        framed.append(text)
        return frame_text(text)

    kinds = [Encoding(V1, frame, frame_binary), Encoding(V2, frame, frame_binary)]
    members = [flowing.member(TOPIC, kind) for kind in kinds * 20]
    members += [flowing.member("flow: f", kinds[1]) for _ in range(20)]
    flowing.broadcast(0)
    flowing.broadcast(1)
    newcomers = [flowing.member(TOPIC, kind) for kind in kinds * 3]
    flowing.broadcast(2)
    flowing.world.clock.turn()
    assert len(framed) == 3 * 3
    assert all(numbers(member) == [0, 1, 2] for member in members)
    assert all(numbers(member) == [2] for member in newcomers)


def test_fan3_topic_as_each_member_wrote_it(flowing: Flowing) -> None:
    topics = ["flow:f", "flow: f", "flow:f "]
    members = [flowing.member(topic, ENCODINGS[kind]) for topic in topics for kind in (V1, V2)]
    flowing.broadcast(1)
    flowing.broadcast(2)
    flowing.world.clock.turn()
    for member, topic in zip(members, [one for one in topics for _ in range(2)], strict=True):
        assert [message.topic for message in member.received()] == [topic] * 2


def test_fan5_large_audience_is_served_in_slices(flowing: Flowing) -> None:
    members = audience(flowing, 2 * SLICE + 88)
    done = flowing.broadcast(1)
    counts = [served(members)]
    while not done.called:
        flowing.world.clock.turn()
        counts.append(served(members))
    assert counts == [SLICE, 2 * SLICE, 2 * SLICE + 88]
    assert all(numbers(member) == [1] for member in members)


def test_fan5_slices_cut_across_kinds(flowing: Flowing) -> None:
    members = [flowing.member(TOPIC, ENCODINGS[kind]) for kind in (V1, V2) for _ in range(SLICE)]
    for member in members:
        member.socket.cost = SLOW * 1.5
    flowing.broadcast(1)
    assert served(members) == SLICE
    flowing.world.clock.turn()
    assert served(members) == 2 * SLICE


@pytest.mark.parametrize("count", [SLICE - 1, SLICE])
def test_fan5_audience_of_one_slice_is_served_at_once(flowing: Flowing, count: int) -> None:
    members = audience(flowing, count)
    assert flowing.broadcast(1).called
    assert served(members) == count


def test_fan5_a_turn_takes_as_many_slices_as_are_quick(flowing: Flowing) -> None:
    members = audience(flowing, 4 * SLICE)
    for member in members:
        member.socket.cost = SLOW / 2.5
    flowing.broadcast(1)
    assert served(members) == SLICE
    flowing.world.clock.turn()
    assert served(members) == 4 * SLICE


def test_fan1_nothing_overtakes_slices_under_way(flowing: Flowing) -> None:
    members = audience(flowing, 3 * SLICE)
    for number in range(9):
        flowing.broadcast(number)
        if number % 2:
            flowing.world.clock.turn()
    flowing.world.settle()
    assert all(numbers(member) == list(range(9)) for member in members)


def test_fan1_flush_under_way(flowing: Flowing) -> None:
    members = audience(flowing, 2 * SLICE)
    done = [flowing.broadcast(1), flowing.broadcast(2)]
    flowing.fanout.flush()
    assert all(one.called for one in done)
    assert all(numbers(member) == [1, 2] for member in members)
    flowing.fanout.flush()


def test_fan7_who_joins_and_leaves_while_slices_are_under_way(flowing: Flowing) -> None:
    members = audience(flowing, 2 * SLICE)
    flowing.broadcast(1)
    early, late = members[0], members[-1]
    flowing.fanout.remove(early.outlet, TOPIC)
    flowing.fanout.remove(late.outlet, TOPIC)
    newcomer = flowing.member()
    flowing.broadcast(2)
    second = flowing.member()
    flowing.broadcast(3)
    flowing.fanout.remove(members[1].outlet, TOPIC)
    flowing.world.settle()
    assert numbers(early) == [1]
    assert numbers(late) == []
    assert numbers(newcomer) == [2, 3]
    assert numbers(second) == [3]
    assert numbers(members[1]) == [1]
    assert all(numbers(member) == [1, 2, 3] for member in members[2:-1])


def test_fan7_who_joins_during_a_batch(flowing: Flowing) -> None:
    first = flowing.member()
    flowing.broadcast(0)
    flowing.broadcast(1)
    newcomer = flowing.member("flow:f ", ENCODINGS[V1])
    flowing.broadcast(2)
    gone = flowing.member()
    flowing.broadcast(3)
    flowing.fanout.remove(gone.outlet, TOPIC)
    last = flowing.member()
    flowing.world.clock.turn()
    assert numbers(first) == [0, 1, 2, 3]
    assert numbers(newcomer) == [2, 3]
    assert numbers(gone) == numbers(last) == []
    flowing.world.settle()
    flowing.broadcast(4)
    assert numbers(newcomer) == numbers(last) == [4]


def test_fan7_who_leaves_and_joins_again_during_a_batch(flowing: Flowing) -> None:
    first, other = flowing.member(), flowing.member()
    flowing.broadcast(0)
    flowing.broadcast(1)
    flowing.fanout.remove(other.outlet, TOPIC)
    flowing.broadcast(2)
    flowing.fanout.add(other.outlet, TOPIC)
    flowing.broadcast(3)
    flowing.world.settle()
    assert numbers(first) == [0, 1, 2, 3]
    assert numbers(other) == [0, 3]


def batch_of_newcomers(flowing: Flowing) -> list[Client]:
    """Members who joined while a batch was open; half of them have been served."""
    flowing.member()
    flowing.broadcast(0)
    flowing.broadcast(1)
    newcomers = audience(flowing, 2 * SLICE - 2)
    flowing.broadcast(2)
    flowing.world.clock.turn()
    assert served(newcomers) == SLICE - 1
    return newcomers


def test_fan5_newcomers_are_served_in_slices(flowing: Flowing) -> None:
    newcomers = batch_of_newcomers(flowing)
    flowing.broadcast(3)
    flowing.world.clock.turn()
    assert served(newcomers) == 2 * SLICE - 2
    flowing.world.settle()
    assert all(numbers(member) == [2, 3] for member in newcomers)


def test_fan7_newcomer_who_leaves_while_newcomers_are_served(flowing: Flowing) -> None:
    newcomers = batch_of_newcomers(flowing)
    gone, back = newcomers[-2:]
    for member in (gone, back):
        flowing.fanout.remove(member.outlet, TOPIC)
    flowing.fanout.add(back.outlet, TOPIC)
    flowing.broadcast(3)
    flowing.world.settle()
    assert numbers(gone) == []
    assert numbers(back) == [3]
    assert all(numbers(member) == [2, 3] for member in newcomers[:-2])


def test_fan6_broadcast_to_nobody(flowing: Flowing) -> None:
    done = [flowing.broadcast(1), flowing.broadcast(2)]
    flowing.world.settle()
    assert all(one.called for one in done)


def test_fan6_waits_for_every_member(flowing: Flowing) -> None:
    members = [flowing.member() for _ in range(3)]
    for member in members[1:]:
        member.socket.room = 0
    done = [flowing.broadcast(1), flowing.broadcast(2), flowing.broadcast(3)]
    flowing.world.settle()
    assert numbers(members[0]) == [1, 2, 3]
    assert not any(one.called for one in done)
    members[1].socket.room = None
    flowing.world.settle()
    assert not any(one.called for one in done)
    members[2].socket.room = None
    flowing.world.settle()
    assert [one.result for one in done] == [None] * 3
    assert numbers(members[1]) == numbers(members[2]) == [1, 2, 3]


@pytest.mark.parametrize("how", ["lags", "is lost", "breaks"])
def test_fan6_does_not_wait_for_one_that(make_world: Callable[..., World], how: str) -> None:
    flowing = Flowing(make_world(high_water_mark=1000))
    slow, other = flowing.member(), flowing.member()
    slow.socket.room = 0
    done = flowing.broadcast(1)
    assert not done.called
    if how == "lags":
        flowing.broadcast(2, CHUNK_BYTES + 1000)
        flowing.world.settle()
        assert slow.outlet.state is Flow.LAGGING
    elif how == "is lost":
        slow.cut()
    else:
        slow.socket.error = OSError("gone")
        slow.socket.room = None
        flowing.world.settle()
        assert slow.lost
    assert done.called
    assert numbers(other)[0] == 1


def test_slo4_the_others_are_served_past_a_slow_one(make_world: Callable[..., World]) -> None:
    flowing = Flowing(make_world(high_water_mark=1000))
    slow, broken, other = flowing.member(), flowing.member(), flowing.member()
    slow.socket.room = 0
    broken.socket.error = OSError("gone")
    for number in range(100):
        flowing.broadcast(number, 1000)
        flowing.world.clock.turn()
    flowing.world.settle()
    assert numbers(other) == list(range(100))
    assert broken.lost


def test_ses5_fault_in_encoding(flowing: Flowing) -> None:
    """It is told once, and the Deferreds fire all the same."""

    def fail(text: bytes) -> bytes:
        raise RuntimeError("a fault")

    faulty = flowing.member(TOPIC, Encoding(V2, fail, None))
    first = flowing.broadcast(1)
    assert [failure.type for failure in flowing.failures] == [RuntimeError]
    done = [first, flowing.broadcast(2), flowing.broadcast(3)]
    flowing.world.settle()
    assert all(one.called and one.result is None for one in done)
    flowing.fanout.remove(faulty.outlet, TOPIC)
    other = flowing.member()
    flowing.failures.clear()
    flowing.broadcast(4)
    flowing.world.settle()
    assert numbers(other) == [4]
    assert not flowing.failures


def test_fan2_flows_do_not_disturb_each_other(world: World) -> None:
    """They share the end of the turn; a fault at it harms none of the others."""
    turns = Turns(world.clock, world.telemetry)
    fanouts = [Fanout(world.clock, turns, lambda failure: None) for _ in range(3)]
    members = [world.client() for _ in fanouts]
    for fanout, member in zip(fanouts, members, strict=True):
        fanout.add(member.outlet, TOPIC)
        fanout.broadcast(Broadcast("n", b"1"))
    turns.at_end(lambda: 1 / 0)
    for fanout in fanouts:
        fanout.broadcast(Broadcast("n", b"2"))
    assert [numbers(member) for member in members] == [[1]] * 3
    world.clock.turn()
    assert [numbers(member) for member in members] == [[2]] * 3
    assert [failure["log_failure"].type for failure in world.failures] == [ZeroDivisionError]
    world.failures.clear()


class Crowd(Outlet):
    """A member that takes everything, at a price."""

    __slots__ = ()

    def _write_clear(self, data: bytes) -> int:
        self._clock.rightNow += SLOW
        return len(data)


@attrs.define(eq=False)
class Modelled:
    """A member, and what the model says of it."""

    client: Client
    topic: str
    expected: list[int] = attrs.field(factory=list)
    arrived: list[int] = attrs.field(factory=list)

    def look(self) -> None:
        self.arrived += numbers(self.client)


class FanoutMachine(RuleBasedStateMachine):
    """Members come, go and get stuck amid broadcasts; the model of each is a list."""

    members = Bundle("members")

    @initialize(crowd=st.sampled_from([0, SLICE - 2, SLICE, SLICE + 5]))
    def start(self, crowd: int) -> None:
        self.flowing = Flowing(World())
        for _ in range(crowd):
            self.flowing.fanout.add(
                Crowd(
                    ENCODINGS[V2],
                    1 << 20,
                    self.flowing.world.clock,
                    lambda _: None,
                    lambda: None,
                    self.flowing.world.backlog,
                    lambda: None,
                ),
                TOPIC,
            )
        self.live: list[Modelled] = []
        self.gone: list[tuple[Modelled, list[int]]] = []
        self.done: dict[int, list[None]] = {}
        self.count = 0

    @rule(
        target=members,
        topic=st.sampled_from([TOPIC, "flow: f"]),
        serializer=st.sampled_from([V1, V2]),
    )
    def add(self, topic: str, serializer: type) -> Modelled:
        member = Modelled(self.flowing.member(topic, ENCODINGS[serializer]), topic)
        member.client.socket.cost = SLOW / 2
        self.live.append(member)
        return member

    @rule(member=consumes(members))
    def remove(self, member: Modelled) -> None:
        member.look()
        self.flowing.fanout.remove(member.client.outlet, member.topic)
        self.live.remove(member)
        at_most = member.expected if member.client.outlet.state is Flow.BLOCKED else member.arrived
        self.gone.append((member, list(at_most)))

    @rule(size=st.sampled_from([0, 0, 0, 100, MAX_BATCH_BYTES // 2]))
    def broadcast(self, size: int) -> None:
        self.count += 1
        number = self.count
        for member in self.live:
            member.expected.append(number)
        fired = self.done[number] = []
        audience = list(self.live)
        done = self.flowing.broadcast(number, size)
        done.addCallback(lambda _: self._check_taken(number, audience)).addCallback(fired.append)

    def _check_taken(self, number: int, audience: list[Modelled]) -> None:
        for member in audience:
            if member in self.live and member.client.outlet.state is Flow.CLEAR:
                member.look()
                assert number in member.arrived

    @rule()
    def turn(self) -> None:
        self.flowing.world.clock.turn()

    @rule(seconds=st.sampled_from([0.0005, 0.004, MAX_HOLD, 1.0]))
    def advance(self, seconds: float) -> None:
        self.flowing.world.clock.advance(seconds)

    @rule(member=members)
    def block(self, member: Modelled) -> None:
        member.client.socket.room = 0

    @rule(member=members)
    def unblock(self, member: Modelled) -> None:
        member.client.socket.room = None

    @rule()
    def flush(self) -> None:
        self.flowing.fanout.flush()
        for member in self.live:
            if member.client.outlet.state is Flow.CLEAR:
                member.look()
                assert member.arrived == member.expected

    @invariant()
    def in_order(self) -> None:
        for member in getattr(self, "live", ()):
            member.look()
            assert member.arrived == member.expected[: len(member.arrived)]

    def teardown(self) -> None:
        if not hasattr(self, "flowing"):
            return
        for client in self.flowing.world.clients:
            client.socket.room = None
        self.flowing.world.settle()
        for member in self.live:
            member.look()
            assert member.arrived == member.expected
        for member, at_most in self.gone:
            member.look()
            assert member.arrived == at_most[: len(member.arrived)]
        assert all(fired == [None] for fired in self.done.values())
        assert not self.flowing.failures
        self.flowing.world.end()


TestFan1Machine = FanoutMachine.TestCase
TestFan1Machine.settings = settings(max_examples=250, stateful_step_count=50, deadline=None)
