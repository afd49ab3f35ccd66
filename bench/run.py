"""
Measure Helix beside the C loop, and Node's `ws`: ``python bench/run.py --help``.

Every server is a real process on one core, the load generator is on another, and the servers take
turns within each round, so that whatever else the machine does hits them alike.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import report
from scenarios import SCENARIOS, Scenario
from servers import (
    MAKERS,
    BenchError,
    Cores,
    Server,
    Unavailable,
    compile_program,
    measure,
    stop_on_termination,
)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/run.py", description="Measure Helix beside a send loop in C and Node's ws."
    )
    parser.add_argument(
        "--scenario",
        action="append",
        choices=[scenario.name for scenario in SCENARIOS],
        help="measure only this one (may be repeated)",
    )
    parser.add_argument(
        "--server",
        action="append",
        choices=list(MAKERS),
        help="measure only this one (may be repeated)",
    )
    parser.add_argument("--rounds", type=int, default=5, help="of which medians are taken (5)")
    parser.add_argument(
        "--duration", type=float, default=2.0, help="seconds of load for a figure (2)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record, as JSON")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument(
        "--update-docs", type=Path, metavar="FILE", help="put the table between FILE's markers"
    )
    parser.add_argument("--list", action="store_true", help="list the scenarios and their goals")
    return parser


def list_scenarios() -> str:
    lines = []
    for scenario in SCENARIOS:
        lines.append(f"{scenario.name:<15}{scenario.title}")
        lines += [
            f"{'':<15}  {figure.title} {figure.goal_text}".rstrip() for figure in scenario.figures
        ]
    return "\n".join(lines)


def raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _first_line(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.partition("\n")[0].strip()


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def machine_facts(cores: Cores) -> dict[str, Any]:
    """What figures depend on; nothing that tells whose machine it is."""
    versions = {"Python": platform.python_version()}
    for title, package in {"Twisted": "twisted", "Autobahn": "autobahn"}.items():
        try:
            versions[title] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    node = _first_line(["node", "--version"])
    if node is not None:
        versions["Node"] = node.removeprefix("v")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "cores_are_shared": cores.are_shared,
        "kernel": platform.release(),
        "load_average": os.getloadavg()[0],
        "versions": versions,
    }


def make_servers(names: Sequence[str]) -> tuple[list[Server], dict[str, str]]:
    """
    The servers by these names, and the titles of those left out with the reason.

    :raises BenchError: if one can't be left out: all but the Node peer.
    """
    servers, left_out = [], {}
    for name, make in MAKERS.items():
        if name not in names:
            continue
        try:
            servers.append(make())
        except Unavailable as error:
            if name != "ws":
                raise
            left_out["Node ws"] = str(error)
    return servers, left_out


def run_rounds(
    servers: Sequence[Server],
    scenarios: Sequence[Scenario],
    *,
    generator: Path,
    rounds: int,
    duration: float,
    cores: Cores,
) -> list[dict[str, Any]]:
    """Each scenario on each server, in every round; who goes first changes with the round."""
    measurements = []
    for number in range(rounds):
        first = number % len(servers)
        for scenario in scenarios:
            for server in [*servers[first:], *servers[:first]]:
                print(f"round {number + 1}: {scenario.name}, {server.title}", file=sys.stderr)
                figures = measure(
                    server,
                    generator,
                    scenario.generator_arguments(duration),
                    connections=scenario.connections,
                    duration=duration,
                    cores=cores,
                )
                measurements.append(
                    {
                        "round": number,
                        "scenario": scenario.name,
                        "server": server.name,
                        "figures": figures,
                    }
                )
    return measurements


def make_record(
    server_names: Sequence[str], scenarios: Sequence[Scenario], rounds: int, duration: float
) -> dict[str, Any]:
    """Measure, and return all that a report needs, as it is written to JSON."""
    cores = Cores.choose()
    if cores.are_shared:
        print("only one core: server and generator disturb each other", file=sys.stderr)
    generator = compile_program("wsgen")
    servers, left_out = make_servers(server_names)
    machine = machine_facts(cores)
    measurements = run_rounds(
        servers, scenarios, generator=generator, rounds=rounds, duration=duration, cores=cores
    )
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": machine,
        "settings": {"rounds": rounds, "duration": duration},
        "servers": {server.name: server.title for server in servers},
        "left_out": left_out,
        "measurements": measurements,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.list:
        print(list_scenarios())
        return 0
    if options.rounds < 1 or options.duration <= 0:
        parser.error("rounds and duration must be positive")
    stop_on_termination()
    raise_descriptor_limit()
    chosen = [s for s in SCENARIOS if not options.scenario or s.name in options.scenario]
    try:
        record = make_record(
            options.server or list(MAKERS), chosen, options.rounds, options.duration
        )
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    if options.output:
        options.output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if options.update_docs:
        report.update_docs(options.update_docs, report.markdown(record))
    if options.markdown:
        print(report.markdown(record))
    else:
        print(report.describe_run(record), report.text_table(record), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
