"""A server below a path, behind a proxy that removes the path from what it passes on, or not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
import pytest

from helix.config import SettingError, read_config
from helix.web.base_path import ROOT, BasePath
from helix.web.editor_files import EditorFiles
from helix.web.flows import FlowRoutes
from helix.web.guests import GuestRoutes
from helix.web.keys import KeyRoutes
from helix.web.sharing import SharingRoutes
from helix.web.sign_in import SignInRoutes
from helix.web.site import Web
from helix.web.templates import TemplateRoutes
from tests.support.logs import logged
from tests.support.memory_clients import Answer
from tests.support.rawsocket import upgrade_request
from tests.support.stack import Stack
from tests.support.tokens import bearer, secret_file, token

__all__ = ["logged"]

pytestmark = pytest.mark.usefixtures("logged")

BASE = "/some/helix"

PAGE = (
    b'<!doctype html><html><head><link rel="icon" href="./assets/a.svg" />'
    b'<script type="module" crossorigin src="./assets/a.js"></script></head></html>'
)

FILES = {"index.html": PAGE, "assets/a.js": b"0", "assets/a.svg": b"<svg/>"}

APPS = (
    Web.app,
    FlowRoutes.app,
    TemplateRoutes.app,
    KeyRoutes.app,
    GuestRoutes.app,
    SharingRoutes.app,
    SignInRoutes.app,
)

VALUES = {"name": "a.js", "template_id": "contract-renewals"}
"""What stands for the parts of addresses, besides ids of flows and numbers."""


NEEDS_A_PROVIDER = ("/auth/sign-in", "/auth/callback", "/auth/sign-out", "/api/auth/sessions")
"""What is there only with a provider of identities; tests/web/test_sign_in.py has one."""


def make(**options: Any) -> Stack:
    stack = Stack(editor=EditorFiles(FILES), **options)
    stack.post_json("/api/flows", {"id": "f", "document": {"title": "Orders"}})
    stack.request("PUT", "/api/flows/f/versions/1", JSON, b'{"name": "First"}')
    return stack


JSON = [("Content-Type", "application/json")]


@attrs.frozen
class Route:
    method: str
    path: str


def routes() -> Iterator[Route]:
    """Every route that there is."""

    def value(part: re.Match[str]) -> str:
        return "1" if part[1] == "int:" else VALUES.get(part[2], "f")

    for app in APPS:
        for rule in app.url_map.iter_rules():
            path = re.sub(r"<(\w+:)?(\w+)>", value, rule.rule)
            for method in sorted((rule.methods or set()) - {"HEAD"}):
                yield Route(method, path)
    for method in ("GET", "POST"):
        yield Route(method, "/socket/longpoll?vsn=2.0.0")
        yield Route(method, "/socket/websocket?vsn=2.0.0")
        yield Route(method, "/socket/check")


def send(route: Route, before: str, **options: Any) -> Answer:
    """Make a request of a server of its own."""
    body = b'{"title": "New"}' if route.method in ("POST", "PUT", "PATCH") else None
    return make(**options).request(route.method, before + route.path, JSON, body)


def outline(answer: Answer) -> tuple[object, ...]:
    """What is the same at each address of a server."""
    problem = json.loads(answer.body).get("code") if b'"code"' in answer.body else None
    return answer.status, answer.content_type, answer.headers["allow"], problem


@pytest.mark.parametrize("route", list(routes()), ids=lambda route: f"{route.method} {route.path}")
def test_acc210_every_route_is_served_with_the_path_and_without_it(route: Route) -> None:
    plain = send(route, "")
    assert plain.status != 500
    assert (outline(plain)[-1] == "not_found") == (route.path in NEEDS_A_PROVIDER)
    for before in (BASE, ""):
        assert outline(send(route, before, base_path=BASE)) == outline(plain)
    assert send(route, BASE).status == 404
    assert send(route, "/other", base_path=BASE).status == 404
    assert send(route, BASE + BASE, base_path=BASE).status == 404


def test_acc210_every_word_of_an_address_is_in_one_of_those_routes() -> None:
    words = {word.encode() for route in routes() for word in re.split("[/?]", route.path)}
    known: Any = make().site.requestFactory
    assert known.words <= words


def test_acc210_path_alone_is_home() -> None:
    stack = make(base_path=BASE)
    page = stack.get("/").body
    for target in (BASE, f"{BASE}/", f"{BASE}?a=b", f"{BASE}/?a=b", f"http://a{BASE}"):
        assert (stack.get(target).status, stack.get(target).body) == (200, page), target


@pytest.mark.parametrize(
    "target",
    [
        "/some", "/some/", f"{BASE}x/healthz", f"{BASE}-/healthz", f"{BASE}//healthz",
        f"/{BASE}/healthz", f"{BASE}%2Fhealthz", "/some%2Fhelix/healthz", "/Some/helix/healthz",
        "/some/hel%69x/healthz", f"{BASE}/%68ealthz", f"{BASE}/../healthz", f"x{BASE}/healthz",
    ],
)  # fmt: skip
def test_acc210_nothing_else_is_taken_for_it(target: str) -> None:
    answer = make(base_path=BASE).get(target)
    assert answer.status in (400, 404)


def test_acc210_sockets_connect_below_it() -> None:
    stack = make(base_path=BASE)
    for before in (BASE, ""):
        socket = stack.connect()
        socket.send(upgrade_request(f"{before}/socket/websocket?vsn=2.0.0"))
        assert socket.take().startswith(b"HTTP/1.1 101")
        polled = stack.get(f"{before}/socket/longpoll?vsn=2.0.0")
        assert json.loads(polled.body)["status"] == 410
        assert json.loads(polled.body)["token"]


@pytest.mark.parametrize("word", ["api", "socket", "flow", "assets", "status", "healthz"])
def test_acc210_path_that_begins_as_the_servers_own_addresses_is_refused(word: str) -> None:
    for path in (f"/{word}", f"/{word}/helix"):
        with pytest.raises(SettingError, match=f"--base-path: .*/{word},"):
            Stack(base_path=path)
    Stack(base_path=f"/helix/{word}")


@pytest.mark.parametrize("text", ["", "/", "/helix", "/helix/", "/a/b.c/~d_e-f"])
def test_acc210_path_as_it_may_be_written(text: str) -> None:
    assert read_config({"base-path": [text]}, {}).base_path == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    ["helix", "//helix", "/helix//", "/a//b", "/..", "/a/./b", "/a b", "/a%20b", "/a?b", "/a\n",
     "https://a.test/helix", "/é", "/a/../b"],
)  # fmt: skip
def test_acc210_path_that_proxies_could_write_in_two_ways_is_none(text: str) -> None:
    with pytest.raises(SettingError, match="a path such as /helix is wanted"):
        read_config({"base-path": [text]}, {})


def test_acc210_without_one_nothing_is_removed() -> None:
    for target in (b"/", b"/a/b?c", b"*", b""):
        assert ROOT.without(target) == target
    assert BasePath("/a").without(b"/a/a/a") == b"/a/a"


# ACC211: what the server says of its addresses


class Addresses(HTMLParser):
    """The addresses in a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.mark.parametrize("target", ["/", "/flow/f", "/status", "/api/docs"])
@pytest.mark.parametrize("before", [BASE, ""], ids=["kept", "stripped"])
def test_acc211_pages_name_addresses_below_it(target: str, before: str) -> None:
    stack = make(base_path=BASE)
    found = [one for one in Addresses(stack.get(before + target).body).found if one[:1] != "#"]
    assert found
    for address in found:
        assert address.startswith(f"{BASE}/")
        assert stack.get(address).status == 200
        assert stack.get(address.removeprefix(BASE)).status == 200


def test_acc211_page_is_told_the_path_and_keeps_its_policy() -> None:
    answer = make(base_path=BASE).get(f"{BASE}/flow/f")
    assert told(answer) == {"base": BASE, "ancestors": [], "anyone": True, "tokens": False}
    assert (
        answer.headers["content-security-policy"]
        == (make().get("/").headers["content-security-policy"])
    )
    assert b"<base" not in answer.body
    assert told(make().get("/")) is None


def told(answer: Answer) -> Any:
    """What the server has written into the page."""
    meta = re.search(r'<meta name="helix" content="([^"]*)" />', answer.body.decode())
    return None if meta is None else json.loads(unescape(meta[1]))


def test_acc211_status_page_asks_beside_its_script() -> None:
    stack = make(base_path=BASE)
    script = stack.get(f"{BASE}/status.js").body.decode()
    assert 'new URL("api/status", document.currentScript.src)' in script
    assert '"/' not in script
    assert f"<code>{BASE}/socket/websocket</code>" in stack.get("/status").body.decode()


def test_acc211_description_of_rest_names_it() -> None:
    stack = make(base_path=BASE)
    assert stack.get("/api/openapi.json").json["servers"][0]["url"] == BASE
    assert f"<code>{BASE}/api/flows</code>" in stack.get("/api/docs").body.decode()
    assert make().get("/api/openapi.json").json["servers"][0]["url"] == "/"


@pytest.mark.parametrize("before", [BASE, ""], ids=["kept", "stripped"])
def test_acc211_address_of_a_new_flow_is_below_it(before: str) -> None:
    stack = make(base_path=BASE)
    made = stack.post_json(f"{before}/api/flows", {"id": "a/b"})
    assert (made.status, made.headers["location"]) == (201, f"{BASE}/api/flows/a%2Fb")
    assert stack.get(made.headers["location"]).status == 200


def test_acc211_address_of_a_link_is_below_it(tmp_path: Path) -> None:
    stack = Stack(base_path=BASE, auth=f"jwt:hmac:{secret_file(tmp_path)}")
    who = bearer(token(flows={"*": "owner"}, create=["*"]))
    stack.post_json("/api/flows", {"id": "f"}, who)
    made = stack.post_json("/api/flows/f/links", {"role": "viewer"}, who)
    assert made.json["path"].startswith(f"{BASE}/flow/f#link=")


# ACC214: who may show the editor in a frame

PRODUCTS = ["https://app.example.com", "http://127.0.0.1:8080"]


def test_acc214_nobody_may_show_the_editor_in_a_frame_unless_that_is_said() -> None:
    for target in ("/", "/flow/f", "/status", "/api/docs"):
        headers = make().get(target).headers
        assert headers["content-security-policy"].endswith("; frame-ancestors 'none'")
        assert headers["x-frame-options"] == "DENY"


def test_acc214_pages_of_the_named_origins_may() -> None:
    stack = make(frame_ancestors=PRODUCTS, auth="anyone")
    for target in ("/", "/flow/f"):
        answer = stack.get(target)
        policy = answer.headers["content-security-policy"]
        assert policy.endswith(f"; frame-ancestors {' '.join(PRODUCTS)}")
        assert (
            policy.partition("; frame-")[0]
            == (make().get("/").headers["content-security-policy"].partition("; frame-")[0])
        )
        assert answer.headers["x-frame-options"] is None
        assert told(answer)["ancestors"] == PRODUCTS
    for target in ("/status", "/api/docs"):
        assert stack.get(target).headers["x-frame-options"] == "DENY"


def test_acc214_page_that_is_known_keeps_who_may() -> None:
    stack = make(frame_ancestors=PRODUCTS)
    tag = stack.get("/").headers["etag"]
    assert tag != make().get("/").headers["etag"]
    known = stack.get("/", ("If-None-Match", tag))
    assert known.status == 304
    assert known.headers["content-security-policy"].endswith(" ".join(PRODUCTS))


@pytest.mark.parametrize(
    "text",
    ["*", "'self'", "app.example.com", "https://*.example.com", "https://App.example.com",
     "https://app.example.com/", "https://app.example.com:443", "http://a:80", "https://a:0",
     "https://a;script-src", "ftp://a", "null", "http://[::1]:80", "https://a:99999",
     "https://u@a", "https:// a"],
)  # fmt: skip
def test_acc214_origin_is_as_browsers_write_it(text: str) -> None:
    with pytest.raises(SettingError, match="--frame-ancestors: an origin is wanted"):
        read_config({"frame-ancestors": [text]}, {})


@pytest.mark.parametrize("text", [*PRODUCTS, "https://a:80", "http://[::1]:81", "https://[::1]"])
def test_acc214_origins_that_are_taken(text: str) -> None:
    assert read_config({"frame-ancestors": [text]}, {}).frame_ancestors == (text,)
