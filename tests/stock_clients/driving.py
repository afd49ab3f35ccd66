"""The directory in which `tests.stock_clients.phoenix` runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.madeonce import made_once
from tests.support.packages import install_packages


@pytest.fixture(scope="session")
def driver_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private copy of the driver, with the npm packages that its lockfile names."""
    return made_once(tmp_path_factory, "driver", _make_driver)


def _make_driver(directory: Path) -> None:
    here = Path(__file__).parent
    for name in ("driver.mjs", "xhr.mjs", "package.json", "package-lock.json", ".npmrc"):
        shutil.copy(here / name, directory)
    install_packages(directory)
