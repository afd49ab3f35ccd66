"""Faults, one after another, while writers on all nodes edit; and what must hold afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

import attrs

from tests.faults.cluster import Cluster, Node
from tests.faults.measures import Happened, measure
from tests.faults.watch import Watch
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
    _watch: Watch
    happened: list[Happened] = attrs.field(factory=list)

    @property
    def writers(self) -> list[str]:
        return [name for name in self._participants.names if "reader" not in name]

    def have(self, name: str, fault: AbstractContextManager[None], seconds: float) -> None:
        """Have a fault for so long, and wait until everybody edits again."""
        began = time.monotonic()
        with fault:
            time.sleep(seconds)
        healed = time.monotonic()
        self.wait_for_all()
        self.happened.append(Happened(name, began, healed, time.monotonic()))

    def wait_for_all(self) -> None:
        """
        Wait until each writer has something acknowledged in each flow that came after this call,
        and everybody has all that was acknowledged before.
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
            there = self._participants.where().values()
            return all(one[flow_id] >= newest[flow_id] for one in there for flow_id in newest)

        eventually(is_well, "everybody has edited and has what others did", PATIENCE)

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
def trial(cluster: Cluster, directory: Path, flows: int = 2, seed: int = 0) -> Iterator[Trial]:
    """Have people at all nodes edit new flows, until all is over."""
    flow_ids = [f"flow{next(_numbers)}" for _ in range(flows)]
    logged = [len(node.log) for node in cluster.nodes]
    with (
        cluster.clients.namespace.entered(),
        Watch.over(cluster.nodes) as watch,
        playing(_parts(cluster), directory, flow_ids, seed) as participants,
    ):
        made = Trial(cluster, participants, watch)
        made.wait_for_all()
        yield made
    for node, start in zip(cluster.nodes, logged, strict=True):
        log = node.log[start:]
        print(log)  # for pytest to show on failure
        assert not faults_in(log), f"{node.address} tells of a fault"
