"""The members of a flow on other nodes: their places and cursors, as far as they were heard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs

from helix.members.cursors import Cursor, Cursors, Moving
from helix.members.places import Place, Places
from helix.members.roster import Changes, Piece, Pointer, Roster, Shown


@attrs.define
class _Pointing:
    """
    Where a member points.

    :ivar number: of the message that said so.
    :ivar drag: which drag of it ``moving`` is of.
    :ivar moving: one object as long as it is the same drag, so that members are told it once.
    """

    number: int = 0
    drag: int = 0
    moving: dict[str, Moving] = attrs.field(factory=dict)


class _Node:
    """One other node's members. (`helix.members.roster.Stage`)"""

    def __init__(self, node: str, places: Places, cursors: Cursors, displaced: list[Place]) -> None:
        self.roster = Roster(self)
        self._node = node
        self._places = places
        self._cursors = cursors
        self._displaced = displaced
        self._members: dict[int, Place] = {}
        self._pointing: dict[int, _Pointing] = {}

    def appeared(self, member: int, shown: Shown) -> None:
        place = self._members[member] = Place(shown, self._node)
        older = self._places.take(place)
        if older is None or older is place:
            return
        self._cursors.leave(older, older.shown.client_id)
        if not older.node:
            self._displaced.append(older)

    def changed(self, member: int, shown: Shown) -> None:
        place = self._members[member]
        old = place.shown
        is_same = (old.key, old.client_id) == (shown.key, shown.client_id)
        if is_same and (place.is_shown or old.stamp == shown.stamp):
            self._places.change(place, shown)
        else:
            self.vanished(member)
            self.appeared(member, shown)

    def vanished(self, member: int) -> None:
        place = self._members.pop(member)
        self._pointing.pop(member, None)
        self._places.leave(place)
        self._cursors.leave(place, place.shown.client_id)

    def point(self, number: int, pointer: Pointer) -> bool:
        """Take where a member points, and return whether that is news."""
        place = self._members.get(pointer.member)
        if place is None or not place.is_shown:
            return False
        at = self._pointing.setdefault(pointer.member, _Pointing())
        if number <= at.number:
            return False
        at.number = number
        if pointer.moving and pointer.drag != at.drag:
            at.drag, at.moving = pointer.drag, pointer.moving
        return self._cursors.move(place, place.shown.client_id, _cursor(pointer, at))


def _cursor(pointer: Pointer, at: _Pointing) -> Cursor | None:
    """Without the drag that it means, a pointer only points."""
    if pointer.x is None or pointer.y is None:
        return None
    if pointer.drag and pointer.drag == at.drag:
        return Cursor(pointer.x, pointer.y, at.moving, pointer.moved)
    return Cursor(pointer.x, pointer.y)


class Elsewhere:
    """
    The members of a flow on other nodes.

    :param told: called when there is something to tell the members here.
    :param displaced: called with each place here whose client has a newer one elsewhere.
    :param counted: called when there are more or fewer members elsewhere: whether there are more.
    """

    __slots__ = ("_counted", "_cursors", "_displaced", "_left", "_nodes", "_places", "_told")

    def __init__(
        self,
        places: Places,
        cursors: Cursors,
        told: Callable[[], object],
        displaced: Callable[[Place], object],
        counted: Callable[[bool], object],
    ) -> None:
        self._places = places
        self._cursors = cursors
        self._told = told
        self._displaced = displaced
        self._counted = counted
        self._nodes: dict[str, _Node] = {}
        self._left: list[Place] = []

    @property
    def count(self) -> int:
        """Members of both modes."""
        return sum(one.roster.count for one in self._nodes.values())

    @property
    def nodes(self) -> Iterable[str]:
        """The nodes of which something was heard."""
        return self._nodes

    def reach(self, node: str, number: int) -> bool:
        """
        Take it that a node has told changes up to a number.

        :return: whether something of it wasn't heard.
        """
        roster = self._of(node).roster
        roster.reach(number)
        return roster.is_behind

    def is_behind(self, node: str) -> bool:
        """Whether something of a node wasn't heard, as far as is known."""
        known = self._nodes.get(node)
        return known is not None and known.roster.is_behind

    def show(self, node: str, told: Changes | Piece) -> bool:
        """Take what a node tells of its members, in any order. The result is that of `reach`."""
        count, roster = self.count, self._of(node).roster
        if isinstance(told, Changes):
            roster.take(told)
        else:
            roster.take_piece(told)
        self._changed(count)
        return roster.is_behind

    def point(self, node: str, number: int, pointers: Sequence[Pointer]) -> None:
        """
        Take where a node's members point, in any order.

        :param number: larger than in what the node told before.
        """
        of = self._of(node)
        news = [of.point(number, pointer) for pointer in pointers]
        if any(news):
            self._told()

    def lose(self, node: str) -> None:
        """Let a node's members vanish."""
        known = self._nodes.pop(node, None)
        if known is not None:
            count = self.count + known.roster.count
            known.roster.clear()
            self._changed(count)

    # inside

    def _of(self, node: str) -> _Node:
        known = self._nodes.get(node)
        if known is None:
            known = _Node(node, self._places, self._cursors, self._left)
            self._nodes[node] = known
        return known

    def _changed(self, count: int) -> None:
        """:param count: of members before."""
        self._told()
        if self.count != count:
            self._counted(self.count > count)
        while self._left:  # last, as the session may end with its last member
            self._displaced(self._left.pop())
