"""The links of a flow: made, revoked and described."""

from __future__ import annotations

from hashlib import sha256
from secrets import token_urlsafe

import attrs

from helix.access.roles import Role
from helix.access.sharing import MAX_LINKS, FlowAccess, Link
from helix.errors import LinkNotFound, TooManyGrants

SECRET_BYTES = 32

ID_BYTES = 16


def make_link(
    role: Role, now: float, by: str, expires_in: float | None, password: str
) -> tuple[Link, str]:
    """
    Make a link.

    :param now: Unix seconds.
    :param by: the id of who makes it.
    :param expires_in: after how many seconds it ends; ``None`` for never.
    :param password: a hash of it (`helix.access.sharing.Link`).
    :return: the link, and its secret: what follows ``#link=`` in its address.
    """
    link_id, secret = token_urlsafe(ID_BYTES), token_urlsafe(SECRET_BYTES)
    expires_at = None if expires_in is None else now + expires_in
    digest = sha256(secret.encode()).digest()
    return Link(link_id, role, digest, now, by, expires_at, password), f"{link_id}.{secret}"


def with_link(access: FlowAccess, link: Link) -> FlowAccess:
    """
    Add a link. Those that are over when it is made give way.

    :raises TooManyGrants: when there are as many as there may be.
    """
    links = {
        one.id: one
        for one in access.links.values()
        if one.expires_at is None or one.expires_at > link.created_at
    }
    if len(links) >= MAX_LINKS:
        raise TooManyGrants()
    return attrs.evolve(access, links={**links, link.id: link})


def without_link(access: FlowAccess, link_id: str) -> FlowAccess:
    """
    Revoke a link.

    :raises LinkNotFound: when there is none.
    """
    if link_id not in access.links:
        raise LinkNotFound()
    links = {one.id: one for one in access.links.values() if one.id != link_id}
    return attrs.evolve(access, links=links)


def describe_link(link: Link) -> dict[str, object]:
    """Describe a link, without its secret."""
    return {
        "id": link.id,
        "role": link.role.text,
        "created_at": link.created_at,
        "created_by": link.created_by or None,
        "expires_at": link.expires_at,
        "has_password": bool(link.password),
    }
