"""The picture of the packages is that of the code, and what is counted is there."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from helix.telemetry.events import EVENTS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))  # a script, in no package

structure = importlib.import_module("structure")


def test_picture_is_that_of_the_code() -> None:
    drawn = structure.PICTURE.read_text(encoding="utf-8")
    assert drawn == structure.picture(), "python docs/structure.py draws it anew"


def test_no_modules_import_each_other() -> None:
    assert structure.figures().circles == []


def test_every_package_has_a_face_and_nothing_else_in_it() -> None:
    for name, path in structure.modules_of(ROOT).items():
        if path.stem == "__init__" and name not in ("helix", "helix.client"):
            text = path.read_text(encoding="utf-8")
            assert re.fullmatch(r'""".*"""\n', text, re.DOTALL), f"{path} has more than a docstring"
            assert 3 <= len(text.splitlines()) <= 16, path


def test_architecture_names_files_that_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+/(?:[a-z_]+/)*[a-z_]*\.py)`", text))
    assert len(named) > 20
    missing = {
        name for name in named if not any((ROOT / at / name).exists() for at in ("", "helix"))
    }
    assert not missing


def test_architecture_lists_the_events_of_telemetry() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed: list[str] = []
    for cell in re.findall(r"^\| (`helix\..*?) \|", text, re.MULTILINE):
        first, *others = re.findall(r"`([a-z_.]+)`", cell)
        start = first.rpartition(".")[0]
        listed += [first, *(f"{start}{other}" for other in others if other.startswith("."))]
    assert sorted(listed) == sorted(EVENTS)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in {
        "__init__": "",
        "top": "from helix.upper import one\nimport helix.lower.b",
        "upper/__init__": "",
        "upper/one": "from helix.lower.a import thing\nfrom helix.lower import b",
        "lower/__init__": "",
        "lower/a": "def later():\n    from helix.lower import b",
        "lower/b": "import json",
    }.items():
        path = tmp_path / "helix" / f"{name}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_figures_count_what_is_there(checkout: Path) -> None:
    assert structure.figures(checkout) == structure.Figures(
        modules=4, largest=("helix/lower", 2), floors=3, arrows=3, imports=5, circles=[]
    )


def test_circles_are_found(checkout: Path) -> None:
    (checkout / "helix" / "lower" / "b.py").write_text("import helix.top", encoding="utf-8")
    circle = {"helix.top", "helix.upper.one", "helix.lower.a", "helix.lower.b"}
    assert structure.figures(checkout).circles == [circle]


def test_only_arrows_are_drawn_that_no_longer_way_stands_for() -> None:
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert structure.direct(graph) == {"a": {"b"}, "b": {"c"}, "c": set()}
    assert structure.floors_of(graph) == {"a": 3, "b": 2, "c": 1}
