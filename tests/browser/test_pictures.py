"""The documentation's pictures of the editor, taken of the editor."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser.conftest import MakePerson, rest
from tests.browser.person import Person
from tests.support.daemon import Daemon

PICTURES = ("editor", "history", "home", "phone")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edi16_documentation_shows_the_editor_as_it_is(
    make_person: MakePerson, daemon: Daemon, theme: str, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("HELIX_PICTURES", tmp_path))
    flow_id = rest(daemon, "POST", "/flows", {"template": "ticket-triage"})["id"]
    rest(daemon, "PUT", f"/flows/{flow_id}/versions/1?by=Ada", {"name": "Before the launch"})
    bob = make_person()
    bob.open(flow_id)
    bob.drag("Spam folder", (0, 48))
    bob.sees_saved()
    bob.node("Past tickets").click()
    bob.page.mouse.move(640, 620)
    looks = {"color_scheme": theme, "reduced_motion": "reduce"}
    ada = make_person(**looks)
    phone = make_person(
        **looks, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    )

    def take(person: Person, name: str) -> None:
        person.page.screenshot(path=folder / f"{name}-{theme}.png")

    ada.open(flow_id)
    ada.node("How urgent?").click()
    ada.page.locator(".others-ring").wait_for()
    take(ada, "editor")
    ada.button("History").click()
    ada.page.locator(".timeline .mark").wait_for()
    ada.page.get_by_text("just now").wait_for()
    ada.button("Close properties").click()
    take(ada, "history")
    phone.open(flow_id)
    phone.page.locator(".others-ring").nth(1).wait_for()
    phone.resting_view()  # all of it is painted then
    take(phone, "phone")
    phone.page.goto("/")
    bob.page.goto("/")
    ada.page.goto("/")
    ada.page.locator(".card .mini-node").first.wait_for()
    take(ada, "home")
    pictures = [folder / f"{name}-{theme}.png" for name in PICTURES]
    assert all(picture.stat().st_size > 10_000 for picture in pictures)
