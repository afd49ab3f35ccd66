"""What every broker does. (docs/spec.md, NOD10)"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from random import Random
from typing import Any

import pytest
from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet import reactor as the_reactor
from twisted.internet.task import deferLater
from zope.interface import implementer
from zope.interface.verify import verifyObject

from helix.broker.opening import open_broker
from helix.interfaces import IBroker, IBrokerListener
from helix.store.memory import MemoryStore
from tests.support.bus import Bus
from tests.support.postgres import shared_server
from tests.support.valkey import SERVERS, shared_valkey

reactor: Any = the_reactor  # a module, as far as types go

STORE = MemoryStore()
"""What the nodes share, as far as brokers care."""

STORE.start()


@implementer(IBrokerListener)
class Ear:
    """
    :ivar messages: what was heard: topic, message.
    :ivar topics: what is heard, as the broker said so, in order.
    :ivar states: whether it is there, in order.
    """

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.topics: list[str] = []
        self.states: list[bool] = []

    def heard(self, topic: str, message: bytes) -> None:
        self.messages.append((topic, message))

    def subscribed(self, topics: Sequence[str]) -> None:
        self.topics += topics

    def came_back(self) -> None:
        self.states.append(True)

    def went_away(self) -> None:
        self.states.append(False)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Give the reactor its turns until ``condition``, for a bounded time."""
    deadline = reactor.seconds() + seconds
    while not condition():
        assert reactor.seconds() < deadline, "it takes too long"
        await deferLater(reactor, 0.005)


def new_place(kind: str) -> str:
    """The URL of a broker that nobody else uses."""
    if kind == "postgresql":
        return shared_server().make_schema()
    server = shared_valkey(kind)
    return server.url(server.number())


class Party:
    """Brokers that reach each other, and who listens at them."""

    def __init__(self, make: Callable[[], IBroker]) -> None:
        self._make = make
        self.brokers: list[IBroker] = []

    async def join(self, *topics: str) -> tuple[IBroker, Ear]:
        """One more, which has subscribed."""
        broker, ear = self._make(), Ear()
        self.brokers.append(broker)
        for topic in topics:
            broker.subscribe(topic)
        broker.start(ear)
        await until(lambda: set(ear.topics) >= set(topics) and broker.is_up)
        return broker, ear


def opened(url: str) -> IBroker:
    """The broker that a URL names, for nodes on one store."""
    return open_broker(url, reactor, STORE, Random())


@async_yield_fixture(params=["local", "postgresql", *SERVERS])
async def party(request: pytest.FixtureRequest) -> AsyncIterator[Party]:
    if request.param == "local":
        bus = Bus()
        party = Party(lambda: bus.broker(reactor))
    else:
        url = new_place(request.param)
        party = Party(lambda: opened(url))
    yield party
    for broker in party.brokers:
        await broker.stop()


@ensureDeferred
async def test_nod10_it_has_what_the_interface_names(party: Party) -> None:
    broker, ear = await party.join()
    assert verifyObject(IBroker, broker)
    assert verifyObject(IBrokerListener, ear)
    assert ear.states == [True]


@ensureDeferred
async def test_nod10_what_is_subscribed_to_again_at_once_is_told_as_heard(party: Party) -> None:
    """Who subscribes may have missed what came before, however short that was."""
    broker, ear = await party.join("a")
    ear.topics.clear()
    broker.unsubscribe("a")
    broker.subscribe("a")
    await until(lambda: ear.topics == ["a"])
    other, _ = await party.join()
    other.publish("a", b"1")
    await until(lambda: ear.messages == [("a", b"1")])


@ensureDeferred
async def test_nod10_others_hear_what_they_subscribed_to_in_order(party: Party) -> None:
    one, own = await party.join("a", "b")
    _, other = await party.join("a")
    for number in range(1200):
        one.publish("ab"[number % 2], b'"%d"' % number)
    await until(lambda: len(other.messages) >= 600)
    assert other.messages == [("a", b'"%d"' % number) for number in range(0, 1200, 2)]
    assert own.messages in ([], [("ab"[n % 2], b'"%d"' % n) for n in range(1200)])


@ensureDeferred
async def test_nod10_a_topic_may_be_any_text(party: Party) -> None:
    topics = ["", "x" * 300, "x" * 300 + "y", 'a"; DROP', "\0\ud83d", "\U0001f600", "A", "a"]
    one, _ = await party.join()
    _, other = await party.join(*topics)
    for topic in topics:
        one.publish(topic, b"[]")
    await until(lambda: len(other.messages) >= len(topics))
    assert other.messages == [(topic, b"[]") for topic in topics]


@ensureDeferred
async def test_nod10_the_largest_message_arrives_as_it_was(party: Party) -> None:
    one, _ = await party.join()
    _, other = await party.join("a")
    text = '"\\u0000 \x7f\u2028\U0001f600 %s'
    message = text.encode() + b"x" * (one.max_bytes - len(text.encode()) - 1) + b'"'
    assert len(message) == one.max_bytes
    one.publish("a", message)
    await until(lambda: bool(other.messages))
    assert other.messages == [("a", message)]


@ensureDeferred
async def test_nod10_a_subscription_begins_and_ends_at_any_time(party: Party) -> None:
    one, _ = await party.join()
    other, ear = await party.join("a")
    other.subscribe("b")
    await until(lambda: "b" in ear.topics)
    other.unsubscribe("a")
    other.unsubscribe("never")
    other.subscribe("c")
    other.unsubscribe("c")
    other.subscribe("d")
    await until(lambda: "d" in ear.topics)
    for topic in "abcd":
        one.publish(topic, b"1")
    await until(lambda: len(ear.messages) >= 2)
    assert ear.messages == [("b", b"1"), ("d", b"1")]


@ensureDeferred
async def test_nod10_what_was_published_before_the_end_is_sent(party: Party) -> None:
    one, _ = await party.join()
    _, other = await party.join("a")
    one.publish("a", b"1")
    await one.stop()
    one.publish("a", b"2")
    one.unsubscribe("a")
    await until(lambda: bool(other.messages))
    assert not one.is_up
    assert other.messages == [("a", b"1")]
