"""Asks all workers for their figures, and gives them added up."""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.process_collector import ProcessCollector
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from helix.workers.figures import Sums, Told
from helix.workers.messages import Ask, Report
from helix.workers.process import State, Worker

PATIENCE = 1.0
"""Seconds that a worker has to answer; it is left out otherwise."""

LOOK_SECONDS = 5.0
"""How often all are asked anyway: no more is lost of what a worker counted that dies."""


class Gathering:
    """
    The figures of all workers.

    There is one question at a time; who asks meanwhile gets its answer, too.

    :param clock: the reactor.
    :param workers: how many there are to be.
    """

    _log: Final = Logger(namespace="helix.workers")

    def __init__(self, clock: Any, workers: int) -> None:
        self._clock = clock
        self._began = clock.seconds()
        self._sums = Sums(workers)
        self._told: dict[Worker, Told] = {}
        self._parent = Told(0)
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._numbers = count(1)
        self._number = 0
        self._silent: set[Worker] = set()
        self._wanted: list[tuple[Worker, int]] = []
        self._patience: IDelayedCall | None = None
        self._look: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to ask from time to time."""
        self._look = self._clock.callLater(LOOK_SECONDS, self._look_again)

    def stop(self) -> None:
        """Ask no more."""
        look, self._look = self._look, None
        if look is not None:
            look.cancel()

    def _look_again(self) -> None:
        self._look = self._clock.callLater(LOOK_SECONDS, self._look_again)
        self._gather()

    # what workers do

    def began(self, worker: Worker) -> None:
        """There is one more."""
        self._told[worker] = Told(worker.number)

    def ended(self, worker: Worker) -> None:
        """There is one less."""
        self._sums.keep(self._told.pop(worker))
        self._wanted = [one for one in self._wanted if one[0] is not worker]
        self._heard_of(worker)

    def ended_unasked(self, worker: Worker) -> None:
        """One ended, and nobody wanted that."""
        self._sums.count_end(worker.number)

    def asked(self, worker: Worker, number: int) -> None:
        """A worker wants the figures of all."""
        self._wanted.append((worker, number))
        self._gather()

    def reported(self, worker: Worker, report: Report) -> None:
        """A worker tells its own."""
        told = self._told.get(worker)
        if told is None:
            return
        try:
            told.take(report.metrics, report.status)
        except ValueError:
            self._log.warn("Worker {worker} tells nonsense of itself", worker=worker.number)
        if report.number == self._number:
            self._heard_of(worker)

    # inside

    def _gather(self) -> None:
        if self._patience is not None:
            return
        self._number = next(self._numbers)
        self._silent = {one for one in self._told if one.state in (State.READY, State.LEAVING)}
        self._patience = self._clock.callLater(PATIENCE, self._out_of_patience)
        for worker in list(self._silent):
            worker.tell(Ask(self._number))
        self._answer_if_all()

    def _heard_of(self, worker: Worker) -> None:
        self._silent.discard(worker)
        self._answer_if_all()

    def _answer_if_all(self) -> None:
        if self._patience is not None and not self._silent:
            self._patience.cancel()
            self._answer()

    def _out_of_patience(self) -> None:
        for worker in self._silent:
            self._told[worker].is_up = False
        self._silent = set()
        self._answer()

    def _answer(self) -> None:
        self._patience = None
        wanted, self._wanted = self._wanted, []
        if not wanted:
            return
        self._parent.take(generate_latest(self._registry).decode(), {})
        workers = list(self._told.values())
        metrics = self._sums.metrics(self._parent, workers).decode()
        status = self._sums.status(self._clock.seconds() - self._began, workers)
        for worker, number in wanted:
            worker.tell(Report(number, metrics, status))
