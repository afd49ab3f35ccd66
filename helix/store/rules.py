"""What all stores agree on: which snapshots are kept, which flows a query finds."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from helix.records import FlowHead, HeadQuery

RECENT_ENTRIES = 1000
"""How far behind the newest snapshot all others are kept."""

KEPT_DISTANCE = 10_000
"""How far apart (entries) the snapshots are that are kept for good."""


MAX_NAMED_VERSIONS = 1000
"""How many versions of a log may have names."""


_COMPARE = {">=": operator.ge, "<=": operator.le, "<": operator.lt}


def expendable(versions: Sequence[int]) -> list[int]:
    """
    Tell which snapshots are not worth their space, so that loads of any version stay bounded.

    :param versions: those of all snapshots of a log, in order.
    """
    if not versions:
        return []
    gone: list[int] = []
    kept = 0
    for version in versions:
        if version >= versions[-1] - RECENT_ENTRIES:
            break
        if version - kept < KEPT_DISTANCE:
            gone.append(version)
        else:
            kept = version
    return gone


def matches(head: FlowHead, query: HeadQuery) -> bool:
    """Tell whether a query finds a flow."""
    if (head.deleted_at is not None) != query.deleted:
        return False
    if query.before is not None and (head.updated_at, head.flow_id) >= query.before:
        return False
    text = query.text.casefold()
    summary = head.summary
    values: dict[str, float] = {
        "node_count": summary.node_count,
        "edge_count": summary.edge_count,
        "updated_at": head.updated_at,
    }
    if not all(_COMPARE[how](values[what], value) for what, how, value in query.comparisons):
        return False
    return any(
        text in part.casefold() for part in (head.flow_id, summary.title, summary.description)
    )
