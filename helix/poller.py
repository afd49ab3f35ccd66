"""Measures how much work the reactor does between two looks at its timers."""

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
"""For how long descriptors are served in one turn; each that is begun is served whole."""

MAX_ACCEPTS = 20
"""Connections that a port accepts in one turn."""

MAX_UNSENT_BYTES = 128 * 1024
"""What the kernel takes for a connection beyond what is on its way there."""


class BoundedPoller:
    """
    An ``epoll`` that tells of a few ready descriptors at a time, and only while there is time.

    The kernel puts those that it told of behind the others; those of them for whom there was no
    time are first when it tells of them again. So each has its turn.
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
    Let a reactor serve descriptors within `MAX_EVENTS` and `MAX_SECONDS` in one turn, where it uses
    epoll.

    Twisted's serves all that are ready before it looks at its timers: when thousands of clients
    connect at once, that is after seconds.
    """
    if isinstance(reactor, EPollReactor) and not isinstance(reactor._poller, BoundedPoller):
        reactor._poller = BoundedPoller(reactor._poller)


def bound_accepts(port: IListeningPort) -> None:
    """
    Let a port accept no more than `MAX_ACCEPTS` connections in one turn.

    Twisted's begins with 100 and takes 20 more each time that so many wait.
    """
    if isinstance(port, Port):
        accept = port.doRead

        def read() -> None:
            port.numberAccepts = MAX_ACCEPTS
            accept()

        port.doRead = read  # type: ignore[method-assign]  # what the reactor calls


def bound_unsent(port: IListeningPort) -> None:
    """
    Let the kernel take no more than `MAX_UNSENT_BYTES` for a connection of a port that the other
    side has no room for.

    By itself it takes megabytes for each, which somebody who reads nothing can have us write a
    thousand times over, in turns that others wait for. How fast a connection is doesn't depend on
    it: that is a matter of what is on its way.
    """
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None and isinstance(port, Port):
        with suppress(OSError):  # a kernel that doesn't know it
            port.socket.setsockopt(socket.IPPROTO_TCP, option, MAX_UNSENT_BYTES)
