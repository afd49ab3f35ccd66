"""Verifies a store: replays its logs, and compares the result with what is stored."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable

import attrs
import msgspec

from helix.chain import follow
from helix.documents.document import (
    DocumentLimits,
    FlowDocument,
    JsonObject,
    encode_document,
    validate_past,
)
from helix.documents.merge_patch import same
from helix.errors import FlowNotFound, HelixError, StoreCorrupt, VersionNotFound
from helix.interfaces import IFlowStore
from helix.records import Entry, FlowHead, HeadQuery, Summary

HEADS = 500
"""Flows that are listed at once."""

PAGE = 1000
"""Entries that are read at once."""

_UNBOUNDED = DocumentLimits(
    max_patch_bytes=sys.maxsize, max_document_bytes=sys.maxsize, max_members=sys.maxsize
)
"""The limits of documents are settings of the server; a log has none."""

_decode_patch = msgspec.json.Decoder(dict).decode


class Difference(HelixError):
    """
    A store differs from a flow's log.

    :ivar version: where that shows first.
    """

    code = "difference"

    def __init__(self, flow_id: str, version: int, what: str) -> None:
        self.flow_id = flow_id
        self.version = version
        super().__init__(f"{flow_id}: version {version}: {what}")


async def all_heads(store: IFlowStore) -> list[FlowHead]:
    """
    List all flows of a store, the deleted ones last.

    Somebody may write to it meanwhile. A flow that changes moves to the front, behind whoever reads
    page by page; so the list is read until it shows no flow that isn't known.
    """
    found: dict[str, FlowHead] = {}
    known = -1
    while known < len(found):
        known = len(found)
        for deleted in (False, True):
            before = None
            while page := await store.heads(HeadQuery(limit=HEADS, before=before, deleted=deleted)):
                for head in page:
                    found.setdefault(head.flow_id, head)
                before = (page[-1].updated_at, page[-1].flow_id)
    return list(found.values())


async def verify_flow(
    store: IFlowStore, flow_id: str, progress: Callable[[int], None] = lambda _: None
) -> int:
    """
    Replay a flow's log from the empty document up to its current head.

    :param progress: called with the number of entries whenever some were read.
    :return: how many entries there are; 0 for a flow that is gone.
    :raises Difference: at the first thing that is not as the log says.
    :raises StoreError: when the store can't be read.
    """
    try:
        head = await store.head(flow_id)
        snapshots = await store.snapshot_versions(flow_id, head.epoch)
        await _Replay(store, head, snapshots).run(progress)
    except FlowNotFound:
        return 0
    return head.version


@attrs.define
class _Replay:
    store: IFlowStore
    head: FlowHead
    snapshots: list[int]
    document: FlowDocument = attrs.field(factory=lambda: FlowDocument.empty(_UNBOUNDED))
    version: int = 0
    chain: bytes = attrs.field(init=False)
    is_chained: bool = False

    def __attrs_post_init__(self) -> None:
        self.chain = self.head.origin

    async def run(self, progress: Callable[[int], None]) -> None:
        due = [version for version in self.snapshots if version <= self.head.version]
        async for page in self._pages():
            for entry in page:
                self._take(entry)
                if due and due[0] == self.version:
                    await self._compare_snapshot(due.pop(0))
            progress(len(page))
        if due:
            raise self._difference("a snapshot precedes the first entry", due[0])
        self._check_valid()
        await self._check_end()
        self._compare_head()

    async def _pages(self) -> AsyncIterator[list[Entry]]:
        head, limit = self.head, PAGE
        while (left := head.version - self.version) > 0:
            limit = min(limit, left)
            try:
                page = await self.store.entries(head.flow_id, head.epoch, self.version, limit)
            except StoreCorrupt:
                if limit > 1:  # which one is it?
                    limit //= 2
                    continue
                page = []
            if not page:
                raise self._difference("the entry is missing, or can't be read", self.version + 1)
            yield page

    def _take(self, entry: Entry) -> None:
        if entry.version != self.version + 1:
            raise self._difference(
                f"the entry is missing; {entry.version} follows", self.version + 1
            )
        self.version += 1
        self._check_chain(entry)
        try:
            self.document.apply(_decode_patch(entry.patch))
        except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, KeyError, AttributeError):
            raise self._difference("the patch can't be applied") from None

    def _check_chain(self, entry: Entry) -> None:
        """See that nothing of an entry is another than when it was made."""
        if entry.chain or self.is_chained:
            self.is_chained = True
            self.chain = follow(self.chain, entry)
            if entry.chain != self.chain:
                raise self._difference("the entry, or its chain, is not what was stored")

    async def _compare_snapshot(self, version: int) -> None:
        self._check_valid()
        try:
            stored = await self.store.load(self.head.flow_id, version)
        except StoreCorrupt:
            raise self._difference("the snapshot can't be read") from None
        except VersionNotFound:
            raise FlowNotFound from None  # the flow was deleted and made anew meanwhile
        if stored.head.epoch != self.head.epoch:
            raise FlowNotFound  # likewise
        if stored.snapshot_version != version or stored.snapshot is None:
            kept = await self.store.snapshot_versions(self.head.flow_id, self.head.epoch)
            if version in kept:
                raise self._difference("the snapshot can't be loaded")
        elif stored.snapshot != encode_document(self.document.content):
            content = self._decode_snapshot(stored.snapshot)
            if not same(content, self.document.content):
                raise self._difference("the snapshot is not what the log makes")

    def _decode_snapshot(self, text: bytes) -> JsonObject:
        try:
            content: JsonObject = _decode_patch(text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise self._difference("the snapshot is no document") from None
        return content

    def _check_valid(self) -> None:
        try:
            validate_past(self.document.content, _UNBOUNDED)
        except HelixError as error:
            raise self._difference(f"the log makes no valid document: {error.message}") from None

    async def _check_end(self) -> None:
        """
        See that the log ends with its head, and no name is of a version beyond. The head is read
        last: the log may grow meanwhile.
        """
        head = self.head
        following = await self.store.entries(head.flow_id, head.epoch, head.version, 1)
        snapshots = await self.store.snapshot_versions(head.flow_id, head.epoch)
        names = await self.store.named_versions(head.flow_id, head.epoch)
        now = await self.store.head(head.flow_id)
        if now.epoch != head.epoch:
            raise FlowNotFound
        newest = max([entry.version for entry in following] + snapshots, default=0)
        if newest > now.version:
            raise self._difference(f"the log goes on to {newest}, behind its head", now.version)
        for named in names:
            if not 0 <= named.version <= now.version:
                what = "it has a name, but the log has no such version"
                raise self._difference(what, named.version)

    def _compare_head(self) -> None:
        content = self.document.content
        made = Summary(
            content["title"],
            content["description"],
            self.document.node_count,
            self.document.edge_count,
        )
        for name in Summary.__struct_fields__:
            told, true = getattr(self.head.summary, name), getattr(made, name)
            if told != true:
                raise self._difference(f"the head's {name} is {told!r}, the log makes {true!r}")

    def _difference(self, what: str, version: int | None = None) -> Difference:
        at = self.version if version is None else version
        return Difference(self.head.flow_id, at, what)
