"""Which upgrades of a schema there are, and which are needed."""

from __future__ import annotations

from pathlib import Path

import psycopg2.errors
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor

from helix.access.sharing import NO_ACCESS, FlowAccess
from helix.chain import chained, origin_of
from helix.documents.document import FlowDocument, JsonObject, encode_document
from helix.documents.ids import public_id
from helix.errors import SchemaMismatch
from helix.interfaces import IFlowStore
from helix.log.verify import Difference, verify_flow
from helix.records import Actor, AuditEntry, Entry, Summary
from helix.store.postgresql import quota as postgresql_quota
from helix.store.postgresql import schema as postgresql_schema
from helix.store.postgresql.store import PostgresStore
from helix.store.sqlite import store as sqlite_store
from helix.store.upgrades import Upgrade, in_sequence, needed_upgrades, shipped_upgrades
from tests.store import older
from tests.store.data import T0, keep
from tests.store.sqlite import opened, query
from tests.support.postgres import PostgresServer

THREE = [Upgrade(number, f"step {number}", "SELECT 1") for number in (1, 2, 3)]


def test_sto14_the_upgrades_of_sqlite_are_shipped_in_order() -> None:
    upgrades = shipped_upgrades("sqlite")
    assert [upgrade.number for upgrade in upgrades] == list(range(1, len(upgrades) + 1))
    assert upgrades[0].name == "flows"
    assert "CREATE TABLE flows" in upgrades[0].sql


@pytest.mark.parametrize("numbers", [[], [2], [0, 1], [1, 3], [1, 1], [1, 2, 2]])
def test_sto14_a_gap_between_upgrades_is_a_fault(numbers: list[int]) -> None:
    with pytest.raises(ValueError, match="numbered"):
        in_sequence([Upgrade(number, "x", "") for number in numbers])


@pytest.mark.parametrize(("current", "needed"), [(0, [1, 2, 3]), (1, [2, 3]), (3, [])])
def test_sto14_a_database_needs_what_follows_its_schema(current: int, needed: list[int]) -> None:
    assert [upgrade.number for upgrade in needed_upgrades(THREE, current)] == needed


def test_sto14_a_newer_schema_is_refused_with_what_to_do() -> None:
    with pytest.raises(SchemaMismatch, match=r"schema 4.*up to 3: run the version"):
        needed_upgrades(THREE, 4)


# Logs from before there were chains.


async def check_upgraded(store: IFlowStore) -> None:
    """See that an older log is what it was, goes on with a chain, and knows its submissions."""
    head = await store.head("f")
    origin = origin_of(older.EPOCH)
    newest = len(older.CLIENTS) + 1
    assert (head.version, head.origin, head.chain) == (newest, origin, origin)
    log = (await store.load("f")).entries
    publics = [public_id(name) for name in older.CLIENTS]
    assert [entry.client_id for entry in log] == [*publics, None]
    assert {entry.chain for entry in log} == {b""}
    for version, public in enumerate(publics, 1):
        assert await store.find("f", older.EPOCH, public, [7]) == [log[version - 1]]
    assert await verify_flow(store, "f") == newest
    await store.snapshot("f", older.EPOCH, 2, origin, encode_document(made_by(2)))
    assert await store.snapshot_versions("f", older.EPOCH) == [2]
    new = [
        Entry(newest + 1, b'{"title":"5"}', T0, "Ada", publics[0], 8, ("/x",)),
        Entry(newest + 2, b"{}", T0),
    ]
    added = chained(origin, new)
    await store.append("f", older.EPOCH, newest, origin, added, Summary("5"))
    assert (await store.load("f")).entries[-2:] == added
    assert await verify_flow(store, "f") == newest + 2


def made_by(version: int) -> JsonObject:
    document = FlowDocument.empty()
    document.apply({"title": str(version)})
    return document.content


@pytest.mark.parametrize("schema", [1, 2])
@ensureDeferred
async def test_chn5_an_older_sqlite_file_gets_chains(tmp_path: Path, schema: int) -> None:
    path = tmp_path / "flows.db"
    older.make_sqlite(path, schema)
    async with opened(path) as store:
        await check_upgraded(store)
    query(path, "UPDATE entries SET chain = NULL WHERE version = 7")
    async with opened(path) as store:
        with pytest.raises(Difference, match="f: version 7"):
            await verify_flow(store, "f")


@pytest.mark.parametrize("schema", [1, 2])
@ensureDeferred
async def test_chn5_an_older_postgresql_database_gets_chains(
    postgres_server: PostgresServer, database: str, schema: int
) -> None:
    older.make_postgres(postgres_server, database, schema)
    store = PostgresStore(postgres_server.url(database), reactor)
    await store.start()
    await check_upgraded(store)
    await store.stop()
    # A node that was not upgraded leaves no entry without one behind the others.
    columns = "(flow, version, at, by, patch, author)"
    insert = f"INSERT INTO helix_entries {columns} VALUES (1, 7, 0, '', '{{}}', 0)"
    with pytest.raises(psycopg2.errors.CheckViolation):
        postgres_server.execute(insert, database)


@ensureDeferred
async def test_acc90_flows_of_before_give_nothing_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "flows.db"
    with monkeypatch.context() as patched:
        patched.setattr(sqlite_store, "shipped_upgrades", lambda of: shipped_upgrades(of)[:3])
        async with opened(path) as store:
            await keep(store, "f")
    async with opened(path) as store:
        await check_gives(store)
    assert query(path, "PRAGMA user_version") == [(len(shipped_upgrades("sqlite")),)]


@ensureDeferred
async def test_acc90_flows_in_postgresql_of_before_give_nothing_yet(
    postgres_server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    older.make_postgres(postgres_server, database, 2)
    with monkeypatch.context() as patched:
        patched.setattr(postgresql_schema, "shipped_upgrades", lambda of: shipped_upgrades(of)[:3])
        patched.setattr(postgresql_quota, "_SIZE", "SELECT 0")
        store = PostgresStore(postgres_server.url(database), reactor)
        await store.start()
        await store.stop()
    store = PostgresStore(postgres_server.url(database), reactor)
    await store.start()
    await check_gives(store)
    await store.stop()


async def check_gives(store: IFlowStore) -> None:
    """See that a flow which nothing is known of can be given an owner."""
    assert await store.access.read(["f"]) == {"f": NO_ACCESS}
    owned = FlowAccess("ada")
    entry = AuditEntry(0, T0, "access.change", "f")
    assert await store.access.change("f", lambda _: owned, entry) == owned
    assert len(await store.credentials.secret()) == 32
    await store.create("g", "e1", T0, owner="eve")
    assert await store.access.read(["f", "g"]) == {"f": owned, "g": FlowAccess("eve")}


# Logs from before it was kept who they are by.

BEFORE_AUTHORS = 4
"""The last schema without them."""

ADA = Actor("ada@example.com", "person", "Ada")


def chained_entry() -> Entry:
    """What a server of before has added to the log."""
    version = len(older.CLIENTS) + 2
    patch = older.PATCH.format(version=version).encode()
    return chained(origin_of(older.EPOCH), [Entry(version, patch, T0, "Ada")])[0]


async def check_takes_authors(store: IFlowStore) -> None:
    """See that a log is what it was, without authors, and takes some from now on."""
    entry = chained_entry()
    newest = entry.version
    assert await verify_flow(store, "f") == newest
    log = (await store.load("f")).entries
    assert log[-1] == entry
    assert {(one.by, one.actor, one.tags) for one in log} == {("Ada", None, b"")}
    names = await store.named_versions("f", older.EPOCH)
    assert [(one.name, one.by, one.actor, one.tags) for one in names] == [("Old", "Ada", None, b"")]
    new = [
        Entry(newest + 1, b"{}", T0, "Ada", actor=ADA),
        Entry(newest + 2, b"{}", T0, "Ada"),
        Entry(newest + 3, b"{}", T0, "Ada", None, None, (), b"", ADA, b'{"source":"ai"}'),
    ]
    added = chained(entry.chain, new)
    await store.append("f", older.EPOCH, newest, entry.chain, added, Summary(str(newest)))
    assert (await store.load("f")).entries[-3:] == added
    assert await verify_flow(store, "f") == newest + 3


@ensureDeferred
async def test_acc102_an_older_sqlite_file_takes_authors(tmp_path: Path) -> None:
    path = tmp_path / "flows.db"
    older.make_sqlite(path, BEFORE_AUTHORS)
    entry = chained_entry()
    query(
        path,
        "INSERT INTO entries (flow, version, at, by_name, patch, chain)"
        f" VALUES (1, {entry.version}, {T0}, 'Ada', '{entry.patch.decode()}',"
        f" x'{entry.chain.hex()}')",
    )
    query(path, f"UPDATE flows SET version = {entry.version}")
    query(path, f"UPDATE texts SET title = '{entry.version}'")
    query(path, "INSERT INTO version_names VALUES (1, 2, 'Old', 'Ada', 0.5)")
    async with opened(path) as store:
        await check_takes_authors(store)


@ensureDeferred
async def test_acc102_an_older_postgresql_database_takes_authors(
    postgres_server: PostgresServer, database: str
) -> None:
    older.make_postgres(postgres_server, database, BEFORE_AUTHORS)
    entry = chained_entry()

    def insert(version: int) -> str:
        return (
            "INSERT INTO helix_entries (flow, version, at, by, patch, chain)"
            f" VALUES (1, {version}, {T0}, 'Ada', '{entry.patch.decode()}',"
            f" '\\x{entry.chain.hex()}');"
        )

    postgres_server.execute(
        f"{insert(entry.version)} UPDATE helix_flows SET version = {entry.version},"
        f" title = '{entry.version}';"
        "INSERT INTO helix_version_names VALUES (1, 2, 'Old', 'Ada', 0.5)",
        database,
    )
    store = PostgresStore(postgres_server.url(database), reactor)
    await store.start()
    await check_takes_authors(store)
    await store.stop()
    # A node that was not upgraded can't add what it would read otherwise than others.
    with pytest.raises(psycopg2.errors.NotNullViolation):
        postgres_server.execute(insert(entry.version + 4), database)
