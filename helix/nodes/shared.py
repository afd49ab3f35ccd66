"""Which flows are open on several nodes."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

import attrs
from twisted.internet.interfaces import IReactorTime


class Sign(Enum):
    """What a message of a session says of it."""

    NEW = "new"
    KNOWN = "known"
    OLD = "old"


@attrs.define
class _Open:
    """
    Another node's session.

    :ivar number: of it, or of the last one that has ended.
    :ivar heard_at: when there was the last sign of it.
    """

    number: int
    heard_at: float
    is_open: bool = True


class Shared:
    """
    The flows that are open here, and the other nodes that have them open too, as far as is known.

    A node says which flows it has open when it opens them, and all of them to a node that it finds,
    and again and again. So this may lag behind by a message or, where one was lost, by the time
    until it is repeated. One of another version of Helix may never say so.

    :param clock: the reactor.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._flows: dict[str, dict[str, _Open]] = {}
        self._announcers: dict[str, bool] = {}  # whether they take entries on their own topics

    def begin(self, flow_id: str) -> None:
        """A flow is open here."""
        self._flows[flow_id] = {}

    def end(self, flow_id: str) -> None:
        """It isn't any more."""
        self._flows.pop(flow_id, None)

    def is_open(self, flow_id: str) -> bool:
        """Whether a flow that is open here is open on another node, too."""
        nodes = self._flows.get(flow_id)
        return nodes is not None and any(one.is_open for one in nodes.values())

    def announced(self, node: str, takes_entries: bool) -> None:
        """
        A node has said which flows it has open.

        :param takes_entries: whether it takes entries on its own topic.
        """
        self._announcers[node] = takes_entries

    def may_be_open(self, flow_id: str, nodes: Iterable[str]) -> bool:
        """
        Whether a flow is open on another node, or nobody knows.

        :param nodes: those that are there.
        """
        return (
            flow_id not in self._flows
            or not self._announcers.keys() >= set(nodes)
            or self.is_open(flow_id)
        )

    def readers(self, flow_id: str, nodes: Iterable[str]) -> list[str] | None:
        """
        Give the other nodes that have a flow open; ``None`` where nobody knows, or one of them
        takes no entries on its own topic.

        :param nodes: those that are there.
        """
        known = self._flows.get(flow_id)
        if known is None or not self._announcers.keys() >= set(nodes):
            return None
        readers = [node for node, one in known.items() if one.is_open]
        return readers if all(self._announcers.get(one) for one in readers) else None

    def hear(self, flow_id: str, node: str, session: int) -> Sign:
        """
        Take a sign of another node's session of a flow that is open here.

        :param session: its number: a node's later sessions have larger ones.
        :return: `Sign.NEW` when it wasn't known to be open; `Sign.OLD` when it has ended.
        """
        nodes = self._flows[flow_id]
        known = nodes.get(node)
        if known is not None:
            if session < known.number or (session == known.number and not known.is_open):
                return Sign.OLD
            if session == known.number:
                known.heard_at = self._clock.seconds()
                return Sign.KNOWN
        nodes[node] = _Open(session, self._clock.seconds())
        return Sign.NEW

    def close(self, flow_id: str, node: str, session: int) -> bool:
        """
        Another node's sessions of a flow, up to that number, have ended.

        :return: whether one was known.
        """
        nodes = self._flows.get(flow_id)
        if nodes is None:
            return False
        known = nodes.get(node)
        if known is not None and known.number > session:
            return False
        nodes[node] = _Open(session, self._clock.seconds(), is_open=False)
        return known is not None and known.is_open

    def lose(self, node: str) -> list[str]:
        """Forget a node, and give the flows that it had open."""
        self._announcers.pop(node, None)
        return [
            flow_id
            for flow_id, nodes in self._flows.items()
            if (known := nodes.pop(node, None)) is not None and known.is_open
        ]

    def silent(self, seconds: float) -> list[tuple[str, str]]:
        """
        Give the open sessions of which there was no sign for so long.

        :return: for each the flow and the node.
        """
        before = self._clock.seconds() - seconds
        return [
            (flow_id, node)
            for flow_id, nodes in self._flows.items()
            for node, known in nodes.items()
            if known.is_open and known.heard_at < before
        ]

    def expire(self, seconds: float) -> list[tuple[str, str]]:
        """
        Forget sessions of which there was no sign for so long, and give those as `silent`.
        """
        expired = self.silent(seconds)
        before = self._clock.seconds() - seconds
        for nodes in self._flows.values():
            for node in [node for node, known in nodes.items() if known.heard_at < before]:
                del nodes[node]
        return expired
