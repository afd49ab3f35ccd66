"""The names of versions: by REST, and what members are told. (docs/spec.md, RES26, RES27, DOM12)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from helix.flows.version_names import MAX_VERSION_NAME
from helix.store.rules import MAX_NAMED_VERSIONS
from tests.members.test_awareness import FLOW, Member, rest
from tests.support.logs import logged
from tests.support.memory_clients import Answer, Poller
from tests.support.stack import NOW
from tests.support.world import World
from tests.web.test_rest import assert_problem
from tests.web.test_rest_flows import Flows, Slow, tag

__all__ = ["logged"]

pytestmark = pytest.mark.usefixtures("logged")

MakeWorld = Callable[..., World]

NAME = "Before the launch"


class NamedFlows(Flows):
    """A server with the flow ``f``, which has two versions, and short ways to name them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.epoch = self.make().json["epoch"]
        self.clock.advance(5)
        self.patch("f", {"title": "Better"})
        self.clock.advance(5)

    def give(
        self, version: object, name: object = NAME, query: str = "", *headers: tuple[str, str]
    ) -> Answer:
        body = {"name": name}
        return self.send("PUT", f"/api/flows/f/versions/{version}{query}", body, *headers)

    def take(self, version: object, query: str = "", *headers: tuple[str, str]) -> Answer:
        return self.send("DELETE", f"/api/flows/f/versions/{version}{query}", None, *headers)

    def names(self, flow_id: str = "f") -> list[dict[str, Any]]:
        answer = self.get(f"/api/flows/{flow_id}/versions")
        assert answer.status == 200, answer.body
        listed: list[dict[str, Any]] = answer.json["versions"]
        return listed

    def reader(self) -> Poller:
        """A member in document mode that has read what its join brought."""
        poller = self.poller()
        user = {"name": "Ada", "color": "#d33682"}
        params = {"mode": "document", "client_id": "ada", "user": user}
        poller.push("flow:f", "phx_join", params)
        poller.messages()
        self.clock.advance(1)
        return poller


@pytest.fixture
def flows() -> NamedFlows:
    return NamedFlows()


def told(poller: Poller) -> list[tuple[str, Any]]:
    """What a member was told of names and of the flow's end: events and payloads."""
    events = ("version_named", "versions_changed", "flow_deleted", "session_ended")
    return [(one[3], one[4]) for one in poller.messages() if one[3] in events]


# RES26: naming


def test_res26_versions_are_named_renamed_and_unnamed(flows: NamedFlows) -> None:
    first = flows.give(1, f" {NAME}\n", "?by=Ada")
    named = {"version": 1, "name": NAME, "by": "Ada", "at": NOW + 10}
    assert (first.status, first.json) == (201, {"id": "f", "epoch": flows.epoch, **named})
    flows.clock.advance(1)
    assert flows.give(2, "Better title").status == 201
    again = flows.give(1, "After all", "?by=Grace")
    renamed = {"version": 1, "name": "After all", "by": "Grace", "at": NOW + 11}
    assert (again.status, again.json) == (200, {"id": "f", "epoch": flows.epoch, **renamed})
    newest = {"version": 2, "name": "Better title", "by": "", "at": NOW + 11}
    listed = flows.get("/api/flows/f/versions").json
    assert listed == {"epoch": flows.epoch, "versions": [newest, renamed]}
    gone = flows.take(2)
    assert (gone.status, gone.body) == (204, b"")
    assert flows.names() == [renamed]
    assert flows.flow()["version"] == 2


def test_res26_name_that_is_so_already_stays_with_who_gave_it(flows: NamedFlows) -> None:
    first = flows.give(1, NAME, "?by=Ada")
    flows.clock.advance(9)
    reader = flows.reader()
    again = flows.give(1, NAME, "?by=Grace")
    assert (again.status, again.json) == (200, first.json)
    flows.give(2, "Other")
    assert [payload["version"] for _, payload in told(reader)] == [2]


def test_res26_version_0_is_the_empty_document(flows: NamedFlows) -> None:
    assert flows.give(0).status == 201
    assert flows.names()[0]["version"] == 0


@pytest.mark.parametrize("name", ["", " \t\n", "\u00a0", "x" * (MAX_VERSION_NAME + 1)])
def test_res26_name_that_cant_be_is_refused(flows: NamedFlows, name: str) -> None:
    answer = flows.give(1, name)
    assert_problem(answer, 400, "invalid_parameters")
    assert "1 to 120 characters" in answer.json["detail"]
    assert flows.names() == []


@pytest.mark.parametrize(
    "name", ["x", "x" * MAX_VERSION_NAME, "\u00e9" * MAX_VERSION_NAME + "   ", "\U0001f600\0\u202e"]
)
def test_res26_any_other_name_is_taken(flows: NamedFlows, name: str) -> None:
    assert flows.give(1, name).status == 201
    assert flows.names()[0]["name"] == name.strip()


@pytest.mark.parametrize("body", [{}, {"name": None}, {"name": 5}, {"name": "x", "more": 1}, []])
def test_res26_what_is_no_naming_is_refused(flows: NamedFlows, body: object) -> None:
    answer = flows.send("PUT", "/api/flows/f/versions/1", body)
    assert_problem(answer, 400, "malformed_body")


@pytest.mark.parametrize("version", [3, 2**53])
def test_res26_version_that_never_was_has_no_name(flows: NamedFlows, version: int) -> None:
    assert_problem(flows.give(version), 404, "version_not_found")
    assert_problem(flows.take(version), 404, "version_not_named")


@pytest.mark.parametrize("version", ["-1", "x", "1.0", "%20", str(2**53 + 1), "9" * 5000])
def test_res26_version_that_cant_be_is_400(flows: NamedFlows, version: str) -> None:
    assert_problem(flows.give(version), 400, "invalid_parameters")
    assert_problem(flows.take(version), 400, "invalid_parameters")


def test_res26_names_are_bounded(flows: NamedFlows) -> None:
    for number in range(MAX_NAMED_VERSIONS):
        flows.patch("f", {"title": str(number)})
        assert flows.give(number).status == 201
    assert_problem(flows.give(MAX_NAMED_VERSIONS), 409, "too_many_names")
    assert flows.give(5, "Other").status == 200
    flows.take(5)
    assert flows.give(MAX_NAMED_VERSIONS).status == 201
    assert len(flows.names()) == MAX_NAMED_VERSIONS


def test_res26_names_go_with_the_log(flows: NamedFlows) -> None:
    flows.give(1)
    before = flows.names()
    copy = flows.send("POST", "/api/flows/f/duplicate").json["id"]
    assert flows.names(copy) == []
    flows.send("POST", "/api/flows/f/restore", {"version": 1})
    assert flows.names() == before
    flows.send("DELETE", "/api/flows/f")
    flows.send("POST", "/api/flows/f/undelete")
    assert flows.names() == before
    flows.send("DELETE", "/api/flows/f")
    epoch = flows.make().json["epoch"]
    assert epoch != flows.epoch
    assert flows.get("/api/flows/f/versions").json == {"epoch": epoch, "versions": []}


@pytest.mark.parametrize(
    ("made", "name", "condition"),
    [
        (True, "If-Match", "{}"),
        (True, "If-None-Match", '"x"'),
        (False, "If-Match", '"x"'),
        (False, "If-None-Match", "{}"),
    ],
)
def test_res26_res19_names_are_given_only_where_their_conditions_hold(
    flows: NamedFlows, made: bool, name: str, condition: str
) -> None:
    header = (name, condition.replace("{}", tag(flows.get("/api/flows/f"))))
    flows.give(2)
    answers = [flows.give(1, NAME, "", header), flows.take(2, "", header)]
    for answer, status in zip(answers, [201, 204], strict=True):
        if made:
            assert answer.status == status
        else:
            assert_problem(answer, 412, "precondition_failed")
    assert [one["version"] for one in flows.names()] == [1 if made else 2]


@pytest.mark.parametrize("slow", ["name_version", "unname_version"])
def test_res26_res23_naming_goes_on_though_its_client_leaves(slow: str) -> None:
    flows = NamedFlows(wrap_store=lambda store: Slow(store, ""))
    flows.give(2)
    reader = flows.reader()
    flows.store._method = slow
    connection = flows.connect()
    method, body = ("PUT", b'{"name":"x"}') if slow == "name_version" else ("DELETE", None)
    headers = [("Content-Type", "application/json")]
    connection.request(method, "/api/flows/f/versions/2", headers, body)
    assert not connection.answers
    connection.lose()
    flows.store.answer()
    flows.store._method = ""
    assert [one["name"] for one in flows.names()] == (["x"] if body else [])
    assert [payload["name"] for _, payload in told(reader)] == ["x" if body else None]


# RES21: addresses


def test_res21_names_of_ids_that_look_like_addresses(flows: NamedFlows) -> None:
    ids = ["a", "versions", "a/versions", "a/versions/1", "/versions/1", "a/b", "versions/1"]
    for flow_id in ids:
        flows.make(flow_id)
        address = f"/api/flows/{flow_id.replace('/', '%2F')}"
        assert flows.get(address).json["id"] == flow_id
        answer = flows.send("PUT", f"{address}/versions/1", {"name": flow_id})
        assert (answer.status, answer.json["id"]) == (201, flow_id)
        assert flows.get(f"{address}/versions").json["versions"][0]["name"] == flow_id
    for flow_id in ids:
        address = f"/api/flows/{flow_id.replace('/', '%2F')}"
        assert flows.get(f"{address}/versions").json["versions"][0]["name"] == flow_id
    # A bare slash belongs to the id, unless an address's own words follow.
    assert flows.get("/api/flows/a/b/versions").json["versions"][0]["name"] == "a/b"
    assert_problem(flows.get("/api/flows/a/versions/1"), 405, "method_not_allowed")


# RES27: who


def test_res27_changes_are_attributed_to_who_asks_for_them(flows: NamedFlows) -> None:
    flows.send("PATCH", "/api/flows/f?by=Ada", {"title": "a"})
    flows.send("PUT", "/api/flows/f?by=Bob%20%C3%A9", {"title": "b"})
    flows.send("POST", "/api/flows/f/restore?by=Cy", {"version": 1})
    flows.send("PATCH", "/api/flows/f", {"title": "nobody"})
    assert [entry["by"] for entry in flows.entries()] == ["", "", "Ada", "Bob \u00e9", "Cy", ""]


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/api/flows", {"template": "ticket-triage"}),
        ("/api/flows/import", {"nodes": [{"id": "a"}], "edges": []}),
        ("/api/flows/f/duplicate", None),
    ],
)
def test_res27_who_makes_a_flow_is_the_first_in_its_history(
    flows: NamedFlows, address: str, body: object
) -> None:
    made = flows.send("POST", f"{address}?by=Ada", body)
    assert made.status == 201
    entries = flows.get(f"/api/flows/{made.json['id']}/entries").json["entries"]
    assert [entry["by"] for entry in entries] == ["Ada"]


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("POST", "/api/flows", {"id": "new"}),
        ("POST", "/api/flows/import", {"nodes": [], "edges": []}),
        ("POST", "/api/flows/f/duplicate", None),
        ("PATCH", "/api/flows/f", {"title": "x"}),
        ("PUT", "/api/flows/f", {"title": "x"}),
        ("DELETE", "/api/flows/f", None),
        ("POST", "/api/flows/f/restore", {"version": 0}),
        ("PUT", "/api/flows/f/versions/1", {"name": "x"}),
        ("DELETE", "/api/flows/f/versions/1", None),
        ("DELETE", "/api/sessions/f", None),
    ],
)
def test_res27_name_that_is_too_long_is_refused(
    flows: NamedFlows, method: str, address: str, body: object
) -> None:
    flows.reader()
    flows.give(1)
    before = flows.flow(), flows.names()
    answer = flows.send(method, f"{address}?by={'x' * 256}", body)
    assert_problem(
        answer, 400, "invalid_parameters", "by must be a string of at most 255 characters"
    )
    assert (flows.flow(), flows.names()) == before
    answer = flows.send(method, f"{address}?by={'x' * 255}", body)
    assert answer.status < 300


# DOM12: what members are told


def test_dom12_members_in_document_mode_are_told_of_names(flows: NamedFlows) -> None:
    reader, relay = flows.reader(), flows.opened("f")
    flows.give(1, NAME, "?by=Ada")
    flows.clock.advance(1)
    flows.take(1, "?by=Bob")
    here = {"epoch": flows.epoch, "version": 1}
    at = NOW + 11
    assert told(reader) == [
        ("version_named", {**here, "name": NAME, "by": "Ada", "at": at}),
        ("version_named", {**here, "name": None, "by": "Bob", "at": at + 1}),
    ]
    flows.send("POST", "/api/flows/f/sync", {"changes": 1})
    # Its greeting, and the broadcast.
    assert [one[3] for one in relay.messages()] == ["flow_update"] * 2


def test_dom12_member_that_lagged_is_told_that_some_have_changed(make_world: MakeWorld) -> None:
    world = make_world(high_water_mark=20_000)
    ada, slow = (Member(world, name) for name in ("ada", "slow"))
    rest(world)
    slow.look()
    slow.client.socket.room = 0
    ada.client.push(FLOW, "patch", {"op_id": 1, "patch": {"data": {"text": "x" * 60_000}}})
    rest(world)
    assert slow.client.lagged == [True]
    for version in range(100):
        world.service.tell_name("f", world.flow().log.epoch, b'{"version":%d}' % version)
        rest(world)
    slow.client.socket.room = None
    world.settle()
    assert slow.look() == ["entries", "versions_changed"]
    world.service.tell_name("f", world.flow().log.epoch, b'{"version":100}')
    world.settle()
    assert slow.look() == ["version_named"]
    assert ada.look().count("version_named") == 101


# LIB8, MAN1: by whom a flow was deleted


@pytest.mark.parametrize("address", ["/api/flows/f", "/api/sessions/f"])
def test_lib8_res4_members_are_told_by_whom(flows: NamedFlows, address: str) -> None:
    reader, relay = flows.reader(), flows.opened("f")
    assert flows.send("DELETE", f"{address}?by=Ada").status == 200
    ended = {"flow_id": "f", "timestamp": int(flows.clock.seconds()), "by": "Ada"}
    event = "session_ended" if "sessions" in address else "flow_deleted"
    assert told(reader) == [(event, ended)]
    assert told(relay) == [("flow_deleted", ended)]


def test_lib8_where_nobody_says_who_nobody_is_told(flows: NamedFlows) -> None:
    reader = flows.reader()
    flows.send("DELETE", "/api/flows/f")
    ended = {"flow_id": "f", "timestamp": int(flows.clock.seconds())}
    assert told(reader) == [("flow_deleted", ended)]
