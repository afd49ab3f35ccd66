"""
What becomes of each edit of each page in a run of the fuzz, and what may.

An edit is known by its token. In the end it is in the log; or was undone by the page that made it;
or was refused, or dropped, and its browser was told. No other end is right. What the log holds was
done by somebody, in these very words, and once; and an undo has taken back nothing that somebody
else had changed before.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from helix.documents.document import FlowDocument, empty_document, encode_document
from helix.documents.ids import public_id
from helix.documents.text_merge import merge_patch
from tests.browser.fuzz.plan import PAGES, Step
from tests.seeded.fates import settle, stage_on

TOKEN = re.compile(r"\b[a-zA-Z]\d{3}\b")

IN_PARTS = {"many", "large"}
"""Acts whose edits may be sent as several."""

Path = tuple[str, ...]


@attrs.define(eq=False)
class Edit:
    """
    An edit of somebody.

    :ivar life: the page that made it, from when it was loaded until it was left.
    :ivar is_meant: whether it is to be: it was not undone, or done again.
    :ivar was_undone: whether it ever was.
    """

    step: Step
    life: str
    is_meant: bool = True
    was_undone: bool = False


@attrs.frozen
class Operation:
    """
    What a page has kept of what it sends.

    :ivar life: the page that made it; or whose browser split it.
    :ivar how: the act that made it.
    :ivar version: what the page had seen of the log by then.
    :ivar bases: of what its texts were made.
    :ivar is_decided: whether this is what is sent: an undo follows from what others do until then.
    """

    life: str
    how: str
    version: int
    patch: dict[str, Any]
    bases: dict[str, str]
    is_decided: bool

    def may_not_write(self, path: Path) -> bool:
        """Whether it has to leave alone what others have written there."""
        return self.how in ("undo", "redo") and "/" + "/".join(path) not in self.bases

    def stage_on(self, document: bytes) -> tuple[dict[str, Any], list[str]]:
        """What it makes of a document, and what is dropped."""
        return stage_on(document, merge_patch(json.loads(document), self.patch, self.bases))


@attrs.define(eq=False)
class Model:
    """What was done, and what has to have come of it."""

    edits: dict[str, Edit] = attrs.field(factory=dict)
    faults: list[str] = attrs.field(factory=list)

    def did(self, step: Step, told: dict[str, Any]) -> None:
        """
        Take in what an act has done.

        :param told: by the page: the tokens that it showed before and afterwards, those of nodes
            behind a dot, and its life.
        """
        if step.act not in ("undo", "redo", "restore"):
            if told["done"] and step.kind == "edit":
                self.edits[step.token] = Edit(step, told["life"])
                self._expect(step.token in self._shown(told["after"]), f"{step} isn't shown")
            return
        before, after = self._shown(told["before"]), self._shown(told["after"])
        for token in before - after:
            edit = self.edits[token]
            if edit.life == told["life"]:
                edit.is_meant, edit.was_undone = False, True
            elif edit.step.is_witnessed:
                self.faults.append(f"{step} took back what {edit} did")
        for token in after - before:
            if self.edits[token].life == told["life"]:
                self.edits[token].is_meant = True

    def _shown(self, tokens: list[str]) -> set[str]:
        """Those that tell that an edit is shown: of the flow, where it has one there."""
        names = {token.lstrip(".") for token in tokens} & self.edits.keys()
        witnessed = {name for name in names if self.edits[name].step.is_witnessed}
        return (names - witnessed) | (witnessed & set(tokens))

    def make_log(self, entries: list[dict[str, Any]], noted: Iterable[dict[str, Any]]) -> Log:
        """The log, read as this model needs it."""
        return Log(entries, noted)

    def check_saved(self, life: str, log: Log) -> None:
        """See that what a page that shows that all is saved has done is in the log."""
        for token, edit in self.edits.items():
            if edit.life == life and edit.step.is_witnessed:
                is_there = token in log.document["data"]
                is_right = is_there == edit.is_meant or token in log.refused
                self._expect(is_right, f"saved, it says, but {edit} is not in the log")

    def check(self, log: Log) -> Counter[str]:
        """
        See that each edit came to a right end; gives how many came to which.

        :raises AssertionError: telling all that is wrong.
        """
        ends = Counter(self._end_of(token, edit, log) for token, edit in self.edits.items())
        self._check_entries(log)
        self._check_order(log)
        assert not self.faults, "\n".join(self.faults)
        return ends

    def _end_of(self, token: str, edit: Edit, log: Log) -> str:
        is_there = token in log.document["data"]
        if token in log.refused:
            return "refused"
        if not edit.is_meant:
            self._expect(not is_there, f"{edit} was undone, and is there")
            return "undone"
        if edit.step.is_witnessed:
            self._expect(is_there, f"{edit} is lost")
            self._check_text(token, edit, log)
            return "logged"
        if token in log.first:
            self._check_text(token, edit, log)
            return "logged"
        self._expect(token in log.dropped, f"{edit} is lost, and nobody was told")
        return "dropped"

    def _check_text(self, token: str, edit: Edit, log: Log) -> None:
        """What somebody has typed stands where they typed it, whoever else wrote there."""
        for one in log.document["nodes"].values():
            if edit.step.act == "typeLabel" and token in one["data"].get("marks", ()):
                self._expect(token in one["data"]["label"], f"{edit} is lost from {one}")

    def _check_entries(self, log: Log) -> None:
        names = Counter((entry["client_id"], entry["op_id"]) for entry, _ in log.steps)
        for entry, before in log.steps:
            name = (entry["client_id"], entry["op_id"])
            if entry["client_id"] is None:
                continue
            operation = log.operations.get(name)
            if operation is None:
                self.faults.append(f"nobody did {entry}")
                continue
            self._expect(names[name] == 1, f"{entry} is there twice")
            if not operation.is_decided:
                continue
            stored = settle(entry["patch"], entry.get("dropped", ()))
            staged = operation.stage_on(before)
            self._expect(stored == staged, f"{operation} is stored as {stored}, not {staged}")
        for entry, operation, path, other in log.overwritten():
            where = "/".join(path)
            self.faults.append(f"{operation} wrote over {where} of {other}, as {entry}")

    def _check_order(self, log: Log) -> None:
        """
        What one page did was done in that order; and what one tab did, over its reloads, too, where
        no other tab of its browser may have sent what it left.
        """
        newest: dict[str | int, tuple[int, Edit]] = {}
        for token, edit in self.edits.items():
            if edit.was_undone or edit.step.act in IN_PARTS or not edit.step.is_witnessed:
                continue
            version = log.first.get(token)
            is_alone = PAGES.count(PAGES[edit.step.page]) == 1
            maker = edit.step.page if is_alone else edit.life
            before = newest.get(maker)
            if version is None:
                continue
            if before is not None and version < before[0]:
                self.faults.append(f"{edit} has overtaken {before[1]}")
            newest[maker] = (version, edit)

    def _expect(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self.faults.append(otherwise)


class Log:
    """
    The log of a flow, with what browsers have noted.

    :param entries: as REST tells them.
    :param noted: the storage of each browser.
    :ivar steps: each entry, and the document before it.
    :ivar first: by token, the version that brought it first.
    :ivar dropped: the tokens of what was told to be dropped; ``refused`` likewise.
    """

    def __init__(self, entries: list[dict[str, Any]], noted: Iterable[dict[str, Any]]) -> None:
        self.operations: dict[tuple[str, int], Operation] = {}
        self.dropped: set[str] = set()
        self.refused: set[str] = set()
        self.closed: list[Any] = []
        for storage in noted:
            for key, text in storage.items():
                self._note(key, text)
        self.steps: list[tuple[dict[str, Any], bytes]] = []
        self.first: dict[str, int] = {}
        made = FlowDocument(empty_document())
        for entry in entries:
            self.steps.append((entry, encode_document(made.content)))
            made.apply(entry["patch"])
            for token in self.tokens_in(entry["patch"]):
                self.first.setdefault(token, entry["version"])
        self.document = made.content

    def _note(self, key: str, text: str) -> None:
        if key.startswith("fuzz:op:"):
            kept = json.loads(text)
            name = (public_id(kept["clientId"]), kept["opId"])
            bases = kept.get("bases", {})
            told = (kept["life"], kept["how"], kept["version"], kept["patch"], bases)
            self.operations[name] = Operation(*told, kept["isDecided"])
        elif key.startswith("fuzz:told:"):
            told = json.loads(text)
            if told["type"] == "closed":
                self.closed.append(told)
            elif told["type"] == "refused":
                self.refused.update(TOKEN.findall(json.dumps(told["refusal"]["patch"])))
            else:
                self.dropped.update(TOKEN.findall(json.dumps(told["dropped"]["patch"])))

    @staticmethod
    def tokens_in(patch: dict[str, Any]) -> list[str]:
        """The tokens that a patch brings: where edits put them, not where text repeats them."""
        nodes = [one for one in patch.get("nodes", {}).values() if one is not None]
        marks = [(one.get("data") or {}).get("marks") or {} for one in nodes]
        found = [pair for one in (patch.get("data", {}), *marks) for pair in one.items()]
        return [name for name, value in found if value is not None and TOKEN.fullmatch(name)]

    def overwritten(self) -> Iterator[tuple[dict[str, Any], Operation, Path, str]]:
        """
        Find what undo or redo has written over, though somebody else had changed it by then, as
        its page knew.
        """
        writers: dict[Path, tuple[int, str]] = {}
        for entry, before in self.steps:
            operation = self.operations.get((entry["client_id"], entry["op_id"]))
            freed = _freed_by(entry["patch"], before)
            life = operation.life if operation is not None else ""
            # A redo of what was undone before it was ever sent does it for the first time.
            tokens = self.tokens_in(entry["patch"])
            is_first = any(self.first[token] == entry["version"] for token in tokens)
            for path in _leaves(entry["patch"]):
                # What stood above was no object, or none any more.
                above = [path[:n] for n in range(1, len(path)) if path[:n] in writers]
                within = [one for one in writers if one[: len(path)] == path]
                wrote = [writers.pop(one) for one in (*above, *within)]
                is_free_to = is_first or path[:3] in freed
                if operation is not None and not is_free_to and operation.may_not_write(path):
                    for version, other in wrote:
                        if other != life and version <= operation.version:
                            yield entry, operation, path, f"{other} at {version}"
                writers[path] = (entry["version"], life)


def _freed_by(patch: dict[str, Any], before: bytes) -> set[Path]:
    """The paths of the places of nodes whose group a patch deletes: these have to be others."""
    gone = {one for one, value in patch.get("nodes", {}).items() if value is None}
    if not gone:
        return set()
    nodes = json.loads(before)["nodes"]
    freed = [one for one, value in nodes.items() if value.get("parentId") in gone]
    return {("nodes", one, name) for one in freed for name in ("parentId", "position")}


def _leaves(patch: dict[str, Any], path: Path = ()) -> Iterator[Path]:
    """The paths of what a patch sets or deletes."""
    for name, value in patch.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name)
