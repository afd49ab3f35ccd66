"""Tells the other nodes of the members of flows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from twisted.internet.interfaces import IReactorTime

from helix.limits.rate_limit import TokenBucket
from helix.members.roster import Changes, Piece, Pointer
from helix.nodes.people import (
    Closed,
    Open,
    Pointers,
    Wanted,
    encode_changes,
    encode_closed,
    encode_open,
    encode_piece,
    encode_pointers,
    encode_wanted,
)
from helix.nodes.post import Post
from helix.nodes.shared import Shared
from helix.nodes.stamps import Stamps
from helix.nodes.topics import EVERYONE, topic_of

BYTES_PER_SECOND = 2 * 1024 * 1024
"""What a node tells of members on average. What is more waits, and only the newest is told."""

BURST_BYTES = 512 * 1024
"""What it tells at once."""


class Showing:
    """
    Tells the other nodes of the members of flows. (`helix.members.roster.Others`)

    Of a flow that no other node has open, nothing is told.

    :param clock: the reactor.
    :param wall: tells the time, in Unix seconds.

    :ivar shared: which flows other nodes have open, too.
    :ivar stamps: the times that joins get.
    :ivar last_session: the number of the newest session.
    """

    def __init__(self, post: Post, clock: IReactorTime, wall: Callable[[], float]) -> None:
        self.shared = Shared(clock)
        self.stamps = Stamps(wall)
        self.last_session = 0
        self._post = post
        self._clock = clock
        self._bucket = TokenBucket(BYTES_PER_SECOND, BURST_BYTES, clock.seconds())

    # Others

    def begin(self, flow_id: str) -> int:
        self.shared.begin(flow_id)
        self.last_session += 1
        return self.last_session

    def end(self, flow_id: str, session: int) -> None:
        if self.shared.is_open(flow_id):
            self._send(flow_id, "closed", encode_closed(self._post.node, Closed(flow_id, session)))
        self.shared.end(flow_id)

    def have_open(self, flow_id: str) -> bool:
        return self.shared.is_open(flow_id)

    def stamp(self) -> int:
        return self.stamps.next()

    @property
    def pause(self) -> float:
        return self._bucket.owe(self._clock.seconds(), 0)

    def show(self, flow_id: str, session: int, changes: Changes) -> int:
        message = encode_changes(self._post.node, self.stamps.last, session, changes)
        return self._send(flow_id, "presence", message)

    def point(self, flow_id: str, session: int, number: int, pointers: Sequence[Pointer]) -> int:
        message = encode_pointers(self._post.node, Pointers(session, number, pointers))
        return self._send(flow_id, "cursors", message)

    # to all, and to one

    def announce(self, flows: dict[str, tuple[int, int]]) -> int:
        """Tell all that flows are open, as `Open.flows`, and return how many bytes that took."""
        message = encode_open(self._post.node, Open(self.stamps.last, flows))
        return self._send(EVERYONE, "open", message)

    def answer(self, node: str, flow_id: str, session: int, piece: Piece) -> int:
        """Tell a node a piece of a roster, and return how many bytes that took."""
        message = encode_piece(self._post.node, self.stamps.last, flow_id, session, piece)
        return self._send(topic_of(node), "roster", message)

    def deny(self, node: str, flow_id: str) -> None:
        """Tell a node that a flow isn't open here."""
        message = encode_closed(self._post.node, Closed(flow_id, self.last_session))
        self._send(topic_of(node), "closed", message)

    def ask(self, node: str, flow_ids: Iterable[str]) -> None:
        """Ask a node for the rosters of flows."""
        message = encode_wanted(self._post.node, Wanted(list(flow_ids)))
        self._send(topic_of(node), "roster?", message)

    # inside

    def _send(self, topic: str, kind: str, message: bytes) -> int:
        """Send a message, and return its bytes; without a broker it is lost."""
        self._post.send(topic, kind, message)
        self._bucket.owe(self._clock.seconds(), len(message))
        return len(message)
