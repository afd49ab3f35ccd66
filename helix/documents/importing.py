"""
Reads and writes flows as files: exports, and browser data of the first generation of editors.

An export is the current document with the flow's metadata::

    {"format": "helix-flow", "format_version": 1, "id", "title", "epoch", "version", "created_at",
     "updated_at", "exported_at", "document": {...}}

The first generation kept React Flow's own state::

    {"nodes": [{"id", "position", "data", ...}, ...],
     "edges": [{"id", "source", "target", ...}, ...], "viewport": {"x", "y", "zoom"}}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from helix.documents.document import JsonObject, empty_document, merge
from helix.documents.ids import MAX_ID_BYTES
from helix.documents.merge_patch import fresh
from helix.documents.nesting import find_strays, without_strays
from helix.documents.react_flow import is_measured
from helix.documents.validation import FORBIDDEN_KEYS, is_number, without_odd_types
from helix.errors import InvalidPatch

FORMAT = "helix-flow"
FORMAT_VERSION = 1

_OWN = ("selected", "dragging", "resizing", "measured")
"""Fields that belonged to one browser, not to the flow."""

_MEASUREMENTS = ("width", "height", "positionAbsolute")
"""What React Flow 11 measured."""

_COLUMNS = 4
_COLUMN_WIDTH = 320
_ROW_HEIGHT = 160


@attrs.frozen
class Imported:
    """
    A document read from a file; it is not yet checked.

    :ivar dropped_nodes: how many nodes could not be kept.
    :ivar dropped_edges: likewise; edges that led to no node count too.
    :ivar dropped_parents: how many kept nodes lost an invalid parent.
    """

    document: JsonObject
    dropped_nodes: int = 0
    dropped_edges: int = 0
    dropped_parents: int = 0


def complete(given: Any) -> Any:
    """
    Complete a document from outside: fill in absent members, and remove nulls.

    :return: the document, for `helix.documents.document.validate` to check.
    """
    return merge(empty_document(), fresh(given))


def read_import(given: object, new_id: Callable[[], str]) -> Imported:
    """
    Read a flow's file.

    :param new_id: makes ids for edges that have none.
    :raises InvalidPatch: when it is neither of the formats.
    """
    if type(given) is dict and given.get("format") == FORMAT:
        if given.get("format_version") != FORMAT_VERSION:
            raise InvalidPatch("/format_version", f"must be {FORMAT_VERSION}")
        if "document" not in given:
            raise InvalidPatch("/document", "is missing")
        document, dropped = _as_it_is_read(complete(given["document"]))
        return Imported(document, dropped_parents=dropped)
    if type(given) is dict and type(given.get("nodes")) is list:
        return _Browser(new_id).read(given)
    raise InvalidPatch("", "is neither an export of a flow nor browser data with nodes and edges")


def _as_it_is_read(document: Any) -> tuple[Any, int]:
    """
    Take out what older logs may hold: types of edges that are no text, and parents that can't be,
    which are counted.
    """
    members = (document["nodes"], document["edges"]) if type(document) is dict else (None,)
    for kind in members:
        if type(kind) is not dict or any(type(member) is not dict for member in kind.values()):
            return document, 0  # that is said elsewhere
    strays = len(find_strays(document["nodes"]))
    return without_strays(without_odd_types(document)), strays


def _without_forbidden(value: Any) -> Any:
    """Leave out members with names that no document may have."""
    if type(value) is dict:
        return {
            key: _without_forbidden(member)
            for key, member in value.items()
            if key not in FORBIDDEN_KEYS
        }
    if type(value) is list:
        return [_without_forbidden(member) for member in value]
    return value


def _id_of(value: object) -> str | None:
    """Read an id; some programs wrote numbers."""
    if type(value) is int:
        value = str(value)
    if type(value) is not str or value in FORBIDDEN_KEYS:
        return None
    return value if 1 <= len(value.encode()) <= MAX_ID_BYTES else None


def _numbers(value: object, defaults: Mapping[str, float]) -> Mapping[str, float]:
    """Read an object of numbers, all of which it must have."""
    if type(value) is dict and all(is_number(value.get(name)) for name in defaults):
        return {name: value[name] for name in defaults}
    return defaults


class _Browser:
    """Reads browser data, and removes what is invalid in a document."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._nodes: JsonObject = {}
        self._edges: JsonObject = {}
        self._seen: JsonObject = {}
        self._counts: dict[str, int] = {}

    def read(self, given: JsonObject) -> Imported:
        edges = given.get("edges")
        if edges is None:
            edges = []
        if type(edges) is not list:
            raise InvalidPatch("/edges", "must be an array")
        dropped_nodes = sum(not self._add_node(node) for node in given["nodes"])
        dropped_edges = sum(not self._add_edge(edge) for edge in edges)
        document = empty_document() | {"nodes": self._nodes, "edges": self._edges}
        document["viewport"] = _numbers(given.get("viewport"), document["viewport"])
        return Imported(document, dropped_nodes, dropped_edges, self._settle_parents())

    def _add_node(self, given: object) -> bool:
        """Add a node unless it has no id, or that of another; tell whether it was."""
        node = _fields(given)
        node_id = _id_of(node.get("id"))
        if node_id is None or node_id in self._nodes:
            return False
        if "positionAbsolute" in node:
            self._seen[node_id] = node["positionAbsolute"]
        if is_measured(node):
            for name in _MEASUREMENTS:
                node.pop(name, None)
        parent = node.pop("parentNode", None)
        if node.setdefault("parentId", parent) in (None, ""):
            del node["parentId"]
        elif type(node["parentId"]) is int:
            node["parentId"] = str(node["parentId"])
        if type(node.get("type")) is not str:
            node.pop("type", None)
        if type(node.get("data")) is not dict:
            node["data"] = {}
        row, column = divmod(len(self._nodes), _COLUMNS)
        place = {"x": column * _COLUMN_WIDTH, "y": row * _ROW_HEIGHT}
        self._nodes[node_id] = node | {
            "id": node_id,
            "position": _numbers(node.get("position"), place),
        }
        return True

    def _settle_parents(self) -> int:
        """Take out the parents that can't be; count them."""
        strays = find_strays(self._nodes)
        for node_id in strays:
            node = self._nodes[node_id]
            del node["parentId"]
            if node.get("extent") == "parent":
                del node["extent"]
            node["position"] = _numbers(self._seen.get(node_id), node["position"])
        return len(strays)

    def _add_edge(self, given: object) -> bool:
        """Add an edge between nodes that are there; tell whether it was."""
        edge = _fields(given)
        edge_id = _id_of(edge["id"]) if "id" in edge else self._new_id()
        source, target = _id_of(edge.get("source")), _id_of(edge.get("target"))
        if edge_id is None:
            return False
        if source not in self._nodes or target not in self._nodes:
            return False
        if (other := self._edges.get(edge_id)) is not None:
            if (source, target) == (other["source"], other["target"]):
                return False
            edge_id = self._own_id(edge_id)
        if type(edge.get("type")) is not str:
            edge.pop("type", None)
        self._edges[edge_id] = edge | {"id": edge_id, "source": source, "target": target}
        return True

    def _own_id(self, edge_id: str) -> str:
        """Give an edge that has the id of another one of its own, as the bridge does (BRI12)."""
        own, count = edge_id, self._counts.get(edge_id, 1)
        while own in self._edges:
            count += 1
            own = f"{edge_id}~{count}"
        self._counts[edge_id] = count  # so that many of one id take no longer than others
        return own


def _fields(given: object) -> JsonObject:
    """What a node or an edge keeps of its fields; nothing where it is no object."""
    if type(given) is not dict:
        return {}
    kept: JsonObject = _without_forbidden(fresh(given))
    for name in _OWN:
        kept.pop(name, None)
    return kept
