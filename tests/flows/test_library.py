"""The library of flows: copies, files, and the end of what was deleted."""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from helix.documents.document import FlowDocument, JsonObject, empty_document, validate
from helix.documents.duplicating import duplicate
from helix.documents.importing import complete, read_import
from helix.documents.nesting import without_strays
from helix.documents.validation import DocumentLimits, check_document
from helix.errors import HelixError, InvalidPatch, StoreUnavailable
from helix.flows.purge import DAY, PURGE_INTERVAL, PurgeService
from helix.records import HeadQuery
from helix.store.memory import MemoryStore
from helix.telemetry.clocks import ClockWatch
from helix.telemetry.events import Telemetry
from tests.support.flowdata import FLOWS, by_id, edge, node
from tests.support.logs import Log, logged
from tests.support.world import Wall

__all__ = ["logged"]


def new_ids() -> Iterator[str]:
    """Ids that no test uses otherwise."""
    return (f"new-{number}" for number in itertools.count())


def copied(document: JsonObject) -> JsonObject:
    """A copy with new ids, which is a document; its parents are as good as they were."""
    return check_document(duplicate(document, new_ids().__next__), DocumentLimits())


# LIB3: copies


def counterparts(a: JsonObject, b: JsonObject, members: str) -> list[tuple[Any, Any]]:
    """The nodes or edges of two documents, in their order."""
    assert len(a[members]) == len(b[members])
    return list(zip(a[members].values(), b[members].values(), strict=True))


def test_lib3_links_in_data_lead_to_the_copies() -> None:
    document = empty_document()
    for name, data in {
        "agent": {"skills": ["skill", "elsewhere"], "other": ["skill"]},
        "odd": {"skills": "skill"},
        "numbers": {"skills": [5, "skill"]},
        "skill": {},
    }.items():
        document["nodes"][name] = {"id": name, "position": {"x": 0, "y": 0}, "data": data}
    agent, odd, numbers, skill = copied(document)["nodes"].values()
    assert agent["data"] == {"skills": [skill["id"], "elsewhere"], "other": ["skill"]}
    assert odd["data"] == {"skills": "skill"}
    assert numbers["data"] == {"skills": [5, skill["id"]]}
    assert document["nodes"]["agent"]["data"]["skills"] == ["skill", "elsewhere"]


@given(flow=FLOWS, parents=st.data())
def test_lib3_copy_is_the_same_graph_under_new_ids(
    flow: FlowDocument, parents: st.DataObject
) -> None:
    document = copy.deepcopy(flow.content)
    for one in document["nodes"].values():
        names = st.sampled_from([*document["nodes"], "nobody"])
        one |= parents.draw(st.dictionaries(st.sampled_from(["parentId", "parentNode"]), names))
    document = without_strays(document)
    before = copy.deepcopy(document)
    result = copied(document)
    assert document == before
    nodes = counterparts(document, result, "nodes")
    ids = {old["id"]: new["id"] for old, new in nodes}
    assert len(set(ids.values())) == len(ids)
    for old, new in nodes:
        renamed = {name: ids.get(old[name], old[name]) for name in PARENTS if name in old}
        assert new == old | renamed | {"id": ids[old["id"]]}
    for old, new in counterparts(document, result, "edges"):
        ends = {end: ids[old[end]] for end in ("source", "target")}
        assert new == old | ends | {"id": new["id"]}
    for members in ("nodes", "edges"):
        assert not result[members].keys() & document[members].keys()
    assert result["title"].endswith("(Copy)")
    rest = ("description", "viewport", "data")
    assert {name: result[name] for name in rest} == {name: document[name] for name in rest}


PARENTS = ("parentId", "parentNode")


@pytest.mark.parametrize(
    ("title", "copy_title"), [("A", "A (Copy)"), ("", "(Copy)"), ("A (Copy)", "A (Copy) (Copy)")]
)
def test_lib3_copy_says_so_in_its_title(title: str, copy_title: str) -> None:
    assert copied(empty_document() | {"title": title})["title"] == copy_title


# LIB4 and LIB5: files


def imported(value: object) -> tuple[JsonObject, int, int]:
    """What becomes of a file: a document, and how many nodes and edges were dropped."""
    found = read_import(value, new_ids().__next__)
    return validate(found.document), found.dropped_nodes, found.dropped_edges


BROWSER = {
    "nodes": [
        {
            "id": "1",
            "type": "agent",
            "position": {"x": 10.5, "y": -3},
            "data": {"label": "A", "prompt": None, "tags": [None, 1]},
            "measured": {"width": 240, "height": 96},
            "width": 300,
            "selected": True,
            "dragging": False,
            "resizing": False,
            "parentId": None,
        },
        {
            "id": "2",
            "type": "output",
            "position": {"x": 400, "y": 0},
            "positionAbsolute": {"x": 400, "y": 0},
            "data": {},
            "width": 150,
            "height": 40,
        },
    ],
    "edges": [
        {
            "id": "reactflow__edge-1-2",
            "source": "1",
            "target": "2",
            "sourceHandle": None,
            "selected": True,
            "animated": True,
        },
        {"id": "lost", "source": "1", "target": "9"},
    ],
    "viewport": {"x": 1, "y": 2, "zoom": 0.5},
}


def test_lib5_browser_data_becomes_a_document() -> None:
    before = copy.deepcopy(BROWSER)
    document, dropped_nodes, dropped_edges = imported(BROWSER)
    assert before == BROWSER
    assert (dropped_nodes, dropped_edges) == (0, 1)
    first = {
        "id": "1",
        "type": "agent",
        "position": {"x": 10.5, "y": -3},
        "data": {"label": "A", "tags": [None, 1]},
        "width": 300,
    }
    second = {"id": "2", "type": "output", "position": {"x": 400, "y": 0}, "data": {}}
    between = edge("reactflow__edge-1-2", "1", "2", animated=True)
    assert document == empty_document() | {
        "nodes": by_id(first, second),
        "edges": by_id(between),
        "viewport": {"x": 1, "y": 2, "zoom": 0.5},
    }


@pytest.mark.parametrize(
    ("given_node", "kept"),
    [
        (
            {"id": 7, "position": {"x": 1, "y": 2}},
            {"id": "7", "position": {"x": 1, "y": 2}, "data": {}},
        ),
        ({"id": "a", "data": None}, {"id": "a", "position": {"x": 0, "y": 0}, "data": {}}),
        ({"id": "a", "data": [1]}, {"id": "a", "position": {"x": 0, "y": 0}, "data": {}}),
        ({"id": "a", "type": 5}, {"id": "a", "position": {"x": 0, "y": 0}, "data": {}}),
        (
            {"id": "a", "position": {"x": 1, "y": 2, "z": 3}},
            {"id": "a", "position": {"x": 1, "y": 2}, "data": {}},
        ),
        (
            {"id": "a", "position": {"x": "1", "y": 2}},
            {"id": "a", "position": {"x": 0, "y": 0}, "data": {}},
        ),
        (
            {"id": "a", "data": {"__proto__": {"x": 1}, "b": [{"constructor": 1}]}},
            {"id": "a", "position": {"x": 0, "y": 0}, "data": {"b": [{}]}},
        ),
    ],
)
def test_lib5_nodes_are_cleaned(given_node: JsonObject, kept: JsonObject) -> None:
    document, dropped_nodes, _ = imported({"nodes": [given_node]})
    assert document["nodes"] == by_id(kept)
    assert dropped_nodes == 0


@pytest.mark.parametrize(
    "bad", [None, 1, "x", [], {}, {"id": ""}, {"id": None}, {"id": True}, {"id": "x" * 256},
            {"id": "__proto__"}, {"id": "a"}, {"id": 1.5}],
)  # fmt: skip
def test_lib5_what_is_no_node_is_dropped_and_counted(bad: object) -> None:
    document, dropped_nodes, dropped_edges = imported({"nodes": [node("a"), bad, node("b")]})
    assert document["nodes"] == by_id(node("a"), node("b"))
    assert (dropped_nodes, dropped_edges) == (1, 0)


def test_lib5_what_an_old_page_kept_is_read_as_it_meant_it() -> None:
    size = {"width": 151.5, "height": 41}
    old = node("a") | {"type": "aiFlowNode", **size}
    styled = node("b") | {"style": {"width": 200}, **size}
    edges = [edge("t", "a", "b"), edge("t", "b", "a"), edge("t", "a", "a")]
    document, _, dropped = imported({"nodes": [old, styled], "edges": edges})
    assert not any(size.keys() & one.keys() for one in document["nodes"].values())
    assert [*document["edges"]] == ["t", "t~2", "t~3"]
    assert dropped == 0


@pytest.mark.parametrize(
    "bad", [None, 1, "x", [], {}, {"id": "e2", "source": "a"}, edge("e2", "a", "nobody"),
            edge("e2", "nobody", "a"), edge("e1", "a", "b"), edge("", "a", "b")],
)  # fmt: skip
def test_lib5_what_is_no_edge_is_dropped_and_counted(bad: object) -> None:
    nodes = [node("a"), node("b")]
    document, dropped_nodes, dropped_edges = imported(
        {"nodes": nodes, "edges": [edge("e1", "a", "b"), bad, edge("e3", "b", "a")]}
    )
    assert document["edges"] == by_id(edge("e1", "a", "b"), edge("e3", "b", "a"))
    assert (dropped_nodes, dropped_edges) == (0, 1)


def test_lib5_edges_without_ids_get_some() -> None:
    edges = [{"source": "a", "target": "b"}, {"source": "b", "target": "a", "id": None}]
    document, _, dropped = imported({"nodes": [node("a"), node("b")], "edges": edges})
    assert dropped == 0
    ends = [(one["source"], one["target"]) for one in document["edges"].values()]
    assert ends == [("a", "b"), ("b", "a")]


def test_lib5_nodes_without_places_get_some_that_differ() -> None:
    document, _, _ = imported({"nodes": [{"id": f"{number}"} for number in range(10)]})
    places = {(n["position"]["x"], n["position"]["y"]) for n in document["nodes"].values()}
    assert len(places) == 10


@pytest.mark.parametrize("viewport", [None, [], {"x": 1}, {"x": "1", "y": 2, "zoom": 3}, "x"])
def test_lib5_viewport_that_isnt_one_is_the_first_one(viewport: object) -> None:
    document, _, _ = imported({"nodes": [], "viewport": viewport})
    assert document["viewport"] == {"x": 0, "y": 0, "zoom": 1}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, ""),
        ([], ""),
        ("x", ""),
        ({}, ""),
        ({"edges": []}, ""),
        ({"nodes": {}}, ""),
        ({"nodes": None}, ""),
        ({"nodes": [], "edges": {}}, "/edges"),
        ({"format": "other", "document": {}}, ""),
        ({"format": "helix-flow"}, "/format_version"),
        ({"format": "helix-flow", "format_version": 2, "document": {}}, "/format_version"),
        ({"format": "helix-flow", "format_version": 1}, "/document"),
    ],
)
def test_lib4_what_is_no_file_of_a_flow_is_refused(value: object, path: str) -> None:
    with pytest.raises(InvalidPatch) as caught:
        imported(value)
    assert caught.value.path == path


@given(flow=FLOWS)
def test_lib4_document_of_an_export_is_taken_as_it_is(flow: FlowDocument) -> None:
    value = {"format": "helix-flow", "format_version": 1, "document": flow.content}
    assert imported(value) == (flow.content, 0, 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
IDS = st.sampled_from(["a", "b", "c", 1, "1", "", None, "__proto__"]) | JSON
ANY_POSITION = st.fixed_dictionaries({}, optional={"x": JSON, "y": st.floats(), "z": JSON}) | JSON
ANY_NODE = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS,
        "type": JSON,
        "position": ANY_POSITION,
        "positionAbsolute": ANY_POSITION,
        "data": JSON,
        "selected": JSON,
        "measured": JSON,
        "width": JSON,
        "constructor": JSON,
        "parentId": IDS,
    },
)
ANY_EDGE = st.fixed_dictionaries(
    {}, optional={"id": IDS, "source": IDS, "target": IDS, "data": JSON, "selected": JSON}
)
BROWSERS = st.fixed_dictionaries(
    {"nodes": st.lists(ANY_NODE | JSON)},
    optional={"edges": st.lists(ANY_EDGE | JSON) | st.none(), "viewport": ANY_POSITION},
)


def test_lib5_parents_that_cant_be_are_dropped_and_counted() -> None:
    seen = {"x": 105, "y": 7}
    given_nodes = [
        node("g"),
        node("a", parentNode="g", extent="parent"),
        node("b", parentId="lost", extent="parent", positionAbsolute=seen),
        node("c", parentId="d"),
        node("d", parentId="c"),
        node("e", parentId=None),
        node("f", parentNode=""),
    ]
    found = read_import({"nodes": given_nodes}, new_ids().__next__)
    nodes = validate(found.document)["nodes"]
    assert (found.dropped_nodes, found.dropped_parents) == (0, 3)
    assert nodes == by_id(
        node("g"),
        node("a", parentId="g", extent="parent"),
        node("b", position=seen),
        *(node(one) for one in "cdef"),
    )


def test_lib4_grp6_a_file_of_an_older_flow_is_taken() -> None:
    document = empty_document() | {"nodes": by_id(node("a", parentId="lost"), node("b"))}
    value = {"format": "helix-flow", "format_version": 1, "document": document}
    found = read_import(value, new_ids().__next__)
    assert validate(found.document)["nodes"] == by_id(node("a"), node("b"))
    assert found.dropped_parents == 1


@given(value=BROWSERS)
def test_lib5_browser_data_becomes_a_document_or_is_clearly_refused(value: JsonObject) -> None:
    before = copy.deepcopy(value)
    refusal = None
    try:
        document, dropped_nodes, dropped_edges = imported(value)
    except InvalidPatch as error:
        refusal = error
    if refusal is not None:  # what no cleaning helps
        assert refusal.path.startswith("/")
        assert re.search("a number of at most|surrogate|name that must not", refusal.message)
        return
    assert repr(before) == repr(value)
    assert dropped_nodes + len(document["nodes"]) == len(value["nodes"])
    assert dropped_edges + len(document["edges"]) == len(value.get("edges") or [])
    json.dumps(document, allow_nan=False)


# LIB1: documents from outside


@given(flow=FLOWS)
def test_lib1_whole_documents_are_complete(flow: FlowDocument) -> None:
    assert complete(flow.content) == flow.content


def test_lib1_completing_changes_nothing_that_was_given() -> None:
    given_document = {"data": {"a": None}, "nodes": {"n": None}, "viewport": {"x": 5}}
    before = copy.deepcopy(given_document)
    document = complete(given_document)
    assert given_document == before
    assert document == empty_document() | {"viewport": {"x": 5, "y": 0, "zoom": 1}}


# LIB7: the end of deleted flows


class Purged:
    """A store with flows that were deleted, and what purges it."""

    def __init__(self, days: float = 30) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.store = MemoryStore()
        self.store.start()
        self.wall = Wall(self.clock)
        self.watch = ClockWatch(self.clock, self.wall, Telemetry(), days * DAY)
        self.service = PurgeService(self.clock, self.watch, self.store, days)

    def add(self, flow_id: str, *, deleted: bool = True) -> None:
        """A flow, deleted now."""
        self.store.create(flow_id, "e", self.wall())
        if deleted:
            self.store.delete(flow_id, self.wall())

    def left(self) -> set[str]:
        """The flows that are still there."""
        found: list[str] = []
        for deleted in (True, False):
            heads = self.store.heads(HeadQuery(deleted=deleted))
            heads.addCallback(lambda some: found.extend(head.flow_id for head in some))
        return set(found)


def test_lib7_deleted_flows_go_after_their_days() -> None:
    purged = Purged()
    purged.add("kept", deleted=False)
    purged.add("first")
    purged.service.startService()
    purged.clock.advance(DAY)
    purged.add("second")
    purged.clock.advance(29 * DAY - 1)
    assert purged.left() == {"kept", "first", "second"}
    purged.clock.advance(PURGE_INTERVAL + 1)
    assert purged.left() == {"kept", "second"}
    purged.clock.advance(DAY)
    assert purged.left() == {"kept"}
    purged.service.stopService()
    assert purged.clock.getDelayedCalls() == []


def test_lib7_what_is_overdue_goes_an_hour_after_the_start() -> None:
    purged = Purged(days=0)
    purged.add("old")
    purged.clock.advance(1)
    purged.service.startService()
    purged.clock.advance(PURGE_INTERVAL - 1)
    assert purged.left() == {"old"}
    purged.clock.advance(1)
    assert purged.left() == set()
    purged.service.stopService()


def started(days: float = 30) -> Purged:
    """What has been watching the clock for an hour."""
    purged = Purged(days)
    purged.watch.startService()
    purged.service.startService()
    purged.clock.advance(PURGE_INTERVAL)
    return purged


def stopped(purged: Purged) -> None:
    purged.service.stopService()
    purged.watch.stopService()
    assert purged.clock.getDelayedCalls() == []


@pytest.mark.parametrize("back_after", [4, 3 * PURGE_INTERVAL, 28 * DAY])
def test_clk4_clock_that_is_ahead_for_a_while_empties_no_trash(back_after: float) -> None:
    purged = started()
    purged.add("old")
    purged.clock.advance(DAY - 2)
    purged.wall.ahead = 31 * DAY  # the purge comes two seconds later
    purged.clock.pump([1, 1, 1, 1, back_after - 4])
    purged.wall.ahead = 0
    purged.clock.pump([1] + [PURGE_INTERVAL] * 3)
    assert purged.left() == {"old"}
    purged.clock.pump([DAY] * (31 - round((DAY + back_after) / DAY)))
    assert purged.left() == set()
    stopped(purged)


def test_clk4_purge_looks_at_the_clock_itself() -> None:
    """Set just before, when nobody has noticed yet."""
    purged = started()
    purged.add("old")
    purged.watch.stopService()
    purged.clock.advance(PURGE_INTERVAL - 1)
    purged.wall.ahead = 31 * DAY
    purged.clock.advance(1)
    assert purged.left() == {"old"}
    stopped(purged)


@pytest.mark.parametrize("behind", [31 * DAY, 1_700_000_000])
def test_clk4_what_is_deleted_while_the_clock_is_behind_is_kept_as_long(behind: float) -> None:
    """The daemon starts on a machine that doesn't know the time, and is told it later."""
    purged = Purged()
    purged.wall.ahead = -behind
    purged.watch = ClockWatch(purged.clock, purged.wall, Telemetry(), 30 * DAY)
    purged.service = PurgeService(purged.clock, purged.watch, purged.store, 30)
    purged.watch.startService()
    purged.service.startService()
    purged.clock.advance(PURGE_INTERVAL)
    purged.add("deleted meanwhile")
    purged.wall.ahead = 0
    purged.clock.pump([1] + [DAY] * 29)
    assert purged.left() == {"deleted meanwhile"}
    purged.clock.pump([DAY] * 2)
    assert purged.left() == set()
    stopped(purged)


def test_clk4_clock_that_was_wrong_at_the_start_and_is_set_within_an_hour() -> None:
    purged = Purged()
    purged.add("old")
    purged.wall.ahead = 31 * DAY
    purged.watch = ClockWatch(purged.clock, purged.wall, Telemetry(), 30 * DAY)
    purged.service = PurgeService(purged.clock, purged.watch, purged.store, 30)
    purged.watch.startService()
    purged.service.startService()
    purged.clock.advance(PURGE_INTERVAL - 1)
    purged.wall.ahead = 0
    purged.clock.pump([1, PURGE_INTERVAL])
    assert purged.left() == {"old"}
    stopped(purged)


@pytest.mark.parametrize("error", [StoreUnavailable(), RuntimeError("s3cret")])
def test_lib7_purge_that_fails_is_tried_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch, logged: Log
) -> None:
    purged = Purged(days=0)
    purged.add("old")
    purged.clock.advance(1)
    with monkeypatch.context() as broken:
        broken.setattr(purged.store, "purge", lambda _: fail(error))
        purged.service.startService()
        purged.clock.pump([PURGE_INTERVAL] * 2)
    assert len(logged.failures) == (0 if isinstance(error, HelixError) else 2)
    assert purged.left() == {"old"}
    purged.clock.advance(PURGE_INTERVAL)
    assert purged.left() == set()
    purged.service.stopService()
    logged.events.clear()


def test_lib7_stop_waits_for_the_purge_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    purged = Purged()
    purging: Deferred[int] = Deferred()
    monkeypatch.setattr(purged.store, "purge", lambda _: purging)
    purged.service.startService()
    purged.clock.advance(PURGE_INTERVAL)
    stopped = purged.service.stopService()
    assert not stopped.called
    purging.callback(0)
    assert stopped.called
    assert purged.clock.getDelayedCalls() == []
