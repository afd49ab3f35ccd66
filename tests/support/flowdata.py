"""Documents and patches for tests: builders, and what hypothesis draws."""

from __future__ import annotations

import copy
import itertools
from typing import Any

from hypothesis import strategies as st

from helix.documents.document import FlowDocument, JsonObject, empty_document, merge, validate


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
    """Say what DOC3, DOC4 and GRP make of a sound document: plainly, over the whole of it."""
    result = merge(document, {k: v for k, v in patch.items() if k not in ("nodes", "edges")})
    edges = dict(document["edges"])
    nodes = nodes_after(document["nodes"], patch.get("nodes", {}))
    for edge_id, value in patch.get("edges", {}).items():
        if value is None:
            edges.pop(edge_id, None)
        elif edge_id in edges or {"id", "source", "target"} <= value.keys():
            changed = merge(edges.get(edge_id), value)
            if {changed["source"], changed["target"]} <= nodes.keys():
                edges[edge_id] = changed
    connected = {k: e for k, e in edges.items() if {e["source"], e["target"]} <= nodes.keys()}
    return result | {"nodes": nodes, "edges": connected}


def lies_in(parents: dict[str, str | None], inner: str) -> list[str]:
    """List in whom a node lies, from the innermost; up to where it repeats itself."""
    outer: list[str] = []
    at = parents.get(inner)
    while at is not None and at not in outer:
        outer.append(at)
        at = parents.get(at)
    return outer


def place_of(nodes: JsonObject, node_id: str | None) -> tuple[float, float]:
    """Say where a node is on the canvas; the canvas itself is at its origin."""
    if node_id is None:
        return 0, 0
    x, y = place_of(nodes, nodes[node_id].get("parentId"))
    position = nodes[node_id]["position"]
    return within(position["x"] + x), within(position["y"] + y)


def within(number: float) -> float:
    return min(max(number, -(2**53)), 2**53)


def nodes_after(before: JsonObject, patch: JsonObject) -> JsonObject:
    """Say what DOC3 and GRP make of sound nodes, where nothing was deleted before."""
    after: JsonObject = {}
    for node_id in before | patch:
        value = patch.get(node_id, {})
        if value is not None and (node_id in before or "id" in value):
            after[node_id] = merge(before.get(node_id), value)
    old = {node_id: node.get("parentId") for node_id, node in before.items()}
    # GRP2: what the patch asks for, less what is missing, less what makes rings.
    asked = {node_id: node["parentId"] for node_id, node in after.items() if "parentId" in node}
    asked = {k: p for k, p in asked.items() if p != old.get(k) or p not in after}
    kept = {k: p for k, p in asked.items() if p in after and p != k and "parentId" in patch[k]}
    for _ in range(2):
        parents = {k: old.get(k) if old.get(k) in after else None for k in after}
        parents |= {k: None for k in after if (patch.get(k) or {}).get("parentId", k) is None}
        parents |= kept
        ringed = {k for k in kept if k in lies_in(parents, k)}
        again = {k: p for k, p in kept.items() if k not in ringed}
        rest = parents | {k: old.get(k) if old.get(k) in after else None for k in ringed}
        kept = {} if any(k in lies_in(rest, k) for k in again) else again
    parents = {k: kept.get(k, parents[k]) for k in after}
    for k in set(asked) - set(kept):
        parents[k] = old.get(k) if old.get(k) in after else None
    # GRP3 to GRP5: where those come to be who are not in whom they, or the patch, would have it.
    for k in set(asked) - set(kept):
        said = patch.get(k) or {}
        if "parentId" in said:
            frame = place_of(before, said["parentId"]) if said["parentId"] in before else None
            frame = None if said["parentId"] == k else frame
        else:
            frame = place_of(before, old.get(k))
        after[k] = resettled(before, after[k], said.get("position", {}), frame, parents[k])
    return after


def resettled(
    before: JsonObject,
    node: JsonObject,
    given: JsonObject,
    frame: tuple[float, float] | None,
    parent: str | None,
) -> JsonObject:
    """Put a node into ``parent`` such that it stays where it is seen."""
    was = before.get(node["id"])
    position = dict(node["position"])
    if was is None:
        frame = frame or (0, 0)
        position = {axis: within(position[axis] + frame["xy".index(axis)]) for axis in "xy"}
    else:
        base = place_of(before, parent)
        own = place_of(before, was.get("parentId"))
        for n, axis in enumerate("xy"):
            is_given = axis in given and frame is not None
            value, by = (given[axis], frame[n]) if is_given else (was["position"][axis], own[n])
            position[axis] = value if by == base[n] else within(within(value + by) - base[n])
    node = {k: v for k, v in node.items() if k != "parentId"} | {"position": position}
    if parent is not None:
        return node | {"parentId": parent}
    return {k: v for k, v in node.items() if (k, v) != ("extent", "parent")}


# Few names, so that patches meet each other.
NAMES = st.sampled_from(["a", "b", "c", "é/~", ""])
NODE_IDS = st.sampled_from(["n1", "n2", "n3", "\N{SNOWMAN}"])
EDGE_IDS = st.sampled_from(["e1", "e2", "e3"])
WHOLE_NUMBERS = st.integers(-(2**53), 2**53)
NUMBERS = st.integers(-3, 3) | WHOLE_NUMBERS | st.floats(-(2.0**53), 2.0**53)
SCALARS = st.booleans() | NUMBERS | st.text(max_size=4)

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


GROUPED: JsonObject = {
    "parentId": st.none() | NODE_IDS | st.just("nobody"),
    "extent": st.none() | st.just("parent"),
}
"""What nodes in groups have; also where no such group is."""


def _node_values(node_id: str) -> st.SearchStrategy[Any]:
    own = st.just(node_id)
    complete = _part(
        {"id": own, "position": _part({"x": NUMBERS, "y": NUMBERS}, {}), "data": PATCHES},
        {"type": st.none() | st.text(max_size=3), "width": st.none() | NUMBERS} | GROUPED,
    )
    partial = _part(
        {},
        {
            "position": _part({}, {"x": NUMBERS, "y": NUMBERS}),
            "data": PATCHES,
            "type": st.none() | st.text(max_size=3),
            "width": st.none() | NUMBERS,
        }
        | GROUPED,
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
    return recount(flow)


FLOWS = st.lists(FLOW_PATCHES, max_size=6).map(_after)
"""Documents as patches make them."""
