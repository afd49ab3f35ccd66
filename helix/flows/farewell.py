"""The reasons why a session ends, and what its members are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

import attrs

from helix.delivery.fanout import Turns
from helix.delivery.protocol import EMPTY
from helix.errors import Draining, FlowDeleted, HelixError, SessionCrashed, SessionEnded
from helix.interfaces import IMember

MEMBERS_ENDED_AT_ONCE = 100
"""How many members of an ended session are told so in one turn of the reactor."""


class End(Enum):
    """Why a session ended; the values are the ``reason`` of ``helix.session.ended``."""

    EMPTY = "empty"
    IDLE = "idle"
    FORCED = "forced"
    DELETED = "deleted"
    CRASHED = "crashed"
    DRAINED = "drained"

    def refusal(self) -> HelixError:
        """Make the error for edits that were not stored before the end."""
        return _REFUSALS[self]()


_REFUSALS: Mapping[End, type[HelixError]] = {
    End.EMPTY: SessionEnded,
    End.IDLE: SessionEnded,
    End.FORCED: SessionEnded,
    End.DELETED: FlowDeleted,
    End.CRASHED: SessionCrashed,
    End.DRAINED: Draining,
}


@attrs.frozen
class Farewell:
    """
    The last messages of a session to its members.

    :ivar event: ends the channel: ``phx_close`` for good, ``phx_error`` if clients may rejoin.
    :ivar last_words: an event before that; empty for none.
    :ivar payload: its payload, as JSON.
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


REJOIN = Farewell("phx_error")

REPLACED = Farewell("phx_close", "replaced", EMPTY)
"""For good: otherwise both clients would replace each other again and again."""
