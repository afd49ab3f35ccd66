"""REST for stored flows, over the whole server in memory: every route, every error."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

import pytest
from twisted.internet.defer import Deferred

from helix.chain import chained, origin_of
from helix.documents.document import FlowDocument, empty_document, merge
from helix.errors import StoreFull, StoreUnavailable
from helix.interfaces import IFlowStore
from helix.records import Entry, FlowHead, Summary
from helix.web.flow_list import read_cursor, write_cursor
from helix.web.flows import file_name
from helix.web.representations import describe_flow
from tests.support.flowdata import by_id, edge, node
from tests.support.logs import Log, logged
from tests.support.memory_clients import Answer, Poller
from tests.support.stack import NOW, Stack, escaped
from tests.web.test_rest import AWKWARD_IDS, SLASHED_IDS, assert_problem

__all__ = ["logged"]

pytestmark = pytest.mark.usefixtures("logged")

MERGE_PATCH = "application/merge-patch+json"

GRAPH = {
    "title": "Graph",
    "description": "of two",
    "nodes": by_id(node("a"), node("b", position={"x": 5, "y": 6})),
    "edges": by_id(edge("ab", "a", "b")),
}
WHOLE = empty_document() | GRAPH


class Flows(Stack):
    """A server, and short ways to ask it."""

    def send(
        self, method: str, target: str, value: object = None, *headers: tuple[str, str]
    ) -> Answer:
        """A request with JSON, or without a body for ``None``."""
        if value is None:
            return self.request(method, target, headers)
        if not any(name == "Content-Type" for name, _ in headers):
            headers = (("Content-Type", "application/json"), *headers)
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.request(method, target, headers, body)

    def make(self, flow_id: str = "f", document: object = None) -> Answer:
        """A new flow."""
        made = {"id": flow_id, "document": WHOLE if document is None else document}
        answer = self.send("POST", "/api/flows", made)
        assert answer.status == 201, answer.body
        return answer

    def patch(self, flow_id: str, patch: object, *headers: tuple[str, str]) -> Answer:
        """A patch."""
        target = f"/api/flows/{escaped(flow_id)}"
        return self.send("PATCH", target, patch, ("Content-Type", MERGE_PATCH), *headers)

    def flow(self, flow_id: str = "f") -> dict[str, Any]:
        """A flow that there is."""
        answer = self.get(f"/api/flows/{escaped(flow_id)}")
        assert answer.status == 200, answer.body
        flow: dict[str, Any] = answer.json
        return flow

    def opened(self, flow_id: str = "f") -> Poller:
        """Somebody who has a stored flow open, and has read what that brought."""
        poller = self.poller()
        poller.push(f"flow:{flow_id}", "phx_join")
        assert poller.messages()[0][4]["status"] == "ok"
        return poller

    def entries(self, flow_id: str = "f") -> list[dict[str, Any]]:
        """A flow's log, which replays to its document."""
        answer = self.get(f"/api/flows/{escaped(flow_id)}/entries?limit=1000").json
        assert answer["next"] is None
        entries: list[dict[str, Any]] = answer["entries"]
        document = empty_document()
        for version, entry in enumerate(entries, 1):
            assert entry["version"] == version
            document = merge(document, entry["patch"])
        assert document == self.flow(flow_id)["document"]
        return entries

    def listed(self, query: str = "") -> list[str]:
        """The ids of a list's first page."""
        return [flow["id"] for flow in self.get(f"/api/flows{query}").json["flows"]]


@pytest.fixture
def flows() -> Flows:
    return Flows()


def tag(answer: Answer) -> str:
    """An answer's entity tag, which names the version that the body tells."""
    etag: str = answer.headers["etag"]
    place = f"{answer.json['epoch']}.{answer.json['version']}"
    assert re.fullmatch(rf'"{place}\.[\w-]{{11}}"', etag)
    return etag


# RES10: the list


def test_res10_list_shows_what_is_in_a_flow(flows: Flows) -> None:
    made = flows.make("f").json
    flows.clock.advance(5)
    flows.patch("f", {"title": "Better"})
    assert flows.get("/api/flows").json == {
        "flows": [
            {
                "id": "f",
                "title": "Better",
                "description": "of two",
                "epoch": made["epoch"],
                "version": 2,
                "node_count": 2,
                "edge_count": 1,
                "created_at": NOW,
                "updated_at": NOW + 5,
            }
        ],
        "next": None,
    }


def test_res10_newest_change_comes_first(flows: Flows) -> None:
    for flow_id in "abc":
        flows.make(flow_id)
        flows.clock.advance(1)
    assert flows.listed() == ["c", "b", "a"]
    flows.patch("a", {"title": "x"})
    assert flows.listed() == ["a", "c", "b"]


@pytest.mark.parametrize("text", ["f", "F", "graph", "OF TWO", "%6F%66"])
def test_res10_text_is_looked_for_in_any_case(flows: Flows, text: str) -> None:
    flows.make("f")
    flows.make("g", {"title": "other"})
    assert "f" in flows.listed(f"?q={text.replace(' ', '+')}")
    assert "g" not in flows.listed(f"?q={text.replace(' ', '+')}")
    assert flows.listed("?q=nothing") == []


def test_res10_deleted_flows_are_listed_apart(flows: Flows) -> None:
    flows.make("a")
    flows.make("b")
    flows.clock.advance(1)
    flows.send("DELETE", "/api/flows/a")
    assert flows.listed() == flows.listed("?deleted=false") == ["b"]
    (deleted,) = flows.get("/api/flows?deleted=true").json["flows"]
    assert (deleted["id"], deleted["deleted_at"]) == ("a", NOW + 1)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 1000])
def test_res10_pages_hold_every_flow_once(flows: Flows, limit: int) -> None:
    ids = ["a", "a b", "a/b", "é", "z", "🌊", "x" * 255]
    for number, flow_id in enumerate(ids):
        flows.make(flow_id)
        flows.clock.advance(number % 2)  # some are of one moment
    seen: list[str] = []
    query = f"?limit={limit}"
    for _ in range(8):
        page = flows.get(f"/api/flows{query}").json
        seen += [flow["id"] for flow in page["flows"]]
        if page["next"] is None:
            break
        assert len(page["flows"]) == limit
        query = f"?limit={limit}&cursor={page['next']}"
    assert len(seen) == len(ids)
    assert set(seen) == set(ids)


def test_res10_flows_that_nobody_changes_are_listed_once_while_others_change(flows: Flows) -> None:
    still = [f"still{number}" for number in range(6)]
    for number, flow_id in enumerate(still):
        flows.make(flow_id)
        flows.clock.advance(1)
        flows.make(f"busy{number}")
        flows.clock.advance(1)
    seen: list[str] = []
    query = "?limit=2"
    for number in range(20):
        page = flows.get(f"/api/flows{query}").json
        seen += [flow["id"] for flow in page["flows"]]
        if page["next"] is None:
            break
        flows.clock.advance(1)
        flows.patch(f"busy{number % 6}", {"title": f"{number}"})
        flows.make(f"new{number}")
        flows.send("DELETE", f"/api/flows/busy{5 - number}")
        query = f"?limit=2&cursor={page['next']}"
    else:
        pytest.fail("the list has no end")
    assert [one for one in seen if one in still] == still[::-1]


def test_res10_page_holds_50_unless_told(flows: Flows) -> None:
    for number in range(51):
        flows.make(f"{number}", {})
    page = flows.get("/api/flows").json
    assert len(page["flows"]) == 50
    assert len(flows.get(f"/api/flows?cursor={page['next']}").json["flows"]) == 1


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "%FF",
        "é",
        "AAAA",
        "W10",
        "WzEsImEiXQ",  # [1,"a"], where 1.0 would be written
        write_cursor(1.5, "a") + "=",
        write_cursor(1.5, "a") + "!",
        write_cursor(1.5, " a"),
        write_cursor(1.5, ""),
        write_cursor(1.5, "a\n"),
        "x" * 5000,
    ],
)
def test_res10_cursors_that_were_never_given_are_refused(flows: Flows, cursor: str) -> None:
    answer = flows.get(f"/api/flows?cursor={escaped(cursor)}")
    assert_problem(answer, 400, "invalid_parameters")


def test_res10_cursors_are_of_characters_for_addresses() -> None:
    for at, flow_id in [(0.0, "a"), (1753430400.123456, "é/🌊"), (1e300, "~?>" * 50)]:
        cursor = write_cursor(at, flow_id)
        assert re.fullmatch("[A-Za-z0-9_-]+", cursor)
        assert read_cursor(cursor) == (at, flow_id)


def test_res10_list_keeps_to_counts_and_ages(flows: Flows) -> None:
    flows.make("old")  # of two nodes and an edge
    flows.clock.advance(100)
    flows.make("new", {"title": "empty"})
    flows.clock.advance(10)
    assert flows.listed("?min_nodes=1") == flows.listed("?min_edges=1&max_edges=1") == ["old"]
    assert flows.listed("?max_nodes=1") == flows.listed("?max_edges=0") == ["new"]
    assert flows.listed("?changed_within=10") == ["new"]
    assert flows.listed("?unchanged_for=10") == ["old"]
    assert flows.listed("?changed_within=110&unchanged_for=5") == ["new", "old"]
    assert flows.listed("?changed_within=110&max_nodes=2&q=of+two") == ["old"]
    assert flows.listed("?unchanged_for=9007199254740992") == []
    page = flows.get("/api/flows?max_nodes=2&limit=1").json
    assert flows.listed(f"?max_nodes=2&cursor={page['next']}") == ["old"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "deleted=yes",
        "deleted=1",
        "min_nodes=-1",
        "max_nodes=",
        "min_edges=1.5",
        "max_edges=9007199254740993",
        "changed_within=7d",
        "unchanged_for=x",
    ],
)
def test_res10_parameters_that_cant_be_are_refused(flows: Flows, query: str) -> None:
    assert_problem(flows.get(f"/api/flows?{query}"), 400, "invalid_parameters")


# RES11: making


def test_res11_flow_is_made_of_a_document(flows: Flows) -> None:
    answer = flows.send("POST", "/api/flows", {"id": "f", "document": GRAPH})
    assert (answer.status, answer.headers["location"]) == (201, "/api/flows/f")
    made = answer.json
    assert made == {
        "id": "f",
        "title": "Graph",
        "epoch": made["epoch"],
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
        "document": WHOLE,
    }
    assert tag(answer) == tag(flows.get("/api/flows/f"))
    assert flows.flow() == made


def test_lib2_flow_without_a_document_is_empty_and_has_an_id(flows: Flows) -> None:
    answers = [flows.send("POST", "/api/flows", {}) for _ in range(3)]
    ids = [answer.json["id"] for answer in answers]
    epochs = [answer.json["epoch"] for answer in answers]
    for one in ids + epochs:
        assert re.fullmatch("[A-Za-z0-9_-]{22}", one)
    assert len({*ids, *epochs}) == 6
    for answer in answers:
        assert answer.status == 201
        assert (answer.json["version"], answer.json["document"]) == (0, empty_document())
        assert answer.headers["location"] == f"/api/flows/{answer.json['id']}"
        assert flows.entries(answer.json["id"]) == []


def test_lib2_first_entry_is_what_the_document_adds(flows: Flows) -> None:
    flows.make("f")
    (entry,) = flows.entries()
    assert entry == {
        "version": 1,
        "client_id": None,
        "op_id": None,
        "patch": GRAPH,
        "by": "",
        "at": NOW,
        "dropped": [],
        "chain": tag(flows.get("/api/flows/f"))[-12:-1],
    }


def test_res11_flow_is_made_of_each_template(flows: Flows) -> None:
    templates = flows.get("/api/templates").json["templates"]
    assert len(templates) == 16
    for template in templates:
        made = flows.send("POST", "/api/flows", {"template": template["id"]})
        assert made.status == 201
        given = flows.get(f"/api/templates/{template['id']}").json["document"]
        assert made.json["document"] == given
        assert made.json["title"] == template["name"]


@pytest.mark.parametrize(
    "texts",
    [{"title": "T"}, {"description": "D"}, {"title": "T", "description": "D"}],
)
def test_res30_flow_is_made_of_a_title_and_a_description(
    flows: Flows, texts: dict[str, str]
) -> None:
    answer = flows.send("POST", "/api/flows", {"id": "f", **texts})
    assert answer.status == 201
    assert answer.json["document"] == empty_document() | texts
    assert answer.json["title"] == texts.get("title", "")
    assert [entry["patch"] for entry in flows.entries()] == [texts]


@pytest.mark.parametrize(("name", "most"), [("title", 500), ("description", 10_000)])
def test_res30_text_that_is_too_long_is_refused(flows: Flows, name: str, most: int) -> None:
    assert flows.send("POST", "/api/flows", {"id": "f", name: "x" * most}).status == 201
    answer = flows.send("POST", "/api/flows", {name: "x" * (most + 1)})
    assert (answer.status, answer.json["code"]) == (422, "invalid_patch")
    assert answer.json["path"] == f"/{name}"
    assert flows.listed() == ["f"]


def test_res30_empty_title_is_none(flows: Flows) -> None:
    answer = flows.send("POST", "/api/flows", {"id": "f", "title": ""})
    assert (answer.status, answer.json["version"]) == (201, 0)


def test_res11_taken_id_is_refused(flows: Flows) -> None:
    flows.make("f")
    answer = flows.send("POST", "/api/flows", {"id": " f ", "document": {"title": "other"}})
    assert_problem(answer, 409, "flow_exists")
    assert flows.flow()["title"] == "Graph"


def test_res11_deleted_flow_gives_way(flows: Flows) -> None:
    old = flows.make("f").json
    flows.patch("f", {"title": "x"})
    flows.send("DELETE", "/api/flows/f")
    new = flows.make("f", {"title": "new"}).json
    assert new["epoch"] != old["epoch"]
    assert new["version"] == 1
    assert flows.flow()["document"] == empty_document() | {"title": "new"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"id": ""}, 400, "invalid_flow_id"),
        ({"id": "a\nb"}, 400, "invalid_flow_id"),
        ({"id": "x" * 256}, 400, "invalid_flow_id"),
        ({"id": None}, 400, "malformed_body"),
        ({"id": 1}, 400, "malformed_body"),
        ({"documnet": {}}, 400, "malformed_body"),
        ([], 400, "malformed_body"),
        (b"{", 400, "malformed_body"),
        ({"template": "no-such"}, 404, "template_not_found"),
        ({"template": "../x"}, 404, "template_not_found"),
        ({"template": "ticket-triage", "document": {}}, 400, "invalid_parameters"),
        ({"title": "x", "document": {}}, 400, "invalid_parameters"),
        ({"description": "x", "document": None}, 400, "invalid_parameters"),
        ({"title": "x", "template": "ticket-triage"}, 400, "invalid_parameters"),
        ({"description": "", "template": "ticket-triage"}, 400, "invalid_parameters"),
        ({"title": 1}, 400, "malformed_body"),
        ({"title": None}, 400, "malformed_body"),
    ],
)
def test_res11_res30_what_is_no_wish_for_a_flow_is_refused(
    flows: Flows, body: object, status: int, code: str
) -> None:
    assert_problem(flows.send("POST", "/api/flows", body), status, code)
    assert flows.listed() == []


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (None, ""),
        ([], ""),
        ("x", ""),
        ({"name": "x"}, "/name"),
        ({"title": 1}, "/title"),
        ({"nodes": []}, "/nodes"),
        ({"nodes": {"a": {"id": "a"}}}, "/nodes/a/position"),
        ({"nodes": {"a": node("b")}}, "/nodes/a/id"),
        ({"nodes": {"": node("")}}, "/nodes/"),
        ({"edges": {"e": edge("e", "a", "b")}}, "/edges/e/source"),
        ({"nodes": {"a~/": node("a~/", position={"x": "0", "y": 0})}}, "/nodes/a~0~1/position/x"),
        ({"data": {"__proto__": 1}}, "/data/__proto__"),
    ],
)
def test_lib1_document_that_cant_be_is_refused_with_its_place(
    flows: Flows, document: object, path: str
) -> None:
    flows.make("f")
    before = flows.flow()
    for answer in (
        flows.send("POST", "/api/flows", {"document": document}),
        flows.send("PUT", "/api/flows/f", b"null" if document is None else document),
    ):
        assert answer.status == 422, answer.body
        assert answer.json["code"] == "invalid_patch"
        assert answer.json["path"] == path
        assert answer.json["detail"].startswith(path or "The whole")
    assert flows.flow() == before
    assert flows.listed() == ["f"]


def test_lib1_absent_and_null_members_are_filled_in(flows: Flows) -> None:
    given = {
        "title": None,
        "viewport": {"x": 3, "y": None},
        "data": {"a": None, "b": [None]},
        "nodes": {"n": node("n", type=None), "gone": None},
    }
    document = flows.make("f", given).json["document"]
    whole = empty_document() | {
        "viewport": {"x": 3, "y": 0, "zoom": 1},
        "data": {"b": [None]},
        "nodes": {"n": {key: v for key, v in node("n").items() if key != "type"}},
    }
    assert document == whole
    flows.send("PUT", "/api/flows/f", {"title": None, "edges": None})
    assert flows.flow()["document"] == empty_document()


# RES12: reading


def test_res12_past_versions_are_read(flows: Flows) -> None:
    made = flows.make("f").json
    for number in range(2, 5):
        flows.clock.advance(10)
        flows.patch("f", {"title": f"Title {number}"})
    newest = flows.flow()
    for version in range(5):
        answer = flows.get(f"/api/flows/f?version={version}")
        past = answer.json
        tag(answer)
        assert (past["version"], past["epoch"]) == (version, made["epoch"])
        assert past["title"] == past["document"]["title"]
        assert past["created_at"] == NOW
        assert past["updated_at"] == NOW + 10 * max(0, version - 1)
    assert flows.get("/api/flows/f?version=0").json["document"] == empty_document()
    assert (
        flows.get("/api/flows/f?version=1").body == json.dumps(made, separators=(",", ":")).encode()
    )
    assert flows.get("/api/flows/f?version=4").json == newest


def test_res12_res19_version_has_the_same_bytes_whenever_it_is_read(flows: Flows) -> None:
    given: list[tuple[str, bytes]] = []
    made = flows.make("f")
    given.append((tag(made), made.body))
    for number in range(3):
        flows.clock.advance(1.25)
        flows.patch("f", {"nodes": {"a": {"position": {"x": number + 0.5}}}})
        answer = flows.get("/api/flows/f")
        given.append((tag(answer), answer.body))
    for version, (etag, body) in enumerate(given, 1):
        answer = flows.get(f"/api/flows/f?version={version}")
        assert (tag(answer), answer.body) == (etag, body)


@pytest.mark.parametrize("version", ["2", "9007199254740992"])
def test_res12_version_that_never_was_is_404(flows: Flows, version: str) -> None:
    flows.make("f")
    answer = flows.get(f"/api/flows/f?version={version}")
    assert_problem(answer, 404, "version_not_found")


@pytest.mark.parametrize("version", ["-1", "x", "", "1.0", "9007199254740993", "9" * 5000, "٣"])
def test_res12_version_that_cant_be_is_400(flows: Flows, version: str) -> None:
    flows.make("f")
    answer = flows.get(f"/api/flows/f?version={escaped(version)}")
    assert_problem(answer, 400, "invalid_parameters")


ON_A_FLOW: list[tuple[str, str, object]] = [
    ("GET", "", None),
    ("PATCH", "", {"title": "x"}),
    ("PUT", "", {}),
    ("POST", "/duplicate", None),
    ("POST", "/restore", {"version": 0}),
    ("GET", "/entries", None),
    ("GET", "/export", None),
    ("GET", "/versions", None),
    ("PUT", "/versions/0", {"name": "x"}),
    ("DELETE", "/versions/0", None),
]
DELETIONS: list[tuple[str, str, object]] = [("DELETE", "", None), ("POST", "/undelete", None)]


@pytest.mark.parametrize(("method", "end", "body"), ON_A_FLOW + DELETIONS)
def test_res12_what_is_not_there_is_404(flows: Flows, method: str, end: str, body: object) -> None:
    answer = flows.send(method, f"/api/flows/nobody{end}", body)
    assert_problem(answer, 404, "flow_not_found")
    assert flows.listed() == []


@pytest.mark.parametrize(("method", "end", "body"), ON_A_FLOW)
def test_res12_what_is_deleted_is_410(flows: Flows, method: str, end: str, body: object) -> None:
    flows.make("f")
    flows.send("DELETE", "/api/flows/f")
    assert_problem(flows.send(method, f"/api/flows/f{end}", body), 410, "flow_deleted")


@pytest.mark.parametrize(("method", "end", "body"), ON_A_FLOW + DELETIONS)
@pytest.mark.parametrize("address", ["%20", "a%0Ab", "%FF", "x" * 256, "a%1Fb"])
def test_res12_what_cant_be_an_id_is_400(
    flows: Flows, method: str, end: str, body: object, address: str
) -> None:
    answer = flows.send(method, f"/api/flows/{address}{end}", body)
    assert_problem(answer, 400, "invalid_flow_id", "Invalid flow identifier")


def test_res12_flow_that_is_only_open_is_not_stored(flows: Flows) -> None:
    flows.member("open")
    assert_problem(flows.get("/api/flows/open"), 404, "flow_not_found")
    assert_problem(flows.patch("open", {"title": "x"}), 404, "flow_not_found")


# RES13: changing


def test_res13_patch_answers_what_it_really_changed(flows: Flows) -> None:
    made = flows.make("f").json
    patch = {"title": "Graph", "nodes": {"a": {"position": {"x": 7, "y": 0}}, "b": None, "c": {}}}
    answer = flows.patch("f", patch)
    assert answer.status == 200
    assert answer.json == {
        "id": "f",
        "epoch": made["epoch"],
        "version": 2,
        "patch": {"nodes": {"a": {"position": {"x": 7}}, "b": None}, "edges": {"ab": None}},
        "dropped": ["/nodes/c"],
    }
    assert tag(answer) == flows.get("/api/flows/f").headers["etag"]
    assert len(flows.entries()) == 2


def test_res13_grp2_a_parent_that_cant_be_is_dropped_and_told(flows: Flows) -> None:
    flows.make("f")
    nodes = {"a": {"parentId": "b"}, "b": {"parentId": "nobody", "data": {"k": 1}}}
    answer = flows.patch("f", {"nodes": nodes})
    assert answer.json["patch"] == {"nodes": {"a": {"parentId": "b"}, "b": {"data": {"k": 1}}}}
    assert answer.json["dropped"] == ["/nodes/b/parentId"]
    assert "dropped" not in flows.patch("f", {"nodes": {"a": {"parentId": None}}}).json
    replaced = flows.send("PUT", "/api/flows/f", {"nodes": {"n": node("n", parentId="x")}})
    assert (replaced.status, replaced.json["path"]) == (422, "/nodes/n/parentId")


def test_res13_numbers_that_browsers_dont_hold_are_refused(flows: Flows) -> None:
    flows.make("f")
    for number in ("9007199254740993", "-9007199254740994", "1e17"):
        answer = flows.patch("f", b'{"data": {"order": %s}}' % number.encode())
        assert (answer.status, answer.json.get("path")) == (422, "/data/order"), number
    assert flows.patch("f", b'{"data": {"order": 9007199254740992}}').status == 200


def test_res13_patch_that_changes_nothing_takes_no_version(flows: Flows) -> None:
    flows.make("f")
    answer = flows.patch("f", {"title": "Graph", "nodes": {"nobody": None}})
    assert (answer.json["version"], answer.json["patch"]) == (1, {})
    assert len(flows.entries()) == 1


@pytest.mark.parametrize("patch", [None, [], 1, {"title": None}, {"nodes": {"a": {"id": "b"}}}])
def test_res13_patch_that_cant_be_is_422(flows: Flows, patch: object) -> None:
    flows.make("f")
    answer = flows.patch("f", json.dumps(patch).encode())
    assert (answer.status, answer.json["code"]) == (422, "invalid_patch")
    assert set(answer.json) == {"title", "status", "detail", "code", "retry", "path"}
    assert len(flows.entries()) == 1


def test_res13_put_logs_the_difference(flows: Flows) -> None:
    flows.make("f")
    answer = flows.send("PUT", "/api/flows/f", GRAPH | {"title": "New", "edges": {}})
    assert answer.json["patch"] == {"title": "New", "edges": {"ab": None}}
    assert answer.json["version"] == 2
    tag(answer)
    assert flows.send("PUT", "/api/flows/f", flows.flow()["document"]).json["patch"] == {}
    assert len(flows.entries()) == 2


def test_res13_members_see_changes_at_once(flows: Flows) -> None:
    flows.make("f")
    member = flows.poller()
    member.push("flow:f", "phx_join", {"mode": "document", "client_id": "c"})
    (reply,) = member.messages()
    assert reply[4]["status"] == "ok"
    changes: list[tuple[str, str, object]] = [
        ("PATCH", "", {"title": "1"}),
        ("PUT", "", GRAPH | {"title": "2"}),
        ("POST", "/restore", {"version": 1}),
    ]
    for version, (method, end, body) in enumerate(changes, 2):
        answer = flows.send(method, f"/api/flows/f{end}", body)
        assert answer.status == 200
        flows.clock.advance(0.01)
        (told,) = [message[4] for message in member.messages() if message[3] == "entries"]
        (entry,) = told["entries"]
        assert (entry["version"], entry["patch"]) == (version, answer.json["patch"])


@pytest.mark.parametrize("content_type", ["text/plain", "application/json-patch+json", ""])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_res8_other_types_of_patches_are_415(flows: Flows, method: str, content_type: str) -> None:
    flows.make("f")
    answer = flows.send(method, "/api/flows/f", {}, ("Content-Type", content_type))
    assert_problem(answer, 415, "unsupported_media_type")


def test_res8_merge_patch_is_no_document(flows: Flows) -> None:
    flows.make("f")
    answer = flows.send("PUT", "/api/flows/f", {}, ("Content-Type", MERGE_PATCH))
    assert_problem(answer, 415, "unsupported_media_type", "The body must be application/json")
    assert flows.send("PATCH", "/api/flows/f", {"title": "x"}).status == 200


def test_res8_sizes_are_bounded_by_what_bodies_carry() -> None:
    flows = Flows(max_patch_bytes=1024, max_document_bytes=4096, max_frame_bytes=1024)
    flows.make("f", {})
    assert flows.patch("f", b'{"data":{"t":"%b"}}' % (b"x" * 1007)).status == 200
    answer = flows.patch("f", b'{"data":{"t":"%b"}}' % (b"y" * 1008))
    assert_problem(answer, 413, "patch_too_large")
    assert flows.patch("f", b'{"title": "z"}'.ljust(2048)).status == 200
    assert_problem(flows.patch("f", b'{"title": "z"}'.ljust(2049)), 413, "body_too_large")
    answer = flows.send("PUT", "/api/flows/f", {"title": "x" * 4096})
    assert_problem(answer, 413, "document_too_large")
    assert flows.send("PUT", "/api/flows/f", b"{}".ljust(8192)).status == 200
    assert_problem(flows.send("PUT", "/api/flows/f", b"{}".ljust(8193)), 413, "body_too_large")
    for target in ("/api/flows", "/api/flows/import"):
        answer = flows.send("POST", target, b"{}".ljust(8193))
        assert_problem(answer, 413, "body_too_large")
    answer = flows.send("POST", "/api/flows/f/sync", b'{"changes":1}'.ljust(4097))
    assert_problem(answer, 413, "body_too_large")


def test_res8_members_of_a_document_are_bounded() -> None:
    flows = Flows(max_document_members=2)
    flows.make("f", {"nodes": by_id(node("a"), node("b"))})
    answer = flows.patch("f", {"nodes": by_id(node("c"))})
    assert_problem(answer, 413, "document_too_large")
    answer = flows.send("POST", "/api/flows", {"document": GRAPH})
    assert_problem(answer, 413, "document_too_large")


def test_res8_document_of_many_frames_is_taken(flows: Flows) -> None:
    document = {"nodes": by_id(*(node(f"n{i}", data={"text": "x" * 1000}) for i in range(8000)))}
    assert len(json.dumps(document)) > 8 * 1024 * 1024
    assert flows.make("f", document).json["version"] == 1
    answer = flows.get("/api/flows?q=f").json["flows"]
    assert answer[0]["node_count"] == 8000


# RES14: deleting


def test_res14_lib8_delete_ends_the_session_and_tells_its_members(flows: Flows) -> None:
    made = flows.make("f").json
    member = flows.opened("f")
    flows.clock.advance(3)
    answer = flows.send("DELETE", "/api/flows/f")
    assert answer.status == 200
    assert answer.json == {
        "id": "f",
        "title": "Graph",
        "description": "of two",
        "epoch": made["epoch"],
        "version": 1,
        "node_count": 2,
        "edge_count": 1,
        "created_at": NOW,
        "updated_at": NOW,
        "deleted_at": NOW + 3,
    }
    events = [message[3] for message in member.messages()]
    assert events[-2:] == ["flow_deleted", "phx_close"]
    assert flows.get("/api/sessions").json["sessions"] == []


def test_res14_delete_again_is_the_same(flows: Flows) -> None:
    flows.make("f")
    first = flows.send("DELETE", "/api/flows/f")
    flows.clock.advance(9)
    again = flows.send("DELETE", "/api/flows/f")
    assert (again.status, again.json) == (200, first.json)


def test_res14_undelete_brings_everything_back(flows: Flows) -> None:
    flows.make("f")
    flows.patch("f", {"title": "x"})
    before, log = flows.get("/api/flows/f").body, flows.entries()
    flows.send("DELETE", "/api/flows/f")
    answer = flows.send("POST", "/api/flows/f/undelete")
    assert answer.status == 200
    assert "deleted_at" not in answer.json
    assert (answer.json["id"], answer.json["version"]) == ("f", 2)
    tag(answer)
    assert (flows.get("/api/flows/f").body, flows.entries()) == (before, log)
    assert flows.patch("f", {"title": "y"}).json["version"] == 3


def test_res14_undelete_of_what_is_there_changes_nothing(flows: Flows) -> None:
    flows.make("f")
    assert flows.send("POST", "/api/flows/f/undelete").status == 200
    assert len(flows.entries()) == 1


# RES15: copies


def test_res15_duplicate_is_a_flow_of_its_own(flows: Flows) -> None:
    flows.make("f")
    answer = flows.send("POST", "/api/flows/f/duplicate")
    copy = answer.json
    assert (answer.status, answer.headers["location"]) == (201, f"/api/flows/{copy['id']}")
    tag(answer)
    assert copy["id"] != "f"
    assert copy["title"] == copy["document"]["title"] == "Graph (Copy)"
    assert (len(copy["document"]["nodes"]), len(copy["document"]["edges"])) == (2, 1)
    flows.patch(copy["id"], {"title": "mine"})
    assert flows.flow()["document"] == WHOLE
    assert len(flows.entries(copy["id"])) == 2


# RES16 and RES17: history


def test_res16_entries_come_in_pages(flows: Flows) -> None:
    flows.make("f", {})
    for number in range(7):
        flows.patch("f", {"title": f"{number}"})
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = flows.get(f"/api/flows/f/entries?after={after}&limit=3").json
        assert page["epoch"] == flows.flow()["epoch"]
        seen += [entry["version"] for entry in page["entries"]]
        after = page["next"]
    assert seen == list(range(1, 8))
    for beyond in ("7", "8", "9007199254740992"):
        page = flows.get(f"/api/flows/f/entries?after={beyond}").json
        assert (page["entries"], page["next"]) == ([], None)


def test_res16_page_of_large_entries_ends_early(flows: Flows) -> None:
    flows.make("f", {})
    for number in range(120):
        flows.patch("f", {"data": {"text": f"{number}" + "x" * 60_000}})
    page = flows.get("/api/flows/f/entries?limit=1000").json
    assert (len(page["entries"]), page["next"]) == (69, 69)
    page = flows.get("/api/flows/f/entries?limit=1000&after=69").json
    assert (len(page["entries"]), page["next"]) == (51, None)


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=", "limit=0", "limit=1001"])
def test_res16_parameters_that_cant_be_are_refused(flows: Flows, query: str) -> None:
    flows.make("f")
    assert_problem(flows.get(f"/api/flows/f/entries?{query}"), 400, "invalid_parameters")


def test_res17_lib6_restore_adds_an_entry(flows: Flows) -> None:
    flows.make("f")
    flows.patch("f", {"title": "Changed", "nodes": {"a": None}})
    flows.patch("f", {"nodes": by_id(node("n"))})
    before = flows.entries()
    answer = flows.send("POST", "/api/flows/f/restore", {"version": 1})
    assert (answer.status, answer.json["version"]) == (200, 4)
    tag(answer)
    assert flows.flow()["document"] == WHOLE
    assert flows.entries()[:3] == before
    answer = flows.send("POST", "/api/flows/f/restore", {"version": 3.0})
    assert answer.json["version"] == 5
    assert flows.flow()["document"] == flows.get("/api/flows/f?version=3").json["document"]
    assert flows.send("POST", "/api/flows/f/restore", {"version": 5}).json["patch"] == {}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"version": 2}, 404, "version_not_found"),
        ({"version": -1}, 400, "malformed_body"),
        ({"version": 1.5}, 400, "malformed_body"),
        ({"version": "1"}, 400, "malformed_body"),
        ({"version": 1e300}, 400, "malformed_body"),
        ({}, 400, "malformed_body"),
        ({"version": 1, "x": 1}, 400, "malformed_body"),
    ],
)
def test_res17_restore_of_what_never_was_is_refused(
    flows: Flows, body: object, status: int, code: str
) -> None:
    flows.make("f")
    assert_problem(flows.send("POST", "/api/flows/f/restore", body), status, code)
    assert len(flows.entries()) == 1


# RES18: files


def test_res18_lib4_export_is_imported_as_the_same_document(flows: Flows) -> None:
    flows.make("f")
    flow = flows.flow()
    flows.clock.advance(3)
    answer = flows.get("/api/flows/f/export")
    exported = answer.json
    assert exported == flow | {
        "format": "helix-flow",
        "format_version": 1,
        "chain": tag(flows.get("/api/flows/f"))[-12:-1],
        "exported_at": NOW + 3,
    }
    imported = flows.send("POST", "/api/flows/import", answer.body)
    assert imported.status == 201
    assert imported.json["document"] == flow["document"]
    assert imported.json["id"] != "f"
    assert imported.json["epoch"] != flow["epoch"]
    assert imported.json["dropped"] == {"nodes": 0, "edges": 0, "parents": 0}
    assert imported.headers["location"] == f"/api/flows/{imported.json['id']}"
    tag(imported)
    named = flows.send("POST", "/api/flows/import?id=a%2Fb", answer.body)
    assert named.json["id"] == "a/b"
    again = flows.send("POST", "/api/flows/import?id=f", answer.body)
    assert_problem(again, 409, "flow_exists")
    invalid = flows.send("POST", "/api/flows/import?id=", answer.body)
    assert_problem(invalid, 400, "invalid_flow_id")


@pytest.mark.parametrize(
    ("title", "plain", "full"),
    [
        ("Triage", "Triage", "Triage"),
        ("", "f", "f"),
        ("Grüße 🌊", "Gr--e -", "Grüße 🌊"),
        ("../../etc/passwd", "etc passwd", "etc passwd"),
        ('a"b\\c\r\nSet-Cookie: x', "a b c Set-Cookie x", "a b c Set-Cookie x"),
        ("...", "flow", "flow"),
        ("a\u202egpj.exe", "a gpj.exe", "a gpj.exe"),
        ("x" * 300, "x" * 80, "x" * 80),
        ("%41;='*", "-41---", "%41;='"),
    ],
)
def test_res18_file_names_are_safe(flows: Flows, title: str, plain: str, full: str) -> None:
    flows.make("f", {"title": title})
    disposition = flows.get("/api/flows/f/export").headers["content-disposition"]
    found = re.fullmatch(
        r"attachment; filename=\"([^\"\\]+)\.json\"; filename\*=UTF-8''([A-Za-z0-9%_.~-]+)\.json",
        disposition,
    )
    assert found, disposition
    assert (found[1], unquote(found[2])) == (plain, full)


@pytest.mark.parametrize("flow_id", [*AWKWARD_IDS, *SLASHED_IDS])
def test_res18_headers_hold_no_more_than_they_should(flows: Flows, flow_id: str) -> None:
    made = flows.make(flow_id, {})
    assert re.fullmatch(r"/api/flows/[A-Za-z0-9%_.~-]+", made.headers["location"])
    assert flows.get(made.headers["location"]).json["id"] == flow_id
    file_name(flow_id).decode("ascii")
    disposition = flows.get(f"{made.headers['location']}/export").headers["content-disposition"]
    assert disposition.isprintable()


# RES19: conditions


def test_res19_get_of_what_is_known_is_304(flows: Flows) -> None:
    etag = tag(flows.make("f"))
    for condition in (etag, f"W/{etag}", f'"x", {etag}', "*", f'"a,b",{etag},"c"'):
        for method in ("GET", "HEAD"):
            answer = flows.send(method, "/api/flows/f", None, ("If-None-Match", condition))
            assert (answer.status, answer.body) == (304, b"")
            assert answer.headers["etag"] == etag
            assert answer.content_type is None
    for condition in ('"x"', "", etag.strip('"'), etag[:-2] + '2"'):
        assert flows.get("/api/flows/f", ("If-None-Match", condition)).status == 200
    flows.patch("f", {"title": "x"})
    assert flows.get("/api/flows/f", ("If-None-Match", etag)).status == 200
    past = flows.get("/api/flows/f?version=1", ("If-None-Match", etag))
    assert past.status == 304


def test_res19_get_of_another_version_than_wanted_is_412(flows: Flows) -> None:
    etag = tag(flows.make("f"))
    assert flows.get("/api/flows/f", ("If-Match", etag)).status == 200
    answer = flows.get("/api/flows/f", ("If-Match", '"x"'))
    assert_problem(answer, 412, "precondition_failed")


CHANGES: list[tuple[str, str, object]] = [
    ("PATCH", "", {"title": "x"}),
    ("PUT", "", {"title": "x"}),
    ("POST", "/restore", {"version": 0}),
    ("DELETE", "", None),
]


@pytest.mark.parametrize(("method", "end", "body"), CHANGES)
@pytest.mark.parametrize(
    ("made", "name", "condition"),
    [
        (True, "If-Match", "{}"),
        (True, "If-Match", "*"),
        (True, "If-Match", ' "x" ,{} , W/"y"'),
        (True, "If-None-Match", '"x"'),
        (False, "If-Match", "W/{}"),
        (False, "If-Match", '"x"'),
        (False, "If-Match", ""),
        (False, "If-Match", "nonsense"),
        (False, "If-None-Match", "{}"),
        (False, "If-None-Match", "W/{}"),
        (False, "If-None-Match", "*"),
    ],
)
def test_res19_changes_are_made_only_where_their_conditions_hold(
    flows: Flows, method: str, end: str, body: object, made: bool, name: str, condition: str
) -> None:
    etag = tag(flows.make("f"))
    header = (name, condition.replace("{}", etag))
    answer = flows.send(method, f"/api/flows/f{end}", body, header)
    if made:
        assert answer.status == 200
    else:
        assert_problem(answer, 412, "precondition_failed")
        assert len(flows.entries()) == 1


def test_res19_several_header_lines_are_one_list(flows: Flows) -> None:
    etag = tag(flows.make("f"))
    answer = flows.patch("f", {"title": "x"}, ("If-Match", etag), ("If-Match", '"x"'))
    assert answer.status == 200


def test_res19_tags_of_another_epoch_never_match(flows: Flows) -> None:
    etag = tag(flows.make("f"))
    flows.send("DELETE", "/api/flows/f")
    flows.make("f")
    answer = flows.patch("f", {"title": "x"}, ("If-Match", etag))
    assert_problem(answer, 412, "precondition_failed")


class Slow:
    """A store that answers one method when it is told to."""

    def __init__(self, store: IFlowStore, method: str) -> None:
        self._store = store
        self._method = method
        self.waiting: list[tuple[Deferred[None], Any]] = []
        self.failure: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name != self._method:
            return method

        def slow(*args: Any, **kwargs: Any) -> Deferred[Any]:
            go: Deferred[None] = Deferred()
            go.addCallback(lambda _: method(*args, **kwargs))
            self.waiting.append((go, None))
            return go

        return slow

    def answer(self) -> None:
        """Do what was asked for."""
        waiting, self.waiting = self.waiting, []
        for go, _ in waiting:
            go.callback(None)


@pytest.mark.parametrize("slow", ["append", "load"])
@pytest.mark.parametrize("count", [2, 5])
def test_res19_of_several_edits_with_one_tag_one_is_made(slow: str, count: int) -> None:
    flows = Flows(wrap_store=lambda store: Slow(store, slow))
    etag = tag(flows.make("f"))
    connections = [flows.connect() for _ in range(count)]
    for number, connection in enumerate(connections):
        body = b'{"title":"%d"}' % number
        headers = [("Content-Type", MERGE_PATCH), ("If-Match", etag)]
        connection.request("PATCH", "/api/flows/f", headers, body)
    for _ in range(10):
        flows.store.answer()
        flows.clock.advance(0.01)
    statuses = sorted(connection.answer.status for connection in connections)
    assert statuses == [200] + [412] * (count - 1)
    flows.store._method = ""
    assert len(flows.entries()) == 2


@pytest.mark.parametrize(("method", "end", "body"), CHANGES[:3])
def test_res19_a_version_that_is_none_of_those_named_may_change_meanwhile(
    method: str, end: str, body: object
) -> None:
    """``If-None-Match`` is judged when the edit's turn comes, not by the version before."""
    flows = Flows(wrap_store=lambda store: Slow(store, ""))
    flows.make("f")
    flows.store._method = "append"
    first, second = flows.connect(), flows.connect()
    headers = [("Content-Type", "application/json"), ("If-None-Match", '"x"')]
    first.request("PATCH", "/api/flows/f", headers, b'{"description":"first"}')
    second.request(method, f"/api/flows/f{end}", headers, json.dumps(body).encode())
    for _ in range(10):
        flows.store.answer()
        flows.clock.advance(0.01)
    assert [first.answer.status, second.answer.status] == [200, 200]
    flows.store._method = ""
    assert len(flows.entries()) == 3


# RES21: addresses


@pytest.mark.parametrize("flow_id", [*AWKWARD_IDS, *SLASHED_IDS])
def test_res21_every_id_is_addressed(flows: Flows, flow_id: str) -> None:
    flows.make(flow_id)
    here = f"/api/flows/{escaped(flow_id)}"
    assert flows.flow(flow_id)["id"] == flow_id
    assert flows.patch(flow_id, {"title": "x"}).json["id"] == flow_id
    assert flows.send("PUT", here, GRAPH).json["id"] == flow_id
    assert flows.send("POST", f"{here}/restore", {"version": 1}).json["id"] == flow_id
    assert len(flows.entries(flow_id)) == 3
    assert flows.get(f"{here}/export").json["id"] == flow_id
    assert flows.send("POST", f"{here}/duplicate").status == 201
    assert flows.send("DELETE", here).json["id"] == flow_id
    assert flows.send("POST", f"{here}/undelete").json["id"] == flow_id


WORDS = ["status", "sync", "entries", "export", "restore", "duplicate", "undelete"]


@pytest.mark.parametrize("word", WORDS)
def test_res21_id_that_ends_like_an_address_is_told_from_it(flows: Flows, word: str) -> None:
    for flow_id in (f"a/{word}", f"/{word}", f"a/{word}/{word}", word, "import", "a"):
        flows.make(flow_id, {"title": flow_id})
    for flow_id in (f"a/{word}", f"/{word}", f"a/{word}/{word}", word, "import", "a"):
        assert flows.flow(flow_id)["title"] == flow_id
        assert flows.get(f"/api/flows/{escaped(flow_id)}/export").json["title"] == flow_id
    answer = flows.send("PUT", f"/api/flows/a/{word}", {})
    assert_problem(answer, 405, "method_not_allowed")
    assert flows.get(f"/api/flows/a/{word}/b").json["code"] == "flow_not_found"


def test_res21_bare_slashes_belong_to_the_id(flows: Flows) -> None:
    flows.make("a/b//c/")
    assert flows.get("/api/flows/a/b//c/").json["id"] == "a/b//c/"
    assert flows.get("/api/flows/a/b//c//entries").json["entries"]


# RES22: templates


def test_res22_templates_are_listed_and_read(flows: Flows) -> None:
    templates = flows.get("/api/templates").json["templates"]
    assert [(t["category"], t["name"]) for t in templates] == sorted(
        (t["category"], t["name"]) for t in templates
    )
    for outline in templates:
        template = flows.get(f"/api/templates/{outline['id']}").json
        document = template.pop("document")
        assert template == outline
        flow = FlowDocument(document)
        assert (flow.node_count, flow.edge_count) == (outline["node_count"], outline["edge_count"])


@pytest.mark.parametrize("address", ["x", "%FF", "ticket-triage.json", "..%2Fticket-triage"])
def test_res22_template_that_isnt_there_is_404(flows: Flows, address: str) -> None:
    answer = flows.get(f"/api/templates/{address}")
    assert_problem(answer, 404, "template_not_found")


# RES23: clients that leave


@pytest.mark.parametrize(
    ("slow", "method", "target", "body"),
    [
        ("create", "POST", "/api/flows", b'{"id":"new"}'),
        ("append", "PATCH", "/api/flows/f", b'{"title":"x"}'),
        ("delete", "DELETE", "/api/flows/f", None),
    ],
)
def test_res23_change_goes_on_though_its_client_leaves(
    slow: str, method: str, target: str, body: bytes | None
) -> None:
    flows = Flows(wrap_store=lambda store: Slow(store, ""))
    flows.make("f")
    member = flows.opened("f")
    flows.store._method = slow
    connection = flows.connect()
    connection.request(method, target, [("Content-Type", "application/json")], body)
    assert not connection.answers
    assert flows.store.waiting
    connection.lose()
    flows.store.answer()
    flows.clock.advance(0.01)
    flows.store._method = ""
    assert flows.get("/api/flows/new").status == (200 if slow == "create" else 404)
    if slow == "append":
        assert flows.flow()["title"] == "x"
    if slow == "delete":
        assert flows.get("/api/flows/f").status == 410
        assert "flow_deleted" in [message[3] for message in member.messages()]


# RES7: what the store refuses


@pytest.mark.parametrize("error", [StoreUnavailable, StoreFull])
def test_res7_store_that_fails_for_now_is_503(error: type[Exception]) -> None:
    class Failing(Slow):
        def __getattr__(self, name: str) -> Any:
            if name != self._method:
                return getattr(self._store, name)
            return lambda *_, **__: Deferred.fromCoroutine(self._fail())

        async def _fail(self) -> None:
            raise error()

    flows = Flows(wrap_store=lambda store: Failing(store, ""))
    flows.make("f")
    for method, target, body, broken in [
        ("GET", "/api/flows", None, "heads"),
        ("POST", "/api/flows", {}, "create"),
        ("DELETE", "/api/flows/f", None, "delete"),
        ("POST", "/api/flows/f/undelete", None, "undelete"),
        ("GET", "/api/flows/f/entries", None, "entries"),
    ]:
        flows.store._method = broken
        answer = flows.send(method, target, body)
        assert_problem(answer, 503, error.code, retry=True)  # type: ignore[attr-defined]
    flows.store._method = ""
    assert len(flows.entries()) == 1


# RES9: other sites' pages


@pytest.mark.parametrize(
    ("method", "end", "body"),
    [
        *CHANGES,
        ("POST", "/duplicate", None),
        ("PUT", "/versions/1", {"name": "x"}),
        ("DELETE", "/versions/1", None),
    ],
)
def test_res9_pages_of_other_sites_change_no_flow(
    flows: Flows, method: str, end: str, body: object
) -> None:
    flows.make("f")
    answer = flows.send(method, f"/api/flows/f{end}", body, ("Origin", "https://evil.test"))
    assert_problem(answer, 403, "origin_refused")
    assert flows.listed() == ["f"]
    assert len(flows.entries()) == 1


def test_res7_nothing_of_a_flow_is_logged(flows: Flows, logged: Log) -> None:
    flows.make("f", {"title": "s3cret"})
    flows.patch("f", {"title": "s3cret2"})
    flows.patch("f", {"nodes": {"s3cret": 1}})
    assert "s3cret" not in logged.text


# texts and lists


@pytest.mark.parametrize(("name", "longest"), [("title", 500), ("description", 10_000)])
def test_doc8_texts_are_bounded(flows: Flows, name: str, longest: int) -> None:
    flows.make("f", {name: "\u00e4" * longest})
    long = {name: "x" * (longest + 1)}
    for answer in (
        flows.send("PATCH", "/api/flows/f", long),
        flows.send("PUT", "/api/flows/f", long),
        flows.send("POST", "/api/flows", {"document": long}),
    ):
        problem = answer.json
        assert (answer.status, problem["code"]) == (422, "invalid_patch")
        assert problem["path"] == f"/{name}"
        assert str(longest) in problem["detail"]
    assert flows.flow()["document"][name] == "\u00e4" * longest


def test_doc8_older_texts_are_read_and_can_shrink(flows: Flows) -> None:
    """There were such before there was a limit."""
    patch = json.dumps({"title": "x" * 2000}).encode()
    entry = Entry(1, patch, 1.0)
    store = flows.store
    store.create("f", "e", 1.0, chained(origin_of("e"), [entry]), Summary("x" * 2000))
    assert flows.flow()["document"]["title"] == "x" * 2000
    assert flows.send("PATCH", "/api/flows/f", {"title": "y" * 2000}).status == 422
    assert flows.send("PATCH", "/api/flows/f", {"description": "d"}).status == 200
    assert flows.send("PATCH", "/api/flows/f", {"title": "x" * 1000}).status == 200
    assert flows.send("PATCH", "/api/flows/f", {"title": "x" * 1500}).status == 422
    assert flows.send("POST", "/api/flows/f/duplicate").status == 201
    assert flows.send("POST", "/api/flows/f/restore", {"version": 1}).status == 200
    assert flows.flow()["document"]["title"] == "x" * 2000


def test_res10_lists_are_cut_and_bounded(flows: Flows) -> None:
    wide = "\u0001" * 500  # six bytes each, in JSON
    for number in range(12):
        flows.make(f"f{number}", {"title": wide, "description": "d" * 10_000})
    page = flows.get("/api/flows?limit=1000").json
    assert {(len(one["title"]), len(one["description"])) for one in page["flows"]} == {(500, 300)}
    assert page["next"] is None


def test_res10_page_ends_by_bytes(flows: Flows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helix.web.flow_list.PAGE_BYTES", 2000)
    for number in range(12):
        flows.make(f"f{number}", {"description": "d" * 300})
    found, cursor, pages = [], "", 0
    while cursor is not None:
        page = flows.get(f"/api/flows?limit=1000{cursor and '&cursor='}{cursor}")
        assert len(page.body) < 2200
        found += [one["id"] for one in page.json["flows"]]
        cursor, pages = page.json["next"], pages + 1
    assert sorted(found) == sorted(f"f{number}" for number in range(12))
    assert pages >= 3


def test_res10_list_that_is_known_is_not_made(
    flows: Flows, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def describe(head: FlowHead) -> dict[str, object]:
        made.append(head.flow_id)
        return describe_flow(head)

    monkeypatch.setattr("helix.web.flow_list.describe_flow", describe)
    for flow_id in "abc":
        flows.make(flow_id)
    tag = flows.get("/api/flows?limit=2").headers["etag"]
    assert len(made) == 2
    known = [("If-None-Match", tag)]
    assert flows.request("GET", "/api/flows?limit=2", known).status == 304
    assert len(made) == 2
    assert flows.request("GET", "/api/flows?limit=1", known).status == 200
    assert flows.request("GET", "/api/flows", known).status == 200
    tag = flows.get("/api/flows?limit=2").headers["etag"]
    flows.request("DELETE", "/api/flows/a")  # of the page only what follows it is another
    assert flows.request("GET", "/api/flows?limit=2", [("If-None-Match", tag)]).status == 200


def test_res10_list_that_is_known_is_304(flows: Flows) -> None:
    flows.make("f", {"title": "one"})
    first = flows.get("/api/flows")
    tag = first.headers["etag"]
    known = flows.request("GET", "/api/flows", [("If-None-Match", tag)])
    assert (known.status, known.body, known.headers["etag"]) == (304, b"", tag)
    flows.patch("f", {"title": "two"})
    again = flows.request("GET", "/api/flows", [("If-None-Match", tag)])
    assert (again.status, again.json["flows"][0]["title"]) == (200, "two")
    assert again.headers["etag"] != tag
