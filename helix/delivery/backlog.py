"""Counts all bytes that wait for clients, and disconnects clients if there are too many."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from helix.delivery.protocol import Data
from helix.telemetry.events import Telemetry

SHARED_BYTES = 4096
"""Bytes that wait for many are counted once, from this size on."""

KEPT_SHARE = 7 / 8
"""Share of the limit that may remain after clients were cut off; else the next byte is too much."""


class _Base:
    """
    Bytes that wait for somebody.

    :ivar holders: for how many.
    """

    __slots__ = ("holders", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.holders = 0


def _base_of(data: Data) -> bytes:
    """The bytes object that ``data`` keeps in memory."""
    base = data.obj if isinstance(data, memoryview) else data
    assert isinstance(base, bytes)
    return base


class Share:
    """
    The bytes that wait for one client.

    :param backlog: the backlog that it is part of.
    :param shed: called when the client must be disconnected. Nothing may wait for it afterwards.
    """

    __slots__ = ("_backlog", "_bases", "_small", "shed")

    def __init__(self, backlog: Backlog, shed: Callable[[], None]) -> None:
        self._backlog = backlog
        self._bases: dict[int, list[int]] = {}
        self._small = 0
        self.shed = shed

    @property
    def weight(self) -> float:
        """Its bytes; for bytes that wait for several clients, its part of them."""
        bases = self._backlog.bases
        shared = (bases[key].size / bases[key].holders for key in self._bases)
        return self._small + sum(shared)

    def add(self, data: Data) -> None:
        """Count data in; it must be kept until it is counted out."""
        base = _base_of(data)
        size = len(base)
        if size < SHARED_BYTES:
            self._small += size
            self._backlog.grow(self, size)
        elif (pieces := self._bases.get(id(base))) is not None:
            pieces[0] += 1
        else:
            self._bases[id(base)] = [1]
            self._backlog.hold(self, id(base), size)

    def remove(self, data: Data) -> None:
        """Count out data that was counted in, or the last rest of it."""
        base = _base_of(data)
        size = len(base)
        if size < SHARED_BYTES:
            self._small -= size
            self._backlog.shrink(size)
        else:
            pieces = self._bases[id(base)]
            pieces[0] -= 1
            if pieces[0]:
                return
            del self._bases[id(base)]
            self._backlog.release(id(base))
        if not self._small and not self._bases:
            self._backlog.forget(self)

    def clear(self) -> None:
        """Count all of it out."""
        for key in self._bases:
            self._backlog.release(key)
        self._backlog.shrink(self._small)
        self._bases.clear()
        self._small = 0
        self._backlog.forget(self)


class Backlog:
    """
    The bytes that wait for all clients, over all transports.

    Counting costs the same however much waits. Bytes that wait for many clients, such as the
    document of a flow that they joined, are counted once.

    :param clock: the reactor.
    :param telemetry: told of the clients that were cut off.
    :param max_bytes: the limit. Beyond it, the clients with the most waiting bytes are cut off at
        the end of the reactor's turn.

    :ivar size: bytes that wait.
    """

    def __init__(self, clock: IReactorTime, telemetry: Telemetry, max_bytes: int) -> None:
        self.size = 0
        self.bases: dict[int, _Base] = {}
        self._clock = clock
        self._telemetry = telemetry
        self._max_bytes = max_bytes
        self._shares: dict[Share, None] = {}
        self._is_shedding = False

    # what shares call

    def hold(self, share: Share, key: int, size: int) -> None:
        """Count bytes in for one more."""
        base = self.bases.get(key)
        if base is None:
            base = self.bases[key] = _Base(size)
            self.grow(share, size)
        else:
            self._shares[share] = None
        base.holders += 1

    def release(self, key: int) -> None:
        """Count bytes out for one."""
        base = self.bases[key]
        base.holders -= 1
        if not base.holders:
            del self.bases[key]
            self.shrink(base.size)

    def grow(self, share: Share, size: int) -> None:
        """More waits, for the client of a share."""
        self._shares[share] = None
        self.size += size
        if self.size > self._max_bytes and not self._is_shedding:
            self._is_shedding = True
            self._clock.callLater(0, self._shed)

    def shrink(self, size: int) -> None:
        """Less waits."""
        self.size -= size

    def forget(self, share: Share) -> None:
        """Nothing waits for the client of a share."""
        self._shares.pop(share, None)

    # inside

    def _shed(self) -> None:
        """Cut off the clients with the most; not within the call that exceeded the limit."""
        self._is_shedding = False
        if self.size <= self._max_bytes:
            return
        for share in sorted(self._shares, key=lambda one: one.weight, reverse=True):
            if self.size <= KEPT_SHARE * self._max_bytes:
                break
            share.shed()
            self._telemetry.emit("helix.backlog.shed")
