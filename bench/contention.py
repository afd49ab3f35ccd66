"""
Twenty writers of one flow, spread over 1, 2 and 4 nodes on one PostgreSQL:
``python bench/contention.py --help``.

Each writer sends its next edit when the last one is acknowledged, and reads what all the others do.
The nodes are real processes, and the numbers of nodes take turns within each round: whatever else
the machine does hits them alike.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import selectors
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from attacker import HOST, frame
from crowd import Member

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.daemon import Daemon
from tests.support.postgres import PostgresServer, new_database, shared_server

FLOW = "contended"
WRITERS = 20
NODES = (1, 2, 4)
WARM_UP_SECONDS = 1.0
READY_SECONDS = 60.0

_LIMITS = ("--max-pushes-per-second", "1e7", "--max-bytes-per-second", "1e12")
_NODE_OPTIONS = (*_LIMITS, "--max-work-share", "1")


class Writer(Member):
    """
    A member that writes as fast as it is acknowledged.

    :ivar waiting: when the edits were sent that wait for their answers, by their ``op_id``.
    :ivar again: those of them that were refused for now.
    :ivar node: the number of its node.
    :ivar took: seconds that each of its edits took.
    :ivar refused: how often one was refused, and sent again.
    """

    __slots__ = ("again", "is_writing", "node", "refused", "took", "waiting")

    def __init__(self, number: int, node: int) -> None:
        super().__init__(number, FLOW, "", "", {})
        self.node = node
        self.took: list[float] = []
        self.waiting: dict[int, float] = {}
        self.again: list[int] = []
        self.is_writing = False
        self.refused = 0

    def write(self) -> None:
        self._refs += 1
        self.waiting[self._refs] = time.perf_counter()
        self._send(self._refs)

    def _send(self, op_id: int) -> None:
        patch = {"nodes": {f"n{self.number}": {"position": {"x": op_id}}}}
        payload = json.dumps({"op_id": op_id, "patch": patch})
        self.send(frame(f'["1","{op_id}","flow:{self.flow}","patch",{payload}]'.encode()))

    def _on_entries(self, payload: bytes) -> None:
        """What others do costs a reader, but its content tells nothing here."""

    def _on_reply(self, payload: bytes) -> None:
        op_id = int(payload[:24].split(b'"')[3])
        if op_id not in self.waiting:
            super()._on_reply(payload)
        elif b'"retry":true' in payload:
            self.refused += 1
            self.again.append(op_id)
            if len(self.again) == len(self.waiting):  # all are to be sent again, in order
                for one in sorted(self.again):
                    self._send(one)
                self.again.clear()
        else:
            super()._on_reply(payload)
            self.took.append(time.perf_counter() - self.waiting.pop(op_id))
            if self.is_writing:
                self.write()


@contextlib.contextmanager
def running(directory: Path, url: str, count: int, more: Sequence[str]) -> Iterator[list[Daemon]]:
    """As many nodes on one store, which hear each other."""
    nodes = []
    try:
        for number in range(count):
            place = directory / f"node-{number}"
            place.mkdir(parents=True)
            node = Daemon(place, "--store", url, *_NODE_OPTIONS, *more)
            nodes.append(node)
            node.start()
        deadline = time.monotonic() + READY_SECONDS
        while not all(node.metric("helix_broker_up") == 1 for node in nodes):
            if time.monotonic() > deadline:
                raise SystemExit("the nodes don't hear each other")
            time.sleep(0.05)
        yield nodes
    finally:
        for node in nodes:
            node.kill()


def make_flow(node: Daemon) -> None:
    """The flow, with a node for each writer."""
    ids = [f"n{number}" for number in range(WRITERS)]
    placed = {one: {"id": one, "position": {"x": 0, "y": 0}, "data": {}} for one in ids}
    body = json.dumps({"id": FLOW, "document": {"title": FLOW, "nodes": placed}})
    connection = http.client.HTTPConnection(HOST, node.port, timeout=30)
    connection.request("POST", "/api/flows", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 201:
        raise SystemExit(f"the flow can't be made: {answer.status}")


def serve(selector: selectors.BaseSelector, seconds: float) -> None:
    """Let the writers read, and so write, for a while."""
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        for key, _ in selector.select(min(left, 0.5)):
            key.fileobj.read()  # type: ignore[union-attr]  # all are writers


def cpu_of(processes: Sequence[int]) -> float:
    """Seconds of CPU that processes and their children have taken."""
    total = 0.0
    for one in processes:
        process = psutil.Process(one)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                total += times.user + times.system
    return total


def measure(
    server: PostgresServer, count: int, window: int, seconds: float, more: Sequence[str]
) -> dict[str, Any]:
    """
    Let the writers write over as many nodes, and give what that came to.

    :param window: edits of each writer that wait to be acknowledged.
    """
    with (
        tempfile.TemporaryDirectory() as directory,
        new_database() as database,
        running(Path(directory), server.url(database), count, more) as nodes,
        selectors.DefaultSelector() as selector,
    ):
        make_flow(nodes[0])
        writers = [Writer(number, number % count) for number in range(WRITERS)]
        for writer in writers:
            writer.connect(nodes[writer.node].port)
            selector.register(writer, selectors.EVENT_READ)
        while any(writer.version is None for writer in writers):
            serve(selector, 0.05)
        for writer in writers:
            writer.is_writing = True
            for _ in range(window):
                writer.write()
        serve(selector, WARM_UP_SECONDS)
        for writer in writers:
            writer.took.clear()
        pids = [node.pid for node in nodes]
        before = figures(nodes)
        node_cpu, database_cpu, began = cpu_of(pids), cpu_of([server.pid]), time.perf_counter()
        own = time.process_time()
        serve(selector, seconds)
        passed = time.perf_counter() - began
        own = time.process_time() - own
        node_cpu, database_cpu = cpu_of(pids) - node_cpu, cpu_of([server.pid]) - database_cpu
        after = figures(nodes)
        for writer in writers:
            writer.is_writing = False
        serve(selector, 0.5)
        for writer in writers:
            writer.close()
    took = sorted(one for writer in writers for one in writer.took)
    shares = [sum(len(w.took) for w in writers if w.node == n) for n in range(count)]
    appends = after["appends"] - before["appends"]
    return {
        "nodes": count,
        "patches_per_second": len(took) / passed,
        "p50_ms": took[len(took) // 2] * 1e3,
        "p99_ms": took[int(len(took) * 0.99)] * 1e3,
        "largest_ms": took[-1] * 1e3,
        "patches_per_append": len(took) / max(1, appends),
        "conflicts_per_append": (after["conflicts"] - before["conflicts"]) / max(1, appends),
        "smallest_share": min(shares) * count / max(1, sum(shares)),
        "refused": sum(writer.refused for writer in writers),
        "nodes_cpu": node_cpu / passed,
        "database_cpu": database_cpu / passed,
        "generator_cpu": own / passed,
        "load": os.getloadavg()[0],
    }


def figures(nodes: Sequence[Daemon]) -> dict[str, float]:
    """What the nodes have counted, together."""
    names = {
        "appends": "helix_appends_total",
        "conflicts": "helix_append_conflicts_total",
    }
    return {one: sum(node.metric(name) for node in nodes) for one, name in names.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="bench/contention.py", description="Measure writers of one flow over several nodes."
    )
    parser.add_argument("--rounds", type=int, default=5, help="of which medians are taken (5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load for a figure (5)")
    parser.add_argument(
        "--nodes", type=int, nargs="+", default=list(NODES), help="how many (1 2 4)"
    )
    parser.add_argument(
        "--window", type=int, default=1, help="edits of a writer that wait for their answers (1)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the record, as JSON")
    parser.add_argument("options", nargs="*", help="more options of the nodes, after --")
    asked = parser.parse_args()
    server = shared_server()
    measured: list[dict[str, Any]] = []
    for number in range(asked.rounds):
        turns = asked.nodes[number % len(asked.nodes) :] + asked.nodes[: number % len(asked.nodes)]
        for count in turns:
            measured.append(measure(server, count, asked.window, asked.seconds, asked.options))
            print(json.dumps(measured[-1]), file=sys.stderr, flush=True)
    if asked.output is not None:
        asked.output.write_text(json.dumps(measured, indent=1))
    names = list(measured[0])
    print("| " + " | ".join(names) + " |")
    print("| " + " | ".join("---" for _ in names) + " |")
    for count in asked.nodes:
        of = [one for one in measured if one["nodes"] == count]
        print(
            "| "
            + " | ".join(f"{statistics.median(one[n] for one in of):.4g}" for n in names)
            + " |"
        )


if __name__ == "__main__":
    main()
