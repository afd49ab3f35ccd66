"""A store in memory whose appends are let through, or fail, by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail

from helix.errors import HelixError
from helix.records import Entry, FlowHead, Summary
from helix.store.memory import MemoryStore


class HeldStore(MemoryStore):
    """
    :ivar holding: whether what is written waits for `let_through`.
    :ivar groups: the versions of the entries of each write, in order.
    :ivar errors: what the next calls fail with, by the method's name; a write that is preceded by
        ``True`` happens all the same.
    """

    def __init__(self) -> None:
        super().__init__()
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
        self, flow_id: str, epoch: str, base: int, entries: Sequence[Entry], summary: Summary
    ) -> Deferred[None]:
        append = super().append
        self.groups.append([entry.version for entry in entries])
        return self._held("append", lambda: append(flow_id, epoch, base, entries, summary))

    def create(
        self,
        flow_id: str,
        epoch: str,
        at: float,
        entries: Sequence[Entry] = (),
        summary: Summary = Summary(),  # noqa: B008  # immutable
        replace_deleted: bool = False,
    ) -> Deferred[FlowHead]:
        create = super().create
        self.groups.append([entry.version for entry in entries])
        return self._held(
            "create", lambda: create(flow_id, epoch, at, entries, summary, replace_deleted)
        )

    def head(self, flow_id: str) -> Deferred[FlowHead]:
        head = super().head
        return self._met("head", lambda: head(flow_id))

    def newest_op(self, flow_id: str, epoch: str, client_id: str) -> Deferred[int | None]:
        newest_op = super().newest_op
        return self._met("newest_op", lambda: newest_op(flow_id, epoch, client_id))

    def find(self, flow_id: str, epoch: str, client_id: str, op_id: int) -> Deferred[Entry | None]:
        find = super().find
        return self._met("find", lambda: find(flow_id, epoch, client_id, op_id))

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
            call().addErrback(lambda failure: failure.trap(HelixError))
        return fail(error)
