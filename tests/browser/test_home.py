"""Home: the flows as cards, by mouse and by keyboard, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import MakeFlow, MakePerson, node, rest
from tests.browser.person import Person
from tests.support.daemon import Daemon
from tests.support.watched import eventually

MANY = 500

KEPT = json.dumps(
    {
        "nodes": [
            {"id": "a", "position": {"x": 0, "y": 0}, "data": {"label": "First"}},
            {"id": "b", "data": {}},
        ],
        "edges": [{"id": "e", "source": "a", "target": "nowhere"}],
    }
)
"""A flow as an earlier editor kept it, with an edge to no node."""

OUTSIDE = """(pictures) => pictures.filter((svg) => {
    const {x, y, width, height} = svg.viewBox.baseVal;
    const boxes = [...svg.children].map((one) => one.getBBox());
    return boxes.some((box) => box.x < x || box.y < y || box.x + box.width > x + width
        || box.y + box.height > y + height);
}).length"""

DROP = """([name, files]) => {
    const dataTransfer = new DataTransfer();
    for (const [fileName, text] of files) {
        dataTransfer.items.add(new File([text], fileName));
    }
    const where = document.querySelector('.home main');
    where.dispatchEvent(new DragEvent(name, {dataTransfer, bubbles: true, cancelable: true}));
}"""


class Home:
    """Somebody before the flows."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.page = person.page
        self.page.clock.install()
        self.page.goto("/")
        expect(
            self.page.get_by_label("Flows", exact=True).or_(self.page.locator(".empty"))
        ).to_be_visible()

    @property
    def cards(self) -> Locator:
        return self.page.get_by_label("Flows", exact=True).locator(".card")

    def find(self, words: str, count: int) -> None:
        """Search, and wait until that many are found."""
        self.page.get_by_label("Search flows").fill(words)
        expect(self.cards).to_have_count(count)

    def look_again(self) -> None:
        """Let the time pass until the flows are looked at again."""
        self.page.clock.fast_forward(5_000)

    def choose(self, card: Locator, item: str) -> None:
        card.get_by_role("button", name="Actions for").click()
        self.page.get_by_role("menuitem", name=item).click()

    def is_told(self, words: str) -> None:
        expect(self.page.locator(".toasts").get_by_text(words)).to_be_visible()


def titles(daemon: Daemon, words: str) -> list[str]:
    """The titles of the flows that the server finds."""
    return sorted(flow["title"] for flow in rest(daemon, "GET", f"/flows?q={words}")["flows"])


def last_entry(daemon: Daemon, flow_id: str) -> dict[str, Any]:
    entry: dict[str, Any] = rest(daemon, "GET", f"/flows/{flow_id}/entries")["entries"][-1]
    return entry


def titled(make_flow: MakeFlow, daemon: Daemon, title: str) -> str:
    flow_id = make_flow(node("a", 0, 0))
    rest(daemon, "PATCH", f"/flows/{flow_id}", {"title": title})
    return flow_id


def test_edi5_many_flows_none_and_a_server_that_is_gone(
    make_person: MakePerson, start_daemon: Callable[..., Daemon]
) -> None:
    daemon = start_daemon("--store", "sqlite:flows.sqlite", "--max-creations-per-second", "10000")
    home = Home(make_person(daemon))
    expect(home.page.locator(".empty")).to_contain_text("No flows yet")
    expect(home.person.button("Create your first flow")).to_be_visible()

    def make(number: int) -> None:
        rest(daemon, "POST", "/flows", {"document": {"title": f"Flow {number}"}})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(1, MANY + 1)))
    drawn: list[str] = []
    home.page.on("request", lambda one: drawn.append(one.url) if "/api/flows/" in one.url else None)
    home.page.reload()
    home.page.get_by_label("Sort by").select_option("title")
    expect(home.cards.first).to_contain_text("Flow 1")
    expect(home.cards.nth(1)).to_contain_text("Flow 2")
    assert 0 < home.cards.count() < MANY / 4
    assert len(drawn) < MANY / 4
    before = home.cards.count()
    home.person.button(f"Show more of {MANY - before}").focus()
    home.person.press("Enter")
    expect(home.cards.nth(before)).to_be_attached()
    with home.page.expect_response(lambda one: "/api/flows?" in one.url and one.status == 304):
        home.look_again()  # nothing has changed, and nothing is sent again
    expect(home.cards.first).to_contain_text("Flow 1")
    home.find("Flow 499", 1)
    home.page.reload()
    expect(home.page.get_by_label("Sort by")).to_have_value("title")
    expect(home.cards.first).to_contain_text("Flow 1")
    daemon.stop()
    home.look_again()
    expect(home.page.get_by_role("alert")).to_contain_text("The server can't be reached.")
    expect(home.cards.first).to_contain_text("Flow 1")
    home.cards.first.locator(".open").press("Delete")
    home.is_told("Couldn't delete “Flow 1”: The server can't be reached.")
    daemon.start()
    home.person.button("Try now").click()
    expect(home.page.get_by_role("alert")).to_have_count(0)
    home.page.route("**/api/flows?*", lambda route: route.abort())
    home.page.reload()
    expect(home.page.get_by_role("alert")).to_contain_text("Trying again automatically.")
    home.page.unroute("**/api/flows?*")
    home.look_again()
    expect(home.cards.first).to_contain_text("Flow 1")


def test_edi5_flows_are_handled_by_mouse(ada: Person, make_flow: MakeFlow, daemon: Daemon) -> None:
    titled(make_flow, daemon, "Zebra")
    home = Home(ada)
    home.find("zebra", 1)
    home.choose(home.cards.first, "Rename")
    ada.page.get_by_role("textbox", name="Title").fill("Zebra crossing")
    ada.page.locator("h1").click()
    expect(home.cards.first).to_contain_text("Zebra crossing")
    assert titles(daemon, "zebra") == ["Zebra crossing"]
    home.choose(home.cards.first, "Duplicate")
    expect(home.cards).to_have_count(2)
    assert titles(daemon, "zebra") == ["Zebra crossing", "Zebra crossing (Copy)"]
    for flow in rest(daemon, "GET", "/flows?q=zebra")["flows"]:
        assert last_entry(daemon, flow["id"])["by"] == ada.name
    home.choose(home.cards.first, "Delete")
    expect(home.cards).to_have_count(1)
    assert len(titles(daemon, "zebra")) == 1
    ada.page.locator(".toasts").get_by_role("button", name="Undo").click()
    expect(home.cards).to_have_count(2)
    assert titles(daemon, "zebra") == ["Zebra crossing", "Zebra crossing (Copy)"]
    with ada.page.expect_download() as downloading:
        home.choose(home.cards.first, "Save as a file")
    assert json.loads(downloading.value.path().read_bytes())["format"] == "helix-flow"
    home.find("there is none", 0)
    expect(ada.page.locator(".empty")).to_contain_text("No flow has “there is none”")
    ada.button("New flow").click()
    ada.sees_saved()
    assert rest(daemon, "GET", f"/flows/{ada.flow_id}")["document"]["nodes"] == {}
    assert last_entry(daemon, ada.flow_id)["by"] == ada.name


def test_edi5_flows_are_handled_by_keyboard(
    ada: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    titled(make_flow, daemon, "A yak one")
    titled(make_flow, daemon, "A yak two")
    home = Home(ada)
    ada.press("/")
    ada.page.keyboard.type("a yak")  # with a space, which no flow's id has
    expect(ada.page.get_by_label("Search flows")).to_have_value("a yak")
    expect(home.cards).to_have_count(2)
    ada.press("Escape")
    expect(ada.page.get_by_label("Search flows")).to_have_value("")
    ada.press("Control+k")
    ada.page.keyboard.type("a yak")
    expect(home.cards).to_have_count(2)
    home.cards.first.locator(".open").focus()
    ada.press("F2")
    ada.page.keyboard.type("A yak three")
    ada.press("Enter")
    expect(home.cards.first.locator(".open")).to_be_focused()
    expect(home.cards.first).to_contain_text("A yak three")
    ada.press("F2")
    ada.page.keyboard.type("nothing")
    ada.press("Escape")
    ada.press("Tab")
    ada.press("Enter")
    ada.press("ArrowDown")
    ada.press("Enter")
    expect(home.cards).to_have_count(3)
    assert titles(daemon, "a%20yak") == ["A yak one", "A yak three", "A yak three (Copy)"]
    home.cards.first.locator(".open").focus()
    expect(home.cards.first).to_contain_text("A yak three (Copy)")
    ada.press("Delete")
    expect(home.cards).to_have_count(2)
    expect(home.cards.first.locator(".open")).to_be_focused()
    assert titles(daemon, "a%20yak") == ["A yak one", "A yak three"]
    ada.press("Control+z")
    expect(home.cards).to_have_count(3)
    home.cards.first.locator(".open").focus()
    ada.press("Enter")
    ada.sees_saved()
    ada.page.go_back()
    ada.button("New flow").focus()
    ada.press("Enter")
    ada.sees_saved()
    assert rest(daemon, "GET", f"/flows/{ada.flow_id}")["title"] == "Untitled flow"


def test_edi5_every_template_is_drawn_looked_at_and_used(ada: Person, daemon: Daemon) -> None:
    home = Home(ada)
    templates = rest(daemon, "GET", "/templates")["templates"]
    assert len(templates) == 16
    shown = ada.page.get_by_label("Templates", exact=True)
    for template in templates:
        document = rest(daemon, "GET", f"/templates/{template['id']}")["document"]
        shown.get_by_role("button", name=template["name"], exact=True).click()
        dialog = ada.page.get_by_role("dialog", name=template["name"])
        expect(dialog).to_contain_text(template["description"])
        expect(dialog).to_contain_text(f"{len(document['nodes'])} nodes")
        expect(dialog.locator(".mini-node")).to_have_count(len(document["nodes"]))
        ada.press("Escape")
        expect(dialog).to_have_count(0)
    expect(shown.locator(".mini-edge").last).to_be_attached()
    assert shown.locator(".picture").evaluate_all(OUTSIDE) == 0
    assert (
        shown.locator(".category").first.evaluate(
            "(one) => getComputedStyle(one, '::first-letter').textTransform"
        )
        == "uppercase"
    )
    shown.get_by_role("button", name="Ticket triage").click()
    ada.button("Use this template").click()
    expect(ada.page.locator(".react-flow__node")).to_have_count(13)
    ada.page.go_back()
    shown.get_by_role("button", name="Invoice approval").focus()
    ada.press("Enter")
    expect(ada.button("Use this template")).to_be_focused()
    ada.press("Escape")
    expect(shown.get_by_role("button", name="Invoice approval")).to_be_focused()
    ada.press("Enter")
    ada.press("Enter")
    ada.sees_saved()
    made = rest(daemon, "GET", f"/flows/{ada.flow_id}")["document"]
    assert made["title"] == "Invoice approval"
    assert home.cards.count() == 0


@pytest.mark.parametrize("way", ["drop", "button"])
def test_edi5_files_are_imported_and_bad_ones_harm_nothing(
    ada: Person, make_flow: MakeFlow, daemon: Daemon, way: str
) -> None:
    exported = rest(daemon, "GET", f"/flows/{titled(make_flow, daemon, f'Walrus {way}')}/export")
    home = Home(ada)
    before = len(rest(daemon, "GET", "/flows?limit=1000")["flows"])
    texts = {
        "picture.json": "\x89PNG\r\n",
        f"walrus {way} of before.json": KEPT,
        "other.json": '{"format": "of another program"}',
        "export.json": json.dumps(exported),
    }
    if way == "drop":
        files = [list(one) for one in texts.items()]
        ada.page.evaluate(DROP, ["dragover", files])
        expect(ada.page.locator(".home")).to_have_class("home dropping")
        ada.page.evaluate(DROP, ["drop", files])
        expect(ada.page.locator(".home")).to_have_class("home")
    else:
        with ada.page.expect_file_chooser() as choosing:
            ada.button("Import files").click()
        chosen: list[Any] = [
            {"name": name, "mimeType": "application/json", "buffer": text.encode()}
            for name, text in texts.items()
        ]
        choosing.value.set_files(chosen)
    home.is_told("Imported 2 flows, without 1 parts that can't be stored.")
    home.is_told("“picture” can't be imported")
    home.is_told("“other” can't be imported")
    failures = ada.page.locator(".toast", has_text="can't be imported").locator("span")
    lines = failures.inner_text().splitlines()
    assert [line[-1:] for line in lines] == [".", "."]
    home.find(f"walrus {way}", 3)
    assert titles(daemon, f"walrus%20{way}") == [
        f"Walrus {way}",
        f"Walrus {way}",
        f"walrus {way} of before",
    ]
    assert len(rest(daemon, "GET", "/flows?limit=1000")["flows"]) == before + 2


def test_edi5_what_an_earlier_editor_kept_is_imported_and_what_is_broken_stays(
    ada: Person, daemon: Daemon
) -> None:
    named = [{"id": "17", "title": "Lynx of before"}, None, {"id": 18, "name": "Lynx, broken"}]
    registry = {"flows": named, "version": 1}
    kept = {"flow-17": KEPT, "flow-18": KEPT[:40], "flows-registry": json.dumps(registry)}
    ada.page.goto("/")
    ada.page.evaluate("(kept) => { Object.assign(localStorage, kept) }", kept)
    ada.page.reload()
    offer = ada.page.get_by_label("Flows stored in this browser")
    expect(offer).to_contain_text("An earlier editor stored 2 flows")
    offer.get_by_role("button", name="Import").click()
    expect(offer).to_contain_text("“Lynx, broken” couldn't be imported")
    expect(ada.page.get_by_role("link", name="Lynx of before")).to_be_visible()
    assert titles(daemon, "lynx") == ["Lynx of before"]
    ada.page.reload()
    expect(offer).to_contain_text("stored a flow in")
    offer.get_by_role("button", name="Don't ask again").click()
    ada.page.reload()
    expect(ada.page.get_by_role("link", name="Lynx of before")).to_be_visible()
    expect(offer).to_have_count(0)
    assert ada.page.evaluate("localStorage['flow-18']") == KEPT[:40]
    ada.page.evaluate(
        "(kept) => { Object.assign(localStorage, kept) }",
        {"flows-registry": '{"flow-20": {"name": "Of an object"}', "flow-19": '{"nodes": []}'},
    )
    ada.page.reload()
    offer.get_by_role("button", name="Import").press("Enter")
    expect(ada.page.get_by_role("link", name="19", exact=True)).to_be_visible()


def test_edi5_home_shows_who_is_where_and_what_others_do(
    ada: Person, bob: Person, make_flow: MakeFlow, daemon: Daemon
) -> None:
    flow_id = titled(make_flow, daemon, "Quokka")
    home = Home(ada)
    home.find("quokka", 1)
    bob.open(flow_id)
    home.look_again()
    expect(home.cards.first).to_contain_text("1 person here now")
    titled(make_flow, daemon, "Quokka, too")
    bob.page.get_by_label("Title of the flow").fill("Quokka, renamed")
    bob.page.get_by_label("Title of the flow").blur()
    bob.sees_saved()
    home.look_again()
    expect(home.cards).to_have_count(2)
    expect(home.cards.first).to_contain_text("Quokka, renamed")
    expect(home.cards.first).to_contain_text("1 person here now")
    bob.page.close()
    eventually(
        lambda: not rest(daemon, "GET", f"/flows/{flow_id}/status")["active"], "nobody is there"
    )
    home.look_again()
    expect(home.cards.first).to_contain_text("Changed just now")


def test_edi17_page_is_dark_before_its_script_is_there(make_person: MakePerson) -> None:
    ada = make_person(color_scheme="dark", java_script_enabled=False)
    ada.page.goto("/")
    shown = ada.page.evaluate(
        """() => {
            document.body.style.backgroundColor = 'Canvas';
            return getComputedStyle(document.body).backgroundColor;
        }"""
    )
    assert shown == "rgb(18, 18, 18)"


def prefer(person: Person, theme: Literal["dark", "light"]) -> None:
    """The system of somebody changes its theme, and their browser has heard of it."""
    person.page.emulate_media(color_scheme=theme)
    person.page.wait_for_function(
        "(theme) => matchMedia(`(prefers-color-scheme: ${theme})`).matches", arg=theme
    )


def test_edi17_theme_follows_the_system_until_one_chooses(make_person: MakePerson) -> None:
    ada = make_person(color_scheme="light")
    html = ada.page.locator("html")
    Home(ada)
    expect(html).to_have_attribute("data-theme", "light")
    prefer(ada, "dark")
    expect(html).to_have_attribute("data-theme", "dark")
    ada.button("Light theme").click()
    expect(html).to_have_attribute("data-theme", "light")
    tab = ada.another_tab()
    tab.page.goto("/")
    expect(tab.page.locator("html")).to_have_attribute("data-theme", "light")
    prefer(ada, "light")
    prefer(ada, "dark")
    expect(html).to_have_attribute("data-theme", "light")
    ada.button("Dark theme").press("Enter")
    expect(html).to_have_attribute("data-theme", "dark")
    prefer(ada, "light")
    expect(html).to_have_attribute("data-theme", "light")
