"""A document that becomes another one: the difference made apart, used if nobody was faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import msgspec

from helix.document import FlowDocument, JsonObject, diff
from helix.edits import Check, FlowState

_decode = msgspec.json.Decoder().decode


@attrs.define(eq=False)
class Rewriting:
    """
    What turns a flow's document into another one.

    :ivar whole: that, checked.
    :ivar base: the epoch and the version of the document that ``patch`` is for.
    :ivar patch: the difference from there.
    :ivar _check: what else the edit depends on.
    """

    whole: JsonObject
    base: tuple[str, int]
    patch: JsonObject
    _check: Check = None
    _fits: bool = False

    @classmethod
    def make(
        cls, state: FlowState, make_whole: Callable[[], JsonObject], check: Check
    ) -> Rewriting:
        """
        Make it of the flow as it is now; it touches nothing that anybody else has.

        :raises InvalidPatch, DocumentTooLarge: what ``make_whole`` raises.
        """
        whole = make_whole()
        base = state.head.epoch, state.version
        return cls(whole, base, diff(_decode(state.document), whole), check)

    def check(self, epoch: str, version: int, chain: bytes) -> None:
        """See whether the flow is still as it was. (`helix.edits.Submission`)"""
        self._fits = (epoch, version) == self.base
        if self._check is not None:
            self._check(epoch, version, chain)

    def stage(self, document: FlowDocument, _dropped: Any) -> JsonObject:
        """Give the effective patch; where the flow has gone on, it is made anew."""
        return self.patch if self._fits else diff(document.content, self.whole)
