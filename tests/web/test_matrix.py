"""
Who may do what by which door: every way to a role, and every wrong credential. (docs/spec.md, ACC)

A program makes the cells. What each needs is said in `tests.web.matrix`. A new route or event
without a row fails here.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from helix.access.roles import Role
from helix.channels.document import DocumentChannel
from helix.channels.management import ManagementChannel
from helix.channels.relay import RelayChannel
from helix.web.openapi import ApiDocs
from tests.support.memory_clients import Answer
from tests.web.matrix import (
    ADMINISTRATOR,
    ANYBODY_KNOWN,
    ASKING,
    DOCUMENT_PUSHES,
    FORBIDDEN,
    FORBIDDEN_PATH,
    HIDDEN,
    INSIDE,
    OUTSIDE,
    PATHS,
    RELAY_PUSHES,
    ROWS,
    TITLE,
    Client,
    Push,
    Row,
    Server,
    Socket,
    Way,
)
from tests.web.wrong_credentials import wrong_clients

DOCUMENT: dict[str, Any] = json.loads(ApiDocs.load().document)

DESCRIBED = {
    operation["operationId"]: operation["responses"].keys()
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("matrix"))
    yield server
    server.stack.stop()


@pytest.fixture(scope="module")
def ways(server: Server) -> list[Way]:
    return [*server.ways()]


def routes(server: Server) -> set[str]:
    """The endpoints of all route tables of a server."""
    rest: Any = server.stack.site.resource._rest
    apps = [resource._app for resource in (rest._pages, *rest._routes.values())]
    return {rule.endpoint.rpartition(".")[2] for app in apps for rule in app.url_map.iter_rules()}


def test_acc40_every_route_has_a_row(server: Server) -> None:
    assert {row.route for row in ROWS} == routes(server)
    sockets: Any = server.stack.site.resource.children
    assert sockets.keys() == {b"socket"}
    assert sockets[b"socket"].children.keys() == {b"websocket", b"longpoll", b"check"}


def expected(row: Row, way: Way) -> tuple[int, str] | int:
    """How the rules refuse a request, or the status of its answer."""
    if row.needs == ADMINISTRATOR:
        return row.status if way.is_admin else FORBIDDEN
    if row.needs > ANYBODY_KNOWN:
        if way.role is None:
            return HIDDEN
        if way.role < row.needs:
            return FORBIDDEN
    if row.makes and not way.may_create(row.makes):
        return FORBIDDEN
    if way.is_narrowed and row.is_outside:
        return FORBIDDEN_PATH
    return row.status


def outcome(answer: Answer, row: Row) -> tuple[int, str] | int:
    """How a request was refused, or the status of its answer."""
    refused = answer.status in (403, 404) and answer.status != row.status
    if not refused or row.method == "HEAD":
        return answer.status
    assert answer.content_type == "application/problem+json"
    return answer.status, answer.json["code"]


def row_problems(
    way: Way, row: Row, answer: Answer, want: tuple[int, str] | int, flow_id: str
) -> Iterator[str]:
    """What is wrong with an answer."""
    if row.method == "HEAD" and isinstance(want, tuple):
        want = want[0]
    if outcome(answer, row) != want:
        yield f"{outcome(answer, row)}, not {want}"
    if str(answer.status) not in DESCRIBED[row.route]:
        yield f"{answer.status} is not described"
    if way.role is None and flow_id in answer.text:
        yield "tells of the flow"
    if row.route == "list_flows" and "deleted" not in row.target:
        is_listed = flow_id in answer.text
        if is_listed is not (way.role is not None and way.lists):
            yield f"listed: {is_listed}"


def test_acc40_acc120_every_way_leads_to_its_role_and_no_further(
    server: Server, ways: list[Way]
) -> None:
    wrong, cells = [], 0
    for way in ways:
        flow_id, hidden = server.make(way), server.make()
        before = server.state(flow_id), server.state(hidden)
        watching = Socket(server, server.root)
        if not way.is_admin:  # who may end its session
            watching.join(f"flow:{flow_id}")
        for row in ASKING:
            want = expected(row, way)
            cells += 1
            is_allowed = isinstance(want, int)
            asked = server.make(way) if row.changes and is_allowed else flow_id
            answer = server.send(way.client, row, asked)
            problems = [*row_problems(way, row, answer, want, flow_id)]
            if not way.is_admin and hidden in answer.text:
                problems.append("tells of another flow")
            if (now := (server.state(flow_id), server.state(hidden))) != before:
                problems.append("something was changed")
                before = now
            wrong += [f"{way.name}, {flow_id}: {row}: {problem}" for problem in problems]
        if heard := watching.messages():
            wrong.append(f"{way.name}, {flow_id}: others were told {heard}")
        watching.close()
    assert not wrong, "\n".join(wrong[:40])
    assert cells > 2500


# sockets


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
    renewal = "access_token"  # which is for everybody, and asked on each channel
    documents, relays = (
        {push.event for push in pushes} for pushes in (DOCUMENT_PUSHES, RELAY_PUSHES)
    )
    assert events_of(DocumentChannel) == {*documents, renewal}
    assert events_of(RelayChannel) == {*relays, renewal}
    assert events_of(ManagementChannel) == {"flow_deleted", renewal}


def pushed(push: Push, way: Way) -> tuple[str, str] | Any:
    """The code of what a push is refused by, or its response."""
    assert way.role is not None
    if way.role < push.needs:
        return "forbidden"
    if way.is_narrowed and push.place in ("outside", "?"):
        return "forbidden_path"
    return push.takes


def told(reply: Any) -> Any:
    """The code of a refusal, or the response."""
    if reply is None or reply["status"] == "ok":
        return reply and reply["response"]
    return reply["response"]["code"]


def renewal_of(way: Way) -> tuple[str, Any]:
    """A token that a client comes with again, and the answer."""
    if way.client.token:
        return way.client.token, {}
    return "none", "token_refused"


MODES = (("document", DOCUMENT_PUSHES), ("relay", RELAY_PUSHES))


def socket_problems(server: Server, way: Way) -> Iterator[str]:
    """What a WebSocket does that it shouldn't, or doesn't."""
    socket = Socket(server, way.client)
    problems = stranger_problems if way.role is None else member_problems
    for mode, pushes in MODES:
        for problem in problems(server, way, socket, mode, pushes):
            yield f"{mode}: {problem}"
    yield from management_problems(server, way, socket)
    socket.close()


def joined(socket: Socket, way: Way, topic: str, mode: str) -> tuple[str, Any]:
    return socket.join(topic, {"mode": mode, "client_id": way.name})


def stranger_problems(
    server: Server, way: Way, socket: Socket, mode: str, pushes: Sequence[Push]
) -> Iterator[str]:
    topic = f"flow:{server.make(way)}"
    join_ref, reply = joined(socket, way, topic, mode)
    if told(reply) != "flow_not_found":
        yield f"the join is answered by {reply}"
    for push in pushes:
        answer = socket.ask(topic, push.event, push.payload, join_ref)
        if answer is None or answer["status"] != "error":
            yield f"{push.event}: {answer} without a join"
    if TITLE in socket.heard:
        yield f"was told {socket.heard}"


def member_problems(
    server: Server, way: Way, socket: Socket, mode: str, pushes: Sequence[Push]
) -> Iterator[str]:
    assert way.role is not None
    flow_id = server.make(way)
    topic = f"flow:{flow_id}"
    join_ref, reply = joined(socket, way, topic, mode)
    described = reply["response"]
    paths = PATHS if way.is_narrowed else None
    if (described.get("role"), described.get("paths")) != (way.role.text, paths):
        yield f"the join is answered by {described}"
    before = server.state(flow_id)
    for push in pushes:
        answer = told(socket.ask(topic, push.event, push.payload, join_ref))
        if answer != (want := pushed(push, way)):
            yield f"{push}: {answer}, not {want}"
    if way.role < Role.EDITOR and server.state(flow_id) != before:
        yield "something was changed"
    again, want = renewal_of(way)
    answer = told(socket.ask(topic, "access_token", {"access_token": again}, join_ref))
    if answer != want:
        yield f"access_token: {answer}"


def management_problems(server: Server, way: Way, socket: Socket) -> Iterator[str]:
    """As `socket_problems`, of what ends sessions."""
    flow_id = server.make(way)
    other = Socket(server, server.root)
    other.join(f"flow:{flow_id}")
    join_ref, _ = socket.join("flow_management")
    answer = told(socket.ask("flow_management", "flow_deleted", {"flow_id": flow_id}, join_ref))
    is_owner = way.role is Role.OWNER
    if answer != {"status": "session_closed", "clients_affected": int(is_owner)}:
        yield f"flow_deleted: {answer}"
    other.messages()
    if ("flow_deleted" in other.heard) is not is_owner:
        yield "flow_deleted: others were told"
    other.close()


def test_acc20_acc23_every_way_leads_to_its_role_on_sockets(
    server: Server, ways: list[Way]
) -> None:
    wrong = [
        f"{way.name}, {way.flows}: {problem}"
        for way in ways
        for problem in socket_problems(server, way)
    ]
    assert not wrong, "\n".join(wrong[:40])


def test_acc20_acc23_every_way_leads_to_its_role_by_long_polling(
    server: Server, ways: list[Way]
) -> None:
    wrong = []
    for way in ways:
        if way.client.cookies:
            continue
        flow_id = server.make(way)
        poller, topic = server.poller(way.client), f"flow:{flow_id}"
        params = {"mode": "document", "client_id": way.name}
        ref = poller.push(topic, "phx_join", params)
        server.stack.settle()
        heard = poller.messages()
        (reply,) = [one[4] for one in heard if (one[1], one[3]) == (ref, "phx_reply")]
        if (reply["response"].get("role"), TITLE in str(heard)) != (
            way.role and way.role.text,
            way.role is not None,
        ):
            wrong.append(f"{way.name}, {flow_id}: {reply}")
        before = server.state(flow_id)
        poller.push(topic, "patch", {"op_id": 1, "patch": OUTSIDE}, join_ref=ref)
        server.stack.settle()
        is_changed = server.state(flow_id) != before
        if is_changed is not ((way.role or 0) >= Role.EDITOR and not way.is_narrowed):
            wrong.append(f"{way.name}, {flow_id}: changed: {is_changed}")
    assert not wrong, "\n".join(wrong)


# wrong credentials


def door_problems(server: Server, client: Client, flow_id: str) -> Iterator[str]:
    """By which door a wrong credential leads anywhere."""
    before = server.state(flow_id)
    for row in ASKING:
        answer = server.send(client, row, flow_id)
        challenge = 'Bearer error="invalid_token"' if client.token else "Bearer"
        if (answer.status, answer.headers["www-authenticate"]) != (401, challenge):
            yield f"{row}: {answer.status}"
        if row.method != "HEAD" and answer.json["code"] != "unauthorized":
            yield f"{row}: {answer.json}"
        secrets = [TITLE, flow_id, *filter(None, [client.token])]
        if any(one in answer.text for one in secrets):
            yield f"{row}: tells {answer.text}"
    if server.state(flow_id) != before:
        yield "something was changed"
    socket = server.upgrade(client)
    refused = socket.answer
    socket.lose()
    if (refused.status, refused.json["code"]) != (403, "token_refused"):
        yield f"a WebSocket: {refused.status}"
    polled = server.stack.get(f"/socket/longpoll?{client.query}", *client.cookies).json
    if polled != {"status": 403}:
        yield f"long polling: {polled}"
    given = {"token": client.token} if client.token else {}
    checked = server.stack.post_json("/socket/check?vsn=2.0.0", given, *client.cookies).json
    if (checked["admitted"], checked["refusal"]["code"]) != (False, "token_refused"):
        yield f"/socket/check: {checked}"


def test_acc1_acc5_no_wrong_credential_opens_a_door(server: Server) -> None:
    flow_id = server.make()
    socket = Socket(server, server.root)
    topic = f"flow:{flow_id}"
    join_ref, _ = socket.join(topic, {"mode": "document", "client_id": "root"})
    wrong = []
    for name, client in wrong_clients(server):
        wrong += [f"{name}: {one}" for one in door_problems(server, client, flow_id)]
        if client.token:
            answer = told(
                socket.ask(topic, "access_token", {"access_token": client.token}, join_ref)
            )
            if answer != "token_refused":
                wrong.append(f"{name}: access_token: {answer}")
    assert not wrong, "\n".join(wrong[:40])
    assert told(socket.ask(topic, "patch", {"op_id": 1, "patch": INSIDE}, join_ref)) == {
        "version": 2
    }


def test_acc167_a_state_that_is_replayed_signs_nobody_in(server: Server) -> None:
    browser = server.browser()
    location = browser.begin()
    kept, query = dict(browser.cookies), server.issuer.sign_in(location)
    assert browser.come_back(query).status == 303
    browser.cookies = kept
    assert browser.come_back(query).status == 400
    assert "__Host-helix" not in browser.cookies
    assert browser.get("/api/me").status == 401
