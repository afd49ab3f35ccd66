"""Where the members on this node point, as other nodes are told; with no I/O."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from helix.members.cursors import Cursors, Moving
from helix.members.places import Place
from helix.members.roster import Pointer

REPEAT = 1.0
"""Seconds after which a drag that goes on is told whole again: a message may be lost."""

MAX_DRAG_BYTES = 64 * 1024
"""Bytes of a drag, about. Of a larger one other nodes see only the pointer."""

DRAG_COUNTS = 5.0
"""Seconds after which a drag that wasn't said again doesn't count any more (JSC12)."""

MESSAGE_BYTES = 6000
"""Bytes of the cursors of one message, about."""

_POINTER_BYTES = 60
_MOVING_BYTES = 70


@attrs.define
class _Pointing:
    """
    A member that has pointed.

    :ivar told_at: when other nodes were told of its newest cursor.
    :ivar is_old: whether what that drags doesn't count any more.
    """

    member: int
    told_at: float = 0.0
    is_old: bool = False


@attrs.define
class _Told:
    """
    What other nodes were told of a member.

    :ivar drag: the number of its last drag.
    :ivar moving: of that drag.
    :ivar whole_at: when it was told whole.
    """

    drag: int = 0
    moving: dict[str, Moving] = attrs.field(factory=dict)
    whole_at: float = 0.0


class Pointing:
    """
    The cursors of the members here that other nodes have yet to be told of.

    The shifts of a drag are told alone as long as it goes on, and the whole of it every `REPEAT`
    seconds: who has missed that shows the pointer until then.

    :param cursors: of the flow.
    """

    __slots__ = ("_cursors", "_members", "_moved", "_number", "_told")

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors
        self._number = 0
        self._members: dict[Place, _Pointing] = {}
        self._moved: dict[Place, int] = {}
        self._told: dict[Place, _Told] = {}

    @property
    def is_told(self) -> bool:
        """Whether there is nothing new."""
        return not self._moved

    def moved(self, place: Place, member: int) -> None:
        """A member has another cursor."""
        self._moved[place] = member
        self._members[place] = _Pointing(member)

    def repeat(self, now: float) -> None:
        """
        Tell all cursors once more. A drag counts only as long as the client says it again, so one
        that goes on isn't told, and of an old one only the pointer.
        """
        for place, pointing in self._members.items():
            cursor = self._cursors.of(place, place.shown.client_id)
            if place in self._moved:
                continue
            if cursor is None or not cursor.moving:
                self._moved[place] = pointing.member
            elif now - pointing.told_at >= DRAG_COUNTS:
                self._moved[place] = pointing.member
                pointing.is_old = True

    def leave(self, place: Place) -> None:
        """Forget a member."""
        self._members.pop(place, None)
        self._moved.pop(place, None)
        self._told.pop(place, None)

    def forget(self) -> None:
        """There is nobody to tell."""
        self._moved.clear()

    def messages(self, now: float) -> Iterator[tuple[int, list[Pointer]]]:
        """
        Give what is new, once.

        :param now: in seconds.
        :return: for each message its number and its cursors.
        """
        moved, self._moved = self._moved, {}
        pointers: list[Pointer] = []
        size = 0
        for place, member in moved.items():
            pointer = self._pointer(place, member, now)
            more = _POINTER_BYTES + _size(pointer.moving)
            if pointers and size + more > MESSAGE_BYTES:
                yield self._next(), pointers
                pointers, size = [], 0
            pointers.append(pointer)
            size += more
        if pointers:
            yield self._next(), pointers

    # inside

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _pointer(self, place: Place, member: int, now: float) -> Pointer:
        cursor = self._cursors.of(place, place.shown.client_id)
        if cursor is None:
            return Pointer(member)
        pointing = self._members[place]
        pointing.told_at = now
        if not cursor.moving or pointing.is_old:
            return Pointer(member, cursor.x, cursor.y)
        told = self._told.setdefault(place, _Told())
        is_new = told.moving is not cursor.moving
        if is_new and _size(cursor.moving) > MAX_DRAG_BYTES:
            return Pointer(member, cursor.x, cursor.y)
        moving: dict[str, Moving] = {}
        if is_new or now - told.whole_at >= REPEAT:
            moving = told.moving = cursor.moving
            told.drag += is_new
            told.whole_at = now
        return Pointer(member, cursor.x, cursor.y, told.drag, moving, cursor.moved)


def _size(moving: dict[str, Moving]) -> int:
    """About the bytes that it takes in a message."""
    return sum(map(len, moving)) + _MOVING_BYTES * len(moving)
