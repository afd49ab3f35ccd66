"""Writes what isn't of logs to an SQLite database that a server may have open."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from helix.errors import HelixError, StoreError
from helix.store.sqlite.access import Writing
from helix.store.sqlite.file import (
    WriterLock,
    check_schema,
    connect_writer,
    schema_number,
    store_error,
    upgrade,
)
from helix.store.upgrades import Upgrade


def connect_beside(path: Path, upgrades: Sequence[Upgrade]) -> sqlite3.Connection:
    """
    Open a database for short writes beside a server. If it needs an upgrade, no server may run.

    :raises SchemaMismatch: when it needs one, and a server runs; or has the schema of a newer
        version.
    """
    database = connect_writer(path)
    try:
        if schema_number(database) < upgrades[-1].number:
            with suppress(StoreError):
                lock = WriterLock(path.resolve())
                try:
                    upgrade(database, upgrades)
                finally:
                    lock.release()
        check_schema(database, upgrades)
    except BaseException:
        database.close()
        raise
    return database


class BesideWrites:
    """
    Does each write in a transaction of its own. (`helix.store.sqlite.worker.Runner`)

    It holds no `WriterLock`, for a server may. That is safe: a server's writer remembers only the
    heads of flows from one transaction to the next, and clients' keys (`SQLiteWrites`), and what is
    written here is neither. SQLite's own lock lets the two take turns, and its readers see what is
    committed by either.

    :param database: this thread's own connection.
    :ivar unfinished: never: what removed flows have left is for a server to clear away.
    """

    unfinished = False

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    def run(self, works: Sequence[Callable[[Writing], object]]) -> list[object]:
        return [self._run(work) for work in works]

    def close(self) -> None:
        self.database.close()

    def check_quota(self) -> None:
        """What little is written here is written: the operator asks for it."""

    def _run(self, work: Callable[[Writing], object]) -> object:
        try:
            self.database.execute("BEGIN IMMEDIATE")
            outcome = work(self)
            self.database.execute("COMMIT")
        except Exception as error:
            if self.database.in_transaction:
                self.database.execute("ROLLBACK")
            return error if isinstance(error, HelixError) else store_error(error)
        return outcome
