"""The written form of grants: in tokens, in access lists, and in stores."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

from helix.access.paths import parse_paths
from helix.access.principal import FlowPattern, Grant
from helix.access.roles import Role

MAX_ID_CHARACTERS = 255

MAX_TAGS_BYTES = 1024

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of characters, which no UTF-8 has."""


def text_parser(most: int) -> Callable[[object], str]:
    """
    Make a function that checks a text to show, of at most so many characters.

    It raises ``ValueError`` where a value is none.
    """

    def parse(given: object) -> str:
        if not isinstance(given, str) or len(given) > most or _UNFIT.search(given):
            raise ValueError(
                f"a string of at most {most} characters is wanted, without control characters"
            )
        return given

    return parse


_parse_id_text = text_parser(MAX_ID_CHARACTERS)


def parse_name(given: object) -> str:
    """
    Read the id of a principal, or the name of a group.

    :raises ValueError: when it is none.
    """
    text = _parse_id_text(given)
    if not text.strip():
        raise ValueError("an id that isn't empty is wanted")
    return text


def parse_grant(given: object) -> Grant:
    """
    Read a grant: the name of a role, or ``{"role", "paths", "tags"}``.

    :raises ValueError: when it is none; says why.
    """
    if not isinstance(given, dict):
        return Grant(Role.parse(given))
    if unknown := given.keys() - {"role", "paths", "tags"}:
        raise ValueError(f"a grant has role, paths and tags, and not {sorted(unknown)[0]!r}")
    return Grant(
        Role.parse(given.get("role")),
        parse_paths(given["paths"]) if "paths" in given else None,
        parse_tags(given.get("tags", {})),
    )


def parse_grants(given: object) -> tuple[tuple[FlowPattern, Grant], ...]:
    """
    Read the grants of a token or a key: the pattern of flows -> a grant.

    :raises ValueError: when they are none.
    """
    if not isinstance(given, dict):
        raise ValueError("an object of flow ids and roles is wanted")
    return tuple((FlowPattern.parse(pattern), parse_grant(one)) for pattern, one in given.items())


def parse_patterns(given: object) -> tuple[FlowPattern, ...]:
    """
    Read a list of patterns of flows.

    :raises ValueError: when it is none.
    """
    if not isinstance(given, list):
        raise ValueError("a list of flow ids is wanted, or of beginnings of them and *")
    return tuple(FlowPattern.parse(one) for one in given)


def parse_tags(given: object) -> Mapping[str, object]:
    """
    Read what entries are marked with.

    :raises ValueError: when it is no object, or a large one.
    """
    if not isinstance(given, dict) or len(_encoded(given)) > MAX_TAGS_BYTES:
        raise ValueError(f"tags are an object of at most {MAX_TAGS_BYTES} bytes of JSON")
    return given


def describe_grant(grant: Grant) -> str | dict[str, object]:
    """Give what `parse_grant` reads."""
    if grant.paths is None and not grant.tags:
        return grant.role.text
    described: dict[str, object] = {"role": grant.role.text}
    if grant.paths is not None:
        described["paths"] = [path.text for path in grant.paths]
    if grant.tags:
        described["tags"] = grant.tags
    return described


def _encoded(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (ValueError, TypeError, RecursionError, OverflowError):
        raise ValueError("tags are JSON") from None
