"""Tells the other nodes on the same store what was done on this one."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from helix.interfaces import IBroker, IOtherNodes
from helix.nodes import messages
from helix.records import Entry
from helix.telemetry.events import Telemetry

EVERYONE = ""
"""The topic of all nodes; the others are the ids of flows, none of which is empty."""


ALONE_SECONDS = 15.0
"""Seconds without a word of another node after which there is none."""


@implementer(IOtherNodes)
class Telling:
    """
    Publishes what was done here, and subscribes to the flows that are open.

    While the broker is away nothing is told: who comes to hear of that reads the store. Of edits
    nothing is told either while no other node is known, so that a lone node has no cost.

    :param node: this node's id, unlike any other.
    :param clock: the reactor.
    """

    def __init__(
        self, broker: IBroker, node: str, clock: IReactorTime, telemetry: Telemetry
    ) -> None:
        self.node = node
        self._clock = clock
        self._met_at = clock.seconds()
        self._broker = broker
        self._telemetry = telemetry

    def opened(self, flow_id: str) -> None:
        self._broker.subscribe(flow_id)

    def closed(self, flow_id: str) -> None:
        self._broker.unsubscribe(flow_id)

    def appended(self, flow_id: str, epoch: str, entries: Sequence[Entry]) -> None:
        if self._broker.is_up and not self._is_alone:
            most = self._broker.max_bytes
            message = messages.encode_entries(self.node, epoch, entries, most)
            self._publish(flow_id, "entries", message)

    def changed(self, flow_id: str) -> None:
        self._publish(flow_id, "flow", messages.encode_look(self.node, "flow"))

    def deleted(self, flow_id: str, by: str) -> None:
        self._publish(flow_id, "deleted", messages.encode_deleted(self.node, by))

    def named(self, flow_id: str, epoch: str, told: bytes) -> None:
        self._publish(flow_id, "name", messages.encode_name(self.node, epoch, told))

    def access_changed(self) -> None:
        """Something was done to what flows give."""
        self._publish(EVERYONE, "access", messages.encode_look(self.node, "access"))

    def is_here(self) -> None:
        """This node is there: the others shall tell what they do."""
        self._publish(EVERYONE, "here", messages.encode_look(self.node, "here"))

    def meet(self) -> None:
        """Another node is there, or may be."""
        self._met_at = self._clock.seconds()

    @property
    def _is_alone(self) -> bool:
        return self._clock.seconds() - self._met_at > ALONE_SECONDS

    def was_away(self) -> None:
        """What was done here meanwhile was told to nobody, and nobody was heard."""
        self.meet()
        self._publish(EVERYONE, "lost", messages.encode_look(self.node, "lost"))

    def _publish(self, topic: str, kind: str, message: bytes) -> None:
        if self._broker.is_up and len(message) <= self._broker.max_bytes:
            self._broker.publish(topic, message)
            self._telemetry.emit("helix.node.sent", metadata={"kind": kind})
