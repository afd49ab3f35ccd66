"""One live flow: its members, its log, what it sends them, and its idle timer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar
from weakref import proxy

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.delivery.fanout import Fanout, Turns
from helix.delivery.protocol import encode_json
from helix.errors import MaxClientsReached, SessionEnded
from helix.flows.beginnings import Beginnings
from helix.flows.displacements import Displacements
from helix.flows.farewell import REJOIN, REPLACED, End, Farewell
from helix.flows.joining import Joined, Joining, Past
from helix.flows.lifetime import Lifetime
from helix.interfaces import IMember, Relayed
from helix.log.commit_loop import CommitLoop
from helix.log.edits import Accepted, FlowState, Permit, Submission
from helix.log.live_log import LiveLog
from helix.log.remote_writes import News
from helix.log.replaying import LogSettings
from helix.members.awareness import Awareness
from helix.members.document_audience import DocumentAudience
from helix.members.presence import Person, Presence
from helix.members.relay.audience import RelayAudience
from helix.members.relay.intake import ReadEdit
from helix.members.relay.reading import Arrays
from helix.members.roster import Others
from helix.records import Entry
from helix.telemetry.events import Telemetry

Audience = DocumentAudience | RelayAudience

T = TypeVar("T")

PREFIX_CHARACTERS = 8
"""Characters that tell a session's presence from earlier ones: 48 bits."""


@attrs.frozen
class Surroundings:
    """
    What all sessions of a server share.

    :ivar clock: the reactor.
    :ivar max_clients: members of a flow, on this node.
    :ivar idle_timeout: seconds without activity after which a session ends.
    :ivar others: the other nodes.
    """

    clock: IReactorTime
    turns: Turns
    telemetry: Telemetry
    logs: LogSettings
    max_clients: int
    idle_timeout: float
    others: Others
    displacements: Displacements


class FlowSession:
    """
    A flow that somebody has open.

    It lives while it has members, is held, or has something to commit (`helix.flows.lifetime`).

    :param log: the flow's, as it was loaded.
    :param around: what the sessions of the server share.
    :param ended: called once with this session and why, when it has ended.

    :ivar awareness: what its members in document mode see of each other.
    :ivar unsettled: set when it has ended with an append under way: fires when that has ended too.
    """

    __slots__ = (
        "__weakref__",
        "_around",
        "_beginnings",
        "_clients",
        "_commits",
        "_documented",
        "_ended",
        "_expected",
        "_lifetime",
        "_make_fanout",
        "_members",
        "_relayed",
        "awareness",
        "end_reason",
        "flow_id",
        "log",
        "unsettled",
    )

    _log: Final = Logger(namespace="helix.session")

    def __init__(
        self,
        log: LiveLog,
        around: Surroundings,
        ended: Callable[[FlowSession, End], None],
    ) -> None:
        self.flow_id = log.flow_id
        self.log = log
        self.end_reason: End | None = None
        self.unsettled: Deferred[None] | None = None
        self._expected = 0
        self._around = around
        self._ended = ended
        # Its parts don't hold it, so that all of it is gone when it has ended: garbage in circles
        # is collected late.
        me = proxy(self)
        clock = around.clock

        def crash(failure: Failure) -> None:
            me.crash(failure)

        def fanout() -> Fanout:
            return Fanout(clock, around.turns, crash)

        self._commits = CommitLoop(log, around.logs, me, around.turns)
        self._beginnings = Beginnings(self._commits, around.logs.apart)
        self._members: dict[IMember, Audience] = {}
        self._clients: dict[str, IMember] = {}
        self._make_fanout = fanout
        # Most flows have members of one mode alone.
        self._relayed: RelayAudience | None = None
        self._documented: DocumentAudience | None = None
        self.awareness = Awareness(
            fanout(),
            Presence(around.logs.new_epoch()[:PREFIX_CHARACTERS]),
            clock,
            around.telemetry,
            self.flow_id,
            lambda: me._lifetime.touch(),
            crash,
            around.others,
            me,
        )
        self._lifetime = Lifetime(clock, around.logs.wall, around.idle_timeout, me)
        around.telemetry.emit("helix.session.started", metadata={"flow_id": self.flow_id})

    @property
    def _relays(self) -> RelayAudience:
        """The members in relay mode."""
        if self._relayed is None:
            logs = self._around.logs
            self._relayed = RelayAudience(self._make_fanout, self._commits, logs)
        return self._relayed

    @property
    def _documents(self) -> DocumentAudience:
        """The members in document mode."""
        if self._documented is None:
            me = proxy(self)
            self._documented = DocumentAudience(self._make_fanout(), self.log, lambda: me.state())
        return self._documented

    @property
    def client_count(self) -> int:
        """Members on this node."""
        return len(self._members)

    @property
    def client_count_everywhere(self) -> int:
        """Members on all nodes, as far as is known."""
        return len(self._members) + self.awareness.count_elsewhere

    @property
    def started_at(self) -> float:
        """Unix seconds."""
        return self._lifetime.started_at

    @property
    def last_activity(self) -> float:
        """When a member last joined, left, changed something or was seen to move, Unix seconds."""
        return self._lifetime.last_activity

    @property
    def is_busy(self) -> bool:
        """Whether anything is sent or submitted, and not yet stored or refused."""
        return self._commits.is_busy or self._expected > 0

    # members

    def join(self, member: IMember) -> None:
        """
        Add a member in relay mode. It gets every broadcast from here on; the others are told by
        `announce`.

        :raises MaxClientsReached: when the flow has as many members as it may.
        :raises SessionEnded: when the session has ended meanwhile.
        """
        self._check_room()
        self._add(member, self._relays)

    async def join_document(self, member: IMember, person: Person, resume: Past | None) -> Joined:
        """
        Add a member in document mode. It gets every entry that follows what this returns.

        It replaces another member of the same client: the one of a lost connection, which gets
        ``replaced`` and is closed for good.

        The session must be held meanwhile. When the member leaves, `CommitLoop.dismiss` is called.

        :param person: its identity, in its edits and for the others.
        :param resume: the past that it has, if any.
        :raises MaxClientsReached, SessionEnded: as `join`.
        :raises TooMuchUnread: when the member must first read what it was sent.
        :raises StoreError: when the store can't tell what the client submitted before.
        """
        client_id = person.client_id
        self._check_room(client_id)
        await self._commits.introduce(client_id)
        joining = Joining(self._commits, client_id, resume, self._beginnings)
        try:
            await joining.prepare()
            self._check_room(client_id)
            member.outlet.check_room()  # it may have been told of other flows meanwhile
        except BaseException:
            self._commits.dismiss(client_id)
            raise
        old = self._clients.get(client_id)
        if old is not None:
            self.awareness.replace(old, member, person)
            self._remove(old)
            self._commits.dismiss(client_id)
            self._tell_count("client_left")
            REPLACED.tell(iter([old]), self._around.turns)
        self._clients[client_id] = member
        self._add(member, self._documents)
        return joining.joined()

    def greet(self, member: IMember) -> None:
        """Send the stored flow to a member that has joined in relay mode, if it is stored."""
        if member in self._members:
            self._relays.greet(member)

    def introduce(self, member: IMember, person: Person) -> None:
        """Let a member that has joined in document mode see the others, and them see it."""
        if member in self._members:
            self.awareness.enter(member, person)

    def announce(self) -> None:
        """Tell all members in relay mode, the newest too, that somebody joined."""
        self._tell_count("client_joined")

    def leave(self, member: IMember, client_id: str | None = None) -> None:
        """
        Remove a member and tell the others; without effect when it is none.

        :param client_id: as what it joined, in document mode.
        """
        if member not in self._members:
            return
        self._remove(member)
        if client_id is not None:
            del self._clients[client_id]
            self._commits.dismiss(client_id)
        self._lifetime.left()
        if self._members:
            self._tell_count("client_left")

    # Community

    def displaced(self, member: IMember) -> None:
        """
        A member's client has joined on another node since. The member joins again, since which
        came later may have been a wrong guess; but not a second time soon after: otherwise both
        would end each other for ever.
        """
        for client_id in [one for one, of in self._clients.items() if of is member]:
            is_again = self._around.displacements.note(self.flow_id, client_id)
            farewell = REPLACED if is_again else REJOIN
            self.leave(member, client_id)
            farewell.tell(iter([member]), self._around.turns)
            self._emit("helix.session.client_displaced")

    def counted_elsewhere(self, are_more: bool) -> None:
        """There are more members on other nodes, or fewer: those in relay mode are told."""
        if self._members:
            self._tell_count("client_joined" if are_more else "client_left")

    # its life

    def hold(self) -> None:
        """Keep the session alive without a member, until `release`."""
        self._lifetime.hold()

    def release(self) -> None:
        """Undo a `hold`. Without members the session stays a little, for the next request."""
        self._lifetime.release()

    # the document

    def submit(self, submission: Submission) -> Deferred[Accepted]:
        """Take an edit into the log, as `CommitLoop.submit`."""
        self._lifetime.touch()
        return self._commits.submit(submission)

    def state(self) -> FlowState | None:
        """The flow as it is durable; ``None`` when the session has ended."""
        if self.end_reason is not None:
            return None
        return self._commits.confirmed(lambda: self.log.state)

    def refresh(self) -> None:
        """See what other writers did to the flow."""
        self._commits.refresh()

    def hear(self, news: News) -> None:
        """Take what another node has told of the log."""
        self._commits.hear(news)

    def give_turn(self, node: str) -> None:
        """Let another node have its turn at appending to the log."""
        self._commits.give_turn(node)

    # Follower

    def committed(self, entries: Sequence[Entry]) -> None:
        if self._documented is not None:
            self._documented.tell(entries)
        if self._relayed is not None:
            self._relayed.committed(entries)
        self._beginnings.forget_old()
        self._around.telemetry.emit(
            "helix.flow.appended", {"entries": len(entries)}, {"flow_id": self.flow_id}
        )

    def stored(self) -> None:
        self._around.telemetry.emit("helix.flow.stored", {}, {"flow_id": self.flow_id})

    def conflicted(self) -> None:
        self._around.telemetry.emit("helix.flow.conflicted", {}, {"flow_id": self.flow_id})

    def replaced(self) -> None:
        self._beginnings.forget_old()
        if self._documented is not None:
            self._documented.reset()
        if self._relayed is not None:
            self._relayed.replaced()

    def deleted(self, by: str = "") -> None:
        """
        The flow is deleted: its members get ``flow_deleted`` and their channels are closed. Edits
        that wait are refused for good.
        """
        farewell = Farewell("phx_close", "flow_deleted", self._told_of_the_end(by))
        self._dismiss(End.DELETED, farewell, farewell)

    def settled(self) -> None:
        self._lifetime.settled()

    def tell_name(self, payload: bytes) -> None:
        """Tell the members in document mode that a version was named (JSON)."""
        if self._documented is not None:
            self._documented.tell_name(payload)

    # Living

    def unused(self) -> None:
        self._end(End.EMPTY)

    def idle(self) -> None:
        """Members that are still here join again."""
        self._dismiss(End.IDLE, REJOIN, REJOIN)

    # relay mode

    def change(self, changes: bytes) -> Deferred[None]:
        """
        Broadcast ``changes`` (JSON, verbatim) to all members as a ``flow_update``.

        :return: as `Fanout.broadcast`.
        :raises SessionEnded: when the session has ended meanwhile.
        """
        self._check_alive()
        self._lifetime.touch()
        return self._relays.change(changes)

    def show(self, arrays: Arrays, changes: bytes) -> Deferred[None]:
        """
        As `change`, for what holds nodes and edges: it is shown, and not stored.

        :raises SessionEnded: when the session has ended meanwhile.
        """
        self._check_alive()
        self._lifetime.touch()
        return self._relays.show(arrays, changes)

    def check_shown(self, changes: bytes, permit: Permit) -> None:
        """
        Check ``changes`` that are no edit, as `RelayAudience.check_shown`.

        :raises Forbidden: when they aren't permitted.
        :raises SessionEnded: when the session has ended meanwhile.
        """
        self._check_alive()
        self._relays.check_shown(changes, permit)

    def edit(self, member: IMember, arrays: Arrays, changes: bytes) -> Deferred[list[str]]:
        """
        Take ``changes`` that are an edit of the document, as `RelayAudience.edit`.

        :raises SessionEnded: when the session has ended meanwhile.
        """
        self._check_alive()
        self._lifetime.touch()
        waiting = self._relays.intake.prepared(member)
        if waiting is None:
            return self._relays.edit(member, arrays, changes)
        self._lifetime.hold()

        def edit(_: None) -> Deferred[list[str]]:
            try:
                return self._relays.edit(member, arrays, changes)
            finally:
                self._end_wait(None)

        return waiting.addCallbacks(edit, self._end_wait)

    def _end_wait(self, result: T) -> T:
        """Undo a hold for an edit that is submitted by now, or refused."""
        self._lifetime.let_go()
        return result

    async def read_apart(self, member: IMember, changes: bytes) -> ReadEdit | None:
        """
        Read in a thread what is large, as `Intake.read_apart`.

        :raises SessionEnded: when the session has ended meanwhile.
        """
        self._check_alive()
        self._lifetime.touch()
        return await self._relays.intake.read_apart(member, changes)

    def take(self, member: IMember, edit: ReadEdit, changes: bytes) -> Deferred[list[str]]:
        """
        Take an edit of the document that was read, as `RelayAudience.take`.

        :raises SessionEnded: when the session has ended meanwhile.
        """
        self._check_alive()
        return self._relays.take(member, edit, changes)

    def expect_change(self) -> None:
        """Stay alive, and busy, for a change that a member has sent; until `change_came`."""
        self._expected += 1
        self._lifetime.hold()

    def change_came(self) -> None:
        """What was expected is on its way, or refused."""
        self._expected -= 1
        self._lifetime.let_go()

    def change_binary(self, data: bytes) -> Deferred[None]:
        """As `change`, for data that is relayed as a binary frame, without a timestamp."""
        self._check_alive()
        self._lifetime.touch()
        return self._relays.change_binary(data)

    def hear_relayed(self, relayed: Relayed) -> None:
        """Send relay members what those on another node were sent."""
        if self.end_reason is None and self._relayed is not None:
            self._relayed.hear(relayed)

    # the end

    def close(self, by: str = "") -> int:
        """
        End the session by force, but not the flow. Members in relay mode get ``flow_deleted`` and
        their channels are closed, as their clients expect. Members in document mode get
        ``session_ended`` and ``phx_error``, and so join again.

        :param by: who ends it, as a name to show; may be empty.
        :return: how many members it had.
        """
        count, told = len(self._members), self._told_of_the_end(by)
        self._dismiss(
            End.FORCED,
            Farewell("phx_close", "flow_deleted", told),
            Farewell("phx_error", "session_ended", told),
        )
        return count

    def _told_of_the_end(self, by: str) -> bytes:
        now = int(self._around.logs.wall())
        told: dict[str, object] = {"flow_id": self.flow_id, "timestamp": now}
        if by:
            told["by"] = by
        return encode_json(told)

    def drain(self) -> None:
        """End the session because the server stops; the connections are closed by their owner."""
        self._end(End.DRAINED)

    def crash(self, failure: Failure) -> None:
        """
        End the session, and it alone, after a fault: its members get ``phx_error`` and rejoin.
        """
        if self.end_reason is not None:
            return
        self._log.failure("The session of a flow crashed", failure, flow_id=self.flow_id)
        self._dismiss(End.CRASHED, REJOIN, REJOIN)

    def _check_alive(self) -> None:
        if self.end_reason is not None:
            raise SessionEnded()

    def _check_room(self, client_id: str = "") -> None:
        """:param client_id: of who wants to join; who takes its own place always may."""
        self._check_alive()
        if len(self._members) >= self._around.max_clients and client_id not in self._clients:
            raise MaxClientsReached()

    def _add(self, member: IMember, audience: Audience) -> None:
        self._members[member] = audience
        self.awareness.counted(len(self._members))
        audience.add(member)
        self._lifetime.joined()
        self._emit("helix.session.client_joined")

    def _remove(self, member: IMember) -> None:
        self._members.pop(member).remove(member)
        self.awareness.counted(len(self._members))
        self.awareness.leave(member)
        self._emit("helix.session.client_left")

    def _tell_count(self, event: str) -> None:
        if self._relayed is None:
            return
        count = self.client_count_everywhere
        self._relayed.tell_count(event, self.flow_id, count).addErrback(
            lambda failure: self._log.failure("Telling the members of a flow failed", failure)
        )

    def _dismiss(self, reason: End, to_relays: Farewell, to_documents: Farewell) -> None:
        """End the session and every member's channel, of those in either mode with a farewell."""
        if self.end_reason is not None:
            return
        relays = [one for one, audience in self._members.items() if audience is self._relayed]
        documents = [one for one, audience in self._members.items() if audience is self._documented]
        if reason is not End.CRASHED:
            if self._relayed is not None:
                self._relayed.flush()
            if self._documented is not None:
                self._documented.flush()
            if self.end_reason is not None:  # a fault in the flush has ended it
                return
        self._end(reason)
        to_relays.tell(iter(relays), self._around.turns)
        to_documents.tell(iter(documents), self._around.turns)

    def _end(self, reason: End) -> None:
        """Leave nothing behind: no member, no timer."""
        self.end_reason = reason
        self._lifetime.close()
        self.unsettled = self._commits.close(reason.refusal())
        if reason not in (End.CRASHED, End.FORCED, End.DELETED):
            self.log.snapshot_at_end()
        if self._relayed is not None:
            self._relayed.close()
        self.awareness.close()
        try:
            for member in list(self._members):
                self._remove(member)
        finally:
            self._ended(self, reason)
        self._around.telemetry.emit(
            "helix.session.ended",
            {"seconds": self._lifetime.seconds},
            {"flow_id": self.flow_id, "reason": reason.value},
        )

    def _emit(self, event: str) -> None:
        self._around.telemetry.emit(
            event, {"client_count": len(self._members)}, {"flow_id": self.flow_id}
        )
