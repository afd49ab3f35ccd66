"""What is PostgreSQL's own: what goes together, what races, and odd texts. (docs/spec.md, PGS)"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import AsyncIterator, Sequence
from errno import EMFILE
from random import Random
from select import select
from socket import getaddrinfo, socketpair
from typing import Any

import attrs
import msgspec
import pytest
from psycopg2 import OperationalError
from psycopg2.extensions import POLL_READ, POLL_WRITE, STATUS_READY
from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from txpostgres import txpostgres

from helix.access.sharing import FlowAccess, owner_subject
from helix.documents.ids import public_id
from helix.errors import (
    DuplicateOperation,
    FlowNotFound,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    VersionConflict,
)
from helix.records import Actor, AuditEntry, Entry, HeadQuery, NamedVersion, Scope, Summary
from helix.store.postgresql.adding import APPEND, encode_append
from helix.store.postgresql.address import Address
from helix.store.postgresql.audit import add_audit, new_ticket
from helix.store.postgresql.failures import ConnectionGone, Unfit
from helix.store.postgresql.store import CONNECTIONS, PAST_AT_ONCE, PostgresStore
from helix.store.postgresql.wire import Bounds, Connection, _Wire
from tests.store.data import T0, add, chain_at, entries, entry, keep, take_snapshot
from tests.store.sqlite import until
from tests.support.daemon import free_port
from tests.support.postgres import PASSWORD, PostgresServer
from tests.support.watched import eventually

WATCHING: Any = reactor
"""The reactor, as what watches sockets: for mypy its name is a module's."""


@async_yield_fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url, reactor)
    await store.start()
    yield store
    await store.stop()


@async_yield_fixture
async def other(url: str, store: PostgresStore) -> AsyncIterator[PostgresStore]:
    """A store of another node."""
    other = PostgresStore(url, reactor)
    await other.start()
    yield other
    await other.stop()


@async_yield_fixture
async def connection(url: str) -> AsyncIterator[Connection]:
    connection = Connection(reactor, Bounds())
    await connection.open(Address.parse(url), 0)
    yield connection
    connection.discard()


async def keep_all(store: PostgresStore, count: int, log: Sequence[Entry] = ()) -> list[str]:
    """Create as many flows, at once, and give their ids."""
    flows = [f"f{n}" for n in range(count)]
    await gatherResults([store.create(flow_id, "e1", T0, log) for flow_id in flows])
    return flows


async def outcomes(asked: list[Deferred[Any]]) -> list[Any]:
    """Give what each came to: its result, or the class of its error."""
    results = await DeferredList(asked, consumeErrors=True)
    return [result if succeeded else result.type for succeeded, result in results]


# Together.


@ensureDeferred
async def test_pgs5_appends_of_one_turn_go_together(store: PostgresStore) -> None:
    flows = await keep_all(store, 200)
    asked = [add(store, flow_id, "e1", 0, [entry(1)], Summary()) for flow_id in flows]
    assert await outcomes(asked) == [None] * 200
    assert {(await store.head(flow_id)).version for flow_id in flows} == {1}
    statements = await store._pool.run(  # the rows of one statement have one transaction's id
        lambda connection: connection.ask("SELECT DISTINCT xmin::text FROM helix_entries")
    )
    assert len(statements) <= 2


@ensureDeferred
async def test_pgs5_appends_at_fault_fail_alone(store: PostgresStore) -> None:
    flows = await keep_all(store, 40, [entry(1, ("c", 1))])
    given = [entry(2, ("c", 2)) for _ in flows]
    given[3] = entry(2, ("c", 1))
    given[17] = entry(2, ("c", 1 << 70))
    given[25] = Entry(2, b"\xff", T0)
    given[39] = entry(2, ("c", 1))
    asked = [
        add(store, flow_id, "e1", 1, [added], Summary())
        for flow_id, added in zip(flows, given, strict=True)
    ]
    came = await outcomes(asked)
    refused = {n: error for n, error in enumerate(came) if error is not None}
    assert refused == {3: DuplicateOperation, 17: Unfit, 25: Unfit, 39: DuplicateOperation}
    assert [(await store.head(flows[n])).version for n in (3, 17, 25, 39, 4)] == [1, 1, 1, 1, 2]


_PLANS = "SELECT generic_plans > 0, custom_plans < 9 FROM pg_prepared_statements"


async def read_whole(connection: Connection) -> list[Any]:
    """How often this connection, and others some time ago, have read a table whole."""
    await connection.ask("SELECT pg_stat_force_next_flush()")
    return await connection.ask("SELECT sum(seq_scan) FROM pg_stat_user_tables")


@ensureDeferred
async def test_pgs14_appends_are_planned_a_few_times_for_tables_of_any_size(
    store: PostgresStore, connection: Connection
) -> None:
    """These are small at first, and the planner would have each append read them whole."""
    await keep(store, "f", entries(1, 1))
    await connection.ask("ANALYZE helix_flows; ANALYZE helix_entries")
    before = await read_whole(connection)
    for version in range(1, 20):
        added = entry(version + 1)
        asked = encode_append(1, "f", "e1", version, chain_at(version), [added], Summary())
        assert await connection.run(APPEND, b"[%s]" % asked) == []
    assert await connection.ask(_PLANS) == [(True, True)]
    assert await read_whole(connection) == before
    assert (await store.load("f")).entries == entries(1, 20)


@ensureDeferred
async def test_pgs14_a_connection_that_turns_out_to_be_shared_has_nothing_kept(
    store: PostgresStore, connection: Connection
) -> None:
    await keep(store, "f")

    async def append(base: int) -> list[Any]:
        added = [entry(base + 1)]
        asked = encode_append(1, "f", "e1", base, chain_at(base), added, Summary())
        return await connection.run(APPEND, b"[%s]" % asked)

    assert not connection.is_pooled
    assert await append(0) == []
    await connection.ask("DEALLOCATE ALL")  # or it is another one's session now
    assert await append(1) == []
    assert connection.is_pooled
    assert await append(2) == []
    assert await connection.ask("SELECT name FROM pg_prepared_statements") == []
    assert (await store.load("f")).entries == entries(1, 3)


@ensureDeferred
async def test_pgs14_a_connection_that_turns_out_to_be_used_by_another_has_nothing_kept(
    store: PostgresStore, connection: Connection
) -> None:
    await keep(store, "f")
    await connection.ask(f"PREPARE {APPEND.name} (json) AS {APPEND.sql}")
    asked = encode_append(1, "f", "e1", 0, chain_at(0), entries(1, 1), Summary())
    assert await connection.run(APPEND, b"[%s]" % asked) == []
    assert connection.is_pooled
    assert (await store.load("f")).entries == entries(1, 1)


@ensureDeferred
async def test_sto9_sto20_what_is_removed_leaves_no_rows(
    connection: Connection, store: PostgresStore
) -> None:
    for flow_id in ("f", "g"):
        await keep(store, flow_id, entries(1, 3))
        await take_snapshot(store, flow_id, "e1", 2, b"{}")
        await store.name_version(flow_id, "e1", NamedVersion(2, "Launch", "Ada", T0))
        await own(store, flow_id, "ada")
        await store.delete(flow_id, T0)
    await store.create("g", "e2", T0, replace_deleted=True)
    await store.purge(T0 + 1)
    for table in ("entries", "snapshots", "version_names", "access"):
        assert await connection.ask(f"SELECT count(*) FROM helix_{table}") == [(0,)]


@ensureDeferred
async def test_pgs5_a_transaction_waits_for_what_is_in_it(
    connection: Connection, store: PostgresStore
) -> None:
    """txpostgres would commit before a coroutine has begun."""

    async def work() -> None:
        await connection.ask("INSERT INTO helix_schema VALUES (0, 'first')")
        await connection.ask("SELECT pg_sleep(0.05)")
        await connection.ask("INSERT INTO helix_schema VALUES (0, 'second')")

    with pytest.raises(StoreError):
        await connection.transaction(work)
    assert await connection.ask("SELECT * FROM helix_schema WHERE number = 0") == []
    assert await connection.ask("SELECT pg_current_xact_id_if_assigned()") == [(None,)]


@ensureDeferred
async def test_pgs5_what_is_confirmed_is_on_disk(
    postgres_server: PostgresServer, database: str
) -> None:
    """Also where a pooler gives each transaction a connection whose settings are the database's."""
    postgres_server.execute(f"ALTER DATABASE {database} SET synchronous_commit = off")
    store = PostgresStore(postgres_server.url(database), reactor)
    await store.start()
    postgres_server.execute(NOTE_WRITES, database)
    await keep(store, "f", entries(1, 2))
    await add(store, "f", "e1", 2, entries(3, 3), Summary("t"))
    await take_snapshot(store, "f", "e1", 2, b"{}")
    await store.name_version("f", "e1", NamedVersion(1, "Launch", "Ada", T0))
    await store.unname_version("f", "e1", 1)
    await store.renew_epoch("f", "e1", 3, chain_at(3), "e2")
    await store.renew_epochs("e3")
    await store.delete("f", T0)
    await store.undelete("f")
    await store.delete("f", T0)
    await store.create("f", "e4", T0, replace_deleted=True)
    await store.delete("f", T0)
    await store.purge(T0 + 1)
    noted = postgres_server.execute("SELECT operation, setting FROM noted", database)
    assert len(noted) > 12
    assert {setting for _, setting in noted} == {"on"}
    await store.stop()


NOTE_WRITES = """
CREATE TABLE noted (operation text, setting text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO noted VALUES (TG_OP, current_setting('synchronous_commit')); RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON helix_flows EXECUTE FUNCTION note();
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON helix_entries EXECUTE FUNCTION note();
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON helix_snapshots EXECUTE FUNCTION note();
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON helix_version_names
    EXECUTE FUNCTION note();
"""


# Several nodes.


@ensureDeferred
async def test_pgs6_of_two_nodes_one_is_first(store: PostgresStore, other: PostgresStore) -> None:
    await keep(store, "f")
    for version in range(20):
        rivals = [
            [entry(version + 1, ("here", version))],
            [entry(version + 1, ("there", version))],
        ]
        came = await outcomes(
            [
                add(store, "f", "e1", version, rivals[0], Summary("here")),
                add(other, "f", "e1", version, rivals[1], Summary("there")),
            ]
        )
        assert sorted(came, key=str) == sorted([None, VersionConflict], key=str)
        winner = came.index(None)
        loaded = await store.load("f")
        assert loaded.entries[version:] == rivals[winner]
        assert loaded.head.summary.title == ("here", "there")[winner]


@ensureDeferred
async def test_pgs6_nodes_with_the_same_flows_never_block_each_other(
    store: PostgresStore, other: PostgresStore
) -> None:
    flows = await keep_all(store, 100)
    for version in range(10):
        added = [entry(version + 1)]
        asked = [add(store, f, "e1", version, added, Summary()) for f in flows]
        asked += [add(other, f, "e1", version, added, Summary()) for f in reversed(flows)]
        came = await outcomes(asked)
        assert came.count(None) == came.count(VersionConflict) == 100
    assert {(await other.head(flow_id)).version for flow_id in flows} == {10}


@ensureDeferred
async def test_pgs6_of_two_nodes_one_creates(store: PostgresStore, other: PostgresStore) -> None:
    for n in range(10):
        await keep(store, f"f{n}", entries(1, 3))
        await store.delete(f"f{n}", T0)
        asked = [
            node.create(f"f{n}", epoch, T0, entries(1, 2), Summary(), replace_deleted=True)
            for node, epoch in ((store, "e2"), (other, "e3"))
        ]
        results = await DeferredList(asked, consumeErrors=True)
        (head,) = [result for succeeded, result in results if succeeded]
        assert await other.head(f"f{n}") == head
        assert (await other.load(f"f{n}")).entries == entries(1, 2)


def own(store: PostgresStore, flow_id: str, owner: str) -> Deferred[FlowAccess]:
    """Give a flow an owner."""
    entry = AuditEntry(0, T0, owner, flow_id)
    changed: Deferred[FlowAccess] = store.access.change(
        flow_id, lambda before: attrs.evolve(before, owner=owner), entry
    )
    return changed


@ensureDeferred
async def test_acc96_of_several_nodes_none_commits_a_smaller_number_later(
    store: PostgresStore, other: PostgresStore
) -> None:
    flows = await keep_all(store, 5)
    newest, seen, waiting = 0, [], []
    for n in range(40):
        waiting += [own(node, flows[n % 5], f"o{n}") for node in (store, other)]
        waiting.append(other.access.audit(AuditEntry(0, T0, "x")))
        for found in await (store, other)[n % 2].access.changes(newest, 1000):
            assert found.number > newest
            newest = found.number
            seen.append(newest)
    await gatherResults(waiting)
    seen += [found.number for found in await store.access.changes(newest, 1000)]
    kept = [found.number for found in await other.access.audited(None, 1000)]
    assert seen == kept[::-1] == list(range(1, len(seen) + 1))


@ensureDeferred
async def test_acc96_who_is_asked_what_is_new_misses_nothing_that_is_under_way(
    store: PostgresStore, other: PostgresStore, connection: Connection
) -> None:
    await connection.ask("BEGIN")
    await add_audit(connection, AuditEntry(0, T0, "slow"), new_ticket())
    added = other.access.audit(AuditEntry(0, T0, "fast"))
    assert await store.access.changes(0, 9) == []
    assert not added.called
    await connection.ask("COMMIT")
    await added
    found = await store.access.changes(0, 9)
    assert [(one.number, one.action) for one in found] == [(1, "slow"), (2, "fast")]


@ensureDeferred
async def test_acc93_rows_that_an_older_server_left_count_for_no_new_flow(
    store: PostgresStore, connection: Connection
) -> None:
    await keep(store, "f")
    await own(store, "f", "ada")
    await connection.ask("DELETE FROM helix_flows")
    await keep(store, "f")
    mine = Scope.of([], [], [owner_subject("ada")])
    assert await store.access.read(["f"]) == {"f": FlowAccess()}
    assert await store.heads(HeadQuery(scope=mine)) == []
    await own(store, "f", "eve")
    assert await store.access.read(["f"]) == {"f": FlowAccess("eve")}


# Texts.

ODD = "\0\x1a\x01\x1a\x02\x00\x7f\u2028\\'\"%_\U0001f600"


@ensureDeferred
async def test_pgs9_every_text_comes_back(store: PostgresStore) -> None:
    summary = Summary(ODD, ODD * 2, 1, 2)
    patch = b'{"title":"\\u0000 \\\\ %s \x27"}'
    log = [Entry(1, patch, T0, ODD, ODD, 1, (ODD,), chain_at(1))]
    head = await store.create(ODD, ODD, T0, log, summary)
    assert await store.head(ODD) == head
    await add(store, ODD, ODD, 1, [Entry(2, b"{}", T0, ODD, ODD, 2)], summary)
    document = b'{"title": "\\u0000",  "x":1e2}'
    await take_snapshot(store, ODD, ODD, 1, document)
    stored = await store.load(ODD)
    assert stored.head.summary == summary
    assert stored.snapshot == document
    assert (await store.load(ODD, 0)).entries == []
    assert await store.find(ODD, ODD, ODD, [1]) == log[:1]
    assert await store.newest_op(ODD, ODD, ODD) == 2


@pytest.mark.parametrize("is_pooled", [False, True])
@ensureDeferred
async def test_pgs9_no_text_ends_the_statement_that_it_is_in(
    store: PostgresStore, connection: Connection, is_pooled: bool
) -> None:
    await keep(store, "f")
    connection.is_pooled = is_pooled
    text = "$json$ $1 $$ ' \\' \" %s %(asked)s \0 \x1a é \U0001f600 $json"
    patch = json.dumps({"nodes": {"n1": {"data": {"text": text}}}}).encode()
    added = Entry(1, patch, T0, text, public_id(text), 1, (text,), chain_at(1))
    asked = encode_append(1, "f", "e1", 0, chain_at(0), [added], Summary(text, text))
    assert await connection.run(APPEND, b"[%s]" % asked) == []
    kept = await store.load("f")
    assert kept.entries == [added]
    assert kept.head.summary == Summary(text, text)


@ensureDeferred
async def test_pgs9_half_a_surrogate_pair_is_refused(store: PostgresStore) -> None:
    await keep(store, "f")
    with pytest.raises(StoreError):
        await add(store, "f", "e1", 0, [entry(1)], Summary("\ud83d"))
    with pytest.raises(StoreError):
        await store.create("\ud83d", "e1", T0)
    with pytest.raises(StoreError):
        await store.head("\ud83d")
    assert (await store.head("f")).version == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("STRASSE", True),  # lower() and ILIKE don't know it
        ("straße", True),
        ("ΌΔΟΣ", True),
        ("100%", True),
        ("1%0", False),
        ("a_b", True),
        ("aXb", False),
        ("\\", True),
        ("\0", True),
        ("oh\nno", False),
        ("idoh", False),
        ("", True),
    ],
)
@ensureDeferred
async def test_pgs9_lists_are_searched_as_in_memory(
    store: PostgresStore, text: str, found: bool
) -> None:
    await store.create("id", "e1", T0, (), Summary("Oh 100% a_b Straße", "No \\ \0 όδος"))
    assert bool(await store.heads(HeadQuery(text=text))) is found


@ensureDeferred
async def test_pgs9_a_long_description_is_kept(store: PostgresStore) -> None:
    long = Summary("t", "".join(chr(33 + n * n % 1000) for n in range(100_000)) + "the end")
    await store.create("f", "e1", T0, (), long)
    await add(store, "f", "e1", 0, [entry(1)], long)
    assert (await store.head("f")).summary == long
    assert len(await store.heads(HeadQuery(text="THE END"))) == 1
    shorter = Summary("t", long.description[:-3])
    await add(store, "f", "e1", 1, [entry(2)], shorter)
    assert (await store.head("f")).summary == shorter
    assert await store.heads(HeadQuery(text="the end")) == []


# The database as others left it.


@ensureDeferred
async def test_pgs10_a_database_that_only_reads(
    postgres_server: PostgresServer, database: str
) -> None:
    store = PostgresStore(postgres_server.url(database), reactor, Bounds(wait=2.0))
    await store.start()
    await keep(store, "f")
    postgres_server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    postgres_server.cut(database)
    for asked in (add(store, "f", "e1", 0, [entry(1)], Summary()), store.delete("f", T0)):
        with pytest.raises(StoreReadOnly) as caught:
            await asked
        assert caught.value.retry
    assert (await store.head("f")).version == 0
    # The connections that could only read were given up, as after another server took over.
    asked = add(store, "f", "e1", 0, [entry(1)], Summary())
    postgres_server.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
    postgres_server.cut(database)
    await asked
    await store.stop()


@ensureDeferred
async def test_pgs10_tables_that_are_gone(url: str, store: PostgresStore) -> None:
    await keep(store, "f")
    await store._pool.run(lambda connection: connection.ask("DROP TABLE helix_entries"))
    with pytest.raises(StoreError, match="tables"):
        await add(store, "f", "e1", 0, [entry(1)], Summary())
    with pytest.raises(StoreError, match="tables"):
        await store.entries("f", "e1", 0, 1)
    with pytest.raises(StoreError, match="tables"):
        await store.head("f")


@ensureDeferred
async def test_pgs10_a_log_with_a_gap(store: PostgresStore) -> None:
    await keep(store, "f", entries(1, 5))
    sql = "DELETE FROM helix_entries WHERE version = %(version)s"
    for version in (3, 5):
        await store._pool.run(lambda c, v=version: c.ask(sql, {"version": v}))
        with pytest.raises(StoreCorrupt):
            await store.load("f")
    assert (await store.load("f", 2)).entries == entries(1, 2)


# Connections.


@ensureDeferred
async def test_pgs2_a_connection_that_died_unnoticed_is_replaced(
    postgres_server: PostgresServer, database: str
) -> None:
    """txpostgres would hand it out, and fail."""
    store = PostgresStore(postgres_server.url(database), reactor)
    await store.start()
    await keep(store, "f")
    for version in range(3):
        # The reactor has no turn between these two.
        postgres_server.cut(database)
        assert (await store.head("f")).version == version
        postgres_server.cut(database)
        await add(store, "f", "e1", version, [entry(version + 1)], Summary())
    assert (await store.load("f")).entries == entries(1, 3)
    await store.stop()


@ensureDeferred
async def test_pgs4_a_closed_store_stays_closed(
    postgres_server: PostgresServer, database: str
) -> None:
    """txpostgres would open a connection for a query after close()."""
    store = PostgresStore(postgres_server.url(database), reactor)
    await store.start()
    await keep(store, "f")
    await store.stop()
    for asked in (store.head("f"), add(store, "f", "e1", 0, [entry(1)], Summary())):
        with pytest.raises(StoreUnavailable, match="closed"):
            await asked
    # The server's process for a connection ends a moment after it.
    eventually(lambda: postgres_server.count_connections(database) == 0, "no connection")


@ensureDeferred
async def test_pgs4_a_connection_may_be_closed_while_it_opens(
    postgres_server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its end and the news of it, where txpostgres would watch a socket that is gone."""
    connection = Connection(reactor, Bounds())
    goes_on = txpostgres.Connection.continuePolling
    closed = []

    def closes_when_open(wire: Any, swallowErrors: bool = False) -> None:
        goes_on(wire, swallowErrors)
        if wire.pollable().status == STATUS_READY:
            closed.append(connection)
            connection.discard()

    monkeypatch.setattr(txpostgres.Connection, "continuePolling", closes_when_open)
    with pytest.raises(StoreUnavailable):
        await connection.open(Address.parse(postgres_server.url(database)), 0)
    assert closed
    assert connection.is_gone
    assert connection._wire.pollable().closed


@ensureDeferred
async def test_pgs4_a_connection_may_be_found_lost_behind_an_answer(
    postgres_server: PostgresServer, database: str
) -> None:
    """libpq closes the socket then, which the reactor must not watch."""
    connection = Connection(reactor, Bounds())
    await connection.open(Address.parse(postgres_server.url(database)), 0)
    connection.tell(lambda process, channel, message: None)
    await connection.ask("SELECT 1")
    postgres_server.cut(database)
    connection._wire.look_for_notices()  # finds the server's last words
    with pytest.raises(OperationalError):
        connection._wire.look_for_notices()
    connection.discard()
    assert connection.gone.called


@ensureDeferred
async def test_pgs4_a_connection_may_be_found_lost_where_something_is_posted(
    postgres_server: PostgresServer, database: str
) -> None:
    """As there: in the reactor's books there is no socket that isn't there."""
    connection = Connection(reactor, Bounds())
    await connection.open(Address.parse(postgres_server.url(database)), 0)
    connection.tell(lambda process, channel, message: None)
    await connection.post("SELECT 1")
    postgres_server.cut(database)
    connection._wire.look_for_notices()  # finds the server's last words
    posted = Deferred.fromCoroutine(connection.post("SELECT 1"))
    assert await outcomes([posted]) == [ConnectionGone]
    assert connection.gone.called
    assert connection._wire not in WATCHING.getReaders()


@ensureDeferred
async def test_pgs4_the_reactor_watches_no_socket_that_libpq_may_close(url: str) -> None:
    """And none is left when a connection is discarded."""
    connection = Connection(reactor, Bounds())
    await connection.open(Address.parse(url), 0)
    sockets = {connection._wire.fileno(), connection._wire.pollable().fileno()}
    assert len(sockets) == 2
    assert connection._wire in WATCHING.getReaders()
    connection.discard()
    assert connection._wire not in WATCHING.getReaders()
    for socket in sockets:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(socket)


class Refusing:
    """A connection that libpq gives up, and closes its socket, in the midst of connecting."""

    def __init__(self, *_: object, **__: object) -> None:
        self.closed = 0
        self.notifies: list[object] = []
        self._ours, self._theirs = socketpair()
        self._states = [POLL_WRITE, POLL_READ, POLL_WRITE]

    def fileno(self) -> int:
        return self._ours.fileno()

    def poll(self) -> int:
        self._theirs.send(b"x")  # so that it can be read from and written to
        if self._states:
            return self._states.pop(0)
        self.close()
        raise OperationalError("refused")

    def close(self) -> None:
        self.closed = 1
        self._ours.close()
        self._theirs.close()


@ensureDeferred
async def test_pgs4_a_socket_that_libpq_closes_while_it_connects_is_no_longer_watched(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Wire, "connectionFactory", Refusing)
    watching = len(WATCHING.getReaders()), len(WATCHING.getWriters())
    refused = Connection(reactor, Bounds())
    opening = Deferred.fromCoroutine(refused.open(Address.parse(url), 0))
    WATCHING.addReader(refused._wire)  # it may be watched for both
    with pytest.raises(StoreUnavailable):
        await opening
    assert refused.gone.called
    assert (len(WATCHING.getReaders()), len(WATCHING.getWriters())) == watching


@ensureDeferred
async def test_pgs2_a_connection_for_which_too_many_files_are_open_is_tried_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = Connection(reactor, Bounds())

    def fail(number: int) -> int:
        raise OSError(EMFILE, "Too many open files")

    with monkeypatch.context() as full:
        full.setattr(os, "dup", fail)
        with pytest.raises(StoreUnavailable, match="Too many open files"):
            await connection.open(Address.parse(url), 0)
    assert connection.is_gone
    assert connection._wire not in WATCHING.getReaders()


@ensureDeferred
async def test_pgs4_nothing_is_opened_for_who_closed_while_the_name_was_asked_for(
    postgres_server: PostgresServer, database: str
) -> None:
    connection = Connection(reactor, Bounds())
    url = postgres_server.url(database).replace("127.0.0.1", "localhost")
    opening = Deferred.fromCoroutine(connection.open(Address.parse(url), 0))
    connection.discard()
    with pytest.raises(StoreUnavailable):
        await opening
    assert connection._wire.pollable() is None


@ensureDeferred
async def test_pgs4_what_is_under_way_is_finished_first(
    postgres_server: PostgresServer, database: str
) -> None:
    store = PostgresStore(postgres_server.url(database), reactor)
    await store.start()
    await keep_all(store, 50)
    asked: list[Deferred[Any]]
    asked = [add(store, f"f{n}", "e1", 0, [entry(1)], Summary()) for n in range(50)]
    asked.append(store.load("f1"))
    stopped = store.stop()
    assert (await outcomes(asked))[:50] == [None] * 50
    await stopped
    # The server's process for a connection ends a moment after it.
    eventually(lambda: postgres_server.count_connections(database) == 0, "no connection")


@ensureDeferred
async def test_pgs2_a_store_keeps_a_few_connections(
    postgres_server: PostgresServer, database: str
) -> None:
    store = PostgresStore(postgres_server.url(database), reactor)
    await store.start()
    await keep_all(store, 50)
    await gatherResults([store.head(f"f{n}") for n in range(50)])
    assert postgres_server.count_connections(database) == CONNECTIONS
    await store.stop()


def answer_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each answer be there when it is first looked for, as on a machine that is very busy."""
    look = _Wire.continuePolling

    def patiently(wire: _Wire, *how: Any) -> None:
        look(wire, *how)
        while wire.is_posting:
            select([wire], [], [], 10.0)
            look(wire, *how)

    monkeypatch.setattr(_Wire, "continuePolling", patiently)


@ensureDeferred
async def test_pgs15_answers_that_are_there_at_once_leave_others_their_turn(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_at_once(monkeypatch)
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1
        counting[0] = reactor.callLater(0, count)  # type: ignore[attr-defined]

    counting = [reactor.callLater(0, count)]  # type: ignore[attr-defined]
    asked: list[Deferred[Any]] = [store.head(f"f{n}") for n in range(1500)]
    assert set(await outcomes(asked)) == {FlowNotFound}
    counting[0].cancel()
    assert turns > len(asked) / CONNECTIONS / 2


@ensureDeferred
async def test_pgs15_many_that_are_refused_unsent_are_refused_each(url: str) -> None:
    store = PostgresStore(url, reactor)
    started = store.start()
    asked: list[Deferred[Any]] = [store.head("\ud83d") for _ in range(1500)]
    await started
    assert set(await outcomes(asked)) == {Unfit}
    await keep(store, "f")
    await store.stop()


@ensureDeferred
async def test_pgs15_many_that_wait_for_their_turn_are_told_of_the_end_each() -> None:
    store = PostgresStore(f"postgresql://helix@127.0.0.1:{free_port()}/postgres", reactor)
    started = store.start()
    asked: list[Deferred[Any]] = [store.load("f", 1) for _ in range(1500)]
    await store.stop()
    assert set(await outcomes([*asked, started])) == {StoreUnavailable}


@ensureDeferred
async def test_pgs2_a_caller_who_gives_up_harms_nobody(store: PostgresStore) -> None:
    await keep(store, "f", entries(1, 3))
    given_up = [store.load("f") for _ in range(10)]
    given_up.append(add(store, "f", "e1", 3, [entry(4)], Summary()))  # type: ignore[arg-type]
    for asked in given_up:
        asked.addErrback(lambda failure: None)
        asked.cancel()
    assert (await store.head("f")).version in (3, 4)
    assert len((await store.load("f")).entries) in (3, 4)


@ensureDeferred
async def test_pgs11_names_are_resolved_in_a_thread(
    postgres_server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []

    def resolve(name: str, *rest: Any, **more: Any) -> Any:
        asked.append((name, threading.current_thread() is threading.main_thread()))
        return getaddrinfo("127.0.0.1", *rest, **more)

    monkeypatch.setattr("helix.store.postgresql.address.getaddrinfo", resolve)
    url = postgres_server.url(database).replace("127.0.0.1", "database.invalid")
    store = PostgresStore(url, reactor)
    await store.start()
    await keep(store, "f")
    await store.stop()
    assert set(asked) == {("database.invalid", False)}


@ensureDeferred
async def test_pgs11_a_unix_socket_and_a_password(
    postgres_server: PostgresServer, database: str
) -> None:
    postgres_server.execute(f"ALTER DATABASE {database} OWNER TO guard")
    quoted = PASSWORD.replace(" ", "%20")
    socket = str(postgres_server.socket_directory).replace("/", "%2F")
    for url in (
        postgres_server.url(database, "guard", quoted),
        f"postgresql://guard@{socket}:{postgres_server.port}/{database}",
    ):
        store = PostgresStore(url, reactor)
        await store.start()
        assert await store.heads(HeadQuery()) == []
        await store.stop()


# How much is kept, and what takes long.


@ensureDeferred
async def test_lim26_what_tables_may_hold_is_bounded(store: PostgresStore, url: str) -> None:
    """Nothing new is kept from the start on, and all else goes on."""
    await keep(store, "f", entries(1, 2))
    full = PostgresStore(url, reactor, max_bytes=1)
    await full.start()
    try:
        assert full.usage.used_bytes > 0
        refused = [
            full.create("g", "e1", T0),
            add(full, "f", "e1", 2, [entry(3)], Summary()),
            take_snapshot(full, "f", "e1", 2, b"{}"),
            full.name_version("f", "e1", NamedVersion(1, "first", "", T0)),
        ]
        assert await outcomes(refused) == [StoreFull] * 4
        assert full.usage.refused == 4
        assert (await full.load("f")).entries == entries(1, 2)
        assert (await full.delete("f", T0)).deleted_at == T0
        assert (await full.undelete("f")).deleted_at is None
        await full.delete("f", T0)
        assert await full.purge(T0 + 1) == 1
    finally:
        await full.stop()


@ensureDeferred
async def test_lim26_tables_are_looked_at_again_and_again(
    store: PostgresStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helix.store.postgresql.store.LOOK_SECONDS", 0.05)
    await keep(store, "f", entries(1, 1))
    other = PostgresStore(url, reactor)
    await other.start()
    try:
        before = other.usage.used_bytes
        other.usage.max_bytes = before + 2**20
        # What PostgreSQL can't make smaller.
        large = b'{"data":"%b"}' % Random(1).randbytes(2**20).hex().encode()
        await add(store, "f", "e1", 1, [msgspec.structs.replace(entry(2), patch=large)], Summary())
        await until(lambda: other.usage.is_full)
        assert other.usage.used_bytes > before + 2**20
        with pytest.raises(StoreFull):
            await add(other, "f", "e1", 2, [entry(3)], Summary())
        other.usage.max_bytes = 2**30  # as if there was more room
        await add(other, "f", "e1", 2, [entry(3)], Summary())
    finally:
        await other.stop()


@ensureDeferred
async def test_pgs13_the_past_keeps_nobody_waiting(url: str, connection: Connection) -> None:
    store = PostgresStore(url, reactor, Bounds(wait=30.0))
    await store.start()
    try:
        await keep(store, "f", entries(1, 2))
        await connection.ask("BEGIN; LOCK TABLE helix_snapshots IN ACCESS EXCLUSIVE MODE")
        loads = [store.load("f", 1) for _ in range(2 * CONNECTIONS)]
        searches = [store.heads(HeadQuery("f", 10)) for _ in range(2 * CONNECTIONS)]
        asked = DeferredList([*loads, *searches])
        for version in range(2, 5):
            head = store.head("f").addTimeout(5.0, reactor)
            assert (await head).version == version
            await add(store, "f", "e1", version, [entry(version + 1)], Summary())
            assert len(await store.heads(HeadQuery("", 10))) == 1
        assert not any(one.called for one in (*loads, *searches))
        await connection.ask("COMMIT")
        assert all(succeeded for succeeded, _ in await asked)
    finally:
        connection.discard()
        await store.stop()


@ensureDeferred
async def test_pgs13_a_turn_is_not_waited_for_for_ever(url: str, connection: Connection) -> None:
    store = PostgresStore(url, reactor, Bounds(wait=0.5))
    await store.start()
    await keep(store, "f", entries(1, 2))
    await connection.ask("BEGIN; LOCK TABLE helix_snapshots IN ACCESS EXCLUSIVE MODE")
    loads = [store.load("f", 1) for _ in range(PAST_AT_ONCE)]
    with pytest.raises(StoreUnavailable):
        await store.load("f", 1)
    await connection.ask("COMMIT")
    await gatherResults(loads)
    assert (await store.load("f", 1)).entries == entries(1, 1)
    await store.stop()


# Authors (ACC100)


@ensureDeferred
async def test_acc100_of_two_nodes_that_bring_an_author_one_is_first(
    store: PostgresStore, other: PostgresStore
) -> None:
    """The other one finds another version, and then the author, whom nobody keeps twice."""
    await keep(store, "f")
    ada = Actor("ada", "person", "Ada")
    summary = Summary()
    for version in range(1, 40):
        one = msgspec.structs.replace(entry(version), actor=ada, tags=b'{"n":%d}' % version)
        asked = [add(each, "f", "e1", version - 1, [one], summary) for each in (store, other)]
        outcomes = await DeferredList(asked, consumeErrors=True)
        failures = [outcome.type for is_done, outcome in outcomes if not is_done]
        assert failures == [VersionConflict]
    log = (await other.load("f")).entries
    assert [(one.version, one.actor, one.tags) for one in log] == [
        (version, ada, b'{"n":%d}' % version) for version in range(1, 40)
    ]


@ensureDeferred
async def test_nod106_an_append_that_came_second_waits_for_no_disk(
    store: PostgresStore, connection: Connection
) -> None:
    """But what goes with it, and is written, does."""
    await keep_all(store, 2, entries(1, 1))

    async def append(*bases: int) -> list[tuple[int, bool | None, str | None]]:
        asked = [
            encode_append(
                number,
                f"f{number}",
                "e1",
                base,
                chain_at(base),
                entries(base + 1, base + 1),
                Summary(),
            )
            for number, base in enumerate(bases)
        ]
        return await connection.run(APPEND, b"[%s]" % b",".join(asked))

    assert await append(0, 0) == [(0, False, "off"), (1, False, "off")]
    assert await append(0, 1) == [(0, False, None)]
    assert await append(1, 2) == []
    assert await connection.ask("SELECT current_setting('synchronous_commit')") == [("on",)]
