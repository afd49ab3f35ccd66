"""Several nodes on one machine: a parent and its workers. (docs/spec.md, NOD80 on)"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from helix.client import FlowClient, FlowEvent, Status, StatusChanged
from tests.daemon.test_daemon import certificate, connect_tls, connect_unix
from tests.support.daemon import Daemon, free_port, run_twistd, start_daemon, twistd
from tests.support.nodes import join
from tests.support.postgres import PostgresServer, postgres_server, url
from tests.support.watched import eventually, faults_in, get, metric, rest

__all__ = ["certificate", "postgres_server", "start_daemon", "url"]

StartDaemon = Callable[..., Daemon]

TIMEOUT = 30.0

ensure = Deferred.fromCoroutine


async def until(condition: Callable[[], bool]) -> None:
    """Poll until ``condition`` holds, while the reactor works."""
    deadline = time.monotonic() + 3 * TIMEOUT  # on a busy machine a start takes long
    while not condition():
        assert time.monotonic() < deadline
        await deferLater(reactor, 0.02)


def workers_of(daemon: Daemon) -> list[psutil.Process]:
    """The processes of the workers, by their numbers."""
    found = []
    for child in psutil.Process(daemon.pid).children():
        line = child.cmdline()
        if line and line[-1].startswith("helix worker "):
            found.append((int(line[-1].rpartition(" ")[2]), child))
    return [child for _, child in sorted(found, key=lambda one: one[0])]


def serving(daemon: Daemon) -> int:
    """How many times a worker began to serve, over all its starts."""
    return daemon.log.count(") serves")


@pytest.fixture
def start_workers(start_daemon: StartDaemon, url: str) -> Iterator[StartDaemon]:
    """A function that starts two workers, or as many as an option says, and waits for them."""
    started = []

    def start(*options: str, count: int = 2) -> Daemon:
        daemon = start_daemon("--store", url, "--workers", f"{count}", *options)
        eventually(lambda: serving(daemon) == count, "all workers serve")
        started.append(daemon)
        return daemon

    yield start
    for daemon in started:
        assert not faults_in(daemon.log)


def test_nod80_workers_share_the_ports_and_serve_the_same_flows(
    start_workers: StartDaemon, certificate: Path, tmp_path: Path
) -> None:
    """TCP, TLS and a unix socket: each worker serves at all of them."""
    port, path = free_port(), tmp_path / "helix.sock"
    tls = f"ssl:{port}:interface=127.0.0.1:privateKey={certificate}:certKey={certificate}"
    daemon = start_workers("--listen", tls, "--listen", f"unix:{path}")
    assert path.stat().st_mode & 0o777 == 0o660
    rest(daemon, "POST", "/flows", {"id": "f", "document": {"title": "Old"}})
    ways: list[Callable[[], socket.socket]] = [
        lambda: socket.create_connection(("127.0.0.1", daemon.port)),
        lambda: connect_tls(port),
        lambda: connect_unix(path),
    ]
    with ExitStack() as opened:
        members = [
            opened.enter_context(join(way(), f"{number}-{turn}"))
            for turn in range(10)
            for number, way in enumerate(ways)
        ]
        for number, member in enumerate(members):
            member.ask("flow:f", "patch", {"op_id": 1, "patch": {"data": {f"{number}": number}}})
        want = {f"{number}": number for number in range(len(members))}
        eventually(lambda: rest(daemon, "GET", "/flows/f")["document"]["data"] == want, "all edits")


def test_nod81_one_worker_is_one_process(start_daemon: StartDaemon, url: str) -> None:
    daemon = start_daemon("--store", url, "--workers", "1")
    eventually(lambda: get(daemon, "/readyz")[0] == 200, "it is ready")
    assert psutil.Process(daemon.pid).children() == []


@pytest.mark.parametrize("store", ["memory:", "sqlite:flows.db"])
@pytest.mark.parametrize("workers", ["2", "auto"])
def test_nod81_workers_need_a_store_that_processes_share(
    tmp_path: Path, store: str, workers: str
) -> None:
    ended = run_twistd(tmp_path, "--store", store, "--workers", workers)
    assert ended.returncode == 1
    assert ended.stderr.startswith("twistd helix: --workers: it needs --store postgresql://")
    assert ended.stderr.count("\n") == 1


def test_nod81_workers_need_a_broker(tmp_path: Path, url: str) -> None:
    ended = run_twistd(tmp_path, "--store", url, "--workers", "2", "--broker", "none")
    assert ended.returncode == 1
    assert ended.stderr.startswith("twistd helix: --workers: it needs a broker")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_nod82_a_worker_that_dies_starts_again(
    start_workers: StartDaemon, number: signal.Signals
) -> None:
    daemon = start_workers()
    one, other = workers_of(daemon)
    one.send_signal(number)
    eventually(lambda: serving(daemon) == 3, "it serves again")
    assert f"Worker 1 (process {one.pid}) ended: {number.name}. It starts again in" in daemon.log
    again = workers_of(daemon)
    assert len(again) == 2
    assert again[1].pid == other.pid
    assert again[0].pid != one.pid


@pytest.fixture
def breakable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file; once it is there, every Python that starts ends with status 7 at once."""
    path = tmp_path / "broken"
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    (tmp_path / "sitecustomize.py").write_text(
        f"import os\nif os.path.exists({str(path)!r}):\n    os._exit(7)\n"
    )
    return path


@pytest.mark.timeout(400)
@ensureDeferred
async def test_nod85_sighup_replaces_workers_and_drops_no_edit(
    start_workers: StartDaemon, tmp_path: Path
) -> None:
    """Three times, while eight clients edit one flow all the time."""
    path = tmp_path / "helix.sock"
    daemon = start_workers("--listen", f"unix:{path}")
    before = [worker.pid for worker in workers_of(daemon)]
    address = f"http://{daemon.address}"
    clients = [FlowClient(reactor, address, "f") for _ in range(8)]
    over: list[bool] = []
    made: dict[str, int] = {}

    async def edit(number: int, client: FlowClient) -> None:
        for step in range(1_000_000):
            if over:
                return
            key = f"{number}-{step}"
            made[key] = await client.patch({"data": {key: step}})
            await deferLater(reactor, 0.02)  # leaves the new workers some of the machine

    lost: list[FlowEvent] = []
    for client in clients:
        client.listen(lambda event: lost.append(event) if is_offline(event) else None)
        await client.start().addTimeout(TIMEOUT, reactor)
    editing = gatherResults([ensure(edit(number, client)) for number, client in enumerate(clients)])
    turns: list[int] = []
    for turn in range(3):
        turns.append(turn)
        os.kill(daemon.pid, signal.SIGHUP)
        await until(lambda: daemon.log.count("All workers are new") == len(turns))
    over.append(True)
    await editing.addTimeout(TIMEOUT, reactor)
    for client in clients:
        await client.stop()
    assert lost, "nobody was sent away"
    after = [worker.pid for worker in workers_of(daemon)]
    assert len(after) == 2
    assert not set(before) & set(after)
    print(f"{len(made)} edits, {len(lost)} times that one was sent away")
    document = rest(daemon, "GET", "/flows/f")
    assert set(document["document"]["data"]) == set(made)
    assert sorted(made.values()) == list(range(1, len(made) + 1))
    assert document["version"] == len(made)
    assert path.stat().st_mode & 0o777 == 0o660
    with join(connect_unix(path), "late"):
        pass


def is_offline(event: FlowEvent) -> bool:
    return isinstance(event, StatusChanged) and event.status is Status.OFFLINE


def test_nod86_what_does_not_become_ready_replaces_nobody(
    start_workers: StartDaemon, breakable: Path
) -> None:
    """The code that is there now is broken: it ends before anything of Helix runs."""
    daemon = start_workers()
    before = [worker.pid for worker in workers_of(daemon)]
    breakable.touch()
    with join(daemon, "ada") as member:
        os.kill(daemon.pid, signal.SIGHUP)
        eventually(lambda: "Worker 1 is not replaced" in daemon.log, "it is told")
        assert "Worker 1 is not replaced, nor those after it: status 7" in daemon.log
        assert [worker.pid for worker in workers_of(daemon)] == before
        member.ask("flow:f", "patch", {"op_id": 1, "patch": {"data": {"a": 1}}})
        breakable.unlink()
        os.kill(daemon.pid, signal.SIGHUP)
        eventually(lambda: "All workers are new" in daemon.log, "they are replaced")
    assert not {worker.pid for worker in workers_of(daemon)} & set(before)


def test_nod82_a_worker_that_cannot_stay_ends_all(
    start_daemon: StartDaemon, url: str, breakable: Path
) -> None:
    daemon = start_daemon("--store", url, "--workers", "2")
    eventually(lambda: serving(daemon) == 2, "all workers serve")
    workers = workers_of(daemon)
    breakable.touch()
    workers[0].kill()
    assert daemon.wait(60) == 1
    assert "Worker 1 " in daemon.log
    assert daemon.log.count("ended: status 7. It starts again in") == 4
    why = "worker 1 has ended more than 5 times within 120 s; the last time: status 7"
    assert f"Helix can't go on: {why}" in daemon.log
    assert not psutil.wait_procs(workers, 10)[1]


def test_nod82_a_store_that_cannot_be_opened_ends_all_at_once(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    url = postgres_server.url("nowhere")
    listen = f"tcp:{free_port()}:interface=127.0.0.1"
    ended = run_twistd(tmp_path, "--store", url, "--workers", "2", "--listen", listen)
    assert ended.returncode == 1
    assert "Helix can't go on: --store: " in ended.stdout
    assert "It starts again" not in ended.stdout


def test_nod83_workers_whose_parent_dies_end(start_workers: StartDaemon) -> None:
    daemon = start_workers()
    workers = workers_of(daemon)
    with join(daemon, "ada") as member:
        daemon.kill()
        assert member.read_close() == 1012
    assert not psutil.wait_procs(workers, 10)[1]
    daemon.start()


def test_nod84_sigterm_drains_all(start_workers: StartDaemon, tmp_path: Path) -> None:
    path = tmp_path / "helix.sock"
    daemon = start_workers("--listen", f"unix:{path}")
    workers = workers_of(daemon)
    with ExitStack() as opened:
        members = [opened.enter_context(join(daemon, f"{number}")) for number in range(20)]
        for _ in range(3):
            os.kill(daemon.pid, signal.SIGTERM)
        assert [member.read_close() for member in members] == [1012] * 20
    daemon.stop()
    assert not any(worker.is_running() for worker in workers)
    assert not path.exists()
    daemon.start()


def test_nod88_figures_are_those_of_all_workers_whichever_answers(
    start_workers: StartDaemon,
) -> None:
    daemon = start_workers()
    rest(daemon, "POST", "/flows", {"id": "f", "document": {"title": "Old"}})
    with ExitStack() as opened:
        for number in range(20):
            opened.enter_context(join(daemon, f"{number}"))
        rest(daemon, "PATCH", "/flows/f", {"title": "t"})
        eventually(lambda: metric(daemon, "helix_entries_total") >= 1, "it is counted")
        own = [metric(daemon, "helix_worker_connections") for _ in range(10)]
        assert own == [20] * 10
        for _ in range(10):
            status = json.loads(get(daemon, "/api/status")[1])
            assert (status["connections"], status["members"], status["broker"]) == (20, 20, "up")
            assert [one["up"] for one in status["workers"]] == [True, True]
            assert sum(one["connections"] for one in status["workers"]) == 20
            assert daemon.metric("helix_connections") == 20
            assert daemon.metric("helix_broker_up") == 1
        one, other = workers_of(daemon)
        counted = daemon.metric('helix_connections_opened_total{transport="websocket"}')
        assert counted == 20
        one.suspend()
        try:
            began = time.monotonic()
            assert daemon.metric('helix_worker_up{worker="1"}') == 0
            assert time.monotonic() - began < 3
            assert daemon.metric('helix_worker_up{worker="2"}') == 1
            assert daemon.metric('helix_connections_opened_total{transport="websocket"}') == 20
            page = get(daemon, "/status")[1]
            assert b"1 of 2 workers answer" in page
        finally:
            one.resume()
        one.kill()
        eventually(lambda: serving(daemon) == 3, "it serves again")
        assert daemon.metric('helix_connections_opened_total{transport="websocket"}') == 20
        assert daemon.metric('helix_worker_ends_total{worker="1"}') == 1
        assert daemon.metric("helix_connections") < 20 or not other.is_running()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nod87_every_line_is_whole_and_names_its_worker(
    start_workers: StartDaemon, log_format: str
) -> None:
    daemon = start_workers("--log-format", log_format)
    for number in range(40):
        rest(daemon, "POST", "/flows", {"id": f"f{number}"})
        rest(daemon, "PATCH", f"/flows/f{number}", {"title": "t"})
    daemon.stop()
    lines = daemon.log.splitlines()
    starts = []
    for line in lines:
        if log_format == "json":
            event = json.loads(line)
            text, worker = event["message"], event.get("worker")
        else:
            found = re.fullmatch(r"\S+ \[\S+?#\w+(?:, worker (\d))?\] (.*)", line)
            assert found, line
            text, worker = found[2], found[1] and int(found[1])
        if "helix.session.started" in text:
            starts.append(worker)
    assert len(starts) >= 40
    assert set(starts) == {1, 2}


def test_nod90_in_the_background_with_a_pid_file_and_a_log_that_turns(
    tmp_path: Path, url: str
) -> None:
    port = free_port()
    listen = f"tcp:{port}:interface=127.0.0.1"
    command = [twistd()[0], "--pidfile=helix.pid", "--logfile=helix.log", "helix"]
    done = subprocess.run(
        [*command, "--store", url, "--listen", listen, "--workers", "2"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    parent = psutil.Process(int((tmp_path / "helix.pid").read_text()))
    try:
        log = tmp_path / "helix.log"
        eventually(lambda: log.read_text().count(") serves") == 2, "all workers serve")
        workers = parent.children()
        assert len(workers) == 2
        eventually(lambda: ", worker 1]" in log.read_text(), "it logs")
        os.kill(parent.pid, signal.SIGHUP)
        eventually(lambda: "All workers are new" in log.read_text(), "they are replaced")
        with socket.create_connection(("127.0.0.1", port), 5):
            pass
        os.kill(parent.pid, signal.SIGINT)
        assert not psutil.wait_procs([parent, *workers], 20)[1]
    finally:
        if parent.is_running():
            parent.kill()
    assert not faults_in(log.read_text())
    assert not (tmp_path / "helix.pid").exists()


AS_SYSTEMD = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="helix.socket")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def test_nod80_a_socket_that_systemd_opened_is_shared(start_daemon: StartDaemon, url: str) -> None:
    """It is the parent's by systemd's word; the workers get it from there, and new ones, too."""
    port = free_port()
    daemon = start_daemon(
        *("--store", url, "--workers", "2", "--listen", "systemd:domain=INET:index=0"),
        *("--auth", "anyone"),
        before=[sys.executable, "-c", AS_SYSTEMD, f"{port}"],
    )
    eventually(lambda: serving(daemon) == 2, "all workers serve")
    for turn in range(2):
        with ExitStack() as opened:
            for number in range(6):
                way = socket.create_connection(("127.0.0.1", port), 10)
                opened.enter_context(join(way, f"{turn}-{number}"))
        if turn == 0:
            os.kill(daemon.pid, signal.SIGHUP)
            eventually(lambda: "All workers are new" in daemon.log, "they are replaced", 90)
    daemon.stop()
    assert not faults_in(daemon.log)
