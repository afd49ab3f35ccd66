"""The errors of Helix: one tree, whose codes are part of the contract (docs/errors.md)."""

from __future__ import annotations

from enum import IntEnum
from math import ceil
from typing import ClassVar, Self


class HelixError(Exception):
    """
    A request can't be carried out.

    :ivar code: the stable name of the error, for programs. Each class has one, except `Refused`.
    :ivar retry: whether the same request may succeed later, unchanged; one per class as well.
    :ivar retry_after: in how many seconds, if that is known.
    :ivar message: for people: the ``reason`` of a reply, the ``detail`` of a problem.
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
    """The parameters of a join or a push are not valid for the event."""

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
    A client, or all clients at its address, exceed a rate limit.

    :param wait: seconds until the next try; ``retry_after`` is that, rounded up.
    """

    code = "rate_limited"
    retry = True
    default_message = "too many messages, try again later"

    def __init__(self, wait: float, message: str | None = None) -> None:
        super().__init__(message)
        self.retry_after = max(1, ceil(wait))


class TooManyJoins(RateLimited):
    """The connection, or all connections at its address, exceed the rate limit of joins."""

    default_message = "too many joins, try again later"


class TooMuchUnread(HelixError):
    """Too much waits for the client. It must read that before it joins."""

    code = "too_much_unread"
    retry = True
    default_message = "Read what you were sent, then join again"


class TooManySessions(HelixError):
    """The maximum number of flows is open."""

    code = "too_many_sessions"
    retry = True
    default_message = "Too many flows are open, try again later"


class JoinCrashed(HelixError):
    """The join failed because of a fault in the server."""

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
    """The server is shutting down and accepts nothing new."""

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
    """The server doesn't support the ``vsn`` of a connect."""

    code = "unsupported_version"
    default_message = "The protocol version (vsn) is not supported: use 1.0.x or 2.0.x"


class OriginRefused(ConnectionRefused):
    """The page that connects comes from an origin that is not allowed."""

    code = "origin_refused"
    default_message = "The Origin is not allowed: see --allow-origin"


class Forbidden(HelixError):
    """Somebody may see a flow, but not do this with it."""

    code = "forbidden"
    default_message = "You may not do this"

    @classmethod
    def needs(cls, role: str, own: str) -> Self:
        """:param role: what the request needs; ``own``: what the client is."""
        return cls(f"This needs the role {role}, and you are {own}")


class ForbiddenPath(Forbidden):
    """A patch changes something that its client's grant doesn't cover."""

    code = "forbidden_path"
    default_message = "You may not change this part of the flow"

    @classmethod
    def at(cls, path: str) -> Self:
        """:param path: a JSON Pointer to the first place."""
        return cls(f"{path}: you may not change this part of the flow")


class HostRefused(ConnectionRefused):
    """The ``Host`` of a request is a name that the server doesn't allow."""

    code = "host_refused"
    default_message = "The server does not allow this Host name: see --allow-host"


class TokenRefused(ConnectionRefused):
    """The token can't be read or is not accepted."""

    code = "token_refused"
    default_message = "The token is not accepted"


class KeysUnavailable(ConnectionRefused):
    """The keys with which tokens are checked could not be fetched yet."""

    code = "keys_unavailable"
    retry = True
    default_message = "The keys that check tokens are out of reach, try again later"


class Unauthorized(HelixError):
    """
    A request by REST doesn't show who makes it.

    :ivar had_token: whether it carried a token, which was not accepted.
    """

    code = "unauthorized"
    default_message = "A token is needed: Authorization: Bearer"

    def __init__(self, message: str | None = None, had_token: bool = False) -> None:
        super().__init__(message)
        self.had_token = had_token


class TooManyConnections(ConnectionRefused):
    """The server, or this client's address, has the maximum number of connections."""

    code = "too_many_connections"
    retry = True
    default_message = "Too many connections, try again later"


class MalformedBody(HelixError):
    """The body of a request is not the JSON that it should be."""

    code = "malformed_body"
    default_message = "The body is not valid JSON"


class UnsupportedMediaType(HelixError):
    """The body of a request has a media type that is not accepted."""

    code = "unsupported_media_type"
    default_message = "The body must be application/json"


class BodyTooLarge(HelixError):
    """The body of a request is larger than its purpose allows."""

    code = "body_too_large"
    default_message = "The body is too large"


MAX_SHOWN_PATH = 300
"""Characters of a path that a message shows: an id's, and some more."""


class InvalidPatch(HelixError):
    """
    A patch or a document breaks a rule of documents; nothing of it was applied.

    :ivar path: the place of the fault, as a JSON Pointer (RFC 6901); empty for the whole.
    """

    code = "invalid_patch"

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        shown = path if len(path) <= MAX_SHOWN_PATH else path[:MAX_SHOWN_PATH] + "..."
        super().__init__(f"{shown}: {problem}" if path else f"The whole {problem}")


class FrameTooLarge(HelixError):
    """A message is larger than a frame may be; it was ignored."""

    code = "frame_too_large"
    default_message = "The message is too large"


class TooManyValues(HelixError):
    """A message holds so many values that decoding it would delay others."""

    code = "too_many_values"
    default_message = "The message holds too many values"


class PatchTooLarge(HelixError):
    """A patch is larger than a patch may be."""

    code = "patch_too_large"
    default_message = "The patch is too large"


class DocumentTooLarge(HelixError):
    """A document would be too large, or have too many nodes and edges."""

    code = "document_too_large"
    default_message = "The document would be too large"


class FlowNotFound(HelixError):
    """There is no flow with that id."""

    code = "flow_not_found"
    default_message = "There is no such flow"


class FlowDeleted(HelixError):
    """The flow was deleted; it can be restored until it is removed for good."""

    code = "flow_deleted"
    default_message = "The flow was deleted"


class FlowExists(HelixError):
    """There is a flow with that id already."""

    code = "flow_exists"
    default_message = "There is a flow with that id already"


class VersionNotFound(HelixError):
    """The log does not reach that version, or no longer holds it."""

    code = "version_not_found"
    default_message = "The flow has no such version"


class VersionNotNamed(HelixError):
    """The version has no name."""

    code = "version_not_named"
    default_message = "The version has no name"


class TooManyNames(HelixError):
    """The flow has the maximum number of named versions."""

    code = "too_many_names"
    default_message = "The flow has the maximum number of named versions: remove some names"


class LinkNotFound(HelixError):
    """There is no link with that secret: there never was, it is over, or it was revoked."""

    code = "link_not_found"
    default_message = "This link leads nowhere any more"


class PasswordRefused(HelixError):
    """A link asks for a password, and none or another one was given."""

    code = "password_refused"
    default_message = "This link needs its password"


class TooManyGrants(HelixError):
    """A flow would have more links, or more members and groups in its access list, than it may."""

    code = "too_many_grants"
    default_message = "The flow is shared in too many ways: remove some first"


class KeyNotFound(HelixError):
    """There is no API key with that id."""

    code = "key_not_found"
    default_message = "There is no such key"


class TooManyKeys(HelixError):
    """The store has the maximum number of API keys."""

    code = "too_many_keys"
    default_message = "There are too many keys: revoke some first"


class TemplateNotFound(HelixError):
    """There is no template with that id."""

    code = "template_not_found"
    default_message = "There is no such template"


class PreconditionFailed(HelixError):
    """The flow is not at the version that the request was made for."""

    code = "precondition_failed"
    default_message = "The flow has changed since: read it again"


class TooManyPending(HelixError):
    """Too many patches wait for the store."""

    code = "too_many_pending"
    retry = True
    default_message = "Too many patches wait to be stored, try again later"


class OutOfOrder(HelixError):
    """The client must send an earlier patch again first."""

    code = "out_of_order"
    retry = True
    default_message = "An earlier patch failed: send it and all later ones again, in order"


class StoreError(HelixError):
    """The store can't carry out a request."""

    code = "store_error"
    default_message = "The store can't do this"


class VersionConflict(StoreError):
    """Another writer was first; nothing was written."""

    code = "version_conflict"
    retry = True
    default_message = "Another writer was first"


class DuplicateOperation(StoreError):
    """The log holds this idempotency key (client and operation); nothing was written."""

    code = "duplicate_operation"
    default_message = "The log holds this operation already"


class StoreUnavailable(StoreError):
    """The store did not answer in time; the write may have happened."""

    code = "store_unavailable"
    retry = True
    default_message = "The store can't be reached, try again later"


class StoreFull(StoreError):
    """The store is full; nothing was written."""

    code = "store_full"
    retry = True
    default_message = "The store has no room left"


class StoreReadOnly(StoreError):
    """
    The store is read-only for now, for example during a failover; nothing was written.
    """

    code = "store_read_only"
    retry = True
    default_message = "The store can't be written to"


class StoreCorrupt(StoreError):
    """The store holds data that can't be read."""

    code = "store_corrupt"
    default_message = "The store is damaged"


class SchemaMismatch(StoreError):
    """This version of Helix can't use the store's schema."""

    code = "schema_mismatch"


class Refused(HelixError):
    """
    A server refused a request of this client.

    :ivar code: the server's code; ``refused`` if it gave none.
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
    """The client was stopped before the server confirmed this operation."""

    code = "client_stopped"
    default_message = "The client was stopped before the server confirmed this operation"


class OutboxUnusable(HelixError):
    """The file that keeps a client's unconfirmed patches can't be used."""

    code = "outbox_unusable"
    default_message = "The outbox can't be used"


class CloseCode(IntEnum):
    """
    Why the server closes a WebSocket.

    1000-1999 are those of RFC 6455 and its registry. Our own codes 4000-4499 ask the client to
    connect again, and 4500-4999 tell it not to.
    """

    GOING_AWAY = 1001
    RESTART = 1012
    NOT_READING = 4000
    SILENT = 4001
    INTERNAL = 4002
    RATE_LIMITED = 4003
    TOO_MUCH_WAITS = 4004
    TOKEN_EXPIRED = 4401
    MALFORMED_FRAMES = 4500
