"""The figures of several workers, as if they were one process. (docs/spec.md, NOD88)"""

from __future__ import annotations

import re
from math import isnan
from typing import Any

import pytest
from twisted.internet.task import Clock

from helix.telemetry.events import Telemetry
from helix.telemetry.figures import OwnFigures
from helix.telemetry.metrics import Metrics
from helix.telemetry.status import ServerStatus
from helix.workers.figures import FAMILIES, GAUGES, OF_PARENT, Sums, Told

PARENT = """
# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 0.25
# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1000.0
# HELP process_max_fds Maximum number of open file descriptors.
# TYPE process_max_fds gauge
process_max_fds 9e9
"""


class Process:
    """What one process counts, and tells."""

    def __init__(self, place: int) -> None:
        self.telemetry = Telemetry()
        status = ServerStatus(self.telemetry, Clock().seconds)
        self._figures = OwnFigures(Metrics(self.telemetry), status)
        self.told = Told(place)

    def do(self, event: str, times: int = 1, **data: Any) -> None:
        for _ in range(times):
            self.telemetry.emit(event, data, data)

    def tell(self) -> Told:
        self.told.take(self._figures.text().decode(), self._figures.numbers())
        return self.told


def parent() -> Told:
    told = Told(0)
    told.take(PARENT, {})
    return told


def value(sums: Sums, workers: list[Told], sample: str) -> float | None:
    """A sample of all, by its name and labels as they are written; ``None`` without it."""
    text = sums.metrics(parent(), workers).decode()
    found = re.findall(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    assert len(found) < 2
    return float(found[0]) if found else None


def test_nod88_every_gauge_is_thought_of() -> None:
    text = Metrics(Telemetry()).exposition().decode()
    gauges = set(re.findall(r"^# TYPE (\S+) gauge$", text, re.MULTILINE))
    assert {name for name in gauges if not name.endswith("_created")} == set(GAUGES)


def test_nod88_what_is_counted_is_added_up_and_never_less() -> None:
    sums, one, other = Sums(2), Process(1), Process(2)
    one.do("helix.connection.refused", 3, code="rate_limited")
    other.do("helix.connection.refused", 4, code="rate_limited")
    other.do("helix.connection.refused", 5, code="forbidden")
    one.do("helix.reactor.turned", 2, lag=0.02, largest_lag=0.02)
    other.do("helix.reactor.turned", 1, lag=0.2, largest_lag=0.2)
    workers = [one.tell(), other.tell()]
    limited = 'helix_connections_refused_total{code="rate_limited"}'
    forbidden = 'helix_connections_refused_total{code="forbidden"}'
    slow = 'helix_reactor_lag_seconds_bucket{le="0.025"}'

    def all_of_them() -> list[float | None]:
        names = (limited, forbidden, slow, "helix_reactor_lag_seconds_count")
        return [value(sums, workers, name) for name in names]

    assert all_of_them() == [7, 5, 2, 3]
    other.told.is_up = False
    assert all_of_them() == [7, 5, 2, 3], "it doesn't answer"
    sums.keep(other.told)
    workers.remove(other.told)
    assert all_of_them() == [7, 5, 2, 3], "it ended"
    again = Process(2)
    again.do("helix.connection.refused", 1, code="rate_limited")
    workers.append(again.tell())
    assert all_of_them() == [8, 5, 2, 3], "it started again"


def test_nod88_what_is_measured_is_of_those_that_answer() -> None:
    sums, one, other = Sums(2), Process(1), Process(2)
    for process, count in ((one, 3), (other, 4)):
        process.do("helix.connection.opened", count, transport="websocket")
        process.do("helix.reactor.turned", lag=0.1 * count, largest_lag=0.1 * count)
    workers = [one.tell(), other.tell()]
    assert value(sums, workers, "helix_connections") == 7
    assert value(sums, workers, "helix_reactor_lag_max_seconds") == pytest.approx(0.4)
    assert value(sums, workers, 'helix_worker_connections{worker="2"}') == 4
    assert value(sums, workers, 'helix_worker_up{worker="2"}') == 1
    other.told.is_up = False
    assert value(sums, workers, "helix_connections") == 3
    assert value(sums, workers, "helix_reactor_lag_max_seconds") == pytest.approx(0.3)
    assert value(sums, workers, 'helix_worker_connections{worker="2"}') is None
    assert value(sums, workers, 'helix_worker_up{worker="2"}') == 0
    assert value(sums, workers, "helix_workers") == 2


def test_nod88_others_are_heard_if_all_hear_them() -> None:
    sums, one, other = Sums(2), Process(1), Process(2)
    told = value(sums, [one.tell(), other.tell()], "helix_broker_up")
    assert told is not None
    assert isnan(told)
    one.do("helix.broker.changed", up=1)
    other.do("helix.broker.changed", up=0)
    assert value(sums, [one.tell(), other.tell()], "helix_broker_up") == 0
    assert sums.status(0.0, [one.told, other.told])["broker"] == "away"
    other.do("helix.broker.changed", up=1)
    assert value(sums, [one.tell(), other.tell()], "helix_broker_up") == 1
    assert sums.status(0.0, [one.told, other.told])["broker"] == "up"


def test_nod88_the_process_is_that_of_all() -> None:
    sums, one, other = Sums(2), Process(1), Process(2)
    workers = [one.tell(), other.tell()]
    assert value(sums, workers, "process_start_time_seconds") == 1000.0
    assert value(sums, workers, "process_max_fds") != 9e9
    cpu = [value(sums, workers, f'helix_worker_cpu_seconds_total{{worker="{n}"}}') for n in (1, 2)]
    assert value(sums, workers, "process_cpu_seconds_total") == pytest.approx(
        sum(one or 0.0 for one in cpu) + 0.25
    )
    assert set(OF_PARENT) <= {*one.told.metrics}


def test_nod88_metrics_of_workers_are_those_that_are_said() -> None:
    text = Sums(2).metrics(parent(), [Process(1).tell()]).decode()
    named = set(re.findall(r"^# TYPE (helix_workers?(?:_\w+)?) \w+$", text, re.MULTILINE))
    assert named == set(FAMILIES)


def test_nod88_status_is_that_of_all() -> None:
    sums, one, other = Sums(3), Process(1), Process(2)
    for process, count in ((one, 3), (other, 4)):
        process.do("helix.connection.opened", count, transport="websocket")
        process.do("helix.flow.appended", entries=count)
        process.do("helix.reactor.turned", lag=0.1 * count, largest_lag=0.2 * count)
    status = sums.status(12.3456, [one.tell(), other.tell()])
    assert (status["uptime"], status["connections"], status["patches"]) == (12.346, 7, 7)
    assert (status["reactor_lag"], status["reactor_lag_max"]) == (0.4, 0.8)
    assert [worker["up"] for worker in status["workers"]] == [True, True, False]
    assert status["workers"][1]["connections"] == 4
    sums.keep(other.told)
    status = sums.status(12.3456, [one.tell()])
    assert (status["connections"], status["patches"]) == (3, 7)
    assert [worker["up"] for worker in status["workers"]] == [True, False, False]


def test_nod88_metrics_of_another_version_are_taken_by_their_kind() -> None:
    told = Told(1)
    told.take("# TYPE helix_new gauge\nhelix_new 3\n# TYPE helix_c counter\nhelix_c_total 4\n", {})
    sums = Sums(1)
    assert value(sums, [told, told], "helix_new") == 6
    assert value(sums, [told, told], "helix_c_total") == 8


def test_nod88_nonsense_changes_nothing() -> None:
    told = Process(1).tell()
    before = told.metrics
    with pytest.raises(ValueError, match="float"):
        told.take("helix_new three", {})
    assert told.metrics is before
