"""
A flow's document: stages patches and applies entries, and keeps the rules of documents; no I/O.

The document is plain data, and every edit is a JSON Merge Patch (RFC 7396) of it::

    {"title": "", "description": "", "viewport": {"x": 0, "y": 0, "zoom": 1}, "data": {},
     "nodes": {"<id>": {"id": "<id>", "position": {"x": 0, "y": 0}, "data": {}, ...}},
     "edges": {"<id>": {"id": "<id>", "source": "<node id>", "target": "<node id>", ...}}}

`FlowDocument.stage` reduces a patch to the *effective patch*: what it really changes. Helix logs
and sends the effective patch, so a log can be replayed with RFC 7396 alone.

Members of a document's objects are never null: in a patch, null deletes at any depth. Arrays are
replaced whole and may hold nulls.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Self

import attrs
import msgspec

from helix.documents.merge_patch import (
    JsonObject,
    diff,
    fresh,
    growth,
    inverse,
    merge,
    merge_into,
    minimal,
    size_of,
)
from helix.documents.nesting import Nesting, find_strays, without_strays
from helix.documents.regrouping import nest
from helix.documents.validation import (
    DocumentLimits,
    Path,
    check_complete_node,
    check_document,
    check_document_size,
    check_lengths,
    check_members,
    check_patch,
    check_patch_size,
    invalid,
    pointer,
    without_odd_types,
)

__all__ = [
    "DocumentLimits",
    "FlowDocument",
    "JsonObject",
    "deleted_nodes",
    "diff",
    "empty_document",
    "encode_document",
    "inverse",
    "merge",
    "validate",
    "validate_new",
]

_encode = msgspec.json.Encoder(order="deterministic").encode

DEFAULT_LIMITS = DocumentLimits()


def empty_document() -> JsonObject:
    """Make the empty document, from which every log starts."""
    return {
        "title": "",
        "description": "",
        "viewport": {"x": 0, "y": 0, "zoom": 1},
        "data": {},
        "nodes": {},
        "edges": {},
    }


def encode_document(content: JsonObject) -> bytes:
    """Encode a document with its members sorted by name, independent of its history."""
    return _encode(content)


def deleted_nodes(patch: object) -> list[str]:
    """List the nodes that a patch deletes, whether it is valid or not."""
    nodes = patch.get("nodes") if type(patch) is dict else None
    if type(nodes) is not dict:
        return []
    return [node_id for node_id, change in nodes.items() if change is None]


def validate(document: object, limits: DocumentLimits = DEFAULT_LIMITS) -> JsonObject:
    """
    Check a whole document that comes from outside.

    ``merge(empty_document(), given)`` beforehand fills in absent members and takes out nulls.

    :return: the document itself.
    :raises InvalidPatch: at the first thing in it that can't be.
    :raises DocumentTooLarge: when it has too many bytes or members.
    """
    whole = check_document(document, limits)
    for node_id in find_strays(whole["nodes"]):
        path = ("nodes", node_id, "parentId")
        raise invalid(path, "is not the id of another node that doesn't lie in this one")
    return whole


def validate_new(document: object, limits: DocumentLimits = DEFAULT_LIMITS) -> JsonObject:
    """As `validate`, for the first or the new document of a flow."""
    whole = validate(document, limits)
    check_lengths(whole, {})
    return whole


def validate_past(document: JsonObject, limits: DocumentLimits = DEFAULT_LIMITS) -> JsonObject:
    """
    Check a whole document from a log, which may be older than some rules of today.

    :return: the document without invalid parents and invalid types of edges. It shares what is
        the same.
    :raises InvalidPatch, DocumentTooLarge: as `validate`, but not for large numbers.
    """
    past = attrs.evolve(limits, max_number=sys.float_info.max)
    return check_document(without_strays(without_odd_types(document)), past)


class FlowDocument:
    """
    The current document of one flow.

    No operation copies the document or walks over all of it: the cost depends on the patch and on
    what it replaces.

    :param content: a valid document. It is taken over, not copied.
    :param limits: the limits that `stage` enforces.
    :ivar content: the document as plain data, read-only for callers: `apply` changes it in place.
    :ivar size_bytes: the bytes of its JSON text without white space; exact.
    """

    __slots__ = ("_edges_of", "_nesting", "content", "limits", "size_bytes")

    def __init__(self, content: JsonObject, limits: DocumentLimits = DEFAULT_LIMITS) -> None:
        self.content = content
        self.limits = limits
        self.size_bytes = size_of(content)
        # By node, its edges; sets as dicts, which have the same order in every process.
        self._edges_of: dict[str, dict[str, None]] = {}
        for edge_id, edge in content["edges"].items():
            self._link(edge_id, edge)
        self._nesting = Nesting(content["nodes"])

    @classmethod
    def empty(cls, limits: DocumentLimits = DEFAULT_LIMITS) -> Self:
        """Make an empty document."""
        return cls(empty_document(), limits)

    @classmethod
    def begun(cls, first: JsonObject, limits: DocumentLimits = DEFAULT_LIMITS) -> Self:
        """
        Make the document that a log's first entry makes of an empty one, at a fraction of what
        applying it costs where it brings a whole flow.

        :param first: its effective patch, in which nothing is null. It is taken over, not copied.
        """
        content = empty_document()
        content.update({members: first.pop(members, {}) for members in ("nodes", "edges")})
        merge_into(content, first)
        return cls(content, limits)

    @property
    def node_count(self) -> int:
        return len(self.content["nodes"])

    @property
    def edge_count(self) -> int:
        return len(self.content["edges"])

    def outer_nodes(self, node_ids: Iterable[str]) -> set[str]:
        """List all nodes that contain some of the given nodes, at any depth."""
        outer: set[str] = set()
        for node_id in node_ids:
            at = self._nesting.parent(node_id)
            while at is not None and at not in outer:
                outer.add(at)
                at = self._nesting.parent(at)
        return outer

    def cascade_of(self, node_ids: Iterable[str]) -> int:
        """Count the edges that go with nodes, if these are deleted."""
        return sum(len(self._edges_of.get(node_id, ())) for node_id in node_ids)

    def stage(
        self, patch: object, *, bounded: bool = True, dropped: list[str] | None = None
    ) -> JsonObject:
        """
        Reduce a patch to what it changes in the current document, which stays as it is.

        Values for absent nodes and edges that don't create them are dropped, and so are those that
        would lead an edge to a missing node; with a node go its edges. Parents are kept true
        (`helix.documents.nesting`). All of the patch counts as one change: an edge may lead to a
        node that the same patch creates.

        :param patch: a merge patch, from anybody.
        :param bounded: whether ``max_patch_bytes`` holds; not for what the server made itself.
        :param dropped: is given what of ``patch`` was left out, as JSON Pointers, in its order.
        :return: the effective patch, which shares no objects with ``patch`` or the document; ``{}``
            when nothing changes.
        :raises InvalidPatch: when it, or what it makes, can't be; the path says where.
        :raises PatchTooLarge: when it has too many bytes.
        :raises DocumentTooLarge: when the document would grow over a limit.
        """
        limits = self.limits
        checked = check_patch(patch, limits)
        # The document can't grow by more than what is put into it.
        most = check_patch_size(checked, limits) if bounded else sys.maxsize
        check_lengths(checked, self.content)
        left_out: list[Path] = []
        given = checked.get("nodes", {})
        nodes = self._stage_nodes(given, left_out)
        if self._nesting.is_concerned(given):
            left_out += nest(self._nesting, given, nodes)
            # What lies elsewhere now may have longer numbers.
            most = sys.maxsize
        edges = self._stage_edges(checked.get("edges", {}), nodes, left_out)
        if dropped is not None:
            dropped += map(pointer, left_out)
        rest = {key: value for key, value in checked.items() if key not in ("nodes", "edges")}
        effective = minimal(self.content, rest) if rest else {}
        if nodes:
            effective["nodes"] = nodes
        if edges:
            effective["edges"] = edges
        if self.size_bytes + most > limits.max_document_bytes:
            self._check_size(effective)
        members = len(self.content["nodes"]) + len(self.content["edges"])
        if members + len(nodes) + len(edges) > limits.max_members:
            self._check_members(effective)
        return effective

    def stage_document(self, document: object) -> JsonObject:
        """
        Stage the difference to a whole document: an import, a replacement, a restore.

        :return: the effective patch that turns the current document into ``document``.
        :raises InvalidPatch, DocumentTooLarge: as `validate`.
        """
        return diff(self.content, validate(document, self.limits))

    def stage_past(self, document: JsonObject) -> JsonObject:
        """As `stage_document`, for one that a log made. (`validate_past`)"""
        return diff(self.content, validate_past(document, self.limits))

    def apply(self, effective: JsonObject) -> None:
        """
        Apply an effective patch, in place.

        It must be trusted: a result of `stage` for this document, or an entry of its log. Its
        objects are copied, so that the entry stays unchanged; its arrays are shared.
        """
        self._apply(effective, None)

    def exchange(self, effective: JsonObject) -> JsonObject:
        """As `apply`, and give the patch that undoes it."""
        undo: JsonObject = {}
        self._apply(effective, undo)
        return undo

    def succeed(self, before: FlowDocument) -> None:
        """Take the place of another document: know where its nodes were that are gone."""
        self._nesting.succeed(before._nesting)

    def _apply(self, effective: JsonObject, undo: JsonObject | None) -> None:
        edges = self.content["edges"]
        touched = effective.get("edges", ())
        for edge_id in touched:
            if edge_id in edges:
                self._unlink(edge_id, edges[edge_id])
        moved = self._nesting.before(effective.get("nodes", {}))
        self.size_bytes += merge_into(self.content, effective, undo)
        self._nesting.after(moved)
        for edge_id in touched:
            if edge_id in edges:
                self._link(edge_id, edges[edge_id])

    def _stage_nodes(self, patch: JsonObject, left_out: list[Path]) -> JsonObject:
        nodes = self.content["nodes"]
        staged: JsonObject = {}
        for node_id, value in patch.items():
            node = nodes.get(node_id)
            if node is not None:
                if value is None:
                    staged[node_id] = None
                elif change := minimal(node, value):
                    staged[node_id] = change
            elif value is not None and "id" in value:
                staged[node_id] = created = fresh(value)
                check_complete_node(node_id, created)
            elif value is not None:
                left_out.append(("nodes", node_id))
        return staged

    def _stage_edges(
        self, patch: JsonObject, staged_nodes: JsonObject, left_out: list[Path]
    ) -> JsonObject:
        edges = self.content["edges"]
        staged: JsonObject = {}
        for edge_id, value in patch.items():
            edge = edges.get(edge_id)
            if value is None:
                if edge is not None:
                    staged[edge_id] = None
            elif not self._is_connected(edge or {}, value, staged_nodes):
                left_out.append(("edges", edge_id))
            elif edge is not None:
                if change := minimal(edge, value):
                    staged[edge_id] = change
            elif "id" in value:
                staged[edge_id] = fresh(value)
            else:
                left_out.append(("edges", edge_id))
        self._stage_edges_of_deleted(staged, staged_nodes)
        return staged

    def _stage_edges_of_deleted(self, staged: JsonObject, staged_nodes: JsonObject) -> None:
        """Delete the edges of deleted nodes, except those that the patch connects elsewhere."""
        edges = self.content["edges"]
        for node_id, change in staged_nodes.items():
            if change is None:
                for edge_id in self._edges_of.get(node_id, ()):
                    led = staged.get(edge_id) or {}
                    if not self._is_connected(edges[edge_id], led, staged_nodes):
                        staged[edge_id] = None

    def _is_connected(self, edge: JsonObject, change: JsonObject, staged_nodes: JsonObject) -> bool:
        """Tell whether an edge, once changed, leads from a node to a node of the changed nodes."""
        for end in ("source", "target"):
            node_id = change.get(end, edge.get(end))
            if node_id in staged_nodes:
                if staged_nodes[node_id] is None:
                    return False
            elif node_id not in self.content["nodes"]:
                return False
        return True

    def _check_size(self, effective: JsonObject) -> None:
        """Refuse a patch that makes the document too large; a too large one may shrink."""
        grown = growth(self.content, effective)
        if grown > 0:
            check_document_size(self.size_bytes + grown, self.limits)

    def _check_members(self, effective: JsonObject) -> None:
        """As `_check_size`, for the number of nodes and edges."""
        count = more = 0
        for members in ("nodes", "edges"):
            present = self.content[members]
            count += len(present)
            for member_id, change in effective.get(members, {}).items():
                more += (change is not None) - (member_id in present)
        if more > 0:
            check_members(count + more, self.limits)

    def _link(self, edge_id: str, edge: dict[str, Any]) -> None:
        for end in ("source", "target"):
            self._edges_of.setdefault(edge[end], {})[edge_id] = None

    def _unlink(self, edge_id: str, edge: dict[str, Any]) -> None:
        for node_id in (edge["source"], edge["target"]):
            linked = self._edges_of.get(node_id)
            if linked is not None:
                linked.pop(edge_id, None)
                if not linked:
                    del self._edges_of[node_id]
