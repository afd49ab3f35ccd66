"""Groups: whose parent can be, what becomes of what lies in nodes that go, and where it all is."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.documents.document import (
    FlowDocument,
    JsonObject,
    empty_document,
    validate,
    validate_past,
)
from helix.documents.nesting import MAX_GONE, Nesting, find_strays
from helix.errors import InvalidPatch
from tests.support.flowdata import by_id, flow, node, place_of
from tests.support.nestingcases import FILE, GROUPS, STRAYS, at, drawn, made

DRAWN = st.integers(0, 10**9).map(drawn)
PATCHES = st.lists(DRAWN.map(lambda case: case[2]), max_size=6)
"""Patches of nodes."""


def raw(nodes: JsonObject) -> FlowDocument:
    """Make a document such as a log from before the rules may have made."""
    return FlowDocument(empty_document() | {"nodes": copy.deepcopy(nodes)})


def grouped() -> FlowDocument:
    return flow(copy.deepcopy(GROUPS))


def seen(document: FlowDocument, node_id: str) -> tuple[float, float]:
    return place_of(document.content["nodes"], node_id)


def change(document: FlowDocument, nodes: JsonObject) -> list[str]:
    """Stage and apply a patch of nodes; give what was dropped."""
    dropped: list[str] = []
    document.apply(document.stage({"nodes": nodes}, dropped=dropped))
    return dropped


# The laws.


@given(PATCHES)
def test_grp1_no_patch_leads_to_a_parent_that_cannot_be(patches: list[JsonObject]) -> None:
    document, replica = FlowDocument.empty(), FlowDocument.empty()
    for patch in patches:
        effective = document.stage({"nodes": patch})
        assert document.stage(effective) == effective
        before = copy.deepcopy(document.content)
        undo = document.exchange(effective)
        replica.apply(effective)
        validate(document.content)
        assert replica.content == document.content
        assert document.stage(undo) == undo
        document.apply(undo)
        assert document.content == before
        document.apply(effective)


@given(DRAWN, PATCHES)
def test_grp6_the_next_patches_mend_what_they_touch_and_move_nothing_else(
    rough: tuple[str, JsonObject, JsonObject], patches: list[JsonObject]
) -> None:
    document = raw(rough[1])
    assert find_strays(validate_past(document.content)["nodes"]) == {}
    for patch in patches:
        nodes = document.content["nodes"]
        before = {one: Nesting(nodes).place(one, {}) for one in nodes}
        roots = {one for one in nodes if Nesting(nodes).parent(one) is None}
        effective = document.stage({"nodes": patch})
        document.apply(effective)
        left = find_strays(nodes)
        assert not left.keys() & effective.get("nodes", {}).keys()
        assert document._nesting.strays == left
        for one in roots & nodes.keys() - patch.keys():
            assert Nesting(nodes).place(one, {}) == before[one]


def test_grp2_to_grp5_the_cases_that_browsers_check_too_are_up_to_date() -> None:
    assert json.loads(FILE.read_text()) == json.loads(json.dumps(made()))


# Two people.


def test_grp2_of_two_who_put_groups_into_each_other_the_second_loses() -> None:
    document = flow(by_id(at("g", 0, 0), at("h", 500, 0)))
    assert change(document, {"g": {"parentId": "h", "position": {"x": 10, "y": 10}}}) == []
    assert seen(document, "g") == (510, 10)
    # They saw g at (0, 0) still, and h 20 to the right of it.
    dropped = change(document, {"h": {"parentId": "g", "position": {"x": 20, "y": 0}, "data": {}}})
    assert dropped == ["/nodes/h/parentId"]
    assert "parentId" not in document.content["nodes"]["h"]
    assert seen(document, "h") == (530, 10), "20 to the right of where g was just then"


def test_grp4_what_lies_in_a_deleted_group_stays_where_it_is_seen() -> None:
    document = grouped()
    before = {node_id: seen(document, node_id) for node_id in "bcde"}
    effective = document.stage({"nodes": {"a": None}})
    undo = document.exchange(effective)
    nodes = document.content["nodes"]
    assert {node_id: seen(document, node_id) for node_id in "bcde"} == before
    assert not nodes["b"].keys() & {"parentId", "extent"}
    assert nodes["c"]["parentId"] == "b", "it still lies in what is left"
    document.apply(document.stage(undo))
    assert document.content["nodes"] == GROUPS


def test_grp5_what_is_added_to_a_deleted_group_lands_where_it_was_seen() -> None:
    document = grouped()
    change(document, {"b": None})
    assert change(document, {"n": at("n", 1, 2, parentId="b")}) == ["/nodes/n/parentId"]
    assert seen(document, "n") == (111, 122)
    # And what is moved there: in it, or into it.
    dropped = change(document, {"c": {"parentId": "b", "position": {"x": 5}}})
    assert dropped == ["/nodes/c/parentId"]
    assert seen(document, "c") == (115, 122)
    assert change(document, {"d": {"parentId": "b", "position": {"x": 0, "y": 0}}})
    assert seen(document, "d") == (110, 120)


def test_grp5_the_places_of_deleted_groups_are_known_again_from_the_log() -> None:
    document, again = grouped(), grouped()
    effective = document.stage({"nodes": {"a": None, "b": None}})
    again.apply(effective)
    change(again, {"n": at("n", 1, 2, parentId="b")})
    assert seen(again, "n") == (111, 122)


def test_grp5_a_group_that_is_back_counts_as_it_is_now() -> None:
    document = grouped()
    document.apply(document.stage(document.exchange(document.stage({"nodes": {"a": None}}))))
    assert change(document, {"n": at("n", 1, 2, parentId="a")}) == []
    change(document, {"a": {"position": {"x": 0}}})
    change(document, {"a": None})
    change(document, {"m": at("m", 1, 2, parentId="a")})
    assert seen(document, "m") == (1, 102)


def test_grp5_the_places_of_the_last_deleted_nodes_are_known() -> None:
    document = grouped()
    many = by_id(*(at(f"n{n}", n, 0) for n in range(2 * MAX_GONE)))
    change(document, many)
    # What has something in it is rather remembered.
    change(document, {"a": None} | dict.fromkeys(many))
    change(document, {"m": at("m", 1, 2, parentId="a")})
    assert seen(document, "m") == (101, 102)
    for n in range(MAX_GONE):
        change(document, {f"n{n}": many[f"n{n}"]})
        change(document, {f"n{n}": None})
    change(document, {"o": at("o", 1, 2, parentId="a")})
    assert seen(document, "o") == (1, 2), "nobody knows any more"
    assert len(document._nesting._gone) == MAX_GONE


@pytest.mark.parametrize("first", ["move", "regroup"])
def test_grp3_who_moves_and_who_regroups_at_once_the_later_is_done_whole(first: str) -> None:
    document = flow(by_id(at("g", 5000, 0), at("n", 1, 1)))
    move = {"n": {"parentId": None, "position": {"x": 50, "y": 50}}}
    regroup = {"n": {"parentId": "g", "position": {"x": 7, "y": 7}}}
    for nodes in (move, regroup) if first == "move" else (regroup, move):
        assert change(document, nodes) == []
    assert seen(document, "n") == ((5007, 7) if first == "move" else (50, 50))


# Documents from before and from outside.


def test_grp6_documents_with_parents_that_cannot_be_are_read_and_mended() -> None:
    document = raw(STRAYS)
    assert document.stage({"nodes": {"a": None, "b": None}})["nodes"]["c"]["position"] == {
        "x": 11,
        "y": 22,
    }
    change(document, {"e": {"data": {"k": 1}}})
    assert "parentId" not in document.content["nodes"]["e"]
    assert document.content["nodes"]["d"]["parentId"] == "gone"
    assert document.stage_past(raw(STRAYS).content)["nodes"].keys() == {"a", "b", "d", "e"}
    for parent in (7, ["a"], {"a": 1}, True):
        odd = raw(by_id(at("a", 1, 2, parentId=parent)))
        assert odd.stage({"nodes": {"a": {"data": {"k": 1}}}})["nodes"]["a"]["parentId"] is None


def test_grp1_a_whole_document_has_only_parents_that_can_be() -> None:
    for nodes, path in (
        ({"d": STRAYS["d"]}, "/nodes/d/parentId"),
        ({"e": STRAYS["e"]}, "/nodes/e/parentId"),
        ({"a": STRAYS["a"], "b": STRAYS["b"]}, "/nodes/a/parentId"),
    ):
        with pytest.raises(InvalidPatch) as caught:
            validate(empty_document() | {"nodes": nodes})
        assert caught.value.path == path


@pytest.mark.parametrize("parent", [1, True, ["a"], {"id": "a"}])
def test_doc7_a_parent_is_named_by_a_string(parent: Any) -> None:
    with pytest.raises(InvalidPatch) as caught:
        grouped().stage({"nodes": {"d": {"parentId": parent}}})
    assert caught.value.path == "/nodes/d/parentId"


# What it costs.


def test_doc11_a_chain_of_twenty_thousand_costs_what_is_touched() -> None:
    deep = by_id(
        *(node(f"n{n}", **({"parentId": f"n{n - 1}"} if n else {})) for n in range(20_000))
    )
    document = flow(deep)
    assert document.stage({"nodes": {"n0": {"parentId": "n19999"}}}) == {}
    many = {f"n{n}": {"parentId": f"n{n - 2}"} for n in range(10_000, 20_000)}
    document.apply(document.stage({"nodes": many}, bounded=False))
    document.apply(document.stage({"nodes": {"n5000": None}}))
    assert "parentId" not in document.content["nodes"]["n5001"]
    assert document._nesting._strays == {}
    # A move looks at no parents, however many there are.
    counted = Counting(document.content["nodes"])
    document._nesting.nodes = counted
    document.stage({"nodes": {"n19999": {"position": {"x": 1}}}})
    assert counted.reads < 10


class Counting(dict[str, Any]):
    """Nodes that count how often one is looked at."""

    reads = 0

    def __getitem__(self, key: str) -> Any:
        self.reads += 1
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.reads += 1
        return super().get(key, default)
