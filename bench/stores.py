"""
Measure the stores by themselves: ``python bench/stores.py --help``.

The load is made on the reactor's thread of the same process, as the sessions of a server make it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import attrs
import msgspec
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react

from helix.access.principal import Grant
from helix.access.roles import Role
from helix.access.sharing import (
    SIGNED_IN,
    Audience,
    FlowAccess,
    GeneralAccess,
    group_subject,
    member_subject,
    owner_subject,
)
from helix.chain import origin_of
from helix.interfaces import IFlowStore
from helix.records import AuditEntry, Entry, HeadQuery, Scope, Summary
from helix.store.opening import open_store

FLOWS = 1000
GROUP = 20
NODES = 1000
TAIL = 200
LONG_LOG = 100_000
LISTED = 50
OLD = 1500

SUMMARY = Summary("Orders", "From the shop to the books", NODES, NODES)


@attrs.frozen
class Store:
    """
    A store to measure.

    :ivar file: that it keeps everything in, if it is a file.
    """

    name: str
    url: str
    file: Path | None = None


def make_entry(version: int, client: str) -> Entry:
    """A drop of a node, as an editor sends it."""
    patch = b'{"nodes":{"node-%d":{"position":{"x":%d.5,"y":%d}}}}' % (
        version % NODES,
        version % 1800,
        version % 1100,
    )
    entry = Entry(version, patch, time.time(), "Ada Lovelace", client, version)
    return msgspec.structs.replace(entry, chain=chain_at(version))


def chain_at(version: int) -> bytes:
    return version.to_bytes(8) if version else origin_of("e")


def make_document() -> bytes:
    nodes = {
        f"node-{n}": {
            "id": f"node-{n}",
            "type": "agent",
            "position": {"x": n % 40 * 280, "y": n // 40 * 160},
            "data": {"label": f"Step {n}", "description": "Reads an order and decides", "n": n},
        }
        for n in range(NODES)
    }
    edges = {
        f"edge-{n}": {"id": f"edge-{n}", "source": f"node-{n - 1}", "target": f"node-{n}"}
        for n in range(1, NODES)
    }
    return json.dumps({"title": "Orders", "nodes": nodes, "edges": edges}).encode()


async def write(
    store: IFlowStore, flow_id: str, group: int, until: Callable[[], bool]
) -> list[float]:
    """Append group after group; give how long each took, in seconds."""
    await store.create(flow_id, "e", time.time())
    version = 0
    took = []
    client = f"4f1d7c1e-0000-4000-8000-{hash(flow_id) & 0xFFFFFFFFFFFF:012x}"
    while not until():
        entries = [make_entry(version + n, client) for n in range(1, group + 1)]
        begun = time.perf_counter()
        await store.append(flow_id, "e", version, chain_at(version), entries, SUMMARY)
        took.append(time.perf_counter() - begun)
        version += group
    return took


async def measure_appends(
    store: IFlowStore, flows: int, group: int, duration: float
) -> dict[str, float]:
    begun = time.perf_counter()
    cpu = time.process_time()
    writes, written = written_so_far()

    def over() -> bool:
        return time.perf_counter() - begun > duration

    took = await together(write(store, f"{flows}-{n}", group, over) for n in range(flows))
    passed = time.perf_counter() - begun
    every = sorted(one for flow in took for one in flow)
    all_writes, all_written = written_so_far()
    return {
        "entries_per_second": len(every) * group / passed,
        "median_ms": statistics.median(every) * 1000,
        "p99_ms": every[len(every) * 99 // 100] * 1000,
        "cpu_us_per_entry": (time.process_time() - cpu) * 1e6 / (len(every) * group),
        "writes_per_entry": (all_writes - writes) / (len(every) * group),
        "written_bytes_per_entry": (all_written - written) / (len(every) * group),
    }


def written_so_far() -> tuple[int, int]:
    """Tell how often this process has written to files, and how many bytes, as Linux counts it."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["syscw"]), int(counts["wchar"])


def together(all_of: Any) -> Deferred[list[Any]]:
    return gatherResults([Deferred.fromCoroutine(one) for one in all_of], consumeErrors=True)


async def measure_loads(store: IFlowStore) -> dict[str, float]:
    await store.create("big", "e", time.time())
    await store.snapshot("big", "e", 0, chain_at(0), make_document())
    log = [make_entry(n, "c") for n in range(1, TAIL + 1)]
    await store.append("big", "e", 0, chain_at(0), log, SUMMARY)
    await store.create("long", "e", time.time())
    for base in range(0, LONG_LOG, 1000):
        log = [make_entry(n, "c") for n in range(base + 1, base + 1001)]
        await store.append("long", "e", base, chain_at(base), log, SUMMARY)
    times = {}
    for name, repeat in (("big", 20), ("long", 3)):
        took = []
        for _ in range(repeat):
            begun = time.perf_counter()
            await store.load(name)
            took.append((time.perf_counter() - begun) * 1000)
        times[f"load_{name}_ms"] = statistics.median(took)
    return times


async def make_flows(store: IFlowStore, count: int) -> None:
    """
    Make flows ``team-N/M``, `LISTED` for each team, those of a team far from each other.

    Each belongs to the owner ``team-N``. Everyone who is signed in may see every other flow, and
    members of the group ``old`` see as many as are too many to sort, which changed long ago.
    """
    teams = count // LISTED
    names = [f"team-{n % teams}/{n // teams}" for n in range(count)]
    for first in range(0, count, 1000):
        made = [
            store.create(name, "e", 1.7e9 + n, [], SUMMARY, owner=name.partition("/")[0])
            for n, name in enumerate(names[first : first + 1000], first)
        ]
        await gatherResults(made)
    for first in range(0, count, 100):
        given = [
            store.access.change(name, give(n), AuditEntry(0, 0.0, "access.change", name))
            for n, name in enumerate(names[first : first + 100], first)
            if n % 2 == 0 or n < OLD
        ]
        await gatherResults(given)


def give(n: int) -> Callable[[FlowAccess], FlowAccess]:
    """Let the n-th flow give what `make_flows` says."""
    signed_in = GeneralAccess(Audience.SIGNED_IN, Role.VIEWER)
    return lambda access: attrs.evolve(
        access,
        general=signed_in if n % 2 == 0 else access.general,
        groups={"old": Grant(Role.VIEWER)} if n < OLD else {},
    )


async def measure_lists(of: Store, flows: int) -> dict[str, float]:
    """Measure the first page of a list for who may see few of very many flows."""
    store = open_store(of.url, reactor)
    await store.start()
    try:
        await make_flows(store, flows)
        return await time_lists(store, flows)
    finally:
        await store.stop()


async def time_lists(store: IFlowStore, flows: int) -> dict[str, float]:
    """Measure that in a store where `make_flows` made the flows."""
    many = [group_subject(f"g{n}") for n in range(1000)]
    old = group_subject("old")
    scopes: dict[str, Callable[[int], Scope | None]] = {
        "everything": lambda team: None,
        "ids": lambda team: Scope.of([f"team-{team}/{n}" for n in range(LISTED)], []),
        "prefix": lambda team: Scope.of([], [f"team-{team}/"]),
        "wide_prefix": lambda team: Scope.of([], [f"team-{team % 9 + 1}"]),
        "owner": lambda team: Scope.of([], [], person(team)),
        "owner_many_groups": lambda team: Scope.of([], [], [*person(team), *many]),
        "signed_in": lambda team: Scope.of([], [], [*person(team), SIGNED_IN]),
        "signed_in_many_groups": lambda team: Scope.of([], [], [SIGNED_IN, *many]),
        "old": lambda team: Scope.of([], [], [*person(team), old]),
        "old_many_groups": lambda team: Scope.of([], [], [old, *many]),
    }
    figures: dict[str, float] = {}
    for name, scope in scopes.items():
        took = []
        for n in range(100):
            query = HeadQuery(limit=LISTED + 1, scope=scope(n * 7 % (flows // LISTED)))
            begun = time.perf_counter()
            found = await store.heads(query)
            took.append((time.perf_counter() - begun) * 1000)
            assert len(found) >= LISTED
        figures |= {
            f"list_{name}_ms": statistics.median(took),
            f"list_{name}_max_ms": max(took),
        }
    return figures


def person(team: int) -> list[str]:
    """The subjects of the owner of a team's flows, who is in some groups."""
    groups = [group_subject(f"group-{n}") for n in range(10)]
    return [owner_subject(f"team-{team}"), member_subject(f"team-{team}"), *groups]


async def measure(of: Store, duration: float) -> dict[str, float]:
    figures: dict[str, float] = {}
    store = open_store(of.url, reactor)
    await store.start()
    try:
        for name, flows, group in (("many", FLOWS, 1), ("one", 1, GROUP)):
            before = getattr(store, "transactions", 0)
            found = await measure_appends(store, flows, group, duration)
            transactions = getattr(store, "transactions", 0) - before
            if transactions:
                found["entries_per_transaction"] = (
                    found["entries_per_second"] * duration / transactions
                )
            figures |= {f"{name}_{figure}": value for figure, value in found.items()}
        figures |= await measure_loads(store)
        figures["entries"] = float(await count_entries(store))
    finally:
        await store.stop()
    if of.file is not None:
        figures["bytes_per_entry"] = of.file.stat().st_size / figures["entries"]
    return figures


async def count_entries(store: IFlowStore) -> int:
    names = ["big", "long", "1-0", *(f"{FLOWS}-{n}" for n in range(FLOWS))]
    heads = await gatherResults([store.head(name) for name in names])
    return sum(head.version for head in heads)


def show(figures: dict[str, dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for found in figures.values() for name in found))
    lines = [f"{'':<28}" + "".join(f"{store:>14}" for store in figures)]
    for name in names:
        values = [found.get(name) for found in figures.values()]
        shown = ["" if value is None else f"{value:,.1f}" for value in values]
        lines.append(f"{name:<28}" + "".join(f"{value:>14}" for value in shown))
    return "\n".join(lines)


async def main(arguments: argparse.Namespace, directory: Path) -> None:
    file = directory / "flows.db"
    stores = [Store("memory", "memory:"), Store("sqlite", f"sqlite:{file}", file)]
    stores += [Store(url.partition(":")[0], url) for url in arguments.store]
    if arguments.lists:
        figures = {store.name: await measure_lists(store, arguments.lists) for store in stores}
    else:
        figures = {store.name: await measure(store, arguments.duration) for store in stores}
    print(json.dumps(figures, indent=1) if arguments.json else show(figures))


def run(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench/stores.py", description="Measure the stores.")
    parser.add_argument(
        "--store",
        action="append",
        default=[],
        metavar="URL",
        help="measure this one too; it must be empty (may be repeated)",
    )
    parser.add_argument(
        "--directory", type=Path, help="where the SQLite file is made (the temporary directory)"
    )
    parser.add_argument(
        "--duration", type=float, default=5.0, help="seconds of load for a figure (5)"
    )
    parser.add_argument(
        "--lists", type=int, metavar="FLOWS", help="measure lists among so many flows instead"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:

        def begin(_: object) -> Deferred[None]:
            measuring: Coroutine[Any, Any, None] = main(arguments, Path(directory))
            return Deferred.fromCoroutine(measuring)

        react(begin)


if __name__ == "__main__":
    run(sys.argv[1:])
