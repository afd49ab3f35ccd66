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


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_nod115_nod117_all_clients_of_several_nodes_converge(
    seed: int, make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    if seed % 2:
        for name, value in SMALL.items():
            monkeypatch.setattr(name, value)
    print(f"again: HELIX_SEVERAL_FIRST={seed} HELIX_SEVERAL_SEEDS=1 tox -e several")
    Several(seed, make_world).run(STEPS)
