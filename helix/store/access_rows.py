"""
What a flow gives as the rows that stores keep of it: a subject, a role, and the rest as JSON.

A row is found by its flow, and by its subject (`helix.access.sharing`).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping

import attrs
import msgspec

from helix.access.grants import describe_grant, parse_grant
from helix.access.principal import Grant
from helix.access.roles import Role
from helix.access.sharing import (
    ANYONE,
    SIGNED_IN,
    Audience,
    FlowAccess,
    GeneralAccess,
    Link,
    group_subject,
    link_subject,
    member_subject,
    owner_subject,
)
from helix.errors import StoreCorrupt, StoreError

_AUDIENCES = {SIGNED_IN: Audience.SIGNED_IN, ANYONE: Audience.LINK}
_SUBJECTS = {audience: subject for subject, audience in _AUDIENCES.items()}

_PLAIN = {role: Grant(role) for role in Role}
"""Of the thousands of members that a flow may have, most have one of these."""


@attrs.frozen
class AccessRow:
    """
    What a flow gives to a subject.

    :ivar role: the number of a role.
    :ivar details: the rest as a JSON object; empty for nothing.
    """

    role: int
    details: str = ""


AccessRows = Mapping[str, AccessRow]
"""By subjects. Which order they are in doesn't count."""


class _Link(msgspec.Struct, omit_defaults=True):
    """The details of a link."""

    digest: str
    created_at: float
    created_by: str = ""
    expires_at: float | None = None
    password: str = ""


def owner_row(owner: str) -> dict[str, AccessRow]:
    """
    Give the row of an owner; none where there is none.

    :raises StoreError: when it is no text that can be kept.
    """
    return _checked({owner_subject(owner): AccessRow(Role.OWNER)} if owner else {})


def rows_of(access: FlowAccess) -> dict[str, AccessRow]:
    """
    Give the rows of all that a flow gives.

    :raises StoreError: when a text in it can't be kept.
    """
    rows = owner_row(access.owner)
    try:
        for name, grant in access.members.items():
            rows[member_subject(name)] = _grant_row(grant)
        for name, grant in access.groups.items():
            rows[group_subject(name)] = _grant_row(grant)
        for link_id, link in access.links.items():
            rows[link_subject(link_id)] = _link_row(link)
    except UnicodeError:
        raise _unfit() from None
    general = access.general
    if general.audience is not Audience.RESTRICTED:
        rows[_SUBJECTS[general.audience]] = AccessRow(general.role)
    return _checked(rows)


def access_of(rows: AccessRows) -> FlowAccess:
    """
    Turn `rows_of` around, also of some of the rows.

    :raises StoreCorrupt: when one of them is none.
    """
    owner = ""
    general = GeneralAccess()
    members: dict[str, Grant] = {}
    groups: dict[str, Grant] = {}
    links: dict[str, Link] = {}
    try:
        for subject in sorted(rows):
            row = rows[subject]
            kind, name = subject[:2], subject[2:]
            if subject in _AUDIENCES:
                general = GeneralAccess(_AUDIENCES[subject], Role(row.role))
            elif kind == "o:":
                owner = name
            elif kind == "m:":
                members[name] = _grant_of(row)
            elif kind == "g:":
                groups[name] = _grant_of(row)
            elif kind == "l:":
                links[name] = link_of(name, row)
    except (ValueError, msgspec.MsgspecError) as error:
        raise StoreCorrupt() from error
    return FlowAccess(owner, members, groups, general, links)


def link_of(link_id: str, row: AccessRow) -> Link:
    """
    Give the link that a row is.

    :raises ValueError, msgspec.MsgspecError: when it is none.
    """
    kept = msgspec.json.decode(row.details, type=_Link)
    digest = b64decode(kept.digest, validate=True)
    role = Role(row.role)
    times = (kept.created_at, kept.created_by, kept.expires_at)
    return Link(link_id, role, digest, *times, kept.password)


def _grant_row(grant: Grant) -> AccessRow:
    described = describe_grant(grant)
    if isinstance(described, str):
        return AccessRow(grant.role)
    rest = {name: value for name, value in described.items() if name != "role"}
    return AccessRow(grant.role, msgspec.json.encode(rest).decode())


def _grant_of(row: AccessRow) -> Grant:
    role = Role(row.role)
    if not row.details:
        return _PLAIN[role]
    rest = msgspec.json.decode(row.details, type=dict)
    return parse_grant({"role": role.text, **rest})


def _link_row(link: Link) -> AccessRow:
    digest = b64encode(link.digest).decode()
    kept = _Link(digest, link.created_at, link.created_by, link.expires_at, link.password)
    return AccessRow(link.role, msgspec.json.encode(kept).decode())


def _checked(rows: dict[str, AccessRow]) -> dict[str, AccessRow]:
    """See that subjects are texts that can be kept: half a surrogate pair is none."""
    try:
        for subject in rows:
            subject.encode()
    except UnicodeError:
        raise _unfit() from None
    return rows


def _unfit() -> StoreError:
    return StoreError("The store can't keep this: a text in it is none")
