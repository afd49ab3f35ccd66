"""A person in front of the editor: a browser's window, and what one does there."""

from __future__ import annotations

import copy
import re
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.daemon import Daemon

WAIT = 15_000
"""Milliseconds for which a person waits for what they should see."""

expect.set_options(timeout=WAIT)

NODES = """() => Object.fromEntries(
    [...document.querySelectorAll('.react-flow__node')].map((node) =>
        [node.dataset.id, [node.style.transform, node.querySelector('b').textContent]]))"""


VIEW = """() => {
    const viewport = document.querySelector('.react-flow__viewport');
    const {m41, m42, m11} = new DOMMatrix(viewport.style.transform);
    return [m41, m42, m11];
}"""


STILL = """() => document.getAnimations().every((one) =>
    one.playState !== 'running' || one.effect.getComputedTiming().endTime === Infinity)"""


class Person:
    """
    Somebody with a browser of their own.

    :ivar complaints: what the browser complained about: errors, and what a policy forbade.
    """

    def __init__(self, browser: Browser, daemon: Daemon, **options: Any) -> None:
        self.daemon = daemon
        self.context = browser.new_context(
            **{
                "base_url": f"http://{daemon.address}",
                "viewport": {"width": 1440, "height": 900},
                **options,
            },
        )
        self.context.set_default_timeout(WAIT)
        self.complaints: list[str] = []
        self.page = self.new_page()

    def new_page(self) -> Page:
        """One more tab."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._listen)
        return page

    def _listen(self, message: Any) -> None:
        # A lost connection is told by the browser, too; the tests cut some on purpose.
        if message.type == "error" and not re.search("WebSocket|Failed to load", message.text):
            self.complaints.append(message.text)

    def another_tab(self) -> Person:
        """The same person before one more tab of their browser."""
        tab = copy.copy(self)
        tab.page = self.new_page()
        return tab

    # where one is

    def open(self, flow_id: str) -> None:
        """Open a flow, and wait until it is there."""
        self.page.goto(f"/flow/{flow_id}")
        self.sees_saved()

    def sees_saved(self) -> None:
        """Wait until everything is on the server."""
        expect(self.status).to_have_text("Saved")

    def sees_no_motion(self) -> None:
        """Wait until all that comes in, or goes, is where it stays."""
        self.page.wait_for_function(STILL)

    @property
    def status(self) -> Locator:
        return self.page.locator(".status")

    @property
    def flow_id(self) -> str:
        """The id of the flow that is open."""
        return self.page.url.rpartition("/")[2]

    @property
    def name(self) -> str:
        """What others call them."""
        name: str = self.page.evaluate("JSON.parse(localStorage['helix-person']).name")
        return name

    # what is there

    def node(self, label: str) -> Locator:
        """The node of that label."""
        return self.page.locator(".react-flow__node", has_text=label)

    def nodes(self) -> dict[str, list[str]]:
        """Where each node is drawn, and its label, by id."""
        found: dict[str, list[str]] = self.page.evaluate(NODES)
        return found

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def edge(self, name: str) -> Locator:
        """The edge that is read aloud as that."""
        return self.page.locator(f'.react-flow__edge[aria-label="{name}"]')

    @property
    def selected(self) -> Locator:
        """The nodes that are selected."""
        return self.page.locator(".react-flow__node.selected")

    def hears(self, text: str) -> None:
        """Wait until that is read aloud."""
        expect(self.page.locator(".announcer")).to_have_text(text)

    @property
    def view(self) -> list[float]:
        """Where the canvas is: x, y and zoom."""
        found: list[float] = self.page.evaluate(VIEW)
        return found

    # what one does

    def press(self, *keys: str) -> None:
        for one in keys:
            self.page.keyboard.press(one)

    def choose(self, item: str) -> None:
        """Click what the menu that is open offers."""
        self.page.get_by_role("menuitem", name=item).click()

    def resting_view(self) -> list[float]:
        """Where the canvas is, once it has stood for longer than any motion takes."""
        self.sees_no_motion()
        self.page.wait_for_function(
            f"""() => new Promise((resolve) => {{
                const view = {VIEW};
                const [before, since] = [view().join(), performance.now()];
                const look = (frames) => frames < 6 || performance.now() - since < 300
                    ? requestAnimationFrame(() => look(frames + 1))
                    : resolve(view().join() === before);
                look(0);
            }})"""
        )
        return self.view

    def grab(self, label: str, by: tuple[float, float]) -> None:
        """Take a node and move it, without letting go."""
        box = self.node(label).locator(".text").bounding_box()
        assert box is not None
        x, y = box["x"] + 10, box["y"] + 10
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + by[0] / 2, y + by[1] / 2, steps=4)
        self.page.mouse.move(x + by[0], y + by[1], steps=4)

    def drag(self, label: str, by: tuple[float, float]) -> None:
        """Move a node."""
        self.grab(label, by)
        self.page.mouse.up()

    def sees_same_as(self, other: Person) -> None:
        """Wait until both have saved everything, and see the same."""
        self.sees_saved()
        other.sees_saved()
        self.page.wait_for_function(
            f"(expected) => JSON.stringify(Object.entries(({NODES})()).sort()) === expected",
            arg=self.page.evaluate(
                "(all) => JSON.stringify(Object.entries(all).sort())", other.nodes()
            ),
        )
