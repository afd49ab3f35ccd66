"""The page about React Flow apps, followed: an app under Vite's development server. (FRO3)"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.clientpackage import INSTALLED, NODE, ROOT, install, pack, packed
from tests.support.daemon import Daemon, free_port
from tests.support.madeonce import made_once
from tests.support.watched import eventually, rest

pytestmark = pytest.mark.timeout(300)

WAIT = 60_000
"""Milliseconds: Vite looks through an app's packages before it shows the first page."""

URL = "http://127.0.0.1:4000"
"""What the page's example has for the server."""

CONFIG = """
import react from {plugin};

export default {{
  plugins: [react()],
  // The packages of the app lead out of it, to where they are installed.
  server: {{ fs: {{ strict: false }} }},
}};
"""

HTML = '<!doctype html><div id="root"></div><script type="module" src="/{name}-main.jsx"></script>'

MAIN = """
import {{ createRoot }} from 'react-dom/client';
import App from './{name}.jsx';

createRoot(document.getElementById('root')).render(<App />);
"""


def example() -> str:
    """The page's multiplayer example."""
    page = (ROOT / "docs" / "react-flow.md").read_text("utf-8")
    source = re.findall(r"```jsx\n(.*?)```", page, re.DOTALL)[1]
    assert f"url: '{URL}'" in source
    return source


class App:
    """
    An app that Vite serves.

    :ivar origin: of its pages.
    """

    def __init__(self, directory: Path, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self._directory = directory

    def page_of(self, name: str, source: str) -> str:
        """Give the address of a page that shows a component."""
        (self._directory / f"{name}.jsx").write_text(source)
        (self._directory / f"{name}-main.jsx").write_text(MAIN.format(name=name))
        (self._directory / f"{name}.html").write_text(HTML.format(name=name))
        return f"{self.origin}/{name}.html"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    directory, port = tmp_path_factory.mktemp("app"), free_port()
    install(packed(made_once(tmp_path_factory, "client-package", pack)), directory)
    plugin = INSTALLED / "@vitejs" / "plugin-react" / "dist" / "index.js"
    config = CONFIG.format(plugin=json.dumps(str(plugin)))
    (directory / "vite.config.js").write_text(config)
    log = directory / "vite.log"
    command = [NODE, INSTALLED / "vite" / "bin" / "vite.js", "--host", "127.0.0.1"]
    with log.open("wb") as output:
        vite = subprocess.Popen(
            [*command, "--port", str(port), "--strictPort"],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: "ready in" in log.read_text() or vite.poll() is not None, "Vite serves")
        assert vite.poll() is None, log.read_text()
        yield App(directory, port)
    finally:
        vite.kill()
        vite.wait()
        print(log.read_text())


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """A function that opens a page as somebody new; all are closed with the test."""
    contexts = []

    def open_one(address: str) -> Page:
        contexts.append(browser.new_context())
        page = contexts[-1].new_page()
        page.goto(address)
        return page

    yield open_one
    for context in contexts:
        context.close()


def test_fro3_example_is_one_flow_in_two_pages(
    app: App, open_page: Callable[[str], Page], start_daemon: Callable[..., Daemon]
) -> None:
    daemon = start_daemon("--store", "memory:", "--allow-origin", app.origin)
    source = example().replace(URL, f"http://{daemon.address}")
    address = app.page_of("joined", source)
    pages = [open_page(address) for _ in range(2)]
    for page in pages:
        expect(page.get_by_text("Node 2")).to_be_visible(timeout=WAIT)
    rest(daemon, "PATCH", "/flows/demo", {"nodes": {"n2": {"data": {"label": "Theirs"}}}})
    for page in pages:
        expect(page.get_by_text("Theirs")).to_be_visible(timeout=WAIT)
        expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("wrong", ["another origin", "no Helix", "nobody"])
def test_fro3_what_is_wrong_is_shown_on_the_page(
    app: App, open_page: Callable[[str], Page], start_daemon: Callable[..., Daemon], wrong: str
) -> None:
    if wrong == "another origin":
        daemon = start_daemon("--store", "memory:")
        source = example().replace(URL, f"http://{daemon.address}")
        told = "Pages of other origins than .* are not allowed: see --allow-origin"
    elif wrong == "no Helix":
        source = example().replace(f"url: '{URL}', ", "")
        told = "The server at this address isn.t a Helix server"
    else:
        source = example().replace(URL, f"http://127.0.0.1:{free_port()}")
        told = "The server can't be reached"
    page = open_page(app.page_of(wrong.replace(" ", "-"), source))
    expect(page.get_by_role("alert")).to_have_text(re.compile(told), timeout=WAIT)
