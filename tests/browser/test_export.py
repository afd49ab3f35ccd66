"""A flow as a file, as a picture, and as a link."""

from __future__ import annotations

import json
import struct
import xml.etree.ElementTree as ET

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MakeFlow, MakePerson, node, rest
from tests.browser.person import Person
from tests.support.daemon import Daemon

SVG = "{http://www.w3.org/2000/svg}"

ODD = 'a<b & "c" 🙂\x07'

BACKGROUNDS = {"light": "#f6f7f9", "dark": "#0d0f14"}

COPIED = """async () => {
    const [item] = await navigator.clipboard.read();
    const picture = await createImageBitmap(await item.getType('image/png'));
    return [picture.width, picture.height];
}"""

NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', {value: undefined})"


def save(person: Person, item: str) -> tuple[str, bytes]:
    """Choose to save the flow; give the file's name and content."""
    person.button("More").click()
    with person.page.expect_download() as downloading:
        person.page.get_by_role("menuitem", name=item).click()
    return downloading.value.suggested_filename, downloading.value.path().read_bytes()


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edi12_flow_is_saved_whole_in_the_theme_that_is_shown(
    make_person: MakePerson, make_flow: MakeFlow, daemon: Daemon, theme: str
) -> None:
    ada = make_person(color_scheme=theme)
    flow_id = make_flow(
        node("left", 0, 0), node("odd", 480, 0, "memory", label=ODD), edges=("left>odd", "odd>left")
    )
    label = {"edges": {"left>odd": {"label": "<yes & no>", "type": "step"}}}
    rest(daemon, "PATCH", f"/flows/{flow_id}", label)
    ada.open(flow_id)
    name, svg = save(ada, "Save as SVG")
    assert name == "Orders.svg"
    picture = ET.fromstring(svg)
    texts = {one.text for one in picture.iter(f"{SVG}text")}
    assert {"left", "Agent", ODD[:-1], "Memory", "<yes & no>"} <= texts
    assert "sans-serif" in picture.attrib["font-family"]
    background = picture.find(f"{SVG}rect")
    assert background is not None
    assert background.attrib["fill"] == BACKGROUNDS[theme]
    assert len(list(picture.iter(f"{SVG}g"))) >= 4
    icons = [one for one in picture.iter(f"{SVG}g") if "scale" in one.attrib.get("transform", "")]
    assert all(len(one) > 0 for one in icons)
    x, _, width, _ = map(float, picture.attrib["viewBox"].split())
    assert x < -48, "the edge that goes back is inside"
    name, png = save(ada, "Save as PNG")
    assert name == "Orders.png"
    wide, high = size_of(png)
    assert wide == pytest.approx(2 * width, abs=2)
    assert high > 100
    name, text = save(ada, "Save as a file")
    assert name == "Orders.json"
    assert json.loads(text)["document"] == rest(daemon, "GET", f"/flows/{flow_id}")["document"]


def test_edi12_picture_of_a_thousand_nodes_can_be_made(ada: Person, make_flow: MakeFlow) -> None:
    nodes = [node(f"n{n}", n % 25 * 280, n // 25 * 120) for n in range(1_000)]
    ada.open(make_flow(*nodes, edges=tuple(f"n{n}>n{n + 1}" for n in range(999))))
    _, png = save(ada, "Save as PNG")
    wide, high = size_of(png)
    assert wide * high <= 4_096 * 4_096
    assert max(wide, high) <= 8_192
    assert min(wide, high) > 2_000
    assert len(png) > 100_000, "something is drawn"


def test_edi12_picture_and_link_are_copied(make_person: MakePerson, make_flow: MakeFlow) -> None:
    ada = make_person(permissions=["clipboard-read", "clipboard-write"])
    flow_id = make_flow(node("left", 0, 0), node("right", 480, 0))
    ada.open(flow_id)
    ada.button("More").click()
    ada.page.get_by_role("menuitem", name="Copy as a picture").click()
    toasts = ada.page.locator(".toasts")
    expect(toasts).to_contain_text("Copied the flow as a picture.")
    width, height = ada.page.evaluate(COPIED)
    assert width > height > 200
    ada.button("Share").click()
    expect(toasts).to_contain_text("Copied the link.")
    link = ada.page.evaluate("navigator.clipboard.readText()")
    assert link == f"http://{ada.daemon.address}/flow/{flow_id}"
    ada.press("Control+Shift+C")
    expect(toasts.get_by_text("Copied the flow as a picture.")).to_have_count(2)


def test_edi14_browser_without_a_clipboard_shows_the_link_and_saves_the_picture(
    ada: Person, make_flow: MakeFlow
) -> None:
    ada.page.add_init_script(NO_CLIPBOARD)
    flow_id = make_flow(node("left", 0, 0))
    ada.open(flow_id)
    ada.press("Alt+s")
    toasts = ada.page.locator(".toasts")
    expect(toasts).to_contain_text(f"http://{ada.daemon.address}/flow/{flow_id}")
    with ada.page.expect_download() as downloading:
        ada.press("Control+Shift+C")
    assert size_of(downloading.value.path().read_bytes())[0] > 200
    expect(toasts).to_contain_text("the picture was saved as a file")
