"""Arranging is asked about, and never on the key that locks. (EDI55)"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import MakeFlow, document_of, node
from tests.browser.person import Person


def places(person: Person) -> dict[str, Any]:
    return {key: one["position"] for key, one in document_of(person)["nodes"].items()}


def untidy(make_flow: MakeFlow) -> str:
    """A flow of three nodes that aren't in order."""
    three = [node("one", 400, 300), node("two", 0, 0), node("three", 80, 160)]
    return make_flow(*three, edges=("one>two", "two>three"))


def test_edi55_ctrl_shift_l_locks_what_is_selected_and_moves_nothing(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(untidy(make_flow))
    before = places(ada)
    ada.node("two").click()
    ada.press("Control+Shift+L")
    ada.hears("Locked 1 node")
    assert document_of(ada)["nodes"]["two"]["draggable"] is False
    ada.press("Control+Shift+L")
    ada.hears("Unlocked 1 node")
    ada.press("Escape", "Control+Shift+L")
    assert places(ada) == before


def test_edi55_the_whole_flow_is_moved_only_when_that_is_wanted(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(untidy(make_flow))
    before = places(ada)
    question = ada.page.get_by_role("dialog", name="Arrange the whole flow?")
    ada.press("Alt+Shift+F")
    expect(question).to_contain_text("3 nodes")
    ada.press("Escape")
    expect(question).to_have_count(0)
    assert places(ada) == before
    ada.button("Arrange the flow").click()
    question.get_by_role("button", name="Arrange").click()
    expect(ada.page.locator(".toast")).to_contain_text("Arranged the flow.")
    assert places(ada) != before
    ada.button("Undo").first.click()
    assert places(ada) == before


def test_edi55_what_is_selected_is_arranged_alone_and_put_back(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(untidy(make_flow))
    before = places(ada)
    ada.node("one").click()
    ada.node("two").click(modifiers=["Shift"])
    ada.press("Alt+Shift+F")
    toast = ada.page.locator(".toast")
    expect(toast).to_contain_text("Arranged 2 nodes.")
    after = places(ada)
    assert after["three"] == before["three"]
    assert after["one"]["x"] < after["two"]["x"]
    # What was moved since stays where it was moved to.
    ada.press("Escape")
    ada.node("two").click()
    ada.press("ArrowDown")
    ada.hears("Moved 1 node")
    moved = places(ada)["two"]
    toast.get_by_role("button", name="Undo").click()
    ada.hears("Put back")
    assert places(ada) == before | {"two": moved}
