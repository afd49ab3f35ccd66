"""Who a change by REST is by."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from twisted.web.iweb import IRequest

from helix.access.authorship import author_of
from helix.access.decision import Permission, decide
from helix.access.grants import parse_tags
from helix.errors import InvalidParameters
from helix.records import Author
from helix.web.admission import principal_of
from helix.web.routes import read_text, read_user_name

_decode = msgspec.json.Decoder().decode


def read_author(request: IRequest, permission: Permission | None) -> Author:
    """
    Tell who asks for a change: the client, with the name of `read_user_name`, and with its tags.

    :param permission: what it may do with the flow, which may set tags, too.
    :raises InvalidParameters: when ``by`` or ``tags`` can't be.
    """
    return author_of(principal_of(request), permission, read_user_name(request), _tags(request))


def read_maker(request: IRequest, flow_id: str | None) -> Author:
    """
    Tell who asks for a new flow, as `read_author`. Nobody has given others anything of it yet.

    :param flow_id: its id; ``None`` for one that the server makes.
    """
    return read_author(request, decide(principal_of(request), flow_id or ""))


def _tags(request: IRequest) -> Mapping[str, object]:
    text = read_text(request, "tags")
    if text is None:
        return {}
    try:
        return parse_tags(_decode(text))
    except (ValueError, RecursionError):
        raise InvalidParameters(
            "tags must be a JSON object of at most 1,024 bytes, as the text of a query parameter"
        ) from None
