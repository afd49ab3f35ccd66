"""What the database tells of appends, in their round trip. (docs/spec.md, NOD140, NOD141)"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet import reactor as the_reactor
from twisted.internet.defer import DeferredList

from helix.broker.postgresql import PostgresBroker
from helix.errors import DuplicateOperation, FlowDeleted, FlowNotFound, VersionConflict
from helix.interfaces import Word
from helix.records import Actor, Entry, Summary
from helix.store.postgresql.store import PostgresStore
from tests.broker.test_contract import Ear, until
from tests.store.data import T0, add, entry, keep

reactor: Any = the_reactor  # a module, as far as types go

ODD = [rb'"it\'s a \\ and a \n"', b'"%s %(asked)s %"', b"\"\\'\\\"''\"", '"$1 é 🦉"'.encode()]


class Teller:
    """
    :ivar messages: what is told of an append, by the flow's id; of others, its version.
    :ivar heard: of which flows it was told that they are told of.
    """

    def __init__(self) -> None:
        self.messages: dict[str, bytes] = {}
        self.heard: list[str] = []

    def word(self, flow_id: str, epoch: str, entries: Sequence[Entry]) -> Word | None:
        version = b"%d" % entries[-1].version
        return Word(["t"], self.messages.get(flow_id, flow_id.encode() + b" " + version))

    def told(self, flow_id: str, entries: Sequence[Entry]) -> None:
        self.heard.append(flow_id)


class Party:
    """A store, a broker in the same place, and another node's ear."""

    def __init__(self, url: str) -> None:
        self.teller = Teller()
        self.store = PostgresStore(url, reactor)
        self.broker = PostgresBroker(url, reactor, store=self.store)
        self.broker.tell_by_appends(self.teller)  # type: ignore[arg-type]
        self.other = PostgresBroker(url, reactor)
        self.other.subscribe("t")
        self.ear = Ear()

    async def begin(self) -> None:
        await self.store.start()
        self.broker.start(Ear())
        self.other.start(self.ear)
        await until(lambda: "t" in self.ear.topics and self.other.is_up and self.broker.is_up)

    async def end(self) -> None:
        for broker in (self.broker, self.other):
            await broker.stop()
        await self.store.stop()

    @property
    def texts(self) -> list[bytes]:
        return [message for _, message in self.ear.messages]


@async_yield_fixture
async def party(url: str) -> AsyncIterator[Party]:
    party = Party(url)
    await party.begin()
    yield party
    await party.end()


@pytest.mark.parametrize("standard", ["on", "off"])
@ensureDeferred
async def test_nod140_messages_come_as_they_were_with_the_append(url: str, standard: str) -> None:
    party = Party(f"{url}%20-cstandard_conforming_strings%3D{standard}")
    await party.begin()
    try:
        flows = [f"f{n}" for n in range(len(ODD))]
        party.teller.messages = dict(zip(flows, ODD, strict=True))
        for flow_id in flows:
            await keep(party.store, flow_id)
        for flow_id in flows:
            await add(party.store, flow_id, "e1", 0, [entry(1)], Summary())
        assert party.teller.heard == flows
        await until(lambda: len(party.ear.messages) == len(ODD))
        assert party.texts == ODD
    finally:
        await party.end()


@ensureDeferred
async def test_nod140_entries_with_authors_too(party: Party) -> None:
    await keep(party.store, "f")
    one = Entry(1, b"{}", T0, "Ada", "c", 1, (), bytes(8), Actor("ada", "person", "Ada"))
    await add(party.store, "f", "e1", 0, [one], Summary())
    assert party.teller.heard == ["f"]
    assert (await party.store.load("f")).entries[0].actor == one.actor
    await until(lambda: party.texts == [b"f 1"])


@ensureDeferred
async def test_nod141_only_what_was_appended_is_told(party: Party) -> None:
    """Of one batch: some are told of, and each fails as without that."""
    for flow_id in ("a", "b", "c", "d"):
        await keep(party.store, flow_id, [entry(1, ("c", 1))])
    await party.store.delete("c", T0)
    asked = [
        add(party.store, flow_id, "e1", base, [entry(base + 1)], Summary())
        for flow_id, base in [("a", 1), ("b", 0), ("c", 1), ("x", 1), ("d", 1)]
    ]
    results = await DeferredList(asked, consumeErrors=True)
    failures = [None if is_done else result.type for is_done, result in results]
    assert failures == [None, VersionConflict, FlowDeleted, FlowNotFound, None]
    assert party.teller.heard == ["a", "d"]
    await until(lambda: len(party.ear.messages) == 2)
    assert party.texts == [b"a 2", b"d 2"]
    again = add(party.store, "b", "e1", 1, [entry(2, ("c", 1))], Summary())
    (outcome,) = await DeferredList([again], consumeErrors=True)
    assert outcome[1].type is DuplicateOperation
    await add(party.store, "b", "e1", 1, [entry(2)], Summary())
    await until(lambda: len(party.ear.messages) == 3)
    assert party.texts[2:] == [b"b 2"]


@ensureDeferred
async def test_nod141_where_only_the_message_fails_the_append_is_done(party: Party) -> None:
    """It is more than the server takes. Whoever has appended then tells of it otherwise."""
    await keep(party.store, "f")
    await keep(party.store, "g")
    party.teller.messages["f"] = b"x" * 9000
    asked = [add(party.store, one, "e1", 0, [entry(1)], Summary()) for one in ("f", "g")]
    results = await DeferredList(asked, consumeErrors=True)
    assert [is_done for is_done, _ in results] == [True, True]
    assert party.teller.heard == party.texts == []
    assert [(await party.store.head(one)).version for one in ("f", "g")] == [1, 1]
    await add(party.store, "g", "e1", 1, [entry(2)], Summary())
    assert party.teller.heard == ["g"]


@ensureDeferred
async def test_nod141_what_is_told_is_on_the_disk(party: Party) -> None:
    """It is told in another transaction than the append, which waits for no disk."""
    await keep(party.store, "f")
    asked = "SELECT DISTINCT xmin::text FROM helix_entries"
    for version in range(3):
        await add(party.store, "f", "e1", version, [entry(version + 1)], Summary())
    assert len(await party.store._pool.run(lambda connection: connection.ask(asked))) == 3
    settings = "SELECT current_setting('synchronous_commit')"
    assert await party.store._pool.run(lambda connection: connection.ask(settings)) == [("on",)]


@ensureDeferred
async def test_nod142_a_broker_in_another_place_leaves_the_store_alone(url: str) -> None:
    store = PostgresStore(url, reactor)
    elsewhere = url.replace("helix@", "guard@", 1)
    assert store.is_at(url)
    for broker in (PostgresBroker(elsewhere, reactor, store=store), PostgresBroker(url, reactor)):
        broker.tell_by_appends(Teller())  # type: ignore[arg-type]
        assert store._appends.teller is None


@ensureDeferred
async def test_nod142_on_a_connection_that_others_may_use_nothing_is_told(party: Party) -> None:
    await keep(party.store, "f")
    for connection in party.store._pool._all:
        connection.is_pooled = True
    await add(party.store, "f", "e1", 0, [entry(1)], Summary())
    assert party.teller.heard == []
    kept = "SELECT current_setting('helix.lost', true)"
    told = [await one.ask(kept) for one in party.store._pool._all]
    assert {row for rows in told for row in rows} <= {(None,), ("",)}
