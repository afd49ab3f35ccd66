"""
Rosters: what nodes tell each other of a flow's members; with no I/O.

Each session of a flow numbers what it tells. Changes have successive numbers; a whole roster has
the number of the last change in it. So whoever has heard everything up to a number knows who is
there, and notices what is missing, late or a second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from helix.members.cursors import Moving, Shift

MAX_ROSTER = 100_000
"""Members of one roster."""

MAX_AHEAD = 256
"""Changes that are kept while earlier ones are missing."""


@attrs.frozen
class Shown:
    """
    A member in document mode, as it is shown.

    :ivar key: stands for the person.
    :ivar client_id: stands for the tab.
    :ivar meta: its meta, JSON.
    :ivar stamp: when it joined, as `Others.stamp` tells.
    """

    key: str
    client_id: str
    meta: bytes
    stamp: int


@attrs.frozen
class Changes:
    """
    What has changed in a roster.

    :ivar number: of this change.
    :ivar count: members of both modes.
    :ivar shown: members that are new or changed, by their numbers.
    :ivar gone: the numbers of those that have left.
    """

    number: int
    count: int
    shown: Mapping[int, Shown]
    gone: Sequence[int] = ()


@attrs.frozen
class Piece:
    """
    A piece of a whole roster.

    :ivar number: of the last change in it.
    :ivar count: members of both modes.
    :ivar index: which of ``pieces`` it is, from 0.
    """

    number: int
    count: int
    index: int
    pieces: int
    shown: Mapping[int, Shown]


@attrs.frozen
class Pointer:
    """
    Where a member points.

    :ivar member: its number.
    :ivar x: with ``y`` the place in the flow; both ``None`` for nowhere.
    :ivar drag: which of its drags is meant by ``moving`` and ``moved``; 0 for none.
    :ivar moving: as `Cursor.moving`; empty where it was told before.
    :ivar moved: as `Cursor.moved`.
    """

    member: int
    x: float | None = None
    y: float | None = None
    drag: int = 0
    moving: dict[str, Moving] = attrs.field(factory=dict)
    moved: Shift | None = None


class Others(Protocol):
    """The other nodes, as a session tells them."""

    def begin(self, flow_id: str) -> int:
        """A session begins: give its number, which is larger than that of all before it."""

    def end(self, flow_id: str, session: int) -> None:
        """It has ended."""

    def have_open(self, flow_id: str) -> bool:
        """Whether another node has the flow open, as far as is known."""

    def stamp(self) -> int:
        """Give a time that is later than all that this node gave, or heard of, before."""

    @property
    def pause(self) -> float:
        """Seconds until more is to be told, so that the broker isn't flooded; 0 for now."""

    def show(self, flow_id: str, session: int, changes: Changes) -> int:
        """Tell what has changed, and return how many bytes that took."""

    def point(self, flow_id: str, session: int, number: int, pointers: Sequence[Pointer]) -> int:
        """Tell where members point, and return how many bytes that took."""


class Nobody:
    """There are no other nodes. (`Others`)"""

    pause = 0.0

    def __init__(self) -> None:
        self._last = 0

    def begin(self, flow_id: str) -> int:
        return 1

    def end(self, flow_id: str, session: int) -> None:
        """Nobody is told."""

    def have_open(self, flow_id: str) -> bool:
        return False

    def stamp(self) -> int:
        self._last += 1
        return self._last

    def show(self, flow_id: str, session: int, changes: Changes) -> int:
        return 0

    def point(self, flow_id: str, session: int, number: int, pointers: Sequence[Pointer]) -> int:
        return 0


class OwnRoster:
    """
    The members of a session, as other nodes are told of them.

    :ivar number: of the last change that `changes` gave.
    """

    __slots__ = ("_changed", "_count", "_members", "_told_count", "number")

    def __init__(self) -> None:
        self.number = 0
        self._members: dict[int, Shown] = {}
        self._changed: dict[int, Shown | None] = {}
        self._count = self._told_count = 0

    def put(self, member: int, shown: Shown) -> None:
        """Show a member, or show it otherwise."""
        self._changed[member] = shown

    def remove(self, member: int) -> None:
        """Show a member no more."""
        self._changed[member] = None

    def counted(self, count: int) -> None:
        """There are so many members, of both modes."""
        self._count = count

    @property
    def is_told(self) -> bool:
        """Whether there is nothing new."""
        return not self._changed and self._count == self._told_count

    def changes(self, max_bytes: float) -> Changes | None:
        """
        Give what is new, once; ``None`` if nothing is.

        :param max_bytes: of keys and metas, above which the rest is left for the next time.
        """
        if self.is_told:
            return None
        shown: dict[int, Shown] = {}
        gone: list[int] = []
        size = 0
        for member in list(self._changed):
            if size >= max_bytes:
                break
            new = self._changed.pop(member)
            if new is not None:
                shown[member] = self._members[member] = new
                size += _size(new)
            elif self._members.pop(member, None) is not None:
                gone.append(member)
        if not shown and not gone and self._count == self._told_count:
            return None
        self._told_count = self._count
        self.number += 1
        return Changes(self.number, self._count, shown, gone)

    def pieces(self, max_bytes: float) -> list[Piece]:
        """
        Give all that `changes` has given so far, in one piece at least.

        :param max_bytes: of the keys and metas of a piece.
        """
        parts: list[dict[int, Shown]] = [{}]
        size = 0
        for member, shown in self._members.items():
            if size and size + _size(shown) > max_bytes:
                parts.append({})
                size = 0
            parts[-1][member] = shown
            size += _size(shown)
        start = (self.number, self._told_count)
        return [Piece(*start, index, len(parts), part) for index, part in enumerate(parts)]


def _size(shown: Shown) -> int:
    """About the bytes that it takes in a message."""
    return len(shown.key) + len(shown.meta) + 40


class Stage(Protocol):
    """Shows what a roster says."""

    def appeared(self, member: int, shown: Shown) -> None:
        """A member is there."""

    def changed(self, member: int, shown: Shown) -> None:
        """It is shown otherwise."""

    def vanished(self, member: int) -> None:
        """It isn't there any more."""


@attrs.define
class _Collected:
    """Pieces of a roster of which others are missing."""

    number: int
    pieces: dict[int, Piece] = attrs.field(factory=dict)


class Roster:
    """
    The roster of another node's session, as far as it was heard.

    :param stage: shows it. Its members are shown no more by `clear`.

    :ivar count: members of both modes.
    """

    __slots__ = ("_ahead", "_collected", "_heard", "_known", "_members", "_stage", "count")

    def __init__(self, stage: Stage) -> None:
        self.count = 0
        self._stage = stage
        self._members: dict[int, Shown] = {}
        self._heard = 0  # a session begins with nobody
        self._known = 0
        self._ahead: dict[int, Changes] = {}
        self._collected: _Collected | None = None

    @property
    def is_behind(self) -> bool:
        """Whether there is something that wasn't heard."""
        return self._heard < self._known

    def reach(self, number: int) -> None:
        """Take it that there is a change of that number."""
        self._known = max(self._known, number)

    def take(self, changes: Changes) -> None:
        """Take changes, in any order."""
        self.reach(changes.number)
        if changes.number <= self._heard:
            return
        if changes.number > self._heard + 1:
            if len(self._ahead) < MAX_AHEAD:
                self._ahead[changes.number] = changes
            return
        self._apply(changes)
        self._go_on()

    def take_piece(self, piece: Piece) -> None:
        """Take a piece of the whole roster, in any order."""
        self.reach(piece.number)
        if piece.number <= self._heard:
            return
        collected = self._collected
        if collected is None or collected.number < piece.number:
            collected = self._collected = _Collected(piece.number)
        if collected.number != piece.number:
            return
        collected.pieces[piece.index] = piece
        if len(collected.pieces) < piece.pieces:
            return
        self._collected = None
        members: dict[int, Shown] = {}
        for one in collected.pieces.values():
            members.update(one.shown)
        gone = [member for member in self._members if member not in members]
        self._apply(Changes(piece.number, piece.count, members, gone))
        self._ahead = {one: changes for one, changes in self._ahead.items() if one > self._heard}
        self._go_on()

    def clear(self) -> None:
        """Let all its members vanish."""
        members, self._members = self._members, {}
        self.count = 0
        for member in members:
            self._stage.vanished(member)

    # inside

    def _go_on(self) -> None:
        """Take what came too early."""
        while (changes := self._ahead.pop(self._heard + 1, None)) is not None:
            self._apply(changes)

    def _apply(self, changes: Changes) -> None:
        self._heard = changes.number
        self.count = changes.count
        for member in changes.gone:
            if self._members.pop(member, None) is not None:
                self._stage.vanished(member)
        for member, shown in changes.shown.items():
            old = self._members.get(member)
            if old == shown or (old is None and len(self._members) >= MAX_ROSTER):
                continue
            self._members[member] = shown
            if old is None:
                self._stage.appeared(member, shown)
            else:
                self._stage.changed(member, shown)
