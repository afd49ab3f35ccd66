"""The store ``memory:``: flows that live as long as the process, for demos and benchmarks."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import TypeVar

import attrs
from msgspec import structs
from twisted.internet.defer import Deferred, execute
from zope.interface import implementer

from helix.chain import origin_of
from helix.errors import (
    DuplicateOperation,
    FlowDeleted,
    FlowExists,
    FlowNotFound,
    StoreUnavailable,
    TooManyNames,
    VersionConflict,
    VersionNotFound,
    VersionNotNamed,
)
from helix.interfaces import IFlowStore
from helix.records import (
    Entry,
    FlowHead,
    HeadQuery,
    LogEnd,
    NamedVersion,
    Scope,
    StoredFlow,
    StoreUsage,
    Summary,
)
from helix.store.access_rows import owner_row
from helix.store.memory_access import AuditLog, MemoryAccess, MemoryCredentials
from helix.store.rules import MAX_NAMED_VERSIONS, PAGE_BYTES, brief, due, expendable, matches

T = TypeVar("T")


@attrs.define(eq=False)
class _Log:
    """
    A flow.

    :ivar operations: client id -> op id -> the version that it became.
    """

    head: FlowHead
    entries: list[Entry] = attrs.field(factory=list)
    operations: dict[str, dict[int, int]] = attrs.field(factory=dict)
    snapshots: dict[int, bytes] = attrs.field(factory=dict)
    snapshot_versions: list[int] = attrs.field(factory=list)
    names: dict[int, NamedVersion] = attrs.field(factory=dict)

    def chain(self, version: int) -> bytes:
        """The chain at a version that it reaches."""
        return self.entries[version - 1].chain if version else self.head.origin

    def is_at(self, epoch: str, version: int, chain: bytes) -> bool:
        """Whether this is its head."""
        head = self.head
        return (head.epoch, head.version, head.chain) == (epoch, version, chain)

    def add(self, entries: Sequence[Entry], summary: Summary) -> None:
        """Add all entries or, when one is a resend, none."""
        added: dict[str, set[int]] = {}
        for entry in entries:
            if entry.client_id is None or entry.op_id is None:
                continue
            ops = added.setdefault(entry.client_id, set())
            if entry.op_id in ops or entry.op_id in self.operations.get(entry.client_id, ()):
                raise DuplicateOperation()
            ops.add(entry.op_id)
        self.entries += entries
        for entry in entries:
            if entry.client_id is not None and entry.op_id is not None:
                self.operations.setdefault(entry.client_id, {})[entry.op_id] = entry.version
        if entries:
            newest = entries[-1]
            self.head = structs.replace(
                self.head,
                version=len(self.entries),
                summary=summary,
                updated_at=newest.at,
                chain=newest.chain,
            )


@implementer(IFlowStore)
class MemoryStore:
    """Keeps flows in this process. (`helix.interfaces.IFlowStore`)"""

    is_sole_writer = False  # it answers at once, so nothing is gained by not asking

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}
        self.is_open = False
        self.usage = StoreUsage()
        log = AuditLog()
        self.access = MemoryAccess(self._head_of, log, self._do)
        self.credentials = MemoryCredentials(log, self._do)

    def start(self) -> Deferred[None]:
        self.is_open = True
        return execute(lambda: None)

    def stop(self) -> Deferred[None]:
        self.is_open = False
        return execute(lambda: None)

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
        def create() -> FlowHead:
            old = self._logs.get(flow_id)
            if old is not None and old.head.deleted_at is None:
                raise FlowExists()
            if old is not None and not replace_deleted:
                raise FlowDeleted()
            owned = owner_row(owner)
            origin = origin_of(epoch)
            log = _Log(FlowHead(flow_id, epoch, 0, summary, at, at, origin, origin))
            log.add(entries, summary)
            self._logs[flow_id] = log
            self.access.begin(flow_id, owned)
            return log.head

        return self._do(create)

    def append(
        self,
        flow_id: str,
        epoch: str,
        base_version: int,
        base_chain: bytes,
        entries: Sequence[Entry],
        summary: Summary,
    ) -> Deferred[None]:
        def append() -> None:
            self._log_at(flow_id, epoch, base_version, base_chain).add(entries, summary)

        return self._do(append)

    def head(self, flow_id: str) -> Deferred[FlowHead]:
        return self._do(lambda: self._log(flow_id).head)

    def ends(self, flow_ids: Sequence[str]) -> Deferred[dict[str, LogEnd]]:
        def ends() -> dict[str, LogEnd]:
            heads = [self._logs[one].head for one in flow_ids if one in self._logs]
            return {
                one.flow_id: LogEnd(one.epoch, one.version, one.chain, one.deleted_at is not None)
                for one in heads
            }

        return self._do(ends)

    def load(self, flow_id: str, version: int | None = None) -> Deferred[StoredFlow]:
        def load() -> StoredFlow:
            log = self._log(flow_id)
            end = len(log.entries) if version is None else version
            if not 0 <= end <= len(log.entries):
                raise VersionNotFound()
            base = max((v for v in log.snapshot_versions if v <= end), default=0)
            return StoredFlow(log.head, base, log.snapshots.get(base), log.entries[base:end])

        return self._do(load)

    def entries(self, flow_id: str, epoch: str, after: int, limit: int) -> Deferred[list[Entry]]:
        def entries() -> list[Entry]:
            found = self._log(flow_id, epoch).entries[after : after + limit]
            totals = accumulate(len(entry.patch) for entry in found)
            return found[: max(1, sum(total <= PAGE_BYTES for total in totals))]

        return self._do(entries)

    def find(
        self, flow_id: str, epoch: str, client_id: str, op_ids: Sequence[int]
    ) -> Deferred[list[Entry]]:
        def find() -> list[Entry]:
            log = self._logs.get(flow_id)
            if log is None or log.head.epoch != epoch:
                return []
            versions = log.operations.get(client_id, {})
            found = sorted(versions[op_id] for op_id in set(op_ids) if op_id in versions)
            return [log.entries[version - 1] for version in found]

        return self._do(find)

    def newest_op(self, flow_id: str, epoch: str, client_id: str) -> Deferred[int | None]:
        def newest_op() -> int | None:
            log = self._logs.get(flow_id)
            if log is None or log.head.epoch != epoch:
                return None
            return max(log.operations.get(client_id, ()), default=None)

        return self._do(newest_op)

    def snapshot(
        self, flow_id: str, epoch: str, version: int, chain: bytes, document: bytes
    ) -> Deferred[None]:
        def snapshot() -> None:
            log = self._logs.get(flow_id)
            if log is None or log.head.epoch != epoch or version in log.snapshots:
                return
            if not 0 <= version <= len(log.entries) or log.chain(version) != chain:
                return
            insort(log.snapshot_versions, version)
            log.snapshots[version] = document
            kept, decided = due(log.snapshot_versions)
            steps = zip([kept, *decided], decided, strict=False)
            sizes = [sum(len(one.patch) for one in log.entries[a:b]) for a, b in steps]
            for old in expendable(kept, decided, sizes):
                log.snapshot_versions.remove(old)
                del log.snapshots[old]

        return self._do(snapshot)

    def snapshot_versions(self, flow_id: str, epoch: str) -> Deferred[list[int]]:
        return self._do(lambda: list(self._log(flow_id, epoch).snapshot_versions))

    def name_version(
        self, flow_id: str, epoch: str, named: NamedVersion
    ) -> Deferred[NamedVersion | None]:
        def name_version() -> NamedVersion | None:
            log = self._living_log(flow_id, epoch)
            if not 0 <= named.version <= len(log.entries):
                raise VersionNotFound()
            before = log.names.get(named.version)
            if before is None and len(log.names) >= MAX_NAMED_VERSIONS:
                raise TooManyNames()
            if before is None or before.name != named.name:
                log.names[named.version] = named
            return before

        return self._do(name_version)

    def unname_version(self, flow_id: str, epoch: str, version: int) -> Deferred[None]:
        def unname_version() -> None:
            if self._living_log(flow_id, epoch).names.pop(version, None) is None:
                raise VersionNotNamed()

        return self._do(unname_version)

    def named_versions(self, flow_id: str, epoch: str) -> Deferred[list[NamedVersion]]:
        def named_versions() -> list[NamedVersion]:
            names = self._log(flow_id, epoch).names
            return [names[version] for version in sorted(names, reverse=True)]

        return self._do(named_versions)

    def heads(self, query: HeadQuery) -> Deferred[list[FlowHead]]:
        def heads() -> list[FlowHead]:
            found = [log.head for log in self._among(query.scope) if matches(log.head, query)]
            found.sort(key=lambda head: (head.updated_at, head.flow_id), reverse=True)
            listed = [structs.replace(head, chain=b"") for head in found[: query.limit]]
            return [brief(head) for head in listed] if query.brief else listed

        return self._do(heads)

    def delete(self, flow_id: str, at: float) -> Deferred[FlowHead]:
        def delete() -> FlowHead:
            log = self._log(flow_id)
            if log.head.deleted_at is None:
                log.head = structs.replace(log.head, deleted_at=at)
            return log.head

        return self._do(delete)

    def undelete(self, flow_id: str) -> Deferred[FlowHead]:
        def undelete() -> FlowHead:
            log = self._log(flow_id)
            log.head = structs.replace(log.head, deleted_at=None)
            return log.head

        return self._do(undelete)

    def purge(self, deleted_before: float) -> Deferred[int]:
        def purge() -> int:
            gone = [
                flow_id
                for flow_id, log in self._logs.items()
                if log.head.deleted_at is not None and log.head.deleted_at < deleted_before
            ]
            for flow_id in gone:
                del self._logs[flow_id]
                self.access.forget(flow_id)
            return len(gone)

        return self._do(purge)

    def renew_epoch(
        self, flow_id: str, epoch: str, version: int, chain: bytes, new_epoch: str
    ) -> Deferred[None]:
        def renew() -> None:
            log = self._log_at(flow_id, epoch, version, chain)
            log.head = structs.replace(log.head, epoch=new_epoch)

        return self._do(renew)

    def renew_epochs(self, epoch: str) -> Deferred[int]:
        def renew() -> int:
            for log in self._logs.values():
                log.head = structs.replace(log.head, epoch=epoch)
            return len(self._logs)

        return self._do(renew)

    def _among(self, scope: Scope | None) -> Iterable[_Log]:
        """Give the flows of a scope."""
        if scope is None:
            return self._logs.values()
        if scope.prefixes or scope.subjects:
            return [
                log
                for flow_id, log in self._logs.items()
                if scope.holds(flow_id) or self.access.is_in(scope, flow_id)
            ]
        return [self._logs[one] for one in scope.ids if one in self._logs]

    def _head_of(self, flow_id: str) -> FlowHead | None:
        log = self._logs.get(flow_id)
        return None if log is None else log.head

    def _log(self, flow_id: str, epoch: str | None = None) -> _Log:
        log = self._logs.get(flow_id)
        if log is None or (epoch is not None and log.head.epoch != epoch):
            raise FlowNotFound()
        return log

    def _log_at(self, flow_id: str, epoch: str, version: int, chain: bytes) -> _Log:
        """Give a log that isn't deleted, where this is its head."""
        log = self._log(flow_id)
        if log.head.deleted_at is not None:
            raise FlowDeleted()
        if not log.is_at(epoch, version, chain):
            raise VersionConflict()
        return log

    def _living_log(self, flow_id: str, epoch: str) -> _Log:
        log = self._log(flow_id, epoch)
        if log.head.deleted_at is not None:
            raise FlowDeleted()
        return log

    def _do(self, call: Callable[[], T]) -> Deferred[T]:
        if not self.is_open:
            return execute(_refuse)
        return execute(call)


def _refuse() -> T:  # type: ignore[type-var]
    raise StoreUnavailable("The store is closed")
