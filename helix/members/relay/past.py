"""
The past values of a flow's nodes and edges, to find the edits in an old copy; with no I/O.

Soon after it has joined, the first generation's page sends its own copy of a flow, which may be
old. A field with a past value is stale; a value that no version ever held is an edit
(docs/adr/0016-old-pages.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from helix.documents.merge_patch import JsonObject
from helix.members.relay.bridge import Members, Place, RelayState, difference

MAX_VALUES = 100_000
"""The newest values of fields that are remembered; so many take 20 MB."""

_KINDS: Final = ((True, "nodes"), (False, "edges"))
_ABSENT: Final = ("absent",)
_POSITION: Final[Place] = ("position",)


class RelayPast:
    """
    The values that fields of nodes and edges have had.

    Entries are added in order, beginning with one that creates everything that existed. Only hashes
    are kept. A node's position is one value.
    """

    __slots__ = ("_new", "_old", "_positions", "max_values")

    def __init__(self, max_values: int = MAX_VALUES) -> None:
        self.max_values = max_values
        self._new: set[int] = set()
        self._old: set[int] = set()
        self._positions: dict[str, tuple[Any, Any]] = {}

    def add(self, patch: JsonObject) -> None:
        """Add what an entry sets."""
        for is_node, kind in _KINDS:
            for key, change in patch.get(kind, {}).items():
                if change is None:
                    self._positions.pop(key, None)
                else:
                    self._add_member(is_node, key, change)
        if len(self._new) >= self.max_values:
            self._old, self._new = self._new, set()

    def has_held(self, is_node: bool, key: str) -> bool:
        """Tell whether there ever was such a node or edge."""
        return self._is_known((is_node, key))

    def was(self, is_node: bool, key: str, place: Place, value: Any) -> bool:
        """
        Tell whether a field ever had a value.

        :param place: of the field, in the member.
        :param value: ``None`` for none.
        """
        return self._is_known((is_node, key, place, _hashable(value)))

    def _add_member(self, is_node: bool, key: str, change: JsonObject) -> None:
        is_new = "id" in change
        if is_new:
            self._note((is_node, key))
        position = change.get("position") if is_node else None
        if type(position) is dict:
            x, y = self._positions.get(key, (0, 0))
            at = self._positions[key] = (position.get("x", x), position.get("y", y))
            self._note((is_node, key, _POSITION, at))
        for place, value in _leaves(change):
            if is_node and place[0] == "position":
                continue
            field = (is_node, key, place)
            if not is_new and not self._is_known(field):
                self._note((*field, _ABSENT))
            self._note(field)
            self._note((*field, _hashable(value)))

    def _note(self, what: tuple[Any, ...]) -> None:
        self._new.add(hash(what))

    def _is_known(self, what: tuple[Any, ...]) -> bool:
        key = hash(what)
        return key in self._new or key in self._old


def news(sent: RelayState, document: RelayState, past: RelayPast) -> tuple[JsonObject, bool]:
    """
    Find the edits of a client that may have seen any version of a flow.

    Nothing is deleted: the client may never have seen what it lacks. A node of the past is not
    created again; new values in it edit what somebody else has deleted, and staging drops them.

    :return: the patch to the document; and whether anything in ``sent`` is stale.
    """
    patch: JsonObject = {}
    stale = False
    changed = difference(document, sent)
    for is_node, kind in _KINDS:
        found: Members = {}
        there, members = (document.nodes, sent.nodes) if is_node else (document.edges, sent.edges)
        for key, change in changed.get(kind, {}).items():
            if change is None:
                continue
            if key not in there and not past.has_held(is_node, key):
                found[key] = change
                continue
            new = _new_fields(is_node, key, change, members[key], past)
            stale = stale or new != change
            if new:
                found[key] = new
        if found:
            patch[kind] = found
    return patch, stale


def _new_fields(
    is_node: bool, key: str, change: JsonObject, member: JsonObject, past: RelayPast
) -> JsonObject:
    """Reduce a change of a member to values that it never had."""
    new: JsonObject = {}
    for place, value in _leaves(change):
        if is_node and place[0] == "position":
            continue
        if not past.was(is_node, key, place, value):
            at = new
            for name in place[:-1]:
                at = at.setdefault(name, {})
            at[place[-1]] = value
    if is_node and "position" in change:
        position = member["position"]
        if not past.was(is_node, key, _POSITION, (position.get("x"), position.get("y"))):
            new["position"] = change["position"]
    return new


def _leaves(value: JsonObject, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Give the fields of an object that hold no fields: ``None`` for those that are deleted."""
    for name, member in value.items():
        if type(member) is dict and member:
            yield from _leaves(member, (*place, name))
        else:
            yield (*place, name), member


def _hashable(value: Any) -> Any:
    """Make what is equal, and has one hash, for values that are the same JSON."""
    kind = type(value)
    if kind is bool:
        return ("bool", value)
    if kind is list or kind is tuple:
        return tuple(map(_hashable, value))
    if kind is dict:
        return tuple(sorted((name, _hashable(member)) for name, member in value.items()))
    return _ABSENT if value is None else value
