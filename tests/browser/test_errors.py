"""What goes wrong: crashes, flows that are gone, full servers, browsers that keep nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MakeFlow, MakePerson, node, rest, stored_nodes
from tests.browser.person import Person
from tests.browser.wire import Wire
from tests.support.daemon import Daemon

BROKEN = "This browser's dialogs are broken"

BREAK_DIALOGS = f"""() => {{
    HTMLDialogElement.prototype.showModal = () => {{ throw new Error("{BROKEN}") }};
}}"""

NO_STORAGE = """
    const none = {get() { throw new DOMException('No', 'SecurityError') }};
    Object.defineProperty(window, 'localStorage', none);
    Object.defineProperty(window, 'indexedDB', none);
"""

FULL_STORAGE = """
    Storage.prototype.setItem = () => { throw new DOMException('Full', 'QuotaExceededError') };
    IDBObjectStore.prototype.put = () => { throw new DOMException('Full', 'QuotaExceededError') };
"""


def crash(person: Person) -> None:
    """Have the interface meet a browser that fails it."""
    person.page.evaluate(BREAK_DIALOGS)
    person.press("?")
    expect(person.page.get_by_role("heading", name="Something went wrong")).to_be_visible()
    assert person.complaints, "a crash is told to who looks for it"
    assert all(BROKEN in complaint for complaint in person.complaints)
    person.complaints.clear()


def test_edi14_crash_keeps_sends_and_hands_over_what_is_unsent(
    ada: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0))
    wire = Wire(ada.page)
    ada.open(flow_id)
    wire.cut()
    expect(ada.status).to_contain_text("Offline")
    ada.drag("left", (80, 160))
    expect(ada.status).to_have_text("Offline, 1 unsent")
    crash(ada)
    alert = ada.page.get_by_role("alert")
    expect(alert).to_contain_text("1 unsent change is kept in this browser")
    with ada.page.expect_download() as downloading:
        ada.button("Save a copy as a file").click()
    saved = json.loads(downloading.value.path().read_bytes())
    moved = saved["document"]["nodes"]["left"]["position"]
    assert moved["y"] > 80
    assert stored_nodes(daemon, flow_id)["left"]["position"] == {"x": 0, "y": 0}
    ada.button("Reload").click()
    expect(ada.node("left")).to_be_visible()
    expect(ada.status).to_contain_text("1 unsent")
    crash(ada)
    wire.mend()
    expect(alert).to_contain_text("All your changes are saved.")
    assert stored_nodes(daemon, flow_id)["left"]["position"] == moved
    ada.page.goto("/")
    ada.page.get_by_label("Files to import").set_input_files(downloading.value.path())
    expect(ada.page.locator(".toasts")).to_contain_text("Imported “Orders”")


def test_edi14_deleted_flow_says_by_whom_and_can_be_kept(
    ada: Person, bob: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    gone = make_flow(node("left", 0, 0), node("right", 480, 0))
    rest(daemon, "PATCH", f"/flows/{gone}", {"title": "Marmot"})
    ada.open(gone)
    bob.page.goto("/")
    bob.page.get_by_label("Search flows").fill("marmot")
    bob.page.get_by_role("link", name="Marmot").press("Delete")
    closed = ada.page.get_by_role("alertdialog")
    expect(closed).to_contain_text(f"{bob.name} deleted this flow")
    with ada.page.expect_download() as downloading:
        closed.get_by_role("button", name="Save as a file").click()
    assert set(json.loads(downloading.value.path().read_bytes())["document"]["nodes"]) == {
        "left",
        "right",
    }
    closed.get_by_role("button", name="Keep a copy").press("Enter")
    ada.page.wait_for_url(lambda url: not url.endswith(gone))
    expect(ada.page.locator(".react-flow__node")).to_have_count(2)
    assert rest(daemon, "GET", f"/flows/{ada.flow_id}")["title"] == "Marmot (Copy)"
    ada.page.goto(f"/flow/{gone}")
    expect(closed).to_contain_text("Somebody deleted this flow")


def test_edi14_addresses_that_name_no_flow_say_so(ada: Person) -> None:
    ada.page.goto("/flow/never-seen")
    ada.sees_saved()
    expect(ada.page.locator(".hint")).to_contain_text("This flow is empty")
    ada.page.goto(f"/flow/{'x' * 256}")
    expect(ada.page.get_by_role("alertdialog")).to_contain_text("Invalid flow identifier.")
    ada.page.goto("/flow/%ff")
    expect(ada.page.locator("h1")).to_have_text("Flow not found")
    ada.page.get_by_role("link", name="All flows").click()
    expect(ada.page.locator("h1")).to_have_text("Your flows")


def test_edi14_full_server_says_so_and_lets_one_in_later(
    make_person: MakePerson, make_flow: MakeFlow, start_daemon: Callable[..., Daemon]
) -> None:
    daemon = start_daemon("--store", "sqlite:flows.sqlite", "--max-clients-per-flow", "1")
    flow_id = make_flow(node("left", 0, 0), at=daemon)
    ada, bob = make_person(daemon), make_person(daemon)
    ada.open(flow_id)
    bob.page.goto(f"/flow/{flow_id}")
    alert = bob.page.get_by_role("alert")
    expect(alert).to_contain_text("This flow is full.")
    expect(alert.get_by_role("button", name="Try now")).to_be_visible()
    ada.page.close()
    bob.sees_saved()  # by itself: whoever presses the button may be late for it
    expect(alert).to_have_count(0)
    expect(bob.node("left")).to_be_visible()


@pytest.mark.parametrize("storage", [NO_STORAGE, FULL_STORAGE], ids=["none", "full"])
def test_edi14_browser_that_keeps_nothing_can_edit_and_warns(
    ada: Person, make_flow: MakeFlow, daemon: Daemon, storage: str
) -> None:
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0))
    ada.page.add_init_script(storage)
    wire = Wire(ada.page)
    ada.page.goto("/")
    expect(ada.page.locator(".card").first).to_be_visible()
    ada.open(flow_id)
    ada.drag("left", (80, 160))
    ada.sees_saved()
    assert stored_nodes(daemon, flow_id)["left"]["position"]["y"] > 80
    wire.cut()
    expect(ada.status).to_contain_text("Offline")
    ada.drag("right", (-80, 160))
    expect(ada.status).to_have_text("Offline, 1 not kept")
    expect(ada.page.locator(".toasts")).to_contain_text("This browser can't store changes")
    with ada.page.expect_event("dialog") as asking:
        ada.page.once("dialog", lambda dialog: dialog.dismiss())
        ada.page.evaluate("location.reload()")
    assert asking.value.type == "beforeunload"
    crash(ada)
    expect(ada.page.get_by_role("alert")).to_contain_text("1 unsent change is only in this window")
    wire.mend()
    expect(ada.page.get_by_role("alert")).to_contain_text("All your changes are saved.")
    assert stored_nodes(daemon, flow_id)["right"]["position"]["y"] > 80


def test_edi7_page_that_gets_no_connection_says_why(ada: Person, make_flow: MakeFlow) -> None:
    flow_id = make_flow(node("left", 0, 0))
    wire = Wire(ada.page)
    wire.cut()
    ada.page.goto(f"/flow/{flow_id}")
    alert = ada.page.get_by_role("alert")
    expect(alert).to_contain_text("something on the way blocks WebSockets", timeout=20_000)
    ada.page.route("**/socket/check", lambda route: route.fulfill(status=404, body="Not here"))
    ada.page.wait_for_timeout(3100)  # until the page asks again for the cause
    wire.say_online()  # else the next attempt may be half a minute away by now
    expect(alert).to_contain_text("isn't a Helix server", timeout=20_000)
    ada.complaints.clear()  # the browser's of what it found
    wire.let()
    alert.get_by_role("button", name="Try now").click()
    ada.sees_saved()
