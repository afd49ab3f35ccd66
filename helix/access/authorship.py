"""Who an edit is by: its principal, and what the client and its grants mark it with."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from helix.access.decision import Permission
from helix.access.principal import Principal
from helix.records import Actor, Author

_encode = msgspec.json.Encoder().encode


def actor_of(principal: Principal) -> Actor | None:
    """Give who a principal is; ``None`` for somebody unknown, of whom nothing is proven."""
    if not principal.id:
        return None
    return Actor(principal.id, principal.kind.value, principal.name)


def author_of(
    principal: Principal,
    permission: Permission | None,
    by: str,
    tags: Mapping[str, object] | None = None,
) -> Author:
    """
    Tell who an edit is by that a principal makes now.

    :param permission: what it may do with the flow, whose tags count before its own.
    :param by: it, as a name to show.
    :param tags: its own. (`helix.access.grants.parse_tags`)
    """
    granted = permission.tags if permission is not None else {}
    marks = {**(tags or {}), **granted}
    return Author(by, actor_of(principal), _encode(marks) if marks else b"")
