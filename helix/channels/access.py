"""What a channel's client may do with the flow, and how it is told of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from helix.access.authorship import author_of
from helix.access.decision import Permission, decide
from helix.access.principal import ANYBODY, Kind, Principal
from helix.access.roles import Right, Role
from helix.access.sharing import FlowAccess
from helix.channels.channel import Port
from helix.delivery.protocol import encode_json
from helix.documents.merge_patch import JsonObject
from helix.errors import FlowNotFound, Forbidden
from helix.flows.session import FlowSession
from helix.members.cursors import Cursor, Moving
from helix.members.presence import Person
from helix.records import Author
from helix.sharing.service import AccessService, Watch

NO_LONGER = "You no longer have access to this flow"


class Standing:
    """
    What a channel's client may do with a flow, from its join to its leave.

    :param access: knows what flows give.

    :ivar permission: what it may do; ``None`` for nothing, as before the join.
    """

    __slots__ = (
        "_access",
        "_author",
        "_flow_id",
        "_has_left",
        "_port",
        "_session",
        "_waiting",
        "_watch",
        "permission",
    )

    def __init__(self, port: Port, flow_id: str, access: AccessService) -> None:
        self.permission: Permission | None = None
        self._port = port
        self._flow_id = flow_id
        self._access = access
        self._watch: Watch | None = None
        self._session: FlowSession | None = None
        self._author: Author | None = None
        self._waiting = 0
        self._has_left = False

    @property
    def may_create(self) -> bool:
        """Whether the client may open the flow if there is none."""
        return self._port.principal.may_create(self._flow_id)

    @property
    def owner(self) -> str:
        """Who owns the flow if the client makes it."""
        return self._port.principal.id if self.may_create else ""

    async def begin(self, changed: Callable[[], None]) -> None:
        """
        Find out what the client may do, before the flow is looked at.

        :param changed: called from `enter` to `end`, when something else than the client's token
            may have changed that.
        :raises FlowNotFound: when the flow must look as if there were none. To find that out takes
            the same time whether there is one or not.
        :raises StoreError: when it can't be found out.
        """
        principal = self._port.principal
        if principal is ANYBODY:
            return
        # Who comes in by token or may make the flow is let in by the watch.
        if decide(principal, self._flow_id) is None and not self.may_create:
            permission = await self._access.permission(principal, self._flow_id)
            if permission is None:
                raise FlowNotFound()
        self._watch = await self._access.watch(
            principal, self._flow_id, lambda: None if self._session is None else changed()
        )

    def enter(self, session: FlowSession) -> None:
        """
        Decide for the flow as it is open now.

        :raises FlowNotFound: as `begin`; the client may be somebody else by now.
        """
        self._session = session
        self._author = None
        self.permission = self._decide()
        if self.permission is None:
            raise FlowNotFound()

    def expect(self) -> None:
        """An edit of the client waits to be taken, until `settle`."""
        self._waiting += 1

    def settle(self) -> None:
        """An edit has been taken or refused."""
        self._waiting -= 1
        if self._has_left and not self._waiting:
            self._end()

    def end(self) -> None:
        """
        The client has left, or was never let in. What it has sent before is still judged by what
        the flow gives when its turn comes, and by the token that the client had then.
        """
        self._has_left = True
        if not self._waiting:
            self._end()

    def _end(self) -> None:
        self._session = None
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.end()

    def decide_again(self) -> None:
        """
        Decide anew, and tell the client where that changes something: by ``role``, or by
        ``access_revoked``, which ends the channel for good.
        """
        self._author = None
        before, self.permission = self.permission, self._decide()
        now = self.permission
        if now is None:
            self._port.push("access_revoked", encode_json({"reason": NO_LONGER}))
            self._port.end("phx_close")
        elif before is None or (now.role, now.paths) != (before.role, before.paths):
            self._port.push("role", encode_json(described(now)))

    def check(self, right: Right) -> None:
        """
        Check a request.

        :raises Forbidden: when what the client may do doesn't suffice.
        """
        if self.permission is None:
            raise Forbidden(NO_LONGER)
        self.permission.check(right)

    def author(self, by: str, tags: Mapping[str, object] | None = None) -> Author:
        """
        Tell who an edit is by that the client makes now.

        :param by: it, as a name to show.
        :param tags: its own.
        """
        if tags:
            return author_of(self._port.principal, self.permission, by, tags)
        if self._author is None or self._author.by != by:
            self._author = author_of(self._port.principal, self.permission, by)
        return self._author

    @property
    def edits_all(self) -> bool:
        """Whether the client may change all of the document."""
        return self.permission is not None and self.permission.edits_all

    def check_edit(self, effective: JsonObject, content: Mapping[str, Any]) -> None:
        """
        Check what an edit changes, when its turn comes: the role may have changed since it was
        sent.

        :param effective: what it really changes; nothing is always allowed.
        :param content: the document before it.
        :raises Forbidden, ForbiddenPath: when that isn't allowed.
        """
        if self.permission is None:
            raise Forbidden(NO_LONGER)
        if effective:
            self.permission.check_patch(effective, content)

    def _decide(self) -> Permission | None:
        principal = self._port.principal
        if self._watch is None:
            return decide(principal, self._flow_id)
        if self._session is None or self._session.log.is_stored:
            return decide(principal, self._flow_id, self._watch.access)
        if self.may_create:
            # It is nobody's yet, and will be theirs if they edit it first.
            return decide(principal, self._flow_id, FlowAccess(principal.id))
        # The first edit makes it, which is for others.
        found = decide(principal, self._flow_id)
        return found and Permission(min(found.role, Role.VIEWER))


def described(permission: Permission) -> dict[str, object]:
    """What a client is told of a permission; ``paths`` where it is narrowed to some."""
    told: dict[str, object] = {"role": permission.role.text, "may": permission.rights}
    if permission.paths is not None:
        told["paths"] = [path.text for path in permission.paths]
    return told


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
