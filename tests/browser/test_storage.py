"""What is unsent in a real browser: locks, hidden tabs, storage that is damaged or hangs."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MakeFlow, MakePerson, node, stored_nodes
from tests.browser.person import Person
from tests.browser.wire import Wire
from tests.support.daemon import Daemon
from tests.support.watched import eventually, rest

pytestmark = pytest.mark.case

HIDE = """() => {
    Object.defineProperty(document, 'visibilityState', {configurable: true, get: () => 'hidden'});
    document.dispatchEvent(new Event('visibilitychange', {bubbles: true}));
}"""

SENT_WHILE_HIDDEN = 60.0
"""Seconds within which a page sends what it has once the server is back, though nobody looks."""

SHARED = "[data-id=left]"

OPERATIONS = "Object.keys(localStorage).filter((key) => key.startsWith('helix-flows:op:'))"
"""The names of what a browser keeps unsent."""


@pytest.fixture(scope="session")
def script(library: str) -> str:
    """The client library, as a script that makes ``window.Flows``."""
    return f"{library};window.Flows = Flows"


def start(page: Page, flow_id: str, then: str = "") -> None:
    """Open a flow in a page that isn't the editor's."""
    made = "window.flow = new Flows.FlowSync(flowId, {url: location.origin})"
    page.evaluate(f"(flowId) => {{ {made}; flow.start(); {then} }}", flow_id)


def saved(page: Page) -> None:
    page.wait_for_function("() => flow.state.status.kind === 'saved'")


def test_jsc8_start_after_stop_keeps_the_pages_own_name(
    ada: Person, script: str, make_flow: MakeFlow
) -> None:
    """As React's StrictMode has it: else another tab takes over what is being typed."""
    flow_id = make_flow()
    first, second = ada.page, ada.new_page()
    for page in (first, second):
        page.goto("/status")
        page.evaluate(script)
    start(first, flow_id, "flow.stop(); flow.start()")
    saved(first)
    first.evaluate("flow.gather('title', {title: 'Pay'})")
    start(second, flow_id)
    saved(second)
    first.evaluate("flow.gather('title', {title: 'Pay nothing'}); flow.flush()")
    saved(first)
    second.wait_for_function("() => flow.state.document.title === 'Pay nothing'")
    assert rest(ada.daemon, "GET", f"/flows/{flow_id}")["document"]["title"] == "Pay nothing"
    assert first.evaluate("flow.state.document.title") == "Pay nothing"


def test_jsc7_what_is_unsent_is_sent_by_a_tab_that_nobody_looks_at(
    make_person: MakePerson, make_flow: MakeFlow, start_daemon: Callable[..., Daemon]
) -> None:
    """phoenix.js doesn't connect while its page is hidden."""
    daemon = start_daemon("--store", "sqlite:flows.sqlite")
    flow_id = make_flow(node("left", 0, 0), at=daemon)
    ada = make_person(daemon)
    ada.open(flow_id)
    ada.node("left").click()
    daemon.kill()
    expect(ada.status).to_contain_text("Offline")
    field = ada.page.get_by_label("Label")
    field.fill("written just before lunch")
    field.blur()
    ada.page.evaluate(HIDE)
    daemon.start()

    def is_sent() -> bool:
        ada.page.wait_for_timeout(100)  # the browser has its turn only while it is waited for
        label: str = stored_nodes(daemon, flow_id)["left"]["data"]["label"]
        return label == "written just before lunch"

    eventually(is_sent, "what was written is sent", SENT_WHILE_HIDDEN)


def test_jsc8_one_damaged_entry_hides_none_of_the_others(ada: Person, make_flow: MakeFlow) -> None:
    flow_id = make_flow(node("left", 0, 0))
    ada.page.goto("/status")
    ada.page.evaluate(
        """(flowId) => {
            const key = (name) => `helix-flows:op:${JSON.stringify([flowId, name, 1])}`;
            localStorage.setItem(key('aa'), '{"clientId":"aa","opId":1,"pa');
            localStorage.setItem(key('zz'), JSON.stringify(
                {clientId: 'zz', opId: 1, patch: {title: 'left unsent'}}));
        }""",
        flow_id,
    )
    ada.open(flow_id)
    expect(ada.page.get_by_label("Title of the flow")).to_have_value("left unsent")
    ada.sees_saved()
    assert rest(ada.daemon, "GET", f"/flows/{flow_id}")["document"]["title"] == "left unsent"


def test_jsc8_reload_right_after_the_first_opening_shows_what_is_unsent(
    ada: Person, make_flow: MakeFlow
) -> None:
    """A browser writes nothing to its database that a page asks for when it ends."""
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0))
    wire = Wire(ada.page)
    ada.open(flow_id)
    wire.cut()
    expect(ada.status).to_contain_text("Offline")
    ada.node("left").dblclick()
    ada.page.keyboard.type("typed in a tunnel")
    ada.page.reload()
    expect(ada.node("typed in a tunnel")).to_be_visible()
    expect(ada.status).to_have_text(re.compile(r"Offline, \d unsent"))
    wire.mend()
    ada.sees_saved()
    assert stored_nodes(ada.daemon, flow_id)["left"]["data"]["label"] == "typed in a tunnel"


def type_offline(person: Person, flow_id: str) -> Wire:
    """Type a label while there is no connection."""
    wire = Wire(person.page)
    person.open(flow_id)
    wire.cut()
    expect(person.status).to_contain_text("Offline")
    person.node("left").dblclick()
    person.page.keyboard.type("typed in a tunnel")
    return wire


def test_edi36_another_flows_page_sends_what_was_left_unsent(
    ada: Person, make_flow: MakeFlow
) -> None:
    flow_id, other = make_flow(node("left", 0, 0)), make_flow(node("other", 0, 0))
    wire = type_offline(ada, flow_id)
    wire.let()
    ada.open(other)
    ada.page.wait_for_function(f"() => {OPERATIONS}.length === 0")
    assert stored_nodes(ada.daemon, flow_id)["left"]["data"]["label"] == "typed in a tunnel"


def test_edi36_home_shows_which_flows_have_something_unsent(
    ada: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("left", 0, 0))
    wire = type_offline(ada, flow_id)
    ada.page.goto("/")
    card = ada.page.locator(".card", has=ada.page.locator(f"[href$='{flow_id}']"))
    expect(card.get_by_text("unsent change")).to_be_visible()
    wire.mend()
    expect(card.get_by_text("unsent change")).to_have_count(0)
    assert stored_nodes(ada.daemon, flow_id)["left"]["data"]["label"] == "typed in a tunnel"


def test_edi36_what_is_unsent_of_a_deleted_flow_stays_until_it_is_thrown_away(
    ada: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("left", 0, 0))
    wire = type_offline(ada, flow_id)
    rest(ada.daemon, "DELETE", f"/flows/{flow_id}")
    wire.let()
    ada.page.goto("/")
    offer = ada.page.get_by_label("Unsent changes of Orders")
    expect(offer).to_contain_text("that can't be sent")
    expect(offer).to_contain_text("deleted")
    with ada.page.expect_download() as saved_file:
        offer.get_by_role("button", name="Save as a file").click()
    assert "typed in a tunnel" in saved_file.value.path().read_text(encoding="utf-8")
    offer.get_by_role("button", name="Discard").click()
    expect(offer).to_have_count(0)
    ada.page.get_by_role("button", name="Undo").click()
    expect(offer).to_be_visible()
    offer.get_by_role("button", name="Discard").click()
    expect(offer).to_have_count(0)
    ada.page.reload()
    expect(
        ada.page.get_by_label("Flows", exact=True).or_(ada.page.locator(".empty"))
    ).to_be_visible()
    assert ada.page.evaluate(OPERATIONS) == []


def test_jsc8_storage_that_never_answers_is_done_without(ada: Person, make_flow: MakeFlow) -> None:
    """As WebKit's did."""
    flow_id = make_flow(node("left", 0, 0))
    ada.page.add_init_script("IDBFactory.prototype.open = () => ({})")
    ada.open(flow_id)
    expect(ada.node("left")).to_be_visible()
