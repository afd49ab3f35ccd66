"""What is measured, and the goals. Pure data: adding a scenario here is all it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

RELAYS = ("limit", "helix", "ws")
"""What relay mode is measured on: the C loop, which is the limit, Helix, and a peer."""

STORES = ("memory", "sqlite", "postgresql")
"""What document mode is measured on: Helix on each store, the first of which is the limit."""

TITLES = {
    "limit": "C loop",
    "helix": "Helix",
    "ws": "Node ws",
    "memory": "Memory",
    "sqlite": "SQLite",
    "postgresql": "PostgreSQL",
}
"""The servers, as a report names them."""


@dataclass(frozen=True)
class Figure:
    """
    One number of a measurement that the report shows.

    :param key: the generator's name for it.
    :param title: what it is, with its unit.
    :param goals: by server, the least or the most that it may be; without: for information.
    :param at_least: whether the goals are the least.
    :param is_ratio: shown as the ratio to the C loop of the same round; the C loop's own figure is
        shown as it is, with ``unit``.
    :param scale: the generator's unit, in units of ``title``.
    :param above: the name of a scenario; shown is by how much the figure is above that one's, on
        the same server in the same round.
    """

    key: str
    title: str
    goals: Mapping[str, float] = field(default_factory=dict)
    at_least: bool = False
    is_ratio: bool = False
    unit: str = ""
    scale: float = 1.0
    above: str = ""

    @property
    def goal_text(self) -> str:
        sign = "≥" if self.at_least else "≤"
        texts = {server: f"{sign} {goal:,g}" for server, goal in self.goals.items()}
        if len(set(texts.values())) == 1:
            return next(iter(texts.values()))
        return ", ".join(f"{TITLES[server]} {text}" for server, text in texts.items())

    def is_met_by(self, server: str, value: float) -> bool:
        """Whether ``value``, in the unit of ``title``, reaches the server's goal."""
        goal = self.goals[server]
        return value >= goal if self.at_least else value <= goal


@dataclass(frozen=True)
class Scenario:
    """
    One way to load a server.

    :param connections: how many connections it opens in all.
    :param arguments: for the generator, besides the port, the process and the duration.
    :param servers: which it is for.
    :param fill: for a run of the generator beforehand, after which the server is started anew: only
        for stores that outlive it.
    :param auth: what signs the tokens of its members (`admission.SIGNERS`); empty where the server
        asks nobody who they are.
    :param flows: that are made before it, for as many members each, and that somebody else owns.
    :param by_list: whether their access lists let the members in, not the tokens.
    """

    name: str
    title: str
    connections: int
    arguments: tuple[str, ...]
    figures: tuple[Figure, ...]
    is_timed: bool = True
    servers: tuple[str, ...] = RELAYS
    fill: tuple[str, ...] = ()
    auth: str = ""
    flows: int = 0
    by_list: bool = False

    def generator_arguments(self, duration: float) -> list[str]:
        """:param duration: seconds of measuring, where the scenario has a duration at all."""
        timed = ["--duration", str(duration)] if self.is_timed else []
        return [*self.arguments, *timed]


def _throughput(least_ratio: float) -> tuple[Figure, ...]:
    title = "deliveries a second, ratio to the C loop"
    goals = {"helix": least_ratio}
    return (Figure("deliveries_per_second", title, goals, at_least=True, is_ratio=True, unit="/s"),)


def _patches(**least: float) -> tuple[Figure, ...]:
    milliseconds = 1e-3
    return (
        Figure("acknowledged_per_second", "patches acknowledged a second", least, at_least=True),
        Figure("p50_us", "until the last member has it: p50, ms", scale=milliseconds),
        Figure("p99_us", "p99, ms", scale=milliseconds),
        Figure("half_p50_us", "at half of that load: p50, ms", scale=milliseconds),
        Figure("half_p99_us", "p99 at half of that load, ms", scale=milliseconds),
        Figure("server_cpu_share", "cores that Helix uses at full load"),
    )


def _steady() -> tuple[Figure, ...]:
    return (
        Figure("p50_us", "until the last member has it: p50, ms", scale=1e-3),
        Figure("p99_us", "p99, ms", _both(30), scale=1e-3),
        Figure("server_cpu_share", "cores that Helix uses"),
    )


def _storm(*servers: str) -> tuple[Figure, ...]:
    return (
        Figure("rejoin_seconds", "until all have joined, s", dict.fromkeys(servers, 10)),
        Figure("half_rejoin_seconds", "until half of them have, s"),
        Figure("lags_over_50_ms", "calls over 50 ms late", dict.fromkeys(servers, 0)),
        Figure("largest_lag_ms", "the latest call, ms (the first joins included)"),
    )


def _joins(name: str, title: str, auth: str = "", by_list: bool = False) -> Scenario:
    """2,000 members who connect and join, 64 at a time; the first 300 are not counted."""
    cost = [Figure("join_cpu_us", "CPU per connect and join, us")]
    if auth:
        cost.append(Figure("join_cpu_us", "above joins-open, us", above="joins-open"))
    goals = {"memory": 500.0, "sqlite": 500.0} if auth else {}
    return Scenario(
        name,
        title,
        2300,
        ("--mode", "idle", "--members", "2000", "--group", "10", "--warm-members", "300"),
        (Figure("joins_per_second", "connects and joins a second", goals, at_least=True), *cost),
        is_timed=False,
        servers=("memory", "sqlite"),
        auth=auth,
        flows=230,
        by_list=by_list,
    )


def _both(most: float) -> dict[str, float]:
    return {"sqlite": most, "postgresql": most}


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
            Figure("p99_us", "latency p99, ms", {"helix": 10}, scale=1e-3),
            Figure("backlog", "backlog at the end, changes"),
        ),
    ),
    Scenario(
        "moves-100",
        "one flow of 100 members who all move, each at 30 Hz, told one by one",
        100,
        (
            *("--mode", "rate", "--members", "100", "--senders", "100", "--rate", "3000"),
            *("--size", "80"),
        ),
        (
            Figure("p50_us", "until the last member has a move: p50, ms", scale=1e-3),
            Figure("p99_us", "p99, ms", scale=1e-3),
            Figure("server_cpu_share", "of a core"),
        ),
    ),
    Scenario(
        "stuck-1000",
        "one flow of 1,000 members, 100 changes of 2 KB a second; then 50 of them stop reading",
        1000,
        (
            *("--mode", "rate", "--members", "1000", "--senders", "10", "--rate", "100"),
            *("--size", "2000", "--stuck", "50", "--duration", "8"),
        ),
        (
            Figure("p99_us", "latency p99, ms", scale=1e-3),
            Figure("stuck_p99_us", "p99 of the others beside those, ms", scale=1e-3),
            Figure("stuck_p99_ratio", "and as a multiple", {"helix": 1.33}),
            Figure("stuck_memory_kb", "memory that these cost, MB", {"helix": 50}, scale=1 / 1024),
        ),
        is_timed=False,
        servers=("helix",),
    ),
    Scenario(
        "storm-5000",
        "500 flows of 10 members, all of whom are cut off at once and come back as phoenix.js does",
        5000,
        ("--mode", "storm", "--members", "5000", "--group", "10"),
        _storm("helix"),
        is_timed=False,
        servers=("helix",),
    ),
    Scenario(
        "idle-2000",
        "2,000 members, each alone in its flow, who do nothing",
        2300,
        ("--mode", "idle", "--members", "2000", "--group", "1", "--warm-members", "300"),
        (
            Figure("memory_kb_per_connection", "memory per connection, KB", {"helix": 14}),
            Figure("join_cpu_us", "CPU per connect and join, us", {"helix": 700}),
        ),
        is_timed=False,
    ),
    _joins("joins-open", "2,000 members join 200 flows of a server that asks nobody"),
    _joins("joins-rs256", "the same, each with a token (RS256) that lets it in", "rs256"),
    _joins("joins-es256", "the same, each with a token (ES256) that lets it in", "es256"),
    _joins("joins-list-rs256", "the same (RS256), let in by the access lists", "rs256", True),
    _joins("joins-list-es256", "the same (ES256), let in by the access lists", "es256", True),
    Scenario(
        "cursors-100",
        "one flow of 100 members whose cursors all move, each at 30 Hz",
        100,
        (
            *("--documents", "--mode", "cursors", "--members", "100", "--senders", "100"),
            *("--rate", "3000"),
        ),
        (
            Figure("frames_per_second", "frames to members a second"),
            Figure("p50_us", "age of a cursor when a member has it: p50, ms", scale=1e-3),
            Figure("p99_us", "p99, ms", dict.fromkeys(STORES, 60), scale=1e-3),
            Figure("server_cpu_share", "of a core", dict.fromkeys(STORES, 0.35)),
        ),
        servers=STORES,
    ),
    Scenario(
        "document-one",
        "a flow of 1,000 nodes and 100 members, 20 of whom write, each with 16 patches outstanding",
        100,
        (
            *("--documents", "--mode", "pipelined", "--members", "100", "--senders", "20"),
            *("--window", "16", "--nodes", "1000", "--half"),
        ),
        _patches(sqlite=5000, postgresql=5000),
        servers=STORES,
    ),
    Scenario(
        "document-1000",
        "1,000 flows of 2 members, one of whom writes, each with one patch outstanding",
        2000,
        (
            *("--documents", "--mode", "closed", "--members", "2000", "--group", "2"),
            *("--nodes", "20", "--half"),
        ),
        _patches(sqlite=10_000, postgresql=5000),
        servers=STORES,
    ),
    Scenario(
        "document-storm",
        "the storm of storm-5000 in document mode, with 100 nodes in each flow",
        5000,
        (
            *("--documents", "--mode", "storm", "--members", "5000", "--group", "10"),
            *("--nodes", "100"),
        ),
        _storm("sqlite", "postgresql"),
        is_timed=False,
        servers=STORES,
    ),
    Scenario(
        "document-1000x16",
        "1,000 flows of 2 members, one of whom writes, each with 16 patches outstanding",
        2000,
        (
            *("--documents", "--mode", "pipelined", "--members", "2000", "--group", "2"),
            *("--window", "16", "--nodes", "20", "--half"),
        ),
        _patches(sqlite=10_000, postgresql=5000),
        servers=STORES,
    ),
    Scenario(
        "document-one-2500",
        "the flow of document-one at half of its goal: 2,500 patches a second",
        100,
        (
            *("--documents", "--mode", "rate", "--members", "100", "--senders", "20"),
            *("--rate", "2500", "--nodes", "1000"),
        ),
        _steady(),
        servers=STORES,
    ),
    Scenario(
        "document-1000-2500",
        "the flows of document-1000, in all 2,500 patches a second",
        2000,
        (
            *("--documents", "--mode", "rate", "--members", "2000", "--group", "2"),
            *("--rate", "2500", "--nodes", "20"),
        ),
        _steady(),
        servers=STORES,
    ),
    Scenario(
        "document-load",
        "50 flows of 1,000 nodes that nobody has open: a join of each",
        55,
        (
            *("--documents", "--mode", "load", "--members", "50", "--group", "1"),
            *("--warm-members", "5"),
        ),
        (
            Figure("load_p50_us", "join: p50, ms", _both(20), scale=1e-3),
            Figure("load_max_us", "the slowest join, ms", scale=1e-3),
            Figure("memory_kb_per_flow", "memory per loaded flow, MB", _both(3), scale=1 / 1024),
        ),
        is_timed=False,
        servers=STORES,
        fill=(
            *("--documents", "--mode", "fill", "--members", "55", "--group", "1"),
            *("--nodes", "1000"),
        ),
    ),
    Scenario(
        "document-log",
        "a flow of 1,000 nodes and 100,000 entries that nobody has open: a join",
        6,
        (
            *("--documents", "--mode", "load", "--members", "1", "--group", "1"),
            *("--warm-members", "5"),
        ),
        (
            Figure("load_p50_us", "join, ms", scale=1e-3),
            Figure("bytes_per_entry", "bytes of the database per entry"),
        ),
        is_timed=False,
        servers=STORES,
        fill=(
            *("--documents", "--mode", "fill", "--members", "6", "--group", "1"),
            *("--nodes", "1000", "--entries", "100000", "--window", "256"),
        ),
    ),
)
