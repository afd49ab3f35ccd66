"""The comparison with other servers works: each is installed, loaded, counted and reported."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))  # its modules are scripts beside each other, not a package

peers = importlib.import_module("peers")
peers_report = importlib.import_module("peers_report")
peers_servers = importlib.import_module("peers_servers")
report = importlib.import_module("report")
servers = importlib.import_module("servers")

SMALL = {
    "closed": {"flows": 2, "members": 4, "writers": 2, "nodes": 20},
    "joins": {"flows": 2, "joins": 10, "nodes": 20},
    "room": {"members": 14, "writers": 3, "nodes": 20},
}
ALONE = [peer for peer in peers_servers.PEERS if not peer.name.endswith("postgresql")]


@pytest.fixture(scope="module")
def installed() -> None:
    peers_servers.install()


def measure(peer: Any, kind: str, **more: Any) -> dict[str, Any]:
    workload = peers.Workload("small", kind, 20, {**SMALL[kind], **more})
    figures: dict[str, Any] = peers.measure(
        peer, workload, duration=1.0, warm_up=0.2, cores=servers.Cores.choose()
    )
    return figures


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("peer", ALONE, ids=lambda peer: peer.name)
def test_each_server_takes_edits_of_its_own_clients(peer: Any) -> None:
    figures = measure(peer, "closed")
    assert figures["count"] > 5
    assert 0 < figures["server_us"] < 1e5
    assert figures["database_us"] == 0
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]


@pytest.mark.usefixtures("installed")
def test_plain_clients_of_helix_edit_too() -> None:
    figures = measure(peers_servers.PEERS[0], "closed", is_plain=True)
    assert figures["count"] > 5
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "peer", [peer for peer in ALONE if not peer.name.endswith("sqlite")], ids=lambda peer: peer.name
)
def test_each_room_shows_edits_and_cursors_to_all(peer: Any) -> None:
    figures = measure(peer, "room")
    assert figures["count"] >= 3
    assert figures["missing"] == 0
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] < 5000
    assert figures["pointers_per_second"] > 5


@pytest.mark.usefixtures("installed")
def test_joins_are_counted() -> None:
    figures = measure(peers_servers.PEERS[0], "joins")
    assert figures["count"] == 10
    assert figures["server_us"] > 0
    assert figures["second_half_us"] > 0


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["helix-postgresql", "sharedb-postgresql"])
def test_the_database_is_counted_too(name: str) -> None:
    (peer,) = [peer for peer in peers_servers.PEERS if peer.name == name]
    figures = measure(peer, "closed")
    assert figures["database_us"] > 0


@pytest.mark.usefixtures("installed")
def test_a_server_that_ends_is_an_error_with_its_log() -> None:
    (peer,) = [peer for peer in peers_servers.PEERS if peer.name == "tldraw-memory"]
    place = peers_servers.Place(["/nowhere/at/all"])
    broken = replace(peer, make_place=lambda directory: contextlib.nullcontext(place))
    with pytest.raises(servers.BenchError, match="tldraw sync-core, memory: the generator failed"):
        measure(broken, "closed")


def test_what_npm_has_not_installed_is_left_out_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(peers_servers, "DIRECTORY", tmp_path)
    reasons = {peer.name: peers_servers.reason_to_leave_out(peer) for peer in ALONE}
    assert reasons["helix-memory"] is None
    assert reasons["tldraw-sqlite"] == "npm has not installed @tldraw/sync-core"


def test_servers_and_workloads_are_chosen_by_name() -> None:
    some, workloads = peers.chosen(["tldraw-memory", "A", "D-1000-10"])
    assert [peer.name for peer in some] == ["tldraw-memory"]
    assert [workload.name for workload in workloads] == ["A", "D-1000-10"]
    everybody, rooms = peers.chosen(["D"])
    assert everybody == list(peers_servers.PEERS)
    assert len(rooms) == 8
    assert peers.chosen([]) == (list(peers_servers.PEERS), list(peers.WORKLOADS))


def make_measurement(number: int, server: str, workload: str, **figures: Any) -> dict[str, Any]:
    given = {"database_us": 0, "generator_share": 0.5, **figures}
    return {"round": number, "server": server, "workload": workload, "figures": given}


@pytest.fixture
def record() -> dict[str, Any]:
    costs = {"one": (100, 120, 110), "two": (120, 121, 122), "three": (200, 200, 900)}
    measurements = [
        make_measurement(number, server, "A", server_us=cost, database_us=50.0 * (server == "two"))
        for server, rounds in costs.items()
        for number, cost in enumerate(rounds)
    ]
    measurements += [
        make_measurement(0, "one", "D-1000-10", p99_ms=None),
        make_measurement(0, "two", "D-1000-10", p99_ms=12.5, generator_share=0.95),
    ]
    return {
        "date": "2026-11-30",
        "machine": {
            "cpu": "A CPU",
            "cores": 2,
            "cores_are_shared": False,
            "kernel": "6",
            "load_average": 0.1,
            "fsync_us": 500,
            "versions": {"Node": "24.0.0"},
        },
        "settings": {"rounds": 3, "duration": 5.0, "warm_up": 5.0},
        "servers": {name: [name.title(), "in memory"] for name in costs},
        "left_out": {"Four": "npm has not installed it"},
        "measurements": measurements,
        "failures": [],
    }


def test_the_tables_have_medians_and_what_is_as_good_as_the_best(record: dict[str, Any]) -> None:
    assert json.loads(json.dumps(record)) == record
    text = peers_report.markdown(record)
    assert "| One | in memory | **110** |" in text
    assert "| Two | in memory | **121** + 50 |" in text
    assert "| Three | in memory | 200 |" in text
    assert "Four was left out: npm has not installed it." in text
    assert "C: KB a member" not in text


def test_rooms_say_what_never_came_and_whose_clients_were_busy(record: dict[str, Any]) -> None:
    text = peers_report.markdown(record)
    assert "| server | an acknowledged edit is | 1,000 members, 10 write |" in text
    assert "| One | in memory | never |" in text
    assert "| Two | in memory | **12.5** (busy clients) |" in text
    assert "| Three | in memory | - |" in text


def test_the_documentation_has_the_markers() -> None:
    report.split_docs(BENCH.parent / "docs" / "comparison.md", peers_report.TABLE_BEGINS)


def test_the_lock_file_has_no_addresses() -> None:
    text = (BENCH / "peers" / "package-lock.json").read_text()
    assert '"resolved"' not in text
    assert "://" not in "".join(line for line in text.splitlines() if '"url"' not in line)
