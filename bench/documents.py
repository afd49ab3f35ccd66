"""
Measure what an edit of a large document costs without a server: ``python bench/documents.py``.

Prints microseconds for one patch, from the decoded patch to the changed document.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from helix.documents.document import FlowDocument, JsonObject
from tests.support.flowdata import chain, edge, node

NODES = 1000
ROUNDS = 9
PATCHES = 2000


def move(n: int) -> JsonObject:
    return {"nodes": {f"n{n % NODES}": {"position": {"x": n, "y": n + 0.5}}}}


def relabel(n: int) -> JsonObject:
    return {"nodes": {f"n{n % NODES}": {"data": {"label": f"Step {n}"}}}}


def connect(n: int) -> JsonObject:
    name = f"new-{n}"
    return {"nodes": {name: node(name)}, "edges": {name: edge(name, f"n{n % NODES}", name)}}


def stage_and_apply(document: FlowDocument, patches: Sequence[JsonObject]) -> float:
    """Give the seconds that one patch takes."""
    started = time.perf_counter()
    for patch in patches:
        document.apply(document.stage(patch))
    return (time.perf_counter() - started) / len(patches)


def measure(make: Callable[[int], JsonObject]) -> list[float]:
    """Give the microseconds of each round, the fastest first."""
    numbers = list(range(PATCHES))
    Random(1).shuffle(numbers)
    rounds = [stage_and_apply(chain(NODES), [make(n) for n in numbers]) for _ in range(ROUNDS)]
    return sorted(seconds * 1e6 for seconds in rounds)


EDITS = {"move": move, "relabel": relabel, "add and connect": connect}


def main() -> None:
    print(f"stage and apply, {NODES} nodes; us: fastest, median, slowest of {ROUNDS} rounds")
    for name, make in EDITS.items():
        rounds = measure(make)
        print(f"{name:16}{rounds[0]:8.1f}{rounds[ROUNDS // 2]:8.1f}{rounds[-1]:8.1f}")


if __name__ == "__main__":
    main()
