"""Rate limiters: token buckets for events, bytes and processor time."""

from __future__ import annotations

from collections.abc import Callable

import attrs

BURST_SECONDS = 10
"""What may be done at once is what may be done on average in so many seconds."""


Charge = Callable[[float, int], None]
"""Told for how many seconds somebody kept a core, and how many bytes were written for them."""


class TokenBucket:
    """
    Allows ``rate`` events a second on average and ``burst`` at once.

    :param float rate: tokens a second.
    :param float burst: how many tokens the bucket holds; it starts full.
    :param float now: the time it starts at, in seconds.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def owe(self, now: float, amount: float) -> float:
        """
        Take tokens for what was done already, at the time ``now`` (seconds), be they there or not.
        What is owed is bounded by what comes in `BURST_SECONDS`.

        :return: 0, or in how many seconds nothing will be owed any more.
        """
        self._refill(now)
        self._tokens = max(self._tokens - amount, -self._rate * BURST_SECONDS)
        return max(0.0, -self._tokens / self._rate)

    def take(self, now: float, amount: float = 1.0) -> float:
        """
        Take tokens at the time ``now`` (seconds).

        :param amount: how many; of more than the bucket holds, all.
        :return: 0 when they were taken; else in how many seconds there will be as many.
        """
        self._refill(now)
        missing = min(amount, self._burst) - self._tokens
        if missing > 0:
            return missing / self._rate
        self._tokens = max(0.0, self._tokens - amount)
        return 0.0

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now


WORK_BURST_SECONDS = 2
"""Of the reactor's time may be taken at once what may be taken on average in so many seconds."""


class Work(TokenBucket):
    """
    How much of the reactor's time somebody may still take.

    :param share: of it, on average.
    :param now: the time it starts at, in seconds.
    """

    __slots__ = ()

    def __init__(self, share: float, now: float) -> None:
        super().__init__(share, share * WORK_BURST_SECONDS, now)


@attrs.frozen
class Rates:
    """
    What a client may send on average.

    :ivar pushes: a second; everything but joins is one.
    :ivar size: bytes a second.
    :ivar joins: a second.
    :ivar joins_at_once: as a client joins its topics anew after a reconnect.
    """

    pushes: float = 1000.0
    size: float = 4 * 1024 * 1024
    joins: float = 50.0
    joins_at_once: float = 100.0

    def times(self, factor: float) -> Rates:
        """Give the rates of so many such clients."""
        return Rates(
            self.pushes * factor,
            self.size * factor,
            self.joins * factor,
            self.joins_at_once * factor,
        )


class Allowance:
    """
    What a client, or an address, may still send.

    :param now: the time it starts at, in seconds.
    """

    __slots__ = ("_joins", "_pushes", "_size")

    def __init__(self, rates: Rates, now: float) -> None:
        self._pushes = TokenBucket(rates.pushes, rates.pushes * BURST_SECONDS, now)
        self._size = TokenBucket(rates.size, rates.size * BURST_SECONDS, now)
        self._joins = TokenBucket(rates.joins, rates.joins_at_once, now)

    def spend(self, is_join: bool, size: int, now: float) -> float:
        """
        Take what a frame of ``size`` bytes costs at the time ``now``.

        :return: 0 when that was there; else in how many seconds it will be.
        """
        return (self._joins if is_join else self._pushes).take(now) or self._size.take(now, size)

    def spend_size(self, size: int, now: float) -> float:
        """As `spend`, for what is no frame."""
        return self._size.take(now, size)

    def owe_size(self, size: int, now: float) -> None:
        """Count bytes that were written for who sent few."""
        self._size.owe(now, size)
