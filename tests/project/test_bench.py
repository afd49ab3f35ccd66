"""The benchmark's tools work: the C programs against each other, and the arithmetic of reports."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))  # its modules are scripts beside each other, not a package

admission = importlib.import_module("admission")
attacker = importlib.import_module("attacker")
importlib.import_module("attacks")  # which are added by that
crowd = importlib.import_module("crowd")
report = importlib.import_module("report")
revocations = importlib.import_module("revocations")
run = importlib.import_module("run")
scenarios = importlib.import_module("scenarios")
servers = importlib.import_module("servers")
soak = importlib.import_module("soak")
databases = importlib.import_module("databases")
documents = importlib.import_module("documents")

# What is measured with is C; where nothing compiles it, there is nothing to test.
needs_compiler = pytest.mark.skipif(servers.find_compiler() is None, reason="no C compiler")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The C programs, compiled with every warning as an error."""
    directory = tmp_path_factory.mktemp("bench")
    return {
        name: servers.compile_program(name, directory, ["-Werror"]) for name in ("wsgen", "climit")
    }


def measure_limit(programs: dict[str, Path], arguments: list[str], members: int) -> dict[str, Any]:
    limit = servers.Server("limit", lambda port, connections: [str(programs["climit"]), str(port)])
    figures: dict[str, Any] = servers.measure(
        limit,
        programs["wsgen"],
        [*arguments, "--members", str(members)],
        connections=members,
        duration=0.3,
        cores=servers.Cores.choose(),
    )
    return figures


LOAD = ["--warm", "0.1", "--duration", "0.3"]


@needs_compiler
@pytest.mark.parametrize(
    ("arguments", "most_outstanding"),
    [
        (["--mode", "closed"], 1),
        (["--mode", "pipelined", "--window", "8"], 8),
        (["--mode", "closed", "--group", "5"], 2),
        (["--mode", "closed", "--size", "70000"], 1),
    ],
)
def test_every_change_reaches_every_member(
    programs: dict[str, Path], arguments: list[str], most_outstanding: int
) -> None:
    figures = measure_limit(programs, [*LOAD, *arguments], 10)
    assert figures["members"] == 10
    assert figures["seconds"] >= 0.3
    assert figures["backlog"] <= most_outstanding
    audience = 10 // figures["flows"]
    under_way = figures["deliveries"] - figures["changes"] * audience
    assert abs(under_way) <= audience * most_outstanding
    assert figures["changes"] > 10
    assert 0 < figures["p50_us"] <= figures["p99_us"] <= figures["max_us"]
    assert 0 < figures["server_cpu_share"] <= 1.1
    assert 0 <= figures["generator_idle_share"] <= 1


@needs_compiler
def test_rate_mode_pushes_from_all_senders(programs: dict[str, Path]) -> None:
    figures = measure_limit(
        programs, [*LOAD, "--mode", "rate", "--senders", "10", "--rate", "200"], 10
    )
    assert figures["senders"] == 10
    assert figures["changes_per_second"] > 0


@needs_compiler
def test_idle_mode_counts_connections_after_the_warm_ones(programs: dict[str, Path]) -> None:
    figures = measure_limit(
        programs, ["--mode", "idle", "--group", "1", "--warm-members", "20"], 100
    )
    assert figures["flows"] == 120
    assert figures["memory_after_kb"] >= figures["memory_before_kb"] > 0
    assert 0 < figures["join_cpu_us"] < 10_000


@needs_compiler
def test_a_server_that_is_gone_is_an_error_with_its_log(programs: dict[str, Path]) -> None:
    broken = servers.Server(
        "helix", lambda port, connections: [sys.executable, "-c", "exit('no such plugin')"]
    )
    with pytest.raises(servers.BenchError, match=r"Helix: it ended with code 1\nno such plugin"):
        servers.measure(
            broken,
            programs["wsgen"],
            LOAD,
            connections=10,
            duration=0.3,
            cores=servers.Cores.choose(),
        )


def make_measurement(
    number: int, server: str, scenario: str, mode: str, **figures: float
) -> dict[str, Any]:
    return {
        "round": number,
        "server": server,
        "scenario": scenario,
        "figures": {
            "mode": mode,
            "server_cpu_share": 0.9,
            "generator_idle_share": 0.1,
            **figures,
        },
    }


def compile_scanner(directory: Path, text: str) -> Path:
    """Compile a program that scans what it reads, so many bytes at a time as it is told."""
    source = directory / "scanner.c"
    source.write_text(text)
    program = directory / "scanner"
    compiler = [servers.find_compiler(), "-Wall", "-Wextra", "-Werror", f"-I{BENCH}"]
    subprocess.run([*compiler, "-o", program, source], check=True)
    return program


def scan(program: Path, text: str, step: int) -> list[str]:
    """What a scanner finds, a line each."""
    done = subprocess.run(
        [program, str(step)], input=text, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


SCANNER = """
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include "entries.h"
static void found(uint32_t client, uint32_t operation) { printf("%u %u\\n", client, operation); }
int main(int argc, char **argv)
{
    static uint8_t text[100000];
    struct entry_scanner scanner = {0};
    size_t length = fread(text, 1, sizeof text, stdin), step = argc > 1 ? atoi(argv[1]) : 1;
    for (size_t at = 0; at < length; at += step)
        scan_entries(&scanner, text + at, length - at < step ? length - at : step, found);
}
"""


@needs_compiler
def test_entries_are_found_however_a_frame_is_cut(tmp_path: Path) -> None:
    program = compile_scanner(tmp_path, SCANNER)
    entries = [
        {
            "version": n,
            "client_id": "47DEQpj8HBSa-_TImW-5JA",
            "op_id": int(f"1{n % 7:04}{n:08}"),
            "patch": {"x": "y" * n},
        }
        for n in range(60)
    ]
    others = [{"op_id": 1, "by": ""}, {"op_id": 100_000_001, "by": ""}, {"op_id": 10**13, "by": ""}]
    text = json.dumps([*entries[:30], *others, *entries[30:]], separators=(",", ":"))
    expected = [f"{n % 7} {n}" for n in range(60)]
    for step in [*range(1, 100), 1000, 100_000]:
        assert scan(program, text, step) == expected, step


CURSOR_SCANNER = """
#include <stdio.h>
#include <stdlib.h>
#include "cursors.h"
static void found(uint64_t x) { printf("%lu\\n", x); }
int main(int argc, char **argv)
{
    static uint8_t text[100000];
    struct cursor_scanner scanner = {0};
    size_t length = fread(text, 1, sizeof text, stdin), step = argc > 1 ? atoi(argv[1]) : 1;
    for (size_t at = 0; at < length; at += step)
        scan_cursors(&scanner, text + at, length - at < step ? length - at : step, found);
}
"""


@needs_compiler
def test_cursors_are_found_however_a_frame_is_cut(tmp_path: Path) -> None:
    program = compile_scanner(tmp_path, CURSOR_SCANNER)
    cursors = {f"c{n:04}": {"x": 10.0**n, "y": 2.5} for n in range(12)}
    frame = [None, None, "flow:bench0", "cursors", {**cursors, "x": None}]
    text = json.dumps(frame, separators=(",", ":"))
    # A client that is called x and points nowhere is the price of not parsing.
    expected = [*(str(10**n) for n in range(12)), "0"]
    for step in [*range(1, 60), 100_000]:
        assert scan(program, text, step) == expected, step


@needs_compiler
def test_cursors_are_measured_on_a_daemon(programs: dict[str, Path]) -> None:
    figures = servers.measure(
        servers.make_helix("memory"),
        programs["wsgen"],
        [
            *LOAD,
            *("--documents", "--mode", "cursors", "--members", "6", "--senders", "6"),
            *("--rate", "600"),
        ],
        connections=6,
        duration=0.3,
        cores=servers.Cores.choose(),
        shares_cores=True,
    )
    assert figures["changes_per_second"] == pytest.approx(600, rel=0.5)
    assert 0 < figures["frames_per_second"] <= 6 * 31 / 0.3
    assert figures["frames_per_second"] < figures["deliveries_per_second"]
    assert 0 < figures["p50_us"] <= figures["p99_us"]


@needs_compiler
def test_document_mode_is_measured_on_a_daemon(programs: dict[str, Path]) -> None:
    figures = servers.measure(
        servers.make_helix("memory"),
        programs["wsgen"],
        [
            *LOAD,
            *("--documents", "--mode", "pipelined", "--members", "6", "--senders", "3"),
            *("--window", "4", "--nodes", "30", "--half"),
        ],
        connections=6,
        duration=0.3,
        cores=servers.Cores.choose(),
        shares_cores=True,
    )
    assert figures["documents"] == 1
    assert figures["backlog"] <= 12
    assert abs(figures["deliveries"] - figures["changes"] * 6) <= 12 * 6
    assert figures["acknowledged_per_second"] == pytest.approx(
        figures["changes_per_second"], rel=0.5
    )
    assert figures["half_rate"] == pytest.approx(figures["changes_per_second"] / 2, rel=0.01)
    assert 0 < figures["half_p50_us"] <= figures["half_p99_us"]


@needs_compiler
def test_others_are_measured_beside_stuck_members(programs: dict[str, Path]) -> None:
    figures = servers.measure(
        servers.make_helix("memory"),
        programs["wsgen"],
        [
            *LOAD,
            *("--mode", "rate", "--rate", "100", "--members", "10", "--stuck", "2"),
            *("--stuck-bytes", "10000"),
        ],
        connections=10,
        duration=0.3,
        cores=servers.Cores.choose(),
    )
    assert figures["deliveries"] >= 10 * (figures["changes"] - 2)
    assert abs(figures["stuck_deliveries"] - 8 * figures["stuck_changes"]) <= 16
    assert 0 < figures["stuck_p50_us"] <= figures["stuck_p99_us"]
    assert figures["stuck_p99_ratio"] > 0


@needs_compiler
@pytest.mark.parametrize("more", [[], ["--documents", "--nodes", "3"]])
def test_storm_is_measured_on_a_daemon(programs: dict[str, Path], more: list[str]) -> None:
    figures = servers.measure(
        servers.make_helix("memory"),
        programs["wsgen"],
        ["--mode", "storm", "--members", "100", "--group", "10", *more],
        connections=100,
        duration=0,
        cores=servers.Cores.choose(),
        shares_cores=True,
    )
    assert figures["connects"] >= 100
    assert 0 < figures["half_rejoin_seconds"] <= figures["rejoin_seconds"] < 10
    assert figures["looks"] > 0


JOINS = ["--mode", "idle", "--members", "20", "--group", "5", "--warm-members", "5"]


def measure_joins(programs: dict[str, Path], admission: Any) -> dict[str, Any]:
    figures: dict[str, Any] = servers.measure(
        servers.make_helix("memory"),
        programs["wsgen"],
        JOINS,
        connections=25,
        duration=0,
        cores=servers.Cores.choose(),
        admission=admission,
    )
    return figures


@needs_compiler
@pytest.mark.parametrize(
    "door",
    [
        admission.Admission(25, flows=5),
        admission.Admission(25, "rs256"),
        admission.Admission(25, "es256", flows=5),
        admission.Admission(25, "es256", flows=5, by_list=True),
    ],
)
def test_joins_are_measured_on_a_daemon(programs: dict[str, Path], door: Any) -> None:
    figures = measure_joins(programs, door)
    assert figures["members"] == 20
    assert figures["joins_per_second"] == pytest.approx(20 / figures["join_seconds"], rel=0.05)


@needs_compiler
def test_only_who_is_let_in_joins(programs: dict[str, Path]) -> None:
    with pytest.raises(servers.BenchError, match="refused"):
        measure_joins(programs, admission.Admission(25, "es256", flows=0, by_list=True))


@needs_compiler
def test_each_connection_needs_a_token(programs: dict[str, Path]) -> None:
    with pytest.raises(servers.BenchError, match="25 connections, but only 20 tokens"):
        measure_joins(programs, admission.Admission(20, "es256"))


def test_revocations_are_measured_on_a_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "BESIDE", 2)
    plan = revocations.Plan(members=40, flows=2, revocations=5, rate=20, edits=10)
    rows = revocations.run_trial(plan)
    assert [len(row.since_sent) for row in rows] == [5, 2, 2, 2]
    for row in rows:
        assert 0 <= row.since_done[0] <= row.since_sent[-1] < revocations.PATIENCE
        assert str(row).count("|") == revocations.HEAD.partition("\n")[0].count("|")


@pytest.fixture
def member() -> Iterator[Any]:
    """A member who has three entries, and no server."""
    member = crowd.Member(7, "plan", "ada", "", {})
    member.version = 3
    yield member
    member.close()


def text_frame(event: str, payload: str) -> bytes:
    text = f'["1",null,"flow:plan","{event}",{payload}]'.encode()
    return bytes([0x81, len(text)]) + text


def test_a_member_of_the_crowd_must_get_every_entry(member: Any) -> None:
    member.take_frames(text_frame("entries", '{"entries":[{"version":4},{"version":5}]}'))
    assert member.version == 5
    with pytest.raises(crowd.CrowdError, match="has 5, and got 7"):
        member.take_frames(text_frame("entries", '{"entries":[{"version":7}]}'))


def test_a_member_of_the_crowd_gets_no_entry_after_its_access_is_gone(member: Any) -> None:
    rest = text_frame("phx_close", "{}")
    assert member.take_frames(text_frame("access_revoked", "{}") + rest[:5]) == rest[:5]
    assert member.revoked_at is not None
    assert member.closed_at is None
    member.take_frames(rest)
    assert member.closed_at >= member.revoked_at
    with pytest.raises(crowd.CrowdError, match="may not see"):
        member.take_frames(text_frame("entries", '{"entries":[{"version":4}]}'))


def test_a_member_of_the_crowd_may_not_be_closed_otherwise(member: Any) -> None:
    with pytest.raises(crowd.CrowdError, match="phx_close"):
        member.take_frames(text_frame("phx_close", "{}"))


@needs_compiler
def test_flows_are_filled_on_a_daemon(programs: dict[str, Path]) -> None:
    figures = servers.measure(
        servers.make_helix("memory"),
        programs["wsgen"],
        ["--documents", "--mode", "fill", "--members", "2", "--group", "1", "--entries", "100"],
        connections=2,
        duration=0,
        cores=servers.Cores.choose(),
    )
    assert figures["entries"] == 100


@pytest.mark.parametrize("make", documents.EDITS.values(), ids=documents.EDITS.keys())
def test_every_edit_that_is_measured_changes_the_document(make: Any) -> None:
    document = documents.chain(documents.NODES)
    patches = [make(n) for n in range(documents.PATCHES)]
    assert all(document.exchange(document.stage(patch)) for patch in patches)
    assert documents.stage_and_apply(document, patches) > 0


def test_what_fsync_costs_is_measured(tmp_path: Path) -> None:
    assert databases.fsync_microseconds(tmp_path) > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("'--enable-shared' '--enable-optimizations' '--with-lto'", "with"),
        ("'--enable-shared'", "without"),
        (None, "without"),
    ],
)
def test_a_run_says_how_its_python_was_built(
    monkeypatch: pytest.MonkeyPatch, arguments: str | None, told: str
) -> None:
    monkeypatch.setattr(run.sysconfig, "get_config_var", {"CONFIG_ARGS": arguments}.get)
    versions = run.machine_facts(servers.Cores.choose())["versions"]
    assert versions["Python"].endswith(f" (configured {told} --enable-optimizations)")


@pytest.fixture
def record() -> dict[str, Any]:
    """Three rounds; the machine was half as fast in the second."""
    speeds = [("limit", [400_000, 200_000, 400_000]), ("helix", [360_000, 176_000, 320_000])]
    measurements = [
        make_measurement(number, server, "closed-100", "closed", deliveries_per_second=speed)
        for server, values in speeds
        for number, speed in enumerate(values)
    ]
    measurements += [
        make_measurement(number, "helix", "rate-200", "rate", p50_us=800, p99_us=p99, backlog=3)
        for number, p99 in enumerate([9_000, 15_000, 12_500])
    ]
    return {
        "date": "2026-01-31",
        "machine": {
            "cpu": "Some CPU",
            "cores": 2,
            "cores_are_shared": False,
            "kernel": "6.1.0",
            "load_average": 0.1,
            "versions": {"Python": "3.11.7"},
        },
        "settings": {"rounds": 3, "duration": 2.0},
        "servers": {"limit": "C loop", "helix": "Helix"},
        "left_out": {"Node ws": "node is not installed"},
        "measurements": measurements,
        "failures": [],
    }


def test_ratios_are_taken_within_a_round(record: dict[str, Any]) -> None:
    ratios = report.ratios_to_limit(
        record["measurements"], "closed-100", "helix", "deliveries_per_second"
    )
    assert ratios == pytest.approx([0.9, 0.88, 0.8])


def test_a_figure_is_shown_as_above_another_scenarios(record: dict[str, Any]) -> None:
    record["servers"]["memory"] = "Memory"
    record["measurements"] = [
        make_measurement(
            number, "memory", name, "idle", joins_per_second=600, join_cpu_us=open_cost + cost
        )
        for name, cost in (("joins-open", 0), ("joins-rs256", 300))
        for number, open_cost in enumerate([900, 1800, 1000])
    ]
    rows = [line for line in report.markdown(record).splitlines() if "| joins-rs256 |" in line]
    assert rows == [
        "| joins-rs256 | connects and joins a second | ≥ 500 | 600 (600 to 600) | met |",
        "| joins-rs256 | CPU per connect and join, us |  | 1,300 (1,200 to 2,100) |  |",
        "| joins-rs256 | above joins-open, us |  | 300 (300 to 300) |  |",
    ]


def test_a_round_without_the_limit_has_no_ratio(record: dict[str, Any]) -> None:
    rest = [m for m in record["measurements"] if (m["server"], m["round"]) != ("limit", 1)]
    ratios = report.ratios_to_limit(rest, "closed-100", "helix", "deliveries_per_second")
    assert ratios == pytest.approx([0.9, 0.8])


def test_the_markdown_table_holds_medians_goals_and_verdicts(record: dict[str, Any]) -> None:
    assert report.markdown(record) == (
        "Measured on 2026-01-31: Some CPU, 2 cores, Linux 6.1.0; Python 3.11.7. Rounds: 3, with 2 s"
        " for each figure. A cell is the median of the rounds, and in brackets the least and the"
        " most of them. Node ws was left out: node is not installed.\n"
        "\n"
        "| scenario | figure | goal | C loop | Helix | Helix's goal |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| closed-100 | deliveries a second, ratio to the C loop | ≥ 0.85"
        " | 400,000/s (200,000 to 400,000) | 0.88 (0.8 to 0.9) | met |\n"
        "| rate-200 | latency p50, ms |  | - | 0.8 (0.8 to 0.8) |  |\n"
        "| rate-200 | latency p99, ms | ≤ 10 | - | 12.5 (9 to 15) | missed |\n"
        "| rate-200 | backlog at the end, changes |  | - | 3 (3 to 3) |  |\n"
    )


def test_the_table_of_the_stores_has_their_goals(record: dict[str, Any]) -> None:
    speeds = {"memory": 9_000, "sqlite": 9_999, "postgresql": 6_000}
    record["servers"] = {name: scenarios.TITLES[name] for name in speeds}
    record["machine"]["fsync_us"] = 1_230
    record["measurements"] = [
        make_measurement(
            0,
            server,
            "document-1000",
            "closed",
            documents=1,
            acknowledged_per_second=speed,
            p50_us=1,
            p99_us=2,
            half_p50_us=3,
            half_p99_us=20_000,
        )
        for server, speed in speeds.items()
    ]
    lines = report.markdown(record).splitlines()
    assert "A write of 4 KiB with fsync took 1.23 ms" in lines[0]
    assert lines[2] == (
        "| scenario | figure | goal | Memory | SQLite | PostgreSQL | Helix's goal |"
    )
    assert lines[4] == (
        "| document-1000 | patches acknowledged a second | SQLite ≥ 10,000, PostgreSQL ≥ 5,000"
        " | 9,000 | 9,999 | 6,000 | missed on SQLite |"
    )
    assert lines[8] == ("| document-1000 | p99 at half of that load, ms |  | 20 | 20 | 20 |  |")
    assert not report.was_disturbed(record["measurements"][0])


def test_relay_mode_and_stores_have_a_table_each(record: dict[str, Any]) -> None:
    record["servers"]["sqlite"] = "SQLite"
    record["measurements"].append(
        make_measurement(0, "sqlite", "document-log", "load", load_p50_us=5, bytes_per_entry=200)
    )
    tables = report.text_table(record).split("\n\n")
    assert [table.splitlines()[2].split()[0] for table in tables] == ["closed-100", "document-log"]


def test_what_is_measured_on_one_server_alone_is_shown(record: dict[str, Any]) -> None:
    figures = {"rejoin_seconds": 4.2, "half_rejoin_seconds": 3.1}
    figures |= {"lags_over_50_ms": 0, "largest_lag_ms": 41}
    record["measurements"].append(make_measurement(0, "helix", "storm-5000", "storm", **figures))
    rows = [row for row in report.markdown(record).splitlines() if "| storm-5000 |" in row]
    assert len(rows) == 4
    assert all("| - |" in row for row in rows)
    assert rows[0].startswith("| storm-5000 | until all have joined, s | ≤ 10 |")
    assert rows[0].endswith("| met |")


def test_a_store_that_cannot_be_started_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> None:
        raise servers.UnavailableError("no PostgreSQL here")

    monkeypatch.setitem(servers.MAKERS, "postgresql", make)
    made, left_out = run.make_servers(["sqlite", "postgresql"])
    assert [server.name for server in made] == ["sqlite"]
    assert left_out == {"PostgreSQL": "no PostgreSQL here"}


def test_a_server_that_did_not_get_its_core_is_reported(record: dict[str, Any]) -> None:
    record["measurements"][0]["figures"].update(server_cpu_share=0.5, generator_idle_share=0.7)
    assert "In 1 of 9 measurements something else had the server's core" in report.markdown(record)


def test_the_text_table_has_a_line_for_each_figure(record: dict[str, Any]) -> None:
    lines = report.text_table(record).splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["closed-100"] + 3 * ["rate-200"]


def test_docs_keep_all_but_what_stands_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{report.TABLE_BEGINS}\nold\n{report.TABLE_ENDS}\nafter\n")
    for table in ("first\n", "second\n"):
        report.update_docs(page, table)
    assert page.read_text() == (
        f"before\n{report.TABLE_BEGINS}\n\nsecond\n\n{report.TABLE_ENDS}\nafter\n"
    )


def test_docs_without_markers_are_refused(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("no markers\n")
    with pytest.raises(ValueError, match="needs one"):
        report.update_docs(page, "table")
    assert page.read_text() == "no markers\n"


def test_the_documentation_has_the_markers() -> None:
    report.split_docs(BENCH.parent / "docs" / "performance.md")


def test_every_scenario_says_how_many_connections_it_opens() -> None:
    for scenario in scenarios.SCENARIOS:
        arguments = scenario.generator_arguments(duration=1.0)
        paired = [a for a in arguments if a not in ("--documents", "--half")]
        numbers = dict(zip(paired[::2], paired[1::2], strict=True))
        opened = int(numbers["--members"]) + int(numbers.get("--warm-members", 0))
        assert opened == scenario.connections
        assert not scenario.flows or opened == scenario.flows * int(numbers["--group"])


def test_the_list_names_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(scenario.name in listed for scenario in scenarios.SCENARIOS)


def make_samples(minutes: int, **rises: float) -> list[Any]:
    """Twelve samples a minute; ``rises`` are by the hour, and some moments are far above."""
    still = dict.fromkeys(soak.Sample.__dataclass_fields__, 0.0)
    still |= {"memory": 100.0, "descriptors": 50.0, "sockets": 30.0, "sessions": 9.0}
    samples = []
    for number in range(minutes * 12):
        minute = number / 12
        values = {name: value + rises.get(name, 0.0) * minute / 60 for name, value in still.items()}
        if number % 7 == 0:
            values["memory"] += 40.0
        samples.append(soak.Sample(**{**values, "minute": minute}))
    return samples


@pytest.mark.parametrize(
    ("rises", "not_flat"),
    [
        ({}, []),
        ({"memory": 5.0, "sessions": 9.0}, []),
        ({"memory": 7.0}, ["memory"]),
        ({"descriptors": 11.0, "lag": 1.5}, ["spare descriptors", "lag"]),
        ({"descriptors": 500.0, "sockets": 500.0}, []),
        ({"memory": -50.0}, []),
    ],
)
def test_soak_judges_what_rises_in_an_hour(rises: dict[str, float], not_flat: list[str]) -> None:
    verdicts = soak.judge(make_samples(20, **rises), warm_up=5)
    assert [one.series.title for one in verdicts if not one.is_flat] == not_flat
    for verdict in verdicts:
        assert ("NOT FLAT" in str(verdict)) is (verdict.series.title in not_flat)


def test_soak_judges_only_what_follows_the_warm_up() -> None:
    samples = make_samples(5, memory=600.0) + [
        soak.Sample(**{**vars(one), "minute": one.minute + 5, "memory": 150.0})
        for one in make_samples(5)
    ]
    assert not soak.judge(samples, warm_up=0)[0].is_flat
    assert soak.judge(samples, warm_up=5)[0].is_flat
    with pytest.raises(servers.BenchError, match="too few"):
        soak.judge(samples, warm_up=8)


def test_soak_watches_a_daemon_while_clients_come_and_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(soak, "CLIENTS_STOP", 1.0)
    output = tmp_path / "samples"
    samples = soak.soak(minutes=0.1, places=30, interval=1.0, output=output)
    assert [json.loads(line) for line in output.read_text().splitlines()] == [
        vars(sample) for sample in samples
    ]
    assert len(samples) >= 5
    assert samples[-1].connected > 5
    assert max(sample.sessions for sample in samples) > 0
    assert all(sample.memory > 20 and sample.descriptors > 5 for sample in samples)
    assert samples[-1].sockets == 0
    visits = json.loads(capsys.readouterr().err.partition("visits: ")[2].splitlines()[0])
    assert visits
    assert not [name for name in visits if ":" in name], visits


def test_attacks_are_watched_from_outside() -> None:
    """What an attack costs is told, and how long others waited meanwhile."""
    row = attacker.run("empty-frames", BENCH.parent, 0.5, [])
    assert row.memory < 500
    assert row.lag >= 0
    assert 0 < row.median <= row.p99 <= row.worst
    assert str(row).count("|") == attacker.HEAD.partition("\n")[0].count("|")
