"""The canvas by keyboard alone, and what is read aloud. What changes is looked for in the store."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import MakeFlow, document_of, node
from tests.browser.person import Person
from tests.browser.test_mouse import NAMES, position

PRESS = "(init) => dispatchEvent(new KeyboardEvent('keydown', {...init, cancelable: true}))"


def test_edi20_nodes_are_added_selected_and_moved(opened: Person) -> None:
    opened.page.locator(".palette button").first.focus()
    opened.press("ArrowDown", "Enter")
    opened.hears("Added Skill")
    assert len(document_of(opened)["nodes"]) == 3
    opened.press("Escape")
    opened.node("left").focus()
    opened.press("Enter")
    opened.node("right").focus()
    opened.press("Shift+Enter")
    expect(opened.selected).to_have_count(2)
    opened.press("ArrowRight", "Shift+ArrowDown")
    stored = document_of(opened)
    assert position(stored, "left") == (8, 32)
    assert position(stored, "right") == (488, 32)
    opened.page.locator(".stage").evaluate("() => document.activeElement.blur()")
    opened.press("ArrowLeft")
    opened.hears("Moved 2 nodes")
    assert position(document_of(opened), "left") == (0, 32)


def test_edi20_next_node_in_a_direction_has_the_focus(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(make_flow(node("one", 0, 0), node("two", 480, 0), node("far", 0, 4_000)))
    for keys, name in (
        ("Control+ArrowRight", "one"),
        ("Control+ArrowRight", "two"),
        ("Control+ArrowLeft", "one"),
        ("Control+ArrowDown", "far"),
    ):
        ada.press(keys)
        expect(ada.node(name)).to_be_focused()
        ada.hears(f"Agent: {name}")
        expect(ada.selected).to_have_count(1)
    ada.resting_view()
    expect(ada.node("far")).to_be_in_viewport()


def test_edi21_cut_duplicate_lock_and_delete_are_told(opened: Person) -> None:
    opened.node("right").focus()
    opened.press("Enter", "Control+d")
    opened.hears("Duplicated 1 node")
    opened.press("Control+x")
    opened.hears("Deleted 1 node")
    opened.press("Control+v")
    opened.hears("Pasted 1 node")
    assert len(document_of(opened)["nodes"]) == 3
    opened.press("Delete")
    opened.hears("Deleted 1 node")
    opened.node("left").focus()
    opened.press("Enter", "Control+l")
    opened.hears("Locked 1 node")
    opened.press("ArrowRight")
    stored = document_of(opened)
    assert stored["nodes"]["left"]["draggable"] is False
    assert position(stored, "left") == (0, 0)
    assert opened.node("left").get_attribute("aria-label") == "Agent: left, locked"
    opened.press("Control+z")
    opened.hears("Undone")
    opened.press("Alt+l")
    opened.hears("Locked the canvas")
    opened.press("Delete", "ArrowRight")
    assert position(document_of(opened), "left") == (0, 0)


def test_edi22_edge_is_labelled_shaped_and_led_elsewhere(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(
        make_flow(
            node("one", 0, 0), node("two", 480, 0), node("three", 480, 240), edges=("one>two",)
        ),
    )
    ada.edge("one to two").focus()
    ada.press("Enter", "F2")
    ada.page.keyboard.type("yes")
    ada.press("Enter")
    expect(ada.edge("one to two: yes")).to_be_focused()
    ada.press("Alt+Enter")
    expect(ada.page.get_by_label("Label")).to_be_focused()
    ada.press("Tab")
    ada.page.keyboard.type("Steps")
    ada.press("Tab", "Tab")
    expect(ada.page.get_by_label("To", exact=True)).to_be_focused()
    ada.page.keyboard.type("three")
    ada.press("Tab")
    edge = document_of(ada)["edges"]["one>two"]
    assert (edge["label"], edge["type"], edge["target"]) == ("yes", "step", "three")
    ada.page.get_by_label("To", exact=True).focus()
    ada.press("Escape")
    expect(ada.edge("one to three: yes")).to_be_focused()
    ada.press("Delete")
    ada.hears("Deleted 1 edge")
    assert document_of(ada)["edges"] == {}


def test_edi23_size_alignment_and_gaps(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(make_flow(node("one", 0, 0), node("two", 480, 160), node("three", 96, 400)))
    ada.node("one").focus()
    ada.press("Enter", "Alt+Enter")
    width = ada.page.get_by_label("Width", exact=True)
    width.focus()
    ada.page.keyboard.type("20")
    expect(ada.page.get_by_role("alert")).to_have_text("At least 160")
    ada.press("End")
    ada.page.keyboard.type("0")
    ada.press("Tab", "Escape")
    assert document_of(ada)["nodes"]["one"]["width"] == 200
    ada.press("Control+a", "Alt+Shift+H")
    ada.hears("Distributed 3 nodes")
    stored = document_of(ada)
    assert [position(stored, name)[0] for name in ("one", "three", "two")] == [0, 232, 480]
    ada.press("Alt+Shift+ArrowLeft")
    ada.hears("Aligned 3 nodes: left")
    stored = document_of(ada)
    assert [position(stored, name)[0] for name in NAMES] == [0, 0, 0]


def test_edi25_canvas_is_moved_and_zoomed(opened: Person) -> None:
    x, y, zoom = opened.resting_view()
    opened.press("ArrowLeft", "Shift+ArrowDown")
    assert opened.resting_view() == [x + 64, y - 256, zoom]
    opened.press("Control+-")
    assert opened.resting_view()[2] < 1
    opened.press("Control+0")
    assert opened.resting_view()[2] == 1
    opened.press("Shift+F")
    assert opened.resting_view() == [x, y, 1]
    opened.node("right").focus()
    opened.press("Enter", "Shift+S")
    seen = opened.resting_view()
    assert seen[0] < x


def test_edi27_menu_sheet_and_dialogs_give_the_focus_back(opened: Person) -> None:
    opened.node("left").focus()
    opened.press("Enter", "Shift+F10")
    expect(opened.page.get_by_role("menuitem", name="Edit the label")).to_be_focused()
    opened.press("Escape")
    expect(opened.node("left")).to_be_focused()
    opened.press("?")
    sheet = opened.page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet).to_contain_text("Arrange")
    for _ in range(4):
        opened.press("Tab")
    assert opened.page.evaluate(
        "() => document.activeElement === document.body"
        " || document.querySelector('dialog').contains(document.activeElement)"
    )
    opened.press("Escape")
    expect(opened.node("left")).to_be_focused()
    opened.press("Control+k")
    opened.page.keyboard.type("duplicate")
    opened.press("Enter")
    opened.hears("Duplicated 1 node")
    assert len(document_of(opened)["nodes"]) == 3


def test_edi27_edges_found_nodes_and_the_history_have_the_focus(opened: Person) -> None:
    opened.edge("left to right").focus()
    opened.press("Control+k", "Escape")
    expect(opened.edge("left to right")).to_be_focused()
    opened.press("Control+f")
    opened.page.keyboard.type("right")
    opened.press("Enter")
    expect(opened.node("right")).to_be_focused()
    opened.press("Control+h")
    expect(opened.page.get_by_label("Version", exact=True)).to_be_focused()
    opened.press("Escape")
    expect(opened.page.locator(".timeline")).to_have_count(0)
    expect(opened.node("right")).to_be_focused()


def test_edi10_keys_are_found_by_their_place_where_they_type_no_letter(opened: Person) -> None:
    """As with Alt on a Mac, and on a Russian keyboard."""
    theme = opened.page.locator("html")
    before = theme.get_attribute("data-theme")
    opened.page.evaluate(PRESS, {"key": "†", "code": "KeyT", "altKey": True})
    expect(theme).not_to_have_attribute("data-theme", before or "")
    opened.page.evaluate(PRESS, {"key": "¡", "code": "Digit1", "altKey": True})
    opened.hears("Added Agent")
    opened.page.evaluate(PRESS, {"key": "я", "code": "KeyZ", "ctrlKey": True})
    opened.hears("Undone")
    opened.page.evaluate(PRESS, {"key": "Z", "code": "KeyY", "ctrlKey": True, "shiftKey": True})
    opened.hears("Redone")


def test_edi27_focus_stays_while_the_canvas_moves(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(make_flow(node("near", 0, 0), node("away", 9_000, 0)))
    ada.press("Shift+F")
    zoom = ada.resting_view()[2]
    assert zoom < 0.25
    ada.node("near").focus()
    ada.press("Control++")
    assert ada.resting_view()[2] > zoom
    expect(ada.node("near")).to_be_focused()


def test_edi27_everything_has_a_name(opened: Person) -> None:
    names = opened.page.locator(".react-flow__node, .react-flow__edge").evaluate_all(
        "(all) => all.map((one) => one.getAttribute('aria-label'))"
    )
    assert sorted(names) == ["Agent: left", "Agent: right", "left to right"]
    nameless = opened.page.locator("button, input, select, textarea").evaluate_all(
        "(all) => all.filter((one) => !one.labels?.length && !one.getAttribute('aria-label')"
        " && !one.textContent.trim()).map((one) => one.outerHTML)"
    )
    assert nameless == []
