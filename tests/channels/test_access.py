"""What a principal may do over the socket."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from helix.access.principal import ANYBODY, FlowPattern, Kind, Principal
from helix.access.roles import Role
from helix.channels.document import DocumentChannel
from helix.channels.management import ManagementChannel
from helix.channels.relay import RelayChannel
from helix.documents.ids import public_id
from helix.documents.validation import DocumentLimits
from helix.errors import StoreUnavailable
from helix.limits.apart import AT_ONCE_BYTES
from tests.support.heldstore import HeldStore
from tests.support.oldpage import OldPage, run
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
        told = ("phx_reply", {"status": "error", "response": NOT_FOUND})
        assert answers == [[told, ("phx_close", {})]] * 2
    assert loads == ["f"]
    refused = [about["code"] for _, about in world.events("helix.session.join_refused")]
    assert refused == ["flow_not_found"] * 4


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
    status, told = client.answer(ref)
    assert (status, told["role"]) == ("ok", "owner")
    client.cut()

    make_flow(world)
    client = world.client(principal=only_create)
    ref = client.join(TOPIC, params)
    world.settle()
    assert client.answer(ref) == ("error", NOT_FOUND)


def test_acc21_who_edits_a_new_flow_first_owns_it(world: World) -> None:
    first, other = (
        somebody(None, id=name, create=(FlowPattern.parse("*"),)) for name in ("first", "other")
    )
    maker = join(world, first, as_document("maker"))
    late = join(world, other, as_document("late"))
    assert patch(maker, {"title": "Mine"})[0] == "ok"
    events = [event for event, _ in late.events()]
    assert events[-2:] == ["access_revoked", "phx_close"]
    assert "access_revoked" not in [event for event, _ in maker.events()]
    again = world.client(principal=first)
    ref = again.join(TOPIC, as_document("again"))
    world.settle()
    assert again.answer(ref)[1]["role"] == "owner"


@pytest.mark.parametrize("params", [None, as_document("e")], ids=["relay", "document"])
def test_acc231_who_may_not_create_a_flow_makes_none_by_an_edit(world: World, params: Any) -> None:
    maker = join(
        world, somebody(None, id="maker", create=(FlowPattern.parse("*"),)), as_document("m")
    )
    client = world.client(principal=somebody(Role.EDITOR))
    ref = client.join(TOPIC, params)
    world.settle()
    assert client.answer(ref)[1]["role"] == "viewer"
    edit = {"changes": arrays()} if params is None else {"op_id": 1, "patch": {"nodes": {"a": A}}}
    event = "flow_change" if params is None else "patch"
    assert ask(client, event, edit) == ("error", forbidden(Role.EDITOR, Role.VIEWER))
    assert patch(maker, {"nodes": {"a": A}}) == ("ok", {"version": 1})
    assert dict(client.events())["role"] == {
        "role": "editor",
        "may": ["read", "comment", "propose", "edit"],
    }
    edit = {"changes": arrays("new")} if params is None else {"op_id": 2, "patch": PATCH}
    assert ask(client, event, edit)[0] == "ok"
    assert world.store.access._rows["f"].keys() == {"o:maker"}


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


# Relay mode


def updates(client: Client) -> list[Any]:
    return [payload["changes"] for event, payload in client.events() if event == "flow_update"]


def later(world: World, seconds: float = 0.2) -> None:
    world.clock.advance(seconds)
    world.settle()


@pytest.mark.parametrize("principal", [somebody(Role.VIEWER), somebody(Role.EDITOR, ["/nodes/b"])])
def test_acc25_whose_edit_is_refused_is_shown_the_flow_again(
    world: World, principal: Principal
) -> None:
    make_flow(world)
    client, other = join(world, principal), join(world)
    assert ask(client, "flow_change", {"changes": arrays("new")})[0] == "error"
    later(world)
    assert updates(other) == []
    client = join(world, principal)
    client.change(TOPIC, arrays("new"))
    world.settle()
    (shown,) = updates(client)
    assert {one["id"]: one["data"] for one in shown["nodes"]}["a"]["prompt"] == "old"
    assert content(world)["nodes"]["a"] == A


@pytest.mark.parametrize("delay", [0, 0.05])
def test_acc25_an_old_page_shows_the_flow_again(make_world: MakeWorld, delay: float) -> None:
    """Though it ignores updates for a second after one that it has taken."""
    world = make_world()
    maker, page = OldPage(world, delay), OldPage(world, delay)
    maker.open()
    run(world, 1.5, maker)
    maker.add("a")
    run(world, 1, maker)
    page.open()
    run(world, 3, maker, page)
    assert page._client is not None
    page._client.connection.become(somebody(Role.VIEWER))
    page.move("a", 50)
    run(world, 0.3, maker, page)
    page.add("new")
    run(world, 3, maker, page)
    assert [code.get("code") for status, code in page.answers if status == "error"] == [
        "forbidden",
        "forbidden",
    ]
    assert page.nodes() == maker.nodes() == {"a": (0, "a")}
    maker.move("a", 7)
    run(world, 3, maker, page)
    assert page.nodes() == maker.nodes() == {"a": (7, "a")}


def test_acc25_a_large_edit_is_judged_too(world: World) -> None:
    make_flow(world)
    client = join(world, somebody(Role.VIEWER))
    large = "x" * AT_ONCE_BYTES
    status, response = ask(client, "flow_change", {"changes": arrays(large)})
    assert (status, response) == ("error", forbidden(Role.EDITOR, Role.VIEWER))
    other = {"drag": large, '"nodes"': '"edges"'}
    assert ask(client, "flow_change", {"changes": other}) == (status, response)
    assert content(world)["nodes"]["a"] == A


def test_acc25_a_move_needs_the_position_alone(world: World) -> None:
    make_flow(world)
    client = join(world, somebody(Role.EDITOR, ["/nodes/*/position"]))
    moved = arrays()
    moved["nodes"][0] = {**A, "position": {"x": 70, "y": 0}}
    assert ask(client, "flow_change", {"changes": moved}) == ("ok", DONE)
    assert content(world)["nodes"]["a"]["position"] == {"x": 70, "y": 0}


@pytest.mark.parametrize("principal", [somebody(Role.VIEWER), somebody(Role.EDITOR, ["/nodes/a"])])
def test_acc26_others_see_only_what_the_document_took(world: World, principal: Principal) -> None:
    """Of who may not change all of it: neither what can't be stored, nor anything beside."""
    make_flow(world)
    client, other = join(world, principal), join(world)
    unfit = arrays()
    unfit["edges"].append({"id": "bad", "source": "a", "target": "nowhere"})
    unfit["shown"] = "<b>anything</b>"
    ref = client.change(TOPIC, unfit)
    world.settle()
    told = client.received()
    (answer,) = [one.payload for one in told if one.ref == ref]
    assert answer["response"] == {**DONE, "dropped": ["/edges/bad"]}
    (shown,) = [one.payload["changes"] for one in told if one.event == "flow_update"]
    assert [one["id"] for one in shown["edges"]] == ["e"]
    later(world)
    assert updates(other) == []
    if principal.grants[0][1].role is Role.EDITOR:
        unfit["nodes"][0] = {**A, "data": {"prompt": "new"}}
        later(world, 2)
        client.received()
        assert ask(client, "flow_change", {"changes": unfit})[0] == "ok"
        later(world)
        (shown,) = updates(other)
        assert shown.keys() == {"nodes", "edges"}
        assert [one["id"] for one in shown["nodes"]] == ["a", "b"]
        assert shown["nodes"][0]["data"]["prompt"] == "new"


def test_acc26_who_may_change_all_is_relayed_as_before(world: World) -> None:
    make_flow(world)
    client, other = join(world, somebody(Role.EDITOR)), join(world)
    changes = {**arrays("new"), "more": 1}
    assert ask(client, "flow_change", {"changes": changes}) == ("ok", DONE)
    assert updates(other) == [changes]


def test_acc26_what_no_document_could_hold_is_refused_not_relayed(make_world: MakeWorld) -> None:
    limits = DocumentLimits(max_members=3)
    world = make_world(document_limits=limits)
    make_flow(world)
    client, other = join(world, somebody(Role.EDITOR, ["/nodes", "/edges"])), join(world)
    more = arrays()
    more["nodes"] += [{**B, "id": f"n{i}"} for i in range(200)]
    status, response = ask(client, "flow_change", {"changes": more})
    assert (status, response["dropped"][0]) == ("ok", "/nodes/n0")
    later(world)
    assert updates(other) == []
    assert len(updates(join(world))) == 0
    assert content(world)["nodes"].keys() == {"a", "b"}


# Cursors


def test_acc27_a_drag_is_shown_of_who_may_move_the_node(world: World) -> None:
    make_flow(world)
    client = join(world, somebody(Role.EDITOR, ["/nodes/b/position"]), as_document("c"))
    other = join(world, params=as_document("o"))
    place = {"x": 1.0, "y": 2.0}
    moving = {"a": place, "b": place, "unknown": place}
    client.push(TOPIC, "cursor", {"x": 1, "y": 2, "moving": moving})
    later(world)
    (told,) = [payload for event, payload in other.events() if event == "cursors"]
    assert [*told.values()] == [{"x": 1.0, "y": 2.0, "moving": {"b": place}}]
    client.push(TOPIC, "cursor", {"x": 1, "y": 2, "moving": {"b": {**place, "width": 90}}})
    later(world)
    (told,) = [payload for event, payload in other.events() if event == "cursors"]
    assert [*told.values()] == [{"x": 1.0, "y": 2.0}]


# Who others see


def present(client: Client, key: str) -> dict[str, Any]:
    """A person's newest meta, as another client is told of it."""
    later(client.world)
    metas = [
        state[key]["metas"][0]
        for event, payload in client.events()
        if event in ("presence_state", "presence_diff")
        for state in [payload.get("joins", payload)]
        if key in state
    ]
    return {name: value for name, value in metas[-1].items() if not name.startswith("phx_")}


def test_acc32_presence_is_the_principals(world: World) -> None:
    make_flow(world)
    watching = join(world, params=as_document("w"))
    principal = somebody(Role.VIEWER, name="Ada", color="#111111")
    claimed = {"id": "eve", "name": "Eve"}
    client = join(world, principal, as_document("c", user=claimed))
    ada = present(watching, "ada")
    assert (ada["name"], ada["color"]) == ("Ada", "#111111")
    assert "guest" not in ada
    shown = {"name": "Eve", "color": "#222222", "selection": ["a"]}
    assert ask(client, "presence", shown) == ("ok", {})
    ada = present(watching, "ada")
    assert (ada["name"], ada["color"], ada["selection"]) == ("Ada", "#222222", ["a"])
    join(world, principal, as_document("d", user={"color": "#333333"}))
    assert present(watching, "ada")["color"] == "#333333"


def test_acc32_who_has_no_name_may_give_one(world: World) -> None:
    make_flow(world)
    watching = join(world, params=as_document("w"))
    join(world, somebody(Role.VIEWER), as_document("c", user={"id": "eve", "name": "Eve"}))
    assert present(watching, "ada")["name"] == "Eve"


@pytest.mark.parametrize("guest_id", ["guest-1", ""])
def test_acc32_guests_are_marked(world: World, guest_id: str) -> None:
    make_flow(world)
    watching = join(world, params=as_document("w"))
    guest = somebody(Role.VIEWER, id=guest_id, kind=Kind.GUEST)
    claimed = {"id": "ada", "name": "Ada"}
    client = join(world, guest, as_document("c", user=claimed))
    key = guest_id or public_id("c")
    marked = present(watching, key)
    assert (marked["name"], marked["guest"]) == ("Ada", True)
    assert ask(client, "presence", {"guest": False, "selected": 1}) == ("ok", {})
    assert present(watching, key)["guest"] is True


def test_acc32_on_an_open_server_clients_say_who_they_are(world: World) -> None:
    watching = join(world, params=as_document("w"))
    client = join(world, params=as_document("c", user={"id": "eve", "name": "Eve"}))
    assert "guest" not in present(watching, "eve")
    assert ask(client, "presence", {"name": "Else", "guest": "yes"}) == ("ok", {})
    shown = present(watching, "eve")
    assert (shown["name"], shown["guest"]) == ("Else", "yes")


@pytest.mark.parametrize("name", ["Ada", ""])
def test_acc32_entries_are_by_the_principal(world: World, name: str) -> None:
    make_flow(world)
    watching = join(world, params=as_document("w"))
    principal = somebody(Role.OWNER, name=name)
    client = join(world, principal, as_document("c", user={"name": "Eve"}))
    assert patch(client, {"title": "New"})[0] == "ok"
    relay = join(world, principal)
    assert ask(relay, "flow_change", {"changes": arrays("new")}) == ("ok", DONE)
    entries = [
        entry
        for event, payload in watching.events()
        if event == "entries"
        for entry in payload["entries"]
    ]
    assert [entry.get("by", "") for entry in entries] == [name or "Eve", name]
    ending = world.client(principal=principal)
    ending.join("flow_management")
    ending.push("flow_management", "flow_deleted", {"flow_id": "f"})
    world.settle()
    assert dict(watching.events())["session_ended"].get("by", "") == name
