"""Who is in a flow, on several nodes in memory. (docs/spec.md, NOD30 to NOD49)"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helix.documents.ids import public_id
from helix.nodes.neighbours import SILENCE
from tests.nodes.crowd import Crowd
from tests.support.bus import Bus


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    crowd = Crowd(Bus())
    yield crowd
    crowd.end()


# NOD30: one list


def test_nod30_members_of_all_nodes_are_in_one_list(crowd: Crowd) -> None:
    ada = crowd.person(0, "ada")
    bob = crowd.person(1, "bob")
    crowd.settle(0.2)
    assert crowd.lists() == [["ada", "bob"]]
    ada.presence.calls.clear()
    bob.show({"editing": "n1"})
    crowd.settle(0.2)
    (meta,) = ada.presence.state[bob.key]["metas"]
    assert (meta["editing"], meta["client_id"]) == ("n1", public_id("bob"))
    assert "phx_ref_prev" in meta
    cy = crowd.person(1, "cy")
    crowd.settle(0.2)
    assert crowd.lists() == [["ada", "bob", "cy"]]
    bob.cut()
    cy.client.leave("flow:f")
    cy.joined = False
    crowd.settle(0.2)
    assert crowd.lists() == [["ada"]]
    assert [call for call in ada.presence.calls if call[2] == 0] == [
        ("join", cy.key, 0),
        ("leave", bob.key, 0),
        ("leave", cy.key, 0),
    ]


def test_nod30_a_person_on_two_nodes_has_two_metas_under_one_key(crowd: Crowd) -> None:
    ada = crowd.person(0, "tab 1", "ada")
    crowd.person(1, "tab 2", "ada")
    crowd.settle(0.2)
    assert crowd.lists() == [["tab 1", "tab 2"]]
    assert list(ada.presence.state) == ["ada"]


def test_nod33_a_node_that_is_silent_takes_its_members_with_it(crowd: Crowd) -> None:
    ada = crowd.person(0, "ada")
    for name in ("bob", "cy"):
        crowd.person(1, name)
    crowd.settle(0.2)
    assert crowd.lists() == [["ada", "bob", "cy"]]
    ada.presence.calls.clear()
    crowd.worlds[1].clock.stop()
    crowd.worlds[0].clock.advance(SILENCE - 1)
    crowd.worlds[0].settle()
    assert ada.names() == ["ada", "bob", "cy"]
    crowd.worlds[0].clock.advance(2)
    crowd.worlds[0].settle()
    assert ada.look() == ["presence_diff"]
    assert ada.names() == ["ada"]
    crowd.worlds[1].clock.go_on()
    crowd.wait(12)
    assert crowd.lists() == [["ada", "bob", "cy"]]
