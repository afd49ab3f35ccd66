"""What reaches those who are in the middle of something when the daemon is told to stop."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.daemon.test_daemon import certificate, connect_tls, connect_unix, signal_daemon
from tests.support.daemon import Daemon, free_port, start_daemon
from tests.support.rawsocket import (
    CLOSE,
    CONTINUATION,
    TEXT,
    EndOfStream,
    RawConnection,
    RawWebSocket,
    build_frame,
    close_payload,
    upgrade_request,
)
from tests.support.watched import eventually, faults_in, get

__all__ = ["certificate", "start_daemon"]

StartDaemon = Callable[..., Daemon]

LIMIT = 5.0
"""Seconds within which a daemon stops."""


def read_to_close_frame(websocket: RawWebSocket) -> int | None:
    """Read up to the close frame and leave it unanswered, which holds up the drain for a second."""
    frame = websocket.read_frame()
    while frame.opcode != CLOSE:
        frame = websocket.read_frame()
    return frame.close_code


@contextmanager
def draining(daemon: Daemon) -> Iterator[None]:
    """Meanwhile the daemon drains; afterwards it stops in time and tells of no fault."""
    with RawWebSocket(daemon.port) as silent:
        silent.join("flow:silent")
        started = time.monotonic()
        signal_daemon(daemon)
        assert read_to_close_frame(silent) == 1012
        yield
        daemon.stop()
    assert time.monotonic() - started < LIMIT
    assert not faults_in(daemon.log)


def request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    """An HTTP request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_ops4_res5_connections_that_were_there_are_told(start_daemon: StartDaemon) -> None:
    """Over kept-alive connections, since there are no new ones."""
    daemon = start_daemon()
    with ExitStack() as opened:
        connections = [opened.enter_context(RawConnection(daemon.port)) for _ in range(4)]
        for connection in connections:
            connection.send(request("GET", "/healthz"))
            assert connection.read_response().status == 200
        ready, alive, websocket, polling = connections
        with draining(daemon):
            ready.send(request("GET", "/readyz"))
            answer = ready.read_response()
            assert answer.status == 503
            assert json.loads(answer.body)["code"] == "draining"
            alive.send(request("GET", "/healthz"))
            assert alive.read_response().status == 200
            websocket.send(upgrade_request())
            answer = websocket.read_response()
            assert answer.status == 503
            assert json.loads(answer.body)["code"] == "draining"
            polling.send(request("GET", "/socket/longpoll?vsn=2.0.0"))
            assert json.loads(polling.read_response().body) == {"status": 500}
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", daemon.port), 1)


def test_ops4_a_request_whose_body_is_on_its_way_is_served(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    whole = request("POST", "/api/flows/a/sync", b'{"changes":1}')
    with RawConnection(daemon.port) as connection:
        connection.send(whole[:-5])
        get(daemon, "/healthz")  # what was sent before has been read now
        with draining(daemon):
            connection.send(whole[-5:])
            answer = connection.read_response()
            assert (answer.status, json.loads(answer.body)["success"]) == (200, True)


def test_ops16_what_comes_before_the_clients_close_frame_is_taken(
    start_daemon: StartDaemon,
) -> None:
    """Many patches, one in pieces; what comes behind the close frame is none of them."""
    daemon = start_daemon()
    wire = RawWebSocket(daemon.port)
    with wire:
        params = {"mode": "document", "client_id": "c"}
        assert wire.ask("flow:f", "phx_join", params)[4]["status"] == "ok"  # type: ignore[index]

        def patch(op_id: int) -> bytes:
            payload = {"op_id": op_id, "patch": {"data": {f"{op_id}": op_id}}}
            return json.dumps([None, f"{op_id}", "flow:f", "patch", payload]).encode()

        # It has a second for them, so they are all sent at once.
        last_words = [
            *(build_frame(TEXT, patch(op_id)) for op_id in range(2, 80)),
            build_frame(TEXT, patch(80)[:20], fin=False),
            build_frame(CONTINUATION, patch(80)[20:]),
            build_frame(CLOSE, close_payload(1012)),
            build_frame(TEXT, patch(81)),
        ]
        wire.send_frame(TEXT, patch(1))
        signal_daemon(daemon)
        assert read_to_close_frame(wire) == 1012
        wire.send(b"".join(last_words))
        assert wire.read_to_end() == b""
    daemon.stop()
    assert not faults_in(daemon.log)
    daemon.start()
    data = json.loads(get(daemon, "/api/flows/f")[1])["document"]["data"]
    assert data == {f"{op_id}": op_id for op_id in range(1, 81)}


def test_ops4_polls_that_wait_are_answered(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with ExitStack() as opened:
        polls = []
        for _ in range(20):
            poll = opened.enter_context(RawConnection(daemon.port))
            poll.send(request("GET", "/socket/longpoll?vsn=2.0.0"))
            token = json.loads(poll.read_response().body)["token"]
            poll.send(request("GET", f"/socket/longpoll?vsn=2.0.0&token={token}"))
            polls.append(poll)
        get(daemon, "/healthz")
        started = time.monotonic()
        signal_daemon(daemon)
        for poll in polls:
            assert json.loads(poll.read_response().body)["status"] == 500
        daemon.stop()
        assert time.monotonic() - started < LIMIT
    assert not faults_in(daemon.log)


def test_ops4_clients_over_tls_and_unix_sockets_are_told(
    start_daemon: StartDaemon, certificate: Path, tmp_path: Path
) -> None:
    """And a TLS handshake that was begun, or none, holds nothing up."""
    port, path = free_port(), tmp_path / "helix.sock"
    tls = f"ssl:{port}:interface=127.0.0.1:privateKey={certificate}:certKey={certificate}"
    daemon = start_daemon("--listen", tls, "--listen", f"unix:{path}")
    with ExitStack() as opened:
        clients = [
            opened.enter_context(RawWebSocket(sock))
            for _ in range(10)
            for sock in (connect_tls(port), connect_unix(path))
        ]
        for number, client in enumerate(clients):
            client.join(f"flow:{number}")
        opened.enter_context(RawConnection(port)).send(b"\x16\x03\x01\x02\x00\x01\x00\x01")
        opened.enter_context(RawConnection(port))
        deaf = opened.enter_context(RawWebSocket(connect_tls(port)))
        deaf.join("flow:deaf")
        writer = opened.enter_context(RawWebSocket(daemon.port))
        join_ref = writer.join("flow:deaf")
        for n in range(20):
            push = [join_ref, f"{n}", "flow:deaf", "flow_change", {"changes": "x" * 500_000}]
            writer.send_json(push)
            writer.read_until_reply(f"{n}")
        started = time.monotonic()
        signal_daemon(daemon)
        codes = [read_to_close_frame(client) for client in clients]
        daemon.stop()
        assert time.monotonic() - started < LIMIT
    assert codes == [1012] * 20
    assert not path.exists()
    assert not faults_in(daemon.log)


def test_ops4_sigterm_again_and_again_ends_well(start_daemon: StartDaemon) -> None:
    """While it drains, too: the drain goes on, the status is 0, and nothing is told of a fault."""
    daemon = start_daemon()
    with RawConnection(daemon.port) as connection, draining(daemon):
        for _ in range(5):
            signal_daemon(daemon)
            connection.send(request("GET", "/healthz"))  # signals that meet are one
            assert connection.read_response().status == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", daemon.port), 1)


def test_ops4_who_comes_at_that_very_moment_isnt_left_hanging(start_daemon: StartDaemon) -> None:
    """Each connect ends: upgraded, refused by HTTP, cut, or refused by the system."""
    daemon = start_daemon()
    ends: list[str] = []
    stopping = threading.Event()

    def knock() -> None:
        for _ in range(2000):
            try:
                sock = socket.create_connection(("127.0.0.1", daemon.port), LIMIT)
                with RawConnection(sock, timeout=LIMIT) as connection:
                    connection.send(upgrade_request())
                    ends.append(end_of(connection))
            except ConnectionRefusedError:
                ends.append("refused")
                return
            except (EndOfStream, ConnectionError):
                ends.append("cut")
            if len(ends) == 20:
                stopping.set()

    knocking = threading.Thread(target=knock, daemon=True)
    knocking.start()
    assert stopping.wait(10)
    daemon.stop()
    knocking.join(10)
    assert not knocking.is_alive()
    assert set(ends) <= {"upgraded", "cut", "503", "refused"}
    assert ends[-1] == "refused"
    assert not faults_in(daemon.log)


def end_of(connection: RawConnection) -> str:
    """How the request for a WebSocket ended."""
    status = connection.read_response().status
    return "upgraded" if status == 101 else str(status)


def test_ops4_a_daemon_that_starts_again_listens_at_once(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    """On the same port and the same unix socket, whose clients it had just closed."""
    path = tmp_path / "helix.sock"
    daemon = start_daemon("--listen", f"unix:{path}")
    for _ in range(2):
        with RawWebSocket(daemon.port) as tcp, RawWebSocket(connect_unix(path)) as unix:
            tcp.join("flow:a")
            unix.join("flow:a")
            signal_daemon(daemon)
            assert (tcp.read_close(), unix.read_close()) == (1012, 1012)
        daemon.stop()
        daemon.start()
    eventually(lambda: get(daemon, "/readyz")[0] == 200, "it is ready again")
