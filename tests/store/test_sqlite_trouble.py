"""An SQLite store in trouble: full, read-only, damaged, locked, killed."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.threads import deferToThread

from helix.errors import StoreCorrupt, StoreError, StoreFull, StoreReadOnly, StoreUnavailable
from helix.records import Entry, Summary
from helix.store.sqlite import file as sqlite_file
from helix.store.sqlite import quota as sqlite_quota
from helix.store.sqlite.store import SQLiteStore
from tests.store.data import T0, add, chain_at, entries, entry, keep, take_snapshot
from tests.store.sqlite import damage, opened, query, run, running

SUMMARY = Summary("Orders")
UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flows.db"


@async_yield_fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    async with opened(path) as store:
        yield store


def large(version: int, size: int = 100_000) -> Entry:
    return Entry(version, b'{"data":"%b"}' % (b"x" * size), T0)


async def outcomes(asked: list[Deferred[Any]]) -> list[Any]:
    results = await DeferredList(asked, consumeErrors=True)
    return [result if succeeded else result.type for succeeded, result in results]


# Full.


@ensureDeferred
async def test_lim26_what_a_file_may_hold_is_bounded(path: Path, monkeypatch: Any) -> None:
    """Nothing new is kept, what there is can be read and deleted, and what is purged is room."""
    store = SQLiteStore(path, reactor, max_bytes=1_000_000)
    await store.start()
    try:
        await keep(store, "f")
        version = 0
        with suppress(StoreFull):
            while version < 30:
                log = [structs.replace(large(version + 1), chain=chain_at(version + 1))]
                await add(store, "f", "e1", version, log, SUMMARY)
                version += 1
        assert version == pytest.approx(10, abs=2)
        with pytest.raises(StoreFull):
            await keep(store, "g")
        with pytest.raises(StoreFull):
            await take_snapshot(store, "f", "e1", version, b"{}")
        assert store.usage.used_bytes >= store.usage.max_bytes == 1_000_000
        assert store.usage.refused == 3
        assert len((await store.load("f")).entries) == version
        await store.delete("f", T0)
        assert await store.purge(T0 + 1) == 1
        for _ in range(200):  # what was removed is cleared away bit by bit
            with suppress(StoreFull):
                await keep(store, "g")
                break
        await add(store, "g", "e1", 0, [entry(1)], SUMMARY)
        monkeypatch.setattr(sqlite_quota, "MIN_FREE_BYTES", 2**60)
        monkeypatch.setattr(sqlite_quota, "SMALL_DISK_BYTES", 0)
        with pytest.raises(StoreFull):
            await add(store, "g", "e1", 1, [entry(2)], SUMMARY)
        assert (await store.load("g")).entries == [entry(1)]
    finally:
        await store.stop()


async def limit_pages(store: SQLiteStore, more: int) -> None:
    """Let the file grow by so many pages, and no further."""

    def limit(of: Any) -> None:
        (pages,) = of.database.execute("PRAGMA page_count").fetchone()
        of.database.execute(f"PRAGMA max_page_count = {pages + more}")

    await store._writer.submit(limit)


@ensureDeferred
async def test_sto12_a_full_database_takes_what_still_has_room(store: SQLiteStore) -> None:
    for name in ("f", "g", "h"):
        await keep(store, name)
    await limit_pages(store, 10)
    asked = [
        add(store, "f", "e1", 0, [large(1)], SUMMARY),
        add(store, "g", "e1", 0, [entry(1)], SUMMARY),
        take_snapshot(store, "h", "e1", 0, b"x" * 100_000),
        add(store, "h", "e1", 0, [entry(1)], SUMMARY),
    ]
    assert await outcomes(asked) == [StoreFull, None, StoreFull, None]
    assert StoreFull.retry
    assert (await store.load("f")).entries == []
    assert (await store.load("g")).entries == [entry(1)]
    assert await store.snapshot_versions("h", "e1") == []
    await limit_pages(store, 1000)
    await add(store, "f", "e1", 0, [large(1)], SUMMARY)
    assert (await store.load("f")).entries == [large(1)]


FILL = """
import subprocess

def ballast(path, size):
    path.write_bytes(b"x" * size)

async def main(path):
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", path], check=True)
    store = SQLiteStore(path / "flows.db", reactor)
    await store.start()
    await keep(store, "f")
    await keep(store, "g", entries(1, 3))
    ballast(path / "ballast", 500_000)
    version = 0
    try:
        while version < 1000:
            patch = b'{"d":"%b"}' % (b"x" * 20_000)
            log = [Entry(version + 1, patch, T0, chain=chain_at(version + 1))]
            await add(store, "f", "e1", version, log, Summary())
            version += 1
    except StoreFull as error:
        print("full", error.retry)
    assert (await store.head("f")).version == version > 3
    assert (await store.load("g")).entries == entries(1, 3)
    (path / "ballast").unlink()
    await add(store, "f", "e1", version, log, Summary())
    await add(store, "g", "e1", 3, entries(4, 4), Summary())
    await store.stop()
    again = SQLiteStore(path / "flows.db", reactor)
    await again.start()
    assert (await again.load("f")).head.version == version + 1
    assert (await again.load("g")).entries == entries(1, 4)
    await again.stop()
    print("done")
"""


def test_sto12_a_full_disk_is_borne(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run([*UNSHARE, "true"]).returncode:
        pytest.skip("a file system of one's own needs user namespaces")
    assert run(FILL, tmp_path / "small", *UNSHARE).split("\n")[-3:] == ["full True", "done", ""]


# Read-only.

DROP = """
def drop():
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
"""

REFUSED = (
    DROP
    + """
async def main(path):
    store = SQLiteStore(path, reactor)
    drop()
    try:
        await store.start()
    except StoreReadOnly as error:
        print(error.message)
"""
)

READ = (
    DROP
    + """
async def main(path):
    store = SQLiteStore(path, reactor, read_only=True)
    drop()
    await store.start()
    assert (await store.load("f")).entries == entries(1, 3)
    try:
        await store.delete("f", T0)
    except StoreReadOnly:
        print("refused")
    await store.stop()
"""
)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that other users reach: pytest's own is closed to them."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory
        directory.chmod(0o755)


@ensureDeferred
async def test_sto12_a_start_on_what_cannot_be_written_says_so(open_directory: Path) -> None:
    path = open_directory / "flows.db"
    async with opened(path) as store:
        await keep(store, "f", entries(1, 3))
    for file in open_directory.iterdir():
        file.chmod(0o444)
    said = await deferToThread(run, REFUSED, path)
    assert (str(path) in said, "denied" in said) == (True, True)
    # A directory in which nothing can be made.
    open_directory.chmod(0o555)
    said = await deferToThread(run, REFUSED, open_directory / "new.db")
    assert (str(open_directory / "new.db") in said, "denied" in said) == (True, True)
    # It can be read there all the same, with nobody else having it open.
    assert await deferToThread(run, READ, path) == "refused\n"
    assert not (open_directory / "new.db").exists()


@ensureDeferred
async def test_sto12_a_database_that_becomes_read_only_is_told(store: SQLiteStore) -> None:
    await keep(store, "f")

    def forbid(of: Any) -> None:
        of.database.execute("PRAGMA query_only = ON")

    await store._writer.submit(forbid)
    asked = [add(store, "f", "e1", 0, entries(1, 1), SUMMARY)]
    assert await outcomes(asked) == [StoreReadOnly]
    assert (await store.load("f")).entries == []


# Damaged.


def marked(version: int, mark: str) -> Entry:
    patch = b'{"data":"%b"}' % (mark.encode() * 100)
    return Entry(version, patch, T0 + version, chain=chain_at(version))


@ensureDeferred
async def test_sto12_a_damaged_page_harms_its_own_flow_alone(path: Path) -> None:
    logs = {}
    async with opened(path) as store:
        for name, mark in (("f", "<one>"), ("g", "[other]")):
            logs[name] = [marked(version, mark) for version in range(1, 201)]
            await keep(store, name, logs[name])
    assert damage(path, b"<one>", b"[other]") > 10
    async with opened(path) as store:
        with pytest.raises(StoreCorrupt):
            await store.load("f")
        assert (await store.load("g")).entries == logs["g"]
        asked = [
            add(store, "f", "e1", 200, [marked(201, "<one>")], SUMMARY),
            add(store, "g", "e1", 200, [marked(201, "[other]")], SUMMARY),
            store.create("h", "e1", T0),
        ]
        of_f, of_g, of_h = await outcomes(asked)
        assert of_f is StoreCorrupt
        assert (of_g, of_h.version) == (None, 0)
        assert (await store.head("f")).version == 200
        assert len((await store.load("g")).entries) == 201


@ensureDeferred
async def test_sto12_a_log_with_a_gap_is_not_given_as_whole(path: Path) -> None:
    async with opened(path) as store:
        await keep(store, "f", entries(1, 9))
    for version in (9, 5):
        query(path, f"DELETE FROM entries WHERE version = {version}")
        async with opened(path) as store:
            with pytest.raises(StoreCorrupt):
                await store.load("f")
            with pytest.raises(StoreCorrupt):
                await store.entries("f", "e1", 8, 9)
            assert (await store.load("f", 4)).entries == entries(1, 4)


# Locked.


@ensureDeferred
async def test_sto12_a_lock_of_another_program_is_waited_for_but_not_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS", 0.1)
    async with opened(path) as store:
        await keep(store, "f")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            asked = [add(store, "f", "e1", 0, [entry(1)], SUMMARY) for _ in range(3)]
            assert await outcomes(asked) == [StoreUnavailable] * 3
            assert (await store.load("f")).entries == []
            other.execute("ROLLBACK")
        await add(store, "f", "e1", 0, [entry(1)], SUMMARY)


# What can't be stored at all.


@ensureDeferred
async def test_sto12_what_cannot_be_stored_fails_alone(store: SQLiteStore) -> None:
    for name in ("f", "g", "h"):
        await keep(store, name)
    asked = [
        add(store, "f", "e1", 0, [entry(1, ("c", 2**70))], SUMMARY),
        add(store, "g", "e1", 0, [entry(1)], Summary("half of a pair: \ud800")),
        add(store, "h", "e1", 0, [entry(1)], SUMMARY),
    ]
    assert await outcomes(asked) == [StoreError, StoreError, None]
    for name in ("f", "g"):
        assert (await store.load(name)).entries == []


# Killed.

WRITE = """
async def write(store, flow_id):
    version = 0
    while True:
        size = version % 3 + 1
        log = [entry(version + n, (flow_id, version + n)) for n in range(1, size + 1)]
        await add(store, flow_id, "e1", version, log, Summary(str(version + size)))
        version += size
        os.write(1, f"{flow_id} {version}\\n".encode())

async def main(path):
    store = SQLiteStore(path, reactor)
    await store.start()
    names = [f"flow{n}" for n in range(20)]
    await gatherResults([keep(store, name) for name in names])
    await gatherResults([Deferred.fromCoroutine(write(store, name)) for name in names])
"""


@pytest.mark.parametrize("seed", range(3))
@ensureDeferred
async def test_sto1_what_was_confirmed_outlives_a_kill(path: Path, seed: int) -> None:
    confirmed = random.Random(seed).randrange(100, 3000)

    def write_and_kill() -> dict[str, int]:
        versions: dict[str, int] = {}
        with running(WRITE, path) as writer:
            for n, line in enumerate(writer.stdout):
                if n == confirmed:
                    writer.kill()
                flow_id, version = line.split()
                versions[flow_id] = int(version)
        return versions

    versions = await deferToThread(write_and_kill)
    async with opened(path) as store:
        for flow_id, version in versions.items():
            stored = await store.load(flow_id)
            last = stored.head.version
            log = [entry(n, (flow_id, n)) for n in range(1, last + 1)]
            assert last >= version
            assert stored.entries == log
            assert stored.head.summary == Summary(str(last))
            await add(store, flow_id, "e1", last, entries(last + 1, last + 1), SUMMARY)
    assert len(versions) == 20
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
