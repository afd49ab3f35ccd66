"""Bounds how much work the reactor does between two looks at its timers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from select import EPOLLIN
from time import perf_counter
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IListeningPort
from twisted.internet.tcp import Port

MAX_EVENTS = 32
"""Descriptors that are served in one turn at most."""

MAX_SECONDS = 0.01
"""Seconds for which descriptors are served in one turn; a started one is served completely."""

MAX_ACCEPTS = 20
"""Connections that a port accepts in one turn."""

MAX_UNSENT_BYTES = 128 * 1024
"""Unsent bytes that the kernel accepts for a connection."""


class BoundedPoller:
    """
    An ``epoll`` that reports a few ready descriptors at a time, and only while there is time.

    The kernel puts reported descriptors behind the others. Those for which there was no time are
    the first when they are reported again. So each gets its turn.

    :ivar turns: how many turns of the reactor have begun: each when the wait before it ends.
    """

    def __init__(self, poller: Any) -> None:
        self._poller = poller
        self.turns = 0
        self._began: float | None = None
        self._longest = 0.0
        self._passed_over: dict[int, int] = {}
        self._readers: dict[int, Callable[[], bool]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def poll(self, timeout: float, maxevents: int) -> Iterator[tuple[int, int]]:
        """Twisted's call: wait, and tell which descriptors are ready for what."""
        self._measure()
        self._began = None
        events = self._poller.poll(timeout, min(maxevents, MAX_EVENTS))
        self.turns += 1
        self._began = began = perf_counter()
        if self._passed_over:
            events.sort(key=lambda event: self._passed_over.get(event[0], self.turns))
        return self._while_there_is_time(events, began + MAX_SECONDS)

    def read_by(self, descriptor: int, read: Callable[[], bool]) -> None:
        """
        Let what arrives at a descriptor be read without the reactor, whose way there takes longer
        than many a read. Until `forget`.

        :param read: reads, and never raises; it returns ``False`` to leave that to the reactor.
        """
        self._readers[descriptor] = read

    def forget(self, descriptor: int) -> None:
        """Undo `read_by`, before the descriptor may become another's."""
        self._readers.pop(descriptor, None)

    def take_longest(self) -> float:
        """
        Give for how many seconds a turn has lasted at most since this was asked last. Of the turn
        under way, what follows counts next time.
        """
        self._measure()
        longest, self._longest = self._longest, 0.0
        return longest

    def _measure(self) -> None:
        if self._began is not None:
            now = perf_counter()
            self._longest = max(self._longest, now - self._began)
            self._began = now

    def _while_there_is_time(
        self, events: list[tuple[int, int]], end: float
    ) -> Iterator[tuple[int, int]]:
        for told, event in enumerate(events, 1):
            descriptor, ready = event
            self._passed_over.pop(descriptor, None)
            read = self._readers.get(descriptor) if ready == EPOLLIN else None
            if read is None or not read():
                yield event
            if perf_counter() > end:
                for descriptor, _ in events[told:]:
                    self._passed_over.setdefault(descriptor, self.turns)
                return
        if len(events) < MAX_EVENTS:
            self._passed_over.clear()


def bound_turns(reactor: object) -> None:
    """
    Limit the descriptors that a reactor serves in one turn to `MAX_EVENTS` and `MAX_SECONDS`, if it
    uses epoll.

    By default it serves all ready descriptors before its timers: when thousands of clients connect
    at once, the timers are seconds late.
    """
    if isinstance(reactor, EPollReactor) and not isinstance(reactor._poller, BoundedPoller):
        reactor._poller = BoundedPoller(reactor._poller)


def turns_of(reactor: object) -> BoundedPoller | None:
    """Give what counts a reactor's turns, if `bound_turns` could limit them."""
    poller = getattr(reactor, "_poller", None)
    return poller if isinstance(poller, BoundedPoller) else None


def bound_accepts(port: IListeningPort, most: int = MAX_ACCEPTS) -> None:
    """
    Limit the connections that a port accepts in one turn.

    Twisted begins with 100 and accepts 20 more each time that so many wait.
    """
    if isinstance(port, Port):
        accept = port.doRead

        def read() -> None:
            port.numberAccepts = most
            accept()

        port.doRead = read  # type: ignore[method-assign]  # what the reactor calls


def bound_unsent(port: IListeningPort) -> None:
    """
    Limit the bytes that the kernel accepts for a connection and can't send, to `MAX_UNSENT_BYTES`.

    By default it accepts megabytes for each. A client that reads nothing could make us write them
    for thousands of connections while others wait. The limit doesn't slow connections down: their
    speed depends on the bytes in flight.
    """
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None and isinstance(port, Port):
        with suppress(OSError):  # a kernel that doesn't know it
            port.socket.setsockopt(socket.IPPROTO_TCP, option, MAX_UNSENT_BYTES)
