"""The interfaces between the parts of Helix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Generic, TypeVar

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from helix.access.principal import Principal
from helix.access.sharing import FlowAccess, Link
from helix.records import (
    ApiKey,
    AuditEntry,
    Entry,
    FlowHead,
    HeadQuery,
    LogEnd,
    NamedVersion,
    OpenFlow,
    OpenFlows,
    SignIn,
    StoredFlow,
    Summary,
)

T = TypeVar("T")


@attrs.frozen
class Credentials:
    """
    What a client shows of who it is.

    :ivar token: a token or an API key; ``None`` if it sent none.
    :ivar named: who it is by the header of an authenticating proxy that is trusted; ``None`` else.
    :ivar session: what the cookie of somebody who has signed in holds, where cookies count;
        ``None`` without one.
    """

    token: str | None = attrs.field(default=None, repr=False)
    named: str | None = None
    session: str | None = attrs.field(default=None, repr=False)


class IMember(Interface):
    """A channel that is attached to a session."""

    topic = Attribute("The topic as its client wrote it, a string.")
    outlet = Attribute("The `helix.delivery.outlet.Outlet` of the member's connection.")

    author = Attribute("Who its next edit is by: a `helix.records.Author`.")

    owner = Attribute("Who owns a flow that the member's edit makes; empty for nobody.")

    edits_all = Attribute("Whether it may change all of the document.")

    def check_edit(effective: dict[str, Any], content: Mapping[str, Any]) -> None:
        """
        Check an edit by the member when its turn comes.

        :param effective: the patch that it comes to.
        :param content: the document before it.
        :raises Forbidden, ForbiddenPath: when the member may not make it, by now.
        """

    def push(event: str, payload: bytes) -> None:
        """Send this member alone ``event`` with JSON ``payload``."""

    def push_of(event: str, payload: Sequence[bytes | memoryview]) -> None:
        """As `push`, with a payload in pieces; large ones are not copied."""

    def charge(seconds: float, size: int) -> None:
        """
        Count work that the member caused, done in a later turn than that of its request.

        :param seconds: of the reactor's time.
        :param size: bytes that were written, besides those that it sent.
        """

    def end(event: str) -> None:
        """
        End the channel from the session's side and forget the session.

        :param event: ``phx_close`` for good, ``phx_error`` for a client that should join again.
        """


class IAuthenticator(Interface):
    """Finds out who connects."""

    def authenticate(credentials: Credentials) -> Deferred[Principal]:
        """
        Give the principal of ``credentials``. The Deferred has fired already, except where keys
        must be fetched, or the store be asked, first; it always fires within a bounded time.

        :raises TokenRefused: (through the Deferred) when their holder may not come in.
        :raises KeysUnavailable: when that can't be told yet.
        """


class IFlowStore(Interface):
    """
    Keeps the logs of flows.

    When a Deferred fires, its write is durable. Every method's Deferred fires within a bounded
    time, or fails with a `helix.errors.StoreError`. After `StoreUnavailable` the write may have
    happened. Times are Unix seconds.
    """

    is_open = Attribute("Whether it was started and not stopped, so that it can be asked.")

    is_sole_writer = Attribute(
        "Whether its logs hold nothing but what was written here, and answered: no other process"
        " writes to them, and no write was given up that may still be done."
    )

    usage = Attribute("What it holds: a `helix.records.StoreUsage`, the same for all its life.")

    access = Attribute("What flows give, and to whom: an `IAccessStore`.")

    credentials = Attribute("What proves who somebody is: an `ICredentialStore`.")

    def start() -> Deferred[None]:
        """
        Open the store, and upgrade its schema in one transaction.

        :raises StoreError: (through the Deferred) when it can't be used, with what to do about it.
        """

    def stop() -> Deferred[None]:
        """Finish pending requests and close the store; later requests fail."""

    def create(
        flow_id: str,
        epoch: str,
        at: float,
        entries: Sequence[Entry] = (),
        summary: Summary = Summary(),  # noqa: B008  # immutable
        replace_deleted: bool = False,
        owner: str = "",
    ) -> Deferred[FlowHead]:
        """
        Begin a flow's log: all of ``entries``, the first of which has version 1, or nothing.

        :param epoch: the new log's identity, from which its chain starts. (`helix.chain`)
        :param entries: with their chains.
        :param summary: of the document after ``entries``.
        :param replace_deleted: whether to replace a deleted flow of this id, with its log and with
            what it gave.
        :param owner: the id of its owner; empty for none.
        :return: a Deferred of the new head.
        :raises FlowExists: when there is such a flow.
        :raises FlowDeleted: when there is a deleted one, and it isn't replaced.
        """

    def append(
        flow_id: str,
        epoch: str,
        base_version: int,
        base_chain: bytes,
        entries: Sequence[Entry],
        summary: Summary,
    ) -> Deferred[None]:
        """
        Durably add ``entries`` after ``base_version``: all of them, or none (compare-and-set).

        :param base_version: the version that they were staged against; the first entry has the
            next. The versions are contiguous.
        :param base_chain: the chain of that version; the entries' own follow from it.
        :param summary: of the document after the last.
        :return: a Deferred that fires with ``None`` after the commit.
        :raises VersionConflict: when the log is not at ``base_version``, has another chain there,
            or is of another epoch.
        :raises DuplicateOperation: when the log holds an entry of the same ``client_id`` and
            ``op_id`` as one of ``entries``.
        :raises FlowDeleted: when the flow is deleted.
        :raises FlowNotFound: when there is none.
        """

    def head(flow_id: str) -> Deferred[FlowHead]:
        """
        Give a flow's head, also of a deleted flow.

        :raises FlowNotFound: when there is none.
        """

    def ends(flow_ids: Sequence[str]) -> Deferred[dict[str, LogEnd]]:
        """
        Give how far the logs of flows have come, deleted ones too, of one moment. A flow that
        isn't there is left out.
        """

    def load(flow_id: str, version: int | None = None) -> Deferred[StoredFlow]:
        """
        Give the newest snapshot and what follows, a deleted flow's too; all of one moment.

        :param version: the version to give, for the past; the head's if ``None``.
        :raises FlowNotFound: when there is none.
        :raises VersionNotFound: when the log does not reach, or no longer holds, ``version``.
        """

    def entries(flow_id: str, epoch: str, after: int, limit: int) -> Deferred[list[Entry]]:
        """
        Give at most ``limit`` entries that follow version ``after``, in order: fewer, but one,
        where their patches are more than `helix.store.rules.PAGE_BYTES`.

        :raises FlowNotFound: when there is no such log.
        """

    def find(
        flow_id: str, epoch: str, client_id: str, op_ids: Sequence[int]
    ) -> Deferred[list[Entry]]:
        """Give the entries of a client's submissions that are in the log, in order."""

    def newest_op(flow_id: str, epoch: str, client_id: str) -> Deferred[int | None]:
        """Give the largest ``op_id`` of a client in a log, if it has any."""

    def snapshot(
        flow_id: str, epoch: str, version: int, chain: bytes, document: bytes
    ) -> Deferred[None]:
        """
        Keep ``document`` (JSON) as what the log makes at ``version``.

        Loads start from it. Older snapshots are thinned out: of those more than a thousand
        entries behind, one is kept in ten thousand entries, or 16 MiB of patches, for loads of the
        past. Without effect where
        the log is gone or of another epoch, doesn't reach ``version``, or has another ``chain``
        there.
        """

    def snapshot_versions(flow_id: str, epoch: str) -> Deferred[list[int]]:
        """Give the versions at which there is a snapshot, in order."""

    def name_version(
        flow_id: str, epoch: str, named: NamedVersion
    ) -> Deferred[NamedVersion | None]:
        """
        Give a version of a log a name, in place of its old name. If it already has this name,
        nothing changes.

        :return: a Deferred of what was there before.
        :raises FlowNotFound: when there is no such log.
        :raises FlowDeleted: when the flow is deleted.
        :raises VersionNotFound: when the log does not reach the version.
        :raises TooManyNames: when it would be one more than `helix.store.rules.MAX_NAMED_VERSIONS`.
        """

    def unname_version(flow_id: str, epoch: str, version: int) -> Deferred[None]:
        """
        Remove the name of a version.

        :raises FlowNotFound: when there is no such log.
        :raises FlowDeleted: when the flow is deleted.
        :raises VersionNotNamed: when the version has none.
        """

    def named_versions(flow_id: str, epoch: str) -> Deferred[list[NamedVersion]]:
        """
        List the versions that have names, the newest first, a deleted flow's too.

        :raises FlowNotFound: when there is no such log.
        """

    def heads(query: HeadQuery) -> Deferred[list[FlowHead]]:
        """
        List flows, the newest change first, those of one moment by id, descending; without their
        chains.
        """

    def delete(flow_id: str, at: float) -> Deferred[FlowHead]:
        """
        Mark a flow deleted: it takes no more entries. One that is so already stays as it is.

        :return: a Deferred of its head.
        :raises FlowNotFound: when there is none.
        """

    def undelete(flow_id: str) -> Deferred[FlowHead]:
        """
        Bring a deleted flow back, with its log and epoch. One that isn't deleted stays as it is.

        :return: a Deferred of its head.
        :raises FlowNotFound: when there is none.
        """

    def purge(deleted_before: float) -> Deferred[int]:
        """
        Remove for good what was deleted before a time.

        :return: a Deferred of the number of flows.
        """

    def renew_epoch(
        flow_id: str, epoch: str, version: int, chain: bytes, new_epoch: str
    ) -> Deferred[None]:
        """
        Give a log a new epoch, if its head is as given; nothing else changes.

        :param version: of its head, which has this ``chain``.
        :param new_epoch: its identity from now on, which it never had.
        :raises VersionConflict: when its head is another one, or it is of another epoch.
        :raises FlowDeleted: when the flow is deleted.
        :raises FlowNotFound: when there is none.
        """

    def renew_epochs(epoch: str) -> Deferred[int]:
        """
        Give all logs a new epoch, those of deleted flows too: all of them, or none.

        :param epoch: their identity from now on, which none of them ever had.
        :return: a Deferred of the number of flows.
        """


class IAccessStore(Interface):
    """
    Keeps what flows give, and the audit log of what was done to access.

    It is a part of an `IFlowStore`, and fires and fails as that does. What a flow gives goes with
    the flow: a deleted one keeps it, and it is removed together with the log.
    """

    def read(
        flow_ids: Sequence[str], subjects: Sequence[str] | None = None
    ) -> Deferred[dict[str, FlowAccess]]:
        """
        Give what flows give, deleted ones too. A flow that isn't there is left out.

        :param subjects: to give the part for these alone (`helix.access.sharing.subjects_of`);
            ``None`` for all. A flow that gives nothing to any of them may be left out.
        """

    def change(
        flow_id: str, edit: Callable[[FlowAccess], FlowAccess], audited: AuditEntry
    ) -> Deferred[FlowAccess]:
        """
        Change what a flow gives, in one transaction with an entry of the audit log.

        :param edit: makes what it is to give of what it gives. It may be called in another thread,
            and again. What it raises refuses the change.
        :param audited: whose ``number`` doesn't count.
        :return: a Deferred of what it gives now. If that is what it gave, nothing is kept.
        :raises FlowNotFound: when there is no such flow; a deleted one may be changed.
        """

    def find_link(link_id: str) -> Deferred[tuple[str, Link] | None]:
        """Give a link and the id of its flow, which isn't deleted; ``None`` where there is none."""

    def audit(entry: AuditEntry) -> Deferred[None]:
        """Add an entry to the audit log; its ``number`` doesn't count."""

    def audited(before: int | None, limit: int) -> Deferred[list[AuditEntry]]:
        """
        List the audit log, the newest first.

        :param before: only those with smaller numbers; ``None`` for all.
        :param limit: how many at most.
        """

    def changes(after: int | None, limit: int) -> Deferred[list[AuditEntry]]:
        """
        List what was done to access since then, by any process, in order; none comes later with a
        smaller number.

        :param after: the number of the last one that is known; ``None`` for the newest alone.
        :param limit: how many at most.
        """


class ICredentialStore(Interface):
    """
    Keeps what proves who somebody is: API keys, the sessions of who has signed in, and a secret.

    It is a part of an `IFlowStore`, and fires and fails as that does.
    """

    def secret() -> Deferred[bytes]:
        """Give 32 random bytes, the same for all who use the store, made at the first call."""

    def keys() -> Deferred[list[ApiKey]]:
        """List the API keys, the oldest first."""

    def add_key(key: ApiKey, audited: AuditEntry) -> Deferred[None]:
        """
        Keep a new key, in one transaction with an entry of the audit log.

        :raises TooManyKeys: when there are `helix.store.rules.MAX_KEYS`.
        """

    def remove_key(key_id: str, audited: AuditEntry) -> Deferred[None]:
        """
        Remove a key, likewise.

        :raises KeyNotFound: when there is none.
        """

    def keys_used(used: Mapping[str, float]) -> Deferred[None]:
        """Note when keys were used last: id -> Unix seconds. Those that are gone don't count."""

    def add_sign_in(session: SignIn) -> Deferred[None]:
        """Keep a new session. Those that are over by its ``created_at`` are removed."""

    def sign_in(digest: bytes) -> Deferred[SignIn | None]:
        """Give the session of a cookie; ``None`` where there is none. It may be over."""

    def renew_sign_in(session_id: str, seen_at: float, expires_at: float) -> Deferred[None]:
        """Note that a session was used. One that is gone stays so."""

    def remove_sign_ins(
        audited: AuditEntry, session_id: str | None = None, principal_id: str | None = None
    ) -> Deferred[int]:
        """
        End a session, or all of a principal, with an entry of the audit log for each.

        :param audited: whose ``credential`` doesn't count: each entry has its session's.
        :return: a Deferred of the number of sessions.
        """


@attrs.frozen
class Word:
    """
    A message.

    :ivar topics: on which it is published.
    :ivar message: at most `IBroker.max_bytes` of JSON.
    """

    topics: Sequence[str]
    message: bytes


class IBroker(Interface):
    """
    Carries messages between the nodes that share a store, soon, and without a promise: a message
    may be lost, come twice, late, or in another order.

    A topic is any text. A node is told what others publish on the topics that it subscribes to, and
    perhaps what it publishes itself.
    """

    max_bytes = Attribute("Bytes of the largest message, JSON in UTF-8.")

    is_up = Attribute("Whether messages are carried now.")

    room = Attribute(
        "Bytes of messages that may be sent now. Beyond it the connection is given up."
    )

    def start(listener: IBrokerListener) -> None:
        """Begin to connect; from then on it comes back by itself whenever it is away."""

    def stop() -> Deferred[None]:
        """Send what waits, for a bounded time, and disconnect."""

    def subscribe(topic: str) -> None:
        """Subscribe to a topic, also while it is away."""

    def unsubscribe(topic: str) -> None:
        """End a subscription; without effect where there is none."""

    def publish(topic: str, message: bytes) -> None:
        """
        Send a message. While the broker is away it is lost.

        :param message: at most `max_bytes` of JSON.
        """

    def tell_by_appends(teller: ITeller) -> None:
        """
        Have the store tell what a teller says, with the appends themselves, if the store is what
        carries messages. To be called before `start`.
        """


class ITeller(Interface):
    """Says what a store is to tell other nodes of appends."""

    def word(flow_id: str, epoch: str, entries: Sequence[Entry]) -> Word | None:
        """
        Say what is to be told as soon as entries are stored; ``None`` where that isn't the store's
        to tell. They may never be stored.
        """

    def told(flow_id: str, entries: Sequence[Entry]) -> None:
        """
        Entries were stored, and what `word` said of them is told. Whoever has appended them learns
        that they are stored just after this.
        """


class IBrokerListener(Interface):
    """Is told by an `IBroker`."""

    def heard(topic: str, message: bytes) -> None:
        """A message came on a topic that is subscribed to."""

    def subscribed(topics: Sequence[str]) -> None:
        """
        What is published on these topics is heard from now on: those that were subscribed to, or
        all, since it is back. What was published before may be lost.
        """

    def came_back() -> None:
        """Messages are carried from now on; what was published before may be lost."""

    def went_away() -> None:
        """They aren't any more."""


class Way(Enum):
    """
    How members in relay mode are sent something.

    ``UNREAD``: as JSON of any content. ``SHOWN``: as JSON that shows the flow as it isn't stored.
    ``EDITED``: as JSON that shows a version of the document. ``BINARY``: as any bytes.
    """

    UNREAD = "unread"
    SHOWN = "shown"
    EDITED = "edited"
    BINARY = "binary"


@attrs.frozen
class Relayed:
    """
    What members in relay mode are sent.

    :ivar changes: as it is sent, byte for byte.
    :ivar epoch: of what was edited: the log's, as the next two.
    :ivar version: that is shown.
    :ivar chain: at that version.
    """

    way: Way
    changes: bytes
    epoch: str = ""
    version: int = 0
    chain: bytes = b""


@attrs.frozen
class Gathered(Generic[T]):
    """
    What other nodes have answered.

    :ivar answers: of those that have something to say.
    :ivar is_complete: whether all others have answered, as far as is known which there are.
    """

    answers: Sequence[T] = ()
    is_complete: bool = True


class IOtherNodes(Interface):
    """
    The other nodes on the same store, which are told what was done here.

    What they are asked they have a second to answer; these Deferreds never fail.
    """

    node = Attribute("This node's id, unlike any other; empty where it is alone.")

    def opened(flow_id: str) -> None:
        """A flow is open here: what others do to it matters."""

    def closed(flow_id: str) -> None:
        """It isn't any more."""

    def appended(flow_id: str, epoch: str, entries: Sequence[Entry]) -> None:
        """Entries, one at least, were stored, in order."""

    def changed(flow_id: str) -> None:
        """A flow was made, or came back."""

    def wants_turn(flow_id: str) -> None:
        """An append of this node came second to another one's; it wants to have its turn."""

    def deleted(flow_id: str, by: str) -> None:
        """A flow was deleted, by somebody of that name to show."""

    def named(flow_id: str, epoch: str, told: bytes) -> None:
        """A version was named, or its name removed: what members are told, JSON."""

    def relayed(flow_id: str, relayed: Relayed) -> None:
        """
        Members in relay mode were sent something, which those on other nodes are sent too. It is
        lost where it is larger than a message may be, or a node isn't heard.
        """

    def close(flow_id: str, by: str) -> Deferred[Gathered[int]]:
        """
        End the sessions of a flow by force, where there are any.

        :param by: who does so, as a name to show.
        :return: a Deferred of how many members each had.
        """

    def open_flow(flow_id: str) -> Deferred[Gathered[OpenFlow]]:
        """Ask who has a flow open."""

    def open_flows(after: str, limit: int) -> Deferred[Gathered[OpenFlows]]:
        """Ask for the pages of flows that are open, as `OpenFlows` has them."""
