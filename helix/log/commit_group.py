"""A commit group: edits that are staged on a flow's document together, for one append."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import attrs
import msgspec
from msgspec import structs

from helix.chain import follow
from helix.delivery.parts import SharedText
from helix.documents.document import FlowDocument, JsonObject
from helix.errors import HelixError
from helix.log.edits import Accepted, Corkable, Replacement, Submission
from helix.log.live_log import LiveLog
from helix.log.submitters import Pending
from helix.records import Entry

_encode_patch = msgspec.json.Encoder().encode


class _Patched(msgspec.Struct, frozen=True, eq=False):
    """A change that is made in the document itself."""

    patch: JsonObject
    inverse: JsonObject

    def undo(self, log: LiveLog) -> None:
        log.document.apply(self.inverse)

    def redo(self, log: LiveLog) -> None:
        log.document.apply(self.patch)


class _Replaced(msgspec.Struct, frozen=True, eq=False):
    """A change that puts another document in the place of the one that was."""

    before: FlowDocument
    after: FlowDocument
    whole: SharedText

    def undo(self, log: LiveLog) -> None:
        log.document = self.before

    def redo(self, log: LiveLog) -> None:
        log.document = self.after


@attrs.define(eq=False)
class CommitGroup:
    """
    The edits of one append. From `take` on the document holds them, until they are rolled back.

    :ivar at: when, in Unix seconds.
    :ivar _work: as that of `helix.log.live_log.LogSettings`.
    :ivar pending: the submissions in order: those of the entries; those that change nothing or are
        refused (judged on top of the entries before them); and those that the log holds already.
    :ivar entries: the entries to append.
    :ivar size: bytes of their patches.
    :ivar _entering: the submissions of the entries.
    :ivar _changes: what each of them has changed.
    """

    _log: LiveLog
    at: float
    _work: Callable[[], float] = perf_counter
    pending: list[Pending] = attrs.field(factory=list)
    entries: list[Entry] = attrs.field(factory=list)
    size: int = 0
    _entering: list[Pending] = attrs.field(factory=list)
    _changes: list[_Patched | _Replaced] = attrs.field(factory=list)

    @property
    def version(self) -> int:
        """The log's version after the entries."""
        return self._log.version + len(self.entries)

    @property
    def owner(self) -> str:
        """Who owns the flow if these edits make it; there is one at least."""
        return self._entering[0].submission.owner

    def take(self, pending: Pending) -> HelixError | None:
        """
        Stage a submission on those before it. If it is refused, its submitter is told with them.

        :return: what it is refused with if that depends on durable entries only: it is none of the
            group's then, and its submitter isn't told.
        """
        log, submission = self._log, pending.submission
        self.pending.append(pending)
        if pending.found is not None:
            return None
        version = self.version
        dropped: list[str] = []
        began = self._work()
        try:
            if submission.check is not None:
                submission.check(log.epoch, version, self._chain)
            staged = (pending.staged_apart or submission).stage(log.document, dropped)
        except HelixError as error:
            self._charge(submission, began, 0)
            if self.entries:
                pending.refused = error
                return None
            self.pending.pop()
            return error
        text = staged.text if isinstance(staged, Replacement) else _encode_patch(staged)
        if text != b"{}":
            version += 1
            self._changes.append(self._change(staged))
            self._add(version, text, pending, tuple(dropped))
        self._charge(submission, began, len(text))
        pending.accepted = Accepted(log.epoch, version, text, tuple(dropped), chain=self._chain)
        return None

    def _charge(self, submission: Submission, began: float, size: int) -> None:
        if submission.charge is not None:
            submission.charge(self._work() - began, max(0, size - submission.size))

    @property
    def _chain(self) -> bytes:
        """The log's chain after the entries."""
        return self.entries[-1].chain if self.entries else self._log.chain

    def _change(self, staged: JsonObject | Replacement) -> _Patched | _Replaced:
        """Let the document be what was staged."""
        log = self._log
        if not isinstance(staged, Replacement):
            return _Patched(staged, log.document.exchange(staged))
        change = _Replaced(log.document, staged.document, staged.whole)
        staged.document.succeed(log.document)
        log.document = staged.document
        return change

    def _add(
        self,
        version: int,
        text: bytes,
        pending: Pending,
        dropped: tuple[str, ...],
    ) -> None:
        self._entering.append(pending)
        self.size += len(text)
        submission = pending.submission
        client_id, op_id = submission.client_id, submission.op_id
        who = submission.author
        # Of positions, which take the least time: every edit comes by here.
        entry = Entry(
            version, text, self.at, who.by, client_id, op_id, dropped, b"", who.actor, who.tags
        )
        # Nobody has it yet: a copy that differs in the chain took longer than all else here.
        structs.force_setattr(entry, "chain", follow(self._chain, entry))
        self.entries.append(entry)

    @property
    def whole(self) -> SharedText | None:
        """The document after the entries as JSON, where it is at hand."""
        last = self._changes[-1]
        return last.whole if isinstance(last, _Replaced) else None

    def count(self) -> None:
        """Note that the log now holds the entries."""
        for pending in self._entering:
            client, op_id = pending.submitter, pending.submission.op_id
            if client is not None and op_id is not None and op_id > client.newest:
                client.newest = op_id

    def undo(self) -> None:
        """Remove the edits from the document; `redo` applies them again."""
        for change in reversed(self._changes):
            change.undo(self._log)

    def redo(self) -> None:
        """Apply the edits that `undo` removed."""
        for change in self._changes:
            change.redo(self._log)

    def roll_back(self) -> None:
        """Undo everything; the submissions may be taken by another group."""
        self.undo()
        for pending in self.pending:
            pending.accepted = pending.refused = None

    def cork(self) -> list[Corkable]:
        """Cork the outlets of the submitters, and give those that were corked."""
        outlets = {pending.submission.outlet: None for pending in self.pending}
        return [outlet for outlet in outlets if outlet is not None and outlet.cork()]
