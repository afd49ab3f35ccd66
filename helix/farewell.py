"""How the members of a session that has ended are told so."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from helix.fanout import Turns
from helix.interfaces import IMember

MEMBERS_ENDED_AT_ONCE = 100
"""How many members of an ended session are told so in one turn of the reactor."""


@attrs.frozen
class Farewell:
    """
    What each member is told at the end of its session.

    :ivar event: ends its channel: ``phx_close`` for good, ``phx_error`` for one who may rejoin.
    :ivar last_words: an event before that; empty for none.
    :ivar payload: of the last words, as JSON.
    """

    event: str
    last_words: str = ""
    payload: bytes = b""

    def tell(self, members: Iterator[IMember], turns: Turns) -> None:
        """Tell the members, a slice in each turn."""
        for count, member in enumerate(members, 1):
            if self.last_words:
                member.push(self.last_words, self.payload)
            member.end(self.event)
            if count == MEMBERS_ENDED_AT_ONCE:
                turns.at_end(lambda: self.tell(members, turns))
                return
