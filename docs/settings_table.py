"""Writes the table of docs/configuration.md from `helix.config.SETTINGS`."""

from __future__ import annotations

import re
from pathlib import Path

from helix.config import SETTINGS, Setting

PAGE = Path(__file__).with_name("configuration.md")

_BEGIN = "<!-- begin: written by docs/settings_table.py -->"
_END = "<!-- end -->"
_NEVER_A_VALUE = "?"


def accepted(setting: Setting) -> str:
    """What a value of ``setting`` may be, in the words with which it refuses others."""
    try:
        setting.parse(_NEVER_A_VALUE)
    except ValueError as error:
        return str(error).replace(" is wanted", "")
    raise AssertionError(f"{setting.name} takes any value")


def table() -> str:
    """The settings as a table in Markdown."""
    lines = ["| Option, variable | Value | Default | |", "| --- | --- | --- | --- |"]
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default else "none"
        lines.append(
            f"| `--{setting.name}`<br>`{setting.variable}` "
            f"| {accepted(setting)} | {default} | {setting.help} |"
        )
    return "\n".join(lines)


def page_with_table(page: str) -> str:
    """``page`` with the table of now between its marks."""
    begin, end = map(re.escape, (_BEGIN, _END))
    written, count = re.subn(
        f"(?<={begin}\n).*(?={end})", lambda _: f"\n{table()}\n\n", page, flags=re.DOTALL
    )
    if count != 1:
        raise ValueError("the page has no place for the table")
    return written


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
