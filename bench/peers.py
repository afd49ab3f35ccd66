"""
Measure Helix beside its peers, on the same work: ``python bench/peers.py --help``.

Each server is on one core, and its own clients, which make the load, are on another. The servers
take turns within each round. What the work is, and why it is fair: docs/comparison.md.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peers_report
import report
from peers_servers import DIRECTORY, PEERS, Peer, install, node, reason_to_leave_out, versions
from run import machine_facts, raise_descriptor_limit, say
from servers import BenchError, Cores, generate, running, stop_on_termination, working_directory

GENERATOR_SECONDS = 240.0  # beyond warm-up and measuring: thousands of joins


@dataclass(frozen=True)
class Workload:
    """
    What is done with each server.

    :param kind: the workload of ``peers/generate.js``.
    :param settings: of that.
    :param connections: how many there are in all.
    :param is_timed: whether it goes on for so long, or until it has done so much.
    """

    name: str
    kind: str
    connections: int
    settings: dict[str, Any] = field(default_factory=dict)
    is_timed: bool = True


def _room(members: int, writers: int) -> Workload:
    settings = {"members": members, "writers": writers, "nodes": 100}
    return Workload(f"D-{members}-{writers}", "room", members, settings)


WORKLOADS = (
    Workload("A", "closed", 400, {"flows": 200, "members": 2, "writers": 1, "nodes": 20}),
    Workload(
        "B",
        "closed",
        50,
        {"flows": 1, "members": 50, "writers": 10, "nodes": 1000, "is_plain": True},
    ),
    Workload("C", "joins", 5500, {"flows": 500, "joins": 5000, "nodes": 20}, is_timed=False),
    *(
        _room(members, writers)
        for members, writers in itertools.product((10, 100, 1000), (1, 10, 100))
        if writers <= members
    ),
)


def measure(
    peer: Peer, workload: Workload, *, duration: float, warm_up: float, cores: Cores
) -> dict[str, Any]:
    """
    Start a server afresh, load it once, and stop it.

    :param duration: seconds of measuring, where the workload is timed.
    :param warm_up: seconds of the same load beforehand.
    :return: what ``peers/generate.js`` printed.
    :raises BenchError: if the server or the clients fail.
    """
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(working_directory())
        place = stack.enter_context(peer.make_place(directory))
        port, process = _where(
            stack.enter_context(
                running(peer, workload.connections, {cores.server}, directory, [*place.options])
            )
        )
        settings = {
            **workload.settings,
            "workload": workload.kind,
            "client": peer.client,
            "url": f"ws://127.0.0.1:{port}",
            "pid": process,
            "database_pid": place.database,
            "acknowledges": peer.acknowledges,
            "is_unthrottled": workload.kind == "closed",
            "warm_up": warm_up,
            "duration": duration,
        }
        figures: dict[str, Any] = generate(
            [node(), str(DIRECTORY / "generate.js"), json.dumps(settings)],
            cores.generator,
            GENERATOR_SECONDS + warm_up + duration,
        )
        return figures


def _where(arguments: Sequence[str]) -> tuple[int, int]:
    """The port and the process, of what tells a generator in C where they are."""
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    return int(options["--port"]), int(options["--pid"])


def run_rounds(
    peers: Sequence[Peer],
    workloads: Sequence[Workload],
    *,
    rounds: int,
    duration: float,
    warm_up: float,
    cores: Cores,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """
    Measure each workload on each server, in every round; who goes first changes with the round.

    :return: the measurements, and what failed: one failure doesn't cost the rest of the run.
    """
    measurements, failures = [], []
    for number in range(rounds):
        first = number % len(peers)
        in_turn = [*peers[first:], *peers[:first]]
        for workload, peer in itertools.product(workloads, in_turn):
            case = {"round": number, "workload": workload.name, "server": peer.name}
            say(f"round {number + 1} of {rounds}: {workload.name}, {peer.title}")
            try:
                figures = measure(peer, workload, duration=duration, warm_up=warm_up, cores=cores)
            except BenchError as error:
                say(str(error))
                failures.append({**case, "reason": str(error)})
            else:
                measurements.append({**case, "figures": figures})
    return measurements, failures


def make_record(
    peers: Sequence[Peer],
    workloads: Sequence[Workload],
    *,
    rounds: int,
    duration: float,
    warm_up: float,
) -> dict[str, Any]:
    """
    Install, measure, and return all that a report needs, as it is written to JSON.

    :raises BenchError: if npm can't install, or nothing is left to measure.
    """
    install()
    reasons = {peer.title: reason_to_leave_out(peer) for peer in peers}
    left_out = {title: reason for title, reason in reasons.items() if reason is not None}
    there = [peer for peer in peers if peer.title not in left_out]
    for title, reason in left_out.items():
        say(f"{title} is left out: {reason}")
    if not there:
        raise BenchError("none of these servers can be had")
    cores = Cores.choose()
    machine = machine_facts(cores)
    machine["versions"] |= versions(there)
    measurements, failures = run_rounds(
        there, workloads, rounds=rounds, duration=duration, warm_up=warm_up, cores=cores
    )
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine,
        "settings": {"rounds": rounds, "duration": duration, "warm_up": warm_up},
        "servers": {peer.name: [peer.title, peer.acknowledged] for peer in there},
        "left_out": left_out,
        "measurements": measurements,
        "failures": failures,
    }


def make_parser() -> argparse.ArgumentParser:
    names = [*(peer.name for peer in PEERS), *(workload.name for workload in WORKLOADS), "D"]
    parser = argparse.ArgumentParser(
        prog="bench/peers.py", description="Measure Helix beside its peers."
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=names,
        metavar="NAME",
        help=f"measure only this server or workload (may be repeated): {', '.join(names)}",
    )
    parser.add_argument("--rounds", type=int, default=3, help="of which medians are taken (3)")
    parser.add_argument(
        "--duration", type=float, default=5.0, help="seconds of load for a figure (5)"
    )
    parser.add_argument(
        "--warm-up", type=float, default=5.0, help="seconds of the same load before it (5)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record, as JSON")
    parser.add_argument(
        "--update-docs", type=Path, metavar="FILE", help="put the tables between FILE's markers"
    )
    return parser


def chosen(only: Sequence[str]) -> tuple[list[Peer], list[Workload]]:
    """The servers and the workloads of these names; all servers, or all workloads, without one."""
    peers = [peer for peer in PEERS if peer.name in only]
    workloads = [one for one in WORKLOADS if one.name in only or one.name.split("-")[0] in only]
    return peers or list(PEERS), workloads or list(WORKLOADS)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.duration <= 0 or options.warm_up < 0:
        parser.error("rounds and duration must be positive, and the warm-up not negative")
    stop_on_termination()
    raise_descriptor_limit()
    peers, workloads = chosen(options.only)
    try:
        if options.update_docs:  # rather now than after all the measuring
            report.split_docs(options.update_docs, peers_report.TABLE_BEGINS)
        record = make_record(
            peers,
            workloads,
            rounds=options.rounds,
            duration=options.duration,
            warm_up=options.warm_up,
        )
    except (BenchError, OSError, ValueError) as error:
        say(str(error))
        return 1
    if options.output:
        options.output.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    text = peers_report.markdown(record)
    if options.update_docs:
        report.update_docs(options.update_docs, text, peers_report.TABLE_BEGINS)
    print(text, end="")
    return 1 if record["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
