"""Groups: into them and out of them, by mouse, touch and keys, and what lies in them."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import Chromium
from tests.browser.conftest import MakeFlow, MakePerson, document_of, node, rest
from tests.browser.person import Person
from tests.browser.test_canvas import AXE
from tests.browser.test_layers import PLACES, group, inside, top_of
from tests.browser.test_mouse import middle, position
from tests.browser.test_phone import touch


def element(person: Person, name: str) -> Any:
    return person.page.locator(f'.react-flow__node[data-id="{name}"]')


def choose(person: Person, *names: str) -> None:
    """Select nodes by keys."""
    person.press("Escape")
    for name in names:
        element(person, name).focus()
        person.press("Enter" if name == names[0] else "Shift+Enter")
    expect(person.selected).to_have_count(len(names))


def entries_of(person: Person) -> list[dict[str, Any]]:
    """The log of the flow that somebody has open, once all of it is there."""
    person.sees_saved()
    found: list[dict[str, Any]] = rest(
        person.daemon, "GET", f"/flows/{person.flow_id}/entries?after=0&limit=1000"
    )["entries"]
    return found


def parents(document: dict[str, Any]) -> dict[str, str]:
    nodes = document["nodes"].values()
    return {one["id"]: one["parentId"] for one in nodes if "parentId" in one}


@pytest.fixture
def boxed(ada: Person, make_flow: MakeFlow) -> Person:
    """Ada, before a group with a node in it, and a node beside it."""
    ada.open(
        make_flow(
            group("box", 320, 0, data={"label": "Box"}),
            inside("inner", 32, 96, "box"),
            node("free", 0, 96),
        )
    )
    return ada


# by mouse and touch


def test_edi41_node_is_dragged_into_a_group_and_out_of_it(boxed: Person) -> None:
    boxed.grab("free", (400, 120))
    entered = boxed.page.locator(".entered")
    expect(entered).to_have_count(1)
    assert entered.bounding_box() == element(boxed, "box").bounding_box()
    boxed.page.mouse.up()
    expect(entered).to_have_count(0)
    boxed.hears("Moved 1 node into Box")
    seen = boxed.page.evaluate(PLACES)["free"]
    stored = document_of(boxed)
    assert parents(stored) == {"inner": "box", "free": "box"}
    assert list(position(stored, "free")) == [seen[0] - 320, seen[1]]
    assert top_of(boxed, "box", "free") == "free"
    # It goes with the group from now on, by one step of undo.
    assert len(entries_of(boxed)) == 2
    boxed.press("Control+z")
    boxed.hears("Undone")
    assert parents(document_of(boxed)) == {"inner": "box"}
    assert position(document_of(boxed), "free") == (0, 96)

    boxed.grab("inner", (0, 420))
    expect(boxed.page.locator(".left-behind")).to_have_count(1)
    boxed.page.mouse.up()
    boxed.hears("Moved 1 node out of the group")
    seen = boxed.page.evaluate(PLACES)["inner"]
    stored = document_of(boxed)
    assert parents(stored) == {}
    assert list(position(stored, "inner")) == seen
    assert seen[1] > 400


def test_edi31_what_is_dragged_hides_behind_nothing(ada: Person, make_flow: MakeFlow) -> None:
    # By its number it lies below the group, until it lies in it.
    ada.open(make_flow(group("box", 320, 0, data={"label": "Box"}, zIndex=5), node("alone", 0, 96)))
    ada.grab("alone", (400, 120))
    expect(ada.page.locator(".entered")).to_have_count(1)
    assert top_of(ada, "box", "alone") == "alone"
    ada.page.mouse.up()
    ada.hears("Moved 1 node into Box")
    assert top_of(ada, "box", "alone") == "alone"


def test_edi41_a_drag_within_a_group_changes_only_the_place(boxed: Person) -> None:
    boxed.grab("inner", (80, 80))
    expect(boxed.page.locator(".entered, .left-behind")).to_have_count(0)
    boxed.page.mouse.up()
    stored = document_of(boxed)
    assert parents(stored) == {"inner": "box"}
    assert position(stored, "inner")[0] > 80


def test_edi41_group_goes_into_a_group_and_never_into_what_lies_in_it(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(
        group("outer", 0, 240, data={"label": "Outer"}),
        group("small", 0, 0, width=280, height=200, data={"label": "Small"}),
        inside("inner", 32, 96, "small"),
    )
    for person in (ada, bob):
        person.open(flow_id)
    ada.drag("Small", (200, 320))
    ada.hears("Moved 1 node into Outer")
    ada.sees_same_as(bob)
    stored = document_of(ada)
    assert parents(stored) == {"small": "outer", "inner": "small"}
    assert position(stored, "inner") == (32, 96)
    for person in (ada, bob):
        assert top_of(person, "outer", "small", "inner") == "inner"
    # The outer one, with both in it, goes nowhere but where it is dragged.
    ada.drag("Outer", (160, 0))
    assert parents(document_of(ada)) == {"small": "outer", "inner": "small"}


def test_edi41_many_are_dragged_once_whatever_they_lie_in(boxed: Person) -> None:
    choose(boxed, "box", "inner", "free")
    before = boxed.page.evaluate(PLACES)
    boxed.drag("free", (80, 160))
    after = boxed.page.evaluate(PLACES)
    ways = {(after[name][0] - before[name][0], after[name][1] - before[name][1]) for name in before}
    assert len(ways) == 1, ways
    stored = document_of(boxed)
    assert position(stored, "inner") == (32, 96)
    assert len(entries_of(boxed)) == 2


def test_edi41_node_from_the_palette_is_dropped_in_a_group(boxed: Person) -> None:
    target = middle(element(boxed, "box"))
    boxed.page.locator(".palette").get_by_role("button", name="Memory").drag_to(
        boxed.page.locator(".react-flow__pane"),
        target_position={"x": target[0], "y": target[1] - 56},
        force=True,
    )
    boxed.hears("Added Memory")
    [made] = [one for one in document_of(boxed)["nodes"].values() if one["type"] == "memory"]
    assert made["parentId"] == "box"
    assert made["position"]["x"] < 640


def test_edi41_fingers_drag_into_groups_and_out(
    make_person: MakePerson, make_flow: MakeFlow
) -> None:
    phone = make_person(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    phone.open(
        make_flow(
            group("box", 0, 0, width=300, height=240, data={"label": "Box"}), node("free", 32, 320)
        )
    )
    session = phone.context.new_cdp_session(phone.page)

    def drag(name: str, by: float) -> None:
        phone.resting_view()  # what was selected comes into view once it is let go
        box = phone.node(name).locator(".text").bounding_box()
        assert box is not None
        x, y = box["x"] + 10, box["y"] + 10
        touch(session, "touchStart", (x, y))
        for n in range(1, 7):
            touch(session, "touchMove", (x, y + by * n / 6))
        expect(phone.page.locator(".entered, .left-behind")).to_have_count(1)
        touch(session, "touchEnd")

    drag("free", -140)
    phone.hears("Moved 1 node into Box")
    assert parents(document_of(phone)) == {"free": "box"}
    phone.button("Close properties").press("Enter")
    drag("free", 160)
    phone.hears("Moved 1 node out of the group")
    assert parents(document_of(phone)) == {}


# by keys


def test_edi42_nodes_are_grouped_and_ungrouped(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(
        node("one", 0, 0),
        node("two", 320, 160),
        node("near", 160, 80),
        node("far", 900, 0),
        edges=("one>two", "two>far"),
    )
    for person in (ada, bob):
        person.open(flow_id)
    before = ada.page.evaluate(PLACES)
    choose(ada, "one", "two")
    ada.press("Control+g")
    ada.hears("Grouped 2 nodes")
    ada.sees_same_as(bob)
    stored = document_of(ada)
    [made] = set(parents(stored).values())
    assert parents(stored) == {"one": made, "two": made}
    for person in (ada, bob):
        places = person.page.evaluate(PLACES)
        assert places == {**before, made: places[made]}
        # What was there isn't hidden by it.
        assert top_of(person, made, "near") == "near"
        assert top_of(person, made, "one") == "one"
    assert len(stored["edges"]) == 2
    expect(ada.selected).to_have_count(1)
    # A group within a group: of a part of what lies in it.
    choose(ada, "two")
    ada.press("Control+g")
    ada.hears("Grouped 1 node")
    nested = parents(document_of(ada))
    assert nested["one"] == made
    assert nested[nested["two"]] == made
    assert ada.page.evaluate(PLACES)["two"] == before["two"]
    ada.press("Control+Shift+g")
    ada.hears("Ungrouped 1 node")
    assert parents(document_of(ada)) == {"one": made, "two": made}
    choose(ada, made)
    ada.press("Control+Shift+g")
    ada.hears("Ungrouped 2 nodes")
    ada.sees_same_as(bob)
    assert parents(document_of(ada)) == {}
    assert bob.page.evaluate(PLACES) == before
    assert len(document_of(ada)["edges"]) == 2


def test_edi42_keys_move_into_a_group_and_out_of_it(boxed: Person) -> None:
    choose(boxed, "free")
    boxed.press("Alt+g")
    boxed.hears("Moved 1 node into Box")
    stored = document_of(boxed)
    assert stored["nodes"]["free"]["parentId"] == "box"
    x, y = position(stored, "free")
    assert (x, y) != position(stored, "inner")
    assert 0 <= x <= 640 - 216
    assert 0 <= y <= 400 - 62
    boxed.press("Alt+Shift+g")
    boxed.hears("Moved 1 node out of the group")
    stored = document_of(boxed)
    assert parents(stored) == {"inner": "box"}
    assert position(stored, "free")[0] >= 960
    # Arrow keys take nothing in, nor out.
    choose(boxed, "inner")
    boxed.press(*["Shift+ArrowUp"] * 6)
    assert parents(document_of(boxed)) == {"inner": "box"}
    assert position(document_of(boxed), "inner") == (32, 96 - 6 * 32)


def test_edi42_one_chooses_among_groups_by_their_labels(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(
        make_flow(
            group("near", 320, 0, data={"label": "Near"}),
            group("far", 1_200, 0, data={"label": "Far"}),
            node("free", 0, 96),
        )
    )
    choose(ada, "free")
    ada.press("Alt+g")
    choices = ada.page.get_by_role("dialog", name="Move into a group")
    expect(choices.get_by_role("option")).to_contain_text(["Near", "Far"])
    choices.get_by_role("combobox").fill("far")
    ada.press("Enter")
    ada.hears("Moved 1 node into Far")
    stored = document_of(ada)
    assert parents(stored) == {"free": "far"}
    assert 1_200 <= ada.page.evaluate(PLACES)["free"][0] <= 1_840


def test_edi42_a_menu_offers_groups_where_there_are_some_to_move_into(boxed: Person) -> None:
    into = boxed.page.get_by_role("menuitem", name="Move into a group")
    out = boxed.page.get_by_role("menuitem", name="Move out of the group")
    for name, offered in (("free", (1, 0)), ("inner", (0, 1)), ("box", (0, 0))):
        choose(boxed, name)
        boxed.press("Shift+F10")
        expect(boxed.page.get_by_role("menuitem", name="Duplicate")).to_be_visible()
        assert (into.count(), out.count()) == offered
        boxed.press("Escape")


def test_edi42_delete_leaves_the_contents_and_a_command_of_its_own_takes_them(
    boxed: Person,
) -> None:
    choose(boxed, "box")
    boxed.press("Delete")
    boxed.hears("Deleted 1 node")
    assert set(document_of(boxed)["nodes"]) == {"inner", "free"}
    assert boxed.page.evaluate(PLACES)["inner"] == [352, 96]
    boxed.press("Control+z")
    boxed.hears("Undone")
    element(boxed, "box").click(button="right", position={"x": 600, "y": 380})
    boxed.choose("Delete with its contents")
    boxed.hears("Deleted 2 nodes")
    assert set(document_of(boxed)["nodes"]) == {"free"}
    boxed.press("Control+z")
    boxed.hears("Undone")
    stored = document_of(boxed)
    assert parents(stored) == {"inner": "box"}
    choose(boxed, "box")
    boxed.press("Shift+Delete")
    boxed.hears("Deleted 2 nodes")
    assert set(document_of(boxed)["nodes"]) == {"free"}
    boxed.press("?")
    keys = boxed.page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(keys).to_contain_text("Delete with its contentsShiftDel")
    expect(keys).to_contain_text("Move into a groupAltG")


# what groups do by themselves


def test_edi43_group_that_grows_does_so_once_and_stays(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(
        group("box", 320, 0, data={"label": "Box"}),
        inside("inner", 32, 96, "box", expandParent=True),
        inside("other", 320, 240, "box"),
    )
    for person in (ada, bob):
        person.open(flow_id)
    other = ada.page.evaluate(PLACES)["other"]
    ada.grab("inner", (-200, 40))
    bob.page.wait_for_function(f"() => ({PLACES})().box[0] < 260")
    ada.page.mouse.up()
    ada.sees_same_as(bob)
    made = entries_of(ada)
    assert len(made) == 2, made
    stored = document_of(ada)
    box = stored["nodes"]["box"]
    assert box["position"]["x"] == 320 - (box["width"] - 640)
    assert 640 < box["width"] < 900
    assert position(stored, "inner")[0] == 0
    for person in (ada, bob):
        assert person.page.evaluate(PLACES)["other"] == other
    # To open it, or to go about in it, changes nothing.
    bob.page.reload()
    bob.sees_saved()
    bob.press("Shift+f")
    bob.resting_view()
    assert len(entries_of(ada)) == 2
    ada.press("Control+z")
    ada.hears("Undone")
    assert document_of(ada)["nodes"]["box"]["width"] == 640
    # By keys, too.
    choose(ada, "inner")
    ada.press(*["Shift+ArrowLeft"] * 3)
    stored = document_of(ada)
    assert position(stored, "inner") == (0, 96)
    assert stored["nodes"]["box"]["width"] == 640 + 64
    assert ada.page.evaluate(PLACES)["other"] == other


def test_edi43_what_is_held_in_its_group_stays_there(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(
        make_flow(
            group("box", 320, 0, data={"label": "Box"}),
            inside("inner", 32, 96, "box", extent="parent"),
        )
    )
    ada.drag("inner", (-300, 0))
    assert position(document_of(ada), "inner")[0] == 0
    choose(ada, "inner")
    ada.press(*["Shift+ArrowUp"] * 6)
    stored = document_of(ada)
    assert position(stored, "inner")[1] == 0
    assert parents(stored) == {"inner": "box"}


def test_edi43_group_is_resized_as_a_whole_and_others_see_it_go(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(
        group("box", 320, 160, data={"label": "Box"}), inside("inner", 64, 96, "box")
    )
    for person in (ada, bob):
        person.open(flow_id)
    choose(ada, "box")
    corner = middle(ada.page.locator(".react-flow__resize-control.top.left"))
    ada.page.mouse.move(*corner)
    ada.page.mouse.down()
    ada.page.mouse.move(corner[0] - 40, corner[1] - 40, steps=4)
    ada.page.mouse.move(corner[0] - 80, corner[1] - 64, steps=4)
    bob.page.wait_for_function(
        """() => {
            const {style} = document.querySelector('[data-id="box"]');
            return style.width === '720px' && new DOMMatrix(style.transform).m41 === 240;
        }"""
    )
    assert bob.page.evaluate(PLACES)["inner"] == [384, 256]
    assert len(entries_of(bob)) == 1
    ada.page.mouse.up()
    ada.sees_same_as(bob)
    assert len(entries_of(ada)) == 2
    box = document_of(ada)["nodes"]["box"]
    assert (box["position"], box["width"], box["height"]) == ({"x": 240, "y": 96}, 720, 464)
    assert ada.page.evaluate(PLACES)["inner"] == [384, 256]
    ada.press("Control+z")
    ada.hears("Undone")
    stored = document_of(ada)
    assert stored["nodes"]["box"]["width"] == 640
    assert position(stored, "inner") == (64, 96)
    expect(ada.button("Undo")).to_be_disabled()


def test_edi43_arrows_move_what_is_selected_once_and_nothing_locked(boxed: Person) -> None:
    boxed.press("Control+a", "ArrowRight")
    boxed.hears("Moved 2 nodes")
    stored = document_of(boxed)
    assert position(stored, "box") == (328, 0)
    assert position(stored, "inner") == (32, 96)
    choose(boxed, "box")
    boxed.press("Control+l")
    choose(boxed, "box", "inner")
    boxed.press("ArrowDown")
    boxed.hears("Moved 1 node")
    stored = document_of(boxed)
    assert position(stored, "box") == (328, 0)
    assert position(stored, "inner") == (32, 104)


def test_edi44_copies_are_beside_each_other(boxed: Person) -> None:
    for _ in range(3):
        choose(boxed, "box")
        boxed.press("Control+d")
        boxed.hears("Duplicated 1 node")
    choose(boxed, "box")
    boxed.press("Control+c", "Control+v", "Control+v")
    boxed.hears("Pasted 2 nodes")
    stored = document_of(boxed)["nodes"].values()
    boxes = [one for one in stored if one["type"] == "group"]
    assert len(boxes) == 6
    assert len({tuple(one["position"].values()) for one in boxes}) == 6
    inner = [one for one in stored if one["data"]["label"] == "inner"]
    assert sorted(one["parentId"] for one in inner) == sorted(one["id"] for one in boxes)
    assert {tuple(one["position"].values()) for one in inner} == {(32, 96)}


def test_edi44_nested_groups_are_copied_whole_into_another_flow(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(
        make_flow(
            group("outer", 0, 0),
            group("middle", 40, 60, width=400, height=240) | {"parentId": "outer"},
            inside("inner", 32, 80, "middle"),
            inside("twin", 32, 150, "middle"),
            node("free", 900, 0),
            edges=("inner>twin", "twin>free"),
        )
    )
    choose(ada, "outer")
    ada.press("Control+c")
    ada.open(make_flow(group("outer", 0, 0)))
    ada.page.locator(".react-flow__pane").click(position={"x": 700, "y": 700})
    ada.press("Control+v")
    ada.hears("Pasted 4 nodes and 1 edge")
    stored = document_of(ada)
    made = {one["data"]["label"]: one for one in stored["nodes"].values() if one["id"] != "outer"}
    assert set(made) == {"outer", "middle", "inner", "twin"}
    assert not {one["id"] for one in made.values()} & {"outer", "middle", "inner", "twin"}
    assert made["middle"]["parentId"] == made["outer"]["id"]
    assert made["inner"]["parentId"] == made["twin"]["parentId"] == made["middle"]["id"]
    assert made["inner"]["position"] == {"x": 32, "y": 80}
    [edge] = stored["edges"].values()
    assert (edge["source"], edge["target"]) == (made["inner"]["id"], made["twin"]["id"])


def test_edi45_search_goes_to_what_lies_in_a_group(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(
        make_flow(group("box", 4_000, 3_000), inside("inner", 32, 96, "box"), node("free", 0, 0))
    )
    ada.press("Control+f")
    ada.page.get_by_role("combobox", name="Find in the flow").fill("inner")
    ada.press("Enter")
    expect(ada.node("inner")).to_be_in_viewport()
    expect(ada.selected).to_have_attribute("data-id", "inner")
    ada.resting_view()
    ada.press("Shift+s")
    ada.resting_view()
    expect(ada.node("inner")).to_be_in_viewport()
    ada.press("Control+f")
    ada.page.get_by_role("combobox", name="Find in the flow").fill("free")
    ada.press("Enter")
    expect(ada.node("free")).to_be_focused()
    ada.resting_view()
    expect(ada.node("inner")).not_to_be_in_viewport()
    ada.press("Tab")
    expect(ada.node("inner")).to_be_focused()
    expect(ada.node("inner")).to_be_in_viewport()
    ada.resting_view()
    expect(ada.node("inner")).to_be_in_viewport()


def test_edi45_whole_flow_is_arranged_in_groups_and_across(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(
        make_flow(
            group("outer", 0, 0, width=200, height=100),
            group("middle", 900, 60, width=1_000, height=900) | {"parentId": "outer"},
            inside("a", 500, 80, "middle"),
            inside("b", 32, 150, "middle"),
            inside("c", -400, 0, "outer"),
            node("free", -900, 0),
            group("kept", 0, 900, draggable=False),
            inside("still", 7, 77, "kept"),
            edges=("a>b", "b>c", "c>free", "still>free"),
        )
    )
    before = document_of(ada)["nodes"]
    ada.press("Alt+Shift+F")
    ada.page.get_by_role("dialog").get_by_role("button", name="Arrange").click()
    ada.hears("Arranged the flow")
    stored = document_of(ada)["nodes"]
    boxes = ada.page.evaluate(PLACES)
    sizes = {name: (one.get("width", 216), one.get("height", 62)) for name, one in stored.items()}
    for name, parent in parents({"nodes": stored}).items():
        if parent != "kept":
            assert boxes[parent][0] + 24 <= boxes[name][0], (name, boxes)
            assert boxes[name][0] + sizes[name][0] + 24 <= boxes[parent][0] + sizes[parent][0]
            assert boxes[parent][1] + 56 <= boxes[name][1]
            assert boxes[name][1] + sizes[name][1] + 24 <= boxes[parent][1] + sizes[parent][1]
    assert boxes["a"][0] + 216 < boxes["b"][0]
    assert boxes["middle"][0] + sizes["middle"][0] < boxes["c"][0]
    assert boxes["outer"][0] + sizes["outer"][0] < boxes["free"][0]
    assert sizes["middle"] == (216 + 96 + 216 + 48, 62 + 80)
    assert [stored[name]["position"] for name in ("kept", "still")] == [
        before[name]["position"] for name in ("kept", "still")
    ]
    assert parents({"nodes": stored}) == parents({"nodes": before})
    ada.page.locator(".toast").get_by_role("button", name="Undo").click()
    ada.hears("Put back")
    assert document_of(ada)["nodes"] == before


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edi13_groups_keep_nobody_out(
    make_person: MakePerson, make_flow: MakeFlow, chromium: Chromium, theme: str
) -> None:
    ada = make_person(color_scheme=theme, bypass_csp=True, reduced_motion="reduce")
    ada.open(make_flow(group("box", 320, 0), inside("inner", 32, 96, "box"), node("free", 0, 96)))
    ada.page.evaluate(chromium.axe)
    choose(ada, "box", "free")
    element(ada, "free").click(button="right")
    expect(ada.page.get_by_role("menuitem", name="Group the selected nodes")).to_be_visible()
    assert ada.page.evaluate(AXE) == []
