"""
Cases of groups that the server and the client library for browsers have to agree on.

``nestingcases.json`` holds them, with what the server makes of each; both test suites read it.
After a change of the rules, or of this file: ``python -m tests.support.nestingcases``.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from helix.documents.document import FlowDocument, JsonObject, empty_document
from tests.support.flowdata import by_id, node

FILE = Path(__file__).with_name("nestingcases.json")

SEEDS = 200


def at(node_id: str, x: float, y: float, **fields: Any) -> JsonObject:
    return node(node_id, position={"x": x, "y": y}, **fields)


GROUPS = by_id(
    at("a", 100, 100),
    at("b", 10, 20, parentId="a", extent="parent"),
    at("c", 1, 2, parentId="b"),
    at("d", 1000, 0),
    at("e", 5, 5),
)
"""The node c in b, which lies in a; d and e alone."""

STRAYS = by_id(
    at("a", 100, 100, parentId="b"),
    at("b", 10, 20, parentId="a"),
    at("c", 1, 2, parentId="b", extent="parent"),
    at("d", 1000, 0, parentId="gone"),
    at("e", 5, 5, parentId="e"),
)
"""Such as no patch leads to any more: a and b in each other, d in nothing, e in itself."""

HAND_MADE: list[tuple[str, JsonObject, JsonObject]] = [
    ("into a group", GROUPS, {"d": {"parentId": "a", "position": {"x": 3, "y": 4}}}),
    ("out of it", GROUPS, {"b": {"parentId": None, "position": {"x": 1}}}),
    ("a move that says the parent again", GROUPS, {"b": {"parentId": "a", "position": {"x": 1}}}),
    ("nobody is its own parent", GROUPS, {"d": {"parentId": "d", "position": {"x": 1}}}),
    ("nor its descendant's child", GROUPS, {"a": {"parentId": "c", "position": {"x": 7, "y": 7}}}),
    (
        "nobody has that id",
        GROUPS,
        {"b": {"parentId": "x", "position": {"x": 1}, "data": {"k": 1}}},
    ),
    ("a new node in a missing one", GROUPS, {"n": at("n", 1, 2, parentId="x", extent="parent")}),
    ("a new group and its child", GROUPS, {"n": at("n", 1, 2), "e": {"parentId": "n"}}),
    ("two new ones in each other", GROUPS, {n: at(n, 1, 2, parentId=p) for n, p in ("mn", "nm")}),
    ("a ring of two that are there", GROUPS, {"d": {"parentId": "e"}, "e": {"parentId": "d"}}),
    (
        "a ring, and one beside it",
        GROUPS,
        {"d": {"parentId": "e"}, "e": {"parentId": "d"}, "c": {"parentId": "a"}},
    ),
    (
        "a ring whose end makes another",
        GROUPS,
        {"c": {"parentId": "d"}, "d": {"parentId": "c"}, "a": {"parentId": "c"}},
    ),
    (
        "group and child change places",
        GROUPS,
        {"a": {"parentId": "b"}, "b": {"parentId": None}},
    ),
    ("a group goes", GROUPS, {"a": None}),
    ("an inner group goes", GROUPS, {"b": None}),
    ("both go", GROUPS, {"a": None, "b": None}),
    ("all go", GROUPS, {"a": None, "b": None, "c": None}),
    ("a group goes while its child moves", GROUPS, {"a": None, "b": {"position": {"x": 15}}}),
    ("its child goes elsewhere", GROUPS, {"a": None, "b": {"parentId": "d", "extent": None}}),
    ("one is put into it", GROUPS, {"a": None, "d": {"parentId": "a", "position": {"x": 1}}}),
    ("a new node is put into it", GROUPS, {"a": None, "n": at("n", 1, 2, parentId="a")}),
    (
        "both go, one is put into the inner",
        GROUPS,
        {"a": None, "b": None, "e": {"parentId": "b"}},
    ),
    ("a stray is moved", STRAYS, {"d": {"position": {"x": 1}}}),
    ("one of a ring is moved", STRAYS, {"a": {"position": {"x": 1}}}),
    ("one of a ring goes", STRAYS, {"b": None}),
    ("one of a ring is put elsewhere", STRAYS, {"a": {"parentId": "d"}}),
    ("a stray is told its parent again", STRAYS, {"d": {"parentId": "gone"}}),
    ("the missing parent comes", STRAYS, {"gone": at("gone", 1, 1)}),
    ("it comes, and is asked for", STRAYS, {"gone": at("gone", 1, 1), "d": {"parentId": "gone"}}),
    ("the child of a stray is moved", STRAYS, {"c": {"position": {"x": 9}}}),
    (
        "one is put into its child",
        STRAYS,
        {"b": {"parentId": "c", "position": {"x": 0, "y": 0}}},
    ),
    ("nothing is touched", STRAYS, {}),
]


def drawn(seed: int) -> tuple[str, JsonObject, JsonObject]:
    """Make a document that may hold strays, and a patch of its nodes."""
    rng = random.Random(seed)
    ids = ["10", "9", "a", "b", "\N{SNOWMAN}", "\N{GRINNING FACE}"]

    def number() -> float:
        return rng.choice([rng.randint(-99, 99), rng.randint(-999, 999) / 10, rng.random() * 1e6])

    def fields() -> JsonObject:
        some: JsonObject = {}
        if rng.random() < 0.6:
            some["parentId"] = rng.choice([*ids, "nobody"])
        if rng.random() < 0.3:
            some["extent"] = rng.choice(["parent", [[0, 0], [9, 9]]])
        return some

    nodes = by_id(*(at(one, number(), number(), **fields()) for one in ids if rng.random() < 0.7))
    patch: JsonObject = {}
    for one in rng.sample(ids, rng.randint(1, 4)):
        kind = rng.random()
        if kind < 0.25:
            patch[one] = None
        elif kind < 0.5:
            patch[one] = at(one, number(), number(), **fields())
        else:
            patch[one] = fields() | {"data": {"k": rng.randint(0, 2)}}
            if rng.random() < 0.5:
                patch[one]["position"] = {axis: number() for axis in "xy" if rng.random() < 0.8}
            if rng.random() < 0.2:
                patch[one] |= {"parentId": None, "extent": None}
    return f"seed {seed}", nodes, patch


def made() -> list[JsonObject]:
    """Make all cases."""
    cases = []
    for name, nodes, patch in [*HAND_MADE, *map(drawn, range(SEEDS))]:
        dropped: list[str] = []
        document = FlowDocument(json.loads(json.dumps(empty_document() | {"nodes": nodes})))
        effective = document.stage({"nodes": patch}, dropped=dropped)
        cases.append(
            {
                "name": name,
                "nodes": nodes,
                "patch": patch,
                "effective": effective.get("nodes", {}),
                "dropped": dropped,
            }
        )
    return cases


if __name__ == "__main__":
    FILE.write_text("[\n" + ",\n".join(json.dumps(case) for case in made()) + "\n]\n")
