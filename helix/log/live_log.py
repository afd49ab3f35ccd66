"""The log of a live flow: its document, its newest entries, and when a snapshot is due."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from twisted.logger import Logger

from helix.chain import continues, origin_of
from helix.delivery.parts import SharedText
from helix.documents.document import FlowDocument, encode_document
from helix.errors import FlowDeleted, FlowNotFound
from helix.log.edits import FlowState, summary_of
from helix.log.replaying import LogSettings, Replayed, apply_entry, replay
from helix.records import Entry, FlowHead, StoredFlow

RECENT_BYTES = 128 * 1024
"""Bytes of the newest entries kept in memory for clients that were away for a moment."""

ENTRY_BYTES = 100
"""Approximate bytes of an entry besides its patch."""

SNAPSHOT_ENTRIES = 500
"""A new snapshot may be due after so many entries since the newest one ..."""

SNAPSHOT_SHARE = 4
"""... once so many times their bytes are at least the document's bytes, or ..."""

SNAPSHOT_ENTRIES_AT_MOST = 5000
"""... once there are so many entries that loading them takes long."""

SNAPSHOT_BYTES = 4 * 1024 * 1024
"""
Bytes of entries since the newest snapshot after which another is due, if the document is no
larger: a load reads them all.
"""

LAST_SNAPSHOT_ENTRIES = 50
"""Entries since the newest snapshot after which another is due when a session ends."""

MISSED_BYTES = 4 * 1024 * 1024
"""Bytes of entries that are read for a client that was away. Beyond this it gets the whole
document, which all members that join share."""

PAGE = 1000
"""Entries that are read from the store at once."""


class LiveLog:
    """
    The durable log of an open flow, and the document that results from it.

    :param stored: the flow in the store; ``None`` for a flow that it doesn't have yet.
    :param replayed: its document, which is taken over.

    :ivar epoch: the log's identity; a new one if the store has none.
    :ivar version: how many entries are durable.
    :ivar chain: the log's at that version. (`helix.chain`)
    :ivar document: of that version, except while an append is under way (`helix.log.commit_loop`).
    :ivar is_stored: whether the store knows the flow.
    """

    __slots__ = (
        "_created_at",
        "_encoded",
        "_origin",
        "_recent",
        "_recent_bytes",
        "_settings",
        "_tail_bytes",
        "_tail_entries",
        "_updated_at",
        "chain",
        "document",
        "epoch",
        "flow_id",
        "is_stored",
        "version",
    )

    _log: Final = Logger(namespace="helix.log")

    def __init__(
        self,
        flow_id: str,
        settings: LogSettings,
        stored: StoredFlow | None,
        replayed: Replayed,
    ) -> None:
        self.flow_id = flow_id
        self._settings = settings
        self.replace(stored, replayed)

    @classmethod
    async def load(cls, flow_id: str, settings: LogSettings) -> LiveLog:
        """
        Load a flow; an unknown flow starts empty, and is stored with its first entry.

        :raises FlowDeleted: when the flow is deleted.
        :raises StoreError: when it can't be read.
        """
        stored: StoredFlow | None = None
        replayed = Replayed(FlowDocument.empty(settings.limits))
        with suppress(FlowNotFound):
            stored = await settings.store.load(flow_id)
        if stored is not None:
            if stored.head.deleted_at is not None:
                raise FlowDeleted()
            replayed = await replay(stored, settings)
        # Who waits for it may have asked what another flow of this id gave, which is gone.
        tell_whose = await settings.made_elsewhere(flow_id)
        tell_whose()
        return cls(flow_id, settings, stored, replayed)

    def replace(self, stored: StoredFlow | None, replayed: Replayed) -> None:
        """Start again from the store's content; parameters as the constructor's."""
        self.document = replayed.document
        self._encoded = replayed.text
        self._recent: deque[Entry] | None = None  # a deque takes 600 bytes when it is empty
        self._recent_bytes = 0
        self._tail_entries = self._tail_bytes = 0
        self.is_stored = stored is not None
        if stored is None:
            self.epoch = self._settings.new_epoch()
            self.version = 0
            self._origin = self.chain = origin_of(self.epoch)
            self._created_at = self._updated_at = self._settings.wall()
            return
        head = stored.head
        self.epoch = head.epoch
        self.version = head.version
        self._origin = head.origin
        self.chain = head.chain
        self._created_at = head.created_at
        self._updated_at = head.updated_at
        self._tail_entries = len(stored.entries)
        self._tail_bytes = _bytes_of(stored.entries)
        if stored.entries:
            self._keep_recent(stored.entries, self._tail_bytes)

    @property
    def created_at(self) -> float:
        return self._created_at

    @property
    def head(self) -> FlowHead:
        """The flow without its document, as `IFlowStore.head` has it."""
        summary = summary_of(self.document)
        return FlowHead(
            self.flow_id,
            self.epoch,
            self.version,
            summary,
            self._created_at,
            self._updated_at,
            self._origin,
            self.chain,
        )

    @property
    def state(self) -> FlowState:
        """The durable flow; only while its document is the durable one."""
        return FlowState(self.head, self.version, self.encoded())

    def encoded(self) -> SharedText:
        """
        Give the document as JSON, while it is the durable one; it is encoded once for all requests
        before the next edit.
        """
        if self._encoded is None:
            self._encoded = SharedText(encode_document(self.document.content))
        return self._encoded

    def extend(self, entries: Sequence[Entry], whole: SharedText | None = None) -> None:
        """
        Add the next ``entries``, which are durable and already applied to the document.

        :param whole: the new result of `encoded`, if it is known.
        """
        self._encoded = whole
        self.is_stored = True
        self.version = entries[-1].version
        self.chain = entries[-1].chain
        self._updated_at = entries[-1].at
        size = _bytes_of(entries)
        self._tail_entries += len(entries)
        self._tail_bytes += size
        self._keep_recent(entries, size)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Apply and add ``entries`` of another writer."""
        for entry in entries:
            apply_entry(self.document, entry)
        self.extend(entries)

    @property
    def at_hand(self) -> Iterable[Entry]:
        """The newest entries that are in memory, in order."""
        return self._recent or ()

    def is_recent(self, after: int) -> bool:
        """Tell whether the entries after version ``after`` are in memory."""
        return 0 <= self.version - after <= len(self._recent or ())

    def recent(self, after: int) -> list[Entry] | None:
        """Give the entries after version ``after``, if they are in memory."""
        if not self.is_recent(after):
            return None
        recent = list(self._recent or ())
        return recent[len(recent) - (self.version - after) :]

    def chain_of(self, entry: Entry) -> bytes:
        """Give the log's chain at the version of one of its entries."""
        return entry.chain or self._origin

    def chain_at(self, version: int) -> bytes | None:
        """Give the log's chain at a version, if that is in memory."""
        if version == self.version:
            return self.chain
        if version == 0:
            return self._origin
        following = self.recent(version - 1)
        return self.chain_of(following[0]) if following else None

    async def is_past(self, version: int, chain: bytes) -> bool:
        """
        Tell whether the log has had this chain, at a version that it reaches.

        :raises FlowNotFound: when the store has another log by now.
        """
        known = self.chain_at(version)
        if known is None:
            store = self._settings.store
            found = await store.entries(self.flow_id, self.epoch, version - 1, 1)
            known = self.chain_of(found[0]) if found else None
        return known == chain

    async def fetch(self, after: int) -> list[Entry] | None:
        """
        Read from the store the entries after version ``after`` that are no longer in memory.

        :return: entries from ``after`` on, up to those of `recent`; ``None`` if they would be more
            bytes than the document, or than `MISSED_BYTES`.
        :raises FlowNotFound: when the store has another log by now.
        """
        epoch = self.epoch
        fetched: list[Entry] = []
        size, most = 0, min(self.document.size_bytes, MISSED_BYTES)
        while self.recent(after + len(fetched)) is None:
            page = await self._settings.store.entries(
                self.flow_id, epoch, after + len(fetched), PAGE
            )
            fetched += page
            size += sum(len(entry.patch) + ENTRY_BYTES for entry in page)
            if not page or size > most or self.epoch != epoch:
                return None
        if fetched and not self._goes_on_from(fetched[-1]):
            raise FlowNotFound()
        return fetched

    def _goes_on_from(self, entry: Entry) -> bool:
        """Tell whether an entry that the store gave, and what led to it, is of this log's past."""
        following = self.recent(entry.version)
        if not following:
            return self.chain_of(entry) == self.chain
        return not following[0].chain or continues(self.chain_of(entry), following[:1])

    def snapshot_if_due(self) -> None:
        """Store a snapshot if enough entries follow the newest. The document must be durable."""
        size = self.document.size_bytes
        enough = self._tail_bytes * SNAPSHOT_SHARE >= size
        due = SNAPSHOT_ENTRIES if enough else SNAPSHOT_ENTRIES_AT_MOST
        if self._tail_entries >= due or self._tail_bytes >= max(SNAPSHOT_BYTES, size):
            self._snapshot()

    def snapshot_at_end(self) -> None:
        """As `snapshot_if_due`, for a session that ends, so that the next load is quick."""
        if self._tail_entries >= LAST_SNAPSHOT_ENTRIES or self._tail_bytes >= SNAPSHOT_BYTES:
            self._snapshot()

    def _snapshot(self) -> None:
        self._tail_entries = self._tail_bytes = 0
        store = self._settings.store
        store.snapshot(
            self.flow_id, self.epoch, self.version, self.chain, self.encoded()
        ).addErrback(
            lambda failure: self._log.warn(
                "A snapshot was not stored; loads take longer: {error}", error=failure.value
            )
        )

    def _keep_recent(self, entries: Sequence[Entry], size: int) -> None:
        if self._recent is None:
            self._recent = deque()
        self._recent.extend(entries)
        self._recent_bytes += size + ENTRY_BYTES * len(entries)
        while self._recent and self._recent_bytes > RECENT_BYTES:
            self._recent_bytes -= len(self._recent.popleft().patch) + ENTRY_BYTES


def _bytes_of(entries: Sequence[Entry]) -> int:
    """The bytes of their patches."""
    if len(entries) == 1:  # as nearly always, and a generator is dear
        return len(entries[0].patch)
    return sum(len(entry.patch) for entry in entries)
