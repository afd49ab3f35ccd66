"""
Whom an update has to be sent once more: the first generation's page takes none for a second after
each that it has taken, and never gets those that came meanwhile; with no I/O.
"""

from __future__ import annotations

import attrs

DEAF = 1.0
"""Seconds for which a page takes no update after one that it has taken."""

REPEAT_AFTER = 1.1
"""Seconds after the last update that it has taken at which the newest is sent again."""

CROSSING = 0.5
"""Seconds in which an update and a message of the page may cross each other."""

SURELY_DEAF = 2 * DEAF - REPEAT_AFTER
"""Seconds after an update that it has taken for which it takes no other, whatever the network."""


@attrs.define(eq=False)
class Hearing:
    """
    What a page hears, if it is one of those.

    :ivar _taken_at: when it was sent the last update that it has taken, or may have, seconds of
        any clock.
    :ivar _missed: whether it was sent others since.
    :ivar _doubtful: whether it may have taken another than that of `_taken_at`.
    """

    _taken_at: float = float("-inf")
    _missed: bool = False
    _doubtful: bool = False

    @property
    def repeat_at(self) -> float | None:
        """When it is to be sent the newest update again; ``None`` where it has that."""
        return self._taken_at + REPEAT_AFTER if self._missed else None

    def was_sent(self, at: float, is_own: bool) -> bool:
        """
        Note an update.

        :param is_own: whether it is what the page sent, as it came.
        :return: whether it may have taken it.
        """
        since = at - self._taken_at
        takes = since >= SURELY_DEAF or self._doubtful
        if since >= REPEAT_AFTER:
            self._takes(at)
        elif is_own and since >= CROSSING:
            self._missed = False
            if since >= SURELY_DEAF:
                self._taken_at, self._doubtful = at, True
        else:
            self._missed, self._doubtful = True, takes
        return takes

    def was_sent_again(self, at: float) -> None:
        """Note that it was sent the newest update again: once more, if it was deaf even then."""
        self._takes(at)

    def was_sent_the_same(self, at: float) -> None:
        """Note that it was sent the newest update for the sake of others."""
        if at - self._taken_at >= REPEAT_AFTER:
            self._takes(at)

    def _takes(self, at: float) -> None:
        """It takes an update, unless it is deaf from one of which that was in doubt."""
        self._missed = self._missed and self._doubtful
        self._taken_at, self._doubtful = at, False
