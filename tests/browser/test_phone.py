"""The editor on a phone: fingers, sheets from the bottom, and a bar that fits."""

from __future__ import annotations

import pytest
from playwright.sync_api import CDPSession, expect

from tests.browser.chromium import Chromium
from tests.browser.conftest import MakeFlow, MakePerson, document_of, node
from tests.browser.person import Person
from tests.browser.test_canvas import AXE

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


def test_edi28_palette_is_closed_by_escape_or_beside_it(phone: Person) -> None:
    palette = phone.page.locator(".palette")
    phone.button("Add a node").tap()
    expect(palette.get_by_role("button", name="Agent")).to_be_focused()
    phone.press("Escape")
    expect(palette).to_be_hidden()
    expect(phone.button("Add a node")).to_be_focused()
    phone.press("Enter")
    expect(palette).to_be_visible()
    phone.page.touchscreen.tap(200, 120)
    expect(palette).to_be_hidden()
    assert set(document_of(phone)["nodes"]) == {"left", "below"}


@pytest.mark.parametrize("width", [390, 820], ids=["phone", "tablet"])
def test_edi28_node_is_dragged_from_the_palette_by_a_finger(phone: Person, width: int) -> None:
    phone.page.set_viewport_size({"width": width, "height": 844})
    if phone.button("Add a node").is_visible():
        phone.button("Add a node").tap()
    kind = phone.page.locator(".palette").get_by_role("button", name="Memory")
    expect(kind).to_be_visible()
    phone.sees_no_motion()
    box = kind.bounding_box()
    assert box is not None
    session = phone.context.new_cdp_session(phone.page)
    start, end = (box["x"] + 20, box["y"] + 20), (300, 160)
    touch(session, "touchStart", start)
    for n in range(1, 5):
        part = n / 4
        at = (start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1]))
        touch(session, "touchMove", at)
    expect(phone.page.locator(".dragged")).to_have_text("Memory")
    touch(session, "touchEnd")
    expect(phone.page.locator(".dragged")).to_have_count(0)
    expect(phone.page.get_by_role("heading", name="Memory", level=2)).to_be_visible()
    phone.resting_view()
    dropped = phone.selected.bounding_box()
    assert dropped is not None
    assert abs(dropped["y"] + dropped["height"] / 2 - end[1]) < 16
    assert len(document_of(phone)["nodes"]) == 3
    # One that isn't let go over the canvas isn't added.
    # By keys: for a moment after a finger was so quick, Chromium takes no tap.
    phone.button("Close properties").press("Enter")
    if phone.button("Add a node").is_visible():
        phone.button("Add a node").press("Enter")
        expect(kind).to_be_visible()
        phone.sees_no_motion()
    touch(session, "touchStart", start)
    touch(session, "touchMove", (start[0] + 20, start[1] - 20))
    touch(session, "touchMove", (end[0], 30))
    touch(session, "touchEnd")
    expect(phone.page.locator(".dragged")).to_have_count(0)
    assert len(document_of(phone)["nodes"]) == 3


def test_edi28_long_touch_opens_the_menu(phone: Person) -> None:
    menu = phone.page.get_by_role("menu", name="Actions")
    session = phone.context.new_cdp_session(phone.page)
    box = phone.node("left").locator(".text").bounding_box()
    assert box is not None
    for at in ((box["x"] + 10, box["y"] + 10), (200, 150)):
        touch(session, "touchStart", at)
        expect(menu).to_be_visible()
        touch(session, "touchEnd")
        phone.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => done()))")
        expect(menu).to_be_visible()  # what came up under the finger isn't pressed by lifting it
        if at[1] == 150:
            phone.choose("Select all")
            expect(phone.selected).to_have_count(2)
        else:
            phone.choose("Duplicate")
            expect(phone.page.locator(".react-flow__node")).to_have_count(3)
            phone.press("Control+z")
            expect(phone.page.locator(".react-flow__node")).to_have_count(2)
    assert set(document_of(phone)["nodes"]) == {"left", "below"}


def test_edi28_empty_flow_says_how_to_begin(make_person: MakePerson, make_flow: MakeFlow) -> None:
    flow_id = make_flow()
    for options, words in ((PHONE, "Add the first node with +."), ({}, "Click a node on the left")):
        person = make_person(**options)
        person.open(flow_id)
        expect(person.page.locator(".hint")).to_contain_text(words, use_inner_text=True)


def test_edi13_phone_has_nothing_that_keeps_people_out(phone: Person, chromium: Chromium) -> None:
    phone.page.emulate_media(reduced_motion="reduce")
    phone.page.evaluate(chromium.axe)
    assert phone.page.evaluate(AXE) == []
    phone.button("Add a node").press("Enter")
    expect(phone.page.locator(".palette")).to_be_visible()
    assert phone.page.evaluate(AXE) == []
    phone.press("Escape", "Control+h")
    expect(phone.page.get_by_label("Version", exact=True)).to_be_focused()
    expect(phone.page.locator(".timeline .who")).to_contain_text("just now")
    assert phone.page.evaluate(AXE) == []


def test_edi28_bar_fits_and_its_menu_has_the_rest(phone: Person) -> None:
    assert phone.page.evaluate("() => document.documentElement.scrollWidth") == 390
    bar = phone.page.locator(".editor > .bar")
    assert bar.evaluate("(one) => one.scrollWidth <= one.clientWidth")
    phone.button("More").tap()
    for name in ("Copy the link", "Find in the flow", "History", "Keyboard shortcuts"):
        expect(phone.page.get_by_role("menuitem", name=name)).to_be_visible()
    phone.choose("Keyboard shortcuts")
    expect(phone.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


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
