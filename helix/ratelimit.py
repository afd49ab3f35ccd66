"""How often something may happen."""

from __future__ import annotations


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

    def take(self, now: float) -> bool:
        """Take one token at the time ``now`` (seconds); ``False`` when there is none."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
