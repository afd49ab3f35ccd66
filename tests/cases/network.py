"""A bad network between pages and a daemon: far away, and cut at the worst moment."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

PATIENCE = 10.0
"""Seconds that the network may take to do what it is told."""


class Link:
    """
    A TCP proxy.

    :param ports: the daemon's; each connection goes to the first at which somebody takes it.
    :param delay: seconds that whatever passes takes, each way.
    :param speed: bytes a second to the client, at most.
    :ivar port: its own.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, ports: Sequence[int], delay: float, speed: float
    ) -> None:
        self._loop = loop
        self._daemon_ports = ports
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
        self._is_up = False
        self._do(self._end())

    def stall(self, is_stalled: bool) -> None:
        """Let nothing pass, without a word to anybody; or what has come meanwhile, and all."""
        self._loop.call_soon_threadsafe(self._flows.clear if is_stalled else self._flows.set)

    def forget(self) -> None:
        """Let nothing pass on the connections that there are, for ever, and tell nobody of it."""
        self._loop.call_soon_threadsafe(self._forget)

    async def _end(self) -> None:
        for listener in self._server.sockets:
            self._loop.remove_reader(listener)
        await asyncio.sleep(0)  # what was just accepted for a server that is closed would stay open
        await self._cut()
        self._server.close()

    def _forget(self) -> None:
        self._flows.clear()
        self._flows = asyncio.Event()
        self._flows.set()

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE)

    async def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        cancelled = list(self._tasks)
        for task in cancelled:
            task.cancel()
        await asyncio.gather(*cancelled, return_exceptions=True)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._is_up:
            writer.transport.abort()
            return
        self._writers.add(writer)
        self._start(self._join((reader, writer)))

    async def _join(self, one: Streams) -> None:
        other = await self._reach()
        if other is None:
            one[1].transport.abort()
            self._writers.discard(one[1])
            return
        self._writers.add(other[1])
        await self._carry(one, other)

    async def _reach(self) -> Streams | None:
        for port in self._daemon_ports:
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return None

    async def _carry(self, one: Streams, other: Streams) -> None:
        """Carry to the one and the other, until both have come to their end."""
        ways = []
        there = (one[0], other[1], math.inf)
        for source, target, speed in (there, (other[0], one[1], self._speed)):
            late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
            self._start(self._read(source, late))
            ways.append(self._write(late, target, speed, self._flows))
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
        self,
        late: asyncio.Queue[Any],
        target: asyncio.StreamWriter,
        speed: float,
        flows: asyncio.Event,
    ) -> None:
        while True:
            at, data = await late.get()
            await asyncio.sleep(at - self._loop.time())
            await asyncio.sleep(len(data) / speed)
            await flows.wait()
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

    def link(
        self, port: int, delay: float = 0.0, speed: float = math.inf, spare: int | None = None
    ) -> Link:
        """
        A link to the daemon's port; parameters as `Link`'s.

        :param spare: another daemon's port, for while nobody takes connections at the first.
        """
        ports = (port,) if spare is None else (port, spare)
        self._links.append(Link(self._loop, ports, delay, speed))
        return self._links[-1]

    def end(self) -> None:
        for link in self._links:
            link.end()
        asyncio.run_coroutine_threadsafe(self._cancel(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _cancel(self) -> None:
        """Cancel what is left: connections that were just being accepted."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


@contextmanager
def network() -> Iterator[Network]:
    """A network, which is gone afterwards."""
    made = Network()
    try:
        yield made
    finally:
        made.end()
