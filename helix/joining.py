"""What a member in document mode begins with: the entries that it missed, or the document."""

from __future__ import annotations

import attrs

from helix.audiences import wire_entries
from helix.commits import CommitLoop
from helix.errors import FlowNotFound
from helix.records import Entry


@attrs.frozen
class Joined:
    """
    What a member begins with.

    :ivar entries: a JSON array; ``None`` where ``document`` is given.
    :ivar document: as JSON.
    """

    epoch: str
    version: int
    entries: bytes | None
    document: bytes | None


@attrs.define(eq=False)
class Joining:
    """
    A member on its way into document mode: `prepare`, then `joined` in the turn that it is added.

    :param commits: the flow's.
    :param resume: the ``(epoch, version)`` that the member has.
    """

    _commits: CommitLoop
    _resume: tuple[str, int] | None
    _fetched: list[Entry] | None = attrs.field(default=None, init=False)

    async def prepare(self) -> None:
        """
        Get the entries that the member missed and that are not at hand any more.

        :raises HelixError: when the store can't tell what other nodes told the member.
        """
        if self._resume is None:
            return
        if not self._reaches(*self._resume):
            # It may have been told by another node what this one has yet to read.
            await self._commits.refreshed()
            if not self._reaches(*self._resume):
                return
        try:
            self._fetched = await self._commits.log.fetch(self._resume[1])
        except FlowNotFound:
            # The store has another log by now, of which all members will be told.
            self._commits.refresh()

    def joined(self) -> Joined:
        """Give what the member begins with; every entry that is committed later follows that."""
        return self._commits.confirmed(self._make)

    def _reaches(self, epoch: str, version: int) -> bool:
        log = self._commits.log
        return epoch == log.epoch and version <= log.version

    def _make(self) -> Joined:
        log, resume, fetched = self._commits.log, self._resume, self._fetched
        if resume is not None and fetched is not None and resume[0] == log.epoch:
            at_hand = log.recent(resume[1] + len(fetched))
            if at_hand is not None:
                entries = wire_entries([*fetched, *at_hand])
                if len(entries) < log.document.size_bytes or not (fetched or at_hand):
                    return Joined(log.epoch, log.version, entries, None)
        return Joined(log.epoch, log.version, None, log.encoded())
