"""What a server tells of a flow in document mode, decoded."""

from __future__ import annotations

import msgspec

from helix.client.replica import FlowEntry
from helix.document import DocumentLimits, JsonObject


class Limits(msgspec.Struct):
    """What a client may send; as `helix.document.DocumentLimits`, and a frame's bytes."""

    max_patch_bytes: int = DocumentLimits().max_patch_bytes
    max_document_bytes: int = DocumentLimits().max_document_bytes
    max_members: int = DocumentLimits().max_members
    max_frame_bytes: int = 1024 * 1024


class Joined(msgspec.Struct):
    """
    The answer to a join.

    :ivar client_id: what others call this client.
    :ivar entries: what the client missed, where ``document`` is not given.
    :ivar version: of the log, after ``entries`` or in ``document``.
    """

    epoch: str
    version: int
    client_id: str = ""
    entries: list[FlowEntry] | None = None
    document: JsonObject | None = None
    limits: Limits = msgspec.field(default_factory=Limits)


class Entries(msgspec.Struct):
    """The log has grown."""

    entries: list[FlowEntry]


class Reset(msgspec.Struct):
    """What the client has is to be forgotten."""

    epoch: str
    version: int
    document: JsonObject


class Accepted(msgspec.Struct):
    """A patch is durable."""

    version: int


decode_joined = msgspec.json.Decoder(Joined).decode
decode_entries = msgspec.json.Decoder(Entries).decode
decode_reset = msgspec.json.Decoder(Reset).decode
decode_accepted = msgspec.json.Decoder(Accepted).decode
