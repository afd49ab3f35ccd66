"""Relay members and documents in one session: what is edited in one mode reaches the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from helix.documents.validation import DocumentLimits
from helix.errors import StoreUnavailable
from helix.members.relay.audience import GREETING_WAIT
from helix.members.relay.repeats import REPEAT_AFTER
from helix.members.relay.view import SETTLED
from tests.channels.test_document_mode import FLOW, Editor, adding, logged, moving, node
from tests.support.heldstore import HeldStore
from tests.support.world import Client, World


@pytest.fixture
def store() -> HeldStore:
    return HeldStore()


@pytest.fixture
def world(make_world: Callable[..., World], store: HeldStore) -> World:
    return make_world(store=store)


def edge(edge_id: str, source: str, target: str) -> dict[str, Any]:
    return {"id": edge_id, "source": source, "target": target}


def arrays(nodes: list[Any], edges: list[Any] = []) -> dict[str, Any]:  # noqa: B006  # not changed
    return {"nodes": nodes, "edges": edges}


def relay(world: World) -> Client:
    """A relay member that has seen all that its join caused, and was silent for a while."""
    client = world.client()
    client.join(FLOW)
    for _ in range(2):
        world.settle()
        world.clock.advance(SETTLED)
    client.received()
    return client


def updates(client: Client) -> list[Any]:
    """The changes that a relay member was sent since the last look."""
    client.world.settle()
    return [payload["changes"] for event, payload in client.events() if event == "flow_update"]


def document(world: World) -> dict[str, Any]:
    """What the flow's document is, as the store has it."""
    return json.loads(world.service.read("f").result.document)  # type: ignore[attr-defined]


def test_bri1_change_with_nodes_and_edges_is_an_edit(world: World) -> None:
    a, b, editor = relay(world), relay(world), Editor(world, "e")
    changes = arrays([node("n1"), node("n2")], [edge("e", "n1", "n2")])
    assert a.answer(a.change(FLOW, changes)) == ("ok", {"status": "broadcasted"})
    assert updates(b) == [changes]
    editor.look()
    assert editor.document["nodes"] == {"n1": node("n1"), "n2": node("n2")}
    assert editor.document["edges"] == {"e": edge("e", "n1", "n2")}
    assert document(world) == editor.document
    assert logged(world) == [(None, None)]


@pytest.mark.parametrize(
    "changes",
    [1, {"nodes": []}, {"nodes": {}, "edges": []}, arrays([{"id": 1}]), arrays([1, None])],
)
def test_bri1_change_that_is_no_edit_is_relayed_only(
    world: World, store: HeldStore, changes: Any
) -> None:
    a, b = relay(world), relay(world)
    a.change(FLOW, changes)
    assert updates(b) == [changes]
    assert store.groups == []


def test_bri3_what_one_client_sends_is_relayed_byte_for_byte(world: World) -> None:
    a, b = relay(world), relay(world)
    text = (
        b'{"changes": { "edges":[ ], "nodes" : [{"id":"a","position":{"x":1.50,"y":0},"data":{}}]}}'
    )
    a.send(b'["1","9","flow:f","flow_change",%b]' % text)
    world.settle()
    assert any(text[12:-1] in frame for frame in b.raw())


def test_bri4_two_relay_clients_who_edit_at_once_both_keep_their_edits(world: World) -> None:
    a, b = relay(world), relay(world)
    a.change(FLOW, arrays([node("n1"), node("n2")]))
    updates(a), updates(b)
    a.change(FLOW, arrays([node("n1", 5), node("n2")]))
    b.change(FLOW, arrays([node("n1"), node("n2", 7)]))  # it had not seen a's
    both = arrays([node("n1", 5), node("n2", 7)])
    assert updates(a)[-1] == updates(b)[-1] == both
    assert document(world)["nodes"] == {"n1": node("n1", 5), "n2": node("n2", 7)}


def test_bri4_both_edits_in_one_append(world: World, store: HeldStore) -> None:
    a, b, c = relay(world), relay(world), relay(world)
    a.change(FLOW, arrays([node("n1"), node("n2")]))
    updates(a), updates(b), updates(c)
    store.holding = True
    c.change(FLOW, arrays([node("n1"), node("n2"), node("n3")]))
    a.change(FLOW, arrays([node("n1", 5), node("n2")]))
    b.change(FLOW, arrays([node("n1"), node("n2", 7)]))
    assert updates(a) == updates(b) == []
    store.let_through()
    store.let_through()
    whole = arrays([node("n1", 5), node("n2", 7), node("n3")])
    for client in (a, b, c):
        last = updates(client)[-1]
        assert sorted(last["nodes"], key=lambda one: one["id"]) == whole["nodes"]
    assert store.groups == [[1], [2], [3, 4]]


def test_bri11_document_edits_reach_relay_members(world: World) -> None:
    a, editor = relay(world), Editor(world, "e")
    editor.patch(1, adding("n"))
    assert updates(a) == [arrays([node("n")])]
    for op_id in range(2, 50):
        editor.patch(op_id, moving("n", op_id))
        world.clock.advance(0.01)
    sent = updates(a)
    assert 4 <= len(sent) <= 6, "at most ten a second"
    world.clock.advance(0.1)
    last = arrays([node("n", 49)])
    assert [*sent, *updates(a)][-1] == last
    world.clock.advance(REPEAT_AFTER)
    assert updates(a) == [last], "who takes nothing for a second has missed it"
    world.clock.advance(5)
    assert updates(a) == []


def test_bri11_edit_of_a_relay_member_is_told_once(world: World) -> None:
    a, b = relay(world), relay(world)
    a.change(FLOW, arrays([node("n")]))
    world.clock.advance(1)
    assert len(updates(b)) == 1


def test_bri8_joiner_of_a_stored_flow_gets_one_update(world: World) -> None:
    Editor(world, "e").patch(1, adding("n"))
    client = world.client()
    client.join(FLOW)
    world.settle()
    assert [event for event, _ in client.events()] == ["phx_reply", "client_joined"]
    world.clock.advance(GREETING_WAIT)
    assert client.events() == [
        ("flow_update", {"changes": arrays([node("n")]), "timestamp": 1_700_000_000})
    ]
    world.clock.advance(5)
    assert updates(client) == []


def test_bri8_who_sends_first_gets_the_document_at_once(world: World) -> None:
    Editor(world, "e").patch(1, adding("n"))
    client = world.client()
    client.join(FLOW)
    client.change(FLOW, arrays([node("own")]))
    assert updates(client) == [arrays([node("own"), node("n")])]
    world.clock.advance(5)
    assert updates(client) == []


def test_bri8_joiner_of_a_flow_that_isnt_stored_gets_none(world: World) -> None:
    client = world.client()
    client.join(FLOW)
    world.settle()
    assert [event for event, _ in client.events()] == ["phx_reply", "client_joined"]


def test_bri8_joiners_edit_is_one_of_what_it_was_sent(world: World) -> None:
    editor = Editor(world, "e")
    editor.patch(1, adding("n1", "n2"))
    client = relay(world)
    client.change(FLOW, arrays([node("n1", 3), node("n2")]))
    editor.look()
    assert editor.entries[-1]["patch"] == moving("n1", 3)


@pytest.mark.parametrize("sends", [True, False])
def test_bri13_nothing_replaces_what_a_joiner_shows_before_it_is_greeted(
    world: World, sends: bool
) -> None:
    editor, other = Editor(world, "e"), relay(world)
    editor.patch(1, adding("n"))
    client = world.client()
    client.join(FLOW)
    editor.patch(2, adding("m"))
    world.settle()
    world.clock.advance(GREETING_WAIT / 2)
    other.change(FLOW, 4)
    assert updates(client) == [4], "what shows no flow is held back"
    assert len(updates(other)) == 2
    if sends:
        client.change(FLOW, arrays([node("own")]))
        assert updates(client) == [arrays([node("own"), node("m"), node("n")])]
    else:
        world.clock.advance(GREETING_WAIT / 2)
        assert updates(client) == [arrays([node("m"), node("n")])]
    world.clock.advance(SETTLED)
    updates(client)
    other.change(FLOW, arrays([node("m", 3), node("n")]))
    assert len(updates(client)) == 1


def test_bri13_who_could_not_be_stored_is_greeted(world: World, store: HeldStore) -> None:
    other, client = relay(world), world.client()
    client.join(FLOW)
    store.fail("create", StoreUnavailable())
    assert client.answer(client.change(FLOW, arrays([node("own")])))[0] == "error"
    other.change(FLOW, arrays([node("n")]))
    assert updates(client) == [arrays([node("n")])]


def test_bri13_who_leaves_before_the_greeting_is_sent_nothing(world: World) -> None:
    other, client = relay(world), world.client()
    client.join(FLOW)
    world.settle()
    client.leave(FLOW)
    other.change(FLOW, arrays([node("n")]))
    world.settle()
    client.join(FLOW)
    world.settle()
    client.received()
    world.clock.advance(GREETING_WAIT)
    assert updates(client) == [arrays([node("n")])]


def test_bri9_what_no_document_can_hold_is_relayed_and_told(world: World) -> None:
    a, b = relay(world), relay(world)
    bad = arrays([{**node("n"), "data": {"__proto__": 1, "x": 1}}, node("m")])
    dropped = {"status": "broadcasted", "dropped": ["/nodes/n/data/__proto__"]}
    assert a.answer(a.change(FLOW, bad)) == ("ok", dropped)
    assert updates(b) == [bad]
    assert document(world)["nodes"] == {"n": {**node("n"), "data": {"x": 1}}, "m": node("m")}


def test_bri9_one_odd_node_costs_nobody_their_edits(world: World) -> None:
    a, b = relay(world), relay(world)
    odd = {**node("odd"), "type": 7}
    a.change(FLOW, arrays([node("n")]))
    a.change(FLOW, arrays([node("n"), odd]))
    for count in range(3):
        b.change(FLOW, arrays([node("n"), odd, *(node(f"b{i}") for i in range(count + 1))]))
        assert updates(a)[-1]["nodes"][1] == odd, "it is not relayed"
    assert document(world)["nodes"].keys() == {"n", "odd", "b0", "b1", "b2"}


@pytest.mark.parametrize(
    ("bad", "dropped", "kept"),
    [
        ({"id": 1}, "/nodes/1", None),
        (7, "/nodes/1", None),
        ({"id": "x" * 256}, "/nodes/" + "x" * 256, None),
        ({"id": ""}, "/nodes/", None),
        ({"id": "__proto__"}, "/nodes/__proto__", None),
        ({"id": "b", "data": "text"}, "/nodes/b/data", {"id": "b"}),
        ({"id": "b", "type": 7}, "/nodes/b/type", {"id": "b"}),
        ({"id": "b", "position": {"x": "?"}}, "/nodes/b/position/x", {"id": "b"}),
        ({"id": "b", "data": {"list": [{"prototype": 1}]}}, "/nodes/b/data/list", {"id": "b"}),
        ({"id": "b", "position": []}, "/nodes/b/position", {"id": "b"}),
    ],
)
def test_bri9_what_is_left_out_of_a_node(
    world: World, bad: Any, dropped: str, kept: dict[str, Any] | None
) -> None:
    a = relay(world)
    a.change(FLOW, arrays([node("n")]))
    world.settle()
    a.received()
    status, response = a.answer(a.change(FLOW, arrays([node("n", 1), bad])))
    assert (status, response["dropped"]) == ("ok", [dropped])
    nodes = document(world)["nodes"]
    assert nodes.pop("n") == node("n", 1)
    assert nodes == ({} if kept is None else {"b": node("b")})


def test_bri9_type_of_an_edge_that_is_no_text_is_left_out(world: World) -> None:
    a, b = relay(world), relay(world)
    bad = arrays([node("n"), node("m")], [{**edge("e", "n", "m"), "type": {"toString": 1}}])
    dropped = {"status": "broadcasted", "dropped": ["/edges/e/type"]}
    assert a.answer(a.change(FLOW, bad)) == ("ok", dropped)
    assert updates(b) == [bad]
    assert document(world)["edges"] == {"e": edge("e", "n", "m")}


def test_bri9_what_was_there_stays_where_something_odd_comes_instead(world: World) -> None:
    a = relay(world)
    there = {**node("n"), "data": {"label": "n", "list": [1]}, "type": "agent"}
    edges = [edge("e", "n", "m")]
    a.change(FLOW, arrays([there, node("m")], edges))
    odd = {**there, "type": 7, "data": {"label": "other", "list": [{"__proto__": 1}]}}
    a.change(FLOW, arrays([odd, node("m")], [{**edges[0], "label": {"constructor": 1}}]))
    assert document(world)["nodes"]["n"] == {**there, "data": {"label": "other", "list": [1]}}
    assert document(world)["edges"] == {"e": edges[0]}
    a.change(FLOW, arrays([{"id": "n", "position": 3, "data": 4}, {**node("m", 5), "id": "m"}]))
    nodes = document(world)["nodes"]
    assert nodes["n"]["position"] == {"x": 0, "y": 0}
    assert nodes["n"]["data"]["label"] == "other"
    assert nodes["m"]["position"]["x"] == 5


def test_bri9_where_there_is_no_room_the_rest_is_stored(make_world: Callable[..., World]) -> None:
    world = make_world(document_limits=DocumentLimits(max_members=3))
    a, b = relay(world), relay(world)
    a.change(FLOW, arrays([node("n1"), node("n2")], [edge("e", "n1", "n2")]))
    updates(b)
    more = arrays([node("n1", 5), node("n2"), node("n3")], [edge("e", "n1", "n2")])
    status, response = a.answer(a.change(FLOW, more))
    assert (status, response["dropped"]) == ("ok", ["/nodes/n3"])
    assert updates(b) == [more]
    assert document(world)["nodes"] == {"n1": node("n1", 5), "n2": node("n2")}
    less = arrays([node("n2"), node("n3")])
    assert a.answer(a.change(FLOW, less)) == ("ok", {"status": "broadcasted"})
    assert document(world)["nodes"] == {"n2": node("n2"), "n3": node("n3")}


def test_bri12_repeated_ids_are_stored_under_ids_of_their_own(world: World) -> None:
    a, b = relay(world), relay(world)
    nodes = [node(name) for name in "abcd"]
    changes = arrays(nodes, [edge("t", "a", "b"), edge("t", "c", "d"), edge("u", "a", "d")])
    assert a.answer(a.change(FLOW, changes)) == ("ok", {"status": "broadcasted"})
    assert updates(b) == [changes], "it is not relayed as it came"
    stored = {
        "t": edge("t", "a", "b"),
        "t~2": edge("t~2", "c", "d"),
        "u": edge("u", "a", "d"),
    }
    assert document(world)["edges"] == stored
    version = len(logged(world))
    b.change(FLOW, changes)
    assert len(logged(world)) == version, "the same again is another edit"
    shown = arrays(nodes, [*stored.values()])
    b.change(FLOW, shown)
    assert len(logged(world)) == version


def test_bri10_edit_that_cant_be_stored_is_told_to_nobody(world: World, store: HeldStore) -> None:
    a, b = relay(world), relay(world)
    store.fail("create", StoreUnavailable())
    status, response = a.answer(a.change(FLOW, arrays([node("n")])))
    assert (status, response) == ("error", {"reason": StoreUnavailable.default_message})
    assert updates(b) == []
    a.change(FLOW, arrays([node("n")]))
    assert updates(b) == [arrays([node("n")])]


def test_res2_sync_is_shown_and_not_stored(world: World, store: HeldStore) -> None:
    a, b = relay(world), relay(world)
    a.change(FLOW, arrays([node("n1"), node("n2")]))
    updates(a), updates(b)
    for shown in (arrays([]), arrays([node("n1", 4), node("x")]), {"other": 1}):
        assert world.service.broadcast("f", json.dumps(shown).encode()) == 2
        assert updates(a) == updates(b) == [shown]
        assert len(store.groups) == 1


def test_res2_who_goes_on_from_what_was_shown_undoes_nothing(world: World) -> None:
    a, b = relay(world), relay(world)
    a.change(FLOW, arrays([node("n1"), node("n2")]))
    updates(a), updates(b)
    world.service.broadcast("f", json.dumps(arrays([])).encode())
    a.change(FLOW, arrays([node("new")]))
    assert document(world)["nodes"].keys() == {"n1", "n2", "new"}
    world.service.broadcast("f", json.dumps(arrays([node("n1", 9), node("n2")])).encode())
    b.change(FLOW, arrays([node("n1", 9), node("n2", 3)]))
    assert document(world)["nodes"]["n1"] == node("n1")
    assert document(world)["nodes"]["n2"] == node("n2", 3)


def test_man3_deletion_told_to_management_deletes_where_that_is_wanted(
    make_world: Callable[..., World],
) -> None:
    world = make_world(management_deletes=True)
    a = relay(world)
    a.change(FLOW, arrays([node("n")]))
    updates(a)
    manager = world.client()
    manager.join("flow_management")
    for flow_id, count in (("f", 1), ("f", 0), ("never", 0)):
        world.settle()
        manager.received()
        ref = manager.push("flow_management", "flow_deleted", {"flow_id": flow_id})
        world.settle()
        answer = {"status": "session_closed", "clients_affected": count}
        assert manager.answer(ref) == ("ok", answer)
    assert [event for event, _ in a.events()] == ["flow_deleted", "phx_close"]
    assert world.store.head("f").result.deleted_at  # type: ignore[attr-defined]
    a.join("flow:g")
    world.settle()
    manager.received()
    ref = manager.push("flow_management", "flow_deleted", {"flow_id": "g"})
    assert manager.answer(ref) == ("ok", {"status": "session_closed", "clients_affected": 1})


def test_ses4_session_ends_with_an_update_due(world: World) -> None:
    a, editor = relay(world), Editor(world, "e")
    editor.patch(1, adding("n"))
    updates(a)
    editor.patch(2, moving("n", 1))
    a.cut()
    editor.client.cut()
