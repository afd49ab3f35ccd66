"""Rate limiters: token buckets for events, bytes and processor time."""

from __future__ import annotations

from collections.abc import Callable

import attrs

BURST_SECONDS = 10
"""A burst may be as large as the average of this many seconds."""


Charge = Callable[[float, int], None]
"""Called with the seconds of processor time that a client took, and the bytes written for it."""


class TokenBucket:
    """
    A token bucket: allows ``rate`` events per second on average and ``burst`` at once.

    :param float rate: tokens per second.
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
        Take tokens for work that is already done, at the time ``now`` (seconds). The bucket may go
        below zero, by at most the tokens of `BURST_SECONDS`.

        :return: 0, or the seconds until the bucket is no longer below zero.
        """
        self._refill(now)
        self._tokens = max(self._tokens - amount, -self._rate * BURST_SECONDS)
        return max(0.0, -self._tokens / self._rate)

    def take(self, now: float, amount: float = 1.0) -> float:
        """
        Take tokens at the time ``now`` (seconds).

        :param amount: how many; if the bucket can't hold so many, all of it.
        :return: 0 when they were taken; else the seconds until there are enough.
        """
        self._refill(now)
        missing = min(amount, self._burst) - self._tokens
        if missing > 0:
            return missing / self._rate
        self._tokens = max(0.0, self._tokens - amount)
        return 0.0

    def give_back(self, amount: float = 1.0) -> None:
        """Put back tokens that were taken."""
        self._tokens = min(self._burst, self._tokens + amount)

    def _refill(self, now: float) -> None:
        passed = now - self._at
        if passed > 0.0:  # by comparing, since calls of min() and max() take as long as the rest
            tokens = self._tokens + passed * self._rate
            self._tokens = tokens if tokens < self._burst else self._burst
        self._at = now


WORK_BURST_SECONDS = 2
"""A burst of the reactor's time may be as large as the average of this many seconds."""


class Work(TokenBucket):
    """
    Limits the reactor's time that a client may take.

    :param share: of the time, on average.
    :param now: the time it starts at, in seconds.
    """

    __slots__ = ()

    def __init__(self, share: float, now: float) -> None:
        super().__init__(share, share * WORK_BURST_SECONDS, now)


@attrs.frozen
class Rates:
    """
    The average rates that a client may send.

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
        """Give the rates of this many such clients."""
        return Rates(
            self.pushes * factor,
            self.size * factor,
            self.joins * factor,
            self.joins_at_once * factor,
        )


class Allowance:
    """
    The rate limiter of a client, or of an address.

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

        :return: 0 when it was taken; else the seconds until it can be.
        """
        return (self._joins if is_join else self._pushes).take(now) or self._size.take(now, size)

    def spend_size(self, size: int, now: float) -> float:
        """As `spend`, for bytes that are no frame."""
        return self._size.take(now, size)

    def owe_size(self, size: int, now: float) -> None:
        """Count bytes that were written for the client beyond those that it sent."""
        self._size.owe(now, size)
