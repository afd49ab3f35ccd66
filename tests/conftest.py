"""What all tests share: how hypothesis searches, and the world in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from tests.world import World

# Machines differ in speed, and so do runs: no example is wrong for having been slow.
settings.register_profile("default", deadline=None)
# Where nobody looks on, a run tells of the change that it tests and of nothing else.
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("thorough", deadline=None, max_examples=5000)

settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "default")
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest and mostly waits, so that the others run beside it."""
    items.sort(key=lambda item: item.get_closest_marker("package") is None)


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """Makes worlds, and at the end of the test sees that each can be left with nothing behind."""
    worlds: list[World] = []

    def make(**settings: Any) -> World:
        worlds.append(World(**settings))
        return worlds[-1]

    yield make
    for made in worlds:
        made.end()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world as the daemon is by default."""
    return make_world()
