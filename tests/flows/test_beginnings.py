"""What members of large flows begin with: one text for many joins, and the entries since."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from helix.chain import CHAIN_BYTES, chain_text
from helix.errors import TooManyPending
from helix.flows.beginnings import MAX_WAITS, Beginnings
from helix.log.live_log import RECENT_BYTES
from helix.log.replaying import HERE_BYTES
from tests.support.editors import FLOW, Editor, adding, node
from tests.support.heldwork import HeldWork
from tests.support.world import World

MakeWorld = Callable[..., World]


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


@pytest.fixture
def editor(world: World) -> Editor:
    """Of a large flow."""
    editor = Editor(world, "a")
    text = "word " * 40_000
    for number in range(HERE_BYTES // len(text) + 1):
        named = f"n{number}"
        editor.patch(number + 1, {"nodes": {named: {**node(named), "data": {"text": text}}}})
    editor.look()
    return editor


def edit(editor: Editor, patch: dict[str, Any]) -> None:
    editor.patch(1000 + editor.version, patch)
    editor.accepted()


def test_slo7_who_joins_after_an_edit_gets_the_same_text_and_what_followed(
    world: World, editor: Editor
) -> None:
    first = Editor(world, "first")
    edit(editor, {"title": "later"})
    edit(editor, adding("more"))
    second = Editor(world, "second")
    assert second.joined["version"] == first.joined["version"]
    assert second.joined["document"] == first.joined["document"]
    edit(editor, {"title": "latest"})
    for one in (first, second, editor):
        one.look()
        assert one.version == editor.version
        assert one.document == editor.document
    assert [entry["patch"].get("title") for entry in second.entries] == ["later", None, "latest"]


def test_slo7_who_joins_at_the_same_version_is_sent_no_entries(
    world: World, editor: Editor
) -> None:
    Editor(world, "first")
    second = Editor(world, "second")
    second.look()
    assert second.entries == []
    assert second.document == editor.document


@pytest.mark.parametrize("times", [1, 3])
def test_slo7_what_is_no_longer_in_memory_is_not_missed(
    world: World, editor: Editor, times: int
) -> None:
    Editor(world, "first")
    for number in range(times):
        edit(editor, {"data": {"text": str(number) * RECENT_BYTES}})
    second = Editor(world, "second")
    assert second.joined["document"] == editor.document
    assert second.joined["version"] == editor.version


def test_slo7_document_of_who_made_an_edit_has_it(world: World, editor: Editor) -> None:
    Editor(world, "first")
    other = Editor(world, "b")
    edit(other, {"title": "mine"})
    other.client.leave(FLOW)
    again = Editor(world, "b")
    assert again.joined["document"]["title"] == "mine"


def test_dom3_nobody_is_shown_an_older_version_than_they_name(world: World, editor: Editor) -> None:
    first = Editor(world, "first")
    edit(editor, {"title": "later"})
    wrong = {
        "epoch": first.epoch,
        "version": editor.version,
        "chain": chain_text(bytes(CHAIN_BYTES)),
    }
    other = Editor(world, "other", **wrong)
    assert other.joined["recovered"] is False
    assert other.joined["version"] == editor.version
    assert other.joined["document"]["title"] == "later"


def test_slo7_text_is_let_go_of_when_much_has_followed(world: World, editor: Editor) -> None:
    beginnings = world.flow()._beginnings
    Editor(world, "first")
    assert beginnings._newest is not None
    edit(editor, {"title": "little"})
    assert beginnings._newest is not None
    edit(editor, {"data": {"text": "x" * RECENT_BYTES}})
    assert beginnings._newest is None


def test_lim27_one_text_of_a_flow_is_made_at_a_time(world: World, editor: Editor) -> None:
    thread = HeldWork()
    beginnings = Beginnings(world.flow()._commits, thread)
    ready = [Deferred.fromCoroutine(beginnings.prepare(f"c{n}", 0)) for n in range(9)]
    edit(editor, {"title": "meanwhile"})
    ready += [Deferred.fromCoroutine(beginnings.prepare(f"d{n}", 0)) for n in range(9)]
    assert thread.waiting == 1
    thread.go_on()
    assert all(one.called for one in ready)
    assert thread.waiting == 0


def test_lim27_join_waits_for_few_texts(world: World, editor: Editor) -> None:
    """Each edit outdates the text that is being made."""
    thread = HeldWork()
    beginnings = Beginnings(world.flow()._commits, thread)
    failed: list[Any] = []
    ready = Deferred.fromCoroutine(beginnings.prepare("c", 0))
    ready.addErrback(lambda failure: failed.append(failure.type))
    for number in range(MAX_WAITS):
        assert not ready.called
        edit(editor, {"data": {"text": str(number) * RECENT_BYTES}})
        beginnings.forget_old()
        thread.go_on()
    assert failed == [TooManyPending]
    assert TooManyPending.retry
