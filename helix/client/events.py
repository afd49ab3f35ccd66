"""The events that a `FlowClient` sends to its listeners."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import attrs

from helix.client.replica import FlowEntry
from helix.document import JsonObject
from helix.errors import HelixError


class Status(Enum):
    """How a client stands to its flow."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    JOINED = "joined"
    CLOSED = "closed"


@attrs.frozen
class EntriesArrived:
    """
    The log has grown.

    :ivar entries: in order, this client's own too; they are in the document already.
    """

    entries: tuple[FlowEntry, ...]


@attrs.frozen
class DocumentReplaced:
    """The document was given whole, so what changed is unknown: read it anew."""

    epoch: str
    version: int


@attrs.frozen
class StatusChanged:
    """
    The client stands otherwise to its flow.

    :ivar reason: why, where it is offline or closed.
    """

    status: Status
    reason: HelixError | None = None


@attrs.frozen
class PatchRefused:
    """A patch of this client will never be in the log, and is shown no more."""

    op_id: int
    error: HelixError


@attrs.frozen
class Dropped:
    """
    A patch of this client is settled, but for a part that could not be taken: it changed, for one,
    a node that somebody else has deleted.

    :ivar patch: as it was submitted, not to be changed.
    :ivar paths: to what of it was left out, as JSON Pointers.
    """

    op_id: int
    patch: JsonObject
    paths: tuple[str, ...]


FlowEvent = EntriesArrived | DocumentReplaced | StatusChanged | PatchRefused | Dropped
Listener = Callable[[FlowEvent], object]
