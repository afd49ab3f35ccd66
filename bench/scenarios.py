"""What is measured, and the goals. Pure data: adding a scenario here is all it takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """
    One number of a measurement that the report shows.

    :param key: the generator's name for it.
    :param title: what it is, with its unit.
    :param goal: the most it may be, or the least if it is a ratio; ``None``: shown for information.
    :param is_ratio: shown as the ratio to the C loop of the same round; the C loop's own figure is
        shown as it is, with ``unit``.
    :param scale: the generator's unit, in units of ``title``.
    """

    key: str
    title: str
    goal: float | None = None
    is_ratio: bool = False
    unit: str = ""
    scale: float = 1.0

    @property
    def goal_text(self) -> str:
        if self.goal is None:
            return ""
        return f"{'≥' if self.is_ratio else '≤'} {self.goal:g}"

    def is_met_by(self, value: float) -> bool:
        """Whether ``value``, in the unit of ``title``, reaches the goal; true without a goal."""
        if self.goal is None:
            return True
        return value >= self.goal if self.is_ratio else value <= self.goal


@dataclass(frozen=True)
class Scenario:
    """
    One way to load a server.

    :param connections: how many connections it opens in all.
    :param arguments: for the generator, besides the port, the process and the duration.
    """

    name: str
    title: str
    connections: int
    arguments: tuple[str, ...]
    figures: tuple[Figure, ...]
    is_timed: bool = True

    def generator_arguments(self, duration: float) -> list[str]:
        """:param duration: seconds of measuring, where the scenario has a duration at all."""
        timed = ["--duration", str(duration)] if self.is_timed else []
        return [*self.arguments, *timed]


def _throughput(least_ratio: float) -> tuple[Figure, ...]:
    title = "deliveries a second, ratio to the C loop"
    return (Figure("deliveries_per_second", title, goal=least_ratio, is_ratio=True, unit="/s"),)


SCENARIOS = (
    Scenario(
        "closed-100",
        "one flow of 100 members, closed loop",
        100,
        ("--mode", "closed", "--members", "100"),
        _throughput(0.85),
    ),
    Scenario(
        "closed-1000",
        "one flow of 1,000 members, closed loop",
        1000,
        ("--mode", "closed", "--members", "1000"),
        _throughput(0.75),
    ),
    Scenario(
        "pipelined-100",
        "one flow of 100 members, 64 changes outstanding",
        100,
        ("--mode", "pipelined", "--members", "100", "--window", "64"),
        _throughput(5),
    ),
    Scenario(
        "flows-100x10",
        "100 flows of 10 members, closed loop in each",
        1000,
        ("--mode", "closed", "--members", "1000", "--group", "10"),
        _throughput(0.5),
    ),
    Scenario(
        "rate-200",
        "one flow of 200 members, each sends 15 changes a second",
        200,
        ("--mode", "rate", "--members", "200", "--senders", "200", "--rate", "3000"),
        (
            Figure("p50_us", "latency p50, ms", scale=1e-3),
            Figure("p99_us", "latency p99, ms", goal=10, scale=1e-3),
            Figure("backlog", "backlog at the end, changes"),
        ),
    ),
    Scenario(
        "idle-2000",
        "2,000 members, each alone in its flow, who do nothing",
        2300,
        ("--mode", "idle", "--members", "2000", "--group", "1", "--warm-members", "300"),
        (
            Figure("memory_kb_per_connection", "memory per connection, KB", goal=14),
            Figure("join_cpu_us", "CPU per connect and join, us", goal=700),
        ),
        is_timed=False,
    ),
)
