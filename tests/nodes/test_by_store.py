"""What the store tells other nodes of appends. (docs/spec.md, NOD140 to NOD142)"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from helix.broker.carrier import SEND_SECONDS
from helix.interfaces import ITeller
from helix.nodes.by_store import APART, MAX_READERS
from helix.nodes.neighbours import SILENCE
from helix.nodes.topics import EVERYONE, topic_of
from helix.records import Entry, Summary
from tests.nodes.test_nodes import FLOW, CountedStore, Pair
from tests.support.bus import Bus

assert SEND_SECONDS < APART


class TellingStore(CountedStore):
    """
    A store that tells what it is to tell, as soon as it has stored that.

    :ivar bus: to which it tells it; whoever appends hears it, too.
    :ivar teller: who says it.
    """

    bus: Bus
    teller: ITeller | None = None

    def append(
        self,
        flow_id: str,
        epoch: str,
        base: int,
        base_chain: bytes,
        entries: Sequence[Entry],
        summary: Summary,
    ) -> Deferred[None]:
        teller = self.teller
        assert teller is not None
        word = teller.word(flow_id, epoch, entries)
        done = super().append(flow_id, epoch, base, base_chain, entries, summary)

        def tell(result: None) -> None:
            if word is not None:
                for topic in word.topics:
                    self.bus.carry(None, topic, word.message)
                teller.told(flow_id, entries)

        return done.addCallback(tell)


class TellingPair(Pair):
    """Two nodes that have found each other, with a store that tells."""

    make_store = TellingStore

    def __init__(self) -> None:
        super().__init__(Bus())
        for _ in range(int(SILENCE) + 5):
            self.settle(1.0)
        self.forget()

    def join(self, client: Any, name: str) -> None:
        for world, store in zip((self.here, self.there), self.stores, strict=True):
            assert isinstance(store, TellingStore)
            assert world.nodes is not None
            store.bus, store.teller = self.bus, world.nodes._telling._by_store
        super().join(client, name)

    def entries(self) -> list[tuple[str, str]]:
        """Of messages of entries: the topic, and the flow that they name; and forget them."""
        sent, self.bus.sent[:] = self.bus.sent[:], []
        told = [(topic, json.loads(message)) for topic, message in sent]
        return [(topic, one.get("flow", "")) for topic, one in told if one["kind"] == "entries"]

    @property
    def there_alone(self) -> str:
        """The other node's own topic."""
        assert self.there.nodes is not None
        return topic_of(self.there.nodes._telling.node)


@pytest.fixture
def pair() -> Iterator[TellingPair]:
    pair = TellingPair()
    yield pair
    for world in (pair.here, pair.there):
        world.end()


def test_nod140_the_store_tells_those_who_have_the_flow_open(pair: TellingPair) -> None:
    before = pair.count("helix.node.sent", pair.here, kind="entries")
    for title in ("A", "B"):
        pair.edit(pair.ada, title)
    pair.settle()
    assert pair.count("helix.node.sent", pair.here, kind="entries") == before + 2
    assert pair.entries() == [(pair.there_alone, "f")] * 2
    assert pair.titles(pair.bob) == ["A", "B"]
    assert pair.stores[1].asked == {}
    pair.bob.leave(FLOW)
    for _ in range(20):
        pair.settle(1.0)
    pair.edit(pair.ada, "C")
    pair.settle()
    assert pair.entries() == []


def test_nod140_who_opens_the_flow_while_it_is_stored_is_told_too(pair: TellingPair) -> None:
    """Only the first node was asked whom to tell, and it knew of nobody else."""
    pair.stores[0].holding = True
    pair.edit(pair.ada, "A")
    pair.hear(EVERYONE, node="z", kind="here")
    pair.hear(EVERYONE, node="z", kind="open", at=0, flows={"f": [1, 0]}, entries=True)
    pair.entries()
    pair.stores[0].holding = False
    pair.stores[0].let_through()
    pair.settle()
    assert pair.entries() == [(pair.there_alone, "f"), ("f", "")]
    assert pair.titles(pair.bob) == ["A"]


def test_nod141_what_fails_is_told_by_nobody(pair: TellingPair) -> None:
    """The second node's append comes second, and is made again."""
    for store in pair.stores:
        store.holding = True
    pair.edit(pair.ada, "A")
    pair.edit(pair.bob, "B")
    for store in pair.stores:
        store.holding = False
        store.let_through()
    pair.settle(0.5)
    assert [flow for _, flow in pair.entries()] == ["f", "f"]
    assert pair.titles(pair.ada) == pair.titles(pair.bob) == ["A", "B"]


@pytest.mark.parametrize("what", ["a doubt", "an earlier version", "too many", "no number"])
def test_nod142_otherwise_edits_are_published(pair: TellingPair, what: str) -> None:
    count = MAX_READERS if what == "too many" else 1
    if what in ("an earlier version", "too many"):
        for number in range(count):
            about = {"entries": True} if what == "too many" else {}
            pair.hear(EVERYONE, node=f"z{number}", kind="here")
            opened = {"node": f"z{number}", "kind": "open", "at": 0, "flows": {"f": [1, 0]}}
            pair.hear(EVERYONE, **opened, **about)
    elif what == "a doubt":
        assert pair.here.nodes is not None
        pair.here.nodes._telling.neighbours.doubt()
    pair.entries()
    if what == "no number":
        pair.here.library.patch("f", {"title": "A"})
    else:
        pair.edit(pair.ada, "A")
    pair.settle()
    assert pair.entries() == [("f", "")]
    assert pair.titles(pair.bob) == ["A"]


def test_nod142_nothing_overtakes_what_was_published(pair: TellingPair) -> None:
    pair.here.library.patch("f", {"title": "A"})
    pair.edit(pair.ada, "B")
    pair.settle(APART)
    pair.edit(pair.ada, "C")
    pair.settle()
    assert pair.entries() == [("f", ""), ("f", ""), (pair.there_alone, "f")]
    assert pair.titles(pair.bob) == ["A", "B", "C"]
