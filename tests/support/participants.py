"""Processes that edit the flows of a daemon, and what must be true of the flows afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import attrs

from helix.documents.document import FlowDocument, empty_document, encode_document
from helix.documents.ids import public_id
from tests.support.daemon import Daemon
from tests.support.rawsocket import RawWebSocket
from tests.support.watched import eventually, get

ROOT = Path(__file__).resolve().parents[2]

PATIENCE = 30.0
"""Seconds that a process may take to come to its end."""

Reports = dict[str, dict[str, dict[str, Any]]]

WINDOW = 3
"""Edits of one flow that a writer has under way."""


class Acknowledged(NamedTuple):
    """
    An edit that a writer knows to be durable.

    :ivar number: counts the edits of that writer in that flow.
    :ivar when: seconds of the machine's monotonic clock.
    """

    flow_id: str
    epoch: str
    version: int
    name: str
    number: int
    when: float


@attrs.define(eq=False)
class Participants:
    """Writers (`tests.support.participant`), and one who only looks on; each is in all flows."""

    flow_ids: Sequence[str]
    _journals: dict[str, Path]
    _processes: dict[str, subprocess.Popen[str]]

    @property
    def names(self) -> list[str]:
        return list(self._processes)

    def acknowledged(self) -> list[Acknowledged]:
        """What was acknowledged by now, of each writer in order."""
        found = []
        for journal in self._journals.values():
            whole, _, _ = journal.read_text().rpartition("\n") if journal.exists() else ("",) * 3
            found += [Acknowledged(*json.loads(line)) for line in whole.splitlines()]
        return found

    def wait_for(self, more: int) -> None:
        """Wait until so many more edits are acknowledged."""
        enough = self._count() + more
        eventually(lambda: self._check() or self._count() >= enough, f"{more} edits", PATIENCE)

    def settle(self) -> None:
        """Let all make no more edits, and wait until what they made is acknowledged."""
        for process in self._processes.values():
            _tell(process, "settle")
        for process in self._processes.values():
            assert process.stdout is not None
            assert process.stdout.readline() == "settled\n"

    def where(self) -> dict[str, dict[str, int]]:
        """How far each sees each flow, by names and flow ids."""
        for process in self._processes.values():
            _tell(process, "where")
        found = {}
        for name, process in self._processes.items():
            assert process.stdout is not None
            found[name] = json.loads(process.stdout.readline())
        return found

    def end(self, versions: dict[str, int]) -> Reports:
        """
        Let all see the flows up to ``versions``, and end.

        :return: the reports by the names, each by flow id.
        """
        deadline = time.monotonic() + PATIENCE
        for process in self._processes.values():
            _tell(process, json.dumps(versions))
        for process in self._processes.values():
            assert process.wait(max(0.1, deadline - time.monotonic())) == 0
        return {
            name: json.loads(Path(f"{journal}.report").read_text())
            for name, journal in self._journals.items()
        }

    def _count(self) -> int:
        return sum(j.read_bytes().count(b"\n") for j in self._journals.values() if j.exists())

    def _check(self) -> bool:
        for name, process in self._processes.items():
            assert process.poll() is None, f"{name} ended with {process.returncode}"
        return False


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


@attrs.frozen
class Part:
    """
    What one process takes part as.

    :ivar name: its client id, too.
    :ivar url: the daemon's, or as the program understands it.
    :ivar window: how many edits of each flow it keeps under way.
    :ivar program: the module that it runs.
    """

    name: str
    url: str
    window: int = WINDOW
    program: str = "tests.support.participant"


@contextmanager
def taking_part(
    daemon: Daemon, directory: Path, flow_ids: Sequence[str], writers: int, seed: int
) -> Iterator[Participants]:
    """Start the processes; they are killed in the end, if they are still there."""
    url = f"http://{daemon.address}"
    parts = [Part("reader", url, 0)]
    parts += [Part(f"writer{number}", url) for number in range(1, writers + 1)]
    with playing(parts, directory, flow_ids, seed) as participants:
        yield participants


@contextmanager
def playing(
    parts: Sequence[Part], directory: Path, flow_ids: Sequence[str], seed: int
) -> Iterator[Participants]:
    """As `taking_part`, for parts that are told one by one."""
    processes: dict[str, subprocess.Popen[str]] = {}
    journals: dict[str, Path] = {}
    try:
        for number, part in enumerate(parts):
            journals[part.name] = journal = directory / f"{part.name}.journal"
            own = [part.url, part.name, str(seed + number), str(part.window), str(journal)]
            processes[part.name] = subprocess.Popen(
                [sys.executable, "-m", part.program, *own, *flow_ids],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        yield Participants(flow_ids, journals, processes)
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


def check(daemon: Daemon, participants: Participants) -> None:
    """
    See to it that all edits were made, and what was acknowledged is in the logs: once each, where
    it was acknowledged, in an order on which all agree who read the flows in any way.
    """
    participants.settle()
    check_settled(daemon, participants)


def check_settled(daemon: Daemon, participants: Participants) -> Reports:
    """
    As `check`, of participants that have settled.

    :return: the reports of all, by their names and then by flow id.
    """
    logs = {flow_id: read_log(daemon, flow_id) for flow_id in participants.flow_ids}
    acknowledged = participants.acknowledged()
    reports = participants.end({flow_id: len(log.entries) for flow_id, log in logs.items()})
    assert acknowledged
    for one in acknowledged:
        log = logs[one.flow_id]
        assert one.epoch == log.epoch
        entry = log.entries[one.version - 1]
        made = (entry["client_id"], entry["patch"]["data"])
        assert made == (public_id(one.name), {one.name: one.number})
    for flow_id, log in logs.items():
        for name in participants.names:
            _check_report(log, name, reports[name][flow_id])
            told = [a.number for a in acknowledged if (a.flow_id, a.name) == (flow_id, name)]
            assert sorted(told) == list(range(1, reports[name][flow_id]["newest"] + 1))
    return reports


class Log(NamedTuple):
    """A flow as REST lists it, and the document that this makes."""

    epoch: str
    entries: list[dict[str, Any]]
    document: bytes


def read_log(daemon: Daemon, flow_id: str) -> Log:
    """Read a flow's log; REST and who joins now show the document that it makes."""
    entries: list[dict[str, Any]] = []
    document = FlowDocument(empty_document())
    after: int | None = 0
    while after is not None:
        status, body = get(daemon, f"/api/flows/{flow_id}/entries?after={after}&limit=1000")
        assert status == 200, body
        page = json.loads(body)
        entries += page["entries"]
        after = page["next"]
    assert [entry["version"] for entry in entries] == list(range(1, len(entries) + 1))
    for entry in entries:
        document.apply(entry["patch"])
    made = encode_document(document.content)
    flow = json.loads(get(daemon, f"/api/flows/{flow_id}")[1])
    with RawWebSocket(daemon.port) as newcomer:
        params = {"mode": "document", "client_id": "newcomer"}
        reply: Any = newcomer.ask(f"flow:{flow_id}", "phx_join", params)[4]
    for told in (flow, reply["response"]):
        assert (told["epoch"], told["version"]) == (flow["epoch"], len(entries))
        assert encode_document(told["document"]) == made
    return Log(flow["epoch"], entries, made)


def _check_report(log: Log, name: str, report: dict[str, Any]) -> None:
    """What one process saw of a flow, and made, is what the log says."""
    assert (report["epoch"], report["version"]) == (log.epoch, len(log.entries))
    assert encode_document(report["document"]) == log.document
    for epoch, version, client_id, op_id, patch, _ in report["seen"]:
        entry = log.entries[version - 1]
        assert epoch == log.epoch
        assert (entry["client_id"], entry["op_id"], entry["patch"]) == (client_id, op_id, patch)
    versions = [version for _, version, *_ in report["seen"]]
    assert all(a < b for a, b in pairwise(versions)), "an entry was told twice, or out of order"
    own = [entry for entry in log.entries if entry["client_id"] == public_id(name)]
    numbers = [entry["patch"]["data"][name] for entry in own]
    assert numbers == list(range(1, report["newest"] + 1)), "lost, twice, or out of order"


def verify(store: str) -> None:
    """Have ``helix verify`` find no difference."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "helix"), "verify", "--store", store],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, "no difference" in done.stdout) == (0, True), done.stderr
