"""What nodes tell each other of the members of flows, as JSON. (`helix.nodes.messages`)"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import attrs
import msgspec

from helix.documents.ids import check_key
from helix.errors import HelixError
from helix.members.cursors import Moving, Shift
from helix.members.roster import Changes, Piece, Pointer, Shown
from helix.nodes.start import VERSION, Ignored, Start

MAX_TOLD_META_BYTES = 16 * 1024
"""Bytes of a member's meta: what its client says of it, and what its node knows."""

MAX_PIECES = 10_000
"""Of a roster."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]

_Time = Annotated[int, msgspec.Meta(ge=0, le=2**60)]


class _Shown(msgspec.Struct, array_like=True, gc=False):
    member: _Count
    key: str
    stamp: _Time
    meta: msgspec.Raw


class _Client(msgspec.Struct, gc=False):
    """Of a meta, what a node must know."""

    client_id: str


class _Pointer(msgspec.Struct, array_like=True, gc=False):
    member: _Count
    x: float | None = None
    y: float | None = None
    drag: _Count = 0
    moving: dict[str, Moving] = {}
    moved: Shift | None = None


class _Open(Start, gc=False):
    """
    ``open``: these flows are: each with its session, and the number of its last change.

    :ivar entries: whether the node takes entries on its own topic.
    """

    at: _Time
    flows: dict[str, tuple[_Count, _Count]]
    entries: bool = False


class _Closed(Start, gc=False):
    """``closed``: a session has ended, and those before it."""

    flow: str
    session: _Count


class _Presence(Start, gc=False):
    """``presence``: the members of a session have changed."""

    at: _Time
    session: _Count
    number: _Count
    count: _Count
    shown: list[_Shown]
    gone: list[int]


class _Wanted(Start, gc=False):
    """``roster?``: the rosters of flows are wanted."""

    flows: list[str]


class _Roster(Start, gc=False):
    """``roster``: a piece of all members of a session."""

    at: _Time
    flow: str
    session: _Count
    number: _Count
    count: _Count
    index: _Count
    pieces: Annotated[int, msgspec.Meta(ge=1, le=MAX_PIECES)]
    shown: list[_Shown]


class _Cursors(Start, gc=False):
    """``cursors``: where members of a session point."""

    session: _Count
    number: _Count
    pointers: list[_Pointer]


@attrs.frozen
class Open:
    """
    Flows are open.

    :ivar at: a time, as `Others.stamp` tells.
    :ivar flows: for each the number of its session, and that of the last change that was told.
    :ivar takes_entries: whether the node takes entries on its own topic, too; earlier ones don't.
    """

    at: int
    flows: Mapping[str, tuple[int, int]]
    takes_entries: bool = True


@attrs.frozen
class Closed:
    """Sessions of a flow up to that number have ended."""

    flow_id: str
    session: int


@attrs.frozen
class Present:
    """
    Something of the members of a session: changes, or a piece of the whole.

    :ivar at: a time, as `Others.stamp` tells.
    :ivar flow_id: ``None`` for that of the topic.
    """

    at: int
    flow_id: str | None
    session: int
    told: Changes | Piece


@attrs.frozen
class Wanted:
    """Whole rosters are wanted of these flows."""

    flow_ids: Sequence[str]


@attrs.frozen
class Pointers:
    """Where members of a session point."""

    session: int
    number: int
    pointers: Sequence[Pointer]


People = Open | Closed | Present | Wanted | Pointers

_encode = msgspec.json.Encoder().encode
_decode_open = msgspec.json.Decoder(_Open).decode
_decode_closed = msgspec.json.Decoder(_Closed).decode
_decode_presence = msgspec.json.Decoder(_Presence).decode
_decode_wanted = msgspec.json.Decoder(_Wanted).decode
_decode_roster = msgspec.json.Decoder(_Roster).decode
_decode_cursors = msgspec.json.Decoder(_Cursors).decode
_decode_client = msgspec.json.Decoder(_Client).decode


def encode_open(node: str, said: Open) -> bytes:
    """Tell that flows are open."""
    return _encode(_Open(VERSION, node, "open", said.at, dict(said.flows), said.takes_entries))


def encode_closed(node: str, said: Closed) -> bytes:
    """Tell that a session has ended."""
    return _encode(_Closed(VERSION, node, "closed", said.flow_id, said.session))


def encode_changes(node: str, at: int, session: int, changes: Changes) -> bytes:
    """Tell what has changed."""
    start = (VERSION, node, "presence", at, session, changes.number, changes.count)
    return _encode(_Presence(*start, _outgoing(changes.shown), list(changes.gone)))


def encode_wanted(node: str, said: Wanted) -> bytes:
    """Ask for rosters."""
    return _encode(_Wanted(VERSION, node, "roster?", list(said.flow_ids)))


def encode_piece(node: str, at: int, flow_id: str, session: int, piece: Piece) -> bytes:
    """Tell a piece of the whole."""
    start = (VERSION, node, "roster", at, flow_id, session, piece.number, piece.count)
    return _encode(_Roster(*start, piece.index, piece.pieces, _outgoing(piece.shown)))


def encode_pointers(node: str, said: Pointers) -> bytes:
    """Tell where members point."""
    pointers = [
        _Pointer(one.member, one.x, one.y, one.drag, one.moving, one.moved) for one in said.pointers
    ]
    return _encode(_Cursors(VERSION, node, "cursors", said.session, said.number, pointers))


def _read_open(message: bytes) -> Open:
    said = _decode_open(message)
    return Open(said.at, said.flows, said.entries)


def _read_closed(message: bytes) -> Closed:
    said = _decode_closed(message)
    return Closed(said.flow, said.session)


def _read_presence(message: bytes) -> Present:
    said = _decode_presence(message)
    changes = Changes(said.number, said.count, _incoming(said.shown), said.gone)
    return Present(said.at, None, said.session, changes)


def _read_wanted(message: bytes) -> Wanted:
    return Wanted(_decode_wanted(message).flows)


def _read_roster(message: bytes) -> Present:
    said = _decode_roster(message)
    if said.index >= said.pieces:
        raise Ignored("malformed")
    shown = _incoming(said.shown)
    piece = Piece(said.number, said.count, said.index, said.pieces, shown)
    return Present(said.at, said.flow, said.session, piece)


def _read_pointers(message: bytes) -> Pointers:
    said = _decode_cursors(message)
    pointers = [
        Pointer(one.member, one.x, one.y, one.drag, one.moving, one.moved) for one in said.pointers
    ]
    return Pointers(said.session, said.number, pointers)


READERS: Mapping[str, Callable[[bytes], People]] = {
    "open": _read_open,
    "closed": _read_closed,
    "presence": _read_presence,
    "roster?": _read_wanted,
    "roster": _read_roster,
    "cursors": _read_pointers,
}
"""
Read messages, by their kinds. They raise `Ignored`, `msgspec.MsgspecError` or `ValueError` when it
isn't one.
"""


def _outgoing(shown: Mapping[int, Shown]) -> list[_Shown]:
    return [
        _Shown(member, one.key, one.stamp, msgspec.Raw(one.meta)) for member, one in shown.items()
    ]


def _incoming(shown: Sequence[_Shown]) -> dict[int, Shown]:
    """
    Read members. Their metas are sent to browsers, so they are what a node would make of one.

    :raises Ignored: when they aren't.
    """
    members = {}
    for one in shown:
        meta = bytes(one.meta)
        if len(meta) > MAX_TOLD_META_BYTES:
            raise Ignored("malformed")
        try:
            key = check_key("key", one.key)
        except HelixError:
            raise Ignored("malformed") from None
        members[one.member] = Shown(key, _decode_client(meta).client_id, meta, one.stamp)
    return members
