"""Validates documents and patches: types, names, depth and sizes; with no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import attrs

from helix.documents.ids import MAX_ID_BYTES
from helix.documents.merge_patch import JsonObject, size_of
from helix.errors import DocumentTooLarge, InvalidPatch, PatchTooLarge

MEMBERS = ("title", "description", "viewport", "data", "nodes", "edges")
"""The members of every document."""

FORBIDDEN_KEYS = frozenset({"__proto__", "constructor", "prototype"})
"""Names that reach an object's prototype in JavaScript; merging them would be an attack."""

LARGEST_NUMBER = 2**53
"""Up to here browsers, which have doubles, hold every whole number; beyond, not each."""

LONGEST = {"title": 500, "description": 10_000}
"""Characters of a document's texts: lists hold them, for everybody."""

Path = tuple[str | int, ...]


@attrs.frozen
class DocumentLimits:
    """
    How large a document and a patch of it may be.

    :ivar max_patch_bytes: of a patch's JSON text, without white space.
    :ivar max_document_bytes: of the document's.
    :ivar max_members: nodes and edges together.
    :ivar max_depth: how deep arrays and objects may nest, the document itself counted.
    :ivar max_id_bytes: of the id of a node or an edge, as UTF-8.
    :ivar max_number: how far from 0 a number may be.
    """

    max_patch_bytes: int = 256 * 1024
    max_document_bytes: int = 16 * 1024 * 1024
    max_members: int = 20_000
    max_depth: int = 32
    max_id_bytes: int = MAX_ID_BYTES
    max_number: float = LARGEST_NUMBER


def pointer(path: Path) -> str:
    """Write a path as a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in path)


def invalid(path: Path, problem: str) -> InvalidPatch:
    """Make the error for a fault at ``path``."""
    return InvalidPatch(pointer(path), problem)


def check_patch_size(patch: JsonObject, limits: DocumentLimits) -> int:
    """
    Measure a patch.

    :return: the bytes of its JSON text.
    :raises PatchTooLarge: when they are more than ``max_patch_bytes``.
    """
    size = size_of(patch)
    if size > limits.max_patch_bytes:
        raise PatchTooLarge(
            f"The patch takes {size} bytes; at most {limits.max_patch_bytes} are allowed"
        )
    return size


def check_document_size(size: int, limits: DocumentLimits) -> None:
    """Refuse a document of ``size`` bytes where that is too many (`DocumentTooLarge`)."""
    if size > limits.max_document_bytes:
        raise DocumentTooLarge(
            f"The document would take {size} bytes; at most {limits.max_document_bytes} are allowed"
        )


def check_members(count: int, limits: DocumentLimits) -> None:
    """Refuse a document of ``count`` nodes and edges where that is too many."""
    if count > limits.max_members:
        raise DocumentTooLarge(
            f"The document would have {count} nodes and edges; at most "
            f"{limits.max_members} are allowed"
        )


def check_lengths(given: JsonObject, current: JsonObject) -> None:
    """
    Refuse a text that is longer than it may be, unless it gets shorter: there were such.

    :param given: a patch, or a whole document, that was checked.
    :param current: what is now; ``{}`` where nothing is.
    :raises InvalidPatch: where one is.
    """
    for name, longest in LONGEST.items():
        text = given.get(name)
        if not text:
            continue
        if len(text) > max(longest, len(current.get(name, "")) - 1) and text != current.get(name):
            raise invalid((name,), f"has {len(text)} characters, more than the {longest} it may")


def check_patch(patch: object, limits: DocumentLimits) -> JsonObject:
    """
    Refuse a patch that is invalid for every document.

    :return: the patch itself.
    :raises InvalidPatch: at the first fault; its path says where.
    """
    return _Checker(limits, nulls=True).document(patch)


def check_object(value: object, max_depth: int) -> JsonObject:
    """
    Refuse a value that is no object, or is invalid in every document; nulls are allowed.

    :param max_depth: how deep arrays and objects may nest, the object itself counted.
    :return: the object itself.
    :raises InvalidPatch: at the first fault; its path says where.
    """
    checker = _Checker(DocumentLimits(max_depth=max_depth), nulls=True)
    checker.data(value, max_depth)
    return cast(JsonObject, value)


def check_document(document: object, limits: DocumentLimits) -> JsonObject:
    """
    Refuse an invalid whole document.

    :return: the document itself.
    :raises InvalidPatch: at the first fault: as for a patch, and where a member is null or missing,
        or an edge has an end that is no node.
    :raises DocumentTooLarge: when it has too many bytes or members.
    """
    whole = _Checker(limits, nulls=False).document(document)
    _require(whole, MEMBERS, ())
    nodes, edges = whole["nodes"], whole["edges"]
    for node_id, node in nodes.items():
        check_complete_node(node_id, node)
    for edge_id, edge in edges.items():
        path = ("edges", edge_id)
        _require(edge, ("id", "source", "target"), path)
        for end in ("source", "target"):
            if edge[end] not in nodes:
                raise invalid((*path, end), "is not the id of a node of this document")
    _require(whole["viewport"], ("x", "y", "zoom"), ("viewport",))
    check_members(len(nodes) + len(edges), limits)
    check_document_size(size_of(whole), limits)
    return whole


def without_odd_types(document: JsonObject) -> JsonObject:
    """
    Give a document of a log as it is read: edges had types that are no text, before that was a
    rule, and have none. It shares what is same.
    """
    mended = {
        edge_id: {name: value for name, value in edge.items() if name != "type"}
        for edge_id, edge in document["edges"].items()
        if "type" in edge and type(edge["type"]) is not str
    }
    return document | {"edges": document["edges"] | mended} if mended else document


def check_complete_node(node_id: str, node: JsonObject) -> None:
    """Refuse a node that lacks what every node has; what it has was checked before."""
    path = ("nodes", node_id)
    _require(node, ("id", "position", "data"), path)
    _require(node["position"], ("x", "y"), (*path, "position"))


def _require(value: JsonObject, names: Iterable[str], path: Path) -> None:
    for name in names:
        if name not in value:
            raise invalid((*path, name), "is missing")


def is_number(value: object, most: float = LARGEST_NUMBER) -> bool:
    """Tell whether a value is a number that all clients have alike, at most so far from 0."""
    kind = type(value)
    # Not a number is within nothing. (That `kind` narrows `value`, mypy doesn't see.)
    return (kind is int or kind is float) and -most <= value <= most  # type: ignore[operator]


def _is_text(value: object) -> bool:
    """Tell whether a value is a string that UTF-8 can hold: half of a surrogate pair it can't."""
    if type(value) is not str:
        return False
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    return True


class _Fault(Exception):
    """
    What can't be, found on the way down.

    :ivar path: where, the innermost name first: whoever is on the way adds its own.
    """

    def __init__(self, problem: str, *path: str | int) -> None:
        super().__init__()
        self.problem = problem
        self.path = list(path)

    def error(self) -> InvalidPatch:
        return invalid(tuple(reversed(self.path)), self.problem)


@attrs.define(eq=False)
class _Checker:
    """
    Walks over a patch or a document once and refuses the first fault.

    ``room`` says how many levels of arrays and objects a value may have. The path of a fault is
    built only when there is one: tracking it took longer than everything else.

    :ivar nulls: whether members may be null; in a patch, null deletes them.
    """

    limits: DocumentLimits
    nulls: bool

    def document(self, value: object) -> JsonObject:
        """
        Check all of it.

        :raises InvalidPatch: at the first fault.
        """
        room = self.limits.max_depth
        name: str | None = None
        try:
            document = self._object(value, room)
            for name, member in document.items():
                check = _CHECKS.get(name)
                if check is None:
                    raise _Fault(f"is not one of {', '.join(MEMBERS)}")
                check(self, member, room - 1)
        except _Fault as fault:
            raise _under(name, fault).error() from None
        return document

    def data(self, value: object, room: int) -> None:
        """
        Check an object that may hold anything.

        :raises InvalidPatch: at the first fault.
        """
        try:
            self._data(value, room)
        except _Fault as fault:
            raise fault.error() from None

    def _object(self, value: object, room: int) -> JsonObject:
        """Check that a value is an object with keys that can be; not what it holds."""
        if type(value) is not dict:
            raise _Fault("must be an object")
        if room < 1:
            raise _Fault(f"nests deeper than {self.limits.max_depth}")
        for key in value:
            if not (type(key) is str and key.isascii()) and not _is_text(key):
                raise _Fault("is not a name of Unicode characters", repr(key))
        if not FORBIDDEN_KEYS.isdisjoint(value):
            key = next(key for key in value if key in FORBIDDEN_KEYS)
            raise _Fault("is a name that must not be used", key)
        return value

    def _json(self, value: object, room: int) -> None:
        kind = type(value)
        if kind is dict:
            key: str | None = None
            try:
                for key, member in self._object(value, room).items():  # noqa: B007  # told below
                    self._json(member, room - 1)
            except _Fault as fault:
                raise _under(key, fault) from None
        elif kind is list:
            self._array(value, room)  # type: ignore[arg-type]  # mypy doesn't see what `kind` says
        else:
            self._scalar(value)

    def _scalar(self, value: object) -> None:
        kind = type(value)
        if kind is str:
            if not _is_text(value):
                raise _Fault("holds half of a surrogate pair")
        elif kind is int or kind is float:
            if not is_number(value, self.limits.max_number):
                raise _Fault("is not a number of at most 2^53, as browsers have it")
        elif value is None:
            if not self.nulls:
                raise _Fault("must not be null: leave it out")
        elif kind is not bool:
            raise _Fault("is not JSON")

    def _array(self, value: list[Any], room: int) -> None:
        if room < 1:
            raise _Fault(f"nests deeper than {self.limits.max_depth}")
        # Arrays are values to a merge patch: a null in one deletes nothing.
        inside = self if self.nulls else _Checker(self.limits, nulls=True)
        index: int | None = None
        try:
            for index, member in enumerate(value):  # noqa: B007  # told below
                inside._json(member, room - 1)
        except _Fault as fault:
            raise _under(index, fault) from None

    def _text(self, value: object, room: int) -> None:
        if not _is_text(value):
            raise _Fault("must be a string of Unicode characters")

    def _data(self, value: object, room: int) -> None:
        if type(value) is not dict:
            raise _Fault("must be an object")
        self._json(value, room)

    def _numbers(self, value: object, names: tuple[str, ...], room: int) -> None:
        for name, number in self._object(value, room).items():
            if name not in names:
                raise _Fault(f"is not one of {', '.join(names)}", name)
            if not is_number(number, self.limits.max_number):
                raise _Fault("must be a number of at most 2^53, as browsers have it", name)

    def _position(self, value: object, room: int) -> None:
        self._numbers(value, ("x", "y"), room)

    def _viewport(self, value: object, room: int) -> None:
        self._numbers(value, ("x", "y", "zoom"), room)

    def _name(self, value: object, room: int) -> None:
        if value is not None or not self.nulls:
            self._text(value, room)

    def _members(self, value: object, checks: _Checks, room: int) -> None:
        """Check nodes or edges: objects by id, or null in a patch."""
        member_id: str | None = None
        try:
            for member_id, member in self._object(value, room).items():
                if not 1 <= len(member_id.encode()) <= self.limits.max_id_bytes:
                    raise _Fault(f"is not an id of 1 to {self.limits.max_id_bytes} bytes")
                if member is not None or not self.nulls:
                    self._member(member_id, member, checks, room - 1)
        except _Fault as fault:
            raise _under(member_id, fault) from None

    def _member(self, member_id: str, member: object, checks: _Checks, room: int) -> None:
        name: str | None = None
        try:
            for name, field in self._object(member, room).items():
                if name == "id" and field != member_id:
                    raise _Fault("must equal the key")
                checks.get(name, _Checker._json)(self, field, room - 1)
        except _Fault as fault:
            raise _under(name, fault) from None

    def _nodes(self, value: object, room: int) -> None:
        self._members(value, _NODE_CHECKS, room)

    def _edges(self, value: object, room: int) -> None:
        self._members(value, _EDGE_CHECKS, room)


def _under(name: str | int | None, fault: _Fault) -> _Fault:
    """Say in which member a fault is; ``None`` for the value itself."""
    if name is not None:
        fault.path.append(name)
    return fault


_Check = Callable[[_Checker, object, int], None]
_Checks = dict[str, _Check]

_CHECKS: _Checks = {
    "title": _Checker._text,
    "description": _Checker._text,
    "viewport": _Checker._viewport,
    "data": _Checker._data,
    "nodes": _Checker._nodes,
    "edges": _Checker._edges,
}
_NODE_CHECKS: _Checks = {
    "id": _Checker._text,
    "type": _Checker._name,
    "parentId": _Checker._name,
    "position": _Checker._position,
    "data": _Checker._data,
}
_EDGE_CHECKS: _Checks = {
    "id": _Checker._text,
    "type": _Checker._name,
    "source": _Checker._text,
    "target": _Checker._text,
}
