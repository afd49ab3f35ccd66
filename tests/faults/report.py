"""
What was measured, as a table for docs/faults.md.

    python -m tests.faults.report FILE ...

The files are those that ``HELIX_FAULTS_REPORT`` named. A cell says the median and the worst, in
seconds; both are over faults, each of which counts as what was worst for anybody.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

Line = dict[str, Any]

TWO = "two at once"

COLUMNS: dict[str, Callable[[Line], float | None]] = {
    "an edit waits": lambda line: max(line["silence"].values(), default=None),
    "where it can go elsewhere": lambda line: line["silence"].get("roaming"),
    "edits go on": lambda line: max(line["back"].values(), default=None),
    "all have all": lambda line: max(0.0, *line["caught_up"].values()),
    "nodes don't hear each other": lambda line: line["away"],
    "they do again": lambda line: line["heard"],
    "presence is right": lambda line: line["present"],
}


def group(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Put lines of one fault together, whichever node it befell."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        name = re.sub(r" \(node \d\)", "", line["name"])
        found.setdefault(TWO if " and " in name else name, []).append(line)
    return dict(sorted(found.items(), key=lambda one: (one[0] == TWO, one[0])))


def cell(values: Sequence[float]) -> str:
    """The median and the worst."""
    return f"{median(values):.1f}, {max(values):.1f}" if values else ""


def table(lines: Sequence[Line]) -> list[str]:
    """The table's lines."""
    columns = COLUMNS.values()
    rows = [["", "times", "lasted", "edits meanwhile", *COLUMNS], ["---"] * (4 + len(COLUMNS))]
    for name, some in group(lines).items():
        row = [name, str(len(some)), cell([one["lasted"] for one in some])]
        row.append(str(sum(one["meanwhile"] for one in some)))
        measured = (
            [value for value in map(column, some) if value is not None] for column in columns
        )
        rows.append([*row, *map(cell, measured)])
    return [f"| {' | '.join(row)} |" for row in rows]


if __name__ == "__main__":
    texts = "".join(Path(name).read_text() for name in sys.argv[1:])
    print("\n".join(table([json.loads(text) for text in texts.splitlines()])))
