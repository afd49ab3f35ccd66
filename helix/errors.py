"""The errors of Helix: one tree, whose codes are part of the contract (docs/errors.md)."""

from __future__ import annotations

from enum import IntEnum
from math import ceil
from typing import ClassVar


class HelixError(Exception):
    """
    Something that was asked for can't be done.

    :ivar code: the stable name of the error, for programs; of the class, but in `Refused`.
    :ivar retry: whether the same request may succeed later, unchanged; likewise.
    :ivar retry_after: in how many seconds, where that is known.
    :ivar message: what to tell a person; the ``reason`` of a reply, the ``detail`` of a problem.
    """

    code: str = "error"
    retry: bool = False
    retry_after: int | None = None
    default_message: ClassVar[str] = "The request could not be carried out"

    def __init__(self, message: str | None = None) -> None:
        self.message = message or self.default_message
        super().__init__(self.message)


class MalformedFrame(HelixError):
    """A frame that no serializer can read; it is dropped and counted, never answered."""

    code = "malformed_frame"
    default_message = "The frame is not a Phoenix Channels message"


class InvalidFlowId(HelixError):
    """A flow id is 1 to 255 bytes of UTF-8 after trimming, with no control characters."""

    code = "invalid_flow_id"
    default_message = "Invalid flow identifier"


class InvalidFlowIdParameter(InvalidFlowId):
    """The ``flow_id`` of a management push is not a non-blank string."""

    default_message = "Invalid flow_id"


class InvalidParameters(HelixError):
    """The parameters of a join or a push are not what the event takes."""

    code = "invalid_parameters"
    default_message = "Invalid parameters"


class MissingChanges(InvalidParameters):
    """A ``flow_change`` or a sync without ``changes``."""

    code = "missing_changes"
    default_message = "Missing changes"


class UnknownEvent(HelixError):
    """The channel does not know the event."""

    code = "unknown_event"
    default_message = "Unknown event"


class UnmatchedTopic(HelixError):
    """No channel serves the topic, or this connection has not joined it."""

    code = "unmatched_topic"
    default_message = "unmatched topic"


class TooManyChannels(HelixError):
    """The connection has joined as many topics as it may."""

    code = "too_many_channels"
    default_message = "too many channels joined"


class MaxClientsReached(HelixError):
    """The flow has as many members as it may."""

    code = "max_clients_reached"
    retry = True
    default_message = "max_clients_reached"


class RateLimited(HelixError):
    """
    A client, or all at its address, ask for more than they may.

    :param wait: in how many seconds it may be asked again; ``retry_after`` is that as whole ones.
    """

    code = "rate_limited"
    retry = True
    default_message = "too many messages, try again later"

    def __init__(self, wait: float, message: str | None = None) -> None:
        super().__init__(message)
        self.retry_after = max(1, ceil(wait))


class TooManyJoins(RateLimited):
    """The connection, or all at its address, join more often than they may."""

    default_message = "too many joins, try again later"


class TooMuchUnread(HelixError):
    """More waits for the client than may: it is to read that before it joins."""

    code = "too_much_unread"
    retry = True
    default_message = "Read what you were sent, then join again"


class TooManySessions(HelixError):
    """As many flows are open as may be."""

    code = "too_many_sessions"
    retry = True
    default_message = "Too many flows are open, try again later"


class JoinCrashed(HelixError):
    """The join met a fault of the server's."""

    code = "join_crashed"
    retry = True
    default_message = "join crashed"


class SessionCrashed(HelixError):
    """A fault ended the session while it served this request."""

    code = "session_crashed"
    retry = True
    default_message = "The session of this flow crashed, try again"


class SessionEnded(HelixError):
    """The session ended while the request was under way."""

    code = "session_ended"
    retry = True
    default_message = "The session of this flow has ended, join again"


class FlowUnavailable(HelixError):
    """The flow crashed so often that it refuses joins for a while."""

    code = "flow_unavailable"
    retry = True
    default_message = "The flow crashed too often and is unavailable for a while"


class Draining(HelixError):
    """The server is shutting down and takes nothing new."""

    code = "draining"
    retry = True
    default_message = "The server is restarting"


class SessionNotFound(HelixError):
    """Nobody has the flow open."""

    code = "session_not_found"
    default_message = "No session is open for this flow"


class ConnectionRefused(HelixError):
    """A client may not connect."""

    code = "connection_refused"


class UnsupportedVersion(ConnectionRefused):
    """The ``vsn`` of a connect is none that the server speaks."""

    code = "unsupported_version"
    default_message = "The protocol version (vsn) is not supported: use 1.0.x or 2.0.x"


class OriginRefused(ConnectionRefused):
    """The page that connects comes from an origin that is not allowed."""

    code = "origin_refused"
    default_message = "The Origin is not allowed: see --allow-origin"


class HostRefused(ConnectionRefused):
    """The server is asked for by a name that may be anybody's."""

    code = "host_refused"
    default_message = "The server is not to be asked for by this name: see --allow-host"


class TokenRefused(ConnectionRefused):
    """The token can't be read or is not accepted."""

    code = "token_refused"
    default_message = "The token is not accepted"


class TooManyConnections(ConnectionRefused):
    """The server, or this client's address, has as many connections as it may."""

    code = "too_many_connections"
    retry = True
    default_message = "Too many connections, try again later"


class MalformedBody(HelixError):
    """The body of a request is not the JSON that it should be."""

    code = "malformed_body"
    default_message = "The body is not valid JSON"


class UnsupportedMediaType(HelixError):
    """The body of a request is of a type that is not taken."""

    code = "unsupported_media_type"
    default_message = "The body must be application/json"


class BodyTooLarge(HelixError):
    """The body of a request is larger than what it is for may be."""

    code = "body_too_large"
    default_message = "The body is too large"


MAX_SHOWN_PATH = 300
"""Characters of a path that a message shows: an id's, and some more."""


class InvalidPatch(HelixError):
    """
    A patch, or a whole document, that can't be one; nothing of it was applied.

    :ivar path: the place of the fault, as a JSON Pointer (RFC 6901); empty for the whole.
    """

    code = "invalid_patch"

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        shown = path if len(path) <= MAX_SHOWN_PATH else path[:MAX_SHOWN_PATH] + "..."
        super().__init__(f"{shown}: {problem}" if path else f"The whole {problem}")


class FrameTooLarge(HelixError):
    """A message is larger than a frame may be; nothing of it was taken."""

    code = "frame_too_large"
    default_message = "The message is too large"


class TooManyValues(HelixError):
    """What was sent holds so many values that reading it would keep others waiting."""

    code = "too_many_values"
    default_message = "There are more values in this than may be sent at once"


class PatchTooLarge(HelixError):
    """A patch is larger than a patch may be."""

    code = "patch_too_large"
    default_message = "The patch is too large"


class DocumentTooLarge(HelixError):
    """A document would be larger, or have more nodes and edges, than it may."""

    code = "document_too_large"
    default_message = "The document would be too large"


class FlowNotFound(HelixError):
    """There is no flow of that id."""

    code = "flow_not_found"
    default_message = "There is no such flow"


class FlowDeleted(HelixError):
    """The flow was deleted; it can be brought back until it is removed for good."""

    code = "flow_deleted"
    default_message = "The flow was deleted"


class FlowExists(HelixError):
    """There is a flow of that id already."""

    code = "flow_exists"
    default_message = "There is a flow of that id already"


class VersionNotFound(HelixError):
    """The log does not reach that version, or no longer holds it."""

    code = "version_not_found"
    default_message = "The flow has no such version"


class VersionNotNamed(HelixError):
    """The version has no name."""

    code = "version_not_named"
    default_message = "The version has no name"


class TooManyNames(HelixError):
    """The flow has as many named versions as it may."""

    code = "too_many_names"
    default_message = "The flow has as many named versions as it may: take the names off some"


class TemplateNotFound(HelixError):
    """There is no template of that id."""

    code = "template_not_found"
    default_message = "There is no such template"


class PreconditionFailed(HelixError):
    """The flow is not at the version that the request was made for."""

    code = "precondition_failed"
    default_message = "The flow has changed since: read it again"


class TooManyPending(HelixError):
    """More patches wait for the store than may."""

    code = "too_many_pending"
    retry = True
    default_message = "Too many patches wait to be stored, try again later"


class OutOfOrder(HelixError):
    """An earlier patch of this client is to be sent again first."""

    code = "out_of_order"
    retry = True
    default_message = "An earlier patch failed: send again from that one on, in order"


class StoreError(HelixError):
    """The store can't do what was asked of it."""

    code = "store_error"
    default_message = "The store can't do this"


class VersionConflict(StoreError):
    """Another writer was first; nothing was written."""

    code = "version_conflict"
    retry = True
    default_message = "Another writer was first"


class DuplicateOperation(StoreError):
    """The log holds an entry of the same client and operation; nothing was written."""

    code = "duplicate_operation"
    default_message = "The log holds this operation already"


class StoreUnavailable(StoreError):
    """The store did not answer in time; a write may have happened all the same."""

    code = "store_unavailable"
    retry = True
    default_message = "The store can't be reached, try again later"


class StoreFull(StoreError):
    """There is no room for more; nothing was written."""

    code = "store_full"
    retry = True
    default_message = "The store has no room left"


class StoreReadOnly(StoreError):
    """
    The store can't be written to for now, as in the middle of a failover; nothing was written.
    """

    code = "store_read_only"
    retry = True
    default_message = "The store can't be written to"


class StoreCorrupt(StoreError):
    """What the store holds can't be read."""

    code = "store_corrupt"
    default_message = "The store is damaged"


class SchemaMismatch(StoreError):
    """The store's schema is not one that this version can use."""

    code = "schema_mismatch"


class Refused(HelixError):
    """
    A server refused what this client asked of it.

    :ivar code: the server's; ``refused`` where it gave none.
    """

    def __init__(self, message: str, code: str | None = None, retry: bool = False) -> None:
        super().__init__(message)
        self.code = code or "refused"
        self.retry = retry


class Disconnected(HelixError):
    """The connection to the server was lost, or could not be made."""

    code = "disconnected"
    retry = True
    default_message = "There is no connection to the server"


class ClientStopped(HelixError):
    """The client was stopped before the server had confirmed this."""

    code = "client_stopped"
    default_message = "The client was stopped before the server had confirmed this"


class OutboxUnusable(HelixError):
    """The file that keeps a client's unconfirmed patches can't be used."""

    code = "outbox_unusable"
    default_message = "The outbox can't be used"


class CloseCode(IntEnum):
    """
    Why the server closes a WebSocket.

    1000-1999 are RFC 6455's and its registry's; of ours, 4000-4499 ask the client to come back,
    4500-4999 tell it not to.
    """

    GOING_AWAY = 1001
    RESTART = 1012
    NOT_READING = 4000
    SILENT = 4001
    INTERNAL = 4002
    RATE_LIMITED = 4003
    TOO_MUCH_WAITS = 4004
    MALFORMED_FRAMES = 4500
