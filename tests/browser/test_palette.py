"""The palette's groups, and templates in open flows. (EDI50, EDI51)"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import Chromium
from tests.browser.conftest import MakeFlow, MakePerson, document_of, node, rest
from tests.browser.person import Person
from tests.browser.test_canvas import AXE
from tests.browser.test_placing import overlapping


def test_edi51_groups_are_closed_for_the_next_visit_too(opened: Person) -> None:
    palette = opened.page.locator(".palette")
    agent = palette.get_by_role("button", name="Agent", exact=True)
    expect(palette.get_by_role("heading", level=3)).to_have_text(["Think", "In and out", "Control"])
    palette.get_by_text("Think").click()
    expect(agent).to_be_hidden()
    opened.page.reload()
    opened.sees_saved()  # nothing can be added before
    expect(palette.get_by_role("button", name="Sensor", exact=True)).to_be_visible()
    expect(agent).to_be_hidden()
    palette.locator("summary").first.focus()
    opened.press("Enter")
    expect(agent).to_be_visible()
    opened.press("ArrowDown", "ArrowDown", "Enter")
    opened.hears("Added Skill")


def test_edi51_kinds_are_found_by_letters(opened: Person) -> None:
    palette = opened.page.locator(".palette")
    field = palette.get_by_label("Find a node to add")
    kinds = palette.locator(".kinds button")
    field.fill("language model")
    expect(kinds).to_have_text(["Agent"])
    field.fill("retries")
    expect(kinds).to_have_text(["Sensor", "Skill", "API"])
    field.press("ArrowDown")
    expect(kinds.first).to_be_focused()
    field.fill("zzz")
    expect(palette).to_contain_text("No nodes match.")
    field.press("Enter")
    field.press("Escape")
    expect(kinds).to_have_count(10)
    field.fill("mem")
    field.press("Enter")
    opened.hears("Added Memory")
    expect(field).to_have_value("")
    assert len(document_of(opened)["nodes"]) == 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edi13_palette_and_templates_have_nothing_that_axe_finds(
    make_person: MakePerson, make_flow: MakeFlow, chromium: Chromium, theme: str
) -> None:
    opened = make_person(color_scheme=theme, bypass_csp=True, reduced_motion="reduce")
    opened.open(make_flow(node("left", 0, 0)))
    opened.page.evaluate(chromium.axe)
    opened.page.locator(".palette input").fill("re")
    assert opened.page.evaluate(AXE) == []
    opened.page.locator(".palette input").fill("")
    opened.button("Insert a template").click()
    expect(opened.page.get_by_role("option")).to_have_count(16)
    assert opened.page.evaluate(AXE) == []


@pytest.mark.parametrize("way", ["palette", "key", "menu"])
def test_edi50_template_is_inserted_whole_and_taken_back_in_one_step(
    ada: Person, make_flow: MakeFlow, way: str
) -> None:
    ada.open(make_flow(node("left", 0, 0), node("right", 480, 0), edges=("left>right",)))
    if way == "palette":
        ada.button("Insert a template").click()
    elif way == "key":
        ada.press("Alt+i")
    else:
        ada.button("More").click()
        ada.choose("Insert a template")
    ada.page.get_by_role("combobox").fill("ticket tri")
    ada.press("Enter")
    template = rest(ada.daemon, "GET", "/templates/ticket-triage")["document"]
    count = len(template["nodes"])
    ada.hears(f"Inserted “Ticket triage”: {count} nodes and {len(template['edges'])} edges")
    expect(ada.selected).to_have_count(count)
    ada.resting_view()
    for one in ada.selected.all():
        expect(one).to_be_in_viewport()
    document = document_of(ada)
    assert len(document["nodes"]) == count + 2
    assert len(document["edges"]) == len(template["edges"]) + 1
    assert set(document["nodes"]).isdisjoint(template["nodes"])
    assert overlapping(document["nodes"]) == []
    labels = {one["data"]["label"] for one in document["nodes"].values()}
    assert labels == {one["data"]["label"] for one in template["nodes"].values()} | {
        "left",
        "right",
    }
    ada.press("Control+z")
    expect(ada.page.locator(".react-flow__node")).to_have_count(2)
    expect(ada.page.locator(".react-flow__edge")).to_have_count(1)


def test_edi50_templates_that_cant_be_had_are_told_of(opened: Person) -> None:
    opened.page.route("**/api/templates", lambda route: route.abort())
    opened.press("Alt+i")
    expect(opened.page.get_by_role("dialog")).to_contain_text("Couldn't load the templates")
    opened.press("Escape")
    opened.page.unroute("**/api/templates")
    opened.page.route("**/api/templates/*", lambda route: route.abort())
    opened.press("Alt+i")
    opened.page.get_by_role("option", name="Ticket triage").click()
    expect(opened.page.locator(".toast")).to_contain_text("Couldn't insert “Ticket triage”")
    assert len(document_of(opened)["nodes"]) == 2
