"""What somebody else deletes while one edits it, and sessions that end while one is there."""

from __future__ import annotations

import itertools

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import MakeFlow, MakePerson, document_of, node, rest
from tests.browser.person import Person
from tests.browser.test_layers import group, inside
from tests.browser.test_mouse import position
from tests.browser.wire import Wire


def toast(person: Person) -> Locator:
    return person.page.locator(".toasts .toast.asked")


def test_edi34_what_was_edited_offline_and_deleted_meanwhile_is_restored(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("check", 0, 0), node("right", 480, 0), edges=("check>right",))
    wire = Wire(ada.page)
    ada.open(flow_id)
    bob.open(flow_id)
    wire.cut()
    expect(ada.status).to_contain_text("Offline")
    ada.node("check").click()
    ada.page.get_by_label("Description").fill("An hour of work")
    ada.page.get_by_label("Model").fill("large")
    ada.page.get_by_label("Model").blur()
    bob.node("check").click()
    bob.press("Delete")
    bob.sees_saved()
    wire.mend()
    ada.sees_saved()
    question = toast(ada)
    expect(question).to_have_count(1)
    expect(question).to_contain_text(f"{bob.name} deleted “check” while you were editing it.")
    expect(ada.page.locator(".toasts .toast")).to_have_count(1)
    question.get_by_role("button", name="Restore it with my changes").click()
    ada.hears("Restored “check”")
    expect(question).to_have_count(0)
    expect(ada.node("check")).to_be_focused()
    ada.sees_same_as(bob)
    expect(bob.edge("check to right")).to_have_count(1)
    stored = document_of(ada)
    made = {"label": "check", "description": "An hour of work", "model": "large"}
    assert stored["nodes"]["check"]["data"] == made
    ada.press("Control+z")
    expect(bob.node("check")).to_have_count(0)


def test_edi34_who_types_is_asked_by_keyboard_and_may_leave_it(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0), node("last", 480, 240))
    wire = Wire(ada.page)
    ada.open(flow_id)
    bob.open(flow_id)
    names = ("left", "right")
    for name in names:
        wire.cut()
        expect(ada.status).to_contain_text("Offline")
        ada.node(name).dblclick()
        ada.page.get_by_label("New label").fill(f"{name}, and more")
        bob.node(name).click()
        bob.press("Delete")
        bob.sees_saved()
        wire.mend()
        expect(ada.page.get_by_label("New label")).to_have_count(0)
        ada.sees_saved()
        expect(toast(ada)).to_contain_text(
            f"{bob.name} deleted “{name}” while you were editing it."
        )
        if name == "left":
            ada.press("Alt+r")
            ada.hears("Restored “left”")
        else:
            toast(ada).get_by_role("button", name="Leave it").press("Enter")
        expect(toast(ada)).to_have_count(0)
    assert {one["data"]["label"] for one in document_of(ada)["nodes"].values()} == {
        "left, and more",
        "last",
    }
    # An edge to what is gone.
    wire.cut()
    expect(ada.status).to_contain_text("Offline")
    ada.press("Control+a", "Control+e")
    bob.node("last").click()
    bob.press("Delete")
    bob.sees_saved()
    wire.mend()
    ada.sees_saved()
    expect(toast(ada)).to_contain_text(f"{bob.name} deleted “last” while you were connecting it.")
    toast(ada).get_by_role("button", name="Restore").click()
    expect(bob.edge("left, and more to last")).to_have_count(1)


def test_edi34_all_that_was_lost_is_one_question(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    names = ("one", "two", "three", "four")
    pairs = itertools.pairwise(names)
    flow_id = make_flow(
        *(node(name, 0, 160 * n) for n, name in enumerate(names)),
        edges=tuple(f"{a}>{b}" for a, b in pairs),
    )
    wire = Wire(ada.page)
    ada.open(flow_id)
    bob.open(flow_id)
    wire.cut()
    expect(ada.status).to_contain_text("Offline")
    for name in names[:3]:
        ada.node(name).focus()
        ada.press("Enter", "ArrowRight", "Escape")
    bob.node("one").focus()
    bob.press("Control+a", "Delete")
    bob.sees_saved()
    wire.mend()
    ada.sees_saved()
    expect(toast(ada)).to_have_count(1)
    expect(toast(ada)).to_contain_text(
        f"{bob.name} deleted “one”, “two” and 1 more while you were editing them."
    )
    toast(ada).get_by_role("button", name="Restore them with my changes").click()
    ada.hears("Restored “one”, “two” and 1 more")
    ada.sees_same_as(bob)
    expect(ada.page.locator(".toasts .toast")).to_have_count(0)
    stored = document_of(ada)
    assert sorted(stored["nodes"]) == ["one", "three", "two"]
    assert sorted(stored["edges"]) == ["one>two", "two>three"]
    ada.press("Control+z")
    expect(ada.page.locator(".react-flow__node")).to_have_count(0)
    ada.sees_same_as(bob)


def test_edi34_what_was_moved_in_a_group_that_is_gone_is_told_of(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(group("group", 96, 96), inside("inner", 32, 80, "group"))
    wire = Wire(ada.page)
    ada.open(flow_id)
    bob.open(flow_id)
    wire.cut()
    expect(ada.status).to_contain_text("Offline")
    ada.node("inner").click()
    ada.page.get_by_label("X", exact=True).fill("232")
    ada.page.get_by_label("X", exact=True).blur()
    bob.page.locator('[data-id="group"]').focus()
    bob.press("Enter", "Delete")
    bob.sees_saved()
    wire.mend()
    ada.sees_same_as(bob)
    expect(ada.page.locator(".toasts")).to_contain_text("deleted or moved the group around “inner”")
    expect(toast(ada)).to_have_count(0)
    assert position(document_of(ada), "inner") == (328, 176)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edi34_question_fits_on_a_phone(
    make_person: MakePerson, bob: Person, make_flow: MakeFlow, theme: str
) -> None:
    ada = make_person(color_scheme=theme, viewport={"width": 360, "height": 740}, has_touch=True)
    flow_id = make_flow(node("a node with quite a long name", 0, 0), node("right", 0, 240))
    wire = Wire(ada.page)
    ada.open(flow_id)
    bob.open(flow_id)
    wire.cut()
    expect(ada.status).to_contain_text("Offline")
    ada.node("quite a long").dblclick()
    ada.page.get_by_label("New label").fill("another")
    ada.press("Enter")
    bob.node("quite a long").click()
    bob.press("Delete")
    bob.sees_saved()
    wire.mend()
    ada.sees_saved()
    expect(toast(ada)).to_be_visible()
    ada.sees_no_motion()
    box = toast(ada).bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    for name in ("Restore it with my changes", "Leave it"):
        button = toast(ada).get_by_role("button", name=name)
        expect(button).to_be_in_viewport(ratio=1)
    assert ada.page.evaluate("document.documentElement.scrollWidth") == 360


def test_edi35_end_of_a_session_is_no_deletion(ada: Person, make_flow: MakeFlow) -> None:
    flow_id = make_flow(node("left", 0, 0))
    ada.open(flow_id)
    rest(ada.daemon, "DELETE", f"/sessions/{flow_id}")
    ada.drag("left", (80, 160))
    ada.sees_saved()
    expect(ada.page.get_by_role("alertdialog")).to_have_count(0)
    assert document_of(ada)["nodes"]["left"]["position"]["y"] > 80
