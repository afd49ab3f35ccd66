"""The distributions are complete, and each kind of install finds ``twistd helix``. (OPS1)"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from email import message_from_bytes
from pathlib import Path
from typing import NamedTuple

import pytest
import readme_renderer.markdown

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 300.0

pytestmark = [pytest.mark.package, pytest.mark.timeout(2 * TIMEOUT)]

SHIPPED_FOLDERS = (
    ".ci",
    "bench",
    "build_backend",
    "docs",
    "frontend",
    "helix",
    "newsfragments",
    "tests",
    "twisted",
)
NEVER_SHIPPED = {"__pycache__", "_build", "node_modules", "dropin.cache"}
BUILT_FOLDERS = ("frontend/client/dist/", "helix/editor/")


class Distributions(NamedTuple):
    """What a build makes; the wheel is built from the sdist, not from the checkout."""

    sdist: Path
    wheel: Path


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it prints; one that fails shows it."""
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=env,
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
            ignored = shutil.ignore_patterns(*NEVER_SHIPPED)
            shutil.copytree(path, tree / path.name, ignore=ignored)
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


def shipped_files(*folders: str) -> set[str]:
    """List what of these folders is sources."""
    return {
        name
        for folder in folders
        for directory, _, names in os.walk(ROOT / folder)
        if not NEVER_SHIPPED.intersection(Path(directory).parts)
        and not any(part.endswith("_cache") for part in Path(directory).parts)
        for name in (Path(directory, name).relative_to(ROOT).as_posix() for name in names)
        if not name.endswith((".pyc", ".pyo", "dropin.cache"))
        and not name.startswith(BUILT_FOLDERS)
    }


def test_ops1_sdist_is_complete(source: Path) -> None:
    files = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert shipped_files(*SHIPPED_FOLDERS) - files == set()
    assert {"LICENSE", "README.md", "pyproject.toml", "setup.py", "tox.ini", ".ci/run"} <= files
    assert not [name for name in files if NEVER_SHIPPED.intersection(Path(name).parts)]
    assert not [name for name in files if name.startswith(BUILT_FOLDERS)]


def test_ops1_wheel_holds_the_package_and_the_plugin_alone(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("/licenses/LICENSE")]
    editor = {name for name in files if name.startswith("helix/editor/")}
    # Beside the plugin, an __init__.py would hide Twisted's own plugins.
    assert files - editor == shipped_files("helix") | {"twisted/plugins/helix_plugin.py"}
    assert licences


def test_fro1_wheel_holds_the_editor(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as archive:
        page = archive.read("helix/editor/index.html").decode()
        names = set(archive.namelist())
    scripts = re.findall(r'src="\./(assets/[^"]+-[\w-]{8}\.js)"', page)
    assert scripts
    assert {f"helix/editor/{script}" for script in scripts} <= names


def test_ops19_distributions_are_what_an_index_takes(distributions: Distributions) -> None:
    checked = run(sys.executable, "-m", "twine", "check", "--strict", *distributions, cwd=ROOT)
    assert checked.count("PASSED") == 2


def test_ops19_long_description_shows_what_it_names(distributions: Distributions) -> None:
    with zipfile.ZipFile(distributions.wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = message_from_bytes(archive.read(name))
    assert metadata["Description-Content-Type"] == "text/markdown"
    shown = readme_renderer.markdown.render(str(metadata.get_payload()))
    assert shown is not None
    assert "<h2" in shown
    assert "helix serve" in shown
    assert "<img" not in shown
    links = re.findall(r'href="([^"]*)"', shown)
    assert links
    assert [link for link in links if not link.startswith(("http://", "https://", "#"))] == []


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment for all kinds: what Helix needs is installed with the first, and stays."""
    directory = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", directory, cwd=directory)
    return directory


@pytest.mark.parametrize("kind", ["tree", "wheel", "editable"])
def test_ops1_twistd_helix_is_found(
    distributions: Distributions, source: Path, environment: Path, tmp_path: Path, kind: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    what = {"tree": [source], "wheel": [distributions.wheel], "editable": ["--editable", source]}
    run(environment / "bin" / "pip", "uninstall", "--yes", "helix", cwd=elsewhere)  # another kind
    # That the editor is built from the sdist's sources has been seen already.
    without_editor = {**os.environ, "HELIX_SKIP_FRONTEND": "1"}
    run(environment / "bin" / "pip", "install", *what[kind], cwd=elsewhere, env=without_editor)

    def run_installed(program: str, *arguments: str) -> str:
        return run(environment / "bin" / program, *arguments, cwd=elsewhere)

    assert "A multiplayer server for node graphs" in run_installed("twistd", "--help")
    assert "--max-clients-per-flow=" in run_installed("twistd", "helix", "--help")
    origin = run_installed("python", "-c", "import helix; print(helix.__file__)").strip()
    home = source if kind == "editable" else environment
    assert Path(origin).is_relative_to(home)
    # Twisted's own plugins are still there.
    assert "conch" in run_installed("twistd", "--help")
