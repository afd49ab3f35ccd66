"""
The whole server in memory (`Stack`), for what clients see over HTTP, WebSockets and long polling.

It is made as the daemon makes it, and started. Only the reactor is a `Clock`, and the store and the
connections are in memory. What needs no HTTP is tested with the core, `tests.support.world`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from urllib.parse import quote

import txaio
from prometheus_client import disable_created_metrics
from twisted.internet.task import Clock

from helix.config import Config, read_config
from helix.interfaces import IAuthenticator
from helix.store.memory import MemoryStore
from helix.web.editor_files import EditorFiles
from helix.wiring import build_server
from tests.support.bus import Bus
from tests.support.memory_clients import Answer, MemoryConnection, MemoryWebSocket, Poller
from tests.support.rawsocket import upgrade_request
from tests.support.world import Wall, open_memory_store

NOW = 1_700_000_000
"""What the clock of a `Stack` shows at first, in Unix seconds."""


class WorkClock:
    """
    What the reactor's thread has taken, by its own account.

    :ivar step: seconds that everything takes which is measured.
    """

    def __init__(self) -> None:
        self.step = 0.0
        self._taken = 0.0

    def __call__(self) -> float:
        self._taken += self.step
        return self._taken


class Stack:
    """
    A server, wired as `helix.tap` does, and started.

    :param wrap_store: puts something in front of the store in memory.
    :param editor: what was built of it.
    :param authenticator: knows who clients are, in place of what the options say.
    :param http: asks other servers, in place of the network; keys are fetched only then.
    :param bus: carries messages to the other nodes.
    :param seed: unlike that of the other nodes.
    :param options: of ``twistd helix``, with underscores; several values in a list.
    """

    def __init__(
        self,
        wrap_store: Callable[[MemoryStore], Any] = lambda store: store,
        editor: EditorFiles | None = None,
        authenticator: IAuthenticator | None = None,
        http: Any = None,
        bus: Bus | None = None,
        seed: int = 1,
        **options: object,
    ) -> None:
        self.config = make_config(**{"allow_host": "*", **options})
        config = self.config
        disable_created_metrics()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.wall = Wall(self.clock)
        self.store = wrap_store(open_memory_store())
        self.work = WorkClock()
        server = build_server(
            config,
            self.clock,
            self.wall,
            Random(seed),
            self.store,
            editor,
            self.work,
            authenticator=authenticator,
            http=http,
            broker=None if bus is None else bus.broker(self.clock),
        )
        self.keys = server.keys
        self.sign_ins = server.sign_ins
        self.access = server.access
        if http is not None:
            self.keys.startService()
        self.telemetry, self.site = server.telemetry, server.site
        self.sessions, self.clients = server.sessions, server.clients
        self._metrics = server.metrics
        txaio.config.loop = self.clock  # of Autobahn's own timers
        self.nodes = server.nodes
        self.polls = server.polls
        self.sessions.startService()
        if self.nodes is not None:
            self.nodes.startService()
        self.clients.startService()

    def stop(self) -> None:
        """Stop the services, for who looks at what they leave."""
        self.clients.stopService()
        if self.nodes is not None:
            self.nodes.stopService()
        self.sessions.stopService()

    def connect(self, address: str | None = "127.0.0.1") -> MemoryConnection:
        """A new connection."""
        return MemoryConnection(self.site, self.clock, address)

    def request(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        address: str | None = "127.0.0.1",
    ) -> Answer:
        """Request over a connection of its own, and the answer that must be there at once."""
        connection = self.connect(address)
        connection.request(method, target, headers, body)
        return connection.answer

    def get(self, target: str, *headers: tuple[str, str]) -> Answer:
        """A GET, as `request`."""
        return self.request("GET", target, headers)

    def post_json(self, target: str, value: object, *headers: tuple[str, str]) -> Answer:
        """A POST of ``value`` as JSON, as `request`."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.request("POST", target, [("Content-Type", "application/json"), *headers], body)

    def upgrade(
        self,
        query: str = "vsn=2.0.0",
        *headers: tuple[str, str],
        address: str | None = "127.0.0.1",
    ) -> MemoryWebSocket:
        """Ask for a WebSocket."""
        socket = MemoryWebSocket(self.site, self.clock, address)
        socket.send(upgrade_request(f"/socket/websocket?{query}", headers))
        return socket

    def open(self, query: str = "vsn=2.0.0", address: str | None = "127.0.0.1") -> MemoryWebSocket:
        """Open a WebSocket."""
        socket = self.upgrade(query, address=address)
        head, _, rest = socket.take().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        assert not rest
        return socket

    def poller(self, query: str = "vsn=2.0.0", address: str | None = "127.0.0.1") -> Poller:
        """A client that polls."""
        return Poller(self, query, address)

    def member(self, flow_id: str, query: str = "vsn=2.0.0") -> Poller:
        """A client that polls and has joined a flow; it has read what the join brought."""
        poller = self.poller(query)
        poller.join(flow_id)
        return poller

    def run(self, seconds: float, step: float = 0.5) -> None:
        """Let ``seconds`` pass, in steps, so that what is due is done in its order."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)

    def settle(self) -> None:
        """Do what is due now, and what follows from it."""
        for _ in range(20):
            self.clock.advance(0.001)

    def metric(self, name: str) -> float:
        """The value of a metric, of all its labels together."""
        lines = self._metrics.exposition().decode().splitlines()
        values = [
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith((f"{name} ", f"{name}{{"))
        ]
        assert values, f"there is no metric {name}"
        return sum(values)


def make_config(**options: object) -> Config:
    """The configuration that ``options`` and the defaults make."""
    given = {
        name.replace("_", "-"): [
            str(one) for one in (value if isinstance(value, list) else [value])
        ]
        for name, value in options.items()
    }
    return read_config(given, {})


def escaped(flow_id: str) -> str:
    """A flow id as part of an address."""
    return quote(flow_id, safe="")
