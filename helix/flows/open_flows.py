"""Which flows somebody has open, page by page, on one node or on several; with no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import nsmallest
from operator import attrgetter

from helix.flows.session import FlowSession
from helix.records import OpenFlow, OpenFlows

_flow_id = attrgetter("flow_id")


def open_flow(session: FlowSession) -> OpenFlow:
    """Describe a flow by its session on this node."""
    return OpenFlow(
        session.flow_id, session.client_count, session.started_at, session.last_activity
    )


def open_flows(sessions: Iterable[FlowSession], after: str, limit: int) -> OpenFlows:
    """
    List flows by their sessions on this node.

    :param after: the id of the last one that is known.
    :param limit: how many at most.
    """
    following = (session for session in sessions if session.flow_id > after)
    some = nsmallest(limit + 1, following, key=_flow_id)
    return OpenFlows([open_flow(session) for session in some[:limit]], len(some) > limit)


def together(flows: Sequence[OpenFlow]) -> OpenFlow:
    """Make one of what several nodes know of the same flow; of one at least."""
    return OpenFlow(
        flows[0].flow_id,
        sum(one.client_count for one in flows),
        min(one.started_at for one in flows),
        max(one.last_activity for one in flows),
    )


def pages_together(pages: Sequence[OpenFlows], limit: int) -> OpenFlows:
    """
    Make one page of those of several nodes, which begin alike.

    It reaches only as far as each of them: of what comes later, a node may know more.
    """
    ends = [page.flows[-1].flow_id for page in pages if page.is_more and page.flows]
    end = min(ends, default=None)
    found: dict[str, list[OpenFlow]] = {}
    for page in pages:
        for flow in page.flows:
            if end is None or flow.flow_id <= end:
                found.setdefault(flow.flow_id, []).append(flow)
    flows = [together(found[flow_id]) for flow_id in sorted(found)]
    is_more = end is not None or len(flows) > limit
    return OpenFlows(flows[:limit], is_more)
