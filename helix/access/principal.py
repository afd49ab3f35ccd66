"""Principals: who acts, and what a token says they may do."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs

from helix.access.paths import DocumentPath
from helix.access.roles import Role


class Kind(Enum):
    """What a principal is."""

    PERSON = "person"
    SERVICE = "service"
    GUEST = "guest"


@attrs.frozen
class Grant:
    """
    A role that somebody has.

    :ivar paths: what of the document it may change; ``None`` for all of it.
    :ivar tags: what its entries are marked with.
    """

    role: Role
    paths: tuple[DocumentPath, ...] | None = None
    tags: Mapping[str, object] = attrs.field(factory=dict)


@attrs.frozen
class FlowPattern:
    """
    The flows that a grant is for: one id, or all that begin with a text.

    :ivar start: the id, or how it begins.
    :ivar is_open: whether more may follow; written ``*``.
    """

    start: str
    is_open: bool = False

    @classmethod
    def parse(cls, text: object) -> FlowPattern:
        """
        Read a pattern such as ``team-a/*``, ``one-flow`` or ``*``.

        :raises ValueError: when it is none.
        """
        if not isinstance(text, str) or not text or "*" in text[:-1]:
            raise ValueError(f'{text!r} is no flow id, nor the beginning of one and "*"')
        return cls(text.removesuffix("*"), text.endswith("*"))

    @property
    def text(self) -> str:
        return self.start + "*" * self.is_open

    def matches(self, flow_id: str) -> bool:
        return flow_id.startswith(self.start) if self.is_open else flow_id == self.start


@attrs.frozen
class Principal:
    """
    Who acts.

    :ivar id: unique among the principals of a server; empty for somebody unknown.
    :ivar name: to show.
    :ivar color: to show, as CSS has it; empty for none.
    :ivar groups: the groups that they are in.
    :ivar expires_at: until when this holds, Unix seconds; ``None`` for ever.
    :ivar is_admin: whether they own all flows, and may do what concerns the whole server.
    :ivar grants: their roles, by the flows that these are for.
    :ivar create: the ids under which they may make flows.
    :ivar link: the id of the link by which a guest has come; empty for none.
    :ivar credential: what proves them and can be revoked: ``key:ID`` or ``session:ID``; empty for
        none.
    """

    id: str = ""
    name: str = ""
    color: str = ""
    kind: Kind = Kind.GUEST
    groups: frozenset[str] = frozenset()
    expires_at: float | None = None
    is_admin: bool = False
    grants: tuple[tuple[FlowPattern, Grant], ...] = ()
    create: tuple[FlowPattern, ...] = ()
    link: str = ""
    credential: str = ""

    @property
    def may_create_any(self) -> bool:
        """Whether they may make flows whatever the id is: also one that the server makes."""
        return self.is_admin or any(one.is_open and not one.start for one in self.create)

    def may_create(self, flow_id: str) -> bool:
        return self.is_admin or any(pattern.matches(flow_id) for pattern in self.create)


ANYBODY = Principal(is_admin=True)
"""Every client of a server that asks nobody who they are."""

STRANGER = Principal()
"""Somebody of whom nothing is known."""
