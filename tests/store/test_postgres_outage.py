"""PostgreSQL goes away and comes back. (docs/spec.md, PGS)"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest
from psycopg2.extensions import POLL_OK
from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from helix.access.principal import Grant
from helix.access.roles import Role
from helix.access.sharing import FlowAccess
from helix.errors import (
    DuplicateOperation,
    FlowExists,
    HelixError,
    KeyNotFound,
    StoreUnavailable,
    TooManyGrants,
    VersionConflict,
    VersionNotNamed,
)
from helix.interfaces import IFlowStore
from helix.records import Actor, ApiKey, AuditEntry, Entry, NamedVersion, SignIn, Summary
from helix.store.postgresql.adding import APPEND
from helix.store.postgresql.store import CONNECTIONS, PostgresStore
from helix.store.postgresql.wire import Bounds, Connection
from tests.store.data import T0, add, entries, entry, keep, take_snapshot
from tests.store.proxy import Proxy
from tests.support.postgres import PostgresServer

BOUNDS = Bounds(start=10.0, wait=1.0, answer=1.0)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Give the reactor its turns until ``condition``, for a bounded time."""
    deadline = reactor.seconds() + seconds  # type: ignore[attr-defined]
    while not condition():
        assert reactor.seconds() < deadline  # type: ignore[attr-defined]
        await deferLater(reactor, 0.01)  # type: ignore[arg-type]


async def took(asked: Deferred[Any], error: type[HelixError] = StoreUnavailable) -> float:
    """Await an error, and give the seconds until it came."""
    began = reactor.seconds()  # type: ignore[attr-defined]
    with pytest.raises(error) as caught:
        await asked
    assert type(caught.value) is error
    return float(reactor.seconds() - began)  # type: ignore[attr-defined]


# A connection that is lost at an exact moment.


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[Proxy]:
    proxy = Proxy(reactor, postgres_server.port)
    yield proxy
    proxy.stop()


@async_yield_fixture
async def near(url: str) -> AsyncIterator[PostgresStore]:
    """A store beside the proxy."""
    store = PostgresStore(url, reactor)
    await store.start()
    yield store
    await store.stop()


@async_yield_fixture
async def far(
    postgres_server: PostgresServer, url: str, near: PostgresStore, proxy: Proxy
) -> AsyncIterator[PostgresStore]:
    """A store behind the proxy, all of whose connections are open."""
    own_url = url.replace(str(postgres_server.port), str(proxy.own_port))
    store = PostgresStore(own_url, reactor)
    await store.start()
    await keep(store, "f", entries(1, 2))
    # Each has been set up: no answer but one to what a test asks for is on its way.
    opened = [await store._pool.take() for _ in range(CONNECTIONS)]
    for connection in opened:
        await connection.run(APPEND, b"[]")  # from now on it is prepared
        store._pool.give_back(connection)
    yield store
    await store.stop()


class GivenUp:
    """What psycopg2 now and then makes of a connection whose server died: no socket, yet open."""

    closed = 0
    notifies: tuple[object, ...] = ()

    def poll(self) -> int:
        return int(POLL_OK)

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.closed = 1


def test_pgs2_connection_whose_socket_was_given_up_is_gone() -> None:
    connection = Connection(reactor, BOUNDS)
    connection._wire._connection = GivenUp()
    connection._wire.doRead()
    assert connection.is_gone


@pytest.mark.parametrize("moment", ["loses_requests", "loses_answers"])
@ensureDeferred
async def test_pgs3_an_append_is_done_once_whenever_the_connection_is_lost(
    far: PostgresStore, proxy: Proxy, moment: str
) -> None:
    setattr(proxy, moment, True)
    added = [entry(3), entry(4, ("c", 1))]
    await add(far, "f", "e1", 2, added, Summary())
    assert not proxy.loses_requests
    assert not proxy.loses_answers
    assert (await far.load("f")).entries == entries(1, 2) + added


@pytest.mark.parametrize("moment", ["loses_requests", "loses_answers"])
@ensureDeferred
async def test_pgs3_pgs14_an_append_is_done_once_if_the_connection_is_lost_while_it_is_prepared(
    far: PostgresStore, proxy: Proxy, moment: str
) -> None:
    by_somebody = msgspec.structs.replace(entry(3), actor=Actor("ada", "person", "Ada"))
    setattr(proxy, moment, True)
    await add(far, "f", "e1", 2, [by_somebody], Summary())
    assert not proxy.loses_requests
    assert not proxy.loses_answers
    assert (await far.load("f")).entries == [*entries(1, 2), by_somebody]


@ensureDeferred
async def test_pgs3_an_append_is_known_though_others_followed(
    far: PostgresStore, near: PostgresStore, proxy: Proxy
) -> None:
    followed: list[Deferred[None]] = []
    proxy.lost = lambda: followed.append(add(near, "f", "e1", 3, [entry(4)], Summary()))
    proxy.loses_answers = True
    await add(far, "f", "e1", 2, [entry(3)], Summary())
    await gatherResults(followed)
    assert (await far.load("f")).entries == entries(1, 4)


@ensureDeferred
async def test_pgs3_an_append_is_answered_where_we_are_at_fault(
    far: PostgresStore, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(row: object) -> Entry:
        raise ValueError("a fault of ours")

    with monkeypatch.context() as faulty:
        faulty.setattr("helix.store.postgresql.appends.read_entry", fail)
        proxy.loses_answers = True
        await took(add(far, "f", "e1", 2, [entry(3)], Summary()))
    await add(far, "f", "e1", 3, [entry(4)], Summary())
    assert (await far.load("f")).entries == entries(1, 4)


@ensureDeferred
async def test_pgs3_an_append_is_not_taken_for_another_ones(
    far: PostgresStore, near: PostgresStore, proxy: Proxy
) -> None:
    theirs: list[Deferred[None]] = []
    proxy.lost = lambda: theirs.append(add(near, "f", "e1", 2, [entry(3, ("c", 1))], Summary()))
    proxy.loses_requests = True
    await took(add(far, "f", "e1", 2, [entry(3, ("c", 2))], Summary()), VersionConflict)
    await gatherResults(theirs)
    assert (await far.load("f")).entries == [*entries(1, 2), entry(3, ("c", 1))]


@ensureDeferred
async def test_pgs3_what_goes_with_a_lost_append_is_judged_by_itself(
    far: PostgresStore, proxy: Proxy
) -> None:
    await gatherResults([far.create(f"f{n}", "e1", T0, [entry(1, ("c", 1))]) for n in range(4)])
    proxy.loses_answers = True
    asked = [
        add(far, "f0", "e1", 1, [entry(2)], Summary()),
        add(far, "f1", "e1", 7, [entry(8)], Summary()),
        add(far, "f2", "e1", 1, [entry(2)], Summary()),
        add(far, "f3", "e1", 1, [entry(2, ("c", 1))], Summary()),
    ]
    results = await DeferredList(asked, consumeErrors=True)
    came = [None if succeeded else result.type for succeeded, result in results]
    assert came == [None, VersionConflict, None, DuplicateOperation]
    assert [(await far.head(f"f{n}")).version for n in range(4)] == [2, 1, 2, 1]


@pytest.mark.parametrize("moment", ["loses_requests", "loses_answers"])
@ensureDeferred
async def test_pgs3_a_flow_is_created_once_whenever_the_connection_is_lost(
    far: PostgresStore, proxy: Proxy, moment: str
) -> None:
    setattr(proxy, moment, True)
    head = await far.create("g", "e7", T0, entries(1, 3), Summary("g"))
    assert await far.head("g") == head
    await took(far.create("g", "e7", T0), FlowExists)


@ensureDeferred
async def test_pgs3_a_creation_that_was_done_is_known(far: PostgresStore, proxy: Proxy) -> None:
    """The answer to COMMIT is what is lost."""
    proxy.loses_answer_to = b"COMMIT"
    head = await far.create("g", "e7", T0, entries(1, 3), Summary("g"))
    assert not proxy.loses_answer_to
    assert await far.head("g") == head


@ensureDeferred
async def test_pgs3_a_name_that_was_given_or_taken_is_known(
    far: PostgresStore, proxy: Proxy
) -> None:
    """The answer to COMMIT is what is lost."""
    named = NamedVersion(2, "Before the launch", "Ada", T0)
    proxy.loses_answer_to = b"COMMIT"
    assert await far.name_version("f", "e1", named) is None
    assert not proxy.loses_answer_to
    assert await far.named_versions("f", "e1") == [named]
    proxy.loses_answer_to = b"COMMIT"
    await far.unname_version("f", "e1", 2)
    assert not proxy.loses_answer_to
    await took(far.unname_version("f", "e1", 2), VersionNotNamed)


@pytest.mark.parametrize("moment", ["loses_requests", "loses_answers", "loses_answer_to"])
@ensureDeferred
async def test_acc92_a_change_of_access_is_made_once_whenever_the_connection_is_lost(
    far: PostgresStore, proxy: Proxy, moment: str
) -> None:
    def lose() -> None:
        setattr(proxy, moment, b"COMMIT" if moment == "loses_answer_to" else True)

    def audited(action: str) -> AuditEntry:
        return AuditEntry(0, T0, action, "f")

    def add_member(before: FlowAccess) -> FlowAccess:
        if before.members:
            raise TooManyGrants()
        return FlowAccess("ada", {"bob": Grant(Role.VIEWER)})

    lose()
    made = await far.access.change("f", add_member, audited("change"))
    assert made == FlowAccess("ada", {"bob": Grant(Role.VIEWER)})
    assert await far.access.read(["f"]) == {"f": made}
    lose()
    await far.access.audit(audited("audit"))
    key = ApiKey("k1", "for tests", b"x", T0)
    lose()
    await far.credentials.add_key(key, audited("add"))
    assert await far.credentials.keys() == [key]
    lose()
    await far.credentials.remove_key("k1", audited("remove"))
    await took(far.credentials.remove_key("k1", audited("remove")), KeyNotFound)
    sessions = [SignIn(f"s{n}", b"%d" % n, "ada", b"{}", T0, T0, T0 + 9) for n in (1, 2)]
    for session in sessions:
        lose()
        await far.credentials.add_sign_in(session)
    await took(far.credentials.add_sign_in(sessions[0]), DuplicateOperation)
    lose()
    assert await far.credentials.remove_sign_ins(audited("end"), principal_id="ada") == 2
    assert not proxy.loses_requests
    assert not proxy.loses_answers
    assert not proxy.loses_answer_to
    found = [entry.action for entry in await far.access.audited(None, 99)]
    assert found == ["end", "end", "remove", "add", "audit", "change"]


@pytest.mark.parametrize("moment", ["loses_requests", "loses_answers"])
@ensureDeferred
async def test_pgs3_other_work_is_done_again(far: PostgresStore, proxy: Proxy, moment: str) -> None:
    def lose() -> None:
        setattr(proxy, moment, True)

    lose()
    assert (await far.load("f")).entries == entries(1, 2)
    lose()
    await take_snapshot(far, "f", "e1", 2, b"{}")
    lose()
    assert (await far.delete("f", T0)).deleted_at == T0
    lose()
    assert (await far.undelete("f")).deleted_at is None
    lose()
    assert await far.snapshot_versions("f", "e1") == [2]


# A server that is killed.


@async_yield_fixture
async def stored(mortal_server: PostgresServer) -> AsyncIterator[tuple[IFlowStore, PostgresServer]]:
    """A store in a schema of its own, on a server that may be killed, and runs again afterwards."""
    store = PostgresStore(mortal_server.make_schema(), reactor, BOUNDS)
    await store.start()
    yield store, mortal_server
    await store.stop()


async def write(
    store: IFlowStore, flow_id: str, confirmed: list[Entry], may_stop: Callable[[], bool]
) -> None:
    """Append as a session does: after an error, see what the log holds, and go on from there."""
    op_id = 0
    while not may_stop():
        op_id += 1
        while True:
            try:
                head = await store.head(flow_id)
                if await store.find(flow_id, "e1", flow_id, [op_id]):
                    break
                added = entry(head.version + 1, (flow_id, op_id))
                await add(store, flow_id, "e1", head.version, [added], Summary())
                confirmed.append(added)
                break
            except (StoreUnavailable, VersionConflict):
                continue


@ensureDeferred
async def test_pgs1_nothing_confirmed_is_lost_when_the_server_is_killed(
    stored: tuple[IFlowStore, PostgresServer],
) -> None:
    store, server = stored
    logs: dict[str, list[Entry]] = {f"f{n}": [] for n in range(20)}
    for flow_id in logs:
        await keep(store, flow_id)
    deaths = 0
    writing = gatherResults(
        [
            Deferred.fromCoroutine(write(store, flow_id, log, lambda: deaths == 3))
            for flow_id, log in logs.items()
        ]
    )
    for _ in range(3):
        enough = sum(map(len, logs.values())) + 200
        await until(lambda: sum(map(len, logs.values())) > enough)  # noqa: B023
        server.kill()
        await deferToThread(server.start)
        deaths += 1
    await writing
    for flow_id, log in logs.items():
        kept = (await store.load(flow_id)).entries
        assert {(e.version, e.client_id, e.op_id) for e in log} <= {
            (e.version, e.client_id, e.op_id) for e in kept
        }
        assert [e.op_id for e in kept] == list(range(1, len(kept) + 1))


@ensureDeferred
async def test_pgs1_what_is_asked_meanwhile_waits_and_then_fails(
    stored: tuple[IFlowStore, PostgresServer],
) -> None:
    store, server = stored
    await keep(store, "f")
    server.kill()
    try:
        asked = [
            add(store, "f", "e1", 0, [entry(1)], Summary()),
            store.head("f"),
            store.create("g", "e1", T0),
            add(store, "f", "e1", 0, [entry(1)], Summary()),
        ]
        for waited in await gatherResults([Deferred.fromCoroutine(took(d)) for d in asked]):
            assert 0.5 < waited < 2.5
    finally:
        await deferToThread(server.start)
    confirmed: list[Entry] = []
    may_be_over = iter([False, True])
    await write(store, "f", confirmed, lambda: next(may_be_over))
    assert (await store.load("f")).entries == confirmed


@ensureDeferred
async def test_pgs1_what_is_asked_meanwhile_is_done_when_the_server_is_back(
    mortal_server: PostgresServer,
) -> None:
    patient = Bounds(wait=30.0)
    store = PostgresStore(mortal_server.make_schema(), reactor, patient)
    await store.start()
    await keep(store, "f")
    mortal_server.kill()
    asked = add(store, "f", "e1", 0, [entry(1)], Summary())
    head = store.head("f")
    await deferToThread(mortal_server.start)
    await asked
    assert (await head).flow_id == "f"
    assert (await store.load("f")).entries == entries(1, 1)
    await store.stop()


@ensureDeferred
async def test_pgs1_an_orderly_restart_is_an_outage_as_well(
    stored: tuple[IFlowStore, PostgresServer],
) -> None:
    store, server = stored
    await keep(store, "f")
    server.stop()
    await deferToThread(server.start)
    confirmed: list[Entry] = []
    may_be_over = iter([False, True])
    await write(store, "f", confirmed, lambda: next(may_be_over))
    assert (await store.load("f")).entries == confirmed


@ensureDeferred
async def test_pgs4_a_store_stops_though_the_server_is_away(
    mortal_server: PostgresServer,
) -> None:
    store = PostgresStore(mortal_server.make_schema(), reactor, BOUNDS)
    await store.start()
    await keep(store, "f")
    mortal_server.kill()
    try:
        asked = [add(store, "f", "e1", 0, [entry(1)], Summary()), store.head("f")]
        began = reactor.seconds()  # type: ignore[attr-defined]
        stopped = store.stop()
        for waiting in asked:
            await took(waiting)
        await stopped
        assert reactor.seconds() - began < 2.5  # type: ignore[attr-defined]
    finally:
        await deferToThread(mortal_server.start)


@ensureDeferred
async def test_pgs2_a_server_that_hangs_counts_as_away(
    stored: tuple[IFlowStore, PostgresServer],
) -> None:
    store, server = stored
    await keep(store, "f")
    server.freeze()
    try:
        asked = [add(store, "f", "e1", 0, [entry(1)], Summary()), store.head("f")]
        for waited in await gatherResults([Deferred.fromCoroutine(took(d)) for d in asked]):
            assert waited < 4.0
        assert await took(store.head("f")) < 4.0
    finally:
        server.thaw()
    # It may be done all the same, and even now, which the interface says of this error.
    may_be_over = iter([False, True])
    confirmed: list[Entry] = []
    await write(store, "f", confirmed, lambda: next(may_be_over))
    assert (await store.load("f")).entries in (confirmed, [entry(1), *confirmed])


@ensureDeferred
async def test_pgs4_a_store_stops_though_the_server_hangs(mortal_server: PostgresServer) -> None:
    store = PostgresStore(mortal_server.make_schema(), reactor, BOUNDS)
    await store.start()
    await keep(store, "f")
    mortal_server.freeze()
    try:
        asked = add(store, "f", "e1", 0, [entry(1)], Summary())
        began = reactor.seconds()  # type: ignore[attr-defined]
        stopped = store.stop()
        await took(asked)
        await stopped
        assert reactor.seconds() - began < 4.0  # type: ignore[attr-defined]
    finally:
        mortal_server.thaw()
