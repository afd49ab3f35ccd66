"""A bad network between pages and a daemon: far away, and cut at the worst moment."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

PATIENCE = 10.0
"""Seconds that the network may take to do what it is told."""


class Link:
    """
    A TCP proxy.

    :param port: the daemon's.
    :param delay: seconds that whatever passes takes, each way.
    :param speed: bytes a second to the client, at most.
    :ivar port: its own.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, port: int, delay: float, speed: float
    ) -> None:
        self._loop = loop
        self._daemon_port = port
        self._delay = delay
        self._speed = speed
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_up = True
        self._flows = asyncio.Event()
        self._flows.set()
        self._server = self._do(asyncio.start_server(self._take, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Cut all connections; new ones are let through."""
        self._do(self._cut())

    def down(self) -> None:
        """Cut all connections, and each that comes at once."""
        self._is_up = False
        self._do(self._cut())

    def up(self) -> None:
        """Let connections through again."""
        self._is_up = True

    def end(self) -> None:
        """Cut all connections, and take none any more."""
        self.down()
        self._loop.call_soon_threadsafe(self._server.close)

    def stall(self, is_stalled: bool) -> None:
        """Let nothing pass, without a word to anybody; or what has come meanwhile, and all."""
        self._loop.call_soon_threadsafe(self._flows.clear if is_stalled else self._flows.set)

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE)

    async def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        for task in self._tasks:
            task.cancel()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            there = await asyncio.open_connection("127.0.0.1", self._daemon_port)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(there[1])
        if not self._is_up:
            await self._cut()
            return
        self._start(self._carry((reader, writer), there))

    async def _carry(self, one: Streams, other: Streams) -> None:
        """Carry to the one and the other, until both have come to their end."""
        ways = []
        there = (one[0], other[1], math.inf)
        for source, target, speed in (there, (other[0], one[1], self._speed)):
            late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
            self._start(self._read(source, late))
            ways.append(self._write(late, target, speed))
        try:
            await asyncio.gather(*ways)
        finally:
            for _, writer in (one, other):
                writer.close()
                self._writers.discard(writer)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
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
            await self._flows.wait()
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
            link.end()
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
