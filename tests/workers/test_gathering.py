"""Asking all workers for their figures. (docs/spec.md, NOD88)"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from helix.telemetry.events import Telemetry
from helix.telemetry.metrics import Metrics
from helix.workers.gathering import LOOK_SECONDS, PATIENCE, Gathering
from helix.workers.messages import VERSION, Ask, Begin, Report
from helix.workers.process import State, Worker

METRICS = Metrics(Telemetry()).exposition().decode()


class Recorded(Worker):
    """A worker without a process, whose channel is a list."""

    def __init__(self, number: int, gathering: Gathering) -> None:
        begin = Begin(VERSION, number, 2, {}, [])
        super().__init__(begin, print, print, print, gathering.asked, gathering.reported)
        self.state = State.READY
        self.heard: list[Any] = []

    def tell(self, message: Ask | Report) -> None:
        self.heard.append(message)

    def answer(self, connections: int = 0, metrics: str = METRICS) -> None:
        """Answer the last question."""
        asked = next(one for one in reversed(self.heard) if isinstance(one, Ask))
        status = {"version": "1", "broker": "up", "connections": connections}
        self._heard(Report(asked.number, metrics, status))

    @property
    def answers(self) -> list[Report]:
        return [one for one in self.heard if isinstance(one, Report)]


def two(clock: Clock) -> tuple[Gathering, Recorded, Recorded]:
    gathering = Gathering(clock, 2)
    workers = Recorded(1, gathering), Recorded(2, gathering)
    for worker in workers:
        gathering.began(worker)
    return gathering, *workers


def test_nod88_whoever_asks_is_told_of_all() -> None:
    _, one, other = two(Clock())
    one._heard(Ask(7))
    one.answer(3)
    assert not one.answers
    other.answer(4)
    assert [answer.number for answer in one.answers] == [7]
    assert one.answers[0].status["connections"] == 7
    assert not other.answers


def test_nod88_one_question_serves_all_who_ask_meanwhile() -> None:
    _, one, other = two(Clock())
    one._heard(Ask(7))
    other._heard(Ask(8))
    one._heard(Ask(9))
    one.answer(3)
    other.answer(4)
    assert [answer.number for answer in one.answers] == [7, 9]
    assert [answer.number for answer in other.answers] == [8]
    assert sum(isinstance(message, Ask) for message in one.heard) == 1


def test_nod88_a_worker_that_is_silent_is_left_out_after_a_second() -> None:
    clock = Clock()
    _, one, other = two(clock)
    one._heard(Ask(7))
    one.answer(3)
    clock.advance(PATIENCE - 0.01)
    assert not one.answers
    clock.advance(0.01)
    status = one.answers[0].status
    assert status["connections"] == 3
    assert [worker["up"] for worker in status["workers"]] == [True, False]
    other.answer(4)  # late
    one._heard(Ask(8))
    one.answer(3)
    other.answer(4)
    assert one.answers[1].status["connections"] == 7
    one._heard(Ask(9))
    one.answer(3)
    clock.advance(PATIENCE)
    assert one.answers[2].status["connections"] == 3
    assert not clock.getDelayedCalls()


def test_nod88_a_worker_that_ends_meanwhile_is_not_waited_for() -> None:
    clock = Clock()
    gathering, one, other = two(clock)
    one._heard(Ask(7))
    one.answer(3)
    gathering.ended(other)
    assert one.answers[0].status["connections"] == 3
    assert not clock.getDelayedCalls()


def test_nod88_one_that_starts_is_not_asked() -> None:
    _, one, other = two(Clock())
    other.state = State.STARTING
    one._heard(Ask(7))
    one.answer(3)
    assert len(one.answers) == 1
    assert not other.heard


def test_nod88_nonsense_counts_as_an_answer_that_says_nothing() -> None:
    _, one, other = two(Clock())
    one._heard(Ask(7))
    one.answer(3)
    other.answer(4, "helix_new three")
    assert one.answers[0].status["connections"] == 3


def test_nod88_all_are_asked_from_time_to_time() -> None:
    clock = Clock()
    gathering, one, other = two(clock)
    gathering.start()
    clock.advance(LOOK_SECONDS)
    one.answer(3)
    other.answer(4)
    gathering.ended(other)  # what it told counts
    gathering.stop()
    assert not one.answers
    assert not clock.getDelayedCalls()
