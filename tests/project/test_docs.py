"""
The pages outside of docs/, whose links Sphinx doesn't check, lead somewhere; and what is promised
is shown.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(ROOT.glob("*.md"))

SPEC = (ROOT / "docs" / "spec.md").read_text(encoding="utf-8")
GUARANTEES = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")

_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(<?([^)>\s#]+)[^)]*\)|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_resolve(page: Path) -> None:
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    targets = ["".join(groups) for groups in _LINK.findall(text)]
    files = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [name for name in files if not (page.parent / name).exists()] == []


def test_guarantees_name_rules_and_tests_that_exist() -> None:
    """Each promise under a fault names both."""
    rules = set(re.findall(r"^- \*\*([A-Z]{3}\d+)\*\*", SPEC, re.MULTILINE))
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    tests = {name for text in sources for name in re.findall(r"def (test_\w+)\(", text)}
    named = set(re.findall(r"\b[A-Z]{3}\d+\b", GUARANTEES))
    assert named - rules == set()
    shown = set(re.findall(r"`(test_\w+)`", GUARANTEES))
    assert shown - tests == set()
    said = set(re.findall(r"`(jsc\d+ [^`]+)`", GUARANTEES))
    assert said - names_in_the_client() == set()
    assert "tests/seeds.md" in GUARANTEES
    assert (ROOT / "tests" / "seeds.md").exists()
    tables = GUARANTEES.split(
        "| What happens | What is promised | Shown by |\n| --- | --- | --- |\n"
    )
    assert len(tables) == 3
    for table in tables[1:]:
        rows = table.partition("\n\n")[0].splitlines()
        assert len(rows) > 10
        for row in rows:
            _, _, promised, by, _ = re.split(r"(?<!\\)\|", row)
            assert re.search(r"\([A-Z]{3}\d+", promised), row
            assert re.search(r"`(test_|jsc)", by), row


def names_in_the_client() -> set[str]:
    """What the client library's own tests are called."""
    paths = (ROOT / "frontend" / "client" / "test").rglob("*.test.ts*")
    sources = [path.read_text(encoding="utf-8") for path in paths]
    return {name for text in sources for name in re.findall(r'\btest\(\s*"(jsc[^"]+)"', text)}
