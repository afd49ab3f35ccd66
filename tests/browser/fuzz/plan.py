"""What is done in a run of the fuzz: drawn from its seed alone, whatever comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from string import ascii_letters

import attrs

PAGES = (0, 0, 1)
"""The browser that each page is in: two share one."""

EDITS = {
    "field": 6,
    "choose": 4,
    "object": 2,
    "move": 4,
    "moveAll": 1,
    "add": 4,
    "group": 2,
    "into": 2,
    "out": 1,
    "remove": 2,
    "ungroup": 1,
    "removeWhole": 1,
    "connect": 2,
    "reconnect": 1,
    "disconnect": 1,
    "paste": 1,
    "title": 2,
    "describe": 1,
    "typeTitle": 4,
    "typeLabel": 6,
    "many": 0.3,
    "large": 0.3,
}
"""The acts that edit, and how often each is done beside the others."""

UNWITNESSED = frozenset(
    ["field", "choose", "object", "move", "add", "group", "into", "out", "typeLabel", "large"],
)
"""Those whose token may lie in the node that they are about alone, and be dropped with it."""

OTHERS = {"undo": 6, "redo": 3, "flush": 1, "restore": 1, "dismiss": 0.3, "point": 1, "retry": 1}
"""What else is done in pages."""

FAULTS = {
    "cut": 2,
    "down": 3,
    "stall": 1,
    "drain": 1,
    "kill": 1,
    "reload": 3,
    "close": 2,
    "leave": 1,
    "freeze": 2,
    "cache": 1,
    "hide": 2,
    "stop": 1,
    "restart": 1,
    "look": 4,
}
"""What befalls pages, browsers and the server; and looks whether what a page says is true."""

ENDS = {
    "down": "up",
    "stall": "flow",
    "drain": "boot",
    "kill": "boot",
    "close": "open",
    "freeze": "wake",
    "cache": "wake",
    "hide": "show",
    "stop": "start",
}
"""What ends a fault that lasts; it is in the plan some steps later."""

LONGEST = 12
"""How many that may be."""

WAITS = (0, 0, 0, 5, 20, 60, 150)
"""Milliseconds, one of which is let pass after a step."""


@attrs.frozen
class Step:
    """
    Something that is done.

    :ivar number: its place in the run; what is edited carries it as its token.
    :ivar page: in which page, or in whose browser.
    :ivar kind: ``edit``, ``other`` or ``fault``.
    :ivar at: of what, as far as there is a choice; ``to`` likewise.
    :ivar is_witnessed: whether its token is found in the log though what it is about is gone.
    :ivar wait: milliseconds that are let pass afterwards.
    """

    number: int
    page: int
    kind: str
    act: str
    at: int
    to: int
    is_witnessed: bool
    wait: int

    @property
    def token(self) -> str:
        """Few begin alike: what two people put in at one place alike is there once."""
        return f"{ascii_letters[self.number % len(ascii_letters)]}{self.number:03}"

    @property
    def asked(self) -> dict[str, object]:
        """What the page is told."""
        told = {"act": self.act, "token": self.token, "at": self.at, "to": self.to}
        return {**told, "isWitnessed": self.is_witnessed}


@attrs.frozen
class Repertoire:
    """
    What may be done in a run: the acts of each kind, and how often each is beside the others.

    :ivar unwitnessed: those whose token may lie in what they are about alone.
    :ivar witnessed: the share of them whose token doesn't.
    """

    steps: int
    edits: dict[str, float]
    others: dict[str, float]
    faults: dict[str, float]
    unwitnessed: frozenset[str]
    witnessed: float

    def make_plan(self, seed: int) -> list[Step]:
        """
        Draw what is done.

        Of each kind of thing some runs do none, so that others come up the more.
        """
        random = Random(seed)
        kinds = {
            "edit": _some(random, self.edits),
            "other": _some(random, self.others),
            "fault": _some(random, self.faults),
        }
        shares = [random.choice([2, 6, 12]), 2, random.choice([1, 3])]
        return list(self._draw(random, kinds, shares))

    def _draw(
        self, random: Random, kinds: dict[str, dict[str, float]], shares: list[int]
    ) -> Iterator[Step]:
        due: dict[int, tuple[str, str, int]] = {}
        for number in range(self.steps):
            kind = random.choices([*kinds], shares)[0]
            act = random.choices([*kinds[kind]], [*kinds[kind].values()])[0]
            page = random.randrange(len(PAGES))
            kind, act, page = due.get(number, (kind, act, page))
            if act in ENDS:
                due[number + random.randint(1, LONGEST)] = ("fault", ENDS[act], page)
            yield Step(
                number,
                page,
                kind,
                act,
                # Often the same, so that people are in each other's way.
                random.randrange(random.choice([3, 1000])),
                random.randrange(random.choice([3, 1000])),
                act not in self.unwitnessed or random.random() < self.witnessed,
                random.choice(WAITS),
            )


def _some(random: Random, kinds: dict[str, float]) -> dict[str, float]:
    chosen = {kind: weight for kind, weight in kinds.items() if random.random() < 0.7}
    return chosen or kinds


BARE = Repertoire(90, EDITS, OTHERS, FAULTS, UNWITNESSED, 0.5)
"""What is done in pages with nothing but the client library."""
