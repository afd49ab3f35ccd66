"""How soon a fault was noticed, and how soon all was well afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import attrs

from tests.faults.watch import AWAY, UP, Watch
from tests.support.participants import Acknowledged, Reports


@attrs.frozen
class Happened:
    """
    One fault.

    :ivar name: what it was.
    :ivar began: when, in seconds of the machine's monotonic clock.
    :ivar healed: when it was over.
    :ivar until: when everybody had been seen to edit again.
    :ivar present: when everybody was seen to be there, and nobody else.
    """

    name: str
    began: float
    healed: float
    until: float
    present: float


@attrs.frozen
class Measured:
    """
    What was seen of one fault; times in seconds.

    :ivar lasted: how long it was.
    :ivar meanwhile: how many edits were acknowledged while it lasted.
    :ivar back: from its end to the first edit of each writer that was acknowledged then.
    :ivar silence: the longest time between two acknowledgements of each writer, around it.
    :ivar late: the longest time from when an edit that was made while it lasted was acknowledged to
        when each who looks on had it.
    :ivar caught_up: from its end to when each who looks on had all that was acknowledged before.
    :ivar away: from its beginning to when the first node said that it hears no other.
    :ivar heard: from its end to when all nodes said for good that they hear the others; ``None`` if
        none said otherwise.
    :ivar present: from its end to when presence was seen to be right at all nodes; the rest is
        waited for first.
    """

    name: str
    lasted: float
    meanwhile: int
    back: Mapping[str, float]
    silence: Mapping[str, float]
    late: Mapping[str, float]
    caught_up: Mapping[str, float]
    away: float | None
    heard: float | None
    present: float

    def append_to(self, path: Path) -> None:
        """Add it to a file, as a line of JSON."""
        with path.open("a") as file:
            file.write(json.dumps(attrs.asdict(self)) + "\n")


def measure(
    happened: Sequence[Happened],
    acknowledged: Sequence[Acknowledged],
    reports: Reports,
    watch: Watch,
    nodes: int,
) -> Iterator[Measured]:
    """Measure each fault."""
    acks = {(one.flow_id, one.version): one.when for one in acknowledged}
    by_writer: dict[str, list[float]] = {}
    for one in acknowledged:
        by_writer.setdefault(one.name, []).append(one.when)
    told = {name: _told(report) for name, report in reports.items()}
    for fault in happened:
        back: dict[str, float] = {}
        for one in sorted(acknowledged, key=lambda one: one.when):
            if one.when > fault.healed:
                back.setdefault(one.name, one.when - fault.healed)
        silence = {name: _longest_gap(times, fault) for name, times in by_writer.items()}
        made = {at: when for at, when in acks.items() if fault.began < when <= fault.healed}
        late, caught_up = {}, {}
        for name, seen in told.items():
            both = [(when, seen[at]) for at, when in made.items() if at in seen]
            late[name] = max((then - when for when, then in both), default=0.0)
            caught_up[name] = max((then - fault.healed for _, then in both), default=0.0)
        aways = [watch.first(node, AWAY, fault.began, fault.until) for node in range(nodes)]
        first = min((at for at in aways if at is not None), default=None)
        ups = [watch.last(node, UP, fault.healed, fault.until) for node in range(nodes)]
        heard = max((at - fault.healed for at in ups if at is not None), default=0.0)
        yield Measured(
            fault.name,
            fault.healed - fault.began,
            len(made),
            back,
            silence,
            late,
            caught_up,
            None if first is None else first - fault.began,
            None if first is None else heard,
            fault.present - fault.healed,
        )


def _longest_gap(times: Sequence[float], fault: Happened) -> float:
    gaps = pairwise([one for one in times if one < fault.until])
    return max((after - before for before, after in gaps if after > fault.began), default=0.0)


def _told(report: dict[str, dict[str, object]]) -> dict[tuple[str, int], float]:
    """When somebody was told of each entry, by flow and version."""
    return {
        (flow_id, version): when
        for flow_id, flow in report.items()
        for _, version, *_, when in flow["seen"]  # type: ignore[attr-defined]
    }
