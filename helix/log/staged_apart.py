"""Stages an edit that deletes much by few bytes in a thread, on a copy of the document."""

from __future__ import annotations

from functools import partial

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from helix.delivery.parts import SharedText
from helix.documents.decoding import decode_in_parts
from helix.documents.document import DocumentLimits, FlowDocument, JsonObject
from helix.documents.encoding import encode_in_parts
from helix.errors import HelixError, TooManyPending
from helix.limits.apart import Apart
from helix.log.edits import FlowState, Replacement, Submission

MAX_CASCADE = 2000
"""Edges that may go with deleted nodes when an edit is staged at once: some 3 ms."""


@attrs.frozen(eq=False)
class _Staged:
    """
    What staging gave.

    :ivar result: what it refuses the edit with, too.
    :ivar dropped: what it left out, as JSON Pointers.
    """

    result: Replacement | HelixError
    dropped: list[str]


@attrs.define(eq=False)
class StagedApart:
    """
    What a submission makes of a flow's document. (`helix.log.edits.Preparation`)

    :ivar _limits: the document's.
    :ivar _base: the epoch and the version of the document that it was staged on.
    :ivar _staged: ``None`` if the thread has refused it.
    """

    _submission: Submission
    _limits: DocumentLimits
    _apart: Apart
    _base: tuple[str, int] | None = None
    _staged: _Staged | None = None

    def fits(self, epoch: str, version: int) -> bool:
        return self._base == (epoch, version)

    def make(self, state: FlowState) -> Deferred[None]:
        """As `helix.log.edits.Preparation`. If the thread refuses it, `stage` does it at once."""
        text = state.document
        staged = self._apart(len(text), partial(self._make, text), self._submission.charge)
        return staged.addErrback(_trap_refusal).addCallback(
            self._keep, (state.head.epoch, state.version)
        )

    def stage(self, document: FlowDocument, dropped: list[str]) -> JsonObject | Replacement:
        """As a `helix.log.edits.Submission` wants it."""
        if self._staged is None:
            return self._submission.stage(document, dropped)
        if isinstance(self._staged.result, HelixError):
            raise self._staged.result
        dropped += self._staged.dropped
        return self._staged.result

    def _make(self, text: bytes) -> _Staged:
        document = FlowDocument(decode_in_parts(text), self._limits)
        dropped: list[str] = []
        try:
            staged = self._submission.stage(document, dropped)
        except HelixError as error:
            return _Staged(error, dropped)
        assert not isinstance(staged, Replacement)
        document.apply(staged)
        whole = SharedText(encode_in_parts(document.content))
        return _Staged(Replacement(encode_in_parts(staged), document, whole), dropped)

    def _keep(self, staged: _Staged | None, base: tuple[str, int]) -> None:
        self._staged, self._base = staged, base


def _trap_refusal(failure: Failure) -> None:
    failure.trap(TooManyPending)
