"""One node's way to a store that it shares, on which the node may stop, give up, or be cut off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail

from helix.errors import StoreUnavailable
from tests.support.heldstore import LateStore, StorePerFlow, heard_by_nobody


class NodeStore(LateStore):
    """
    As `LateStore`, for a process among several.

    :ivar is_stopped: whether the process is (SIGSTOP): what it has asked is done, and not answered.
    :ivar is_away: whether the store can't be reached; of what is written some happens all the same.
    """

    def __init__(self, random: Random, beside: LateStore | None = None) -> None:
        super().__init__(random, beside)
        self.is_stopped = self.is_away = False
        self._is_dead = False
        self._ghosts: list[Callable[[], Deferred[Any]]] = []

    @property
    def waiting(self) -> int:
        """What can go on now."""
        answers = 0 if self.is_stopped else len(self._answers)
        return len(self._waiting) + len(self._ghosts) + answers

    def go_on(self) -> None:
        """Carry out a write that waits, or give an answer, unless the process is stopped."""
        at = self._random.randrange(self.waiting)
        if at < len(self._waiting):
            self._waiting.rotate(-at)
            self.let_through()
        elif at < len(self._waiting) + len(self._ghosts):
            self._end_ghost()
        else:
            done, waiting = self._answers.pop(at - len(self._waiting) - len(self._ghosts))
            done.chainDeferred(waiting)

    def give_up(self) -> None:
        """
        The node has waited too long for one thing, and takes the store for unavailable. A write
        that is on its way comes to be later, or never.
        """
        if self.is_stopped or not self._asked:
            return
        at = self._random.randrange(self._asked)
        if at < len(self._waiting):
            call, waiting = self._waiting[at]
            del self._waiting[at]
            if self._random.random() < 0.7:
                self._ghosts.append(call)
        else:
            done, waiting = self._answers.pop(at - len(self._waiting))
            done.addErrback(heard_by_nobody)
        waiting.errback(StoreUnavailable())

    def let_through(self) -> None:
        if not self.is_stopped:
            super().let_through()
            return
        call, waiting = self._waiting.popleft()
        self._answers.append((call(), waiting))
        self.truth.look(self._logs.values())

    def die(self) -> None:
        """As `LateStore.die`; it is asked nothing more."""
        self.is_stopped = True  # so that nobody hears of what comes to be now
        while self._ghosts:
            self._end_ghost()
        super().die()
        self._is_dead = True

    # inside

    @property
    def _asked(self) -> int:
        """What the node waits for."""
        return len(self._waiting) + len(self._answers)

    def _end_ghost(self) -> None:
        call = self._ghosts.pop(self._random.randrange(len(self._ghosts)))
        call().addErrback(heard_by_nobody)
        self.truth.look(self._logs.values())

    def _held(self, method: str, call: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        return Deferred() if self._is_dead else super()._held(method, call)

    def _met(self, method: str, call: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        if self._is_dead:
            return Deferred()
        if not self.is_away:
            return super()._met(method, call)
        if self._random.random() < 0.3:
            call().addErrback(heard_by_nobody)
        return fail(StoreUnavailable())


class NodeStores(StorePerFlow):
    """A `NodeStore` for each flow."""

    def some(self, flow_ids: Iterable[str]) -> list[NodeStore]:
        """Those of some flows."""
        return [store for one in flow_ids if isinstance(store := self.of(one), NodeStore)]

    def _make(self, beside: LateStore | None) -> LateStore:
        return NodeStore(self._random, beside)
