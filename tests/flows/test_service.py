"""The registry: one load and one session for a flow, crashes, and the end of all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from helix.errors import (
    Draining,
    FlowUnavailable,
    HelixError,
    SessionCrashed,
    SessionNotFound,
)
from helix.flows.service import (
    CRASH_WINDOW,
    LOAD_TIMEOUT,
    MAX_CRASHES,
    SETTLE_INTERVAL,
    SETTLE_PATIENCE,
)
from helix.flows.session import FlowSession
from helix.log.commit_loop import MAX_GROUP
from tests.flows.test_session import Member
from tests.support.editors import Editor
from tests.support.heldstore import HeldStore
from tests.support.world import Client, World

FLOW = "flow:f"


class Loads:
    """A load that takes as long as the test says."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cancelled = 0
        self.loading: Deferred[None] | None = None

    def __call__(self, flow_id: str) -> Deferred[None]:
        self.asked.append(flow_id)
        self.loading = Deferred(self._cancel)
        return self.loading

    def _cancel(self, _: Deferred[None]) -> None:
        self.cancelled += 1

    def finish(self) -> None:
        assert self.loading is not None
        self.loading.callback(None)

    def fail(self, failure: Failure) -> None:
        assert self.loading is not None
        self.loading.errback(failure)


@pytest.fixture
def loads() -> Loads:
    return Loads()


@pytest.fixture
def slow(make_world: Callable[..., World], loads: Loads) -> World:
    return make_world(load=loads)


def joining(world: World, client: Client | None = None) -> Deferred[FlowSession]:
    member = Member(client or world.client())
    return Deferred.fromCoroutine(world.service.join("f", member))


def crash(world: World, flow_id: str = "f") -> None:
    """One crash of a flow, which is started for it."""
    client = world.client()
    client.join(f"flow:{flow_id}")
    world.flow(flow_id).crash(Failure(RuntimeError("a fault")))
    client.cut()
    world.failures.clear()


def status(client: Client, topic: str = FLOW) -> str:
    """Join, and say what came of it: ``ok`` or the reason."""
    answered, response = client.answer(client.join(topic))
    return answered if answered == "ok" else response["reason"]


def test_ses1_concurrent_joins_share_a_load_and_a_session(slow: World, loads: Loads) -> None:
    clients = [slow.client() for _ in range(5)]
    for client in clients:
        client.join(FLOW)
    other = slow.client()
    assert loads.asked == ["f"]
    assert slow.flow() is None
    loads.finish()
    assert slow.flow().client_count == 5
    assert len(slow.events("helix.session.started")) == 1
    other.join(FLOW)
    assert loads.asked == ["f"], "a live flow is not loaded"
    assert slow.flow().client_count == 6


def test_ses1_loads_of_two_flows_are_two(slow: World, loads: Loads) -> None:
    slow.client().join("flow:a")
    first = loads.loading
    slow.client().join("flow:b")
    assert loads.asked == ["a", "b"]
    loads.finish()
    assert [session.flow_id for session in slow.service.sessions()] == ["b"]
    assert first is not None
    first.callback(None)
    assert len(list(slow.service.sessions())) == 2


@pytest.mark.parametrize("result", [None, "x", succeed(None)])
def test_ses1_load_that_is_done_at_once(make_world: Callable[..., World], result: object) -> None:
    world = make_world(load=lambda flow_id: result)
    client = world.client()
    assert status(client) == "ok"


def test_ses1_cancelled_waiter_leaves_the_load_to_the_others(slow: World, loads: Loads) -> None:
    first, second, third = (joining(slow) for _ in range(3))
    second.cancel()
    assert isinstance(second.result, Failure)
    assert second.result.check(CancelledError)
    second.addErrback(lambda _: None)
    loads.finish()
    assert first.result is third.result is slow.flow()
    assert slow.flow().client_count == 2
    slow.service.close("f")


def test_ses1_load_that_nobody_waits_for_any_more(slow: World, loads: Loads) -> None:
    waiting = joining(slow)
    waiting.cancel()
    waiting.addErrback(lambda _: None)
    again = joining(slow)
    assert loads.asked == ["f"]
    again.cancel()
    again.addErrback(lambda _: None)
    loads.finish()
    assert slow.flow() is None
    assert slow.events("helix.session.started") == []


def test_ses1_first_waiter_that_ends_the_session_again(slow: World, loads: Loads) -> None:
    """Those who waited beside it get another session."""
    first, second = joining(slow), joining(slow)
    first.addCallback(lambda session: session.close())
    loads.finish()
    assert not second.called
    loads.finish()
    assert second.result is slow.flow()
    assert slow.flow().client_count == 1
    assert loads.asked == ["f", "f"]
    slow.service.close("f")


def test_ses1_waiters_who_are_cancelled_by_another_ones_join(slow: World, loads: Loads) -> None:
    waiting = [joining(slow) for _ in range(4)]
    waiting[0].addCallback(lambda _: [waiting[1].cancel(), waiting[2].cancel()])
    for one in waiting[1:3]:
        one.addErrback(lambda failure: failure.trap(CancelledError))
    loads.finish()
    assert slow.flow().client_count == 2
    assert all(one.called for one in waiting)
    slow.service.close("f")


def test_ses8_load_that_fails(slow: World, loads: Loads) -> None:
    clients = [slow.client() for _ in range(2)]
    refs = [client.join(FLOW) for client in clients]
    loads.fail(Failure(ConnectionLost()))
    for client, ref in zip(clients, refs, strict=True):
        assert client.answer(ref) == ("error", {"reason": "join crashed"})
    slow.failures.clear()
    assert slow.flow() is None
    clients[0].join(FLOW)
    assert loads.asked == ["f", "f"], "the next join loads again"
    loads.finish()
    assert slow.flow().client_count == 1


@pytest.mark.parametrize("how", ["raises", "fails"])
def test_ses8_load_that_fails_at_once(make_world: Callable[..., World], how: str) -> None:
    def load(flow_id: str) -> Deferred[None]:
        if how == "fails":
            return fail(ConnectionLost())
        raise RuntimeError("a fault")

    world = make_world(load=load)
    client = world.client()
    assert status(client) == status(client) == "join crashed"
    world.failures.clear()


def test_ses8_load_that_refuses(make_world: Callable[..., World]) -> None:
    def load(flow_id: str) -> None:
        raise HelixError("not now")

    world = make_world(load=load)
    assert status(world.client()) == "not now"
    assert world.events("helix.session.join_refused") == [({}, {"flow_id": "f", "code": "error"})]


def test_ses8_load_that_takes_too_long(slow: World, loads: Loads) -> None:
    early, late = slow.client(), slow.client()
    ref = early.join(FLOW)
    slow.clock.advance(LOAD_TIMEOUT - 1)
    late.join(FLOW)
    assert early.received() == []
    slow.clock.advance(0.9)
    assert early.received() == []
    slow.clock.advance(0.1)
    reason = "The flow could not be loaded within 9 s"
    assert early.answer(ref) == ("error", {"reason": reason})
    assert late.events()[0][1]["status"] == "error"
    assert loads.cancelled == 1
    assert not slow.clock.getDelayedCalls()


def test_ses8_load_in_time_leaves_no_timer(slow: World, loads: Loads) -> None:
    client = slow.client()
    client.join(FLOW)
    slow.clock.advance(LOAD_TIMEOUT - 0.1)
    loads.finish()
    client.leave(FLOW)
    slow.settle()
    assert not slow.clock.getDelayedCalls()


def test_ses6_flow_that_crashes_often_refuses_joins(world: World) -> None:
    client = world.client()
    for _ in range(MAX_CRASHES):
        crash(world)
    assert status(client) == "ok"
    client.leave(FLOW)
    client.received()
    crash(world)
    assert status(client) == FlowUnavailable.default_message
    assert world.flow() is None
    assert world.events("helix.session.join_refused") == [
        ({}, {"flow_id": "f", "code": "flow_unavailable"})
    ]
    assert status(client, "flow:other") == "ok"
    counts = [values["recent_crashes"] for values, _ in world.events("helix.session.crashed")]
    assert counts == list(range(1, MAX_CRASHES + 2))


def test_ses6_crashes_count_for_a_minute(world: World) -> None:
    client = world.client()
    for _ in range(MAX_CRASHES + 1):
        crash(world)
        world.clock.advance(1)
    passed = MAX_CRASHES + 1
    world.clock.advance(CRASH_WINDOW - passed - 0.5)
    assert status(client) == FlowUnavailable.default_message
    world.clock.advance(0.5)
    assert status(client) == "ok"


def test_ses6_crashes_far_apart_do_not_add_up(world: World) -> None:
    client = world.client()
    for _ in range(3 * MAX_CRASHES):
        crash(world)
        world.clock.advance(CRASH_WINDOW / MAX_CRASHES)
    assert status(client) == "ok"


def test_ses6_crash_while_a_load_is_under_way(slow: World, loads: Loads) -> None:
    """It is looked at again when the load is done."""
    client = slow.client()
    for _ in range(MAX_CRASHES + 1):
        waiting = joining(slow)
        loads.finish()
        waiting.result.crash(Failure(RuntimeError("a fault")))  # type: ignore[union-attr]
    slow.failures.clear()
    assert status(client) == FlowUnavailable.default_message
    assert len(loads.asked) == MAX_CRASHES + 1


def test_ses6_crash_of_one_who_waited_beside(slow: World, loads: Loads) -> None:
    """What was true before a load is looked at again after it."""
    for _ in range(MAX_CRASHES):
        waiting = joining(slow)
        loads.finish()
        waiting.result.crash(Failure(RuntimeError("a fault")))  # type: ignore[union-attr]
    first, second = joining(slow), joining(slow)
    first.addCallback(lambda session: session.crash(Failure(RuntimeError("a fault"))))
    loads.finish()
    refused: list[Failure] = []
    second.addErrback(refused.append)
    assert [failure.type for failure in refused] == [FlowUnavailable]
    assert slow.flow() is None
    slow.failures.clear()


def test_ses6_forgotten_crashes_take_no_room(world: World) -> None:
    for number in range(20):
        crash(world, f"f{number}")
    assert len(world.service._crashes) == 20
    world.clock.advance(CRASH_WINDOW)
    crash(world, "last")
    assert list(world.service._crashes) == ["last"]


def test_ses5_guard(world: World) -> None:
    """A fault becomes a crash; a refusal stays what it is."""
    world.members(1)
    session = world.flow()

    def refuse() -> None:
        raise HelixError("no")

    with pytest.raises(HelixError, match="no"):
        world.service.guard(session, refuse)
    assert world.flow() is session
    assert world.service.guard(session, max, 1, 2) == 2
    with pytest.raises(SessionCrashed):
        world.service.guard(session, lambda: 1 / 0)
    assert world.flow() is None
    assert session.end_reason is not None
    world.failures.clear()


def test_res2_broadcast_from_outside(world: World) -> None:
    first, second = world.members(2)
    assert world.service.broadcast("f", b'{"a" : 1}') == 2
    assert world.service.broadcast("g", b"1") == 0
    world.settle()
    for client in (first, second):
        [text] = client.raw()
        assert b'{"changes":{"a" : 1},"timestamp":' in text


def test_man1_close_from_outside(world: World) -> None:
    world.members(2)
    assert world.service.close("f") == 2
    with pytest.raises(SessionNotFound):
        world.service.close("f")


def test_man1_close_while_a_load_is_under_way(slow: World, loads: Loads) -> None:
    client = slow.client()
    ref = client.join(FLOW)
    with pytest.raises(SessionNotFound):
        slow.service.close("f")
    loads.finish()
    assert client.answer(ref) == ("ok", {})


def test_ops4_draining_refuses_joins(world: World) -> None:
    member, other = world.members(2)
    world.service.draining = True
    client = world.client()
    assert status(client) == Draining.default_message
    member.change(FLOW, 1)
    assert [event for event, _ in other.events()] == ["flow_update"]


def test_ops4_stop_ends_all_sessions(world: World) -> None:
    world.members(3)
    world.members(1, "flow:g")
    world.service.stopService()
    assert not list(world.service.sessions())
    reasons = [about["reason"] for _, about in world.events("helix.session.ended")]
    assert reasons == ["drained", "drained"]
    world.settle()
    assert not world.clock.getDelayedCalls()


def test_ops4_stop_while_a_load_is_under_way(slow: World, loads: Loads) -> None:
    clients = [slow.client() for _ in range(2)]
    refs = [client.join(FLOW) for client in clients]
    slow.service.stopService()
    assert loads.cancelled == 1
    for client, ref in zip(clients, refs, strict=True):
        assert client.answer(ref) == ("error", {"reason": Draining.default_message})
    assert slow.flow() is None
    assert not slow.clock.getDelayedCalls()


def test_ops4_drain_while_a_load_is_under_way(slow: World, loads: Loads) -> None:
    client = slow.client()
    ref = client.join(FLOW)
    slow.service.draining = True
    loads.finish()
    assert client.answer(ref) == ("error", {"reason": Draining.default_message})
    assert slow.flow() is None


# What was submitted last.


@pytest.fixture
def store() -> HeldStore:
    return HeldStore()


@pytest.fixture
def submitting(make_world: Callable[..., World], store: HeldStore) -> Editor:
    """Somebody whose patches take three writes."""
    editor = Editor(make_world(store=store), "c")
    store.holding = True
    for op_id in range(1, MAX_GROUP + 3):
        editor.patch(op_id, {"data": {"n": op_id}})
    return editor


def test_ops16_what_was_submitted_is_waited_for_while_some_of_it_is_stored(
    submitting: Editor, store: HeldStore
) -> None:
    world = submitting.world
    settled = Deferred.fromCoroutine(world.service.settle())
    for _ in range(3):
        world.clock.pump([SETTLE_INTERVAL] * round(0.8 * SETTLE_PATIENCE / SETTLE_INTERVAL))
        assert not settled.called
        store.let_through()
    world.clock.advance(SETTLE_INTERVAL)
    assert settled.called
    assert submitting.accepted() == {op_id: op_id for op_id in range(1, MAX_GROUP + 3)}


def test_ops16_a_store_that_takes_nothing_is_not_waited_for(
    submitting: Editor, store: HeldStore
) -> None:
    world = submitting.world
    settled = Deferred.fromCoroutine(world.service.settle())
    world.clock.pump([SETTLE_INTERVAL] * (1 + round(SETTLE_PATIENCE / SETTLE_INTERVAL)))
    assert settled.called
    for _ in range(3):
        store.let_through()


def test_ops16_a_store_that_takes_little_is_not_waited_for_long(
    submitting: Editor, store: HeldStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helix.flows.service.SETTLE_TIMEOUT", 1.5 * SETTLE_PATIENCE)
    world = submitting.world
    settled = Deferred.fromCoroutine(world.service.settle())
    for _ in range(2):
        world.clock.pump([SETTLE_INTERVAL] * round(0.8 * SETTLE_PATIENCE / SETTLE_INTERVAL))
        store.let_through()
    assert settled.called
    store.let_through()
