"""
Reads what relay clients send: converts arrays of nodes and edges to valid parts of a document;
with no I/O.

Invalid parts are left out and reported: docs/adr/0016-old-pages.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from helix.documents.merge_patch import JsonObject, fresh
from helix.documents.react_flow import MEASURED, PERSONAL, is_measured
from helix.documents.validation import DocumentLimits, check_patch, pointer
from helix.errors import InvalidPatch
from helix.members.relay.bridge import GIVEN, Members, Place, RelayState, Silence, is_among, sharing

MAX_CUTS = 8
"""Faults that are cut out of one node or edge; with more faults it is left out as a whole."""

_PERSONAL: Final = frozenset(PERSONAL)


class Arrays(msgspec.Struct, gc=False):
    """``changes`` that are an edit of a document; their content isn't checked yet."""

    nodes: list[Any]
    edges: list[Any]


_decode = msgspec.json.Decoder(Arrays).decode


def may_be_edit(changes: bytes) -> bool:
    """Tell whether `parse_changes` is worth the time."""
    return b'"nodes"' in changes and b'"edges"' in changes


def parse_changes(changes: bytes | msgspec.Raw) -> Arrays | None:
    """
    Tell whether what a relay client sent is an edit, and of what.

    :param changes: the ``changes`` of a ``flow_change``, JSON.
    :return: ``None`` where that doesn't hold arrays ``nodes`` and ``edges``, or nodes of which none
        has an id, a string: then it is no edit, and only passed on.
    """
    text = bytes(changes)
    if not may_be_edit(text):
        return None
    try:
        arrays = _decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if arrays.nodes and not any(_id_of(node) is not None for node in arrays.nodes):
        return None
    nulls = text.count(b"null")
    if nulls and nulls != _drop_nulls(arrays.nodes) + _drop_nulls(arrays.edges):
        arrays = Arrays([*map(fresh, arrays.nodes)], [*map(fresh, arrays.edges)])
    return arrays


def had_none(_: str) -> None:
    """For a client that was never sent a node."""


def read(
    arrays: Arrays,
    known: RelayState,
    limits: DocumentLimits,
    left_out: list[str],
    had: Callable[[str], JsonObject | None] = had_none,
) -> RelayState:
    """
    Make of what a client sent the state that a document can hold of it.

    What a document's nodes have and these lack is filled in: a position of 0, 0, and no data.
    Of nodes and edges with the id of another each gets an id of its own, the same each time. What
    can't be in a document is left out: of that the state says nothing (`RelayState.silent`).

    :param arrays: taken over.
    :param known: the document's state; what is the same in it is shared, and not checked again.
    :param left_out: is given the JSON Pointers of what was left out; an index stands for a member
        without an id.
    :param had: gives a node, by its id, as the client was sent it, where the document lacks it.
    """
    personal: tuple[Members, Members] = ({}, {})
    silent: Silence = {}
    nodes = _by_id(arrays.nodes, True, known.nodes, left_out)
    edges = _by_id(arrays.edges, False, known.edges, left_out)
    for key, node in nodes.items():
        _take_measured(key, node, personal[0], silent)
        _take_personal(key, node, personal[0])
        _complete(node)
        _take_given(key, node, known.nodes.get(key) or had(key), silent)
    for key, edge in edges.items():
        _take_personal(key, edge, personal[1])
    state = sharing(RelayState(nodes, edges, personal, silent), known)
    _cut(state.nodes, True, known.nodes, limits, silent, left_out)
    for key in [*_loose(state.nodes, state.edges)]:
        del state.edges[key]
        left_out.append(pointer(("edges", key)))
    _cut(state.edges, False, known.edges, limits, silent, left_out)
    return state


def _drop_nulls(members: list[Any]) -> int:
    """Take the nulls out of members, but not out of what these hold; tell how many they were."""
    count = 0
    for member in members:
        if type(member) is dict and None in member.values():
            nulls = [name for name, value in member.items() if value is None]
            count += len(nulls)
            for name in nulls:
                del member[name]
    return count


def _id_of(member: Any) -> str | None:
    key = member.get("id") if type(member) is dict else None
    return key if type(key) is str else None


# Ids


def _by_id(members: list[Any], are_nodes: bool, known: Members, left_out: list[str]) -> Members:
    """Arrange members by their ids, and give those an id that have that of another."""
    alike: dict[str, list[JsonObject]] = {}
    for index, member in enumerate(members):
        if (key := _id_of(member)) is not None:
            alike.setdefault(key, []).append(member)
        else:
            left_out.append(pointer(("nodes" if are_nodes else "edges", index)))
    if all(len(same) == 1 for same in alike.values()):
        return {key: same[0] for key, same in alike.items()}
    names: dict[str, Iterator[str]] = {}
    taken = set(alike)
    for key, same in alike.items():
        if len(same) > 1:
            named = _named(key, same, {} if are_nodes else known, taken)
            taken.update(named)
            names[key] = iter(named)
    result: Members = {}
    for member in members:
        if (key := _id_of(member)) is not None:
            name = next(names[key]) if key in names else key
            result[name] = member if name == key else member | {"id": name}
    return result


def _named(key: str, edges: list[JsonObject], known: Members, taken: set[str]) -> list[str]:
    """
    Name members that have one id.

    The first has that id, the second ``<id>~2``, and so on. But an edge that leads from where to
    where one of the document leads is that one, whatever was before it and is gone.

    :param taken: the ids that were sent, and those that others got.
    """
    names = _names(key, taken)
    offered = [next(names) for _ in edges]
    while offered[-1] in known:
        offered.append(next(names))
    ends: dict[object, list[str]] = {}
    for name in reversed(offered):
        if name in known:
            ends.setdefault(_ends(known[name]), []).append(name)
    chosen: list[str | None] = [None] * len(edges)
    for index, edge in enumerate(edges):
        if same := ends.get(_ends(edge)):
            chosen[index] = same.pop()
    used = set(chosen)
    free = (name for name in offered if name not in used)
    return [name or next(free) for name in chosen]


def _names(key: str, taken: set[str]) -> Iterator[str]:
    yield key
    count = 2
    while True:
        if (name := f"{key}~{count}") not in taken:
            yield name
        count += 1


def _ends(edge: JsonObject) -> object:
    ends = ("source", "target", "sourceHandle", "targetHandle")
    return tuple(end if type(end := edge.get(name)) is str else None for name in ends)


# What is one person's


def _take_personal(key: str, member: JsonObject, personal: Members) -> None:
    """Move the fields of one person's screen into ``personal``."""
    if not _PERSONAL.isdisjoint(member):
        fields = {name: member.pop(name) for name in PERSONAL if name in member}
        personal[key] = personal.get(key, {}) | fields


def _take_measured(key: str, node: JsonObject, personal: Members, silent: Silence) -> None:
    """Likewise for what React Flow 11 has measured: about that the node says nothing."""
    if (measured := [name for name in MEASURED if name in node]) and is_measured(node):
        personal[key] = {name: node.pop(name) for name in measured}
        silent[True, key] = tuple((name,) for name in measured)


def _take_given(key: str, node: JsonObject, there: JsonObject | None, silent: Silence) -> None:
    """Take out what only relay clients are given (`helix.members.relay.bridge.changes_of`)."""
    data, kind = node.get("data"), node.get("type")
    if there is None or type(data) is not dict or type(kind) is not str:
        return
    given = [name for name in GIVEN if data.get(name) == kind and there["data"].get(name) != kind]
    if given:
        node["data"] = {name: value for name, value in data.items() if name not in given}
        silent[True, key] = (*silent.get((True, key), ()), *(("data", name) for name in given))


# What can be in a document


def _complete(node: JsonObject) -> None:
    """Fill in what every node of a document has."""
    position = node.setdefault("position", {})
    if type(position) is dict:
        position.setdefault("x", 0)
        position.setdefault("y", 0)
    node.setdefault("data", {})


def _loose(nodes: Members, edges: Members) -> Iterator[str]:
    """Find the edges that don't lead from a node to a node."""
    for key, edge in edges.items():
        if not is_among(nodes, edge.get("source")) or not is_among(nodes, edge.get("target")):
            yield key


def _cut(
    members: Members,
    are_nodes: bool,
    known: Members,
    limits: DocumentLimits,
    silent: Silence,
    left_out: list[str],
) -> None:
    """Cut out of members what no document can hold."""
    kind = "nodes" if are_nodes else "edges"
    for key in [key for key, member in members.items() if known.get(key) is not member]:
        sound, cuts = _sound(kind, key, members[key], limits)
        if sound is None:
            del members[key]
        elif cuts:
            members[key] = sound
            if are_nodes:
                _complete(sound)
        if cuts:
            silent[are_nodes, key] = (*silent.get((are_nodes, key), ()), *cuts)
            left_out += (pointer((kind, key, *cut)) for cut in cuts)


def _sound(
    kind: str, key: str, member: JsonObject, limits: DocumentLimits
) -> tuple[JsonObject | None, list[Place]]:
    """
    Take out of a member what can't be in a document.

    :return: what is left, ``None`` for nothing; and the paths of what isn't.
    """
    cuts: list[Place] = []
    while len(cuts) <= MAX_CUTS:
        try:
            check_patch({kind: {key: member}}, limits)
        except InvalidPatch as error:
            member, cut = _without(member, _keys(error.path)[2:])
            if not cut or cut[0] in ("id", "source", "target"):
                break
            cuts.append(cut)
        else:
            return member, cuts
    return None, [()]


def _keys(path: str) -> list[str]:
    return [key.replace("~1", "/").replace("~0", "~") for key in path.split("/")[1:]]


def _without(value: JsonObject, path: list[str]) -> tuple[JsonObject, Place]:
    """Copy an object without what is at a path, or without the array or text that holds that."""
    if not path or path[0] not in value:
        return value, ()
    name, inner = path[0], value[path[0]]
    if type(inner) is dict and len(path) > 1:
        rest, cut = _without(inner, path[1:])
        if cut:
            return value | {name: rest}, (name, *cut)
    return {key: member for key, member in value.items() if key != name}, (name,)
