"""The editor below a path, and in a frame of another product."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Frame, Page, expect

from tests.browser.chromium import Chromium
from tests.browser.conftest import MakeFlow, MakePerson, node, rest
from tests.browser.person import WAIT, Person
from tests.browser.test_access import ask, token
from tests.browser.test_canvas import AXE
from tests.support.daemon import Daemon
from tests.support.tokens import secret_file
from tests.support.watched import running_daemon

BASE = "/some/helix"

EMBEDDING = Path(__file__).resolve().parents[2] / "docs" / "embedding.md"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon at the root."""
    with running_daemon(tmp_path_factory.mktemp("root"), "--store", "memory:") as one:
        yield one


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon below a path."""
    with running_daemon(
        tmp_path_factory.mktemp("below"), "--store", "memory:", "--base-path", BASE
    ) as one:
        yield one


@pytest.fixture
def flow_id(below: Daemon, make_flow: MakeFlow) -> str:
    """A flow of two nodes there."""
    return make_flow(node("left", 0, 0), node("right", 480, 0), at=below)


def path_of(page: Page) -> str:
    """Where a page is, without its origin."""
    return re.sub("^http://[^/]+", "", page.url)


def test_acc212_editor_works_below_a_path(
    make_person: MakePerson, below: Daemon, flow_id: str
) -> None:
    ada = make_person(below)
    asked: list[str] = []
    ada.page.on("request", lambda request: asked.append(request.url))
    ada.page.on("websocket", lambda socket: asked.append(socket.url))
    ada.page.goto(f"{BASE}/")
    ada.page.get_by_role("link", name="Orders").click()
    ada.sees_saved()
    assert path_of(ada.page) == f"{BASE}/flow/{flow_id}"
    ada.drag("left", (120, 80))
    ada.sees_saved()
    assert rest(below, "GET", f"/flows/{flow_id}")["version"] == 2
    ada.button("History").click()
    expect(ada.page.get_by_role("slider", name="Version")).to_be_visible()
    ada.page.reload()
    ada.sees_saved()
    ada.page.get_by_role("link", name="All flows").click()
    expect(ada.page.get_by_role("link", name="Orders")).to_be_visible()
    assert path_of(ada.page) == f"{BASE}/"
    with ada.page.expect_download() as downloading:
        ada.button("Actions for Orders").click()
        ada.choose("Save as a file")
    assert downloading.value.suggested_filename == "Orders.json"
    ada.page.go_back()
    ada.sees_saved()
    ada.press("Alt+h")
    expect(ada.page.get_by_role("link", name="Orders")).to_be_visible()
    ada.page.goto(f"{BASE}/flow/")
    ada.page.get_by_role("link", name="All flows").click()
    expect(ada.page.get_by_role("link", name="Orders")).to_be_visible()
    paths = [re.sub("^[a-z]+://[^/]+", "", url) for url in asked if url[:5] != "blob:"]
    assert [path for path in paths if not path.startswith(f"{BASE}/")] == []
    assert any(path.startswith(f"{BASE}/socket/websocket") for path in paths)


def test_acc212_editor_works_where_a_proxy_has_removed_the_path(
    make_person: MakePerson, below: Daemon, flow_id: str
) -> None:
    ada = make_person(below)
    ada.open(flow_id)
    ada.press("Alt+h")
    expect(ada.page.get_by_role("link", name="Orders").first).to_be_visible()
    assert path_of(ada.page) == f"{BASE}/"


def test_acc211_status_page_works_below_a_path(make_person: MakePerson, below: Daemon) -> None:
    ada = make_person(below)
    with ada.page.expect_response(f"**{BASE}/api/status") as answered:
        ada.page.goto(f"{BASE}/status")
    assert answered.value.status == 200
    expect(ada.page.get_by_role("status")).to_have_text("Running")
    ada.page.get_by_role("link", name=f"{BASE}/api/docs").click()
    ada.page.get_by_role("link", name="OpenAPI 3.1").click()
    assert path_of(ada.page) == f"{BASE}/api/openapi.json"


def kept(person: Person) -> list[str]:
    """The names of what is kept of flows."""
    found: list[str] = person.page.evaluate(
        """async () => [...(await indexedDB.databases()).map(({name}) => name),
            ...Object.keys(localStorage).filter((name) => name.includes(':op:'))]"""
    )
    return sorted(found)


def test_acc212_what_is_kept_is_apart_below_each_path(
    make_person: MakePerson, daemon: Daemon, below: Daemon, make_flow: MakeFlow
) -> None:
    for at, base in ((daemon, ""), (below, BASE)):
        flow_id = make_flow(node("left", 0, 0), at=at)
        ada = make_person(at)
        ada.page.goto(f"{base}/flow/{flow_id}")
        ada.sees_saved()
        ada.page.route_web_socket("**/socket/**", lambda _: None)
        ada.context.set_offline(True)
        ada.page.evaluate("() => dispatchEvent(new Event('offline'))")
        ada.node("left").click()
        ada.press("Delete")
        ada.page.wait_for_function(
            "() => Object.keys(localStorage).some((n) => n.includes(':op:'))"
        )
        names = kept(ada)
        assert names[0] == f"helix-flows{base}"
        assert all(name.startswith(f"helix-flows{base}:op:") for name in names[1:])
        assert len(names) == 2
        ada.context.set_offline(False)


# in a frame

PRODUCT = """<!doctype html><html lang="en"><title>Product</title>
<style>body {{ margin: 0 }} iframe {{ border: 0; width: 100vw; height: 100vh }}</style>
<script>
window.heard = [];
window.give = (token) => {{
    frames[0].postMessage({{type: 'helix:token', token}}, '{daemon}');
}};
addEventListener('message', ({{data, origin}}) => {{
    window.heard.push([origin, data.type]);
    if (window.answer) window.give(window.answer);
}});
window.embed = (address) => {{
    const frame = document.createElement('iframe');
    frame.title = 'Flow';
    frame.src = '{daemon}' + address;
    document.body.append(frame);
}};
</script><body></body></html>"""


class Product:
    """
    Another product, on another site than the daemon's.

    :ivar origin: of its pages. They come from a real server: browsers let no others have a page of
        this machine in a frame.
    :ivar page: what it serves.
    :ivar token: the same, at ``/helix-token``.
    """

    def __init__(self) -> None:
        self.page = self.token = b""
        self.server = HTTPServer(("127.0.0.1", 0), self._handler)
        self.origin = f"http://localhost:{self.server.server_port}"

    def _handler(self, *given: Any) -> BaseHTTPRequestHandler:
        product = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(product.token if self.path == "/helix-token" else product.page)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler(*given)


@pytest.fixture(scope="module")
def products() -> Iterator[tuple[Product, Product]]:
    """A product whose pages may have the editor in a frame, and one whose pages may not."""
    both = (Product(), Product())
    threads = [Thread(target=one.server.serve_forever) for one in both]
    for thread in threads:
        thread.start()
    yield both
    for one, thread in zip(both, threads, strict=True):
        one.server.shutdown()
        one.server.server_close()
        thread.join()


@pytest.fixture
def product(products: tuple[Product, Product]) -> Product:
    """The one that may."""
    return products[0]


@pytest.fixture
def other(products: tuple[Product, Product]) -> Product:
    """The one that may not."""
    return products[1]


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, products: tuple[Product, Product]
) -> Iterator[Daemon]:
    """A daemon that asks who people are, and that a product may have in a frame."""
    directory = tmp_path_factory.mktemp("framed")
    auth = f"jwt:hmac:{secret_file(directory)}"
    options = ("--store", "memory:", "--auth", auth, "--frame-ancestors", products[0].origin)
    with running_daemon(directory, *options) as daemon:
        yield daemon


@pytest.fixture
def shared(guarded: Daemon) -> str:
    """A flow of two nodes."""
    nodes = {one["id"]: one for one in (node("left", 0, 0), node("right", 480, 0))}
    made: str = ask(guarded, "POST", "/flows", {"document": {"title": "Orders", "nodes": nodes}})[
        "id"
    ]
    return made


def framed(person: Person, product: Product, address: str) -> Frame:
    """Let a product's page have the editor in a frame."""
    product.page = PRODUCT.format(daemon=f"http://{person.daemon.address}").encode()
    person.page.goto(product.origin)
    person.page.evaluate("(address) => window.embed(address)", address)
    frame = person.page.frames[-1]
    assert frame != person.page.main_frame
    return frame


def heard(person: Person) -> list[list[str]]:
    """What the product's page was told."""
    told: list[list[str]] = person.page.evaluate("() => window.heard")
    return told


def waits_for(person: Person, count: int, kind: str) -> None:
    """Wait until the product's page was told that so often."""
    person.page.wait_for_function(
        "([count, kind]) => window.heard.filter(([, type]) => type === kind).length >= count",
        arg=[count, kind],
    )


def waits_until(person: Person, holds: Callable[[], bool]) -> None:
    """Let events come until something is so."""
    end = time.monotonic() + WAIT / 1000
    while not holds():
        assert time.monotonic() < end
        person.page.wait_for_timeout(20)


def delete_in(frame: Frame, label: str) -> None:
    """Delete one of two nodes."""
    frame.locator(".react-flow__node", has_text=label).click()
    frame.locator(".react-flow__pane").press("Delete")
    expect(frame.locator(".react-flow__node")).to_have_count(1)
    expect(frame.locator(".status")).to_have_text("Saved")


def last_author(daemon: Daemon, flow_id: str) -> str:
    """Who made the last entry."""
    by: str = ask(daemon, "GET", f"/flows/{flow_id}/entries", None)["entries"][-1]["by"]
    return by


EDITOR = {"flows": {"*": "editor"}}


def test_acc215_acc216_token_of_the_page_around_opens_the_flow(
    make_person: MakePerson, guarded: Daemon, product: Product, shared: str
) -> None:
    ada = make_person(guarded)
    sent: list[str] = []
    ada.page.on("request", lambda request: sent.append(request.url))
    ada.page.on("websocket", lambda socket: sent.append(socket.url))
    frame = framed(ada, product, f"/flow/{shared}?embed=1")
    waits_for(ada, 1, "helix:ready")
    assert heard(ada) == [[f"http://{guarded.address}", "helix:ready"]]
    own = token("ada", name="Ada", **EDITOR)
    ada.page.evaluate("(token) => window.give(token)", own)
    expect(frame.locator(".status")).to_have_text("Saved")
    delete_in(frame, "left")
    assert last_author(guarded, shared) == "Ada"
    # REST has the token, too.
    frame.get_by_role("button", name="More").click()
    frame.get_by_role("menuitem", name="History").click()
    expect(frame.get_by_role("slider", name="Version")).to_be_visible()
    for place in ("localStorage", "sessionStorage"):
        assert own not in frame.evaluate(f"() => JSON.stringify(Object.entries({place}))")
    assert not [url for url in sent if own in url]
    assert own not in frame.url


def test_acc215_other_products_have_the_bars_themselves(
    make_person: MakePerson, guarded: Daemon, product: Product, shared: str
) -> None:
    ada = make_person(guarded)
    frame = framed(ada, product, f"/flow/{shared}?embed=1")
    waits_for(ada, 1, "helix:ready")
    ada.page.evaluate("(token) => window.give(token)", token("ada", **EDITOR, create=["*"]))
    expect(frame.locator(".status")).to_have_text("Saved")
    expect(frame.get_by_role("link", name="All flows")).to_have_count(0)
    expect(frame.get_by_label("Title of the flow")).to_have_count(0)
    expect(frame.locator(".people")).to_have_count(0)
    frame.get_by_role("button", name="More").click()
    items = frame.get_by_role("menuitem").all_inner_texts()
    assert "History" in items
    assert not {"All flows", "Copy the link"} & set(items)
    ada.press("Escape")
    expect(frame.get_by_role("navigation", name="Nodes")).to_be_visible()
    frame.get_by_role("navigation", name="Nodes").get_by_role("button", name="Memory").click()
    expect(frame.locator(".react-flow__node")).to_have_count(3)
    frame.get_by_role("button", name="Undo").click()
    expect(frame.locator(".react-flow__node")).to_have_count(2)
    ada.press("Alt+h")
    assert frame.url.endswith(f"/flow/{shared}?embed=1")
    ask(guarded, "DELETE", f"/flows/{shared}", None)
    closed = frame.get_by_role("alertdialog")
    expect(closed.get_by_role("button", name="Keep a copy")).to_be_visible()
    expect(closed.get_by_role("link")).to_have_count(0)


def test_acc217_token_is_asked_for_again_before_it_ends(
    make_person: MakePerson, guarded: Daemon, product: Product, shared: str
) -> None:
    ada = make_person(guarded)
    sent: list[str] = []
    ada.page.on(
        "websocket", lambda socket: socket.on("framesent", lambda text: sent.append(str(text)))
    )
    frame = framed(ada, product, f"/flow/{shared}?embed=1")
    waits_for(ada, 1, "helix:ready")
    short = token("ada", **EDITOR, exp=time.time() + 20)
    ada.page.evaluate("(token) => window.give(token)", short)
    expect(frame.locator(".status")).to_have_text("Saved")
    waits_for(ada, 1, "helix:token-needed")
    longer = token("ada", **EDITOR)
    ada.page.evaluate("(token) => window.give(token)", longer)
    waits_until(ada, lambda: any("access_token" in one and longer in one for one in sent))
    expect(frame.locator(".status")).to_have_text("Saved")
    assert [kind for _, kind in heard(ada)] == ["helix:ready", "helix:token-needed"]


def test_acc216_page_of_the_documentation_shows_the_editor(
    make_person: MakePerson, guarded: Daemon, product: Product, shared: str
) -> None:
    (page,) = re.findall("^```html\n(.*?)^```", EMBEDDING.read_text("utf-8"), re.M | re.S)
    assert "team-7%2Fplan" in page
    page = page.replace("https://flows.example.com", f"http://{guarded.address}")
    product.page = b"<!doctype html>" + page.replace("team-7%2Fplan", shared).encode()
    product.token = token("ada", **EDITOR).encode()
    ada = make_person(guarded)
    ada.page.goto(product.origin)
    expect(ada.page.frame_locator("#flow").locator(".status")).to_have_text("Saved")


def test_acc217_silence_of_the_page_around_is_told(
    make_person: MakePerson, guarded: Daemon, product: Product, shared: str
) -> None:
    ada = make_person(guarded)
    frame = framed(ada, product, f"/flow/{shared}?embed=1")
    expect(frame.get_by_role("alert")).to_contain_text(
        "The page around the editor gave no token", timeout=2 * WAIT
    )
    assert "All flows" not in frame.get_by_role("alert").inner_text()
    # The editor asks again by itself, too: the button may be gone before anybody is there.
    button = frame.get_by_role("button", name="Try now").element_handle()
    ada.page.evaluate("(token) => { window.answer = token; }", token("ada", **EDITOR))
    button.evaluate("(button) => { button.click(); }")
    expect(frame.locator(".status")).to_have_text("Saved")


def test_acc214_page_of_another_origin_may_not_show_it(
    make_person: MakePerson, guarded: Daemon, other: Product, shared: str
) -> None:
    ada = make_person(guarded)
    with ada.page.expect_event("console", lambda message: "frame-ancestors" in message.text):
        framed(ada, other, f"/flow/{shared}?embed=1")
    expect(ada.page.frames[-1].locator(".status")).to_have_count(0)
    assert heard(ada) == []
    ada.complaints.clear()  # the browser's own, of that


def test_acc216_token_from_a_page_that_is_not_around_it_is_ignored(
    make_person: MakePerson, guarded: Daemon, product: Product, other: Product, shared: str
) -> None:
    ada = make_person(guarded)
    frame = framed(ada, product, f"/flow/{shared}?embed=1")
    waits_for(ada, 1, "helix:ready")
    frame.evaluate("() => { window.seen = 0; addEventListener('message', () => { seen += 1; }); }")
    # A second frame of that page, of an origin that may not, and the editor's own window.
    evil = token("mallory", name="Mallory", **EDITOR)
    other.page = b"<!doctype html><title>Other</title>"
    ada.page.evaluate(
        """(address) => new Promise((loaded) => {
            const frame = document.createElement('iframe');
            Object.assign(frame, {src: address, onload: loaded, title: 'Other'});
            document.body.append(frame);
        })""",
        other.origin,
    )
    ada.page.frames[-1].evaluate(
        "(token) => parent.frames[0].postMessage({type: 'helix:token', token}, '*')", evil
    )
    frame.evaluate("(token) => postMessage({type: 'helix:token', token}, '*')", evil)
    frame.wait_for_function("() => window.seen === 2")
    ada.page.evaluate("(token) => window.give(token)", token("ada", name="Ada", **EDITOR))
    expect(frame.locator(".status")).to_have_text("Saved")
    delete_in(frame, "left")
    assert last_author(guarded, shared) == "Ada"


LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light"},
    {"color_scheme": "dark"},
    {"viewport": {"width": 390, "height": 844}, "has_touch": True},
    {"viewport": {"width": 860, "height": 600}},
]


@pytest.mark.parametrize("look", LOOKS, ids=("light", "dark", "phone", "narrow"))
def test_acc215_axe_finds_nothing_in_either_theme_or_on_a_phone(
    make_person: MakePerson, chromium: Chromium, below: Daemon, flow_id: str, look: dict[str, Any]
) -> None:
    ada = make_person(below, bypass_csp=True, reduced_motion="reduce", **look)
    ada.page.goto(f"{BASE}/flow/{flow_id}?embed=1")
    ada.sees_saved()
    ada.page.evaluate(chromium.axe)
    assert ada.page.evaluate(AXE) == []
    ada.node("left").click()
    expect(ada.selected).to_have_count(1)
    ada.sees_no_motion()
    assert ada.page.evaluate(AXE) == []
    ada.button("More").click()
    expect(ada.page.get_by_role("menuitem").first).to_be_visible()
    assert ada.page.evaluate(AXE) == []
    bar, size = ada.page.locator(".bar").bounding_box(), ada.page.viewport_size
    assert bar is not None
    assert size is not None
    assert 0 <= bar["x"] <= size["width"] - bar["width"]
