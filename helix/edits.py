"""An edit that is submitted to a flow, and its result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import attrs
import msgspec

from helix.document import FlowDocument, JsonObject
from helix.parts import SharedText
from helix.ratelimit import Charge
from helix.records import FlowHead, Summary

Check = Callable[[str, int, bytes], None] | None
"""Refuses a change for the epoch, version and chain that a flow is at; ``None`` for none."""


class Corkable(Protocol):
    """The way to a client that can gather what it is sent. (`helix.outlet.Outlet`)"""

    def cork(self) -> bool:
        """Begin to gather; ``False`` where somebody else does already."""

    def uncork(self) -> None:
        """Send what was gathered as one."""


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
    An edit on its way into the log.

    :ivar stage: gives the effective patch for the document as it is when its turn comes, and adds
        to the list what of the edit it leaves out (JSON Pointers); raises what refuses the edit. It
        may be called again, for another document, when another writer was first.
    :ivar by: who, as a name to show.
    :ivar client_id: the submitter's public id; with ``op_id``, the submission's name, by which a
        resend is recognised.
    :ivar op_id: ``None`` exactly when ``client_id`` is.
    :ivar check: called when the edit's turn comes, before it is staged.
    :ivar outlet: the way to who submitted it, for whom the answer and the entries become one write;
        ``None`` where that is no member.
    :ivar size: bytes that the submitter sent for it.
    :ivar charge: told the seconds that it took to stage it, and how many more bytes than those are
        to be written; ``None`` where nobody counts.
    :ivar preparation: what ``stage`` goes by, which is called only where that fits; ``None`` where
        it needs none.
    """

    stage: Callable[[FlowDocument, list[str]], JsonObject | Replacement]
    by: str = ""
    client_id: str | None = None
    op_id: int | None = None
    check: Check = None
    outlet: Corkable | None = None
    size: int = 0
    charge: Charge | None = None
    preparation: Preparation | None = None


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """
    An edit that is durable.

    :ivar version: of its entry; the current one where it changed nothing.
    :ivar patch: the effective patch as JSON; ``b"{}"`` where it changed nothing.
    :ivar dropped: what of the edit could not be taken, as JSON Pointers.
    :ivar duplicate: whether the log held it before it was submitted this time.
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
    """Make what a list shows of ``document``."""
    content = document.content
    return Summary(
        content["title"], content["description"], document.node_count, document.edge_count
    )
