"""
Which node of a document lies in which other: React Flow's ``parentId``; with no I/O.

The position of a node with a parent is relative to the parent.
"""

from __future__ import annotations

from collections.abc import Iterable

from helix.documents.merge_patch import JsonObject
from helix.documents.validation import LARGEST_NUMBER

PARENT = "parentId"

MAX_GONE = 256
"""Deleted nodes whose places are remembered."""

Place = tuple[float, float]
"""Where a node's upper left corner is on the canvas."""

ORIGIN: Place = (0, 0)


def find_strays(nodes: JsonObject) -> dict[str, None]:
    """
    List the nodes with an invalid parent: it is missing, or it is the node itself or lies in it.

    They are read as if they had none. Only logs from before the rules of parents hold such nodes.
    """
    strays: dict[str, None] = {}
    known: set[str] = set()
    for node_id, node in nodes.items():
        if PARENT not in node:
            continue
        path: dict[str, None] = {}
        at = node_id
        while at not in known:
            if at in path:
                strays |= dict.fromkeys(ring_of(path, at))
                break
            path[at] = None
            parent = nodes[at].get(PARENT)
            if parent is None:
                break
            if not _is_among(nodes, parent):
                strays[at] = None
                break
            at = parent
        known.update(path)
    return strays


def without_strays(document: JsonObject) -> JsonObject:
    """Give a document without its invalid parents. It shares what is the same."""
    nodes = document["nodes"]
    strays = find_strays(nodes)
    if not strays:
        return document
    mended = {
        node_id: {name: value for name, value in nodes[node_id].items() if not binds(name, value)}
        for node_id in strays
    }
    return document | {"nodes": nodes | mended}


def binds(name: str, value: object) -> bool:
    """Tell whether a field of a node has no meaning without a parent."""
    return name == PARENT or (name == "extent" and value == "parent")


def ring_of(path: Iterable[str], first: str) -> list[str]:
    """Give the ring of a path that returned to ``first``, without what leads to it."""
    ids = list(path)
    return ids[ids.index(first) :]


def _is_among(nodes: JsonObject, node_id: object) -> bool:
    return type(node_id) is str and node_id in nodes


def shift(value: float, by: float, less: float = 0) -> float:
    """Move a coordinate within the limits of documents, so that whole numbers stay exact."""
    for step in (by, -less):
        value = max(-LARGEST_NUMBER, min(LARGEST_NUMBER, value + step))
    return value


class Nesting:
    """
    The parents and children in the current document, and the places of nodes deleted last.

    An update costs what a patch changes, plus the depth of the nodes that it moves.

    :param nodes: the nodes of the document; they are read at every call.
    """

    __slots__ = ("_children", "_gone", "_strays", "nodes")

    def __init__(self, nodes: JsonObject) -> None:
        self.nodes = nodes
        # Sets as dicts, which have the same order in every process.
        self._children: dict[str, dict[str, None]] = {}
        self._gone: dict[str, Place] = {}
        # None while it isn't known.
        self._strays: dict[str, None] | None = None
        for node_id, node in nodes.items():
            if PARENT in node:
                self._link(node_id, node)

    @property
    def strays(self) -> dict[str, None]:
        if self._strays is None:
            self._strays = find_strays(self.nodes)
        return self._strays

    def children(self, node_id: str) -> Iterable[str]:
        """List the nodes that name a node as their parent, whether it exists or not."""
        return self._children.get(node_id, ())

    def parent(self, node_id: str) -> str | None:
        """Give a node's parent; a missing node has none."""
        parent: str | None = self.nodes.get(node_id, {}).get(PARENT)
        return None if parent is None or node_id in self.strays else parent

    def place(self, node_id: str, known: dict[str, Place]) -> Place:
        """
        Tell where a node of the document is.

        :param known: places by node, for this very document; more are added to it.
        """
        path: dict[str, None] = {}
        at: str | None = node_id
        while at is not None and at not in known and at not in path:
            path[at] = None
            parent = self.nodes[at].get(PARENT)
            at = parent if _is_among(self.nodes, parent) else None
        if at in path:  # who lies in itself lies in nobody
            ring = ring_of(path, at)
            known.update((one, self._moved(one, ORIGIN)) for one in ring)
        base = ORIGIN if at is None else known[at]
        for one in reversed(path):
            if one not in known:
                base = known[one] = self._moved(one, base)
        return known[node_id]

    def last_place(self, node_id: str, known: dict[str, Place]) -> Place | None:
        """Give a node's place, or its place when it was deleted; ``None`` if it isn't known."""
        return self.place(node_id, known) if node_id in self.nodes else self._gone.get(node_id)

    def is_concerned(self, patch: JsonObject) -> bool:
        """Tell whether a patch of the nodes may change parents."""
        for node_id, change in patch.items():
            if change is None or PARENT in change:
                return True
            node = self.nodes.get(node_id)
            if node_id in self._children if node is None else PARENT in node:
                return True
        return False

    # while a patch is applied

    def before(self, patch: JsonObject) -> list[str]:
        """
        Prepare for a patch of the nodes.

        :return: what `after` is to be given, once it is applied.
        """
        moved = []
        gone = []
        for node_id, change in patch.items():
            node = self.nodes.get(node_id)
            if change is None:
                if node is None:
                    continue
                gone.append(node_id)
            elif PARENT not in change and (node is not None or node_id not in self._children):
                continue
            moved.append(node_id)
        if gone:
            self._bury(gone)
        for node_id in moved:
            self._unlink(node_id)
        return moved

    def after(self, moved: list[str]) -> None:
        for node_id in moved:
            node = self.nodes.get(node_id)
            if node is not None:
                self._gone.pop(node_id, None)
                self._link(node_id, node)
        if moved and (self._strays is None or self._strays or not self._is_sound(moved)):
            self._strays = None

    def succeed(self, before: Nesting) -> None:
        """Remember what another one does, whose nodes were there before these."""
        before._bury([node_id for node_id in before.nodes if node_id not in self.nodes])
        gone = before._gone.items()
        self._gone = {node_id: place for node_id, place in gone if node_id not in self.nodes}

    def _is_sound(self, moved: list[str]) -> bool:
        """Tell whether the parents of these nodes are valid, if all others are."""
        known: set[str] = set()
        for node_id in moved:
            if node_id not in self.nodes:
                if node_id in self._children:
                    return False
                continue
            path: set[str] = set()
            at: str | None = node_id
            while at is not None and at not in known:
                if at in path or not _is_among(self.nodes, at):
                    return False
                path.add(at)
                at = self.nodes[at].get(PARENT)
            known |= path
        return True

    def _bury(self, node_ids: list[str]) -> None:
        """Remember the places of deleted nodes; first of those with children."""
        node_ids.sort(key=self._children.__contains__)
        known: dict[str, Place] = {}
        for node_id in node_ids[-MAX_GONE:]:
            self._gone.pop(node_id, None)
            self._gone[node_id] = self.place(node_id, known)
        while len(self._gone) > MAX_GONE:
            del self._gone[next(iter(self._gone))]

    def _moved(self, node_id: str, base: Place) -> Place:
        position = self.nodes[node_id]["position"]
        return shift(position["x"], base[0]), shift(position["y"], base[1])

    def _link(self, node_id: str, node: JsonObject) -> None:
        parent = node.get(PARENT)
        if type(parent) is str:
            self._children.setdefault(parent, {})[node_id] = None

    def _unlink(self, node_id: str) -> None:
        parent = self.nodes.get(node_id, {}).get(PARENT)
        siblings = self._children.get(parent) if type(parent) is str else None
        if siblings is not None:
            siblings.pop(node_id, None)
            if not siblings:
                del self._children[parent]
