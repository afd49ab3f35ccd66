"""What must fit, at the widths of a phone, a tablet and a desk, however much there is of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import MakeFlow, MakePerson, node, rest
from tests.browser.person import STILL, Person
from tests.browser.test_phone import PHONE
from tests.browser.wire import Wire
from tests.support.daemon import Daemon

WIDTHS = (360, 390, 820, 1024, 1440)

LONG = "A title that somebody wrote without a thought of how much room there is for it"

MISPLACED = """(bar) => [...bar.querySelectorAll('button, a, input, .status')]
    .filter((one) => one.offsetParent !== null)
    .filter((one) => {
        const {top, bottom, right} = one.getBoundingClientRect();
        return top < 0 || bottom > 56 || right > innerWidth;
    }).map((one) => one.outerHTML)"""

TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Until what follows from a new width is drawn."""

CUT_OFF = "(one) => one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight"


def is_within(inner: Locator, outer: Locator) -> bool:
    expect(inner).to_be_visible()
    inner.page.wait_for_function(STILL)
    a, b = inner.bounding_box(), outer.bounding_box()
    assert a is not None
    assert b is not None
    return (
        b["x"] <= a["x"]
        and a["x"] + a["width"] <= b["x"] + b["width"]
        and b["y"] <= a["y"]
        and a["y"] + a["height"] <= b["y"] + b["height"]
    )


def misplaced(person: Person) -> dict[int, list[str]]:
    """What of the bar is not in its one row, or out of sight, by the window's width."""
    found = {}
    for width in WIDTHS:
        person.page.set_viewport_size({"width": width, "height": 800})
        person.page.evaluate(TWO_FRAMES)
        found[width] = person.page.locator(".editor > .bar").evaluate(MISPLACED)
    return found


@pytest.mark.parametrize(
    "hand", [{}, {"has_touch": True, "is_mobile": True}], ids=["mouse", "touch"]
)
def test_edi28_bar_fits_a_crowd_and_a_long_status(
    make_person: MakePerson, make_flow: MakeFlow, daemon: Daemon, hand: dict[str, Any]
) -> None:
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0))
    rest(daemon, "PATCH", f"/flows/{flow_id}", {"title": LONG})
    for _ in range(6):
        make_person().page.goto(f"/flow/{flow_id}")
    ada = make_person(**hand)
    wire = Wire(ada.page)
    ada.open(flow_id)
    expect(ada.button("2 more people")).to_be_visible()
    none: dict[int, list[str]] = {width: [] for width in WIDTHS}
    assert misplaced(ada) == none
    wire.cut()
    expect(ada.status).to_contain_text("Offline")
    ada.node("left").focus()
    ada.press("Enter", "ArrowDown")
    again = ada.status.get_by_role("button", name="Try now")
    for _ in range(100):
        wire.say_online()
        if again.is_visible():
            break
    expect(ada.status).to_contain_text("Offline, 1 unsent")
    assert misplaced(ada) == none


def test_edi7_refusal_can_be_read_on_a_phone(
    make_person: MakePerson, make_flow: MakeFlow, start_daemon: Callable[..., Daemon]
) -> None:
    daemon = start_daemon("--store", "sqlite:flows.sqlite", "--max-patch-bytes", "2048")
    ada = make_person(daemon, **PHONE)
    ada.open(make_flow(node("left", 0, 0), at=daemon))
    ada.node("left").tap()
    ada.page.get_by_label("Description").fill("x" * 3_000)
    ada.page.get_by_label("Description").blur()
    why = ada.page.locator(".refusal > span")
    expect(why).to_contain_text("Refused and undone")
    assert not why.evaluate(CUT_OFF)
    assert is_within(ada.page.locator(".refusal"), ada.page.locator("body"))
    ada.page.locator(".refusal").get_by_role("button", name="Dismiss").tap()
    expect(why).to_have_count(0)


def test_edi14_deleted_flow_leaves_the_bar_as_it_is_and_takes_no_more(
    ada: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    flow_id = make_flow(node("left", 0, 0))
    ada.open(flow_id)
    rest(daemon, "DELETE", f"/flows/{flow_id}?by=Bob")
    closed = ada.page.get_by_role("alertdialog")
    expect(closed).to_be_focused()
    expect(ada.page.get_by_label("Title of the flow")).to_be_disabled()
    expect(ada.status).to_have_text("Closed")
    assert is_within(ada.status, ada.page.locator(".editor > .bar"))


def test_edi5_long_titles_and_templates_fit(
    ada: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    for title in (f"Gnu {LONG * 8}"[:500], "Gnu, short", "Gnu" * 100):
        rest(daemon, "PATCH", f"/flows/{make_flow(node('a', 0, 0))}", {"title": title})
    ada.page.goto("/")
    ada.page.get_by_label("Search flows").fill("gnu")
    cards = ada.page.get_by_label("Flows", exact=True).locator(".card")
    expect(cards).to_have_count(3)
    dialog = ada.page.get_by_role("dialog", name="Ticket triage")
    for width in WIDTHS:
        ada.page.set_viewport_size({"width": width, "height": 900})
        assert max(cards.evaluate_all("(all) => all.map((one) => one.offsetHeight)")) < 300
        assert ada.page.locator(".home").evaluate("(one) => one.scrollWidth") == width
        ada.page.get_by_label("Templates").get_by_role("button", name="Ticket triage").click()
        expect(dialog.locator(".mini-node")).to_have_count(13)
        assert is_within(dialog.locator(".picture"), dialog)
        ada.press("Escape")
        expect(dialog).to_have_count(0)


def test_edi26_long_labels_are_found_beside_their_kind(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(make_flow(node("a", 0, 0, "sensor", label=LONG * 4)))
    ada.press("Control+f")
    found = ada.page.get_by_role("option", name=LONG)
    assert is_within(found.get_by_text("Sensor"), found)
    box = found.bounding_box()
    assert box is not None
    assert box["height"] <= 40  # one line


def test_edi11_history_fits_a_phone(make_person: MakePerson, make_flow: MakeFlow) -> None:
    ada = make_person(**PHONE)
    ada.open(make_flow(node("left", 0, 0)))
    rest(ada.daemon, "PUT", f"/flows/{ada.flow_id}/versions/0?by=Ada", {"name": LONG})
    ada.press("Control+h", "Home")
    expect(ada.button("Restore")).to_be_visible()
    ada.button("Named versions").tap()
    name = ada.page.get_by_role("menuitem", name=LONG)
    assert not name.evaluate(CUT_OFF)
    ada.press("Escape")
    panel = ada.page.locator(".timeline")
    ada.sees_no_motion()
    rows = {
        one.bounding_box()["y"]  # type: ignore[index]  # all of them are drawn
        for one in panel.locator(".icon-button:not(.leave), .primary").all()
    }
    assert len(rows) == 1
    assert is_within(ada.button("Close history"), panel)
