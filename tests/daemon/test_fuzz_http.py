"""The HTTP edge of a real daemon, given anything: it answers or closes, and never with a fault."""

from __future__ import annotations

import os
import string
from collections.abc import Iterator
from contextlib import suppress
from socket import SHUT_WR
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.daemon import Daemon
from tests.support.rawsocket import TIMEOUT, RawConnection
from tests.support.watched import faults_in, get, no_faults, running_daemon

EXAMPLES = int(os.environ.get("HELIX_ATTACKS_EXAMPLES", "0"))
"""How many requests are tried, not always the same; 0 for 1,200 that are."""

fuzz = settings(
    max_examples=EXAMPLES or 1200, deadline=None, derandomize=not EXAMPLES, print_blob=True
)

PATIENCE = 0.03
"""Seconds without a byte after which the server is taken to wait for more."""

METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH", "CONNECT", "get"]
PLACES = [
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/sessions",
    "/api/sessions/x",
    "/api/flows",
    "/api/flows/import",
    "/api/flows/x",
    "/api/flows/x/entries",
    "/api/flows/x/duplicate",
    "/api/flows/x/restore",
    "/api/templates",
    "/api/openapi.json",
    "/api/flows/x/status",
    "/api/flows/x/sync",
    "/socket/websocket",
    "/socket/longpoll",
    "/socket",
    "/socket/check",
    "/socket/x\x99",
    "/%6detrics",
    "xmetrics",
    "*",
    "http://localhost/healthz",
    "//healthz",
    "/../healthz",
]

token = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=12)
printable = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=24)
queries = st.one_of(
    st.just(""),
    printable.map(lambda value: "?" + value),
    st.tuples(token, printable).map(lambda pair: f"?{pair[0]}={quote(pair[1])}"),
    st.sampled_from(["?vsn=2.0.0", "?vsn=", "?limit=0", "?limit=9e9", "?after=%ff", "?token=%zz"]),
    st.sampled_from(["?a[b]=c&a[b][d]=e", "?&&==&", "?token=longpoll.x", "?vsn=2.0.0&vsn=3"]),
)
paths = st.one_of(
    st.sampled_from(PLACES),
    st.tuples(st.sampled_from(PLACES), printable).map("".join),
    st.tuples(st.sampled_from(PLACES), printable).map(lambda pair: pair[0] + quote(pair[1])),
    printable.map(lambda flow_id: f"/api/flows/{quote(flow_id, safe='')}/status"),
    printable.map(lambda flow_id: f"/api/flows/{quote(flow_id, safe='')}/sync"),
    printable.map(lambda flow_id: f"/api/sessions/{quote(flow_id, safe='')}"),
    st.lists(st.binary(max_size=3), max_size=6).map(
        lambda parts: "/" + "/".join("".join(f"%{byte:02x}" for byte in part) for part in parts)
    ),
)
headers = st.one_of(
    st.tuples(token, printable.map(quote)),
    st.sampled_from(
        [
            ("Host", "localhost"),
            ("Host", "a..b:x"),
            ("Content-Type", "application/json"),
            ("Content-Type", "application/x-ndjson"),
            ("Content-Type", "application/merge-patch+json"),
            ("If-Match", "*"),
            ("If-Match", '"x.1", W/"'),
            ("If-None-Match", '"x.1"'),
            ("Origin", "null"),
            ("Origin", "http://localhost"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Connection", "close"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Protocol", "phoenix, base64url.bearer.phx.%"),
            ("Sec-WebSocket-Extensions", 'permessage-deflate; x="y'),
            ("Transfer-Encoding", "chunked"),
            ("Transfer-Encoding", "gzip"),
            ("Content-Length", "4294967296"),
            ("Content-Length", "-1"),
            ("Content-Length", "1" * 4301),
            ("Host", "127.0.0.1"),
            ("X-Forwarded-For", "x, y"),
            ("Range", "bytes=0-"),
            ("Cookie", "=;=;x"),
            ("Authorization", "Basic \x99"),
            ("Content-Length", "3"),
            ("Expect", "100-continue"),
            ("X-Phoenix-AuthToken", "é"),
        ]
    ),
)
bodies = st.one_of(
    st.just(b""),
    st.binary(max_size=60),
    st.sampled_from([b"{}", b'{"id":"x"}', b'{"title":"t"}', b'{"nodes":[{}]}', b'{"version":0}']),
    st.sampled_from([b'{"changes":1}', b'{"changes":', b"[1]", b"null", b'{"changes":"\xff"}']),
    st.sampled_from([b"3\r\nabc\r\n0\r\n\r\n", b"ffffffffff\r\n", b"-1\r\n", b"0;x=y\r\n\r\n"]),
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """What nearly is a request."""
    method = draw(st.sampled_from(METHODS) | token)
    target = draw(paths) + draw(queries)
    version = draw(st.sampled_from(["HTTP/1.1"] * 12 + ["HTTP/1.0", "HTTP/9.9", "", "x y"]))
    lines = [f"{method} {target} {version}".encode("latin-1")]
    lines += [
        f"{name}: {value}".encode("latin-1") for name, value in draw(st.lists(headers, max_size=6))
    ]
    body = draw(bodies)
    if draw(st.booleans()):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running_daemon(tmp_path_factory.mktemp("fuzzed"), "--max-frame-bytes", "4096") as one:
        yield one
        assert not faults_in(one.log)


END = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
"""A request behind which the server closes, if it takes it for one."""


def answer_to(daemon: Daemon, request: bytes) -> bytes:
    """
    What comes back up to where the server closes.

    Where it waits for more (of a body, of a poll, on a WebSocket), the client's end is the end:
    the server closes then, with no more ado.
    """
    with RawConnection(daemon.port) as connection:
        with suppress(OSError):  # closed already
            connection.send(request)
            connection.send(b"\r\n\r\n" + END)
        connection.sock.settimeout(PATIENCE)
        answer = b""
        try:
            while data := connection.sock.recv(65536):
                answer += data
        except TimeoutError:
            connection.sock.settimeout(TIMEOUT)
            with suppress(OSError):
                connection.sock.shutdown(SHUT_WR)
            answer += connection.read_to_end()
        except ConnectionError:
            pass
        return answer


@fuzz
@given(request=requests())
@example(request=b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 600 + b"\r\n")
@example(request=b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n")
@example(request=b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n")
@example(request=b"POST /api/flows/x/sync HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
@example(request=b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
@example(request=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
@example(request=b"\0" * 100)
def test_frm7_res7_requests_of_any_kind_are_answered_or_closed(
    daemon: Daemon, request: bytes
) -> None:
    answer = answer_to(daemon, request)
    if answer:
        assert answer.startswith(b"HTTP/1."), answer[:80]
        status = int(answer.split(b" ", 2)[1])
        assert status in (100, 101, 505) or 200 <= status < 500, answer[:200]


@fuzz
@given(junk=st.binary(min_size=1, max_size=300))
def test_frm7_bytes_of_any_kind_are_answered_or_closed(daemon: Daemon, junk: bytes) -> None:
    answer = answer_to(daemon, junk)
    assert answer == b"" or answer.startswith(b"HTTP/1."), answer[:80]


def test_frm7_daemon_is_well_after_all_that(daemon: Daemon) -> None:
    with no_faults(daemon):
        assert get(daemon, "/healthz")[0] == 200
        assert get(daemon, "/api/sessions")[0] == 200
