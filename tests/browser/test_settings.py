"""What nodes of each kind hold, in forms made from one file. (EDI53)"""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from helix.documents.kinds import load_kinds
from tests.browser.chromium import Chromium
from tests.browser.conftest import MakeFlow, MakePerson, document_of, node
from tests.browser.person import Person
from tests.browser.test_canvas import AXE
from tests.support.watched import eventually

KINDS = load_kinds()

VALUES: dict[str, tuple[str, object]] = {
    "text": ("some words", "some words"),
    "prompt": ("Two\nlines", "Two\nlines"),
    "code": ("a > 1", "a > 1"),
    "list": ("one\ntwo", ["one", "two"]),
    "json": ('{"a": [1]}', {"a": [1]}),
}
"""What is written into a field of a type, and what is kept then."""


def open_groups(person: Person) -> None:
    """Open all groups of fields."""
    closed = person.page.locator(".properties details:not([open]) > summary")
    for _ in range(closed.count()):
        closed.first.click()
    expect(closed).to_have_count(0)


def field(person: Person, label: str) -> Locator:
    fields = person.page.locator(".properties :is(input, textarea, select)")
    return fields.and_(person.page.get_by_label(label, exact=True))


def write(person: Person, one: dict[str, Any]) -> object:
    """Fill a field in, and give what is to be kept."""
    label = one["label"] + (", one per line" if one["type"] == "list" else "")
    if one["type"] == "choice":
        value = list(one["options"])[-1]
        field(person, label).select_option(value)
    elif one["type"] == "switch":
        field(person, label).select_option("false")
        value = False
    elif one["type"] == "number":
        value = one["max"] if one.get("step") == 1 else one["min"]
        field(person, label).fill(f"{value:.1f}".removesuffix(".0"))
    elif one["type"] == "links":
        link = person.page.get_by_role("group", name=label).get_by_label("a skill")
        link.click()
        expect(link).to_be_checked()
        value = ["linked"]
    else:
        text, value = VALUES[one["type"]]
        field(person, label).fill(text)
    return value


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind["type"])
def test_edi53_every_field_of_a_kind_is_kept(
    make_person: MakePerson, make_flow: MakeFlow, chromium: Chromium, kind: dict[str, Any]
) -> None:
    ada = make_person(bypass_csp=True, reduced_motion="reduce")
    linked = node("linked", 0, 200, "skill", label="a skill")
    ada.open(make_flow(node("one", 0, 0, kind["type"]), linked))
    ada.node("one").click()
    open_groups(ada)
    fields = [one for group in kind["groups"] for one in group["fields"]]
    wanted = {one["name"]: write(ada, one) for one in fields}
    ada.page.locator(".properties :focus").blur()
    assert document_of(ada)["nodes"]["one"]["data"] == {"label": "one"} | wanted
    ada.page.evaluate(chromium.axe)
    assert ada.page.evaluate(AXE) == []


def test_edi53_numbers_out_of_their_bounds_say_so_and_are_not_sent(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(make_flow(node("one", 0, 0, temperature=0.5, max_tokens=100)))
    ada.node("one").click()
    for label, text, fault in (
        ("Temperature", "3", "At most 2"),
        ("Temperature", "-1", "At least 0"),
        ("Token limit", "1.5", "Enter a whole number"),
    ):
        field(ada, label).fill(text)
        field(ada, label).blur()
        alert = ada.page.locator(".properties").get_by_role("alert")
        expect(alert).to_have_text(fault)
        expect(field(ada, label)).to_have_attribute("aria-invalid", "true")
        field(ada, label).press("Escape")
        expect(alert).to_have_count(0)
    data = document_of(ada)["nodes"]["one"]["data"]
    assert (data["temperature"], data["max_tokens"]) == (0.5, 100)


def test_edi53_odd_values_are_edited_as_they_are(ada: Person, make_flow: MakeFlow) -> None:
    odd: dict[str, Any] = {
        "model": {"deep": [1]},
        "instructions": 5,
        "tools": "search",
        "temperature": [1],
        "skills": 7,
        "provider": True,
        "mine": {"x": 1},
    }
    ada.open(make_flow(node("one", 0, 0, **odd), node("two", 480, 0)))
    ada.node("one").click()
    expect(field(ada, "Model")).to_have_value('{\n "deep": [\n  1\n ]\n}')
    field(ada, "Instructions").fill("6")
    field(ada, "mine").fill('{"x": 2}')
    field(ada, "mine").blur()
    changed = odd | {"instructions": 6, "mine": {"x": 2}}
    assert document_of(ada)["nodes"]["one"]["data"] == {"label": "one"} | changed


def test_edi53_linked_skills_follow_copies(ada: Person, make_flow: MakeFlow) -> None:
    ada.open(make_flow(node("one", 0, 0, skills=["two", "gone"]), node("two", 480, 0, "skill")))
    ada.node("one").click()
    expect(ada.page.get_by_role("group", name="Linked skills")).to_contain_text(
        "Not in this flow: gone"
    )
    ada.press("Escape", "Control+a", "Control+d")
    ada.hears("Duplicated 2 nodes")
    nodes = document_of(ada)["nodes"]
    (agent,) = (one for key, one in nodes.items() if one["type"] == "agent" and key != "one")
    (skill,) = (key for key, one in nodes.items() if one["type"] == "skill" and key != "two")
    assert agent["data"]["skills"] == [skill, "gone"]


def test_edi53_nodes_are_found_by_labels_and_values_of_fields(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(make_flow(node("one", 0, 0, provider="azure"), node("two", 480, 0, "api", retries=3)))
    for typed, name in (("azure openai", "one"), ("retries 3", "two")):
        ada.press("Control+f")
        ada.page.get_by_role("dialog").get_by_role("combobox").fill(typed)
        expect(ada.page.get_by_role("dialog").get_by_role("option")).to_have_count(1)
        ada.press("Enter")
        expect(ada.selected).to_contain_text(name)


DRAWN = """async () => {
    // What is still on its way in would be elsewhere than where it comes to rest.
    await Promise.allSettled(document.getAnimations().map((one) => one.finished));
    return ['.palette .find svg', '.properties .help', '.pair input'].map((one) => {
        const {x, y, width, height} = document.querySelector(one).getBoundingClientRect();
        return [x, y, width, height];
    });
}"""


def test_edi53_fields_look_the_same_whether_one_comes_from_home(
    ada: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("one", 0, 0))
    ada.open(flow_id)
    ada.node("one").click()
    expect(ada.page.locator(".properties .help").first).to_be_visible()
    ada.sees_no_motion()
    before = ada.page.evaluate(DRAWN)
    ada.page.goto("/")
    ada.page.locator(f".card [href$='{flow_id}']").click()
    ada.sees_saved()
    ada.node("one").click()
    expect(ada.page.locator(".properties .help").first).to_be_visible()
    eventually(lambda: ada.page.evaluate(DRAWN) == before, "fields as before")


def test_edi53_what_is_wrong_with_a_field_leaves_the_one_beside_it_alone(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(make_flow(node("one", 0, 0)))
    ada.node("one").click()
    field(ada, "X").fill("3e")
    expect(ada.page.get_by_role("alert")).to_be_visible()
    ada.sees_no_motion()
    faulty, other = field(ada, "X").bounding_box(), field(ada, "Y").bounding_box()
    assert faulty is not None
    assert other is not None
    assert (faulty["y"], faulty["height"]) == (other["y"], other["height"])
