"""
The load of ``bench/soak.py``, in a process of its own: clients that come and go.

Each place is taken by one visit after another: somebody who edits in document mode or in relay
mode, who polls, who reads too slowly, or a program that uses REST. What a client of any of these
kinds may do to a server by leaving, well or badly, is done here all the time.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, cast

import treq
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import defer
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.task import deferLater
from twisted.web.client import Agent, HTTPConnectionPool, ResponseFailed

reactor: Any = installed_reactor

FLOWS = 30
"""Flows that are edited at a time; each is deleted and replaced now and then."""

NODES = 40
PATIENCE = 10.0  # seconds for one answer
VISIT = 20.0  # mean seconds of a visit
ADDRESSES = 1000
"""Addresses that clients seem to come from, by what a proxy would say."""


def node_patch() -> dict[str, Any]:
    """Move one of a flow's nodes, with some text now and then, or delete it."""
    name = f"n{random.randrange(NODES)}"
    if random.random() < 0.05:
        return {"nodes": {name: None}}
    node: dict[str, Any] = {"id": name, "type": "agent", "data": {}}
    node["position"] = {"x": random.randrange(2000), "y": random.randrange(2000)}
    if random.random() < 0.1:
        node["data"] = {"text": "x" * random.randrange(4000)}
    return {"nodes": {name: node}}


def sleep(seconds: float) -> Deferred[None]:
    return deferLater(reactor, seconds)


def address() -> str:
    number = random.randrange(ADDRESSES)
    return f"10.1.{number // 250}.{number % 250 + 1}"


class Socket(WebSocketClientProtocol):
    """
    A WebSocket on which one channel is joined.

    :ivar opened: fires when it is open, or fails.
    :ivar joined: fires with the reply to the join.
    """

    def __init__(self) -> None:
        super().__init__()
        self.opened: Deferred[None] = Deferred()
        self.joined: Deferred[str] = Deferred()
        self.is_gone = False
        self._ref = 0
        self._topic = ""

    def onOpen(self) -> None:
        if not self.opened.called:
            self.opened.callback(None)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if not self.joined.called and b'"phx_reply"' in payload:
            self.joined.callback(json.loads(payload)[4]["status"])

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.is_gone = True
        for waiting in (self.opened, self.joined):
            if not waiting.called:
                waiting.addErrback(lambda _: None)
                waiting.errback(ConnectionError("closed"))

    async def join(self, topic: str, payload: dict[str, Any]) -> None:
        self._topic = topic
        self.say("phx_join", payload)
        status = await self.joined.addTimeout(PATIENCE, reactor)
        if status != "ok":
            raise ConnectionError("the join was refused")

    def say(self, event: str, payload: dict[str, Any]) -> None:
        self._ref += 1
        frame = ["1", str(self._ref), self._topic, event, payload]
        if not self.is_gone:
            self.sendMessage(json.dumps(frame).encode())

    def leave(self) -> None:
        """In one of the ways in which clients do."""
        way = random.random()
        if self.is_gone or self.transport is None:
            return
        if way < 0.3:
            self.say("phx_leave", {})
            self.sendClose(1000)
        elif way < 0.6:
            self.sendClose(1000)
        else:
            cast(ITCPTransport, self.transport).abortConnection()


class Load:
    """All the clients, and what they count."""

    def __init__(self, port: int) -> None:
        self.counts: Counter[str] = Counter()
        self._port = port
        self._http = f"http://127.0.0.1:{port}"
        self._agent = Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False))
        self._flows = [f"soak-{number}" for number in range(FLOWS)]

    async def place(self) -> None:
        """Have one visit after another, for ever."""
        kinds: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self._edit, 40),
            (self._relay, 20),
            (self._poll, 8),
            (self._read_slowly, 8),
            (self._call, 24),
        ]
        visits, weights = zip(*kinds, strict=True)
        while True:
            visit = random.choices(visits, weights)[0]
            name = visit.__name__.strip("_")
            try:
                await visit()
                self.counts[name] += 1
            except (OSError, defer.TimeoutError, ResponseFailed, ValueError) as error:
                self.counts[f"{name}: {type(error).__name__}"] += 1
            await sleep(random.random())

    # kinds of visits

    async def _edit(self) -> None:
        user = {"name": "Somebody", "color": "#123456"}
        topic = f"flow:{random.choice(self._flows)}"
        parameters = {"mode": "document", "client_id": f"c{random.getrandbits(64):x}", "user": user}
        socket = await self._connect()
        try:
            await socket.join(topic, parameters)
            op_id = 0
            for _ in self._steps(0.2):
                await sleep(0.2)
                if socket.is_gone:
                    break
                socket.say("cursor", {"x": random.randrange(999), "y": random.randrange(999)})
                if random.random() < 0.2:
                    op_id += 1
                    socket.say("patch", {"op_id": op_id, "patch": node_patch()})
                if random.random() < 0.05:
                    socket.say("presence", {"selection": [f"n{random.randrange(NODES)}"]})
        finally:
            socket.leave()

    async def _relay(self) -> None:
        socket = await self._connect()
        try:
            await socket.join(f"flow:{random.choice(self._flows)}", {})
            for _ in self._steps(1.0):
                await sleep(random.random() * 2)
                if socket.is_gone:
                    break
                socket.say("flow_change", {"changes": {"moved": random.random()}})
                socket.say("ping", {})
        finally:
            socket.leave()

    async def _read_slowly(self) -> None:
        """Join the flow where most is said, and stop reading, for good or for a while."""
        socket = await self._connect()
        try:
            client_id = f"s{random.getrandbits(64):x}"
            await socket.join("flow:loud", {"mode": "document", "client_id": client_id})
            transport = cast(IPushProducer, socket.transport)
            transport.pauseProducing()
            await sleep(random.expovariate(1 / VISIT))
            if random.random() < 0.5:
                transport.resumeProducing()
                await sleep(2)
        finally:
            socket.leave()

    async def _poll(self) -> None:
        """Long polling, which simply stops at some time."""
        url = f"{self._http}/socket/longpoll?vsn=2.0.0"
        token = json.loads(await self._ask("GET", url))["token"]
        url += f"&token={token}"
        join = json.dumps(["1", "1", f"flow:{random.choice(self._flows)}", "phx_join", {}])
        await self._ask("POST", url, join, "application/x-ndjson")
        for _ in range(random.randrange(4)):
            await self._ask("GET", url, patience=PATIENCE * 2)

    async def _call(self) -> None:
        """What programs do, and now and then a flow is replaced."""
        text = json.dumps({"document": {"title": "Made by the soak"}})
        made = json.loads(await self._ask("POST", f"{self._http}/api/flows", text))
        url = f"{self._http}/api/flows/{made['id']}"
        for _ in range(random.randrange(6)):
            await self._ask("PATCH", url, json.dumps(node_patch()))
        for path in ("", "/entries", "/export", "/status"):
            await self._ask("GET", url + path)
        await self._ask("GET", f"{self._http}/api/flows?limit=20")
        await self._ask("DELETE", url)
        if random.random() < 0.05:
            number = random.randrange(FLOWS)
            old, new = self._flows[number], f"soak-{number}-{random.getrandbits(32):x}"
            self._flows[number] = new
            await self._ask("DELETE", f"{self._http}/api/flows/{old}")

    async def speak(self) -> None:
        """Keep the loud flow loud."""
        while True:
            try:
                socket = await self._connect()
                await socket.join("flow:loud", {"mode": "document", "client_id": "speaker"})
                op_id = random.getrandbits(40) << 10
                while not socket.is_gone:
                    op_id += 1
                    data = {"text": f"{random.getrandbits(32):x}" * 2000}
                    node = {"id": "n", "type": "agent", "position": {"x": 0, "y": 0}, "data": data}
                    socket.say("patch", {"op_id": op_id, "patch": {"nodes": {"n": node}}})
                    await sleep(0.2)
            except (OSError, defer.TimeoutError) as error:
                self.counts[f"speak: {type(error).__name__}"] += 1
                await sleep(1)

    # what they are made of

    @staticmethod
    def _steps(seconds: float) -> range:
        return range(round(random.expovariate(1 / VISIT) / seconds) + 1)

    async def _connect(self) -> Socket:
        url = f"ws://127.0.0.1:{self._port}/socket/websocket?vsn=2.0.0"
        factory = WebSocketClientFactory(
            url, headers={"X-Forwarded-For": address()}, reactor=reactor
        )
        factory.protocol = Socket
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self._port, timeout=PATIENCE)
        socket = cast(Socket, await endpoint.connect(factory))
        await socket.opened.addTimeout(PATIENCE, reactor)
        return socket

    async def _ask(
        self,
        method: str,
        url: str,
        body: str | None = None,
        kind: str = "application/json",
        patience: float = PATIENCE,
    ) -> str:
        headers: dict[bytes | str, bytes | str] = {
            "Content-Type": kind,
            "X-Forwarded-For": address(),
        }
        response = await treq.request(
            method,
            url,
            data=None if body is None else body.encode(),
            headers=headers,
            agent=self._agent,
            timeout=patience,
        )
        text: str = await response.text()
        if response.code >= 400:
            self.counts[f"{method} {response.code}"] += 1
        return text


def main() -> None:
    port, places = map(int, sys.argv[1:])
    load = Load(port)

    def fail(failure: Any) -> None:
        print(failure.getTraceback(), file=sys.stderr, flush=True)
        reactor.stop()

    for visits in [load.speak(), *(load.place() for _ in range(places))]:
        Deferred.fromCoroutine(visits).addErrback(fail)
    # Before the visits that are under way fail because of the stop.
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: print(json.dumps(load.counts), flush=True)
    )
    reactor.run()


if __name__ == "__main__":
    main()
