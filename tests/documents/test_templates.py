"""The templates: complete, well-formed, and graphs that a person can read. (TPL)"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import helix
from helix.documents.document import FlowDocument, validate
from helix.documents.kinds import load_kinds
from helix.documents.templates import Template, load_templates

FILES = sorted((Path(helix.__file__).parent / "data" / "templates").iterdir())
TEMPLATES = load_templates()

CATEGORIES = {
    "business automation",
    "content creation",
    "customer service",
    "data analysis",
    "e-commerce",
    "finance",
    "healthcare",
}
FIELDS = {
    "agent": {"model", "instructions", "tools"},
    "api": {"method", "url", "headers"},
    "decision": {"condition", "branches"},
    "input": {"format"},
    "loop": {"over", "limit"},
    "memory": {"kind", "key"},
    "output": {"format"},
    "sensor": {"source", "interval"},
    "skill": {"name", "parameters"},
    "transform": {"expression"},
}
"""The node types, and what the data of each holds beside its label and description."""

SETTINGS = {
    kind["type"]: {field["name"]: field for group in kind["groups"] for field in group["fields"]}
    for kind in load_kinds()
}
"""The fields that the editor has for each type, by name."""

TYPES = {
    "choice": str,
    "code": str,
    "json": dict | list,
    "list": list,
    "number": int | float,
    "prompt": str,
    "text": str,
}

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
GRID, WIDTH, HEIGHT = 8, 240, 96

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
each_template = pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.id)


def nodes_of(template: Template) -> dict[str, dict[str, Any]]:
    nodes: dict[str, dict[str, Any]] = template.document["nodes"]
    return nodes


def edges_of(template: Template) -> dict[str, dict[str, Any]]:
    edges: dict[str, dict[str, Any]] = template.document["edges"]
    return edges


def nodes_of_type(template: Template, *types: str) -> list[str]:
    return [node_id for node_id, node in nodes_of(template).items() if node["type"] in types]


def leaving(template: Template, node_id: str) -> list[dict[str, Any]]:
    return [edge for edge in edges_of(template).values() if edge["source"] == node_id]


def links(template: Template) -> dict[str, set[str]]:
    """For each node, the nodes that its edges lead to."""
    nodes = nodes_of(template)
    return {node_id: {e["target"] for e in leaving(template, node_id)} for node_id in nodes}


def backwards(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    return {node: {other for other in graph if node in graph[other]} for node in graph}


def reached(graph: Mapping[str, set[str]], *starts: str) -> set[str]:
    """All nodes that one or more steps lead to."""
    found: set[str] = set()
    new = {target for start in starts for target in graph[start]}
    while new:
        found |= new
        new = {target for node in new for target in graph[node]} - found
    return found


def values_in(value: object) -> Iterator[object]:
    """The value and all that it holds, however deep."""
    yield value
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(children, str | int | float | None):
        for child in children:
            yield from values_in(child)


def test_tpl1_sixteen_templates_in_seven_categories() -> None:
    assert len(FILES) == len(TEMPLATES) == 16
    counts = Counter(template.category for template in TEMPLATES)
    assert set(counts) == CATEGORIES
    assert set(counts.values()) == {2, 3}


def test_tpl1_come_by_category_then_name() -> None:
    order = [(template.category, template.name) for template in TEMPLATES]
    assert order == sorted(order)
    assert len({name for _, name in order}) == 16


def test_tpl1_each_load_has_its_own_documents() -> None:
    first, again = load_templates()[0], load_templates()[0]
    assert first == again
    assert first.document is not again.document


@each_file
def test_tpl1_id_is_the_name_of_the_file(file: Path) -> None:
    assert file.suffix == ".json"
    assert json.loads(file.read_bytes())["id"] == file.stem
    assert SLUG.fullmatch(file.stem)


@each_file
def test_tpl1_file_is_formatted(file: Path) -> None:
    text = file.read_bytes().decode("utf-8")
    formatted = json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False)
    assert text == formatted + "\n"


@each_file
def test_tpl1_file_holds_a_template_and_nothing_else(file: Path) -> None:
    content = json.loads(file.read_bytes())
    assert set(content) == {"id", "name", "description", "category", "document"}
    assert content["name"]
    assert content["description"]
    assert not [value for value in values_in(content) if value is None]


@each_template
def test_tpl2_document_has_the_shape_of_a_flow(template: Template) -> None:
    document = template.document
    assert set(document) == {"title", "description", "viewport", "data", "nodes", "edges"}
    assert document["title"] == template.name
    assert document["description"] == template.description
    assert set(document["viewport"]) == {"x", "y", "zoom"}
    assert document["data"] == {}
    assert 6 <= len(document["nodes"]) <= 14


@each_template
def test_tpl2_ids_are_slugs_and_equal_their_keys(template: Template) -> None:
    for members in (nodes_of(template), edges_of(template)):
        for key, member in members.items():
            assert member["id"] == key
            assert SLUG.fullmatch(key)


@each_template
def test_tpl2_edges_join_two_nodes_once(template: Template) -> None:
    edges = edges_of(template).values()
    for edge in edges:
        assert set(edge) - {"label"} == {"id", "source", "target", "type"}
        assert edge["type"] == "smoothstep"
        assert edge["source"] != edge["target"]
        assert {edge["source"], edge["target"]} <= nodes_of(template).keys()
    assert len({(edge["source"], edge["target"]) for edge in edges}) == len(edges)


@each_template
def test_tpl3_nodes_say_what_they_do(template: Template) -> None:
    for node in nodes_of(template).values():
        assert set(node) == {"id", "type", "position", "data"}
        data = node["data"]
        assert {"label", "description"} | FIELDS[node["type"]] <= data.keys()
        assert all(data[field] for field in FIELDS[node["type"]] - {"tools"})
        assert 0 < len(data["label"]) <= 40
        assert data["description"].endswith((".", "?"))
    labels = [node["data"]["label"] for node in nodes_of(template).values()]
    assert len(set(labels)) == len(labels)


@each_template
def test_tpl3_data_is_what_the_editor_has_fields_for(template: Template) -> None:
    for node in nodes_of(template).values():
        for name, value in node["data"].items():
            if name in ("label", "description"):
                continue
            field = SETTINGS[node["type"]][name]
            assert isinstance(value, TYPES[field["type"]]), (node["id"], name)
            assert field["type"] != "choice" or value in field["options"], (node["id"], name)
            if field["type"] == "number":
                assert field["min"] <= value <= field["max"], (node["id"], name)


def test_tpl3_every_type_is_used_several_times() -> None:
    counts = Counter(node["type"] for each in TEMPLATES for node in nodes_of(each).values())
    assert set(counts) == set(FIELDS)
    assert min(counts.values()) >= 10


@each_template
def test_tpl3_addresses_are_examples(template: Template) -> None:
    for node_id in nodes_of_type(template, "api"):
        address = urlsplit(nodes_of(template)[node_id]["data"]["url"])
        assert address.scheme == "https"
        assert (address.hostname or "").endswith(".example.com")
    text = json.dumps(template.document)
    hosts = {urlsplit(found).hostname or "" for found in re.findall(r"https?://[^\s\"\\]+", text)}
    assert not [host for host in hosts if not host.endswith(".example.com")]


@each_template
def test_tpl3_headers_name_secrets_and_hold_none(template: Template) -> None:
    for node_id in nodes_of_type(template, "api"):
        headers = nodes_of(template)[node_id]["data"]["headers"]
        assert re.fullmatch(r"Bearer \{\{secrets\.[a-z]+\}\}", headers["Authorization"])


@each_template
def test_tpl4_nodes_stand_on_the_grid(template: Template) -> None:
    for node in nodes_of(template).values():
        assert set(node["position"]) == {"x", "y"}
        for value in node["position"].values():
            assert isinstance(value, int)
            assert value >= 0
            assert value % GRID == 0


@each_template
def test_tpl4_boxes_do_not_overlap(template: Template) -> None:
    for one, other in combinations(nodes_of(template).values(), 2):
        apart_x = abs(one["position"]["x"] - other["position"]["x"])
        apart_y = abs(one["position"]["y"] - other["position"]["y"])
        assert apart_x >= WIDTH or apart_y >= HEIGHT, (one["id"], other["id"])


@each_template
def test_tpl4_edges_lead_right_except_back_to_a_loop(template: Template) -> None:
    nodes = nodes_of(template)
    for edge in edges_of(template).values():
        source, target = nodes[edge["source"]], nodes[edge["target"]]
        if target["position"]["x"] < source["position"]["x"] + WIDTH:
            assert target["type"] == "loop", edge["id"]


@each_template
def test_tpl5_graph_is_connected(template: Template) -> None:
    there = links(template)
    back = backwards(there)
    either_way = {node: there[node] | back[node] for node in there}
    assert reached(either_way, next(iter(there))) == set(there)


@each_template
def test_tpl5_every_step_lies_between_a_start_and_an_end(template: Template) -> None:
    there = links(template)
    back = backwards(there)
    starts = [node for node in there if not back[node]]
    ends = [node for node in there if not there[node]]
    assert set(starts) <= set(nodes_of_type(template, "input", "sensor", "memory"))
    assert set(ends) <= set(nodes_of_type(template, "output", "memory"))
    assert set(starts) & set(nodes_of_type(template, "input", "sensor"))
    assert set(ends) & set(nodes_of_type(template, "output"))
    assert set(starts) | reached(there, *starts) == set(there)
    assert set(ends) | reached(back, *ends) == set(there)


@each_template
def test_tpl5_a_way_back_leads_to_a_loop(template: Template) -> None:
    there = links(template)
    loops = nodes_of_type(template, "loop")
    for loop in loops:
        assert loop in reached(there, loop)
    without = {node: there[node] - set(loops) for node in there if node not in loops}
    assert not [node for node in without if node in reached(without, node)]


@each_template
def test_tpl5_decisions_and_loops_label_their_ways(template: Template) -> None:
    for node_id in nodes_of_type(template, "decision"):
        labels = [edge["label"] for edge in leaving(template, node_id)]
        assert len(labels) >= 2
        assert len(set(labels)) == len(labels)
        assert all(labels)
        assert sorted(labels) == sorted(nodes_of(template)[node_id]["data"]["branches"])
    for node_id in nodes_of_type(template, "loop"):
        assert sorted(edge["label"] for edge in leaving(template, node_id)) == ["done", "each"]
    labelled = nodes_of_type(template, "decision", "loop")
    assert not [
        e for e in edges_of(template).values() if "label" in e and e["source"] not in labelled
    ]


@pytest.mark.parametrize(
    "template",
    [template for template in TEMPLATES if template.category in {"finance", "healthcare"}],
    ids=lambda template: template.id,
)
def test_tpl6_a_person_decides_where_mistakes_harm(template: Template) -> None:
    people = set(nodes_of_type(template, "input"))
    unasked = {
        node: targets - people for node, targets in links(template).items() if node not in people
    }
    agents = nodes_of_type(template, "agent")
    assert agents
    assert not reached(unasked, *agents) & set(nodes_of_type(template, "api", "output"))


def test_tpl6_a_clinician_reads_every_result_before_the_patient() -> None:
    (template,) = (template for template in TEMPLATES if template.id == "lab-results")
    unread = {
        node: targets - {"clinician"}
        for node, targets in links(template).items()
        if node != "clinician"
    }
    assert not reached(unread, "lab-feed") & set(nodes_of_type(template, "output"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.id)
def test_tpl2_documents_are_valid_and_can_be_staged(template: Template) -> None:
    """Our own validator takes each, and so does the staging of a patch that makes it."""
    document = FlowDocument.empty()
    assert validate(template.document) == template.document
    document.apply(document.stage(template.document))
    assert document.content == template.document
