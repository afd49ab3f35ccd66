"""Reads the edits of relay members: what each of them shows and changes; large ones in a thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs
from twisted.internet.defer import Deferred

from helix.documents.merge_patch import JsonObject
from helix.documents.react_flow import OLD_TYPE
from helix.documents.validation import DocumentLimits
from helix.interfaces import IMember
from helix.log.live_log import LiveLog
from helix.log.replaying import LogSettings
from helix.members.relay.bridge import RelayState
from helix.members.relay.document import DurableState
from helix.members.relay.history import RelayHistory
from helix.members.relay.member import RelayMember
from helix.members.relay.past import RelayPast
from helix.members.relay.reading import Arrays, parse_changes, read
from helix.members.relay.view import RelayView


@attrs.frozen(eq=False)
class ReadEdit:
    """
    An edit that was read, and that the member's view knows of.

    :ivar view: what the member may show.
    :ivar sent: what it sent, as far as a document can hold it.
    :ivar patch: what it changes.
    :ivar left_out: JSON Pointers to what no document can hold.
    :ivar is_of_old_page: whether the first generation's page sent it.
    """

    view: RelayView
    sent: RelayState
    patch: JsonObject
    left_out: list[str]
    is_of_old_page: bool


class Intake:
    """
    Reads the edits of a flow's members.

    :param document: the flow's.
    :param history: what was before.
    :param known: gives what is known of a member, which may have left.
    :param view: gives what it may show, from everything that it was sent.
    """

    __slots__ = ("_apart", "_clock", "_document", "_history", "_known", "_log", "_view")

    def __init__(
        self,
        document: DurableState,
        history: RelayHistory,
        log: LiveLog,
        logs: LogSettings,
        known: Callable[[IMember], RelayMember],
        view: Callable[[IMember, RelayMember], RelayView],
    ) -> None:
        self._document = document
        self._history = history
        self._log = log
        self._clock = logs.clock
        self._apart = logs.apart
        self._known = known
        self._view = view

    def prepared(self, member: IMember) -> Deferred[None] | None:
        """
        Prepare for an edit by a member, which may come with an old copy of the flow.

        :return: ``None`` if the edit can be read at once; else a Deferred that fires when it can.
            Edits of one member keep their order.
        :raises HelixError: (through the Deferred) when the log can't be read.
        """
        return self._prepared(member, self._known(member), self._clock.seconds())

    def read(self, member: IMember, arrays: Arrays) -> ReadEdit:
        """Read an edit by a member at once. It must be `prepared`."""
        return self._reading(member, self._known(member), arrays, self._clock.seconds())()

    async def read_apart(self, member: IMember, changes: bytes) -> ReadEdit | None:
        """
        Read in a thread what a member has sent. Until that has ended, and its edit is taken,
        nothing else that it sends may be read.

        :param changes: as they came.
        :return: the edit, to be taken in the same turn; ``None`` if it is none.
        :raises HelixError: when the log can't be read, or too much waits for the thread.
        """
        known, sent_at, size = self._known(member), self._clock.seconds(), len(changes)
        known.is_heard = True
        try:
            arrays = await self._apart(size, partial(parse_changes, changes), member.charge)
            if arrays is None:
                return None
            while (waiting := self._prepared(member, known, sent_at)) is not None:
                await waiting
            reading = self._reading(member, known, arrays, sent_at)
            known.lend_view()
            try:
                return await self._apart(size, reading, member.charge)
            finally:
                known.take_view_back()
        finally:
            known.is_heard = False

    def _prepared(
        self, member: IMember, known: RelayMember, sent_at: float
    ) -> Deferred[None] | None:
        if self._document.is_being_made:
            made = self._document.made()
            return made.addCallback(lambda _: self._prepared(member, known, sent_at))
        view = self._view(member, known)
        if view.is_unsettled(sent_at) and self._history.past is None:
            return self._history.read()
        return None

    def _reading(
        self, member: IMember, known: RelayMember, arrays: Arrays, sent_at: float
    ) -> Callable[[], ReadEdit]:
        """Give what reads an edit, and uses nothing but the member's view that may change."""
        view = self._view(member, known)
        past = self._history.past if view.is_unsettled(sent_at) else None
        document, limits = self._document.now(), self._log.document.limits
        return partial(_read_edit, arrays, view, sent_at, document, past, limits)


def _read_edit(
    arrays: Arrays,
    view: RelayView,
    sent_at: float,
    document: RelayState,
    past: RelayPast | None,
    limits: DocumentLimits,
) -> ReadEdit:
    """
    Find out what a client changes.

    :param past: what was before, for a client of which nothing tells yet what it has taken. It may
        grow meanwhile: what others have just made is no news either.
    """
    left_out: list[str] = []
    sent = read(arrays, document, limits, left_out, view.had)
    is_of_old_page = any(node.get("type") == OLD_TYPE for node in sent.nodes.values())
    if past is not None:
        sent, patch = view.begins(sent, sent_at, document, past)
    else:
        sent, patch = view.sends(sent, sent_at)
    return ReadEdit(view, sent, patch, left_out, is_of_old_page)
