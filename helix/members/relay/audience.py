"""The members of a flow in relay mode: what they are sent, and the edits that they send."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from weakref import proxy

import attrs
import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.delivery.broadcast import Broadcast
from helix.delivery.fanout import Fanout
from helix.delivery.outlet import Flow, Outlet
from helix.delivery.protocol import decode_json, encode_json
from helix.documents.document import deleted_nodes
from helix.errors import DocumentTooLarge, Forbidden, ForbiddenPath, InvalidPatch
from helix.interfaces import IMember, Relayed, Way
from helix.log.commit_loop import CommitLoop
from helix.log.edits import Accepted, Permit, Submission
from helix.log.live_log import LiveLog
from helix.log.replaying import LogSettings
from helix.members.document_audience import Kind
from helix.members.relay.bridge import RelayState, difference, merged
from helix.members.relay.delivery import RelayDelivery
from helix.members.relay.document import DurableState
from helix.members.relay.elsewhere import RelaysElsewhere
from helix.members.relay.history import RelayHistory
from helix.members.relay.intake import Intake, ReadEdit
from helix.members.relay.member import RelayMember, SentUpdate
from helix.members.relay.reading import Arrays, parse_changes, read
from helix.members.relay.repeats import Hearing
from helix.members.relay.staging import RelayEdit
from helix.members.relay.view import MAX_UPDATES, RelayView
from helix.records import Entry

MIN_INTERVAL = 0.1
"""Seconds between the updates that tell of edits made in document mode."""

GREETING_WAIT = 0.3
"""Seconds in which a new member may send something before it is sent the flow."""

MADE_WAIT = 0.02
"""Seconds after which it is looked again whether that is made."""

MAX_TOLD = 100
"""Maximum number of parts that aren't stored in an answer."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode

T = TypeVar("T")


class RelayAudience:
    """
    The members in relay mode.

    :param fanout: makes a way to members of the flow.
    :param commits: takes their edits.
    :param logs: the clocks, and the store, where the log is read for what was before.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_commits",
        "_count",
        "_delivery",
        "_document",
        "_elsewhere",
        "_history",
        "_intake",
        "_left",
        "_logs",
        "_members",
        "_newest",
        "_repeat_timer",
        "_sent",
        "_timer",
        "_told",
        "_told_at",
        "_wall",
    )

    _log: Final = Logger(namespace="helix.session")

    def __init__(
        self, fanout: Callable[[], Fanout], commits: CommitLoop, logs: LogSettings
    ) -> None:
        self._delivery = RelayDelivery(fanout)
        self._commits = commits
        self._document = DurableState(commits, logs.apart)
        self._elsewhere = RelaysElsewhere(commits, logs.nodes)
        self._clock: IReactorTime = logs.clock
        self._wall = logs.wall
        self._history = RelayHistory(commits.log, logs)
        self._logs = logs
        self._intake: Intake | None = None  # many flows are only looked at
        self._left: dict[Outlet, Hearing] = {}
        self._newest = b""
        self._repeat_timer: IDelayedCall | None = None
        self._members: dict[IMember, RelayMember] = {}
        self._sent: list[SentUpdate] = []
        self._count = 0
        self._told: RelayState | None = None
        self._told_at = 0.0
        self._timer: IDelayedCall | None = None

    @property
    def intake(self) -> Intake:
        """Reads the edits that they send."""
        if self._intake is None:
            me = proxy(self)  # garbage in circles is collected late
            self._intake = Intake(
                self._document,
                self._history,
                self._log_of_flow,
                self._logs,
                lambda member: me._known(member),
                lambda member, known: me._member_view(member, known),
            )
        return self._intake

    def add(self, member: IMember) -> None:
        known = self._members[member] = RelayMember(self._count, self._clock.seconds())
        if (hearing := self._left.pop(member.outlet, None)) is not None:
            known.hearing, known.is_back = hearing, True
        self._delivery.add(member)

    def remove(self, member: IMember) -> None:
        known = self._members.pop(member)
        known.end_wait()
        # Whose user has another name leaves, and joins at once: it is as deaf as it was.
        self._left = {out: one for out, one in self._left.items() if out.state is not Flow.SHUT}
        if member.outlet.state is not Flow.SHUT:
            self._left[member.outlet] = known.hearing
        self._delivery.remove(member)
        if not self._members:
            self._history.forget()

    def greet(self, member: IMember) -> None:
        """
        Send a new member the flow, once it has sent its own state, or `GREETING_WAIT` later. Until
        then it is sent nothing that would replace what it shows.
        """
        self._document.begin()
        self._delivery.hold(member)
        self._members[member].greeting = self._clock.callLater(GREETING_WAIT, self._greet, member)

    def change(self, changes: bytes) -> Deferred[None]:
        """Broadcast ``changes`` (JSON, verbatim) as a ``flow_update``, on all nodes."""
        self._elsewhere.send(Way.UNREAD, changes)
        return self._delivery.tell(self._update(changes))

    def show(self, arrays: Arrays, changes: bytes) -> Deferred[None]:
        """
        Broadcast ``changes`` that are no edit, on all nodes: the document stays as it is.

        :param arrays: their content. A member that then shows it has not edited it.
        """
        self._elsewhere.send(Way.SHOWN, changes)
        return self._show(arrays, changes)

    def _show(self, arrays: Arrays, changes: bytes) -> Deferred[None]:
        limits = self._log_of_flow.document.limits
        return self._send(read(arrays, self._document.now(), limits, []), None, changes)

    def check_shown(self, changes: bytes, permit: Permit) -> None:
        """
        Check what ``changes`` show that isn't in the document, as if it were stored.

        :raises Forbidden: when it isn't permitted.
        """
        arrays = parse_changes(changes)
        if arrays is None:  # nothing tells what that shows
            raise ForbiddenPath()
        left_out: list[str] = []
        document, known = self._log_of_flow.document, self._document.now()
        state = read(arrays, known, document.limits, left_out)
        if left_out:  # which is passed on all the same
            raise ForbiddenPath.at(left_out[0])
        shown = decode_json(_decode, changes)
        rest = {name: shown[name] for name in shown if name not in ("nodes", "edges")}
        permit(rest | difference(known, state), document.content)

    def edit(self, member: IMember, arrays: Arrays, changes: bytes) -> Deferred[list[str]]:
        """
        Take an edit of the document at once. It must be `Intake.prepared`; the rest is as `take`.

        :param arrays: what ``changes`` hold.
        """
        return self.take(member, self.intake.read(member, arrays), changes)

    def take(self, member: IMember, read: ReadEdit, changes: bytes) -> Deferred[list[str]]:
        """
        Take an edit of the document, and broadcast it once it is durable.

        :param member: whose it is; it may have left since it was sent.
        :param read: what ``changes`` say.
        :param changes: as they came. They are broadcast verbatim, unless others' edits had to be
            merged in, also where no document can hold them. Of who may not change all of the
            document, others see only what the document has taken.
        :return: a Deferred that fires when the broadcast is on its way, with the JSON Pointers of
            what no document can hold, which is not stored: some of them, where they are many.
        :raises HelixError: (through the Deferred) when the edit can't be stored; nobody was told.
        :raises Forbidden: likewise, when the member may not make it; it is sent the flow again.
        """
        known = self._members.get(member)
        if known is not None:
            known.end_wait()
            known.takes_echoes = read.is_of_old_page
        edit = RelayEdit(read.patch, member.check_edit)
        submission = Submission(
            edit.stage,
            member.author,
            owner=member.owner,
            outlet=member.outlet,
            size=len(changes),
            charge=member.charge,
            deletes=deleted_nodes(read.patch),
        )
        edited = self._commits.submit(submission)
        edited.addBoth(self._answered, member, read.view, edit)
        return edited.addCallbacks(
            lambda accepted: self._taken(accepted, read, edit, changes, member),
            self._refused,
            errbackArgs=(changes, edit, member),
        ).addCallback(lambda _: [*read.left_out, *edit.left_out][:MAX_TOLD])

    def change_binary(self, data: bytes) -> Deferred[None]:
        """Broadcast ``data`` as a binary ``flow_update``, on all nodes."""
        self._elsewhere.send(Way.BINARY, data)
        return self._delivery.tell(_binary(data))

    def hear(self, relayed: Relayed) -> None:
        """
        Send the members what those on another node were sent: byte for byte, unless it shows
        another version of the document than there is here. Then they are sent that, as `committed`
        does.
        """
        if not self._members:
            return
        if relayed.way is Way.EDITED:
            self._elsewhere.hear_edit(relayed)
            self._tell_if_due()
            return
        arrays = parse_changes(relayed.changes) if relayed.way is Way.SHOWN else None
        if arrays is not None:
            told = self._show(arrays, relayed.changes)
        elif relayed.way is Way.BINARY:
            told = self._delivery.tell(_binary(relayed.changes))
        else:
            told = self._delivery.tell(self._update(relayed.changes))
        self._log_failure(told)

    def committed(self, entries: Sequence[Entry]) -> None:
        """The log has grown: soon tell the members what they don't know yet."""
        self._history.committed(entries)
        self._document.committed(entries)
        if not self._tell_if_due():
            self._tell_soon()

    def replaced(self) -> None:
        """The log is another."""
        self._history.forget()
        if not self._tell_if_due():
            self._tell_soon()

    def tell_count(self, event: str, flow_id: str, count: int) -> Deferred[None]:
        """Broadcast how many members the flow has, if anybody is here to be told."""
        if not self._members:
            return succeed(None)
        payload = encode_json({"client_count": count, "flow_id": flow_id})
        return self._delivery.tell(Broadcast(event, payload, Kind.CLIENT_COUNT))

    def flush(self) -> None:
        """Deliver at once what waits."""
        self._delivery.flush()

    def close(self) -> None:
        """Leave no timer behind."""
        for timer in (self._timer, self._repeat_timer):
            if timer is not None and timer.active():
                timer.cancel()
        self._timer = self._repeat_timer = None
        for known in self._members.values():
            known.end_wait()
        self._history.close()

    # inside

    @property
    def _log_of_flow(self) -> LiveLog:
        return self._commits.log

    def _known(self, member: IMember) -> RelayMember:
        """Give what is known of a member, which may have left."""
        return self._members.get(member) or RelayMember(self._count, self._clock.seconds())

    def _payload(self, changes: bytes) -> bytes:
        return b'{"changes":%b,"timestamp":%d}' % (changes, self._wall())

    def _push(self, member: IMember, changes: bytes) -> None:
        """Send one member bytes that other members may share."""
        end = b',"timestamp":%d}' % self._wall()
        member.push_of("flow_update", (b'{"changes":', changes, end))

    def _update(self, changes: bytes) -> Broadcast:
        return Broadcast("flow_update", self._payload(changes), Kind.UPDATE)

    def _member_view(self, member: IMember, known: RelayMember) -> RelayView:
        """What a member may show, from everything that it was sent."""
        if known.view is None:
            known.view = RelayView(known.joined_at, known.is_back)
        if not self._delivery.is_held(member):
            for one in self._sent:
                if one.number > known.noted and one.author is not member:
                    known.note(known.view.was_sent, one.state, one.at)
        known.noted = self._count
        return known.view

    def _greet(self, member: IMember) -> None:
        """Send the flow, and hold nothing back any more."""
        known = self._members[member]
        if member.outlet.state is Flow.LAGGING:  # it is to read first what it was sent
            known.greeting = self._clock.callLater(GREETING_WAIT, self._greet, member)
            return
        if self._document.is_being_made or known.is_heard:
            known.greeting = self._clock.callLater(MADE_WAIT, self._greet, member)
            return
        view = self._member_view(member, known)
        if self._log_of_flow.version:
            state, now = self._document.now(), self._clock.seconds()
            self._push(member, self._document.written())
            view.was_sent(state, now)
            known.hearing.was_sent(now, False)
        self._delivery.release(member)
        self._repeat_later()

    def _answered(self, result: T, member: IMember, view: RelayView, edit: RelayEdit) -> T:
        """An edit is in the document except its invalid parts, or was refused."""
        known = self._members.get(member)
        if known is None:
            return result
        is_held = self._delivery.is_held(member)
        if known.view is not view:
            pass
        elif isinstance(result, Failure):
            # The document lacks it, whatever the member shows: what it sends next tells.
            known.view = RelayView(known.joined_at, known.is_back)
            if not is_held:
                known.note(known.view.was_sent, self._document.now(), self._clock.seconds())
        else:
            known.note(self._member_view(member, known).answered, edit.unfit)
        if is_held and isinstance(result, Failure):
            self._greet(member)
        elif isinstance(result, Failure) and result.check(Forbidden):
            self._correct(member, known)
        elif is_held:
            self._member_view(member, known)
            self._delivery.release(member)
        return result

    def _correct(self, member: IMember, known: RelayMember) -> None:
        """Send a member the flow in place of what it shows and the document doesn't take."""
        if self._log_of_flow.version:
            state, now = self._document.now(), self._clock.seconds()
            self._push(member, self._document.written())
            known.note(self._member_view(member, known).was_sent, state, now)
            known.hearing.was_sent(now, False)
            self._repeat_later()

    def _taken(
        self, accepted: Accepted, read: ReadEdit, edit: RelayEdit, changes: bytes, member: IMember
    ) -> None:
        """An edit is in the document; `committed` was told of what that took."""
        known = self._members.get(member)
        if member.edits_all:
            self._tell_of(read.sent.without(edit.unfit), changes, member)
        elif known is not None and accepted.patch == b"{}" and (read.left_out or edit.left_out):
            self._correct(member, known)

    def _refused(self, failure: Failure, changes: bytes, edit: RelayEdit, member: IMember) -> None:
        """Parts that no document can hold are still relayed, as before."""
        if not member.edits_all:
            failure.raiseException()
        failure.trap(InvalidPatch, DocumentTooLarge)
        self._log.debug("A relay member's edit is not stored: {error}", error=failure.value)
        edit.unfit, edit.dropped = [], [""]
        self._log_failure(self.change(changes))

    def _tell_of(self, sent: RelayState, changes: bytes, member: IMember) -> None:
        state = self._document.now()
        others = merged(sent, state)
        if others is None:
            self._log_failure(self._send(state, member, changes))
        else:
            self._log_failure(self._send(state, None, others))
        self._elsewhere.send_edit(changes if others is None else others)

    def _tell_soon(self) -> None:
        if self._timer is None and not self._delivery.shows_nobody:
            wait = self._told_at + MIN_INTERVAL - self._clock.seconds()
            self._timer = self._clock.callLater(max(0.0, wait), self._tell)

    def _tell_if_due(self) -> bool:
        """Tell the members at once what those elsewhere were sent of the document as it is now."""
        if not self._elsewhere.is_due:
            return False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._tell()
        return True

    def _tell(self) -> None:
        """The timer's call."""
        self._timer = None
        if self._document.is_being_made:
            self._timer = self._clock.callLater(MADE_WAIT, self._tell)
            return
        shown = self._elsewhere.take()
        if self._delivery.shows_nobody:
            return
        state = self._document.now()
        if not shown and state is not self._told:
            shown = [self._document.written()]
        for changes in shown:
            self._log_failure(self._send(state, None, changes))

    def _send(self, state: RelayState, author: IMember | None, changes: bytes) -> Deferred[None]:
        """
        Broadcast what shows a state of the flow.

        :param author: whose own message it is, as it came.
        """
        self._told, self._told_at = state, self._clock.seconds()
        self._count += 1
        self._sent.append(SentUpdate(self._count, state, self._told_at, author))
        del self._sent[:-MAX_UPDATES]
        for member, known in self._members.items():
            if self._delivery.is_held(member):
                continue
            takes = known.hearing.was_sent(self._told_at, member is author)
            if takes and member is author and known.takes_echoes:
                # It may replace by it what the page has changed since.
                self._sent[-1] = attrs.evolve(self._sent[-1], author=None)
        self._newest = changes
        self._repeat_later()
        return self._delivery.show(self._update(changes))

    def _repeat_later(self) -> None:
        """Schedule the newest update again for members that may have missed it."""
        times = (
            known.hearing.repeat_at
            for member, known in self._members.items()
            if not self._delivery.is_held(member)
        )
        at = min((time for time in times if time is not None), default=None)
        timer, self._repeat_timer = self._repeat_timer, None
        if at is None:
            self._newest = b""
        elif timer is not None and timer.active() and timer.getTime() <= at:
            self._repeat_timer = timer
            return
        else:
            wait = max(0.0, at - self._clock.seconds())
            self._repeat_timer = self._clock.callLater(wait, self._repeat)
        if timer is not None and timer.active():
            timer.cancel()

    def _repeat(self) -> None:
        """The timer's call."""
        if self._document.is_being_made:
            self._repeat_timer = self._clock.callLater(MADE_WAIT, self._repeat)
            return
        now, state = self._clock.seconds(), self._document.now()
        is_told = self._newest and state is self._told
        changes = self._newest if is_told else self._document.written()
        shown = [one for one in self._members.items() if not self._delivery.is_held(one[0])]
        due = {
            member: known
            for member, known in shown
            if (at := known.hearing.repeat_at) is not None and at <= now
        }
        is_for_all = 2 * len(due) > len(shown)
        if is_for_all:
            self._log_failure(self._delivery.show(self._update(changes)))
        for member, known in shown if is_for_all else due.items():
            if member in due:
                known.hearing.was_sent_again(now)
            else:
                known.hearing.was_sent_the_same(now)
            if not is_for_all and member.outlet.state is not Flow.LAGGING:
                self._push(member, changes)
            if known.view is not None:
                known.note(self._member_view(member, known).was_sent_again, state, now)
        self._repeat_later()

    def _log_failure(self, told: Deferred[None]) -> None:
        told.addErrback(
            lambda failure: self._log.failure("Telling the members of a flow failed", failure)
        )


def _binary(data: bytes) -> Broadcast:
    return Broadcast("flow_update", data, Kind.UPDATE, binary=True)
