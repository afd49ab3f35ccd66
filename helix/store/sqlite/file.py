"""An SQLite file: its writer lock, connections, schema and errors."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from helix.chain import origin_of
from helix.documents.ids import public_id
from helix.errors import (
    DuplicateOperation,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from helix.store.upgrades import Upgrade, check_current, needed_upgrades

APPLICATION_ID = 0x48454C58
"""Marks a file as ours, in its header: HELX."""

BUSY_SECONDS = 5.0
"""How long a statement waits for a lock that another program holds."""

_WRITER_CACHE_KIB = 32 * 1024

_CHECKPOINT_PAGES = 4000
"""At which length of the write-ahead log its pages are copied to the database."""

MAX_LOG_BYTES = 16 * 2**20
"""
What the write-ahead log is cut to when it begins anew: about `_CHECKPOINT_PAGES`. It grows beyond
while another program reads for long, as a backup does.
"""

_ERRORS: dict[int, type[StoreError]] = {
    sqlite3.SQLITE_FULL: StoreFull,
    sqlite3.SQLITE_READONLY: StoreReadOnly,
    sqlite3.SQLITE_PERM: StoreReadOnly,
    sqlite3.SQLITE_CORRUPT: StoreCorrupt,
    sqlite3.SQLITE_NOTADB: StoreCorrupt,
    sqlite3.SQLITE_BUSY: StoreUnavailable,
    sqlite3.SQLITE_LOCKED: StoreUnavailable,
    sqlite3.SQLITE_IOERR: StoreUnavailable,
    sqlite3.SQLITE_CANTOPEN: StoreUnavailable,
}


def primary_code(error: BaseException) -> int:
    """Give SQLite's code of an error, without what refines it; 0 where there is none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def store_error(error: Exception, message: str | None = None) -> StoreError:
    """Say what an error of SQLite's means to who asked; its cause is the error itself."""
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
        return DuplicateOperation()
    meaning = _ERRORS.get(primary_code(error), StoreError)(message)
    meaning.__cause__ = error
    return meaning


def start_error(error: Exception, path: Path) -> StoreError:
    """Say why a database can't be opened, and which."""
    what: type[StoreError] = StoreError
    if isinstance(error, OSError):
        why = error.strerror or str(error)
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            what = StoreReadOnly
        elif error.errno in (errno.ENOSPC, errno.EDQUOT):
            what = StoreFull
    else:
        why = str(error)
        what = type(store_error(error))
    return what(f"The database {path} can't be used: {why}")


class WriterLock:
    """
    Sees to it that one process at a time writes to a database, also while it writes nothing.

    SQLite's own locks would let two daemons take turns. The file beside the database stays: a
    lock on a file that comes and goes is none.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise StoreError(
                f"{path}: another process writes to this database ({holder or 'unknown'}): "
                "stop it first, or use another file"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._descriptor)


def prepare_file(path: Path) -> None:
    """Make the file and its directory where they are not, for nobody else to read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def check_file(path: Path) -> None:
    """
    See that there is a file.

    :raises FileNotFoundError: when there is none.
    """
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def connect(path: Path, *options: str) -> sqlite3.Connection:
    """
    Open a database for this thread alone; transactions begin and end where the SQL says so.

    :param options: parameters of SQLite's file URIs, such as ``mode=ro``.
    """
    uri = f"file:{quote(str(path.absolute()))}?{'&'.join(options)}"
    return sqlite3.connect(
        uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=256
    )


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open a database so that what is committed is durable and readers are in nobody's way."""
    database = connect(path, "mode=rw")
    try:
        check_owner(database, path)
        (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(f"{path}: this file system can't hold a write-ahead log")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        database.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        database.execute(f"PRAGMA journal_size_limit = {MAX_LOG_BYTES}")
        database.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
        # What would undo a statement for many rows stays in memory. Beyond 64 KiB it would go to a
        # file: each page once more than the write-ahead log takes it.
        database.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        database.close()
        raise
    return database


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a database that is only read; also one that nobody has open in a directory that is."""
    check_file(path)
    database = connect(path, "mode=ro")
    try:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        database.close()
        if Path(f"{path}-wal").exists():
            raise
        database = connect(path, "mode=ro", "immutable=1")
    except BaseException:
        database.close()
        raise
    return database


def check_owner(database: sqlite3.Connection, path: Path) -> None:
    """
    See that a database is empty or ours.

    :raises StoreError: when it holds something else.
    """
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or tables):
        raise StoreError(f"{path}: this is the database of another program: use another file")


def schema_number(database: sqlite3.Connection) -> int:
    """Give the number of a database's schema, 0 for an empty one."""
    (number,) = database.execute("PRAGMA user_version").fetchone()
    return int(number)


def upgrade(database: sqlite3.Connection, upgrades: Sequence[Upgrade]) -> None:
    """
    Bring a database to the newest schema, in one transaction.

    :raises SchemaMismatch: when its schema is newer.
    """
    needed = needed_upgrades(upgrades, schema_number(database))
    if not needed:
        return
    database.create_function("helix_origin", 1, origin_of, deterministic=True)
    database.create_function("helix_public_id", 1, public_id, deterministic=True)
    statements = [
        "BEGIN IMMEDIATE;",
        *(step.sql for step in needed),
        f"PRAGMA application_id = {APPLICATION_ID};",
        f"PRAGMA user_version = {needed[-1].number};",
        "COMMIT;",
    ]
    try:
        database.executescript("\n".join(statements))
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def check_schema(database: sqlite3.Connection, upgrades: Sequence[Upgrade]) -> None:
    """
    See that a database can be read without an upgrade.

    :raises SchemaMismatch: when it has another schema.
    """
    check_current(upgrades, schema_number(database))


class _NoValue:
    """What SQLite can't be given."""


def forget_values(database: sqlite3.Connection, sql: str, count: int) -> None:
    """
    Have a statement forget the values that it was executed with last.

    Statements are kept, each with a copy of its values until it is executed again.

    :param count: how many values it takes, two at least, of which the last one is kept.
    """
    with suppress(sqlite3.Error):  # values are given in order, and it isn't executed without one
        database.execute(sql, [*[None] * (count - 1), _NoValue()])
