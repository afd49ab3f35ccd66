"""What a principal may do over the socket."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from helix.access.principal import ANYBODY, FlowPattern, Principal
from helix.access.roles import Role
from helix.channels.document import DocumentChannel
from helix.channels.management import ManagementChannel
from helix.channels.relay import RelayChannel
from helix.errors import StoreUnavailable
from tests.support.heldstore import HeldStore
from tests.support.principals import KnownTokens, somebody
from tests.support.world import V1, V2, Client, World

MakeWorld = Callable[..., World]

TOPIC = "flow:f"

A = {"id": "a", "type": "prompt", "position": {"x": 0, "y": 0}, "data": {"prompt": "old"}}
B = {"id": "b", "position": {"x": 9, "y": 9}, "data": {}}
EDGE = {"id": "e", "source": "a", "target": "b"}

NOT_FOUND = {"reason": "There is no such flow", "code": "flow_not_found", "retry": False}
UNMATCHED = {"reason": "unmatched topic"}


def forbidden(needed: Role, role: Role) -> dict[str, Any]:
    reason = f"This needs the role {needed.text}, and you are {role.text}"
    return {"reason": reason, "code": "forbidden", "retry": False}


def forbidden_path(path: str = "") -> dict[str, Any]:
    reason = "you may not change this part of the flow"
    reason = f"{path}: {reason}" if path else reason.capitalize()
    return {"reason": reason, "code": "forbidden_path", "retry": False}


def as_document(client_id: str, **more: Any) -> dict[str, Any]:
    return {"mode": "document", "client_id": client_id, **more}


def join(world: World, principal: Principal = ANYBODY, params: Any = None) -> Client:
    """A client that has joined, and read all that this caused."""
    client = world.client(principal=principal)
    ref = client.join(TOPIC, params)
    world.settle()
    assert client.answer(ref)[0] == "ok"
    world.clock.advance(0.4)
    world.settle()
    client.received()
    return client


def ask(client: Client, event: str, payload: Any = None, topic: str = TOPIC) -> tuple[str, Any]:
    """Push, and give the answer."""
    ref = client.push(topic, event, payload)
    client.world.settle()
    return client.answer(ref)


def patch(client: Client, change: object, op_id: int = 1) -> tuple[str, Any]:
    return ask(client, "patch", {"op_id": op_id, "patch": change})


def make_flow(world: World) -> None:
    """A stored flow ``f`` of two nodes and an edge, which nobody has open any more."""
    maker = join(world, params=as_document("maker"))
    assert patch(maker, {"nodes": {"a": A, "b": B}, "edges": {"e": EDGE}})[0] == "ok"
    maker.cut()
    world.settle()


def content(world: World) -> Any:
    return world.flow().log.document.content


def arrays(prompt: str = "old") -> dict[str, Any]:
    """What a relay client sends that shows the flow, with a text of its own."""
    return {"nodes": [{**A, "data": {"prompt": prompt}}, B], "edges": [EDGE]}


# Joins


@pytest.mark.parametrize("params", [None, as_document("c")], ids=["relay", "document"])
@pytest.mark.parametrize("serializer", [V1, V2])
def test_acc20_hidden_and_unknown_flows_are_refused_alike(
    make_world: MakeWorld, params: Any, serializer: Any
) -> None:
    loads: list[str] = []
    world = make_world(load=loads.append)
    make_flow(world)
    assert loads == ["f"]
    for principal in (somebody(None), somebody(Role.OWNER, flows="other*")):
        answers = []
        for topic in (TOPIC, "flow:unknown"):
            client = world.client(serializer, principal=principal)
            client.join(topic, params)
            answers.append(client.events())
        refused = ("phx_reply", {"status": "error", "response": NOT_FOUND})
        assert answers == [[refused, ("phx_close", {})]] * 2
    assert loads == ["f"]


@pytest.mark.parametrize("params", [None, as_document("c")], ids=["relay", "document"])
def test_acc21_who_may_not_create_opens_no_unknown_flow(world: World, params: Any) -> None:
    stranger = somebody(Role.OWNER)
    client = world.client(principal=stranger)
    client.join(TOPIC, params)
    world.settle()
    refused = ("phx_reply", {"status": "error", "response": NOT_FOUND})
    assert client.events() == [refused, ("phx_close", {})]

    creator = attrs.evolve(stranger, create=(FlowPattern.parse("f"),))
    maker = join(world, creator, params)
    if params is None:  # of a flow that nobody has stored yet others may become members
        join(world, stranger)
    maker.cut()

    only_create = attrs.evolve(creator, grants=())
    client = world.client(principal=only_create)
    ref = client.join(TOPIC, params)
    world.settle()
    assert client.answer(ref) == ("error", NOT_FOUND)


def test_acc21_a_flow_that_somebody_has_open_is_there(world: World) -> None:
    creator = somebody(Role.EDITOR, create=(FlowPattern.parse("*"),))
    maker = join(world, creator, as_document("maker"))
    join(world, somebody(Role.VIEWER), as_document("viewer"))
    assert patch(maker, {"title": "New"})[0] == "ok"


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("paths", [None, ["/nodes/*/data/**", "/edges"]])
def test_acc22_a_join_tells_what_one_may_do(
    world: World, role: Role, paths: list[str] | None
) -> None:
    make_flow(world)
    all_rights = ["read", "comment", "propose", "edit", "manage"]
    expected: dict[str, Any] = {"role": role.text, "may": all_rights[: role.value]}
    if paths is not None and role >= Role.EDITOR:
        expected["paths"] = paths
    client = world.client(principal=somebody(role, paths))
    ref = client.join(TOPIC, as_document("c"))
    world.settle()
    _, told = client.answer(ref)
    assert {name: told[name] for name in ("role", "may", "paths") if name in told} == expected
    ref = client.join(TOPIC)
    world.settle()
    assert client.answer(ref) == ("ok", expected)


def test_acc22_an_open_server_tells_what_it_always_did(world: World) -> None:
    make_flow(world)
    client = world.client()
    ref = client.join(TOPIC, as_document("c"))
    world.settle()
    _, told = client.answer(ref)
    assert told["role"] == "editor"
    assert not {"may", "paths"} & told.keys()
    ref = client.join(TOPIC)
    world.settle()
    assert client.answer(ref) == ("ok", {})


# The matrix: every role, and none, x every event x every channel x grants for paths


@attrs.frozen
class Row:
    """
    A push, and what it needs.

    :ivar needs: the role.
    :ivar place: what it changes of the document; ``None`` for nothing, ``""`` for what isn't read.
    :ivar takes: its answer where it is allowed; ``None`` without one.
    """

    event: str
    payload: Any
    needs: Role
    place: str | None = None
    takes: Any = None
    binary: bool = False


CHANGED = "/nodes/a/data/prompt"
PATCH = {"nodes": {"a": {"data": {"prompt": "new"}}}}
DONE = {"status": "broadcasted"}

RENEWS = Row("access_token", {"access_token": "same"}, Role.VIEWER, takes={})

DOCUMENT = [
    Row("patch", {"op_id": 1, "patch": PATCH}, Role.EDITOR, CHANGED, {"version": 2}),
    Row("cursor", {"x": 1, "y": 2}, Role.VIEWER),
    Row("presence", {"selection": ["a"]}, Role.VIEWER, takes={}),
    Row("ping", {}, Role.VIEWER, takes={"status": "pong"}),
    RENEWS,
]
RELAY = [
    Row("flow_change", {"changes": arrays("new")}, Role.EDITOR, CHANGED, DONE),
    Row("flow_change", {"changes": arrays()}, Role.VIEWER, takes=DONE),
    Row("flow_change", {"changes": {"dragged": "a"}}, Role.EDITOR, "", DONE),
    Row("flow_change", b"anything", Role.EDITOR, "", DONE, binary=True),
    Row("ping", {}, Role.VIEWER, takes={"status": "pong"}),
    RENEWS,
]
MANAGEMENT = [RENEWS]

CHANNELS: dict[str, tuple[Any, Any, list[Row]]] = {
    "document": (DocumentChannel, as_document("c"), DOCUMENT),
    "relay": (RelayChannel, None, RELAY),
}

PATHS = {"all": None, "inside": ["/nodes/*/data/prompt"], "outside": ["/nodes/b/**", "/edges"]}


def events_of(channel: Any) -> set[str]:
    """The events that a channel's code asks for."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(channel.handle)))
    return {
        part.value
        for compare in ast.walk(tree)
        if isinstance(compare, ast.Compare)
        and isinstance(compare.left, ast.Name)
        and compare.left.id == "event"
        for part in compare.comparators
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    }


def test_acc23_every_event_has_a_row() -> None:
    for channel, _, rows in CHANNELS.values():
        assert events_of(channel) == {row.event for row in rows}
    managed = events_of(ManagementChannel)
    assert managed == {"flow_deleted"} | {row.event for row in MANAGEMENT}


def send(client: Client, row: Row) -> str:
    if not row.binary:
        return client.push(TOPIC, row.event, row.payload)
    ref, join_ref = "77", client._join_refs.get(TOPIC, "1")
    parts = [join_ref.encode(), ref.encode(), TOPIC.encode(), row.event.encode()]
    head = bytes([0, *map(len, parts)]) + b"".join(parts)
    client.send_binary(head + row.payload)
    return ref


def refusal_of(row: Row, role: Role | None, paths: list[str] | None) -> dict[str, Any] | None:
    if role is None:
        return UNMATCHED
    if role < row.needs:
        return forbidden(row.needs, role)
    if role < Role.EDITOR or row.place is None or paths is None:
        return None
    if paths == PATHS["inside"] and row.place:
        return None
    return forbidden_path(row.place)


@pytest.mark.parametrize("role", [None, *Role], ids=lambda role: role.text if role else "none")
@pytest.mark.parametrize("granted", PATHS)
@pytest.mark.parametrize("mode", CHANNELS)
def test_acc23_matrix(make_world: MakeWorld, mode: str, granted: str, role: Role | None) -> None:
    _, params, rows = CHANNELS[mode]
    paths = PATHS[granted]
    for row in rows:
        principal = somebody(role, paths)
        world = make_world(authenticator=KnownTokens(same=principal))
        make_flow(world)
        others = [join(world, params=as_document("other")), join(world)]
        client = world.client(principal=principal)
        client.join(TOPIC, params)
        world.settle()
        world.clock.advance(0.4)
        world.settle()
        for one in (client, *others):
            one.received()

        ref = send(client, row)
        world.clock.advance(0.2)
        world.settle()

        refused = refusal_of(row, role, paths)
        told = client.received()
        replies = [message.payload for message in told if message.ref == ref]
        if refused is not None:
            assert replies == [{"status": "error", "response": refused}], row
            assert content(world)["nodes"]["a"] == A, row
            assert [one.events() for one in others] == [[], []], row
        elif row.takes is None:
            assert replies == [], row
        else:
            assert replies == [{"status": "ok", "response": row.takes}], row
        if refused is None and row.place:
            assert content(world)["nodes"]["a"]["data"] == {"prompt": "new"}, row
            assert all(one.events() for one in others), row


@pytest.mark.parametrize("role", [None, *Role], ids=lambda role: role.text if role else "none")
@pytest.mark.parametrize("granted", PATHS)
@pytest.mark.parametrize("deletes", [False, True])
def test_acc28_only_owners_end_a_session(
    make_world: MakeWorld, granted: str, role: Role | None, deletes: bool
) -> None:
    principal = somebody(role, PATHS[granted])
    tokens = KnownTokens(same=principal)
    world = make_world(authenticator=tokens, management_deletes=deletes)
    make_flow(world)
    other = join(world, params=as_document("other"))
    client = world.client(principal=principal)
    client.join("flow_management")
    assert ask(client, "access_token", RENEWS.payload, "flow_management") == ("ok", {})
    is_owner = role is Role.OWNER
    count = 1 if is_owner else 0
    for flow_id, affected in (("unknown", 0), ("f", count)):
        answer = ask(client, "flow_deleted", {"flow_id": flow_id}, "flow_management")
        assert answer == ("ok", {"status": "session_closed", "clients_affected": affected})
    assert bool(other.events()) is is_owner


# Paths


def test_acc24_a_patch_is_refused_whole_for_one_place(world: World) -> None:
    make_flow(world)
    client = join(world, somebody(Role.EDITOR, ["/nodes/*/data/**"]), as_document("c"))
    moved = {"nodes": {"a": {"data": {"prompt": "new"}, "position": {"x": 4}}}}
    assert patch(client, {**moved, "title": "New"}, 1) == ("error", forbidden_path("/title"))
    assert patch(client, moved, 2) == ("error", forbidden_path("/nodes/a/position/x"))
    assert content(world)["nodes"]["a"] == A
    assert patch(client, PATCH, 3) == ("ok", {"version": 2})


def test_acc24_what_goes_with_a_node_counts(world: World) -> None:
    make_flow(world)
    client = join(world, somebody(Role.EDITOR, ["/nodes/**"]), as_document("c"))
    assert patch(client, {"nodes": {"b": None}}) == ("error", forbidden_path("/edges/e"))
    assert "b" in content(world)["nodes"]
    client = join(world, somebody(Role.EDITOR, ["/nodes/*", "/edges/*"]), as_document("d"))
    assert patch(client, {"nodes": {"b": None}})[0] == "ok"


def test_acc24_a_node_is_made_by_who_may_have_all_of_it(world: World) -> None:
    make_flow(world)
    made = {"nodes": {"n": {"id": "n", "position": {"x": 1, "y": 1}, "data": {}}}}
    client = join(world, somebody(Role.EDITOR, ["/nodes/*/data/**"]), as_document("c"))
    assert patch(client, made) == ("error", forbidden_path("/nodes/n"))


def test_acc24_types_count_as_the_document_has_them(world: World) -> None:
    make_flow(world)
    client = join(world, somebody(Role.EDITOR, ["/nodes/*[type=prompt]/data"]), as_document("c"))
    other = {"nodes": {"b": {"data": {"prompt": "new"}}}}
    assert patch(client, PATCH, 1)[0] == "ok"
    assert patch(client, other, 2) == ("error", forbidden_path("/nodes/b/data/prompt"))


def test_acc24_a_final_refusal_holds_up_no_later_patch(world: World) -> None:
    make_flow(world)
    client = join(world, somebody(Role.EDITOR, ["/nodes/*/data/**"]), as_document("c"))
    assert patch(client, {"title": "New"}, 1)[0] == "error"
    assert patch(client, PATCH, 2) == ("ok", {"version": 2})


def test_acc24_a_patch_that_was_to_be_sent_again_is_refused_for_good(
    make_world: MakeWorld,
) -> None:
    """It counts as sent again: those behind it are judged by themselves."""
    store = HeldStore()
    viewer, editor = somebody(Role.VIEWER), somebody(Role.EDITOR)
    world = make_world(store=store, authenticator=KnownTokens(viewer=viewer, editor=editor))
    make_flow(world)
    client = join(world, editor, as_document("c"))
    store.fail("append", StoreUnavailable())
    assert patch(client, PATCH, 1)[1]["code"] == "store_unavailable"
    assert patch(client, PATCH, 2)[1]["code"] == "out_of_order"
    client.connection.become(viewer)
    assert patch(client, PATCH, 1) == ("error", forbidden(Role.EDITOR, Role.VIEWER))
    assert patch(client, PATCH, 2) == ("error", forbidden(Role.EDITOR, Role.VIEWER))
    client.connection.become(editor)
    assert patch(client, PATCH, 3)[0] == "ok"
