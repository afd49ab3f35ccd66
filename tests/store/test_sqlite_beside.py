"""What is written to an SQLite file beside a server. (docs/spec.md, ACC99)"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import attrs
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from helix.access.principal import Grant
from helix.access.roles import Role
from helix.access.sharing import FlowAccess
from helix.errors import SchemaMismatch, StoreError, StoreReadOnly
from helix.records import ApiKey, AuditEntry, NamedVersion, Summary
from helix.store.opening import open_store
from helix.store.sqlite.file import WriterLock
from helix.store.sqlite.store import SQLiteStore
from helix.store.upgrades import shipped_upgrades
from tests.store import older
from tests.store.data import T0, add, chain_at, entries, entry, keep
from tests.store.sqlite import opened, query, until
from tests.store.test_contract import refused


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flows.db"


@asynccontextmanager
async def beside(path: Path, create: bool = True) -> AsyncIterator[Any]:
    store = open_store(f"sqlite:{path}", reactor, create=create, beside=True)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


def with_member(store: Any, name: str) -> Deferred[FlowAccess]:
    def edit(before: FlowAccess) -> FlowAccess:
        return attrs.evolve(before, members={**before.members, name: Grant(Role.VIEWER)})

    changed: Deferred[FlowAccess] = store.access.change("f", edit, AuditEntry(0, T0, "x", "f"))
    return changed


@ensureDeferred
async def test_acc99_a_server_sees_what_was_written_beside_it(path: Path) -> None:
    async with opened(path) as server, beside(path) as operator:
        await server.create("f", "e1", T0, owner="ada")
        assert await server.access.changes(None, 9) == []
        await with_member(operator, "bob")
        both = FlowAccess("ada", {"bob": Grant(Role.VIEWER)})
        assert await server.access.read(["f"]) == {"f": both}
        assert [one.number for one in await server.access.changes(0, 9)] == [1]
        key = ApiKey("k1", "for tests", b"x", T0)
        await operator.credentials.add_key(key, AuditEntry(0, T0, "key.create"))
        assert await server.credentials.keys() == [key]
        await server.credentials.keys_used({"k1": T0 + 1})
        await operator.credentials.remove_key("k1", AuditEntry(0, T0, "key.revoke"))
        assert await server.credentials.keys() == []
        assert await operator.credentials.secret() == await server.credentials.secret()
        assert [one.number for one in await server.access.changes(0, 9)] == [1, 2, 3]
        assert (await operator.head("f")).version == 0


@ensureDeferred
async def test_acc99_neither_is_in_the_others_way(path: Path) -> None:
    async with opened(path) as server, beside(path) as operator:
        await keep(server, "f")

        async def append() -> None:
            for version in range(40):
                await add(server, "f", "e1", version, [entry(version + 1)], Summary())

        async def share(store: Any, who: str) -> None:
            for n in range(40):
                await with_member(store, f"{who}{n}")

        running = [append(), share(server, "a"), share(operator, "b")]
        await gatherResults([Deferred.fromCoroutine(one) for one in running])
        assert (await server.load("f")).entries == entries(1, 40)
        found = (await server.access.read(["f"]))["f"].members
        assert found.keys() == {f"{who}{n}" for who in "ab" for n in range(40)}
        numbers = [one.number for one in await server.access.changes(0, 99)]
        assert numbers == list(range(1, 81))


@ensureDeferred
async def test_acc99_logs_are_left_to_the_server(path: Path) -> None:
    async with opened(path) as server:
        await keep(server, "f", entries(1, 2))
        before = await server.load("f")
        async with beside(path) as operator:
            chain = chain_at(2)
            for asked in (
                operator.create("g", "e1", T0, owner="ada"),
                operator.append("f", "e1", 2, chain, entries(3, 3), Summary()),
                operator.snapshot("f", "e1", 2, chain, b"{}"),
                operator.name_version("f", "e1", NamedVersion(1, "x", "", T0)),
                operator.unname_version("f", "e1", 1),
                operator.delete("f", T0),
                operator.undelete("f"),
                operator.purge(T0),
                operator.renew_epoch("f", "e1", 2, chain, "e2"),
                operator.renew_epochs("e2"),
            ):
                await refused(StoreReadOnly, asked)
        assert await server.load("f") == before


@ensureDeferred
async def test_acc99_what_is_refused_leaves_nothing(path: Path) -> None:
    async with opened(path) as server, beside(path) as operator:
        await keep(server, "f")

        def edit(before: FlowAccess) -> FlowAccess:
            raise ValueError

        with pytest.raises(StoreError):
            await operator.access.change("f", edit, AuditEntry(0, T0, "x", "f"))
        # It holds no lock any more.
        await with_member(server, "bob")
        await with_member(operator, "eve")
        assert len(await server.access.audited(None, 9)) == 2


@ensureDeferred
async def test_acc99_without_a_server_it_makes_and_upgrades_a_file(path: Path) -> None:
    async with beside(path) as operator:
        key = ApiKey("k1", "for tests", b"x", T0)
        await operator.credentials.add_key(key, AuditEntry(0, T0, "key.create"))
    async with opened(path) as server:
        assert await server.credentials.keys() == [key]
    old = path.with_name("old.db")
    older.make_sqlite(old, 2)
    async with beside(old) as operator, opened(old):
        await with_member(operator, "bob")
    newest = len(shipped_upgrades("sqlite"))
    assert query(old, "PRAGMA user_version") == [(newest,)]


@ensureDeferred
async def test_acc99_an_older_file_that_a_server_has_open_is_left_alone(path: Path) -> None:
    older.make_sqlite(path, 2)
    with closing(Held(path)), pytest.raises(SchemaMismatch, match="schema 2"):
        async with beside(path):
            pass
    assert query(path, "PRAGMA user_version") == [(2,)]


@ensureDeferred
async def test_acc99_a_file_that_is_not_there_is_told(path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        async with beside(path, create=False):
            pass
    assert not path.exists()


@ensureDeferred
async def test_acc93_rows_of_removed_flows_are_cleared_away(path: Path) -> None:
    many = FlowAccess("ada", {f"p{n}": Grant(Role.VIEWER) for n in range(2500)})
    async with opened(path) as store:
        await keep(store, "f", entries(1, 3))
        await store.access.change("f", lambda _: many, AuditEntry(0, T0, "x", "f"))
        await keep(store, "g")
        await with_owner(store, "g")
        await store.delete("f", T0)
        await store.purge(T0 + 1)
        await until(lambda: query(path, "SELECT count(*) FROM flows") == [(1,)])
    assert query(path, "SELECT subject FROM access") == [("o:eve",)]


def with_owner(store: SQLiteStore, flow_id: str) -> Deferred[FlowAccess]:
    entry = AuditEntry(0, T0, "x", flow_id)
    changed: Deferred[FlowAccess] = store.access.change(flow_id, lambda _: FlowAccess("eve"), entry)
    return changed


class Held:
    """A writer lock as a server holds it."""

    def __init__(self, path: Path) -> None:
        self._lock = WriterLock(path)

    def close(self) -> None:
        self._lock.release()
