"""Every test of the contract gets an empty place of each kind, and a store that is started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pytest_twisted import async_yield_fixture

from helix.interfaces import IFlowStore
from tests.store.places import PLACES, Place
from tests.support.postgres import database, mortal_server, postgres_server, url  # noqa: F401  # fixtures


@pytest.fixture(params=sorted(PLACES))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with PLACES[request.param](tmp_path) as place:
        yield place


@pytest.fixture(params=sorted(PLACES.keys() - {"memory"}))
def lasting_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Where a store outlives its process."""
    with PLACES[request.param](tmp_path) as place:
        assert place.durable
        yield place


@async_yield_fixture
async def store(place: Place) -> AsyncIterator[IFlowStore]:
    store = place.store()
    await store.start()
    yield store
    await store.stop()
