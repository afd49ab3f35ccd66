"""From measurements of Helix and its peers to the tables of docs/comparison.md. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from report import NOTHING, format_number

TABLE_BEGINS = "<!-- begin: written by bench/peers.py --update-docs -->"

SAME = 1.15
"""What is dearer than the best by less than this is as good: it may be the machine."""

BUSY = 0.9
"""Of its core: a generator that is busier may have been what one waited for."""

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """
    A figure of a workload, of which less is better.

    :param value: finds it among the figures of a measurement; ``None`` where it has no end.
    """

    title: str
    workload: str
    value: Callable[[Figures], float | None]


def _key(name: str) -> Callable[[Figures], float | None]:
    return lambda figures: figures[name]


COSTS = (
    Column("A: us of CPU an edit", "A", _key("server_us")),
    Column("B: us of CPU an edit", "B", _key("server_us")),
    Column("C: us of CPU a join", "C", _key("server_us")),
    Column("C: of the last 2,500", "C", _key("second_half_us")),
    Column("C: KB a member", "C", _key("memory_kb")),
)


def rooms(record: Mapping[str, Any]) -> tuple[Column, ...]:
    """A column for each size of a room that was measured."""
    names = dict.fromkeys(one["workload"] for one in record["measurements"])
    found = [tuple(map(int, name.split("-")[1:])) for name in names if name.startswith("D-")]
    return tuple(
        Column(f"{members:,} members, {writers} write", f"D-{members}-{writers}", _key("p99_ms"))
        for members, writers in found
    )


def _of(record: Mapping[str, Any], server: str, workload: str) -> list[Figures]:
    return [
        one["figures"]
        for one in record["measurements"]
        if one["server"] == server and one["workload"] == workload
    ]


def _median(record: Mapping[str, Any], server: str, column: Column) -> float | None:
    """The median of the rounds; infinite where half of them found no end."""
    values = [column.value(figures) for figures in _of(record, server, column.workload)]
    if not values:
        return None
    return median(float("inf") if value is None else value for value in values)


def _database(record: Mapping[str, Any], server: str, column: Column) -> str:
    """What the database used beside the server, in the cells of the server's CPU."""
    if column.value is not COSTS[0].value and not column.title.endswith(("edit", "join")):
        return ""
    values = [figures["database_us"] for figures in _of(record, server, column.workload)]
    return f" + {format_number(median(values))}" if values and median(values) else ""


def _is_busy(record: Mapping[str, Any], server: str, column: Column) -> bool:
    """Whether the clients, not the server, may have been what an edit waited for."""
    shares = [one["generator_share"] for one in _of(record, server, column.workload)]
    return bool(shares) and median(shares) > BUSY


def _cells(record: Mapping[str, Any], column: Column, *, is_latency: bool) -> dict[str, str]:
    """By server; the best, and what is as good, in bold."""
    medians = {server: _median(record, server, column) for server in record["servers"]}
    best = min((value for value in medians.values() if value is not None), default=0.0)
    cells = {}
    for server, value in medians.items():
        if value is None:
            cells[server] = NOTHING
            continue
        text = format_number(value) if value < float("inf") else "never"
        text = f"**{text}**" if value <= best * SAME and value < float("inf") else text
        if is_latency:
            text += " (busy clients)" if _is_busy(record, server, column) else ""
        else:
            text += _database(record, server, column)
        cells[server] = text
    return cells


def _table(record: Mapping[str, Any], columns: Sequence[Column], *, is_latency: bool) -> str:
    by_column = [_cells(record, column, is_latency=is_latency) for column in columns]
    header = ["server", "an acknowledged edit is", *(column.title for column in columns)]
    lines = [header, ["---"] * len(header)]
    lines += [
        [title, acknowledged, *(cells[server] for cells in by_column)]
        for server, (title, acknowledged) in record["servers"].items()
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def describe_run(record: Mapping[str, Any]) -> str:
    """How and where the record was measured, in one paragraph."""
    machine, settings = record["machine"], record["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    sentences = [
        f"Measured on {record['date']}: {machine['cpu']}, {machine['cores']} cores,",
        f"Linux {machine['kernel']}; {versions}.",
        f"The load average before it was {machine['load_average']:.1f}.",
        f"Rounds: {settings['rounds']}, in turns; a cell is their median.",
        f"A, B and D are measured for {settings['duration']:g} s, after {settings['warm_up']:g} s",
        "of the same load. Bold is the best of a column, and what is within 15 % of it.",
        f"A write of 4 KiB with fsync took {format_number(machine['fsync_us'] / 1000)} ms.",
    ]
    if machine["cores_are_shared"]:
        sentences.append("**Server and clients shared one core: these figures mean little.**")
    sentences += [f"{title} was left out: {why}." for title, why in record["left_out"].items()]
    if record["failures"]:
        sentences.append(f"**{len(record['failures'])} measurements failed.**")
    return " ".join(sentences)


def markdown(record: Mapping[str, Any]) -> str:
    """The tables of what was measured, and how it was."""
    measured = {one["workload"] for one in record["measurements"]}
    parts = [describe_run(record)]
    costs = [column for column in COSTS if column.workload in measured]
    if costs:
        what = "CPU of all threads of the server's process, and after a plus that of the database."
        parts += [what, _table(record, costs, is_latency=False)]
    if rooms(record):
        what = "D: p99 from an edit to the screens of other members, in ms."
        parts += [what, _table(record, rooms(record), is_latency=True)]
    return "\n\n".join(parts) + "\n"
