"""What the client of a request may do: asks the one decision for REST, and describes its answer."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.web.iweb import IRequest

from helix.access.decision import Permission
from helix.access.principal import ANYBODY, Principal
from helix.access.roles import Right
from helix.access.sharing import listed_subjects
from helix.errors import FlowNotFound, Forbidden
from helix.log.edits import Permit
from helix.records import Scope
from helix.sharing.service import AccessService
from helix.web.admission import principal_of


class RestAccess:
    """
    Asks what the clients of requests may do.

    :param access: knows what flows give.
    """

    def __init__(self, access: AccessService) -> None:
        self._access = access

    async def check(self, request: IRequest, flow_id: str, right: Right) -> Permission:
        """
        Check that the client of a request may do something with a flow. What nobody made and what
        the client may not see can't be told apart, by the time either.

        :raises FlowNotFound: when the client may not see the flow.
        :raises Forbidden: when it may see the flow, but not do this.
        """
        permission = await self._access.permission(principal_of(request), flow_id)
        if permission is None:
            raise FlowNotFound()
        permission.check(right)
        return permission

    async def check_creation(self, request: IRequest, flow_id: str | None) -> bool:
        """
        Check that the client of a request may make a flow.

        :param flow_id: the flow's id; ``None`` for one that the server makes.
        :return: whether the new flow may take the place of a deleted one, which is lost with that.
        :raises Forbidden: when it may not.
        """
        principal = principal_of(request)
        if flow_id is None:
            if principal.may_create_any:
                return False
            raise Forbidden("You may not make a flow here without giving its id")
        if not principal.may_create(flow_id):
            raise Forbidden("You may not make a flow with this id")
        permission = await self._access.permission(principal, flow_id)
        return permission is not None and permission.allows(Right.MANAGE)

    async def describe(
        self, request: IRequest, flow_ids: Sequence[str]
    ) -> Sequence[dict[str, object]]:
        """Describe what the client of a request may do with flows, as `describe_access`."""
        principal = principal_of(request)
        if principal is ANYBODY:
            return [{} for _ in flow_ids]
        permissions = await self._access.permissions(principal, flow_ids)
        return [describe_access(request, permissions[one]) for one in flow_ids]


def permit_of(permission: Permission) -> Permit | None:
    """Give what judges the client's patches; ``None`` where its grant is for the whole document."""
    return None if permission.paths is None else permission.check_patch


def scope_of(request: IRequest, right: Right) -> Scope | None:
    """Give the flows with which the client of a request may do something; ``None`` for all."""
    principal = principal_of(request)
    if principal.is_admin:
        return None
    patterns = [pattern for pattern, grant in principal.grants if grant.role >= right.value]
    return Scope.of(
        [pattern.start for pattern in patterns if not pattern.is_open],
        [pattern.start for pattern in patterns if pattern.is_open],
        listed_subjects(principal),
        right.value,
    )


def describe_access(request: IRequest, permission: Permission | None) -> dict[str, object]:
    """
    Describe what the client of a request may do with a flow; ``{}`` on an open server.

    :param permission: ``None`` for who has made it, and may not see it.
    """
    if principal_of(request) is ANYBODY:
        return {}
    if permission is None:
        return {"role": None, "may": []}
    return {"role": permission.role.text, "may": permission.rights}


def describe_principal(principal: Principal) -> dict[str, object]:
    """Describe somebody to themselves."""
    return {
        "id": principal.id,
        "name": principal.name,
        "color": principal.color,
        "kind": principal.kind.value,
        "groups": sorted(principal.groups),
        "admin": principal.is_admin,
        "may_create": principal.may_create_any,
        "expires_at": principal.expires_at,
    }
