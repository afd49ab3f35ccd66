"""Whatever a document holds and members say, pages go on, and can be edited in."""

from __future__ import annotations

import json
import os
import re
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, WebSocketRoute, expect

from tests.browser.conftest import MakeFlow, node, rest, stored_nodes
from tests.browser.oddities import GOOD, INHERITED, Oddities
from tests.browser.person import Person
from tests.support.daemon import Daemon

SEEDS = int(os.environ.get("HELIX_CASES_ODD_SEEDS", "12"))
"""How many odd flows the long run makes; ``tox -e cases`` makes more."""

FIRST = int(os.environ.get("HELIX_CASES_ODD_FIRST", "1000"))
"""The seed of the first."""

TOGETHER = 12
"""How many of them are made for one page."""

GO = """(path) => {
    history.pushState(null, "", path);
    dispatchEvent(new PopStateEvent("popstate"));
}"""

LOOK_AT_ALL = """async () => {
    const frame = () => new Promise(requestAnimationFrame);
    for (const one of document.querySelectorAll('.react-flow__node, .react-flow__edge')) {
        one.dispatchEvent(new MouseEvent('click', {bubbles: true}));
        await frame();
        await frame();
    }
}"""
"""Select each node and edge, which shows its properties."""

AT = {"id": "n1", "position": {"x": 200, "y": 200}, "data": {}}

NODES: list[dict[str, Any]] = [
    *({"type": name} for name in ("valueOf", "constructor", "__proto__", "nothing of ours")),
    *(
        {"style": style}
        for style in ("x", 5, [["color", "red"]], {"setProperty": "x", "length": 5})
    ),
    *({"extent": extent} for extent in (5, "x", [[0]], [[0, 0], ["x", 1]])),
    {"domAttributes": {"style": "x"}},
    {"domAttributes": {"dangerouslySetInnerHTML": {"__html": "<b>x"}}},
    {"className": {}},
    {"width": "wide"},
    {"dragHandle": "[[["},
    {"handles": [5]},
    {"measured": {"width": "x"}},
    {"zIndex": {}},
    {"data": {"label": {"x": 1}, "color": ["x"], "type": {"toString": 5}}},
]
"""What nodes had that ended a page, and more of its kinds."""

EDGES: list[dict[str, Any]] = [
    {"type": "valueOf"},
    {"domAttributes": {"dangerouslySetInnerHTML": {"__html": "<b>x"}}},
    {"label": {"x": 1}},
    {"markerStart": {}},
    {"markerEnd": {"type": "valueOf", "color": {}}},
    {"pathOptions": 5},
    {"style": "x"},
    {"data": 5},
]

SELECTIONS: list[Any] = [5, {}, True, "x", [5, None, {}, ["x"], "toString", "good 1"]]


class Others:
    """Members that say anything, whatever the server would take: frames beside its own."""

    def __init__(self, person: Person) -> None:
        self.sockets: list[WebSocketRoute] = []
        person.page.route_web_socket("**/socket/websocket*", self._connect)

    def _connect(self, socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        self.sockets.append(socket)

    def say(self, flow_id: str, event: str, payload: dict[str, Any]) -> None:
        """Tell the page of a flow an event."""
        self.sockets[-1].send(json.dumps([None, None, f"flow:{flow_id}", event, payload]))

    def presence(self, flow_id: str, number: int, meta: dict[str, Any]) -> None:
        """Have one more member come."""
        said = {**meta, "phx_ref": f"odd{number}", "client_id": f"client{number}"}
        joins = {f"person{number}": {"metas": [said]}}
        self.say(flow_id, "presence_diff", {"joins": joins, "leaves": {}})


def go(person: Person, path: str) -> None:
    """Go to another page of the editor, without loading it anew."""
    person.page.evaluate(GO, path)


def find(person: Person, label: str) -> None:
    """Select a node by its label, wherever it is."""
    person.press("Control+f")
    person.page.get_by_role("combobox", name="Find in the flow").fill(label)
    person.press("Enter")


def can_be_edited(person: Person, flow_id: str) -> None:
    """See that good nodes are there, and that one of them can be found, selected and deleted."""
    first, second = (person.page.locator(f'[data-id="{GOOD} {n}"]') for n in (1, 2))
    find(person, f"{GOOD} 2")
    expect(second).to_have_class(re.compile(r"\bselected\b"))
    person.press("Delete")
    expect(second).to_have_count(0)
    find(person, f"{GOOD} 1")
    expect(first).to_have_class(re.compile(r"\bselected\b"))
    person.page.wait_for_function(
        """async ([flowId, id]) => {
            const answer = await fetch(`/api/flows/${flowId}`);
            return !Object.hasOwn((await answer.json()).document.nodes, id);
        }""",
        arg=[quote(flow_id), f"{GOOD} 2"],
        polling=50,
    )


def good(number: int) -> dict[str, Any]:
    return node(f"{GOOD} {number}", 480 * (number - 1), 0)


def card(person: Person, flow_id: str) -> Locator:
    return person.page.locator(f'.card:has(a[href="/flow/{quote(flow_id)}"])')


def test_edi61_odd_nodes_and_edges_end_no_page(
    ada: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    odd = [
        {**AT, "position": {"x": 250 * (n % 5), "y": 100 + 100 * (n // 5)}, **one, "id": f"n{n}"}
        for n, one in enumerate(NODES)
    ]
    flow_id = make_flow(good(1), good(2), *odd)
    ends = {"source": f"{GOOD} 1", "target": f"{GOOD} 2"}
    edges = {f"e{n}": {**one, **ends, "id": f"e{n}"} for n, one in enumerate(EDGES)}
    edges |= {name: {"id": name, **ends} for name in INHERITED}
    rest(daemon, "PATCH", f"/flows/{flow_id}", {"edges": edges})
    ada.page.goto("/")
    expect(card(ada, flow_id).locator("svg.picture rect")).to_have_count(len(NODES) + 2)
    go(ada, f"/flow/{flow_id}")
    ada.sees_saved()
    expect(ada.page.locator(".react-flow__node")).to_have_count(len(NODES) + 2)
    expect(ada.page.locator(".react-flow__edge")).to_have_count(len(edges))
    expect(ada.node('{"x":1}')).to_be_visible()
    can_be_edited(ada, flow_id)
    ada.page.locator('[data-id="n0"]').click()
    ada.press("Delete")
    expect(ada.page.locator(".react-flow__node")).to_have_count(len(NODES))
    ada.press("Control+a", "Delete")
    expect(ada.page.locator(".react-flow__node")).to_have_count(0)
    ada.sees_saved()
    assert stored_nodes(daemon, flow_id) == {}


def test_edi61_members_that_say_anything_end_no_page(ada: Person, make_flow: MakeFlow) -> None:
    flow_id = make_flow(good(1), good(2))
    others = Others(ada)
    ada.open(flow_id)
    for number, selection in enumerate(SELECTIONS):
        others.presence(flow_id, number, {"name": "\u202eeve", "selection": selection})
    people = ada.page.get_by_role("group", name=re.compile("^People here"))
    expect(people).to_have_attribute("aria-label", f"People here: {len(SELECTIONS) + 1}")
    expect(ada.page.locator(".others-ring")).to_have_count(1)
    can_be_edited(ada, flow_id)


@pytest.mark.parametrize("node_id", ["a,b", '"]\\', "'#a, .b > c", "line\nline", "toString"])
def test_edi61_ids_of_any_characters_have_properties(
    ada: Person, make_flow: MakeFlow, daemon: Daemon, node_id: str
) -> None:
    flow_id = make_flow({**good(1), "id": node_id}, good(2))
    ada.open(flow_id)
    ada.node(f"{GOOD} 1").click()
    expect(ada.page.get_by_label("Label")).to_have_value(f"{GOOD} 1")
    ada.page.get_by_label("Label").fill("other")
    ada.press("Enter")
    expect(ada.node("other")).to_be_visible()
    ada.sees_saved()
    assert stored_nodes(daemon, flow_id)[node_id]["data"]["label"] == "other"


def play(person: Person, daemon: Daemon, seeds: range) -> None:
    """Make odd flows, look at them at home, and edit in each while odd members are there."""
    others = Others(person)
    made = {f"odd {seed}": Oddities(seed) for seed in seeds}
    for flow_id, odd in made.items():
        document = odd.document()
        rest(daemon, "POST", "/flows", {"id": flow_id, "document": document})
        rest(daemon, "PATCH", f"/flows/{quote(flow_id)}", odd.parents(document))
    person.page.goto("/")
    for flow_id in made:
        shown = card(person, flow_id)
        shown.scroll_into_view_if_needed()
        expect(shown.locator("svg.picture rect").first).to_be_attached()
    for flow_id, odd in made.items():
        seed = flow_id.removeprefix("odd ")
        print(f"replay: HELIX_CASES_ODD_FIRST={seed} HELIX_CASES_ODD_SEEDS=1")
        go(person, f"/flow/{quote(flow_id)}")
        person.sees_saved()
        for number in range(3):
            others.presence(flow_id, number, odd.meta())
            others.say(flow_id, "cursors", {f"client{number}": odd.cursor()})
        person.page.evaluate(LOOK_AT_ALL)
        second = person.page.locator(f'[data-id="{GOOD} 2"]')
        second.dispatch_event("click")
        expect(second).to_have_class(re.compile(r"\bselected\b"))
        person.press("Delete")
        expect(second).to_have_count(0)
        person.press("Control+a")
        person.sees_saved()
        assert person.complaints == [], f"seed {seed}"
    assert all(f"{GOOD} 2" not in stored_nodes(daemon, quote(one)) for one in made)


@pytest.mark.parametrize("first", range(0, 2 * TOGETHER, TOGETHER))
def test_edi61_whatever_a_flow_holds_pages_go_on(ada: Person, daemon: Daemon, first: int) -> None:
    play(ada, daemon, range(first, first + TOGETHER))


@pytest.mark.case
@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, TOGETHER))
def test_edi61_whatever_many_flows_hold_pages_go_on(
    ada: Person, daemon: Daemon, first: int
) -> None:
    play(ada, daemon, range(first, min(first + TOGETHER, FIRST + SEEDS)))
