"""What is no request, or is for no address here: answered once, and not a word of it logged."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest
from twisted.internet.base import DelayedCall

from helix.web.http_channel import ARRIVAL_TIMEOUT
from tests.support.daemon import Daemon
from tests.support.logs import Log, logged
from tests.support.rawsocket import RawConnection, Response, upgrade_request
from tests.support.stack import Stack
from tests.support.watched import get, metric, running_daemon

__all__ = ["logged"]  # a fixture

HOST = b"Host: localhost\r\n"
SECRET = "s3cret-t0ken"
METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "head",
    "X",
]
MAX_FRAME_BYTES = 4096


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    options = ("--max-frame-bytes", str(MAX_FRAME_BYTES), "--store", "memory:")
    with running_daemon(tmp_path_factory.mktemp("refusals"), *options) as daemon:
        yield daemon


@pytest.fixture
def daemon(shared: Daemon) -> Iterator[Daemon]:
    """The daemon, which logs nothing whatever a test sends, and is well behind it."""
    assert get(shared, "/healthz")[0] == 200
    before = len(shared.log)
    yield shared
    assert get(shared, "/healthz")[0] == 200
    assert shared.log[before:] == ""


def exchange(daemon: Daemon, request: bytes) -> bytes:
    """All that comes back, up to where the server closes."""
    with RawConnection(daemon.port) as connection:
        connection.send(request)
        return connection.read_to_end()


def ask(daemon: Daemon, request: bytes) -> Response:
    with RawConnection(daemon.port) as connection:
        connection.send(request)
        return connection.read_response()


def refusals(answer: bytes) -> list[int]:
    """The statuses of all the answers there are."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", answer)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "place",
    ["/socket/websocket", "/socket/longpoll", "/socket/check", "/socket", "/socket/x\x99",
     "/socket/x%99", "/", "/api/flows/x\x99", "/metrics/\x80", "//socket", "x", "*"],
)  # fmt: skip
def test_sec1_no_method_and_no_address_is_logged(daemon: Daemon, method: str, place: str) -> None:
    target = f"{place}?token={SECRET}&vsn=2.0.0" if place != "*" else place
    for more in ("", f"Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.{SECRET}\r\n"):
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n"
        answer = exchange(daemon, head.encode("latin-1"))
        assert refusals(answer)[0] < 500, answer
        if method == "HEAD":
            assert answer.endswith(b"\r\n\r\n"), "HEAD has no body"


def test_sec1_fault_tells_nothing_of_the_query(logged: Log) -> None:
    stack = Stack()
    stack.get(f"/socket/websocket?token={SECRET}")
    stack.request("HEAD", f"/socket/websocket?token={SECRET}")
    stack.request("HEAD", f"/socket/longpoll?token={SECRET}")
    assert SECRET not in logged.text


MISTAKES = {
    "length of 4,301 digits": b"Content-Length: " + b"1" * 4301 + b"\r\n",
    "length that is none": b"Content-Length: x\r\n",
    "two lengths": b"Content-Length: 1\r\nContent-Length: 2\r\n",
    "length and chunks": b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    "coding": b"Transfer-Encoding: gzip\r\n",
    "no colon": b"no colon\r\n",
    "no name": b": x\r\n",
    "name": b"a b: c\r\n",
    "NUL": b"X: \0\r\n",
    "many": b"X: y\r\n" * 2000,
    "long": b"X: " + b"y" * 100_000 + b"\r\n",
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
@pytest.mark.parametrize("more", [b"", b"X-More: y\r\n"], ids=["last", "first"])
def test_sec2_header_that_cannot_be_is_refused_once(
    daemon: Daemon, mistake: bytes, more: bytes
) -> None:
    """And the rest is not served: neither the request itself, nor one that hides behind it."""
    request = (
        b"POST /api/flows HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
        b"%b%b\r\n{}GET /healthz HTTP/1.1\r\n%b\r\n" % (mistake, more, HOST)
    )
    assert refusals(exchange(daemon, request)) == [400]
    assert json.loads(get(daemon, "/api/flows")[1])["flows"] == []


@pytest.mark.parametrize(
    "refused",
    [
        b"GET x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\nx: y\r\n",
    ],
)
def test_sec2_what_comes_later_is_not_read_either(refused: bytes) -> None:
    connection = Stack().connect()
    connection.send(refused)
    for line in (b"", b"GET /healthz HTTP/1.1", b"Host: localhost", b""):
        connection.send(line + b"\r\n")
    assert refusals(connection.transport.value()) == [400]


@pytest.mark.parametrize(
    "line",
    [b"GET", b"GET /healthz", b"GET /healthz HTTP/9.9", b"G\xc3T / HTTP/1.1", b"GET  / HTTP/1.1",
     b"\x16\x03\x01\x02", b"PRI * HTTP/2.0", b"GET " + b"/" + b"x" * 70_000 + b" HTTP/1.1",
     b"GET xmetrics HTTP/1.1", b"GET \\metrics HTTP/1.1", b"GET x/metrics HTTP/1.1",
     b"GET http:metrics HTTP/1.1", b"GET ftp://x/metrics HTTP/1.1", b"GET ?x HTTP/1.1"],
)  # fmt: skip
def test_sec2_line_that_is_no_request(daemon: Daemon, line: bytes) -> None:
    before = metric(daemon, 'helix_http_requests_total{status="400"}')
    answer = exchange(daemon, line + b"\r\n" + HOST + b"\r\n")
    assert refusals(answer) == [400]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "bad_request"
    assert metric(daemon, 'helix_http_requests_total{status="400"}') == before + 1


@pytest.mark.parametrize(
    "hosts",
    [b"", HOST + HOST, HOST + b"host: localhost\r\n", b"Host: a b\r\n", b"Host: a/b\r\n",
     b"Host: user@localhost\r\n", b"Host: a:b:c\r\n", b"Host: x:-1\r\n", b"Host: \xc3\xa9\r\n"],
)  # fmt: skip
@pytest.mark.parametrize("line", [b"GET /healthz", b"GET /socket/longpoll", b"POST /api/flows"])
def test_sec2_no_host_or_two_or_none_that_can_be(daemon: Daemon, hosts: bytes, line: bytes) -> None:
    assert refusals(exchange(daemon, line + b" HTTP/1.1\r\n" + hosts + b"\r\n")) == [400]


def test_sec2_old_clients_need_no_host(daemon: Daemon) -> None:
    assert refusals(exchange(daemon, b"GET /healthz HTTP/1.0\r\n\r\n")) == [200]


@pytest.mark.parametrize(
    "target",
    ["//metrics", "///metrics", "/./metrics", "/x/../metrics", "/metrics/", "/metrics;x",
     "/METRICS", "/%6detrics", "/%2fmetrics", "/metrics%2f", "/metrics%00", "http://localhost//metrics",
     "http://localhost/%6Detrics", "/%2e/metrics", "/metrics/.", "/metrics%20"],
)  # fmt: skip
def test_sec3_metrics_have_one_address(daemon: Daemon, target: str) -> None:
    assert ask(daemon, f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()).status == 404


@pytest.mark.parametrize(
    "target",
    ["/%61pi/flows", "/api/%66lows", "//api/flows", "/api//flows", "/%73ocket/websocket",
     "/socket/%77ebsocket", "//socket/websocket", "/socket//websocket", "/api/flows/x/%65ntries",
     "/api/%73essions", "/%66low/x", "//flow/x", "/%61ssets/x", "/api/flows/x/%76ersions/1"],
)  # fmt: skip
def test_sec3_words_of_addresses_are_written_as_they_are(daemon: Daemon, target: str) -> None:
    _, _, headers = upgrade_request().partition(b"\r\n")
    assert ask(daemon, f"GET {target} HTTP/1.1\r\n".encode() + headers).status == 404


@pytest.mark.parametrize("target", ["/healthz", "/nowhere", "/socket/x", "/socket/check", "//x"])
def test_sec1_no_answer_says_what_serves_it(daemon: Daemon, target: str) -> None:
    for method in ("GET", "POST", "HEAD"):
        answer = exchange(
            daemon,
            f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(),
        )
        assert b"twisted" not in answer.lower()


@pytest.mark.parametrize("target", ["/metrics", "/metrics?", "http://localhost/metrics"])
def test_sec3_addresses_that_are_right(daemon: Daemon, target: str) -> None:
    assert ask(daemon, f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()).status == 200


@pytest.mark.parametrize("flow_id", ["a%2Fb", "%61", "x//y", "caf%C3%A9", "a%20b", "%2e%2e%2e"])
def test_sec3_ids_are_encoded_as_one_likes(daemon: Daemon, flow_id: str) -> None:
    target = f"/api/flows/{flow_id}/status"
    assert ask(daemon, f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()).status == 200


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 99999999\r\n", b"Host: twice\r\nContent-Length: 3\r\n"],
    ids=["413", "400"],
)
def test_sec4_no_100_follows_a_refusal(daemon: Daemon, head: bytes) -> None:
    request = b"POST /api/flows HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n" + head + b"\r\n"
    statuses = refusals(exchange(daemon, request))
    assert len(statuses) == 1
    assert statuses[0] in (400, 413)


def test_sec4_one_that_fits_is_asked_for(daemon: Daemon) -> None:
    request = b"POST /api/flows/x/sync HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n"
    with RawConnection(daemon.port) as connection:
        connection.send(request + b"Content-Type: application/json\r\nContent-Length: 13\r\n\r\n")
        assert connection.read_response().status == 100
        connection.send(b'{"changes":1}')
        assert connection.read_response().status == 200


def test_sec4_chunks_behind_a_413_are_not_answered_again(daemon: Daemon) -> None:
    head = b"POST /api/flows/x/sync HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    size = 5 * MAX_FRAME_BYTES
    with RawConnection(daemon.port) as connection:
        connection.send(head + b"%x\r\n%b\r\nno chunk\r\n" % (size, b"x" * size))
        answer = b""
        deadline = time.monotonic() + 8
        while b"body_too_large" not in answer and time.monotonic() < deadline:
            answer += connection.sock.recv(4096)
        assert refusals(answer + connection.read_to_end()) == [413]


IDLE = 100.0


def stay_idle(stack: Stack, seconds: float) -> None:
    for _ in range(int(seconds)):
        stack.clock.advance(1)


def test_sec5_connection_stays_open_between_requests_for_as_long_as_is_said() -> None:
    stack = Stack(keep_alive=IDLE)
    connection = stack.connect()
    for _ in range(3):
        connection.request("GET", "/healthz")
        stay_idle(stack, IDLE - 2)
        assert not connection.transport.disconnecting
    assert len(connection.answers) == 3
    stay_idle(stack, 4)
    assert connection.transport.disconnecting


def test_sec5_request_that_comes_late_has_all_its_time() -> None:
    """It is not cut off for the time that the connection had been idle before."""
    stack = Stack(keep_alive=IDLE)
    connection = stack.connect()
    connection.request("GET", "/healthz")
    stay_idle(stack, IDLE - 2)
    connection.send(b"POST /api/flows/x/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 13\r\n")
    stay_idle(stack, ARRIVAL_TIMEOUT - 2)
    assert not connection.transport.disconnecting
    connection.send(b'Content-Type: application/json\r\n\r\n{"changes":1}')
    assert [answer.status for answer in connection.answers] == [200, 200]


def test_sec5_request_has_no_more_time_for_a_long_keep_alive() -> None:
    stack = Stack(keep_alive=IDLE)
    connection = stack.connect()
    connection.request("GET", "/healthz")
    connection.send(b"GET /healthz HTTP/1.1\r\n")
    stay_idle(stack, ARRIVAL_TIMEOUT + 2)
    assert connection.transport.disconnecting


def test_no_timer_of_a_connection_is_set_to_an_earlier_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twisted would look for it among the timers of all connections, one by one."""
    earlier: list[float] = []
    reset = DelayedCall.reset

    def watched(call: DelayedCall, seconds: float) -> None:
        if call.seconds() + seconds < call.getTime():
            earlier.append(seconds)
        reset(call, seconds)

    monkeypatch.setattr(DelayedCall, "reset", watched)
    connection = Stack(keep_alive=IDLE).connect()
    for _ in range(2):
        connection.request("GET", "/healthz")
    assert len(connection.answers) == 2
    assert earlier == []
