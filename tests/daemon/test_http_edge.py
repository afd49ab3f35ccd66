"""Requests that no ordinary HTTP client sends: each has its answer, and none a fault."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.daemon import Daemon
from tests.support.rawsocket import EndOfStream, RawConnection, Response, upgrade_request
from tests.support.watched import get, no_faults, running_daemon

PROBLEM = "application/problem+json"
MAX_FRAME_BYTES = 4096
HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    options = ("--max-frame-bytes", str(MAX_FRAME_BYTES), "--allow-host", "*")
    with running_daemon(tmp_path_factory.mktemp("edge"), *options) as daemon:
        yield daemon


@pytest.fixture
def daemon(shared: Daemon) -> Iterator[Daemon]:
    """The daemon, in whose log a test leaves no fault, and which is well behind it."""
    with no_faults(shared):
        yield shared
        assert get(shared, "/healthz")[0] == 200


def ask(daemon: Daemon, request: bytes) -> Response:
    with RawConnection(daemon.port) as connection:
        connection.send(request)
        return connection.read_response()


def assert_problem(response: Response, status: int) -> None:
    assert response.status == status, response
    assert response.headers["content-type"] == PROBLEM, response
    problem = json.loads(response.body)
    assert problem["status"] == status
    assert set(problem) >= {"title", "status", "detail", "code", "retry"}


@pytest.mark.parametrize(
    "limit",
    ["0", "-1", "1001", "x", "", "1.0", "+1", "%201", "٣", "0000000019999",
     "000000001" + "0" * 5000, "9" * 5000, "1e3", "0x10", "NaN"],
)  # fmt: skip
def test_res3_limit_is_checked_whole(daemon: Daemon, limit: str) -> None:
    encoded = limit.encode()
    encoded = b"".join(b"%%%02X" % byte if byte > 127 else bytes([byte]) for byte in encoded)
    target = b"/api/sessions?limit=" + encoded
    response = ask(daemon, b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert_problem(response, 400)


@pytest.mark.parametrize(
    "host",
    [b"..", b"a..b", b".", b"\xff", b"\xc3\xa9.example", b"a" * 64, b"a" * 300, b"[", b"[::1]",
     b"]:", b"a:b:c", b"x:99999999", b"x:-1", b"x:", b":", b"", b"xn--a", b"-", b"a/b", b"a b",
     b"a\tb"],
)  # fmt: skip
@pytest.mark.parametrize(
    "line", [b"GET /healthz", b"GET /api/sessions", b"POST /api/flows/x/sync", b"GET /nowhere"]
)
def test_frm7_host_may_be_anything(daemon: Daemon, host: bytes, line: bytes) -> None:
    """The routes don't hang on it."""
    body = b'{"changes":1}' if line.startswith(b"POST") else b""
    request = b"%b HTTP/1.1\r\nHost: %b\r\n%bContent-Length: %d\r\n\r\n%b"
    response = ask(daemon, request % (line, host, JSON, len(body), body))
    assert response.status in (200, 400, 404), response
    if response.status != 200 and response.headers.get("content-type"):
        assert response.headers["content-type"] == PROBLEM


@pytest.mark.parametrize(
    "target",
    [b"/socket/websocket/x", b"/socket/websocket/", b"/socket/longpoll/x", b"/socket", b"/socket/x",
     b"/nowhere", b"/api", b"/api/flowsx", b"/api/flows/x", b"/api/flows/x/status/y"],
)  # fmt: skip
def test_res7_unknown_addresses(daemon: Daemon, target: bytes) -> None:
    request = upgrade_request().split(b"\r\n", 1)[1]
    assert_problem(ask(daemon, b"GET " + target + b"?vsn=2.0.0 HTTP/1.1\r\n" + request), 404)


def test_absolute_target_is_accepted(daemon: Daemon) -> None:
    """RFC 9112, 3.2.2: a server must."""
    target = b"http://localhost/healthz"
    assert ask(daemon, b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n").status == 200


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"POST /healthz", 405),
        (b"PUT /api/flows/x/sync", 405),
        (b"GET /api/flows/x/sync", 405),
        (b"POST /api/sessions", 405),
        (b"GET /api/sessions/x", 405),
        (b"TRACE /", 405),
        (b"BREW /", 405),
        (b"POST /socket/websocket", 405),
        (b"DELETE /socket/longpoll", 405),
        (b"GET /socket/websocket", 426),
        (b"DELETE /api/sessions/x", 404),
    ],
)
def test_res7_unknown_methods(daemon: Daemon, line: bytes, status: int) -> None:
    response = ask(daemon, line + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert_problem(response, status)
    assert status != 405 or response.headers["allow"]


BODIES = {
    "no JSON": (b"hello", 400),
    "nothing": (b"", 400),
    "array": (b"[1]", 400),
    "no changes": (b"{}", 400),
    "half": (b'{"changes":', 400),
    "two": (b'{"changes":1}{}', 400),
    "NaN": (b'{"changes":NaN}', 400),
    "no UTF-8": (b'{"changes":"\xff"}', 400),
    "encoded surrogate": (b'{"changes":"\xed\xa0\x80"}', 400),
    "deep": (b'{"changes":' + b"[" * 1000 + b"]" * 1000 + b"}", 400),
    "deep and open": (b"[" * 4000, 400),
    "just the limit": (b'{"changes":"' + b"x" * (MAX_FRAME_BYTES - 14) + b'"}', 200),
    "over the limit": (b'{"changes":"' + b"x" * (MAX_FRAME_BYTES - 13) + b'"}', 413),
    "null": (b'{"changes":null}', 200),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("chunk", [0, 1, 100, 100_000])
def test_res8_bodies(daemon: Daemon, body: bytes, status: int, chunk: int) -> None:
    """In one piece, or in chunks of any size."""
    head = b"POST /api/flows/x/sync HTTP/1.1\r\n" + HOST + JSON
    if chunk:
        parts = [body[at : at + chunk] for at in range(0, len(body), chunk)]
        sent = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        request = head + b"Transfer-Encoding: chunked\r\n\r\n" + sent
    else:
        request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    response = ask(daemon, request)
    if status == 200:
        assert response.status == 200, response
    else:
        assert_problem(response, status)


@pytest.mark.parametrize(
    "media_type", [b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data", b""]
)
def test_res8_media_types(daemon: Daemon, media_type: bytes) -> None:
    head = b"POST /api/flows/x/sync HTTP/1.1\r\n" + HOST + b"Content-Type: " + media_type
    assert_problem(ask(daemon, head + b'\r\nContent-Length: 13\r\n\r\n{"changes":1}'), 415)


@pytest.mark.parametrize("length", [MAX_FRAME_BYTES * 4 + 1, 1 << 40, 10**30])
@pytest.mark.parametrize("target", [b"/api/flows/x/sync", b"/socket/longpoll", b"/healthz"])
def test_res8_enormous_body_is_announced(daemon: Daemon, target: bytes, length: int) -> None:
    """It is refused before it comes."""
    head = b"POST " + target + b" HTTP/1.1\r\n" + HOST + JSON
    assert_problem(ask(daemon, head + b"Content-Length: %d\r\n\r\n" % length), 413)


@pytest.mark.parametrize(
    ("announced", "part"),
    [(b"", b"400\r\n" + b"x" * 1024 + b"\r\n"), (b"f" * 16 + b"\r\n", b"x" * 1024)],
    ids=["endless chunks", "enormous chunk"],
)
def test_res8_endless_body_is_cut_off(daemon: Daemon, announced: bytes, part: bytes) -> None:
    with RawConnection(daemon.port) as connection:
        head = b"POST /api/flows/x/sync HTTP/1.1\r\n" + HOST + JSON
        connection.send(head + b"Transfer-Encoding: chunked\r\n\r\n" + announced)
        with pytest.raises(ConnectionError):
            send_for_ever(connection, part)


def send_for_ever(connection: RawConnection, part: bytes) -> None:
    """Some 20 MB, that is."""
    for _ in range(20_000):
        connection.sock.sendall(part)


@pytest.mark.parametrize(
    "mistake",
    [
        b"Content-Length: x\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"Transfer-Encoding: gzip\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"no colon\r\n\r\n",
        b": no name\r\n\r\n",
        b"a b: c\r\n\r\n",
        b"X: \0\r\n\r\n",
        b"X: y\r\n" * 2000 + b"\r\n",
        b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_frm7_requests_that_are_none(daemon: Daemon, mistake: bytes) -> None:
    """Refused by the parser of HTTP, in whatever form, or served where it is lenient; at once."""
    with RawConnection(daemon.port) as connection:
        connection.send(b"POST /api/flows/x/sync HTTP/1.1\r\n" + HOST + JSON + mistake)
        try:
            status = connection.read_response().status
        except EndOfStream:
            return
        assert 400 <= status < 500


def test_frm7_pipelined_requests_are_answered_in_order(daemon: Daemon) -> None:
    healthy = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    lost = b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n"
    with RawConnection(daemon.port) as connection:
        connection.send((healthy + lost) * 100)
        statuses = [connection.read_response().status for _ in range(200)]
    assert statuses == [200, 404] * 100
