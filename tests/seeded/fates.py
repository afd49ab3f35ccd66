"""
What becomes of each edit of everybody in a seeded run, and what may.

An edit is at first waiting. It ends in the log, as the patch that it makes of the document before
it; or it changed nothing of the document that it met; or it was refused. Whatever of it could not
be taken is told with the answer. No other end is right but one: a store that went back behind an
edit has it no longer, and then whoever made it is shown the document anew.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Container, Iterable, Iterator
from typing import Any

import attrs

from helix.documents.document import FlowDocument, empty_document, encode_document, inverse
from helix.errors import HelixError
from tests.seeded.truth import Record, Truth


@attrs.define(eq=False)
class Edit:
    """
    An edit of somebody.

    :ivar op_id: the number that it is sent under; ``None`` before it is known.
    :ivar reused: whether the number may have been another's before.
    :ivar given_up: whether who made it is gone, and has kept nothing: it may be in the log, or not.
    :ivar refused: why, once it was refused for good.
    :ivar answered: the version that it was answered with.
    :ivar shown_anew: how often its author had been shown the document anew when it was answered.
    :ivar is_missed: whether its author was then told of another entry at that version.
    :ivar is_void: whether it was answered to have changed nothing: what a log that gave way has
        under its number, at that version, is something else.
    """

    patch: dict[str, Any]
    op_id: int | None = None
    reused: bool = False
    given_up: bool = False
    refused: str = ""
    answered: int | None = None
    shown_anew: int = 0
    is_missed: bool = False
    is_void: bool = False

    @property
    def is_waiting(self) -> bool:
        return self.answered is None and not self.refused


@attrs.define(eq=False)
class Author:
    """
    Who makes edits: a client, in as many lives as its pages have.

    :ivar client_id: what it calls itself.
    :ivar name: what others call it; empty before it is told.
    :ivar edits: all that it made.
    :ivar is_orderly: whether it sends them in order, and none twice under other numbers.
    :ivar counts: whether it knows which numbers it has used.
    :ivar shown_anew: how often it was shown a whole document.
    """

    client_id: str
    truth: Truth
    name: str = ""
    edits: list[Edit] = attrs.field(factory=list)
    is_orderly: bool = True
    counts: bool = True
    shown_anew: int = 0
    _stored: dict[int, Edit] = attrs.field(factory=dict)

    def accept(self, edit: Edit, epoch: str, answer: dict[str, Any]) -> None:
        """
        See that an answer is true: of what is in the log, or would change nothing now.

        :param epoch: of the log that the author is shown.
        """
        assert edit.op_id is not None
        version = answer["version"]
        before = self._in_log(edit)
        if not self.truth.is_lost(before):
            assert version == edit.answered, "answered twice, with two versions"
        edit.answered, edit.shown_anew = version, self.shown_anew
        told = settle(answer.get("patch", edit.patch), answer.get("dropped", ()))
        found = self.truth.find(self.name, edit.op_id, version)
        told_of = [record for record in found if _stored(record) == told]
        edit.is_void = not told_of
        if not told_of:
            assert "duplicate" not in answer, f"a duplicate of nothing: {edit}, {answer}"
            assert answer.get("patch", edit.patch) == {}, f"{edit} is not in the log: {answer}"
            # An answer may come before the reset that tells of the log that it speaks of.
            logs = dict.fromkeys((epoch, *self.truth.epochs))
            documents = (one for log in logs for one in self.truth.documents(log, version))
            staged = [stage_on(document, edit.patch) for document in documents]
            assert told in staged, f"{edit} is lost: {answer}"
            return
        other = self._stored.get(version)
        if other is not None and other is not edit:
            other.is_missed = True  # told to be where this one is
        self._stored[version] = edit
        if not (edit.reused and "duplicate" in answer):
            staged = [stage_on(record.before, edit.patch) for record in told_of]
            assert told in staged, f"{edit} is stored as {told}, not {staged}"

    def see(self, entry: dict[str, Any]) -> None:
        """Be told of an entry, which may stand where the author was told that an edit does."""
        edit = self._stored.pop(entry["version"], None)
        if edit is not None and (entry["client_id"], entry["op_id"]) != (self.name, edit.op_id):
            edit.is_missed = True

    def refuse(self, edit: Edit, error: dict[str, Any]) -> None:
        """Take it that an edit was refused for good."""
        edit.refused = error["code"]
        if edit.refused != "flow_deleted":
            empty = encode_document(empty_document())
            assert stage_on(empty, edit.patch)[0] == {"refused": edit.refused}

    def undo(self, edit: Edit) -> dict[str, Any]:
        """The patch that would have undone an edit when it was made."""
        found = self._in_log(edit)
        if not found:
            return {}
        return inverse(json.loads(found[-1].before), json.loads(found[-1].entry.patch))

    def check(self, is_away: bool) -> None:
        """
        See to what holds of all its edits when nothing is under way.

        :param is_away: whether some may wait until it is back.
        """
        by_number: dict[int | None, list[Edit]] = {}
        for edit in self.edits:
            by_number.setdefault(edit.op_id, []).append(edit)
            assert is_away or edit.given_up or not edit.is_waiting, f"{edit} was forgotten"
            found = self._in_log(edit)
            if found and self.truth.is_lost(found) and not (is_away or edit.given_up):
                is_told = edit.is_missed or self.shown_anew > edit.shown_anew
                assert is_told, f"the loss of {edit} was not told"
        for record in self.truth.by(self.name):
            sent = [e for e in by_number[record.entry.op_id] if self._may_be(e, record)]
            stored = _stored(record)
            assert any(stage_on(record.before, edit.patch) == stored for edit in sent)

    def _may_be(self, edit: Edit, record: Record) -> bool:
        """Tell whether an edit may be in the log there, as far as its author was told."""
        return edit.refused in ("", "flow_deleted")

    def check_order(self, records: list[Record]) -> None:
        """
        See that no edit was overtaken by a later one, unless it changed nothing when it was first
        taken, and something when it was sent again, or was in a log that gave way, or went back; or
        might not be made when it was first judged.
        """
        edits = {edit.op_id: edit for edit in self.edits}
        ahead = records[0]
        for record in records[1:]:
            number, newest = record.entry.op_id, ahead.entry.op_id
            assert number is not None
            assert newest is not None
            if number > newest:
                ahead = record
                continue
            if sum(one.entry.op_id == number for one in self.truth.by(self.name)) > 1:
                continue
            first = next(one for one in records if (one.entry.op_id or 0) > number)
            documents = self._documents_before(number, first)
            staged = (stage_on(document, edits[number].patch)[0] for document in documents)
            is_right = {} in staged or self._was_not_allowed(edits[number], first)
            assert is_right, f"{edits[number]} was overtaken"

    def _documents_before(self, number: int, first: Record) -> Iterator[bytes]:
        """
        The documents of each log in which an edit may have been staged before a later one of its
        author was taken there.

        :param first: what was taken first of all that came later, in the log that there is.
        """
        ends: dict[str, int] = {}
        for one in (first, *self.truth.by(self.name)):
            if (one.entry.op_id or 0) > number:
                ends.setdefault(one.epoch, one.entry.version)
        for epoch, end in ends.items():
            for version in range(end):
                yield from self.truth.documents(epoch, version)

    def _was_not_allowed(self, edit: Edit, first: Record) -> bool:
        """
        Tell whether an edit might not be made before a later one was taken.

        :param first: what was taken first of all that came later.
        """
        return False

    def _in_log(self, edit: Edit) -> list[Record]:
        """What an edit was answered to have become; nothing where its number was another's."""
        if edit.answered is None or edit.op_id is None or edit.is_void:
            return []
        found = self.truth.find(self.name, edit.op_id, edit.answered)
        if not edit.reused:
            return found
        return [one for one in found if stage_on(one.before, edit.patch) == _stored(one)]


def check_fates(
    authors: Iterable[Author],
    truth: Truth,
    away: Collection[Author] = frozenset(),
    others: Container[str] = frozenset(),
) -> None:
    """
    See that each edit of everybody came to a right end, and that nobody else wrote any.

    :param away: those who are not there, and may have edits that wait.
    :param others: what those are called whose edits are looked at elsewhere.
    """
    known = {author.name: author for author in authors}
    for records in truth.named():
        if records[0].entry.client_id in others:
            continue
        author = known[records[0].entry.client_id or ""]
        numbers = [record.entry.op_id for record in records]
        assert len(set(numbers)) == len(numbers), f"{author}: an edit is in the log twice"
        if author.is_orderly:
            author.check_order(records)
    for author in known.values():
        author.check(author in away)


Staged = tuple[dict[str, Any], list[str]]
"""An effective patch, and what was dropped, in order."""


def stage_on(document: bytes, patch: dict[str, Any]) -> Staged:
    """What a patch makes of a document, or why it is refused."""
    dropped: list[str] = []
    try:
        effective = FlowDocument(json.loads(document)).stage(patch, dropped=dropped)
    except HelixError as error:
        return {"refused": str(error.code)}, []
    return settle(effective, dropped)


def _stored(record: Record) -> Staged:
    """What the log has."""
    return settle(json.loads(record.entry.patch), record.entry.dropped)


def settle(effective: dict[str, Any], dropped: Iterable[str]) -> Staged:
    """
    Leave out where those nodes come to lie whose parents can't be: where these were seen last is
    nothing that a document says.
    """
    nodes = dict(effective.get("nodes", {}))
    paths = set(dropped)
    for node_id in [path.split("/")[2] for path in paths if path.endswith("/parentId")]:
        paths.discard(f"/nodes/{node_id}/position")
        node = nodes.pop(node_id, None) or {}
        if rest := {key: value for key, value in node.items() if key != "position"}:
            nodes[node_id] = rest
    settled = {key: value for key, value in effective.items() if key != "nodes"}
    return settled | ({"nodes": nodes} if nodes else {}), sorted(paths)
