"""Documents and patches for tests: builders, and what hypothesis draws."""

from __future__ import annotations

import copy
import itertools
from typing import Any

from hypothesis import strategies as st

from helix.document import FlowDocument, JsonObject, empty_document, merge, validate


def node(node_id: str, **fields: Any) -> JsonObject:
    """Make a complete node."""
    return {"id": node_id, "type": "agent", "position": {"x": 0, "y": 0}, "data": {}} | fields


def edge(edge_id: str, source: str, target: str, **fields: Any) -> JsonObject:
    """Make a complete edge."""
    return {"id": edge_id, "source": source, "target": target} | fields


def by_id(*members: JsonObject) -> JsonObject:
    """Make nodes or edges as a document holds them."""
    return {member["id"]: member for member in members}


def flow(nodes: JsonObject | None = None, edges: JsonObject | None = None) -> FlowDocument:
    """Make a document of these nodes and edges."""
    return FlowDocument(validate(empty_document() | {"nodes": nodes or {}, "edges": edges or {}}))


def chain(count: int) -> FlowDocument:
    """Make a document of ``count`` nodes, each with an edge to the next."""
    names = [f"n{i}" for i in range(count)]
    return flow(
        by_id(*(node(n, data={"label": f"Node {n}", "tags": ["x", "y"]}) for n in names)),
        by_id(*(edge(f"e-{a}", a, b) for a, b in itertools.pairwise(names))),
    )


def recount(flow: FlowDocument) -> FlowDocument:
    """Make the document anew from its content, counting everything again."""
    return FlowDocument(copy.deepcopy(flow.content))


def outcome(document: JsonObject, patch: JsonObject) -> JsonObject:
    """Say what rules DOC3 and DOC4 make of a document: plainly, over the whole of it."""
    result = merge(document, {k: v for k, v in patch.items() if k not in ("nodes", "edges")})
    nodes, edges = dict(document["nodes"]), dict(document["edges"])
    for node_id, value in patch.get("nodes", {}).items():
        if value is None:
            nodes.pop(node_id, None)
        elif node_id in nodes or "id" in value:
            nodes[node_id] = merge(nodes.get(node_id), value)
    for edge_id, value in patch.get("edges", {}).items():
        if value is None:
            edges.pop(edge_id, None)
        elif edge_id in edges or {"id", "source", "target"} <= value.keys():
            changed = merge(edges.get(edge_id), value)
            if {changed["source"], changed["target"]} <= nodes.keys():
                edges[edge_id] = changed
    connected = {k: e for k, e in edges.items() if {e["source"], e["target"]} <= nodes.keys()}
    return result | {"nodes": nodes, "edges": connected}


# Few names, so that patches meet each other.
NAMES = st.sampled_from(["a", "b", "c", "é/~", ""])
NODE_IDS = st.sampled_from(["n1", "n2", "n3", "\N{SNOWMAN}"])
EDGE_IDS = st.sampled_from(["e1", "e2", "e3"])
NUMBERS = st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.booleans() | NUMBERS | st.integers() | st.text(max_size=4)

_INSIDE_ARRAYS = st.recursive(
    st.none() | SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=3,
)
_LEAVES = SCALARS | st.lists(_INSIDE_ARRAYS, max_size=3)


def _objects(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[JsonObject]:
    values = st.recursive(leaves, lambda inner: st.dictionaries(NAMES, inner, max_size=3))
    return st.dictionaries(NAMES, values, max_size=3)


OBJECTS = _objects(_LEAVES)
"""Objects without nulls, but in arrays: what documents hold."""

PATCHES = _objects(st.none() | _LEAVES)
"""Objects with nulls: what patches hold."""


def _part(required: JsonObject, optional: JsonObject) -> st.SearchStrategy[JsonObject]:
    return st.fixed_dictionaries(required, optional=optional)


def _node_values(node_id: str) -> st.SearchStrategy[Any]:
    own = st.just(node_id)
    complete = _part(
        {"id": own, "position": _part({"x": NUMBERS, "y": NUMBERS}, {}), "data": PATCHES},
        {"type": st.none() | st.text(max_size=3), "width": st.none() | NUMBERS},
    )
    partial = _part(
        {},
        {
            "position": _part({}, {"x": NUMBERS, "y": NUMBERS}),
            "data": PATCHES,
            "type": st.none() | st.text(max_size=3),
            "width": st.none() | NUMBERS,
        },
    )
    return st.none() | complete | partial


def _edge_values(edge_id: str) -> st.SearchStrategy[Any]:
    fields: JsonObject = {"id": st.just(edge_id), "source": NODE_IDS, "target": NODE_IDS}
    label: JsonObject = {"label": st.none() | SCALARS, "data": st.none() | PATCHES}
    return st.none() | _part(fields, label) | _part({}, fields | label)


def _members(ids: st.SearchStrategy[str], values: Any) -> st.SearchStrategy[JsonObject]:
    pairs = ids.flatmap(lambda member_id: st.tuples(st.just(member_id), values(member_id)))
    return st.lists(pairs, max_size=4).map(dict)


FLOW_PATCHES = _part(
    {},
    {
        "title": st.text(max_size=3),
        "viewport": _part({}, {"x": NUMBERS, "y": NUMBERS, "zoom": NUMBERS}),
        "data": PATCHES,
        "nodes": _members(NODE_IDS, _node_values),
        "edges": _members(EDGE_IDS, _edge_values),
    },
)
"""Valid patches of a document: creates, edits and deletes of the same few nodes and edges."""


def _after(patches: list[JsonObject]) -> FlowDocument:
    flow = FlowDocument.empty()
    for patch in patches:
        flow.apply(flow.stage(patch))
    return flow


FLOWS = st.lists(FLOW_PATCHES, max_size=6).map(_after)
"""Documents as patches make them."""
