"""The one decision: what a principal may do with a flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from helix.access.paths import DocumentPath, first_outside
from helix.access.principal import Grant, Principal
from helix.access.roles import Right, Role
from helix.access.sharing import NO_ACCESS, FlowAccess
from helix.errors import Forbidden, ForbiddenPath


@attrs.frozen
class Permission:
    """
    What somebody may do with a flow.

    :ivar paths: what of the document they may change; ``None`` for all of it.
    :ivar tags: what their entries are marked with.
    :ivar edits_all: whether they may change all of it. Then nothing of a patch is to be checked.
    """

    role: Role
    paths: tuple[DocumentPath, ...] | None = None
    tags: Mapping[str, object] = attrs.field(factory=dict)
    edits_all: bool = attrs.field(init=False, eq=False, repr=False)

    @edits_all.default
    def _edits_all(self) -> bool:
        return self.paths is None and self.role >= Role.EDITOR

    def allows(self, right: Right) -> bool:
        return self.role >= right.value

    @property
    def rights(self) -> list[str]:
        """The names of all that is allowed."""
        return [right.text for right in Right if self.allows(right)]

    def check(self, right: Right) -> None:
        """
        Check a request.

        :raises Forbidden: when it needs a higher role.
        """
        if not self.allows(right):
            raise Forbidden.needs(right.value.text, self.role.text)

    def check_patch(self, patch: object, content: Mapping[str, Any]) -> None:
        """
        Check what a patch changes.

        :param patch: a merge patch; what is none is refused elsewhere.
        :param content: the document before it.
        :raises Forbidden, ForbiddenPath: when it isn't allowed, with the first place.
        """
        self.check(Right.EDIT)
        if self.paths is not None and isinstance(patch, dict):
            outside = first_outside(self.paths, patch, content)
            if outside is not None:
                raise ForbiddenPath.at(outside)


FULL = Permission(Role.OWNER)
"""That of an administrator."""


def decide(principal: Principal, flow_id: str, access: FlowAccess = NO_ACCESS) -> Permission | None:
    """
    Tell what a principal may do with a flow: the highest role that anything gives.

    Of several grants that let it be changed, each adds its paths.

    :param access: what the flow itself gives; the part that concerns the principal is enough.
    :return: ``None`` when the flow must look as if there were none.
    """
    if principal.is_admin:
        return FULL
    own = [grant for pattern, grant in principal.grants if pattern.matches(flow_id)]
    return joined([*own, *access.grants(principal)])


def joined(grants: Sequence[Grant]) -> Permission | None:
    """Make one permission of several grants; ``None`` of none."""
    if not grants:
        return None
    role = max(grant.role for grant in grants)
    editing = [grant for grant in grants if grant.role >= Role.EDITOR]
    tags: dict[str, object] = {}
    for grant in grants:
        tags |= grant.tags
    paths: tuple[DocumentPath, ...] | None = None
    if editing and all(grant.paths is not None for grant in editing):
        paths = tuple(path for grant in editing for path in grant.paths or ())
    return Permission(role, paths, tags)
