"""
Texts that the server and the client library for browsers have to merge alike.

``textcases.json`` holds them, with what the server makes of each; both test suites read it. After a
change of the rules, or of this file: ``python -m tests.support.textcases``.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from helix.documents.text_merge import merge_texts

FILE = Path(__file__).with_name("textcases.json")

COUNT = 400

WORDS = ("alpha", "beta", " ", "  ", "\n", "日本", "語", "😀", "😁", "don't", "a", "b", ".", "end")


def text(chance: random.Random, most: int) -> str:
    """A text of some words."""
    return "".join(
        chance.choice(WORDS) + chance.choice(("", " ")) for _ in range(chance.randint(0, most))
    )


def edited(chance: random.Random, given: str) -> str:
    """What somebody makes of a text, at some places."""
    for _ in range(chance.randint(0, 4)):
        start = chance.randint(0, len(given))
        end = start + chance.choice((0, 0, 0, 1, 3, 8))
        given = given[:start] + (text(chance, 3) if chance.random() < 0.8 else "") + given[end:]
    return given


def cases() -> list[dict[str, str]]:
    """All cases, with what the server makes of them."""
    chance = random.Random(12)
    made = []
    for _ in range(COUNT):
        base = text(chance, 10)
        theirs, mine = edited(chance, base), edited(chance, base)
        merged = merge_texts(base, theirs, mine)
        made.append({"base": base, "theirs": theirs, "mine": mine, "text": merged})
    return made


if __name__ == "__main__":
    FILE.write_text(json.dumps(cases(), indent=0) + "\n")
