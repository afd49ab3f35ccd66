"""Whatever goes wrong, all clients end with the document that the log makes."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.convergence import Convergence
from tests.world import World

STEPS = 400

SEEDS = int(os.environ.get("HELIX_CONVERGENCE_SEEDS", "60"))
"""How many runs; ``tox -e convergence`` makes many."""

FIRST = int(os.environ.get("HELIX_CONVERGENCE_FIRST", "0"))
"""The seed of the first."""


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_log5_all_clients_converge(seed: int, make_world: Callable[..., World]) -> None:
    Convergence(seed, make_world).run(STEPS)
