"""The page that shows how the server does, its script, and the numbers behind both."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from twisted.internet.task import Clock

from helix import __version__
from helix.telemetry.events import Telemetry
from helix.telemetry.status import ServerStatus
from helix.web.status_page import _duration, _tell_workers
from tests.support.logs import logged
from tests.support.stack import NOW, Stack

__all__ = ["logged"]


def test_res24_numbers_follow_what_happens(logged: object) -> None:
    stack = Stack()
    nobody = stack.get("/api/status").json
    assert nobody == {
        "version": __version__,
        "broker": "none",
        "uptime": 0.0,
        "nodes": 1,
        "connections": 0,
        "sessions": 0,
        "members": 0,
        "patches": 0,
        "reactor_lag": 0.0,
        "reactor_lag_max": 0.0,
    }
    stack.clock.advance(90.5)
    first, second = stack.member("a"), stack.member("a")
    stack.post_json("/api/flows", {"id": "b"})
    patch = ("PATCH", "/api/flows/b", [("Content-Type", "application/json")])
    assert stack.request(*patch, b'{"title": "t"}').status == 200
    assert stack.get("/api/status").json == {
        **nobody,
        "uptime": 90.5,
        "connections": 2,
        "sessions": 2,
        "members": 2,
        "patches": 1,
    }
    del first, second
    stack.clock.pump([1.0] * 60)  # they don't poll
    ended = stack.get("/api/status").json
    assert (ended["connections"], ended["sessions"], ended["members"]) == (0, 0, 0)


def test_res24_lag_is_the_newest_and_the_largest() -> None:
    telemetry = Telemetry()
    status = ServerStatus(telemetry, Clock().seconds)
    telemetry.emit("helix.reactor.turned", {"lag": 0.25, "largest_lag": 0.25})
    telemetry.emit("helix.reactor.turned", {"lag": 0.0012345678, "largest_lag": 0.25})
    numbers = status.numbers()
    assert (numbers["reactor_lag"], numbers["reactor_lag_max"]) == (0.001235, 0.25)


def test_nod13_it_says_whether_other_nodes_are_heard(logged: object) -> None:
    stack = Stack()
    for up, told, shown in (
        (None, "none", ""),
        (1, "up", ", the only node"),
        (0, "away", ", does not hear other nodes"),
    ):
        if up is not None:
            stack.telemetry.emit("helix.broker.changed", {"up": up})
        assert stack.get("/api/status").json["broker"] == told
        page = Page(stack.get("/status").body.decode())
        assert page.texts["broker"] == shown


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: dict[str, str] = {}
        self.addresses: list[str] = []
        self._id: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        self._id = None
        for name, value in attrs:
            assert not name.startswith("on")
            assert name != "style"
            if name in ("src", "href"):
                self.addresses.append(value or "")
            if name == "id":
                assert value not in self.texts
                self._id = value
                self.texts[value or ""] = ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._id = None

    def handle_data(self, data: str) -> None:
        if self._id is not None:
            self.texts[self._id] += data


@pytest.mark.parametrize("target", ["/", "/status"])
def test_res25_page_tells_all_without_a_script(target: str) -> None:
    stack = Stack()
    for _ in range(3):
        stack.telemetry.emit("helix.connection.opened", {}, {"transport": "websocket"})
    stack.telemetry.emit("helix.flow.appended", {"entries": 12_345}, {"flow_id": "f"})
    stack.telemetry.emit("helix.reactor.turned", {"lag": 0.0, "largest_lag": 0.01234})
    stack.clock.advance(3 * 3600 + 125)
    answer = stack.get(target)
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    page = Page(answer.body.decode())
    assert page.open == []
    assert page.texts["connections"] == "3"
    assert page.texts["sessions"] == "0"
    assert page.texts["patches"] == "12,345"
    assert page.texts["lag"] == "12.3"
    assert page.texts["uptime"] == "3 h 2 min"
    assert page.texts["version"] == __version__
    assert "{" not in answer.body.decode().partition("</style>")[2]


def test_res25_page_allows_nothing_but_its_own_style_and_script() -> None:
    answer = Stack().get("/status")
    text = answer.body.decode()
    style = re.search("<style>(.*)</style>", text, re.DOTALL)
    assert style
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "script-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert "prefers-color-scheme: dark" in style[1]
    assert "url(" not in style[1]
    assert text.count("<script") == text.count('<script src="/status.js" defer></script>') == 1


def test_res25_every_address_on_the_page_leads_somewhere() -> None:
    stack = Stack()
    for address in Page(stack.get("/").body.decode()).addresses:
        assert stack.get(address).status == 200, address


def test_res25_script_finds_what_it_fills() -> None:
    stack = Stack()
    script = stack.get("/status.js")
    assert script.content_type == "text/javascript; charset=utf-8"
    again = stack.get("/status.js", ("If-None-Match", script.headers["etag"]))
    assert (again.status, again.body) == (304, b"")
    ids = Page(stack.get("/").body.decode()).texts
    text = script.body.decode()
    filled = set(re.findall(r'(?:say|byId)\("([\w-]+)"', text))
    filled |= {f"{name}-line" for name in re.findall(r'draw\("(\w+)"', text)}
    assert {"state", "patches", "lag", "uptime", "version", "patches-line"} <= filled
    assert filled <= set(ids)
    read = set(re.findall(r"now\.(\w+)", text))
    assert read - {"workers"} <= set(stack.get("/api/status").json)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3 * 3600 + 60, "3 h 1 min"),
        (86_400 * 2 + 3600 * 5, "2 d 5 h"),
    ],
)
def test_res25_uptime_is_written_in_two_units(seconds: float, written: str) -> None:
    assert _duration(seconds) == written


def test_res25_page_has_a_time_that_goes_on() -> None:
    stack = Stack()
    assert stack.clock.seconds() == NOW
    assert Page(stack.get("/").body.decode()).texts["uptime"] == "0 s"


def test_nod88_it_tells_how_many_workers_answer() -> None:
    assert _tell_workers([]) == ""
    assert _tell_workers([{"up": True}, {"up": False}]) == ", 1 of 2 workers answer"
    assert Page(Stack().get("/status").body.decode()).texts["workers"] == ""
