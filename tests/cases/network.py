"""A bad network between pages and a daemon: far away, and cut at the worst moment."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds that the network may take to do what it is told."""


class Link:
    """
    A TCP proxy.

    :param port: the daemon's.
    :param delay: seconds that whatever passes takes, each way.
    :param speed: bytes a second to the client, at most.
    :ivar port: its own; it is kept when the link is taken down and put up again.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, port: int, delay: float, speed: float
    ) -> None:
        self.port = 0
        self._loop = loop
        self._daemon_port = port
        self._delay = delay
        self._speed = speed
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Cut all connections; new ones are let through."""
        self._do(self._cut())

    def down(self) -> None:
        """Cut all connections, and take no more of them."""
        self._do(self._down())

    def up(self) -> None:
        """Take connections again."""
        self._do(self._up())

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE)

    async def _up(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _down(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        for task in self._tasks:
            task.cancel()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._daemon_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there[1]}
        for source, target, speed in (
            (reader, there[1], math.inf),
            (there[0], writer, self._speed),
        ):
            late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
            for work in (self._read(source, late), self._write(late, target, speed)):
                task = self._loop.create_task(work)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _read(self, source: asyncio.StreamReader, late: asyncio.Queue[Any]) -> None:
        data = b"-"
        while data:
            try:
                data = await source.read(1 << 16)
            except OSError:
                data = b""
            late.put_nowait((self._loop.time() + self._delay, data))

    async def _write(
        self, late: asyncio.Queue[Any], target: asyncio.StreamWriter, speed: float
    ) -> None:
        while True:
            at, data = await late.get()
            await asyncio.sleep(at - self._loop.time())
            await asyncio.sleep(len(data) / speed)
            if target.transport.is_closing():
                break
            if not data:
                with suppress(OSError):
                    target.write_eof()
                break
            target.write(data)


class Network:
    """Makes links, which work in a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._links: list[Link] = []

    def link(self, port: int, delay: float = 0.0, speed: float = math.inf) -> Link:
        """A link to the daemon's port; parameters as `Link`'s."""
        self._links.append(Link(self._loop, port, delay, speed))
        return self._links[-1]

    def end(self) -> None:
        for link in self._links:
            link.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


@contextmanager
def network() -> Iterator[Network]:
    """A network, which is gone afterwards."""
    made = Network()
    try:
        yield made
    finally:
        made.end()
