"""Who has flows open on all nodes, and what is done to all of them."""

from __future__ import annotations

from typing import Generic, TypeVar

import attrs

from helix.errors import SessionNotFound
from helix.flows.open_flows import open_flow, open_flows, pages_together, together
from helix.flows.service import FlowSessionService
from helix.log.edits import Permit
from helix.records import OpenFlow, OpenFlows

T = TypeVar("T")


@attrs.frozen
class Known(Generic[T]):
    """
    What is known of all nodes.

    :ivar is_complete: whether all have said their part, as far as is known which there are.
    """

    value: T
    is_complete: bool


class SessionsEverywhere:
    """
    The sessions of flows on all nodes.

    What is to be done is done here at once; the other nodes have a second for their part.

    :param here: the sessions on this node.
    """

    def __init__(self, here: FlowSessionService) -> None:
        self._here = here

    async def open_flow(self, flow_id: str) -> Known[OpenFlow | None]:
        """Tell who has a flow open; ``None`` for nobody."""
        session = self._here.get(flow_id)
        here = [] if session is None else [open_flow(session)]
        others = await self._here.nodes.open_flow(flow_id)
        flows = [*here, *others.answers]
        return Known(together(flows) if flows else None, others.is_complete)

    async def client_count(self, flow_id: str) -> Known[int]:
        """Count the members of a flow."""
        found = await self.open_flow(flow_id)
        return Known(found.value.client_count if found.value else 0, found.is_complete)

    async def open_flows(self, after: str, limit: int) -> Known[OpenFlows]:
        """
        List the flows that somebody has open: one page.

        :param after: the id of the last one that is known.
        :param limit: how many at most.
        """
        here = open_flows(self._here.sessions(), after, limit)
        others = await self._here.nodes.open_flows(after, limit)
        return Known(pages_together([here, *others.answers], limit), others.is_complete)

    async def broadcast(self, flow_id: str, changes: bytes, permit: Permit | None) -> Known[int]:
        """
        Broadcast ``changes`` to the members of a flow, as `FlowSessionService.broadcast`.

        :return: how many members those are.
        :raises HelixError: likewise, or when the flow can't be opened to judge them.
        """
        if permit is not None and self._here.get(flow_id) is None:
            found = await self.client_count(flow_id)
            if not found.value:
                return found
            await self._here.check_shown(flow_id, changes, permit)
            permit = None
        count = self._here.broadcast(flow_id, changes, permit)
        others = await self._here.nodes.open_flow(flow_id)
        elsewhere = sum(flow.client_count for flow in others.answers)
        return Known(count + elsewhere, others.is_complete)

    async def close(self, flow_id: str, by: str) -> Known[int]:
        """
        End the sessions of a flow by force, as `FlowSessionService.close`.

        :return: how many members they had.
        :raises SessionNotFound: when there is none on any node.
        """
        asked = self._here.nodes.close(flow_id, by)
        counts: list[int] = []
        if self._here.get(flow_id) is not None:
            counts.append(self._here.close(flow_id, by))
        others = await asked
        counts += others.answers
        if not counts and others.is_complete:
            raise SessionNotFound()
        return Known(sum(counts), others.is_complete)
