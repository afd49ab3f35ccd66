"""
A page as the first generation's was: what it does, not how.

It sends its own copy of the flow soon after each join. It takes no update for a second after one
that it has taken, its own echo too, and never gets those that came meanwhile. Its copy outlives
reloads; what others did gets into it only by what the page itself then saves. It is React Flow 11.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tests.support.world import Client, World

FLOW = "flow:f"

COPY_SENT_AFTER = 0.1
"""Seconds between the answer to its join and its own copy."""

DEAF = 1.0
"""Seconds for which it takes no update after one that it has taken."""

STEP = 0.005
"""Seconds by which the clock goes on at once."""

Flow = dict[str, list[dict[str, Any]]]


def old_node(node_id: str, x: float = 0, **data: Any) -> dict[str, Any]:
    """A node as such a page makes it."""
    return {
        "id": node_id,
        "type": "aiFlowNode",
        "position": {"x": x, "y": 0},
        "style": {"width": 200, "height": 80},
        "data": {"label": node_id, "type": "agent", "color": "#3366ff", **data},
    }


class OldPage:
    """
    One page, and the copy that its browser keeps.

    :param delay: seconds that a frame takes, either way.
    :param saves_screen: whether it keeps all that it shows when it saves; else its own edits only.
    :ivar kept: its copy.
    :ivar shown: what it shows.
    """

    def __init__(
        self, world: World, delay: float = 0, saves_screen: bool = True, width: float = 151.5
    ) -> None:
        self.world = world
        self.kept: Flow = {"nodes": [], "edges": []}
        self.shown: Flow = copy.deepcopy(self.kept)
        self.answers: list[tuple[str, Any]] = []
        self._delay = delay
        self._saves_screen = saves_screen
        self._width = width
        self._client: Client | None = None
        self._deaf_until = 0.0
        self._visit = 0

    # what its user does

    def open(self) -> None:
        """Open, or reload."""
        self.close()
        self.shown = copy.deepcopy(self.kept)
        self._deaf_until = 0.0
        self._client = self.world.client()
        self._join()

    def close(self) -> None:
        if self._client is not None:
            self._visit += 1
            client, self._client = self._client, None
            self.world.clock.callLater(self._delay, client.cut)

    def rename(self) -> None:
        """Have another name: leave, and join."""
        assert self._client is not None
        self._later(self._client.leave, FLOW)
        self._join()

    def edit(self, edit: Callable[[Flow], object]) -> None:
        """Edit what is shown; offline, too."""
        edit(self.shown)
        if self._saves_screen:
            self.kept = copy.deepcopy(self.shown)
        else:
            edit(self.kept)
        if self._client is not None:
            self._send(self.shown)

    def add(self, node_id: str, x: float = 0, **data: Any) -> None:
        self.edit(lambda flow: flow["nodes"].append(old_node(node_id, x, **data)))

    def move(self, node_id: str, x: float) -> None:
        self.edit(lambda flow: _each(flow, node_id, lambda one: one["position"].update(x=x)))

    def label(self, node_id: str, label: str) -> None:
        self.edit(lambda flow: _each(flow, node_id, lambda one: one["data"].update(label=label)))

    def delete(self, node_id: str) -> None:
        def delete(flow: Flow) -> None:
            flow["nodes"] = [one for one in flow["nodes"] if one["id"] != node_id]
            flow["edges"] = [
                one for one in flow["edges"] if node_id not in (one["source"], one["target"])
            ]

        self.edit(delete)

    def nodes(self) -> dict[str, tuple[float, str | None]]:
        """Where the nodes are that it shows, and what is written on them."""
        return places(self.shown["nodes"])

    # what it does by itself

    def look(self) -> None:
        """Take what has arrived."""
        for message in self._client.received() if self._client is not None else ():
            if message.event == "flow_update":
                self._later(self._take, copy.deepcopy(message.payload["changes"]))
            elif message.event == "phx_reply":
                self.answers.append((message.payload["status"], message.payload["response"]))

    def _join(self) -> None:
        assert self._client is not None
        self._later(self._client.join, FLOW)
        wait = COPY_SENT_AFTER + 2 * self._delay
        self.world.clock.callLater(wait, self._if_here(lambda: self._send(self.kept)))

    def _send(self, flow: Flow) -> None:
        assert self._client is not None
        measured = {"width": self._width, "height": 41, "positionAbsolute": {"x": 1, "y": 1}}
        changes = copy.deepcopy(flow)
        changes["nodes"] = [one | measured for one in changes["nodes"]]
        self._later(self._client.change, FLOW, changes)

    def _take(self, changes: Flow) -> None:
        now = self.world.clock.seconds()
        if now >= self._deaf_until:
            self._deaf_until = now + DEAF
            self.shown = {"nodes": changes["nodes"], "edges": changes["edges"]}

    def _later(self, call: Callable[..., object], *args: Any) -> None:
        if self._delay:
            self.world.clock.callLater(self._delay, self._if_here(lambda: call(*args)))
        else:
            call(*args)

    def _if_here(self, call: Callable[[], object]) -> Callable[[], None]:
        """What was on its way when the page was left never gets there."""
        visit = self._visit
        return lambda: None if self._visit != visit else (call(), None)[1]


def _each(flow: Flow, node_id: str, edit: Callable[[dict[str, Any]], object]) -> None:
    for node in flow["nodes"]:
        if node["id"] == node_id:
            edit(node)


def places(nodes: list[dict[str, Any]]) -> dict[str, tuple[float, str | None]]:
    """Where nodes are, and what is written on them."""
    return {one["id"]: (one["position"]["x"], one["data"].get("label")) for one in nodes}


def run(world: World, seconds: float, *pages: OldPage) -> None:
    """Let time go by."""
    for _ in range(round(seconds / STEP)):
        world.clock.turn()
        for page in pages:
            page.look()
        world.clock.advance(STEP)
