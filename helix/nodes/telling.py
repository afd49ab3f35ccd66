"""Tells the other nodes on the same store what was done on this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from helix.interfaces import Gathered, IBroker, IOtherNodes, Relayed, Way
from helix.nodes import messages
from helix.nodes.asking import Asking
from helix.nodes.by_store import ByStore
from helix.nodes.gathering import Gathering
from helix.nodes.neighbours import Neighbours
from helix.nodes.post import Post
from helix.nodes.showing import Showing
from helix.nodes.topics import EVERYONE
from helix.records import Entry, OpenFlow, OpenFlows
from helix.telemetry.events import Telemetry


@implementer(IOtherNodes)
class Telling:
    """
    Publishes what was done here, and subscribes to the flows that are open.

    While the broker is away nothing is told: who comes to hear of that reads the store. Of edits
    nothing is told either while no other node has the flow open, as far as is known, so that they
    cost no more than on a lone node. Whose session of the flow is found then is told how far the
    log has come.

    :param node: this node's id, unlike any other.
    :param clock: the reactor.
    :param wall: tells the time, in Unix seconds.

    :ivar post: sends messages.
    :ivar neighbours: which other nodes are there.
    :ivar asking: asks them.
    :ivar showing: tells them of members, and knows which flows they have open.
    """

    _log: Final = Logger(namespace="helix.nodes")

    def __init__(
        self,
        broker: IBroker,
        node: str,
        clock: IReactorTime,
        wall: Callable[[], float],
        telemetry: Telemetry,
    ) -> None:
        self.post = Post(broker, node, telemetry)
        self.neighbours = Neighbours(clock)
        self.asking = Asking(self.post, self.neighbours, clock)
        self.showing = Showing(self.post, clock, wall)
        self._is_losing = False
        self._gathering = Gathering(self.post, self.neighbours, self.asking)
        self._by_store = ByStore(self.post, self.neighbours, self.showing.shared, clock)
        broker.tell_by_appends(self._by_store)

    def opened(self, flow_id: str) -> None:
        self._by_store.opened(flow_id)
        self.post.subscribe(flow_id)

    def closed(self, flow_id: str) -> None:
        self._by_store.closed(flow_id)
        self.post.unsubscribe(flow_id)

    def appended(self, flow_id: str, epoch: str, entries: Sequence[Entry]) -> None:
        if self._by_store.has_told(flow_id, entries):
            return
        if self.post.is_up and self._may_matter(flow_id):
            max_bytes = 0 if self.post.is_crowded else self.post.max_bytes
            message = messages.encode_entries(self.node, epoch, entries, max_bytes)
            self.post.send(flow_id, "entries", message)

    def reached(self, flow_id: str, epoch: str, version: int, chain: bytes) -> int:
        """
        The log has come so far; more or less of it may have been told.

        :return: bytes that this took.
        """
        message = messages.encode_end(self.node, epoch, version, chain)
        self.post.send(flow_id, "entries", message)
        return len(message)

    def changed(self, flow_id: str) -> None:
        self._say(flow_id, "flow")

    def wants_turn(self, flow_id: str) -> None:
        self._say(flow_id, "turn")

    def deleted(self, flow_id: str, by: str) -> None:
        self.post.send(flow_id, "deleted", messages.encode_deleted(self.node, by))

    def named(self, flow_id: str, epoch: str, told: bytes) -> None:
        self.post.send(flow_id, "name", messages.encode_name(self.node, epoch, told))

    def relayed(self, flow_id: str, relayed: Relayed) -> None:
        # Who has just opened the flow finds what was edited in the document.
        is_edit = relayed.way is Way.EDITED
        matters = self._may_matter(flow_id) if is_edit else self.neighbours.may_be
        if self.post.is_up and matters:
            message = messages.encode_relayed(self.node, relayed)
            if self.post.has_room(message):
                self._is_losing = False
                self.post.send(flow_id, "relay", message)
            elif not self._is_losing:
                self._is_losing = True
                self._log.warn(
                    "Broadcasts are lost to members on other nodes: too much waits for the broker"
                )

    def close(self, flow_id: str, by: str) -> Deferred[Gathered[int]]:
        return self._gathering.close(flow_id, by)

    def open_flow(self, flow_id: str) -> Deferred[Gathered[OpenFlow]]:
        return self._gathering.open_flow(flow_id)

    def open_flows(self, after: str, limit: int) -> Deferred[Gathered[OpenFlows]]:
        return self._gathering.open_flows(after, limit)

    def access_changed(self) -> None:
        """Something was done to what flows give."""
        self._say(EVERYONE, "access")

    def is_here(self) -> None:
        """This node is there: the others shall tell what they do."""
        self._say(EVERYONE, "here")

    def was_away(self) -> None:
        """What was done here meanwhile was told to nobody, and nobody was heard."""
        self.neighbours.doubt()
        self._say(EVERYONE, "lost")

    def leave(self) -> None:
        """This node ends."""
        self._say(EVERYONE, "leaving")

    @property
    def node(self) -> str:
        """This node's id."""
        return self.post.node

    def _may_matter(self, flow_id: str) -> bool:
        """Whether edits of a flow may matter to another node."""
        neighbours = self.neighbours
        present = neighbours.present
        return neighbours.are_in_doubt or (
            bool(present) and self.showing.shared.may_be_open(flow_id, present)
        )

    def _say(self, topic: str, kind: str) -> None:
        self.post.send(topic, kind, messages.encode_look(self.node, kind))
