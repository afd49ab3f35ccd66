"""
Decides which members need an update again; with no I/O. After each update, the first generation's
page ignores all others for a second.
"""

from __future__ import annotations

import attrs

DEAF = 1.0
"""Seconds for which a page ignores updates after one that it has applied."""

REPEAT_AFTER = 1.1
"""Seconds after the last applied update until the newest is sent again."""

CROSSING = 0.5
"""Seconds in which an update and a message of the page may cross each other."""

SURELY_DEAF = 2 * DEAF - REPEAT_AFTER
"""Seconds after an update that it has taken for which it takes no other, whatever the network."""


@attrs.define(eq=False)
class Hearing:
    """
    What a page hears, if it is one of those.

    :ivar _deaf_from: when it was sent the update from which on it is deaf, seconds of any clock.
    :ivar _is_sure: whether it has taken that, and not another shortly before.
    :ivar _in_doubt_at: when it was sent the last that it may have taken.
    :ivar _missed: whether it may not show the newest.
    """

    _deaf_from: float = float("-inf")
    _is_sure: bool = True
    _in_doubt_at: float = float("-inf")
    _missed: bool = False

    @property
    def repeat_at(self) -> float | None:
        """When it is to be sent the newest update again; ``None`` where it has that."""
        return self._deaf_from + REPEAT_AFTER if self._missed else None

    def was_sent(self, at: float, is_own: bool) -> bool:
        """
        Note an update.

        :param is_own: whether it is what the page sent, as it came.
        :return: whether it may have taken it.
        """
        shows = is_own and at - self._in_doubt_at >= CROSSING
        takes = self._hears(at)
        self._missed = not shows and not (takes and self._deaf_from == at and self._is_sure)
        return takes

    def was_sent_again(self, at: float) -> None:
        """Note that it was sent the newest update again: once more, if it was deaf even then."""
        self._begins(at)
        self._missed = not self._is_sure

    def was_sent_the_same(self, at: float) -> None:
        """Note that it was sent the newest update for the sake of others."""
        self._hears(at)

    def _hears(self, at: float) -> bool:
        """Tell whether it may take what it is sent now, and be deaf from now on."""
        since = at - self._deaf_from
        if since >= REPEAT_AFTER:
            self._begins(at)
        elif since >= SURELY_DEAF or not self._is_sure:
            self._in_doubt_at = at
        else:
            return False
        return True

    def _begins(self, at: float) -> None:
        """It takes an update, unless it is deaf from another that it may have taken."""
        is_in_doubt = self._in_doubt_at > self._deaf_from and at - self._in_doubt_at < REPEAT_AFTER
        self._is_sure = not is_in_doubt
        self._deaf_from = self._in_doubt_at = at
