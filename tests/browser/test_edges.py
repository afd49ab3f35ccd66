"""Edges, by mouse: connected, led elsewhere, chosen; how groups are drawn, and the map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import MakeFlow, document_of, node, rest
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


@pytest.mark.parametrize("node_id", ['"', "\\", '"], .react-flow__pane, [a="', "line\nline"])
def test_edi61_nodes_of_any_id_are_connected(
    ada: Person, make_flow: MakeFlow, node_id: str
) -> None:
    flow_id = make_flow(node("one", 0, 0), {**node("two", 480, 0), "id": node_id})
    ada.open(flow_id)
    connect(ada, "one", "two")
    expect(ada.edge("one to two")).to_be_attached()
    ada.sees_saved()
    assert joined(document_of(ada)) == [f"one>{node_id}"]
    assert ada.complaints == []


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


def test_edi46_its_properties_lead_an_edge_elsewhere_as_the_mouse_does(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = three(make_flow)
    ada.open(flow_id)
    bob.open(flow_id)
    connect(ada, "one", "two")
    ada.edge("one to two").click(force=True)
    field = ada.page.get_by_label("To", exact=True)
    field.focus()
    field.select_option("three")
    expect(ada.page.locator(".react-flow__edge.selected")).to_have_count(1)
    expect(field).to_be_focused()
    expect(field).to_have_value("three")
    assert set(document_of(ada)["edges"]) == {"edge:one::three:"}
    # Whoever connects its old ends makes an edge of their own.
    bob.sees_same_as(ada)
    connect(bob, "one", "two")
    assert joined(document_of(bob)) == ["one>three", "one>two"]
    ada.button("Undo").click()
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


POINT = """(edge) => {
    const path = edge.querySelector('.react-flow__edge-path');
    const {x, y} = path.getPointAtLength(path.getTotalLength() / 2);
    const at = new DOMPoint(x, y).matrixTransform(path.getScreenCTM());
    return [at.x, at.y];
}"""
"""Where on the screen the middle of an edge is."""


def click(person: Person, edge: str) -> None:
    x, y = person.page.locator(f'.react-flow__edge[data-id="{edge}"]').evaluate(POINT)
    person.page.mouse.click(x, y)
    expect(person.page.locator(".react-flow__edge.selected")).to_have_attribute("data-id", edge)


@pytest.mark.parametrize("shape", ["default", "straight", "step", "smoothstep"])
def test_edi47_each_of_several_edges_of_the_same_ends_is_clicked(
    ada: Person, make_flow: MakeFlow, shape: str
) -> None:
    flow_id = make_flow(node("one", 0, 0), node("two", 480, 40))
    names = ["a", "b", "c"]
    edges = {one: {"id": one, "source": "one", "target": "two", "type": shape} for one in names}
    rest(ada.daemon, "PATCH", f"/flows/{flow_id}", {"edges": edges})
    ada.open(flow_id)
    for one in names:
        click(ada, one)


def test_edi47_edges_to_and_across_a_group_are_clicked(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(
        make_flow(
            node("group", 240, 160, "group") | {"width": 480, "height": 320},
            node("inner", 40, 200) | {"parentId": "group"},
            node("left", 0, 0),
            node("right", 760, 440),
            node("top", 440, 0),
            edges=("top>group", "left>right", "top>inner", "inner>group"),
        )
    )
    for edge in ("top>group", "left>right", "top>inner", "inner>group"):
        click(ada, edge)
        ada.page.locator(".react-flow__pane").click(position={"x": 700, "y": 780})


def test_edi48_a_group_is_drawn_as_one_behind_what_it_holds(
    ada: Person, make_flow: MakeFlow, tmp_path: Path
) -> None:
    flow_id = make_flow(
        node("a-inner", 40, 80) | {"parentId": "z-group"},
        node("b-inner", 360, 200) | {"parentId": "z-group"},
        node("m-beside", 200, 300),
        node("z-group", 160, 160, "group") | {"width": 640, "height": 320},
        edges=("a-inner>b-inner",),
    )
    rest(ada.daemon, "PATCH", f"/flows/{flow_id}", {"title": "Numbat"})
    ada.open(flow_id)
    frame = ada.page.locator('[data-id="z-group"] .node.group')
    expect(frame).to_have_css("border-style", "dashed")
    expect(ada.page.locator('[aria-label="Group: z-group"]')).to_be_attached()
    # What lies at the same level is above a group, whichever id comes later.
    x, y = middle(ada.node("m-beside"))
    above = "([x, y]) => document.elementFromPoint(x, y).closest('.react-flow__node').dataset.id"
    assert ada.page.evaluate(above, [x, y]) == "m-beside"
    ada.press("Control+k")
    ada.page.keyboard.type("SVG")
    with ada.page.expect_download() as download:
        ada.press("Enter")
    picture = tmp_path / "flow.svg"
    download.value.save_as(picture)
    drawn = picture.read_text(encoding="utf-8")
    order = [drawn.index(mark) for mark in ("stroke-dasharray", "marker-end", ">a-inner<")]
    assert order == sorted(order)
    assert drawn.count("stroke-dasharray") == 1
    ada.page.goto("/")
    ada.page.get_by_label("Search flows").fill("numbat")
    card = ada.page.locator(".card", has_text="Numbat").locator(".picture")
    expect(card.locator(".mini-group")).to_have_count(1)
    names = card.locator("> *").evaluate_all("(all) => all.map((one) => one.classList[0])")
    assert names == ["mini-group", "mini-node", "mini-edge", "mini-node", "mini-node"]


def test_edi49_what_is_dragged_across_the_map_moves_nothing_but_itself(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(make_flow(node("one", 0, 0), node("two", 480, 0)))
    before = ada.resting_view()
    map_box = ada.page.locator(".minimap").bounding_box()
    assert map_box is not None
    x, y = map_box["x"] + 40, map_box["y"] + 30
    mouse = ada.page.mouse
    ada.page.keyboard.down("Shift")
    mouse.move(x - 200, y - 100)
    mouse.down()
    mouse.move(x, y, steps=4)
    mouse.move(x + 20, y + 10, steps=2)
    mouse.up()
    ada.page.keyboard.up("Shift")
    assert ada.resting_view() == before
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 20, y + 10, steps=2)
    mouse.up()
    moved = ada.resting_view()
    assert moved[:2] != before[:2]
    mouse.move(x, y)
    assert ada.resting_view() == moved
    mouse.wheel(0, 4000)
    far = ada.resting_view()
    assert far[2] < moved[2]
    mouse.wheel(0, -200)
    assert ada.resting_view()[2] > far[2]
