"""The list of flows in ``GET /api/flows``: what is asked for, and one page of it."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from itertools import accumulate

import msgspec
from twisted.web.iweb import IRequest

from helix.access.roles import Right
from helix.delivery.protocol import encode_json
from helix.documents.ids import parse_flow_id
from helix.errors import InvalidFlowId, InvalidParameters
from helix.records import Bounds, FlowHead, HeadQuery
from helix.web.access import scope_of
from helix.web.representations import describe_flow
from helix.web.routes import read_limit, read_number, read_text

FLOWS_ON_A_PAGE = 50

PAGE_BYTES = 4 * 1024 * 1024
"""Maximum bytes of a list of flows."""

_CURSOR = msgspec.json.Decoder(tuple[float, str])


def write_cursor(updated_at: float, flow_id: str) -> str:
    """Write where a page of flows ended, as text that only `read_cursor` understands."""
    return urlsafe_b64encode(encode_json((updated_at, flow_id))).rstrip(b"=").decode()


def read_cursor(text: str) -> tuple[float, str]:
    """
    Read where a page of flows ended.

    :raises InvalidParameters: when `write_cursor` wrote no such text.
    """
    try:
        updated_at, flow_id = _CURSOR.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if write_cursor(updated_at, parse_flow_id(flow_id)) == text:
            return updated_at, flow_id
    except (ValueError, msgspec.MsgspecError, InvalidFlowId):
        pass
    raise InvalidParameters("cursor must be the next of a list of flows")


def read_query(request: IRequest, ago: Callable[[float], float]) -> HeadQuery:
    """
    Read which flows are asked for, of those that the client may see, or, of deleted ones, may bring
    back; and one more than a page has: it tells whether others follow.

    :param ago: gives the time so many seconds before now.
    :raises InvalidParameters: when a parameter can't be understood.
    """
    limit = read_limit(request, FLOWS_ON_A_PAGE)
    cursor = read_text(request, "cursor")
    before = None if cursor is None else read_cursor(cursor)
    deleted = read_text(request, "deleted") or "false"
    if deleted not in ("true", "false"):
        raise InvalidParameters("deleted must be true or false")
    text = read_text(request, "q") or ""
    within, unchanged = (
        None if age is None else ago(age)
        for age in (
            read_number(request, "changed_within", None, 0),
            read_number(request, "unchanged_for", None, 0),
        )
    )
    return HeadQuery(
        text,
        limit + 1,
        before,
        deleted == "true",
        nodes=_read_bounds(request, "nodes"),
        edges=_read_bounds(request, "edges"),
        updated=(within, unchanged),
        scope=scope_of(request, Right.MANAGE if deleted == "true" else Right.READ),
        brief=True,
    )


def page_of(
    heads: Sequence[FlowHead], access: Sequence[dict[str, object]], query: HeadQuery
) -> dict[str, object]:
    """
    Describe what was found, as far as it fits on the page, and where the next page begins.

    :param access: what the client may do with each, as `helix.web.access.describe_access` has it.
    """
    found = zip(heads[: query.limit - 1], access, strict=False)
    flows = _fitting([encode_json(describe_flow(head) | may) for head, may in found])
    last = heads[len(flows) - 1] if len(heads) > len(flows) else None
    cursor = None if last is None else write_cursor(last.updated_at, last.flow_id)
    return {"flows": [msgspec.Raw(flow) for flow in flows], "next": cursor}


def _fitting(flows: list[bytes]) -> list[bytes]:
    """Give the first ones that fit into one answer: at least one, if there are any."""
    totals = accumulate(len(flow) + 1 for flow in flows)
    return flows[: max(1, sum(total <= PAGE_BYTES for total in totals))]


def _read_bounds(request: IRequest, what: str) -> Bounds:
    """
    Read ``min_...`` and ``max_...``: how many of something a flow has.

    :raises InvalidParameters: when one is no whole number.
    """
    least = read_number(request, f"min_{what}", None, 0)
    return least, read_number(request, f"max_{what}", None, 0)
