"""Two people in one field: each sees what the other writes, and nothing of either is lost."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import MakeFlow, MakePerson, document_of, node, stored_nodes
from tests.browser.person import Person
from tests.browser.wire import Wire

COUNT = 200
"""Words that each of two people writes."""

WORDS = [
    "sort",
    "mail",
    "by",
    "size",
    "and",
    "date",
    "then",
    "tell",
    "whoever",
    "asked",
    "when",
    "nothing",
    "is",
    "left",
    "over",
]

TYPE = """([label, words, seed]) => new Promise((done) => {
    const field = [...document.querySelectorAll('.field')]
        .find((one) => one.querySelector('label').textContent === label)
        .querySelector('textarea, input');
    const keys = words.flatMap((word) => [` ${word.slice(0, 3)}`, `${word.slice(3)} `]);
    let random = seed;
    const key = () => {
        if (keys.length === 0) { done(field.selectionStart); return; }
        document.execCommand('insertText', false, keys.shift());
        random = (random * 48271) % 2147483647;
        setTimeout(key, random % 50);
    };
    field.focus();
    key();
})"""
"""Types words, by halves, as the browser itself would: where the caret is."""


def words_of(name: str) -> list[str]:
    """What somebody writes; no two words are the same."""
    chance = random.Random(name)
    return [f"{name}{n}{chance.choice(WORDS)}" for n in range(COUNT)]


def put_caret(field: Locator, place: int) -> None:
    field.evaluate(
        "(field, place) => { field.focus(); field.setSelectionRange(place, place); }", place
    )


def type_at_once(people: Sequence[Person], label: str, texts: Sequence[list[str]]) -> None:
    """Let people type at the same time, each where their caret is."""
    for n, (person, words) in enumerate(zip(people, texts, strict=True)):
        person.page.evaluate(
            f"(given) => {{ ({TYPE})(given).then(() => {{ window.typed = true; }}); }}",
            [label, words, 17 + n],
        )
    for person in people:
        person.page.wait_for_function("() => window.typed === true", timeout=60_000)
        person.page.evaluate("window.typed = false")


@pytest.fixture
def both(make_person: MakePerson, make_flow: MakeFlow) -> Callable[[str], list[Person]]:
    """Gives two people who have opened one agent with instructions."""

    def make(instructions: str) -> list[Person]:
        flow_id = make_flow(node("left", 0, 0, instructions=instructions))
        people = [make_person(), make_person()]
        for person in people:
            person.open(flow_id)
            person.node("left").click()
        return people

    return make


@pytest.mark.case
@pytest.mark.parametrize("where", ["apart", "together"])
def test_edi37_two_people_write_200_words_each_into_one_prompt(
    both: Callable[[str], list[Person]], where: str
) -> None:
    begun = "Read the mail. Answer it." if where == "apart" else ""
    people = both(begun)
    fields = [person.page.get_by_label("Instructions") for person in people]
    if where == "apart":
        put_caret(fields[0], len("Read the mail."))
        put_caret(fields[1], len(begun))
    texts = [words_of("ada"), words_of("bob")]
    type_at_once(people, "Instructions", texts)
    for person in people:
        person.sees_saved()
    stored = str(document_of(people[0])["nodes"]["left"]["data"]["instructions"])
    for field in fields:
        expect(field).to_have_value(stored)
    assert [word for text in texts for word in text if word not in stored.split()] == []
    typed = sum(len(word) + 2 for text in texts for word in text)
    assert len(stored) == len(begun) + typed
    for text in texts:
        # Each goes on where they were: their words are in their order.
        places = [stored.index(f" {word} ") for word in text]
        assert places == sorted(places)


def test_edi37_field_shows_what_comes_in_and_the_caret_stays_in_its_place(
    both: Callable[[str], list[Person]],
) -> None:
    ada, bob = both("one two")
    adas, bobs = (person.page.get_by_label("Instructions") for person in (ada, bob))
    put_caret(adas, len("one"))
    ada.page.keyboard.type(" and")
    expect(bobs).to_have_value("one and two")
    put_caret(bobs, 0)
    bob.page.keyboard.type("zero ")
    expect(adas).to_have_value("zero one and two")
    ada.page.keyboard.type(" a half")
    expect(bobs).to_have_value("zero one and a half two")
    assert adas.evaluate("(field) => field.selectionStart") == len("zero one and a half")
    # What isn't typed isn't written, whatever the field showed when one came.
    adas.blur()
    bobs.blur()
    version = """async () =>
        (await (await fetch(location.href.replace('/flow/', '/api/flows/'))).json()).version"""
    ada.sees_saved()
    bob.sees_saved()
    before = ada.page.evaluate(version)
    for label in ("Label", "Instructions", "Kind", "X", "Width"):
        ada.page.get_by_label(label, exact=True).focus()
        ada.page.get_by_label(label, exact=True).blur()
    ada.sees_saved()
    assert ada.page.evaluate(version) == before


def test_edi37_what_two_people_write_offline_in_one_prompt_is_both_there(
    both: Callable[[str], list[Person]],
) -> None:
    people = both("Read the mail.")
    wires = [Wire(person.page) for person in people]
    for person in people:
        person.page.reload()
        person.sees_saved()
        person.node("left").click()
    for person, wire, text in zip(people, wires, (" Sort it.", " Answer it."), strict=True):
        wire.cut()
        expect(person.status).to_contain_text("Offline")
        field = person.page.get_by_label("Instructions")
        put_caret(field, len("Read the mail."))
        person.page.keyboard.type(text)
        field.blur()
        expect(person.status).to_contain_text("unsent")
    for wire in wires:
        wire.mend()
    people[0].sees_same_as(people[1])
    stored = stored_nodes(people[0].daemon, people[0].flow_id)["left"]["data"]["instructions"]
    assert stored in ("Read the mail. Sort it. Answer it.", "Read the mail. Answer it. Sort it.")
    for person in people:
        expect(person.page.get_by_label("Instructions")).to_have_value(stored)


def test_edi38_same_words_changed_by_both_are_kept_twice_and_it_is_said(
    both: Callable[[str], list[Person]],
) -> None:
    ada, bob = both("Sort by size")
    wire = Wire(ada.page)
    ada.page.reload()
    ada.sees_saved()
    ada.node("left").click()
    wire.cut()
    expect(ada.status).to_contain_text("Offline")
    ada.page.get_by_label("Instructions").fill("Sort by date")
    bob.page.get_by_label("Instructions").fill("Sort by name")
    bob.sees_saved()
    wire.mend()
    expect(ada.page.get_by_label("Instructions")).to_have_value("Sort by date name")
    told = "You and somebody else changed the same words in “Instructions” of “left”."
    expect(ada.page.get_by_role("status").get_by_text(told)).to_be_visible()
    expect(bob.page.get_by_label("Instructions")).to_have_value("Sort by date name")


def test_edi38_enter_without_typing_takes_nothing_back(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0), edges=("left>right",))
    for person in (ada, bob):
        person.open(flow_id)
    label = ada.page.get_by_label("New label")
    ada.node("left").dblclick()
    bob.node("left").dblclick()
    bob.page.get_by_label("New label").fill("by bob")
    expect(label).to_have_value("by bob")
    ada.press("Enter")
    bob.press("Enter")
    ada.sees_same_as(bob)
    assert stored_nodes(ada.daemon, flow_id)["left"]["data"]["label"] == "by bob"
    # Escape takes back what one has typed, and leaves what the other has.
    ada.node("by bob").dblclick()
    ada.press("End")
    ada.page.keyboard.type(", by ada")
    bob.node("by bob, by ada").dblclick()
    bob.press("Home")
    bob.page.keyboard.type("made ")
    expect(label).to_have_value("made by bob, by ada")
    ada.press("Escape")
    expect(bob.page.get_by_label("New label")).to_have_value("made by bob")


def test_edi38_what_an_input_method_composes_is_ended_by_it_alone(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("left", 0, 0))
    for person in (ada, bob):
        person.open(flow_id)
    cdp = ada.context.new_cdp_session(ada.page)
    label = ada.page.get_by_label("New label")
    ada.node("left").dblclick()
    ada.press("End")
    cdp.send("Input.imeSetComposition", {"text": "に", "selectionStart": 1, "selectionEnd": 1})
    bob.node("left").dblclick()
    bob.press("Home")
    bob.page.keyboard.type("to ")
    expect(ada.node("to left")).to_be_visible()
    cdp.send("Input.imeSetComposition", {"text": "日本", "selectionStart": 2, "selectionEnd": 2})
    # Enter chooses the word: to browsers it is a key of the input method.
    label.dispatch_event(
        "keydown", {"key": "Enter", "keyCode": 229, "isComposing": True, "bubbles": True}
    )
    expect(label).to_be_focused()
    cdp.send("Input.insertText", {"text": "日本"})
    expect(label).to_have_value("to left日本")
    ada.press("Enter")
    expect(label).to_be_hidden()
    bob.press("Escape")
    expect(ada.node("to left")).to_have_count(0)
    assert document_of(ada)["nodes"]["left"]["data"]["label"] == "left日本"


def test_edi39_two_people_edit_two_keys_of_one_object(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("call", 0, 0, "api", headers={"accept": "json", "x-key": "1"}))
    fields = []
    for person in (ada, bob):
        person.open(flow_id)
        person.node("call").click()
        fields.append(person.page.get_by_label("Headers"))
    adas, bobs = fields
    # While what one has typed is no JSON yet, what the other does comes in all the same.
    put_caret(adas, len('{\n "accept": "json'))
    ada.page.keyboard.type('", "x-new": "2')
    put_caret(adas, len('{\n "accept": "json", "x-new": "2"'))
    ada.page.keyboard.type(', "half')
    expect(ada.page.get_by_role("alert")).to_contain_text("Invalid JSON")
    bobs.fill('{"accept": "json", "x-key": "one", "x-new": "2"}')
    expect(adas).to_have_value('{\n "accept": "json", "x-new": "2", "half,\n "x-key": "one"\n}')
    ada.page.keyboard.type('": "3"')
    adas.blur()
    bobs.blur()
    document = document_of(ada)
    assert document["nodes"]["call"]["data"]["headers"] == {
        "accept": "json",
        "x-new": "2",
        "half": "3",
        "x-key": "one",
    }


def test_edi39_number_that_is_half_typed_says_what_somebody_else_has_set(
    ada: Person, bob: Person, make_flow: MakeFlow
) -> None:
    flow_id = make_flow(node("left", 0, 0))
    fields = []
    for person in (ada, bob):
        person.open(flow_id)
        person.node("left").click()
        fields.append(person.page.get_by_label("X", exact=True))
    adas, bobs = fields
    adas.fill("24")
    expect(bobs).to_have_value("24")
    bobs.fill("32")
    expect(adas).to_have_value("32")
    adas.fill("3e")
    bobs.fill("48")
    expect(ada.page.get_by_text("Somebody else set it to 48")).to_be_visible()
    expect(adas).to_have_value("3e")
    ada.press("Escape")
    expect(adas).to_have_value("48")
