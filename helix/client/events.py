"""The events that a `FlowClient` sends to its listeners."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import attrs

from helix.client.replica import FlowEntry
from helix.documents.document import JsonObject
from helix.errors import HelixError


class Status(Enum):
    """The state of a client's connection to its flow."""

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
    """The whole document was replaced, so the changes are unknown: read it again."""

    epoch: str
    version: int


@attrs.frozen
class StatusChanged:
    """
    The client's status has changed.

    :ivar reason: why, if it is offline or closed.
    """

    status: Status
    reason: HelixError | None = None


@attrs.frozen
class PatchRefused:
    """A patch of this client will never be in the log, and is no longer shown."""

    op_id: int
    error: HelixError


@attrs.frozen
class Dropped:
    """
    A patch of this client is settled, but a part of it was dropped: for example, it changed a node
    that somebody else had deleted.

    :ivar patch: as it was submitted; it must not be changed.
    :ivar paths: the dropped parts, as JSON Pointers.
    """

    op_id: int
    patch: JsonObject
    paths: tuple[str, ...]


FlowEvent = EntriesArrived | DocumentReplaced | StatusChanged | PatchRefused | Dropped
Listener = Callable[[FlowEvent], object]
