"""Relay members and documents in one session: what is edited in one mode reaches the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from helix.errors import StoreUnavailable
from tests.heldstore import HeldStore
from tests.test_document_mode import FLOW, Editor, adding, logged, moving, node
from tests.world import Client, World


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
    """A relay member that has seen all that its join caused."""
    client = world.client()
    client.join(FLOW)
    world.settle()
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
    [1, {"nodes": []}, {"nodes": {}, "edges": []}, arrays([{"id": 1}]), arrays([node("a")] * 2)],
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
    assert [*sent, *updates(a)][-1] == arrays([node("n", 49)])
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
    events = client.events()
    assert [event for event, _ in events][:2] == ["phx_reply", "flow_update"]
    assert events[1][1] == {"changes": arrays([node("n")]), "timestamp": 1_700_000_000}
    world.clock.advance(1)
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


def test_bri9_edit_that_no_document_holds_is_relayed(world: World, store: HeldStore) -> None:
    a, b = relay(world), relay(world)
    bad = arrays([{**node("n"), "data": {"__proto__": 1}}])
    assert a.answer(a.change(FLOW, bad)) == ("ok", {"status": "broadcasted"})
    assert updates(b) == [bad]
    assert store.groups == []


def test_bri9_edits_behind_one_that_no_document_holds(world: World, store: HeldStore) -> None:
    a, b = relay(world), relay(world)
    store.holding = True
    a.change(FLOW, arrays([node("n")]))
    a.change(FLOW, arrays([{**node("n"), "data": {"__proto__": 1}}]))
    a.change(FLOW, arrays([node("n", 2)]))
    while store.waiting:
        store.let_through()
    assert updates(b)[-1] == arrays([node("n", 2)])
    store.holding = False
    a.change(FLOW, arrays([node("n", 3)]))
    assert document(world)["nodes"] == {"n": node("n", 3)}


def test_bri10_edit_that_cant_be_stored_is_told_to_nobody(world: World, store: HeldStore) -> None:
    a, b = relay(world), relay(world)
    store.fail("create", StoreUnavailable())
    status, response = a.answer(a.change(FLOW, arrays([node("n")])))
    assert (status, response) == ("error", {"reason": StoreUnavailable.default_message})
    assert updates(b) == []
    a.change(FLOW, arrays([node("n")]))
    assert updates(b) == [arrays([node("n")])]


def test_bri1_sync_by_rest_is_an_edit_too(world: World) -> None:
    a = relay(world)
    a.change(FLOW, arrays([node("n1"), node("n2")]))
    updates(a)
    changes = json.dumps(arrays([node("n1", 4)])).encode()
    assert world.service.broadcast("f", changes).result == 1  # type: ignore[attr-defined]
    assert updates(a) == [arrays([node("n1", 4)])]
    assert document(world)["nodes"] == {"n1": node("n1", 4)}


def test_ses4_session_ends_with_an_update_due(world: World) -> None:
    a, editor = relay(world), Editor(world, "e")
    editor.patch(1, adding("n"))
    updates(a)
    editor.patch(2, moving("n", 1))
    a.cut()
    editor.client.cut()
