"""Where a run of the fuzz takes place: a daemon, networks, browsers, and the pages in them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

import attrs
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Route

from tests.browser.fuzz.plan import PAGES
from tests.cases.network import Link, Network
from tests.support.daemon import Daemon

HTML = "<!doctype html><script>{library}</script><script>{page}</script>"

SCRIPT = Path(__file__).with_name("page.js")

EDITOR_SCRIPT = Path(__file__).with_name("editor.js")

EDITOR = Path(str(files("helix").joinpath("editor")))

PATIENCE = 60.0
"""Seconds that the daemon may take to end and to start."""

HIDE = """(state) => {
    Object.defineProperty(document, 'visibilityState', {configurable: true, get: () => state});
    document.dispatchEvent(new Event('visibilitychange', {bubbles: true}));
}"""

FREEZE = "document.dispatchEvent(new Event('freeze'))"
RESUME = "document.dispatchEvent(new Event('resume'))"
CACHE = "dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))"
SHOW = "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"


@attrs.define(eq=False)
class Tab:
    """
    A tab of a browser, with a page of the flow in it, or none.

    :ivar page: ``None`` while it is closed.
    :ivar wakes: what is said to the page when it goes on; ``None`` while it does.
    """

    name: str
    house: House
    page: Page | None = None
    wakes: str | None = None
    is_stopped: bool = False
    _cdp: CDPSession | None = None

    @property
    def is_awake(self) -> bool:
        return self.page is not None and self.wakes is None

    def open(self) -> None:
        if self.page is None:
            self.page = self.house.context.new_page()
            self.page.goto(self.house.address(self.name))

    def reload(self) -> None:
        self.wake()
        self.is_stopped = False
        if self.page is not None:
            self.page.reload()

    def close(self) -> None:
        """As it is: a frozen page isn't told, as when a browser discards it."""
        if self.page is not None:
            self.page.close()
        self.page = self.wakes = self._cdp = None
        self.is_stopped = False

    def leave(self) -> None:
        """Go elsewhere, and come back: to the page that was there, or to it loaded anew."""
        self.wake()
        self.is_stopped = False
        if self.page is not None:
            self.page.goto(self.house.address("away"))
            self.page.go_back()

    def sleep(self, farewell: str, wakes: str) -> None:
        """Let nothing happen in the page until it wakes, as browsers do that need the memory."""
        if self.page is not None and self.wakes is None:
            self.page.evaluate(farewell)
            self._cdp = self.house.context.new_cdp_session(self.page)
            self._cdp.send("Debugger.enable")
            self._cdp.send("Debugger.pause")
            self.wakes = wakes

    def wake(self) -> None:
        wakes, self.wakes = self.wakes, None
        if wakes is not None and self._cdp is not None and self.page is not None:
            self._cdp.send("Debugger.disable")
            self._cdp.detach()
            self._cdp = None
            self.page.evaluate(wakes)

    def hide(self, is_hidden: bool) -> None:
        if self.is_awake and self.page is not None:
            self.page.evaluate(HIDE, "hidden" if is_hidden else "visible")

    def ask(self, what: str, given: object = None) -> Any:
        """Have the page tell something; it has to be there, and awake."""
        assert self.page is not None
        return self.page.evaluate(f"(given) => fuzz.{what}", given)


@attrs.define(eq=False)
class House:
    """
    Somebody's browser, and what connects it.

    :ivar link: all that its pages know of the daemon is behind this.
    :ivar bystander: a page in it that has no part in the flow.
    """

    context: BrowserContext
    link: Link
    flow_id: str
    html: str
    is_down: bool = False
    bystander: Page = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # What a test serves in a server's place comes from nowhere, to the browser.
        self.context.grant_permissions(["local-network-access"])
        self.context.route("**/fuzz?*", lambda route: self._serve(route))
        self.bystander = self.context.new_page()
        self.bystander.goto(self.address("away"))

    def address(self, page: str) -> str:
        """Where a page is found; ``away`` is one that has nothing to do with flows."""
        return f"{self.link.url}/fuzz?flow={self.flow_id}&page={page}"

    def _serve(self, route: Route) -> None:
        is_away = "page=away" in route.request.url
        route.fulfill(content_type="text/html", body="away" if is_away else self.html)

    def say(self, event: str, tabs: list[Tab]) -> None:
        """Have the browser say that there is a network, or none."""
        for tab in tabs:
            if tab.house is self and tab.is_awake and tab.page is not None:
                tab.page.evaluate(f"dispatchEvent(new Event('{event}'))")

    def stored(self) -> dict[str, Any]:
        """What is in its storage, by key: what its pages have noted, too."""
        found: dict[str, Any] = self.bystander.evaluate("({...localStorage})")
        return found

    def unsent(self) -> list[str]:
        """The keys of what it keeps because no server has confirmed it."""
        return [key for key in self.stored() if key.startswith("helix-flows:op:")]


class EditorHouse(House):
    """Likewise, with the editor in its pages, also while the server is away."""

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.context.add_init_script(EDITOR_SCRIPT.read_text(encoding="utf-8"))
        self.context.route("**/flow/*", lambda route: route.fulfill(path=EDITOR / "index.html"))
        self.context.route("**/assets/*", lambda route: self._serve_asset(route))

    def address(self, page: str) -> str:
        if page == "away":
            return super().address(page)
        return f"{self.link.url}/flow/{self.flow_id}"

    def _serve_asset(self, route: Route) -> None:
        route.fulfill(path=EDITOR / "assets" / route.request.url.rpartition("/")[2])


class Stage:
    """
    A daemon, two browsers, and three pages before one flow.

    :param library: the client library as a script; the editor's pages are opened without one.
    :param delays: seconds that whatever a browser sends or is sent takes.
    """

    def __init__(
        self,
        browser: Browser,
        daemon: Daemon,
        network: Network,
        library: str | None,
        flow_id: str,
        delays: tuple[float, float],
    ) -> None:
        self.daemon = daemon
        self._is_up = True
        self._orders = ThreadPoolExecutor(1)
        self._ordered: list[Future[None]] = []
        make: type[House] = House if library is not None else EditorHouse
        html = HTML.format(library=library, page=SCRIPT.read_text(encoding="utf-8"))
        self.houses = [
            make(browser.new_context(), network.link(daemon.port, delay), flow_id, html)
            for delay in delays
        ]
        self.complaints: list[str] = []
        for house in self.houses:
            house.context.on("weberror", lambda one: self.complaints.append(str(one.error)))
        self.tabs = [Tab(f"p{n}", self.houses[at]) for n, at in enumerate(PAGES)]
        for tab in self.tabs:
            tab.open()

    def befall(self, act: str, tab: Tab) -> None:
        """Let something happen to a page, its browser, or the server; or be over."""
        does: dict[str, Callable[[], None]] = {
            "cut": tab.house.link.cut,
            "down": lambda: self._set_network(tab.house, True),
            "up": lambda: self._set_network(tab.house, False),
            "stall": lambda: tab.house.link.stall(True),
            "flow": lambda: tab.house.link.stall(False),
            "drain": lambda: self._end_server(self.daemon.stop),
            "kill": lambda: self._end_server(self.daemon.kill),
            "boot": self._start_server,
            "reload": tab.reload,
            "close": tab.close,
            "open": tab.open,
            "leave": tab.leave,
            "freeze": lambda: tab.sleep(FREEZE, RESUME),
            "cache": lambda: self._cache(tab),
            "wake": tab.wake,
            "hide": lambda: tab.hide(True),
            "show": lambda: tab.hide(False),
        }
        does[act]()

    def _set_network(self, house: House, is_down: bool) -> None:
        if house.is_down != is_down:
            house.is_down = is_down
            (house.link.down if is_down else house.link.up)()
            house.say("offline" if is_down else "online", self.tabs)

    def _cache(self, tab: Tab) -> None:
        """A browser closes the connections of a page that it keeps for the way back."""
        if tab.is_awake:
            tab.sleep(CACHE, SHOW)
            tab.house.link.cut()

    @property
    def is_up(self) -> bool:
        """Whether the daemon runs, and is neither ending nor starting."""
        return self._is_up and all(order.done() for order in self._ordered)

    def _end_server(self, end: Callable[[], None]) -> None:
        """Have the daemon end; people go on meanwhile."""
        if self._is_up:
            self._is_up = False
            self._ordered.append(self._orders.submit(end))

    def _start_server(self) -> None:
        """Likewise."""
        if not self._is_up:
            self._is_up = True
            self._ordered.append(self._orders.submit(self.daemon.start))

    def _await_server(self) -> None:
        self._start_server()
        for order in self._ordered:
            order.result(PATIENCE)

    def ease(self) -> None:
        """Let nothing be in anybody's way."""
        self._await_server()
        for house in self.houses:
            house.link.stall(False)
            self._set_network(house, False)
        for tab in self.tabs:
            tab.open()
            tab.wake()
            tab.hide(False)
            if tab.is_stopped:
                tab.is_stopped = False
                tab.ask("act({act: 'start'})")
            tab.ask("retry()")

    def end(self) -> None:
        """Leave the daemon as it was found."""
        self._await_server()
        self._orders.shutdown()
        for house in self.houses:
            house.context.close()
            house.link.down()
