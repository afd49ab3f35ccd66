"""
Presence: the members of a flow as state and diffs in the format of Phoenix Presence; with no I/O.

One key stands for a person, and each of its *metas* for one of the person's tabs. Clients get a
state, then diffs. A client that applies the diffs in order to an earlier state, with the algorithm
of phoenix.js, has the current state, however the diffs were grouped.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import count
from types import MappingProxyType

import attrs
import msgspec

from helix.delivery.protocol import encode_json
from helix.documents.merge_patch import JsonObject
from helix.documents.validation import check_object
from helix.errors import InvalidParameters, InvalidPatch

MAX_META_BYTES = 4096
"""Bytes of the JSON text of a meta, as it is pushed."""

MAX_META_DEPTH = 8
"""How deep arrays and objects in a meta may nest, the meta itself counted."""

MAX_USER_NAME = 255
"""Characters of a name to show."""

MAX_USER_COLOR = 64
"""Characters of a colour: what CSS takes, a custom property included."""

RESERVED = ("phx_ref", "phx_ref_prev", "client_id")
"""Fields of a meta that only the server sets."""

_decode = msgspec.json.Decoder().decode


def check_user(name: object, color: object) -> None:
    """Refuse a name or a colour that can't be shown (`InvalidParameters`)."""
    for what, value, most in (("name", name, MAX_USER_NAME), ("color", color, MAX_USER_COLOR)):
        if not isinstance(value, str) or len(value) > most:
            raise InvalidParameters(f"{what} must be a string of at most {most} characters")


def check_selection(selection: object, selected: object) -> None:
    """Refuse an invalid selection, or number of selected items (`InvalidParameters`)."""
    if selection is not None and not (
        isinstance(selection, list) and all(isinstance(one, str) for one in selection)
    ):
        raise InvalidParameters("selection must be a list of ids of nodes and edges")
    if selected is not None and not (type(selected) is int and selected >= 0):
        raise InvalidParameters("selected must be the number of selected items, 0 or more")


@attrs.frozen
class Person:
    """
    A member, as the others see it.

    :ivar key: stands for the person, in all tabs.
    :ivar client_id: stands for this tab.
    :ivar name: to be shown, as ``color``, until the client says something else.
    :ivar proven: the members of its meta that aren't the client's to say.
    """

    key: str
    client_id: str
    name: str = ""
    color: str = ""
    proven: Mapping[str, object] = MappingProxyType({})

    def meta(self, pushed: JsonObject | None = None) -> bytes:
        """Make this member's meta: what the client sent last, else what it joined with."""
        given = {"client_id": self.client_id, "name": self.name, "color": self.color}
        return encode_json({**given, **(pushed or {}), **self.proven})


def parse_meta(text: bytes) -> JsonObject:
    """
    Read a meta that was pushed.

    :param text: JSON.
    :raises InvalidParameters: when it can't be a meta, with the place.
    """
    if len(text) > MAX_META_BYTES:
        raise InvalidParameters(
            f"The presence takes {len(text)} bytes; at most {MAX_META_BYTES} are allowed"
        )
    try:
        meta = check_object(_decode(text), MAX_META_DEPTH)
    except msgspec.MsgspecError as error:
        raise InvalidParameters(f"A presence must be an object: {error}") from None
    except InvalidPatch as error:
        raise InvalidParameters(f"A presence must be an object: {error.message}") from None
    for name in RESERVED:
        if name in meta:
            raise InvalidParameters(f"Only the server sets {name} in a presence: leave it out")
    check_user(meta.get("name", ""), meta.get("color", ""))
    check_selection(meta.get("selection"), meta.get("selected"))
    return meta


@attrs.frozen
class _Told:
    """A meta that clients know."""

    ref: str
    meta: bytes


@attrs.define(eq=False)
class _Present:
    """
    :ivar meta: what is so now; ``None`` once the member has left.
    :ivar told: what clients were told last.
    """

    key: str
    meta: bytes | None
    told: _Told | None = None


@attrs.frozen
class Diff:
    """
    :ivar payload: of a ``presence_diff``.
    :ivar changes: how many members joined, left or changed.
    """

    payload: bytes
    changes: int


class Presence:
    """
    The members of one flow.

    :param prefix: of every ``phx_ref``. It must differ from that of every other presence that a
        client may see: a client takes a known ref for a meta that it has.
    """

    __slots__ = ("_changed", "_numbers", "_prefix", "_present")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._numbers = count(1)
        self._present: dict[Hashable, _Present] = {}
        self._changed: dict[Hashable, None] = {}

    def join(self, member: Hashable, person: Person) -> None:
        """Count a member in."""
        self.put(member, person.key, person.meta())

    def put(self, member: Hashable, key: str, meta: bytes) -> None:
        """Count a member in, also back in, by its person's key, always the same, and its meta."""
        present = self._present.get(member)
        if present is None:
            self._present[member] = _Present(key, meta)
        else:
            present.meta = meta
        self._changed[member] = None

    def update(self, member: Hashable, meta: bytes) -> bool:
        """
        Exchange a member's meta.

        :param meta: as `Person.meta` makes it.
        :return: whether that changes anything.
        """
        present = self._present[member]
        if present.meta == meta:
            return False
        present.meta = meta
        self._changed[member] = None
        return True

    def leave(self, member: Hashable) -> None:
        """Count a member out."""
        self._present[member].meta = None
        self._changed[member] = None

    def diff(self) -> Diff | None:
        """
        Give the changes since the last diff, once; ``None`` if there are none.

        Only the last change of each member counts; a member that joined and left is left out.
        """
        joins: list[tuple[str, bytes]] = []
        leaves: list[tuple[str, bytes]] = []
        changes = 0
        changed, self._changed = self._changed, {}
        for member in changed:
            present = self._present.pop(member)
            old = present.told
            changes += old is not None or present.meta is not None
            if old is not None:
                leaves.append((present.key, old.meta))
            if present.meta is not None:
                self._present[member] = present  # behind the others, where clients put it
                present.told = _tell(self._new_ref(), old, present.meta)
                joins.append((present.key, present.told.meta))
        if not changes:
            return None
        payload = b'{"joins":%b,"leaves":%b}' % (_by_key(joins), _by_key(leaves))
        return Diff(payload, changes)

    def state(self) -> bytes:
        """Give the payload of a ``presence_state``: the result of all diffs so far."""
        told = ((one.key, one.told) for one in self._present.values())
        return _by_key((key, one.meta) for key, one in told if one is not None)

    def _new_ref(self) -> str:
        return f"{self._prefix}{next(self._numbers)}"


def _tell(ref: str, old: _Told | None, meta: bytes) -> _Told:
    """Name a meta, and the one that it replaces."""
    if old is None:
        return _Told(ref, b'{"phx_ref":"%b",%b' % (ref.encode(), meta[1:]))
    names = (ref.encode(), old.ref.encode(), meta[1:])
    return _Told(ref, b'{"phx_ref":"%b","phx_ref_prev":"%b",%b' % names)


def _by_key(metas: Iterable[tuple[str, bytes]]) -> bytes:
    """Write metas as clients are told them: ``{key: {"metas": [...]}}``."""
    grouped: dict[str, list[bytes]] = {}
    for key, meta in metas:
        grouped.setdefault(key, []).append(meta)
    return encode_json(
        {key: {"metas": [msgspec.Raw(meta) for meta in metas]} for key, metas in grouped.items()}
    )
