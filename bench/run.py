"""
Measure Helix beside the C loop and Node's `ws`, and on each store beside the one in memory:
``python bench/run.py --help``.

Every server is a real process on one core (with a store, on any), and the load generator is on
another. The servers take turns within each round, so that whatever else the machine does hits them
alike.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import itertools
import json
import os
import platform
import resource
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import report
from admission import SIGNERS, Admission
from databases import fsync_microseconds
from scenarios import SCENARIOS, STORES, TITLES, Scenario
from servers import (
    BUILD_DIRECTORY,
    MAKERS,
    OPTIONAL,
    BenchError,
    Cores,
    Server,
    UnavailableError,
    compile_program,
    measure,
    peer_version,
    stop_on_termination,
)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/run.py",
        description="Measure Helix beside a send loop in C and Node's ws, and on each store.",
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
    parser.add_argument(
        "--auth",
        choices=list(SIGNERS),
        help="let the members of all scenarios in by tokens that this algorithm signs",
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


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def list_scenarios() -> str:
    lines = []
    for scenario in SCENARIOS:
        lines.append(f"{scenario.name:<18}{scenario.title}")
        lines += [
            f"{'':<18}  {figure.title} {figure.goal_text}".rstrip() for figure in scenario.figures
        ]
    return "\n".join(lines)


def raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _node_version() -> str | None:
    try:
        done = subprocess.run(
            ["node", "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().removeprefix("v")


def _python_build() -> str:
    """What this Python's build says of profile-guided optimization, which makes it faster."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    with_or_without = "with" if "--enable-optimizations" in arguments else "without"
    return f"configured {with_or_without} --enable-optimizations"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def machine_facts(cores: Cores) -> dict[str, Any]:
    """What figures depend on; nothing that tells whose machine it is."""
    versions = {"Python": f"{platform.python_version()} ({_python_build()})"}
    packages = {"Helix": "helix-flows", "Twisted": "twisted", "Autobahn": "autobahn"}
    for title, package in packages.items():
        try:
            versions[title] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    node = _node_version()
    if node is not None:
        versions["Node"] = node
        versions["ws"] = peer_version()
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "cores_are_shared": cores.are_shared,
        "kernel": platform.release().partition("-")[0],
        "load_average": os.getloadavg()[0],
        "fsync_us": fsync_microseconds(BUILD_DIRECTORY),
        "versions": versions,
    }


def make_servers(names: Sequence[str]) -> tuple[list[Server], dict[str, str]]:
    """
    The servers by these names, and the titles of those left out with the reason.

    :raises BenchError: if one can't be left out: all but `OPTIONAL`.
    """
    servers: list[Server] = []
    left_out: dict[str, str] = {}
    for name, make in MAKERS.items():
        if name not in names:
            continue
        try:
            servers.append(make())
        except UnavailableError as error:
            if name not in OPTIONAL:
                raise
            left_out[TITLES[name]] = str(error)
    return servers, left_out


def run_rounds(
    servers: list[Server],
    scenarios: Sequence[Scenario],
    *,
    generator: Path,
    rounds: int,
    duration: float,
    cores: Cores,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """
    Measure each scenario on each server, in every round; who goes first changes with the round.

    :return: the measurements, and what failed: one failure doesn't cost the rest of the run.
    """
    measurements, failures = [], []
    for number in range(rounds):
        first = number % len(servers)
        for scenario, server in itertools.product(scenarios, servers[first:] + servers[:first]):
            if server.name not in scenario.servers:
                continue
            if scenario.fill and server.name == "memory":  # which outlives nothing
                continue
            case = {"round": number, "scenario": scenario.name, "server": server.name}
            say(f"round {number + 1} of {rounds}: {scenario.name}, {server.title}")
            try:
                figures = measure(
                    server,
                    generator,
                    scenario.generator_arguments(duration),
                    connections=scenario.connections,
                    duration=duration,
                    cores=cores,
                    fill=scenario.fill,
                    shares_cores=set(scenario.servers) <= set(STORES),
                    admission=Admission(
                        scenario.connections, scenario.auth, scenario.flows, scenario.by_list
                    ),
                )
            except BenchError as error:
                say(str(error))
                failures.append({**case, "reason": str(error)})
            else:
                measurements.append({**case, "figures": figures})
    return measurements, failures


def make_record(
    server_names: Sequence[str], scenarios: Sequence[Scenario], rounds: int, duration: float
) -> dict[str, Any]:
    """
    Measure, and return all that a report needs, as it is written to JSON.

    :raises BenchError: if what is needed can't be built or isn't installed.
    """
    cores = Cores.choose()
    generator = compile_program("wsgen")
    servers, left_out = make_servers(server_names)
    machine = machine_facts(cores)
    measurements, failures = run_rounds(
        servers, scenarios, generator=generator, rounds=rounds, duration=duration, cores=cores
    )
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine,
        "settings": {"rounds": rounds, "duration": duration},
        "servers": {server.name: server.title for server in servers},
        "left_out": left_out,
        "measurements": measurements,
        "failures": failures,
    }


def write_report(record: dict[str, Any], options: argparse.Namespace) -> None:
    if options.output:
        options.output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if options.update_docs:
        report.update_docs(options.update_docs, report.markdown(record))
    if options.markdown:
        print(report.markdown(record), end="")
    else:
        print(report.describe_run(record), report.text_table(record), sep="\n\n")


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
    if options.auth:
        chosen = [dataclasses.replace(one, auth=one.auth or options.auth) for one in chosen]
    wanted = {name for scenario in chosen for name in scenario.servers}
    wanted &= set(options.server or MAKERS)
    if not wanted:
        parser.error("these scenarios are for other servers")
    try:
        if options.update_docs:
            report.split_docs(options.update_docs)  # rather now than after all the measuring
        record = make_record(
            [name for name in MAKERS if name in wanted], chosen, options.rounds, options.duration
        )
    except (BenchError, OSError, ValueError) as error:
        say(str(error))
        return 1
    write_report(record, options)
    return 1 if record["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
