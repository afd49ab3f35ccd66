"""Free colours and borders, wherever nodes are drawn. (EDI52)"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import Chromium
from tests.browser.conftest import MakeFlow, MakePerson, document_of, node
from tests.browser.person import Person
from tests.browser.test_canvas import AXE

STYLE = """(node) => {
    const {backgroundColor, color, borderTopColor, borderTopWidth, borderTopStyle} =
        getComputedStyle(node.querySelector('.node'));
    return [backgroundColor, color, borderTopColor, borderTopWidth, borderTopStyle];
}"""

AT = """([x, y]) => {
    const canvas = document.querySelector('.minimap canvas');
    const ratio = canvas.width / canvas.clientWidth;
    return [...canvas.getContext('2d').getImageData(x * ratio, y * ratio, 1, 1).data];
}"""


def test_edi52_colours_and_borders_are_typed_picked_and_taken_back(opened: Person) -> None:
    opened.node("left").click()
    fields = opened.page.locator(".properties")
    fields.get_by_label("Fill", exact=True).fill("#ffe066")
    fields.get_by_label("Border", exact=True).fill("#1d4ed8")
    fields.get_by_label("Thickness").fill("3")
    fields.get_by_label("Border style").select_option("dashed")
    fields.get_by_label("Colour picker: Custom colour").fill("#00aa55")
    opened.press("Escape")
    opened.page.locator(".react-flow__pane").click(position={"x": 700, "y": 700})
    left = document_of(opened)["nodes"]["left"]
    assert left["data"]["color"] == "#00aa55"
    assert left["style"] == {
        "backgroundColor": "#ffe066",
        "borderColor": "#1d4ed8",
        "borderWidth": 3,
        "borderStyle": "dashed",
    }
    drawn = ["rgb(255, 224, 102)", "rgb(0, 0, 0)", "rgb(29, 78, 216)", "3px", "dashed"]
    expect(opened.node("left")).to_have_class(re.compile("filled bordered"))
    assert opened.node("left").evaluate(STYLE) == drawn
    opened.node("left").click()
    fields.get_by_label("Fill", exact=True).fill("")
    fields.get_by_label("Border", exact=True).fill("#12")
    expect(fields.get_by_role("alert")).to_contain_text("Enter #")
    fields.get_by_label("Border", exact=True).press("Escape")
    expect(fields.get_by_label("Border", exact=True)).to_have_value("#1d4ed8")
    style = document_of(opened)["nodes"]["left"]["style"]
    assert "backgroundColor" not in style
    assert style["borderColor"] == "#1d4ed8"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edi52_labels_can_be_read_on_any_colour(
    make_person: MakePerson, make_flow: MakeFlow, chromium: Chromium, theme: str
) -> None:
    ada = make_person(color_scheme=theme, bypass_csp=True, reduced_motion="reduce")
    fills = ["#000000", "#ffffff", "#777777", "#767676", "#e11d48", "#ffe066", "#4f46e5"]
    nodes = [
        node(f"n{n}", n % 3 * 320, n // 3 * 120) | {"style": {"backgroundColor": fill}}
        for n, fill in enumerate(fills)
    ]
    ada.open(make_flow(*nodes))
    ada.page.evaluate(chromium.axe)
    assert ada.page.evaluate(AXE) == []


def test_edi52_pictures_map_and_cards_have_the_colours(
    ada: Person, make_flow: MakeFlow, tmp_path: Path
) -> None:
    styled = node("mine", 0, 0) | {
        "style": {"background": "#123456", "border": "4px dotted #fedcba"}
    }
    ada.open(make_flow(styled, node("plain", 480, 0)))
    ada.press("Control+k")
    ada.page.get_by_role("combobox").fill("svg")
    with ada.page.expect_download() as download:
        ada.press("Enter")
    svg = tmp_path / "flow.svg"
    download.value.save_as(svg)
    text = svg.read_text()
    assert 'fill="#123456" stroke="#fedcba" stroke-width="4" stroke-dasharray="4 4"' in text
    assert text.count('fill="#ffffff">') >= 2
    ada.page.wait_for_function(
        f"() => {{ const at = {AT}; for (let x = 0; x < 200; x += 2) {{"
        " const [red, green, blue] = at([x, 64]);"
        " if (red === 0x12 && green === 0x34 && blue === 0x56) return true; } return false; }"
    )
    ada.page.goto("/")
    drawn = ada.page.locator(".mini-node.filled.bordered").first
    expect(drawn).to_have_css("fill", "rgb(18, 52, 86)")
    expect(drawn).to_have_css("stroke", "rgb(254, 220, 186)")


@pytest.mark.parametrize(
    "style", ["red", 5, ["x"], {"backgroundColor": "url(//x)", "border": 7, "borderWidth": "-1px"}]
)
def test_edi52_what_else_stands_in_a_style_counts_nothing(
    ada: Person, make_flow: MakeFlow, style: object
) -> None:
    ada.open(make_flow(node("odd", 0, 0) | {"style": style}, node("plain", 480, 0)))
    assert ada.node("odd").evaluate(STYLE) == ada.node("plain").evaluate(STYLE)
    ada.node("odd").click()
    expect(ada.page.locator(".properties").get_by_label("Fill", exact=True)).to_be_visible()
