"""Faults, one after another, while writers on all nodes edit; and what must hold afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import attrs

from helix.documents.ids import public_id
from tests.faults.cluster import Cluster, Node
from tests.faults.faults import Fault
from tests.faults.measures import Happened, measure
from tests.faults.stock import Stock
from tests.faults.watch import UP, Watch
from tests.support.participants import (
    Part,
    Participants,
    Reports,
    check_settled,
    playing,
    read_log,
    verify,
)
from tests.support.watched import eventually, faults_in, rest

PROGRAM = "tests.faults.writer"

WINDOW = 2
"""Edits of each flow that a writer has under way."""

CONVERGED = 10.0
"""Seconds within which nodes have all that was written: they look each 5 s at the latest."""

FLOWS = 2

PATIENCE = 90.0
"""Seconds within which everybody edits again after a fault, and has what others did."""

REPORT = os.environ.get("HELIX_FAULTS_REPORT", "")

_numbers = count()


@attrs.define(eq=False)
class Trial:
    """
    Writers and readers at all nodes, and what happens meanwhile.

    :ivar happened: the faults, in order.
    """

    _cluster: Cluster
    _participants: Participants
    _stock: Stock
    _watch: Watch
    happened: list[Happened] = attrs.field(factory=list)

    @property
    def writers(self) -> list[str]:
        return [name for name in self._participants.names if "reader" not in name]

    def have(self, faults: Mapping[str, Fault], seconds: float) -> None:
        """
        Have something happen for so long, and wait until everybody edits again.

        :param faults: by their names; all at once.
        """
        name = " and ".join(faults)
        print(f"{seconds:.1f} s: {name}")
        began = time.monotonic()
        with ExitStack() as stack:
            for fault in faults.values():
                stack.enter_context(fault())
            time.sleep(seconds)
        healed = time.monotonic()
        self.wait_for_all()
        until = time.monotonic()
        self._wait_for_presence()
        self.happened.append(Happened(name, began, healed, until, time.monotonic()))
        self._cluster.databases.renew()

    def wait_for_all(self) -> None:
        """
        Wait until each writer has something acknowledged in each flow that came after this call,
        everybody has all that was acknowledged before, and the nodes hear each other.
        """
        since = time.monotonic()
        newest = self._newest()

        def is_well() -> bool:
            acknowledged = {
                (one.name, one.flow_id)
                for one in self._participants.acknowledged()
                if one.when > since
            }
            if len(acknowledged) < len(self.writers) * len(self._participants.flow_ids):
                return False
            if not self._watch.all_are(UP):
                return False
            there = self._participants.where().values()
            return all(one[flow_id] >= newest[flow_id] for one in there for flow_id in newest)

        eventually(is_well, "everybody has edited and has what others did", PATIENCE)

    def _wait_for_presence(self) -> None:
        """Wait until a stock ``Presence`` at each node shows who is connected, each once."""
        names = [*self._participants.names, *self._stock.onlookers]
        there = sorted(public_id(name) for name in names)

        def is_right() -> bool:
            return all(one == there for one in self._stock.present())

        eventually(is_right, "presence shows who is connected", PATIENCE)

    def _newest(self) -> dict[str, int]:
        """The newest version of each flow that was acknowledged."""
        found: dict[str, int] = {}
        for one in self._participants.acknowledged():
            found[one.flow_id] = max(found.get(one.flow_id, 0), one.version)
        return found

    def check(self) -> None:
        """
        See to it that all that was acknowledged is in the logs, once each and at its version, and
        that all who read the flows, at whichever node, read the same.
        """
        self._stock.settle()
        self._participants.settle()
        self._wait_until_nodes_agree()
        first, *others = self._cluster.nodes
        with first.host.namespace.entered():
            reports = check_settled(first, self._participants)
            logs = {flow_id: read_log(first, flow_id) for flow_id in self._participants.flow_ids}
        for node in others:
            with node.host.namespace.entered():
                for flow_id, log in logs.items():
                    assert read_log(node, flow_id) == log, f"{node.address} has another {flow_id}"
        self._stock.check(logs[self._participants.flow_ids[0]])
        with self._cluster.databases.primary.host.namespace.entered():
            verify(self._cluster.databases.primary.url())
        self._tell(reports)

    def _tell(self, reports: Reports) -> None:
        """Say how long it took, also into the file that `HELIX_FAULTS_REPORT` names."""
        acknowledged = self._participants.acknowledged()
        nodes = len(self._cluster.nodes)
        for one in measure(self.happened, acknowledged, reports, self._watch, nodes):
            print(one)
            if REPORT:
                one.append_to(Path(REPORT))

    def _wait_until_nodes_agree(self) -> None:
        """Wait until each node has the flows as far as edits were acknowledged."""
        newest = self._newest()
        for node in self._cluster.nodes:
            with node.host.namespace.entered():
                for flow_id, version in newest.items():
                    what = f"{node.address} has {flow_id} up to {version}"
                    eventually(lambda: _version(node, flow_id) >= version, what, CONVERGED)  # noqa: B023


def _version(node: Node, flow_id: str) -> int:
    version: int = rest(node, "GET", f"/flows/{flow_id}")["version"]
    return version


def _parts(cluster: Cluster) -> list[Part]:
    """A writer and a reader at each node, and a writer that goes elsewhere where it is cut off."""
    urls = [node.url for node in cluster.nodes]
    parts = [Part("roaming", ",".join(reversed(urls)), WINDOW, PROGRAM)]
    for number, url in enumerate(urls):
        parts.append(Part(f"writer{number}", url, WINDOW, PROGRAM))
        parts.append(Part(f"reader{number}", url, 0, PROGRAM))
    return parts


@contextmanager
def trial(cluster: Cluster, directory: Path, driver: Path, seed: int = 0) -> Iterator[Trial]:
    """
    Have people at all nodes edit new flows, until all is over; in the first, in relay mode too.

    :param driver: the directory of driver.mjs.
    """
    flow_ids = [f"flow{next(_numbers)}" for _ in range(FLOWS)]
    logged = [len(node.log) for node in cluster.nodes]
    with (
        cluster.clients.namespace.entered(),
        Watch.over(cluster.nodes) as watch,
        playing(_parts(cluster), directory, flow_ids, seed) as participants,
        Stock.at(cluster.nodes, driver, *flow_ids) as stock,
    ):
        made = Trial(cluster, participants, stock, watch)
        made.wait_for_all()
        yield made
    for node, start in zip(cluster.nodes, logged, strict=True):
        log = node.log[start:]
        print(log)  # for pytest to show on failure
        assert not faults_in(log), f"{node.address} tells of a fault"
