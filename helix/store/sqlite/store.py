"""The store ``sqlite:PATH``: flows in one file, for one node."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from zope.interface import implementer

from helix.errors import StoreError, StoreFull, StoreReadOnly
from helix.interfaces import IFlowStore
from helix.records import (
    Entry,
    FlowHead,
    HeadQuery,
    LogEnd,
    NamedVersion,
    StoredFlow,
    StoreUsage,
    Summary,
)
from helix.store.sqlite.access import SQLiteAccess, Writing
from helix.store.sqlite.beside import BesideWrites, connect_beside
from helix.store.sqlite.credentials import SQLiteCredentials
from helix.store.sqlite.file import (
    WriterLock,
    check_file,
    check_owner,
    check_schema,
    connect_reader,
    connect_writer,
    prepare_file,
    start_error,
    upgrade,
)
from helix.store.sqlite.place import FileReplaced, Place
from helix.store.sqlite.quota import StorageQuota
from helix.store.sqlite.reads import Read, SQLiteReads
from helix.store.sqlite.worker import Worker
from helix.store.sqlite.writes import Append, SQLiteWrites, Write
from helix.store.upgrades import shipped_upgrades

_MAX_BATCH = 500
"""
Writes of one transaction.

All its results come back to the reactor at once: more would hold it up for longer.
"""

_ENTRY_OVERHEAD = 500
"""Bytes that an entry takes while it waits, besides its patch."""


@implementer(IFlowStore)
class SQLiteStore:
    """
    Keeps flows in an SQLite file. (`helix.interfaces.IFlowStore`)

    One thread writes, another reads, and a third runs slow reads; none is the reactor's. Writes
    that come during a transaction form the next one (group commit).

    :param path: the file; it and its directory are made at the start where they are not.
    :param reactor: whose thread the Deferreds fire in.
    :param read_only: whether to leave the file as it is, and to let another process write to it.
    :param create: whether to make a file that isn't there.
    :param max_bytes: that it may hold; 0 for as many as the disk has room for.
    :param beside: whether to write to ``access`` and ``credentials`` alone, for which another
        process may have the file open and write to it.
    """

    def __init__(
        self,
        path: Path,
        reactor: Any,
        read_only: bool = False,
        create: bool = True,
        max_bytes: int = 0,
        beside: bool = False,
    ) -> None:
        self._path = path
        self._beside = beside
        self._create = create
        self._read_only = read_only
        self.is_open = False
        self._place = Place(path)
        self.usage = StoreUsage(max_bytes=max_bytes)
        self._quota = StorageQuota(path, self.usage)
        # Now, while the process may read its own files: a daemon may give up its rights later.
        self._upgrades = shipped_upgrades("sqlite")
        self._writes: SQLiteWrites | None = None
        self._writer: Worker[Any] = Worker(
            reactor,
            "helix-sqlite-writer",
            self._open_beside if beside else self._open_writes,
            _MAX_BATCH,
        )
        self._reader: Worker[Read] = Worker(reactor, "helix-sqlite-reader", self._open_reads)
        # For what may take long, so that nothing else waits behind it.
        self._past: Worker[Read] = Worker(reactor, "helix-sqlite-past", self._open_reads)
        self.access = SQLiteAccess(
            self._write_part, self._read, lambda work: self._read(work, self._past)
        )
        self.credentials = SQLiteCredentials(self._write_part, self._read)

    @property
    def is_sole_writer(self) -> bool:
        """See `IFlowStore`. A second process that writes is refused the file at its start."""
        return not (self._read_only or self._beside or self._writer.has_given_up)

    @property
    def transactions(self) -> int:
        """How many transactions were committed since the start."""
        return 0 if self._writes is None else self._writes.transactions

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        self._reader.expect()
        self._past.expect()
        try:
            if not self._read_only:
                await self._writer.start()
            await self._reader.start()
            await self._past.start()
        except StoreError:
            await self._stop()
            raise
        self.is_open = True

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.is_open = False
        # The last connection that is closed puts the write-ahead log into the file: the writer's.
        await self._past.stop()
        await self._reader.stop()
        await self._writer.stop()

    def create(
        self,
        flow_id: str,
        epoch: str,
        at: float,
        entries: Sequence[Entry] = (),
        summary: Summary = Summary(),  # noqa: B008  # immutable
        replace_deleted: bool = False,
        owner: str = "",
    ) -> Deferred[FlowHead]:
        return self._write(
            lambda to: to.create(flow_id, epoch, at, entries, summary, replace_deleted, owner),
            _size(entries),
        )

    def append(
        self,
        flow_id: str,
        epoch: str,
        base_version: int,
        base_chain: bytes,
        entries: Sequence[Entry],
        summary: Summary,
    ) -> Deferred[None]:
        work = Append(flow_id, epoch, base_version, base_chain, entries, summary)
        return self._write(work, _size(entries))

    def head(self, flow_id: str) -> Deferred[FlowHead]:
        return self._read(lambda of: of.head(flow_id))

    def ends(self, flow_ids: Sequence[str]) -> Deferred[dict[str, LogEnd]]:
        return self._read(lambda of: of.ends(flow_ids))

    def load(self, flow_id: str, version: int | None = None) -> Deferred[StoredFlow]:
        reader = self._reader if version is None else self._past
        return self._read(lambda of: of.load(flow_id, version), reader)

    def entries(self, flow_id: str, epoch: str, after: int, limit: int) -> Deferred[list[Entry]]:
        return self._read(lambda of: of.entries(flow_id, epoch, after, limit))

    def find(
        self, flow_id: str, epoch: str, client_id: str, op_ids: Sequence[int]
    ) -> Deferred[list[Entry]]:
        return self._read(lambda of: of.find(flow_id, epoch, client_id, op_ids))

    def newest_op(self, flow_id: str, epoch: str, client_id: str) -> Deferred[int | None]:
        return self._read(lambda of: of.newest_op(flow_id, epoch, client_id))

    def snapshot(
        self, flow_id: str, epoch: str, version: int, chain: bytes, document: bytes
    ) -> Deferred[None]:
        return self._write(
            lambda to: to.snapshot(flow_id, epoch, version, chain, document), len(document)
        )

    def snapshot_versions(self, flow_id: str, epoch: str) -> Deferred[list[int]]:
        return self._read(lambda of: of.snapshot_versions(flow_id, epoch))

    def name_version(
        self, flow_id: str, epoch: str, named: NamedVersion
    ) -> Deferred[NamedVersion | None]:
        return self._write(lambda to: to.name_version(flow_id, epoch, named))

    def unname_version(self, flow_id: str, epoch: str, version: int) -> Deferred[None]:
        return self._write(lambda to: to.unname_version(flow_id, epoch, version))

    def named_versions(self, flow_id: str, epoch: str) -> Deferred[list[NamedVersion]]:
        return self._read(lambda of: of.named_versions(flow_id, epoch))

    def heads(self, query: HeadQuery) -> Deferred[list[FlowHead]]:
        return self._read(lambda of: of.heads(query), self._past if query.text else self._reader)

    def delete(self, flow_id: str, at: float) -> Deferred[FlowHead]:
        return self._write(lambda to: to.mark_deleted(flow_id, at))

    def undelete(self, flow_id: str) -> Deferred[FlowHead]:
        return self._write(lambda to: to.mark_deleted(flow_id, None))

    def purge(self, deleted_before: float) -> Deferred[int]:
        return self._write(lambda to: to.purge(deleted_before))

    def renew_epoch(
        self, flow_id: str, epoch: str, version: int, chain: bytes, new_epoch: str
    ) -> Deferred[None]:
        return self._write(lambda to: to.renew_epoch(flow_id, epoch, version, chain, new_epoch))

    def renew_epochs(self, epoch: str) -> Deferred[int]:
        return self._write(lambda to: to.renew_epochs(epoch))

    def _write(self, work: Write, size: int = 0) -> Deferred[Any]:
        if self._beside:
            return fail(StoreReadOnly("The store was opened beside a server, which keeps the logs"))
        return self._write_part(work, size)

    def _write_part(
        self, work: Write | Callable[[Writing], object], size: int = 0
    ) -> Deferred[Any]:
        """As `_write`, also beside a server."""
        if self._read_only:
            return fail(StoreReadOnly("The store was opened to be read only"))
        return self._writer.submit(work, size).addErrback(self._refused)

    def _refused(self, failure: Failure) -> Failure:
        if failure.check(StoreFull):
            self.usage.refused += 1
        return failure

    def _read(self, work: Read, reader: Worker[Read] | None = None) -> Deferred[Any]:
        reader = reader or self._reader
        return reader.submit(work).addErrback(self._read_again, work, reader)

    def _read_again(self, failure: Failure, work: Read, reader: Worker[Read]) -> Deferred[Any]:
        """Another file is there: let the writer see that before anything is read."""
        failure.trap(FileReplaced)
        return self._writer.submit(lambda _: None).addCallback(lambda _: reader.submit(work))

    # In the threads.

    def _open_writes(self) -> SQLiteWrites:
        with ExitStack() as opened:
            try:
                if self._create:
                    prepare_file(self._path)
                else:
                    check_file(self._path)
                # By whatever name it is opened, there is one lock.
                lock = WriterLock(self._path.resolve())
                opened.callback(lock.release)
                database = self._connect_writer()
                opened.callback(database.close)
                self._place.opened()
                self._writes = SQLiteWrites(
                    database, lock, self._place, self._connect_writer, self._quota
                )
                self._quota.is_full(database)  # so that it is known from the start
            except (OSError, sqlite3.Error) as error:
                raise start_error(error, self._path) from error
            opened.pop_all()
            return self._writes

    def _open_beside(self) -> BesideWrites:
        try:
            if self._create:
                prepare_file(self._path)
            else:
                check_file(self._path)
            return BesideWrites(connect_beside(self._path, self._upgrades))
        except (OSError, sqlite3.Error) as error:
            raise start_error(error, self._path) from error

    def _open_reads(self) -> SQLiteReads:
        with ExitStack() as opened:
            try:
                database = self._connect_reader()
                opened.callback(database.close)
            except (OSError, sqlite3.Error) as error:
                raise start_error(error, self._path) from error
            opened.pop_all()
            if self._read_only or self._beside:
                return SQLiteReads(database)
            return SQLiteReads(database, self._place, self._connect_reader)

    def _connect_writer(self) -> sqlite3.Connection:
        database = connect_writer(self._path)
        with ExitStack() as opened:
            opened.callback(database.close)
            upgrade(database, self._upgrades)
            opened.pop_all()
        return database

    def _connect_reader(self) -> sqlite3.Connection:
        database = connect_reader(self._path)
        with ExitStack() as opened:
            opened.callback(database.close)
            check_owner(database, self._path)
            check_schema(database, self._upgrades)
            opened.pop_all()
        return database


def _size(entries: Sequence[Entry]) -> int:
    """Tell about how many bytes entries take."""
    return sum([len(entry.patch) for entry in entries]) + len(entries) * _ENTRY_OVERHEAD
