"""How much the reactor does between two looks at its timers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


class BoundedPoller:
    """
    An ``epoll`` that tells of a few ready descriptors at a time.

    The kernel puts those that it told of behind the others, so each has its turn.
    """

    def __init__(self, poller: Any) -> None:
        self._poller = poller

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def poll(self, timeout: float, maxevents: int) -> Any:
        """Twisted's call: wait, and tell which descriptors are ready for what."""
        return _within(MAX_SECONDS, self._poller.poll(timeout, min(maxevents, MAX_EVENTS)))


def _within(seconds: float, events: Iterable[Any]) -> Iterator[Any]:
    """Give events until the time is over: the kernel tells of the others again."""
    end = perf_counter() + seconds
    for event in events:
        yield event
        if perf_counter() > end:
            return


def bound_turns(reactor: object) -> None:
    """
    Let a reactor serve no more than `MAX_EVENTS` descriptors in one turn, where it uses epoll.

    Twisted's serves all that are ready before it looks at its timers: when thousands of clients
    connect at once, that is after seconds.
    """
    if isinstance(reactor, EPollReactor):
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
