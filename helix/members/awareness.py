"""What members in document mode see of each other: presence and cursors."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from math import inf
from typing import Final, Protocol
from weakref import proxy

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.delivery.broadcast import Broadcast, Superseded
from helix.delivery.fanout import Fanout
from helix.documents.merge_patch import JsonObject
from helix.interfaces import IMember
from helix.members.cursors import Cursor, Cursors
from helix.members.document_audience import Kind
from helix.members.elsewhere import Elsewhere
from helix.members.places import Place, Places
from helix.members.pointing import MESSAGE_BYTES, Pointing
from helix.members.presence import Person, Presence
from helix.members.roster import Others, OwnRoster, Piece, Shown
from helix.telemetry.events import Telemetry

TICK = 1 / 30
"""Seconds between two ticks, at the least."""

MAX_BYTES_PER_SECOND = 64 * 1024 * 1024
"""Bytes that a flow's ticks may write to all members; if they write more, ticks are less often."""

MAX_GREETING_BYTES = 2 * 1024 * 1024
"""Bytes sent to newcomers in one tick, besides the first of them: a millisecond or two."""

MAX_TOLD_BYTES = 64 * 1024
"""Bytes of presence that other nodes are told in one tick, about."""


@attrs.define(eq=False)
class _Visit:
    """
    One client's visit, perhaps over several connections.

    :ivar number: by which other nodes know it.
    """

    number: int
    person: Person
    place: Place


class Community(Protocol):
    """The members in both modes, on this node and on others, as a session keeps them."""

    def displaced(self, member: IMember) -> None:
        """A member's client has joined on another node."""

    def counted_elsewhere(self, are_more: bool) -> None:
        """There are more members on other nodes, or fewer."""


class Awareness:
    """
    The members in document mode, as they see each other on all nodes.

    Changes are sent in *ticks*: one frame with all changes, for all members, at the end of the
    reactor's turn if the last tick is long enough ago. A new member gets the state in the next
    tick, after the others got its changes, and from then on every diff. So each change reaches each
    member once, in the state or in a later diff.

    :param fanout: the way to them; only for this.
    :param presence: who is here; nobody yet.
    :param flow_id: for telemetry.
    :param active: called when something was told.
    :param failed: called with the Failure when a tick met a fault of ours.
    :param others: the other nodes.

    :ivar number: of this session, among those of the node.
    """

    __slots__ = (
        "__weakref__",
        "_active",
        "_clock",
        "_community",
        "_cursors",
        "_elsewhere",
        "_failed",
        "_fanout",
        "_flow_id",
        "_later",
        "_newcomers",
        "_next_at",
        "_numbers",
        "_others",
        "_places",
        "_pointing",
        "_presence",
        "_roster",
        "_telemetry",
        "_timer",
        "_visits",
        "number",
    )

    _log: Final = Logger(namespace="helix.session")

    def __init__(
        self,
        fanout: Fanout,
        presence: Presence,
        clock: IReactorTime,
        telemetry: Telemetry,
        flow_id: str,
        active: Callable[[], object],
        failed: Callable[[Failure], None],
        others: Others,
        community: Community,
    ) -> None:
        self._fanout = fanout
        self._presence = presence
        self._clock = clock
        self._telemetry = telemetry
        self._flow_id = flow_id
        self._active = active
        self._failed = failed
        self._others = others
        self._community = community
        self._cursors = Cursors()
        self._places = Places(presence)
        self._roster = OwnRoster()
        self._pointing = Pointing(self._cursors)
        self._numbers = count(1)
        self._visits: dict[IMember, _Visit] = {}
        self._newcomers: dict[IMember, None] = {}
        self._next_at = 0.0
        self._timer: IDelayedCall | None = None
        self._later: IDelayedCall | None = None
        self.number = others.begin(flow_id)
        self._elsewhere: Elsewhere | None = None  # most sessions are on one node all their lives

    @property
    def elsewhere(self) -> Elsewhere:
        """The members on other nodes."""
        if self._elsewhere is None:
            me = proxy(self)
            self._elsewhere = Elsewhere(
                self._places,
                self._cursors,
                lambda: me._tick_soon(),
                lambda place: me._displaced(place),
                lambda are_more: me._community.counted_elsewhere(are_more),
            )
        return self._elsewhere

    @property
    def count_elsewhere(self) -> int:
        """Members on other nodes, as far as is known."""
        return 0 if self._elsewhere is None else self._elsewhere.count

    def enter(self, member: IMember, person: Person) -> None:
        """Count in a member whose join has been answered, unless it took another's place."""
        if member in self._visits:
            return
        shown = self._shown(person, person.meta())
        visit = self._visits[member] = _Visit(next(self._numbers), person, Place(shown))
        self._newcomers[member] = None
        older = self._places.take(visit.place)
        if older is not None:
            self._cursors.leave(older, person.client_id)
        self._roster.put(visit.number, shown)
        self._tick_soon()

    def replace(self, old: IMember, new: IMember, person: Person) -> None:
        """
        Replace a member by another of the same client, whose join is answered in this turn. The
        others see neither of them join or leave. The new one has no cursor until it sends one.
        """
        visit = self._visits.get(old)
        if visit is None or visit.person.key != person.key or not visit.place.is_shown:
            self.leave(old)
            return
        self._forget(old)
        self._visits[new] = visit
        self._newcomers[new] = None
        visit.person = person
        if self._cursors.leave(visit.place, person.client_id):
            self._pointing.moved(visit.place, visit.number)
        self._show(visit, self._shown(person, person.meta()))
        self._tick_soon()

    def leave(self, member: IMember) -> None:
        """Count a member out; without effect when it is none."""
        visit = self._forget(member)
        if visit is not None:
            self._places.leave(visit.place)
            self._cursors.leave(visit.place, visit.person.client_id)
            self._pointing.leave(visit.place)
            self._roster.remove(visit.number)
            self._tick_soon()

    def show(self, member: IMember, meta: JsonObject) -> None:
        """Tell the others a member's new presence, in place of its old one."""
        visit = self._visits.get(member)
        if visit is not None:
            shown = attrs.evolve(visit.place.shown, meta=visit.person.meta(meta))
            if self._show(visit, shown):
                self._tick_soon()

    def point(self, member: IMember, cursor: Cursor | None) -> None:
        """Tell the others a member's cursor, if it is still the same at the next tick."""
        visit = self._visits.get(member)
        if visit is None or not self._move(visit, cursor):
            return
        if self._timer is None and (len(self._visits) > 1 or self._have_others):
            self._tick_soon()

    def drop(self, member: IMember) -> None:
        """Tell the others that a member drags nothing any more."""
        visit = self._visits.get(member)
        if visit is not None and self._cursors.drop(visit.place, visit.person.client_id):
            self._pointing.moved(visit.place, visit.number)
            self._tick_soon()

    def counted(self, count: int) -> None:
        """There are so many members here, in both modes."""
        self._roster.counted(count)
        if self._have_others:
            self._tick_soon()

    # for other nodes

    @property
    def told_number(self) -> int:
        """The number of the last change that other nodes may have been told."""
        return self._roster.number

    def pieces(self, max_bytes: float) -> list[Piece]:
        """
        Give all that other nodes may have been told, as `OwnRoster.pieces`. What is newer, and
        where members point, is told in the next tick.
        """
        self.repeat_cursors()
        if not self._roster.is_told:
            self._tick_soon()
        return self._roster.pieces(max_bytes)

    def repeat_cursors(self) -> None:
        """Tell other nodes once more where members point, as `Pointing.repeat`."""
        self._pointing.repeat(self._clock.seconds())
        if not self._pointing.is_told:
            self._tick_soon()

    def close(self) -> None:
        """Forget everybody, and leave no timer behind."""
        for timer in (self._timer, self._later):
            if timer is not None:
                timer.cancel()
        self._timer = self._later = None
        for member in self._visits:
            if member not in self._newcomers:
                self._fanout.remove(member.outlet, member.topic)
        self._visits = {}
        self._newcomers = {}
        self._others.end(self._flow_id, self.number)

    # inside

    @property
    def _have_others(self) -> bool:
        return self._others.have_open(self._flow_id)

    def _shown(self, person: Person, meta: bytes) -> Shown:
        return Shown(person.key, person.client_id, meta, self._others.stamp())

    def _show(self, visit: _Visit, shown: Shown) -> bool:
        """Show a visit otherwise, and tell whether anybody sees a change."""
        if shown == visit.place.shown:
            return False
        self._roster.put(visit.number, shown)
        return self._places.change(visit.place, shown)

    def _move(self, visit: _Visit, cursor: Cursor | None) -> bool:
        if not self._cursors.move(visit.place, visit.person.client_id, cursor):
            return False
        self._pointing.moved(visit.place, visit.number)
        return True

    def _displaced(self, place: Place) -> None:
        """A client that is here has joined on another node since."""
        for member, visit in list(self._visits.items()):
            if visit.place is place:
                self._community.displaced(member)

    def _forget(self, member: IMember) -> _Visit | None:
        """Send a member nothing more, and give its visit; ``None`` for no member."""
        visit = self._visits.pop(member, None)
        if visit is None:
            return None
        if member in self._newcomers:
            del self._newcomers[member]
        else:
            self._fanout.remove(member.outlet, member.topic)
        return visit

    def _tick_soon(self) -> None:
        if self._timer is None:
            wait = max(0.0, self._next_at - self._clock.seconds())
            self._timer = self._clock.callLater(wait, self._tick)

    def _tick(self) -> None:
        """The timer's call."""
        self._timer = None
        try:
            self._tell_others()
            written = self._tell() + self._greet()
        except Exception:
            self._failed(Failure())
            return
        rest = max(TICK, written / MAX_BYTES_PER_SECOND)
        self._next_at = self._clock.seconds() + rest
        if self._newcomers:
            self._tick_soon()

    def _tell_others(self) -> None:
        """Tell other nodes what has changed here; what is too much for now, later."""
        roster, pointing, others = self._roster, self._pointing, self._others
        if not self._have_others:
            roster.changes(inf)
            pointing.forget()
            return
        if not others.pause:
            size = 0
            while size < MAX_TOLD_BYTES and (changes := roster.changes(MESSAGE_BYTES)) is not None:
                size += others.show(self._flow_id, self.number, changes)
            for number, pointers in pointing.messages(self._clock.seconds()):
                others.point(self._flow_id, self.number, number, pointers)
        if self._later is None and not (roster.is_told and pointing.is_told):
            self._later = self._clock.callLater(max(TICK, others.pause), self._go_on)

    def _go_on(self) -> None:
        """The other timer's call."""
        self._later = None
        self._tick_soon()

    def _tell(self) -> int:
        """Tell what has changed, and return how many bytes that took."""
        size = 0
        diff = self._presence.diff()
        if diff is not None and not self._fanout.is_empty:
            size += self._broadcast("presence_diff", diff.payload, Kind.PRESENCE, self._state)
            self._emit("helix.presence.told", changes=diff.changes)
        moves = self._cursors.moves
        moved = self._cursors.moved()
        if moved is not None and not self._fanout.is_empty:
            count, payload = moved
            size += self._broadcast("cursors", payload, Kind.CURSORS, self._all_cursors)
            self._emit("helix.cursors.told", moves=moves, cursors=count)
        if size:
            self._active()
        return size * (len(self._visits) - len(self._newcomers))

    def _greet(self) -> int:
        """Send newcomers the current state, and return how many bytes that took."""
        if not self._newcomers:
            return 0
        state, cursors = self._presence.state(), self._cursors.current()
        size = len(state) + (0 if cursors is None else len(cursors))
        written = 0
        for member in list(self._newcomers):
            if written and written + size > MAX_GREETING_BYTES:
                break
            if member not in self._newcomers:  # it turned out to be gone
                continue
            del self._newcomers[member]
            self._fanout.add(member.outlet, member.topic)
            member.push("presence_state", state)
            if cursors is not None:
                member.push("cursors", cursors)
            written += size
        return written

    def _state(self) -> Broadcast | None:
        """What a member that lagged gets in place of diffs."""
        state = self._presence.state()
        return Broadcast("presence_state", state, Kind.PRESENCE, missed=Superseded(self._state))

    def _all_cursors(self) -> Broadcast | None:
        """What a member that lagged gets in place of cursors; it may not know who left."""
        cursors = self._cursors.current(self._places.clients)
        if cursors is None:
            return None
        return Broadcast("cursors", cursors, Kind.CURSORS, missed=Superseded(self._all_cursors))

    def _broadcast(
        self, event: str, payload: bytes, kind: Kind, now: Callable[[], Broadcast | None]
    ) -> int:
        broadcast = Broadcast(event, payload, kind, missed=Superseded(now))
        self._fanout.tell(broadcast)
        return len(payload)

    def _emit(self, event: str, **measurements: int) -> None:
        self._telemetry.emit(event, measurements, {"flow_id": self._flow_id})
