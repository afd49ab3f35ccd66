"""Whatever goes wrong, what was promised to everybody on the server holds."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.seeded.convergence import SMALL
from tests.seeded.fleet import Fleet
from tests.seeded.simulation import Simulation
from tests.seeded.slowwatch import WatchedFanout
from tests.support.world import World

TURNS = 150

CLIENTS = 200

CLIENTS_OF_NODES = 120
"""As `CLIENTS`, on three nodes together."""

SEEDS = int(os.environ.get("HELIX_SIMULATION_SEEDS", "4"))
"""How many runs; ``tox -e simulation`` makes many."""

FIRST = int(os.environ.get("HELIX_SIMULATION_FIRST", "0"))
"""The seed of the first."""


@pytest.fixture
def simulate(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Simulation]:
    """Makes the run of a seed."""

    def run(
        seed: int,
        clients: int = CLIENTS,
        turns: int = TURNS,
        kind: type[Simulation] = Simulation,
    ) -> Simulation:
        line = f"HELIX_SIMULATION_FIRST={seed} HELIX_SIMULATION_SEEDS=1"
        print(f"replay: {line} pytest tests/seeded/test_simulation.py")
        monkeypatch.setattr("helix.flows.session.Fanout", WatchedFanout)
        monkeypatch.setattr(WatchedFanout, "broadcasts", [], raising=False)
        if seed % 2:
            for name, value in SMALL.items():
                monkeypatch.setattr(name, value)
        simulation = kind(seed, make_world, clients)
        simulation.run(turns)
        return simulation

    return run


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_ses5_what_was_promised_holds_whatever_happens(
    seed: int, simulate: Callable[..., Simulation]
) -> None:
    simulate(seed)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS, 2))
def test_nod118_what_was_promised_holds_on_three_nodes(
    seed: int, simulate: Callable[..., Simulation]
) -> None:
    simulate(seed, CLIENTS_OF_NODES, kind=Fleet)


def test_nod118_a_seed_always_means_the_same_run_on_three_nodes(
    simulate: Callable[..., Simulation],
) -> None:
    first, second = (simulate(1, clients=20, turns=60, kind=Fleet).told for _ in range(2))
    assert len(first) > 500
    assert first == second


def test_ses5_a_seed_always_means_the_same_run(simulate: Callable[..., Simulation]) -> None:
    """Else the line that replays a run would replay another."""
    first, second = (simulate(1, clients=20, turns=60).told for _ in range(2))
    assert len(first) > 500
    assert first == second
