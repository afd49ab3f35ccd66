"""Rules of all stores: which snapshots are kept, which flows a query finds."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from msgspec import structs

from helix.records import LISTED_DESCRIPTION, LISTED_TITLE, FlowHead, HeadQuery

RECENT_ENTRIES = 1000
"""How far behind the newest snapshot all others are kept."""

KEPT_DISTANCE = 10_000
"""How far apart (entries) the snapshots are that are kept for good ..."""

KEPT_BYTES = 16 * 1024 * 1024
"""... unless the patches between them are as many bytes."""

PAGE_BYTES = 4 * 1024 * 1024
"""What the patches take that are read from a log at once, unless it is a single one."""

FEW_FLOWS = 1000
"""
How many flows a list looks up and sorts; among more than these it looks through all flows, those
that changed last first.
"""

LISTED_FLOWS = 10_000
"""
How many flows a list first looks up by subjects, to look through all flows for those. Where there
are more, each flow on the way is asked what it gives.
"""

SOUGHT_SUBJECTS = 64
"""
Up to how many subjects are each looked for in a flow. With more, all that the flow gives is looked
through.
"""

MAX_NAMED_VERSIONS = 1000
"""How many versions of a log may have names."""

MAX_KEYS = 10_000
"""How many API keys there may be."""

KEPT_AUDIT = 100_000
"""How many entries of the audit log are kept: the newest."""

SECRET_BYTES = 32
"""Random bytes of the secret of a store."""

_COMPARE = {">=": operator.ge, "<=": operator.le, "<": operator.lt}


def due(versions: Sequence[int]) -> tuple[int, list[int]]:
    """
    Tell which snapshots came to be more than `RECENT_ENTRIES` behind the newest by that one: of
    these it is decided now, once, whether they are kept.

    :param versions: those of all snapshots of a log, in order, at least one.
    :return: the version of the last one before them, which is kept, 0 if there is none; and theirs.
    """
    ends = [version - RECENT_ENTRIES for version in versions[-2:]]
    start = ends[0] if len(ends) > 1 else 0
    kept = max((version for version in versions if version < start), default=0)
    return kept, [version for version in versions if start <= version < ends[-1]]


def expendable(kept: int, decided: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """
    Tell which snapshots are not worth their space, so that loads of any version stay bounded.

    :param kept: the version of the one before, as `due` gives it.
    :param decided: those of which it is decided.
    :param sizes: bytes of the patches that lead to each from the one before.
    """
    gone: list[int] = []
    size = 0
    for version, more in zip(decided, sizes, strict=True):
        size += more
        if version - kept < KEPT_DISTANCE and size < KEPT_BYTES:
            gone.append(version)
        else:
            kept, size = version, 0
    return gone


def brief(head: FlowHead) -> FlowHead:
    """Cut what a brief list shows of a flow."""
    title, description = head.summary.title, head.summary.description
    cut = structs.replace(
        head.summary, title=title[:LISTED_TITLE], description=description[:LISTED_DESCRIPTION]
    )
    return structs.replace(head, summary=cut)


def matches(head: FlowHead, query: HeadQuery) -> bool:
    """Tell whether a query finds a flow that is in its scope."""
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
