"""An edit that is submitted to a flow, and its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import attrs
import msgspec

from helix.delivery.parts import SharedText
from helix.documents.document import FlowDocument, JsonObject
from helix.limits.rate_limit import Charge
from helix.records import NOBODY, Author, FlowHead, Summary

Check = Callable[[str, int, bytes], None] | None
"""Refuses a change by the flow's epoch, version and chain; ``None`` for no check."""

Permit = Callable[[object, JsonObject], None]
"""Refuses a patch by what it changes in a document."""


class Corkable(Protocol):
    """A client's outgoing queue that can gather several frames. (`helix.delivery.outlet.Outlet`)"""

    def cork(self) -> bool:
        """Begin to gather; ``False`` if it gathers already."""

    def uncork(self) -> None:
        """Send the gathered frames as one write."""


@attrs.frozen(eq=False)
class Replacement:
    """
    A document that takes the place of a flow's as a whole, whatever it holds: to put it there, and
    to take it back, costs nothing.

    :ivar text: the effective patch that leads there, as JSON.
    :ivar document: what that makes of the flow's. It is taken over.
    :ivar whole: that document as JSON.
    """

    text: bytes
    document: FlowDocument
    whole: SharedText


class Preparation(Protocol):
    """What an edit has made beforehand of the document as it was then, since it takes long."""

    def fits(self, epoch: str, version: int) -> bool:
        """Tell whether the flow is still as it was."""

    def make(self, state: FlowState) -> Awaitable[None]:
        """
        Make it anew, of the flow as it is now. Nothing else enters the flow meanwhile.

        :raises HelixError: (when it is awaited) what refuses the edit.
        """


class Submission(msgspec.Struct, frozen=True):
    """
    An edit that is submitted to the log.

    :ivar stage: gives the effective patch for the current document when its turn comes, and adds
        what it leaves out of the edit to the list (JSON Pointers); raises the error that refuses
        the edit. It may be called again, for another document, if another writer was first.
    :ivar author: who it is by, decided as it is submitted.
    :ivar owner: who owns the flow if this makes it: the id of a principal; empty for nobody.
    :ivar client_id: the submitter's public id; with ``op_id``, the idempotency key, by which a
        resend is recognised.
    :ivar op_id: ``None`` exactly when ``client_id`` is.
    :ivar check: called when the edit's turn comes, before it is staged.
    :ivar outlet: the submitter's outlet, so that answer and entries become one write; ``None`` if
        the submitter is no member.
    :ivar size: bytes that the submitter sent for it.
    :ivar charge: told how many seconds staging took, and how many bytes beyond ``size`` are
        written; ``None`` if nobody counts.
    :ivar deletes: the nodes that it deletes: with many edges it is staged in a thread.
    :ivar preparation: what ``stage`` uses; ``stage`` is called only if it fits. ``None`` if it
        isn't needed.
    """

    stage: Callable[[FlowDocument, list[str]], JsonObject | Replacement]
    author: Author = NOBODY
    client_id: str | None = None
    op_id: int | None = None
    owner: str = ""
    check: Check = None
    outlet: Corkable | None = None
    size: int = 0
    charge: Charge | None = None
    deletes: Sequence[str] = ()
    preparation: Preparation | None = None


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """
    An edit that is durable.

    :ivar version: of its entry; the current one if it changed nothing.
    :ivar patch: the effective patch as JSON; ``b"{}"`` if it changed nothing.
    :ivar dropped: the parts of the edit that were dropped, as JSON Pointers.
    :ivar duplicate: whether this was a resend, and the log held the edit already.
    :ivar chain: the log's at ``version``. (`helix.chain`)
    """

    epoch: str
    version: int
    patch: bytes
    dropped: tuple[str, ...] = ()
    duplicate: bool = False
    chain: bytes = b""


@attrs.frozen
class FlowState:
    """
    A flow at a version, durable.

    :ivar head: of that very version when it is the current one.
    :ivar version: of the document.
    :ivar document: as JSON.
    """

    head: FlowHead
    version: int
    document: bytes


def summary_of(document: FlowDocument) -> Summary:
    """Make the summary of ``document`` that lists show."""
    content = document.content
    return Summary(
        content["title"], content["description"], document.node_count, document.edge_count
    )
