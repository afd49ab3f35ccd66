"""Where what is new goes: beside what is selected, in sight, and never under anything. (EDI54)"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MakeFlow, MakePerson, document_of, node
from tests.browser.person import Person

SIZE = {"width": 216, "height": 62}

COVERED = """() => [...document.querySelectorAll('.react-flow__node')].filter((node) => {
    const {left, top, width, height} = node.getBoundingClientRect();
    const seen = document.elementFromPoint(left + width / 2, top + height / 2);
    return !node.contains(seen);
}).map((node) => node.dataset.id)"""
"""The nodes whose middle is hidden, by another node, a panel or the window's border."""


def boxes(nodes: dict[str, dict[str, Any]]) -> dict[str, tuple[float, float, float, float]]:
    """Where nodes are on the canvas."""

    def place(one: dict[str, Any]) -> tuple[float, float]:
        x, y = one["position"]["x"], one["position"]["y"]
        if "parentId" in one:
            left, top = place(nodes[one["parentId"]])
            return x + left, y + top
        return x, y

    return {
        key: (*place(one), one.get("width", SIZE["width"]), one.get("height", SIZE["height"]))
        for key, one in nodes.items()
    }


def overlapping(nodes: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    """The pairs of nodes that lie over each other."""
    found = boxes(nodes)

    def meet(a: str, b: str) -> bool:
        (x, y, width, height), (left, top, wide, high) = found[a], found[b]
        return x < left + wide and left < x + width and y < top + high and top < y + height

    return [pair for pair in combinations(found, 2) if meet(*pair)]


def palette(person: Person, kind: str) -> None:
    person.page.locator(".palette").get_by_role("button", name=kind, exact=True).click()


def test_edi54_ten_clicks_give_ten_nodes_in_sight(opened: Person) -> None:
    for count in range(10):
        palette(opened, "Agent")
        expect(opened.page.locator(".react-flow__node")).to_have_count(3 + count)
    opened.resting_view()
    assert opened.page.evaluate(COVERED) == []
    assert overlapping(document_of(opened)["nodes"]) == []


def test_edi54_in_an_empty_flow_and_by_keys(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(make_flow())
    for count in range(10):
        ada.press(f"Alt+{count}")
        expect(ada.page.locator(".react-flow__node")).to_have_count(count + 1)
    ada.resting_view()
    assert ada.page.evaluate(COVERED) == []
    assert overlapping(document_of(ada)["nodes"]) == []


def test_edi54_what_is_new_is_beside_what_is_selected(opened: Person) -> None:
    opened.node("left").click()
    palette(opened, "Skill")
    expect(opened.selected).to_have_text("SkillSkill")
    nodes = document_of(opened)["nodes"]
    (skill,) = (one for one in nodes.values() if one["type"] == "skill")
    # "right" begins at 480: there is just no room between the two.
    assert abs(skill["position"]["x"] - 264) <= 96
    assert abs(skill["position"]["y"]) <= 96
    assert overlapping(nodes) == []


def test_edi54_what_is_selected_far_away_doesnt_count(opened: Person) -> None:
    opened.node("left").click()
    opened.page.mouse.move(700, 500)
    opened.page.mouse.wheel(0, 3_000)
    opened.resting_view()
    palette(opened, "Skill")
    expect(opened.node("Skill")).to_be_in_viewport(ratio=1)
    nodes = document_of(opened)["nodes"]
    (skill,) = (one for one in nodes.values() if one["type"] == "skill")
    assert skill["position"]["y"] > 1_000


@pytest.mark.parametrize("selected", ["around", "inside"])
def test_edi54_with_a_group_selected_it_is_inside(
    ada: Person, make_flow: MakeFlow, selected: str
) -> None:
    around = node("around", 0, 0, "loop") | {"width": 640, "height": 360}
    inside = node("inside", 32, 64) | {"parentId": "around"}
    ada.open(make_flow(around, inside))
    ada.node(selected).locator("b", has_text=selected).click()
    for count in range(3):
        palette(ada, "Skill")
        expect(ada.page.locator(".react-flow__node")).to_have_count(3 + count)
    nodes = document_of(ada)["nodes"]
    added = [one for one in nodes.values() if one["type"] == "skill"]
    assert [one["parentId"] for one in added] == ["around"] * 3
    assert all("around" in pair for pair in overlapping(nodes))
    for left, top, width, height in (boxes(nodes)[one["id"]] for one in added):
        assert left >= 0
        assert left + width <= 640
        assert top >= 0
        assert top + height <= 360


def test_edi54_a_full_group_takes_no_more(ada: Person, make_flow: MakeFlow) -> None:
    around = node("around", 0, 0, "loop") | {"width": 280, "height": 160}
    ada.open(make_flow(around, node("inside", 32, 64) | {"parentId": "around"}))
    ada.node("around").locator("b", has_text="around").click()
    palette(ada, "Skill")
    expect(ada.node("Skill")).to_be_in_viewport(ratio=1)
    nodes = document_of(ada)["nodes"]
    (skill,) = (one for one in nodes.values() if one["type"] == "skill")
    assert "parentId" not in skill
    assert overlapping(nodes) == [("around", "inside")]


def test_edi54_on_a_phone_nothing_is_under_anything(
    make_person: MakePerson, make_flow: MakeFlow
) -> None:
    ada = make_person(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    ada.open(make_flow(node("left", 0, 0)))
    for count in range(6):
        ada.button("Add a node").click()
        palette(ada, "Agent")
        expect(ada.page.locator(".react-flow__node")).to_have_count(2 + count)
        expect(ada.selected).to_be_in_viewport(ratio=1)
        ada.button("Close properties").click()
    assert overlapping(document_of(ada)["nodes"]) == []
