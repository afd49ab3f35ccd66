"""What the cases share: pages, and a bad network between them and the daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cases.bundle import bundle
from tests.cases.network import Network, network
from tests.cases.pages import Pages
from tests.support.daemon import Daemon, start_daemon
from tests.support.madeonce import made_once

__all__ = ["start_daemon"]

MODULE = "helix-flows.mjs"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client library, bundled into one module."""
    made = made_once(
        tmp_path_factory, "library", lambda directory: bundle(directory / MODULE, "esm", "neutral")
    )
    return made / MODULE


@pytest.fixture
def pages(library: Path) -> Iterator[Pages]:
    """Where pages are opened."""
    made = Pages(library)
    yield made
    made.end()


@pytest.fixture
def net() -> Iterator[Network]:
    """A bad network."""
    with network() as made:
        yield made


@pytest.fixture
def daemon(start_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon of the test's own, on SQLite."""
    return start_daemon("--store", "sqlite:flows.sqlite")
