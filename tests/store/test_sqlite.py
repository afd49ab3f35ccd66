"""What the SQLite store has of its own: its file, its threads, its transactions, its schema."""

from __future__ import annotations

import _sqlite3
import ctypes
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pytest_twisted import async_yield_fixture, ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from helix.errors import (
    DuplicateOperation,
    SchemaMismatch,
    StoreCorrupt,
    StoreError,
    StoreReadOnly,
    StoreUnavailable,
    VersionConflict,
)
from helix.records import HeadQuery, NamedVersion, Summary
from helix.store.memory import MemoryStore
from helix.store.opening import open_store
from helix.store.sqlite import file as sqlite_file
from helix.store.sqlite import store as sqlite_store
from helix.store.sqlite.reads import SQLiteReads
from helix.store.sqlite.removed import RemovedFlows
from helix.store.sqlite.store import SQLiteStore
from helix.store.upgrades import Upgrade, shipped_upgrades
from tests.store import older
from tests.store.data import T0, add, entries, entry, keep, take_snapshot
from tests.store.sqlite import PAGE, opened, query, running, until

SUMMARY = Summary("Orders")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "flows.db"


@async_yield_fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    async with opened(path) as store:
        yield store


async def start_error(path: Path, read_only: bool = False) -> StoreError:
    """Start a store that can't be; the error names the file."""
    with pytest.raises(StoreError) as caught:
        await SQLiteStore(path, reactor, read_only).start()
    return caught.value


# The url.


def test_sto18_a_url_names_a_store(path: Path) -> None:
    assert isinstance(open_store("memory:", reactor), MemoryStore)
    assert isinstance(open_store(f"sqlite:{path}", reactor), SQLiteStore)
    assert not path.parent.exists()


@pytest.mark.parametrize(
    "url", ["", "memory", "memory:x", "sqlite:", "sqlite", "mysql://x", "postgresql:x", "flows.db"]
)
def test_sto18_another_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"memory:, sqlite:PATH or postgresql://"):
        open_store(url, reactor)


# Memory.


def sqlite_bytes() -> int:
    """What SQLite itself has allocated, in all databases of this process."""
    used = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
    used.restype = ctypes.c_int64
    return int(used())


@ensureDeferred
async def test_sto24_nothing_large_stays_with_sqlite(store: SQLiteStore) -> None:
    await keep(store, "f", entries(1, 1))
    before = sqlite_bytes()
    large = b'"%b"' % (b"x" * 8 * 2**20)
    await add(store, "f", "e1", 1, [msgspec.structs.replace(entry(2), patch=large)], SUMMARY)
    await take_snapshot(store, "f", "e1", 2, large)
    assert len((await store.load("f")).snapshot or b"") == len(large)
    await store.head("f")  # the writer is done once others read what it wrote
    assert sqlite_bytes() - before < 4 * 2**20


# The file.


@ensureDeferred
async def test_sto18_the_file_is_made_for_nobody_else(store: SQLiteStore, path: Path) -> None:
    await keep(store, "f", entries(1, 1))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["a b", "a?mode=memory", "a%20b#c", "\u00e9"])
@ensureDeferred
async def test_sto18_any_name_will_do(tmp_path: Path, name: str) -> None:
    async with opened(tmp_path / name) as store:
        await keep(store, "f")
    assert (tmp_path / name).stat().st_size > 0


@ensureDeferred
async def test_sto1_commits_are_synced(store: SQLiteStore) -> None:
    def settings(of: Any) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [of.database.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await store._writer.submit(settings) == ["wal", 2, 1, 5000]


@ensureDeferred
async def test_sto13_a_second_store_is_refused(store: SQLiteStore, path: Path) -> None:
    assert "another process writes" in (await start_error(path)).message
    link = path.with_name("link.db")
    link.symlink_to(path)
    assert "another process writes" in (await start_error(link)).message
    await keep(store, "f")


@ensureDeferred
async def test_sto13_a_start_that_fails_lets_go_of_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> sqlite3.Connection:
        raise sqlite3.OperationalError("no more of these")

    for name in ("connect_reader", "connect_writer"):
        with monkeypatch.context() as patch:
            patch.setattr(sqlite_store, name, fail)
            assert "no more of these" in (await start_error(path)).message
        async with opened(path) as store:
            await store.heads(HeadQuery())


SERVE = """
async def main(path):
    store = SQLiteStore(path, reactor)
    await store.start()
    await keep(store, "theirs", entries(1, 3))
    print("started", flush=True)
    await Deferred()
"""


@ensureDeferred
async def test_sto13_a_second_process_is_refused_while_the_first_lives(path: Path) -> None:
    with running(SERVE, path) as other:
        assert other.stdout.readline() == "started\n"
        error = await start_error(path)
        assert f"process {other.pid}" in error.message
        assert str(path) in error.message
        assert type(error) is StoreError
        # One that only reads is let in, and sees what is confirmed.
        async with opened(path, read_only=True) as reader:
            assert (await reader.load("theirs")).entries == entries(1, 3)
            with pytest.raises(StoreReadOnly):
                await add(reader, "theirs", "e1", 3, entries(4, 4), SUMMARY)
        other.kill()
        other.wait()
    async with opened(path) as store:
        assert (await store.load("theirs")).entries == entries(1, 3)


# The threads and transactions.


@ensureDeferred
async def test_sto15_the_reactor_never_waits_for_the_database(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = []
    connect = sqlite3.connect

    def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
        # SQLite's module lets no other thread use a connection, unless it is told to.
        assert "check_same_thread" not in options
        connected.append(threading.current_thread().name)
        return connect(*arguments, **options)

    monkeypatch.setattr(sqlite3, "connect", watched)
    async with opened(path) as store:
        await keep(store, "f", entries(1, 3))
        await store.load("f")
    assert connected == ["helix-sqlite-writer", "helix-sqlite-reader", "helix-sqlite-past"]
    assert threading.current_thread().name not in connected


@ensureDeferred
async def test_sto16_appends_of_many_flows_share_a_transaction(store: SQLiteStore) -> None:
    names = [f"flow {n}" for n in range(400)]
    await gatherResults([keep(store, name) for name in names])
    before = store.transactions
    begun, all_asked = threading.Event(), threading.Event()
    under_way = store._writer.submit(lambda _: (begun.set(), all_asked.wait(30.0)))
    await deferToThread(begun.wait, 30.0)
    asked = [add(store, name, "e1", 0, entries(1, 2), Summary(name)) for name in names]
    all_asked.set()
    await gatherResults([under_way, *asked])
    assert store.transactions - before == 2


def thread_written(_: object = None) -> int:
    """How many bytes the thread that asks has written to files so far."""
    counts = Path("/proc/thread-self/io").read_text(encoding="ascii")
    return int(counts.split("wchar: ")[1].split()[0])


@ensureDeferred
async def test_sto25_what_is_written_goes_to_the_log_alone(store: SQLiteStore, path: Path) -> None:
    """A statement for many rows could be undone by a file of its own: as many pages again."""
    names = [f"flow {n}" for n in range(256)]
    await gatherResults([keep(store, name, entries(1, 40)) for name in names])
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = await store._writer.submit(thread_written)
    begun, all_asked = threading.Event(), threading.Event()
    under_way = store._writer.submit(lambda _: (begun.set(), all_asked.wait(30.0)))
    await deferToThread(begun.wait, 30.0)
    asked = [add(store, name, "e1", 40, entries(41, 41), SUMMARY) for name in names]
    all_asked.set()
    await gatherResults([under_way, *asked])
    written = await store._writer.submit(thread_written) - before
    logged = Path(f"{path}-wal").stat().st_size
    assert 100 * PAGE < logged <= written < logged + PAGE


@ensureDeferred
async def test_sto4_a_submission_is_found_without_a_look_through_the_log(
    store: SQLiteStore, path: Path
) -> None:
    await keep(store, "f", [entry(version, ("c", version)) for version in range(1, 3001)])
    steps: list[None] = []
    with closing(sqlite_file.connect_reader(path)) as database:
        database.set_progress_handler(lambda: steps.append(None), 1)
        reads = SQLiteReads(database)
        assert reads.newest_op("f", "e1", "c") == 3000
        assert reads.find("f", "e1", "c", [1500]) == [entry(1500, ("c", 1500))]
    assert len(steps) < 300


@ensureDeferred
async def test_sto16_a_repeated_operation_among_many_fails_alone(store: SQLiteStore) -> None:
    names = [f"flow {n}" for n in range(100)]
    await gatherResults([keep(store, name, [entry(1, ("c", 1))]) for name in names])
    asked = [
        add(store, name, "e1", 1, [entry(2, ("c", 1 if name == "flow 70" else 2))], SUMMARY)
        for name in names
    ]
    with pytest.raises(DuplicateOperation):
        await asked.pop(70)
    await gatherResults(asked)
    versions = [head.version for head in await store.heads(HeadQuery(limit=200))]
    assert sorted(versions) == [1] + [2] * 99


@ensureDeferred
async def test_sto16_what_the_writer_remembers_is_bounded(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helix.store.sqlite.writes._KNOWN_LOGS", 5)
    monkeypatch.setattr("helix.store.sqlite.writes._KNOWN_CLIENTS", 2)
    names = [f"flow {n}" for n in range(20)]
    await gatherResults([keep(store, name) for name in names])
    logs = [[entry(n, (f"client {n % 4}", n)) for n in range(1, 9)] for _ in names]
    for base in range(8):
        await gatherResults(
            [
                add(store, name, "e1", base, [log[base]], SUMMARY)
                for name, log in zip(names, logs, strict=True)
            ]
        )
        assert len(store._writes._logs) <= 25
    for name, log in zip(names, logs, strict=True):
        assert (await store.load(name)).entries == log


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Lets the writer clear some away as often as it is released; else it tries in vain."""
    steps = threading.Semaphore(0)
    clear_some = RemovedFlows.clear_some

    def clear_when_let(removed: RemovedFlows) -> None:
        if steps.acquire(blocking=False):
            clear_some(removed)

    monkeypatch.setattr(RemovedFlows, "clear_some", clear_when_let)
    return steps


@ensureDeferred
async def test_sto9_what_is_removed_is_cleared_away_bit_by_bit(
    path: Path, steps: threading.Semaphore
) -> None:
    store = SQLiteStore(path, reactor)
    await store.start()
    await keep(store, "f", entries(1, 5000))
    await take_snapshot(store, "f", "e1", 4000, b"{}")
    await store.name_version("f", "e1", NamedVersion(7, "Launch", "Ada", T0))
    await keep(store, "g", [entry(1, ("c", 1))])
    await store.delete("f", T0)
    steps.release()
    assert await store.purge(T0 + 1) == 1
    await store.stop()
    # It was stopped in the midst of it; the next start goes on.
    assert query(path, "SELECT count(*) FROM flows") == [(2,)]
    assert query(path, "SELECT count(*) FROM entries") == [(4001,)]
    steps.release(5)
    async with opened(path) as store:
        await until(lambda: not store._writes.unfinished)
        assert (await store.load("g")).entries == [entry(1, ("c", 1))]
    for table, left in (("flows", 1), ("texts", 1), ("clients", 1), ("entries", 1)):
        assert query(path, f"SELECT count(*) FROM {table}") == [(left,)]
    for table in ("snapshots", "version_names"):
        assert query(path, f"SELECT count(*) FROM {table}") == [(0,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


@ensureDeferred
async def test_sto9_an_append_does_not_wait_for_a_long_log_to_be_cleared(
    store: SQLiteStore, steps: threading.Semaphore
) -> None:
    await keep(store, "f", entries(1, 5000))
    await keep(store, "g")
    await store.delete("f", T0)
    steps.release(3)
    await store.purge(T0 + 1)
    await add(store, "g", "e1", 0, entries(1, 1), SUMMARY)
    assert store._writes.unfinished


@ensureDeferred
async def test_sto10_an_entry_takes_few_bytes(path: Path) -> None:
    client = "4f1d7c1e-3c5a-4000-8000-123456789abc"
    async with opened(path) as store:
        for name in "abcdefghij":
            await keep(store, name)
        for base in range(0, 1000, 20):
            for name in "abcdefghij":
                log = [entry(base + n, (client, base + n)) for n in range(1, 21)]
                await add(store, name, "e1", base, log, SUMMARY)
    assert path.stat().st_size / 10_000 < 120


@ensureDeferred
async def test_sto21_the_write_ahead_log_is_short_again_after_a_backup(path: Path) -> None:
    """A backup reads one moment for as long as it takes, and nothing behind it can be let go."""
    log = path.with_name(f"{path.name}-wal")
    large = [
        msgspec.structs.replace(entry(n), patch=b'{"data":{"x":"%b"}}' % (b"x" * 500_000))
        for n in range(1, 81)
    ]
    async with opened(path) as store:
        await keep(store, "f")
        with closing(sqlite3.connect(path, isolation_level=None)) as backup:
            backup.execute("BEGIN")
            backup.execute("SELECT count(*) FROM flows").fetchone()
            for base in range(0, 80, 8):
                await add(store, "f", "e1", base, large[base : base + 8], SUMMARY)
            assert log.stat().st_size > 2 * sqlite_file.MAX_LOG_BYTES
        for base in (80, 81):
            await add(store, "f", "e1", base, [entry(base + 1)], SUMMARY)
        assert log.stat().st_size <= sqlite_file.MAX_LOG_BYTES
        assert (await store.load("f")).entries[:80] == large


# Another file in its place.


@ensureDeferred
async def test_sto22_a_backup_that_is_put_back_under_a_running_store_is_followed(
    path: Path,
) -> None:
    backup = path.with_name("backup.db")
    async with opened(path) as store:
        await keep(store, "f", entries(1, 2))
        query(path, f"VACUUM INTO '{backup}'")
        await add(store, "f", "e1", 2, entries(3, 4), SUMMARY)
        backup.rename(path)
        # Whoever comes first.
        assert (await store.load("f")).entries == entries(1, 2)
        with pytest.raises(VersionConflict):
            await add(store, "f", "e1", 4, entries(5, 5), SUMMARY)
        await add(store, "f", "e1", 2, entries(3, 3), SUMMARY)
        assert (await store.head("f")).version == 3
        query(path, f"VACUUM INTO '{backup}'")
        await add(store, "f", "e1", 3, entries(4, 4), SUMMARY)
        backup.rename(path)
        await add(store, "f", "e1", 3, [entry(4, ("c", 1))], SUMMARY)
        assert await store.find("f", "e1", "c", [1]) == [entry(4, ("c", 1))]
    async with opened(path) as store:
        assert (await store.load("f")).entries == [*entries(1, 3), entry(4, ("c", 1))]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


@ensureDeferred
async def test_sto22_a_file_that_is_gone_takes_nothing(path: Path) -> None:
    away = path.with_name("away.db")
    async with opened(path) as store:
        await keep(store, "f", entries(1, 2))
        path.rename(away)
        for asked in (add(store, "f", "e1", 2, entries(3, 3), SUMMARY), store.head("f")):
            with pytest.raises(StoreUnavailable):
                await asked
        path.write_bytes(b"nonsense" * 1000)
        for asked in (add(store, "f", "e1", 2, entries(3, 3), SUMMARY), store.head("f")):
            with pytest.raises(StoreUnavailable):
                await asked
        away.rename(path)
        await add(store, "f", "e1", 2, entries(3, 3), SUMMARY)
        assert (await store.load("f")).entries == entries(1, 3)


# The schema.


def tables(path: Path) -> set[str]:
    return {name for (name,) in query(path, "SELECT name FROM sqlite_master")}


@pytest.fixture
def ship(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes upgrades follow those that are shipped."""

    def ship(*statements: str) -> int:
        upgrades = shipped_upgrades("sqlite")
        for sql in statements:
            upgrades.append(Upgrade(len(upgrades) + 1, "more", sql))
        monkeypatch.setattr(sqlite_store, "shipped_upgrades", lambda folder: upgrades)
        return len(upgrades)

    return ship


async def make_older(path: Path) -> set[str]:
    async with opened(path) as store:
        await keep(store, "f", entries(1, 3))
    return tables(path)


@ensureDeferred
async def test_sto14_an_older_schema_is_upgraded_at_the_start(path: Path, ship: Any) -> None:
    before = await make_older(path)
    newest = ship("CREATE TABLE more (x); -- and", "CREATE TABLE most (x);\nDROP TABLE more;")
    async with opened(path) as store:
        assert (await store.load("f")).entries == entries(1, 3)
    assert tables(path) - before == {"most"}
    assert query(path, "PRAGMA user_version") == [(newest,)]
    assert query(path, "PRAGMA application_id") == [(sqlite_file.APPLICATION_ID,)]


@ensureDeferred
async def test_sto14_sto20_a_store_from_before_names_takes_them(
    path: Path,
) -> None:
    path.parent.mkdir(exist_ok=True)
    older.make_sqlite(path, 1)
    named = NamedVersion(2, "Launch", "Ada", T0)
    async with opened(path) as store:
        assert await store.named_versions("f", older.EPOCH) == []
        assert await store.name_version("f", older.EPOCH, named) is None
        assert await store.named_versions("f", older.EPOCH) == [named]


@ensureDeferred
async def test_sto14_an_upgrade_that_fails_leaves_the_database_as_it_was(
    path: Path, ship: Any
) -> None:
    before = await make_older(path)
    number = query(path, "PRAGMA user_version")
    ship("CREATE TABLE more (x);", "DELETE FROM entries; INSERT INTO missing VALUES (1);")
    error = await start_error(path)
    assert "missing" in error.message
    assert str(path) in error.message
    assert (tables(path), query(path, "PRAGMA user_version")) == (before, number)
    ship()
    async with opened(path) as store:
        assert (await store.load("f")).entries == entries(1, 3)


@ensureDeferred
async def test_sto14_a_newer_schema_is_refused(path: Path) -> None:
    await make_older(path)
    query(path, "PRAGMA user_version = 99")
    for read_only in (False, True):
        error = await start_error(path, read_only)
        assert type(error) is SchemaMismatch
        assert "schema 99" in error.message
    assert query(path, "PRAGMA user_version") == [(99,)]


@ensureDeferred
async def test_sto14_an_older_schema_is_not_read_without_an_upgrade(path: Path, ship: Any) -> None:
    before = await make_older(path)
    ship("CREATE TABLE more (x);")
    error = await start_error(path, read_only=True)
    assert type(error) is SchemaMismatch
    assert "start the server on it once" in error.message
    assert tables(path) == before


# Files that are none of ours.


@ensureDeferred
async def test_sto18_the_database_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    query(path, "CREATE TABLE theirs (x)")
    before = path.read_bytes()
    for read_only in (False, True):
        error = await start_error(path, read_only)
        assert "another program" in error.message
    assert path.read_bytes() == before


@ensureDeferred
async def test_sto18_what_is_no_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"Dear diary, " * 1000)
    for read_only in (False, True):
        error = await start_error(path, read_only)
        assert type(error) is StoreCorrupt
        assert str(path) in error.message
    assert path.read_bytes() == b"Dear diary, " * 1000


@ensureDeferred
async def test_sto18_a_directory_is_no_database(path: Path) -> None:
    path.mkdir(parents=True)
    for read_only in (False, True):
        assert str(path) in (await start_error(path, read_only)).message


@ensureDeferred
async def test_sto18_reading_alone_makes_no_file(path: Path) -> None:
    assert str(path) in (await start_error(path, read_only=True)).message
    assert not path.parent.exists()
