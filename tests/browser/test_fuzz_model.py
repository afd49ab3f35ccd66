"""What the model of the fuzz of pages takes for a fault, and what not."""

from __future__ import annotations

import json
from typing import Any

from helix.documents.document import FlowDocument, empty_document
from helix.documents.ids import public_id
from tests.browser.fuzz.model import Log
from tests.support.flowdata import by_id, node

GROUP = node("g", type="group", position={"x": 0, "y": 109})


def log_of(*made: tuple[str, str, dict[str, Any]]) -> Log:
    """
    The log of what pages did, each in the knowledge of all before it.

    :param made: the page, its act, and the patch.
    """
    document = FlowDocument(empty_document())
    entries: list[dict[str, Any]] = []
    noted: dict[str, str] = {}
    for version, (page, how, patch) in enumerate(made, 1):
        effective = document.stage(patch)
        document.apply(effective)
        entries.append(
            {"version": version, "client_id": public_id(page), "op_id": version, "patch": effective}
        )
        kept = {"life": page, "how": how, "version": version - 1, "patch": patch}
        told = {**kept, "clientId": page, "opId": version, "isDecided": True}
        noted[f"fuzz:op:{version}"] = json.dumps(told)
    return Log(entries, [noted])


def moved(x: int, parent: str | None) -> dict[str, Any]:
    return {"nodes": {"n": {"parentId": parent, "position": {"x": x, "y": 0}}}}


def test_jsc10_undo_of_what_somebody_else_has_moved_is_a_fault() -> None:
    log = log_of(
        ("ada", "add", {"nodes": by_id(node("n"))}),
        ("ada", "move", moved(5, None)),
        ("ben", "move", moved(9, None)),
        ("ada", "undo", moved(0, None)),
    )
    assert [path for _, _, path, _ in log.overwritten()] == [("nodes", "n", "position", "x")]


def test_jsc10_grp4_who_lay_in_a_group_that_is_undone_comes_to_lie_elsewhere() -> None:
    """Whoever put it there: it can't lie in what is no more."""
    log = log_of(
        ("ada", "add", {"nodes": by_id(node("n"))}),
        ("ada", "group", {"nodes": {"g": GROUP}}),
        ("ben", "into", moved(9, "g")),
        ("ada", "undo", {"nodes": {"g": None}}),
    )
    assert log.document["nodes"]["n"]["position"] == {"x": 9, "y": 109}
    assert list(log.overwritten()) == []
