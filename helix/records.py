"""The records of flows: of stored ones log entries, the head and the result of a load."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Protocol

import attrs
import msgspec


class Actor(msgspec.Struct, frozen=True, gc=False):
    """
    Who did something, as far as the server knows.

    :ivar id: of the principal.
    :ivar kind: ``person``, ``service`` or ``guest``.
    :ivar name: to show; may be empty.
    """

    id: str
    kind: str
    name: str = ""


class Author(msgspec.Struct, frozen=True, gc=False):
    """
    Who an edit is by, as it is kept.

    :ivar by: a name to show; may be empty.
    :ivar actor: ``None`` where nothing proves who it was.
    :ivar tags: a JSON object that the client, or its grant, marks the edit with; empty for none.
    """

    by: str = ""
    actor: Actor | None = None
    tags: bytes = b""


NOBODY = Author()
"""The author of what nobody in particular has done."""


class Authored(Protocol):
    """What is by somebody."""

    @property
    def actor(self) -> Actor | None:
        """As that of an `Author`."""

    @property
    def tags(self) -> bytes:
        """As those of an `Author`."""


def describe_author(what: Authored) -> dict[str, object]:
    """Describe who something is by, besides the name to show: what is known, and nothing else."""
    described: dict[str, object] = {}
    if what.actor is not None:
        described["actor"] = what.actor
    if what.tags:
        described["tags"] = msgspec.Raw(what.tags)
    return described


class Entry(msgspec.Struct, frozen=True, gc=False):
    """
    One accepted patch.

    :ivar version: its place in the log; the first entry has 1.
    :ivar patch: the effective patch, a JSON object as text.
    :ivar at: when it was accepted, Unix seconds.
    :ivar by: the author, as a name to show; may be empty.
    :ivar client_id: the public id of the submitter (`helix.documents.ids.public_id`); with
        ``op_id``, the idempotency key; ``None`` for an entry without a key.
    :ivar op_id: a number that the client chose; ``None`` exactly when ``client_id`` is.
    :ivar dropped: the parts of the submitted patch that were dropped, as JSON Pointers.
    :ivar chain: the log's at this version (`helix.chain`); empty for an old entry without a chain,
        which leaves the log's chain unchanged.
    :ivar actor: as that of its `Author`, as ``by`` and the next one; an old entry has none.
    :ivar tags: a JSON object; empty for none.
    """

    version: int
    patch: bytes
    at: float
    by: str = ""
    client_id: str | None = None
    op_id: int | None = None
    dropped: tuple[str, ...] = ()
    chain: bytes = b""
    actor: Actor | None = None
    tags: bytes = b""


class LogEnd(msgspec.Struct, frozen=True, gc=False):
    """
    How far a log has come.

    :ivar version: of its newest entry; 0 without any.
    :ivar chain: the log's at that version. (`helix.chain`)
    """

    epoch: str
    version: int
    chain: bytes
    is_deleted: bool


class OpenFlow(msgspec.Struct, frozen=True, gc=False):
    """
    A flow that somebody has open, on one node or several.

    :ivar client_count: its members.
    :ivar started_at: since when, Unix seconds.
    :ivar last_activity: when a member last joined, left, changed something or was seen to move,
        likewise.
    """

    flow_id: str
    client_count: int
    started_at: float
    last_activity: float


class OpenFlows(msgspec.Struct, frozen=True):
    """
    A page of flows that somebody has open, by their ids.

    :ivar is_more: whether others follow.
    """

    flows: list[OpenFlow]
    is_more: bool


class NamedVersion(msgspec.Struct, frozen=True, gc=False):
    """
    A version of a log that somebody gave a name.

    :ivar by: who named it, as a name to show; may be empty.
    :ivar at: when it got this name, Unix seconds.
    :ivar actor: as that of an `Author`, as the next one.
    :ivar tags: a JSON object; empty for none.
    """

    version: int
    name: str
    by: str
    at: float
    actor: Actor | None = None
    tags: bytes = b""


class AuditEntry(msgspec.Struct, frozen=True, gc=False):
    """
    Something that was done to access.

    :ivar number: its place among all, which the store gives: later ones have larger numbers.
    :ivar at: Unix seconds.
    :ivar action: such as ``access.change``, ``link.create``, ``key.revoke``.
    :ivar flow_id: the flow that it was done to; empty for none.
    :ivar credential: what it was done to besides: ``key:ID`` or ``session:ID``; empty for none.
    :ivar actor: who did it; ``None`` for the operator, at the machine.
    :ivar details: a JSON object, without secrets.
    """

    number: int
    at: float
    action: str
    flow_id: str = ""
    credential: str = ""
    actor: Actor | None = None
    details: bytes = b"{}"


class ApiKey(msgspec.Struct, frozen=True):
    """
    A key with which a program comes in.

    :ivar id: public.
    :ivar name: what it is for.
    :ivar digest: SHA-256 of the key, which is shown to nobody again.
    :ivar grants: a JSON object as the claim ``flows`` of a token: what it may do.
    :ivar create: a JSON array as the claim ``create``: the ids of flows that it may make.
    :ivar is_admin: whether it may do everything.
    :ivar created_at: Unix seconds, as the other times.
    :ivar created_by: the id of who made it; empty for the operator, at the machine.
    :ivar expires_at: ``None`` for never.
    :ivar used_at: when it was used last, about; ``None`` for never.
    """

    id: str
    name: str
    digest: bytes
    created_at: float
    grants: bytes = b"{}"
    create: bytes = b"[]"
    is_admin: bool = False
    created_by: str = ""
    expires_at: float | None = None
    used_at: float | None = None


class SignIn(msgspec.Struct, frozen=True):
    """
    A session of somebody who has signed in at the editor.

    :ivar id: public.
    :ivar digest: SHA-256 of what the cookie holds.
    :ivar principal_id: who it is.
    :ivar details: a JSON object: what else is known of them, and what signing out needs.
    :ivar created_at: Unix seconds, as the other times.
    :ivar seen_at: when it was used last, about.
    :ivar expires_at: when it ends, unless it is used before.
    """

    id: str
    digest: bytes
    principal_id: str
    details: bytes
    created_at: float
    seen_at: float
    expires_at: float


@attrs.define
class StoreUsage:
    """
    What a store holds, as far as it looks at that.

    :ivar used_bytes: when it looked last.
    :ivar max_bytes: that it may hold; 0 for as many as there is room for.
    :ivar refused: writes that found no room.
    """

    used_bytes: int = 0
    max_bytes: int = 0
    refused: int = 0

    @property
    def is_full(self) -> bool:
        """Whether nothing new is to be kept."""
        return 0 < self.max_bytes <= self.used_bytes


class Summary(msgspec.Struct, frozen=True, gc=False):
    """The part of a document that lists show."""

    title: str = ""
    description: str = ""
    node_count: int = 0
    edge_count: int = 0


class FlowHead(msgspec.Struct, frozen=True):
    """
    A flow without its document.

    :ivar epoch: the identity of its log.
    :ivar version: how many entries the log has.
    :ivar created_at: Unix seconds, as the other times.
    :ivar updated_at: when the newest entry was accepted; ``created_at`` before the first.
    :ivar origin: the chain of version 0, by the epoch that the log began in. (`helix.chain`)
    :ivar chain: that of ``version``; empty in lists, and if its entry is damaged.
    :ivar deleted_at: ``None`` while the flow is not deleted.
    """

    flow_id: str
    epoch: str
    version: int
    summary: Summary
    created_at: float
    updated_at: float
    origin: bytes
    chain: bytes
    deleted_at: float | None = None


class StoredFlow(msgspec.Struct, frozen=True):
    """
    A flow as it is loaded: a snapshot and the entries that follow it.

    :ivar snapshot: the document at ``snapshot_version`` as JSON; ``None`` for the empty document
        that every log starts from, at 0.
    :ivar entries: all from ``snapshot_version`` (excluded) to the version asked for.
    """

    head: FlowHead
    snapshot_version: int
    snapshot: bytes | None
    entries: list[Entry]


Bounds = tuple[float | None, float | None]
"""The least and the most that a number may be; ``None`` for no bound."""

LISTED_TITLE = 500
"""Characters of a title that a brief list shows."""

LISTED_DESCRIPTION = 300
"""The same of a description."""

UNBOUNDED: Bounds = (None, None)


_LAST_CHARACTER = 0x10FFFF

_SURROGATES = range(0xD800, 0xE000)


@attrs.frozen
class Scope:
    """
    Some of all flows: some by their ids, and some by how their ids begin. Made by `of`.

    :ivar ids: in order.
    :ivar prefixes: in order; none is within another, and none of the ``ids`` is within one.
    :ivar subjects: those whose flows belong to it, too. (`helix.access.sharing`)
    :ivar least_role: the number of the lowest role that a subject must have in a flow.
    """

    ids: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    least_role: int = 1

    @classmethod
    def of(
        cls,
        ids: Iterable[str],
        prefixes: Iterable[str],
        subjects: Iterable[str] = (),
        least_role: int = 1,
    ) -> Scope | None:
        """Give the flows of any of these; ``None`` for all that there may be."""
        shortest: list[str] = []
        for prefix in sorted({one for one in prefixes if _may_be_in_id(one)}):
            if not shortest or not prefix.startswith(shortest[-1]):
                shortest.append(prefix)
        if "" in shortest:
            return None
        scope = cls((), tuple(shortest))
        named = {one for one in ids if _may_be_in_id(one) and not scope.holds(one)}
        known = tuple(one for one in subjects if _is_text(one))
        return cls(tuple(sorted(named)), scope.prefixes, known, least_role)

    def holds(self, flow_id: str) -> bool:
        """Tell whether a flow is one of them by its id; subjects may have others."""
        place = bisect_right(self.ids, flow_id)
        if place and self.ids[place - 1] == flow_id:
            return True
        place = bisect_right(self.prefixes, flow_id)
        return place > 0 and flow_id.startswith(self.prefixes[place - 1])

    @property
    def ranges(self) -> list[tuple[str, str]]:
        """The prefixes as half-open ranges of ids, in the order of their code points."""
        ends = [(prefix, _after(prefix)) for prefix in self.prefixes]
        return [(prefix, end) for prefix, end in ends if end]


def _may_be_in_id(text: str) -> bool:
    """Tell whether a text has no surrogate, and no NUL, at which SQLite's JSON would end."""
    return "\0" not in text and _is_text(text)


def _is_text(text: str) -> bool:
    """Tell whether a text has no surrogate, which no store takes."""
    return not any(ord(character) in _SURROGATES for character in text)


def _after(prefix: str) -> str:
    """Give the first text after all that begin so; empty if there is none."""
    while prefix:
        code = ord(prefix[-1]) + 1
        prefix = prefix[:-1]
        if code <= _LAST_CHARACTER:
            return prefix + chr(_SURROGATES.stop if code in _SURROGATES else code)
    return ""


@attrs.frozen
class HeadQuery:
    """
    Which flows to list, the newest change first.

    :ivar text: text that the id, the title or the description contains; case is ignored.
    :ivar limit: how many at most, >= 1.
    :ivar before: the ``(updated_at, flow_id)`` of the last one of the page before.
    :ivar deleted: whether to list the deleted flows instead of the others.
    :ivar nodes: how many nodes they have, at least and at most; ``None`` for any.
    :ivar edges: likewise.
    :ivar updated: since when (included) and until when (excluded) they were changed last.
    :ivar scope: among which flows; ``None`` for all.
    :ivar brief: whether titles and descriptions are cut to `LISTED_TITLE` and
        `LISTED_DESCRIPTION` characters; a text with a NUL may be cut at the NUL.
    """

    text: str = ""
    limit: int = 50
    before: tuple[float, str] | None = None
    deleted: bool = False
    nodes: Bounds = UNBOUNDED
    edges: Bounds = UNBOUNDED
    updated: Bounds = UNBOUNDED
    scope: Scope | None = None
    brief: bool = False

    @property
    def comparisons(self) -> list[tuple[str, str, float]]:
        """The bounds as ``(column, operator, value)``, in the words of the stores' tables."""
        bounds = [
            ("node_count", ">=", self.nodes[0]),
            ("node_count", "<=", self.nodes[1]),
            ("edge_count", ">=", self.edges[0]),
            ("edge_count", "<=", self.edges[1]),
            ("updated_at", ">=", self.updated[0]),
            ("updated_at", "<", self.updated[1]),
        ]
        return [
            (column, operator, value) for column, operator, value in bounds if value is not None
        ]
