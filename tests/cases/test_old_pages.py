"""A page of the first generation against a real daemon, nearby and far away."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from tests.cases.network import Network
from tests.support.daemon import Daemon
from tests.support.oldpage import DEAF, OldPage, old_node, places, run
from tests.support.rawsocket import EndOfStream, RawWebSocket
from tests.support.watched import rest
from tests.support.world import Message

pytestmark = pytest.mark.case

SETTLED = 3.0
"""Seconds after which a page shows all that there is."""


class Clock:
    """The real one, as far as a page asks."""

    seconds = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self._calls: list[tuple[float, Callable[[], object]]] = []

    def callLater(self, delay: float, call: Callable[[], object]) -> None:
        self._calls.append((self.seconds() + delay, call))

    def turn(self) -> None:
        now = self.seconds()
        due = [one for one in self._calls if one[0] <= now]
        self._calls = [one for one in self._calls if one[0] > now]
        for _, call in due:
            call()

    @staticmethod
    def advance(seconds: float) -> None:
        """Let time go by: it goes by itself."""
        time.sleep(seconds)


class Wire:
    """A page's connection."""

    def __init__(self, port: int) -> None:
        self._socket = RawWebSocket(port, timeout=60)
        self._arrived: deque[Message] = deque()
        self._count = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def join(self, topic: str) -> None:
        self._push(topic, "phx_join", {})

    def change(self, topic: str, changes: Any) -> None:
        self._push(topic, "flow_change", {"changes": changes})

    def received(self) -> list[Message]:
        return [self._arrived.popleft() for _ in range(len(self._arrived))]

    def cut(self) -> None:
        self._socket.reset()

    def _push(self, topic: str, event: str, payload: Any) -> None:
        self._count += 1
        self._socket.send_json(["1", str(self._count), topic, event, payload])

    def _read(self) -> None:
        try:
            while True:
                self._arrived.append(Message(*self._socket.read_json()))
        except (EndOfStream, OSError):
            return


class World:
    """Where a page is, as `tests.support.oldpage` wants it."""

    def __init__(self, port: int) -> None:
        self.clock = Clock()
        self._port = port

    def client(self) -> Wire:
        return Wire(self._port)


@pytest.mark.parametrize("delay", [0, 0.025])
def test_bri14_an_old_page_undoes_nothing_and_loses_nothing(
    daemon: Daemon, net: Network, delay: float
) -> None:
    world: Any = World(net.link(daemon.port, delay).port)
    page = OldPage(world)
    page.kept["nodes"] = [old_node(name) for name in "abc"]
    page.open()
    run(world, SETTLED, page)
    page.close()
    others = {"a": {"position": {"x": 7}}, "b": None, "n": old_node("n")}
    rest(daemon, "PATCH", "/flows/f", {"nodes": others})
    page.label("c", "offline")
    page.add("own")
    page.open()
    # Between its join and its copy, and while it is deaf.
    rest(daemon, "PATCH", "/flows/f", {"nodes": {"n": {"position": {"x": 9}}}})
    run(world, DEAF / 2, page)
    page.move("own", 3)
    rest(daemon, "PATCH", "/flows/f", {"nodes": {"n": {"position": {"x": 11}}}})
    run(world, SETTLED, page)
    flow = rest(daemon, "GET", "/flows/f")["document"]
    page.close()
    run(world, 0.1, page)
    want = {"a": (7, "a"), "c": (0, "offline"), "n": (11, "n"), "own": (3, "own")}
    assert places([*flow["nodes"].values()]) == want
    assert page.nodes() == want
    assert all(node["style"] == {"width": 200, "height": 80} for node in flow["nodes"].values())
    assert not any({"width", "positionAbsolute"} & node.keys() for node in flow["nodes"].values())
