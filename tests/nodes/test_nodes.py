"""Two nodes on one store, in memory. (docs/spec.md, NOD1 to NOD9)"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from helix.access.principal import ANYBODY
from helix.access.roles import Role
from helix.access.sharing import Audience, FlowAccess, GeneralAccess
from helix.chain import chain_text, origin_of
from helix.errors import StoreUnavailable
from helix.flows.version_names import VersionNames
from helix.nodes.neighbours import SILENCE
from helix.nodes.service import AWAY_SECONDS, FLOWS_AT_ONCE, UP_SECONDS
from helix.nodes.topics import EVERYONE
from helix.records import AuditEntry, Entry, FlowHead, LogEnd
from helix.store.memory import MemoryStore
from tests.support.bus import Bus
from tests.support.flowdata import node
from tests.support.heldstore import HeldStore, go_back
from tests.support.world import START, Client, World

FLOW = "flow:f"


class CountedStore(HeldStore):
    """
    :ivar asked: how often it was asked for what.
    """

    def __init__(self, beside: MemoryStore | None = None) -> None:
        self.asked: Counter[str] = Counter()
        super().__init__(beside)

    def head(self, flow_id: str) -> Deferred[FlowHead]:
        self.asked["head"] += 1
        return super().head(flow_id)

    def entries(self, flow_id: str, epoch: str, after: int, limit: int) -> Deferred[list[Entry]]:
        self.asked["entries"] += 1
        return super().entries(flow_id, epoch, after, limit)

    def ends(self, flow_ids: Sequence[str]) -> Deferred[dict[str, LogEnd]]:
        self.asked["ends"] += 1
        return super().ends(flow_ids)


class Pair:
    """
    Two nodes, each with a member of the stored flow ``f`` in document mode.

    :ivar here, there: the nodes.
    :ivar ada, bob: their members.
    """

    make_store = CountedStore

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.stores = [self.make_store()]
        self.stores.append(self.make_store(self.stores[0]))
        self.here, self.there = (
            World(store=store, broker=bus.broker, seed=seed)
            for seed, store in enumerate(self.stores)
        )
        self.here.library.create({"title": "Old"}, "f")
        self.ada, self.bob = self.here.client(), self.there.client()
        self.join(self.ada, "ada")
        self.join(self.bob, "bob")
        self._ops = 0

    def join(self, client: Client, name: str) -> None:
        client.join(FLOW, {"mode": "document", "client_id": name})
        self.settle()
        self.forget()

    def edit(self, client: Client, title: str) -> None:
        """Submit an edit, without a turn of the other node."""
        self._ops += 1
        client.push(FLOW, "patch", {"op_id": self._ops, "patch": {"title": title}})
        client.world.settle()

    def settle(self, seconds: float = 0.0) -> None:
        for _ in range(3):
            for world in (self.here, self.there):
                world.settle()
        for world in (self.here, self.there):
            world.clock.advance(seconds)
            world.settle()

    def forget(self) -> None:
        """Forget what was asked and received."""
        for store in self.stores:
            store.asked.clear()
        for client in (self.ada, self.bob):
            client.received()
        self.bus.sent.clear()

    def titles(self, client: Client) -> list[str]:
        """The titles that a member was told of since the last look."""
        return [
            entry["patch"]["title"]
            for event, payload in client.events()
            if event == "entries"
            for entry in payload["entries"]
        ]

    def count(self, name: str, world: World, **about: str) -> int:
        return len([one for _, one in world.events(name) if about.items() <= one.items()])

    def hear(self, topic: str = "f", **message: object) -> None:
        """Let a message come to both, from nowhere."""
        self.bus.carry(None, topic, json.dumps({"v": 1, "node": "x", **message}).encode())
        self.settle()


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def pair(bus: Bus) -> Iterator[Pair]:
    pair = Pair(bus)
    yield pair
    for world in (pair.here, pair.there):
        world.end()


# NOD1, NOD3: entries


def test_nod1_entries_are_taken_without_a_question_to_the_store(pair: Pair) -> None:
    for title in ("A", "B", "C"):
        pair.edit(pair.ada, title)
    assert [topic for topic, _ in pair.bus.sent] == ["f"] * 3
    pair.settle()
    assert pair.titles(pair.bob) == ["A", "B", "C"]
    assert not pair.stores[1].asked
    assert pair.there.flow().log.chain == pair.here.flow().log.chain
    pair.edit(pair.bob, "D")  # on top of them
    assert pair.stores[1].groups == [[5]]
    pair.settle()
    assert pair.titles(pair.ada)[-1] == "D"


def test_nod1_members_in_relay_mode_see_them_too(pair: Pair) -> None:
    relay = pair.there.client()
    relay.join(FLOW)
    pair.settle()
    relay.received()
    patch = {"nodes": {"n": node("n")}}
    pair.ada.push(FLOW, "patch", {"op_id": 50, "patch": patch})
    pair.settle(0.2)  # they are told together with what follows soon
    (update,) = [payload for event, payload in relay.events() if event == "flow_update"]
    assert update["changes"]["nodes"][0]["id"] == "n"


def test_nod1_what_comes_while_an_append_is_under_way_waits_for_it(pair: Pair) -> None:
    store = pair.stores[1]
    store.holding = True
    pair.edit(pair.bob, "mine")
    pair.edit(pair.ada, "A")
    pair.edit(pair.ada, "B")
    pair.settle()
    assert pair.titles(pair.bob) == []
    store.holding = False
    store.let_through()  # it lost the race
    pair.settle()
    assert pair.titles(pair.bob) == ["A", "B", "mine"]
    assert pair.titles(pair.ada)[-1] == "mine"
    assert store.groups == [[2], [4]]


def test_nod1_more_than_may_wait_is_read(pair: Pair) -> None:
    store = pair.stores[1]
    store.holding = True
    pair.edit(pair.bob, "mine")
    titles = [f"t{number}" for number in range(60)]
    for title in titles:
        pair.edit(pair.ada, title)
    pair.settle()
    assert len(pair.there.flow()._commits._others.news) < 60
    store.holding = False
    store.let_through()
    pair.settle()
    assert pair.titles(pair.bob) == [*titles, "mine"]
    assert pair.titles(pair.ada)[-1] == "mine"


def test_nod1_an_append_whose_session_has_ended_is_told_too(pair: Pair) -> None:
    store = pair.stores[0]
    store.holding = True
    pair.edit(pair.ada, "late")
    pair.here.service.close("f")
    store.let_through()
    store.holding = False
    pair.settle()
    assert pair.titles(pair.bob) == ["late"]


def test_nod3_large_entries_are_read_from_the_store(pair: Pair) -> None:
    pair.ada.push(FLOW, "patch", {"op_id": 50, "patch": {"data": {"text": "x" * 8000}}})
    pair.here.settle()
    (message,) = [message for _, message in pair.bus.sent]
    assert len(message) < 200
    pair.settle()
    assert pair.there.flow().log.document.content["data"] == {"text": "x" * 8000}
    assert pair.stores[1].asked["entries"] == 1


# NOD2: lost, late and second messages


def test_nod2_a_gap_is_read_from_the_store(pair: Pair) -> None:
    pair.there.broker._topics.pop("f")  # type: ignore[union-attr]
    pair.edit(pair.ada, "A")
    pair.settle()
    pair.there.broker._topics["f"] = None  # type: ignore[union-attr]
    pair.edit(pair.ada, "B")
    pair.settle()
    assert pair.titles(pair.bob) == ["A", "B"]
    assert pair.stores[1].asked["entries"] == 1


def test_nod2_second_and_late_messages_change_nothing(pair: Pair) -> None:
    pair.edit(pair.ada, "A")
    pair.edit(pair.ada, "B")
    sent = list(pair.bus.sent)
    pair.settle()
    pair.forget()
    for _, message in [*reversed(sent), *sent]:
        pair.bus.carry(None, "f", message)
    pair.settle()
    assert pair.titles(pair.bob) == []
    assert not pair.stores[1].asked


def test_nod2_late_messages_are_put_in_order_by_the_store(pair: Pair) -> None:
    pair.there.broker._topics.pop("f")  # type: ignore[union-attr]
    pair.edit(pair.ada, "A")
    pair.edit(pair.ada, "B")
    sent = list(pair.bus.sent)
    pair.settle()
    pair.there.broker._topics["f"] = None  # type: ignore[union-attr]
    for _, message in reversed(sent):
        pair.bus.carry(None, "f", message)
    pair.settle()
    assert pair.titles(pair.bob) == ["A", "B"]


def test_nod2_entries_that_do_not_follow_are_not_taken(pair: Pair) -> None:
    """They were made on another past: of a store that was set back, perhaps."""
    pair.edit(pair.ada, "A")
    forged = json.loads(pair.bus.sent[0][1])
    pair.settle()
    pair.forget()
    forged["version"], forged["entries"][0][0] = 3, 3
    pair.bus.carry(None, "f", json.dumps(forged).encode())
    pair.settle()
    assert pair.titles(pair.bob) == []
    assert pair.there.flow().log.version == 2
    assert pair.stores[1].asked["head"] == 1


def test_nod2_another_past_at_the_same_version_is_looked_for(pair: Pair) -> None:
    log = pair.there.flow().log
    about = {"kind": "entries", "epoch": log.epoch, "version": log.version}
    pair.hear(**about, chain="AAAAAAAAAAA")
    assert pair.stores[1].asked["head"] == 1


def test_nod116_another_past_of_the_same_length_is_found_though_nobody_told_of_it(
    pair: Pair,
) -> None:
    """A standby took over that lacked an entry, and a node that never knew that wrote another."""
    pair.bus.set_up(False)
    pair.edit(pair.ada, "lost")
    go_back(pair.stores[0], "f", 1)
    pair.edit(pair.bob, "kept")
    assert pair.here.flow().log.version == pair.there.flow().log.version == 2
    pair.settle(AWAY_SECONDS)
    pair.settle(AWAY_SECONDS)
    assert pair.here.flow().state().head == pair.there.flow().state().head
    assert b"kept" in bytes(pair.here.flow().state().document)


def test_nod2_another_flow_in_its_place_is_loaded(pair: Pair) -> None:
    pair.there.broker._topics.pop("f")  # type: ignore[union-attr]
    pair.here.library.delete("f")
    pair.here.library.create({"title": "New"}, "f")
    pair.join(pair.ada, "ada")
    pair.there.broker._topics["f"] = None  # type: ignore[union-attr]
    pair.edit(pair.ada, "A")
    pair.settle()
    assert [event for event, _ in pair.bob.events()] == ["reset"]
    assert pair.there.flow().state().head == pair.here.flow().state().head


# NOD4, NOD5: flows and names


def test_nod4_a_flow_that_is_made_elsewhere_is_there(pair: Pair) -> None:
    cy = pair.there.client()
    cy.join("flow:g", {"mode": "document", "client_id": "cy"})
    pair.settle()
    cy.received()
    pair.here.library.create({"title": "New"}, "g")
    pair.settle()
    assert [event for event, _ in cy.events()] == ["reset"]


def test_nod4_a_deletion_is_told_with_its_name(pair: Pair) -> None:
    pair.here.library.delete("f", "Ada")
    pair.settle()
    told = [payload for event, payload in pair.bob.events() if event == "flow_deleted"]
    assert told == [{"flow_id": "f", "timestamp": int(START), "by": "Ada"}]
    assert pair.there.flow() is None


def test_nod4_a_late_word_of_a_deletion_does_no_harm(pair: Pair) -> None:
    pair.hear(kind="deleted", by="Ada")
    assert pair.there.flow() is not None
    assert pair.bob.events() == []


def test_nod4_a_deletion_that_the_store_cannot_confirm_is_found_later(pair: Pair) -> None:
    pair.stores[1].fail("head", StoreUnavailable())
    pair.here.library.delete("f", "Ada")
    pair.settle()
    assert pair.there.flow() is not None
    pair.settle(UP_SECONDS)
    assert pair.there.flow() is None
    assert "flow_deleted" in [event for event, _ in pair.bob.events()]


def test_nod4_an_undeleted_flow_is_looked_at(pair: Pair) -> None:
    pair.here.library.undelete("f")
    assert [json.loads(message)["kind"] for _, message in pair.bus.sent] == ["flow"]
    pair.settle()
    assert pair.stores[1].asked["head"] == 1


def test_nod5_names_of_versions_are_told(pair: Pair) -> None:
    names = VersionNames(pair.here.service, pair.here.logs)
    names.give("f", 1, "Launch")
    names.take("f", 1)
    pair.settle()
    told = [payload for event, payload in pair.bob.events() if event == "version_named"]
    assert [(one["version"], one["name"]) for one in told] == [(1, "Launch"), (1, None)]
    assert told == [payload for event, payload in pair.ada.events() if event == "version_named"]


def test_nod5_the_name_of_another_log_is_not_told(pair: Pair) -> None:
    pair.hear(kind="name", epoch="another", told={"version": 1})
    assert pair.bob.events() == []


# NOD6: access


def test_nod6_access_is_read_at_once(pair: Pair) -> None:
    for world in (pair.here, pair.there):
        world.access.startService()
    pair.settle(1.0)
    changed: list[FlowAccess] = []
    watching = Deferred.fromCoroutine(
        pair.there.access.watch(ANYBODY, "f", lambda: changed.append(watch.access))
    )
    watch: Any = watching.result
    given = FlowAccess("ada", general=GeneralAccess(Audience.LINK, Role.VIEWER))
    audited = AuditEntry(0, START, "access.change", "f")
    pair.here.access.change("f", lambda _: given, audited)
    for world in (pair.here, pair.there):
        world.settle()
    assert changed == [given]
    watch.end()
    for world in (pair.here, pair.there):
        world.access.stopService()


# NOD7: what isn't understood


def test_nod7_what_is_not_understood_is_counted(pair: Pair) -> None:
    pair.hear(kind="thought")
    pair.hear(kind="flow", v=2)
    pair.bus.carry(None, "f", b"nonsense")
    pair.settle()
    ignored = [about["reason"] for _, about in pair.there.events("helix.node.ignored")]
    assert ignored == ["kind", "version", "malformed"]
    pair.edit(pair.ada, "A")
    pair.settle()
    assert pair.titles(pair.bob) == ["A"]


# NOD8: the broker is away


def test_nod8_while_it_is_away_the_store_is_asked_once_a_second(pair: Pair) -> None:
    pair.bus.set_up(False)
    pair.edit(pair.ada, "A")
    assert pair.bus.sent == []
    pair.settle(AWAY_SECONDS)
    assert pair.titles(pair.bob) == ["A"]
    pair.forget()
    for _ in range(5):
        pair.settle(AWAY_SECONDS)
    assert pair.stores[1].asked == {"ends": 5}
    pair.edit(pair.bob, "B")
    pair.settle(AWAY_SECONDS)
    assert pair.titles(pair.ada) == ["B"]
    assert pair.count("helix.broker.changed", pair.here) == 3


def test_nod8_when_it_is_back_everything_is_looked_at(pair: Pair) -> None:
    pair.bus.set_up(False)
    pair.edit(pair.ada, "A")
    pair.bus.set_up(True)
    pair.settle()
    assert pair.titles(pair.bob) == ["A"]


def test_nod8_others_look_when_one_that_was_away_is_back(pair: Pair) -> None:
    broker = pair.here.broker
    broker.is_up = False  # type: ignore[union-attr]
    pair.edit(pair.ada, "A")
    pair.settle()
    assert pair.titles(pair.bob) == []
    broker.changed()  # type: ignore[union-attr]
    pair.settle()
    assert pair.titles(pair.bob) == ["A"]


def test_nod8_what_was_lost_unnoticed_is_found_in_a_while(pair: Pair) -> None:
    pair.there.broker._topics.pop("f")  # type: ignore[union-attr]
    pair.edit(pair.ada, "A")
    pair.settle()
    assert pair.titles(pair.bob) == []
    pair.settle(UP_SECONDS)
    assert pair.titles(pair.bob) == ["A"]


def test_nod8_a_store_that_is_away_too_is_asked_again(pair: Pair) -> None:
    pair.bus.set_up(False)
    pair.stores[1].fail("ends", StoreUnavailable())
    pair.edit(pair.ada, "A")
    pair.settle(AWAY_SECONDS)
    assert pair.titles(pair.bob) == []
    pair.settle(AWAY_SECONDS)
    assert pair.titles(pair.bob) == ["A"]


def test_nod8_flows_that_are_level_cost_one_statement_for_many(pair: Pair) -> None:
    count = FLOWS_AT_ONCE + 5
    for number in range(count):
        pair.there.service.read(f"f{number}").addErrback(lambda _: None)
        client = pair.there.client() if number % 90 == 0 else client  # noqa: F821
        client.join(f"flow:f{number}", {"mode": "document", "client_id": "c"})
        if number % 45 == 0:
            pair.there.settle()
            pair.there.clock.advance(1)
    pair.settle()
    pair.forget()
    pair.there.clock.advance(UP_SECONDS)
    pair.settle()
    assert pair.stores[1].asked["ends"] == 2
    assert pair.stores[1].asked["head"] == 0


# NOD9: who hears what


def test_nod9_a_node_hears_of_what_it_has_open(pair: Pair) -> None:
    topics = pair.there.broker._topics  # type: ignore[union-attr]
    own = f"\0node{id(pair.there)}"
    assert set(topics) == {"", own, "f"}
    pair.bob.leave(FLOW)
    pair.there.clock.advance(20)
    pair.there.settle()
    assert set(topics) == {"", own}
    before = pair.count("helix.node.received", pair.there, kind="entries")
    pair.hear(kind="entries", epoch="e", version=9, chain=chain_text(origin_of("e")))
    assert pair.count("helix.node.received", pair.there, kind="entries") == before


def test_nod9_what_was_done_while_a_flow_was_loaded_is_looked_for(pair: Pair) -> None:
    pair.bob.leave(FLOW)
    pair.there.clock.advance(20)
    pair.bob.join(FLOW, {"mode": "document", "client_id": "bob"})
    while pair.there.flow() is None:
        pair.there.clock.turn()
    topics = pair.bus.brokers[1]._topics
    topics.pop("f")  # it isn't subscribed yet
    pair.here.library.patch("f", {"title": "A"})
    pair.here.settle()
    pair.there.clock.turn()
    topics["f"] = None
    pair.settle()
    assert pair.there.flow().log.version == 2


# NOD15: nobody else


def test_nod15_a_node_of_another_format_is_told_of_edits(bus: Bus) -> None:
    """It may understand them; and it can't be known what it has open."""
    world = World(store=CountedStore(), broker=bus.broker)
    world.library.create({"title": "Old"}, "f")
    ada = world.client()
    ada.join(FLOW, {"mode": "document", "client_id": "ada"})
    world.settle()
    world.clock.pump([1.0] * 16)
    bus.carry(None, EVERYONE, b'{"v":2,"node":"x","kind":"around","of":"tomorrow"}')
    world.settle()
    bus.sent.clear()
    world.library.patch("f", {"title": "A"})
    assert kinds(bus) == ["entries"]
    world.end()


def test_nod15_a_lone_node_tells_of_no_edits(bus: Bus) -> None:
    store = CountedStore()
    alone = World(store=store, broker=bus.broker)
    alone.library.create({"title": "Old"}, "f")
    ada = alone.client()
    ada.join(FLOW, {"mode": "document", "client_id": "ada"})
    alone.settle()
    alone.library.patch("f", {"title": "A"})  # there may be others yet
    assert kinds(bus)[-1] == "entries"
    alone.clock.pump([1.0] * 16)
    bus.sent.clear()
    alone.library.patch("f", {"title": "B"})
    assert kinds(bus) == []
    other = World(store=CountedStore(store), broker=bus.broker, seed=1)
    alone.settle()
    alone.library.patch("f", {"title": "C"})
    assert kinds(bus) == ["lost", "here", "open", "entries"]
    for _ in range(40):
        alone.clock.advance(1)
        other.clock.advance(1)
    bus.sent.clear()
    alone.library.patch("f", {"title": "D"})
    assert kinds(bus) == []  # the other one hasn't opened the flow
    other.end()
    alone.end()


# NOD130: which edits are told


@pytest.fixture
def found(pair: Pair) -> Pair:
    """Nodes that have found each other long ago; nobody but Ada has the flow open."""
    pair.bob.leave(FLOW)
    for _ in range(20):
        pair.settle(1.0)
    pair.forget()
    return pair


def told(pair: Pair, title: str) -> bool:
    """Whether an edit on one node was told."""
    pair.forget()
    pair.edit(pair.ada, title)
    pair.settle()
    return "entries" in kinds(pair.bus)


def test_nod130_only_edits_of_flows_that_other_nodes_have_open_are_told(found: Pair) -> None:
    assert not told(found, "A")
    found.join(found.bob, "bob")
    assert told(found, "B")
    assert found.titles(found.bob) == ["B"]
    assert found.stores[1].asked == {}
    found.bob.leave(FLOW)
    for _ in range(20):
        found.settle(1.0)
    assert not told(found, "C")


def test_nod130_who_opens_a_flow_is_told_how_far_it_has_come(found: Pair) -> None:
    """What was stored after it read the flow, and before it was known to have it open."""
    deaf = found.bus.brokers[0]._topics
    del deaf[EVERYONE]
    found.join(found.bob, "bob")
    assert not told(found, "A")
    assert found.titles(found.bob) == []
    deaf[EVERYONE] = None
    found.there.nodes._rosters.announce_all()  # type: ignore[union-attr]
    found.settle(0.1)
    assert found.titles(found.bob) == ["A"]
    assert found.stores[1].asked["ends"] == 0


def test_nod130_a_node_that_does_not_say_what_it_has_open_is_told_all(found: Pair) -> None:
    found.hear(EVERYONE, kind="here")
    assert told(found, "A")
    found.hear(EVERYONE, kind="open", at=0, flows={})
    assert not told(found, "B")
    for _ in range(20):
        found.settle(1.0)
    found.hear(EVERYONE, kind="here")  # and was silent before
    assert told(found, "C")


def test_nod130_all_is_told_until_what_is_open_was_said_again(found: Pair) -> None:
    deaf = found.bus.brokers[0]._topics
    found.bus.set_up(False)
    found.bus.set_up(True)
    del deaf[EVERYONE]
    found.settle(1.0)
    assert told(found, "A")
    found.here.clock.advance(SILENCE)
    deaf[EVERYONE] = None
    for _ in range(20):
        found.settle(1.0)
    assert not told(found, "B")


def test_nod130_a_node_that_is_gone_is_told_nothing(found: Pair) -> None:
    found.join(found.bob, "bob")
    found.there.clock.stop()
    for _ in range(16):
        found.settle(1.0)
    assert not told(found, "A")
    found.there.clock.go_on()
    for _ in range(10):
        found.settle(1.0)
    assert found.titles(found.bob) == ["A"]
    assert told(found, "B")


def kinds(bus: Bus) -> list[str]:
    """Of the messages that were sent."""
    return [json.loads(message)["kind"] for _, message in bus.sent]
