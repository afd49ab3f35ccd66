"""Asks nodes again and again whether they hear each other, and whether they answer at all."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Self

import attrs

from tests.faults.cluster import Node

INTERVAL = 0.1
"""Seconds between two questions."""

TIMEOUT = 1.0
"""Seconds after which a node that hasn't answered counts as silent."""

UP, AWAY, SILENT = "up", "away", "silent"


@attrs.frozen
class Change:
    """
    A node has come to be something else.

    :ivar when: in seconds of the machine's monotonic clock.
    :ivar node: counts from 0.
    :ivar state: what `/api/status` says of its broker, or `SILENT`.
    """

    when: float
    node: int
    state: str


@attrs.define(eq=False)
class Watch:
    """
    A thread for each node, which asks it on its own host: no cut line is in between.

    :ivar changes: what they came to see, in the order of time for each node.
    """

    changes: list[Change] = attrs.field(factory=list)
    _over: threading.Event = attrs.field(factory=threading.Event)

    @classmethod
    @contextmanager
    def over(cls, nodes: Sequence[Node]) -> Iterator[Self]:
        """Watch, until all is over."""
        made = cls()
        threads = [
            threading.Thread(target=made._watch, args=one, daemon=True) for one in enumerate(nodes)
        ]
        for thread in threads:
            thread.start()
        try:
            yield made
        finally:
            made._over.set()
            for thread in threads:
                thread.join()

    def all_are(self, state: str) -> bool:
        """Whether all nodes are so by now."""
        newest = {one.node: one.state for one in list(self.changes)}
        return bool(newest) and all(one == state for one in newest.values())

    def first(self, node: int, state: str, since: float, until: float) -> float | None:
        """When a node first was so between two times; ``None`` if it never was."""
        before = [one for one in self.changes if one.node == node and one.when <= since]
        if before and before[-1].state == state:
            return since
        times = [
            one.when
            for one in self.changes
            if (one.node, one.state) == (node, state) and since < one.when <= until
        ]
        return min(times, default=None)

    def last(self, node: int, state: str, since: float, until: float) -> float | None:
        """When a node last came to be so between two times; ``None`` if it didn't."""
        times = [
            one.when
            for one in self.changes
            if (one.node, one.state) == (node, state) and since < one.when <= until
        ]
        return max(times, default=None)

    def _watch(self, number: int, node: Node) -> None:
        state = ""
        with node.host.namespace.entered():
            while not self._over.wait(INTERVAL):
                now = _ask(node.port)
                if now != state:
                    state = now
                    self.changes.append(Change(time.monotonic(), number, state))


def _ask(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/api/status")
        return str(json.load(connection.getresponse())["broker"])
    except (OSError, http.client.HTTPException, ValueError):
        return SILENT
    finally:
        connection.close()
