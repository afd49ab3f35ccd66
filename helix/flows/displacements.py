"""Which clients have joined on another node of late."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

AGAIN = 60.0
"""Seconds in which a member whose client has joined on another node may come back once."""


class Displacements:
    """
    Remembers for `AGAIN` which clients of which flows have joined on another node.

    :param clock: the reactor.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._last: dict[tuple[str, str], float] = {}  # the oldest first

    def note(self, flow_id: str, client_id: str) -> bool:
        """
        Note that a client has joined elsewhere.

        :return: whether it did so before, within `AGAIN`.
        """
        now = self._clock.seconds()
        while self._last and now - next(iter(self._last.values())) >= AGAIN:
            del self._last[next(iter(self._last))]
        is_again = self._last.pop((flow_id, client_id), None) is not None
        self._last[flow_id, client_id] = now
        return is_again
