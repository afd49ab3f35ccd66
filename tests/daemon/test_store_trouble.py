"""The daemon on a store in trouble: who is told what, and what goes on. (docs/spec.md, CRA)"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helix.documents.ids import public_id
from helix.store.upgrades import shipped_upgrades
from tests.store.sqlite import damage
from tests.support.daemon import Daemon, run_twistd, start_daemon
from tests.support.participants import read_log
from tests.support.postgres import PostgresServer, as_somebody, postgres_server
from tests.support.rawsocket import RawConnection, RawWebSocket, Response
from tests.support.watched import eventually, faults_in, get

__all__ = ["postgres_server", "start_daemon"]

StartDaemon = Callable[..., Daemon]


def ask(daemon: Daemon, method: str, path: str, content: object) -> Response:
    """Send JSON by REST."""
    body = json.dumps(content).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with RawConnection(daemon.port) as connection:
        connection.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return connection.read_response()


def problem(answer: Response) -> tuple[int, str, bool]:
    """The status of an error, its code, and whether to try again."""
    told = json.loads(answer.body)
    return answer.status, told["code"], told["retry"]


def fill(daemon: Daemon, flow_id: str, text: str, times: int) -> list[Response]:
    """Make entries that hold a text; the answers."""
    return [
        ask(daemon, "PATCH", f"/api/flows/{flow_id}", {"data": {"text": f"{n}{text}"}})
        for n in range(times)
    ]


class Member:
    """A member in document mode, which sends patches."""

    def __init__(self, websocket: RawWebSocket, flow_id: str, client_id: str = "member") -> None:
        self._websocket = websocket
        self._topic = f"flow:{flow_id}"
        params = {"mode": "document", "client_id": client_id}
        self.joined: Any = websocket.ask(self._topic, "phx_join", params)
        self._op_id = 0

    def patch(self, patch: object) -> Any:
        """Send a patch, and give the status and the response."""
        self._op_id += 1
        payload = {"op_id": self._op_id, "patch": patch}
        reply: Any = self._websocket.ask(self._topic, "patch", payload, self.joined[0])[4]
        return reply["status"], reply["response"]


def test_cra4_full_disk_is_told_and_costs_nothing_else(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"'
    daemon = start_daemon(
        "--store",
        f"sqlite:{disk}/flows.db",
        before=["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(disk)],
    )
    ballast = Path(f"/proc/{daemon.pid}/root{disk}/ballast")  # where the daemon sees the disk
    for flow_id in ("full", "other"):
        assert ask(daemon, "POST", "/api/flows", {"id": flow_id}).status == 201
    with RawWebSocket(daemon.port) as full, RawWebSocket(daemon.port) as other:
        member, onlooker = Member(full, "full"), Member(other, "full", "onlooker")
        assert member.patch({"title": "There was room"})[0] == "ok"
        room = os.statvfs(ballast.parent)
        ballast.write_bytes(b"x" * (room.f_bavail * room.f_frsize - 40_000))
        status, told = member.patch({"data": {"text": "x" * 100_000}})
        assert (status, told["code"], told["retry"]) == ("error", "store_full", True)
        answer = ask(daemon, "PATCH", "/api/flows/full", {"data": {"text": "y" * 100_000}})
        assert problem(answer) == (503, "store_full", True)
        shown = json.loads(get(daemon, "/api/flows/full")[1])
        assert (shown["version"], shown["document"]["description"]) == (1, "")
        assert ask(daemon, "PATCH", "/api/flows/other", {"title": "Small"}).status == 200
        ballast.unlink()
        assert member.patch({"data": {"text": "x" * 100_000}})[0] == "error", "out of order"
        assert (
            ask(daemon, "PATCH", "/api/flows/full", {"data": {"text": "z" * 100_000}}).status == 200
        )
        assert onlooker.patch({"title": "There is room"})[0] == "ok"
    assert [entry["client_id"] for entry in read_log(daemon, "full").entries] == [
        public_id("member"),
        None,
        public_id("onlooker"),
    ]
    assert not faults_in(daemon.log)


def test_cra4_damaged_flow_is_told_and_harms_no_other(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    path = tmp_path / "flows.db"
    daemon = start_daemon("--store", f"sqlite:{path}")
    for flow_id, mark in (("damaged", "<one>"), ("whole", "[other]")):
        assert ask(daemon, "POST", "/api/flows", {"id": flow_id}).status == 201
        assert {a.status for a in fill(daemon, flow_id, mark * 100, 45)} == {200}
    daemon.stop()
    assert damage(path, b"<one>", b"[other]") > 3
    daemon.start()
    assert problem(ask(daemon, "PATCH", "/api/flows/damaged", {"title": "t"})) == (
        500,
        "store_corrupt",
        False,
    )
    assert get(daemon, "/api/flows/damaged")[0] == 500
    with RawWebSocket(daemon.port) as websocket:
        refused = Member(websocket, "damaged").joined[4]
        assert refused["status"] == "error"
        assert (refused["response"]["code"], refused["response"]["retry"]) == (
            "store_corrupt",
            False,
        )
        member = Member(websocket, "whole")
        assert member.joined[4]["status"] == "ok", member.joined
        assert member.patch({"title": "t"}) == ("ok", {"version": 46})
    assert ask(daemon, "PATCH", "/api/flows/whole", {"title": "u"}).status == 200
    assert not faults_in(daemon.log)


def start_in_vain(tmp_path: Path, store: str, *before: str) -> str:
    """What a daemon logs as critical, in one line, before it ends with 1."""
    ended = run_twistd(
        tmp_path, "--listen", "tcp:0:interface=127.0.0.1", "--store", store, before=before
    )
    assert ended.returncode == 1
    assert (ended.stderr, "Traceback" in ended.stdout) == ("", False)
    (line,) = [line for line in ended.stdout.splitlines() if "critical" in line]
    _, _, why = line.partition("Helix can't start: --store: ")
    return why


def test_cra5_database_file_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    path = tmp_path / "flows.db"
    path.touch(0o444)
    why = start_in_vain(tmp_path, f"sqlite:{path}", *as_somebody())
    assert why == f"The database {path} can't be used: Permission denied"
    assert path.read_bytes() == b""


def test_cra5_wrong_password_ends_the_start(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    why = start_in_vain(tmp_path, postgres_server.url("postgres", "guard", "wr0ng-pass"))
    assert 'password authentication failed for user "guard"' in why
    assert "wr0ng-pass" not in why


def test_cra5_newer_schema_ends_the_start(
    postgres_server: PostgresServer, start_daemon: StartDaemon, tmp_path: Path
) -> None:
    name = postgres_server.make_database()
    daemon = start_daemon("--store", postgres_server.url(name))
    newer = "INSERT INTO helix_schema SELECT max(number) + 1, 'later' FROM helix_schema"
    eventually(lambda: get(daemon, "/api/flows")[0] == 200, "the store is open")
    daemon.stop()
    postgres_server.execute(newer, name)
    newest = len(shipped_upgrades("postgresql"))
    assert f"schema {newest + 1}" in start_in_vain(tmp_path, postgres_server.url(name))
