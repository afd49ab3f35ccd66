"""Has the store tell other nodes of appends, where it can."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import attrs
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from helix.interfaces import ITeller, Word
from helix.nodes import messages
from helix.nodes.neighbours import Neighbours
from helix.nodes.post import Post
from helix.nodes.shared import Shared
from helix.nodes.topics import topic_of
from helix.records import Entry

MAX_READERS = 4
"""Nodes that the store tells of an append, each by a message of its own."""

APART = 1.0
"""
Seconds after an edit of a member in relay mode in which all edits of the flow are published, so
that none overtakes it.
"""


@attrs.define(eq=False)
class _Flow:
    """
    A flow that is open here.

    :ivar apart_until: until when its edits are published.
    :ivar readers: the nodes that the store tells of the append under way.
    :ivar version: of the last entry of which they were told.
    """

    apart_until: float = -inf
    readers: Sequence[str] = ()
    version: int = 0


@implementer(ITeller)
class ByStore:
    """
    Says what the store tells other nodes of an append: in the same round trip, so that no message
    is sent for it.

    It tells those that have the flow open, each on its own topic: on the flow's, this node would
    be told, too. Where nobody knows who they are, or they are many, edits are published. So are
    those of members in relay mode: what such members are sent is published before them, and has to
    come before them.
    """

    def __init__(
        self, post: Post, neighbours: Neighbours, shared: Shared, clock: IReactorTime
    ) -> None:
        self._post = post
        self._neighbours = neighbours
        self._shared = shared
        self._clock = clock
        self._flows: dict[str, _Flow] = {}

    def opened(self, flow_id: str) -> None:
        """A flow is open here."""
        self._flows[flow_id] = _Flow()

    def closed(self, flow_id: str) -> None:
        """It isn't any more."""
        self._flows.pop(flow_id, None)

    def has_told(self, flow_id: str, entries: Sequence[Entry]) -> bool:
        """Whether all nodes that have a flow open were told of entries, as far as is known."""
        flow = self._flows.get(flow_id)
        if flow is None or flow.version != entries[-1].version:
            return False
        flow.version = 0
        readers = self._readers(flow_id)
        return readers is not None and set(readers) <= set(flow.readers)

    # ITeller

    def word(self, flow_id: str, epoch: str, entries: Sequence[Entry]) -> Word | None:
        flow = self._flows.get(flow_id)
        if flow is None or not self._post.is_up:
            return None
        now = self._clock.seconds()
        if any(entry.op_id is None for entry in entries):  # as those of relay members are
            flow.apart_until = now + APART
        if now < flow.apart_until:
            return None
        flow.version, flow.readers = 0, self._readers(flow_id) or ()
        if not 0 < len(flow.readers) <= MAX_READERS:
            return None
        post = self._post
        message = messages.encode_entries(post.node, epoch, entries, post.max_bytes, flow_id)
        return Word([topic_of(node) for node in flow.readers], message)

    def told(self, flow_id: str, entries: Sequence[Entry]) -> None:
        flow = self._flows.get(flow_id)
        if flow is not None:
            flow.version = entries[-1].version
            self._post.count("entries")

    # inside

    def _readers(self, flow_id: str) -> list[str] | None:
        """Give the nodes that have a flow open; ``None`` where nobody knows."""
        if self._neighbours.are_in_doubt:
            return None
        return self._shared.readers(flow_id, self._neighbours.present)
