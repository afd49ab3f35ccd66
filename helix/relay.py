"""
The bridge between relay mode and documents: whole arrays of nodes and edges, and what they hold of
a document; with no I/O.

`helix.relayview` finds out what a relay client changed. docs/adr/0009-relay-bridge.md says why all
this is as it is.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import msgspec

from helix.mergepatch import JsonObject, diff, fresh, merge, same
from helix.protocol import encode_json

Members = dict[str, JsonObject]
"""Nodes or edges by their ids."""

PERSONAL: Final = ("selected", "dragging", "resizing", "measured", "positionAbsolute")
"""Fields of React Flow's nodes and edges that are of one person's screen; documents lack them."""

_PERSONAL: Final = frozenset(PERSONAL)


class _Changes(msgspec.Struct):
    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]


_decode = msgspec.json.Decoder(_Changes).decode


def _no_personal() -> tuple[Members, Members]:
    return {}, {}


@attrs.frozen(eq=False)
class RelayState:
    """
    The nodes and edges of a flow, as far as a document can hold them. Nothing of it is changed.

    :ivar nodes: by id, in the order of the array; complete, without nulls and personal fields.
    :ivar edges: likewise; all lead from a node to a node.
    :ivar personal: the fields that were taken out (`PERSONAL`): of nodes, and of edges.
    """

    nodes: Members
    edges: Members
    personal: tuple[Members, Members] = attrs.field(factory=_no_personal)

    def patched(self, patch: JsonObject) -> RelayState:
        """
        Apply a patch. The result shares all that the patch doesn't touch.

        :param patch: an effective one, or a `difference` to another state: what it says of members
            that this state lacks is left out, unless it creates them.
        """
        nodes = _patched(self.nodes, patch.get("nodes"))
        edges = _patched(self.edges, patch.get("edges"))
        if nodes is self.nodes and edges is self.edges:
            return self
        return RelayState(nodes, edges)


NOTHING: Final = RelayState({}, {})
"""What a client has that was sent nothing."""


def parse_changes(changes: bytes | msgspec.Raw) -> RelayState | None:
    """
    Read what a relay client sent.

    What a document's nodes have and these lack is filled in: a position of 0, 0, and no data.
    Edges that lead nowhere are left out.

    :param changes: the ``changes`` of a ``flow_change``, JSON.
    :return: ``None`` where that doesn't hold arrays ``nodes`` and ``edges`` of objects that each
        have an id of their own, a string: then it is no edit, and only passed on.
    """
    text = bytes(changes)
    if b'"nodes"' not in text or b'"edges"' not in text:
        return None
    try:
        arrays = _decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    nulls = text.count(b"null")
    if nulls and nulls != _drop_nulls(arrays.nodes) + _drop_nulls(arrays.edges):
        arrays = _Changes([*map(fresh, arrays.nodes)], [*map(fresh, arrays.edges)])
    personal = _no_personal()
    nodes = _by_id(arrays.nodes, personal[0])
    edges = _by_id(arrays.edges, personal[1])
    if nodes is None or edges is None:
        return None
    for node in nodes.values():
        _complete(node)
    return RelayState(nodes, _connected(nodes, edges), personal)


def state_of(content: JsonObject) -> RelayState:
    """
    Copy the nodes and edges of a document, which changes in place later.

    It costs what the document holds; after that, `RelayState.patched` with each entry's patch
    costs little.
    """
    return NOTHING.patched({"nodes": content["nodes"], "edges": content["edges"]})


def difference(base: RelayState, sent: RelayState) -> JsonObject:
    """Make the patch from one state to another: ``{}``, or with ``nodes``, ``edges`` or both."""
    patch: JsonObject = {}
    if nodes := _difference(base.nodes, sent.nodes):
        patch["nodes"] = nodes
    if edges := _difference(base.edges, sent.edges):
        patch["edges"] = edges
    return patch


def changes_of(state: RelayState) -> bytes:
    """Write a state as the ``changes`` of a ``flow_update``; parents precede their children."""
    return encode_json({"nodes": _parents_first(state.nodes), "edges": list(state.edges.values())})


def merged(sent: RelayState, document: RelayState) -> bytes | None:
    """
    Say what the relay members have to be sent after an edit by one of them.

    :param sent: what that member sent, as `helix.relayview.RelayView.sends` gives it.
    :param document: the document's state after the edit.
    :return: ``None`` where what it sent says it all, as it came; else ``changes`` with all nodes
        and edges of the document, in the order of ``sent``, what that lacks at the end, and with
        the personal fields of ``sent``.
    """
    if _equal(sent.nodes, document.nodes) and _equal(sent.edges, document.edges):
        return None
    return changes_of(
        RelayState(
            _in_order(sent.nodes, document.nodes, sent.personal[0]),
            _in_order(sent.edges, document.edges, sent.personal[1]),
        )
    )


def sharing(sent: RelayState, known: RelayState) -> RelayState:
    """Replace what is the same in another state by that: comparisons are quick from then on."""
    return RelayState(
        _sharing(sent.nodes, known.nodes), _sharing(sent.edges, known.edges), sent.personal
    )


def _sharing(sent: Members, known: Members) -> Members:
    equal = {key: known[key] for key, member in sent.items() if known.get(key) == member}
    # Equal in Python are 1 and true, too; hardly ever is there such a difference.
    if encode_json([*equal.values()]) != encode_json([sent[key] for key in equal]):
        equal = {key: member for key, member in equal.items() if same(member, sent[key])}
    return sent | equal


def _patched(members: Members, patch: JsonObject | None) -> Members:
    if not patch:
        return members
    result = dict(members)
    for key, change in patch.items():
        old = result.get(key)
        if change is None:
            result.pop(key, None)
        elif old is not None or "id" in change:
            result[key] = new = merge(old, change)
            for name in _PERSONAL.intersection(new):
                del new[name]
    return result


def _drop_nulls(members: list[JsonObject]) -> int:
    """Take the nulls out of members, but not out of what these hold; tell how many they were."""
    count = 0
    for member in members:
        if None in member.values():
            nulls = [name for name, value in member.items() if value is None]
            count += len(nulls)
            for name in nulls:
                del member[name]
    return count


def _by_id(members: list[JsonObject], personal: Members) -> Members | None:
    """Arrange members by their ids, and move their personal fields into ``personal``."""
    result: Members = {}
    for member in members:
        key = member.get("id")
        if type(key) is not str or key in result:
            return None
        result[key] = member
        if not _PERSONAL.isdisjoint(member):
            personal[key] = {name: member.pop(name) for name in PERSONAL if name in member}
    return result


def _complete(node: JsonObject) -> None:
    """Fill in what every node of a document has."""
    position = node.setdefault("position", {})
    if type(position) is dict:
        position.setdefault("x", 0)
        position.setdefault("y", 0)
    node.setdefault("data", {})


def _connected(nodes: Members, edges: Members) -> Members:
    """Leave out the edges that don't lead from a node to a node."""
    return {
        key: edge
        for key, edge in edges.items()
        if _is_among(nodes, edge.get("source")) and _is_among(nodes, edge.get("target"))
    }


def _is_among(nodes: Members, node_id: object) -> bool:
    return type(node_id) is str and node_id in nodes


def _difference(base: Members, sent: Members) -> JsonObject:
    patch: JsonObject = {key: None for key in base if key not in sent}
    for key, member in sent.items():
        old = base.get(key)
        if old is None:
            patch[key] = member
        elif old is not member and (change := diff(old, member)):
            patch[key] = change
    return patch


def _equal(a: Members, b: Members) -> bool:
    return a.keys() == b.keys() and all(a[key] is b[key] or same(a[key], b[key]) for key in a)


def _in_order(sent: Members, members: Members, personal: Members) -> Members:
    ordered = {key: members[key] for key in sent if key in members} | members
    for key, fields in personal.items():
        if key in ordered:
            ordered[key] = ordered[key] | fields
    return ordered


def _parents_first(nodes: Members) -> list[JsonObject]:
    """Put nodes before those that lie in them, as React Flow wants it; else keep the order."""
    placed: Members = {}
    for key in nodes:
        family: list[str] = []
        at: Any = key
        while _is_among(nodes, at) and at not in placed and at not in family:
            family.append(at)
            at = nodes[at].get("parentId", nodes[at].get("parentNode"))
        for member in reversed(family):
            placed[member] = nodes[member]
    return list(placed.values())
