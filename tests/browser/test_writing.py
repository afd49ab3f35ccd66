"""What one writes, in the properties, on the canvas and as the title, is what is kept."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MakeFlow, document_of, node, stored_nodes
from tests.browser.person import Person
from tests.browser.wire import Wire
from tests.support.daemon import Daemon


def stored_label(daemon: Daemon, flow_id: str, name: str) -> object:
    return stored_nodes(daemon, flow_id)[name]["data"].get("label")


@pytest.mark.case
def test_edi29_key_taken_out_of_a_json_field_goes_and_a_renamed_one_leaves_no_trail(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    headers = {"accept": "json", "x-key": "1", "deep": {"a": 1, "b": 2}}
    flow_id = make_flow(node("call", 0, 0, "api", headers=headers, limit=5, extra={"old": True}))
    for person in (ada, bob):
        person.open(flow_id)
    ada.node("call").click()
    field = ada.page.get_by_label("Headers")
    field.fill('{"accept": "json", "deep": {"a": 1}}')
    field.blur()
    data = document_of(ada)["nodes"]["call"]["data"]
    assert data["headers"] == {"accept": "json", "deep": {"a": 1}}
    # What somebody else has put there meanwhile stays.
    field.press("Control+Home")
    for _ in '{\n "accept':
        field.press("ArrowRight")
    field.press_sequentially("-al")
    bob.node("call").click()
    bob.page.get_by_label("Headers").fill('{"accept-al": "json", "deep": {"a": 1}, "bobs": "2"}')
    bob.page.get_by_label("Headers").blur()
    ada.sees_same_as(bob)
    field.press_sequentially("l")
    field.blur()
    # Also where the kind doesn't know the field, and of more than one node.
    ada.page.get_by_label("extra").fill('{"new": [{"id": null}]}')
    ada.page.get_by_label("limit").fill("64")
    ada.page.get_by_label("limit").blur()
    data = document_of(ada)["nodes"]["call"]["data"]
    assert data["headers"] == {"accept-all": "json", "deep": {"a": 1}, "bobs": "2"}
    assert data["extra"] == {"new": [{"id": None}]}
    assert data["limit"] == 64


def test_edi29_each_of_many_nodes_is_left_with_what_was_written(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.open(
        make_flow(
            node("one", 0, 0, "api", headers={"a": 1}), node("two", 480, 0, "api", headers=["x"])
        )
    )
    ada.press("Control+a")
    ada.page.get_by_label("Headers").fill('{"b": 2}')
    ada.page.get_by_label("Headers").blur()
    nodes = document_of(ada)["nodes"]
    assert [nodes[name]["data"]["headers"] for name in ("one", "two")] == [{"b": 2}, {"b": 2}]


def test_edi29_what_no_document_can_hold_stays_with_why(opened: Person) -> None:
    opened.node("left").click()
    opened.page.get_by_label("Kind").select_option("api")
    field = opened.page.get_by_label("Headers")
    for text, why in (
        ('{"a": {"b": null}}', "“b” can't be null: leave it out"),
        ('{"__proto__": 1}', "“__proto__” can't be used as a name"),
        ('{"a": [9007199254740993]}', "This number is too large to be stored exactly"),
        ('{"a": 1e999}', "This number is too large to be stored exactly"),
    ):
        field.fill(text)
        expect(opened.page.get_by_role("alert")).to_have_text(why)
    assert "headers" not in document_of(opened)["nodes"]["left"]["data"]
    field.fill('{"a": -1.5e15}')
    field.blur()
    assert document_of(opened)["nodes"]["left"]["data"]["headers"] == {"a": -1.5e15}


@pytest.mark.case
def test_edi30_label_is_kept_as_it_is_typed(ada: Person, bob: Person, make_flow: MakeFlow) -> None:
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0), edges=("left>right",))
    ada.open(flow_id)
    bob.open(flow_id)
    label = ada.page.get_by_label("New label")
    ada.node("left").dblclick()
    label.fill("ten minutes of thought")
    expect(bob.node("ten minutes of thought")).to_be_visible()
    ada.page.reload()
    ada.sees_saved()
    assert stored_label(ada.daemon, flow_id, "left") == "ten minutes of thought"
    ada.node("ten minutes").dblclick()
    label.press_sequentially("half")
    ada.press("Escape")
    expect(ada.node("ten minutes of thought")).to_be_focused()
    assert document_of(ada)["nodes"]["left"]["data"]["label"] == "ten minutes of thought"
    # Escape leaves alone what somebody else has called it since.
    ada.node("ten minutes").dblclick()
    label.fill("by ada")
    expect(bob.node("by ada")).to_be_visible()
    bob.node("by ada").dblclick()
    bob.page.get_by_label("New label").fill("by bob")
    bob.press("Enter")
    expect(ada.node("by bob")).to_be_visible()
    ada.press("Escape")
    ada.sees_same_as(bob)
    assert stored_label(ada.daemon, flow_id, "left") == "by bob"
    bob.press("Control+z")
    expect(ada.node("by ada")).to_be_visible()


def test_edi30_label_typed_offline_survives_the_page(ada: Person, make_flow: MakeFlow) -> None:
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0), edges=("left>right",))
    wire = Wire(ada.page)
    ada.open(flow_id)
    wire.cut()
    expect(ada.status).to_contain_text("Offline")
    ada.edge("left to right").focus()
    ada.press("Enter", "F2")
    ada.page.keyboard.type("yes")
    expect(ada.status).to_have_text("Offline, 1 unsent")
    ada.page.close()
    ada.page = ada.new_page()
    ada.open(flow_id)
    assert document_of(ada)["edges"]["left>right"]["label"] == "yes"


def test_edi30_escape_takes_back_a_title_that_is_still_ones_own(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("left", 0, 0))
    ada.open(flow_id)
    bob.open(flow_id)
    adas, bobs = (one.page.get_by_label("Title of the flow") for one in (ada, bob))
    adas.fill("Deliveries")
    expect(bobs).to_have_value("Deliveries")
    adas.press("Escape")
    expect(bobs).to_have_value("Orders")
    adas.fill("Deliveries")
    expect(bobs).to_have_value("Deliveries")
    bobs.fill("Stock")
    expect(adas).to_have_value("Stock")
    adas.press("Escape")
    bobs.blur()
    expect(adas).to_have_value("Stock")
    assert document_of(ada)["title"] == "Stock"
