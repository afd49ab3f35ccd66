"""Counts, lists, sync, force-close and revocations over nodes. (docs/spec.md, NOD54 to NOD57)"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from helix.access.roles import Role
from helix.flows.open_flows import pages_together, together
from helix.nodes.asking import PATIENCE
from helix.nodes.neighbours import SILENCE
from helix.records import OpenFlow, OpenFlows
from helix.store.memory import MemoryStore
from tests.support.bus import Bus
from tests.support.memory_clients import Answer, MemoryConnection, Poller
from tests.support.principals import KnownTokens, somebody
from tests.support.stack import Stack
from tests.support.world import Client, World, open_memory_store

ADMIN = ("Authorization", "Bearer admin")
PART = ("Authorization", "Bearer part")


class Nodes:
    """
    Several nodes on one store.

    :param options: of each.
    """

    def __init__(self, count: int = 2, **options: Any) -> None:
        self.bus = Bus()
        store: MemoryStore = open_memory_store()
        self.stacks = [
            Stack(lambda _: store, bus=self.bus, seed=seed, **options)
            for seed in range(1, count + 1)
        ]
        self.settle()

    def settle(self) -> None:
        for _ in range(12):
            for stack in self.stacks:
                stack.settle()

    def advance(self, seconds: float) -> None:
        for stack in self.stacks:
            stack.clock.advance(seconds)
        self.settle()

    def begin(
        self, node: int, method: str, target: str, body: object = None, *headers: tuple[str, str]
    ) -> MemoryConnection:
        """Send a request to a node."""
        sent = None if body is None else json.dumps(body).encode()
        all_headers = [("Content-Type", "application/json"), *headers] if sent else [*headers]
        connection = self.stacks[node].connect()
        connection.request(method, target, all_headers, sent)
        self.settle()
        return connection

    def ask(
        self, node: int, method: str, target: str, body: object = None, *headers: tuple[str, str]
    ) -> Answer:
        """Send a request to a node, and give its answer."""
        return self.begin(node, method, target, body, *headers).answer

    def member(self, node: int, flow_id: str = "f") -> Poller:
        member = Poller(self.stacks[node])
        member.join(flow_id)
        self.settle()
        return member

    def lose(self, node: int) -> None:
        """Let a node fall silent without a word."""
        broker = self.stacks[node].nodes._broker  # type: ignore[union-attr]
        self.bus.brokers.remove(broker)  # type: ignore[arg-type]
        broker.is_up = False


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


# NOD54: sync


def updates(member: Poller) -> list[Any]:
    return [message[4]["changes"] for message in member.messages() if message[3] == "flow_update"]


@pytest.mark.parametrize("node", [0, 1, 2])
def test_nod54_sync_reaches_the_members_on_all_nodes_and_counts_them(node: int) -> None:
    nodes = Nodes(3)
    members = [nodes.member(0), nodes.member(0), nodes.member(1)]
    nodes.advance(3)  # they are shown the flow
    changes = {"nodes": [{"id": "n"}], "edges": []}
    answer = nodes.ask(node, "POST", "/api/flows/f/sync", {"changes": changes})
    assert answer.json == {"success": True, "message": "Changes sent to 3 clients"}
    for member in members:
        assert updates(member) == [changes]
    assert nodes.ask(node, "GET", "/api/flows/f").status == 404  # nothing was stored


def test_nod54_a_member_that_then_edits_stores_only_its_own_edit(nodes: Nodes) -> None:
    nodes.ask(0, "POST", "/api/flows", {"id": "f", "document": {}})
    nodes.member(0)
    there = nodes.member(1)
    nodes.advance(3)
    shown, own = {"id": "shown", "position": {"x": 0, "y": 0}, "data": {}}, {"id": "own"}
    nodes.ask(0, "POST", "/api/flows/f/sync", {"changes": {"nodes": [shown], "edges": []}})
    there.push("flow:f", "flow_change", {"changes": {"nodes": [shown, own], "edges": []}})
    nodes.settle()
    document = nodes.ask(0, "GET", "/api/flows/f").json["document"]
    assert list(document["nodes"]) == ["own"]


def test_nod54_the_local_part_is_sent_at_once_and_the_answer_waits_a_second(nodes: Nodes) -> None:
    member = nodes.member(0)
    nodes.lose(1)
    waiting = nodes.begin(0, "POST", "/api/flows/f/sync", {"changes": 1})
    assert updates(member) == [1]
    assert not waiting.answers
    nodes.advance(PATIENCE)
    assert waiting.answer.json == {
        "success": True,
        "message": "Changes sent to 1 client",
        "complete": False,
    }


@pytest.fixture
def guarded() -> Nodes:
    """Nodes that ask who somebody is. ``part`` may change only one node of each flow."""
    tokens = KnownTokens(
        admin=somebody(None, id="root", is_admin=True),
        part=somebody(Role.EDITOR, ["/nodes/mine"]),
    )
    return Nodes(authenticator=tokens)


def test_nod54_permissions_are_checked_where_the_sender_is(guarded: Nodes) -> None:
    guarded.ask(0, "POST", "/api/flows", {"id": "f", "document": {}}, ADMIN)
    member = Poller(guarded.stacks[1], "vsn=2.0.0&token=admin")
    member.push("flow:f", "phx_join")
    guarded.advance(3)
    mine = {"nodes": [{"id": "mine", "position": {"x": 0, "y": 0}, "data": {}}], "edges": []}
    others = {"nodes": [{"id": "x", "position": {"x": 0, "y": 0}, "data": {}}], "edges": []}
    # Nobody has it open on the first node.
    refused = guarded.ask(0, "POST", "/api/flows/f/sync", {"changes": others}, PART)
    assert refused.status == 403
    sent = guarded.ask(0, "POST", "/api/flows/f/sync", {"changes": mine}, PART)
    assert sent.json["message"] == "Changes sent to 1 client"
    assert updates(member) == [mine]


# NOD55: who has a flow open


def test_nod55_the_status_of_a_flow_counts_all_nodes(nodes: Nodes) -> None:
    nodes.member(0)
    nodes.advance(10)
    nodes.member(1), nodes.member(1)
    for node in (0, 1):
        answer = nodes.ask(node, "GET", "/api/flows/f/status").json
        now = nodes.stacks[1].sessions.get("f").last_activity  # type: ignore[union-attr]
        assert answer == {"active": True, "client_count": 3, "last_activity": int(now)}
    nothing = nodes.ask(0, "GET", "/api/flows/other/status").json
    assert nothing == {"active": False, "client_count": 0, "last_activity": None}


def test_nod55_a_node_that_does_not_answer_is_told_of(nodes: Nodes) -> None:
    nodes.member(1)
    nodes.lose(1)
    waiting = nodes.begin(0, "GET", "/api/flows/f/status")
    assert not waiting.answers
    nodes.advance(PATIENCE)
    assert waiting.answer.json == {
        "active": False,
        "client_count": 0,
        "last_activity": None,
        "complete": False,
    }
    for _ in range(4):
        nodes.advance(SILENCE / 3)
    assert "complete" not in nodes.ask(0, "GET", "/api/flows/f/status").json


def test_nod55_while_nobody_is_heard_the_answer_is_not_complete(nodes: Nodes) -> None:
    nodes.member(1)
    nodes.bus.set_up(False)
    answer = nodes.ask(0, "GET", "/api/sessions").json
    assert answer == {"sessions": [], "next": None, "complete": False}


def test_nod55_an_answer_that_cannot_be_read_is_none(nodes: Nodes) -> None:
    responds = nodes.stacks[1].nodes._telling.asking.responds  # type: ignore[union-attr]
    answer: Deferred[bytes] = Deferred()
    answer.callback(b'{"of":"another version"}')
    responds["flow"] = lambda _: answer
    assert nodes.ask(0, "GET", "/api/flows/f/status").json["complete"] is False


def test_nod55_sessions_are_listed_once_for_each_flow(nodes: Nodes) -> None:
    began = int(nodes.stacks[0].clock.seconds())
    nodes.member(0, "b")
    nodes.advance(10)
    nodes.member(1, "b"), nodes.member(1, "a"), nodes.member(0, "c")
    later = [int(stack.clock.seconds()) for stack in nodes.stacks]
    listed = nodes.ask(1, "GET", "/api/sessions").json
    flows = {one["flow_id"]: one for one in listed["sessions"]}
    assert list(flows) == ["a", "b", "c"]
    assert [one["client_count"] for one in flows.values()] == [1, 2, 1]
    assert flows["b"]["started_at"] in (began, began + 1)
    assert flows["b"]["last_activity"] in (later[1] - 1, later[1])
    assert listed["next"] is None


def test_nod55_sessions_are_listed_page_by_page(nodes: Nodes) -> None:
    names = [f"f{number:02}" for number in range(17)]
    for number, name in enumerate(names):
        nodes.member(number % 3 == 0, name)
    found: list[str] = []
    after = ""
    for _ in range(10):
        page = nodes.ask(0, "GET", f"/api/sessions?limit=4&after={after}").json
        found += [one["flow_id"] for one in page["sessions"]]
        assert len(page["sessions"]) == min(4, len(names) - len(found) + len(page["sessions"]))
        if page["next"] is None:
            break
        after = page["next"]
    assert found == names


FLOWS = st.sets(st.text("abc", min_size=1, max_size=3))


@given(st.lists(FLOWS, min_size=1, max_size=4), st.integers(1, 5), st.data())
def test_nod55_pages_together_leave_nothing_out(
    nodes: list[set[str]], limit: int, data: st.DataObject
) -> None:
    """Also where a node gives shorter pages than it is asked for."""
    found: list[str] = []
    after = ""
    for _ in range(200):
        pages = []
        for flows in nodes:
            following = sorted(flow for flow in flows if flow > after)
            size = data.draw(st.integers(1, limit))
            rows = [OpenFlow(flow, 1, 2.0, 3.0) for flow in following[:size]]
            pages.append(OpenFlows(rows, len(following) > size))
        page = pages_together(pages, limit)
        assert len(page.flows) <= limit
        found += [flow.flow_id for flow in page.flows]
        for flow in page.flows:
            assert flow.client_count == sum(flow.flow_id in flows for flows in nodes)
        if not page.is_more:
            break
        after = page.flows[-1].flow_id
    assert found == sorted(set().union(*nodes))


def test_nod55_what_several_nodes_know_of_a_flow_is_added_up() -> None:
    flows = [OpenFlow("f", 2, 5.0, 6.0), OpenFlow("f", 3, 4.0, 9.0), OpenFlow("f", 0, 7.0, 7.0)]
    assert together(flows) == OpenFlow("f", 5, 4.0, 9.0)


# NOD56: force-close


@pytest.mark.parametrize("node", [0, 1, 2])
def test_nod56_a_session_is_ended_on_all_nodes(node: int) -> None:
    nodes = Nodes(3)
    members = [nodes.member(0), nodes.member(1), nodes.member(1)]
    answer = nodes.ask(node, "DELETE", "/api/sessions/f?by=Ada")
    assert answer.json == {"status": "session_closed", "clients_affected": 3}
    for member in members:
        told = member.messages()[-2:]
        assert [message[3] for message in told] == ["flow_deleted", "phx_close"]
        assert told[0][4]["by"] == "Ada"
    again = nodes.ask(node, "DELETE", "/api/sessions/f")
    assert (again.status, again.json["code"]) == (404, "session_not_found")


def test_nod56_who_does_not_answer_may_have_one(nodes: Nodes) -> None:
    nodes.member(1)
    nodes.lose(1)
    waiting = nodes.begin(0, "DELETE", "/api/sessions/f")
    nodes.advance(PATIENCE)
    assert waiting.answer.json == {
        "status": "session_closed",
        "clients_affected": 0,
        "complete": False,
    }


def test_nod136_a_node_that_has_just_come_ends_a_session_of_another(nodes: Nodes) -> None:
    member = nodes.member(1)
    store = nodes.stacks[0].store
    new = Stack(lambda _: store, bus=nodes.bus, seed=3)  # it hasn't heard of the others yet
    nodes.stacks.append(new)
    waiting = nodes.begin(2, "DELETE", "/api/sessions/f")
    nodes.advance(PATIENCE)
    assert waiting.answer.json == {"status": "session_closed", "clients_affected": 1}
    assert member.messages()[-1][3] == "phx_close"


class Managed:
    """Two nodes with members in both modes, and somebody who manages on the first."""

    def __init__(self, management_deletes: bool) -> None:
        self.deletes = management_deletes
        bus = Bus()
        store: MemoryStore = open_memory_store()
        self.worlds = [
            World(store=store, broker=bus.broker, seed=seed, management_deletes=management_deletes)
            for seed in range(2)
        ]
        self.worlds[0].library.create({"title": "Old"}, "f")
        self.manager = self.join(0, "flow:g", {"mode": "document", "client_id": "m", "user": ADA})
        self.manager.join("flow_management")
        self.relays = [self.join(node, "flow:f") for node in range(2)]
        document = {"mode": "document", "client_id": "d"}
        self.documents = [
            self.join(node, "flow:f", {**document, "client_id": f"d{node}"}) for node in range(2)
        ]
        self.settle()
        for world in self.worlds:
            for client in world.clients:
                client.received()

    def join(self, node: int, topic: str, params: object = None) -> Client:
        client = self.worlds[node].client()
        client.join(topic, params)
        self.settle()
        return client

    def settle(self) -> None:
        for _ in range(10):
            for world in self.worlds:
                world.settle()

    def delete(self) -> Any:
        ref = self.manager.push("flow_management", "flow_deleted", {"flow_id": "f"})
        self.settle()
        return self.manager.answer(ref)

    def end(self) -> None:
        for world in self.worlds:
            world.end()


ADA = {"name": "Ada"}


@pytest.fixture(params=[False, True], ids=["ends", "deletes"])
def managed(request: pytest.FixtureRequest) -> Iterator[Managed]:
    managed = Managed(request.param)
    yield managed
    managed.end()


def test_nod56_management_ends_it_for_all_members(managed: Managed) -> None:
    answer = managed.delete()
    assert answer == ("ok", {"status": "session_closed", "clients_affected": 4})
    for client in managed.relays:
        assert [event for event, _ in client.events()][-2:] == ["flow_deleted", "phx_close"]
    for client in managed.documents:
        (event, told), (end, _) = client.events()[-2:]
        if managed.deletes:
            assert (event, end) == ("flow_deleted", "phx_close")
        else:
            assert (event, end) == ("session_ended", "phx_error")
        assert told["by"] == "Ada"
    assert all(world.flow() is None for world in managed.worlds)


def test_nod56_nobody_has_it_open(managed: Managed) -> None:
    managed.delete()
    answer = managed.delete()
    assert answer == ("ok", {"status": "session_closed", "clients_affected": 0})


# NOD57: who is there


def test_nod57_the_status_says_how_many_nodes_are_there() -> None:
    nodes = Nodes(3)
    assert [stack.get("/api/status").json["nodes"] for stack in nodes.stacks] == [3, 3, 3]
    assert [stack.metric("helix_nodes") for stack in nodes.stacks] == [3, 3, 3]
    assert ", one of 3 nodes<" in nodes.stacks[0].get("/status").text
    nodes.stacks[1].stop()
    nodes.settle()
    nodes.lose(2)
    for _ in range(4):
        nodes.advance(SILENCE / 3)
    assert nodes.stacks[0].get("/api/status").json["nodes"] == 1
    assert ", the only node<" in nodes.stacks[0].get("/status").text
    alone = Stack()
    assert alone.get("/api/status").json["nodes"] == 1
    assert alone.metric("helix_nodes") == 1
