"""The members of a flow in relay mode: what they are sent, and what they edit by what they send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import attrs
import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.audiences import Kind
from helix.broadcast import Broadcast
from helix.commits import CommitLoop
from helix.edits import Submission
from helix.errors import DocumentTooLarge, InvalidPatch
from helix.fanout import Fanout
from helix.interfaces import IMember
from helix.livelog import LiveLog
from helix.protocol import encode_json
from helix.relay import RelayState, changes_of, merged, state_of
from helix.relayread import Arrays, read
from helix.relaystage import RelayEdit
from helix.relayview import MAX_UPDATES, RelayView

MIN_INTERVAL = 0.1
"""Seconds between the updates that tell of edits made in document mode."""

MAX_TOLD = 100
"""How many things that are not stored an answer tells of."""

T = TypeVar("T")

_decode = msgspec.json.Decoder(dict).decode


@attrs.frozen
class _Sent:
    """
    An update that all members were sent.

    :ivar number: counts the updates.
    :ivar author: whose own message it was, as it came; ``None`` for nobody's.
    """

    number: int
    state: RelayState
    at: float
    author: IMember | None


@attrs.define(eq=False)
class _Member:
    """
    :ivar noted: the number of the last update that the view knows of.
    :ivar view: what the member may have before it; made when it first edits or is greeted.
    """

    noted: int
    view: RelayView | None = None


class RelayAudience:
    """
    The members in relay mode.

    :param fanout: the way to them.
    :param commits: takes their edits.
    :param clock: the reactor.
    :param wall: tells the time that updates carry.
    """

    __slots__ = (
        "_clock",
        "_commits",
        "_count",
        "_fanout",
        "_members",
        "_sent",
        "_state",
        "_state_at",
        "_timer",
        "_told",
        "_told_at",
        "_wall",
    )

    _log: Final = Logger(namespace="helix.session")

    def __init__(
        self,
        fanout: Fanout,
        commits: CommitLoop,
        clock: IReactorTime,
        wall: Callable[[], float],
    ) -> None:
        self._fanout = fanout
        self._commits = commits
        self._clock = clock
        self._wall = wall
        self._members: dict[IMember, _Member] = {}
        self._sent: list[_Sent] = []
        self._count = 0
        self._state: RelayState | None = None
        self._state_at = ("", 0)
        self._told: RelayState | None = None
        self._told_at = 0.0
        self._timer: IDelayedCall | None = None

    def add(self, member: IMember) -> None:
        self._members[member] = _Member(self._count)
        self._fanout.add(member.outlet, member.topic)

    def remove(self, member: IMember) -> None:
        del self._members[member]
        self._fanout.remove(member.outlet, member.topic)

    def greet(self, member: IMember) -> None:
        """Send a member that has joined what the flow holds."""
        if self._log_of_flow.version:
            state = self._document()
            member.push("flow_update", self._payload(changes_of(state)))
            self._view(member).was_sent(state, self._clock.seconds())

    def change(self, changes: bytes) -> Deferred[None]:
        """Broadcast ``changes`` (JSON, verbatim) as a ``flow_update``."""
        return self._fanout.broadcast(Broadcast("flow_update", self._payload(changes), Kind.UPDATE))

    def show(self, arrays: Arrays, changes: bytes) -> Deferred[None]:
        """
        Broadcast ``changes`` that are no edit: the document stays as it is.

        :param arrays: what they hold. A member that shows it has not edited that.
        """
        limits = self._log_of_flow.document.limits
        self._note(read(arrays, self._document(), limits, []), None)
        return self.change(changes)

    def edit(self, member: IMember, arrays: Arrays, changes: bytes) -> Deferred[list[str]]:
        """
        Take an edit of the document, and broadcast it once it is durable.

        :param arrays: what ``changes`` hold.
        :param changes: as they came. They are broadcast verbatim, unless others' edits had to be
            merged in, also where no document can hold them.
        :return: a Deferred that fires when the broadcast is on its way, with the JSON Pointers of
            what no document can hold, which is not stored: some of them, where they are many.
        :raises HelixError: (through the Deferred) when the edit can't be stored; nobody was told.
        """
        view = self._view(member)
        left_out: list[str] = []
        sent = read(arrays, self._document(), self._log_of_flow.document.limits, left_out)
        sent, patch = view.sends(sent, self._clock.seconds())
        edit = RelayEdit(patch)
        edited = self._commits.submit(Submission(edit.stage, outlet=member.outlet))
        edited.addBoth(self._answered, member, view, edit)
        return edited.addCallbacks(
            lambda _: self._tell_of(sent.without(edit.unfit), changes, member),
            self._refused,
            errbackArgs=(changes, edit),
        ).addCallback(lambda _: [*left_out, *edit.left_out][:MAX_TOLD])

    def change_binary(self, data: bytes) -> Deferred[None]:
        """Broadcast ``data`` as a binary ``flow_update``."""
        return self._fanout.broadcast(Broadcast("flow_update", data, Kind.UPDATE, binary=True))

    def tell_edits(self) -> None:
        """Something was edited: tell the members, soon, of what they don't know yet."""
        if self._timer is None and not self._fanout.is_empty:
            wait = self._told_at + MIN_INTERVAL - self._clock.seconds()
            self._timer = self._clock.callLater(max(0.0, wait), self._tell)

    def tell_count(self, event: str, flow_id: str, count: int) -> Deferred[None]:
        """Broadcast how many members the flow has."""
        payload = encode_json({"client_count": count, "flow_id": flow_id})
        return self._fanout.broadcast(Broadcast(event, payload, Kind.CLIENT_COUNT))

    def flush(self) -> None:
        """Deliver at once what waits."""
        self._fanout.flush()

    def close(self) -> None:
        """Leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # inside

    @property
    def _log_of_flow(self) -> LiveLog:
        return self._commits.log

    def _payload(self, changes: bytes) -> bytes:
        return b'{"changes":%b,"timestamp":%d}' % (changes, self._wall())

    def _document(self) -> RelayState:
        """The document's nodes and edges as they are durable."""
        log = self._log_of_flow
        at = (log.epoch, log.version)
        if self._state is not None and self._state_at == at:
            return self._state
        state = None
        if self._state is not None and self._state_at[0] == log.epoch:
            missed = log.recent(self._state_at[1])
            if missed is not None:
                state = self._state
                for entry in missed:
                    state = state.patched(_decode(entry.patch))
        if state is None:
            state = self._commits.confirmed(lambda: state_of(log.document.content))
        self._state, self._state_at = state, at
        return state

    def _view(self, member: IMember) -> RelayView:
        """What a member may have before it, with all that it was sent."""
        known = self._members[member]
        if known.view is None:
            known.view = RelayView()
        for one in self._sent:
            if one.number > known.noted and one.author is not member:
                known.view.was_sent(one.state, one.at)
        known.noted = self._count
        return known.view

    def _answered(self, result: T, member: IMember, view: RelayView, edit: RelayEdit) -> T:
        """An edit is in the document but for what is unfit in it, or was refused."""
        known = self._members.get(member)
        if known is None or known.view is not view:
            return result
        if isinstance(result, Failure):
            # The document lacks it, whatever the member shows: what it sends next tells.
            known.view = RelayView()
            known.view.was_sent(self._document(), self._clock.seconds())
        else:
            self._view(member).answered(edit.unfit)
        return result

    def _refused(self, failure: Failure, changes: bytes, edit: RelayEdit) -> None:
        """What no document can hold is relayed all the same, as it always was."""
        failure.trap(InvalidPatch, DocumentTooLarge)
        self._log.debug("A relay member's edit is not kept: {error}", error=failure.value)
        edit.unfit, edit.dropped = [], [""]
        self._log_failure(self.change(changes))

    def _tell_of(self, sent: RelayState, changes: bytes, member: IMember) -> None:
        state = self._document()
        others = merged(sent, state)
        self._note(state, member if others is None else None)
        self._log_failure(self.change(changes if others is None else others))

    def _tell(self) -> None:
        """The timer's call."""
        self._timer = None
        state = self._document()
        if state is not self._told and not self._fanout.is_empty:
            self._note(state, None)
            self._log_failure(self.change(changes_of(state)))

    def _note(self, state: RelayState, author: IMember | None) -> None:
        self._told, self._told_at = state, self._clock.seconds()
        self._count += 1
        self._sent.append(_Sent(self._count, state, self._told_at, author))
        del self._sent[:-MAX_UPDATES]

    def _log_failure(self, told: Deferred[None]) -> None:
        told.addErrback(
            lambda failure: self._log.failure("Telling the members of a flow failed", failure)
        )
