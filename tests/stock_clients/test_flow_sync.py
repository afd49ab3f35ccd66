"""The browser's client, run by node, against the real daemon. (JSC2, JSC3)"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemon import Daemon

NPM = Path(__file__).resolve().parents[2] / "build_backend" / "npm.py"

TIMEOUT = 110.0
"""Seconds, the installation of npm's packages included."""

UNDER_WAY = 40
"""The version at which the daemon is killed: the people are in the middle of it."""


def version_of(daemon: Daemon, flow_id: str) -> int:
    try:
        with urllib.request.urlopen(f"http://{daemon.address}/api/flows/{flow_id}") as answer:
            version: int = json.load(answer)["version"]
            return version
    except urllib.error.HTTPError:
        return 0  # nobody has edited it yet


def is_running(process: subprocess.Popen[str]) -> bool:
    """Tell whether it hasn't ended within the next moment."""
    try:
        process.wait(0.02)
    except subprocess.TimeoutExpired:
        return True
    return False


@pytest.mark.parametrize(("seed", "base"), [(1, ""), (2, "/some/helix")])
def test_jsc3_nothing_is_lost_or_doubled_when_the_daemon_is_killed(
    start_daemon: Callable[..., Daemon], flow_id: str, seed: int, base: str
) -> None:
    """Below a path as well (ACC213)."""
    daemon = start_daemon("--store", "sqlite:flows.sqlite", "--base-path", base)
    people = subprocess.Popen(
        [sys.executable, NPM, "run", "test"],
        env={
            **os.environ,
            "HELIX_URL": f"http://{daemon.address}{base}",
            "HELIX_FLOW": flow_id,
            "HELIX_SEED": str(seed),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + TIMEOUT
    try:
        while version_of(daemon, flow_id) < UNDER_WAY and is_running(people):
            assert time.monotonic() < deadline, "the people didn't come"
        assert people.poll() is None, people.communicate()[0]
        daemon.kill()
        daemon.start()
        printed, _ = people.communicate(timeout=deadline - time.monotonic())
    finally:
        people.kill()
        people.wait()
    assert people.returncode == 0, printed
