"""Decides when a worker that ended starts again, and when no more."""

from __future__ import annotations

from collections import deque

MAX_DEATHS = 5
"""How often a worker may end within `WINDOW`, and start again."""

WINDOW = 120.0
"""Seconds for which an end counts."""

FIRST_DELAY = 0.5
"""Seconds before it starts again for the first time; each further time they double."""


class Deaths:
    """The ends of one worker that nobody asked for."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MAX_DEATHS + 1)

    def count(self, now: float) -> float | None:
        """
        Count one more.

        :param now: seconds, of a clock that is never set.
        :return: seconds after which it may start again; ``None`` when it ended too often.
        """
        self._times.append(now)
        recent = sum(time > now - WINDOW for time in self._times)
        return None if recent > MAX_DEATHS else FIRST_DELAY * 2.0 ** (recent - 1)
