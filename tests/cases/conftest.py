"""What the cases share: pages, and a bad network between them and the daemon."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cases.network import Network, network
from tests.cases.pages import Pages
from tests.daemon import Daemon, start_daemon

__all__ = ["start_daemon"]

NPM = Path(__file__).resolve().parents[2] / "build_backend" / "npm.py"

BUNDLE_TIMEOUT = 110.0
"""Seconds, the installation of npm's packages included."""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client library, bundled into one module."""
    path = tmp_path_factory.mktemp("library") / "helix-flows.mjs"
    bundle(path, "esm", "neutral")
    return path


def bundle(path: Path, *shape: str) -> None:
    """
    Bundle the client library into a file.

    :param shape: the module's format, the platform, and a global name, if it gets one.
    """
    form, platform, *name = shape
    options = ["--format", form, "--platform", platform, "--file", str(path)]
    options += ["--name", *name] if name else []
    done = subprocess.run(
        [sys.executable, NPM, "exec", "--", "rolldown", "client/src/index.ts", *options],
        capture_output=True,
        text=True,
        timeout=BUNDLE_TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
