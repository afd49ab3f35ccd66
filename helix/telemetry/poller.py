"""Bounds how much work the reactor does between two looks at its timers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
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
    """

    def __init__(self, poller: Any) -> None:
        self._poller = poller
        self._turn = 0
        self._passed_over: dict[int, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def poll(self, timeout: float, maxevents: int) -> Iterator[tuple[int, int]]:
        """Twisted's call: wait, and tell which descriptors are ready for what."""
        events = self._poller.poll(timeout, min(maxevents, MAX_EVENTS))
        self._turn += 1
        if self._passed_over:
            events.sort(key=lambda event: self._passed_over.get(event[0], self._turn))
        return self._while_there_is_time(events)

    def _while_there_is_time(self, events: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        end = perf_counter() + MAX_SECONDS
        for told, event in enumerate(events, 1):
            self._passed_over.pop(event[0], None)
            yield event
            if perf_counter() > end:
                for descriptor, _ in events[told:]:
                    self._passed_over.setdefault(descriptor, self._turn)
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
