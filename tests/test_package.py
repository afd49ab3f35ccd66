"""The distributions are complete, and each kind of install finds ``twistd helix``. (OPS1)"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 300.0

pytestmark = [pytest.mark.package, pytest.mark.timeout(2 * TIMEOUT)]

SHIPPED_FOLDERS = (".ci", "bench", "docs", "helix", "newsfragments", "tests", "twisted")
NEVER_SHIPPED = {"__pycache__", "_build", "node_modules", "dropin.cache"}


class Distributions(NamedTuple):
    """What a build makes; the wheel is built from the sdist, not from the checkout."""

    sdist: Path
    wheel: Path


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command and return what it prints; one that fails shows it."""
    ended = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    # A copy: setuptools puts into an sdist what it once noted in the tree that it builds from.
    tree, directory = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, tree)
        elif path.name in SHIPPED_FOLDERS:
            shutil.copytree(path, tree / path.name)
    run(sys.executable, "-m", "build", "--outdir", directory, tree, cwd=directory)
    (sdist,) = directory.glob("*.tar.gz")
    (wheel,) = directory.glob("*.whl")
    return Distributions(sdist, wheel)


@pytest.fixture
def source(distributions: Distributions, tmp_path: Path) -> Path:
    """The source tree that the sdist holds."""
    # Its filters came with Python 3.11.4, and later versions warn where none is named.
    run(sys.executable, "-m", "tarfile", "--extract", distributions.sdist, tmp_path, cwd=tmp_path)
    return tmp_path / distributions.sdist.name.removesuffix(".tar.gz")


def shipped_files() -> set[str]:
    paths = (path for folder in SHIPPED_FOLDERS for path in (ROOT / folder).rglob("*"))
    return {
        path.relative_to(ROOT).as_posix()
        for path in paths
        if path.is_file()
        and path.suffix not in {".pyc", ".pyo"}
        and not NEVER_SHIPPED.intersection(path.parts)
        and not any(part.endswith("_cache") for part in path.parts)
    }


def test_ops1_sdist_is_complete(source: Path) -> None:
    files = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert shipped_files() - files == set()
    assert {"LICENSE", "README.md", "pyproject.toml", "setup.py", "tox.ini", ".ci/run"} <= files
    assert not [name for name in files if NEVER_SHIPPED.intersection(Path(name).parts)]


def test_ops1_wheel_holds_the_package_and_the_plugin_alone(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("/licenses/LICENSE")]
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "helix").rglob("*")
        if path.is_file() and path.suffix not in {".pyc", ".pyo"}
    }
    # Beside the plugin, an __init__.py would hide Twisted's own plugins.
    assert files == package | {"twisted/plugins/helix_plugin.py"}
    assert licences


@pytest.mark.parametrize("kind", ["tree", "wheel", "editable"])
def test_ops1_twistd_helix_is_found(
    distributions: Distributions, source: Path, tmp_path: Path, kind: str
) -> None:
    environment, elsewhere = tmp_path / "environment", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    what = {"tree": [source], "wheel": [distributions.wheel], "editable": ["--editable", source]}
    run(environment / "bin" / "pip", "install", *what[kind], cwd=elsewhere)

    def run_installed(program: str, *arguments: str) -> str:
        return run(environment / "bin" / program, *arguments, cwd=elsewhere)

    assert "A multiplayer server for node graphs" in run_installed("twistd", "--help")
    assert "--max-clients-per-flow=" in run_installed("twistd", "helix", "--help")
    origin = run_installed("python", "-c", "import helix; print(helix.__file__)").strip()
    home = source if kind == "editable" else environment
    assert Path(origin).is_relative_to(home)
    # Twisted's own plugins are still there.
    assert "conch" in run_installed("twistd", "--help")
