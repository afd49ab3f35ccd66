"""Replaces a document: makes the new one in a thread, and puts it in place at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs
from twisted.internet.defer import Deferred

from helix.delivery.parts import SharedText
from helix.documents.decoding import decode_in_parts
from helix.documents.document import (
    DocumentLimits,
    FlowDocument,
    JsonObject,
    diff,
    merge,
)
from helix.documents.encoding import encode_in_parts
from helix.errors import Forbidden
from helix.limits.apart import Apart
from helix.limits.rate_limit import Charge
from helix.log.edits import FlowState, Permit, Replacement


@attrs.define(eq=False)
class Rewriting:
    """
    What turns a flow's document into another one. (`helix.log.edits.Preparation`)

    :ivar _make_whole: makes that, checked; called once, in a thread.
    :ivar _limits: the document's.
    :ivar _size: bytes that it takes, about.
    :ivar _apart: does what takes long.
    :ivar _charge: told how long it took.
    :ivar _permit: judges the difference; ``None`` where any is permitted.
    :ivar _base: the epoch and the version of the document that ``_made`` takes the place of.
    :ivar _made: an error where the difference isn't permitted. It is raised when the edit's turn
        comes: it may be permitted of what the document is by then.
    """

    _make_whole: Callable[[], JsonObject]
    _limits: DocumentLimits
    _size: int
    _apart: Apart
    _charge: Charge | None = None
    _permit: Permit | None = None
    _whole: JsonObject | None = None
    _base: tuple[str, int] | None = None
    _made: Replacement | Forbidden | None = None

    def fits(self, epoch: str, version: int) -> bool:
        return self._base == (epoch, version)

    def make(self, state: FlowState) -> Deferred[None]:
        """
        As `helix.log.edits.Preparation`; it touches nothing that anybody else has.

        :raises InvalidPatch, DocumentTooLarge: (through the Deferred) what ``make_whole`` raises.
        """
        size = max(self._size, len(state.document))
        made = self._apart(size, partial(self._make, state.document), self._charge)
        return made.addCallback(self._keep, (state.head.epoch, state.version))

    def stage(self, _document: FlowDocument, _dropped: list[str]) -> Replacement:
        """
        As a `helix.log.edits.Submission` wants it.

        :raises Forbidden: when the difference isn't permitted.
        """
        assert self._made is not None
        if isinstance(self._made, Forbidden):
            raise self._made
        return self._made

    def _make(self, text: bytes) -> Replacement | Forbidden:
        if self._whole is None:
            self._whole = self._make_whole()
        content: JsonObject = decode_in_parts(text)
        patch = diff(content, self._whole)
        if self._permit is not None:
            try:
                self._permit(patch, content)
            except Forbidden as error:
                return error
        document = FlowDocument(merge(content, patch), self._limits)
        whole = SharedText(encode_in_parts(document.content))
        return Replacement(encode_in_parts(patch), document, whole)

    def _keep(self, made: Replacement | Forbidden, base: tuple[str, int]) -> None:
        self._made, self._base = made, base
