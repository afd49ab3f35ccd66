"""The documentation's pictures of the editor, taken of the editor."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser.conftest import MakePerson, rest
from tests.daemon import Daemon


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edi16_documentation_shows_the_editor_as_it_is(
    make_person: MakePerson, daemon: Daemon, theme: str, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("HELIX_PICTURES", tmp_path))
    flow_id = rest(daemon, "POST", "/flows", {"template": "ticket-triage"})["id"]
    bob = make_person()
    bob.open(flow_id)
    bob.node("Past tickets").click()
    bob.page.mouse.move(640, 620)
    ada = make_person(color_scheme=theme, reduced_motion="reduce")
    ada.open(flow_id)
    ada.node("How urgent?").click()
    ada.page.locator(".others-ring").wait_for()
    ada.page.screenshot(path=folder / f"editor-{theme}.png")
    bob.page.goto("/")
    ada.page.goto("/")
    ada.page.locator(".card .mini-node").first.wait_for()
    ada.page.screenshot(path=folder / f"home-{theme}.png")
    pictures = [folder / f"{name}-{theme}.png" for name in ("editor", "home")]
    assert all(picture.stat().st_size > 20_000 for picture in pictures)
