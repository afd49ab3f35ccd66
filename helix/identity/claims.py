"""What a token says of its holder: claims -> principal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from helix.access.paths import parse_paths
from helix.access.principal import FlowPattern, Grant, Kind, Principal
from helix.access.roles import Role

MAX_ID_CHARACTERS = 255

MAX_NAME_CHARACTERS = 255

MAX_COLOR_CHARACTERS = 64

MAX_TAGS_BYTES = 1024

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of characters, which no UTF-8 has."""

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
        name=_read(claims, "name", _text(MAX_NAME_CHARACTERS), ""),
        color=_read(claims, "color", _text(MAX_COLOR_CHARACTERS), ""),
        kind=Kind.PERSON,
        groups=_read(claims, "groups", _groups, frozenset()),
        expires_at=float(claims["exp"]),
        is_admin=_read(claims, "admin", _flag, False),
        grants=_read(claims, "flows", _grants, ()),
        create=_read(claims, "create", _patterns, ()),
    )


def parse_id(given: object) -> str:
    """
    Read the id of a principal.

    :raises ValueError: when it is none.
    """
    text = _text(MAX_ID_CHARACTERS)(given)
    if not text.strip():
        raise ValueError("an id that isn't empty is wanted")
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


def _text(most: int) -> Callable[[object], str]:
    def parse(given: object) -> str:
        if not isinstance(given, str) or len(given) > most or _UNFIT.search(given):
            raise ValueError(
                f"a string of at most {most} characters is wanted, without control characters"
            )
        return given

    return parse


def _flag(given: object) -> bool:
    if not isinstance(given, bool):
        raise ValueError("true or false is wanted")
    return given


def _groups(given: object) -> frozenset[str]:
    if not isinstance(given, list):
        raise ValueError("a list of names is wanted")
    return frozenset(parse_id(one) for one in given)


def _patterns(given: object) -> tuple[FlowPattern, ...]:
    if not isinstance(given, list):
        raise ValueError("a list of flow ids is wanted, or of beginnings of them and *")
    return tuple(FlowPattern.parse(one) for one in given)


def _grants(given: object) -> tuple[tuple[FlowPattern, Grant], ...]:
    if not isinstance(given, dict):
        raise ValueError("an object of flow ids and roles is wanted")
    return tuple((FlowPattern.parse(pattern), _grant(one)) for pattern, one in given.items())


def _grant(given: object) -> Grant:
    if not isinstance(given, dict):
        return Grant(Role.parse(given))
    if unknown := given.keys() - {"role", "paths", "tags"}:
        raise ValueError(f"a grant has role, paths and tags, and not {sorted(unknown)[0]!r}")
    return Grant(
        Role.parse(given.get("role")),
        parse_paths(given["paths"]) if "paths" in given else None,
        _tags(given.get("tags", {})),
    )


def _tags(given: object) -> dict[str, object]:
    if not isinstance(given, dict) or len(_encoded(given)) > MAX_TAGS_BYTES:
        raise ValueError(f"tags are an object of at most {MAX_TAGS_BYTES} bytes of JSON")
    return given


def _encoded(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (ValueError, TypeError, RecursionError, OverflowError):
        raise ValueError("tags are JSON") from None
