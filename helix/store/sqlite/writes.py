"""All writes to an SQLite database: appends of many flows share one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress

import attrs
import msgspec

from helix.chain import origin_of, paths_text
from helix.errors import (
    DuplicateOperation,
    FlowDeleted,
    FlowExists,
    FlowNotFound,
    HelixError,
    StoreFull,
    StoreUnavailable,
    VersionConflict,
)
from helix.records import Author, Entry, FlowHead, NamedVersion, Summary
from helix.store.access_rows import owner_row
from helix.store.authors import author_of, digest_of, parts_of
from helix.store.rules import due, expendable
from helix.store.sqlite.access import keep_rows
from helix.store.sqlite.bulk import INSERT_ENTRIES, UPDATE_FLOWS
from helix.store.sqlite.file import WriterLock, forget_values, primary_code, store_error
from helix.store.sqlite.names import drop_name, keep_name
from helix.store.sqlite.place import Place
from helix.store.sqlite.quota import StorageQuota
from helix.store.sqlite.reads import read_chain, read_head, read_size, read_snapshot_versions
from helix.store.sqlite.removed import RemovedFlows

_KNOWN_LOGS = 20_000
"""Of how many flows the writer remembers the head."""

_KNOWN_CLIENTS = 1000
"""Of how many clients of a flow it remembers the key."""


_KNOWN_AUTHORS = 1000
"""Likewise of its authors."""

_LARGE_BYTES = 256 * 1024
"""Values of one statement that are not to stay in memory once they are written."""


class Append(msgspec.Struct, frozen=True, gc=False):
    """What `IFlowStore.append` asks for."""

    flow_id: str
    epoch: str
    base_version: int
    base_chain: bytes
    entries: Sequence[Entry]
    summary: Summary


Write = Append | Callable[["SQLiteWrites"], object]


@attrs.define(eq=False)
class _Log:
    """
    A flow as the writer remembers it.

    :ivar texts: a hash of the title and the description.
    :ivar chain: of the version; ``None`` before it is asked for: damage there is no other write's
        concern.
    :ivar clients: client id -> key, of some.
    :ivar authors: likewise.
    """

    flow: int
    epoch: str
    version: int
    deleted: bool
    texts: int
    chain: bytes | None = None
    clients: dict[str, int] = attrs.field(factory=dict)
    authors: dict[Author, int] = attrs.field(factory=dict)


def _texts(flow_id: str, summary: Summary) -> tuple[str, ...]:
    """Give the texts of a flow that are kept, and what a search looks through."""
    texts = (summary.title, summary.description)
    return (*texts, *(text.casefold() for text in (flow_id, *texts)))


class SQLiteWrites:
    """
    The writes. (`helix.store.sqlite.worker.Runner`)

    It is the only one that writes to logs, so it may remember their heads. What flows give, and
    keys, others may write at the same time (`helix.store.sqlite.beside`): none of that is
    remembered.

    :param database: this thread's own connection.
    :param lock: what keeps other processes from writing.
    :param place: where the file is.
    :param quota: what the file may still take.
    :param reopen: gives a connection to another file that was put there.
    :ivar database: the connection now.
    :ivar transactions: how many with something in them were committed.
    :ivar unfinished: whether something of removed flows is left to clear away.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        lock: WriterLock,
        place: Place,
        reopen: Callable[[], sqlite3.Connection],
        quota: StorageQuota,
    ) -> None:
        self.transactions = 0
        self.database = database
        self._lock = lock
        self._place = place
        self._reopen = reopen
        self._quota = quota
        self._is_full = self._is_large = False
        self._logs: dict[str, _Log] = {}
        self._removed = RemovedFlows(database)
        self._is_lost = False
        # What the transaction under way has yet to write.
        self._entry_values: list[object] = []
        self._changed: dict[int, tuple[object, ...]] = {}

    @property
    def unfinished(self) -> bool:
        return self._removed.are_left and not self._is_lost

    def run(self, works: Sequence[Write]) -> list[object]:
        try:
            self._follow()
        except StoreUnavailable as error:
            return [error for _ in works]
        outcomes = self._run(works) if works else []
        if self._removed.are_left:
            self._removed.clear_some()
        return outcomes

    def close(self) -> None:
        self.database.close()
        self._lock.release()

    def _follow(self) -> None:
        """
        See whether another file was put in the place of the database, and go on with that.

        :raises StoreUnavailable: when there is none, or none that can be used.
        """
        # Not lost for the moment of looking: others read it from their threads.
        try:
            is_there = self._place.found() == self._place.current
        except Exception:
            self._is_lost = True
            raise
        self._is_lost = not is_there
        if is_there:
            return
        self._place.check()
        with suppress(sqlite3.Error):  # what is there is of the old one's time
            self.database.execute("PRAGMA wal_checkpoint")
        self._logs.clear()
        self.database.close()
        self._place.current = None
        self._place.clear()
        try:
            self.database = self._reopen()
        except (HelixError, OSError, sqlite3.Error) as error:
            what = "Another file was put in the place of the database, and can't be used"
            raise StoreUnavailable(f"{what}: {error}") from error
        self._removed = RemovedFlows(self.database)
        self._place.opened()
        self._is_lost = False

    # Transactions.

    def _run(self, works: Sequence[Write]) -> list[object]:
        """
        Do all of it in one transaction.

        Where something fails, nothing is written, and each half is tried by itself: so that what
        can't be written fails alone.
        """
        try:
            return self._commit(works)
        except Exception as error:
            self._roll_back()
            locked = primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if len(works) == 1 or locked:
                return [store_error(error) for _ in works]
        middle = len(works) // 2
        return self._run(works[:middle]) + self._run(works[middle:])

    def _commit(self, works: Sequence[Write]) -> list[object]:
        if len(self._logs) > _KNOWN_LOGS:
            self._logs.clear()
        self.database.execute("BEGIN IMMEDIATE")
        self._is_full = self._quota.is_full(self.database)
        outcomes: list[object] = []
        for work in works:
            if type(work) is Append:
                outcomes.append(self._stage(work))
            else:
                self._write_staged()
                try:
                    outcomes.append(work(self))  # type: ignore[operator]  # not an Append
                except HelixError as refused:
                    outcomes.append(refused)
        self._write_staged()
        self.database.execute("COMMIT")
        self.transactions += 1
        self._removed.committed()
        if self._is_large:
            self._is_large = False
            self.database.execute("PRAGMA shrink_memory")  # of the pages that it keeps
        return outcomes

    def _roll_back(self) -> None:
        self._logs.clear()
        self._entry_values.clear()
        self._changed.clear()
        self._removed.rolled_back()
        if self.database.in_transaction:
            self.database.execute("ROLLBACK")

    # Appends.

    def _stage(self, append: Append) -> HelixError | None:
        """Check an append and remember its rows; say why not, if it can't be."""
        if self._is_full:
            return StoreFull()
        log = self._logs.get(append.flow_id) or self._find_log(append.flow_id)
        if log is None:
            return FlowNotFound()
        if log.deleted:
            return FlowDeleted()
        if not self._is_at(log, append.epoch, append.base_version, append.base_chain):
            return VersionConflict()
        if append.entries:
            self._stage_entries(log, append.entries)
            self._stage_summary(log, append.flow_id, append.summary, append.entries[-1])
        return None

    def _stage_entries(self, log: _Log, entries: Sequence[Entry]) -> None:
        flow, clients, values = log.flow, log.clients, self._entry_values
        for entry in entries:
            client_id = entry.client_id
            client = None
            if client_id is not None:
                client = clients.get(client_id) or self._client(log, client_id)
            author = author_of(entry)
            values += (
                flow,
                entry.version,
                entry.at,
                entry.by if author is None else "",
                client,
                entry.op_id,
                entry.patch,
                entry.chain,
                paths_text(entry.dropped) or None,
                None if author is None else self._author(log, author),
            )

    def _stage_summary(self, log: _Log, flow_id: str, summary: Summary, newest: Entry) -> None:
        log.version = newest.version
        log.chain = newest.chain
        self._changed[log.flow] = (
            log.flow,
            newest.version,
            summary.node_count,
            summary.edge_count,
            newest.at,
        )
        texts = hash((summary.title, summary.description))
        if texts != log.texts:
            log.texts = texts
            self.database.execute(
                "UPDATE texts SET title = ?, description = ?, folded_id = ?, folded_title = ?,"
                " folded_description = ? WHERE flow = ?",
                (*_texts(flow_id, summary), log.flow),
            )

    def _write_staged(self) -> None:
        if self._entry_values:
            for sql, values in INSERT_ENTRIES.pieces(self._entry_values):
                self._insert(sql, values)
            self._entry_values.clear()
        if self._changed:
            changed = [value for row in self._changed.values() for value in row]
            for sql, values in UPDATE_FLOWS.pieces(changed):
                self.database.execute(sql, values)
            self._changed.clear()

    def _insert(self, sql: str, values: Sequence[object]) -> None:
        """Execute a statement with values that may be large, of which none is kept."""
        self.database.execute(sql, values)
        if sum(len(value) for value in values if isinstance(value, bytes)) >= _LARGE_BYTES:
            forget_values(self.database, sql, len(values))
            self._is_large = True

    def _find_log(self, flow_id: str) -> _Log | None:
        row = self.database.execute(
            "SELECT flow, epoch, version, deleted_at, title, description"
            " FROM flows JOIN texts USING (flow) WHERE flow_id = ?",
            (flow_id,),
        ).fetchone()
        if row is None:
            return None
        flow, epoch, version, deleted_at, *texts = row
        log = _Log(flow, epoch, version, deleted_at is not None, hash(tuple(texts)))
        self._logs[flow_id] = log
        return log

    def _is_at(self, log: _Log, epoch: str, version: int, chain: bytes) -> bool:
        """Tell whether this is a log's head."""
        if log.version != version or log.epoch != epoch:
            return False
        if log.chain is None:
            log.chain = read_chain(self.database, log.flow, version)
        return log.chain == chain

    def _client(self, log: _Log, client_id: str) -> int:
        """Give a client's key in a log; it gets one with its first entry."""
        if len(log.clients) >= _KNOWN_CLIENTS:
            log.clients.clear()
        named = (log.flow, client_id)
        row = self.database.execute(
            "SELECT client FROM clients WHERE flow = ? AND client_id = ?", named
        ).fetchone()
        if row is None:
            inserted = self.database.execute(
                "INSERT INTO clients (flow, client_id) VALUES (?, ?)", named
            )
            row = (inserted.lastrowid,)
        client: int = row[0]
        log.clients[client_id] = client
        return client

    def _author(self, log: _Log, author: Author) -> int:
        """Give an author's key in a log, likewise."""
        if author in log.authors:
            return log.authors[author]
        if len(log.authors) >= _KNOWN_AUTHORS:
            log.authors.clear()
        parts = parts_of(author)
        named = (log.flow, digest_of(parts))
        row = self.database.execute(
            "SELECT author FROM authors WHERE flow = ? AND digest = ?", named
        ).fetchone()
        if row is None:
            inserted = self.database.execute(
                "INSERT INTO authors (flow, digest, by_name, actor_id, kind, name, tags)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*named, *parts),
            )
            row = (inserted.lastrowid,)
        key: int = row[0]
        log.authors[author] = key
        return key

    def check_quota(self) -> None:
        """:raises StoreFull: when nothing new is to be kept."""
        if self._is_full:
            raise StoreFull()

    # The other writes. What one refuses, it refuses before it has written anything.

    def create(
        self,
        flow_id: str,
        epoch: str,
        at: float,
        entries: Sequence[Entry],
        summary: Summary,
        replace_deleted: bool,
        owner: str,
    ) -> FlowHead:
        owned = owner_row(owner)
        old = self._find_log(flow_id)
        if old is not None and not old.deleted:
            raise FlowExists()
        self.check_quota()
        if old is not None and not replace_deleted:
            raise FlowDeleted()
        named = [(e.client_id, e.op_id) for e in entries if e.client_id is not None]
        if len(set(named)) < len(named):
            raise DuplicateOperation()
        if old is not None:
            self._remove(flow_id, old.flow)
        flow = self.database.execute(
            "INSERT INTO flows (flow_id, epoch, version, node_count, edge_count, created_at,"
            " updated_at, origin) VALUES (?, ?, 0, ?, ?, ?, ?, ?)",
            (flow_id, epoch, summary.node_count, summary.edge_count, at, at, origin_of(epoch)),
        ).lastrowid
        self.database.execute(
            "INSERT INTO texts (flow, title, description, folded_id, folded_title,"
            " folded_description) VALUES (?, ?, ?, ?, ?, ?)",
            (flow, *_texts(flow_id, summary)),
        )
        assert flow is not None
        keep_rows(self.database, flow, {}, owned)
        if entries:
            log = self._find_log(flow_id)
            assert log is not None
            self._stage_entries(log, entries)
            self._stage_summary(log, flow_id, summary, entries[-1])
            self._write_staged()
        return read_head(self.database, flow_id)[1]

    def snapshot(
        self, flow_id: str, epoch: str, version: int, chain: bytes, document: bytes
    ) -> None:
        self.check_quota()
        log = self._find_log(flow_id)
        if log is None or log.epoch != epoch:
            return
        if read_chain(self.database, log.flow, version) != chain:
            return
        self._insert(
            "INSERT OR IGNORE INTO snapshots (document, flow, version)"
            " VALUES (CAST(? AS TEXT), ?, ?)",
            (document, log.flow, version),
        )
        kept, decided = due(read_snapshot_versions(self.database, log.flow))
        steps = zip([kept, *decided], decided, strict=False)
        sizes = [read_size(self.database, log.flow, *step) for step in steps]
        old = expendable(kept, decided, sizes)
        self.database.executemany(
            "DELETE FROM snapshots WHERE flow = ? AND version = ?",
            [(log.flow, version) for version in old],
        )

    def name_version(self, flow_id: str, epoch: str, named: NamedVersion) -> NamedVersion | None:
        self.check_quota()
        return keep_name(self.database, flow_id, epoch, named)

    def unname_version(self, flow_id: str, epoch: str, version: int) -> None:
        drop_name(self.database, flow_id, epoch, version)

    def mark_deleted(self, flow_id: str, at: float | None) -> FlowHead:
        """
        Delete a flow, or bring it back.

        :param at: when it is deleted, if it isn't yet; ``None`` brings it back.
        """
        flow, head = read_head(self.database, flow_id)
        if (head.deleted_at is None) == (at is None):
            return head
        self.database.execute("UPDATE flows SET deleted_at = ? WHERE flow = ?", (at, flow))
        self._logs.pop(flow_id, None)
        return msgspec.structs.replace(head, deleted_at=at)

    def purge(self, deleted_before: float) -> int:
        gone = self.database.execute(
            "SELECT flow_id, flow FROM flows"
            " WHERE deleted_at IS NOT NULL AND flow_id IS NOT NULL AND deleted_at < ?",
            (deleted_before,),
        ).fetchall()
        for flow_id, flow in gone:
            self._remove(flow_id, flow)
        return len(gone)

    def renew_epoch(
        self, flow_id: str, epoch: str, version: int, chain: bytes, new_epoch: str
    ) -> None:
        log = self._find_log(flow_id)
        if log is None:
            raise FlowNotFound()
        if log.deleted:
            raise FlowDeleted()
        if not self._is_at(log, epoch, version, chain):
            raise VersionConflict()
        log.epoch = new_epoch
        self.database.execute("UPDATE flows SET epoch = ? WHERE flow = ?", (new_epoch, log.flow))

    def renew_epochs(self, epoch: str) -> int:
        self._logs.clear()
        return self.database.execute(
            "UPDATE flows SET epoch = ? WHERE flow_id IS NOT NULL", (epoch,)
        ).rowcount

    def _remove(self, flow_id: str, flow: int) -> None:
        self._removed.take(flow)
        self._logs.pop(flow_id, None)
