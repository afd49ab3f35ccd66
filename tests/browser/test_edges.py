"""Edges, by mouse: connected, led elsewhere, chosen."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, expect

from tests.browser.conftest import MakeFlow, document_of, node
from tests.browser.person import Person


def middle(element: Locator) -> tuple[float, float]:
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def lead(person: Person, start: Locator, end: Locator) -> None:
    """Drag from the middle of something to that of something else."""
    (x, y), (to_x, to_y) = middle(start), middle(end)
    mouse = person.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move((x + to_x) / 2, (y + to_y) / 2, steps=4)
    mouse.move(to_x, to_y, steps=4)
    mouse.up()


def connect(person: Person, source: str, target: str) -> None:
    right = person.node(source).locator(".react-flow__handle-right")
    lead(person, right, person.node(target).locator(".react-flow__handle-left"))


def joined(document: dict[str, Any]) -> list[str]:
    return sorted(f"{edge['source']}>{edge['target']}" for edge in document["edges"].values())


def three(make_flow: MakeFlow) -> str:
    return make_flow(node("one", 0, 0), node("two", 480, 0), node("three", 480, 240))


def test_edi46_an_edge_that_is_led_elsewhere_stays_when_its_old_ends_are_connected(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(three(make_flow))
    connect(ada, "one", "two")
    ada.edge("one to two").click(force=True)
    ada.resting_view()
    end = ada.page.locator(".react-flow__edgeupdater-target")
    lead(ada, end, ada.node("three").locator(".react-flow__handle-left"))
    expect(ada.page.locator(".react-flow__edge.selected")).to_have_count(1)
    connect(ada, "one", "two")
    expect(ada.edge("one to two")).to_be_attached()
    expect(ada.edge("one to three")).to_be_attached()
    assert joined(document_of(ada)) == ["one>three", "one>two"]
    ada.press("Control+z", "Control+z")
    expect(ada.edge("one to three")).to_have_count(0)
    assert joined(document_of(ada)) == ["one>two"]


def test_edi46_two_who_connect_the_same_make_one_edge_and_neither_takes_the_others(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = three(make_flow)
    ada.open(flow_id)
    bob.open(flow_id)
    ada.context.set_offline(True)
    connect(ada, "one", "two")
    connect(bob, "one", "two")
    bob.sees_saved()
    connect(bob, "two", "three")
    bob.edge("two to three").click(force=True)
    bob.resting_view()
    end = bob.page.locator(".react-flow__edgeupdater-target")
    lead(bob, end, bob.node("one").locator(".react-flow__handle-left"))
    expect(bob.edge("two to one")).to_be_attached()
    connect(ada, "two", "three")
    bob.sees_saved()
    ada.context.set_offline(False)
    ada.sees_saved()
    expect(bob.edge("two to three")).to_be_attached()
    assert joined(document_of(bob)) == ["one>two", "two>one", "two>three"]
    ada.page.locator(".react-flow__pane").click(position={"x": 700, "y": 700})
    ada.press("Control+a", "Control+e")
    ada.sees_saved()
    expect(ada.edge("one to two")).to_have_count(1)
