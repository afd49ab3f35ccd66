"""However roles change, nobody does what they may not, and nothing that was taken is lost."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.seeded.convergence import SMALL, STEPS
from tests.seeded.shifting import Shifting
from tests.support.world import World

SEEDS = int(os.environ.get("HELIX_SHIFTING_SEEDS", "40"))
"""How many runs; ``tox -e shifting`` makes many."""

FIRST = int(os.environ.get("HELIX_SHIFTING_FIRST", "0"))
"""The seed of the first."""


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_acc31_acc125_roles_count_whatever_happens(
    seed: int, make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    if seed % 2:
        for name, value in SMALL.items():
            monkeypatch.setattr(name, value)
    print(f"again: HELIX_SHIFTING_FIRST={seed} HELIX_SHIFTING_SEEDS=1 tox -e shifting")
    Shifting(seed, make_world).run(STEPS)
