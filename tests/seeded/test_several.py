"""Whatever befalls three nodes, all clients end with the document that the one log makes."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.seeded.convergence import SMALL
from tests.seeded.several import Several
from tests.support.world import World

STEPS = 900
"""How much happens in a run."""

SEEDS = int(os.environ.get("HELIX_SEVERAL_SEEDS", "40"))
"""How many runs; ``tox -e several`` makes many."""

FIRST = int(os.environ.get("HELIX_SEVERAL_FIRST", "0"))
"""The seed of the first."""


CROWDED = 20
"""After how many runs there is one of a crowd, too."""

CROWD = 60

CROWDED_STEPS = 4000


@pytest.fixture
def converge(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Several]:
    """Makes the run of a seed."""

    def run(seed: int, steps: int, crowd: int = 0) -> Several:
        if seed % 2:
            for name, value in SMALL.items():
                monkeypatch.setattr(name, value)
        print(f"again: HELIX_SEVERAL_FIRST={seed} HELIX_SEVERAL_SEEDS=1 tox -e several")
        several = Several(seed, make_world, crowd)
        several.run(steps)
        return several

    return run


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_nod115_nod117_all_clients_of_several_nodes_converge(
    seed: int, converge: Callable[..., Several]
) -> None:
    converge(seed, STEPS)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS, CROWDED))
def test_nod115_nod117_crowds_of_several_nodes_converge(
    seed: int, converge: Callable[..., Several]
) -> None:
    converge(seed, CROWDED_STEPS, CROWD)


def test_nod115_a_seed_always_means_the_same_run(converge: Callable[..., Several]) -> None:
    """Else the line that repeats a run would repeat another."""
    runs = []
    for _ in range(2):
        runs.append(converge(2, STEPS))
        runs[-1].end()
    first, second = (run.told for run in runs)
    assert len(first) > 200
    assert first == second
