"""An edit that deletes many edges is staged in a thread, and nobody sees a difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from helix.documents.document import FlowDocument, merge
from helix.errors import HelixError, InvalidPatch, StoreFull, TooManyPending
from helix.log.staged_apart import MAX_CASCADE
from tests.support.editors import Editor, node
from tests.support.heldstore import HeldStore
from tests.support.heldwork import HeldWork
from tests.support.world import World

MakeWorld = Callable[..., World]

EDGES = {f"e{n}": {"id": f"e{n}", "source": "a", "target": "b"} for n in range(MAX_CASCADE + 1)}
DELETING = {"nodes": {"a": None, "gone": {"position": {"x": 1}}}, "title": "t"}


@pytest.fixture
def work() -> HeldWork:
    return HeldWork()


@pytest.fixture
def store() -> HeldStore:
    return HeldStore()


@pytest.fixture
def world(make_world: MakeWorld, work: HeldWork, store: HeldStore) -> World:
    """Where a flow ``f`` has a node with many edges."""
    world = make_world(apart=work, store=store)
    document = {"nodes": {"a": node("a"), "b": node("b")}, "edges": EDGES}
    work.holding = False
    world.library.create(document, "f")
    world.settle()
    work.holding = True
    return world


@pytest.fixture
def editor(world: World) -> Editor:
    return Editor(world, "e")


def go_on(world: World, work: HeldWork) -> None:
    world.settle()
    assert work.waiting == 1
    work.go_on()
    world.settle()


def test_lim28_a_cascade_is_what_it_was(world: World, work: HeldWork, editor: Editor) -> None:
    before = FlowDocument(merge(editor.document, {}))
    dropped: list[str] = []
    effective = before.stage(DELETING, dropped=dropped)
    live = world.flow().log.document
    editor.patch(1, DELETING)
    world.settle()
    assert world.flow().log.version == 1
    go_on(world, work)
    assert editor.accepted() == {1: 2}
    assert editor.answers[1][1]["dropped"] == dropped == ["/nodes/gone"]
    (entry,) = editor.entries
    assert entry["patch"] == effective
    assert entry["patch"]["edges"] == dict.fromkeys(EDGES)
    before.apply(effective)
    made = world.flow().log.document
    assert made is not live
    assert editor.document == before.content == made.content
    assert made.size_bytes == before.size_bytes


def test_lim28_who_edits_meanwhile_comes_behind_it(
    world: World, work: HeldWork, editor: Editor
) -> None:
    editor.patch(1, DELETING)
    editor.patch(2, {"nodes": {"b": {"position": {"x": 5}}}})
    other = Editor(world, "o")
    other.patch(1, {"description": "d"})
    go_on(world, work)
    assert editor.accepted() == {1: 2, 2: 3}
    assert other.accepted() == {1: 4}
    other.look()
    assert other.document["nodes"] == {"b": node("b", 5)}
    editor.patch(1, DELETING)
    world.settle()
    assert work.waiting == 0  # the log holds it
    assert world.flow().log.version == 4


def test_lim28_where_too_much_waits_it_is_staged_at_once(
    world: World, work: HeldWork, editor: Editor
) -> None:
    work.error = TooManyPending()
    editor.patch(1, DELETING)
    world.settle()
    assert editor.accepted() == {1: 2}
    assert editor.document["edges"] == {}


def test_lim28_a_refusal_is_what_it_was(world: World, work: HeldWork, editor: Editor) -> None:
    invalid = {"nodes": {"a": None, "n": {"id": "n", "position": 5}}}
    refused: list[BaseException] = []
    world.library.patch("f", invalid).addErrback(lambda failure: refused.append(failure.value))
    editor.patch(1, {"title": "t"})
    go_on(world, work)
    (error,) = refused
    assert isinstance(error, InvalidPatch)
    assert editor.accepted() == {1: 2}
    assert editor.document["edges"] == EDGES


def test_lim28_what_could_not_be_stored_is_as_if_it_had_not_been(
    world: World, work: HeldWork, store: HeldStore, editor: Editor
) -> None:
    store.fail("append", StoreFull())
    refused: list[HelixError] = []
    world.library.patch("f", DELETING).addErrback(lambda failure: refused.append(failure.value))
    go_on(world, work)
    assert [type(one) for one in refused] == [StoreFull]
    world.failures.clear()
    assert world.flow().log.document.content == editor.document
    world.library.patch("f", DELETING)
    go_on(world, work)
    editor.look()
    assert editor.document["edges"] == {}


@pytest.mark.parametrize("patch", [{"nodes": {"b": None}}, {"nodes": {"c": None}}, {"nodes": 5}, 5])
def test_lim28_only_what_has_many_edges_waits(
    world: World, work: HeldWork, editor: Editor, patch: Any
) -> None:
    world.library.patch("f", patch).addErrback(lambda _: None)
    world.settle()
    assert work.waiting == (patch == {"nodes": {"b": None}})
    work.go_on()
    world.settle()
