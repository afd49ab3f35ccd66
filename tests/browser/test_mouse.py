"""The canvas by mouse. What changes the flow is looked for in what the daemon has stored."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, expect

from tests.browser.conftest import MakeFlow, document_of, node
from tests.browser.person import Person

NAMES = ("one", "two", "three")


def middle(element: Locator) -> tuple[float, float]:
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(person: Person, start: tuple[float, float], by: tuple[float, float]) -> None:
    mouse = person.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move(start[0] + by[0] / 2, start[1] + by[1] / 2, steps=4)
    mouse.move(start[0] + by[0], start[1] + by[1], steps=4)
    mouse.up()


def position(document: dict[str, Any], name: str) -> tuple[float, float]:
    place = document["nodes"][name]["position"]
    return place["x"], place["y"]


def beside(person: Person) -> None:
    """Click where nothing is."""
    person.page.locator(".react-flow__pane").click(position={"x": 700, "y": 700})


def test_edi20_box_selects_and_the_group_moves(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(make_flow(node("one", 0, 0), node("two", 0, 160), node("three", 480, 0)))
    start = middle(ada.node("one"))
    ada.page.keyboard.down("Shift")
    drag(ada, (start[0] - 130, start[1] - 60), (140, 260))
    ada.page.keyboard.up("Shift")
    expect(ada.selected).to_have_count(2)
    expect(ada.page.get_by_role("heading", name="2 selected")).to_be_visible()
    drag(ada, start, (80, 200))
    stored = document_of(ada)
    moved = position(stored, "one")
    assert moved[0] >= 64, moved
    assert moved[1] >= 160, moved
    assert position(stored, "two") == (moved[0], moved[1] + 160)
    assert position(stored, "three") == (480, 0)
    beside(ada)
    ada.button("Select by dragging").click()
    drag(ada, (start[0] - 130, start[1] - 60), (900, 500))
    expect(ada.selected).to_have_count(3)


def test_edi20_guides_show_and_draw_into_line(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(make_flow(node("one", 0, 3), node("two", 480, 160)))
    ada.grab("two", (0, -172))
    expect(ada.page.locator(".guide")).not_to_have_count(0)
    ada.page.mouse.up()
    expect(ada.page.locator(".guide")).to_have_count(0)
    assert position(document_of(ada), "two") == (480, 3)
    ada.drag("two", (101, 203))
    x, y = position(document_of(ada), "two")
    assert (x % 8, y % 8) == (0, 0)


def test_edi21_menu_copies_pastes_duplicates_locks_and_deletes(
    opened: Person, make_flow: MakeFlow
) -> None:
    opened.node("left").click(button="right")
    opened.choose("Duplicate")
    assert len(document_of(opened)["nodes"]) == 3
    opened.node("right").click(button="right")
    opened.choose("Lock or unlock")
    assert document_of(opened)["nodes"]["right"]["draggable"] is False
    opened.drag("right", (80, 80))
    assert position(document_of(opened), "right") == (480, 0)
    opened.node("right").click(button="right")
    opened.choose("Cut")
    assert "right" not in document_of(opened)["nodes"]
    opened.page.locator(".react-flow__pane").click(button="right", position={"x": 700, "y": 700})
    opened.choose("Paste")
    expect(opened.node("right")).to_be_visible()
    assert [one["data"]["label"] for one in document_of(opened)["nodes"].values()].count(
        "right"
    ) == 1
    opened.node("right").click(button="right")
    opened.choose("Delete")
    expect(opened.node("right")).to_have_count(0)
    opened.page.locator(".react-flow__pane").click(button="right", position={"x": 700, "y": 700})
    opened.choose("Undo")
    expect(opened.node("right")).to_be_visible()


def test_edi22_edge_is_labelled_shaped_and_led_elsewhere(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(
        make_flow(
            node("one", 0, 0), node("two", 480, 0), node("three", 480, 240), edges=("one>two",)
        ),
    )
    ada.edge("one to two").dblclick(force=True)
    ada.page.get_by_label("New label").fill("yes")
    ada.press("Enter")
    expect(ada.edge("one to two: yes")).to_be_attached()
    assert document_of(ada)["edges"]["one>two"]["label"] == "yes"
    ada.page.get_by_label("Shape").select_option("Steps")
    ada.page.get_by_label("Shape").blur()
    assert document_of(ada)["edges"]["one>two"]["type"] == "step"
    end = middle(ada.page.locator(".react-flow__edgeupdater-target"))
    target = middle(ada.node("three").locator(".react-flow__handle-left"))
    drag(ada, end, (target[0] - end[0], target[1] - end[1]))
    expect(ada.edge("one to three: yes")).to_be_attached()
    assert document_of(ada)["edges"]["one>two"]["target"] == "three"
    beside(ada)
    ada.node("two").dblclick()
    ada.page.get_by_label("New label").fill("B")
    beside(ada)
    assert document_of(ada)["nodes"]["two"]["data"]["label"] == "B"


def test_edi23_node_is_resized_and_others_are_aligned_by_buttons(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(make_flow(node("one", 0, 0), node("two", 480, 160), node("three", 96, 400)))
    ada.node("one").click()
    drag(ada, middle(ada.page.locator(".react-flow__resize-control.bottom.right")), (80, 48))
    a = document_of(ada)["nodes"]["one"]
    assert (a["width"], a["height"]) > (280, 100)
    ada.page.keyboard.down("Shift")
    ada.node("three").click()
    ada.page.keyboard.up("Shift")
    ada.button("Align left").click()
    stored = document_of(ada)
    assert position(stored, "three") == (0, 400)
    ada.page.keyboard.down("Shift")
    ada.node("two").click()
    ada.page.keyboard.up("Shift")
    ada.button("Distribute vertically").click()
    stored = document_of(ada)
    assert position(stored, "two")[0] == 480
    a, b, c = (stored["nodes"][name] for name in NAMES)
    gaps = (
        b["position"]["y"] - a["position"]["y"] - a["height"],
        c["position"]["y"] - b["position"]["y"] - 62,
    )
    assert abs(gaps[0] - gaps[1]) <= 1


def test_edi24_properties_of_many_and_what_cannot_be_kept(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(
        make_flow(
            node("one", 0, 0, "loop", limit=3),
            node("two", 480, 0, "loop", limit=5),
            node("three", 0, 240),
        )
    )
    ada.node("one").click()
    ada.page.keyboard.down("Shift")
    ada.node("two").click()
    ada.page.keyboard.up("Shift")
    field = ada.page.get_by_label("At most")
    expect(field).to_have_attribute("placeholder", "Different values")
    field.fill("0")
    expect(ada.page.get_by_role("alert")).to_have_text("At least 1")
    field.blur()
    expect(field).to_have_attribute("aria-invalid", "true")
    nodes = document_of(ada)["nodes"]
    assert [nodes[name]["data"]["limit"] for name in NAMES[:2]] == [3, 5]
    field.fill("9")
    field.blur()
    ada.button("Memory colour").click()
    ada.page.get_by_label("Kind").select_option("Skill")
    ada.page.get_by_label("Kind").blur()
    nodes = document_of(ada)["nodes"]
    assert [nodes[name]["data"]["limit"] for name in NAMES[:2]] == [9, 9]
    assert [nodes[name]["data"]["color"] for name in NAMES[:2]] == ["memory"] * 2
    assert [nodes[name]["type"] for name in NAMES] == ["skill", "skill", "agent"]


def test_edi25_canvas_is_moved_zoomed_mapped_and_locked(opened: Person) -> None:
    x, y, zoom = opened.resting_view()
    assert zoom == 1
    drag(opened, (400, 700), (120, -64))
    assert opened.resting_view() == [x + 120, y - 64, 1]
    opened.page.keyboard.down("Control")
    opened.page.mouse.wheel(0, -20)
    opened.page.keyboard.up("Control")
    assert opened.resting_view()[2] > 1
    opened.page.get_by_role("button", name="Zoom to 100 %").click()
    assert opened.resting_view()[2] == 1
    opened.button("Zoom out").click()
    assert opened.resting_view()[2] < 1
    opened.button("Zoom to fit").click()
    assert opened.resting_view() == [x, y, 1]
    map_box = opened.page.get_by_label("Map of the flow")
    map_box.click(position={"x": 20, "y": 64})
    moved = opened.resting_view()
    assert moved[0] > x + 100
    opened.page.mouse.wheel(0, 100)
    assert opened.resting_view()[2] < 1
    opened.button("Zoom to fit").click()
    opened.resting_view()
    opened.button("Lock the canvas").click()
    opened.drag("left", (80, 80))
    expect(opened.page.locator(".palette button").first).to_be_disabled()
    opened.node("left").click()
    expect(opened.button("Delete")).to_be_disabled()
    opened.press("Delete")
    assert position(document_of(opened), "left") == (0, 0)
    opened.button("Unlock the canvas").click()
    opened.button("Delete").click()
    assert "left" not in document_of(opened)["nodes"]


def test_edi25_first_view_is_readable_and_beside_what_floats(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(make_flow(*[node(f"n{n}", n * 400, 0) for n in range(12)]))
    assert ada.resting_view()[2] >= 0.55
    first = ada.node("n0").first.bounding_box()
    palette = ada.page.locator(".palette").bounding_box()
    assert first is not None
    assert palette is not None
    assert palette["x"] + palette["width"] < first["x"] < 260


def test_edi26_search_and_commands_by_mouse(opened: Person) -> None:
    opened.button("Find in the flow").click()
    opened.page.get_by_role("combobox", name="Find in the flow").fill("agent")
    opened.page.get_by_role("option", name="right").click()
    expect(opened.selected).to_have_text("rightAgent")
    opened.button("More").click()
    opened.choose("Commands")
    opened.page.get_by_role("combobox", name="Commands").fill("arrange")
    opened.page.get_by_role("option", name="Arrange the flow").click()
    opened.page.get_by_role("dialog").get_by_role("button", name="Arrange").click()
    opened.hears("Arranged the flow")
    stored = document_of(opened)
    assert position(stored, "right")[0] - position(stored, "left")[0] == 216 + 96


PRESS_WHILE_IT_GLIDES = """() => {
    const node = document.querySelector('.react-flow__node[data-id="right"]');
    const place = () => node.getBoundingClientRect().left;
    const frames = (count) => count === 0
        ? Promise.resolve()
        : new Promise(requestAnimationFrame).then(() => frames(count - 1));
    const tell = (kind, buttons) =>
        node.dispatchEvent(new PointerEvent(kind, {bubbles: true, buttons, pointerType: 'mouse'}));
    const press = async () => {
        const before = place();
        while (place() === before) await frames(1);
        tell('pointerdown', 1);
        await frames(2);  // what was already under way is painted
        const seen = [];
        for (let n = 0; n < 20; n++) {
            seen.push(place());
            await frames(1);
        }
        tell('pointerup', 0);
        return seen;
    };
    window.pressed = press();
}"""
"""Presses the right node as soon as it moves on the screen; gives where it is meanwhile."""


def sees_beside_properties(person: Person, label: str) -> None:
    """Wait until a node is seen, and lies beside the properties."""
    expect(person.page.locator(".properties")).to_be_visible()
    person.page.wait_for_function(
        """(id) => document.querySelector(`.react-flow__node[data-id="${id}"]`)
            .getBoundingClientRect().right
            < document.querySelector('.properties').getBoundingClientRect().left""",
        arg=label,
    )


def test_edi45_canvas_stays_during_a_drag_and_shows_the_node_after_it(opened: Person) -> None:
    before = opened.resting_view()
    opened.grab("right", (60, 120))
    expect(opened.page.locator(".properties")).to_be_visible()
    assert opened.resting_view() == before
    opened.page.mouse.up()
    sees_beside_properties(opened, "right")
    expect(opened.selected).to_have_attribute("data-id", "right")


def test_edi45_a_press_on_an_element_stops_the_canvas(opened: Person) -> None:
    opened.resting_view()
    opened.page.evaluate(PRESS_WHILE_IT_GLIDES)
    opened.node("right").click()
    places = opened.page.evaluate("pressed")
    assert len({*places}) == 1
    sees_beside_properties(opened, "right")
