"""What somebody does in the editor, by mouse and keys, in a run of the fuzz."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Error, Page

from tests.browser.fuzz.plan import FAULTS, Repertoire, Step
from tests.browser.fuzz.stage import Tab

SOON = 1500.0
"""Milliseconds for which somebody looks for what they want to click."""

EDITS = {"label": 6, "field": 4, "title": 3}
"""The acts that type a token, and how often each is done beside the others."""

OTHERS = {
    "undo": 5,
    "redo": 2,
    "add": 2,
    "drag": 4,
    "arrow": 2,
    "duplicate": 1,
    "paste": 1,
    "group": 2,
    "ungroup": 1,
    "into": 1,
    "out": 1,
    "delete": 1,
    "whole": 1,
    "connect": 2,
    "restore": 1,
    "leave_it": 1,
}
"""The others that people do."""

KEYS = {
    "undo": "Control+z",
    "redo": "Control+Shift+z",
    "arrow": "ArrowRight",
    "duplicate": "Control+d",
    "group": "Control+g",
    "ungroup": "Control+Shift+g",
    "into": "Alt+g",
    "out": "Alt+Shift+g",
    "delete": "Delete",
    "whole": "Shift+Delete",
    "connect": "Control+e",
    "restore": "Alt+r",
    "leave_it": "Escape",
}

TWO = {"group", "connect", "duplicate", "into"}
"""Acts before which two nodes are selected, in place of one; none are before the rest of `NONE`."""

NONE = {"undo", "redo", "restore", "leave_it"}


def act(step: Step, tab: Tab) -> dict[str, Any] | None:
    """Do it; gives what `Model.did` takes, or nothing where it could not be done."""
    page = tab.page
    assert page is not None
    tab.ask("doing(given)", step.act)
    before = tab.ask("tokens()")
    try:
        _do(step, tab, page)
    except Error as error:
        if "Timeout" not in error.message:
            raise
    after = tab.ask("tokens()")
    tab.ask("doing(given)", "later")
    done = step.act not in EDITS or step.token in after
    return {"life": tab.ask("life()"), "done": done, "before": before, "after": after}


def _do(step: Step, tab: Tab, page: Page) -> None:
    does: dict[str, Callable[[], None]] = {
        "title": lambda: _title(step, page),
        "label": lambda: _label(step, tab, page),
        "field": lambda: _field(step, tab, page),
        "add": lambda: _add(step, page),
        "drag": lambda: _drag(step, tab, page),
        "paste": lambda: _paste(step, tab, page),
    }
    if step.act in does:
        does[step.act]()
        return
    page.evaluate("document.activeElement?.blur()")
    if step.act not in NONE:
        _select(step, tab, page, 2 if step.act in TWO else 1)
    page.keyboard.press(KEYS[step.act])


def _select(step: Step, tab: Tab, page: Page, count: int = 1) -> None:
    """Select nodes by keys, as far as there are so many."""
    ids = tab.ask("ids()")
    page.keyboard.press("Escape")
    for n, at in enumerate((step.at, step.to)[: min(count, len(ids))]):
        node = page.locator(f'.react-flow__node[data-id="{ids[at % len(ids)]}"]')
        node.focus(timeout=SOON)
        page.keyboard.press("Shift+Enter" if n else "Enter")


def _type(step: Step, page: Page) -> None:
    """Type behind what is there, and then end it in some way, or none."""
    page.keyboard.press("End")
    page.keyboard.type(f" {step.token}")
    if step.to % 4 == 0:
        page.keyboard.press("Enter")
    elif step.to % 4 == 1:
        page.evaluate("document.activeElement?.blur()")


def _title(step: Step, page: Page) -> None:
    page.get_by_label("Title of the flow").click(timeout=SOON)
    _type(step, page)


def _label(step: Step, tab: Tab, page: Page) -> None:
    _select(step, tab, page)
    page.keyboard.press("F2")
    page.locator(".label-editor").focus(timeout=SOON)
    _type(step, page)


def _field(step: Step, tab: Tab, page: Page) -> None:
    _select(step, tab, page)
    page.get_by_label("Description", exact=True).first.click(timeout=SOON)
    page.keyboard.press("Control+End")
    _type(step, page)


def _add(step: Step, page: Page) -> None:
    kind = ("Agent", "Memory", "Skill")[step.at % 3]
    page.locator(".palette").get_by_role("button", name=kind, exact=True).click(timeout=SOON)


def _drag(step: Step, tab: Tab, page: Page) -> None:
    ids = tab.ask("ids()")
    if not ids:
        return
    node = page.locator(f'.react-flow__node[data-id="{ids[step.at % len(ids)]}"]')
    box = node.bounding_box(timeout=SOON)
    if box is None:
        return
    x, y = box["x"] + 12, box["y"] + 12
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + step.to % 240 - 120, y + step.at % 160 - 80, steps=6)
    if step.to % 5 == 0:
        page.keyboard.press("Escape")
    page.mouse.up()


def _paste(step: Step, tab: Tab, page: Page) -> None:
    _select(step, tab, page, 2)
    page.keyboard.press("Control+c")
    page.keyboard.press("Control+v")


FAULTS_IN_THE_EDITOR = {name: FAULTS[name] for name in FAULTS if name not in ("stop", "restart")}

IN_THE_EDITOR = Repertoire(45, EDITS, OTHERS, FAULTS_IN_THE_EDITOR, frozenset(EDITS), 0.0)
"""What is done in pages of the editor."""
