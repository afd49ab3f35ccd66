"""A store's logs against its snapshots and heads, whole and damaged. (VER)"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import psycopg2
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from helix.chain import chained, origin_of
from helix.delivery.protocol import encode_json
from helix.documents.document import FlowDocument, encode_document
from helix.errors import FlowNotFound, SchemaMismatch, StoreReadOnly
from helix.interfaces import IFlowStore
from helix.log.verify import HEADS, Difference, all_heads, verify_flow
from helix.records import Actor, Entry, FlowHead, HeadQuery, NamedVersion, StoredFlow, Summary
from helix.store.memory import MemoryStore
from helix.store.opening import open_store
from helix.store.postgresql.store import PostgresStore
from tests.support.flowdata import edge, node
from tests.support.postgres import shared_server

T0 = 1_700_000_000.25
PATCHES: list[dict[str, Any]] = [
    {"title": "Triage", "nodes": {"a": node("a")}},
    {"nodes": {"b": node("b")}, "edges": {"e": edge("e", "a", "b")}},
    {"nodes": {"a": {"position": {"x": 10}}}},
    {"nodes": {"a": {"position": {"x": 20}}}},
    {"nodes": {"a": {"position": {"x": 30}}}},
]
SNAPSHOT_AT = 3


async def fill(store: IFlowStore, flow_id: str = "triage", patches: Any = PATCHES) -> None:
    """Keep a flow with a log of ``patches``, and a snapshot at `SNAPSHOT_AT`."""
    document = FlowDocument.empty()
    entries: list[Entry] = []
    snapshot = b""
    for version, patch in enumerate(patches, 1):
        effective = document.stage(patch)
        document.apply(effective)
        actor = None if version == 2 else Actor("ada", "person", "Ada")
        entry = Entry(version, encode_json(effective), T0 + version, "Ada", actor=actor)
        entries.append(entry)
        if version == SNAPSHOT_AT:
            snapshot = encode_document(document.content)
    content = document.content
    counts = (document.node_count, document.edge_count)
    summary = Summary(content["title"], content["description"], *counts)
    log = chained(origin_of("e1"), entries)
    await store.create(flow_id, "e1", T0, log, summary)
    if snapshot:
        chain = log[SNAPSHOT_AT - 1].chain
        await store.snapshot(flow_id, "e1", SNAPSHOT_AT, chain, snapshot)
    await store.name_version(flow_id, "e1", NamedVersion(1, "Launch", "Ada", T0 + 9))


@attrs.frozen
class Place:
    """
    A database to damage.

    :ivar tables: the names of its tables of flows, titles, entries, snapshots, names and authors,
        and of who made an entry; and what stands there for no author.
    """

    url: str
    execute: Callable[[str], None]
    tables: dict[str, str]

    def damage(self, sql: str) -> None:
        self.execute(sql.format(**self.tables))


def sqlite_place(path: Path) -> Place:
    def execute(sql: str) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            assert database.execute(sql).rowcount == 1

    names = ("flows", "texts", "entries", "snapshots", "version_names", "authors")
    tables = dict(zip(names, names, strict=True))
    return Place(f"sqlite:{path}", execute, {**tables, "by": "by_name", "nobody": "NULL"})


def postgres_place(path: Path) -> Place:
    url = shared_server().make_schema()

    def execute(sql: str) -> None:
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as one:
            one.execute(sql)
            assert one.rowcount == 1

    names = ("flows", "entries", "snapshots", "version_names", "authors")
    tables = {name: f"helix_{name}" for name in names}
    return Place(url, execute, {**tables, "texts": "helix_flows", "by": "by", "nobody": "0"})


@pytest.fixture(params=[sqlite_place, postgres_place], ids=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    made: Place = request.param(tmp_path / "flows.db")
    return made


async def with_store(url: str, do: Callable[[IFlowStore], Any], read_only: bool = False) -> Any:
    store = open_store(url, reactor, read_only)
    await store.start()
    try:
        return await do(store)
    finally:
        await store.stop()


async def difference(place: Place) -> Difference:
    """What the store of `fill` turns out to hold otherwise."""
    with pytest.raises(Difference) as raised:
        await with_store(place.url, lambda store: verify_flow(store, "triage"), read_only=True)
    return raised.value


@ensureDeferred
async def test_ver1_whole_store_has_no_difference(place: Place) -> None:
    progress: list[int] = []

    async def verify(store: IFlowStore) -> int:
        await fill(store)
        return await verify_flow(store, "triage", progress.append)

    assert await with_store(place.url, verify) == len(PATCHES)
    assert sum(progress) == len(PATCHES)


CHANGED = (2, "the entry, or its chain, is not what was stored")
DAMAGES = {
    "entry changed": (
        """UPDATE {entries} SET patch = '{{"title": "Other"}}' WHERE version = 3""",
        3,
        "the entry, or its chain, is not what was stored",
    ),
    "entry of another time": ("UPDATE {entries} SET at = at + 0.001 WHERE version = 2", *CHANGED),
    "entry by somebody else": ("UPDATE {entries} SET {by} = 'Eve' WHERE version = 2", *CHANGED),
    "entries of a person with another name": ("UPDATE {authors} SET name = 'Eve'", 1, CHANGED[1]),
    "entries of another principal": ("UPDATE {authors} SET actor_id = 'eve'", 1, CHANGED[1]),
    "entries that were tagged": ("""UPDATE {authors} SET tags = '{{"a":1}}'""", 1, CHANGED[1]),
    "entry whose author is forgotten": (
        "UPDATE {entries} SET author = {nobody} WHERE version = 3",
        3,
        CHANGED[1],
    ),
    "authors that are gone": ("DELETE FROM {authors}", 1, CHANGED[1]),
    "entry that dropped something": (
        """UPDATE {entries} SET dropped = '["/title"]' WHERE version = 2""",
        *CHANGED,
    ),
    "entry that nobody sent": ("UPDATE {entries} SET op_id = 7 WHERE version = 2", *CHANGED),
    "entry with another chain": (
        "UPDATE {entries} SET chain = (SELECT origin FROM {flows}) WHERE version = 2",
        *CHANGED,
    ),
    "log that began elsewhere": (
        "UPDATE {flows} SET origin = (SELECT chain FROM {entries} WHERE version = 1)",
        1,
        "the entry, or its chain, is not what was stored",
    ),
    "entry that is no JSON": (
        "UPDATE {entries} SET patch = 'nonsense' WHERE version = 4",
        4,
        "the entry, or its chain, is not what was stored",
    ),
    "entry that no document takes": (
        """UPDATE {entries} SET patch = '{{"nodes": {{"a": {{"id": "z"}}}}}}' WHERE version = 4""",
        4,
        "the entry, or its chain, is not what was stored",
    ),
    "entry missing": ("DELETE FROM {entries} WHERE version = 2", 2, "the entry is missing"),
    "first entry missing": ("DELETE FROM {entries} WHERE version = 1", 1, "the entry is missing"),
    "last entry missing": ("DELETE FROM {entries} WHERE version = 5", 5, "the entry is missing"),
    "snapshot changed": (
        "UPDATE {snapshots} SET document = replace(document, 'Triage', 'Garage')",
        SNAPSHOT_AT,
        "the snapshot is not what the log makes",
    ),
    "snapshot cut off": (
        "UPDATE {snapshots} SET document = substr(document, 1, 20)",
        SNAPSHOT_AT,
        "the snapshot is no document",
    ),
    "snapshot before the log": (
        "UPDATE {snapshots} SET version = 0",
        0,
        "a snapshot precedes the first entry",
    ),
    "snapshot behind the log": (
        "UPDATE {snapshots} SET version = 9",
        5,
        "the log goes on to 9, behind its head",
    ),
    "name behind the log": (
        "UPDATE {version_names} SET version = 6",
        6,
        "it has a name, but the log has no such version",
    ),
    "name before the log": (
        "UPDATE {version_names} SET version = -1",
        -1,
        "it has a name, but the log has no such version",
    ),
    "head too far": ("UPDATE {flows} SET version = 6", 6, "the entry is missing"),
    "head not far enough": (
        "UPDATE {flows} SET version = 4",
        4,
        "the log goes on to 5, behind its head",
    ),
    "head with another title": (
        "UPDATE {texts} SET title = 'Other'",
        5,
        "the head's title is 'Other', the log makes 'Triage'",
    ),
    "head with another description": (
        "UPDATE {texts} SET description = 'Other'",
        5,
        "the head's description is 'Other', the log makes ''",
    ),
    "head with other nodes": (
        "UPDATE {flows} SET node_count = 3",
        5,
        "the head's node_count is 3, the log makes 2",
    ),
    "head with other edges": (
        "UPDATE {flows} SET edge_count = 0",
        5,
        "the head's edge_count is 0, the log makes 1",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
@ensureDeferred
async def test_ver2_damage_is_found_where_it_shows_first(place: Place, name: str) -> None:
    sql, version, what = DAMAGES[name]
    await with_store(place.url, fill)
    place.damage(sql)
    found = await difference(place)
    assert (found.flow_id, found.version) == ("triage", version)
    assert str(found).startswith(f"triage: version {version}: {what}")


@ensureDeferred
async def test_ver2_the_missing_one_of_many_entries_is_named(place: Place) -> None:
    patches = [{"data": {"n": n}} for n in range(1, 1500)]
    await with_store(place.url, lambda store: fill(store, "triage", patches))
    place.damage("DELETE FROM {entries} WHERE version = 1234")
    assert (await difference(place)).version == 1234


@ensureDeferred
async def test_ver1_deleted_flow_is_replayed_too(place: Place) -> None:
    async def delete(store: IFlowStore) -> list[FlowHead]:
        await fill(store)
        await store.delete("triage", T0 + 100)
        return await all_heads(store)

    (head,) = await with_store(place.url, delete)
    assert head.deleted_at == T0 + 100
    place.damage("DELETE FROM {entries} WHERE version = 2")
    assert (await difference(place)).version == 2


@ensureDeferred
async def test_ver3_read_only_store_takes_nothing(place: Place) -> None:
    await with_store(place.url, fill)

    async def write(store: IFlowStore) -> None:
        for write in (
            lambda: store.create("other", "e1", T0),
            lambda: store.append("triage", "e1", 5, b"", [Entry(6, b"{}", T0)], Summary()),
            lambda: store.delete("triage", T0),
            lambda: store.purge(T0),
        ):
            with pytest.raises(StoreReadOnly):
                await write()

    await with_store(place.url, write, read_only=True)
    (head,) = await with_store(place.url, all_heads)
    assert (head.flow_id, head.version, head.deleted_at) == ("triage", 5, None)


@ensureDeferred
async def test_ver3_empty_postgresql_database_stays_empty() -> None:
    url = shared_server().make_schema()
    store = PostgresStore(url, reactor, read_only=True)
    with pytest.raises(SchemaMismatch, match="has schema 0"):
        await store.start()
    await store.stop()
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as one:
        one.execute("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()")
        assert one.fetchone() == (0,)


class Moving(MemoryStore):
    """
    A store in which something happens just before, or after, it does something.

    :ivar before: what happens, once, before a method of that name is carried out.
    :ivar after: likewise, after it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, Callable[[MemoryStore], object]] = {}
        self.after: dict[str, Callable[[MemoryStore], object]] = {}
        self.start()

    def snapshot_versions(self, flow_id: str, epoch: str) -> Deferred[list[int]]:
        self._happen(self.before, "snapshot_versions")
        return super().snapshot_versions(flow_id, epoch)

    def entries(self, flow_id: str, epoch: str, after: int, limit: int) -> Deferred[list[Entry]]:
        self._happen(self.before, "entries")
        return super().entries(flow_id, epoch, after, limit)

    def load(self, flow_id: str, version: int | None = None) -> Deferred[StoredFlow]:
        self._happen(self.before, "load")
        return super().load(flow_id, version)

    def heads(self, query: HeadQuery) -> Deferred[list[FlowHead]]:
        listed = super().heads(query)
        self._happen(self.after, "heads")
        return listed

    def _happen(self, what: dict[str, Callable[[MemoryStore], object]], method: str) -> None:
        if method in what:
            what.pop(method)(self)


def add_entry(store: MemoryStore) -> None:
    append_to(store, "triage", Entry(6, b'{"title":"Later"}', T0 + 6), Summary("Later", "", 2, 1))


def append_to(store: MemoryStore, flow_id: str, entry: Entry, summary: Summary) -> None:
    head = store._logs[flow_id].head
    log = chained(head.chain, [entry])
    store.append(flow_id, head.epoch, head.version, head.chain, log, summary)


def make_anew(store: MemoryStore) -> None:
    store.delete("triage", T0)
    store.create("triage", "e2", T0, replace_deleted=True)


def remove(store: MemoryStore) -> None:
    store.delete("triage", T0)
    store.purge(T0 + 1)


@pytest.mark.parametrize("method", ["snapshot_versions", "entries", "load"])
@pytest.mark.parametrize(
    ("happens", "entries"),
    [(add_entry, 5), (make_anew, 0), (remove, 0)],
    ids=["entry", "anew", "removed"],
)
@ensureDeferred
async def test_ver4_what_happens_meanwhile_is_no_difference(
    method: str, happens: Callable[[MemoryStore], None], entries: int
) -> None:
    store = Moving()
    await fill(store)
    store.before[method] = happens
    assert await verify_flow(store, "triage") == entries
    assert not store.before


@ensureDeferred
async def test_ver4_flow_that_changes_while_they_are_listed_is_not_left_out() -> None:
    def change_the_oldest(store: MemoryStore) -> None:
        append_to(store, "f0", Entry(1, b'{"title":"t"}', T0 + 9999), Summary("t"))

    store = Moving()
    names = [f"f{number}" for number in range(HEADS + 1)]
    for number, name in enumerate(names):
        await store.create(name, "e1", T0 + number)
    store.after["heads"] = change_the_oldest
    assert sorted(head.flow_id for head in await all_heads(store)) == sorted(names)


@ensureDeferred
async def test_ver4_flow_that_is_gone_has_no_entries() -> None:
    store = MemoryStore()
    await store.start()
    assert await verify_flow(store, "nobody's") == 0
    with pytest.raises(FlowNotFound):
        await store.head("nobody's")
