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
    LogEnd,
    NamedVersion,
    Scope,
    StoredFlow,
    Summary,
)
from helix.store.authors import from_parts, read_author
from helix.store.rules import FEW_FLOWS, LISTED_FLOWS, PAGE_BYTES, SOUGHT_SUBJECTS
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

# Of ids, which have no NUL, at which JSON's texts would be cut off.
_ENDS = """
    SELECT flow_id, epoch, flows.version, IFNULL(chain, origin), deleted_at IS NOT NULL
    FROM json_each(?) AS asked CROSS JOIN flows ON flow_id = asked.value
    LEFT JOIN entries ON entries.flow = flows.flow AND entries.version = flows.version
"""

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
        dropped,
        CASE WHEN author IS NOT NULL THEN (
            SELECT json_array(authors.by_name, actor_id, kind, name, tags) || '' FROM authors
            WHERE authors.author = found.author
        ) END
    )) FROM (
        SELECT * FROM entries LEFT JOIN clients USING (client)
        WHERE {condition} ORDER BY version LIMIT ?
    ) AS found
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
    list[tuple[int, int, int, str, str | None, int | None, str, str, str | None, str | None]]
).decode
_decode_paths = msgspec.json.Decoder(tuple[str, ...]).decode

# The parameters are JSON: ids, and half-open ranges of ids. Then there are the subjects, and the
# number of the least role.
_SCOPE = """
    WITH ids (one) AS MATERIALIZED (SELECT value FROM json_each(?)),
    ranges (start, stop) AS MATERIALIZED (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
    ),
    subjects (named, least) AS MATERIALIZED ({subjects})
"""

# All parts go by an index: what is named first is read first.
_OF_SUBJECTS = "SELECT flow FROM subjects CROSS JOIN access ON subject = named AND role >= least"

_IN_SCOPE = f"""(
    SELECT flow FROM ids CROSS JOIN flows ON flow_id = one
    UNION ALL
    SELECT flow FROM ranges CROSS JOIN flows ON flow_id >= start AND flow_id < stop
    UNION ALL
    {_OF_SUBJECTS}
)"""

# Few are looked up and sorted.
_AMONG_FEW = f"flow IN {_IN_SCOPE}"

# Of many, some are soon found among the flows that changed last.
_AMONG_MANY = """(
    flow_id IN (SELECT one FROM ids)
    OR EXISTS (SELECT 1 FROM ranges WHERE flow_id >= start AND flow_id < stop)
    OR {of_subjects}
)"""

# Of each flow on the way it is asked whether it is one of those.
_IS_LISTED = f"flow IN ({_OF_SUBJECTS})"

# They are too many to be listed. So one is soon met, and each flow on the way is asked what it
# gives: to few subjects, or else to whom it gives anything.
_GIVES_TO_FEW = """EXISTS (
    SELECT 1 FROM subjects CROSS JOIN access
    ON access.flow = flows.flow AND subject = named AND role >= least
)"""
_GIVES_TO_MANY = """EXISTS (
    SELECT 1 FROM access WHERE access.flow = flows.flow
    AND role >= (SELECT least FROM subjects) AND +subject IN (SELECT named FROM subjects)
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
    entries = []
    for row in _decode_entries(block):
        version, seconds, rest, by, client_id, op_id, patch, chain, dropped, described = row
        author = read_author(described)
        entry = Entry(
            version,
            patch.encode(),
            seconds + rest * _FRACTION,
            by if described is None else author.by,
            client_id,
            op_id,
            () if dropped is None else _decode_paths(dropped),
            bytes.fromhex(chain),
            author.actor,
            author.tags,
        )
        entries.append(entry)
    return entries


NAMED = "version, name, by_name, at, actor_id, kind, actor_name, tags"
"""The columns of a named version."""


def to_named(row: Any) -> NamedVersion:
    """Give the named version that a row of `NAMED` is."""
    version, name, by, at, *parts = row
    author = from_parts((by, *parts))
    return NamedVersion(version, name, by, at, author.actor, author.tags)


def _scope(scope: Scope) -> tuple[str, list[object]]:
    """Give what begins a statement about the flows of a scope, and its parameters."""
    values: list[object] = [
        msgspec.json.encode(scope.ids).decode(),
        msgspec.json.encode(scope.ranges).decode(),
    ]
    subjects = "SELECT NULL, NULL WHERE 0"
    if scope.subjects:
        # By themselves: a text out of JSON would end at a NUL.
        named = ", ".join(["(?)"] * len(scope.subjects))
        subjects = f"SELECT column1, ? FROM (VALUES {named})"
        values += (scope.least_role, *scope.subjects)
    return _SCOPE.format(subjects=subjects), values


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
    :ivar database: the connection now.
    """

    unfinished = False

    def __init__(
        self,
        database: sqlite3.Connection,
        place: Place | None = None,
        reopen: Callable[[], sqlite3.Connection] | None = None,
    ) -> None:
        self.database = database
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
        self.database.close()

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
            self.database.close()
            try:
                self.database = self._reopen()
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
        self.database.execute("BEGIN")
        try:
            yield
        finally:
            self.database.execute("ROLLBACK")

    def head(self, flow_id: str) -> FlowHead:
        return read_head(self.database, flow_id)[1]

    def ends(self, flow_ids: Sequence[str]) -> dict[str, LogEnd]:
        rows = self.database.execute(_ENDS, (msgspec.json.encode(flow_ids).decode(),))
        return {
            flow_id: LogEnd(epoch, version, chain, bool(is_deleted))
            for flow_id, epoch, version, chain, is_deleted in rows
        }

    def load(self, flow_id: str, version: int | None) -> StoredFlow:
        with self._one_moment():
            flow, head = read_head(self.database, flow_id)
            end = head.version if version is None else version
            if not 0 <= end <= head.version:
                raise VersionNotFound()
            row = self.database.execute(
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
            return _to_entries(self.database.execute(_ENTRIES_AFTER, rest).fetchone()[0])

    def find(self, flow_id: str, epoch: str, client_id: str, op_ids: Sequence[int]) -> list[Entry]:
        asked = msgspec.json.encode(list(op_ids)).decode()
        operations = (flow_id, epoch, client_id, asked, len(op_ids))
        row = self.database.execute(_ENTRIES_OF_OPERATIONS, operations).fetchone()
        return _to_entries(row[0])

    def newest_op(self, flow_id: str, epoch: str, client_id: str) -> int | None:
        newest: int | None = self.database.execute(
            _NEWEST_OPERATION, (flow_id, epoch, client_id)
        ).fetchone()[0]
        return newest

    def snapshot_versions(self, flow_id: str, epoch: str) -> list[int]:
        with self._one_moment():
            flow, _ = self._log(flow_id, epoch)
            return read_snapshot_versions(self.database, flow)

    def named_versions(self, flow_id: str, epoch: str) -> list[NamedVersion]:
        with self._one_moment():
            flow, _ = self._log(flow_id, epoch)
            rows = self.database.execute(
                f"SELECT {NAMED} FROM version_names WHERE flow = ? ORDER BY version DESC", (flow,)
            )
            return [to_named(row) for row in rows]

    def heads(self, query: HeadQuery) -> list[FlowHead]:
        if query.scope is None:
            return self._heads(query, "", [], "")
        scope, values = _scope(query.scope)
        with self._one_moment():
            found = self._scope_condition(query.scope, scope, values)
            return self._heads(query, scope, values, found)

    def _scope_condition(self, scope: Scope, begin: str, values: Sequence[object]) -> str:
        """Give the condition that a flow is in a scope, by how many are."""
        count = f"{begin} SELECT count(*) FROM (SELECT 1 FROM ({{}}) LIMIT ?)"

        def are_more(flows: str, limit: int) -> bool:
            asked = (*values, limit + 1)
            (found,) = self.database.execute(count.format(flows), asked).fetchone()
            return bool(found > limit)

        if not are_more(f"SELECT 1 FROM {_IN_SCOPE}", FEW_FLOWS):
            return _AMONG_FEW
        of_subjects = _IS_LISTED
        if are_more(_OF_SUBJECTS, LISTED_FLOWS):
            is_few = len(scope.subjects) <= SOUGHT_SUBJECTS
            of_subjects = _GIVES_TO_FEW if is_few else _GIVES_TO_MANY
        return _AMONG_MANY.format(of_subjects=of_subjects)

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
        rows = self.database.execute(
            f"{begin}{head} WHERE {' AND '.join(conditions)}"
            " ORDER BY updated_at DESC, flow_id DESC LIMIT ?",
            (*values, query.limit),
        )
        return [_to_head(row) for row in rows]

    def _log(self, flow_id: str, epoch: str) -> tuple[int, FlowHead]:
        flow, head = read_head(self.database, flow_id)
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
        row = self.database.execute(_ENTRIES_AFTER, (flow, after, count)).fetchone()
        block = _to_entries(row[0])
        if [entry.version for entry in block] != list(range(after + 1, after + count + 1)):
            raise StoreCorrupt()
        return block

    def _fitting(self, flow: int, after: int, end: int) -> int:
        """Tell how many of the entries from ``after`` (excluded) to ``end`` are a page."""
        size, count, step = 0, 0, _STEP
        while step and after + count < end:
            step = min(step, end - after - count)
            more = read_size(self.database, flow, after + count, after + count + step)
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
