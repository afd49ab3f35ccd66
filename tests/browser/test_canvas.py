"""One person and the canvas: by mouse, by keyboard, and with what reads it aloud."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import Chromium
from tests.browser.conftest import MakeFlow, MakePerson, document_of, node
from tests.browser.person import Person

KINDS = [
    "Agent",
    "Sensor",
    "Skill",
    "Decision",
    "Input",
    "Output",
    "Memory",
    "Loop",
    "Transform",
    "API",
]

AXE = """async () => {
    const ends = (one) => Number.isFinite(one.effect.getComputedTiming().endTime);
    await Promise.allSettled(document.getAnimations().filter(ends).map((one) => one.finished));
    const found = await axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']});
    return found.violations.map(({id, nodes}) => [id, nodes.map(({html}) => html)]);
}"""
"""Gives what axe finds; colours are judged once they have come to rest."""


def test_edi10_palette_adds_every_kind_by_mouse(opened: Person) -> None:
    for kind in KINDS:
        opened.page.locator(".palette").get_by_role("button", name=kind, exact=True).click()
    expect(opened.page.locator(".react-flow__node")).to_have_count(12)
    opened.sees_saved()
    types = {one["type"] for one in document_of(opened)["nodes"].values()}
    assert types == {kind.lower() for kind in KINDS}


def test_edi10_palette_is_dragged_onto_the_canvas(opened: Person) -> None:
    opened.page.locator(".palette").get_by_role("button", name="Memory").drag_to(
        opened.page.locator(".react-flow__pane"), target_position={"x": 700, "y": 600}
    )
    expect(opened.node("Memory")).to_have_class(
        "react-flow__node react-flow__node-memory nopan selected selectable draggable"
    )


def test_edi10_keys_add_connect_duplicate_delete_and_undo(opened: Person) -> None:
    nodes = opened.page.locator(".react-flow__node")
    edges = opened.page.locator(".react-flow__edge")
    opened.press("Alt+1")
    expect(nodes).to_have_count(3)
    opened.press("Control+a")
    opened.press("Control+d")
    expect(nodes).to_have_count(6)
    expect(edges).to_have_count(2)
    opened.press("Control+e")
    expect(edges).to_have_count(4)
    opened.press("Delete")
    expect(nodes).to_have_count(3)
    for _ in range(4):
        opened.press("Control+z")
    expect(nodes).to_have_count(2)
    opened.press("Control+Shift+Z")
    expect(nodes).to_have_count(3)


def test_edi10_nodes_are_joined_by_mouse(opened: Person) -> None:
    opened.page.locator(".palette").get_by_role("button", name="Output").click()
    opened.drag("Output", (0, 160))
    opened.node("left").locator(".react-flow__handle-right").drag_to(
        opened.node("Output").locator(".react-flow__handle-left")
    )
    expect(opened.page.locator(".react-flow__edge")).to_have_count(2)


def test_edi21_what_is_pasted_hides_nothing(opened: Person) -> None:
    opened.node("left").focus()
    opened.press("Enter", "Control+c", "Control+v", "Control+v", "Control+v")
    places = [tuple(one["position"].values()) for one in document_of(opened)["nodes"].values()]
    assert len(places) == len(set(places)) == 5


def test_edi10_copies_go_from_one_flow_to_another(opened: Person, make_flow: MakeFlow) -> None:
    opened.press("Control+a")
    opened.press("Control+c")
    opened.open(make_flow())
    opened.page.locator(".react-flow__pane").click()
    opened.press("Control+v")
    expect(opened.page.locator(".react-flow__node")).to_have_count(2)
    expect(opened.page.locator(".react-flow__edge")).to_have_count(1)
    opened.sees_saved()
    assert {"left", "right"}.isdisjoint(document_of(opened)["nodes"])


def test_edi10_properties_change_one_or_many(opened: Person) -> None:
    opened.node("left").click()
    opened.page.get_by_label("Description").fill("What comes in")
    opened.page.get_by_label("Tools").fill("search\nmail")
    opened.press("Control+k")
    opened.press("Escape")
    opened.press("Escape")
    opened.page.locator(".react-flow__pane").click(position={"x": 700, "y": 700})
    opened.press("Control+a")
    opened.page.get_by_label("Model").fill("large")
    opened.page.get_by_label("Model").blur()
    opened.sees_saved()
    nodes = document_of(opened)["nodes"]
    left = {"label": "left", "description": "What comes in", "tools": ["search", "mail"]}
    assert nodes["left"]["data"] == left | {"model": "large"}
    assert nodes["right"]["data"] == {"label": "right", "model": "large"}


def test_edi10_edge_gets_a_label_and_a_shape(opened: Person) -> None:
    opened.page.get_by_label("left to right").focus()
    opened.press("Enter")
    opened.page.get_by_label("Label").fill("yes")
    opened.page.get_by_label("Shape").select_option("step")
    opened.page.get_by_label("Shape").blur()
    expect(opened.page.get_by_label("left to right: yes")).to_be_attached()
    opened.sees_saved()
    assert document_of(opened)["edges"]["left>right"]["type"] == "step"


def test_edi10_arrange_find_and_the_sheets(opened: Person) -> None:
    before = opened.nodes()
    opened.press("Alt+Shift+F")
    expect(opened.page.get_by_role("dialog", name="Arrange the whole flow?")).to_be_visible()
    opened.press("Enter")
    opened.page.wait_for_function(
        "(before) => document.querySelector('[data-id=right]').style.transform !== before",
        arg=before["right"][0],
    )
    opened.press("Control+f")
    opened.page.get_by_role("combobox").fill("rig")
    opened.press("Enter")
    expect(opened.page.get_by_label("Label")).to_have_value("right")
    opened.page.locator(".react-flow__pane").click(position={"x": 700, "y": 700})
    opened.press("?")
    expect(opened.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    opened.press("Escape")
    expect(opened.page.get_by_role("dialog")).to_have_count(0)
    opened.press("Control+k")
    opened.page.get_by_role("combobox").fill("switch theme")
    opened.press("Enter")
    expect(opened.page.locator("html")).to_have_attribute("data-theme", "dark")


def test_edi10_locked_nodes_stay(opened: Person) -> None:
    opened.node("left").click()
    opened.press("Control+l")
    expect(opened.page.locator(".node .locked")).to_be_visible()
    before = opened.nodes()
    opened.drag("left", (100, 100))
    assert opened.nodes() == before


def test_edi11_history_shows_a_version_and_goes_back_to_it(opened: Person) -> None:
    opened.node("left").click()
    opened.press("Delete")
    expect(opened.page.locator(".react-flow__node")).to_have_count(1)
    opened.sees_saved()
    opened.press("Control+h")
    slider = opened.page.get_by_label("Version", exact=True)
    slider.focus()
    opened.press("ArrowLeft")
    expect(opened.page.locator(".react-flow__node")).to_have_count(2)
    expect(opened.page.locator(".palette")).to_have_count(0)
    opened.button("Restore").click()
    expect(opened.page.locator(".palette")).to_be_visible()
    expect(opened.page.locator(".react-flow__node")).to_have_count(2)
    assert set(document_of(opened)["nodes"]) == {"left", "right"}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edi13_axe_finds_nothing(
    make_person: MakePerson, make_flow: MakeFlow, chromium: Chromium, theme: str
) -> None:
    # axe comes in from outside of the page, which its policy forbids.
    person = make_person(color_scheme=theme, bypass_csp=True, reduced_motion="reduce")
    make_flow(node("a", 0, 0))
    person.page.goto("/")
    person.page.locator(".card").nth(8).scroll_into_view_if_needed()
    person.page.evaluate(chromium.axe)
    assert person.page.evaluate(AXE) == []
    person.open(
        make_flow(
            *[node(kind, 0, n * 100, kind.lower()) for n, kind in enumerate(KINDS)],
            edges=("Agent>API",),
        )
    )
    person.page.evaluate(chromium.axe)
    person.node("Agent").click()
    assert person.page.evaluate(AXE) == []
    person.press("Control+h")
    person.button("More").click()
    assert person.page.evaluate(AXE) == []
    person.press("Escape")
    person.press("Control+k")
    assert person.page.evaluate(AXE) == []


def test_edi15_scripts_before_the_canvas_are_small(ada: Person, make_flow: MakeFlow) -> None:
    sizes: list[int] = []
    ada.page.on(
        "response",
        lambda response: (
            sizes.append(int(response.headers["content-length"]))
            if "/assets/" in response.url
            else None
        ),
    )
    ada.open(make_flow(node("a", 0, 0)))
    assert 0 < sum(sizes) <= 250_000, sizes
