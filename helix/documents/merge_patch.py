"""
JSON Merge Patch (RFC 7396) as an algebra over plain data: merge, minimal, diff and inverse.

A *document* here is an object of plain JSON data (``dict``, ``list``, ``str``, ``int``, ``float``,
``bool``) none of whose members is null, since a merge patch says "delete" with null. Arrays are
values: they are compared and replaced whole, are never changed in place, and may hold nulls.

Results share arrays with the arguments, and with `merge` also untouched members. Objects from a
patch are copied. So a patch stays unchanged when its target changes later.
"""

from __future__ import annotations

from typing import Any

import msgspec

JsonObject = dict[str, Any]
"""A JSON object as msgspec decodes it."""

_ABSENT = object()

_encode = msgspec.json.Encoder().encode


def merge(target: Any, patch: Any) -> Any:
    """
    Apply a merge patch: the ``MergePatch`` function of RFC 7396, section 2.

    :return: the result; the arguments are not changed.
    """
    if type(patch) is not dict:
        return patch
    if type(target) is not dict:
        return fresh(patch)
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(target.get(key), value)
    return result


def fresh(value: Any) -> Any:
    """Make what a patch's value becomes where no object is: its objects anew, their nulls gone."""
    if type(value) is not dict:
        return value
    return {key: fresh(member) for key, member in value.items() if member is not None}


def same(a: Any, b: Any) -> bool:
    """
    Tell whether two values are the same JSON.

    ``1`` and ``1.0`` are, as they are in JSON; ``1`` and ``true`` are not, though they are equal in
    Python.
    """
    if a != b:
        return False
    kind = type(a)
    if kind is dict:
        return all(same(value, b[key]) for key, value in a.items())
    if kind is list:
        return all(map(same, a, b))
    return (kind is bool) == (type(b) is bool)


def minimal(target: JsonObject, patch: JsonObject) -> JsonObject:
    """
    Reduce a patch to what it changes in ``target``, in time that depends on the patch alone.

    :return: a patch that makes the same of ``target`` and holds nothing else; ``{}`` when the patch
        changes nothing.
    """
    result: JsonObject = {}
    for key, value in patch.items():
        old = target.get(key, _ABSENT)
        if value is None:
            if old is not _ABSENT:
                result[key] = None
        elif type(value) is not dict:
            if not same(old, value):
                result[key] = value
        elif type(old) is not dict:
            result[key] = fresh(value)
        elif change := minimal(old, value):
            result[key] = change
    return result


def diff(a: JsonObject, b: JsonObject) -> JsonObject:
    """
    Make the patch that turns the document ``a`` into ``b``: ``merge(a, diff(a, b)) == b``.

    Where nothing differs it is ``{}``. A null member, which neither may have, counts as absent.
    """
    result: JsonObject = {key: None for key in a if b.get(key) is None}
    for key, value in b.items():
        old = a.get(key)
        if type(old) is dict and type(value) is dict:
            if old is not value and (change := diff(old, value)):
                result[key] = change
        elif not same(old, value):
            result[key] = fresh(value)
    return result


def inverse(document: JsonObject, patch: JsonObject) -> JsonObject:
    """
    Make the patch that undoes ``patch``: ``merge(merge(d, p), inverse(d, p)) == d``.

    :param document: the document before the patch.
    """
    result: JsonObject = {}
    for key, value in patch.items():
        old = document.get(key)
        if type(old) is dict and type(value) is dict:
            if change := inverse(old, value):
                result[key] = change
        elif old is not None:
            result[key] = fresh(old)
        elif value is not None:
            result[key] = None
    return result


def size_of(value: Any) -> int:
    """Measure a value: the bytes of its JSON text, without white space."""
    return len(_encode(value))


def _member(key: str, value: Any) -> int:
    """Measure a member of an object: its name, the colon and its value; without a comma."""
    return len(_encode(key)) + 1 + len(_encode(value))


def _commas(count: int) -> int:
    return count - 1 if count else 0


def growth(target: JsonObject, patch: JsonObject) -> int:
    """Tell by how many bytes the JSON of ``target`` grows when ``patch`` is applied; exact."""
    grown = added = 0
    for key, value in patch.items():
        old = target.get(key, _ABSENT)
        if type(old) is dict and type(value) is dict:
            grown += growth(old, value)
            continue
        if old is not _ABSENT:
            grown -= _member(key, old)
            added -= 1
        if value is not None:
            grown += _member(key, fresh(value))
            added += 1
    return grown + _commas(len(target) + added) - _commas(len(target))


def merge_into(target: JsonObject, patch: JsonObject, undo: JsonObject | None = None) -> int:
    """
    Apply a merge patch in place, in time that depends on the patch and what it replaces.

    :param undo: an empty object, which becomes the patch that undoes this: what `inverse` makes. It
        takes over what is replaced.
    :return: by how many bytes the JSON of ``target`` has grown; exact.
    """
    grown = 0
    before = len(target)
    for key, value in patch.items():
        old = target.get(key, _ABSENT)
        if type(value) is dict:
            if type(old) is dict:
                replaced: JsonObject | None = None if undo is None else {}
                grown += merge_into(old, value, replaced)
                if replaced:
                    undo[key] = replaced  # type: ignore[index]  # else nothing is replaced
                continue
            value = fresh(value)
        if old is _ABSENT:
            if value is not None:
                target[key] = value
                grown += _member(key, value)
                if undo is not None:
                    undo[key] = None
            continue
        if value is None:
            del target[key]
            grown -= _member(key, old)
        else:
            target[key] = value
            grown += len(_encode(value)) - len(_encode(old))
        if undo is not None:
            undo[key] = old
    after = len(target)
    return grown if after == before else grown + _commas(after) - _commas(before)
