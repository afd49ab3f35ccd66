"""Who may connect, asked with whole HTTP requests over the whole server in memory."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.support.logs import logged
from tests.support.memory_clients import Answer, MemoryConnection
from tests.support.rawsocket import TEXT, build_frame
from tests.support.stack import Stack

__all__ = ["logged"]

pytestmark = pytest.mark.usefixtures("logged")

HEARTBEAT_V1 = b'{"topic":"phoenix","event":"heartbeat","payload":{},"ref":"7"}'
HEARTBEAT_V2 = b'[null,"7","phoenix","heartbeat",{}]'


@pytest.fixture
def stack() -> Stack:
    return Stack()


def assert_refused(connection: MemoryConnection, code: str, status: int = 403) -> Answer:
    """The request for a WebSocket was answered with a problem and not upgraded."""
    answer = connection.answer
    assert answer.status == status, answer
    assert answer.content_type == "application/problem+json"
    assert (answer.json["code"], answer.json["status"]) == (code, status)
    assert answer.json["retry"] == (status == 503)
    return answer


def talk(connection: MemoryConnection, text: bytes) -> bytes:
    """Send a frame, and all that came after the handshake."""
    connection.send(build_frame(TEXT, text))
    return connection.transport.value().partition(b"\r\n\r\n")[2]


# CON1 and CON2: versions


@pytest.mark.parametrize("vsn", ["", "vsn=", "vsn=1.0.0", "vsn=1.0.99", "x=y", "VSN=2.0.0"])
def test_con1_v1_is_spoken(stack: Stack, vsn: str) -> None:
    said = talk(stack.upgrade(vsn), HEARTBEAT_V1)
    assert json.loads(said[2:])["payload"] == {"status": "ok", "response": {}}


@pytest.mark.parametrize("vsn", ["vsn=2.0.0", "vsn=2.0.5", "vsn=2.0.0&vsn=9", "vsn=%32.0.0"])
def test_con1_v2_is_spoken(stack: Stack, vsn: str) -> None:
    said = talk(stack.upgrade(vsn), HEARTBEAT_V2)
    assert json.loads(said[2:])[4] == {"status": "ok", "response": {}}


@pytest.mark.parametrize(
    "vsn",
    ["2", "2.0", "2.1.0", "1.1.0", "3.0.0", "0.0.0", "x", "2.0.0.0", "2.0.-1", "%FF", "9" * 999],
)
def test_con2_other_versions_are_refused(stack: Stack, vsn: str) -> None:
    assert_refused(stack.upgrade(f"vsn={vsn}"), "unsupported_version")
    assert len(stack.clients) == 0


# CON3 and CON4: tokens


def bearer(token: bytes, alphabet: bytes = b"+/", padded: bool = False) -> str:
    """The subprotocol that carries ``token``."""
    encoded = base64.b64encode(token, alphabet).decode()
    return "base64url.bearer.phx." + (encoded if padded else encoded.rstrip("="))


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("alphabet", [b"+/", b"-_"])
@pytest.mark.parametrize("token", [b"", b"a", b"ab", b"abc", "ÿþ>?~ÿ".encode()])
def test_con3_tokens_among_the_subprotocols_are_read(
    stack: Stack, token: bytes, alphabet: bytes, padded: bool
) -> None:
    offered = f"phoenix, {bearer(token, alphabet, padded)}"
    answer = stack.upgrade("vsn=2.0.0", ("Sec-WebSocket-Protocol", offered)).answer
    assert answer.status == 101
    assert answer.headers.get_all("sec-websocket-protocol") == ["phoenix"]


@pytest.mark.parametrize("encoded", ["%%%", "a", "YQ==YQ", "/w", "Y Q"])
def test_con3_tokens_that_cannot_be_read_are_refused(stack: Stack, encoded: str) -> None:
    headers = [("Sec-WebSocket-Protocol", f"phoenix, base64url.bearer.phx.{encoded}")]
    answer = assert_refused(stack.upgrade("vsn=2.0.0", *headers), "token_refused")
    assert f"phx.{encoded}" not in answer.text


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ("phoenix", ["phoenix"]),
        ("a, phoenix ,b", ["phoenix"]),
        (f"{bearer(b'x')},phoenix", ["phoenix"]),
        (bearer(b"x"), None),
        ("Phoenix", None),
        ("phoenixes, graphql-ws", None),
    ],
)
def test_con4_only_phoenix_is_answered(
    stack: Stack, offered: str, answered: list[str] | None
) -> None:
    answer = stack.upgrade("vsn=2.0.0", ("Sec-WebSocket-Protocol", offered)).answer
    assert answer.status == 101
    assert answer.headers.get_all("sec-websocket-protocol") == answered


# CON5: origins


@pytest.mark.parametrize("origin", ["http://localhost", "http://localhost:80", "HTTP://LocalHost"])
def test_con5_pages_of_the_host_connect(stack: Stack, origin: str) -> None:
    assert stack.upgrade("", ("Origin", origin)).answer.status == 101


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.test",
        "http://localhost:81",
        "http://localhost.evil.test",
        "null",
        "localhost",
        "",
    ],
)
def test_con5_other_pages_are_refused(stack: Stack, origin: str) -> None:
    assert_refused(stack.upgrade("", ("Origin", origin)), "origin_refused")


def test_con5_allowed_origins_connect_and_star_is_all() -> None:
    named, all_ = Stack(allow_origin=["https://app.test"]), Stack(allow_origin=["*"])
    assert named.upgrade("", ("Origin", "https://app.test")).answer.status == 101
    assert_refused(named.upgrade("", ("Origin", "http://app.test")), "origin_refused")
    for origin in ("http://any.test", "null"):
        assert all_.upgrade("", ("Origin", origin)).answer.status == 101


# CON6: limits


def test_con6_more_connections_than_there_may_be() -> None:
    stack = Stack(max_connections=3)
    first = stack.upgrade()
    stack.upgrade()
    stack.poller()
    answer = assert_refused(stack.upgrade(), "too_many_connections", 503)
    assert answer.headers["retry-after"]
    first.lose()
    assert stack.upgrade().answer.status == 101
    assert_refused(stack.upgrade(), "too_many_connections", 503)


def test_con6_more_connections_from_one_address_than_there_may_be() -> None:
    stack = Stack(max_connections_per_address=2)
    first = stack.upgrade(address="192.0.2.1")
    stack.poller(address="192.0.2.1")
    assert_refused(stack.upgrade(address="192.0.2.1"), "too_many_connections", 503)
    assert stack.upgrade(address="192.0.2.2").answer.status == 101
    first.lose()
    assert stack.upgrade(address="192.0.2.1").answer.status == 101


@pytest.mark.parametrize("address", ["127.0.0.1", "127.200.3.4", None])
def test_con6_loopback_and_unix_sockets_are_exempt(address: str | None) -> None:
    stack = Stack(max_connections_per_address=1)
    for _ in range(5):
        assert stack.upgrade(address=address).answer.status == 101


def test_con6_what_was_refused_takes_no_room() -> None:
    stack = Stack(max_connections=1)
    for _ in range(5):
        assert_refused(stack.upgrade("vsn=9"), "unsupported_version")
    assert stack.upgrade().answer.status == 101


def test_con6_a_forwarded_address_does_not_count() -> None:
    """Anyone can write the header, so it would get round the limit."""
    stack = Stack(max_connections_per_address=1)
    forwarded = ("X-Forwarded-For", "198.51.100.1")
    stack.upgrade(address="192.0.2.1")
    assert_refused(stack.upgrade("", forwarded, address="192.0.2.1"), "too_many_connections", 503)


# CON8: parameters


@pytest.mark.parametrize(
    "query",
    [
        "params[user][id]=1&params[user][id]=2",
        "a[b]=c&a[]=d&a=e",
        "token",
        "token=&token=",
        "=x&&;&%",
        "%FF=%FE&vsn=2.0.0",
        "vsn=2.0.0&" + "&".join(f"k{n}={n}" for n in range(500)),
        "k=" + "x" * 8000,
        "vsn=2.0.0&q=%00%0D%0A",
    ],
)
def test_con8_any_parameters_are_taken(stack: Stack, query: str) -> None:
    assert stack.upgrade(query).answer.status == 101


# draining


def test_ops4_a_draining_server_refuses_connections(stack: Stack) -> None:
    stack.clients.draining = True
    answer = assert_refused(stack.upgrade(), "draining", 503)
    assert answer.headers["retry-after"]


# CON9: why not


def check(stack: Stack, origin: str, body: object = None) -> Answer:
    answer = stack.post_json("/socket/check", body or {}, ("Origin", origin))
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    return answer


def test_con9_page_is_told_that_it_may_connect(stack: Stack) -> None:
    assert check(stack, "http://helix.test").json == {"admitted": True}
    assert len(stack.clients) == 0


def test_con9_page_of_another_origin_is_told_why_it_may_not(stack: Stack) -> None:
    told = check(stack, "https://elsewhere.example").json
    assert told["admitted"] is False
    assert told["refusal"]["code"] == "origin_refused"
    assert told["refusal"]["retry"] is False


def test_con9_what_asks_for_nothing_is_asked_for_no_token(stack: Stack) -> None:
    answer = check(stack, "http://helix.test", b"nothing")
    assert answer.json == {"admitted": True}


def test_con9_only_post_is_taken(stack: Stack) -> None:
    assert stack.get("/socket/check").status == 405
    assert stack.post_json("/socket/check/more", {}).status == 404


# CON5 behind proxies, SEC7

PROXY = "192.0.2.9"


@pytest.mark.parametrize(
    ("origin", "said", "admitted"),
    [
        ("https://helix.test", [("X-Forwarded-Proto", "https")], True),
        ("http://helix.test", [("X-Forwarded-Proto", "https")], False),
        ("https://helix.test", [("X-Forwarded-Proto", "HTTPS, http")], True),
        ("https://helix.test", [("X-Forwarded-Proto", "wss")], True),
        ("http://helix.test", [("X-Forwarded-Proto", "gopher")], True),
        ("http://helix.test", [], True),
        ("https://helix.test", [], False),
        (
            "https://app.test",
            [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "app.test")],
            True,
        ),
        ("http://app.test:81", [("X-Forwarded-Host", "app.test:81, helix.test")], True),
        ("http://helix.test", [("X-Forwarded-Host", "app.test")], False),
    ],
)
@pytest.mark.parametrize("trusted", [True, False])
def test_con5_trusted_proxy_says_what_its_client_asks(
    trusted: bool, origin: str, said: list[tuple[str, str]], admitted: bool
) -> None:
    stack = Stack(trusted_proxy=PROXY) if trusted else Stack()
    headers = [("Origin", origin), ("Content-Type", "application/json"), *said]
    for target, body in (("/socket/check", b"{}"), ("/api/flows/f/sync", b'{"changes":1}')):
        answer = stack.request("POST", target, headers, body, address=PROXY)
        expected = admitted if trusted else origin == "http://helix.test"
        told = answer.json.get("admitted", answer.status == 200)
        assert told is expected, answer


def test_con5_page_of_the_other_scheme_is_told_what_would_be_right(stack: Stack) -> None:
    refusal = check(stack, "https://helix.test").json["refusal"]
    assert "http://helix.test" in refusal["reason"]
    assert "--trusted-proxy" in refusal["reason"]


@pytest.mark.parametrize(
    ("options", "host", "status"),
    [
        ({}, "localhost:4000", 200),
        ({}, "127.0.0.1", 200),
        ({}, "rebound.test", 421),
        ({"listen": "unix:x.sock"}, "rebound.test", 421),
        ({"listen": ["tcp:1:interface=127.0.0.1", "tcp:2"]}, "helix.test", 200),
        ({"trusted_proxy": "127.0.0.1"}, "helix.test", 200),
        ({"trusted_proxy": "127.0.0.1", "allow_host": "helix.test"}, "rebound.test", 421),
        ({"listen": "tcp:4000", "allow_host": "helix.test"}, "rebound.test", 421),
        ({"listen": "tcp:4000", "allow_host": "helix.test"}, "helix.test", 200),
        ({"allow_host": ["a.test", "*.b.test"]}, "x.b.test", 200),
        ({"allow_host": "*"}, "rebound.test", 200),
    ],
)
def test_sec7_by_which_names_a_server_is_asked_for(
    options: dict[str, Any], host: str, status: int
) -> None:
    stack = Stack(**{"allow_host": [], **options})
    for target in ("/api/flows", "/socket/longpoll?vsn=2.0.0", "/", f"http://{host}/healthz"):
        connection = stack.connect()
        named = "localhost" if target.startswith("http") else host
        connection.send(f"GET {target} HTTP/1.1\r\nHost: {named}\r\n\r\n".encode())
        answer = connection.answer
        assert answer.status == status, answer
        if status == 421:
            assert answer.json["code"] == "host_refused"
            assert connection.transport.disconnecting
