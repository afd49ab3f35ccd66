"""Whatever goes wrong, what was promised to everybody on the server holds."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.convergence import SMALL
from tests.simulation import Simulation, WatchedFanout
from tests.world import World

TURNS = 240

CLIENTS = 150

SEEDS = int(os.environ.get("HELIX_SIMULATION_SEEDS", "6"))
"""How many runs; ``tox -e simulation`` makes many."""

FIRST = int(os.environ.get("HELIX_SIMULATION_FIRST", "0"))
"""The seed of the first."""


@pytest.fixture
def simulate(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], None]:
    """Makes the run of a seed."""

    def run(seed: int) -> None:
        line = f"HELIX_SIMULATION_FIRST={seed} HELIX_SIMULATION_SEEDS=1"
        print(f"replay: {line} pytest tests/test_simulation.py")
        monkeypatch.setattr("helix.session.Fanout", WatchedFanout)
        monkeypatch.setattr(WatchedFanout, "broadcasts", [], raising=False)
        if seed % 2:
            for name, value in SMALL.items():
                monkeypatch.setattr(name, value)
        Simulation(seed, make_world, CLIENTS).run(TURNS)

    return run


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_ses5_what_was_promised_holds_whatever_happens(
    seed: int, simulate: Callable[[int], None]
) -> None:
    simulate(seed)
