"""The clients that submit to a flow, their pending edits, and how resends are recognised."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from operator import attrgetter
from typing import Protocol

import attrs
import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from helix.errors import HelixError
from helix.interfaces import IFlowStore
from helix.log.edits import Accepted, Submission
from helix.log.live_log import LiveLog
from helix.log.staged_apart import StagedApart
from helix.records import Entry

NONE_YET = -1
"""Less than every ``op_id``."""

MAX_SOUGHT = 100
"""Submissions that the store is asked for at once: each may be a large patch."""


@attrs.define(eq=False)
class Submitter:
    """
    A client that submits to the flow, and its submissions.

    :ivar members: how many of the session's members are this client.
    :ivar newest: the largest ``op_id`` in the log; `NONE_YET` without any. A number that isn't
        larger may be a resend.
    :ivar doubted: whether the log may hold a larger one.
    :ivar under_way: unanswered submissions, by their ``op_id``.
    :ivar held: those of them that wait, in order, until the store has answered whether the log
        holds them.
    :ivar is_seeking: whether the store is being asked about them.
    """

    members: int = 0
    newest: int = NONE_YET
    doubted: bool = False
    under_way: dict[int, Pending] = attrs.field(factory=dict)
    held: list[Pending] = attrs.field(factory=list)
    is_seeking: bool = False


@attrs.define(eq=False)
class Pending:
    """
    A submission that waits for its turn, then for its append.

    :ivar submitter: its client; ``None`` for one without an idempotency key.
    :ivar number: larger than those of all earlier submissions.
    :ivar accepted: the result to acknowledge once the append is durable.
    :ivar refused: what to refuse it with then: it was judged by entries of that append.
    :ivar found: the entry that it became earlier.
    :ivar absent_from: the epoch of the log that didn't hold it when the store was asked.
    :ivar is_sought: whether the store is being asked.
    :ivar was_sought: whether it has been asked since it was to be refused first.
    :ivar staged_apart: what a thread has made of it, if that is needed.
    """

    submission: Submission
    submitter: Submitter | None
    number: int
    done: Deferred[Accepted] = attrs.field(factory=Deferred)
    accepted: Accepted | None = None
    refused: HelixError | None = None
    found: Entry | None = None
    absent_from: str | None = None
    is_sought: bool = False
    was_sought: bool = False
    staged_apart: StagedApart | None = None
    _resends: list[Deferred[Accepted]] | None = None

    def again(self) -> Deferred[Accepted]:
        """It was sent again: give a Deferred of its result."""
        resent: Deferred[Accepted] = Deferred()
        self._resends = [*(self._resends or ()), resent]
        return resent

    def accept(self, accepted: Accepted) -> None:
        """Tell its submitter."""
        self._leave()
        self.done.callback(accepted)
        # What changed nothing is not in the log, however often it was sent.
        is_logged = accepted.patch != b"{}"
        for resent in self._resends or ():
            resent.callback(msgspec.structs.replace(accepted, duplicate=is_logged))

    def refuse(self, error: HelixError) -> None:
        """Tell its submitter that it is not in the log, as far as is known."""
        self._leave()
        self.done.errback(error)
        for resent in self._resends or ():
            resent.errback(error)

    def _leave(self) -> None:
        op_id = self.submission.op_id
        if self.submitter is not None and op_id is not None:
            del self.submitter.under_way[op_id]


class Staging(Protocol):
    """Stages submissions, and is told of those that were held back."""

    def released(self, ready: Sequence[Pending]) -> None:
        """These may be staged now, in this order, before any other of their client."""

    def unknown(self, submitter: Submitter, failure: Failure) -> None:
        """What is held of a client can't be staged: the store can't tell what the log holds."""

    def crash(self, failure: Failure) -> None:
        """Something failed by a fault of ours."""


class Submitters:
    """
    The clients that submit to a flow.

    A submission whose idempotency key is in the log is never staged again. The store is asked only
    if its number is not larger than the newest of its client, or if it would be refused; and only
    that client's submissions wait meanwhile.

    :param log: the flow's.
    :param store: is asked for the newest numbers of new clients, and for resends.

    :ivar held_count: how many submissions wait for the store.
    :ivar knows_all: whether the log here has all that was written through this store; not while
        nobody knows what became of an append.
    """

    __slots__ = (
        "_at_hand",
        "_at_hand_of",
        "_clients",
        "_log",
        "_numbers",
        "_orphans",
        "_store",
        "held_count",
        "knows_all",
    )

    def __init__(self, log: LiveLog, store: IFlowStore) -> None:
        self._log = log
        self._store = store
        self._clients: dict[str, Submitter] = {}
        self._orphans: dict[str, None] = {}  # an empty set takes three times as much
        self._at_hand: dict[tuple[str | None, int | None], Entry] = {}
        self._at_hand_of: tuple[str, int] | None = None
        self._numbers = count()
        self.held_count = 0
        self.knows_all = True

    async def introduce(self, client_id: str) -> None:
        """
        Register a client before it submits anything; the caller must `dismiss` it later.

        :raises StoreError: when the store can't tell what it submitted before.
        """
        log = self._log
        while True:
            epoch, version = log.epoch, log.version
            # Also where the client is known: it may have been at another node meanwhile.
            if self.knows_all and self._store.is_sole_writer and log.recent(0) is not None:
                newest = max(_op_ids(log.at_hand, client_id), default=NONE_YET)
            else:
                newest = await self._newest_op(client_id)
            # Another node may still have taken in what the client sent there.
            since = log.recent(version) if log.epoch == epoch else None
            if since is not None:
                break
        client = self._clients.setdefault(client_id, Submitter())
        client.newest = max([client.newest, newest, *_op_ids(since, client_id)])
        client.doubted = False
        client.members += 1

    def dismiss(self, client_id: str) -> None:
        """One member less is that client; `forget_orphans` follows when nothing is under way."""
        client = self._clients[client_id]
        client.members -= 1
        if not client.members:
            self._orphans[client_id] = None

    def forget_orphans(self) -> None:
        """Forget clients without members. None of their submissions may be under way."""
        for client_id in self._orphans:
            if not self._clients[client_id].members:
                del self._clients[client_id]
        self._orphans.clear()

    def last_op_id(self, client_id: str) -> int | None:
        """The largest ``op_id`` of a client that is in the log or pending."""
        client = self._clients[client_id]
        last = max(client.newest, max(client.under_way, default=NONE_YET))
        return None if last == NONE_YET else last

    # the submissions

    def enter(self, submission: Submission) -> Pending:
        """
        Take a submission.

        :return: the pending one with the same key, if any; the new one isn't taken then.
        """
        client_id, op_id = submission.client_id, submission.op_id
        if client_id is None or op_id is None:
            return Pending(submission, None, next(self._numbers))
        client = self._clients.get(client_id)
        if client is None:
            client = self._clients[client_id] = Submitter()
            self._orphans[client_id] = None
        pending = client.under_way.get(op_id)
        if pending is None:
            pending = Pending(submission, client, next(self._numbers))
            client.under_way[op_id] = pending
        return pending

    def holds_back(self, pending: Pending, staging: Staging) -> bool:
        """
        Tell whether a submission can't be staged yet, because the store must first tell whether the
        log holds it, or an earlier one of the same client.

        :param staging: is told when that is known.
        """
        client, op_id = pending.submitter, pending.submission.op_id
        if client is None or op_id is None:
            return False
        is_unknown = (
            op_id <= client.newest
            and pending.found is None
            and pending.absent_from != self._log.epoch
            and not self._finds_at_hand(pending)
        )
        held = client.held
        if not is_unknown and (not held or held[0].number > pending.number):
            return False
        self._hold_back(client, pending, staging, is_unknown)
        return True

    def is_sought_first(self, pending: Pending, staging: Staging) -> bool:
        """
        Tell whether a submission that would be refused can't be yet: the store must first tell
        whether another node took it, which this one hasn't read.

        :param staging: is told when that is known.
        """
        client = pending.submitter
        if client is None or pending.was_sought or not self._log.is_stored:
            return False
        pending.was_sought = True
        self._hold_back(client, pending, staging, True)
        return True

    def _hold_back(
        self, client: Submitter, pending: Pending, staging: Staging, is_unknown: bool
    ) -> None:
        """
        Let a submission wait in its place among those of its client.

        :param is_unknown: whether the store is to be asked for it.
        """
        insort(client.held, pending, key=attrgetter("number"))
        self.held_count += 1
        if is_unknown:
            pending.is_sought = True
            if not client.is_seeking:
                client.is_seeking = True
                Deferred.fromCoroutine(self._seek(client, staging)).addErrback(staging.crash)

    def drop_held(self, client: Submitter | None = None) -> list[Pending]:
        """Drop the held submissions, of one client or of all, in the order of each."""
        clients = self._clients.values() if client is None else (client,)
        dropped = [pending for one in clients for pending in one.held]
        for one in clients:
            one.held.clear()
        for pending in dropped:
            pending.is_sought = False
        self.held_count -= len(dropped)
        return dropped

    def _finds_at_hand(self, pending: Pending) -> bool:
        """
        Tell whether the entries in memory hold a submission: resends after a reconnect are nearly
        always among them, and a busy store answers slowly.
        """
        log, at = self._log, (self._log.epoch, self._log.version)
        if self._at_hand_of != at:
            self._at_hand = {(entry.client_id, entry.op_id): entry for entry in log.at_hand}
            self._at_hand_of = at
        name = pending.submission.client_id, pending.submission.op_id
        pending.found = self._at_hand.get(name)
        if pending.found is None and log.recent(0) is not None:
            pending.absent_from = log.epoch  # these are all that there are
        return pending.found is not None or pending.absent_from == log.epoch

    async def _seek(self, client: Submitter, staging: Staging) -> None:
        """
        Ask the store which held submissions are in the log, and release those that needn't wait.

        The store is asked one question at a time, for all submissions that have come by then.
        """
        log = self._log
        while sought := [one for one in client.held if one.is_sought][:MAX_SOUGHT]:
            epoch, failure = log.epoch, None
            found: dict[int | None, Entry] = {}
            try:
                found = await self._find(sought)
            except HelixError:
                failure = Failure()
            waiting = [one for one in sought if one.is_sought]
            for pending in waiting:
                pending.is_sought = False
                entry = found.get(pending.submission.op_id)
                if entry is None:
                    pending.absent_from = None if failure else epoch
                elif log.epoch == epoch:
                    pending.found = entry
            if failure is not None and waiting:
                staging.unknown(client, failure)
                continue
            ready = []
            while client.held and not client.held[0].is_sought:
                ready.append(client.held.pop(0))
            self.held_count -= len(ready)
            if ready:
                staging.released(ready)
        client.is_seeking = False

    async def _find(self, sought: Sequence[Pending]) -> dict[int | None, Entry]:
        log, client_id = self._log, sought[0].submission.client_id
        assert client_id is not None
        op_ids = [one.submission.op_id for one in sought if one.submission.op_id is not None]
        entries = await self._store.find(log.flow_id, log.epoch, client_id, op_ids)
        return {entry.op_id: entry for entry in entries}

    # what came another way

    def count_in(self, entries: Iterable[Entry]) -> None:
        """Note the entries of other writers, in case they are also sent here."""
        for entry in entries:
            client = None if entry.client_id is None else self._clients.get(entry.client_id)
            if client is not None and entry.op_id is not None:
                client.newest = max(client.newest, entry.op_id)
                if entry.op_id in client.under_way:
                    client.under_way[entry.op_id].found = entry

    def doubt(self, submissions: Iterable[Pending]) -> None:
        """The log holds one of these unexpectedly: `ask_again` finds out which."""
        self.knows_all = False
        for pending in submissions:
            pending.absent_from = None
            if pending.submitter is not None:
                pending.submitter.doubted = True

    def begin_anew(self) -> None:
        """The log was replaced: no client is known to have submitted to it."""
        for client in self._clients.values():
            client.newest = NONE_YET
            client.doubted = True
            for pending in client.under_way.values():
                pending.found = None

    async def ask_again(self) -> None:
        """
        Ask the store for the newest numbers of doubted clients.

        :raises StoreError: when it can't tell; the doubt is kept.
        """
        doubted = sorted(one for one, client in self._clients.items() if client.doubted)
        for client_id in doubted:
            newest = await self._newest_op(client_id)
            client = self._clients[client_id]
            client.newest = max(client.newest, newest)
            client.doubted = False
        self.knows_all = True

    async def _newest_op(self, client_id: str) -> int:
        """The largest ``op_id`` of a client in the log; `NONE_YET` when there is none."""
        log = self._log
        if not log.is_stored:
            return NONE_YET
        newest = await self._store.newest_op(log.flow_id, log.epoch, client_id)
        return NONE_YET if newest is None else newest


def _op_ids(entries: Iterable[Entry], client_id: str) -> Iterator[int]:
    for entry in entries:
        if entry.client_id == client_id and entry.op_id is not None:
            yield entry.op_id
