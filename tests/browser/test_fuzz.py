"""Whatever pages, their browsers and the server go through, each edit comes to a right end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import node
from tests.browser.fuzz.hands import IN_THE_EDITOR, act
from tests.browser.fuzz.model import Model
from tests.browser.fuzz.plan import BARE, Repertoire, Step
from tests.browser.fuzz.run import Act, Run
from tests.browser.fuzz.stage import Stage, Tab
from tests.browser.fuzz.writers import Writers
from tests.cases.network import Network, network
from tests.support.daemon import Daemon
from tests.support.watched import rest, running_daemon

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


def plan_of(seed: int, repertoire: Repertoire) -> list[Step]:
    plan = repertoire.make_plan(seed)
    wanted = [int(number) for number in STEPS.split(",") if number]
    return [step for step in plan if step.number in wanted or not wanted]


def ask(step: Step, tab: Tab) -> dict[str, Any] | None:
    """Have a page that has only the client library do it."""
    told: dict[str, Any] | None = tab.ask("act(given)", step.asked)
    return told


Play = Callable[[int, Repertoire, Act, Model], None]


@pytest.fixture
def play(browser: Browser, restarted: Daemon, net: Network, library: str) -> Play:
    """Makes the run of a seed: in the editor's pages, or in pages that have nothing but a flow."""

    def run(seed: int, repertoire: Repertoire, act: Act, model: Model) -> None:
        line = f"HELIX_CASES_FUZZ_FIRST={seed} HELIX_CASES_FUZZ_SEEDS=1"
        print(f"replay: {line} pytest tests/browser/test_fuzz.py")
        is_bare = repertoire is BARE
        flow_id = f"{'bare' if is_bare else 'editor'}{seed}"
        make_flow(restarted, flow_id)
        random = Random(seed)
        delays = (random.choice(DELAYS), random.choice(DELAYS))
        stage = Stage(browser, restarted, net, library if is_bare else None, flow_id, delays)
        began = time.monotonic()
        try:
            ends = Run(stage, flow_id, act, model).play(plan_of(seed, repertoire))
        finally:
            stage.end()
        print(f"seed {seed}: {dict(ends)}, {time.monotonic() - began:.1f} s")

    return run


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_jsc3_each_edit_comes_to_a_right_end_whatever_happens(seed: int, play: Play) -> None:
    play(seed, BARE, ask, Model())


@pytest.mark.parametrize("seed", range(FIRST, FIRST + (SEEDS + 3) // 4))
def test_edi6_what_is_typed_comes_to_a_right_end_whatever_happens(seed: int, play: Play) -> None:
    play(seed, IN_THE_EDITOR, act, Writers())
