"""A store on PostgreSQL starts, or says why it can't. (docs/spec.md, PGS)"""

from __future__ import annotations

from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from helix.errors import FlowNotFound, SchemaMismatch, StoreError, StoreReadOnly, StoreUnavailable
from helix.records import HeadQuery, NamedVersion
from helix.store.postgresql.schema import UPGRADE_LOCK
from helix.store.postgresql.store import PostgresStore
from helix.store.postgresql.wire import Bounds
from helix.store.upgrades import shipped_upgrades
from tests.store import older
from tests.store.data import T0, entries, keep
from tests.support.daemon import free_port
from tests.support.postgres import PASSWORD, PostgresServer

HIDDEN = "hidden-pass-w0rd"


async def refusal(url: str, bounds: Bounds = Bounds(start=5.0)) -> StoreError:  # noqa: B008
    """Start a store in vain, and give the error."""
    store = PostgresStore(url, reactor, bounds)
    with pytest.raises(StoreError) as caught:
        await store.start()
    await store.stop()
    assert HIDDEN not in repr(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("user", "password", "named", "advice"),
    [
        ("guard", HIDDEN, "postgres", "password authentication failed"),
        ("guard", HIDDEN, "postgres", "Put the role's password"),
        ("guard", "", "postgres", "no password supplied"),
        ("helix", HIDDEN, "nowhere", 'database "nowhere" does not exist. Make it with createdb'),
        ("nobody", HIDDEN, "postgres", 'role "nobody" does not exist. Make it with createuser'),
        ("stranger", HIDDEN, "postgres", "pg_hba.conf"),
        ("idle", HIDDEN, "postgres", "ALTER ROLE ... LOGIN"),
    ],
)
@ensureDeferred
async def test_pgs7_a_refusal_ends_the_start_and_says_what_to_do(
    postgres_server: PostgresServer, user: str, password: str, named: str, advice: str
) -> None:
    began = reactor.seconds()  # type: ignore[attr-defined]
    error = await refusal(postgres_server.url(named, user, password))
    assert advice in error.message
    assert not error.retry
    assert reactor.seconds() - began < 2.0  # type: ignore[attr-defined]


@ensureDeferred
async def test_pgs7_a_role_that_may_not_connect(
    postgres_server: PostgresServer, database: str
) -> None:
    postgres_server.execute(f"REVOKE CONNECT ON DATABASE {database} FROM public")
    error = await refusal(postgres_server.url(database, "limited"))
    assert "Grant the role CONNECT" in error.message


@ensureDeferred
async def test_pgs7_a_role_that_may_not_make_tables(
    postgres_server: PostgresServer, database: str
) -> None:
    error = await refusal(postgres_server.url(database, "limited"))
    assert "owner of the database" in error.message


@ensureDeferred
async def test_pgs7_a_database_of_another_encoding(postgres_server: PostgresServer) -> None:
    name = postgres_server.make_database("ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    error = await refusal(postgres_server.url(name))
    assert "--encoding=UTF8" in error.message
    postgres_server.drop_database(name)


@ensureDeferred
async def test_pgs7_a_new_database_that_only_reads(
    postgres_server: PostgresServer, database: str
) -> None:
    postgres_server.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    assert isinstance(
        await refusal(postgres_server.url(database), Bounds(start=0.3)), StoreReadOnly
    )


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://helix:{HIDDEN}@@host/db",
        f"postgresql://helix:x@{HIDDEN}@host/db",
        f"postgresql://helix:{HIDDEN}%zz@host/db",
        f"postgresql://helix:x#{HIDDEN}/y@host:5432/db",
        f"postgresql://host/db?nonsense={HIDDEN}",
        f"postgresql://helix:1/{HIDDEN}@host/db",
        "postgresql://[::1/db",
    ],
)
def test_pgs7_no_message_shows_a_url_that_cannot_be_read(url: str) -> None:
    with pytest.raises(StoreError, match="can't be read") as caught:
        PostgresStore(url, reactor)
    assert HIDDEN not in str(caught.getrepr(chain=True).reprcrash)
    assert HIDDEN not in caught.value.message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@ensureDeferred
async def test_pgs7_the_log_shows_no_password(postgres_server: PostgresServer) -> None:
    logged: list[LogEvent] = []
    globalLogPublisher.addObserver(logged.append)
    try:
        url = f"postgresql://helix:{HIDDEN}@127.0.0.1:{free_port()}/postgres"
        error = await refusal(url, Bounds(start=0.5, wait=0.5))
    finally:
        globalLogPublisher.removeObserver(logged.append)
    shown = [formatEvent(event) for event in logged]
    assert any("can't be reached" in line for line in shown)
    assert not any(HIDDEN in line for line in shown)
    assert "Connection refused" in error.message
    assert type(error) is StoreUnavailable


@ensureDeferred
async def test_pgs7_a_server_that_is_away_is_waited_for(mortal_server: PostgresServer) -> None:
    """txpostgres' pool would fail, once and for all."""
    mortal_server.stop()
    store = PostgresStore(mortal_server.url(), reactor)
    starting = store.start()
    early = store.head("f")
    await deferToThread(mortal_server.start)
    await starting
    with pytest.raises(FlowNotFound):
        await early
    await keep(store, "f", entries(1, 2))
    await store.stop()


@ensureDeferred
async def test_pgs7_a_server_that_is_there_and_silent_is_not_waited_for_long(
    mortal_server: PostgresServer,
) -> None:
    mortal_server.freeze()
    try:
        began = reactor.seconds()  # type: ignore[attr-defined]
        error = await refusal(mortal_server.url(), Bounds(start=1.0, wait=0.5))
        assert type(error) is StoreUnavailable
        assert reactor.seconds() - began < 3.0  # type: ignore[attr-defined]
    finally:
        mortal_server.thaw()


@ensureDeferred
async def test_pgs7_a_start_may_be_stopped(mortal_server: PostgresServer) -> None:
    mortal_server.stop()
    try:
        store = PostgresStore(mortal_server.url(), reactor)
        starting = store.start()
        await store.stop()
        with pytest.raises(StoreUnavailable):
            await starting
    finally:
        await deferToThread(mortal_server.start)


@ensureDeferred
async def test_sto11_who_waits_for_an_opening_that_fails_is_told_at_once(
    mortal_server: PostgresServer,
) -> None:
    mortal_server.stop()
    try:
        store = PostgresStore(mortal_server.url(), reactor, Bounds(start=0.3, wait=30.0))
        starting = store.start()
        asked = store.head("f")
        began = reactor.seconds()  # type: ignore[attr-defined]
        for one in (starting, asked):
            with pytest.raises(StoreUnavailable):
                await one
        assert reactor.seconds() - began < 5.0  # type: ignore[attr-defined]
        await store.stop()
    finally:
        await deferToThread(mortal_server.start)


# The schema.


def tables(server: PostgresServer, database: str) -> list[str]:
    rows = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database)
    return sorted(name for (name,) in rows)


@ensureDeferred
async def test_pgs8_of_several_nodes_one_makes_the_tables(
    postgres_server: PostgresServer, database: str
) -> None:
    stores = [PostgresStore(postgres_server.url(database), reactor) for _ in range(6)]
    await gatherResults([store.start() for store in stores])
    await keep(stores[0], "f")
    assert (await stores[5].head("f")).version == 0
    for store in stores:
        await store.stop()
    assert tables(postgres_server, database) == [
        "helix_access",
        "helix_api_keys",
        "helix_audit",
        "helix_authors",
        "helix_entries",
        "helix_flows",
        "helix_schema",
        "helix_secrets",
        "helix_sign_ins",
        "helix_snapshots",
        "helix_version_names",
    ]
    numbered = [(one.number, one.name) for one in shipped_upgrades("postgresql")]
    assert postgres_server.execute("SELECT * FROM helix_schema", database) == numbered


@ensureDeferred
async def test_pgs8_who_waits_for_an_upgrade_waits_longer_than_for_other_answers(
    postgres_server: PostgresServer, database: str
) -> None:
    bounds = Bounds(start=0.5, wait=0.5, answer=0.5)
    store = PostgresStore(postgres_server.url(database), reactor, bounds)
    busy = f"SELECT pg_advisory_xact_lock({UPGRADE_LOCK}); SELECT pg_sleep(2)"
    upgrading = deferToThread(postgres_server.execute, busy, database)
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    while (await deferToThread(postgres_server.execute, held, database)) == [(0,)]:
        pass
    await store.start()
    await upgrading
    assert tables(postgres_server, database)
    await store.stop()


@ensureDeferred
async def test_pgs8_a_later_start_finds_what_was_kept(url: str) -> None:
    for version in range(3):
        store = PostgresStore(url, reactor)
        await store.start()
        if not version:
            await keep(store, "f", entries(1, 2))
        assert [head.flow_id for head in await store.heads(HeadQuery())] == ["f"]
        await store.stop()


@ensureDeferred
async def test_pgs8_sto20_a_store_from_before_names_takes_them(
    postgres_server: PostgresServer, database: str
) -> None:
    older.make_postgres(postgres_server, database, 1)
    named = NamedVersion(2, "Launch", "Ada", T0)
    store = PostgresStore(postgres_server.url(database), reactor)
    await store.start()
    assert await store.name_version("f", older.EPOCH, named) is None
    assert await store.named_versions("f", older.EPOCH) == [named]
    await store.stop()


@ensureDeferred
async def test_pgs8_a_newer_schema_is_refused(
    postgres_server: PostgresServer, database: str
) -> None:
    url = postgres_server.url(database)
    store = PostgresStore(url, reactor)
    await store.start()
    await store.stop()
    later = len(shipped_upgrades("postgresql")) + 1
    postgres_server.execute(f"INSERT INTO helix_schema VALUES ({later}, 'later')", database)
    error = await refusal(url)
    assert type(error) is SchemaMismatch
    assert f"schema {later}," in error.message


@ensureDeferred
async def test_pgs8_an_upgrade_that_fails_leaves_nothing(
    postgres_server: PostgresServer, database: str
) -> None:
    postgres_server.execute("CREATE TABLE helix_snapshots (mine integer)", database)
    await refusal(postgres_server.url(database))
    assert tables(postgres_server, database) == ["helix_snapshots"]


@ensureDeferred
async def test_pgs8_tables_of_others_are_left_alone(
    postgres_server: PostgresServer, database: str
) -> None:
    postgres_server.execute("CREATE TABLE flows (mine integer)", database)
    store = PostgresStore(postgres_server.url(database), reactor)
    await store.start()
    await keep(store, "f")
    await store.stop()
    assert postgres_server.execute("SELECT count(*) FROM flows", database) == [(0,)]


@ensureDeferred
async def test_pgs7_a_password_is_used(postgres_server: PostgresServer, database: str) -> None:
    postgres_server.execute(f"ALTER DATABASE {database} OWNER TO guard")
    url = postgres_server.url(database, "guard", PASSWORD.replace(" ", "%20"))
    store = PostgresStore(url, reactor)
    started: Deferred[Any] = store.start()
    await started
    await keep(store, "f")
    await store.stop()
    assert PASSWORD not in repr(vars(store))
