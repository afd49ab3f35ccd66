"""What was, who made it, and what it is called."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import MakeFlow, document_of, node, rest
from tests.browser.person import Person


def test_edi11_version_is_named_found_by_its_name_and_restored(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    """By mouse: Ada gives names, which Bob sees at once."""
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0))
    ada.open(flow_id)
    bob.open(flow_id)
    bob.button("History").click()
    ada.button("History").click()
    ada.button("Name this version").click()
    ada.page.get_by_label("Name that everybody sees").fill("Before the launch")
    ada.button("Save").click()
    expect(bob.page.get_by_text("Before the launch")).to_be_visible()
    ada.node("left").click()
    ada.press("Delete")
    expect(bob.page.locator(".react-flow__node")).to_have_count(1)
    bob.button("Named versions").click()
    bob.page.get_by_role("menuitem", name="Before the launch").click()
    expect(bob.page.locator(".react-flow__node")).to_have_count(2)
    bob.button("Restore").click()
    expect(ada.page.locator(".react-flow__node")).to_have_count(2)
    assert set(document_of(ada)["nodes"]) == {"left", "right"}
    entries = rest(ada.daemon, "GET", f"/flows/{flow_id}/entries")["entries"]
    name = bob.page.evaluate("() => JSON.parse(localStorage['helix-person']).name")
    assert entries[-1]["by"] == name
    named = rest(ada.daemon, "GET", f"/flows/{flow_id}/versions")["versions"]
    assert [(one["version"], one["name"]) for one in named] == [(1, "Before the launch")]


def test_edi11_history_shows_the_title_of_then(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(make_flow(node("left", 0, 0)))
    title = ada.page.get_by_label("Title of the flow")
    expect(ada.page.locator(".count")).to_have_text("1 node · 0 edges")
    title.fill("Other")
    ada.press("Enter")
    ada.sees_saved()
    title.fill("Not this")
    ada.press("Escape")
    expect(title).to_have_value("Other")
    ada.press("Control+a", "Delete")
    ada.sees_saved()
    assert document_of(ada)["title"] == "Other"
    ada.press("Control+h", "Home", "ArrowRight")
    expect(title).to_have_value("Orders")
    expect(title).to_be_disabled()
    expect(ada.page.locator(".count")).to_have_text("1 node · 0 edges")
    ada.press("Escape")
    expect(title).to_have_value("Other")
    expect(title).to_be_enabled()


def test_edi11_version_is_named_renamed_and_unnamed_by_keys(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(make_flow(node("left", 0, 0), node("right", 480, 0)))
    ada.node("left").focus()
    ada.press("Enter")
    ada.press("Delete")
    ada.sees_saved()
    ada.press("Control+h")
    slider = ada.page.get_by_label("Version", exact=True)
    slider.focus()
    ada.press("ArrowLeft")
    expect(ada.page.locator(".react-flow__node")).to_have_count(2)
    ada.press("Tab")
    expect(ada.button("Name this version")).to_be_focused()
    for name in ("First", "The very first"):
        ada.press("Enter")
        ada.page.keyboard.press("Control+a")
        ada.page.keyboard.type(name)
        ada.press("Enter")
        expect(ada.page.locator(".timeline b")).to_have_text(name)
        expect(ada.button("Name this version")).to_be_focused()
    read = "Version 1, The very first. Somebody, just now"
    expect(slider).to_have_attribute("aria-valuetext", read)
    ada.press("Enter")
    ada.button("Remove the name").focus()
    ada.press("Enter")
    expect(ada.page.locator(".timeline b")).to_have_text("Earlier · version 1")
    assert rest(ada.daemon, "GET", f"/flows/{ada.flow_id}/versions")["versions"] == []
    ada.button("Restore").focus()
    ada.press("Enter")
    expect(ada.page.locator(".palette")).to_be_visible()
    expect(ada.page.locator(".react-flow__node")).to_have_count(2)
