"""What was acknowledged is there, whoever is killed. (docs/spec.md, CRA)"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.daemon import Daemon, start_daemon
from tests.participants import check, taking_part, verify
from tests.postgres import shared_server
from tests.watched import faults_in

__all__ = ["start_daemon"]

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
