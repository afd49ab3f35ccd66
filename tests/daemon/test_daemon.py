"""The daemon as its operator and its clients meet it: real processes, real sockets."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet import reactor, threads
from twisted.internet.tcp import Server

from helix import __version__
from helix.errors import StoreUnavailable
from helix.records import HeadQuery
from helix.tap import Options, makeService
from tests.support.certificates import write_certificate
from tests.support.daemon import Daemon, free_port, run_twistd, start_daemon
from tests.support.logs import Log, logged
from tests.support.rawsocket import RawConnection, RawWebSocket, upgrade_request
from tests.support.watched import eventually, faults_in, get, metric

__all__ = ["logged", "start_daemon"]

StartDaemon = Callable[..., Daemon]


def updates(websocket: RawWebSocket, last: object) -> list[object]:
    """The changes of the ``flow_update``s that come, up to and with ``last``."""
    seen: list[object] = []
    while last not in seen:
        message: Any = websocket.read_json()
        if isinstance(message, list) and message[3] == "flow_update":
            seen.append(message[4]["changes"])
    return seen


class V1WebSocket(RawWebSocket):
    """A client that speaks V1, its objects read as V2's arrays."""

    def read_json(self) -> list[object]:
        message = json.loads(self.read_frame().payload)
        assert set(message) == {"topic", "event", "ref", "payload"}
        return [None, *(message[name] for name in ("ref", "topic", "event", "payload"))]

    def send_json(self, message: Any) -> None:
        names = ("join_ref", "ref", "topic", "event", "payload")
        self.send_frame(1, json.dumps(dict(zip(names, message, strict=True))).encode())


class Poller:
    """A member over long polling."""

    def __init__(self, daemon: Daemon, flow_id: str) -> None:
        self._daemon = daemon
        self._token = self._ask("GET", "")["token"]
        topic = f"flow:{flow_id}"
        self._ask("POST", json.dumps(["1", "1", topic, "phx_join", {}]))
        self.messages: list[Any] = []
        while not any(message[3] == "client_joined" for message in self.messages):
            self.poll()

    def poll(self) -> None:
        """Poll once."""
        self.messages += [json.loads(one) for one in self._ask("GET", "").get("messages", [])]

    def updates(self, last: object) -> list[object]:
        """As the function of that name."""
        seen: list[object] = []
        while last not in seen:
            self.poll()
            seen = [m[4]["changes"] for m in self.messages if m[3] == "flow_update"]
        return seen

    def _ask(self, method: str, body: str) -> dict[str, Any]:
        token = f"&token={self._token}" if hasattr(self, "_token") else ""
        with RawConnection(self._daemon.port, timeout=15) as connection:
            connection.send(
                f"{method} /socket/longpoll?vsn=2.0.0{token} HTTP/1.1\r\nHost: localhost\r\n"
                f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
                f"{body}".encode()
            )
            answer: dict[str, Any] = json.loads(connection.read_response().body)
            return answer


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost with its key, signed by itself."""
    return write_certificate(tmp_path_factory.mktemp("tls") / "localhost.pem")


def connect_tls(port: int) -> socket.socket:
    """A TLS connection that trusts anyone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10))


def connect_unix(path: Path) -> socket.socket:
    """A connection over a unix socket."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    return sock


def test_ops3_fan1_every_kind_of_member_sees_one_order(
    start_daemon: StartDaemon, certificate: Path, tmp_path: Path
) -> None:
    """TCP, TLS, a unix socket, V1, V2 and long polling, in one flow, with changes from REST too."""
    tls_port, path = free_port(), tmp_path / "helix.sock"
    tls = f"ssl:{tls_port}:interface=127.0.0.1:privateKey={certificate}:certKey={certificate}"
    daemon = start_daemon("--listen", tls, "--listen", f"unix:{path}")
    with ExitStack() as opened:
        members = [
            opened.enter_context(member)
            for member in (
                RawWebSocket(daemon.port),
                V1WebSocket(daemon.port, "/socket/websocket"),
                RawWebSocket(connect_tls(tls_port)),
                RawWebSocket(connect_unix(path)),
            )
        ]
        for member in members:
            member.join("flow:mixed")
        poller = Poller(daemon, "mixed")
        for n in range(40):
            sender = members[n % len(members)]
            sender.send_json(
                [None, f"c{n}", "flow:mixed", "flow_change", {"changes": [n, "x" * 9000]}]
            )
        body = b'{"changes":"over"}'
        with RawConnection(daemon.port) as rest:
            for member in members:  # all that they sent has been served when this is answered
                member.send_json([None, "b", "phoenix", "heartbeat", {}])
            seen = [[] for _ in members]  # type: list[list[object]]
            for member, got in zip(members, seen, strict=True):
                while not got or got[-1] != "beat":
                    message: Any = member.read_json()
                    if message[3] == "flow_update":
                        got.append(message[4]["changes"])
                    elif message[1] == "b":
                        got.append("beat")
            rest.send(
                b"POST /api/flows/mixed/sync HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(body), body)
            )
            assert json.loads(rest.read_response().body) == {
                "success": True,
                "message": "Changes sent to 5 clients",
            }
        for member, got in zip(members, seen, strict=True):
            got.remove("beat")
            got += updates(member, "over")
        seen.append(poller.updates("over"))
    assert len(seen[0]) == 41
    assert sorted(one[0] for one in seen[0] if isinstance(one, list)) == list(range(40))
    assert all(got == seen[0] for got in seen)


def test_ops3_rest_is_served_on_every_endpoint(
    start_daemon: StartDaemon, certificate: Path, tmp_path: Path
) -> None:
    tls_port, path = free_port(), tmp_path / "helix.sock"
    tls = f"ssl:{tls_port}:interface=127.0.0.1:privateKey={certificate}:certKey={certificate}"
    six = free_port()
    daemon = start_daemon(
        "--listen", tls, "--listen", f"unix:{path}", "--listen", f"tcp6:{six}:interface=\\:\\:1"
    )
    ways = [
        socket.create_connection(("127.0.0.1", daemon.port)),
        socket.create_connection(("::1", six)),
        connect_tls(tls_port),
        connect_unix(path),
    ]
    for way in ways:
        with RawConnection(way) as connection:
            connection.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.read_response().status == 200


def test_fan1_fan5_600_members_see_one_order_while_others_come_and_go(
    start_daemon: StartDaemon,
) -> None:
    daemon = start_daemon()
    with ExitStack() as opened:
        members = [opened.enter_context(RawWebSocket(daemon.port)) for _ in range(600)]
        for number, member in enumerate(members):
            member.send_json([None, f"j{number}", "flow:many", "phx_join", {}])
        for number, member in enumerate(members):
            member.read_until_reply(f"j{number}")
        for n in range(30):
            members[n * 7].send_json([None, f"c{n}", "flow:many", "flow_change", {"changes": n}])
            with RawWebSocket(daemon.port) as visitor:
                visitor.send_json(["1", "1", "flow:many", "phx_join", {}])
                if n % 2:
                    visitor.reset()
        members[0].send_json([None, "over", "flow:many", "flow_change", {"changes": "over"}])
        seen = [updates(member, "over") for member in members]
    assert sorted(one for one in seen[0] if isinstance(one, int)) == list(range(30))
    assert all(got == seen[0] for got in seen)


# CON: the socket option, and tokens


def start_here(*arguments: str) -> Any:
    """Start the whole daemon in this process, whose own handler of SIGTERM stays."""
    options = Options()
    options.parseOptions(["--listen", "tcp:0:interface=127.0.0.1", *arguments])
    service = makeService(options)
    term = signal.getsignal(signal.SIGTERM)
    service.privilegedStartService()
    service.startService()
    signal.signal(signal.SIGTERM, term)
    return service


@async_yield_fixture
async def here() -> Any:
    """The whole daemon in this process; its port."""
    service = start_here()
    listener = next(one for one in service if hasattr(one, "port"))
    yield listener.port.getHost().port
    await service.stopService()


@pytest.mark.parametrize("requests_before", [0, 2])
@ensureDeferred
async def test_con7_nagle_is_off(here: int, requests_before: int) -> None:
    """On the server's side of a WebSocket, also of one that was a kept-alive HTTP connection."""
    sock = socket.create_connection(("127.0.0.1", here))
    mine = sock.getsockname()[1]

    def connect() -> RawWebSocket:
        for _ in range(requests_before):
            connection = RawConnection(sock)
            connection.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.read_response().status == 200
        websocket = RawWebSocket(sock)
        websocket.join("flow:nagle")
        return websocket

    websocket = await threads.deferToThread(connect)
    try:
        (transport,) = [
            one
            for one in reactor.getReaders()  # type: ignore[attr-defined]
            if isinstance(one, Server) and one.getPeer().port == mine
        ]
        option = transport.getHandle().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert option, "Nagle's algorithm is on"
    finally:
        websocket.close()


def test_con3_con4_tokens_are_kept_to_the_client(start_daemon: StartDaemon) -> None:
    """Neither the log nor any answer tells a token, whichever way it came."""
    daemon = start_daemon("--log-format", "json")
    secret = "c2VjcmV0LXRva2Vu"  # of "secret-token"
    offered = [("Sec-WebSocket-Protocol", f"phoenix, base64url.bearer.phx.{secret}")]
    with RawWebSocket(daemon.port, headers=offered) as websocket:
        assert websocket.response.headers["sec-websocket-protocol"] == "phoenix"
        assert secret not in str(websocket.response)
    with RawWebSocket(daemon.port, f"/socket/websocket?vsn=2.0.0&token={secret}") as websocket:
        assert "sec-websocket-protocol" not in websocket.response.headers
    for path in (f"/socket/longpoll?vsn=2.0.0&token={secret}", f"/nowhere?token={secret}"):
        _, body = get(daemon, path)
        assert secret.encode() not in body
    bad = [("Sec-WebSocket-Protocol", "phoenix, base64url.bearer.phx.%%%")]
    with RawConnection(daemon.port) as connection:
        connection.send(upgrade_request(headers=bad))
        refusal = connection.read_response()
    assert refusal.status == 403
    assert json.loads(refusal.body)["code"] == "token_refused"
    daemon.stop()
    assert secret not in daemon.log
    assert "secret-token" not in daemon.log


# OPS4: draining


@pytest.mark.parametrize("step", ["clients.drain", "sessions.settle"])
@ensureDeferred
async def test_ops4_a_step_that_fails_is_logged_and_the_others_are_taken(
    step: str, logged: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the store is closed, whatever fails."""
    service = start_here("--store", "memory:")
    await service._store.heads(HeadQuery())  # waits until it is open

    def fail() -> None:
        raise RuntimeError("a fault of ours")

    part, _, method = step.partition(".")
    monkeypatch.setattr(getattr(service, f"_{part}"), method, fail)
    await service.stopService()
    assert [event["log_failure"].type for event in logged.failures] == [RuntimeError]
    logged.events.clear()
    with pytest.raises(StoreUnavailable):
        await service._store.heads(HeadQuery())


@pytest.mark.parametrize("count", [0, 1, 300])
def test_ops4_sigterm_closes_clients_with_1012(start_daemon: StartDaemon, count: int) -> None:
    daemon = start_daemon()
    with ExitStack() as opened:
        clients = [opened.enter_context(RawWebSocket(daemon.port)) for _ in range(count)]
        for number, client in enumerate(clients):
            client.ask(f"flow:drained{number % 7}", "phx_join")
        started = time.monotonic()
        signal_daemon(daemon)
        assert [client.read_close() for client in clients] == [1012] * count
        daemon.stop()
        assert time.monotonic() - started < 5
    assert not faults_in(daemon.log)


def signal_daemon(daemon: Daemon) -> None:
    """Send SIGTERM, and leave the waiting to `Daemon.stop`."""
    process = daemon._process
    assert process is not None
    process.send_signal(signal.SIGTERM)


def test_ops4_who_does_not_read_or_answer_does_not_hold_it_up(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    with ExitStack() as opened:
        stuck = opened.enter_context(RawWebSocket(daemon.port, receive_buffer=4096))
        stuck.join("flow:stuck")
        silent = opened.enter_context(RawWebSocket(daemon.port))
        silent.join("flow:silent")
        half = opened.enter_context(RawConnection(daemon.port))
        half.send(b"GET /socket/websocket HTTP/1.1\r\nHost: loc")
        writer = opened.enter_context(RawWebSocket(daemon.port))
        join_ref = writer.join("flow:stuck")
        for n in range(20):
            push = [join_ref, f"{n}", "flow:stuck", "flow_change", {"changes": "x" * 500_000}]
            writer.send_json(push)
            writer.read_until_reply(f"{n}")
        eventually(lambda: metric(daemon, "helix_clients_lagging_total") > 0, "a client lags")
        started = time.monotonic()
        daemon.stop()
        assert time.monotonic() - started < 5


def test_ops4_drained_server_takes_nobody(start_daemon: StartDaemon) -> None:
    """Who was sent away finds the port shut."""
    daemon = start_daemon()
    with RawWebSocket(daemon.port) as client:
        client.join("flow:here")
        signal_daemon(daemon)
        assert client.read_close() == 1012
        address = ("127.0.0.1", daemon.port)
        with pytest.raises(ConnectionRefusedError), socket.create_connection(address, 1):
            pass
    daemon.stop()


def test_ops4_more_sigterms_do_no_harm(start_daemon: StartDaemon) -> None:
    """Up to the very end: who stops a daemon may be impatient."""
    daemon = start_daemon()
    process = daemon._process
    assert process is not None
    with RawWebSocket(daemon.port) as client:
        client.join("flow:twice")
        sent = 0
        while process.poll() is None and sent < 1000:
            process.send_signal(signal.SIGTERM)
            sent += 1
    assert process.wait(10) == 0


# OPS5-OPS7: what the operator is told


WARNING = "no client has to sign in"


@pytest.mark.parametrize(
    ("options", "warnings"),
    [
        ((), 0),
        (("--listen", "tcp:0", "--auth=anyone"), 1),
        (("--listen", "tcp:0", "--listen", "tcp6:0", "--auth=anyone"), 1),
    ],
    ids=["loopback", "everywhere", "everywhere twice"],
)
def test_ops5_open_door_is_warned_of_once(
    start_daemon: StartDaemon, options: tuple[str, ...], warnings: int
) -> None:
    daemon = start_daemon(*options)
    eventually(lambda: "Everyone" in daemon.log, "it was told who may come in")
    daemon.stop()
    assert daemon.log.count(WARNING) == warnings
    assert ("[helix#warn]" in daemon.log) == bool(warnings)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_ops17_start_is_told_in_two_lines(start_daemon: StartDaemon, log_format: str) -> None:
    daemon = start_daemon("--log-format", log_format)
    eventually(lambda: daemon.log.count("\n") >= 2, "the start was told")
    lines = daemon.log.splitlines()
    if log_format == "json":
        lines = [json.loads(line)["message"] for line in lines]
    where, who = lines
    assert f"Helix {__version__}: open http://{daemon.address}/ (flows are kept in /" in where
    assert where.endswith("/helix-data/flows.db)")
    assert "this machine alone" in who
    daemon.stop()
    for word in ("factory", "starting on", "Port", "reactor class"):
        assert word not in daemon.log


def test_ops17_store_that_does_not_open_is_no_start(tmp_path: Path) -> None:
    (tmp_path / "flows.db").mkdir()
    listen = f"tcp:{free_port()}:interface=127.0.0.1"
    ended = run_twistd(tmp_path, "--store", "sqlite:flows.db", "--listen", listen)
    assert ended.returncode == 1
    assert "Helix can't start: --store" in ended.stdout
    assert "open http" not in ended.stdout


def test_ops3_port_in_use_is_told_in_one_line(start_daemon: StartDaemon, tmp_path: Path) -> None:
    daemon = start_daemon()
    listen = f"tcp:{daemon.port}:interface=127.0.0.1"
    ended = run_twistd(tmp_path, "--listen", listen)
    assert ended.returncode == 1
    last = ended.stdout.strip().splitlines()[-1]
    assert f"twistd helix: --listen: '{listen}': " in last
    assert "Address already in use" in last
    assert "Traceback" not in ended.stderr + ended.stdout


def test_ops6_slow_websocket_is_refused_unless_allowed(tmp_path: Path) -> None:
    refused = run_twistd(tmp_path, AUTOBAHN_USE_NVX="0")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "--allow-slow-websocket" in refused.stderr
    allowed = run_twistd(
        tmp_path, "--allow-slow-websocket", "--listen", "no such endpoint", AUTOBAHN_USE_NVX="0"
    )
    assert "NVX" not in allowed.stderr, "it got as far as the next mistake"
    assert "--listen" in allowed.stderr


def test_ops7_every_line_is_a_json_object(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--log-format", "json")
    with RawWebSocket(daemon.port) as client:
        client.join("flow:logged")
    eventually(lambda: metric(daemon, "helix_sessions") == 0, "the session has ended")
    daemon.stop()
    lines = [json.loads(line) for line in daemon.log.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    (started,) = [line for line in lines if line.get("event") == "helix.session.started"]
    assert started["flow_id"] == "logged"
    (ended,) = [line for line in lines if line.get("event") == "helix.session.ended"]
    assert ended["reason"] == "empty"
    assert 0 <= ended["seconds"] < 60


FORGED = 'x reason=forced "\N{RIGHT-TO-LEFT OVERRIDE}\N{LINE SEPARATOR}=\\'


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_sec10_id_forges_nothing_in_the_log(start_daemon: StartDaemon, log_format: str) -> None:
    daemon = start_daemon("--log-format", log_format)
    with RawWebSocket(daemon.port) as client:
        client.join(f"flow:{FORGED}")
    eventually(lambda: "helix.session.ended" in daemon.log, "the session has ended")
    (line,) = [line for line in daemon.log.split("\n") if "helix.session.ended" in line]
    if log_format == "json":
        assert json.loads(line)["flow_id"] == FORGED
        line = json.loads(line)["message"]
    assert line.isprintable()
    told = line.partition("flow_id=")[2]
    flow_id, end = json.JSONDecoder().raw_decode(told)
    assert flow_id == FORGED
    assert told[end:] == " reason=empty"


def test_ops7_text_is_the_default(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    eventually(lambda: "Everyone" in daemon.log, "the start was told")
    daemon.stop()
    assert "[helix#info]" in daemon.log
    assert not daemon.log.startswith("{")
    assert "#debug" not in daemon.log


def test_ops7_logfile_of_twistd_is_heeded(tmp_path: Path) -> None:
    twistd = shutil.which("twistd", path=str(Path(sys.executable).parent))
    assert twistd is not None
    path = tmp_path / "helix.log"
    command = [twistd, "-n", "--pidfile=", f"--logfile={path}", "helix", "--log-format", "json"]
    listen = ["--listen", f"tcp:{free_port()}", "--auth=anyone"]
    process = subprocess.Popen([*command, *listen], cwd=tmp_path)
    try:
        eventually(lambda: path.exists() and WARNING in path.read_text(), "the daemon has started")
    finally:
        process.terminate()
        assert process.wait(20) == 0
    assert all(json.loads(line)["message"] for line in path.read_text().splitlines())


def test_ops9_what_is_refused_is_counted(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--max-frame-bytes", "4096")

    def count(name: str, **label: object) -> float:
        ((key, value),) = label.items()
        _, body = get(daemon, "/metrics")
        wanted = f'{name}{{{key}="{value}"}} '
        found = [line for line in body.decode().splitlines() if line.startswith(wanted)]
        return float(found[0].removeprefix(wanted)) if found else 0

    with RawWebSocket(daemon.port) as client:
        client.send(b"\x81\x05hello")  # not masked
        assert client.read_close() == 1002
    with RawWebSocket(daemon.port) as client:
        client.send_json([None, "1", "phoenix", "heartbeat", {"pad": "x" * 20000}])
        assert client.read_close() == 1009
    with RawConnection(daemon.port) as rest:
        rest.send(
            b"POST /api/flows/x/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n"
        )
        assert rest.read_response().status == 413
    get(daemon, "/nowhere")
    assert count("helix_connections_dropped_total", code=1002) == 1
    assert count("helix_connections_dropped_total", code=1009) == 1
    assert count("helix_http_requests_total", status=404) == 1
    assert count("helix_http_requests_total", status=413) == 1
    get(daemon, "/socket/websocket?vsn=9")
    with RawConnection(daemon.port) as refused:
        refused.send(upgrade_request("/socket/websocket?vsn=9"))
        assert refused.read_response().status == 403
    assert count("helix_connections_refused_total", code="unsupported_version") == 1


def test_ops10_daemon_measures_its_reactor(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    eventually(
        lambda: daemon.metric("helix_reactor_lag_seconds_count") > 10, "the reactor was measured"
    )
    assert 0 < daemon.metric("helix_reactor_lag_max_seconds") < 10
