"""Adds up what workers tell of themselves, as if they were one process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isnan, nan
from typing import Any

import attrs
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

Sample = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a sample, and its labels."""

Values = dict[Sample, float]


def _least(values: Sequence[float]) -> float:
    """The least of those that are numbers: any worker that doesn't hear others counts."""
    return min((value for value in values if not isnan(value)), default=nan)


GAUGES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "helix_connections": sum,
    "helix_sessions": sum,
    "helix_members": sum,
    "helix_queued_bytes": sum,
    "helix_store_bytes": max,  # all look at one store
    "helix_store_max_bytes": max,
    "helix_reactor_lag_max_seconds": max,
    "helix_broker_up": _least,
    "helix_nodes": max,  # each counts all
    "process_resident_memory_bytes": sum,
    "process_virtual_memory_bytes": sum,
    "process_start_time_seconds": min,  # the parent's
    "process_open_fds": max,  # each worker has a limit of its own: that of the one with the most
    "process_max_fds": max,
}
"""What becomes of several workers' values of a gauge. Of one that isn't here the sum is told."""

OF_PARENT = (
    "process_cpu_seconds",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_start_time_seconds",
)
"""The metrics of the parent's own process that are added to those of its workers."""

_EACH = {
    "helix_connections": ("connections", "Clients that are connected to one worker."),
    "helix_reactor_lag_max_seconds": (
        "reactor_lag_max_seconds",
        "The largest lag of one worker within the last one to two minutes.",
    ),
    "process_resident_memory_bytes": ("resident_memory_bytes", "Memory of one worker."),
    "process_cpu_seconds": ("cpu_seconds", "CPU time of one worker, over all its starts."),
}
"""What is told of each worker, too."""

FAMILIES = (
    "helix_workers",
    "helix_worker_up",
    "helix_worker_ends_total",
    "helix_worker_connections",
    "helix_worker_reactor_lag_max_seconds",
    "helix_worker_resident_memory_bytes",
    "helix_worker_cpu_seconds_total",
)
"""The metrics that there are of workers alone."""


@attrs.define(eq=False)
class Told:
    """
    What one process has told last.

    :ivar place: the number of the worker; 0 for the parent.
    :ivar is_up: whether it has answered the last question in time.
    """

    place: int
    is_up: bool = False
    metrics: Mapping[str, Metric] = attrs.field(factory=dict)
    status: Mapping[str, Any] = attrs.field(factory=dict)

    def take(self, metrics: str, status: Mapping[str, Any]) -> None:
        """
        Take what it tells now.

        :raises ValueError: when it can't be read; nothing is changed then.
        """
        found = {family.name: family for family in text_string_to_metric_families(metrics)}
        self.metrics, self.status, self.is_up = found, status, True


class Sums:
    """
    The figures of all workers together.

    What is counted never becomes less: a worker that doesn't answer counts with what it told last,
    and so does one that ended. What is measured is only of those that answer.

    :param count: how many workers there are to be.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: Values = defaultdict(float)
        self._kept_of: dict[int, float] = defaultdict(float)
        self._kept_patches = 0.0
        self._ends: dict[int, int] = dict.fromkeys(range(1, count + 1), 0)

    def keep(self, told: Told) -> None:
        """Keep what a process has counted, which has ended."""
        for family in told.metrics.values():
            if _is_counted(family):
                for sample in family.samples:
                    self._kept[_key(sample)] += sample.value
        self._kept_of[told.place] += _value(told, "process_cpu_seconds") or 0.0
        self._kept_patches += told.status.get("patches", 0)

    def count_end(self, place: int) -> None:
        """A worker has ended unasked."""
        self._ends[place] += 1

    def metrics(self, parent: Told, workers: Sequence[Told]) -> bytes:
        """
        Give all metrics in Prometheus' text format.

        :param workers: of each place in the order of their starts.
        """
        return generate_latest(_Families([*self._sum(parent, workers), *self._of_each(workers)]))

    def status(self, uptime: float, workers: Sequence[Told]) -> dict[str, Any]:
        """
        Give what ``/api/status`` shows.

        :param uptime: that of the parent, in seconds.
        """
        up = [told.status for told in workers if told.is_up]

        def total(name: str) -> Any:
            return sum(status.get(name, 0) for status in up)

        def largest(name: str) -> Any:
            return max((status.get(name, 0) for status in up), default=0)

        patches = sum(told.status.get("patches", 0) for told in workers)
        newest = {told.place: told for told in workers}
        return {
            "version": up[-1]["version"] if up else "",
            "broker": "up" if up and all(one.get("broker") == "up" for one in up) else "away",
            "nodes": largest("nodes"),
            "uptime": round(uptime, 3),
            "connections": total("connections"),
            "sessions": total("sessions"),
            "members": total("members"),
            "patches": round(self._kept_patches + patches),
            "reactor_lag": largest("reactor_lag"),
            "reactor_lag_max": largest("reactor_lag_max"),
            "workers": [_describe(place, newest.get(place)) for place in self._ends],
        }

    def _sum(self, parent: Told, workers: Sequence[Told]) -> Iterable[Metric]:
        names = dict.fromkeys(name for told in workers for name in told.metrics)
        for name in names:
            told = [*workers, parent] if name in OF_PARENT else workers
            yield self._add(name, [one for one in told if name in one.metrics])

    def _add(self, name: str, told: Sequence[Told]) -> Metric:
        first = told[-1].metrics[name]
        whole = Metric(name, first.documentation, first.type)
        is_counted = _is_counted(first)
        values: dict[Sample, list[float]] = defaultdict(list)
        for one in told:
            if is_counted or one.is_up:
                for sample in one.metrics[name].samples:
                    values[_key(sample)].append(sample.value)
        if is_counted:
            names = {sample.name for sample in first.samples} | {f"{name}_total"}
            for key, kept in self._kept.items():
                if key[0] in names:
                    values[key].append(kept)
        add = sum if is_counted else GAUGES.get(name, sum)
        for (sample_name, labels), some in values.items():
            whole.add_sample(sample_name, dict(labels), add(some))
        return whole

    def _of_each(self, workers: Sequence[Told]) -> Iterable[Metric]:
        yield GaugeMetricFamily("helix_workers", "Workers that are to serve.", value=self._count)
        up = GaugeMetricFamily("helix_worker_up", "Whether a worker answers.", labels=["worker"])
        ends = CounterMetricFamily(
            "helix_worker_ends", "Times that a worker ended unasked.", labels=["worker"]
        )
        newest = {told.place: told for told in workers}
        for place, count in self._ends.items():
            is_up = place in newest and newest[place].is_up
            up.add_metric([f"{place}"], float(is_up))
            ends.add_metric([f"{place}"], count)
        yield up
        yield ends
        for name, (short, text) in _EACH.items():
            is_counted = name == "process_cpu_seconds"
            kind = CounterMetricFamily if is_counted else GaugeMetricFamily
            family = kind(f"helix_worker_{short}", text, labels=["worker"])
            for place in self._ends:
                value = self._of_one(name, is_counted, place, workers)
                if value is not None:
                    family.add_metric([f"{place}"], value)
            yield family

    def _of_one(
        self, name: str, is_counted: bool, place: int, workers: Sequence[Told]
    ) -> float | None:
        """What a worker has counted, over all its starts, or measures now, if it answers."""
        told = [one for one in workers if one.place == place]
        if is_counted:
            return self._kept_of[place] + sum(_value(one, name) or 0.0 for one in told)
        return _value(told[-1], name) if told and told[-1].is_up else None


@attrs.frozen
class _Families:
    """What `generate_latest` takes for a registry."""

    families: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.families


def _is_counted(family: Metric) -> bool:
    return family.type in ("counter", "histogram", "summary")


def _key(sample: Any) -> Sample:
    return sample.name, tuple(sorted(sample.labels.items()))


def _value(told: Told, name: str) -> float | None:
    """The value of a metric without labels; ``None`` without it."""
    family = told.metrics.get(name)
    return float(family.samples[0].value) if family is not None and family.samples else None


def _describe(place: int, told: Told | None) -> dict[str, Any]:
    """A worker, as ``/api/status`` shows it."""
    if told is None or not told.is_up:
        return {"worker": place, "up": False}
    shown = ("version", "uptime", "connections", "sessions", "members", "reactor_lag_max")
    return {"worker": place, "up": True, **{name: told.status.get(name) for name in shown}}
