"""The rate limits of one client, and how many violations close its connection."""

from __future__ import annotations

import attrs

from helix.errors import RateLimited, TooManyJoins
from helix.limits.addresses import AddressBudget
from helix.limits.rate_limit import Allowance, Rates, TokenBucket, Work
from helix.limits.weight import BYTES_PER_UNIT

MALFORMED_BURST = 10
"""Malformed frames that a connection may send in a burst ..."""

MALFORMED_RATE = 0.1
"""... and per second, before it is closed."""

REFUSALS_BURST = 5000
"""Frames over its rate limit that a connection may send in a burst ..."""

REFUSALS_RATE = 50.0
"""... and per second, before it is closed."""


@attrs.frozen
class ConnectionLimits:
    """
    The limits of one connection.

    :ivar max_channels: topics joined at once.
    :ivar joins_per_second: joins on average; a burst may be as many as there may be channels.
    :ivar pushes_per_second, bytes_per_second: on average; ten times as many in a burst.
    :ivar max_weight: of one message. (`helix.limits.weight`)
    :ivar work_share: share of the reactor's time that its messages may take on average.
    """

    max_channels: int = 100
    joins_per_second: float = 50.0
    pushes_per_second: float = 1000.0
    bytes_per_second: float = 4 * 1024 * 1024
    max_weight: int = 1024 * 1024 // BYTES_PER_UNIT
    work_share: float = 0.5

    @property
    def rates(self) -> Rates:
        return Rates(
            self.pushes_per_second,
            self.bytes_per_second,
            self.joins_per_second,
            self.max_channels,
        )


class ClientBudget:
    """
    The rate limits of one client, which also count for its address.

    :param address: the budget of its address; ``None`` for this machine.
    :param now: the time it starts at, in seconds, as in all that follows.
    """

    __slots__ = ("_address", "_allowance", "_malformed", "_refusals", "_work")

    def __init__(self, limits: ConnectionLimits, address: AddressBudget | None, now: float) -> None:
        self._address = address
        self._allowance = Allowance(limits.rates, now)
        self._work = Work(limits.work_share, now)
        self._malformed: TokenBucket | None = None
        self._refusals: TokenBucket | None = None

    def spend(self, is_join: bool, size: int, now: float) -> RateLimited | None:
        """
        Take what a frame of ``size`` bytes costs.

        :return: the error to refuse the frame with, if the budget doesn't suffice.
        """
        wait = self._allowance.spend(is_join, size, now)
        if not wait and self._address is not None:
            wait = self._address.allowance.spend(is_join, size, now)
        if not wait:
            return None
        return TooManyJoins(wait) if is_join else RateLimited(wait)

    def owe(self, seconds: float, size: int, now: float) -> float:
        """
        Count the work that the client has caused.

        :param seconds: of the reactor's time.
        :param size: bytes that were written, besides those that the client sent.
        :return: for how many seconds nothing is to be read from the client.
        """
        wait = self._work.owe(now, seconds)
        if size:
            self._allowance.owe_size(size, now)
        if self._address is not None:
            wait = max(wait, self._address.owe(seconds, size, now))
        return wait

    def take_channel(self) -> bool:
        """Count a channel in; ``False`` when its address has as many as it may."""
        if self._address is None:
            return True
        if self._address.channels <= 0:
            return False
        self._address.channels -= 1
        return True

    def return_channel(self) -> None:
        """Count a channel out."""
        if self._address is not None:
            self._address.channels += 1

    def bears_malformed(self, now: float) -> bool:
        """Count a frame that can't be read; ``False`` when there are too many."""
        if self._malformed is None:
            self._malformed = TokenBucket(MALFORMED_RATE, MALFORMED_BURST, now)
        return not self._malformed.take(now)

    def bears_refusal(self, now: float) -> bool:
        """Count a frame that was refused for its rate; ``False`` when there are too many."""
        if self._refusals is None:
            self._refusals = TokenBucket(REFUSALS_RATE, REFUSALS_BURST, now)
        return not self._refusals.take(now)
