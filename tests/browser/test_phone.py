"""The editor on a phone: fingers, sheets from the bottom, and a bar that fits."""

from __future__ import annotations

import pytest
from playwright.sync_api import CDPSession, expect

from tests.browser.conftest import MakeFlow, MakePerson, document_of, node
from tests.browser.person import Person

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

TOO_SMALL = """() => [...document.querySelectorAll(
        '.bar :is(button, a), .zoom button, .palette button,'
        + '.properties button, .add, .fields input')]
    .filter((one) => one.offsetParent !== null && !one.classList.contains('avatar'))
    .filter((one) => one.offsetWidth < 44 || one.offsetHeight < 44)
    .map((one) => one.outerHTML)"""


@pytest.fixture
def phone(make_person: MakePerson, make_flow: MakeFlow) -> Person:
    """Somebody with a phone, before a flow of two nodes."""
    person = make_person(**PHONE)
    person.open(make_flow(node("left", 0, 0), node("below", 0, 240), edges=("left>below",)))
    return person


def touch(session: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    session.send(
        "Input.dispatchTouchEvent",
        {
            "type": kind,
            "touchPoints": [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)],
        },
    )


def test_edi28_nodes_are_added_chosen_and_edited_by_touch(phone: Person) -> None:
    phone.button("Add a node").tap()
    assert phone.page.evaluate(TOO_SMALL) == []
    phone.page.locator(".palette").get_by_role("button", name="Memory").tap()
    expect(phone.page.locator(".palette")).to_be_hidden()
    expect(phone.page.get_by_role("heading", name="Memory", level=2)).to_be_visible()
    assert [one["type"] for one in document_of(phone)["nodes"].values()].count("memory") == 1
    phone.button("Close properties").tap()
    phone.node("below").tap()
    sheet = phone.page.locator(".properties")
    expect(sheet).to_be_visible()
    assert phone.page.evaluate(TOO_SMALL) == []
    phone.resting_view()
    box, chosen = sheet.bounding_box(), phone.node("below").bounding_box()
    assert box is not None
    assert chosen is not None
    assert (box["x"], box["width"], round(box["y"] + box["height"])) == (0, 390, 844)
    assert chosen["y"] + chosen["height"] < box["y"]
    phone.page.get_by_label("Label").fill("Under it")
    phone.page.get_by_label("Label").blur()
    assert document_of(phone)["nodes"]["below"]["data"]["label"] == "Under it"


def test_edi28_bar_fits_and_its_menu_has_the_rest(phone: Person) -> None:
    assert phone.page.evaluate("() => document.documentElement.scrollWidth") == 390
    bar = phone.page.locator(".editor > .bar")
    assert bar.evaluate("(one) => one.scrollWidth <= one.clientWidth")
    phone.button("More").tap()
    for name in ("Copy the link", "Find in the flow", "History", "Keys"):
        expect(phone.page.get_by_role("menuitem", name=name)).to_be_visible()
    phone.choose("Keys")
    expect(phone.page.get_by_role("dialog", name="Keys")).to_be_visible()


def test_edi28_fingers_move_and_zoom_the_canvas_and_nodes(phone: Person) -> None:
    session = phone.context.new_cdp_session(phone.page)
    x, y, _ = phone.resting_view()
    touch(session, "touchStart", (200, 650))
    for n in range(1, 5):
        touch(session, "touchMove", (200 + 10 * n, 650 - 20 * n))
    touch(session, "touchEnd")
    moved = phone.resting_view()
    assert moved[0] > x
    assert moved[1] < y
    box = phone.node("left").locator(".text").bounding_box()
    assert box is not None
    start = (box["x"] + 10, box["y"] + 10)
    touch(session, "touchStart", start)
    for n in range(1, 5):
        touch(session, "touchMove", (start[0], start[1] - 20 * n))
    touch(session, "touchEnd")
    assert document_of(phone)["nodes"]["left"]["position"]["y"] < 0
    phone.button("Close properties").tap()
    zoom = phone.resting_view()[2]
    touch(session, "touchStart", (150, 650), (250, 650))
    for n in range(1, 5):
        touch(session, "touchMove", (150 - 15 * n, 650), (250 + 15 * n, 650))
    touch(session, "touchEnd")
    assert phone.resting_view()[2] > zoom
