"""Stages the edits of relay members, as far as the document's limits allow; with no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from helix.documents.document import FlowDocument
from helix.documents.merge_patch import JsonObject
from helix.documents.validation import pointer
from helix.errors import DocumentTooLarge, InvalidPatch

MAX_FAULTS = 100
"""Maximum members of one edit that are left out; with more, nothing of it is stored."""


@attrs.define(eq=False)
class RelayEdit:
    """
    An edit that leaves out what the document can't take, instead of being refused.

    If the document would be too large, nothing new is taken; if that isn't enough, only deletions.

    :ivar check: refuses what its author may not change: the effective patch, and the document.
    :ivar unfit: the nodes and edges that didn't fit or were invalid: whether each is a node, and
        its id.
    :ivar dropped: the other parts that the rules of documents dropped, as JSON Pointers.
    """

    patch: JsonObject
    check: Callable[[JsonObject, JsonObject], None]
    unfit: list[tuple[bool, str]] = attrs.field(factory=list)
    dropped: list[str] = attrs.field(factory=list)

    @property
    def left_out(self) -> list[str]:
        """All that was left out, as JSON Pointers."""
        return [pointer((_kind(one), key)) for one, key in self.unfit] + self.dropped

    def stage(self, document: FlowDocument, dropped: list[str]) -> JsonObject:
        """
        As a `helix.log.edits.Submission` wants it. What is left out, the edit itself tells.

        :raises InvalidPatch, DocumentTooLarge: when leaving out doesn't help.
        :raises Forbidden, ForbiddenPath: when its author may not make it.
        """
        for keep in (_all, _known, _deletions):
            self.unfit, self.dropped = [], []
            try:
                effective = self._stage(document, self._kept(document, keep))
            except DocumentTooLarge:
                if keep is _deletions:
                    raise
            else:
                self.check(effective, document.content)
                return effective
        raise AssertionError("not reached")

    def _kept(self, document: FlowDocument, keep: Callable[[bool, Any], bool]) -> JsonObject:
        kept: JsonObject = {}
        for kind, changes in self.patch.items():
            there = document.content[kind]
            kept[kind] = {key: one for key, one in changes.items() if keep(key in there, one)}
            self.unfit += [(kind == "nodes", key) for key in changes if key not in kept[kind]]
        return kept

    def _stage(self, document: FlowDocument, patch: JsonObject) -> JsonObject:
        for _ in range(MAX_FAULTS):
            self.dropped = []
            try:
                return document.stage(patch, bounded=False, dropped=self.dropped)
            except InvalidPatch as error:
                kind, key = _member(error.path)
                if key not in patch.get(kind, ()):
                    raise
                del patch[kind][key]
                self.unfit.append((kind == "nodes", key))
        return document.stage(patch, bounded=False)


def _kind(is_node: bool) -> str:
    return "nodes" if is_node else "edges"


def _member(path: str) -> tuple[str, str]:
    keys = [key.replace("~1", "/").replace("~0", "~") for key in path.split("/")[1:3]]
    return (keys[0], keys[1]) if len(keys) == 2 else ("", "")


def _all(_is_there: bool, _change: object) -> bool:
    return True


def _known(is_there: bool, _change: object) -> bool:
    return is_there


def _deletions(_is_there: bool, change: object) -> bool:
    return change is None
