"""What can't be a document or a patch of one: each refusal, its place, and nothing applied."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.documents.document import (
    DocumentLimits,
    FlowDocument,
    JsonObject,
    empty_document,
    merge,
    validate,
    validate_past,
)
from helix.documents.importing import read_import
from helix.errors import DocumentTooLarge, HelixError, InvalidPatch, PatchTooLarge
from tests.support.flowdata import FLOW_PATCHES, FLOWS, by_id, chain, edge, flow, node

INFINITY = float("inf")
TOO_LONG = "é" * 128


def deep(levels: int) -> Any:
    """Nest arrays and objects ``levels`` deep."""
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


def a_node(**fields: Any) -> JsonObject:
    """A patch of the node n1."""
    return {"nodes": {"n1": fields}}


def an_edge(**fields: Any) -> JsonObject:
    """A patch of the edge e1."""
    return {"edges": {"e1": fields}}


FAULTS: list[tuple[Any, str]] = [
    # Not an object of the known members.
    (None, ""),
    ([], ""),
    ("text", ""),
    (OrderedDict(), ""),
    ({"name": "x"}, "/name"),
    ({"a/b~c": None}, "/a~1b~0c"),
    ({"version": None}, "/version"),
    # Wrong types, and deletions of what has to be.
    ({"title": 1}, "/title"),
    ({"title": None}, "/title"),
    ({"description": ["x"]}, "/description"),
    ({"viewport": None}, "/viewport"),
    ({"viewport": [0, 0, 1]}, "/viewport"),
    ({"viewport": {"zoom": None}}, "/viewport/zoom"),
    ({"viewport": {"x": "1"}}, "/viewport/x"),
    ({"viewport": {"z": 1}}, "/viewport/z"),
    ({"data": None}, "/data"),
    ({"data": 1}, "/data"),
    ({"nodes": None}, "/nodes"),
    ({"nodes": []}, "/nodes"),
    ({"edges": None}, "/edges"),
    ({"edges": "x"}, "/edges"),
    ({"nodes": {"n1": 1}}, "/nodes/n1"),
    ({"nodes": {"n1": []}}, "/nodes/n1"),
    ({"edges": {"e1": False}}, "/edges/e1"),
    (a_node(id=None), "/nodes/n1/id"),
    (a_node(id="n2"), "/nodes/n1/id"),
    (a_node(id=1), "/nodes/n1/id"),
    (a_node(type=1), "/nodes/n1/type"),
    (a_node(position=None), "/nodes/n1/position"),
    (a_node(position=[1, 2]), "/nodes/n1/position"),
    (a_node(position={"x": None}), "/nodes/n1/position/x"),
    (a_node(position={"y": True}), "/nodes/n1/position/y"),
    (a_node(position={"x": 1, "z": 1}), "/nodes/n1/position/z"),
    (a_node(data=None), "/nodes/n1/data"),
    (a_node(data=["x"]), "/nodes/n1/data"),
    (a_node(type=[]), "/nodes/n1/type"),
    (a_node(type={"x": "y"}), "/nodes/n1/type"),
    (a_node(parentId=1), "/nodes/n1/parentId"),
    (a_node(parentId={"id": "n2"}), "/nodes/n1/parentId"),
    (a_node(parentId=False), "/nodes/n1/parentId"),
    (an_edge(type=1), "/edges/e1/type"),
    (an_edge(type=["x"]), "/edges/e1/type"),
    (an_edge(type=False), "/edges/e1/type"),
    (an_edge(id="n1"), "/edges/e1/id"),
    (an_edge(source=None), "/edges/e1/source"),
    (an_edge(target=1), "/edges/e1/target"),
    ({"nodes": {"gone": {"position": {"x": "1"}}}}, "/nodes/gone/position/x"),
    # A node that is created without what it needs.
    ({"nodes": {"n9": {"id": "n9", "data": {}}}}, "/nodes/n9/position"),
    ({"nodes": {"n9": {"id": "n9", "position": {"x": 1, "y": 1}}}}, "/nodes/n9/data"),
    ({"nodes": {"n9": {"id": "n9", "position": {"x": 1}, "data": {}}}}, "/nodes/n9/position/y"),
    # Numbers.
    ({"viewport": {"zoom": float("nan")}}, "/viewport/zoom"),
    (a_node(position={"x": INFINITY}), "/nodes/n1/position/x"),
    (a_node(position={"x": 10**400}), "/nodes/n1/position/x"),
    (a_node(width=-INFINITY), "/nodes/n1/width"),
    (a_node(data={"k": [0, {"l": -(10**400)}]}), "/nodes/n1/data/k/1/l"),
    (an_edge(data={"k": float("nan")}), "/edges/e1/data/k"),
    # Ids and names.
    ({"nodes": {"": None}}, "/nodes/"),
    ({"nodes": {TOO_LONG: None}}, f"/nodes/{TOO_LONG}"),
    ({"edges": {TOO_LONG: {}}}, f"/edges/{TOO_LONG}"),
    ({"__proto__": {}}, "/__proto__"),
    ({"nodes": {"constructor": None}}, "/nodes/constructor"),
    ({"edges": {"prototype": {}}}, "/edges/prototype"),
    ({"viewport": {"__proto__": 1}}, "/viewport/__proto__"),
    ({"data": {"k": {"__proto__": None}}}, "/data/k/__proto__"),
    (a_node(constructor=1), "/nodes/n1/constructor"),
    (a_node(data={"k": [{"prototype": 1}]}), "/nodes/n1/data/k/0/prototype"),
    (an_edge(style={"__proto__": 1}), "/edges/e1/style/__proto__"),
    # What JSON or UTF-8 can't hold.
    ({"title": "\ud83d"}, "/title"),
    ({"data": {"\ud83d": 1}}, r"/data/'\ud83d'"),
    (a_node(data={"k": ["\udc00"]}), "/nodes/n1/data/k/0"),
    ({"nodes": {1: None}}, "/nodes/1"),
    ({"data": {"k": (1, 2)}}, "/data/k"),
    ({"data": {"k": b"x"}}, "/data/k"),
    ({"data": {"k": {1, 2}}}, "/data/k"),
    # Depth: what stands in `data` has 30 levels left, what stands in a node's 28.
    # Numbers that browsers would show, and write back, as others.
    ({"data": {"k": 2**53 + 1}}, "/data/k"),
    ({"data": {"k": [{"l": -(2**53) - 1}]}}, "/data/k/0/l"),
    ({"data": {"k": 1e17}}, "/data/k"),
    (a_node(position={"y": 2**60}), "/nodes/n1/position/y"),
    ({"viewport": {"zoom": 1e300}}, "/viewport/zoom"),
    ({"data": {"k": deep(31)}}, "/data" + "/k" + "/k/0" * 15),
    (a_node(data={"k": deep(29)}), "/nodes/n1/data/k" + "/k/0" * 14),
    (a_node(style=deep(30)), None),
    (an_edge(data=deep(30)), None),
]


@pytest.mark.parametrize(("patch", "path"), FAULTS, ids=lambda value: ascii(value)[:60])
def test_doc7_a_fault_is_refused_with_its_place(patch: Any, path: str | None) -> None:
    document = flow(by_id(node("n1"), node("n2")), by_id(edge("e1", "n1", "n2")))
    content = copy.deepcopy(document.content)
    size = document.size_bytes
    valid = {"title": "changed", "nodes": {"n2": None}}
    patches = [patch]
    if type(patch) is dict:
        rest = {key: value for key, value in valid.items() if key not in patch}
        patches += [rest | patch, patch | rest]
    for one in patches:
        with pytest.raises(InvalidPatch) as caught:
            document.stage(one)
        if path is not None:
            assert caught.value.path == path
        assert caught.value.code == "invalid_patch"
        assert not caught.value.retry
        assert caught.value.message.startswith(caught.value.path[:300] or "The whole ")
        caught.value.message.encode()
    assert document.content == content
    assert document.size_bytes == size


@pytest.mark.parametrize(
    "patch",
    [
        {"data": {"k": deep(30)}},
        a_node(data={"k": deep(28)}),
        an_edge(data=deep(29)),
        {"nodes": {"é" * 127 + "x": node("é" * 127 + "x")}},
        a_node(width=100, selected=True, parentId="n2", style={"color": "red"}, handles=[None, 1]),
        a_node(type="", position={"x": -0.5, "y": -(2**53)}, data={"": {"é": "\N{GRINNING FACE}"}}),
        an_edge(type="smooth", animated=True, sourceHandle=None, markerEnd={"type": "arrow"}),
        {"nodes": {"n/1 ~\n": node("n/1 ~\n"), "proto": node("proto")}},
        {"title": "__proto__", "data": {"of": ["constructor"], "toString": 1}},
    ],
    ids=lambda patch: ascii(patch)[:60],
)
def test_doc7_what_stands_just_within_the_rules_is_taken(patch: JsonObject) -> None:
    document = flow(by_id(node("n1"), node("n2")), by_id(edge("e1", "n1", "n2")))
    effective = document.stage(patch)
    assert effective
    document.apply(effective)
    assert validate(document.content) is document.content


@given(FLOWS, FLOW_PATCHES, st.sampled_from([fault for fault in FAULTS if type(fault[0]) is dict]))
def test_doc7_nothing_of_a_faulty_patch_is_applied(
    flow: FlowDocument, patch: JsonObject, fault: tuple[Any, str]
) -> None:
    content, size = copy.deepcopy(flow.content), flow.size_bytes
    with pytest.raises(InvalidPatch):
        flow.stage(patch | fault[0])
    assert (flow.content, flow.size_bytes) == (content, size)


def test_doc7_a_message_shows_no_more_of_a_path_than_helps() -> None:
    with pytest.raises(InvalidPatch) as caught:
        FlowDocument.empty().stage({"data": {"k" * 10_000: float("nan")}})
    assert len(caught.value.path) > 10_000
    assert len(caught.value.message) < 400


# Whole documents.


WHOLE_FAULTS: list[tuple[Any, str]] = [
    ({"title": None}, "/title"),
    ({"data": {"k": None}}, "/data/k"),
    ({"data": {"k": {"l": None}}}, "/data/k/l"),
    ({"viewport": {"x": 0, "y": 0}}, "/viewport/zoom"),
    ({"nodes": {"n1": None}}, "/nodes/n1"),
    ({"nodes": {"n1": {"position": {"x": 0, "y": 0}, "data": {}}}}, "/nodes/n1/id"),
    ({"nodes": {"n1": node("n1", type=None)}}, "/nodes/n1/type"),
    ({"nodes": {"n1": node("n1", position={"x": 1})}}, "/nodes/n1/position/y"),
    ({"nodes": {"n1": node("n1", parentId=None)}}, "/nodes/n1/parentId"),
    ({"edges": {"e1": edge("e1", "n1", "n1")}}, "/edges/e1/source"),
    ({"nodes": by_id(node("n1")), "edges": {"e": edge("e", "n1", "n2")}}, "/edges/e/target"),
    ({"nodes": by_id(node("n1")), "edges": {"e": {"id": "e", "source": "n1"}}}, "/edges/e/target"),
    ({"more": 1}, "/more"),
]


@pytest.mark.parametrize(("members", "path"), WHOLE_FAULTS, ids=lambda value: ascii(value)[:60])
def test_doc7_a_whole_document_is_refused_with_the_place_of_its_fault(
    members: JsonObject, path: str
) -> None:
    document = chain(2)
    before = copy.deepcopy(document.content)
    for check in (validate, document.stage_document):
        with pytest.raises(InvalidPatch) as caught:
            check(empty_document() | members)
        assert caught.value.path == path
    assert document.content == before


@pytest.mark.parametrize("name", empty_document())
def test_doc1_a_whole_document_has_all_its_members(name: str) -> None:
    document = {key: value for key, value in empty_document().items() if key != name}
    with pytest.raises(InvalidPatch) as caught:
        validate(document)
    assert caught.value.path == f"/{name}"
    assert validate(merge(empty_document(), document)) == empty_document()


@given(FLOWS)
def test_doc1_what_patches_make_is_a_document(flow: FlowDocument) -> None:
    assert validate(flow.content) is flow.content


def test_doc6_nulls_in_arrays_are_values() -> None:
    whole = empty_document() | {"data": {"k": [None, {"l": None}]}}
    assert validate(whole) is whole
    assert merge(empty_document(), whole) == whole


# Limits.


def small(**limits: int) -> FlowDocument:
    return FlowDocument(chain(3).content, DocumentLimits(**limits))


def test_doc8_a_patch_has_at_most_so_many_bytes() -> None:
    document = small(max_patch_bytes=30)
    fits = {"title": "x" * 18}
    assert document.stage(fits) == fits
    too_large = {"title": "x" * 19}
    with pytest.raises(PatchTooLarge) as caught:
        document.stage(too_large)
    assert caught.value.code == "patch_too_large"
    assert document.stage(too_large, bounded=False) == too_large


def test_doc8_a_document_has_at_most_so_many_bytes() -> None:
    size = chain(3).size_bytes
    document = small(max_document_bytes=size + 5)
    before = copy.deepcopy(document.content)
    with pytest.raises(DocumentTooLarge) as caught:
        document.stage({"title": "123456"})
    assert caught.value.code == "document_too_large"
    assert document.content == before
    document.apply(document.stage({"title": "12345"}))
    assert document.size_bytes == size + 5
    with pytest.raises(DocumentTooLarge):
        document.stage({"nodes": {"n0": {"position": {"x": 10}}}})
    assert document.stage({"nodes": {"n0": {"position": {"x": 1}}}})
    assert document.stage({"title": "", "description": "12345"})
    validate(document.content, document.limits)
    with pytest.raises(DocumentTooLarge):
        validate(document.content, DocumentLimits(max_document_bytes=size + 4))


def test_doc8_a_document_has_at_most_so_many_nodes_and_edges() -> None:
    document = small(max_members=6)  # it has 3 nodes and 2 edges
    one = {"nodes": by_id(node("x"))}
    two = {"nodes": by_id(node("x")), "edges": by_id(edge("x", "x", "n1"))}
    assert document.stage(one) == one
    with pytest.raises(DocumentTooLarge):
        document.stage(two)
    exchanged = two | {"nodes": two["nodes"] | {"n0": None}}
    document.apply(document.stage(exchanged))
    assert document.node_count + document.edge_count == 5
    validate(document.content, document.limits)
    with pytest.raises(DocumentTooLarge):
        validate(document.content, DocumentLimits(max_members=4))


def test_doc8_a_document_over_its_limits_may_shrink_and_be_edited() -> None:
    document = small(max_members=1, max_document_bytes=10)
    for patch in ({"nodes": {"n0": {"position": {"x": 5}}}}, {"nodes": {"n0": None}}):
        effective = document.stage(patch)
        assert effective
        document.apply(effective)
    with pytest.raises(DocumentTooLarge):
        document.stage({"nodes": {"n1": {"position": {"x": 55}}}})


def test_doc8_the_limits_on_depth_and_ids_can_be_set() -> None:
    document = small(max_depth=4, max_id_bytes=2)
    assert document.stage({"nodes": {"n0": {"data": {"k": 1}}}})
    for patch in ({"nodes": {"n0": {"data": {"k": {}}}}}, {"nodes": {"n00": None}}):
        with pytest.raises(InvalidPatch):
            document.stage(patch)


def test_doc8_limits_are_as_documented() -> None:
    limits = DocumentLimits()
    assert limits.max_patch_bytes == 262_144
    assert limits.max_document_bytes == 16_777_216
    assert (limits.max_members, limits.max_depth, limits.max_id_bytes) == (20_000, 32, 255)
    assert FlowDocument.empty().limits == limits


def test_doc7_errors_are_ours() -> None:
    assert issubclass(InvalidPatch, HelixError)
    assert {InvalidPatch.code, PatchTooLarge.code, DocumentTooLarge.code} == {
        "invalid_patch",
        "patch_too_large",
        "document_too_large",
    }


def old_flow() -> FlowDocument:
    """As a log may have made it before the type of an edge had to be a text."""
    content = flow(by_id(node("n1"), node("n2")), by_id(edge("e1", "n1", "n2"))).content
    content["edges"]["e1"]["type"] = [5]
    return FlowDocument(content)


def test_doc7_older_documents_are_read_as_they_can_be() -> None:
    content = old_flow().content
    read = validate_past(content)
    assert "type" not in read["edges"]["e1"]
    assert content["edges"]["e1"]["type"] == [5], "the log's own document stays as it is"
    assert validate_past(read) is read
    with pytest.raises(InvalidPatch) as refused:
        validate(content)
    assert refused.value.path == "/edges/e1/type"
    imported = read_import({"format": "helix-flow", "format_version": 1, "document": content}, str)
    assert imported.document["edges"] == read["edges"]
    browser = {"nodes": [node("n1"), node("n2")], "edges": [content["edges"]["e1"]]}
    assert read_import(browser, str).document["edges"] == read["edges"]


@pytest.mark.parametrize(
    "patch",
    [an_edge(type=None), an_edge(type="step"), {"edges": {"e1": None}}, a_node(data={"k": 1}),
     an_edge(label="x")],
)  # fmt: skip
def test_doc7_older_documents_can_be_mended_and_edited(patch: JsonObject) -> None:
    document = old_flow()
    assert document.stage(patch) == patch
    document.apply(patch)
