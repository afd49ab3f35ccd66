"""The messages of a server in document mode, decoded."""

from __future__ import annotations

import msgspec

from helix.client.replica import FlowEntry
from helix.documents.document import DocumentLimits, JsonObject


class Limits(msgspec.Struct):
    """What a client may send; as `helix.documents.document.DocumentLimits`, and a frame's bytes."""

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
    :ivar chain: the log's at that version, as text.
    :ivar last_op_id: the largest ``op_id`` of this client that the log holds; ``None`` without any.
    """

    epoch: str
    version: int
    chain: str | None = None
    last_op_id: int | None = None
    client_id: str = ""
    entries: list[FlowEntry] | None = None
    document: JsonObject | None = None
    limits: Limits = msgspec.field(default_factory=Limits)


class Entries(msgspec.Struct):
    """
    The log has grown.

    :ivar chain: the log's after the last of the entries, as text.
    """

    entries: list[FlowEntry]
    chain: str | None = None


class Reset(msgspec.Struct):
    """What the client has is to be forgotten."""

    epoch: str
    version: int
    document: JsonObject
    chain: str | None = None


class Accepted(msgspec.Struct):
    """
    A patch is durable.

    :ivar dropped: what of it could not be taken, as JSON Pointers.
    """

    version: int
    dropped: tuple[str, ...] = ()


decode_joined = msgspec.json.Decoder(Joined).decode
decode_entries = msgspec.json.Decoder(Entries).decode
decode_reset = msgspec.json.Decoder(Reset).decode
decode_accepted = msgspec.json.Decoder(Accepted).decode
