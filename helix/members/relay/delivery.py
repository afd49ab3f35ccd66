"""Broadcasts to members in relay mode, some of whom first wait for the stored flow."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, gatherResults

from helix.delivery.broadcast import Broadcast
from helix.delivery.fanout import Fanout
from helix.interfaces import IMember


class RelayDelivery:
    """
    Broadcasts to the members; held members don't get updates that show the flow.

    :param fanout: makes a way to members of the flow.
    """

    __slots__ = ("_fanout", "_held", "_make")

    def __init__(self, fanout: Callable[[], Fanout]) -> None:
        self._make = fanout
        self._fanout = fanout()
        self._held: tuple[Fanout, set[IMember]] | None = None

    @property
    def shows_nobody(self) -> bool:
        """Whether all members are held back."""
        return self._fanout.is_empty

    def add(self, member: IMember) -> None:
        self._fanout.add(member.outlet, member.topic)

    def remove(self, member: IMember) -> None:
        fanout = self._fanout
        if self._held is not None and member in self._held[1]:
            fanout = self._held[0]
            self._forget(member)
        fanout.remove(member.outlet, member.topic)

    def is_held(self, member: IMember) -> bool:
        return self._held is not None and member in self._held[1]

    def hold(self, member: IMember) -> None:
        """Send a member no updates that show the flow, until it is released."""
        if self._held is None:
            self._held = self._make(), set()
        held, members = self._held
        members.add(member)
        self._fanout.hand_over(member.outlet, member.topic, held)

    def release(self, member: IMember) -> None:
        """Send a held member everything from now on."""
        assert self._held is not None
        held, _ = self._held
        held.flush()
        held.hand_over(member.outlet, member.topic, self._fanout)
        self._forget(member)

    def show(self, broadcast: Broadcast) -> Deferred[None]:
        """Broadcast an update that shows the flow; the result is that of `Fanout.broadcast`."""
        return self._fanout.broadcast(broadcast)

    def tell(self, broadcast: Broadcast) -> Deferred[None]:
        """Broadcast to all."""
        told = self._fanout.broadcast(broadcast)
        if self._held is None:
            return told
        both = gatherResults([told, self._held[0].broadcast(broadcast)])
        return both.addCallback(lambda _: None)

    def flush(self) -> None:
        """Deliver at once what waits."""
        self._fanout.flush()
        if self._held is not None:
            self._held[0].flush()

    def _forget(self, member: IMember) -> None:
        """Remove a member from the held ones."""
        assert self._held is not None
        self._held[1].remove(member)
        if not self._held[1]:
            self._held = None
