"""The daemon on PostgreSQL that fails over to a standby, while people write. (docs/spec.md, CRA)"""

from __future__ import annotations

import json
from itertools import count, islice
from pathlib import Path
from typing import Any

from tests.daemon.test_crash_safety import FLOWS, StartDaemon, check, patch_by_rest, verify
from tests.store.sqlite import query
from tests.support.daemon import Daemon, start_daemon
from tests.support.participants import taking_part
from tests.support.postgres import Pair, pair
from tests.support.rawsocket import RawConnection, RawWebSocket
from tests.support.watched import eventually, faults_in, get

__all__ = ["pair", "start_daemon"]


def test_cra3_nobody_loses_anything_by_a_failover(
    start_daemon: StartDaemon, pair: Pair, tmp_path: Path
) -> None:
    pair.wait_for_commits()
    daemon = start_daemon("--store", pair.url)
    with (
        taking_part(daemon, tmp_path, FLOWS, writers=3, seed=0) as participants,
        RawConnection(daemon.port, timeout=15) as caller,
    ):
        participants.wait_for(200)
        pair.primary.kill()
        # Nothing but a standby, until whoever asks is told so.
        patch_by_rest(caller, "two", {"title": "By REST"})
        answer = caller.read_response()
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        pair.standby.promote()
        participants.wait_for(200)
        check(daemon, participants)
        patch_by_rest(caller, "two", {"title": "By REST, later"})
        assert caller.read_response().status == 200
    daemon.stop()
    verify(pair.standby.url())
    assert not faults_in(daemon.log)


class Member:
    """A member in document mode, who sends each patch until it is taken."""

    def __init__(self, websocket: RawWebSocket) -> None:
        self._websocket = websocket
        joined: Any = websocket.ask("flow:f", "phx_join", {"mode": "document", "client_id": "m"})
        self._join_ref = joined[0]
        self._refs = count()
        self.epoch = joined[4]["response"]["epoch"]

    def patch(self, op_id: int, patch: object) -> list[Any]:
        """Give all that came until it was taken, its answer last."""
        came: list[Any] = []
        for ref in (f"p{n}" for n in islice(self._refs, 20)):
            payload = {"op_id": op_id, "patch": patch}
            self._websocket.send_json([self._join_ref, ref, "flow:f", "patch", payload])
            came += self._websocket.read_until_reply(ref)
            told = came[-1][4]
            if told["status"] == "ok":
                return came
            assert told["response"]["retry"]
        raise AssertionError("it was not taken")


def opened(daemon: Daemon) -> Daemon:
    """Wait until its store is open."""
    eventually(lambda: get(daemon, "/readyz")[0] == 200, "the store is open")
    return daemon


def check_taken_back(member: Member, daemon: Daemon) -> None:
    """See to it that the store's past counts, after an edit that a member was told is lost."""
    came = member.patch(3, {"description": "After it"})
    (reset,) = [message[4] for message in came if message[3] == "reset"]
    assert (reset["version"], reset["document"]["title"]) == (1, "On both")
    assert reset["epoch"] != member.epoch
    assert came[-1][4]["response"]["version"] == 2
    shown = json.loads(get(daemon, "/api/flows/f")[1])
    assert (shown["epoch"], shown["version"]) == (reset["epoch"], 2)
    assert (shown["document"]["title"], shown["document"]["data"]) == ("On both", {})


def test_chn4_a_failover_that_lost_the_last_commits_is_told(
    start_daemon: StartDaemon, pair: Pair
) -> None:
    daemon = opened(start_daemon("--store", pair.url))
    with RawWebSocket(daemon.port, timeout=30) as websocket:
        member = Member(websocket)
        member.patch(1, {"title": "On both"})
        pair.wait_for_standby()
        pair.part()
        member.patch(2, {"title": "Lost", "data": {"lost": True}})
        pair.primary.kill()
        pair.standby.promote()
        check_taken_back(member, daemon)
    daemon.stop()
    verify(pair.standby.url())
    assert not faults_in(daemon.log)


def test_chn4_sto22_a_backup_that_is_put_back_under_the_daemon_is_told(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    path, backup = tmp_path / "flows.db", tmp_path / "backup.db"
    daemon = opened(start_daemon("--store", f"sqlite:{path}"))
    with RawWebSocket(daemon.port, timeout=30) as websocket:
        member = Member(websocket)
        member.patch(1, {"title": "On both"})
        query(path, f"VACUUM INTO '{backup}'")
        member.patch(2, {"title": "Lost", "data": {"lost": True}})
        backup.rename(path)
        check_taken_back(member, daemon)
    daemon.stop()
    verify(f"sqlite:{path}")
    assert not faults_in(daemon.log)
