"""
A process that edits flows and writes down what was acknowledged; or only looks on.

    python -m tests.support.participant <URL> <name> <seed> <window> <journal> <flow id> ...

It keeps ``window`` edits of each flow under way. The edits of a flow are numbered, and the n-th
sets ``data.<name>`` to n, beside whatever else it does: so each is known again in the log by what
it says, whatever became of its ``op_id``. When one is acknowledged, a line ``[flow id, epoch,
version, name, n, when]`` goes into the journal before the next is made.

It does what stdin says, a line each: ``settle``, to make no more edits, and to answer ``settled``
when all are acknowledged; ``where``, to answer with the versions of the flows, as an object by flow
id; in the end the versions to reach, as an object by flow id, upon which it writes
what it saw of each flow into ``<journal>.report``, and ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from helix.client import DocumentReplaced, EntriesArrived, FlowClient, FlowEntry, FlowEvent
from tests.seeded.fuzzclients import random_patch


class Hasty(Random):
    """Draws waits that are short: the tests restart a server more often than an operator does."""

    def uniform(self, a: float, b: float) -> float:
        return super().uniform(a, min(b, 0.2))


@attrs.define(eq=False)
class Attendance:
    """
    A flow as this process sees it.

    :ivar seen: the entries that it was told, as ``[epoch, entry, when]``, in order.
    :ivar newest: the number of its newest edit.
    :ivar acknowledged: how many of them are.
    """

    client: FlowClient
    seen: list[tuple[str | None, FlowEntry, float]] = attrs.field(factory=list)
    newest: int = 0
    acknowledged: int = 0

    def report(self) -> dict[str, Any]:
        return {
            "epoch": self.client.epoch,
            "version": self.client.version,
            "document": self.client.document,
            "newest": self.newest,
            "seen": [
                [epoch, entry.version, entry.client_id, entry.op_id, entry.patch, when]
                for epoch, entry, when in self.seen
            ],
        }


class Participant(LineOnlyReceiver):
    """All of it; stdin is the peer."""

    delimiter = b"\n"

    def __init__(self, reactor: Any, arguments: list[str]) -> None:
        url, self._name, seed, window, journal, *flow_ids = arguments
        self.done: Deferred[None] = Deferred()
        self._random = Hasty(int(seed))
        self._window = int(window)
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._report_to = Path(f"{journal}.report")
        self._flows = {
            flow_id: Attendance(self.make_client(reactor, url, flow_id)) for flow_id in flow_ids
        }
        self._is_settling = self._has_settled = False
        self._goals: dict[str, int] | None = None

    def make_client(self, reactor: Any, url: str, flow_id: str) -> FlowClient:
        """The client for a flow."""
        return FlowClient(reactor, url, flow_id, client_id=self._name, random=self._random)

    def go_on(self, flow: Attendance) -> None:
        """Make the next edit: one was acknowledged."""
        self.edit(flow)

    def connectionMade(self) -> None:
        for flow in self._flows.values():
            flow.client.listen(lambda event, flow=flow: self._told(flow, event))
            flow.client.start().addCallbacks(self._joined, self._fail, (flow,))

    def lineReceived(self, line: bytes) -> None:
        if line == b"settle":
            self._is_settling = True
            self._look()
        elif line == b"where":
            versions = {flow_id: flow.client.version for flow_id, flow in self._flows.items()}
            self.sendLine(json.dumps(versions).encode())
        else:
            self._goals = json.loads(line)
            self._look()

    def connectionLost(self, reason: Failure = Failure(EOFError())) -> None:  # noqa: B008
        if not self.done.called:
            self.done.errback(reason)

    def _joined(self, _: FlowClient, flow: Attendance) -> None:
        for _n in range(self._window):
            self.edit(flow)

    def edit(self, flow: Attendance) -> None:
        """Make an edit, unless all shall come to an end."""
        if self._is_settling:
            self._look()
            return
        flow.newest += 1
        patch = {**random_patch(self._random), "data": {self._name: flow.newest}}
        flow.client.patch(patch).addCallback(self._acknowledged, flow, flow.newest).addErrback(
            self._fail
        )

    def _acknowledged(self, version: int, flow: Attendance, number: int) -> None:
        client = flow.client
        line = [client.flow_id, client.epoch, version, self._name, number, time.monotonic()]
        os.write(self._journal, json.dumps(line).encode() + b"\n")
        flow.acknowledged += 1
        self.go_on(flow)

    def _told(self, flow: Attendance, event: FlowEvent) -> None:
        if isinstance(event, EntriesArrived):
            now = time.monotonic()
            flow.seen += [(flow.client.epoch, entry, now) for entry in event.entries]
        if isinstance(event, EntriesArrived | DocumentReplaced):
            self._look()

    def _look(self) -> None:
        """See whether what was asked for has come to be."""
        if self._goals is not None:
            goals = self._goals
            if all(flow.client.version >= goals[name] for name, flow in self._flows.items()):
                self._goals = None
                reports = {name: flow.report() for name, flow in self._flows.items()}
                self._report_to.write_text(json.dumps(reports))
                self.done.callback(None)
        elif self._is_settling and not self._has_settled and self._all_acknowledged():
            self._has_settled = True
            self.sendLine(b"settled")

    def _all_acknowledged(self) -> bool:
        return all(flow.acknowledged == flow.newest for flow in self._flows.values())

    def _fail(self, failure: Failure) -> None:
        if not self.done.called:
            self.done.errback(failure)


async def main(reactor: Any, kind: type[Participant] = Participant) -> None:
    """Take part, as one of a kind."""
    participant = kind(reactor, sys.argv[1:])
    StandardIO(participant)
    await participant.done


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
