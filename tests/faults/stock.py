"""
Stock phoenix.js clients: some edit in relay mode, as a page of the first generation does, and some
look at who is there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import attrs

from tests.faults.cluster import Node
from tests.stock_clients.phoenix import Channel, PhoenixProcess
from tests.support.participants import Log
from tests.support.watched import eventually

VERSION = "phoenix18"

REST = 1.0
"""Seconds between an edit that was acknowledged and the next."""

PATIENCE = 20.0
"""Seconds in which the client says what became of a push; after 10 it gives up itself."""

OPTIONS = {"reconnectAfterMs": 100, "rejoinAfterMs": 100, "hasFrames": False}
"""It comes back soon, as the tests cut it off often, and tells only what is of interest."""


@attrs.define(eq=False)
class RelayMember:
    """
    A page that adds one node after another, each until it is acknowledged.

    :ivar acknowledged: the ids of the nodes that were.
    :ivar is_done: whether its newest edit is acknowledged, and none follows.
    """

    name: str
    _channel: Channel
    _over: threading.Event
    acknowledged: list[str] = attrs.field(factory=list)
    is_done: bool = False
    _shown: dict[str, Any] = attrs.field(factory=lambda: {"nodes": [], "edges": []})
    _count: int = 0

    def run(self) -> None:
        """Edit until all is over, and then until the newest edit is acknowledged."""
        with suppress(AssertionError):  # the process has ended, or says nothing: `is_done` tells
            self._edit()

    def _edit(self) -> None:
        while not self._over.wait(REST):
            self._count += 1
            own = f"{self.name}-{self._count}"
            while not self._add(own):
                self._over.wait(REST)
            self.acknowledged.append(own)
        self.is_done = True

    def shown(self) -> dict[str, dict[str, float]]:
        """The places of the nodes that it shows."""
        self._look()
        return {node["id"]: node["position"] for node in self._shown["nodes"]}

    def _look(self) -> None:
        while self._channel.events("flow_update"):
            changes = self._channel.event("flow_update")["changes"]
            if "nodes" in changes:
                self._shown = changes

    def _add(self, own: str) -> bool:
        self._look()
        node = {"id": own, "type": "aiFlowNode", "position": {"x": self._count, "y": 0}, "data": {}}
        others = [one for one in self._shown["nodes"] if one["id"] != own]
        self._shown = {"nodes": [*others, node], "edges": self._shown["edges"]}
        reply = self._channel.push("flow_change", {"changes": self._shown}).reply(PATIENCE)
        return reply.status == "ok" and f"/nodes/{own}" not in reply.response.get("dropped", ())


@attrs.define(eq=False)
class Stock:
    """
    At each node one who edits in relay mode, and one who looks at who is in another flow.

    :ivar onlookers: the channels of the latter, by their client ids.
    """

    members: Sequence[RelayMember]
    onlookers: Mapping[str, Channel]
    _threads: Sequence[threading.Thread]
    _over: threading.Event

    @classmethod
    @contextmanager
    def at(
        cls, nodes: Sequence[Node], directory: Path, flow_id: str, watched_id: str
    ) -> Iterator[Self]:
        """
        Have them edit a flow until `settle`, and look at another one.

        :param directory: where driver.mjs is.
        """
        process = PhoenixProcess(directory, VERSION)
        over = threading.Event()
        members: list[RelayMember] = []
        onlookers: dict[str, Channel] = {}
        threads: list[threading.Thread] = []
        try:
            for number, node in enumerate(nodes):
                socket = process.connect(node.websocket_url, "websocket", **OPTIONS)
                channel = socket.join(f"flow:{flow_id}", events=["flow_update"])
                members.append(RelayMember(f"relay{number}", channel, over))
                name = f"onlooker{number}"
                params = {"mode": "document", "client_id": name}
                onlookers[name] = socket.join(f"flow:{watched_id}", params, True, events=[])
                assert channel.join_reply().status == "ok"
            threads += [threading.Thread(target=member.run, daemon=True) for member in members]
            for thread in threads:
                thread.start()
            yield cls(members, onlookers, threads, over)
        finally:
            over.set()
            process.end()
            for thread in threads:
                thread.join()

    def present(self) -> list[list[str]]:
        """Who is there, as each of the onlookers sees it: a key for each tab, in order."""
        return [
            sorted(key for key, metas in channel.present(PATIENCE).items() for _ in metas)
            for channel in self.onlookers.values()
        ]

    def settle(self) -> None:
        """Let them make no more edits, and wait until what they made is acknowledged."""
        self._over.set()
        for thread in self._threads:
            thread.join(3 * PATIENCE)
        for member in self.members:
            assert member.is_done, f"an edit of {member.name} is not acknowledged"

    def check(self, log: Log) -> None:
        """
        See to it that each edit in relay mode is in the log, and that who made it shows what the
        log makes.

        A page of the first generation says what it shows, not what it changes. Where it was cut off
        for more than five seconds, what it lacks of others' counts as deleted by it (BRI5): such a
        node was in the log, and is gone.
        """
        added, gone = set(), set()
        for entry in log.entries:
            for node_id, node in entry["patch"].get("nodes", {}).items():
                if node is None:
                    gone.add(node_id)
                elif "type" in node:
                    added.add(node_id)
        nodes = json.loads(log.document)["nodes"]
        made = {node_id: node["position"] for node_id, node in nodes.items()}
        for member in self.members:
            assert member.acknowledged
            assert added.issuperset(member.acknowledged)
            missing = set(member.acknowledged).difference(made)
            assert gone.issuperset(missing)
            print(f"{member.name}: {len(member.acknowledged)} edits, {len(missing)} taken back")
            eventually(lambda: member.shown() == made, f"{member.name} shows the document")  # noqa: B023
