"""What a channel's client may do with the flow, and how it is told of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helix.access.decision import Permission, decide
from helix.access.principal import ANYBODY, Kind, Principal
from helix.access.roles import Right, Role
from helix.channels.channel import Port
from helix.delivery.protocol import encode_json
from helix.documents.merge_patch import JsonObject
from helix.errors import FlowNotFound, Forbidden
from helix.members.cursors import Cursor, Moving
from helix.members.presence import Person

NO_LONGER = "You no longer have access to this flow"


def permission_for(port: Port, flow_id: str) -> Permission:
    """
    Decide what a channel's client may do with a flow. Nothing is asked of the store, so that it
    takes no longer where there is such a flow.

    :raises FlowNotFound: when the flow must look as if there were none.
    """
    permission = decide(port.principal, flow_id)
    if permission is None:
        raise FlowNotFound()
    return permission


def decide_again(port: Port, flow_id: str, before: Permission | None) -> Permission | None:
    """
    Decide anew for a joined channel, and tell its client where that changes something: by ``role``,
    or by ``access_revoked``, which ends the channel for good.

    :param before: what the client may do so far.
    :return: what it may do from now on; ``None`` for nothing.
    """
    now = decide(port.principal, flow_id)
    if now is None:
        port.push("access_revoked", encode_json({"reason": NO_LONGER}))
        port.end("phx_close")
    elif before is None or (now.role, now.paths) != (before.role, before.paths):
        port.push("role", encode_json(described(now)))
    return now


def described(permission: Permission) -> dict[str, object]:
    """What a client is told of a permission; ``paths`` where it is narrowed to some."""
    told: dict[str, object] = {"role": permission.role.text, "may": permission.rights}
    if permission.paths is not None:
        told["paths"] = [path.text for path in permission.paths]
    return told


def edits_all(permission: Permission | None) -> bool:
    """
    Tell whether a permission lets all of the document be changed.

    :param permission: ``None`` where nothing is left of it.
    """
    return permission is not None and permission.edits_all


def check_right(permission: Permission | None, right: Right) -> None:
    """
    Check a request.

    :param permission: ``None`` where nothing is left of it.
    :raises Forbidden: when it doesn't suffice.
    """
    if permission is None:
        raise Forbidden(NO_LONGER)
    permission.check(right)


def check_edit(
    permission: Permission | None, effective: JsonObject, content: Mapping[str, Any]
) -> None:
    """
    Check what an edit changes, when its turn comes: the role may have changed since it was sent.

    :param permission: what its author may do now; ``None`` for nothing any more.
    :param effective: what it really changes; nothing is always allowed.
    :param content: the document before it.
    :raises Forbidden, ForbiddenPath: when that isn't allowed.
    """
    if permission is None:
        raise Forbidden(NO_LONGER)
    if effective:
        permission.check_patch(effective, content)


def without_foreign_drags(
    permission: Permission, cursor: Cursor, content: Mapping[str, Any]
) -> Cursor:
    """Take out of a cursor the nodes that its client may not move."""
    if permission.role < Role.EDITOR:
        return Cursor(cursor.x, cursor.y)
    moving = {
        node_id: place
        for node_id, place in cursor.moving.items()
        if _may_move(permission, node_id, place, content)
    }
    return Cursor(cursor.x, cursor.y, moving, cursor.moved)


def _may_move(
    permission: Permission, node_id: str, place: Moving, content: Mapping[str, Any]
) -> bool:
    change: JsonObject = {"position": place.x}
    if place.width is not None or place.height is not None:
        change |= {"width": place.width, "height": place.height}
    try:
        permission.check_patch({"nodes": {node_id: change}}, content)
    except Forbidden:
        return False
    return True


def person_of(principal: Principal, claimed: Person) -> Person:
    """
    Give the person that others see.

    :param claimed: who the client says that it is; believed where nobody is asked for a proof.
    """
    if principal is ANYBODY:
        return claimed
    proven: dict[str, object] = {}
    if principal.name:
        proven["name"] = principal.name
    if principal.kind is Kind.GUEST:
        proven["guest"] = True
    return Person(
        principal.id or claimed.client_id,
        claimed.client_id,
        principal.name or claimed.name,
        claimed.color or principal.color,
        proven,
    )
