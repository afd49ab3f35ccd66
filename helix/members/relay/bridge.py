"""
The bridge between relay mode and documents: converts whole arrays of nodes and edges to and from
documents; with no I/O.

`helix.members.relay.view` finds out what a relay client changed. docs/adr/0009-relay-bridge.md
gives the reasons for this design.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs

from helix.delivery.protocol import encode_json
from helix.documents.merge_patch import JsonObject, diff, merge, same
from helix.documents.react_flow import OLD_TYPE, PERSONAL

Members = dict[str, JsonObject]
"""Nodes or edges by their ids."""

GIVEN: Final = ("type", "label")
"""Fields of a node's data that the page needs; missing ones are added."""

_PERSONAL: Final = frozenset(PERSONAL)

Place = tuple[str, ...]
"""Names of members, from the outside in."""

Silence = dict[tuple[bool, str], tuple[Place, ...]]
"""(is a node, id) -> the places in a member of which nothing is said; ``()`` is all of it."""


def _no_personal() -> tuple[Members, Members]:
    return {}, {}


@attrs.frozen(eq=False)
class RelayState:
    """
    The valid nodes and edges of a flow; immutable.

    :ivar nodes: by id, in the order of the array; complete, without nulls and personal fields.
    :ivar edges: likewise; all lead from a node to a node.
    :ivar personal: the removed fields of one person's screen: of nodes, and of edges.
    :ivar silent: the other removed parts; the state says nothing about them.
    """

    nodes: Members
    edges: Members
    personal: tuple[Members, Members] = attrs.field(factory=_no_personal)
    silent: Silence = attrs.field(factory=dict)

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

    def without(self, unfit: Sequence[tuple[bool, str]]) -> RelayState:
        """Leave out members: whether each is a node, and its id."""
        if not unfit:
            return self
        out = set(unfit)
        return RelayState(
            {key: node for key, node in self.nodes.items() if (True, key) not in out},
            {key: edge for key, edge in self.edges.items() if (False, key) not in out},
            self.personal,
            self.silent,
        )


NOTHING: Final = RelayState({}, {})
"""The state of a client that was sent nothing."""


def state_of(content: JsonObject) -> RelayState:
    """
    Copy the nodes and edges of a document, which changes in place later.

    The cost grows with the document; later, `RelayState.patched` with each entry's patch is cheap.
    """
    return NOTHING.patched({"nodes": content["nodes"], "edges": content["edges"]})


def difference(base: RelayState, sent: RelayState) -> JsonObject:
    """
    Make the patch from one state to another: ``{}``, or with ``nodes``, ``edges`` or both.

    About what ``sent`` says nothing (`RelayState.silent`), the patch doesn't either.
    """
    patch: JsonObject = {}
    if nodes := _difference(base.nodes, sent.nodes, True, sent.silent):
        patch["nodes"] = nodes
    if edges := _difference(base.edges, sent.edges, False, sent.silent):
        patch["edges"] = edges
    return patch


def with_parents(patch: JsonObject, sent: RelayState) -> JsonObject:
    """
    Say of each node that a patch moves what its position is relative to: the parent that the node
    has for who sent it.

    :param patch: a `difference` to ``sent``; it is changed.
    """
    for key, change in patch.get("nodes", {}).items():
        is_move = change is not None and "position" in change and "id" not in change
        if is_move and ("parentId",) not in sent.silent.get((True, key), ()):
            change.setdefault("parentId", sent.nodes[key].get("parentId"))
    return patch


def changes_of(state: RelayState) -> bytes:
    """
    Write a state as ``changes`` of a ``flow_update``: by ids, but parents before their children.

    Nodes that weren't made by the first generation's page are given what that needs (`GIVEN`).
    """
    return _write(_sorted(state.nodes), _sorted(state.edges))


def _write(nodes: Members, edges: Members) -> bytes:
    given = [*map(_given, _parents_first(nodes))]
    return encode_json({"nodes": given, "edges": list(edges.values())})


def _sorted(members: Members) -> Members:
    return {key: members[key] for key in sorted(members)}


def merged(sent: RelayState, document: RelayState) -> bytes | None:
    """
    Say what the relay members have to be sent after an edit by one of them.

    :param sent: what that member sent, as `helix.members.relay.view.RelayView.sends` gives it.
    :param document: the document's state after the edit.
    :return: ``None`` where what it sent says it all, as it came; else ``changes`` with all nodes
        and edges of the document, in the order of ``sent``, what that lacks at the end, and with
        the personal fields of ``sent``.
    """
    if not difference(document, sent):
        return None
    return _write(
        _in_order(sent.nodes, document.nodes, sent.personal[0]),
        _in_order(sent.edges, document.edges, sent.personal[1]),
    )


def sharing(sent: RelayState, known: RelayState) -> RelayState:
    """Replace what is the same in another state by that: comparisons are quick from then on."""
    return RelayState(
        _sharing(sent.nodes, known.nodes),
        _sharing(sent.edges, known.edges),
        sent.personal,
        sent.silent,
    )


def _given(node: JsonObject) -> JsonObject:
    kind, data = node.get("type"), node["data"]
    if type(kind) is not str or not kind or kind == OLD_TYPE or {*GIVEN} <= data.keys():
        return node
    return node | {"data": dict.fromkeys(GIVEN, kind) | data}


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


def is_among(nodes: Members, node_id: object) -> bool:
    """Tell whether a value is the id of a node."""
    return type(node_id) is str and node_id in nodes


def _difference(base: Members, sent: Members, are_nodes: bool, silent: Silence) -> JsonObject:
    patch: JsonObject = {
        key: None for key in base if key not in sent and (are_nodes, key) not in silent
    }
    for key, member in sent.items():
        old = base.get(key)
        if old is None:
            patch[key] = member
        elif old is not member and (change := diff(old, member)):
            for path in silent.get((are_nodes, key), ()):
                _forget(change, path)
            if change:
                patch[key] = change
    return patch


def _forget(patch: JsonObject, path: Place) -> None:
    """Remove from a patch what it says at a path."""
    name, inner = path[0], patch.get(path[0])
    if len(path) > 1 and type(inner) is dict:
        _forget(inner, path[1:])
    else:
        inner = None
    if not inner:
        patch.pop(name, None)


def _in_order(sent: Members, members: Members, personal: Members) -> Members:
    ordered = {key: members[key] for key in sent if key in members} | _sorted(members)
    for key, fields in personal.items():
        if key in ordered:
            ordered[key] = fields | ordered[key]
    return ordered


def _parents_first(nodes: Members) -> list[JsonObject]:
    """Put parents before their children, as React Flow needs it; otherwise keep the order."""
    placed: Members = {}
    for key in nodes:
        family: Members = {}
        at: Any = key
        while is_among(nodes, at) and at not in placed and at not in family:
            family[at] = node = nodes[at]
            at = node.get("parentId", node.get("parentNode"))
        for member in reversed(family):
            placed[member] = family[member]
    return list(placed.values())
