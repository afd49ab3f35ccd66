"""
Paths of a document: a grant for some of them lets a patch through only if it changes nothing else.

A path is written as a JSON Pointer (RFC 6901). It covers the place that it names, and all within.
``*`` stands for any one member, ``**`` at the end for one member or more. A type may follow the
member that is a node or an edge: ``/nodes/*[type=prompt]/data/**``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

MAX_PATHS = 64
"""The most paths of one grant."""

MAX_PATH_CHARACTERS = 512

_TYPED = re.compile(r"(?P<name>.*)\[type=(?P<type>[^\[\]]+)\]", re.DOTALL)

_ELEMENTS = ("nodes", "edges")


@attrs.frozen
class _Step:
    """
    One member on the way.

    :ivar name: ``None`` for any.
    :ivar type: which the node or the edge must have; ``None`` for any.
    """

    name: str | None
    type: str | None = None


@attrs.frozen
class DocumentPath:
    """
    One path.

    :ivar text: as it was written.
    :ivar is_below: whether it covers only what is within the named place (``**``).
    """

    text: str
    steps: Sequence[_Step]
    is_below: bool

    @classmethod
    def parse(cls, text: object) -> DocumentPath:
        """:raises ValueError: when it isn't one; says why."""
        if not isinstance(text, str) or not text.startswith("/"):
            raise ValueError('a path begins with "/"')
        if len(text) > MAX_PATH_CHARACTERS:
            raise ValueError(f"a path has at most {MAX_PATH_CHARACTERS} characters")
        names = text[1:].split("/")
        is_below = names[-1] == "**"
        if is_below:
            names.pop()
        if "**" in names:
            raise ValueError('"**" is the last member of a path')
        return cls(text, [_step(place, names) for place in range(len(names))], is_below)

    def covers(self, path: Sequence[str], types: Mapping[int, object]) -> bool:
        """
        Tell whether a place lies within it.

        :param path: the members that lead to the place.
        :param types: at which of these a node or an edge is, and of which type.
        """
        if len(path) < len(self.steps) + self.is_below:
            return False
        return all(
            step.name in (None, path[at]) and (step.type is None or types.get(at) == step.type)
            for at, step in enumerate(self.steps)
        )


def _step(place: int, names: Sequence[str]) -> _Step:
    name, kind = names[place], None
    if (typed := _TYPED.fullmatch(name)) is not None:
        if place != 1 or names[0] not in _ELEMENTS:
            raise ValueError("only a node or an edge has a type: /nodes/*[type=prompt]")
        name, kind = typed["name"], typed["type"]
    if name == "*":
        return _Step(None, kind)
    if re.search("~(?![01])", name):
        raise ValueError('"~" is written ~0, and "/" within a name ~1')
    return _Step(name.replace("~1", "/").replace("~0", "~"), kind)


def parse_paths(given: object) -> tuple[DocumentPath, ...]:
    """
    Read the paths of a grant.

    :raises ValueError: when they aren't a list of paths; says which isn't one.
    """
    if not isinstance(given, list) or not 0 < len(given) <= MAX_PATHS:
        raise ValueError(f"paths are a list of 1 to {MAX_PATHS} paths")
    paths = []
    for one in given:
        try:
            paths.append(DocumentPath.parse(one))
        except ValueError as error:
            raise ValueError(f"{one!r} is no path: {error}") from None
    return tuple(paths)


def first_outside(
    paths: Sequence[DocumentPath], patch: Mapping[str, Any], content: Mapping[str, Any]
) -> str | None:
    """
    Find the first place that a merge patch changes and that no path covers.

    A node or an edge that the patch makes or deletes counts as a place of its own: who may change
    its members may not make it. A type counts as the document has it, and as the patch leaves it.

    :param content: the document before the patch.
    :return: a JSON Pointer; ``None`` if all is covered.
    """
    for path, types in _places(patch, content):
        if not all(any(one.covers(path, found) for one in paths) for found in types):
            return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in path)
    return None


_Types = Sequence[Mapping[int, object]]


def _places(
    patch: Mapping[str, Any], content: Mapping[str, Any]
) -> Iterator[tuple[Sequence[str], _Types]]:
    """List what a patch sets or deletes, each with the types before and after."""
    for name, value in patch.items():
        if name not in _ELEMENTS or not isinstance(value, dict):
            yield from _leaves((name,), value, content.get(name), ({},))
            continue
        for element_id, change in value.items():
            path = (name, element_id)
            found = content.get(name, {}).get(element_id)
            if not isinstance(found, dict) or not isinstance(change, dict):
                yield path, _types_of(found, change)
                continue
            yield from _leaves(path, change, found, _types_of(found, change))


def _types_of(found: object, change: object) -> _Types:
    """Give the types of a node or an edge before and after a change, where it is one then."""
    types: list[Mapping[int, object]] = []
    before = found if isinstance(found, dict) else {}
    if isinstance(found, dict):
        types.append({1: before.get("type")})
    if isinstance(change, dict):
        types.append({1: change.get("type", before.get("type"))})
    return types or ({},)


def _leaves(
    path: Sequence[str], value: object, found: object, types: _Types
) -> Iterator[tuple[Sequence[str], _Types]]:
    """
    List the places that a value of a patch sets, without recursion: it may be deep.

    :param found: what the document has there. An object takes the place of all else.
    """
    waiting = [(path, value, found)]
    while waiting:
        at, inner, before = waiting.pop()
        if isinstance(inner, dict) and inner and (before is None or isinstance(before, dict)):
            within = before or {}
            waiting += [
                ((*at, name), member, within.get(name)) for name, member in reversed(inner.items())
            ]
        else:
            yield at, types
