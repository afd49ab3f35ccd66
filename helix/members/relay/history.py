"""The past values of an open flow, read from its log at the first request and kept current."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from helix.documents.document import empty_document
from helix.documents.merge_patch import JsonObject
from helix.errors import HelixError, SessionCrashed, SessionEnded
from helix.log.live_log import PAGE, LiveLog
from helix.log.replaying import REPLAYED_AT_ONCE, LogSettings
from helix.members.relay.past import RelayPast
from helix.records import Entry

MAX_ENTRIES = 10_000
"""Maximum entries that are read; earlier values are unknown."""

_decode = msgspec.json.Decoder(dict).decode


class RelayHistory:
    """
    The past values of a flow's nodes and edges.

    :param log: the flow's.
    """

    __slots__ = ("_at", "_log", "_past", "_reading", "_settings", "_waiting")

    def __init__(self, log: LiveLog, settings: LogSettings) -> None:
        self._log = log
        self._settings = settings
        self._past: RelayPast | None = None
        self._at = 0
        self._reading: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []

    @property
    def past(self) -> RelayPast | None:
        """The past up to the log's newest entry; ``None`` until it is read."""
        if self._past is None and self._reading is None:
            self._make_at_hand()
        return self._past if self._reading is None else None

    def read(self) -> Deferred[None]:
        """
        Read it.

        :return: a Deferred that fires once `past` is there, for each caller in turn.
        :raises HelixError: (through the Deferred) when it can't be read.
        """
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        if self._reading is None:
            self._reading = Deferred.fromCoroutine(self._read())
            self._reading.addBoth(self._finished)
        return waiter

    def committed(self, entries: Sequence[Entry]) -> None:
        """The log has grown."""
        if self._past is not None and self._reading is None:
            if entries[0].version != self._at + 1:
                self.forget()
            else:
                self._add(self._past, entries)

    def forget(self) -> None:
        """It isn't needed any more, or the log was replaced: read it again at the next request."""
        self._past = None

    def close(self) -> None:
        """Read nothing more."""
        self._past = None
        if self._reading is not None:
            self._reading.cancel()

    # inside

    def _make_at_hand(self) -> None:
        """Make it of what is at hand, if that is all."""
        entries = self._log.recent(0)
        if entries is not None and len(entries) <= REPLAYED_AT_ONCE:
            self._past, self._at = RelayPast(), 0
            self._add(self._past, entries)

    def _add(self, past: RelayPast, entries: Sequence[Entry]) -> None:
        for entry in entries:
            past.add(_decode(entry.patch))
            self._at = entry.version

    async def _read(self) -> None:
        log = self._log
        epoch = ""
        past = RelayPast()
        while log.epoch != epoch or self._at < log.version:
            if log.epoch != epoch:
                epoch, past = log.epoch, RelayPast()
                await self._begin(past, epoch)
                continue
            entries = log.recent(self._at)
            if entries is None:
                entries = await self._settings.store.entries(log.flow_id, epoch, self._at, PAGE)
                if not entries:
                    raise SessionCrashed()
            for first in range(0, len(entries), REPLAYED_AT_ONCE):
                self._add(past, entries[first : first + REPLAYED_AT_ONCE])
                await deferLater(self._settings.clock, 0)
        self._past = past

    async def _begin(self, past: RelayPast, epoch: str) -> None:
        """Begin at a snapshot, where there are more entries than are read."""
        log, store = self._log, self._settings.store
        self._at = max(0, log.version - MAX_ENTRIES)
        if not self._at:
            return
        versions = await store.snapshot_versions(log.flow_id, epoch)
        later = [version for version in versions if version >= self._at]
        if not later:
            return
        stored = await store.load(log.flow_id, later[0])
        if stored.head.epoch != epoch or stored.snapshot_version != later[0]:
            return
        self._at = later[0]
        document: JsonObject = empty_document()
        if stored.snapshot is not None:
            document = _decode(stored.snapshot)
        for kind in ("nodes", "edges"):
            members = iter(document[kind].items())
            while some := dict(islice(members, REPLAYED_AT_ONCE)):
                past.add({kind: some})
                await deferLater(self._settings.clock, 0)

    def _finished(self, result: object) -> None:
        self._reading = None
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if isinstance(result, Failure):
                error = result.value
                if result.check(CancelledError):
                    error = SessionEnded()
                waiter.errback(error if isinstance(error, HelixError) else result)
            else:
                waiter.callback(None)
