"""What a flow itself gives: its owner, its access list, its general access and its links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

import attrs

from helix.access.principal import Grant, Kind, Principal
from helix.access.roles import Role

MAX_MEMBERS = 10_000
"""The most members of an access list."""

MAX_GROUPS = 1000
"""The most groups of an access list."""

MAX_LINKS = 100
"""The most links of a flow."""

SIGNED_IN = "s:"
"""The subject that stands for everyone who is signed in."""

ANYONE = "a:"
"""The subject that stands for everyone who knows the flow's address."""


def owner_subject(principal_id: str) -> str:
    """Give the subject of an owner; stores keep what a flow gives by subjects."""
    return f"o:{principal_id}"


def member_subject(principal_id: str) -> str:
    """Give the subject of a member of an access list."""
    return f"m:{principal_id}"


def group_subject(name: str) -> str:
    """Give the subject of a group of an access list."""
    return f"g:{name}"


def link_subject(link_id: str) -> str:
    """Give the subject of who has come by a link."""
    return f"l:{link_id}"


class Audience(Enum):
    """Whom the general access of a flow is for."""

    RESTRICTED = "restricted"
    SIGNED_IN = "signed-in"
    LINK = "link"


@attrs.frozen
class GeneralAccess:
    """
    What a flow gives to those whom it doesn't name.

    :ivar audience: nobody, everyone who is signed in, or everyone who knows the flow's address.
    :ivar role: that they have; without effect where it is for nobody.
    """

    audience: Audience = Audience.RESTRICTED
    role: Role = Role.VIEWER


@attrs.frozen
class Link:
    """
    A link by which others come in as guests.

    :ivar id: public, and unique among all links.
    :ivar digest: SHA-256 of its secret.
    :ivar password: a hash of the password that it also asks for, as text; empty for none.
    :ivar created_at: Unix seconds, as the other times.
    :ivar created_by: the id of who made it; may be empty.
    :ivar expires_at: ``None`` for never.
    """

    id: str
    role: Role
    digest: bytes = attrs.field(repr=False)
    created_at: float
    created_by: str = ""
    expires_at: float | None = None
    password: str = attrs.field(default="", repr=False)


@attrs.frozen
class FlowAccess:
    """
    What a flow gives, or the part of that which concerns somebody.

    :ivar owner: the id of its owner; empty for none.
    :ivar members: the id of a principal -> what they have.
    :ivar groups: the name of a group -> likewise.
    :ivar links: by their ids.
    """

    owner: str = ""
    members: Mapping[str, Grant] = attrs.field(factory=dict)
    groups: Mapping[str, Grant] = attrs.field(factory=dict)
    general: GeneralAccess = GeneralAccess()
    links: Mapping[str, Link] = attrs.field(factory=dict)

    def grants(self, principal: Principal) -> list[Grant]:
        """List what it gives to a principal. (`subjects_of` lists under which subjects.)"""
        found: list[Grant] = []
        if _is_named(principal):
            if principal.id == self.owner:
                found.append(Grant(Role.OWNER))
            if (member := self.members.get(principal.id)) is not None:
                found.append(member)
        if self.groups:
            found += [self.groups[name] for name in principal.groups if name in self.groups]
        audience = self.general.audience
        if audience is Audience.LINK or (
            audience is Audience.SIGNED_IN and is_signed_in(principal)
        ):
            found.append(Grant(self.general.role))
        if principal.link and (link := self.links.get(principal.link)) is not None:
            found.append(Grant(link.role))
        return found


NO_ACCESS = FlowAccess()
"""What a flow gives to nobody: one that isn't there, or has no owner yet."""


def is_signed_in(principal: Principal) -> bool:
    """Tell whether a principal is a person who is known: no guest, and no program."""
    return principal.kind is Kind.PERSON and bool(principal.id)


def subjects_of(principal: Principal) -> Sequence[str]:
    """
    List the subjects under which a flow may give something to a principal.

    Those but `ANYONE` and a link's are those by which flows are listed: who merely knows an address
    isn't told of others.
    """
    return (*listed_subjects(principal), ANYONE, *_of_link(principal))


def listed_subjects(principal: Principal) -> Sequence[str]:
    """As `subjects_of`, those by which flows are found in lists."""
    subjects: list[str] = []
    if _is_named(principal):
        subjects += (owner_subject(principal.id), member_subject(principal.id))
    subjects += map(group_subject, sorted(principal.groups))
    if is_signed_in(principal):
        subjects.append(SIGNED_IN)
    return subjects


def _of_link(principal: Principal) -> Sequence[str]:
    return (link_subject(principal.link),) if principal.link else ()


def _is_named(principal: Principal) -> bool:
    """Tell whether access lists may name a principal: a guest's id says nothing."""
    return bool(principal.id) and principal.kind is not Kind.GUEST
