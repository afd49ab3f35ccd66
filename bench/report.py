"""From measurements to medians, ratios and tables. Pure, but for the file that holds a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from scenarios import RELAYS, SCENARIOS, STORES, TITLES, Figure, Scenario

TABLE_BEGINS = "<!-- begin: written by bench/run.py --update-docs -->"
TABLE_ENDS = "<!-- end -->"
NOTHING = "-"

Measurement = Mapping[str, Any]

DISTURBANCE = 0.1  # of the time: less may be the kernel's own work


@dataclass(frozen=True)
class Row:
    """
    One line of the report: a figure of a scenario, by server.

    :param medians: of the servers that were measured.
    """

    scenario: Scenario
    figure: Figure
    cells: tuple[str, ...]
    medians: Mapping[str, float]

    @property
    def verdict(self) -> str:
        reached = {
            server: self.figure.is_met_by(server, self.medians[server])
            for server in self.figure.goals
            if server in self.medians
        }
        missed = [TITLES[server] for server, is_met in reached.items() if not is_met]
        if not missed:
            return "met" if reached else ""
        return "missed" if len(missed) == len(reached) else f"missed on {', '.join(missed)}"


def was_disturbed(measurement: Measurement) -> bool:
    """
    Whether something else had the server's core: in a closed loop, while the generator has nothing
    to do, it is the server's turn. (With a store it may be the disk's.)
    """
    figures = measurement["figures"]
    if figures["mode"] not in ("closed", "pipelined") or figures.get("documents"):
        return False
    missing: float = figures["generator_idle_share"] - figures["server_cpu_share"]
    return missing > DISTURBANCE


def values_by_round(
    measurements: Sequence[Measurement], scenario: str, server: str, key: str
) -> dict[int, float]:
    """One figure of one server, by round."""
    return {
        measurement["round"]: measurement["figures"][key]
        for measurement in measurements
        if measurement["scenario"] == scenario and measurement["server"] == server
    }


def ratios_to_limit(
    measurements: Sequence[Measurement], scenario: str, server: str, key: str
) -> list[float]:
    """
    A figure as ratios to the C loop's, each within one round: so that what slowed the machine down
    for a while slowed both.
    """
    limits = values_by_round(measurements, scenario, "limit", key)
    values = values_by_round(measurements, scenario, server, key)
    return [values[number] / limits[number] for number in sorted(values) if limits.get(number)]


def rises_above(
    measurements: Sequence[Measurement], scenario: str, server: str, figure: Figure
) -> list[float]:
    """By how much a figure is above that of another scenario, each within one round."""
    others = values_by_round(measurements, figure.above, server, figure.key)
    values = values_by_round(measurements, scenario, server, figure.key)
    return [values[number] - others[number] for number in sorted(values) if number in others]


def format_number(value: float) -> str:
    """Three significant digits, or all those before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def format_spread(values: Sequence[float], unit: str = "") -> str:
    """The median, and what it was among."""
    if not values:
        return NOTHING
    text = format_number(median(values)) + unit
    if len(values) == 1:
        return text
    return f"{text} ({format_number(min(values))} to {format_number(max(values))})"


def shown_values(
    measurements: Sequence[Measurement], scenario: Scenario, figure: Figure, server: str
) -> list[float]:
    """What the report shows of a server: ratios, or figures in the unit of the figure's title."""
    if figure.above:
        rises = rises_above(measurements, scenario.name, server, figure)
        return [rise * figure.scale for rise in rises]
    if figure.is_ratio and server != "limit":
        return ratios_to_limit(measurements, scenario.name, server, figure.key)
    by_round = values_by_round(measurements, scenario.name, server, figure.key)
    return [value * figure.scale for value in by_round.values()]


def make_rows(record: Mapping[str, Any], servers: Sequence[str]) -> list[Row]:
    """A row for each figure that was measured on these servers, in the order of the scenarios."""
    measurements = record["measurements"]
    measured = {measurement["scenario"] for measurement in measurements}
    rows = []
    for scenario in SCENARIOS:
        if scenario.name not in measured or set(servers).isdisjoint(scenario.servers):
            continue
        for figure in scenario.figures:
            values = {
                server: shown_values(measurements, scenario, figure, server) for server in servers
            }
            cells = tuple(
                format_spread(values[server], figure.unit if server == "limit" else "")
                for server in servers
            )
            medians = {server: median(shown) for server, shown in values.items() if shown}
            rows.append(Row(scenario, figure, cells, medians))
    return rows


def _grids(record: Mapping[str, Any]) -> list[list[list[str]]]:
    """The tables, of which the first line is the header: relay mode's, and document mode's."""
    grids = []
    for group in (RELAYS, STORES):
        servers = [server for server in group if server in record["servers"]]
        rows = make_rows(record, servers) if servers else []
        if rows:
            titles = [TITLES[server] for server in servers]
            header = ["scenario", "figure", "goal", *titles, "Helix's goal"]
            grids.append([header])
            grids[-1] += [
                [row.scenario.name, row.figure.title, row.figure.goal_text, *row.cells, row.verdict]
                for row in rows
            ]
    return grids


def _text_table(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [lines[0], rule, *lines[1:]]
    )


def _markdown_table(lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(lines[0])
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


def text_table(record: Mapping[str, Any]) -> str:
    """For a terminal."""
    return "\n\n".join(map(_text_table, _grids(record)))


def describe_run(record: Mapping[str, Any]) -> str:
    """How and where the record was measured, in one paragraph."""
    machine, settings = record["machine"], record["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    sentences = [
        (
            f"Measured on {record['date']}: {machine['cpu']}, {machine['cores']} cores,"
            f" Linux {machine['kernel']}; {versions}."
        ),
        (
            f"Rounds: {settings['rounds']}, with {settings['duration']:g} s for each figure. A cell"
            " is the median of the rounds, and in brackets the least and the most of them."
        ),
    ]
    if "fsync_us" in machine:
        took = format_number(machine["fsync_us"] / 1000)
        sentences.append(f"A write of 4 KiB with fsync took {took} ms on the stores' disk.")
    if machine["cores_are_shared"]:
        sentences.append("**Server and generator shared one core: these figures mean little.**")
    sentences += [f"{name} was left out: {why}." for name, why in record["left_out"].items()]
    disturbed = sum(map(was_disturbed, record["measurements"]))
    if disturbed:
        sentences.append(
            f"**In {disturbed} of {len(record['measurements'])} measurements something else had"
            " the server's core for part of the time: a quieter machine gives better figures.**"
        )
    if record["failures"]:
        sentences.append(f"**{len(record['failures'])} measurements failed.**")
    return " ".join(sentences)


def markdown(record: Mapping[str, Any]) -> str:
    """For the documentation: the tables, and how they were measured."""
    return "\n\n".join([describe_run(record), *map(_markdown_table, _grids(record))]) + "\n"


def split_docs(path: Path, begins_with: str = TABLE_BEGINS) -> tuple[str, str]:
    """
    What stands before and after the table in the file, the markers included.

    :param begins_with: the marker before the table.
    :raises ValueError: if the file doesn't have exactly one pair of them.
    """
    text = path.read_text(encoding="utf-8")
    before, begins, rest = text.partition(begins_with)
    _, ends, after = rest.partition(TABLE_ENDS)
    if not begins or not ends or begins_with in after:
        raise ValueError(f"{path} needs one {begins_with} and one {TABLE_ENDS} after it")
    return before + begins, ends + after


def update_docs(path: Path, table: str, begins_with: str = TABLE_BEGINS) -> None:
    """Put ``table`` between the two markers of the file; as ``split_docs`` if it has none."""
    before, after = split_docs(path, begins_with)
    path.write_text(f"{before}\n\n{table}\n{after}", encoding="utf-8")
