"""Who is in a flow, on several nodes in memory. (docs/spec.md, NOD30 to NOD49)"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import attrs
import pytest

from helix.documents.ids import public_id
from helix.flows.displacements import AGAIN
from helix.flows.lifetime import LINGER
from helix.members.roster import Changes
from helix.nodes.neighbours import SILENCE
from helix.nodes.people import encode_changes
from helix.nodes.rosters import DOUBT, PATIENCE, ROUND
from tests.nodes.crowd import Crowd, Person
from tests.nodes.test_nodes import CountedStore
from tests.support.badbus import ALL_MANNERS, GOOD, BadBroker, BadBus
from tests.support.bus import Bus
from tests.support.world import Client


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


# NOD31: what is lost


@pytest.mark.parametrize("seed", range(8))
def test_nod31_lists_are_equal_once_messages_arrive_again(seed: int) -> None:
    random = Random(seed)
    bus = BadBus(random, random.choice(ALL_MANNERS[1:]), random.choice([600, 7500]))
    crowd = Crowd(bus, 3)
    count = 0
    for _ in range(60):
        chance = random.random()
        present = [one for one in crowd.people if one.joined]
        if chance < 0.4 or not present:
            count += 1
            key = random.choice([None, None, "ada", "bob"])
            crowd.people.append(Person(random.choice(crowd.worlds), f"p{count}", key))
        elif chance < 0.6:
            random.choice(present).cut()
        elif chance < 0.8:
            random.choice(present).show({"n": random.randrange(99)})
        elif chance < 0.9:
            person = random.choice(present)
            person.cut()
            person.join(random.choice(crowd.worlds))
        else:
            random.choice(present).point(x=random.randrange(99), y=1)
        crowd.settle(random.choice([0.0, 0.0, 0.1, 1.0]))
    bus.manners = GOOD
    crowd.wait(50)
    present = [one for one in crowd.people if one.joined]
    assert crowd.lists() == [sorted(one.name for one in present)]
    for person in present:
        assert metas(person) == metas(present[0])
        assert person.pointers() == present[0].pointers()
    crowd.end()


def metas(person: Person) -> set[str]:
    """What a member sees of all, without the refs that its node gave."""
    return {
        json.dumps({name: one for name, one in meta.items() if not name.startswith("phx")})
        for meta in person.metas()
    }


def test_nod31_a_lost_message_is_noticed_with_the_next_and_asked_for(crowd: Crowd) -> None:
    ada, bob = crowd.person(0, "ada"), crowd.person(1, "bob")
    crowd.settle(0.2)
    crowd.bus.brokers[0]._topics.pop("f")
    bob.show({"n": 1})
    crowd.person(1, "cy")
    crowd.settle(0.2)
    crowd.bus.brokers[0]._topics["f"] = None
    assert ada.names() == ["ada", "bob"]
    crowd.sent()
    bob.show({"n": 2})
    crowd.settle(PATIENCE / 2)
    assert ada.names() == ["ada", "bob"]
    assert crowd.sent() == ["presence"]
    crowd.settle(PATIENCE * 2)
    assert crowd.lists() == [["ada", "bob", "cy"]]
    assert crowd.sent() == ["roster?", "roster"]
    (meta,) = ada.presence.state[bob.key]["metas"]
    assert meta["n"] == 2
    assert len(crowd.worlds[0].events("helix.node.behind")) == 1


def test_nod31_a_lost_last_message_is_found_in_a_while(crowd: Crowd) -> None:
    ada, bob = crowd.person(0, "ada"), crowd.person(1, "bob")
    crowd.settle(0.2)
    crowd.person(1, "cy")
    crowd.bus.brokers[0]._topics.pop("f")
    bob.cut()
    crowd.settle(0.2)
    crowd.bus.brokers[0]._topics["f"] = None
    assert ada.names() == ["ada", "bob", "cy"]
    crowd.wait(ROUND + 2)
    assert ada.names() == ["ada", "cy"]


def test_nod31_a_session_whose_end_was_not_heard_vanishes(crowd: Crowd) -> None:
    ada, bob = crowd.person(0, "ada"), crowd.person(1, "bob")
    crowd.settle(0.2)
    crowd.bus.brokers[0]._topics.pop("f")
    crowd.worlds[1].service.close("f")
    bob.rejoins = False
    crowd.settle(0.2)
    crowd.bus.brokers[0]._topics["f"] = None
    assert ada.names() == ["ada", "bob"]
    crowd.wait(DOUBT + ROUND + 3)
    assert ada.names() == ["ada"]


def test_nod31_late_words_of_an_ended_session_change_nothing(crowd: Crowd) -> None:
    ada, bob = crowd.person(0, "ada"), crowd.person(1, "bob")
    bob.show({"n": 1})
    crowd.settle(0.2)
    sent = [(topic, text) for topic, text in crowd.bus.sent if b'"entries"' not in text]
    bob.cut()
    crowd.worlds[1].clock.advance(LINGER)
    crowd.settle(0.2)
    assert crowd.worlds[1].flow() is None
    assert ada.names() == ["ada"]
    for topic, text in sent:
        crowd.bus.carry(None, topic, text)
    crowd.settle(1)
    assert ada.names() == ["ada"]
    bob.join(crowd.worlds[1])
    crowd.settle(0.5)
    assert crowd.lists() == [["ada", "bob"]]
    for topic, text in sent:
        crowd.bus.carry(None, topic, text)
    crowd.settle(1)
    assert crowd.lists() == [["ada", "bob"]]


def test_nod31_who_is_asked_for_a_flow_that_it_has_not_open_says_so(crowd: Crowd) -> None:
    """A ghost of a session that ended before anybody here listened doesn't stay."""
    ada = crowd.person(0, "ada")
    node = crowd.worlds[1].nodes._telling  # type: ignore[union-attr]
    node.showing.last_session = 7
    crowd.bus.carry(None, "f", encode_changes(node.node, 1, 7, Changes(5, 3, {}, [])))
    crowd.settle(0.1)
    assert crowd.worlds[0].service.get("f").awareness.elsewhere.is_behind(node.node)  # type: ignore[union-attr]
    crowd.settle(1)
    assert not crowd.worlds[0].service.get("f").awareness.elsewhere.is_behind(node.node)  # type: ignore[union-attr]
    assert ada.names() == ["ada"]


# NOD32: who is told


def test_nod32_nothing_is_told_of_a_flow_that_no_other_has_open(crowd: Crowd) -> None:
    ada = crowd.person(0, "ada")
    crowd.settle(0.2)
    crowd.sent()
    for number in range(5):
        ada.show({"n": number})
        ada.point(x=1, y=number)
        crowd.settle(0.1)
    assert crowd.sent() == []
    bob = crowd.person(1, "bob")
    crowd.settle(0.5)
    assert crowd.lists() == [["ada", "bob"]]
    assert bob.pointers() == {public_id("ada"): {"x": 1, "y": 4}}
    assert {"open", "roster", "cursors"} <= set(crowd.sent())
    bob.cut()
    crowd.settle(0.2)
    crowd.worlds[1].clock.advance(LINGER)
    crowd.settle(0.2)
    assert [kind for kind in crowd.sent() if kind != "open"] == ["closed"]
    ada.show({"n": 9})
    crowd.settle(0.2)
    assert crowd.sent() == []


def test_nod32_a_lone_node_tells_nothing_at_all() -> None:
    crowd = Crowd(Bus(), 1)
    ada = crowd.person(0, "ada")
    ada.show({"n": 1})
    ada.point(x=1, y=1)
    crowd.wait(2 * ROUND)
    assert crowd.sent() == []
    crowd.end()


def test_nod32_many_flows_are_announced_in_few_messages(crowd: Crowd) -> None:
    client = crowd.worlds[0].client()
    for number in range(90):
        client.join(f"flow:g{number}", {"mode": "document", "client_id": "c"})
    crowd.settle(0.2)
    crowd.sent()
    crowd.wait(ROUND + 1)
    assert 1 <= len(crowd.sent()) <= 4


def test_nod32_a_flow_that_is_opened_on_both_at_once_is_shared(crowd: Crowd) -> None:
    crowd.people += [Person(crowd.worlds[node], f"p{node}") for node in (0, 1)]
    crowd.settle(0.5)
    assert crowd.lists() == [["p0", "p1"]]


# NOD33: who is gone


def test_nod33_a_node_that_leaves_takes_its_members_with_it_at_once(crowd: Crowd) -> None:
    ada = crowd.person(0, "ada")
    crowd.person(1, "bob")
    crowd.settle(0.2)
    crowd.worlds[1].nodes.stopService()  # type: ignore[union-attr]
    crowd.settle(0.1)
    assert ada.names() == ["ada"]


def test_nod33_a_sessions_end_takes_its_members_with_it(crowd: Crowd) -> None:
    ada, bob = crowd.person(0, "ada"), crowd.person(1, "bob")
    bob.rejoins = False
    crowd.settle(0.2)
    ada.presence.calls.clear()
    crowd.worlds[1].service.close("f")
    crowd.settle(0.1)
    assert ada.names() == ["ada"]
    assert [call for call in ada.presence.calls if call[0] == "leave"] == [("leave", bob.key, 0)]


def test_nod33_while_the_broker_is_away_only_ones_own_are_seen_and_then_all() -> None:
    bus = Bus()
    crowd = Crowd(bus, 3)
    for node, name in enumerate(("ada", "bob", "cy")):
        crowd.person(node, name)
    crowd.settle(0.5)
    assert crowd.lists() == [["ada", "bob", "cy"]]
    bus.set_up(False)
    crowd.wait(5)
    assert crowd.lists() == [["ada", "bob", "cy"]]
    crowd.wait(SILENCE)
    assert crowd.lists() == [["ada"], ["bob"], ["cy"]]
    crowd.people[0].show({"n": 1})
    crowd.person(1, "dan")
    bus.set_up(True)
    crowd.settle(1)
    assert crowd.lists() == [["ada", "bob", "cy", "dan"]]
    crowd.end()


def test_nod33_what_was_missed_while_one_broker_was_away_for_a_moment_is_told_then() -> None:
    bus = BadBus(Random(1), GOOD, 7500)
    crowd = Crowd(bus)
    ada = crowd.person(0, "ada")
    bob = crowd.person(1, "bob")
    crowd.settle(0.2)
    broker = crowd.worlds[0].broker
    assert isinstance(broker, BadBroker)
    broker.set_away(True)
    bob.show({"n": 1})
    ada.show({"n": 2})
    crowd.settle(1)
    broker.set_away(False)
    crowd.settle(1)
    assert metas(ada) == metas(bob)
    assert '"n": 1' in str(metas(ada))
    crowd.end()


# NOD34: large rosters


def test_nod34_a_large_roster_comes_in_pieces_that_are_paced() -> None:
    bus = Bus()
    crowd = Crowd(bus)
    ada = crowd.person(0, "ada")
    session = crowd.worlds[0].flow()
    for number in range(1000):
        meta = Person.meta(f"p{number}", text="x" * 3900)
        session.awareness._roster.put(1000 + number, meta)
    ada.show({"n": 1})
    crowd.settle(0.1)
    bus.sent.clear()
    crowd.people.append(bob := Person(crowd.worlds[1], "bob"))
    took = 0.0
    while len(bob.names()) < 1002 and took < 10:
        crowd.settle(0.2)
        took += 0.2
    assert len(bob.names()) == 1002
    pieces = [text for _, text in bus.sent if b'"roster"' in text]
    assert len(pieces) >= 4_000_000 // 7500
    assert took >= 1
    crowd.end()


# NOD35, NOD36: cursors


def test_nod35_cursors_of_other_nodes_are_seen_and_go_with_their_members(crowd: Crowd) -> None:
    ada, bob = crowd.person(0, "ada"), crowd.person(1, "bob")
    crowd.settle(0.2)
    bob.point(x=1, y=2)
    crowd.settle(0.2)
    assert ada.pointers() == {public_id("bob"): {"x": 1, "y": 2}}
    cy = crowd.person(0, "cy")
    crowd.settle(0.2)
    assert cy.pointers() == ada.pointers()
    bob.point()
    crowd.settle(0.2)
    assert ada.pointers() == {}
    bob.point(x=3, y=2)
    crowd.settle(0.2)
    bob.cut()
    crowd.settle(0.2)
    assert ada.pointers() == cy.pointers() == {}
    session = crowd.worlds[0].flow()
    assert session.awareness._cursors.current() is None


def test_nod35_at_most_thirty_messages_a_second_with_the_newest_of_all(crowd: Crowd) -> None:
    ada = crowd.person(0, "ada")
    others = [crowd.person(1, f"p{number}") for number in range(5)]
    crowd.settle(0.2)
    crowd.sent()
    began = crowd.worlds[1].clock.seconds()
    for step in range(100):
        for person in others:
            person.point(x=step, y=0)
        crowd.worlds[1].clock.advance(0.01)
        crowd.settle()
    took = crowd.worlds[1].clock.seconds() - began
    sent = crowd.sent()
    assert 10 * took < sent.count("cursors") <= 30 * took + 1
    assert [at["x"] for at in ada.pointers().values()] == [99] * 5


def test_nod35_a_lost_last_cursor_is_told_again_in_a_while(crowd: Crowd) -> None:
    ada, bob = crowd.person(0, "ada"), crowd.person(1, "bob")
    crowd.settle(0.2)
    bob.point(x=1, y=2)
    crowd.settle(0.2)
    crowd.bus.brokers[0]._topics.pop("f")
    bob.point(x=9, y=9)
    crowd.settle(0.2)
    crowd.bus.brokers[0]._topics["f"] = None
    assert ada.pointers() == {public_id("bob"): {"x": 1, "y": 2}}
    crowd.wait(ROUND + 1)
    assert ada.pointers() == {public_id("bob"): {"x": 9, "y": 9}}


def test_nod36_a_drag_of_many_nodes_crosses_and_heals(crowd: Crowd) -> None:
    ada, bob = crowd.person(0, "ada"), crowd.person(1, "bob")
    crowd.settle(0.2)
    moving = {f"node-{number}": {"x": number, "y": 0} for number in range(300)}
    crowd.bus.brokers[0]._topics.pop("f")
    bob.point(x=0, y=0, moving=moving)
    crowd.settle(0.1)
    crowd.bus.brokers[0]._topics["f"] = None
    seen: dict[str, Any] = {}
    for x in range(1, 12):
        bob.point(x=x, y=0, moved={"x": x, "y": 0})
        crowd.settle(0.1)
        seen = ada.pointers().get(public_id("bob"), {})
        assert seen["x"] == x
        assert "moving" not in seen or x > 5
    assert len(seen["moving"]) == 300
    assert seen["moved"] == {"x": 11, "y": 0}


# NOD37 to NOD39: one place


@pytest.mark.parametrize("is_known", [False, True])
def test_nod37_who_joins_on_another_node_has_its_place_there(crowd: Crowd, is_known: bool) -> None:
    ada = crowd.person(0, "ada")
    watchers = [crowd.person(0, "w0")]
    if is_known:
        watchers.append(crowd.person(1, "w1"))
    crowd.settle(0.2)
    ada.rejoins = False
    old = ada.client
    ada.join(crowd.worlds[1])
    crowd.settle(0.5)
    assert [event for event, _ in old.events()][-1] == "phx_error"
    assert crowd.worlds[0].flow().client_count == 1
    names = sorted(["ada", *(one.name for one in watchers)])
    assert crowd.lists() == [names]
    watchers[0].look()
    leaves = [call for call in watchers[0].presence.calls if call == ("leave", ada.key, 0)]
    assert not leaves, "nobody sees it go"


def test_nod37_whose_edits_wait_has_them_stored(crowd: Crowd) -> None:
    ada = crowd.person(0, "ada")
    crowd.person(1, "bob")
    crowd.settle(0.2)
    store = crowd.worlds[0].store
    assert isinstance(store, CountedStore)
    store.holding = True
    ada.client.push("flow:f", "patch", {"op_id": 1, "patch": {"title": "mine"}})
    crowd.worlds[0].settle()
    ada.rejoins = False
    ada.join(crowd.worlds[1])
    crowd.settle(0.3)
    store.holding = False
    store.let_through()
    crowd.settle(0.5)
    assert crowd.worlds[1].flow().log.document.content["title"] == "mine"


def test_nod38_a_clock_that_is_behind_does_not_end_the_newer_place(crowd: Crowd) -> None:
    ada = crowd.person(0, "ada")
    crowd.person(0, "w0")
    crowd.settle(0.2)
    crowd.worlds[1].wall.ahead = -1e6
    crowd.person(1, "w1")
    ada.rejoins = False
    old = ada.client
    ada.join(crowd.worlds[1])
    crowd.settle(0.5)
    assert [event for event, _ in old.events()][-1] == "phx_error"
    assert ada.ends == []
    assert crowd.lists() == [["ada", "w0", "w1"]]
    assert len(crowd.worlds[0].events("helix.session.client_displaced")) == 1


def test_nod39_a_session_that_ends_with_its_last_member_leaves_no_timer(crowd: Crowd) -> None:
    """SES4, while a message of the other node is taken."""
    crowd.person(0, "ada").rejoins = False
    world = crowd.worlds[0]
    (session,) = world.service.sessions()
    newer = attrs.evolve(Person.meta("ada"), stamp=session.awareness._others.stamp())
    session.awareness.elsewhere.show("x", Changes(1, 1, {1: newer}))
    assert not list(world.service.sessions())
    assert not [one for one in world.clock.getDelayedCalls() if "Awareness" in str(one.func)]


def test_nod39_a_wrong_guess_heals_itself(crowd: Crowd) -> None:
    """A node that has heard nothing of the other's clock takes the newer place for the older."""
    crowd.bus.set_up(False)
    crowd.wait(1)
    crowd.worlds[1].wall.ahead = -1e6
    crowd.worlds[1].nodes._telling.showing.stamps._last = 0  # type: ignore[union-attr]
    ada = crowd.person(0, "ada")
    old = ada.client
    ada.join(crowd.worlds[1])
    crowd.settle(0.2)
    crowd.bus.set_up(True)
    crowd.settle(1)
    assert ada.ends == ["phx_error"]
    assert ada.joined
    assert ada.client is not old
    assert [event for event, _ in old.events()][-1] == "phx_error"
    assert crowd.lists() == [["ada"]]


def test_nod39_two_live_tabs_of_one_client_do_not_end_each_other_for_ever(crowd: Crowd) -> None:
    tabs = [crowd.person(0, "ada")]
    crowd.person(1, "w")
    crowd.settle(0.2)
    tabs.append(crowd.person(1, "ada"))
    crowd.settle(3)
    ends = [end for tab in tabs for end in tab.ends]
    assert ends.count("replaced") == 1
    assert ends.count("phx_error") <= 2
    assert sum(tab.joined for tab in tabs) == 1
    assert crowd.lists() == [["ada", "w"]]
    loser = next(tab for tab in tabs if not tab.joined)
    winner = next(tab for tab in tabs if tab.joined)
    crowd.wait(AGAIN + 1)
    winner.ends.clear()
    loser.join(loser.world)
    crowd.settle(0.5)
    assert winner.ends[:1] == ["phx_error"]


# NOD40: counts


def test_nod40_members_in_relay_mode_are_told_how_many_there_are_everywhere(crowd: Crowd) -> None:
    relays = [world.client() for world in crowd.worlds]
    for relay in relays:
        relay.join("flow:f")
        crowd.settle(0.3)
    assert counts(relays[0]) == [("client_joined", 1), ("client_joined", 2)]
    assert counts(relays[1]) in (
        [("client_joined", 2)],
        [("client_joined", 1), ("client_joined", 2)],
    )
    bob = crowd.person(1, "bob")
    crowd.settle(0.2)
    assert counts(relays[0]) == counts(relays[1]) == [("client_joined", 3)]
    assert [world.flow().client_count for world in crowd.worlds] == [1, 2]
    assert [world.flow().client_count_everywhere for world in crowd.worlds] == [3, 3]
    bob.cut()
    crowd.settle(0.2)
    assert counts(relays[0]) == counts(relays[1]) == [("client_left", 2)]
    crowd.worlds[1].clock.stop()
    crowd.worlds[0].clock.advance(SILENCE + 1)
    crowd.worlds[0].settle()
    assert counts(relays[0]) == [("client_left", 1)]
    crowd.worlds[1].clock.go_on()


def counts(relay: Client) -> list[tuple[str, int]]:
    """How many members there are, as one in relay mode is told."""
    return [
        (event, payload["client_count"])
        for event, payload in relay.events()
        if event in ("client_joined", "client_left")
    ]


def test_nod40_the_limit_of_members_is_for_each_node() -> None:
    crowd = Crowd(Bus(), max_clients=1)
    for node in (0, 1):
        crowd.person(node, f"p{node}")
    crowd.settle(0.2)
    assert crowd.lists() == [["p0", "p1"]]
    full = crowd.worlds[0].client()
    ref = full.join("flow:f", {"mode": "document", "client_id": "more"})
    crowd.settle(0.1)
    assert full.answer(ref)[0] == "error"
    crowd.end()


# NOD41: what can't be


def test_nod41_what_cannot_be_from_a_node_is_ignored(crowd: Crowd) -> None:
    ada, bob = crowd.person(0, "ada"), crowd.person(1, "bob")
    crowd.settle(0.2)
    node = crowd.worlds[1].nodes._telling.node  # type: ignore[union-attr]
    good = {"v": 1, "node": node, "kind": "presence", "at": 1, "session": 1, "number": 9}
    good |= {"count": 1, "shown": [], "gone": []}
    meta = {"client_id": "c"}
    bad: list[dict[str, Any]] = [
        {**good, "shown": [[1, "__proto__", 1, meta]]},
        {**good, "shown": [[1, "x" * 256, 1, meta]]},
        {**good, "shown": [[1, "", 1, meta]]},
        {**good, "shown": [[1, "k", 1, {**meta, "text": "x" * 17_000}]]},
        {**good, "shown": [[1, "k", 1, "text"]]},
        {**good, "shown": [[1, "k", 1, {}]]},
        {**good, "shown": [[1, "k", 2**62, meta]]},
        {**good, "shown": [[-1, "k", 1, meta]]},
        {**good, "count": -1},
        {**good, "at": 2**61},
        {**good, "session": "1"},
        {**good, "node": ""},
        {**good, "kind": "roster", "flow": "f", "index": 1, "pieces": 1},
        {**good, "kind": "roster", "flow": "f", "index": 0, "pieces": 0},
        {**good, "kind": "roster", "flow": "f", "index": 0, "pieces": 10**9},
        {**good, "kind": "open", "flows": {"f": [1]}},
        {**good, "kind": "open", "flows": {"f": [-1, 1]}},
        {**good, "kind": "roster?", "flows": "f"},
        {**good, "kind": "closed"},
        {**good, "kind": "cursors", "pointers": [[1, "x", 1]]},
        {**good, "kind": "cursors", "pointers": [{"member": 1}]},
    ]
    for message in bad:
        crowd.bus.carry(None, "f", json.dumps(message).encode())
    crowd.settle(0.5)
    ignored = [about["reason"] for _, about in crowd.worlds[0].events("helix.node.ignored")]
    assert ignored == ["malformed"] * len(bad)
    assert crowd.lists() == [["ada", "bob"]]
    assert ada.joined
    assert bob.joined


def test_nod41_unknown_flows_nodes_and_members_do_no_harm(crowd: Crowd) -> None:
    crowd.person(0, "ada")
    for topic in ("f", "nothing", "", "\0x"):
        for kind in ("presence", "roster", "cursors", "open", "closed", "roster?"):
            message = {"v": 1, "node": "x", "kind": kind, "at": 1, "session": 1, "number": 3}
            message |= {"count": 5, "shown": [], "gone": [1, 2], "index": 0, "pieces": 1}
            message |= {"flow": topic, "pointers": [[1, 2, 3]]}
            message["flows"] = {topic: [1, 1]} if kind == "open" else [topic]
            crowd.bus.carry(None, topic, json.dumps(message).encode())
    crowd.settle(0.5)
    assert crowd.lists() == [["ada"]]


def test_nod41_a_fault_ends_the_session_alone(crowd: Crowd) -> None:
    ada, bob = crowd.person(0, "ada"), crowd.person(1, "bob")
    crowd.settle(0.2)
    crowd.worlds[0].flow().awareness.elsewhere._places = None  # any fault
    for known in crowd.worlds[0].flow().awareness.elsewhere._nodes.values():
        known._places = None
    bob.show({"n": 1})
    crowd.settle(1)
    assert ada.ends == ["phx_error"]
    for world in crowd.worlds:
        assert len(world.failures) == 1
        world.failures.clear()
    assert crowd.lists() == [["ada", "bob"]]


def test_nod41_a_fault_while_others_are_told_is_logged_and_the_rounds_go_on(crowd: Crowd) -> None:
    crowd.person(0, "ada")
    rosters = crowd.worlds[0].nodes._rosters  # type: ignore[union-attr]
    neighbours, rosters._neighbours = rosters._neighbours, None  # any fault
    crowd.person(1, "bob")
    crowd.settle(0.2)
    for world in crowd.worlds:
        assert len(world.failures) >= 1
        world.failures.clear()
    rosters._neighbours = neighbours
    crowd.wait(2 * ROUND + 2)
    assert crowd.lists() == [["ada", "bob"]]
