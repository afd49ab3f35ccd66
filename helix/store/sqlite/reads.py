"""All reads from an SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from helix.errors import (
    FlowNotFound,
    HelixError,
    StoreCorrupt,
    StoreUnavailable,
    VersionNotFound,
)
from helix.records import (
    LISTED_DESCRIPTION,
    LISTED_TITLE,
    Entry,
    FlowHead,
    HeadQuery,
    NamedVersion,
    StoredFlow,
    Summary,
)
from helix.store.rules import FEW_FLOWS, PAGE_BYTES
from helix.store.sqlite.file import primary_code, store_error
from helix.store.sqlite.place import FileReplaced, Place

_BLOCK = 1000
"""
Entries that one statement gives, at most.

Every row that Python fetches gives up the interpreter and waits for it again, behind whatever
the reactor does; so SQLite itself makes blocks of rows.
"""

_STEP = 64
"""Entries of which it is asked at once how large they are: they are read for that."""

_HEAD = """
    SELECT flow, flow_id, epoch, version, {title}, {description}, node_count, edge_count,
        created_at, updated_at, origin, x'', deleted_at
    FROM flows JOIN texts USING (flow)
"""
_WHOLE_HEAD = _HEAD.format(title="title", description="description")
_BRIEF_HEAD = _HEAD.format(
    title=f"substr(title, 1, {LISTED_TITLE})",
    description=f"substr(description, 1, {LISTED_DESCRIPTION})",
)

# JSON would round the times. Their whole seconds and the rest are integers without loss.
_ENTRIES = """
    SELECT json_group_array(json_array(
        version,
        CAST(at AS INTEGER),
        CAST((at - CAST(at AS INTEGER)) * 4503599627370496 AS INTEGER),
        by_name,
        client_id,
        op_id,
        patch,
        hex(chain),
        dropped
    )) FROM (
        SELECT * FROM entries LEFT JOIN clients USING (client)
        WHERE {condition} ORDER BY version LIMIT ?
    )
"""
_FRACTION = 2.0**-52

_SIZE = """
    SELECT sum(length(CAST(patch AS BLOB))) FROM entries
    WHERE flow = ? AND version > ? AND version <= ?
"""

_CLIENT = """
    (SELECT client FROM clients WHERE client_id = ?3 AND flow =
        (SELECT flow FROM flows WHERE flow_id = ?1 AND epoch = ?2))
"""

_ENTRIES_AFTER = _ENTRIES.format(condition="entries.flow = ? AND version > ?")
_ENTRIES_OF_OPERATIONS = _ENTRIES.format(
    condition=f"client = {_CLIENT} AND op_id IN (SELECT value FROM json_each(?4))"
)
_NEWEST_OPERATION = f"SELECT max(op_id) FROM entries WHERE client = {_CLIENT}"

_decode_entries = msgspec.json.Decoder(
    list[tuple[int, int, int, str, str | None, int | None, str, str, str | None]]
).decode
_decode_paths = msgspec.json.Decoder(tuple[str, ...]).decode

# The parameters are JSON: ids, and half-open ranges of ids.
_SCOPE = """
    WITH ids (one) AS MATERIALIZED (SELECT value FROM json_each(?)),
    ranges (start, stop) AS MATERIALIZED (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
    )
"""

# Both parts go by the index of the ids: what is named first is read first.
_IN_SCOPE = """(
    SELECT flow FROM ids CROSS JOIN flows ON flow_id = one
    UNION ALL
    SELECT flow FROM ranges CROSS JOIN flows ON flow_id >= start AND flow_id < stop
)"""

# Few are looked up and sorted.
_AMONG_FEW = f"flow IN {_IN_SCOPE}"

# Of many, some are soon found among the flows that changed last.
_AMONG_MANY = """(
    flow_id IN (SELECT one FROM ids)
    OR EXISTS (SELECT 1 FROM ranges WHERE flow_id >= start AND flow_id < stop)
)"""

Read = Callable[["SQLiteReads"], object]


def read_head(database: sqlite3.Connection, flow_id: str) -> tuple[int, FlowHead]:
    """
    Give a flow's key and head; without its chain where the entry that has that is damaged.

    :raises FlowNotFound: when there is none.
    """
    row = database.execute(_WHOLE_HEAD + "WHERE flow_id = ?", (flow_id,)).fetchone()
    if row is None:
        raise FlowNotFound()
    head = _to_head(row)
    try:
        chain = read_chain(database, row[0], head.version)
    except sqlite3.DatabaseError as error:
        if primary_code(error) != sqlite3.SQLITE_CORRUPT:
            raise
    else:
        head = msgspec.structs.replace(head, chain=chain or b"")
    return row[0], head


def read_chain(database: sqlite3.Connection, flow: int, version: int) -> bytes | None:
    """Give a log's chain at a version, if it reaches that."""
    row = database.execute(
        "SELECT IFNULL(entries.chain, origin) FROM flows LEFT JOIN entries"
        " ON entries.flow = flows.flow AND entries.version = ?1"
        " WHERE flows.flow = ?2 AND ?1 BETWEEN 0 AND flows.version",
        (version, flow),
    ).fetchone()
    return None if row is None else row[0]


def _to_head(row: Any) -> FlowHead:
    _, flow_id, epoch, version, title, description, nodes, edges, *times_and_chains = row
    summary = Summary(title, description, nodes, edges)
    return FlowHead(flow_id, epoch, version, summary, *times_and_chains)


def _to_entries(block: str) -> list[Entry]:
    return [
        Entry(
            version,
            patch.encode(),
            seconds + rest * _FRACTION,
            by,
            client_id,
            op_id,
            () if dropped is None else _decode_paths(dropped),
            bytes.fromhex(chain),
        )
        for version, seconds, rest, by, client_id, op_id, patch, chain, dropped in _decode_entries(
            block
        )
    ]


def damage(error: Exception) -> StoreCorrupt:
    """Say that a row is not what was written."""
    corrupt = StoreCorrupt()
    corrupt.__cause__ = error
    return corrupt


class SQLiteReads:
    """
    The reads, each of one moment. (`helix.store.sqlite.worker.Runner`)

    One that takes a single statement begins no transaction: every statement that Python executes
    gives up the interpreter a few times, and waits for it again.

    :param database: this thread's own connection.
    :param place: the file's path; ``None`` to keep the open file even if it is replaced.
    :param reopen: gives a connection to another file that was put there.
    """

    unfinished = False

    def __init__(
        self,
        database: sqlite3.Connection,
        place: Place | None = None,
        reopen: Callable[[], sqlite3.Connection] | None = None,
    ) -> None:
        self._database = database
        self._place = place
        self._reopen = reopen
        self._current = None if place is None else place.current

    def run(self, works: Sequence[Read]) -> list[object]:
        try:
            self._follow()
        except StoreUnavailable as error:
            return [error for _ in works]
        return [self._run(work) for work in works]

    def close(self) -> None:
        self._database.close()

    def _follow(self) -> None:
        """
        Go on with the file that is written to.

        :raises FileReplaced: when another one is there, which nobody writes to yet.
        :raises StoreUnavailable: when there is none, or it can't be used.
        """
        if self._place is None or self._reopen is None:
            return
        if self._place.found() != self._place.current:
            raise FileReplaced()
        if self._place.current != self._current:
            self._database.close()
            try:
                self._database = self._reopen()
            except (HelixError, OSError, sqlite3.Error) as error:
                raise StoreUnavailable() from error
            self._current = self._place.current

    def _run(self, work: Read) -> object:
        try:
            return work(self)
        except HelixError as refused:
            return refused
        except (sqlite3.Error, ArithmeticError) as error:
            if primary_code(error) == 0 and isinstance(error, sqlite3.OperationalError):
                return damage(error)  # Python's own: a text that is none
            return store_error(error)
        except (msgspec.MsgspecError, ValueError) as error:
            return damage(error)

    @contextmanager
    def _one_moment(self) -> Iterator[None]:
        """See nothing of what is written between the statements within."""
        self._database.execute("BEGIN")
        try:
            yield
        finally:
            self._database.execute("ROLLBACK")

    def head(self, flow_id: str) -> FlowHead:
        return read_head(self._database, flow_id)[1]

    def load(self, flow_id: str, version: int | None) -> StoredFlow:
        with self._one_moment():
            flow, head = read_head(self._database, flow_id)
            end = head.version if version is None else version
            if not 0 <= end <= head.version:
                raise VersionNotFound()
            row = self._database.execute(
                "SELECT version, CAST(document AS BLOB) FROM snapshots"
                " WHERE flow = ? AND version <= ? ORDER BY version DESC LIMIT 1",
                (flow, end),
            ).fetchone()
            base, snapshot = row or (0, None)
            return StoredFlow(head, base, snapshot, self._entries(flow, base, end))

    def entries(self, flow_id: str, epoch: str, after: int, limit: int) -> list[Entry]:
        with self._one_moment():
            flow, head = self._log(flow_id, epoch)
            if after < head.version:
                count = self._fitting(flow, after, min(after + limit, head.version))
                return self._entries(flow, after, after + count)
            # what follows the head, if that is damaged
            rest = (flow, after, min(limit, _STEP))
            return _to_entries(self._database.execute(_ENTRIES_AFTER, rest).fetchone()[0])

    def find(self, flow_id: str, epoch: str, client_id: str, op_ids: Sequence[int]) -> list[Entry]:
        asked = msgspec.json.encode(list(op_ids)).decode()
        operations = (flow_id, epoch, client_id, asked, len(op_ids))
        row = self._database.execute(_ENTRIES_OF_OPERATIONS, operations).fetchone()
        return _to_entries(row[0])

    def newest_op(self, flow_id: str, epoch: str, client_id: str) -> int | None:
        newest: int | None = self._database.execute(
            _NEWEST_OPERATION, (flow_id, epoch, client_id)
        ).fetchone()[0]
        return newest

    def snapshot_versions(self, flow_id: str, epoch: str) -> list[int]:
        with self._one_moment():
            flow, _ = self._log(flow_id, epoch)
            return read_snapshot_versions(self._database, flow)

    def named_versions(self, flow_id: str, epoch: str) -> list[NamedVersion]:
        with self._one_moment():
            flow, _ = self._log(flow_id, epoch)
            rows = self._database.execute(
                "SELECT version, name, by_name, at FROM version_names WHERE flow = ?"
                " ORDER BY version DESC",
                (flow,),
            )
            return [NamedVersion(*row) for row in rows]

    def heads(self, query: HeadQuery) -> list[FlowHead]:
        if query.scope is None:
            return self._heads(query, "", [], "")
        ids = msgspec.json.encode(query.scope.ids).decode()
        ranges = msgspec.json.encode(query.scope.ranges).decode()
        with self._one_moment():
            (count,) = self._database.execute(
                f"{_SCOPE} SELECT count(*) FROM (SELECT 1 FROM {_IN_SCOPE} LIMIT ?)",
                (ids, ranges, FEW_FLOWS + 1),
            ).fetchone()
            found = _AMONG_FEW if count <= FEW_FLOWS else _AMONG_MANY
            return self._heads(query, _SCOPE, [ids, ranges], found)

    def _heads(
        self, query: HeadQuery, begin: str, values: list[object], condition: str
    ) -> list[FlowHead]:
        """
        List flows.

        :param begin: what comes before the statement.
        :param values: the parameters of that.
        :param condition: of the flows' scope; empty for none.
        """
        conditions = [
            "flow_id IS NOT NULL",
            "deleted_at IS NOT NULL" if query.deleted else "deleted_at IS NULL",
        ]
        if condition:
            conditions.append(condition)
        if query.before is not None:
            conditions.append("(updated_at, flow_id) < (?, ?)")
            values += query.before
        if query.text:
            text = query.text.casefold()
            columns = ("folded_id", "folded_title", "folded_description")
            conditions.append(f"({' OR '.join(f'instr({column}, ?)' for column in columns)})")
            values += [text] * len(columns)
        for column, operator, value in query.comparisons:
            conditions.append(f"{column} {operator} ?")
            values.append(value)
        head = _BRIEF_HEAD if query.brief else _WHOLE_HEAD
        rows = self._database.execute(
            f"{begin}{head} WHERE {' AND '.join(conditions)}"
            " ORDER BY updated_at DESC, flow_id DESC LIMIT ?",
            (*values, query.limit),
        )
        return [_to_head(row) for row in rows]

    def _log(self, flow_id: str, epoch: str) -> tuple[int, FlowHead]:
        flow, head = read_head(self._database, flow_id)
        if head.epoch != epoch:
            raise FlowNotFound()
        return flow, head

    def _entries(self, flow: int, after: int, end: int) -> list[Entry]:
        """
        Give the entries from ``after`` (excluded) to ``end``.

        :raises StoreCorrupt: when one is missing.
        """
        found: list[Entry] = []
        while after < end:
            found += self._block(flow, after, end)
            after = found[-1].version
        return found

    def _block(self, flow: int, after: int, end: int) -> list[Entry]:
        """Give the first of the entries from ``after`` (excluded) to ``end``: one at least."""
        count = self._fitting(flow, after, min(end, after + _BLOCK))
        row = self._database.execute(_ENTRIES_AFTER, (flow, after, count)).fetchone()
        block = _to_entries(row[0])
        if [entry.version for entry in block] != list(range(after + 1, after + count + 1)):
            raise StoreCorrupt()
        return block

    def _fitting(self, flow: int, after: int, end: int) -> int:
        """Tell how many of the entries from ``after`` (excluded) to ``end`` are a page."""
        size, count, step = 0, 0, _STEP
        while step and after + count < end:
            step = min(step, end - after - count)
            more = read_size(self._database, flow, after + count, after + count + step)
            if size + more > PAGE_BYTES:
                step //= 2
            else:
                size += more
                count += step
        return max(1, count)


def read_size(database: sqlite3.Connection, flow: int, after: int, end: int) -> int:
    """Give the bytes of a log's patches from ``after`` (excluded) to ``end``."""
    return database.execute(_SIZE, (flow, after, end)).fetchone()[0] or 0


def read_snapshot_versions(database: sqlite3.Connection, flow: int) -> list[int]:
    """Give the versions of a flow's snapshots, in order."""
    rows = database.execute(
        "SELECT version FROM snapshots WHERE flow = ? ORDER BY version", (flow,)
    )
    return [version for (version,) in rows]
