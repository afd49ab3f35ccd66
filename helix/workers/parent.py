"""The parent: it starts workers, starts them again when they die, and replaces them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import attrs
from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from helix.listening import ListenService
from helix.workers.deaths import MAX_DEATHS, WINDOW, Deaths
from helix.workers.gathering import Gathering
from helix.workers.messages import VERSION, Begin
from helix.workers.process import State, Worker
from helix.workers.sockets import hold

READY_SECONDS = 60.0
"""Seconds that a worker has to take another's place."""

DRAIN_SECONDS = 20.0
"""Seconds that a worker has to end, before it is killed."""

KILL_SECONDS = 5.0
"""Seconds that the system has to end a worker that was killed."""


@attrs.define(eq=False)
class _Place:
    """
    One of the workers, over all its processes.

    :ivar worker: the process that serves, or is to.
    :ivar again: starts it again after an end.
    """

    number: int
    worker: Worker | None = None
    again: IDelayedCall | None = None
    deaths: Deaths = attrs.field(factory=Deaths)


class WorkersService(Service):
    """
    Keeps workers running, which serve at the sockets of its listeners.

    :param reactor: of the parent.
    :param listeners: what the parent has opened by the time that this starts.
    :param count: how many workers there are.
    :param given: the command line: option -> its values.
    :param reactor_name: of Twisted, for the workers; empty for its own choice.
    :param log: takes whole lines of the workers' logs.
    :param on_ready: called once, when the first worker serves.
    :param on_failure: called once, with why, when there is no use in going on.
    """

    name = "workers"

    _log: Final = Logger(namespace="helix.workers")

    def __init__(
        self,
        reactor: Any,
        listeners: Sequence[ListenService],
        count: int,
        given: Mapping[str, Sequence[str]],
        reactor_name: str,
        log: Callable[[str], None],
        on_ready: Callable[[], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._listeners = listeners
        self._count = count
        self._given = {name: list(values) for name, values in given.items()}
        self._reactor_name = reactor_name
        self._write = log
        self._on_ready = on_ready
        self._on_failure = on_failure
        self._places = [_Place(number) for number in range(1, count + 1)]
        self._alive: dict[Worker, None] = {}
        self._gathering = Gathering(reactor, count)
        self._was_ready = self._has_failed = False
        self._is_replacement_due = False
        self._replacing: Deferred[None] | None = None

    def startService(self) -> None:
        super().startService()
        self._reactor.callWhenRunning(self._start_all)

    def _start_all(self) -> None:
        self._gathering.start()
        for place in self._places:
            self._start(place)

    def stopService(self) -> Deferred[None]:
        super().stopService()
        for place in self._places:
            self._forget_restart(place)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await DeferredList([Deferred.fromCoroutine(self._end(one)) for one in list(self._alive)])
        self._gathering.stop()

    async def _end(self, worker: Worker) -> None:
        """Drain a worker, and kill it if that takes too long."""
        was_ready = worker.state is State.READY
        worker.drain()
        try:
            await worker.when_ended().addTimeout(DRAIN_SECONDS, self._reactor)
        except defer.TimeoutError:
            self._log.warn(
                "Worker {worker} (process {pid}) has not ended in {seconds:g} s: it is killed",
                worker=worker.number,
                pid=worker.pid,
                seconds=DRAIN_SECONDS,
            )
            worker.kill()
            try:
                await worker.when_ended().addTimeout(KILL_SECONDS, self._reactor)
            except defer.TimeoutError:
                self._log.warn("Process {pid} can't be killed", pid=worker.pid)
                return
        if was_ready:
            self._log.info(
                "Worker {worker} (process {pid}) ended: {end}",
                worker=worker.number,
                pid=worker.pid,
                end=worker.end,
            )

    # replacement

    def replace(self) -> None:
        """
        Replace all workers by new ones, one after another. If that is under way, all are replaced
        again afterwards.
        """
        self._is_replacement_due = True
        if self._replacing is None:
            replacing = self._replacing = Deferred.fromCoroutine(self._replace_all())
            replacing.addErrback(lambda failure: self._log.failure("Workers stay", failure))
            replacing.addBoth(self._replaced)

    def _replaced(self, _: object) -> None:
        self._replacing = None

    async def _replace_all(self) -> None:
        while self._is_replacement_due and self.running:
            self._is_replacement_due = False
            self._log.info("All workers are replaced, one after another")
            for place in self._places:
                if not self.running or not await self._replace(place):
                    return
            self._log.info("All workers are new")

    async def _replace(self, place: _Place) -> bool:
        """
        Replace a worker once a new one serves.

        :return: whether that could be.
        """
        new = self._spawn(place.number, waits=True)
        with suppress(defer.TimeoutError):
            await new.when_started().addTimeout(READY_SECONDS, self._reactor)
        if not self.running:
            return False
        if new.state is not State.READY:
            self._log.error(
                "Worker {worker} is not replaced, nor those after it: {why}",
                worker=place.number,
                why=new.reason or new.end or f"the new one does not serve in {READY_SECONDS:g} s",
            )
            new.kill()
            return False
        old, place.worker = place.worker, new
        self._forget_restart(place)
        if old is not None:
            await self._end(old)
        return True

    # starts and ends

    def _start(self, place: _Place) -> None:
        place.again = None
        if self.running:
            others_serve = any(one.state is State.READY for one in self._alive)
            place.worker = self._spawn(place.number, waits=others_serve)

    def _spawn(self, number: int, waits: bool) -> Worker:
        begin = Begin(
            VERSION,
            number,
            self._count,
            self._given,
            [one.description for one in self._listeners],
            self._reactor_name,
            waits,
        )
        gathering = self._gathering
        worker = Worker(
            begin, self._write, self._said, self._ended, gathering.asked, gathering.reported
        )
        self._alive[worker] = None
        gathering.began(worker)
        worker.start(self._reactor, [hold(one) for one in self._listeners])
        return worker

    def _said(self, worker: Worker) -> None:
        self._log.info(
            "Worker {worker} (process {pid}) serves", worker=worker.number, pid=worker.pid
        )
        if not self._was_ready:
            self._was_ready = True
            self._on_ready()

    def _ended(self, worker: Worker) -> None:
        del self._alive[worker]
        self._gathering.ended(worker)
        place = self._places[worker.number - 1]
        if not self.running or place.worker is not worker:
            return
        place.worker = None
        self._gathering.ended_unasked(worker)
        if worker.reason and not self._was_ready:
            self._fail(worker.reason)
            return
        delay = place.deaths.count(self._reactor.seconds())
        if delay is None:
            self._fail(
                f"worker {worker.number} has ended more than {MAX_DEATHS} times within "
                f"{WINDOW:g} s; the last time: {worker.end}"
            )
            return
        self._log.warn(
            "Worker {worker} (process {pid}) ended: {end}. It starts again in {delay:g} s",
            worker=worker.number,
            pid=worker.pid,
            end=f"{worker.end}, {worker.reason}" if worker.reason else worker.end,
            delay=delay,
        )
        place.again = self._reactor.callLater(delay, self._start, place)

    def _forget_restart(self, place: _Place) -> None:
        again, place.again = place.again, None
        if again is not None:
            again.cancel()

    def _fail(self, reason: str) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._on_failure(reason)
