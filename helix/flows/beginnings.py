"""
What members in document mode begin with, where they have no past that goes on: the document.

To encode a large one takes long. So all members that join share one text while what has followed
it is still in memory: they get that with their first entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from helix.delivery.parts import SharedText
from helix.errors import TooManyPending
from helix.limits.apart import Apart
from helix.log.commit_loop import CommitLoop
from helix.log.replaying import HERE_BYTES
from helix.records import Entry

MAX_WAITS = 4
"""For how many texts a join waits. Edits that are nearly as large as the document outdate them."""


@attrs.frozen
class Beginning:
    """
    A document to begin with.

    :ivar chain: the log's at ``version``.
    :ivar text: as JSON.
    """

    epoch: str
    version: int
    chain: bytes
    text: SharedText


class Beginnings:
    """
    Those of one flow.

    :param commits: the flow's.
    :param apart: does what takes long.
    """

    __slots__ = ("_apart", "_commits", "_newest", "_waiting")

    def __init__(self, commits: CommitLoop, apart: Apart) -> None:
        self._commits = commits
        self._apart = apart
        self._newest: Beginning | None = None
        self._waiting: list[Deferred[None]] = []

    async def prepare(self, client_id: str, least: int) -> None:
        """
        Have what `choose` gives made part of other JSON, where it is large: in a thread, once for
        all who wait for it. Parameters as those of `choose`.

        :raises TooManyPending: when too much waits for the thread, or when edits outdate each text
            before it is made.
        """
        for _ in range(MAX_WAITS):
            text = self._commits.confirmed(partial(self.choose, client_id, least)).text
            if len(text) <= HERE_BYTES or text.is_escaped:
                return
            await self._escape(text)
        raise TooManyPending()

    def choose(self, client_id: str, least: int) -> Beginning:
        """
        Give the document, of a large flow perhaps that of some versions before; only while the
        log's document is the durable one (`CommitLoop.confirmed`).

        :param client_id: the public id of the member. It gets a document that has all its edits.
        :param least: the version that it has seen.
        """
        log, newest = self._commits.log, self._newest
        if newest is not None and newest.epoch == log.epoch and newest.version >= least:
            since = log.recent(newest.version)
            if since is not None and all(entry.client_id != client_id for entry in since):
                return newest
        return self._make()

    def since(self, beginning: Beginning) -> Sequence[Entry]:
        """Give the durable entries that follow what `choose` has just given."""
        return self._commits.log.recent(beginning.version) or ()

    def forget_old(self) -> None:
        """Let go of a text that too much has followed by now, or another log."""
        log, newest = self._commits.log, self._newest
        if newest is not None and not (newest.epoch == log.epoch and log.is_recent(newest.version)):
            self._newest = None

    def _make(self) -> Beginning:
        log = self._commits.log
        made = Beginning(log.epoch, log.version, log.chain, log.encoded())
        if len(made.text) > HERE_BYTES:
            self._newest = made
        return made

    def _escape(self, text: SharedText) -> Deferred[None]:
        """Wait for the text that is being made, or make this one."""
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        if len(self._waiting) == 1:
            self._apart(len(text), lambda: text.escaped).addBoth(self._escaped)
        return waiter

    def _escaped(self, result: object) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if isinstance(result, Failure):
                waiter.errback(result.value)
            else:
                waiter.callback(None)
