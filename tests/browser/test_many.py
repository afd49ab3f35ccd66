"""Flows of many nodes: what is out of sight is there as well, and depth costs nothing."""

from __future__ import annotations

import itertools
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MakeFlow, document_of, node
from tests.browser.person import Person

MANY = 400
DEPTH = 19_999
SLOW_MS = 60_000
SELECTED = re.compile(r"\bselected\b")


@pytest.fixture
def crowded(ada: Person, make_flow: MakeFlow) -> Person:
    """Ada, before a flow of more nodes than React Flow is given at once."""
    nodes = [node(f"n{n}", n % 20 * 320, n // 20 * 120) for n in range(MANY)]
    ada.open(make_flow(*nodes, edges=("n0>n19", "n380>n399")))
    return ada


def find(person: Person, label: str) -> None:
    person.press("Control+f")
    person.page.get_by_role("combobox", name="Find in the flow").fill(label)
    person.press("Enter")
    expect(person.node(label)).to_be_in_viewport()
    person.resting_view()


def test_edi56_what_is_selected_out_of_sight_is_moved_and_let_go(crowded: Person) -> None:
    expect(crowded.node("n399")).to_have_count(0)
    before = document_of(crowded)["nodes"]
    crowded.press("Control+a")
    crowded.hears(f"Selected {MANY} nodes and 2 edges")
    crowded.drag("n101", (64, 32))
    after = document_of(crowded)["nodes"]
    moved = {
        (
            after[one]["position"]["x"] - before[one]["position"]["x"],
            after[one]["position"]["y"] - before[one]["position"]["y"],
        )
        for one in before
    }
    assert len(moved) == 1
    assert moved != {(0, 0)}
    crowded.page.locator(".react-flow__pane").click(position={"x": 400, "y": 760})
    expect(crowded.selected).to_have_count(0)
    crowded.press("Delete")
    assert len(document_of(crowded)["nodes"]) == MANY


def test_edi56_whatever_comes_into_sight_is_there(crowded: Person) -> None:
    crowded.press("Shift+f")
    crowded.resting_view()
    expect(crowded.page.locator(".react-flow__node")).to_have_count(MANY)
    find(crowded, "n399")
    expect(crowded.selected).to_have_attribute("data-id", "n399")
    expect(crowded.edge("n380 to n399")).to_have_count(1)
    expect(crowded.node("n101")).to_have_count(0)
    crowded.drag("n399", (0, 80))
    assert document_of(crowded)["nodes"]["n399"]["position"]["y"] > 2_280
    crowded.press("Control+ArrowLeft")
    expect(crowded.selected).to_have_attribute("data-id", "n398")
    expect(crowded.node("n398")).to_be_focused()


def test_edi57_the_innermost_of_a_long_chain_is_found_and_moved(
    ada: Person, make_flow: MakeFlow
) -> None:
    nodes = [node(f"n{n}", 24, 16) for n in range(DEPTH)]
    for above, one in itertools.pairwise(nodes):
        one["parentId"] = above["id"]
    last = nodes[-1]["id"]
    ada.page.set_default_timeout(SLOW_MS)
    ada.page.goto(f"/flow/{make_flow(*nodes, edges=('n0>n1',))}")
    expect(ada.node("n1").first).to_be_visible(timeout=SLOW_MS)
    ada.press("Control+f")
    ada.page.get_by_role("combobox", name="Find in the flow").fill(last)
    expect(ada.page.get_by_role("option")).to_have_count(1)
    ada.press("Enter")
    expect(ada.node(last)).to_have_class(SELECTED, timeout=SLOW_MS)
    ada.resting_view()
    ada.drag(last, (0, 80))
    expect(ada.status).to_have_text("Saved", timeout=SLOW_MS)
    moved = document_of(ada)["nodes"]
    assert moved[last]["position"] != nodes[-1]["position"]
    assert [one for one in nodes if moved[one["id"]] != one] == [nodes[-1]]
    ada.press("Control+z")
    expect(ada.status).to_have_text("Saved", timeout=SLOW_MS)
    assert document_of(ada)["nodes"][last] == nodes[-1]
    ada.press("Control+a")
    expect(ada.page.locator(".announcer")).to_have_text(
        f"Selected {DEPTH:,} nodes and 1 edge".replace(",", ""), timeout=SLOW_MS
    )
