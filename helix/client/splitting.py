"""Splits a patch that is too large for the server into several."""

from __future__ import annotations

from collections.abc import Iterator

from helix.delivery.protocol import encode_json
from helix.documents.document import JsonObject

_FRAME = len('{"nodes":{},"edges":{}}')
"""Bytes of a patch beside its members, at most."""


def split(patch: JsonObject, max_bytes: int) -> list[JsonObject]:
    """
    Part a patch of a flow's document into some that do the same one after the other.

    What is made comes before what leads to it, and what leads away from a node before that is
    deleted: so nodes first, parents before their children, then edges, then the nodes that go.

    :param patch: one that `helix.documents.validation.check_patch` lets pass.
    :param max_bytes: how large each may be, as JSON without white space. One node or edge that is
        larger by itself is a part all the same.
    """
    rest = {name: value for name, value in patch.items() if name not in ("nodes", "edges")}
    parts: list[JsonObject] = [rest] if rest else []
    size = len(encode_json(rest)) + _FRAME
    for kind, member_id, value in _members(patch):
        added = len(encode_json({member_id: value}))
        if not parts or size + added > max_bytes:
            parts.append({})
            size = _FRAME
        parts[-1].setdefault(kind, {})[member_id] = value
        size += added
    return parts


def _members(patch: JsonObject) -> Iterator[tuple[str, str, JsonObject | None]]:
    nodes = patch.get("nodes", {})
    for node_id in _parents_first(nodes):
        yield "nodes", node_id, nodes[node_id]
    for edge_id, edge in patch.get("edges", {}).items():
        yield "edges", edge_id, edge
    for node_id, node in nodes.items():
        if node is None:
            yield "nodes", node_id, None


def _parents_first(nodes: JsonObject) -> Iterator[str]:
    """List the nodes that are made or changed, each behind its parent."""
    listed: set[str] = set()
    for node_id in nodes:
        line: dict[str, None] = {}
        while nodes.get(node_id) is not None and node_id not in listed and node_id not in line:
            line[node_id] = None
            node_id = nodes[node_id].get("parentId")
        listed.update(line)
        yield from reversed(line)
