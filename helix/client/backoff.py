"""How long a client waits before it tries again."""

from __future__ import annotations

from random import Random

BASE = 0.1
"""The longest first wait, in seconds; each that follows may be twice as long ..."""

CAP = 30.0
"""... up to this."""


class Backoff:
    """
    Exponential, with full jitter: each wait is drawn evenly from zero to a bound that doubles.

    So the clients of a server that comes back don't return all at once.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._bound = BASE

    def next(self) -> float:
        """Draw the next wait, in seconds."""
        bound, self._bound = self._bound, min(CAP, 2 * self._bound)
        return self._random.uniform(0, bound)

    def reset(self) -> None:
        """Begin again with short waits."""
        self._bound = BASE
