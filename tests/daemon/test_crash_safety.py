"""What was acknowledged is there, whoever is killed. (docs/spec.md, CRA)"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.daemon import Daemon, start_daemon
from tests.support.participants import check, taking_part, verify
from tests.support.postgres import PostgresServer, mortal_server, shared_server
from tests.support.rawsocket import RawConnection, RawWebSocket
from tests.support.watched import faults_in

__all__ = ["mortal_server", "start_daemon"]

StartDaemon = Callable[..., Daemon]

KILLS = 5

SEEDS = int(os.environ.get("HELIX_CRASH_SEEDS", "1"))
"""How many runs on each store; ``tox -e crash`` makes many."""

FIRST = int(os.environ.get("HELIX_CRASH_FIRST", "0"))
"""The seed of the first."""

FLOWS = ("one", "two", "three")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty one of each kind that lasts, as ``--store`` takes it."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'flows.db'}"
    return shared_server().make_schema()


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_cra1_cra2_what_was_acknowledged_outlives_kills(
    start_daemon: StartDaemon, tmp_path: Path, store: str, seed: int
) -> None:
    print(f"again: HELIX_CRASH_FIRST={seed} HELIX_CRASH_SEEDS=1 tox -e crash")
    random = Random(seed)
    daemon = start_daemon("--store", store)
    with taking_part(daemon, tmp_path, FLOWS, writers=3, seed=seed) as participants:
        for _ in range(KILLS):
            participants.wait_for(random.choice([1, random.randrange(100), random.randrange(1000)]))
            daemon.kill()
            daemon.start()
        participants.wait_for(100)
        check(daemon, participants)
    daemon.stop()
    verify(store)
    assert not faults_in(daemon.log)


def patch_by_rest(connection: RawConnection, flow_id: str, patch: object) -> None:
    """Ask for an edit; the answer is to be read."""
    body = json.dumps(patch).encode()
    head = f"PATCH /api/flows/{flow_id} HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Type: application/merge-patch+json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.send(head.encode() + body)


def test_cra3_postgresql_goes_away_under_the_daemon(
    start_daemon: StartDaemon, mortal_server: PostgresServer, tmp_path: Path
) -> None:
    store = mortal_server.make_schema()
    daemon = start_daemon("--store", store)
    pid = daemon.pid
    with (
        taking_part(daemon, tmp_path, FLOWS, writers=3, seed=0) as participants,
        RawWebSocket(daemon.port, timeout=15) as member,
        RawConnection(daemon.port, timeout=15) as caller,
    ):
        participants.wait_for(200)
        params = {"mode": "document", "client_id": "member"}
        join_ref = member.ask("flow:one", "phx_join", params)[0]
        mortal_server.kill()
        began = time.monotonic()
        patch = {"op_id": 1, "patch": {"data": {"member": 1}}}
        member.send_json([join_ref, "p", "flow:one", "patch", patch])
        patch_by_rest(caller, "two", {"title": "By REST"})
        told: Any = member.read_until_reply("p")[-1][4]
        answer = caller.read_response()
        assert time.monotonic() - began < 10
        assert told["status"] == "error"
        assert (told["response"]["code"], told["response"]["retry"]) == ("store_unavailable", True)
        problem = json.loads(answer.body)
        assert (answer.status, problem["code"]) == (503, "store_unavailable")
        assert problem["retry"]
        assert int(answer.headers["retry-after"]) > 0
        mortal_server.start()
        participants.wait_for(200)
        again: Any = member.ask("flow:one", "patch", patch, str(join_ref))[4]
        assert again["status"] == "ok"
        # And one that is too short for anybody to be told.
        mortal_server.kill()
        mortal_server.start()
        participants.wait_for(200)
        check(daemon, participants)
        patch_by_rest(caller, "two", {"title": "By REST"})
        assert caller.read_response().status == 200
    assert daemon.pid == pid
    daemon.stop()
    verify(store)
    assert not faults_in(daemon.log)
