"""The newest cursor of each member of a flow, and the nodes it drags; with no I/O."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import msgspec

from helix.delivery.protocol import encode_json
from helix.documents.ids import MAX_ID_BYTES
from helix.documents.validation import FORBIDDEN_KEYS
from helix.errors import InvalidParameters

MAX_CURSOR_BYTES = 512 * 1024
"""Bytes of the JSON text of a cursor, as it is pushed."""

MAX_MOVING = 10_000
"""Nodes that a cursor may move."""


class Moving(msgspec.Struct, gc=False, omit_defaults=True):
    """
    Where a member has a node at the moment. (msgspec accepts finite numbers only.)

    :ivar x: with ``y`` its place, like the node's ``position``.
    :ivar width: with ``height`` its size while the member resizes it; ``None`` for unchanged.
    """

    x: float
    y: float
    width: float | None = None
    height: float | None = None


class Shift(msgspec.Struct, gc=False):
    """How far nodes have moved."""

    x: float
    y: float


class Cursor(msgspec.Struct, gc=False, omit_defaults=True):
    """
    Where a member points.

    :ivar x: with ``y`` the place in the flow; both ``None`` for nowhere.
    :ivar moving: where nodes are, by their ids, that are dragged or resized and not yet dropped.
    :ivar moved: how far all of them have come from there; without ``moving`` from where the cursor
        of the same member had them last.
    """

    x: float | None = None
    y: float | None = None
    moving: dict[str, Moving] = {}
    moved: Shift | None = None


_decode = msgspec.json.Decoder(Cursor).decode

_NOWHERE = Cursor()


def parse_cursor(text: bytes) -> Cursor | None:
    """
    Read a cursor that was pushed.

    :param text: JSON.
    :return: the cursor; ``None`` where the member points nowhere any more.
    :raises InvalidParameters: when it can't be one.
    """
    if len(text) > MAX_CURSOR_BYTES:
        raise InvalidParameters(
            f"The cursor takes {len(text)} bytes; at most {MAX_CURSOR_BYTES} are allowed"
        )
    try:
        cursor = _decode(text)
    except msgspec.MsgspecError as error:
        raise InvalidParameters(f"A cursor must be {{x, y, moving}} or {{}}: {error}") from None
    if cursor.moving:
        _check_moving(cursor.moving)
    if cursor.x is not None and cursor.y is not None:
        return cursor
    if cursor != _NOWHERE:
        raise InvalidParameters("A cursor must have both x and y, or be {}")
    return None


def _check_moving(moving: dict[str, Moving]) -> None:
    if len(moving) > MAX_MOVING:
        raise InvalidParameters(
            f"A cursor moves {len(moving)} nodes; at most {MAX_MOVING} may move"
        )
    for node_id in moving:
        if not 1 <= len(node_id.encode()) <= MAX_ID_BYTES or node_id in FORBIDDEN_KEYS:
            raise InvalidParameters("moving holds a key that can't be the id of a node")


class Cursors:
    """
    The cursors of one flow, by client id.

    Nodes that move together are sent once; after that, only how far they have moved. A client that
    got everything so far, or `current`, knows the rest.

    :ivar moves: how many changes there were since they were last told.
    """

    __slots__ = ("_moved", "_newest", "_owners", "_told", "moves")

    def __init__(self) -> None:
        self._newest: dict[str, Cursor] = {}
        self._owners: dict[str, Hashable] = {}
        self._moved: dict[str, None] = {}
        self._told: dict[str, dict[str, Moving]] = {}
        self.moves = 0

    def move(self, owner: Hashable, client_id: str, cursor: Cursor | None) -> bool:
        """
        Take a member's newest cursor.

        :param owner: the member. The one that last pointed as a client is whose cursor that is.
        :return: whether that is news. What is dragged is, each time: it counts only as long as
            it is said again.
        """
        newest = self._newest.get(client_id)
        if cursor is not None and cursor.moved is not None and not cursor.moving:
            if newest is not None and newest.moving and self._owners[client_id] is owner:
                cursor = Cursor(cursor.x, cursor.y, newest.moving, cursor.moved)
            else:
                cursor = Cursor(cursor.x, cursor.y)
        is_held = cursor is not None and len(cursor.moving) > 0
        if newest == cursor and not is_held:
            return False
        if cursor is None:
            del self._newest[client_id], self._owners[client_id]
        else:
            self._newest[client_id] = cursor
            self._owners[client_id] = owner
        self._moved[client_id] = None
        self.moves += 1
        return True

    def drop(self, owner: Hashable, client_id: str) -> bool:
        """Let a member drag nothing any more, as `move`."""
        newest = self._newest.get(client_id)
        if newest is None or not newest.moving or self._owners[client_id] is not owner:
            return False
        return self.move(owner, client_id, Cursor(newest.x, newest.y))

    def leave(self, owner: Hashable, client_id: str) -> bool:
        """Forget a member's cursor, as `move`; not that of another channel of the same client."""
        return self._owners.get(client_id) is owner and self.move(owner, client_id, None)

    def of(self, owner: Hashable, client_id: str) -> Cursor | None:
        """Give a member's newest cursor."""
        return self._newest.get(client_id) if self._owners.get(client_id) is owner else None

    def moved(self) -> tuple[int, bytes] | None:
        """
        Give what has changed since the last time, once; ``None`` where nothing has.

        :return: how many cursors, and the payload of a ``cursors``; null stands for nowhere.
        """
        if not self._moved:
            return None
        moved = {client_id: self._news(client_id) for client_id in self._moved}
        self._moved = {}
        self.moves = 0
        return len(moved), encode_json(moved)

    def current(self, present: Iterable[str] = ()) -> bytes | None:
        """
        Give the payload of a ``cursors`` with all that there are; ``None`` without any.

        :param present: client ids of which it is told, too, that they point nowhere.
        """
        current = {**dict.fromkeys(present), **self._newest}
        return encode_json(current) if current else None

    def _news(self, client_id: str) -> Cursor | None:
        """The part of a cursor that wasn't sent before."""
        cursor = self._newest.get(client_id)
        known = self._told.pop(client_id, None)
        if cursor is None or not cursor.moving:
            return cursor
        self._told[client_id] = cursor.moving
        if known is cursor.moving and cursor.moved is not None:
            return Cursor(cursor.x, cursor.y, moved=cursor.moved)
        return cursor
