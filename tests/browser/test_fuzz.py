"""Whatever pages, their browsers and the server go through, each edit comes to a right end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from random import Random

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import node
from tests.browser.fuzz.plan import Step, make_plan
from tests.browser.fuzz.run import Run
from tests.browser.fuzz.stage import Stage
from tests.cases.bundle import bundle
from tests.cases.network import Network, network
from tests.daemon import Daemon
from tests.watched import rest, running_daemon

pytestmark = pytest.mark.case

SEEDS = int(os.environ.get("HELIX_CASES_FUZZ_SEEDS", "4"))
"""How many runs; ``tox -e cases`` makes more."""

FIRST = int(os.environ.get("HELIX_CASES_FUZZ_FIRST", "0"))
"""The seed of the first."""

STEPS = os.environ.get("HELIX_CASES_FUZZ_STEPS", "")
"""Of a plan these alone, as ``3,14``, to find what a failure is due to; all where it is empty."""

SMALL = ("--max-patch-bytes", "4096")
"""So that some of what is done is more than the server takes at once."""

DELAYS = (0, 0, 0.005, 0.03, 0.1)
"""Seconds, one of which each browser is away from the daemon."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The client library, as a script that makes ``Flows``."""
    path = tmp_path_factory.mktemp("library") / "flows.js"
    bundle(path, "iife", "browser", "Flows")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon for tests that stop it, and start it again."""
    flows = tmp_path_factory.mktemp("flows")
    with running_daemon(flows, "--store", "sqlite:flows.sqlite", *SMALL) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    with network() as made:
        yield made


def make_flow(daemon: Daemon, flow_id: str) -> None:
    """Make a flow to begin with: some nodes, one in a group, and an edge."""
    group = node("n4", 0, 300, "group")
    nodes = [*(node(f"n{n}", 200 * n, 0) for n in range(4)), group, node("n5", 20, 40)]
    nodes[-1]["parentId"] = "n4"
    document = {
        "title": "Orders",
        "nodes": {one["id"]: one for one in nodes},
        "edges": {"x0": {"id": "x0", "source": "n0", "target": "n1"}},
    }
    rest(daemon, "POST", "/flows", {"id": flow_id, "document": document})


def plan_of(seed: int) -> list[Step]:
    plan = make_plan(seed)
    wanted = [int(number) for number in STEPS.split(",") if number]
    return [step for step in plan if step.number in wanted or not wanted]


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_jsc3_each_edit_comes_to_a_right_end_whatever_happens(
    seed: int, browser: Browser, restarted: Daemon, net: Network, library: str
) -> None:
    line = f"HELIX_CASES_FUZZ_FIRST={seed} HELIX_CASES_FUZZ_SEEDS=1"
    print(f"replay: {line} pytest tests/browser/test_fuzz.py")
    flow_id = f"seed{seed}"
    make_flow(restarted, flow_id)
    random = Random(seed)
    delays = (random.choice(DELAYS), random.choice(DELAYS))
    stage = Stage(browser, restarted, net, library, flow_id, delays)
    began = time.monotonic()
    try:
        ends = Run(stage, flow_id).play(plan_of(seed))
    finally:
        stage.end()
    print(f"seed {seed}: {dict(ends)}, {time.monotonic() - began:.1f} s")
