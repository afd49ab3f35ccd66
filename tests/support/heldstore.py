"""Stores in memory whose appends are let through, or fail, by hand, and what their logs say."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.python.failure import Failure

from helix.access.sharing import FlowAccess
from helix.documents.document import FlowDocument
from helix.log.edits import summary_of
from helix.records import AuditEntry, Entry, FlowHead, LogEnd, StoredFlow, Summary
from helix.store.memory import MemoryStore, _Log
from helix.store.memory_access import AuditLog
from tests.seeded.truth import Truth

T = TypeVar("T")


class HeldStore(MemoryStore):
    """
    :ivar holding: whether what is written waits for `let_through`.
    :ivar groups: the versions of the entries of each write, in order.
    :ivar errors: what the next calls fail with, by the method's name; a write that is preceded by
        ``True`` happens all the same.
    """

    def __init__(self, beside: MemoryStore | None = None) -> None:
        """:param beside: another node's, whose flows it keeps as well."""
        super().__init__()
        if beside is not None:
            self._logs = beside._logs
            self.access._rows, self.access._log = beside.access._rows, beside.access._log
        self.holding = False
        self.groups: list[list[int]] = []
        self.errors: dict[str, deque[tuple[bool, Exception]]] = {}
        self._waiting: deque[tuple[Callable[[], Deferred[Any]], Deferred[Any]]] = deque()
        self.start()

    def fail(self, method: str, error: Exception, *, happens: bool = False) -> None:
        """Let the next call of ``method`` fail; with ``happens`` after it was carried out."""
        self.errors.setdefault(method, deque()).append((happens, error))

    def let_through(self) -> None:
        """Carry out the write that waits longest."""
        call, waiting = self._waiting.popleft()
        call().chainDeferred(waiting)

    def drop(self) -> None:
        """Forget the write that waits longest: its writer has died before it came to be."""
        self._waiting.popleft()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def append(
        self,
        flow_id: str,
        epoch: str,
        base: int,
        base_chain: bytes,
        entries: Sequence[Entry],
        summary: Summary,
    ) -> Deferred[None]:
        append = super().append
        self.groups.append([entry.version for entry in entries])
        return self._held(
            "append", lambda: append(flow_id, epoch, base, base_chain, entries, summary)
        )

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
        create = super().create
        self.groups.append([entry.version for entry in entries])
        return self._held(
            "create", lambda: create(flow_id, epoch, at, entries, summary, replace_deleted, owner)
        )

    def head(self, flow_id: str) -> Deferred[FlowHead]:
        head = super().head
        return self._met("head", lambda: head(flow_id))

    def ends(self, flow_ids: Sequence[str]) -> Deferred[dict[str, LogEnd]]:
        ends = super().ends
        return self._met("ends", lambda: ends(flow_ids))

    def newest_op(self, flow_id: str, epoch: str, client_id: str) -> Deferred[int | None]:
        newest_op = super().newest_op
        return self._met("newest_op", lambda: newest_op(flow_id, epoch, client_id))

    def renew_epoch(
        self, flow_id: str, epoch: str, version: int, chain: bytes, new_epoch: str
    ) -> Deferred[None]:
        renew = super().renew_epoch
        return self._held("renew_epoch", lambda: renew(flow_id, epoch, version, chain, new_epoch))

    def find(
        self, flow_id: str, epoch: str, client_id: str, op_ids: Sequence[int]
    ) -> Deferred[list[Entry]]:
        find = super().find
        return self._met("find", lambda: find(flow_id, epoch, client_id, op_ids))

    def _held(self, method: str, call: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        if not self.holding:
            return self._met(method, call)
        waiting: Deferred[Any] = Deferred()
        self._waiting.append((lambda: self._met(method, call), waiting))
        return waiting

    def _met(self, method: str, call: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        errors = self.errors.get(method)
        if not errors:
            return call()
        happens, error = errors.popleft()
        if happens:
            call().addErrback(heard_by_nobody)
        return fail(error)


class LateStore(HeldStore):
    """
    A store whose writes are held, and many of its answers too; both go on in any order.

    :param prompt: whether nothing is held, as in memory.
    :ivar truth: what it has, and ever had.
    :ivar late: whether answers are held.
    """

    def __init__(
        self, random: Random, beside: LateStore | None = None, prompt: bool = False
    ) -> None:
        super().__init__(beside)
        self.truth: Truth = Truth() if beside is None else beside.truth
        self.holding = self.late = not prompt
        self._random = random
        self._answers: list[tuple[Deferred[Any], Deferred[Any]]] = []

    @property
    def waiting(self) -> int:
        return len(self._waiting) + len(self._answers)

    def flow(self, flow_id: str) -> _Log | None:
        """A flow as it is in the store now."""
        return self._logs.get(flow_id)

    def go_on(self) -> None:
        """Carry out a write that waits, or give an answer."""
        at = self._random.randrange(self.waiting)
        if at < len(self._waiting):
            self._waiting.rotate(-at)
            self.let_through()
        else:
            done, waiting = self._answers.pop(at - len(self._waiting))
            done.chainDeferred(waiting)

    def die(self) -> None:
        """The node is gone: of what it was writing some came to be, and it hears of nothing."""
        while self._waiting:
            self._random.choice([self.let_through, self.drop])()
        for done, _ in self._answers:
            done.addErrback(heard_by_nobody)
        self._answers.clear()

    def let_through(self) -> None:
        super().let_through()
        self.truth.look(self._logs.values())

    def check(self) -> None:
        """See to what holds for each log in itself."""
        self.truth.look(self._logs.values())
        self.truth.check(self._logs.values())

    def go_back(self, flow_id: str, count: int) -> None:
        """
        Forget a flow's newest entries, as a failover does to a standby that lacked them.

        :param count: how many.
        """
        log = self._logs.get(flow_id)
        if log is None:
            return
        self.truth.look([log])
        version = max(0, len(log.entries) - count)
        go_back(self, flow_id, version)
        self.truth.go_back(log.head.epoch, version)

    def load(self, flow_id: str, version: int | None = None) -> Deferred[StoredFlow]:
        load = super().load
        return self._met("load", lambda: load(flow_id, version))

    def entries(self, flow_id: str, epoch: str, after: int, limit: int) -> Deferred[list[Entry]]:
        entries = super().entries
        return self._met("entries", lambda: entries(flow_id, epoch, after, limit))

    def snapshot(
        self, flow_id: str, epoch: str, version: int, chain: bytes, document: bytes
    ) -> Deferred[None]:
        snapshot = super().snapshot
        return self._held("snapshot", lambda: snapshot(flow_id, epoch, version, chain, document))

    def delete(self, flow_id: str, at: float) -> Deferred[FlowHead]:
        delete = super().delete
        return self._held("delete", lambda: delete(flow_id, at))

    def undelete(self, flow_id: str) -> Deferred[FlowHead]:
        undelete = super().undelete
        return self._held("undelete", lambda: undelete(flow_id))

    def _held(self, method: str, call: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        done = super()._held(method, call)
        if not self.holding:
            self.truth.look(self._logs.values())  # it is written already
        return done

    def _met(self, method: str, call: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        done = super()._met(method, call)
        if not self.late or self._random.random() < 0.5:
            return done
        waiting: Deferred[Any] = Deferred()
        self._answers.append((done, waiting))
        return waiting


class _AccessPerFlow:
    """What flows give, of a `StorePerFlow`. (`helix.interfaces.IAccessStore`, as needed)"""

    def __init__(self, stores: StorePerFlow) -> None:
        self._stores = stores

    def read(
        self, flow_ids: Sequence[str], subjects: Sequence[str] | None = None
    ) -> Deferred[dict[str, FlowAccess]]:
        asked = [self._stores.of(one).access.read([one], subjects) for one in flow_ids]
        return gatherResults(asked).addCallback(_joined)

    def change(
        self, flow_id: str, edit: Callable[[FlowAccess], FlowAccess], audited: AuditEntry
    ) -> Deferred[FlowAccess]:
        return self._stores.of(flow_id).access.change(flow_id, edit, audited)

    def changes(self, after: int | None, limit: int) -> Deferred[list[AuditEntry]]:
        return succeed(self._stores.audit.after(after, limit))


class StorePerFlow:
    """
    A `LateStore` for each flow, so that there may be trouble with one of them.

    (`helix.interfaces.IFlowStore`, as far as it is about one flow.)

    :param beside: another node's, whose flows it keeps as well.
    :param prompt: as `LateStore` has it.

    :ivar audit: what was done to access, of all flows.
    """

    def __init__(
        self, random: Random, beside: StorePerFlow | None = None, prompt: bool = False
    ) -> None:
        self._random = random
        self._beside = beside
        self._prompt = prompt
        self.stores: dict[str, LateStore] = {}
        self.audit: AuditLog = AuditLog() if beside is None else beside.audit
        self.access = _AccessPerFlow(self)

    def of(self, flow_id: str) -> LateStore:
        """The one of a flow."""
        if flow_id not in self.stores:
            beside = None if self._beside is None else self._beside.of(flow_id)
            store = self.stores[flow_id] = self._make(beside)
            store.access._log = self.audit
        return self.stores[flow_id]

    def ends(self, flow_ids: Sequence[str]) -> Deferred[dict[str, LogEnd]]:
        asked = [self.of(one).ends([one]) for one in flow_ids]
        found = gatherResults(asked, consumeErrors=True)
        return found.addCallbacks(_joined, lambda failure: failure.value.subFailure)

    def die(self) -> None:
        """The node is gone. (`LateStore.die`)"""
        for store in self.stores.values():
            store.die()

    def _make(self, beside: LateStore | None) -> LateStore:
        return LateStore(self._random, beside, self._prompt)

    def __getattr__(self, method: str) -> Callable[..., Deferred[Any]]:
        return lambda flow_id, *args, **named: getattr(self.of(flow_id), method)(
            flow_id, *args, **named
        )


def heard_by_nobody(failure: Failure) -> None:
    """What is asked of a store may fail, in any way that a test asked for."""
    if failure.check(AssertionError):
        failure.raiseException()


def _joined(found: Iterable[Mapping[str, T]]) -> dict[str, T]:
    """What was found of each flow, of all of them."""
    return {name: one for given in found for name, one in given.items()}


def go_back(store: MemoryStore, flow_id: str, version: int) -> None:
    """Let the store lose what follows a version, as when a backup is put back."""
    log = store._logs[flow_id]
    document = FlowDocument.empty()
    for entry in log.entries[:version]:
        document.apply(json.loads(entry.patch))
    before = msgspec.structs.replace(
        log.head,
        version=0,
        chain=log.head.origin,
        summary=Summary(),
        updated_at=log.head.created_at,
    )
    earlier = store._logs[flow_id] = _Log(before)
    earlier.add(log.entries[:version], summary_of(document))
