"""What a token says of its holder: claims -> principal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from helix.access.grants import parse_grants, parse_name, parse_patterns, text_parser
from helix.access.principal import Kind, Principal

MAX_NAME_CHARACTERS = 255

MAX_COLOR_CHARACTERS = 64

T = TypeVar("T")


class BadClaim(ValueError):
    """
    A claim isn't what it should be.

    :ivar claim: its name.
    """

    def __init__(self, claim: str, problem: object) -> None:
        super().__init__(f"{claim}: {problem}")
        self.claim = claim


def read_claims(claims: Mapping[str, Any]) -> Principal:
    """
    Make a principal of a token's claims. Claims of other names are not looked at.

    :param claims: with a valid ``exp``.
    :raises BadClaim: at the first that isn't what it should be.
    """
    return Principal(
        id=_read(claims, "sub", parse_id),
        name=_read(claims, "name", text_parser(MAX_NAME_CHARACTERS), ""),
        color=_read(claims, "color", text_parser(MAX_COLOR_CHARACTERS), ""),
        kind=Kind.PERSON,
        groups=_read(claims, "groups", _groups, frozenset()),
        expires_at=float(claims["exp"]),
        is_admin=_read(claims, "admin", _flag, False),
        grants=_read(claims, "flows", parse_grants, ()),
        create=_read(claims, "create", parse_patterns, ()),
    )


def parse_id(given: object) -> str:
    """
    Read the id of a principal that is no key's and no guest's.

    :raises ValueError: when it is none.
    """
    text = parse_name(given)
    if text.startswith(("key:", "guest:")):
        raise ValueError("an id of a person is wanted, and none of a key or a guest")
    return text


def _read(
    claims: Mapping[str, Any], name: str, parse: Callable[[object], T], default: T | None = None
) -> T:
    """Read a claim; without a default it must be there."""
    if name not in claims and default is not None:
        return default
    try:
        return parse(claims.get(name))
    except ValueError as error:
        raise BadClaim(name, error) from None


def _flag(given: object) -> bool:
    if not isinstance(given, bool):
        raise ValueError("true or false is wanted")
    return given


def _groups(given: object) -> frozenset[str]:
    if not isinstance(given, list):
        raise ValueError("a list of names is wanted")
    return frozenset(parse_name(one) for one in given)
