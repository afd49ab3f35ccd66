"""A store and a broker on PostgreSQL, through a pooler. (docs/spec.md, NOD100 to NOD104)"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor as the_reactor
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from helix.broker import echo
from helix.broker.postgresql import PostgresBroker, _PostgresLinks
from helix.errors import StoreError, StoreReadOnly, StoreUnavailable
from helix.records import HeadQuery, Summary
from helix.store.postgresql import wire
from helix.store.postgresql.address import Address
from helix.store.postgresql.failures import STATEMENT_POOLING
from helix.store.postgresql.store import PostgresStore
from helix.store.postgresql.wire import Bounds, Connection
from tests.broker.test_contract import Ear, Party, until
from tests.store.data import T0, add, entries, entry, keep
from tests.support.pooler import Pooler, needs_pgbouncer, running_pgbouncer
from tests.support.postgres import PostgresServer

reactor: Any = the_reactor  # a module, as far as types go

KINDS = ["small", pytest.param("pgbouncer", marks=needs_pgbouncer)]

LEFT = """
SELECT name, setting FROM pg_settings
WHERE source = 'session' AND name NOT IN ('client_encoding', 'application_name', 'DateStyle')
UNION ALL SELECT 'channel', pg_listening_channels()
UNION ALL SELECT 'prepared', name FROM pg_prepared_statements
UNION ALL SELECT 'cursor', name FROM pg_cursors
UNION ALL SELECT 'lock', objid::text FROM pg_locks
    WHERE locktype = 'advisory' AND pid = pg_backend_pid()
UNION ALL SELECT 'table', relname FROM pg_class
    WHERE relpersistence = 't' AND relnamespace = pg_my_temp_schema()
"""

Pooled = Callable[..., str]


@pytest.fixture
def pooled(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, url: str, tmp_path: Path
) -> Iterator[Pooled]:
    """
    Makes a pooler of the kind of the test's parameter, in a mode, and gives the URL of an empty
    schema through it. No connection is reset between two clients of it.
    """
    with ExitStack() as stack:

        def pooled(mode: str, size: int = 20) -> str:
            if request.param == "small":
                pooler = Pooler(reactor, postgres_server.port, mode, keeps=True, size=size)
                stack.callback(pooler.stop)
                port = pooler.own_port
            else:
                own = ("server_reset_query =", f"default_pool_size = {size}")
                port = stack.enter_context(running_pgbouncer(tmp_path, postgres_server, mode, *own))
            return url.replace(str(postgres_server.port), str(port))

        yield pooled


@contextmanager
def logged() -> Iterator[list[str]]:
    """What is logged meanwhile."""
    lines: list[str] = []

    def note(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(note)
    try:
        yield lines
    finally:
        globalLogPublisher.removeObserver(note)


def begun(broker: PostgresBroker) -> tuple[PostgresBroker, Ear]:
    """A broker that has begun with a topic, and perhaps isn't up."""
    ear = Ear()
    broker.subscribe("a")
    broker.start(ear)
    return broker, ear


def is_warned(broker: PostgresBroker) -> bool:
    """Whether it has said that it can do nothing here."""
    links = broker._links
    assert isinstance(links, _PostgresLinks)
    return links._is_warned


def left_on(url: str, connections: int) -> set[tuple[str, str]]:
    """What the next clients of a pooler find on as many of its connections to the server."""
    address = url.partition("?")[0]
    found: set[tuple[str, str]] = set()
    with ExitStack() as stack:
        for _ in range(connections):
            connection = psycopg2.connect(address, connect_timeout=5)
            stack.callback(connection.close)
            cursor = connection.cursor()  # its transaction keeps its connection to the server
            cursor.execute(LEFT)
            found.update(cursor.fetchall())
    return found


@pytest.mark.parametrize("pooled", KINDS, indirect=True)
@pytest.mark.parametrize("mode", ["session", "transaction"])
@ensureDeferred
async def test_nod100_a_store_works_through_a_pooler(pooled: Pooled, mode: str) -> None:
    url = pooled(mode, 20 if mode == "session" else 3)
    stores = [PostgresStore(url, reactor) for _ in range(2)]
    await gatherResults([store.start() for store in stores])
    await keep(stores[0], "f", entries(1, 2))
    for version in range(2, 22):
        await add(stores[version % 2], "f", "e1", version, [entry(version + 1)], Summary("t"))
    flows = [f"g{number}" for number in range(40)]
    await gatherResults([keep(stores[0], flow_id) for flow_id in flows])
    asked = [add(stores[1], flow_id, "e1", 0, entries(1, 5), Summary()) for flow_id in flows]
    await gatherResults(asked)
    for store in stores:
        assert (await store.load("f")).entries == entries(1, 22)
        assert {head.version for head in await store.heads(HeadQuery(text="g"))} == {5}
        await store.stop()


@pytest.mark.parametrize("pooled", KINDS, indirect=True)
@pytest.mark.parametrize("mode", ["session", "transaction"])
@ensureDeferred
async def test_nod100_what_only_reads_writes_nothing_through_a_pooler(
    pooled: Pooled, mode: str
) -> None:
    url = pooled(mode)
    store = PostgresStore(url, reactor)
    await store.start()
    await keep(store, "f", entries(1, 2))
    reader = PostgresStore(url, reactor, Bounds(wait=0.5), read_only=True)
    await reader.start()
    assert (await reader.load("f")).entries == entries(1, 2)
    for asked in (
        add(reader, "f", "e1", 2, [entry(3)], Summary()),
        reader.create("g", "e2", T0),
        reader.delete("f", T0),
    ):
        with pytest.raises(StoreReadOnly):
            await asked
    await reader.stop()
    await add(store, "f", "e1", 2, [entry(3)], Summary())
    await store.stop()


@pytest.mark.parametrize("pooled", KINDS, indirect=True)
@pytest.mark.parametrize("mode", ["session", "transaction"])
@ensureDeferred
async def test_nod101_nothing_is_left_for_others_who_use_the_pool(
    pooled: Pooled, mode: str
) -> None:
    """A pool of a few connections, none of which is reset."""
    size = 16 if mode == "session" else 8  # each client of a session has one for itself
    url = pooled(mode, size)
    store = PostgresStore(url, reactor)
    reader = PostgresStore(url, reactor, read_only=True)
    await store.start()
    await reader.start()
    await keep(store, "f", entries(1, 2))
    await add(store, "f", "e1", 2, entries(3, 3), Summary())
    await gatherResults([store.load("f") for _ in range(20)])
    await reader.load("f")
    broker, _ = begun(PostgresBroker(url, reactor))
    if mode == "transaction":
        await until(lambda: is_warned(broker))
        assert await deferToThread(left_on, url, 3) == set()
    else:
        await until(lambda: broker.is_up)
    for one in (broker, store, reader):
        await one.stop()
    assert await deferToThread(left_on, url, size) == set()


@pytest.mark.parametrize("pooled", KINDS, indirect=True)
@ensureDeferred
async def test_nod102_a_pool_of_statements_is_refused_at_the_start(pooled: Pooled) -> None:
    url = pooled("statement")
    for read_only in (False, True):
        began = reactor.seconds()
        store = PostgresStore(url, reactor, read_only=read_only)
        with pytest.raises(StoreError) as caught:
            await store.start()
        await store.stop()
        assert caught.value.message == STATEMENT_POOLING
        assert "pool_mode = statement" in caught.value.message
        assert not caught.value.retry
        assert reactor.seconds() - began < 5.0


@pytest.mark.parametrize("pooled", KINDS, indirect=True)
@ensureDeferred
async def test_nod103_a_broker_in_session_mode_carries_messages(pooled: Pooled) -> None:
    url = pooled("session")
    party = Party(lambda: PostgresBroker(url, reactor))
    one, _ = await party.join("a")
    _, ear = await party.join("a")
    one.publish("a", b"1")
    await until(lambda: ear.messages == [("a", b"1")])
    for broker in party.brokers:
        await broker.stop()


@pytest.mark.parametrize("pooled", KINDS, indirect=True)
@pytest.mark.parametrize("others", [0, 3])
@ensureDeferred
async def test_nod103_a_broker_in_transaction_mode_says_why_it_carries_nothing(
    pooled: Pooled, url: str, others: int
) -> None:
    """
    What it sends itself comes back all the same, as long as it is given the same connection again.
    """
    there = pooled("transaction")
    await deferToThread(left_on, there, others)  # as many connections to the server, to choose from
    with logged() as lines:
        broker, ear = begun(PostgresBroker(there, reactor))
        await until(lambda: is_warned(broker))
        assert not broker.is_up
        assert ear.states == []
        await broker.stop()
    (said,) = [line for line in lines if "pooler" in line]
    assert "pool_mode = transaction" in said
    assert "--broker" in said
    # With an address of its own it works, and hears those who have none in between.
    party = Party(lambda: PostgresBroker(url, reactor))
    one, _ = await party.join("a")
    _, ear = await party.join("a")
    one.publish("a", b"1")
    await until(lambda: ear.messages == [("a", b"1")])
    for joined in party.brokers:
        await joined.stop()


@ensureDeferred
async def test_nod103_what_a_broker_sends_itself_over_a_shared_connection_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, postgres_server: PostgresServer, url: str
) -> None:
    """A pooler whose connections could not be told apart: the first echo is another client's."""
    monkeypatch.setattr(echo, "ECHO_PATIENCE", 0.3)

    async def is_ours(*_: object) -> bool:
        return True

    monkeypatch.setattr(_PostgresLinks, "_is_ours", is_ours)
    pooler = Pooler(reactor, postgres_server.port, "transaction")
    there = url.replace(str(postgres_server.port), str(pooler.own_port))
    # Two connections, so that the listening one is idle when the other one sends.
    held = await deferToThread(psycopg2.connect, there.partition("?")[0])
    cursor = held.cursor()
    await deferToThread(cursor.execute, "SELECT 1")
    broker, ear = begun(PostgresBroker(there, reactor))
    await deferToThread(held.rollback)
    await until(lambda: bool(broker._trouble))
    assert not broker.is_up
    assert ear.states == []
    await broker.stop()
    held.close()
    await pooler.stop()


@pytest.mark.parametrize("pooled", KINDS, indirect=True)
@ensureDeferred
async def test_nod104_a_start_up_parameter_that_a_pooler_refuses_is_named(
    pooled: Pooled, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = pooled("session").partition("?")[0]
    monkeypatch.setenv("PGOPTIONS", "-c search_path=public")
    store = PostgresStore(url, reactor)
    with pytest.raises(StoreError, match="unsupported startup parameter: options") as caught:
        await store.start()
    await store.stop()
    assert "put options into the URL" in caught.value.message
    assert not caught.value.retry


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("-csearch_path%3Da", [("search_path", "a")]),
        ("-c%20search_path%3Da,b", [("search_path", "a,b")]),
        ("--lock-timeout%3D3%20-c%20a.b%3D", [("lock_timeout", "3"), ("a.b", "")]),
        (
            "-c%20search_path%3Da%5C%20b%5C%5C%20%20-cx%3Dy%3Dz",
            [("search_path", "a b\\"), ("x", "y=z")],
        ),
        ("", []),
    ],
)
def test_nod104_options_of_the_url_are_settings(
    options: str, settings: list[tuple[str, str]]
) -> None:
    address = Address.parse(f"postgresql://u@a,b/d?options={options}")
    for place in address.places:
        assert list(place.settings) == settings
        assert "options" not in place.parameters


@pytest.mark.parametrize("options", ["-e", "search_path%3Da", "-c%20a", "-W%203"])
def test_nod104_other_options_are_refused(options: str) -> None:
    with pytest.raises(StoreError, match="may be -c NAME=VALUE only"):
        Address.parse(f"postgresql://u@a/d?options={options}")


@pytest.mark.parametrize("options", ["-c%20nonsense%3D1", "-c%20lock_timeout%3Dx"])
@ensureDeferred
async def test_nod104_settings_that_the_server_does_not_take_end_the_start(
    postgres_server: PostgresServer, options: str
) -> None:
    store = PostgresStore(f"{postgres_server.url()}?options={options}", reactor)
    with pytest.raises(StoreError, match="doesn't take the settings") as caught:
        await store.start()
    assert not isinstance(caught.value, StoreUnavailable)
    await store.stop()


@ensureDeferred
async def test_nod104_each_transaction_has_its_settings(url: str) -> None:
    """Strange ones too, as they are."""
    value = "50%25%5C%20%27%C3%A9%5C%5C"
    address = Address.parse(f"{url}%20-c%20helix.odd%3D{value}")
    connection = Connection(reactor, Bounds(answer=3.0))
    await connection.open(address, 0)
    seen = """
    SELECT current_setting('helix.odd'), current_setting('statement_timeout'),
        current_setting('idle_in_transaction_session_timeout'), current_setting('enable_hashjoin'),
        current_setting('enable_mergejoin')
    """
    expected = [("50% 'é\\", "3s", "3s", "off", "off")]

    async def inside() -> None:
        assert await connection.ask(seen) == expected
        assert await connection.ask(seen, {}) == expected

    assert await connection.ask(seen) == expected
    await connection.transaction(inside)
    with pytest.raises(StoreError):
        await connection.transaction(lambda: connection.ask("SELECT 1 / 0"))
    assert await connection.ask(seen, {}) == expected
    connection.discard()


@ensureDeferred
async def test_nod104_a_statement_takes_no_longer_than_it_may(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """The server ends it, and the connection stays."""
    monkeypatch.setattr(wire, "GRACE", 5.0)
    connection = Connection(reactor, Bounds(answer=0.2))
    await connection.open(Address.parse(url), 0)
    with pytest.raises(StoreUnavailable):
        await connection.ask("SELECT pg_sleep(3)")
    assert not connection.is_gone
    assert await connection.ask("SELECT 1") == [(1,)]
    connection.discard()
