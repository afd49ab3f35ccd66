"""What members in document mode see of each other: presence and cursors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

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
from helix.members.presence import Person, Presence
from helix.telemetry.events import Telemetry

TICK = 1 / 30
"""Seconds between two ticks, at the least."""

MAX_BYTES_PER_SECOND = 64 * 1024 * 1024
"""Bytes that a flow's ticks may write to all members; if they write more, ticks are less often."""

MAX_GREETING_BYTES = 2 * 1024 * 1024
"""Bytes sent to newcomers in one tick, besides the first of them: a millisecond or two."""


@attrs.define(eq=False)
class _Visit:
    """One client's visit, perhaps over several connections, with its presence and cursor."""

    person: Person


class Awareness:
    """
    The members in document mode, as they see each other.

    Changes are sent in *ticks*: one frame with all changes, for all members, at the end of the
    reactor's turn if the last tick is long enough ago. A new member gets the state in the next
    tick, after the others got its changes, and from then on every diff. So each change reaches each
    member once, in the state or in a later diff.

    :param fanout: the way to them; only for this.
    :param presence: who is here; nobody yet.
    :param flow_id: for telemetry.
    :param active: called when something was told.
    :param failed: called with the Failure when a tick met a fault of ours.
    """

    __slots__ = (
        "_active",
        "_clock",
        "_cursors",
        "_failed",
        "_fanout",
        "_flow_id",
        "_newcomers",
        "_next_at",
        "_presence",
        "_telemetry",
        "_timer",
        "_visits",
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
    ) -> None:
        self._fanout = fanout
        self._presence = presence
        self._clock = clock
        self._telemetry = telemetry
        self._flow_id = flow_id
        self._active = active
        self._failed = failed
        self._cursors = Cursors()
        self._visits: dict[IMember, _Visit] = {}
        self._newcomers: dict[IMember, None] = {}
        self._next_at = 0.0
        self._timer: IDelayedCall | None = None

    def enter(self, member: IMember, person: Person) -> None:
        """Count in a member whose join has been answered, unless it took another's place."""
        if member not in self._visits:
            visit = self._visits[member] = _Visit(person)
            self._newcomers[member] = None
            self._presence.join(visit, person)
            self._tick_soon()

    def replace(self, old: IMember, new: IMember, person: Person) -> None:
        """
        Replace a member by another of the same client, whose join is answered in this turn. The
        others see neither of them join or leave. The new one has no cursor until it sends one.
        """
        visit = self._visits.get(old)
        if visit is None or visit.person.key != person.key:
            self.leave(old)
            return
        self._forget(old)
        self._visits[new] = visit
        self._newcomers[new] = None
        visit.person = person
        self._cursors.leave(visit, person.client_id)
        self._presence.update(visit, person.meta())
        self._tick_soon()

    def leave(self, member: IMember) -> None:
        """Count a member out; without effect when it is none."""
        visit = self._forget(member)
        if visit is not None:
            self._presence.leave(visit)
            self._cursors.leave(visit, visit.person.client_id)
            self._tick_soon()

    def show(self, member: IMember, meta: JsonObject) -> None:
        """Tell the others a member's new presence, in place of its old one."""
        visit = self._visits.get(member)
        if visit is not None and self._presence.update(visit, visit.person.meta(meta)):
            self._tick_soon()

    def point(self, member: IMember, cursor: Cursor | None) -> None:
        """Tell the others a member's cursor, if it is still the same at the next tick."""
        visit = self._visits.get(member)
        if (
            visit is not None
            and self._cursors.move(visit, visit.person.client_id, cursor)
            and self._timer is None
            and len(self._visits) > 1
        ):
            self._tick_soon()

    def drop(self, member: IMember) -> None:
        """Tell the others that a member drags nothing any more."""
        visit = self._visits.get(member)
        if visit is not None and self._cursors.drop(visit, visit.person.client_id):
            self._tick_soon()

    def close(self) -> None:
        """Forget everybody, and leave no timer behind."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for member in self._visits:
            if member not in self._newcomers:
                self._fanout.remove(member.outlet, member.topic)
        self._visits = {}
        self._newcomers = {}

    # inside

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
            written = self._tell() + self._greet()
        except Exception:
            self._failed(Failure())
            return
        rest = max(TICK, written / MAX_BYTES_PER_SECOND)
        self._next_at = self._clock.seconds() + rest
        if self._newcomers:
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
        present = [visit.person.client_id for visit in self._visits.values()]
        cursors = self._cursors.current(present)
        if cursors is None:
            return None
        return Broadcast("cursors", cursors, Kind.CURSORS, missed=Superseded(self._all_cursors))

    def _broadcast(
        self, event: str, payload: bytes, kind: Kind, now: Callable[[], Broadcast | None]
    ) -> int:
        broadcast = Broadcast(event, payload, kind, missed=Superseded(now))
        self._fanout.broadcast(broadcast).addErrback(
            lambda failure: self._log.failure("Telling the members of a flow failed", failure)
        )
        return len(payload)

    def _emit(self, event: str, **measurements: int) -> None:
        self._telemetry.emit(event, measurements, {"flow_id": self._flow_id})
