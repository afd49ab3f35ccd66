"""
How soon does a member learn that access is gone? ``python bench/revocations.py --help``.

A daemon on SQLite has thousands of members, who come in by the access lists of their flows, by a
group, and by a link. While the flows are edited, members are taken off by REST, one by one; then
the group, the link, and some more from another process. Each must be told at once, and nobody else
may notice: whoever stays must get every entry, and whoever is gone none.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

from admission import OWNER, RequestRefused, Rest, member_id, signer
from crowd import Answer, Asker, Crowd, CrowdError, Member
from databases import sqlite_store
from run import raise_descriptor_limit, say
from servers import (
    SOURCE_DIRECTORY,
    BenchError,
    make_helix,
    running,
    stop,
    stop_on_termination,
    working_directory,
)

ASKERS = 4
"""Connections over which members are taken off the lists."""

BESIDE = 20
"""How many are taken off by another process."""

BESIDE_INTERVAL = 0.7  # seconds
GROUP = "crew"
NODES = 20
GOAL = 1.0  # seconds, for the 99th percentile
PATIENCE = 30.0  # seconds until whoever was taken off has been told
JOIN_PATIENCE = 0.05  # seconds a member
LATE = 0.05  # seconds: a bucket of the reactor's lags


@dataclass(frozen=True)
class Plan:
    """
    What is done.

    :param members: in all flows together.
    :param revocations: how many are taken off the lists one by one.
    :param rate: of these in a second.
    :param edits: of each flow in a second.
    """

    members: int
    flows: int
    revocations: int
    rate: float
    edits: float

    @property
    def each(self) -> int:
        """Members of each flow; the first of them edits it."""
        return self.members // self.flows

    @property
    def company(self) -> int:
        """Of the first flow, how many come by the group, and how many by the link."""
        return self.each // 10


@dataclass
class Told:
    """
    When somebody was taken off, and when that was done.

    :ivar done_at: when the request was answered, or the other process had kept it; ``None`` before.
    """

    member: Member
    sent_at: float
    done_at: float | None = None


@dataclass(frozen=True)
class Row:
    """
    How soon some members were told.

    :ivar since_sent, since_done: seconds, in order.
    :ivar late: how often the reactor was later than `LATE`.
    :ivar share: of a core that the daemon took meanwhile.
    """

    title: str
    since_sent: Sequence[float]
    since_done: Sequence[float]
    late: int
    share: float

    @property
    def p99(self) -> float:
        return at_share(self.since_sent, 0.99)

    def __str__(self) -> str:
        cells = [self.title, f"{len(self.since_sent):,}"]
        for seconds in (self.since_sent, self.since_done):
            values = (median(seconds), at_share(seconds, 0.99), seconds[-1])
            cells += [f"{1000 * value:.0f}" for value in values]
        return f"| {' | '.join(cells)} | {self.late} | {self.share:.2f} |"


HEAD = (
    "| | members | from the request: p50, ms | p99 | max | from the answer: p50, ms | p99 | max"
    " | turns over 50 ms late | cores |\n"
    "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |"
)


def at_share(values: Sequence[float], share: float) -> float:
    """A percentile of values that are in order."""
    return values[min(len(values) - 1, int(len(values) * share))]


class Daemon:
    """What the daemon says of itself, for its administrator."""

    def __init__(self, port: int, pid: int) -> None:
        self._port = port
        self._pid = pid
        self._token = signer("hs256").token("operator", admin=True)

    def metrics(self) -> dict[str, float]:
        """The metrics by name, their labels a part of it."""
        with Rest(self._port, self._token) as rest:
            text: str = rest.ask("GET", "/metrics")
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}

    def late(self) -> int:
        """How often its reactor has been later than `LATE`."""
        values = self.metrics()
        within = values[f'helix_reactor_lag_seconds_bucket{{le="{LATE:g}"}}']
        return round(values["helix_reactor_lag_seconds_count"] - within)

    def cpu(self) -> float:
        """Seconds that all its threads have had."""
        total = 0
        for task in Path(f"/proc/{self._pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9


class Trial:
    """
    The members of a plan, the edits of their flows, and what is taken from them.

    :param port, pid: of the daemon.

    :ivar rows: what was measured.
    """

    def __init__(self, plan: Plan, port: int, pid: int, crowd: Crowd) -> None:
        self.rows: list[Row] = []
        self._plan = plan
        self._port = port
        self._daemon = Daemon(port, pid)
        self._crowd = crowd
        self._owner = signer("hs256").token(OWNER, create=["team-*"])
        self._askers: list[Asker] = []
        self._editors: list[Member] = []
        self._listed: list[Member] = []
        self._grouped: list[Member] = []
        self._guests: list[Member] = []
        self._link = ""
        self._gone: set[Member] = set()
        self._edits = 0
        self._edited_at = 0.0

    def prepare(self) -> None:
        """Make the flows, and let everybody in."""
        flows, company = range(self._plan.flows), range(self._plan.company)
        sign = signer("hs256").token
        secret = self._share()
        with Rest(self._port) as rest:
            guests = [rest.ask("POST", "/api/guests", {"link": secret}) for _ in company]
        self._editors = self._join((f"team-{flow}", OWNER, self._owner) for flow in flows)
        self._listed = self._join(
            (f"team-{flow}", one, sign(one)) for flow in flows for one in self._on_list(flow)
        )
        crew = [f"{GROUP}-{number}" for number in company]
        self._grouped = self._join(("team-0", one, sign(one, groups=[GROUP])) for one in crew)
        self._guests = self._join(("team-0", one["principal_id"], one["token"]) for one in guests)
        Random(15).shuffle(self._listed)
        self._edited_at = time.monotonic()

    def revoke_members(self) -> None:
        """Take members off the lists, one by one at a steady rate."""
        with self._measured("members, one by one") as told:
            began = time.monotonic()
            for number in range(self._plan.revocations):
                due = began + number / self._plan.rate
                while time.monotonic() < due or not any(one.is_free for one in self._askers):
                    self._turn()
                member = self._listed.pop()
                path = f"/api/flows/{member.flow}/access"
                self._ask("PATCH", path, {"members": {member.principal_id: None}}, [member], told)

    def revoke_group(self) -> None:
        with self._measured("a group") as told:
            path = "/api/flows/team-0/access"
            self._ask("PATCH", path, {"groups": {GROUP: None}}, self._grouped, told)

    def revoke_link(self) -> None:
        with self._measured("a link with its guests") as told:
            path = f"/api/flows/team-0/links/{self._link}"
            self._ask("DELETE", path, None, self._guests, told)

    def revoke_beside(self, url: str) -> None:
        """
        Take members off the lists by another process.

        :param url: of the store.
        """
        with revoker(url) as revoke, self._measured("members, by another process") as told:
            for _ in range(min(BESIDE, len(self._listed))):
                member = self._listed.pop()
                sent = time.monotonic()
                told.append(Told(member, sent, revoke(member)))
                while time.monotonic() < sent + BESIDE_INTERVAL:
                    self._turn()

    def check(self) -> None:
        """
        Check that whoever is left has every entry, and that nobody else is gone.

        :raises CrowdError: when that isn't so.
        """
        self._crowd.run(1.0)
        newest = {editor.flow: editor for editor in self._editors}
        left = [member for member in self._crowd.members if member not in self._gone]
        self._crowd.run_until(
            lambda: all(member.version == newest[member.flow].version for member in left),
            PATIENCE,
            "some members lack entries",
        )
        if sum(editor.version or 0 for editor in self._editors) < self._edits:
            raise CrowdError("not all edits were accepted")
        if any(member.revoked_at is not None for member in left):
            raise CrowdError("somebody else was told that access is gone")
        say(
            f"{len(self._gone):,} are gone; {len(left):,} stayed, and got all {self._edits:,} edits"
        )

    # inside

    def _share(self) -> str:
        """
        Make the flows, which give access to everybody.

        :return: the secret of a link to the first of them.
        """
        nodes = {
            f"n{one}": {
                "id": f"n{one}",
                "type": "agent",
                "data": {},
                "position": {"x": 0, "y": one},
            }
            for one in range(NODES)
        }
        with Rest(self._port, self._owner) as rest:
            for flow in range(self._plan.flows):
                rest.ask("POST", "/api/flows", {"id": f"team-{flow}", "document": {"nodes": nodes}})
                members = dict.fromkeys(self._on_list(flow), "viewer")
                rest.ask("PATCH", f"/api/flows/team-{flow}/access", {"members": members})
            rest.ask("PATCH", "/api/flows/team-0/access", {"groups": {GROUP: "commenter"}})
            link = rest.ask("POST", "/api/flows/team-0/links", {"role": "viewer"})
        self._link = link["id"]
        secret: str = link["secret"]
        return secret

    def _on_list(self, flow: int) -> list[str]:
        """Who is on the access list of a flow."""
        others = 1 + (2 * self._plan.company if flow == 0 else 0)
        return [member_id(flow * self._plan.each + at) for at in range(self._plan.each - others)]

    def _join(self, wanted: Iterable[tuple[str, str, str]]) -> list[Member]:
        return self._crowd.join(wanted, PATIENCE + self._plan.members * JOIN_PATIENCE)

    def _ask(
        self, method: str, path: str, body: object, members: Sequence[Member], told: list[Told]
    ) -> None:
        """Ask for what takes away the access of some members."""
        new = [Told(member, time.monotonic()) for member in members]
        told += new

        def answered(answer: Answer) -> None:
            if not 200 <= answer.status < 300:
                raise CrowdError(f"{method} {path}: {answer.status} {answer.content[:300]!r}")
            for one in new:
                one.done_at = answer.answered_at

        next(asker for asker in self._askers if asker.is_free).ask(method, path, body, answered)

    def _turn(self) -> None:
        """Take what arrives, and edit when it is time for that."""
        now = time.monotonic()
        step = 1 / (self._plan.edits * self._plan.flows)
        while self._edited_at <= now:
            editor = self._editors[self._edits % len(self._editors)]
            node = f"n{self._edits % NODES}"
            editor.patch({"nodes": {node: {"position": {"x": self._edits + 1}}}})
            self._edits += 1
            self._edited_at += step
        self._crowd.turn(0.005)

    @contextlib.contextmanager
    def _measured(self, title: str) -> Iterator[list[Told]]:
        """Make a row of what is done meanwhile, once all who are to be told have been."""
        told: list[Told] = []
        self._askers = [self._crowd.asker(self._owner) for _ in range(ASKERS)]
        late, cpu, began = self._daemon.late(), self._daemon.cpu(), time.monotonic()
        yield told
        until = time.monotonic() + PATIENCE
        while any(one.done_at is None or one.member.closed_at is None for one in told):
            self._turn()
            if time.monotonic() > until:
                raise CrowdError(f"{title}: somebody wasn't told within {PATIENCE:g} s")
        share = (self._daemon.cpu() - cpu) / (time.monotonic() - began)
        while self._askers:
            self._crowd.dismiss(self._askers.pop())
        self._gone.update(one.member for one in told)
        row = make_row(title, told, self._daemon.late() - late, share)
        say(str(row))
        self.rows.append(row)


def make_row(title: str, told: Sequence[Told], late: int, share: float) -> Row:
    """
    Make a row of members who all have been told.

    Where one was told before the answer came, it counts as told with it.
    """
    since_sent, since_done = [], []
    for one in told:
        at = one.member.revoked_at
        if at is not None and one.done_at is not None:
            since_sent.append(at - one.sent_at)
            since_done.append(max(0.0, at - one.done_at))
    return Row(title, sorted(since_sent), sorted(since_done), late, share)


@contextlib.contextmanager
def revoker(url: str) -> Iterator[Callable[[Member], float]]:
    """
    Run a process that takes members off lists.

    :return: what tells it to, and when it was done, in the time of ``time.monotonic``.
    """
    process = subprocess.Popen(
        [sys.executable, str(SOURCE_DIRECTORY / "revoke_beside.py"), url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    told, asked = process.stdout, process.stdin

    def revoke(member: Member) -> float:
        asked.write(json.dumps([member.flow, member.principal_id]) + "\n")
        asked.flush()
        return float(told.readline() or "nan")

    try:
        if told.readline() != "ready\n":
            raise BenchError("the other process doesn't open the store")
        yield revoke
    finally:
        asked.close()
        stop(process)
        told.close()


def run_trial(plan: Plan) -> list[Row]:
    """
    Do what a plan says, on a daemon of its own.

    :raises BenchError: when somebody is cut off, refused, not told, or lacks an entry.
    """
    connections = plan.members + ASKERS + 10
    cores = os.sched_getaffinity(0)
    with working_directory() as directory, sqlite_store(directory) as store:
        options = ["--store", store.url, *signer("hs256").options(directory)]
        with running(make_helix("sqlite"), connections, cores, directory, options) as where:
            try:
                with Crowd(int(where[1])) as crowd:
                    trial = Trial(plan, int(where[1]), int(where[3]), crowd)
                    began = time.monotonic()
                    trial.prepare()
                    say(f"{len(crowd.members):,} joined in {time.monotonic() - began:.0f} s")
                    trial.revoke_members()
                    trial.revoke_group()
                    trial.revoke_link()
                    trial.revoke_beside(store.url)
                    trial.check()
            except (CrowdError, RequestRefused, OSError) as error:
                raise BenchError(str(error)) from None
            return trial.rows


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/revocations.py",
        description="How soon do members learn that their access is gone?",
    )
    parser.add_argument("--members", type=int, default=10_000, help="in all (10000)")
    parser.add_argument("--flows", type=int, default=10, help="that they are in (10)")
    parser.add_argument("--revocations", type=int, default=1000, help="one by one (1000)")
    parser.add_argument("--rate", type=float, default=25.0, help="of these in a second (25)")
    parser.add_argument("--edits", type=float, default=1.0, help="of each flow in a second (1)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser()
    options = parser.parse_args(arguments)
    plan = Plan(options.members, options.flows, options.revocations, options.rate, options.edits)
    if min(plan.flows, plan.revocations) < 1 or min(plan.rate, plan.edits) <= 0:
        parser.error("these must be positive")
    if plan.each < 10 or plan.revocations > plan.members * 7 // 10:
        parser.error("each flow needs 10 members, and seven of ten may be taken off the lists")
    stop_on_termination()
    raise_descriptor_limit()
    try:
        rows = run_trial(plan)
    except BenchError as error:
        say(str(error))
        return 1
    print(HEAD, *rows, sep="\n")
    return 0 if all(row.p99 <= GOAL for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
