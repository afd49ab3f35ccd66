"""A flow's document: what is staged, what is dropped, and the laws of the log."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from helix.documents.document import (
    FlowDocument,
    JsonObject,
    diff,
    empty_document,
    encode_document,
    inverse,
    merge,
    validate,
)
from helix.documents.merge_patch import same, size_of
from helix.errors import InvalidPatch
from tests.support.flowdata import (
    FLOW_PATCHES,
    FLOWS,
    by_id,
    chain,
    edge,
    flow,
    node,
    outcome,
    recount,
)

LOGS = st.lists(FLOW_PATCHES, max_size=8)


def pair() -> FlowDocument:
    """Nodes a, b and c, and an edge e from a to b."""
    return flow(by_id(node("a"), node("b"), node("c")), by_id(edge("e", "a", "b", label="old")))


# The laws of the log.


@given(LOGS)
def test_doc2_a_log_replayed_by_rfc_7396_alone_gives_the_document(patches: list[Any]) -> None:
    server, replica = FlowDocument.empty(), FlowDocument.empty()
    plain = empty_document()
    log = []
    for patch in patches:
        effective = server.stage(patch)
        server.apply(effective)
        log.append((effective, copy.deepcopy(effective)))
        plain = merge(plain, effective)
        replica.apply(copy.deepcopy(effective))
    assert server.content == plain == replica.content
    assert encode_document(server.content) == encode_document(plain)
    assert all(entry == kept for entry, kept in log)


@given(FLOW_PATCHES, FLOW_PATCHES)
def test_doc2_what_a_first_entry_makes_is_what_applying_it_makes(
    patch: JsonObject, then: JsonObject
) -> None:
    applied = FlowDocument.empty()
    first = applied.stage(patch)
    assume("null" not in json.dumps(first))
    applied.apply(first)
    begun = FlowDocument.begun(copy.deepcopy(first))
    assert encode_document(begun.content) == encode_document(applied.content)
    for document in (begun, applied):
        document.apply(document.stage(then))
    assert encode_document(begun.content) == encode_document(applied.content)
    assert begun.size_bytes == applied.size_bytes == len(encode_document(begun.content))


@given(FLOWS, FLOW_PATCHES)
def test_doc3_doc4_staging_does_what_the_rules_say(flow: FlowDocument, patch: JsonObject) -> None:
    before = copy.deepcopy((flow.content, patch))
    effective = flow.stage(patch)
    assert (flow.content, patch) == before
    expected = outcome(flow.content, patch)
    assert diff(flow.content, expected) == effective
    flow.apply(effective)
    assert flow.content == expected
    validate(flow.content)


@given(FLOWS, FLOW_PATCHES)
def test_doc5_staging_is_idempotent(flow: FlowDocument, patch: JsonObject) -> None:
    effective = flow.stage(patch)
    assert flow.stage(effective) == effective
    flow.apply(effective)
    assert flow.stage(effective) == {}


@given(FLOWS, FLOW_PATCHES)
def test_doc9_an_inverse_undoes_an_entry(flow: FlowDocument, patch: JsonObject) -> None:
    before = copy.deepcopy(flow.content)
    effective = flow.stage(patch)
    undo = inverse(flow.content, effective)
    flow.apply(effective)
    assert flow.stage(undo) == undo
    flow.apply(undo)
    assert flow.content == before
    assert encode_document(flow.content) == encode_document(before)


@given(FLOWS, FLOWS)
def test_doc9_any_document_can_become_any_other(a: FlowDocument, b: FlowDocument) -> None:
    effective = a.stage_document(b.content)
    assert effective == diff(a.content, b.content)
    assert a.stage(effective) == effective
    a.apply(effective)
    assert same(a.content, b.content)


@given(FLOWS, LOGS)
def test_doc8_sizes_counts_and_edges_equal_a_recount(flow: FlowDocument, log: list[Any]) -> None:
    for patch in log:
        flow.apply(flow.stage(patch))
    again = recount(flow)
    assert flow.size_bytes == again.size_bytes == len(encode_document(flow.content))
    assert flow.node_count == len(flow.content["nodes"])
    assert flow.edge_count == len(flow.content["edges"])
    everything = {"nodes": dict.fromkeys(flow.content["nodes"])}
    assert flow.stage(everything) == again.stage(everything)
    flow.apply(flow.stage(everything))
    assert flow.content["edges"] == flow.content["nodes"] == {}


@given(FLOWS, FLOW_PATCHES)
def test_doc8_a_document_grows_by_no_more_bytes_than_its_patch_has(
    flow: FlowDocument, patch: JsonObject
) -> None:
    before = flow.size_bytes
    flow.apply(flow.stage(patch))
    assert flow.size_bytes <= before + size_of(patch)


# Creating, editing and deleting.


OPERATIONS: dict[str, Any] = {
    "create": node("n", data={"by": "creator"}),
    "edit": {"data": {"edited": True}},
    "move": {"position": {"x": 5}},
    "delete": None,
}


@pytest.mark.parametrize("order", [*itertools.product(OPERATIONS, repeat=4)], ids="-".join)
def test_doc3_two_parties_create_edit_and_delete_a_node_in_every_order(
    order: tuple[str, ...],
) -> None:
    document = FlowDocument.empty()
    expected: JsonObject | None = None
    for step in order:
        before = copy.deepcopy(expected)
        if step == "delete":
            expected = None
        elif step == "create":
            created = node("n", data={"by": "creator"})
            expected = merge(expected, created)
        elif expected is not None:
            expected = merge(expected, OPERATIONS[step])
        effective = document.stage({"nodes": {"n": OPERATIONS[step]}})
        assert bool(effective) is (before != expected)
        document.apply(effective)
        assert document.content["nodes"] == ({} if expected is None else {"n": expected})


NODE_STEPS: list[JsonObject] = [
    {},
    {"b": None},
    {"a": None, "b": None},
    {"b": {"data": {"k": 1}}},
    {"b": node("b", data={"new": 1})},
    {"d": node("d")},
    {"d": node("d"), "b": None},
    {"d": {"data": {"k": 1}}},
]
EDGE_STEPS: list[JsonObject] = [
    {},
    {"e": None},
    {"e": {"label": "new"}},
    {"e": {"target": "c"}},
    {"e": {"target": "d", "label": "new"}},
    {"e": {"source": "b", "target": "b"}},
    {"e": edge("e", "b", "c")},
    {"e": edge("e", "a", "d")},
    {"f": edge("f", "b", "d")},
    {"f": edge("f", "c", "c")},
    {"f": {"label": "new"}},
    {"f": {"id": "f", "target": "b"}},
]
STEPS = [{"nodes": nodes, "edges": edges} for nodes in NODE_STEPS for edges in EDGE_STEPS]


@pytest.mark.parametrize("first", STEPS, ids=repr)
def test_doc4_nodes_and_edges_in_every_order(first: JsonObject) -> None:
    for second in STEPS:
        document = pair()
        for patch in (first, second):
            expected = outcome(document.content, patch)
            effective = document.stage(patch)
            assert merge(document.content, effective) == expected
            assert document.stage(effective) == effective
            document.apply(effective)
            assert document.content == expected


@pytest.mark.parametrize(
    ("patch", "effective"),
    [
        pytest.param(
            {"nodes": {"ghost": {"position": {"x": 1}}, "a": {"position": {"x": 1}}}},
            {"nodes": {"a": {"position": {"x": 1}}}},
            id="doc3 a late drag brings no ghost back, and the rest counts",
        ),
        pytest.param({"nodes": {"ghost": None}}, {}, id="doc3 deleted twice"),
        pytest.param({"nodes": {"ghost": {}}, "edges": {"x": {}}}, {}, id="doc3 empty values"),
        pytest.param(
            {"edges": {"x": {"id": "x", "source": "a"}, "y": {"source": "a", "target": "b"}}},
            {},
            id="doc3 edges that don't carry id, source and target",
        ),
        pytest.param(
            {"nodes": {"d": node("d", type=None, data={"k": None, "l": {"m": None}}, w=None)}},
            {"nodes": {"d": {"id": "d", "position": {"x": 0, "y": 0}, "data": {"l": {}}}}},
            id="doc6 nulls in what is created are left out",
        ),
        pytest.param(
            {"nodes": {"a": {"data": {"k": [None, {"l": None}], "m": {"n": None}}}}},
            {"nodes": {"a": {"data": {"k": [None, {"l": None}], "m": {}}}}},
            id="doc6 arrays keep their nulls",
        ),
        pytest.param({"nodes": {"a": {"type": None}}}, {"nodes": {"a": {"type": None}}}, id="type"),
        pytest.param(
            {"nodes": {"b": None}},
            {"nodes": {"b": None}, "edges": {"e": None}},
            id="doc4 a node's edges go with it",
        ),
        pytest.param(
            {"nodes": {"b": None}, "edges": {"e": {"label": "new"}}},
            {"nodes": {"b": None}, "edges": {"e": None}},
            id="doc4 an edit doesn't save an edge",
        ),
        pytest.param(
            {"nodes": {"b": None}, "edges": {"e": {"target": "c"}}},
            {"nodes": {"b": None}, "edges": {"e": {"target": "c"}}},
            id="doc4 an edge that is led elsewhere stays",
        ),
        pytest.param(
            {"nodes": {"b": None}, "edges": {"e": {"target": "ghost"}}},
            {"nodes": {"b": None}, "edges": {"e": None}},
            id="doc4 led to a ghost, it goes",
        ),
        pytest.param(
            {"edges": {"e": {"source": "c", "target": "ghost", "label": "new"}}},
            {},
            id="doc4 an edge is not led to a ghost, not even halfway",
        ),
        pytest.param(
            {"edges": {"f": edge("f", "a", "d"), "g": edge("g", "d", "d")}, "nodes": {"d": {}}},
            {},
            id="doc4 edges to nodes that are not created",
        ),
        pytest.param(
            {"edges": {"f": edge("f", "a", "d")}, "nodes": {"d": node("d")}},
            {"edges": {"f": edge("f", "a", "d")}, "nodes": {"d": node("d")}},
            id="doc4 an edge to a node of the same patch",
        ),
        pytest.param(
            {"edges": {"f": edge("f", "a", "b")}, "nodes": {"b": None}},
            {"edges": {"e": None}, "nodes": {"b": None}},
            id="doc4 an edge to a node that the same patch deletes",
        ),
        pytest.param(
            {"nodes": {"a": node("a"), "b": {"position": {"x": 0.0}}}, "title": "", "edges": {}},
            {},
            id="doc5 nothing changes",
        ),
        pytest.param(
            {"edges": {"e": edge("e", "a", "b", sourceHandle=None)}}, {}, id="doc5 nor here"
        ),
        pytest.param({"data": {"k": True}, "title": "T"}, {"data": {"k": True}, "title": "T"}),
        pytest.param({}, {}, id="doc5 the empty patch"),
    ],
)
def test_doc3_to_doc6_what_is_effective(patch: JsonObject, effective: JsonObject) -> None:
    document = pair()
    assert document.stage(patch) == effective


def test_doc4_only_the_edges_of_the_node_now_go_with_it() -> None:
    document = pair()
    document.apply(document.stage({"edges": {"e": {"target": "c"}, "s": edge("s", "c", "c")}}))
    assert document.stage({"nodes": {"b": None}}) == {"nodes": {"b": None}}
    both = {"nodes": {"c": None}, "edges": {"e": None, "s": None}}
    assert document.stage({"nodes": {"c": None}}) == both
    document.apply({"edges": {"e": None}})
    assert document.stage({"nodes": {"a": None}}) == {"nodes": {"a": None}}


def test_doc5_true_is_not_one() -> None:
    document = flow(by_id(node("a", data={"k": 1, "l": [0]})))
    patch = {"nodes": {"a": {"data": {"k": True, "l": [False]}}}}
    assert document.stage(patch) == patch


def test_doc1_a_log_starts_from_the_empty_document() -> None:
    document = FlowDocument.empty()
    assert document.content == {
        "title": "",
        "description": "",
        "viewport": {"x": 0, "y": 0, "zoom": 1},
        "data": {},
        "nodes": {},
        "edges": {},
    }
    assert (document.node_count, document.edge_count) == (0, 0)
    assert document.size_bytes == len(encode_document(empty_document()))
    document.apply(document.stage({"title": "T", "nodes": by_id(node("a"))}))
    assert FlowDocument.empty().content == empty_document() != document.content


# Encoding and cost.


def test_doc10_equal_documents_encode_to_the_same_bytes_whatever_their_histories() -> None:
    nodes = [node(name, data={"b": 1, "a": 2}) for name in "abcdef"]
    texts = set()
    for seed in range(5):
        random.Random(seed).shuffle(nodes)
        document = FlowDocument.empty()
        for one in nodes:
            value = dict(random.Random(seed).sample(list(one.items()), len(one)))
            document.apply(document.stage({"nodes": {one["id"]: value}}))
        texts.add(encode_document(document.content))
    assert len(texts) == 1


def test_doc12_documents_list_nodes_by_the_code_points_of_their_ids() -> None:
    document = FlowDocument.empty()
    for name in ("z", "10", "\N{GRINNING FACE}", "9", "\N{REPLACEMENT CHARACTER}", "a"):
        document.apply(document.stage({"nodes": {name: node(name)}}))
    listed = list(json.loads(encode_document(document.content))["nodes"])
    assert listed == ["10", "9", "a", "z", "\N{REPLACEMENT CHARACTER}", "\N{GRINNING FACE}"]


def test_doc11_what_a_patch_does_not_name_stays_the_same_object() -> None:
    document = chain(1000)
    content = document.content
    identities = {
        (members, key): id(value)
        for members in ("nodes", "edges")
        for key, value in content[members].items()
    }
    tops = {key: id(value) for key, value in content.items()}
    patch = {"nodes": {"n5": {"position": {"x": 1}}, "n7": None}, "edges": {"e-n9": {"label": "x"}}}
    document.apply(document.stage(patch))
    assert document.content is content
    assert {key: id(value) for key, value in content.items()} == tops
    gone = {("nodes", "n7"), ("edges", "e-n6"), ("edges", "e-n7")}
    assert {
        (members, key): id(value)
        for members in ("nodes", "edges")
        for key, value in content[members].items()
    } == {where: identity for where, identity in identities.items() if where not in gone}


@pytest.mark.parametrize(
    "patch",
    [
        {"nodes": {"n500": {"position": {"x": 1, "y": 2}}}},
        {"nodes": {"n500": None}},
        {"nodes": {"new": node("new")}, "edges": {"new": edge("new", "n1", "new")}},
        {"title": "T"},
        {"nodes": {"n500": {"position": {"x": "refused"}}}},
    ],
    ids=["move", "delete", "create", "title", "refused"],
)
def test_doc11_the_memory_of_an_edit_is_that_of_the_patch(patch: JsonObject) -> None:
    document = chain(5000)
    # A dict that is full grows once; that is not what this is about.
    document.apply(document.stage({"nodes": {"x": node("x")}, "edges": {"x": edge("x", "x", "x")}}))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with contextlib.suppress(InvalidPatch):
            effective = document.stage(patch)
            undo = inverse(document.content, effective)
            document.apply(effective)
            document.apply(undo)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    # A copy of nothing but the 5,000 references to the nodes takes more.
    assert peak < 16 * 1024 < 5000 * 8
