"""Follows what is done to access and to credentials, by whatever process: asks the store for it."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.errors import HelixError, StoreUnavailable
from helix.interfaces import IAccessStore
from helix.records import AuditEntry

POLL_SECONDS = 0.5
"""How often the store is asked what other processes have changed."""

POLLS_IN_TIME = 2
"""For how many times as long what was learned may be judged by."""

POLLS_TO_LOOK_BACK = 20
"""After how many of these it is asked, too, whether it was set back."""

CHANGES_AT_ONCE = 1000
"""Of how many changes each question learns."""


class Learner(Protocol):
    """Is told what is done."""

    def begin(self) -> None:
        """What is done from now on is told; what was done before isn't."""

    def learn(self, entries: Sequence[AuditEntry]) -> None:
        """This was done, in order."""

    def begin_again(self) -> None:
        """The store was set back: any of it may be otherwise than was told."""


class Following:
    """
    Asks for the newest entries of the audit log twice a second, from `start` to `stop`.

    :param store: has it.
    :param clock: the reactor.
    :param learner: is told of them.

    :ivar is_away: whether the store couldn't tell when it was asked last.
    """

    _log: Final = Logger(namespace="helix.access")

    def __init__(self, store: IAccessStore, clock: IReactorTime, learner: Learner) -> None:
        self._store = store
        self._clock = clock
        self._learner = learner
        self._newest: int | None = None
        self._timer: IDelayedCall | None = None
        self._polls = 0
        self._is_running = self._is_urgent = self.is_away = False
        self._recent_until = inf
        self._waiting: dict[Deferred[None], None] = {}

    @property
    def is_recent(self) -> bool:
        """
        Whether what was told may be judged by: it is of the last second, or nothing is followed.

        A process that stood still, or that the store didn't answer, may have missed much.
        """
        return self._clock.seconds() < self._recent_until

    def start(self) -> None:
        """Begin, with the store open."""
        self._is_running = True
        self._poll()

    def stop(self) -> None:
        """Ask no more."""
        self._is_running = False
        self._recent_until = inf
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._fail(StoreUnavailable())

    def look(self) -> None:
        """Ask the store now, in place of the next time."""
        if self._timer is not None:
            self._timer.reset(0)
        elif self._is_running:
            self._is_urgent = True

    def catch_up(self) -> Deferred[None]:
        """
        As `look`, and wait for it.

        :return: a Deferred that fires once all is told that was done before this call.
        :raises StoreError: (through the Deferred) when the store can't tell.
        """
        waiter: Deferred[None] = Deferred(self._waiting.pop)
        self._waiting[waiter] = None
        self.look()
        return waiter

    # inside

    def _poll(self) -> None:
        self._timer = None
        self._is_urgent = False
        self._polls += 1
        asked: Deferred[Any]
        if self._newest is not None and self._polls % POLLS_TO_LOOK_BACK == 0:
            asked = self._store.changes(None, 1).addCallback(self._look_back)
        else:
            began, asking = self._clock.seconds(), tuple(self._waiting)
            asked = self._store.changes(self._newest, CHANGES_AT_ONCE)
            asked.addCallback(self._learn, began, asking)
        asked.addErrback(self._learn_nothing)
        asked.addErrback(self._fault)
        asked.addBoth(self._wait)

    def _wait(self, is_more: object) -> None:
        if self._is_running:
            seconds = 0.0 if is_more is True or self._is_urgent else POLL_SECONDS
            self._timer = self._clock.callLater(seconds, self._poll)

    def _learn(
        self, entries: Sequence[AuditEntry], began: float, asking: Sequence[Deferred[None]]
    ) -> bool:
        """
        Follow what was done.

        :param began: when it was asked for.
        :param asking: who waited by then.
        :return: whether there may be more that is known by now.
        """
        if self.is_away:
            self.is_away = False
            self._log.info("Changes of access are known again")
        is_first = self._newest is None
        self._newest = entries[-1].number if entries else self._newest or 0
        if is_first:
            self._learner.begin()
        else:
            self._learner.learn(entries)
            if len(entries) >= CHANGES_AT_ONCE:
                return True
        if self._is_running:
            self._recent_until = began + POLLS_IN_TIME * POLL_SECONDS
        for waiter in asking:
            if waiter in self._waiting:
                del self._waiting[waiter]
                waiter.callback(None)
        return False

    def _look_back(self, entries: Sequence[AuditEntry]) -> bool:
        """
        See whether the store has less than is known: a backup was put back, perhaps.

        :return: that what is new may be asked for at once.
        """
        newest = entries[-1].number if entries else 0
        if newest < (self._newest or 0):
            self._log.warn("The store was set back, so all access is read again")
            self._newest = newest
            self._learner.begin_again()
        return True

    def _learn_nothing(self, failure: Failure) -> None:
        failure.trap(HelixError)
        if not self.is_away:
            self.is_away = True
            self._log.warn("Changes of access can't be read: {error}", error=failure.value)
        self._fail(failure)

    def _fault(self, failure: Failure) -> None:
        self._log.failure("A change of access is lost", failure)
        self._fail(StoreUnavailable())

    def _fail(self, why: Failure | StoreUnavailable) -> None:
        """Tell all who wait that the store can't tell, or wasn't understood."""
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            waiter.errback(why)
