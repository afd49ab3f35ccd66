"""Home finds flows by counts and age, typed and chosen. (EDI5)"""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.browser.chromium import Chromium
from tests.browser.conftest import MakeFlow, MakePerson, node
from tests.browser.person import Person
from tests.browser.test_canvas import AXE


def cards(person: Person) -> Locator:
    return person.page.get_by_label("Flows", exact=True).locator(".card")


def search(person: Person, text: str) -> None:
    person.page.get_by_label("Search flows").fill(text)


def test_edi5_flows_are_found_by_counts_and_age(ada: Person, make_flow: MakeFlow) -> None:
    small = make_flow(node("a", 0, 0))
    large = make_flow(*[node(f"n{n}", 0, n * 80) for n in range(12)], edges=("n0>n1", "n1>n2"))
    asked: list[str] = []
    ada.page.on("request", lambda one: asked.append(one.url) if "/api/flows?" in one.url else None)
    ada.page.goto("/")
    for typed, found in (
        ("nodes:>10", [large]),
        ("orders nodes:<2", [small]),
        ("edges:2", [large]),
        ("nodes:1 updated:<7d", [small]),
        ("nodes:>=1 edges:<1 newer:24h", [small]),
    ):
        search(ada, typed)
        paths = [f"/flow/{flow_id}" for flow_id in found]
        expect(cards(ada)).to_have_count(len(found))
        expect(cards(ada).locator(".open").first).to_have_attribute("href", paths[0])
    assert any("min_nodes=11" in url for url in asked)
    search(ada, "orders older:1d")
    expect(ada.page.locator(".empty")).to_contain_text("No matching flow has “orders”")
    ada.button("Search all flows").click()
    expect(cards(ada)).to_have_count(2)
    expect(ada.page.get_by_label("Search flows")).to_have_value("orders")


def test_edi5_size_and_age_are_chosen(ada: Person, make_flow: MakeFlow) -> None:
    large = make_flow(*[node(f"m{n}", 0, n * 80) for n in range(60)])
    ada.page.goto("/")
    size, age = (ada.page.get_by_label(name, exact=True) for name in ("Size", "Changed"))
    size.select_option("More than 50 nodes")
    expect(ada.page.get_by_label("Search flows")).to_have_value("nodes:>50")
    expect(cards(ada)).to_have_count(1)
    expect(cards(ada).locator(".open")).to_have_attribute("href", f"/flow/{large}")
    age.select_option("More than 30 days ago")
    expect(cards(ada)).to_have_count(0)
    expect(ada.page.get_by_label("Search flows")).to_have_value("nodes:>50 older:30d")
    age.select_option("The last 24 hours")
    expect(cards(ada)).to_have_count(1)
    search(ada, "nodes:59..61")
    expect(size.locator("option:checked")).to_have_text("Custom")
    expect(cards(ada)).to_have_count(1)


def test_edi13_filters_have_nothing_that_axe_finds(
    make_person: MakePerson, make_flow: MakeFlow, chromium: Chromium
) -> None:
    ada = make_person(
        viewport={"width": 390, "height": 844}, bypass_csp=True, reduced_motion="reduce"
    )
    make_flow(node("a", 0, 0))
    ada.page.goto("/")
    search(ada, "nodes:1")
    expect(cards(ada).first).to_be_visible()
    ada.page.evaluate(chromium.axe)
    assert ada.page.evaluate(AXE) == []
    wide = "() => document.documentElement.scrollWidth > innerWidth"
    assert ada.page.evaluate(wide) is False
