"""Who entries and names of versions are by, by REST. (docs/spec.md, ACC107, ACC108)"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import attrs
import pytest

from helix.access.principal import FlowPattern, Grant, Kind, Principal
from helix.access.roles import Role
from tests.support.flowdata import node
from tests.support.memory_clients import Answer
from tests.web.test_rest_access import Flows, refusal

ADA = Principal(
    "ada@example.com",
    "Ada",
    kind=Kind.SERVICE,
    grants=((FlowPattern.parse("*"), Grant(Role.OWNER)),),
    create=(FlowPattern.parse("*"),),
)
ACTOR = {"id": "ada@example.com", "kind": "service", "name": "Ada"}
AI = attrs.evolve(
    ADA, grants=((FlowPattern.parse("*"), Grant(Role.OWNER, None, {"source": "ai"})),)
)
DOCUMENT = {"title": "Graph"}


@pytest.fixture
def flows() -> Flows:
    return Flows()


def query(tags: object) -> str:
    return f"?tags={quote(tags if isinstance(tags, str) else json.dumps(tags))}"


def entries(flows: Flows, flow_id: str = "f") -> list[dict[str, Any]]:
    answer = flows.send("GET", f"/api/flows/{flow_id}/entries")
    assert answer.status == 200
    listed: list[dict[str, Any]] = answer.json["entries"]
    return listed


def author(entry: dict[str, Any]) -> tuple[Any, ...]:
    return entry["by"], entry.get("actor"), entry.get("tags")


def change(flows: Flows, verb: str, tags: object, title: str = "New") -> Answer:
    """One of the requests that make an entry in a flow."""
    address = f"/api/flows/f{{}}{query(tags)}"
    if verb == "PATCH":
        kind = ("Content-Type", "application/merge-patch+json")
        return flows.send("PATCH", address.format(""), {"title": title}, kind)
    if verb == "PUT":
        return flows.send("PUT", address.format(""), {"title": title})
    return flows.send("POST", address.format("/restore"), {"version": 0})


VERBS = ["PATCH", "PUT", "restore"]


@pytest.mark.parametrize("verb", VERBS)
def test_acc107_edits_have_actors_and_tags(flows: Flows, verb: str) -> None:
    flows.make("f", DOCUMENT)
    assert change(flows.by(AI), verb, {"source": "human", "run": 7}).status == 200
    first, second = entries(flows)
    assert author(first) == ("", None, None)
    assert author(second) == ("Ada", ACTOR, {"source": "ai", "run": 7})
    assert {"actor", "tags"}.isdisjoint(first)


@pytest.mark.parametrize("way", ["create", "import", "named import", "duplicate"])
def test_acc107_new_flows_have_actors_and_tags(flows: Flows, way: str) -> None:
    flows.make("f", DOCUMENT)
    flows.by(AI)
    marks = query({"run": 7})
    if way == "create":
        made = flows.send("POST", f"/api/flows{marks}", {"document": DOCUMENT})
    elif way == "duplicate":
        made = flows.send("POST", f"/api/flows/f/duplicate{marks}")
    else:
        named = "&id=g" if way == "named import" else ""
        made = flows.send(
            "POST", f"/api/flows/import{marks}{named}", {"nodes": [node("a")], "edges": []}
        )
    assert made.status == 201, made.body
    (entry,) = entries(flows, made.json["id"])
    assert author(entry) == ("Ada", ACTOR, {"source": "ai", "run": 7})


@pytest.mark.parametrize("verb", VERBS)
def test_acc107_on_an_open_server_tags_alone_are_kept(flows: Flows, verb: str) -> None:
    flows.make("f", DOCUMENT)
    assert change(flows, verb, {"run": 7}).status == 200
    assert author(entries(flows)[-1]) == ("", None, {"run": 7})
    assert change(flows, "PATCH", {}, "Newer").status == 200
    assert author(entries(flows)[-1]) == ("", None, None)


@pytest.mark.parametrize(
    "tags",
    ["", "x", "[]", "1", "null", '"a"', "{", '{"a":1}}', '{"a":"%s"}' % ("x" * 1024), "[" * 1000],
)
@pytest.mark.parametrize("verb", VERBS)
def test_acc107_what_cannot_be_tags_is_refused(flows: Flows, verb: str, tags: str) -> None:
    flows.make("f", DOCUMENT)
    refused = change(flows.by(ADA), verb, tags)
    assert refusal(refused) == (400, "invalid_parameters")
    assert refused.json["detail"].startswith("tags must be a JSON object")
    assert len(entries(flows)) == 1


def test_acc108_names_of_versions_have_actors_and_tags(flows: Flows) -> None:
    flows.make("f", DOCUMENT)
    reader = flows.by(ADA).poller()
    reader.push("flow:f", "phx_join", {"mode": "document", "client_id": "reader"})
    reader.messages()
    flows.clock.advance(1)
    address = f"/api/flows/f/versions/1{query({'run': 7})}"
    given = flows.by(AI).send("PUT", address, {"name": "Launch"})
    assert given.status == 201
    told = {"by": "Ada", "actor": ACTOR, "tags": {"run": 7, "source": "ai"}}
    assert {name: given.json[name] for name in told} == told
    (listed,) = flows.send("GET", "/api/flows/f/versions").json["versions"]
    assert {name: listed[name] for name in told} == told
    messages = reader.messages()
    assert flows.send("DELETE", address).status == 204
    messages += reader.messages()
    named = [message[4] for message in messages if message[3] == "version_named"]
    assert [one["name"] for one in named] == ["Launch", None]
    assert [{name: one[name] for name in told} for one in named] == [told, told]
