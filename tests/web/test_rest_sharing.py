"""Access lists, links and the audit log by REST. (docs/spec.md, ACC122-128)"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema_rs
import pytest

from helix.access.roles import Role
from helix.web.openapi import ApiDocs
from tests.support.flowdata import by_id, node
from tests.support.memory_clients import Answer
from tests.support.stack import NOW, Stack
from tests.support.tokens import secret_file, token

DOCUMENT = json.loads(ApiDocs.load().document)

MERGE_PATCH = "application/merge-patch+json"

EMPTY = {
    "owner": "ada",
    "members": {},
    "groups": {},
    "general": {"who": "restricted", "role": None},
}


GRAPH: dict[str, Any] = {"nodes": [], "edges": []}


class Server(Stack):
    """A server that takes signed tokens, with a flow ``f`` of ``ada``."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(auth=f"jwt:hmac:{secret_file(tmp_path)}", admin="root")
        made = self.send("ada", "POST", "/api/flows", {"id": "f"}, create=["*"])
        assert made.status == 201

    def send(
        self,
        who: str | None,
        method: str,
        target: str,
        value: object = None,
        *headers: tuple[str, str],
        **claims: object,
    ) -> Answer:
        """A request of somebody, with JSON, or without a body for ``None``."""
        if who is not None:
            signed = token(sub=who, exp=NOW + 1000, **claims)
            headers = (("Authorization", f"Bearer {signed}"), *headers)
        body = None if value is None else json.dumps(value).encode()
        if body is not None:
            kind = MERGE_PATCH if method == "PATCH" else "application/json"
            headers = (("Content-Type", kind), *headers)
        return self.request(method, target, headers, body)

    def change(self, patch: object, *headers: tuple[str, str], who: str = "ada") -> Answer:
        return self.send(who, "PATCH", "/api/flows/f/access", patch, *headers)

    def ids(self, who: str, **claims: object) -> list[str]:
        """The ids of the flows that are listed to somebody."""
        answer = self.send(who, "GET", "/api/flows", **claims)
        return [flow["id"] for flow in answer.json["flows"]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.stop()


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["code"]


def check_schema(name: str, value: object) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema_rs.validate(schema, value)


def test_acc122_acc123_an_owner_reads_and_changes_the_list(server: Server) -> None:
    answer = server.send("ada", "GET", "/api/flows/f/access")
    assert (answer.status, answer.json) == (200, EMPTY)
    patch = {
        "members": {"bob": "editor", "bot": {"role": "editor", "paths": ["/nodes/*/data/x"]}},
        "groups": {"staff": "viewer"},
        "general": {"who": "link", "role": "commenter"},
    }
    changed = server.change(patch)
    assert (changed.status, changed.json) == (200, EMPTY | patch)
    check_schema("Access", changed.json)
    again = server.send("ada", "GET", "/api/flows/f/access")
    assert again.json == changed.json
    assert again.headers["etag"] == changed.headers["etag"] != answer.headers["etag"]
    known = server.send(
        "ada", "GET", "/api/flows/f/access", None, ("If-None-Match", again.headers["etag"])
    )
    assert known.status == 304


@pytest.mark.parametrize(
    ("members", "may"),
    [("viewer", ["read"]), ("owner", ["read", "comment", "propose", "edit", "manage"])],
)
def test_acc123_what_is_given_counts_at_once(server: Server, members: str, may: list[str]) -> None:
    assert refused(server.send("bob", "GET", "/api/flows/f")) == (404, "flow_not_found")
    assert server.ids("bob") == []
    server.change({"members": {"bob": members}})
    flow = server.send("bob", "GET", "/api/flows/f").json
    assert (flow["role"], flow["may"]) == (members, may)
    assert server.ids("bob") == ["f"]
    assert server.send("bob", "GET", "/api/flows").json["flows"][0]["role"] == members
    server.change({"members": {"bob": None}})
    assert refused(server.send("bob", "GET", "/api/flows/f")) == (404, "flow_not_found")
    assert server.ids("bob") == []


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
@pytest.mark.parametrize(
    ("method", "target", "value"),
    [
        ("GET", "access", None),
        ("PATCH", "access", {"owner": "bob"}),
        ("GET", "links", None),
        ("POST", "links", {"role": "viewer"}),
        ("DELETE", "links/x", None),
    ],
)
def test_acc122_acc124_access_is_for_owners(
    server: Server, role: Role, method: str, target: str, value: object
) -> None:
    address = f"/api/flows/f/{target}"
    assert refused(server.send("bob", method, address, value)) == (404, "flow_not_found")
    server.change({"members": {"bob": role.text}})
    assert refused(server.send("bob", method, address, value)) == (403, "forbidden")
    assert server.send(None, method, address, value).status == 401
    assert server.send("ada", "GET", "/api/flows/f/access").json["owner"] == "ada"
    unknown = server.send("root", method, address.replace("/f/", "/g/"), value)
    expected = {"DELETE": "flow_not_found"}.get(method, "flow_not_found")
    assert refused(unknown) == (404, expected)


def test_acc123_if_match_is_judged_by_the_list_as_it_is(server: Server) -> None:
    tag = server.send("ada", "GET", "/api/flows/f/access").headers["etag"]
    assert server.change({"members": {"bob": "viewer"}}, ("If-Match", tag)).status == 200
    late = server.change({"members": {"bob": None}}, ("If-Match", tag))
    assert refused(late) == (412, "precondition_failed")
    assert server.ids("bob") == ["f"]


@pytest.mark.parametrize(
    ("patch", "status", "code", "begins"),
    [
        ({"members": {"bob": "reader"}}, 400, "invalid_parameters", "members: bob: "),
        ({"owner": None}, 400, "invalid_parameters", "owner: "),
        ([], 400, "invalid_parameters", "An object is wanted"),
    ],
)
def test_acc123_a_bad_change_changes_nothing(
    server: Server, patch: object, status: int, code: str, begins: str
) -> None:
    answer = server.change(patch)
    assert refused(answer) == (status, code)
    assert answer.json["detail"].startswith(begins)
    assert server.send("ada", "GET", "/api/flows/f/access").json == EMPTY


def test_acc123_a_grant_is_narrowed_and_widened(server: Server) -> None:
    server.change({"members": {"bob": "editor"}})
    narrowed = server.change({"members": {"bob": {"paths": ["/title"]}}})
    assert narrowed.json["members"] == {"bob": {"role": "editor", "paths": ["/title"]}}
    patch = {"nodes": by_id(node("n"))}
    assert refused(server.send("bob", "PATCH", "/api/flows/f", patch)) == (403, "forbidden_path")
    assert server.send("bob", "PATCH", "/api/flows/f", {"title": "New"}).status == 200
    server.change({"members": {"bob": {"paths": None}}})
    assert server.send("bob", "PATCH", "/api/flows/f", patch).status == 200


def test_acc123_ownership_is_given_away(server: Server) -> None:
    assert server.change({"owner": "bob"}).json["owner"] == "bob"
    assert refused(server.change({"owner": "ada"})) == (404, "flow_not_found")
    assert server.send("bob", "DELETE", "/api/flows/f").status == 200
    assert server.send("bob", "GET", "/api/flows?deleted=true").json["flows"][0]["id"] == "f"
    assert server.change({"owner": None}, who="root").json["owner"] is None
    assert refused(server.change({}, who="bob")) == (404, "flow_not_found")


def test_acc121_who_duplicates_or_imports_owns(server: Server) -> None:
    server.change({"members": {"bob": "viewer"}})
    copy = server.send("bob", "POST", "/api/flows/f/duplicate", create=["*"])
    assert (copy.status, copy.json["role"]) == (201, "owner")
    imported = server.send("bob", "POST", "/api/flows/import?id=i", GRAPH, create=["*"])
    assert (imported.status, imported.json["role"]) == (201, "owner")
    assert sorted(server.ids("bob")) == sorted(["f", "i", copy.json["id"]])


def test_acc124_a_link_is_shown_once_and_revoked(server: Server) -> None:
    made = server.send("ada", "POST", "/api/flows/f/links", {"role": "editor", "expires_in": 60})
    assert made.status == 201
    check_schema("NewLink", made.json)
    link = made.json
    assert link["path"] == f"/flow/f#link={link['secret']}"
    assert (link["role"], link["expires_at"], link["created_by"]) == ("editor", NOW + 60, "ada")
    listed = server.send("ada", "GET", "/api/flows/f/links")
    check_schema("Links", listed.json)
    assert listed.json["links"] == [
        {name: value for name, value in link.items() if name not in ("secret", "path")}
    ]
    assert link["secret"].partition(".")[2] not in listed.body.decode()
    guest = server.send(None, "POST", "/api/guests", {"link": link["secret"]})
    assert (guest.status, guest.json["role"]) == (201, "editor")
    bearer = ("Authorization", f"Bearer {guest.json['token']}")
    assert server.get("/api/flows/f", bearer).json["role"] == "editor"
    address = f"/api/flows/f/links/{link['id']}"
    assert server.send("ada", "DELETE", address).status == 204
    assert refused(server.send("ada", "DELETE", address)) == (404, "link_not_found")
    assert refused(server.get("/api/flows/f", bearer)) == (404, "flow_not_found")
    again = server.send(None, "POST", "/api/guests", {"link": link["secret"]})
    assert refused(again) == (404, "link_not_found")


def test_acc124_a_link_may_ask_for_a_password(server: Server) -> None:
    wanted = {"role": "viewer", "password": "correct horse"}
    link = server.send("ada", "POST", "/api/flows/f/links", wanted).json
    assert link["has_password"]
    by = {"link": link["secret"]}
    assert refused(server.send(None, "POST", "/api/guests", by)) == (403, "password_refused")
    by["password"] = "correct horse"
    assert server.send(None, "POST", "/api/guests", by).status == 201


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"role": "owner"},
        {"role": "reader"},
        {"role": "viewer", "expires_in": 0},
        {"role": "viewer", "expires_in": -5},
        {"role": "viewer", "expires_in": 1e12},
        {"role": "viewer", "password": ""},
        {"role": "viewer", "password": 5},
        {"role": "viewer", "color": "red"},
    ],
)
def test_acc124_a_bad_link_is_refused(server: Server, wanted: Any) -> None:
    assert server.send("ada", "POST", "/api/flows/f/links", wanted).status == 400
    assert server.send("ada", "GET", "/api/flows/f/links").json == {"links": []}


def test_acc125_members_are_told_when_a_change_is_answered(server: Server) -> None:
    server.change({"members": {"bob": "editor"}})
    poller = server.poller(f"vsn=2.0.0&token={token(sub='bob', exp=NOW + 1000)}")
    poller.push("flow:f", "phx_join")
    assert poller.messages()[0][4]["response"]["role"] == "editor"
    server.change({"members": {"bob": None}})
    assert [message[3] for message in poller.messages()] == ["access_revoked", "phx_close"]


def test_acc126_what_is_open_to_all_who_know_it_is_not_listed(server: Server) -> None:
    for who, listed in (("signed-in", ["f"]), ("link", [])):
        server.change({"general": {"who": who, "role": "viewer"}})
        assert server.send("eve", "GET", "/api/flows/f").json["role"] == "viewer"
        assert server.ids("eve") == listed
    server.change({"groups": {"staff": "viewer"}, "general": {"who": "restricted"}})
    assert server.ids("eve", groups=["staff"]) == ["f"]


def test_acc127_the_audit_log_says_who_did_what(server: Server) -> None:
    server.change({"members": {"bob": "viewer"}})
    link = server.send("ada", "POST", "/api/flows/f/links", {"role": "viewer"}).json
    server.send("ada", "DELETE", f"/api/flows/f/links/{link['id']}")
    assert refused(server.send("ada", "GET", "/api/audit")) == (403, "forbidden")
    first = server.send("root", "GET", "/api/audit?limit=2").json
    check_schema("Audit", first)
    second = server.send("root", "GET", f"/api/audit?limit=2&before={first['next']}").json
    assert second["next"] is None
    entries = [*first["entries"], *second["entries"]]
    assert [entry["action"] for entry in entries] == ["link.revoke", "link.create", "access.change"]
    for entry in entries:
        assert (entry["flow_id"], entry["credential"], entry["at"]) == ("f", None, NOW)
        assert (entry["actor"]["id"], entry["actor"]["kind"]) == ("ada", "person")
    assert entries[2]["details"] == {"members": {"bob": "viewer"}}
    assert link["secret"].partition(".")[2] not in json.dumps(entries)
    numbers = [entry["number"] for entry in entries]
    assert numbers == sorted(numbers, reverse=True)


def test_acc127_a_large_change_is_told_in_short(server: Server) -> None:
    server.change({"members": {f"p{n}": "viewer" for n in range(1000)}, "owner": "bob"})
    (entry,) = server.send("root", "GET", "/api/audit").json["entries"]
    assert entry["details"] == {"members": "1000 changes", "owner": "bob"}


@pytest.mark.parametrize("flow_id", ["access", "links", "links/x", "access/links"])
def test_acc122_a_flow_may_be_called_as_its_parts_are(server: Server, flow_id: str) -> None:
    made = server.send("eve", "POST", "/api/flows", {"id": flow_id}, create=["*"])
    assert made.status == 201
    below = f"/api/flows/{quote(flow_id, safe='')}"
    for address in {below, f"/api/flows/{flow_id}"} - {"/api/flows/access/links"}:
        assert server.send("eve", "GET", address).json["id"] == flow_id
        assert refused(server.send("ada", "GET", address)) == (404, "flow_not_found")
    assert server.send("eve", "GET", f"{below}/access").json["owner"] == "eve"
    assert server.send("eve", "GET", f"{below}/links").json == {"links": []}
    assert refused(server.send("ada", "GET", f"{below}/access")) == (404, "flow_not_found")


def test_acc128_an_open_server_changes_no_access() -> None:
    stack = Stack()
    stack.post_json("/api/flows", {"id": "f"})
    assert stack.get("/api/flows/f/access").json == EMPTY | {"owner": None}
    kind = ("Content-Type", MERGE_PATCH)
    answer = stack.request("PATCH", "/api/flows/f/access", [kind], b'{"owner":"eve"}')
    assert refused(answer) == (403, "forbidden")
    assert refused(stack.post_json("/api/flows/f/links", {"role": "viewer"})) == (403, "forbidden")
    assert stack.get("/api/flows/f/access").json["owner"] is None
    stack.stop()
