"""Escapes text from others, so that it is safe on a terminal or in a log line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

_Escape = Callable[[str], str]

_PLAIN = re.compile(r"[0-9A-Za-z_.:@/+-]+")


def shown(text: str) -> str:
    """Escape what would move the cursor, end the line, or turn the text around."""
    return _escaped(text, lambda c: c.encode("unicode_escape").decode())


def shown_json(text: str) -> str:
    """Escape the same in the strings of JSON, whose meaning stays the same."""
    return _escaped(text, lambda c: c if c == "\n" else json.dumps(c)[1:-1])


def shown_lines(text: str) -> str:
    """Escape the same, except line ends and tabs."""

    def escape(c: str) -> str:
        return c if c == "\t" else c.encode("unicode_escape").decode()

    # Line by line, since most lines have nothing to escape.
    return "\n".join(_escaped(line, escape) for line in text.split("\n"))


def field(value: object) -> str:
    """
    Write a value so that its end is clear: in quotes, as JSON, if it holds more than letters,
    digits and the characters of addresses.
    """
    text = str(value)
    return text if _PLAIN.fullmatch(text) else shown_json(json.dumps(text, ensure_ascii=False))


def without_credentials(address: str) -> str:
    """Remove user name and password from an address, even if it is mistyped."""
    return re.sub(r".*@", "...@", address, flags=re.DOTALL)


def _escaped(text: str, escape: _Escape) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else escape(c) for c in text)
