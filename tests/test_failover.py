"""The daemon on PostgreSQL that fails over to a standby, while people write. (docs/spec.md, CRA)"""

from __future__ import annotations

import json
from itertools import count, islice
from pathlib import Path
from typing import Any

from tests.daemon import start_daemon
from tests.participants import taking_part
from tests.postgres import Pair, pair
from tests.rawsocket import RawConnection, RawWebSocket
from tests.test_crash_safety import FLOWS, StartDaemon, check, patch_by_rest, verify
from tests.watched import eventually, faults_in, get

__all__ = ["pair", "start_daemon"]


def test_cra3_nobody_loses_anything_by_a_failover(
    start_daemon: StartDaemon, pair: Pair, tmp_path: Path
) -> None:
    # What is acknowledged is on the standby, too.
    pair.primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    pair.primary.execute("SELECT pg_reload_conf()")
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


def test_chn4_a_failover_that_lost_the_last_commits_is_told(
    start_daemon: StartDaemon, pair: Pair
) -> None:
    daemon = start_daemon("--store", pair.url)
    eventually(lambda: get(daemon, "/readyz")[0] == 200, "the store is open")
    with RawWebSocket(daemon.port, timeout=30) as member:
        params = {"mode": "document", "client_id": "member"}
        joining: Any = member.ask("flow:f", "phx_join", params)
        join_ref, epoch = joining[0], joining[4]["response"]["epoch"]
        refs = count()

        def patch(op_id: int, patch: object) -> list[Any]:
            """Send a patch until it is taken; all that came meanwhile."""
            came: list[Any] = []
            for ref in (f"p{n}" for n in islice(refs, 20)):
                payload = {"op_id": op_id, "patch": patch}
                member.send_json([join_ref, ref, "flow:f", "patch", payload])
                came += member.read_until_reply(ref)
                told = came[-1][4]
                if told["status"] == "ok":
                    return came
                assert told["response"]["retry"]
            raise AssertionError("it was not taken")

        patch(1, {"title": "On both"})
        pair.wait_for_standby()
        pair.part()
        patch(2, {"title": "Lost", "data": {"lost": True}})
        pair.primary.kill()
        pair.standby.promote()
        came = patch(3, {"description": "After it"})
        (reset,) = [message[4] for message in came if message[3] == "reset"]
        assert (reset["version"], reset["document"]["title"]) == (1, "On both")
        assert reset["epoch"] != epoch
        assert came[-1][4]["response"]["version"] == 2
    shown = json.loads(get(daemon, "/api/flows/f")[1])
    assert (shown["epoch"], shown["version"]) == (reset["epoch"], 2)
    assert (shown["document"]["title"], shown["document"]["data"]) == ("On both", {})
    daemon.stop()
    verify(pair.standby.url())
    assert not faults_in(daemon.log)
