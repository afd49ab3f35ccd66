"""The access list of a flow as REST has it: described, and changed by merge patches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs

from helix.access.grants import describe_grant, parse_grant, parse_name
from helix.access.principal import Grant
from helix.access.roles import Role
from helix.access.sharing import (
    MAX_GROUPS,
    MAX_MEMBERS,
    Audience,
    FlowAccess,
    GeneralAccess,
)
from helix.delivery.protocol import encode_json
from helix.documents.merge_patch import JsonObject, merge
from helix.errors import InvalidParameters, TooManyGrants

T = TypeVar("T")

MAX_LIST_BYTES = 4 * 1024 * 1024
"""
Bytes of JSON that an access list takes at most. The paths of all members that there may be would
take a hundred times that, each time somebody opens the flow.
"""

_PARTS = ("owner", "members", "groups", "general")


def describe_list(access: FlowAccess) -> JsonObject:
    """Describe what a flow gives, but for its links."""
    general = access.general
    is_for_nobody = general.audience is Audience.RESTRICTED
    return {
        "owner": access.owner or None,
        "members": _described(access.members),
        "groups": _described(access.groups),
        "general": {
            "who": general.audience.value,
            "role": None if is_for_nobody else general.role.text,
        },
    }


def change_list(access: FlowAccess, patch: object, may_disown: bool) -> FlowAccess:
    """
    Apply a merge patch to what `describe_list` describes.

    :param may_disown: whether the flow may come to have no owner.
    :raises InvalidParameters: when the result isn't such a list; begins with the place.
    :raises TooManyGrants: when there would be too many members or groups, or too much of them.
    """
    if not isinstance(patch, dict):
        raise InvalidParameters("An object is wanted: {owner, members, groups, general}")
    if unknown := patch.keys() - set(_PARTS):
        raise InvalidParameters(f"{min(unknown)}: not one of {', '.join(_PARTS)}")
    members = _changed("members", access.members, patch.get("members", {}), MAX_MEMBERS)
    groups = _changed("groups", access.groups, patch.get("groups", {}), MAX_GROUPS)
    owner = access.owner
    if "owner" in patch:
        given = patch["owner"]
        if given is None and not may_disown:
            raise InvalidParameters("owner: a flow keeps an owner; name another one")
        owner = "" if given is None else _read("owner", parse_name, given)
    general = access.general
    if "general" in patch:
        general = _general(merge(describe_list(access)["general"], patch["general"]))
    changed = attrs.evolve(access, owner=owner, members=members, groups=groups, general=general)
    size = _size(changed)
    if size > MAX_LIST_BYTES and size > _size(access):
        raise TooManyGrants()
    return changed


def _size(access: FlowAccess) -> int:
    return len(encode_json(describe_list(access)))


def _described(grants: Mapping[str, Grant]) -> JsonObject:
    return {name: describe_grant(grants[name]) for name in sorted(grants)}


def _changed(
    part: str, grants: Mapping[str, Grant], patch: object, most: int
) -> Mapping[str, Grant]:
    """Apply a merge patch to members or groups; those that it doesn't name aren't looked at."""
    if not isinstance(patch, dict):
        raise InvalidParameters(f"{part}: an object of ids and roles is wanted")
    if not patch:
        return grants
    changed = dict(grants)
    for name, change in patch.items():
        if change is None:
            changed.pop(name, None)
            continue
        place = f"{part}: {name}"
        _read(place, parse_name, name)
        if isinstance(change, dict) and name in changed:
            described = describe_grant(changed[name])
            change = merge({"role": described} if isinstance(described, str) else described, change)
        changed[name] = _read(place, parse_grant, change)
    if len(changed) > max(most, len(grants)):
        raise TooManyGrants()
    return changed


def _general(given: object) -> GeneralAccess:
    if not isinstance(given, dict) or given.keys() - {"who", "role"}:
        raise InvalidParameters("general: {who, role} is wanted")
    audience = _read("general", Audience, given.get("who"))
    if audience is Audience.RESTRICTED:
        return GeneralAccess()
    role = _read("general", Role.parse, given.get("role"))
    if role is Role.OWNER:
        raise InvalidParameters("general: an owner is named by the id")
    return GeneralAccess(audience, role)


def _read(place: str, parse: Callable[[object], T], given: object) -> T:
    try:
        return parse(given)
    except ValueError as error:
        raise InvalidParameters(f"{place}: {error}") from None
