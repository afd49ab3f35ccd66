"""What lies above what, what lies in what, and what an earlier generation's pages have made."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import MakeFlow, document_of, node, rest
from tests.browser.person import Person
from tests.browser.test_mouse import position
from tests.support.daemon import Daemon

ABOVE = """([x, y]) => document.elementFromPoint(x, y)
    ?.closest('.react-flow__node, .react-flow__edge')?.dataset.id ?? null"""

PLACES = """() => Object.fromEntries(
    [...document.querySelectorAll('.react-flow__node')].map((node) => {
        const {m41, m42} = new DOMMatrix(node.style.transform);
        return [node.dataset.id, [m41, m42]];
    }))"""
"""Where nodes are on the canvas."""

OLD = {
    "id": "old",
    "type": "aiFlowNode",
    "position": {"x": 0, "y": 0},
    "style": {"width": 320, "height": "96px", "display": "none"},
    "data": {"label": "Ask it", "type": "api", "color": "#3B82F6", "url": "https://example.com"},
}
"""A node as an earlier generation's pages make them."""


def group(name: str, x: int, y: int, **more: object) -> dict[str, Any]:
    return node(name, x, y, "group") | {"width": 640, "height": 400} | more


def inside(name: str, x: int, y: int, parent: str, **more: object) -> dict[str, Any]:
    return node(name, x, y) | {"parentId": parent} | more


def top_of(person: Person, *names: str) -> str | None:
    """Tell which node is seen in the middle of where all of these are."""
    boxes = [person.page.locator(f'[data-id="{name}"]').bounding_box() for name in names]
    found = [box for box in boxes if box is not None]
    left = max(box["x"] for box in found)
    right = min(box["x"] + box["width"] for box in found)
    top = max(box["y"] for box in found)
    bottom = min(box["y"] + box["height"] for box in found)
    assert left < right
    assert top < bottom
    seen: str | None = person.page.evaluate(ABOVE, [(left + right) / 2, (top + bottom) / 2])
    return seen


def levels(document: dict[str, Any]) -> dict[str, Any]:
    members = {**document["nodes"], **document["edges"]}
    return {name: one["zIndex"] for name, one in members.items() if "zIndex" in one}


def test_edi31_selected_comes_to_the_front_and_goes_to_the_back(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    # What is made last lies where its id says.
    flow_id = make_flow(node("b", 0, 0), node("a", 40, 20), node("10", 80, 40), node("9", 600, 0))
    for person in (ada, bob):
        person.open(flow_id)
        assert top_of(person, "10", "a", "b") == "b"
    ada.node("10").focus()
    ada.press("Enter", "]")
    ada.hears("Brought 1 node to the front")
    ada.sees_same_as(bob)
    for person in (ada, bob):
        assert top_of(person, "10", "a", "b") == "10"
    assert levels(document_of(ada)) == {"10": 1}
    ada.press("]")
    assert levels(document_of(ada)) == {"10": 1}
    ada.press("Control+z")
    ada.hears("Undone")
    assert levels(document_of(ada)) == {}
    ada.node("b").click(button="right")
    ada.choose("Send to the back")
    ada.hears("Sent 1 node to the back")
    ada.sees_same_as(bob)
    for person in (ada, bob):
        assert top_of(person, "10", "a", "b") == "a"
    ada.press("?")
    keys = ada.page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(keys).to_contain_text("Bring to the front]")


def test_edi31_numbers_stay_small_and_the_order_of_what_is_brought(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(
        make_flow(
            node("low", 0, 0) | {"zIndex": 1e12},
            node("mid", 40, 20) | {"zIndex": 900},
            node("top", 80, 40) | {"zIndex": "high"},
            node("alone", 600, 0) | {"zIndex": -0.4},
            edges=("low>alone",),
        )
    )
    # 1e12 and 900 are the same to us: by id.
    assert top_of(ada, "low", "mid") == "mid"
    ada.node("low").focus()
    ada.press("Enter")
    ada.node("top").focus()
    ada.press("Shift+Enter", "]")
    ada.hears("Brought 2 nodes to the front")
    assert top_of(ada, "low", "mid", "top") == "low"
    assert levels(document_of(ada)) == {"low": 3, "top": 2, "mid": 1, "alone": 0}
    ada.edge("low to alone").focus()
    ada.press("Enter", "[")
    ada.hears("Sent 1 edge to the back")
    assert levels(document_of(ada))["low>alone"] == -1


def test_edi31_what_is_new_lies_above_what_it_would_be_hidden_by(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(make_flow(node("left", 0, 0) | {"zIndex": 7}, node("right", 480, 0)))
    ada.node("left").focus()
    ada.press("Enter", "Control+d")
    ada.hears("Duplicated 1 node")
    ada.press("Control+c", "Control+v")
    ada.hears("Pasted 1 node")
    ada.press("Alt+1")
    ada.hears("Added Agent")
    stored = document_of(ada)
    assert {"left", "right"} < set(stored["nodes"])
    made = [one for one in stored["nodes"].values() if one["id"] not in ("left", "right")]
    copied, *_ = [one for one in made if one["position"] == {"x": 32, "y": 32}]
    assert copied["zIndex"] == 8
    assert top_of(ada, "left", copied["id"]) == copied["id"]
    agent = next(one for one in made if one["data"]["label"] == "Agent")
    for one in made:
        far = abs(one["position"]["x"] - agent["position"]["x"])
        if one is not agent and far < 216:
            assert agent["zIndex"] > one["zIndex"]


def test_edi32_what_lies_in_a_group_stays_where_it_is_seen(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(
        group("z-group", 96, 96),
        inside("one", 32, 80, "z-group"),
        inside("two", 320, 240, "z-group"),
        node("free", 900, 96),
        edges=("one>two",),
    )
    for person in (ada, bob):
        person.open(flow_id)
    assert ada.page.evaluate(PLACES) == {
        "z-group": [96, 96],
        "one": [128, 176],
        "two": [416, 336],
        "free": [900, 96],
    }
    assert top_of(ada, "z-group", "one") == "one"
    # Both are selected: what lies in the group goes with it, once.
    ada.press("Control+a", "ArrowRight")
    ada.hears("Moved 2 nodes")
    stored = document_of(ada)
    assert position(stored, "z-group") == (104, 96)
    assert position(stored, "one") == (32, 80)
    ada.press("Escape")
    ada.node("one").focus()
    ada.press("Enter")
    ada.node("free").focus()
    ada.press("Shift+Enter", "Alt+Shift+ArrowUp")
    ada.hears("Aligned 2 nodes: top")
    assert position(document_of(ada), "one") == (32, 0)
    ada.press("Control+z", "Escape")
    ada.page.locator('[data-id="z-group"]').focus()
    ada.press("Enter", "[")
    ada.hears("Sent 1 node to the back")
    assert top_of(ada, "z-group", "one") == "one"
    ada.press("Control+z")
    before = ada.page.evaluate(PLACES)
    del before["z-group"]
    ada.press("Delete")
    ada.hears("Deleted 1 node")
    ada.sees_same_as(bob)
    for person in (ada, bob):
        assert person.page.evaluate(PLACES) == before
        expect(person.edge("one to two")).to_have_count(1)
    ada.press("Control+z")
    ada.hears("Undone")
    ada.sees_same_as(bob)
    stored = document_of(ada)
    assert stored["nodes"]["one"]["parentId"] == "z-group"
    assert position(stored, "one") == (32, 80)


def test_edi32_group_is_copied_with_what_lies_in_it(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(
        make_flow(
            group("group", 96, 96),
            inside("inner", 32, 80, "group", extent="parent"),
            edges=("inner>group",),
        )
    )
    ada.page.locator('[data-id="group"]').focus()
    ada.press("Enter", "Control+d")
    ada.hears("Duplicated 1 node")
    stored = document_of(ada)["nodes"]
    group_copy = next(one for one in stored.values() if one["position"] == {"x": 128, "y": 128})
    inner_copy = next(one for one in stored.values() if one.get("parentId") == group_copy["id"])
    assert inner_copy["position"] == {"x": 32, "y": 80}
    assert len(document_of(ada)["edges"]) == 2
    # A copy beside what it was made of lies in the same group; elsewhere, on the canvas.
    ada.press("Control+z", "Escape")
    ada.node("inner").focus()
    ada.press("Enter", "Control+d")
    ada.hears("Duplicated 1 node")
    twins = [one for one in document_of(ada)["nodes"].values() if one.get("parentId") == "group"]
    assert sorted(one["position"]["x"] for one in twins) == [32, 64]
    ada.press("Control+c")
    ada.open(make_flow(node("other", 2_000, 0)))
    ada.page.locator(".react-flow__pane").click()
    ada.press("Control+v")
    ada.hears("Pasted 1 node")
    [pasted] = [one for name, one in document_of(ada)["nodes"].items() if name != "other"]
    assert not {"parentId", "extent"} & set(pasted)
    expect(ada.node("inner")).to_be_in_viewport()


def test_edi32_history_and_pictures_have_groups_as_the_canvas_has(
    ada: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    flow_id = make_flow(
        group("z-group", 96, 96),
        inside("m-inner", 32, 80, "z-group"),
        inside("a-innermost", 10, 10, "m-inner"),
        edges=("m-inner>a-innermost",),
    )
    rest(daemon, "PATCH", f"/flows/{flow_id}", {"title": "Wombat"})
    ada.open(flow_id)
    places = {"z-group": [96, 96], "m-inner": [128, 176], "a-innermost": [138, 186]}
    ada.press("Control+h", "ArrowLeft")
    expect(ada.page.locator(".palette")).to_have_count(0)
    assert ada.page.evaluate(PLACES) == places
    ada.page.goto("/")
    ada.page.get_by_label("Search flows").fill("wombat")
    picture = ada.page.locator(".card", has_text="Wombat").locator(".picture")
    expect(picture.locator("rect")).to_have_count(3)
    drawn = picture.locator("> *").evaluate_all(
        "(all) => all.map((one) => one.x === undefined"
        " ? 'edge' : [one.x, one.y].map((length) => length.baseVal.value))"
    )
    assert drawn == [[96, 96], [128, 176], "edge", [138, 186]]


def test_edi32_group_is_cut_with_what_lies_in_it(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(make_flow(group("group", 96, 96), inside("inner", 32, 80, "group")))
    ada.page.locator('[data-id="group"]').focus()
    ada.press("Enter", "Control+x")
    expect(ada.page.locator(".react-flow__node")).to_have_count(0)
    ada.press("Control+v")
    ada.hears("Pasted 2 nodes")
    stored = document_of(ada)["nodes"].values()
    assert sorted(one["data"]["label"] for one in stored) == ["group", "inner"]
    assert {one["id"] for one in stored if "parentId" not in one} == {
        one["parentId"] for one in stored if "parentId" in one
    }


def test_edi31_pictures_have_the_order_of_the_canvas(
    ada: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    # By code points: by halves of pairs, as JavaScript compares, it would be the other way round.
    flow_id = make_flow(node("\U0001f600", 0, 0), node("\ufb01", 40, 20))
    rest(daemon, "PATCH", f"/flows/{flow_id}", {"title": "Quokka"})
    ada.open(flow_id)
    assert top_of(ada, "\U0001f600", "\ufb01") == "\U0001f600"
    ada.page.goto("/")
    ada.page.get_by_label("Search flows").fill("quokka")
    nodes = ada.page.locator(".card", has_text="Quokka").locator(".picture rect")
    expect(nodes).to_have_count(2)
    assert nodes.evaluate_all("(all) => all.map(({x}) => x.baseVal.value)") == [40, 0]


ODD: list[dict[str, Any]] = [
    {"parentId": "toString"},
    {"parentId": "node1"},
    {"parentId": "gone", "extent": "parent", "expandParent": True},
    {"style": "x", "className": {}, "dragHandle": "[[["},
    {"extent": [[0]], "width": "wide", "zIndex": {}},
    {"type": "valueOf", "domAttributes": {"dangerouslySetInnerHTML": {"__html": "x"}}},
    {"domAttributes": {"style": "x"}, "type": "constructor"},
]
"""What other programs have written into nodes, and tried to."""


def test_edi32_nodes_that_another_program_made_odd_harm_no_other(
    ada: Person, make_flow: MakeFlow
) -> None:
    names = [f"node{n}" for n in range(len(ODD))]
    edges = tuple(f"right>{name}" for name in names)
    flow_id = make_flow(
        *[node(name, 0, 96 * n) for n, name in enumerate(names)], node("right", 480, 0), edges=edges
    )
    for name, odd in zip(names, ODD, strict=True):
        rest(ada.daemon, "PATCH", f"/flows/{flow_id}", {"nodes": {name: odd}})
    strange = {
        "type": "valueOf",
        "markerStart": {},
        "pathOptions": 5,
        "domAttributes": {"style": "x"},
    }
    rest(ada.daemon, "PATCH", f"/flows/{flow_id}", {"edges": dict.fromkeys(edges, strange)})
    ada.open(flow_id)
    expect(ada.node("right")).to_be_visible()
    for name in names:
        ada.node(name).click()
        ada.press("]")
        ada.hears("Brought 1 node to the front")
        ada.press("Delete")
        ada.hears("Deleted 1 node")
    assert set(document_of(ada)["nodes"]) == {"right"}


def test_edi33_node_of_an_earlier_generation_looks_and_is_edited_like_any(
    ada: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    flow_id = make_flow(OLD, node("right", 480, 0))
    rest(daemon, "PATCH", f"/flows/{flow_id}", {"title": "Numbat"})
    ada.open(flow_id)
    old = ada.node("Ask it")
    expect(old).to_have_attribute("aria-label", "API: Ask it")
    expect(old).to_have_css("width", "320px")
    expect(old).to_have_css("height", "96px")
    expect(old.locator("small")).to_have_text("API · https://example.com")
    assert (
        old.locator(".node").evaluate("(one) => one.style.getPropertyValue('--own')") == "#3B82F6"
    )
    old.click()
    expect(ada.page.get_by_label("Kind")).to_have_value("api")
    expect(ada.page.get_by_label("Method")).to_be_visible()
    expect(ada.page.get_by_label("Width", exact=True)).to_have_attribute("placeholder", "320")
    expect(ada.page.get_by_label("type", exact=True)).to_have_count(0)
    ada.page.get_by_label("Kind").select_option("agent")
    own = ada.button("Custom: #3B82F6")
    expect(own).to_have_attribute("aria-pressed", "true")
    ada.page.goto("/")
    ada.page.get_by_label("Search flows").fill("numbat")
    card = ada.page.locator(".card", has_text="Numbat")
    expect(card.locator(".picture rect.own")).to_have_attribute("width", "320")
    ada.open(flow_id)
    old.click()
    own.click()
    expect(own).to_have_count(0)
    expect(old.locator(".node")).to_have_class(re.compile(r"\bagent\b"))
    stored = document_of(ada)["nodes"]["old"]
    assert stored["type"] == "aiFlowNode"
    assert stored["data"] == {"label": "Ask it", "type": "agent", "url": "https://example.com"}
