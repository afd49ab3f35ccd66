"""What docs/access.md says of tokens is so. (ACC7)"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from helix.identity.keys import FixedKeys, read_secret
from helix.identity.tokens import TokenVerifier

PAGE = (Path(__file__).parents[2] / "docs" / "access.md").read_text("utf-8")


class _Flask(SimpleNamespace):
    """As much of Flask as the page uses."""

    def __init__(self, name: str) -> None:
        super().__init__()

    def get(self, path: str) -> Any:
        return lambda function: function


def test_acc7_backend_of_the_page_makes_tokens_that_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    assert len([line for line in found[1].splitlines() if line.strip()]) <= 20
    monkeypatch.chdir(tmp_path)
    for name in ("helix-secret", "session-secret"):
        (tmp_path / name).write_bytes(b"0123456789abcdef" * 4 + b"\n")
    flask = ModuleType("flask")
    vars(flask).update(
        Flask=_Flask, abort=None, session={"user": {"id": "u1", "name": "Ada", "team": "t7"}}
    )
    monkeypatch.setitem(sys.modules, "flask", flask)
    backend: dict[str, Any] = {"__name__": "backend"}
    exec(found[1], backend)

    keys = FixedKeys(read_secret((tmp_path / "helix-secret").read_bytes()))
    verifier = TokenVerifier([keys], time.time, ["helix"])
    came: list[Any] = []
    Deferred.fromCoroutine(verifier.verify(backend["helix_token"]())).addBoth(came.append)
    (principal,) = came
    assert (principal.id, principal.name) == ("u1", "Ada")
    assert principal.may_create("t7/plan")
    assert not principal.may_create("t8/plan")
