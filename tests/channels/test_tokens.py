"""What is withdrawn, and renewed, while a client is connected."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred

from helix.access.principal import FlowPattern, Principal
from helix.access.roles import Role
from helix.errors import CloseCode
from helix.identity.tokens import LEEWAY
from tests.channels.test_access import (
    EDGE,
    PATCH,
    TOPIC,
    A,
    B,
    arrays,
    as_document,
    ask,
    content,
    forbidden,
    join,
    make_flow,
    patch,
)
from tests.support.heldstore import HeldStore
from tests.support.principals import KnownTokens, grant, somebody
from tests.support.stack import NOW, Stack
from tests.support.tokens import secret_file, token
from tests.support.world import START, Client, World

MakeWorld = Callable[..., World]

VIEWER, EDITOR, OWNER = somebody(Role.VIEWER), somebody(Role.EDITOR), somebody(Role.OWNER)

NO_LONGER = "You no longer have access to this flow"
REVOKED = [("access_revoked", {"reason": NO_LONGER}), ("phx_close", {})]

IS_VIEWER = ("role", {"role": "viewer", "may": ["read"]})
IS_EDITOR = ("role", {"role": "editor", "may": ["read", "comment", "propose", "edit"]})

BOTH = pytest.mark.parametrize("params", [None, as_document("c")], ids=["relay", "document"])


@pytest.fixture
def tokens() -> KnownTokens:
    return KnownTokens(
        viewer=VIEWER, editor=EDITOR, nothing=somebody(None), eve=attrs.evolve(OWNER, id="eve")
    )


@pytest.fixture
def world(make_world: MakeWorld, tokens: KnownTokens) -> World:
    world = make_world(authenticator=tokens)
    make_flow(world)
    return world


def renew(client: Client, token: object, topic: str = TOPIC) -> str:
    return client.push(topic, "access_token", {"access_token": token})


def until(seconds: float, principal: Principal = EDITOR) -> Principal:
    """The principal, for some seconds from the start of a world."""
    return attrs.evolve(principal, expires_at=START + seconds)


def pass_time(world: World, until: float) -> None:
    """Let the time come that is so many seconds after the start."""
    world.clock.advance(START + until - world.clock.seconds())
    world.settle()


def without_members(client: Client) -> list[tuple[str, Any]]:
    """What a client got, but for who else is there."""
    others = ("client_joined", "client_left", "presence_state", "presence_diff", "cursors")
    return [one for one in client.events() if one[0] not in others]


# The end of a token


def test_acc29_every_joined_topic_is_told_a_minute_before(world: World) -> None:
    principal = until(1000)
    client = world.client(principal=principal)
    client.join(TOPIC, as_document("c"))
    client.join("flow_management")
    world.settle()
    pass_time(world, 939)
    client.received()
    pass_time(world, 940)
    told = [(one.topic, one.event, one.payload) for one in client.received()]
    expires = {"expires_at": START + 1000}
    assert told == [(topic, "token_expiring", expires) for topic in (TOPIC, "flow_management")]
    client.join(TOPIC)
    world.settle()
    assert ("token_expiring", expires) in client.events()
    pass_time(world, 999)
    assert client.close_code is None
    pass_time(world, 1000)
    assert client.close_code is CloseCode.TOKEN_EXPIRED
    assert int(client.close_code) == 4401


def test_acc29_a_token_that_is_over_soon_is_told_at_once(world: World) -> None:
    client = world.client(principal=until(30))
    client.join(TOPIC, as_document("c"))
    world.settle()
    told = [event for event, _ in client.events()]
    assert told.count("token_expiring") == 1
    assert told.index("phx_reply") < told.index("token_expiring")
    pass_time(world, 31)
    assert client.close_code is CloseCode.TOKEN_EXPIRED


def test_acc29_a_token_that_is_over_lasts_as_long_as_the_door_accepts_it(world: World) -> None:
    """Or its client would come back with it over and over."""
    client = world.client(principal=until(-5))
    pass_time(world, LEEWAY - 6)
    assert client.close_code is None
    pass_time(world, LEEWAY - 5)
    assert client.close_code is CloseCode.TOKEN_EXPIRED


@pytest.mark.parametrize("joined_at", [0, 950])
def test_acc29_a_process_that_stood_still_reads_nothing_more_of_who_is_over(
    world: World, joined_at: float
) -> None:
    """Timers come after what waits in the sockets."""
    pass_time(world, joined_at)
    client = world.client(principal=until(1000))
    client.join(TOPIC, as_document("c"))
    world.settle()
    world.clock.rightNow += 1000 + LEEWAY
    client.push(TOPIC, "patch", {"op_id": 1, "patch": {"title": "Too late"}})
    assert client.close_code is CloseCode.TOKEN_EXPIRED
    world.settle()
    assert content(world)["title"] != "Too late"


def test_acc29_nothing_waits_where_nothing_is_over(world: World) -> None:
    before = len(world.clock.getDelayedCalls())
    client = world.client(principal=EDITOR)
    assert len(world.clock.getDelayedCalls()) == before
    client.connection.become(until(500))
    client.connection.become(until(900))
    assert len(world.clock.getDelayedCalls()) == before + 1
    client.connection.become(EDITOR)
    assert len(world.clock.getDelayedCalls()) == before
    client.connection.become(until(500))
    client.cut()
    assert len(world.clock.getDelayedCalls()) == before
    client.connection.become(until(500))
    assert len(world.clock.getDelayedCalls()) == before


@pytest.mark.parametrize("set_at", [500, 950])
def test_acc29_the_machines_clock_counts(world: World, set_at: float) -> None:
    """Where it is set, too: before the client was told of the end, or after."""
    client = world.client(principal=until(1000))
    client.join(TOPIC, as_document("c"))
    pass_time(world, set_at)
    client.received()
    world.wall.ahead = -300
    pass_time(world, 950)
    pass_time(world, 1230)
    assert client.close_code is None
    assert "token_expiring" not in dict(client.events())
    pass_time(world, 1240)
    assert "token_expiring" in dict(client.events())
    pass_time(world, 1299)
    assert client.close_code is None
    pass_time(world, 1300)
    assert client.close_code is CloseCode.TOKEN_EXPIRED


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A whole server that takes signed tokens."""
    stack = Stack(auth=f"jwt:hmac:{secret_file(tmp_path)}")
    yield stack
    stack.stop()


GRANTS = {"flows": {"*": "editor"}, "create": ["*"]}


def test_acc29_a_session_of_long_polling_ends_so_that_its_client_comes_back(
    stack: Stack,
) -> None:
    poller = stack.poller(f"vsn=2.0.0&token={token(exp=NOW + 70, **GRANTS)}")
    poller.push(TOPIC, "phx_join")
    assert poller.messages()[0][4]["response"]["role"] == "owner"
    told: list[Any] = []
    body: dict[str, Any] = {}
    while stack.clock.seconds() < NOW + 71:
        poll = poller.start_poll()
        stack.run(10.5)
        body = poll.answer.json
        told += map(json.loads, body.get("messages", ()))
    assert [message[3:] for message in told] == [["token_expiring", {"expires_at": NOW + 70}]]
    assert body["status"] == poller.poll()["status"] == 500
    assert not len(stack.clients)


def test_acc29_acc30_a_socket_is_renewed_and_closed_by_its_tokens(stack: Stack) -> None:
    socket = stack.open(f"vsn=2.0.0&token={token(exp=NOW + 90, **GRANTS)}")

    def ask(*frame: object) -> list[Any]:
        socket.send_frame(1, json.dumps(frame).encode())
        stack.settle()
        told = [json.loads(one.payload) for one in socket.take_frames()]
        (reply,) = [message for message in told if message[3] == "phx_reply"]
        return [reply[4]["status"], reply[4]["response"]]

    assert ask("1", "1", TOPIC, "phx_join", {})[1]["role"] == "owner"
    for other, code in ((token(sub="bob"), "forbidden"), ("nonsense", "token_refused")):
        status, response = ask("1", "2", TOPIC, "access_token", {"access_token": other})
        assert (status, response["code"]) == ("error", code)
        assert other not in str(response)
    renewed = token(exp=NOW + 200, flows={"*": "viewer"})
    assert ask("1", "3", TOPIC, "access_token", {"access_token": renewed}) == ["ok", {}]
    status, response = ask("1", "4", TOPIC, "flow_change", {"changes": {}})
    assert (status, response["code"]) == ("error", "forbidden")
    for _ in range(19):
        stack.run(10)
        socket.send_frame(1, b'[null,"5","phoenix","heartbeat",{}]')
        assert all(one.opcode == 1 for one in socket.take_frames())
    stack.run(12)
    closing = socket.take_frames()[-1]
    assert (closing.opcode, closing.payload[:2]) == (8, (4401).to_bytes(2, "big"))


# Renewal


@BOTH
def test_acc30_a_token_renews_on_the_open_socket(
    world: World, tokens: KnownTokens, params: Any
) -> None:
    client = join(world, until(1000), params)
    tokens.principals["next"] = until(1700)
    pass_time(world, 950)
    client.received()
    ref = renew(client, "next")
    world.settle()
    assert client.answer(ref) == ("ok", {})
    pass_time(world, 1639)
    assert client.close_code is None
    assert "token_expiring" not in dict(client.events())
    pass_time(world, 1640)
    assert ("token_expiring", {"expires_at": START + 1700}) in client.events()
    pass_time(world, 1700)
    assert client.close_code is CloseCode.TOKEN_EXPIRED


@BOTH
def test_acc30_a_token_of_another_is_refused(world: World, params: Any) -> None:
    client = join(world, VIEWER, params)
    for other, code in (("eve", "forbidden"), ("bad", "token_refused")):
        status, response = ask(client, "access_token", {"access_token": other})
        assert (status, response["code"], response["retry"]) == ("error", code, False)
        assert other not in str(response)
    assert client.connection.principal is VIEWER
    assert client.close_code is None


@BOTH
@pytest.mark.parametrize("payload", [{}, {"access_token": 5}, {"access_token": None}, [], "secret"])
def test_acc30_what_holds_no_token_is_refused(world: World, params: Any, payload: Any) -> None:
    client = join(world, VIEWER, params)
    status, response = ask(client, "access_token", payload)
    assert (status, response["reason"]) == ("error", "access_token must be a string")


def test_acc30_meanwhile_the_old_principal_counts(world: World, tokens: KnownTokens) -> None:
    client = join(world, EDITOR, as_document("c"))
    tokens.held = []
    ref = renew(client, "viewer")
    assert patch(client, PATCH, 1) == ("ok", {"version": 2})
    tokens.held.pop().callback(None)
    world.settle()
    told = client.received()
    assert [one.ref for one in told if one.event == "phx_reply"] == [ref]
    assert IS_VIEWER in [(one.event, one.payload) for one in told]
    assert patch(client, {"title": "New"}, 2) == ("error", forbidden(Role.EDITOR, Role.VIEWER))


def test_acc30_a_client_that_is_gone_is_renewed_no_more(world: World, tokens: KnownTokens) -> None:
    client = join(world, VIEWER, as_document("c"))
    tokens.held = []
    renew(client, "editor")
    client.cut()
    tokens.held.pop().callback(None)
    assert client.connection.principal is VIEWER


# What is withdrawn


@BOTH
def test_acc31_a_member_is_told_its_new_role(world: World, params: Any) -> None:
    client = join(world, EDITOR, params)
    client.connection.become(attrs.evolve(EDITOR, name="Ada"))
    assert without_members(client) == []
    client.connection.become(VIEWER)
    assert without_members(client) == [IS_VIEWER]
    client.connection.become(VIEWER)
    assert without_members(client) == []
    client.connection.become(somebody(Role.EDITOR, ["/nodes/b"]))
    narrowed = {**IS_EDITOR[1], "paths": ["/nodes/b"]}
    assert without_members(client) == [("role", narrowed)]
    client.connection.become(EDITOR)
    assert without_members(client) == [IS_EDITOR]


@BOTH
def test_acc31_a_member_with_nothing_left_is_out(world: World, params: Any) -> None:
    watching = join(world, OWNER, as_document("w"))
    client = join(world, EDITOR, params)
    client.join("flow_management")
    client.received()
    watching.received()
    renew(client, "nothing", "flow_management")
    told = [(one.topic, one.event) for one in client.received()]
    management = "flow_management"
    assert told == [(TOPIC, "access_revoked"), (TOPIC, "phx_close"), (management, "phx_reply")]
    world.settle()
    assert world.flow().client_count == 1
    assert "access_revoked" not in dict(watching.events())
    assert ask(client, "ping")[1] == {"reason": "unmatched topic"}
    assert client.close_code is None


def test_acc31_only_what_changes_is_told(world: World) -> None:
    """Each flow by its own grants."""
    both = ("f", "g")
    grants = tuple((FlowPattern.parse(one), grant(Role.EDITOR)) for one in both)
    world.library.create({}, "g")
    everything = attrs.evolve(EDITOR, grants=grants)
    client = world.client(principal=everything)
    for name in both:
        client.join(f"flow:{name}", as_document(f"c{name}"))
    world.settle()
    client.received()
    client.connection.become(attrs.evolve(everything, grants=grants[:1]))
    told = [(one.topic, one.event) for one in client.received()]
    assert told == [("flow:g", "access_revoked"), ("flow:g", "phx_close")]


def test_acc31_a_role_that_goes_in_the_middle_of_a_drag(world: World) -> None:
    watching = join(world, OWNER, as_document("w"))
    client = join(world, EDITOR, as_document("c"))
    watching.received()

    def moving() -> list[Any]:
        world.clock.advance(0.1)
        world.settle()
        payloads = [payload for event, payload in watching.events() if event == "cursors"]
        return [one.get("moving") for payload in payloads for one in payload.values() if one]

    client.push(TOPIC, "cursor", {"x": 1, "y": 2, "moving": {"a": {"x": 5, "y": 5}}})
    assert moving() == [{"a": {"x": 5.0, "y": 5.0}}]
    client.connection.become(VIEWER)
    assert moving() == [None]
    client.push(TOPIC, "cursor", {"x": 2, "y": 2, "moved": {"x": 1, "y": 1}})
    client.push(TOPIC, "cursor", {"x": 3, "y": 2, "moving": {"a": {"x": 9, "y": 9}}})
    assert moving() == [None]
    drop = {"nodes": {"a": {"position": {"x": 9}}}}
    assert patch(client, drop) == ("error", forbidden(Role.EDITOR, Role.VIEWER))
    client.connection.become(EDITOR)
    client.push(TOPIC, "cursor", {"x": 3, "y": 2, "moving": {"a": {"x": 9, "y": 9}}})
    assert moving() == [{"a": {"x": 9.0, "y": 9.0}}]


def test_acc31_access_that_goes_in_the_middle_of_a_drag(world: World) -> None:
    watching = join(world, OWNER, as_document("w"))
    client = join(world, EDITOR, as_document("c"))
    client.push(TOPIC, "cursor", {"x": 1, "y": 2, "moving": {"a": {"x": 5, "y": 5}}})
    world.settle()
    client.received()
    watching.received()
    client.connection.become(somebody(None))
    world.clock.advance(0.1)
    world.settle()
    assert [one for one in client.events() if one[0] != "cursors"] == REVOKED
    (cursors,) = [payload for event, payload in watching.events() if event == "cursors"]
    assert [*cursors.values()] == [None]


@BOTH
@pytest.mark.parametrize("after", ["viewer", "nothing"])
def test_acc31_edits_that_wait_are_judged_when_their_turn_comes(
    make_world: MakeWorld, tokens: KnownTokens, params: Any, after: str
) -> None:
    store = HeldStore()
    world = make_world(store=store, authenticator=tokens)
    make_flow(world)
    client, other = join(world, EDITOR, params), join(world, OWNER, as_document("o"))
    store.holding = True
    other.push(TOPIC, "patch", {"op_id": 1, "patch": {"title": "Held"}})
    if params is None:
        ref = client.change(TOPIC, arrays("new"))
    else:
        ref = client.push(TOPIC, "patch", {"op_id": 1, "patch": PATCH})
    client.connection.become(tokens.principals[after])
    store.let_through()
    world.settle()
    assert store.waiting == 0
    assert content(world)["nodes"]["a"] == A
    if after == "viewer":
        assert client.answer(ref) == ("error", forbidden(Role.EDITOR, Role.VIEWER))


def test_acc31_what_the_log_has_is_acknowledged_all_the_same(world: World) -> None:
    client = join(world, EDITOR, as_document("c"))
    assert patch(client, PATCH, 1)[0] == "ok"
    client.connection.become(VIEWER)
    status, response = patch(client, PATCH, 1)
    assert (status, response["duplicate"]) == ("ok", True)
    assert patch(client, PATCH, 2)[0] == "error"


@BOTH
@pytest.mark.parametrize("after", [None, Role.VIEWER])
def test_acc31_a_join_under_way_is_judged_by_the_new_principal(
    make_world: MakeWorld, params: Any, after: Role | None
) -> None:
    """And what is pushed meanwhile."""
    loading: list[Deferred[None]] = []

    def load(_: str) -> Deferred[None] | None:
        if not is_slow:
            return None
        loading.append(Deferred())
        return loading[-1]

    is_slow = False
    world = make_world(load=load)
    make_flow(world)
    world.clock.advance(60)
    is_slow = True
    client = world.client(principal=EDITOR)
    joining = client.join(TOPIC, params)
    if params is None:
        ref = client.change(TOPIC, arrays("new"))
    else:
        ref = client.push(TOPIC, "patch", {"op_id": 1, "patch": PATCH})
    client.connection.become(somebody(after))
    loading.pop().callback(None)
    world.settle()
    told = client.received()
    replies = {one.ref: one.payload for one in told if one.event == "phx_reply"}
    if after is None:
        assert replies[joining]["response"]["code"] == "flow_not_found"
        assert ref not in replies
        assert world.flow().client_count == 0
    else:
        assert replies[joining]["response"]["role"] == "viewer"
        refused = {"status": "error", "response": forbidden(Role.EDITOR, Role.VIEWER)}
        assert replies[ref] == refused
        assert content(world)["nodes"] == {"a": A, "b": B}
        assert content(world)["edges"] == {"e": EDGE}
