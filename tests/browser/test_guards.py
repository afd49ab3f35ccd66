"""What fails in a page stays where it fails: something stands in for it, and the rest goes on."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import Chromium
from tests.browser.conftest import MakeFlow, MakePerson, node, rest, stored_nodes
from tests.browser.person import Person
from tests.browser.test_canvas import AXE
from tests.browser.test_odd import Others, card, go
from tests.support.daemon import Daemon

BOOM = {"boom": True}
"""What can't be written in a browser that is broken so:"""

BREAK = """
    const whole = JSON.stringify;
    JSON.stringify = (value, ...rest) => {
        if (value?.boom === true) throw new Error('This browser is broken');
        return whole(value, ...rest);
    };
    const letter = String.prototype.charAt;
    String.prototype.charAt = function (n) {
        if (`${this}` === 'boom') throw new Error('This browser is broken');
        return letter.call(this, n);
    };
    const code = String.prototype.codePointAt;
    String.prototype.codePointAt = function (n) {
        if (`${this}` === 'Boom') throw new Error('This browser is broken');
        return code.call(this, n);
    };
"""


@pytest.fixture
def broken(ada: Person) -> Person:
    """Ada, whose browser fails at some things."""
    ada.page.add_init_script(BREAK)
    return ada


def has_told(person: Person) -> None:
    """See that what failed was told to who looks for it, and nothing else was."""
    assert person.complaints
    assert all("This browser is broken" in one for one in person.complaints)
    person.complaints.clear()


def boom(name: str) -> dict[str, Any]:
    return node("odd", 240, 240, **{name: BOOM})


def test_edi62_card_that_cannot_be_drawn_can_be_opened_and_deleted(
    broken: Person, make_flow: MakeFlow
) -> None:
    fine, flow_id = make_flow(node("left", 0, 0)), make_flow(boom("color"))
    broken.page.goto("/")
    expect(card(broken, fine).locator("svg.picture rect")).to_have_count(1)
    expect(card(broken, flow_id)).to_contain_text("This flow can't be drawn")
    card(broken, flow_id).get_by_role("button", name="Actions for Orders").click()
    broken.choose("Delete")
    expect(card(broken, flow_id)).to_have_count(0)
    expect(card(broken, fine)).to_be_visible()
    has_told(broken)


def test_edi62_node_that_cannot_be_shown_is_looked_at_and_deleted(
    broken: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    flow_id = make_flow(node("left", 0, 0), boom("color"), edges=("left>odd",))
    broken.open(flow_id)
    expect(broken.node("left")).to_be_visible()
    broken.page.locator('[data-id="odd"]', has_text="Can't be shown").click()
    properties = broken.page.get_by_role("complementary", name="Properties")
    expect(properties).to_contain_text("Something in it breaks these fields")
    properties.get_by_text("Show as JSON").click()
    expect(properties.locator("pre")).to_contain_text('"boom": true')
    properties.get_by_role("button", name="Delete").click()
    expect(broken.page.locator(".react-flow__node")).to_have_count(1)
    broken.drag("left", (80, 160))
    broken.sees_saved()
    assert list(stored_nodes(daemon, flow_id)) == ["left"]
    has_told(broken)


def test_edi62_canvas_that_cannot_be_shown_comes_back_once_the_flow_is_repaired(
    broken: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0, "unknown"))
    broken.open(flow_id)
    odd = {"nodes": {"right": {"data": {"type": BOOM}}}}
    rest(daemon, "PATCH", f"/flows/{flow_id}", odd)
    alert = broken.page.get_by_role("alert")
    expect(alert).to_contain_text("The canvas can't be shown")
    alert.get_by_role("button", name="Try again").click()
    alert.get_by_text("Show as JSON").click()
    expect(alert.locator("pre")).to_contain_text('"boom": true')
    expect(broken.page.get_by_label("Title of the flow")).to_have_value("Orders")
    rest(daemon, "PATCH", f"/flows/{flow_id}", {"nodes": {"right": {"data": {"type": None}}}})
    expect(alert).to_have_count(0)
    expect(broken.node("right")).to_be_visible()
    has_told(broken)


def test_edi62_members_who_cannot_be_shown_leave_the_flow_as_it_is(
    broken: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("left", 0, 0))
    others = Others(broken)
    broken.open(flow_id)
    others.presence(flow_id, 1, {"name": "Eve", "selection": ["left"]})
    expect(broken.page.locator(".others-ring")).to_have_count(1)
    odd = {"name": "Eve", "selection": ["left"], "editing": {"node": "left", "field": "boom"}}
    others.presence(flow_id, 2, odd)
    expect(broken.page.locator(".others-ring")).to_have_count(0)
    others.presence(flow_id, 3, {"name": "Boom"})
    expect(broken.page.get_by_text("People can't be shown")).to_be_visible()
    broken.drag("left", (80, 160))
    broken.sees_saved()
    has_told(broken)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edi13_axe_finds_nothing_in_what_stands_in(
    make_person: MakePerson, make_flow: MakeFlow, chromium: Chromium, theme: str
) -> None:
    person = make_person(color_scheme=theme, bypass_csp=True, reduced_motion="reduce")
    person.page.add_init_script(BREAK)
    flow_id = make_flow(node("left", 0, 0), boom("color"))
    person.page.goto("/")
    expect(card(person, flow_id)).to_contain_text("This flow can't be drawn")
    person.page.evaluate(chromium.axe)
    assert person.page.evaluate(AXE) == []
    go(person, f"/flow/{flow_id}")
    person.page.locator('[data-id="odd"]').click()
    person.page.get_by_text("Show as JSON").click()
    expect(person.page.locator(".as-json pre")).to_be_visible()
    assert person.page.evaluate(AXE) == []
    go(person, f"/flow/{make_flow(node('right', 480, 0, 'unknown', type=BOOM))}")
    alert = person.page.get_by_role("alert")
    alert.get_by_text("Show as JSON").click()
    expect(alert.locator("pre")).to_be_visible()
    assert person.page.evaluate(AXE) == []
    has_told(person)


def test_edi63_a_page_that_crashed_begins_from_what_the_server_has(
    broken: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    flow_id = make_flow(node("left", 0, 0))
    broken.open(flow_id)
    rest(daemon, "PATCH", f"/flows/{flow_id}", {"nodes": {"left": {"data": {"label": BOOM}}}})
    expect(broken.page.get_by_role("heading", name="Something went wrong")).to_be_visible()
    broken.page.wait_for_function(
        """(flowId) => new Promise((resolve) => {
            indexedDB.open('helix-flows').onsuccess = ({target: {result}}) => {
                const store = result.transaction('documents').objectStore('documents');
                store.get(flowId).onsuccess = ({target}) => {
                    const label = target.result?.document.nodes.left.data.label;
                    resolve(target.result?.isDoubtful && typeof label === 'object');
                };
            };
        })""",
        arg=flow_id,
    )
    go(broken, "/")
    has_told(broken)
    rest(daemon, "PATCH", f"/flows/{flow_id}", {"nodes": {"left": {"data": {"label": "fine"}}}})
    go(broken, f"/flow/{flow_id}")
    broken.sees_saved()
    expect(broken.node("fine")).to_be_visible()
    assert broken.complaints == []


HANG = """
    new MutationObserver(() => {
        if (document.querySelector('.react-flow__node') !== null) {
            console.log('it hangs');
            debugger;  // nothing goes on from here
        }
    }).observe(document, {childList: true, subtree: true});
"""

SEE = """
    window.seen = new Set();
    new MutationObserver(() => {
        const labels = document.querySelectorAll('.react-flow__node b');
        labels.forEach((one) => seen.add(one.textContent));
    }).observe(document, {childList: true, subtree: true, characterData: true});
"""


def test_edi63_a_page_that_hung_begins_from_what_the_server_has(
    ada: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    flow_id = make_flow(node("left", 0, 0))
    ada.open(flow_id)
    expect(ada.node("left")).to_be_visible()
    go(ada, "/")
    page = ada.context.new_page()
    page.add_init_script(HANG)
    ada.context.new_cdp_session(page).send("Debugger.enable")
    with page.expect_console_message(lambda message: message.text == "it hangs"):
        page.goto(f"/flow/{flow_id}", wait_until="commit")
    page.close()
    ada.page.wait_for_function(
        "(name) => Date.now() - Number(localStorage.getItem(name)) > 2000",
        arg=f"helix-flows:look:{flow_id}",
    )
    rest(daemon, "PATCH", f"/flows/{flow_id}", {"nodes": {"left": {"data": {"label": "fine"}}}})
    ada.page.add_init_script(SEE)
    ada.page.goto(f"/flow/{flow_id}")
    ada.sees_saved()
    expect(ada.node("fine")).to_be_visible()
    assert ada.page.evaluate("[...seen]") == ["fine"]
