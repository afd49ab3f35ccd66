"""How much the reactor does between two looks at its timers."""

from __future__ import annotations

from typing import Any

from twisted.internet.epollreactor import EPollReactor

MAX_EVENTS = 32
"""Descriptors that are served in one turn: of those that cost most, some 20 ms of work."""


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
        return self._poller.poll(timeout, min(maxevents, MAX_EVENTS))


def bound_turns(reactor: object) -> None:
    """
    Let a reactor serve no more than `MAX_EVENTS` descriptors in one turn, where it uses epoll.

    Twisted's serves all that are ready before it looks at its timers: when thousands of clients
    connect at once, that is after seconds.
    """
    if isinstance(reactor, EPollReactor):
        reactor._poller = BoundedPoller(reactor._poller)
