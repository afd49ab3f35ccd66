"""What REST lets whom do: every route, for every role, with and without paths. (ACC)"""

from __future__ import annotations

import json
from typing import Any

import attrs
import jsonschema_rs
import pytest
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from helix.access.paths import DocumentPath
from helix.access.principal import ANYBODY, FlowPattern, Grant, Kind, Principal
from helix.access.roles import Right, Role
from helix.documents.document import empty_document, merge
from helix.interfaces import Credentials, IAuthenticator
from helix.store.memory import MemoryStore
from helix.web.openapi import ApiDocs
from tests.support.flowdata import by_id, edge, node
from tests.support.memory_clients import Answer, Poller
from tests.support.stack import NOW, Stack, escaped

GRAPH: dict[str, Any] = {
    "title": "Graph",
    "nodes": by_id(node("a", data={"prompt": "old"}), node("b"), node("c")),
    "edges": by_id(edge("ab", "a", "b")),
}
WHOLE = empty_document() | GRAPH
PATHS = ("/nodes/a/data",)
MERGE_PATCH = "application/merge-patch+json"


def grant(role: Role, *paths: str) -> Grant:
    return Grant(role, tuple(DocumentPath.parse(path) for path in paths) or None)


def somebody(*grants: tuple[str, Grant], create: tuple[str, ...] = (), name: str = "") -> Principal:
    """A person with grants by the patterns of the flows that they are for."""
    return Principal(
        "u1",
        name,
        kind=Kind.PERSON,
        grants=tuple((FlowPattern.parse(pattern), given) for pattern, given in grants),
        create=tuple(map(FlowPattern.parse, create)),
    )


class CountingStore:
    """Counts the questions to a store."""

    def __init__(self, store: MemoryStore) -> None:
        self.asked = 0
        self._store = store

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._store, name)
        if callable(value):
            self.asked += 1
        return value


@implementer(IAuthenticator)
class Flows(Stack):
    """A server that takes every request for one of somebody."""

    def __init__(self) -> None:
        self.who = ANYBODY
        super().__init__(CountingStore, authenticator=self)

    def authenticate(self, credentials: Credentials) -> Deferred[Principal]:
        return succeed(self.who)

    def send(
        self, method: str, target: str, value: object = None, *headers: tuple[str, str]
    ) -> Answer:
        """A request with JSON, or without a body for ``None``."""
        body = None if value is None else json.dumps(value).encode()
        if body is not None and not any(name == "Content-Type" for name, _ in headers):
            headers = (("Content-Type", "application/json"), *headers)
        return self.request(method, target, headers, body)

    def by(self, who: Principal) -> Flows:
        """The same, for requests of somebody else from now on."""
        self.who = who
        return self

    def make(self, flow_id: str = "f", document: object = None) -> Answer:
        """A new flow, by nobody in particular."""
        made = {"id": flow_id, "document": WHOLE if document is None else document}
        was, self.who = self.who, ANYBODY
        answer = self.send("POST", "/api/flows", made)
        self.who = was
        assert answer.status == 201, answer.body
        return answer

    def member(self, flow_id: str, query: str = "vsn=2.0.0") -> Poller:
        """A member of a flow who is nobody in particular."""
        was, self.who = self.who, ANYBODY
        member = super().member(flow_id, query)
        self.who = was
        return member

    def patch(self, flow_id: str, patch: object, *headers: tuple[str, str]) -> Answer:
        return self.send(
            "PATCH",
            f"/api/flows/{escaped(flow_id)}",
            patch,
            ("Content-Type", MERGE_PATCH),
            *headers,
        )

    def flow(self, flow_id: str = "f") -> dict[str, Any]:
        """A flow as anybody sees it on an open server."""
        was, self.who = self.who, ANYBODY
        flow: dict[str, Any] = self.send("GET", f"/api/flows/{escaped(flow_id)}").json
        self.who = was
        return flow

    def listed(self, query: str = "") -> list[str]:
        return [flow["id"] for flow in self.send("GET", f"/api/flows{query}").json["flows"]]


@pytest.fixture
def flows() -> Flows:
    return Flows()


def refusal(answer: Answer) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json"
    return answer.status, answer.json["code"]


def heard(flows: Flows, member: Poller) -> list[str]:
    """The events that a member was told of by now."""
    flows.run(0.5, 0.1)
    member.push("phoenix", "heartbeat")
    return [message[3] for message in member.messages() if message[2] != "phoenix"]


HIDDEN = (404, "flow_not_found")
FORBIDDEN = (403, "forbidden")
FORBIDDEN_PATH = (403, "forbidden_path")


@attrs.frozen
class Row:
    """A request of a flow, by the endpoint of the route tables. (All are in `tests.web.matrix`.)"""

    route: str
    method: str
    target: str
    body: object = None


NODES = [node("a", data={"prompt": "old"}), node("b"), node("c")]
EDGES = [edge("ab", "a", "b")]
SHOWN = {"nodes": [node("a", data={"prompt": "shown"}), *NODES[1:]], "edges": EDGES}

OF_A_FLOW = [
    Row("read", "GET", "/api/flows/f"),
    Row("read", "GET", "/api/flows/f?version=1"),
    Row("patch", "PATCH", "/api/flows/f", {"title": "New"}),
    Row("replace", "PUT", "/api/flows/f", WHOLE),
    Row("delete", "DELETE", "/api/flows/f"),
    Row("undelete", "POST", "/api/flows/f/undelete"),
    Row("duplicate", "POST", "/api/flows/f/duplicate"),
    Row("restore", "POST", "/api/flows/f/restore", {"version": 1}),
    Row("entries", "GET", "/api/flows/f/entries"),
    Row("versions", "GET", "/api/flows/f/versions"),
    Row("name_version", "PUT", "/api/flows/f/versions/0", {"name": "Start"}),
    Row("unname_version", "DELETE", "/api/flows/f/versions/1"),
    Row("export", "GET", "/api/flows/f/export"),
    Row("status", "GET", "/api/flows/f/status"),
    Row("sync", "POST", "/api/flows/f/sync", {"changes": SHOWN}),
]

DOCUMENT: dict[str, Any] = json.loads(ApiDocs.load().document)

# ACC41: what one may not see


@pytest.mark.parametrize("row", OF_A_FLOW, ids=lambda row: f"{row.method} {row.target}")
def test_acc41_hidden_is_as_unknown_and_the_store_is_not_asked(flows: Flows, row: Row) -> None:
    flows.make()
    flows.by(somebody(("g", grant(Role.OWNER)), create=("*",)))
    asked = flows.store.asked
    hidden = flows.send(row.method, row.target, row.body)
    unknown = flows.send(
        row.method, row.target.replace("/f", "/none", 2).replace("/none", "/f", 1), row.body
    )
    assert refusal(hidden) == refusal(unknown) == HIDDEN
    assert hidden.body == unknown.body
    assert {*hidden.headers} == {*unknown.headers}
    assert flows.store.asked == asked


def test_acc41_a_bad_body_tells_nothing_of_what_is_hidden(flows: Flows) -> None:
    flows.make()
    flows.by(somebody())
    for method, target in [("PATCH", "/api/flows/f"), ("POST", "/api/flows/f/restore")]:
        assert refusal(flows.send(method, target, "no object")) == HIDDEN
        assert refusal(flows.request(method, target)) == HIDDEN
    assert refusal(flows.send("GET", "/api/flows/f?version=x")) == HIDDEN
    assert refusal(flows.send("GET", "/api/flows/f/entries?limit=x")) == HIDDEN


def test_acc41_a_flow_that_one_may_see_and_there_is_not_is_unknown(flows: Flows) -> None:
    flows.by(somebody(("f", grant(Role.OWNER))))
    for row in OF_A_FLOW:
        if row.route not in ("status", "sync", "duplicate"):
            assert refusal(flows.send(row.method, row.target, row.body)) == HIDDEN


# ACC42: paths


@pytest.mark.parametrize(
    ("patch", "first"),
    [
        ({"title": "x"}, "/title"),
        ({"nodes": {"a": {"data": {"prompt": "x"}, "position": {"x": 9}}}}, "/nodes/a/position/x"),
        ({"nodes": {"b": {"data": {"prompt": "x"}}}}, "/nodes/b/data/prompt"),
        ({"nodes": {"a": None}}, "/nodes/a"),
        ({"nodes": {"d": node("d")}}, "/nodes/d"),
        ({"edges": {"ab": None}}, "/edges/ab"),
    ],
)
def test_acc42_a_patch_outside_its_paths_is_refused_whole(
    flows: Flows, patch: dict[str, Any], first: str
) -> None:
    flows.make()
    before = flows.flow()
    flows.by(somebody(("f", grant(Role.EDITOR, *PATHS))))
    answers = [flows.patch("f", patch)]
    if "a" not in patch.get("nodes", {}) or patch["nodes"]["a"]:
        answers.append(flows.send("PUT", "/api/flows/f", merge(WHOLE, patch)))
    for answer in answers:
        assert refusal(answer) == FORBIDDEN_PATH
        assert answer.json["detail"].startswith(f"{first}: ")
    assert flows.flow() == before


def test_acc42_a_node_takes_edges_along_only_where_they_may_be_deleted(flows: Flows) -> None:
    flows.make()
    flows.by(somebody(("f", grant(Role.EDITOR, "/nodes/*"))))
    answer = flows.patch("f", {"nodes": {"a": None}})
    assert refusal(answer) == FORBIDDEN_PATH
    assert answer.json["detail"].startswith("/edges/ab: ")
    assert flows.patch("f", {"nodes": {"c": None}}).status == 200
    flows.by(somebody(("f", grant(Role.EDITOR, "/nodes/*", "/edges/*"))))
    assert flows.patch("f", {"nodes": {"a": None}}).status == 200


def test_acc42_what_a_patch_leaves_as_it_is_may_be_named(flows: Flows) -> None:
    flows.make()
    flows.by(somebody(("f", grant(Role.EDITOR, *PATHS))))
    patch = {"title": "Graph", "nodes": {"a": {"data": {"prompt": "new"}}}}
    assert flows.patch("f", patch).json["patch"] == {"nodes": {"a": {"data": {"prompt": "new"}}}}


def test_acc42_a_type_counts_as_the_document_has_it(flows: Flows) -> None:
    document = {"nodes": by_id(node("a", type="prompt"), node("b", type="tool"))}
    flows.make("f", document)
    flows.by(somebody(("f", grant(Role.EDITOR, "/nodes/*[type=prompt]/data/**"))))
    assert flows.patch("f", {"nodes": {"a": {"data": {"n": 1}}}}).status == 200
    for patch in ({"data": {"n": 1}}, {"data": {"n": 1}, "type": "prompt"}):
        assert refusal(flows.patch("f", {"nodes": {"b": patch}})) == FORBIDDEN_PATH


def test_acc42_restore_is_judged_by_its_difference(flows: Flows) -> None:
    flows.make()
    flows.patch("f", {"nodes": {"a": {"data": {"prompt": "new"}}}})
    flows.by(somebody(("f", grant(Role.EDITOR, *PATHS))))
    restored = flows.send("POST", "/api/flows/f/restore", {"version": 1})
    assert restored.json["patch"] == {"nodes": {"a": {"data": {"prompt": "old"}}}}
    flows.by(ANYBODY).patch("f", {"title": "Other"})
    flows.by(somebody(("f", grant(Role.EDITOR, *PATHS))))
    answer = flows.send("POST", "/api/flows/f/restore", {"version": 1})
    assert refusal(answer) == FORBIDDEN_PATH
    assert answer.json["detail"].startswith("/title: ")


def test_acc42_a_condition_that_fails_comes_before_a_path(flows: Flows) -> None:
    flows.make()
    flows.by(somebody(("f", grant(Role.EDITOR, *PATHS))))
    answer = flows.patch("f", {"title": "x"}, ("If-Match", '"other"'))
    assert refusal(answer) == (412, "precondition_failed")


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"nodes": [], "edges": []}, "/nodes/"),
        ({"nodes": NODES, "edges": []}, "/edges/ab"),
        ({"title": "x"}, "You may not"),
        ({"nodes": {"a": {"data": {"prompt": "shown"}}}}, "You may not"),
        ({"nodes": NODES, "edges": EDGES, "x": 1}, "/x"),
        ({"nodes": [*NODES, {"id": 7}], "edges": EDGES}, "/nodes/3"),
        ("text", "You may not"),
    ],
)
def test_acc42_what_is_only_shown_keeps_to_the_paths(
    flows: Flows, changes: object, first: str
) -> None:
    flows.make()
    member = flows.member("f")
    assert heard(flows, member) == ["flow_update"]  # which greets it
    flows.by(somebody(("f", grant(Role.EDITOR, *PATHS))))
    answer = flows.send("POST", "/api/flows/f/sync", {"changes": changes})
    assert refusal(answer) == FORBIDDEN_PATH
    assert answer.json["detail"].startswith(first)
    assert heard(flows, member) == []
    assert flows.send("POST", "/api/flows/f/sync", {"changes": SHOWN}).status == 200
    assert heard(flows, member) == ["flow_update"]


# ACC43: making flows


def test_acc43_an_id_that_the_server_makes_needs_a_pattern_for_all(flows: Flows) -> None:
    for create in (("team/*",), ("new",), ()):
        answer = flows.by(somebody(create=create)).send("POST", "/api/flows", {})
        assert refusal(answer) == FORBIDDEN
        assert "id" in answer.json["detail"]
    assert flows.by(somebody(create=("*",))).send("POST", "/api/flows", {}).status == 201


def test_acc43_a_deleted_flow_is_replaced_by_who_manages_it_alone(flows: Flows) -> None:
    flows.make()
    flows.send("DELETE", "/api/flows/f")
    new = {"id": "f", "title": "Other"}
    for role in (None, *Role):
        grants = [] if role is None else [("f", grant(role))]
        flows.by(somebody(*grants, create=("f",)))
        answers = [
            flows.send("POST", "/api/flows/import?id=f", {"nodes": [], "edges": []}),
            flows.send("POST", "/api/flows", new),
        ]
        if role is not Role.OWNER:
            assert [*map(refusal, answers)] == [(409, "flow_exists")] * 2
        else:
            assert answers[0].status == 201
    assert flows.flow()["document"]["nodes"] == {}


def test_acc43_who_makes_a_flow_is_told_what_they_may_do_with_it(flows: Flows) -> None:
    flows.by(somebody(("new", grant(Role.EDITOR)), create=("*",)))
    for flow_id in ("new", "other"):
        made = flows.send("POST", "/api/flows", {"id": flow_id}).json
        assert made["role"] == flows.send("GET", f"/api/flows/{flow_id}").json["role"] == "owner"


# ACC44: role and may


@pytest.mark.parametrize("role", Role)
def test_acc44_every_answer_with_a_flow_says_what_one_may_do(flows: Flows, role: Role) -> None:
    flows.make()
    flows.by(somebody(("f", grant(role)), create=("*",)))
    told = {"role": role.text, "may": [right.text for right in Right if role >= right.value]}
    answers = [flows.send("GET", "/api/flows/f"), flows.send("GET", "/api/flows")]
    if role is Role.OWNER:
        answers.append(flows.send("DELETE", "/api/flows/f"))
        answers.append(flows.send("GET", "/api/flows?deleted=true"))
        answers.append(flows.send("POST", "/api/flows/f/undelete"))
    for answer in answers:
        is_list = "flows" in answer.json
        flow = answer.json["flows"][0] if is_list else answer.json
        schema = "FlowHead" if is_list or "document" not in flow else "Flow"
        described = {"$ref": f"#/components/schemas/{schema}"}
        jsonschema_rs.validate(described | {"components": DOCUMENT["components"]}, flow)
        assert {name: flow[name] for name in told} == told
        assert answer.headers["vary"] == "authorization"


def test_acc44_an_administrator_owns_all(flows: Flows) -> None:
    flows.make()
    flow = flows.by(Principal("root", is_admin=True)).send("GET", "/api/flows/f").json
    assert flow["role"] == "owner"
    assert flow["may"] == ["read", "comment", "propose", "edit", "manage"]


def test_acc44_an_open_server_says_nothing_of_that(flows: Flows) -> None:
    flows.make()
    for target in ("/api/flows/f", "/api/flows"):
        answer = flows.send("GET", target)
        assert b'"role"' not in answer.body
        assert b'"may"' not in answer.body
        assert answer.headers["vary"] is None


# ACC45: lists


def test_acc45_a_list_has_what_one_may_see(flows: Flows) -> None:
    for flow_id in ("a", "b", "team/1", "team/2", "z"):
        flows.make(flow_id)
        flows.clock.advance(1)
    flows.by(somebody(("team/*", grant(Role.VIEWER)), ("a", grant(Role.OWNER))))
    assert flows.listed() == ["team/2", "team/1", "a"]
    first = flows.send("GET", "/api/flows?limit=2").json
    assert [flow["id"] for flow in first["flows"]] == ["team/2", "team/1"]
    assert flows.listed(f"?cursor={first['next']}") == ["a"]
    assert flows.listed("?q=TEAM") == ["team/2", "team/1"]
    assert flows.listed("?q=b") == []
    assert flows.by(somebody()).listed() == []
    assert len(flows.by(somebody(("*", grant(Role.VIEWER)))).listed()) == 5
    assert len(flows.by(Principal("root", is_admin=True)).listed()) == 5


def test_acc45_deleted_flows_are_listed_where_one_may_bring_them_back(flows: Flows) -> None:
    for flow_id in ("a", "b"):
        flows.make(flow_id)
        flows.send("DELETE", f"/api/flows/{flow_id}")
    flows.by(somebody(("*", grant(Role.EDITOR)), ("a", grant(Role.OWNER))))
    assert flows.listed("?deleted=true") == ["a"]
    assert flows.listed() == []


def test_acc45_tags_of_lists_differ_by_who_asks(flows: Flows) -> None:
    flows.make("a")
    tags = {
        flows.by(who).send("GET", "/api/flows").headers["etag"]
        for who in (
            ANYBODY,
            somebody(),
            somebody(("a", grant(Role.VIEWER))),
            somebody(("a", grant(Role.EDITOR))),
        )
    }
    assert len(tags) == 4


def test_acc45_tags_of_flows_differ_by_role_and_conditions_do_not(flows: Flows) -> None:
    flows.make()
    viewer, editor = (somebody(("f", grant(role))) for role in (Role.VIEWER, Role.EDITOR))
    plain = flows.send("GET", "/api/flows/f").headers["etag"]
    seen = flows.by(viewer).send("GET", "/api/flows/f").headers["etag"]
    assert flows.send("GET", "/api/flows/f", None, ("If-None-Match", seen)).status == 304
    flows.by(editor)
    answer = flows.send("GET", "/api/flows/f", None, ("If-None-Match", seen))
    assert (answer.status, answer.json["role"]) == (200, "editor")
    assert flows.send("GET", "/api/flows/f", None, ("If-Match", seen)).status == 200
    for tag in (plain, seen, answer.headers["etag"]):
        refused = flows.patch("f", {"title": "x"}, ("If-None-Match", tag))
        assert refusal(refused) == (412, "precondition_failed")
    title = iter("xyz")
    for tag in (seen, plain):
        changed = flows.patch("f", {"title": next(title)}, ("If-Match", tag))
        if tag is seen:
            assert changed.status == 200
        else:
            assert refusal(changed) == (412, "precondition_failed")
    assert (
        flows.patch("f", {}, ("If-Match", flows.send("GET", "/api/flows/f").headers["etag"])).status
        == 200
    )


# ACC46: who did it


def test_acc46_the_name_of_who_is_known_stands_in_for_by(flows: Flows) -> None:
    ada = somebody(("*", grant(Role.OWNER)), create=("*",), name="Ada")
    flows.by(ada)
    flows.send("POST", "/api/flows?by=Eve", {"id": "f", "title": "T"})
    flows.send("PATCH", f"/api/flows/f?by={'x' * 999}", {"title": "U"})
    flows.send("PUT", "/api/flows/f?by=Eve", WHOLE)
    flows.send("POST", "/api/flows/f/restore?by=Eve", {"version": 1})
    flows.send("PUT", "/api/flows/f/versions/1?by=Eve", {"name": "First"})
    copy = flows.send("POST", "/api/flows/f/duplicate?by=Eve").json["id"]
    entries = flows.send("GET", "/api/flows/f/entries").json["entries"]
    entries += flows.send("GET", f"/api/flows/{copy}/entries").json["entries"]
    assert [entry["by"] for entry in entries] == ["Ada"] * 5
    assert flows.send("GET", "/api/flows/f/versions").json["versions"][0]["by"] == "Ada"
    member = flows.member("f")
    flows.send("DELETE", "/api/flows/f?by=Eve")
    flows.settle()
    assert [message[4]["by"] for message in member.messages() if message[3] == "flow_deleted"] == [
        "Ada"
    ]


def test_acc46_by_counts_for_who_has_no_name(flows: Flows) -> None:
    flows.by(somebody(("*", grant(Role.OWNER)), create=("*",)))
    flows.send("POST", "/api/flows?by=Eve", {"id": "f", "title": "T"})
    (entry,) = flows.send("GET", "/api/flows/f/entries").json["entries"]
    assert entry["by"] == "Eve"


# ACC47: who am I


def test_acc47_me_tells_who_asks(flows: Flows) -> None:
    who = Principal(
        "u1", "Ada", "#f80", Kind.SERVICE, frozenset("hgfedcba"), NOW + 60.5, is_admin=False
    )
    assert flows.by(who).send("GET", "/api/me").json == {
        "id": "u1",
        "name": "Ada",
        "color": "#f80",
        "kind": "service",
        "groups": [*"abcdefgh"],
        "admin": False,
        "may_create": False,
        "expires_at": NOW + 60.5,
    }
    me = flows.by(ANYBODY).send("GET", "/api/me").json
    assert (me["id"], me["kind"], me["admin"], me["expires_at"]) == ("", "guest", True, None)
