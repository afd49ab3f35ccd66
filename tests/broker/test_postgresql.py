"""The broker over PostgreSQL. (docs/spec.md, NOD11)"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import Clock

from helix.broker import echo
from helix.broker.carrier import AT_ONCE, MAX_WAITING_BYTES
from helix.broker.postgresql import PostgresBroker, _PostgresLink
from helix.errors import StoreError
from helix.interfaces import Relayed, Way
from helix.nodes.messages import Part, decode
from helix.nodes.post import Parts
from helix.nodes.telling import Telling
from helix.store.postgresql.wire import Bounds
from helix.telemetry.events import Telemetry
from tests.broker.test_contract import Ear, Party, until
from tests.store.proxy import Proxy
from tests.support.postgres import PASSWORD, PostgresServer


def party_of(url: str) -> Party:
    return Party(lambda: PostgresBroker(url, reactor, Bounds(wait=1.0, answer=1.0)))


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[Proxy]:
    proxy = Proxy(reactor, postgres_server.port)
    yield proxy
    proxy.stop()


def test_nod11_an_address_that_cannot_be_read_is_refused_without_its_password() -> None:
    with pytest.raises(StoreError) as caught:
        PostgresBroker(f"postgresql://guard:{PASSWORD}@x@y/z", reactor)
    assert PASSWORD not in str(caught.value)


@ensureDeferred
async def test_nod11_stores_in_other_schemas_are_not_heard(
    postgres_server: PostgresServer, url: str
) -> None:
    here, there = party_of(url), party_of(postgres_server.make_schema())
    one, _ = await here.join()
    _, other = await here.join("a")
    _, stranger = await there.join("a")
    one.publish("a", b"1")
    await until(lambda: bool(other.messages))
    one.publish("a", b"2")
    await until(lambda: len(other.messages) == 2)
    assert stranger.messages == []
    for broker in (*here.brokers, *there.brokers):
        await broker.stop()


@ensureDeferred
async def test_nod11_a_connection_that_is_cut_comes_back_with_all_topics(
    postgres_server: PostgresServer, url: str
) -> None:
    party = party_of(url)
    topics = [f"t{number}" for number in range(AT_ONCE + 20)]
    one, _ = await party.join()
    other, ear = await party.join(*topics)
    process = other._link._process  # type: ignore[attr-defined]
    postgres_server.execute(f"SELECT pg_terminate_backend({process}, 5000)")
    await until(lambda: ear.states == [True, False])
    other.unsubscribe(topics.pop())
    ear.topics.clear()
    await until(lambda: ear.states == [True, False, True])
    assert ear.topics == topics
    one.publish(topics[-1], b"1")
    await until(lambda: bool(ear.messages))
    for broker in party.brokers:
        await broker.stop()


@ensureDeferred
async def test_nod11_a_server_that_falls_silent_is_noticed(
    monkeypatch: pytest.MonkeyPatch, postgres_server: PostgresServer, url: str, proxy: Proxy
) -> None:
    """Nothing passes, and nothing is closed."""
    monkeypatch.setattr(echo, "ECHO_SECONDS", 0.1)
    monkeypatch.setattr(echo, "ECHO_PATIENCE", 0.3)
    party = party_of(url.replace(str(postgres_server.port), str(proxy.own_port)))
    broker, ear = await party.join("a")
    for one in list(proxy.clients):
        one.transport.pauseProducing()
    await until(lambda: ear.states == [True, False])
    assert not broker.is_up
    await until(lambda: ear.states == [True, False, True])
    await broker.stop()


@ensureDeferred
async def test_nod11_where_messages_do_not_come_it_is_not_up(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """As behind a pooler that gives each transaction another connection."""
    monkeypatch.setattr(echo, "ECHO_PATIENCE", 0.1)
    monkeypatch.setattr(_PostgresLink, "_notified", lambda *_: None)
    broker, ear = PostgresBroker(url, reactor), Ear()
    broker.start(ear)
    await until(lambda: bool(broker._trouble))
    assert not broker.is_up
    assert ear.states == []
    await broker.stop()


@ensureDeferred
async def test_nod11_it_gives_up_a_connection_that_is_too_slow(url: str) -> None:
    party = party_of(url)
    broker, ear = await party.join()
    message = b'"%s"' % (b"x" * 7000)
    for _ in range(MAX_WAITING_BYTES // len(message) + 1):
        broker.publish("a", message)
    await until(lambda: ear.states == [True, False, True])
    await broker.stop()


@ensureDeferred
async def test_nod143_large_broadcasts_at_once_do_not_cost_the_connection(url: str) -> None:
    """Those for which there is no room are lost, and what is small comes."""
    party = party_of(url)
    broker, ear = await party.join()
    _, other = await party.join("f")
    clock = Clock()
    telling = Telling(broker, "n", clock, clock.seconds, Telemetry())
    for number in range(12):
        telling.relayed("f", Relayed(Way.BINARY, b"%02d" % number + b"x" * 700_000))
    telling.changed("f")
    parts, whole = Parts(clock), []
    await until(lambda: bool(other.messages) and decode(other.messages[-1][1])[1] == "flow")
    for topic, message in other.messages[:-1]:
        _, _, part = decode(message)
        assert isinstance(part, Part)
        whole.append(parts.take(topic, "n", part))
    came = [decode(one)[2] for one in whole if one is not None]
    numbers = [int(one.changes[:2]) for one in came if isinstance(one, Relayed)]
    assert 3 <= len(numbers) < 12
    assert numbers == list(range(len(numbers)))
    assert ear.states == [True]
    for one in party.brokers:
        await one.stop()
