"""A client's copy of a flow: the confirmed document, and its own pending patches on top."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import attrs
import msgspec

from helix.access.grants import parse_tags
from helix.delivery.protocol import encode_json
from helix.documents.document import DocumentLimits, FlowDocument, JsonObject
from helix.documents.merge_patch import same
from helix.documents.text_merge import bases_of, merge_patch
from helix.documents.validation import check_patch
from helix.errors import HelixError, InvalidParameters, TooManyPending
from helix.records import Actor

MAX_PENDING = 1000
"""Patches that may wait for the server's confirmation ..."""

MAX_PENDING_BYTES = 8 * 1024 * 1024
"""... and the bytes of them all."""

Place = tuple[str, str]
"""What a patch touches: a node, an edge, or another member of the document."""

_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


class FlowEntry(msgspec.Struct, frozen=True):
    """
    An entry of the log, as the server tells it.

    :ivar version: its place in the log; the first has 1.
    :ivar patch: what it changed: plain data, not to be changed.
    :ivar at: when it was accepted, Unix seconds.
    :ivar by: the author, as a name to show.
    :ivar client_id: the public id of the submitter; with ``op_id``, the idempotency key; ``None``
        for an entry without a key.
    :ivar dropped: the parts of the submitted patch that were dropped, as JSON Pointers.
    :ivar actor: who made it; ``None`` where nothing proves that, and in old entries.
    :ivar tags: what the client, or its grant, has marked it with.
    """

    version: int
    patch: JsonObject
    at: float = 0.0
    by: str = ""
    client_id: str | None = None
    op_id: int | None = None
    dropped: tuple[str, ...] = ()
    actor: Actor | None = None
    tags: JsonObject = {}


class Gap(Exception):  # as all errors here, named after what happened
    """Entries are missing between what the replica has and what it was given."""


@attrs.define(eq=False)
class Operation:
    """
    A pending patch of this client.

    :ivar text: the patch as JSON.
    :ivar bases: the old versions of its texts, by their JSON Pointers (DOM4).
    :ivar tags: what it is marked with, as JSON; empty for nothing.
    :ivar was_sent: whether a server may have seen it under its ``op_id``.
    :ivar may_be_held: whether the document came whole and may have it: its texts are shown as
        they are there, then.
    :ivar durable_at: its version in the log; ``None`` while that isn't known.
    :ivar dropped: its dropped parts, as JSON Pointers, once they are known.
    :ivar effective: the part of it that is shown; ``{}`` while it isn't shown.
    :ivar undo: removes ``effective`` again.
    :ivar is_shown: whether the document has the part of it that can be shown.
    :ivar places: what it touches, as it was shown last.
    """

    op_id: int
    patch: JsonObject
    text: bytes
    bases: Mapping[str, str] = attrs.field(factory=dict)
    tags: bytes = b""
    was_sent: bool = False
    may_be_held: bool = False
    durable_at: int | None = None
    dropped: tuple[str, ...] = ()
    effective: JsonObject = attrs.field(factory=dict)
    undo: JsonObject = attrs.field(factory=dict)
    is_shown: bool = False
    places: frozenset[Place] = frozenset()

    @property
    def size(self) -> int:
        """About how many bytes it takes, in memory or in a frame."""
        bases = len(encode_json(self.bases)) if self.bases else 0
        return len(self.text) + len(self.tags) + bases

    def merged(self, document: JsonObject) -> JsonObject:
        """Give the patch for a document, with what others have written in its texts meanwhile."""
        merged: JsonObject
        merged = merge_patch(document, self.patch, self.bases, is_held=self.may_be_held)
        return merged


def _tags_text(tags: object) -> bytes:
    """
    Write what a patch is marked with.

    :raises InvalidParameters: when it can't be tags.
    """
    try:
        given = {} if tags is None else parse_tags(tags)
    except ValueError as error:
        raise InvalidParameters(str(error).capitalize()) from None
    return encode_json(given) if given else b""


def places_of(patch: JsonObject) -> set[Place]:
    """
    List what a patch touches, and the nodes that its edges and nodes refer to.

    Two patches without a common place give the same document in either order. All patches that set
    parents share one place, since together they could make a ring.
    """
    places: set[Place] = set()
    for name, value in patch.items():
        if name not in ("nodes", "edges"):
            places.add((name, ""))
            continue
        for member_id, member in value.items():
            places.add((name, member_id))
            if member is None:
                continue
            if name == "edges":
                places.update(
                    ("nodes", member[end]) for end in ("source", "target") if end in member
                )
            elif "parentId" in member:
                places.add(("parents", ""))
                places.add(("nodes", member["parentId"] or ""))
    return places


class Replica:
    """
    The document that a client shows.

    The cost of an entry depends on what it touches: only those of this client's own patches that
    touch the same are removed, and applied again.

    :param client_id: this client's public id, by which its own entries are known.

    :ivar epoch: the identity of the log; ``None`` before the first `adopt`.
    :ivar version: what is confirmed.
    :ivar chain: the log's there, as the server told it; ``None`` where that isn't known.
    :ivar newest_op: the largest ``op_id`` so far.
    """

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.epoch: str | None = None
        self.version = 0
        self.chain: str | None = None
        self.newest_op = 0
        self._flow: FlowDocument | None = None
        self._limits = DocumentLimits()
        self._pending: dict[int, Operation] = {}
        self._pending_bytes = 0
        self._touched: Counter[Place] = Counter()

    @property
    def document(self) -> JsonObject | None:
        """What to show, plain data, to be read only; ``None`` before the first `adopt`."""
        return None if self._flow is None else self._flow.content

    @property
    def operations(self) -> list[Operation]:
        """What is on top of what is confirmed, in order."""
        return list(self._pending.values())

    @property
    def unconfirmed(self) -> list[Operation]:
        """The operations that are not known to be durable, in order."""
        return [op for op in self._pending.values() if op.durable_at is None]

    # this client's own patches

    def submit(self, patch: object, *, is_text: bool = False, tags: object = None) -> Operation:
        """
        Take a patch, which is shown at once.

        A patch that doesn't fit the shown document isn't shown, but still accepted: the server
        decides.

        :param patch: a merge patch. It is copied.
        :param is_text: whether its texts are edited versions of the shown ones.
        :param tags: an object to mark it with; ``None`` for nothing. It is copied.
        :raises InvalidPatch: when it can't be a patch of any document.
        :raises InvalidParameters: when these can't be tags.
        :raises TooManyPending: when as many wait as may.
        """
        text = encode_json(check_patch(patch, self._limits))
        op = Operation(self.newest_op + 1, _decode_object(text), text, tags=_tags_text(tags))
        if is_text:
            op.bases = bases_of(self.document or {}, op.patch)
        if len(self._pending) >= MAX_PENDING or self._pending_bytes + op.size > MAX_PENDING_BYTES:
            raise TooManyPending("Too many patches wait for the server's confirmation")
        return self._add(op)

    def restore(
        self, op_id: int, text: bytes, bases: Mapping[str, str], tags: JsonObject
    ) -> Operation:
        """Take a patch (JSON) that was submitted, and perhaps sent, by another process."""
        marks = _tags_text(tags)
        return self._add(Operation(op_id, _decode_object(text), text, bases, marks, was_sent=True))

    def count_on_from(self, last_op_id: int) -> list[tuple[int, Operation]]:
        """
        Give patches that were never sent numbers that the log doesn't hold.

        :param last_op_id: the largest of this client's there.
        :return: the operations that have another number now, in order, each with the one before.
        """
        if self.newest_op >= last_op_id and not any(
            op.op_id <= last_op_id for op in self._pending.values() if not op.was_sent
        ):
            return []
        unsent = [op for op in self._pending.values() if not op.was_sent]
        renamed = [(op.op_id, op) for op in unsent]
        for op in unsent:
            del self._pending[op.op_id]
        self.newest_op = max(self.newest_op, last_op_id)
        for op in unsent:
            self.newest_op += 1
            op.op_id = self.newest_op
            self._pending[op.op_id] = op
        return renamed

    def _add(self, op: Operation) -> Operation:
        self.newest_op = max(self.newest_op, op.op_id)
        self._pending[op.op_id] = op
        self._pending_bytes += op.size
        if self._flow is not None:
            self._show(op)
        return op

    def split(self, op: Operation, patches: Sequence[JsonObject]) -> list[Operation]:
        """
        Let several patches, one after the other, stand in place of an operation that was not sent.

        :return: the operations that they are, each with a number of its own.
        """
        if op.is_shown:
            self._uncover({*op.places})
        following = self.operations
        behind = following[following.index(op) + 1 :]
        for one in (op, *behind):
            self._remove(one)
        parts = []
        for patch in patches:
            self.newest_op += 1
            bases = {name: op.bases[name] for name in bases_of({}, patch) if name in op.bases}
            parts.append(Operation(self.newest_op, patch, encode_json(patch), bases, op.tags))
        for one in (*parts, *behind):
            self._pending[one.op_id] = one
            self._pending_bytes += one.size
        if self._flow is not None:
            self._cover()
        return parts

    def acknowledge(
        self, op_id: int, version: int, dropped: tuple[str, ...] = ()
    ) -> Operation | None:
        """
        Note that the log holds an operation at ``version``, except its dropped parts.

        It stays on top until that version has arrived.

        :return: the operation, if this is news.
        """
        op = self._pending.get(op_id)
        if op is None or op.durable_at is not None:
            return None
        op.durable_at, op.dropped = version, dropped
        if version <= self.version:
            self._forget(op)
        return op

    def refuse(self, op_id: int) -> Operation | None:
        """Take away an operation that will never be in the log, if it is still known."""
        op = self._pending.get(op_id)
        if op is not None:
            self._forget(op)
        return op

    # what the server tells

    def adopt(self, epoch: str, version: int, document: JsonObject) -> None:
        """
        Start again from a whole document, which is taken over.

        Durable operations are in it, or in a log that was replaced; the rest is shown on top.
        """
        self._touched.clear()
        for op in self.operations:
            op.effective, op.undo, op.is_shown = {}, {}, False
            op.may_be_held = op.was_sent and self.epoch in (None, epoch)
            if op.durable_at is not None:
                self._forget(op)
        self.epoch, self.version, self.chain = epoch, version, None
        self._flow = FlowDocument(document, self._limits)
        for op in self._pending.values():
            self._show(op)

    def distrust(self) -> None:
        """Ask for the whole document at the next join: what is shown may be wrong."""
        self.epoch = None

    def limit(self, limits: DocumentLimits) -> None:
        """Hold patches to the server's limits."""
        self._limits = limits
        if self._flow is not None:
            self._flow.limits = limits

    def receive(self, entries: Sequence[FlowEntry]) -> tuple[list[FlowEntry], list[Operation]]:
        """
        Take entries; those that are known already are skipped.

        :return: the entries that were new, and this client's operations that turned out to be
            durable.
        :raises Gap: when one before them is missing; nothing was taken.
        """
        new = [entry for entry in entries if entry.version > self.version]
        if any(entry.version != self.version + n for n, entry in enumerate(new, 1)):
            raise Gap
        settled: list[Operation] = []
        for entry in new:
            self._take(entry, settled)
        self._cover()
        for op in self.operations:
            if op.durable_at is not None and op.durable_at <= self.version:
                self._forget(op)
        return new, settled

    # inside

    def _own(self, entry: FlowEntry) -> Operation | None:
        if entry.client_id != self.client_id or entry.op_id is None:
            return None
        return self._pending.get(entry.op_id)

    def _take(self, entry: FlowEntry, settled: list[Operation]) -> None:
        """Apply an entry; this client's own operations in its way are hidden from then on."""
        assert self._flow is not None
        op = self._own(entry)
        if op is None:
            self._uncover(places_of(entry.patch))
            self._flow.apply(entry.patch)
        elif self._is_first(op) and op.is_shown and same(op.effective, entry.patch):
            op.effective = {}  # it is confirmed, and so to stay
            self._settle(op, entry.version, entry.dropped, settled)
        else:
            if self._is_first(op):
                self._uncover(places_of(entry.patch) | op.places)
            else:
                self._uncover_all()
                self._settle_passed(op, settled)
            self._flow.apply(entry.patch)
            self._settle(op, entry.version, entry.dropped, settled)
        self.version = entry.version

    def _is_first(self, op: Operation) -> bool:
        return op is next(iter(self._pending.values()))

    def _settle_passed(self, op: Operation, settled: list[Operation]) -> None:
        """
        Settle operations that were sent before one in the log, and are not in the log.

        The server works in order, so they have changed nothing, or were refused. A resend would
        meet a later document, and might undo later changes of this client. Operations that would
        change this document, or be refused by it, are still sent again.
        """
        assert self._flow is not None
        for before in self.operations:
            if before is op:
                break
            dropped: list[str] = []
            if before.was_sent and before.durable_at is None:
                with suppress(HelixError):
                    patch = before.merged(self._flow.content)
                    if not self._flow.stage(patch, dropped=dropped):
                        self._settle(before, self.version, tuple(dropped), settled)

    def _settle(
        self, op: Operation, version: int, dropped: tuple[str, ...], settled: list[Operation]
    ) -> None:
        if op.durable_at is None:
            op.durable_at, op.dropped = version, dropped
            settled.append(op)
        self._forget(op)

    def _uncover(self, places: set[Place], after: Operation | None = None) -> None:
        """
        Remove the operations that touch places, and those on top that touch the same as they do.

        :param after: the operation after which to look; ``None`` for all.
        """
        if self._touched.keys().isdisjoint(places):
            return
        shown = [op for op in self._pending.values() if op.is_shown]
        touching = []
        for op in shown if after is None else shown[shown.index(after) + 1 :]:
            if not op.places.isdisjoint(places):
                touching.append(op)
                places = places | op.places
        for op in reversed(touching):
            self._hide(op)

    def _uncover_all(self) -> None:
        for op in reversed(self._pending.values()):
            self._hide(op)

    def _cover(self) -> None:
        """Apply the hidden operations again, in their order."""
        for op in self._pending.values():
            if not op.is_shown:
                before = op.places
                self._show(op)
                if not op.places <= before:
                    self._uncover({*op.places}, op)

    def _show(self, op: Operation) -> None:
        assert self._flow is not None
        try:
            op.effective = self._flow.stage(op.merged(self._flow.content), bounded=False)
        except HelixError:
            op.effective = {}
        places = places_of(op.patch) | places_of(op.effective)
        if ("parents", "") in places:  # where what it frees comes to be depends on what that lay in
            named = [place_id for name, place_id in places if name == "nodes"]
            places.update(("nodes", outer) for outer in self._flow.outer_nodes(named))
        op.undo = self._flow.exchange(op.effective)
        op.places = frozenset(places)
        op.is_shown = True
        self._touched.update(op.places)

    def _hide(self, op: Operation) -> None:
        assert self._flow is not None
        if op.is_shown:
            self._flow.apply(op.undo)
            op.effective, op.undo = {}, {}
            self._leave_places(op)

    def _leave_places(self, op: Operation) -> None:
        op.is_shown = False
        for place in op.places:
            self._touched[place] -= 1
            if not self._touched[place]:
                del self._touched[place]

    def _forget(self, op: Operation) -> None:
        """Drop an operation, and what is shown of it."""
        if op.effective:
            self._uncover({*op.places})
            self._remove(op)
            self._cover()
        else:
            if op.is_shown:
                self._leave_places(op)
            self._remove(op)

    def _remove(self, op: Operation) -> None:
        del self._pending[op.op_id]
        self._pending_bytes -= op.size
