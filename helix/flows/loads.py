"""Admission control for loads of flows that aren't open: only a few run at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, fail

from helix.errors import RateLimited

AT_ONCE = 2
"""Loads at once in all; of one address, one."""

WAITING = 50
"""Loads that may wait for their turn in all ..."""

WAITING_OF_ONE = 5
"""... and of one address."""

RETRY_SECONDS = 2.0
"""Seconds after which a refused load may be tried again."""

T = TypeVar("T")

Load = Callable[[], Coroutine[Deferred[Any], Any, T]]


@attrs.define(eq=False)
class _Asked:
    """
    A load that somebody waits for.

    :ivar who: from which address; ``None`` for this machine.
    """

    who: str | None
    load: Load[Any]
    answer: Deferred[Any]


class Loads:
    """Queues loads. A started load goes on, and counts, even if nobody waits for it any more."""

    def __init__(self) -> None:
        self._waiting: list[_Asked] = []
        self._running: Counter[str | None] = Counter()

    def ask(self, who: str | None, load: Load[T]) -> Deferred[T]:
        """
        Load something when its turn comes.

        :param who: the address that asks; ``None`` for this machine, which may ask for many.
        :return: a Deferred of what the load gives.
        :raises RateLimited: (through the Deferred) when too many wait already.
        """
        of_one = sum(asked.who == who for asked in self._waiting)
        is_one_too_many = who is not None and of_one >= WAITING_OF_ONE
        if is_one_too_many or len(self._waiting) >= WAITING:
            return fail(RateLimited(RETRY_SECONDS, "Too many flows are read, try again later"))
        asked = _Asked(who, load, Deferred(lambda _: self._give_up(asked)))
        self._waiting.append(asked)
        self._begin()
        return asked.answer

    def _give_up(self, asked: _Asked) -> None:
        if asked in self._waiting:
            self._waiting.remove(asked)

    def _begin(self) -> None:
        for asked in list(self._waiting):
            if self._running.total() >= AT_ONCE:
                return
            if asked.who is None or not self._running[asked.who]:
                self._waiting.remove(asked)
                self._running[asked.who] += 1
                Deferred.fromCoroutine(asked.load()).addBoth(self._ended, asked)

    def _ended(self, result: object, asked: _Asked) -> None:
        self._running[asked.who] -= 1
        if not self._running[asked.who]:
            del self._running[asked.who]
        if not asked.answer.called:
            asked.answer.callback(result)
        self._begin()
