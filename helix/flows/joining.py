"""What a new member in document mode gets: the entries that it missed, or the document."""

from __future__ import annotations

import attrs

from helix.errors import FlowNotFound
from helix.flows.beginnings import Beginnings
from helix.log.commit_loop import CommitLoop
from helix.members.document_audience import entries_payload, wire_entries
from helix.records import Entry


@attrs.frozen
class Past:
    """
    The past that a member says it has seen.

    :ivar chain: ``None`` if it doesn't know the chain.
    """

    epoch: str
    version: int
    chain: bytes | None


@attrs.frozen
class Joined:
    """
    The start of a member: entries or a document.

    :ivar chain: the log's at ``version``.
    :ivar entries: a JSON array; ``None`` if ``document`` is given.
    :ivar document: as JSON.
    :ivar missed: the payload of an ``entries`` that follows at once; ``None`` for none.
    :ivar last_op_id: the client's largest ``op_id`` that is in the log or pending; ``None`` without
        any.
    """

    epoch: str
    version: int
    chain: bytes
    entries: bytes | None
    document: bytes | None
    last_op_id: int | None
    missed: bytes | None = None


@attrs.define(eq=False)
class Joining:
    """
    A join in document mode: `prepare`, then `joined` in the turn in which the member is added.

    :param commits: the flow's.
    :param client_id: the member's public id, which the flow has been introduced to.
    :param resume: what the member has; ``None`` for nothing.
    :param beginnings: the flow's.
    """

    _commits: CommitLoop
    _client_id: str
    _resume: Past | None
    _beginnings: Beginnings
    _fetched: list[Entry] | None = attrs.field(default=None, init=False)

    async def prepare(self) -> None:
        """
        Load the entries that the member missed and that are no longer in memory; without any,
        prepare the document.

        :raises HelixError: when the store can't tell what other nodes sent to the member, or the
            document can't be made now.
        """
        if self._resume is not None:
            await self._fetch(self._resume)
        if self._fetched is None:
            await self._beginnings.prepare(self._client_id, self._seen)

    @property
    def _seen(self) -> int:
        """The version that the member has seen of this log."""
        resume, log = self._resume, self._commits.log
        return resume.version if resume is not None and resume.epoch == log.epoch else 0

    async def _fetch(self, past: Past) -> None:
        try:
            if not await self._holds(past):
                # It may have been told by another node what this one has yet to read.
                await self._commits.refreshed()
                if not await self._holds(past):
                    return
            self._fetched = await self._commits.log.fetch(past.version)
        except FlowNotFound:
            # The store has another log by now, of which all members will be told.
            self._commits.refresh()

    def joined(self) -> Joined:
        """Give the member's start; all entries that are committed later follow it."""
        return self._commits.confirmed(self._make)

    async def _holds(self, past: Past) -> bool:
        """Whether the log has been just there."""
        log = self._commits.log
        if past.epoch != log.epoch or past.version > log.version:
            return False
        return past.chain is None or await log.is_past(past.version, past.chain)

    def _make(self) -> Joined:
        log, resume, fetched = self._commits.log, self._resume, self._fetched
        last_op_id = self._commits.last_op_id(self._client_id)
        begin = (log.epoch, log.version, log.chain)
        if resume is not None and fetched is not None and resume.epoch == log.epoch:
            at_hand = log.recent(resume.version + len(fetched))
            if at_hand is not None:
                entries = wire_entries([*fetched, *at_hand])
                if len(entries) < log.document.size_bytes or not (fetched or at_hand):
                    return Joined(*begin, entries, None, last_op_id)
        beginning = self._beginnings.choose(self._client_id, self._seen)
        since = self._beginnings.since(beginning)
        missed = entries_payload(wire_entries(since), log.chain) if since else None
        begin = (beginning.epoch, beginning.version, beginning.chain)
        return Joined(*begin, None, beginning.text, last_op_id, missed)
