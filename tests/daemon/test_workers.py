"""Several nodes on one machine: a parent and its workers. (docs/spec.md, NOD80 on)"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.daemon.test_daemon import certificate, connect_tls, connect_unix
from tests.support.daemon import Daemon, free_port, run_twistd, start_daemon
from tests.support.postgres import postgres_server, url
from tests.support.rawsocket import RawWebSocket
from tests.support.watched import eventually, faults_in, get, rest

__all__ = ["certificate", "postgres_server", "start_daemon", "url"]

StartDaemon = Callable[..., Daemon]


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


def join(daemon: Daemon | socket.socket, client_id: str, flow: str = "f") -> RawWebSocket:
    """A member in document mode."""
    member = RawWebSocket(daemon.port if isinstance(daemon, Daemon) else daemon)
    params = {"mode": "document", "client_id": client_id}
    reply: Any = member.ask(f"flow:{flow}", "phx_join", params)
    assert reply[4]["status"] == "ok", reply
    return member


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
