"""Whatever goes wrong, all clients end with the document that the log makes."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.seeded.convergence import SMALL, STEPS, Convergence
from tests.support.world import World

SEEDS = int(os.environ.get("HELIX_CONVERGENCE_SEEDS", "60"))
"""How many runs; ``tox -e convergence`` makes many."""

FIRST = int(os.environ.get("HELIX_CONVERGENCE_FIRST", "0"))
"""The seed of the first."""

REGRESSIONS = {"a load that takes too long": 7}
"""What runs found, by the seeds that did, while those still mean the same run."""


@pytest.fixture
def converge(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], None]:
    """Makes the run of a seed."""

    def run(seed: int) -> None:
        if seed % 2:
            for name, value in SMALL.items():
                monkeypatch.setattr(name, value)
        print(f"again: HELIX_CONVERGENCE_FIRST={seed} HELIX_CONVERGENCE_SEEDS=1 tox -e convergence")
        Convergence(seed, make_world).run(STEPS)

    return run


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_log5_all_clients_converge(seed: int, converge: Callable[[int], None]) -> None:
    converge(seed)


@pytest.mark.parametrize("seed", REGRESSIONS.values(), ids=REGRESSIONS)
def test_log5_what_was_found_stays_mended(seed: int, converge: Callable[[int], None]) -> None:
    converge(seed)
