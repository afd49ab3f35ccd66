"""The pages outside of docs/, whose links Sphinx doesn't check: they lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(ROOT.glob("*.md"))

_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(<?([^)>\s#]+)[^)]*\)|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_resolve(page: Path) -> None:
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    targets = ["".join(groups) for groups in _LINK.findall(text)]
    files = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [name for name in files if not (page.parent / name).exists()] == []
