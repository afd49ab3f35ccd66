"""Makes documents from stored logs, and holds the settings that all live logs share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import perf_counter

import attrs
import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from helix.delivery.parts import SharedText
from helix.documents.decoding import decode_in_parts
from helix.documents.document import (
    DocumentLimits,
    FlowDocument,
    JsonObject,
    empty_document,
    encode_document,
)
from helix.documents.encoding import encode_in_parts
from helix.errors import FlowDeleted, StoreCorrupt
from helix.interfaces import Gathered, IFlowStore, IOtherNodes, Relayed
from helix.limits.apart import Apart, at_once
from helix.log.edits import FlowState
from helix.records import Entry, OpenFlow, OpenFlows, StoredFlow

HERE_BYTES = 512 * 1024
"""Of JSON that are made a document, or part of other JSON, within a turn; more in a thread."""

REPLAYED_AT_ONCE = 500
"""Entries that are applied in one turn of the reactor: about 5 ms."""

_KINDS = {name: type(value) for name, value in empty_document().items()}

_NONSENSE = (msgspec.MsgspecError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""Errors of reading or applying something that is not a document or a patch."""


def _decode(text: bytes) -> JsonObject:
    decoded = decode_in_parts(text)
    if type(decoded) is not dict:
        raise TypeError("is no object")
    return decoded


def _tell_nobody(_flow_id: str, _owner: str) -> None:
    """Nobody wants to know that a flow was made."""


async def _ask_nobody(_flow_id: str) -> Callable[[], None]:
    """Nobody wants to know that a flow was made elsewhere."""
    return lambda: None


def _know_all(_flow_id: str, _is_to_judge: bool) -> None:
    """Nothing is to be learned before an edit is judged."""


@implementer(IOtherNodes)
class Alone:
    """There are no other nodes."""

    node = ""

    def opened(self, flow_id: str) -> None:
        """Nobody is told."""

    def closed(self, flow_id: str) -> None:
        """Likewise."""

    def appended(self, flow_id: str, epoch: str, entries: Sequence[Entry]) -> None:
        """Likewise."""

    def changed(self, flow_id: str) -> None:
        """Likewise."""

    def wants_turn(self, flow_id: str) -> None:
        """Likewise."""

    def deleted(self, flow_id: str, by: str) -> None:
        """Likewise."""

    def named(self, flow_id: str, epoch: str, told: bytes) -> None:
        """Likewise."""

    def relayed(self, flow_id: str, relayed: Relayed) -> None:
        """Likewise."""

    def close(self, flow_id: str, by: str) -> Deferred[Gathered[int]]:
        """Nobody answers."""
        return succeed(Gathered())

    def open_flow(self, flow_id: str) -> Deferred[Gathered[OpenFlow]]:
        """Likewise."""
        return succeed(Gathered())

    def open_flows(self, after: str, limit: int) -> Deferred[Gathered[OpenFlows]]:
        """Likewise."""
        return succeed(Gathered())


ALONE = Alone()


@attrs.frozen
class LogSettings:
    """
    What the live logs of a server share.

    :ivar clock: the reactor.
    :ivar wall: tells the time, in Unix seconds; it may be set to any other.
    :ivar new_epoch: makes the identity of a new log.
    :ivar work: gives the time that measures staging, in seconds. It is called twice per edit, so it
        must be quick.
    :ivar apart: does what takes long.
    :ivar made: told the id of a flow that was made here and is stored now, and of its owner, who is
        empty for nobody.
    :ivar made_elsewhere: asked about the id of a flow that was made by another process, before its
        log takes the place of what is open. What it gives is called when that has been done, before
        anybody is told. It raises `StoreError`.
    :ivar nodes: the others on the same store.
    :ivar learn_access: sees to it that what a flow gives is known as it was a moment ago at most;
        where no edit is to be judged by that, as far as the store can be reached. It gives ``None``
        if so, else a Deferred that fires when it is known, or with a `StoreError`.
    :ivar shares_turns: whether edits that come in one turn of the reactor share an append where the
        store answers at once. (`helix.log.pace`)
    """

    store: IFlowStore
    clock: IReactorTime
    wall: Callable[[], float]
    limits: DocumentLimits
    new_epoch: Callable[[], str]
    work: Callable[[], float] = perf_counter
    apart: Apart = at_once
    made: Callable[[str, str], None] = _tell_nobody
    made_elsewhere: Callable[[str], Awaitable[Callable[[], None]]] = _ask_nobody
    nodes: IOtherNodes = ALONE
    learn_access: Callable[[str, bool], Deferred[None] | None] = _know_all
    shares_turns: bool = False


@attrs.frozen
class Replayed:
    """
    A document that a log has made.

    :ivar text: it as JSON, of a large one.
    """

    document: FlowDocument
    text: SharedText | None = None


async def replay(stored: StoredFlow, settings: LogSettings) -> Replayed:
    """
    Make the document of a flow that was loaded. The reactor turns meanwhile.

    :raises StoreCorrupt: when the snapshot or an entry is not what it was.
    :raises TooManyPending: when too much waits for the thread.
    """
    size = len(stored.snapshot or b"") + sum(len(entry.patch) for entry in stored.entries)
    if size > HERE_BYTES:
        return await settings.apart(size, partial(_replayed, stored, settings.limits))
    document, entries = _begin(stored, settings.limits)
    for done, entry in enumerate(entries, 1):
        apply_entry(document, entry)
        if done % REPLAYED_AT_ONCE == 0:
            await deferLater(settings.clock, 0)
    return Replayed(document)


def _replayed(stored: StoredFlow, limits: DocumentLimits) -> Replayed:
    document, entries = _begin(stored, limits)
    for entry in entries:
        apply_entry(document, entry)
    if stored.snapshot is not None and not entries:
        return Replayed(document, SharedText(stored.snapshot))
    return Replayed(document, SharedText(encode_in_parts(document.content)))


def _begin(stored: StoredFlow, limits: DocumentLimits) -> tuple[FlowDocument, list[Entry]]:
    """Make the document before a flow's entries, and give these entries."""
    entries = stored.entries
    if stored.snapshot is not None:
        place = f"The snapshot of version {stored.snapshot_version}"
        return _made(stored.snapshot, FlowDocument, limits, place), entries
    if entries and b"null" not in entries[0].patch:
        return _made(entries[0].patch, FlowDocument.begun, limits, _place(entries[0])), entries[1:]
    return FlowDocument.empty(limits), entries


def _made(
    text: bytes,
    make: Callable[[JsonObject, DocumentLimits], FlowDocument],
    limits: DocumentLimits,
    place: str,
) -> FlowDocument:
    try:
        document = make(_decode(text), limits)
        _check_members(document.content)
    except _NONSENSE as error:
        raise StoreCorrupt(f"{place} is damaged") from error
    return document


def _check_members(content: JsonObject) -> None:
    """Check that a document's parts are there, without checking their content."""
    kinds = {name: type(value) for name, value in content.items()}
    if kinds != _KINDS:
        raise TypeError("a document has other members")
    for member_id, member in (*content["nodes"].items(), *content["edges"].items()):
        if member["id"] != member_id:
            raise ValueError("a node or an edge is none")


def apply_entry(document: FlowDocument, entry: Entry) -> None:
    """
    Apply an entry as the store gave it.

    :raises StoreCorrupt: when it is not what it was.
    """
    try:
        document.apply(_decode(entry.patch))
    except _NONSENSE as error:
        raise StoreCorrupt(f"{_place(entry)} is damaged") from error


def _place(entry: Entry) -> str:
    return f"The entry of version {entry.version}"


async def load_state(flow_id: str, version: int | None, settings: LogSettings) -> FlowState:
    """
    Read a flow from the store.

    :param version: for the past; the newest if ``None``.
    :raises FlowNotFound, FlowDeleted, VersionNotFound, StoreError: when that can't be.
    """
    stored = await settings.store.load(flow_id, version)
    if stored.head.deleted_at is not None:
        raise FlowDeleted()
    replayed = await replay(stored, settings)
    at = stored.head.version if version is None else version
    text = replayed.text or encode_document(replayed.document.content)
    return FlowState(stored.head, at, text)
