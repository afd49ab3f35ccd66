"""Applies the parents in a patch by the rules GRP of docs/spec.md; with no I/O."""

from __future__ import annotations

import attrs

from helix.documents.merge_patch import JsonObject, same
from helix.documents.nesting import ORIGIN, PARENT, Nesting, Place, binds, ring_of, shift
from helix.documents.validation import Path

_AXES = ("x", "y")


def nest(nesting: Nesting, patch: JsonObject, staged: JsonObject) -> list[Path]:
    """
    Apply the parents in a patch, and release the children of deleted nodes.

    :param patch: the nodes of the patch, as they were sent.
    :param staged: the rest of them after staging; it is changed.
    :return: the paths of what was left out.
    """
    return _Nester(nesting, patch, staged).run()


@attrs.define(eq=False)
class _Nester:
    nesting: Nesting
    patch: JsonObject
    staged: JsonObject
    claims: dict[str, str] = attrs.field(factory=dict)
    """The parents that the patch gives, and that can be."""
    refused: dict[str, str] = attrs.field(factory=dict)
    """Those that can't."""
    places: dict[str, Place] = attrs.field(factory=dict)
    left_out: list[Path] = attrs.field(factory=list)

    def run(self) -> list[Path]:
        for node_id, change in self.patch.items():
            if change is not None and change.get(PARENT) is not None and self._stays(node_id):
                self._claim(node_id, change[PARENT])
        self._break_rings()
        concerned = dict.fromkeys(self.patch)
        for node_id in self.patch:
            if self.staged.get(node_id, node_id) is None:
                concerned |= dict.fromkeys(self.nesting.children(node_id))
        for node_id in concerned:
            if self._stays(node_id):
                self._settle(node_id, self.patch.get(node_id) or {})
        if self.nesting.strays:
            self._mend()
        return self.left_out

    def _stays(self, node_id: str) -> bool:
        """Tell whether a node is there after the patch."""
        return self.staged.get(node_id, self.nesting.nodes.get(node_id)) is not None

    def _claim(self, node_id: str, parent: str) -> None:
        if not self._stays(parent) or parent == node_id:
            self.refused[node_id] = parent
        elif parent != self.nesting.parent(node_id):
            self.claims[node_id] = parent

    def _parent_after(self, node_id: str) -> str | None:
        """Tell in whom a node lies after the patch, by the claims that are left."""
        if node_id in self.claims:
            return self.claims[node_id]
        change = self.patch.get(node_id)
        if change and change.get(PARENT, node_id) is None:
            return None
        parent = self.nesting.parent(node_id)
        return parent if parent is not None and self._stays(parent) else None

    def _break_rings(self) -> None:
        """Refuse the claims by which nodes would lie in themselves; all where that isn't enough."""
        ring = self._ring()
        if ring:
            self._refuse(ring)
            if self._ring():
                self._refuse(list(self.claims))

    def _refuse(self, node_ids: list[str]) -> None:
        for node_id in node_ids:
            self.refused[node_id] = self.claims.pop(node_id)

    def _ring(self) -> list[str]:
        """List the nodes that have claims by which they would lie in themselves."""
        ring: list[str] = []
        known: set[str] = set()
        for node_id in self.claims:
            path: dict[str, None] = {}
            at: str | None = node_id
            while at is not None and at not in known:
                if at in path:
                    ring += [one for one in ring_of(path, at) if one in self.claims]
                    break
                path[at] = None
                at = self._parent_after(at)
            known.update(path)
        return ring

    def _settle(self, node_id: str, change: JsonObject) -> None:
        """Set a node's place and parent."""
        claim = self.refused.get(node_id)
        before, after = self.nesting.parent(node_id), self._parent_after(node_id)
        if claim is None and (PARENT in change or after == before):
            return
        frame: Place | None = self._place(before)
        if claim is not None:
            self.left_out.append(("nodes", node_id, PARENT))
            frame = None if claim == node_id else self.nesting.last_place(claim, self.places)
        given = change.get("position", {})
        if node_id not in self.nesting.nodes:
            self._put_down(self.staged[node_id], frame)
            return
        if frame is None and given:
            # Nobody knows where that is: it stays where it was.
            self.left_out.append(("nodes", node_id, "position"))
            given = {}
        self._move(node_id, given, frame or ORIGIN, before, after)

    def _put_down(self, created: JsonObject, frame: Place | None) -> None:
        """Put a new node where it was seen, without a parent."""
        for name in [name for name, value in created.items() if binds(name, value)]:
            del created[name]
        position = created["position"]
        for axis, by in zip(_AXES, frame or ORIGIN, strict=True):
            position[axis] = shift(position[axis], by)

    def _move(
        self,
        node_id: str,
        given: JsonObject,
        frame: Place,
        before: str | None,
        after: str | None,
    ) -> None:
        """
        Let a node of the document be where it is seen: what the patch gives of its position is
        relative to ``frame``, the rest to where its parent was.
        """
        node = self.nesting.nodes[node_id]
        change = self.staged.get(node_id, {})
        moved: JsonObject = {}
        bases = zip(_AXES, frame, self._place(before), self._place(after), strict=True)
        for axis, given_from, kept_from, base in bases:
            old = node["position"][axis]
            value, by = (given[axis], given_from) if axis in given else (old, kept_from)
            if by != base:
                value = shift(value, by, base)
            if not same(value, old):
                moved[axis] = value
        change.pop("position", None)
        if moved:
            change["position"] = moved
        change.pop(PARENT, None)
        if after is None:
            self._unbind(node, change, before is not None)
        if change:
            self.staged[node_id] = change
        else:
            self.staged.pop(node_id, None)

    def _place(self, node_id: str | None) -> Place:
        return ORIGIN if node_id is None else self.nesting.place(node_id, self.places)

    @staticmethod
    def _unbind(node: JsonObject, change: JsonObject, has_parent: bool = True) -> None:
        """Remove a node's parent, and what binds it to that."""
        if has_parent:
            change[PARENT] = None
        if change.get("extent", node.get("extent")) == "parent":
            change.pop("extent", None)
            if "extent" in node:
                change["extent"] = None

    def _mend(self) -> None:
        """Take parents that couldn't be from the nodes that change, and from those they concern."""
        nodes = self.nesting.nodes
        concerned: dict[str, None] = {}
        for node_id in self.staged:
            if node_id not in nodes:
                concerned |= dict.fromkeys(self.nesting.children(node_id))
            at: object = node_id
            while type(at) is str and at in self.nesting.strays and at not in concerned:
                concerned[at] = None
                at = nodes[at].get(PARENT)
        for node_id in concerned:
            said = self.patch.get(node_id) or {}
            is_said = PARENT in said and node_id not in self.refused
            if self._stays(node_id) and node_id in self.nesting.strays and not is_said:
                self._unbind(nodes[node_id], self.staged.setdefault(node_id, {}))
