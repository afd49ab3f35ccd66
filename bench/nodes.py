"""
What do several nodes cost, and how soon does one hear of another? ``bench/nodes.py --help``.

Nodes are daemons on one PostgreSQL. The load generator's members are on all of them, and edits come
from the first. A case and what it is compared with take turns within each round, so that what
slows the machine down for a while slows both.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import databases
from report import format_spread
from run import raise_descriptor_limit, say
from servers import (
    GENERATOR_TIMEOUT,
    BenchError,
    compile_program,
    make_helix,
    running,
    stop_on_termination,
    working_directory,
)

KNOWN_SECONDS = 16.0
"""Seconds after which a node knows what the others have open, and which others there are."""

CONNECTIONS = 4000
"""That a node takes."""

WORKERS = (1, 2)

WORKERS_FLOWS, WORKERS_MEMBERS = (100, 1000), (1, 2)
"""How many flows, and how many members each has, on whichever worker takes their connection."""

COST_GOAL = 1.15
P50_GOAL, P99_GOAL = 6.0, 30.0  # ms
BACK_GOAL = 10.0  # seconds


@dataclass(frozen=True)
class Load:
    """
    :param flows: of which each has one member who writes.
    :param arguments: for the generator.
    """

    title: str
    flows: int
    arguments: tuple[str, ...]


LOADS = (
    Load("300 edits a second in 100 flows", 100, ("--mode", "rate", "--rate", "300")),
    Load("1,000 edits a second in 100 flows", 100, ("--mode", "rate", "--rate", "1000")),
    Load("1,000 flows as fast as they can", 1000, ("--mode", "closed")),
)


@dataclass(frozen=True)
class Case:
    """
    :param members: of each flow.
    :param nodes: how many there are.
    :param shares: whether the members of each flow are on all nodes, or on the first alone.
    :param has_broker: whether the nodes tell each other anything.
    :param beside: the title of the case that it is compared with.
    """

    title: str
    members: int
    nodes: int = 1
    shares: bool = False
    has_broker: bool = True
    beside: str = ""


CASES = (
    Case("one node without a broker, two members", 2, has_broker=False),
    Case(
        "both members on one of two nodes",
        2,
        nodes=2,
        beside="one node without a broker, two members",
    ),
    Case("one node without a broker, one member", 1, has_broker=False),
    Case(
        "a member on each of two nodes",
        2,
        nodes=2,
        shares=True,
        beside="one node without a broker, one member",
    ),
)


@contextlib.contextmanager
def nodes(
    store: databases.Store, count: int, directory: Path, broker: str
) -> Iterator[list[tuple[str, str]]]:
    """
    Run nodes that share a store.

    :param broker: for ``--broker``.
    :return: of each the port and the process.
    """
    with contextlib.ExitStack() as stack:
        found = []
        for number in range(count):
            own = directory / f"node-{number}"
            own.mkdir()
            options = ["--store", store.url, "--broker", broker]
            cores = os.sched_getaffinity(0)
            helix = make_helix("postgresql")
            where = stack.enter_context(running(helix, CONNECTIONS, cores, own, options))
            found.append((where[1], where[3]))
        yield found


def generate(arguments: Sequence[str]) -> dict[str, Any]:
    """
    Run the load generator.

    :raises BenchError: when it fails.
    """
    program = str(compile_program("wsgen"))
    try:
        done = subprocess.run(
            [program, "--documents", *arguments],
            capture_output=True,
            text=True,
            timeout=GENERATOR_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"the generator took over {GENERATOR_TIMEOUT:g} s") from None
    if done.returncode:
        raise BenchError(f"the generator failed: {done.stderr.strip()}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def ports(found: Sequence[tuple[str, str]]) -> list[str]:
    return [argument for port, _ in found for argument in ("--port", port)]


def valkey_url() -> str:
    """
    Start the tests' Valkey, which ends with this process.

    :raises ImportError: if it is not installed.
    """
    from tests.support.valkey import shared_valkey

    return shared_valkey().url()


class Bench:
    """
    :param broker: for ``--broker``.
    :param duration: seconds of measuring.
    """

    def __init__(self, broker: str, duration: float, rounds: int) -> None:
        self._broker = broker
        self._duration = str(duration)
        self._rounds = rounds
        self._make_store = databases.postgresql_store()

    @contextlib.contextmanager
    def _nodes(
        self, count: int, broker: str
    ) -> Iterator[tuple[databases.Store, list[tuple[str, str]]]]:
        with (
            working_directory() as directory,
            self._make_store(directory) as store,
            nodes(store, count, directory, broker) as found,
        ):
            yield store, found

    # what an edit costs

    def cost(self) -> bool:
        """Print what an edit takes of each process; tell whether that meets the goal."""
        print(
            "| load | | CPU of the node for an edit, us | and to one without a broker"
            " | PostgreSQL, us | the other node, us |\n| --- | --- | --: | --: | --: | --: |"
        )
        met = [self._cost_of(load) for load in LOADS]
        return all(met)

    def _cost_of(self, load: Load) -> bool:
        got: dict[str, list[dict[str, Any]]] = {case.title: [] for case in CASES}
        for number in range(self._rounds):
            for case in CASES[number % 2 * 2 :] + CASES[: number % 2 * 2]:
                say(f"round {number + 1} of {self._rounds}: {load.title}, {case.title}")
                got[case.title].append(self._cost(load, case))
        is_met = True
        for case in CASES:
            own = [one["cpu_us_per_change"] for one in got[case.title]]
            ratios = []
            if case.beside:
                others = [one["cpu_us_per_change"] for one in got[case.beside]]
                ratios = [mine / other for mine, other in zip(own, others, strict=True)]
                is_met = is_met and median(ratios) <= COST_GOAL
            stores = [one["beside0_cpu_us_per_change"] for one in got[case.title]]
            beside = [one.get("beside1_cpu_us_per_change", 0.0) for one in got[case.title]]
            cells = [load.title, case.title, format_spread(own), format_spread(ratios)]
            cells += [format_spread(stores), format_spread(beside if case.nodes > 1 else [])]
            print(f"| {' | '.join(cells)} |", flush=True)
        return is_met

    def _cost(self, load: Load, case: Case) -> dict[str, Any]:
        broker = self._broker if case.has_broker else "none"
        with self._nodes(case.nodes, broker) as (store, found):
            if case.nodes > 1:
                time.sleep(KNOWN_SECONDS)
            members = ["--members", str(load.flows * case.members), "--group", str(case.members)]
            beside = [str(store.process), *(process for _, process in found[1:])]
            return generate(
                [
                    *ports(found if case.shares else found[:1]),
                    *("--pid", found[0][1], "--nodes", "20", "--duration", self._duration),
                    *(argument for one in beside for argument in ("--beside", one)),
                    *members,
                    *load.arguments,
                ]
            )

    # how soon

    def latency(self) -> bool:
        """Print how soon an edit on one node is on another's screens; tell whether in time."""
        print(
            "| flows, a member of each on each of two nodes | edits a second | at half of that:"
            " p50, ms | p99, ms |\n| --- | --: | --: | --: |"
        )
        met = [self._latency(flows) for flows in (10, 100, 1000)]
        return all(met)

    def _latency(self, flows: int) -> bool:
        rows = []
        for number in range(self._rounds):
            say(f"round {number + 1} of {self._rounds}: latency with {flows} flows")
            with self._nodes(2, self._broker) as (_, found):
                time.sleep(KNOWN_SECONDS)
                rows.append(
                    generate(
                        [
                            *ports(found),
                            *("--mode", "closed", "--half", "--nodes", "20", "--group", "2"),
                            *("--members", str(2 * flows), "--duration", self._duration),
                        ]
                    )
                )
        p50: list[float]
        p99: list[float]
        p50, p99 = ([row[f"half_{name}_us"] / 1000 for row in rows] for name in ("p50", "p99"))
        rates = [row["changes_per_second"] for row in rows]
        cells = [f"{flows:,}", format_spread(rates), format_spread(p50), format_spread(p99)]
        print(f"| {' | '.join(cells)} |", flush=True)
        return median(p50) <= P50_GOAL and median(p99) <= P99_GOAL

    # a node that dies

    def death(self) -> bool:
        """Print how soon the members of a node that is killed are back on the other one."""
        print(
            "| members, on two nodes | of the one that is killed | half of them are back, s"
            " | all are, s | then a change in each flow is with all, ms |\n"
            "| --: | --: | --: | --: | --: |"
        )
        rows = []
        for number in range(self._rounds):
            say(f"round {number + 1} of {self._rounds}: death")
            with self._nodes(2, self._broker) as (_, found):
                time.sleep(KNOWN_SECONDS)
                members = ["--members", "2000", "--group", "10", "--nodes", "100"]
                rows.append(
                    generate([*ports(found), "--pid", found[0][1], "--mode", "death", *members])
                )
        back: list[float] = [row["back_seconds"] for row in rows]
        cells = ["2,000", f"{rows[0]['moved']:,}"]
        cells += [format_spread([row["half_back_seconds"] for row in rows]), format_spread(back)]
        cells += [format_spread([row["told_ms"] for row in rows])]
        print(f"| {' | '.join(cells)} |", flush=True)
        return median(back) <= BACK_GOAL

    # all cores of a machine

    def workers(self) -> bool:
        """Print what one and two workers do on this machine, and what takes its cores."""
        print(
            "| flows | members of each, one of whom writes | workers | edits a second"
            " | until all have them: p50, ms | p99, ms"
            " | cores: Helix | PostgreSQL | the generator |\n"
            "| --: | --: | --: | --: | --: | --: | --: | --: | --: |"
        )
        for flows, members in itertools.product(WORKERS_FLOWS, WORKERS_MEMBERS):
            got: dict[int, list[dict[str, Any]]] = {count: [] for count in WORKERS}
            for number in range(self._rounds):
                for count in WORKERS[:: 1 - number % 2 * 2]:
                    say(
                        f"round {number + 1} of {self._rounds}: {flows} flows of {members},"
                        f" {count} workers"
                    )
                    got[count].append(self._workers(flows, members, count))
            for count in WORKERS:
                self._print_workers(flows, members, count, got[count])
        return True

    def _workers(self, flows: int, members: int, count: int) -> dict[str, Any]:
        with working_directory() as directory, self._make_store(directory) as store:
            options = ["--store", store.url, "--workers", str(count)]
            options += ["--broker", self._broker if count > 1 else "none"]
            cores = os.sched_getaffinity(0)
            helix = make_helix("postgresql")
            with running(helix, WORKERS[-1] * CONNECTIONS, cores, directory, options) as where:
                if count > 1:
                    time.sleep(KNOWN_SECONDS)
                load = ["--port", where[1], "--mode", "closed", "--nodes", "20"]
                return generate(
                    [
                        *load,
                        *("--members", str(flows * members), "--group", str(members)),
                        *("--duration", self._duration),
                        *("--beside", where[3], "--beside", str(store.process)),
                    ]
                )

    @staticmethod
    def _print_workers(
        flows: int, members: int, count: int, rows: Sequence[dict[str, Any]]
    ) -> None:
        def cores(name: str) -> list[float]:
            return [row[f"{name}_us_per_change"] * row["changes_per_second"] / 1e6 for row in rows]

        cells = [
            f"{flows:,}",
            str(members),
            str(count),
            format_spread([row["changes_per_second"] for row in rows]),
        ]
        cells += [
            format_spread([row[f"{name}_us"] / 1000 for row in rows]) for name in ("p50", "p99")
        ]
        cells += [format_spread(cores("beside0_cpu")), format_spread(cores("beside1_cpu"))]
        cells += [format_spread([1 - row["generator_idle_share"] for row in rows])]
        print(f"| {' | '.join(cells)} |", flush=True)


MEASURES: dict[str, Callable[[Bench], bool]] = {
    "cost": Bench.cost,
    "latency": Bench.latency,
    "death": Bench.death,
    "workers": Bench.workers,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="bench/nodes.py",
        description="What do several nodes cost, and how soon does one hear of the other?",
    )
    parser.add_argument(
        "--measure", action="append", choices=MEASURES, help="only this; may be given again"
    )
    parser.add_argument(
        "--broker",
        choices=("postgresql", "valkey"),
        default="postgresql",
        help="what carries messages between the nodes (postgresql)",
    )
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians count (3)")
    parser.add_argument("--duration", type=float, default=3.0, help="seconds of measuring (3)")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.duration <= 0:
        parser.error("rounds and duration must be positive")
    stop_on_termination()
    raise_descriptor_limit()
    is_met = True
    try:
        sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
        broker = options.broker if options.broker == "postgresql" else valkey_url()
        bench = Bench(broker, options.duration, options.rounds)
        for name in options.measure or MEASURES:
            is_met = MEASURES[name](bench) and is_met
            print()
    except (BenchError, ImportError, OSError) as error:
        say(str(error))
        return 1
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
