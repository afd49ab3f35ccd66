"""Large edits in relay mode are read in a thread, and nobody sees a difference."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from helix.channels.change_order import MAX_BYTES, MAX_CHANGES, ChangeOrder
from helix.errors import TooManyPending
from helix.limits.apart import AT_ONCE_BYTES
from helix.members.relay.audience import GREETING_WAIT, MADE_WAIT
from helix.members.relay.member import RelayMember
from helix.members.relay.repeats import REPEAT_AFTER
from helix.members.relay.view import SETTLED, SURELY_SEEN
from tests.support.editors import FLOW, Editor, node
from tests.support.heldwork import HeldWork
from tests.support.world import Client, World

MakeWorld = Callable[..., World]

LARGE = "x" * AT_ONCE_BYTES


@pytest.fixture
def work() -> HeldWork:
    return HeldWork()


@pytest.fixture
def world(make_world: MakeWorld, work: HeldWork) -> World:
    """Where what is large is done apart."""
    return make_world(apart=work)


@pytest.fixture
def client(world: World) -> Client:
    """A member that has joined long ago."""
    (client,) = world.members(1)
    world.clock.advance(SETTLED)
    return client


def flow_of(*names: str, is_large: bool = True, **positions: int) -> dict[str, Any]:
    nodes = [node(name, positions.get(name, 0)) for name in names]
    if is_large:
        nodes[0] = nodes[0] | {"data": {"t": LARGE}}
    return {"nodes": nodes, "edges": []}


def go_on(world: World, work: HeldWork) -> int:
    """Do all that is done apart; tell how many pieces that were."""
    count = 0
    world.settle()
    while work.waiting:
        count += work.waiting
        work.go_on()
        world.settle()
    return count


def updates(client: Client) -> list[Any]:
    return [payload["changes"] for event, payload in client.events() if event == "flow_update"]


def nodes_of(world: World) -> dict[str, Any]:
    nodes: dict[str, Any] = world.flow().log.document.content["nodes"]
    return nodes


def test_bri17_a_large_edit_is_read_apart_and_broadcast_as_it_came(
    world: World, work: HeldWork, client: Client
) -> None:
    whole = flow_of("a", "b")
    ref = client.change(FLOW, whole)
    world.settle()
    assert work.waiting == 1
    assert client.received() == []
    assert go_on(world, work) == 2  # decoded, then compared
    update, answer = client.received()
    assert (answer.ref, answer.payload["response"]) == (ref, {"status": "broadcasted"})
    assert update.payload["changes"] == whole
    assert nodes_of(world).keys() == {"a", "b"}


def test_bri17_what_a_member_sends_meanwhile_comes_behind_it(
    world: World, work: HeldWork, client: Client
) -> None:
    others = world.members(1)
    world.clock.advance(SETTLED)
    client.received()
    changes = [
        flow_of("a", "b"),
        flow_of("a", "b", "c", is_large=False),
        {"only": "relayed"},
        flow_of("a", "c"),
        flow_of("a", "c", "d", is_large=False),
    ]
    refs = [client.change(FLOW, one) for one in changes]
    ping = client.push(FLOW, "ping", {})
    world.settle()
    assert [message.ref for message in client.received()] == [ping]
    go_on(world, work)
    assert [message.ref for message in client.received() if message.ref] == refs
    assert updates(others[0]) == changes
    assert nodes_of(world).keys() == {"a", "c", "d"}


def test_bri17_what_others_do_meanwhile_is_kept(
    world: World, work: HeldWork, client: Client
) -> None:
    editor = Editor(world, "e")
    client.change(FLOW, flow_of("a", "b"))
    go_on(world, work)
    client.change(FLOW, flow_of("a", "b", b=7))
    world.settle()
    for _ in range(2):
        editor.patch(editor.version, {"nodes": {"n": node("n"), "a": {"position": {"x": 5}}}})
        world.settle()
        work.go_on()
    world.settle()
    nodes = nodes_of(world)
    assert {name: one["position"]["x"] for name, one in nodes.items()} == {"a": 5, "b": 7, "n": 0}
    editor.look()
    assert editor.document["nodes"] == nodes


def test_bri5_an_edit_counts_as_sent_when_it_came(
    world: World, work: HeldWork, client: Client
) -> None:
    editor = Editor(world, "e")
    client.change(FLOW, flow_of("a", "b"))
    go_on(world, work)
    editor.patch(1, {"nodes": {"b": {"position": {"x": 5}}}})
    world.clock.advance(1)
    client.change(FLOW, flow_of("a", "b"))  # exactly as before that edit
    world.settle()
    world.clock.pump([REPEAT_AFTER, REPEAT_AFTER, SURELY_SEEN])
    go_on(world, work)
    assert nodes_of(world)["b"]["position"]["x"] == 5


def test_bri17_no_greeting_replaces_what_is_being_read(world: World, work: HeldWork) -> None:
    work.holding = False
    (first,) = world.members(1)
    first.change(FLOW, flow_of("a", is_large=False))
    world.settle()
    work.holding = True
    (page,) = world.members(1)
    page.change(FLOW, flow_of("b"))
    world.settle()
    world.clock.advance(2 * GREETING_WAIT)
    assert updates(page) == []
    go_on(world, work)
    world.clock.advance(MADE_WAIT)
    assert [{one["id"] for one in update["nodes"]} for update in updates(page)] == [{"a", "b"}]


@pytest.mark.parametrize("how", ["leave", "cut"])
def test_bri17_it_counts_though_its_member_is_gone(
    world: World, work: HeldWork, client: Client, how: str
) -> None:
    client.change(FLOW, flow_of("a", "b"))
    client.change(FLOW, flow_of("a", "b", "c", is_large=False))
    world.settle()
    if how == "leave":
        client.push(FLOW, "phx_leave", {})
    else:
        client.cut()
    world.settle()
    assert world.flow() is not None
    assert world.flow().is_busy
    go_on(world, work)
    editor = Editor(world, "e")
    assert editor.document["nodes"].keys() == {"a", "b", "c"}
    assert world.service.get("f").client_count == 1


def test_bri17_what_the_thread_refuses_is_not_stored_and_the_next_is(
    world: World, work: HeldWork, client: Client
) -> None:
    work.error = TooManyPending()
    ref = client.change(FLOW, flow_of("a"))
    world.settle()
    assert client.answer(ref)[0] == "error"
    ref = client.change(FLOW, flow_of("a", "b"))
    go_on(world, work)
    assert client.answer(ref)[0] == "ok"
    assert nodes_of(world).keys() == {"a", "b"}


def test_bri17_a_session_that_ends_meanwhile_is_left_alone(
    world: World, work: HeldWork, client: Client
) -> None:
    client.change(FLOW, flow_of("a"))
    client.change(FLOW, flow_of("b"))
    world.settle()
    world.service.close("f")
    go_on(world, work)
    assert world.flow() is None
    assert Editor(world, "e").document["nodes"] == {}


def test_bri17_what_is_no_edit_is_only_relayed(
    world: World, work: HeldWork, client: Client
) -> None:
    sent = [{"t": LARGE}, {"nodes": [], "edges": {"t": LARGE}}, {"t": 1}]
    for one in sent:
        client.change(FLOW, one)
    assert go_on(world, work) == 1  # the first can't be one
    assert updates(client) == sent
    assert world.flow().log.version == 0


def test_bri17_what_waits_of_one_member_is_bounded() -> None:
    order, begun, first = ChangeOrder(), [], Deferred[None]()

    async def begin(number: int) -> None:
        begun.append(number)
        if not number:
            await first

    for number in range(MAX_CHANGES + 1):
        order.check_room(1)
        order.add(1, partial(begin, number))
    with pytest.raises(TooManyPending):
        order.check_room(1)
    assert begun == [0]
    first.callback(None)
    assert begun == [*range(MAX_CHANGES + 1)]
    assert order.is_idle

    first = Deferred()
    order.add(1, partial(begin, 0))
    order.check_room(2 * MAX_BYTES)  # nothing else waits
    order.add(MAX_BYTES, partial(begin, 1))
    with pytest.raises(TooManyPending):
        order.check_room(1)
    first.callback(None)


def test_bri17_a_view_in_a_thread_is_told_later_what_has_happened() -> None:
    known, told = RelayMember(0, 0.0), list[int]()
    known.note(told.append, 1)
    known.lend_view()
    known.note(told.append, 2)
    known.note(told.append, 3)
    assert told == [1]
    known.take_view_back()
    known.note(told.append, 4)
    assert told == [1, 2, 3, 4]
