"""Sessions that end, or meet what no document can hold."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cases.pages import Pages
from tests.support.daemon import Daemon
from tests.support.flowdata import node
from tests.support.rawsocket import RawWebSocket
from tests.support.watched import eventually, rest

pytestmark = pytest.mark.case


def test_jsc6_ending_a_session_is_not_deleting_the_flow(daemon: Daemon, pages: Pages) -> None:
    page = pages.open(f"http://{daemon.address}", "demo")
    page.saved()
    page.patch({"title": "kept"})
    page.saved()
    rest(daemon, "DELETE", "/sessions/demo")
    page.patch({"description": "edited since"})
    page.saved()
    document = rest(daemon, "GET", "/flows/demo")["document"]
    assert (document["title"], document["description"]) == ("kept", "edited since")


def change(member: RawWebSocket, join_ref: str, *nodes: dict[str, Any]) -> dict[str, Any]:
    """Send all nodes, as an old client does at each change; gives the answer's response."""
    changes = {"changes": {"nodes": [*nodes], "edges": []}}
    payload = member.ask("flow:demo", "flow_change", changes, join_ref)[4]
    assert isinstance(payload, dict)
    assert payload["status"] == "ok", payload
    response: dict[str, Any] = payload["response"]
    return response


def test_bri9_one_node_that_no_document_can_hold_keeps_the_others_from_nothing(
    daemon: Daemon,
) -> None:
    odd = node("odd", type=7)
    with RawWebSocket(daemon.port) as ada, RawWebSocket(daemon.port) as ben:
        at_ada, at_ben = ada.join("flow:demo"), ben.join("flow:demo")
        change(ada, at_ada, node("a"))
        assert change(ada, at_ada, node("a"), odd)["dropped"]
        made = [node("a"), odd]
        for n in range(5):
            made.append(node(f"ben{n}"))
            assert change(ben, at_ben, *made)["status"] == "broadcasted"

    def kept() -> set[str]:
        return set(rest(daemon, "GET", "/flows/demo")["document"]["nodes"])

    eventually(lambda: kept() >= {"a", *(f"ben{n}" for n in range(5))}, "what Ben made")
