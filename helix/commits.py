"""
The commit loop: submit, stage, append, and only then acknowledge and tell.

A flow has at most one append under way. What is submitted meanwhile becomes the next: group commit,
which sets its own pace. Each edit of a group is staged on those before it, in the document itself,
with an inverse kept for when the append fails; what others are shown is the document without them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeVar

import attrs
import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.document import JsonObject
from helix.edits import Accepted, Corkable, Submission, summary_of
from helix.errors import (
    DuplicateOperation,
    FlowDeleted,
    FlowExists,
    FlowNotFound,
    HelixError,
    OutcomeUnknown,
    SessionCrashed,
    SessionEnded,
    StoreError,
    StoreUnavailable,
    TooManyPending,
    VersionConflict,
)
from helix.livelog import PAGE, LiveLog, LogSettings, replay
from helix.records import Entry

MAX_GROUP = 500
"""Entries of one append."""

MAX_GROUP_BYTES = 1024 * 1024
"""Bytes of patches after which a group takes no more."""

MAX_PENDING = 10_000
"""Submissions of one flow that may wait."""

MAX_CONFLICTS = 20
"""How often other writers may be first before those who wait are told so."""

RECOVERY_DELAYS = (0.5, 1.0, 2.0, 5.0)
"""Seconds between the attempts to see what the store has after all; the last one repeats."""

T = TypeVar("T")

_encode_patch = msgspec.json.Encoder().encode


class Follower(Protocol):
    """Who is told what happens to a log."""

    def committed(self, entries: Sequence[Entry]) -> None:
        """These follow what was told before; they are durable and applied."""

    def replaced(self) -> None:
        """The log is another now, of another epoch."""

    def deleted(self) -> None:
        """The flow is deleted."""

    def settled(self) -> None:
        """Nothing is submitted or under way any more."""

    def crash(self, failure: Failure) -> None:
        """Something failed by a fault of ours."""


@attrs.define(eq=False)
class _Pending:
    """
    A submission that waits for its turn, then for its append.

    :ivar accepted: what to acknowledge once the append is durable; ``None`` for a resend.
    """

    submission: Submission
    done: Deferred[Accepted]
    accepted: Accepted | None = None


@attrs.define(eq=False)
class _Group:
    """
    What one append is about.

    :ivar pending: the submissions in order: those of the entries, those that change nothing (they
        were judged by what the others make), and resends.
    :ivar changes: each effective patch and its inverse.
    :ivar newest_before: what `_Client.newest` was, of the clients of the submissions.
    """

    pending: list[_Pending] = attrs.field(factory=list)
    entries: list[Entry] = attrs.field(factory=list)
    changes: list[tuple[JsonObject, JsonObject]] = attrs.field(factory=list)
    newest_before: dict[str, int] = attrs.field(factory=dict)
    size: int = 0

    def cork(self) -> list[Corkable]:
        """Let the outlets of the submitters gather what they are sent, and give those that do."""
        outlets = {pending.submission.outlet: None for pending in self.pending}
        return [outlet for outlet in outlets if outlet is not None and outlet.cork()]


@attrs.define(eq=False)
class _Client:
    """
    What is known of a client's submissions.

    :ivar members: how many of the session's members are this client.
    :ivar newest: the largest ``op_id`` that the log holds, that is on its way into it, or that
        was found to change nothing.
    """

    members: int
    newest: int


class CommitLoop:
    """
    Takes submissions into a log, one append at a time.

    :param log: whose document is staged on.
    :param follower: who is told.
    """

    __slots__ = (
        "_appending",
        "_asked",
        "_clients",
        "_closed",
        "_conflicts",
        "_failures",
        "_follower",
        "_group",
        "_has_orphans",
        "_queue",
        "_recovering",
        "_recovery",
        "_running",
        "_settings",
        "_settling",
        "_stale",
        "_unknown",
        "_waiting",
        "log",
    )

    _log: Final = Logger(namespace="helix.commits")

    def __init__(self, log: LiveLog, settings: LogSettings, follower: Follower) -> None:
        self.log = log
        self._settings = settings
        self._follower = follower
        self._queue: deque[_Pending] = deque()
        self._group: _Group | None = None
        self._clients: dict[str, _Client] = {}
        self._conflicts = self._failures = 0
        self._recovering: Deferred[None] | None = None
        self._recovery: IDelayedCall | None = None
        self._unknown: set[str] = set()
        self._waiting: tuple[Deferred[None], ...] = ()
        self._settling: Deferred[None] | None = None
        self._appending = self._has_orphans = False
        self._running = self._closed = False
        self._stale = self._asked = False

    # what the session calls

    @property
    def is_busy(self) -> bool:
        """Whether anything is submitted or under way."""
        return bool(self._queue) or self._group is not None or self._recovering is not None

    def submit(self, submission: Submission) -> Deferred[Accepted]:
        """
        Take an edit into the log. Those of one caller keep their order.

        An ``op_id`` that is not larger than the newest of its client is a resend: it is answered
        with what it became, or where the log doesn't hold it, with the current version, since then
        it changed nothing.

        :return: a Deferred that fires once the edit is durable, before anybody is told of it.
        :raises HelixError: (through the Deferred) what `Submission.check` and `Submission.stage`
            refuse with, `TooManyPending`, `FlowDeleted`, `SessionEnded`, or what the store
            failed with; nothing was changed then, but see `StoreUnavailable`.
        """
        if self._closed:
            return fail(SessionEnded())
        if len(self._queue) >= MAX_PENDING:
            return fail(TooManyPending())
        pending = _Pending(submission, Deferred())
        self._queue.append(pending)
        self._next()
        return pending.done

    async def introduce(self, client_id: str) -> None:
        """
        Get to know a client before it submits anything; `dismiss` is owed for it.

        :raises StoreError: when the store can't tell what it submitted before.
        """
        log = self.log
        while client_id not in self._clients:
            epoch, version = log.epoch, log.version
            newest = await self._newest_op(client_id)
            # Another node may still have taken in what the client sent there.
            since = log.recent(version) if log.epoch == epoch else None
            if since is not None:
                newest = max([newest, *_op_ids(since, client_id)])
                self._clients.setdefault(client_id, _Client(0, newest))
        self._clients[client_id].members += 1

    def dismiss(self, client_id: str) -> None:
        """Forget a client that was introduced, once nobody is it any more."""
        client = self._clients[client_id]
        client.members -= 1
        if not client.members:
            self._has_orphans = True
            self._forget_clients()

    def confirmed(self, read: Callable[[], T]) -> T:
        """Call ``read`` while the log's document is what is durable, nothing more."""
        changes = self._group.changes if self._group is not None else ()
        for _, undo in reversed(changes):
            self.log.document.apply(undo)
        try:
            return read()
        finally:
            for change, _ in changes:
                self.log.document.apply(change)

    def refresh(self) -> None:
        """See what other writers did to the flow."""
        self._stale = self._asked = True
        self._next()

    def refreshed(self) -> Deferred[None]:
        """
        As `refresh`, and wait for it.

        :return: a Deferred that fires once the log is at least what the store has now.
        :raises HelixError: (through the Deferred) when the store can't tell, or the loop is closed.
        """
        if self._closed:
            return fail(SessionEnded())
        done: Deferred[None] = Deferred()
        self._waiting = (*self._waiting, done)
        self.refresh()
        return done

    def close(self, error: HelixError) -> Deferred[None] | None:
        """
        Take nothing more; who still waits is told ``error``. An append under way goes on.

        :return: a Deferred that fires when that append has ended somehow; ``None`` without one.
        """
        if self._closed:
            return None
        self._closed = True
        if self._recovery is not None:
            self._recovery.cancel()
            self._recovery = None
        group, self._group = self._group, None
        if group is not None:
            self._roll_back(group)
        self._refuse((*(group.pending if group else ()), *self._drop_queue()), error)
        for done in self._drop_waiting():
            done.errback(error)
        if self._recovering is not None:
            self._recovering.cancel()
        if self._appending:
            self._settling = Deferred()
        return self._settling

    # staging and appending

    def _next(self) -> None:
        """Go on with whatever is to be done, as far as nothing is under way."""
        if self._running:
            return
        self._running = True
        try:
            while not self._closed and self._group is None and self._recovering is None:
                if self._stale and (self._queue or self._asked):
                    self._recover()
                elif self._queue:
                    self._append(self._stage())
                else:
                    break
        except Exception:
            self._crash(Failure())
            return
        finally:
            self._running = False
        if not self._closed and not self.is_busy:
            self._forget_clients()
            self._follower.settled()

    def _stage(self) -> _Group:
        """Take the next submissions off the queue and apply what they change."""
        self._group = group = _Group()
        base = self.log.version
        now = round(self._settings.clock.seconds(), 3)
        while self._queue and len(group.entries) < MAX_GROUP and group.size < MAX_GROUP_BYTES:
            pending = self._queue.popleft()
            group.pending.append(pending)
            if self._is_resend(pending.submission):
                continue
            version = base + len(group.entries)
            try:
                patch = self._effective(pending.submission, version)
            except HelixError as error:
                group.pending.pop()
                pending.done.errback(error)
                continue
            text = b"{}"
            if patch:
                version += 1
                text = _encode_patch(patch)
                self._add(group, pending.submission, version, now, patch, text)
            pending.accepted = Accepted(self.log.epoch, version, text)
            self._count(group, pending.submission)
        return group

    def _is_resend(self, submission: Submission) -> bool:
        if submission.client_id is None or submission.op_id is None:
            return False
        client = self._clients.get(submission.client_id)
        return client is not None and submission.op_id <= client.newest

    def _effective(self, submission: Submission, version: int) -> JsonObject:
        if submission.check is not None:
            submission.check(self.log.epoch, version)
        return submission.stage(self.log.document)

    def _add(
        self,
        group: _Group,
        submission: Submission,
        version: int,
        now: float,
        patch: JsonObject,
        text: bytes,
    ) -> None:
        group.changes.append((patch, self.log.document.exchange(patch)))
        group.size += len(text)
        client_id, op_id = submission.client_id, submission.op_id
        group.entries.append(Entry(version, text, now, submission.by, client_id, op_id))

    def _count(self, group: _Group, submission: Submission) -> None:
        """Know the submission again when it is resent, also if it changes nothing."""
        client_id, op_id = submission.client_id, submission.op_id
        client = None if client_id is None else self._clients.get(client_id)
        if client_id is not None and op_id is not None and client is not None:
            group.newest_before.setdefault(client_id, client.newest)
            client.newest = op_id

    def _append(self, group: _Group) -> None:
        if self._closed:
            return
        if not group.entries:
            self._group = None
            self._acknowledge(group)
            return
        log, store = self.log, self._settings.store
        summary = summary_of(log.document)
        appended: Deferred[Any]
        if log.is_stored:
            appended = store.append(log.flow_id, log.epoch, log.version, group.entries, summary)
        else:
            appended = store.create(log.flow_id, log.epoch, log.created_at, group.entries, summary)
        self._appending = True
        appended.addCallbacks(
            self._appended, self._append_failed, (group,), {}, (group,)
        ).addErrback(self._crash)

    def _append_ended(self) -> bool:
        """Note that no append is under way; tell whether anybody still waits for what it did."""
        self._appending = False
        if self._settling is not None:
            self._settling.callback(None)
        return not self._closed

    def _appended(self, _: object, group: _Group) -> None:
        if not self._append_ended():
            return
        self._group = None
        self._conflicts = self._failures = 0
        self.log.extend(group.entries)
        corked = group.cork()
        try:
            self._acknowledge(group)
            if not self._closed:
                self._follower.committed(group.entries)
        finally:
            for outlet in corked:
                outlet.uncork()
        if not self._closed:
            self.log.snapshot_if_due()
            self._next()

    def _acknowledge(self, group: _Group) -> None:
        resent = []
        for pending in group.pending:
            if pending.accepted is not None:
                pending.done.callback(pending.accepted)
            else:
                resent.append(pending)
        if resent:
            Deferred.fromCoroutine(self._answer(resent)).addErrback(self._crash)

    async def _answer(self, resent: Iterable[_Pending]) -> None:
        """Tell those who sent something again what it became."""
        for pending in resent:
            client_id, op_id = pending.submission.client_id, pending.submission.op_id
            assert client_id is not None
            assert op_id is not None
            epoch = self.log.epoch
            try:
                entry = await self._settings.store.find(self.log.flow_id, epoch, client_id, op_id)
            except HelixError as error:
                pending.done.errback(OutcomeUnknown() if error.retry else error)
            else:
                accepted = Accepted(epoch, self.log.version, b"{}")
                if entry is not None:
                    accepted = Accepted(epoch, entry.version, entry.patch)
                pending.done.callback(accepted)

    # when the store says no

    def _append_failed(self, failure: Failure, group: _Group) -> None:
        if not self._append_ended():
            return
        self._group = None
        self._roll_back(group)
        self._queue.extendleft(reversed(group.pending))
        if not failure.check(VersionConflict, FlowExists, DuplicateOperation):
            self._give_up(failure)
        else:
            self._conflicts += 1
            if self._conflicts > MAX_CONFLICTS:
                self._conflicts = 0
                self._refuse(self._drop_queue(), VersionConflict())
            self._stale = True
            if failure.check(DuplicateOperation):
                named = (pending.submission.client_id for pending in self._queue)
                self._unknown = {client_id for client_id in named if client_id is not None}
        self._next()

    def _roll_back(self, group: _Group) -> None:
        for _, undo in reversed(group.changes):
            self.log.document.apply(undo)
        for client_id, newest in group.newest_before.items():
            if client_id in self._clients:
                self._clients[client_id].newest = newest
        for pending in group.pending:
            pending.accepted = None

    def _give_up(self, failure: Failure) -> None:
        """
        Refuse all who wait, also those behind: else they would overtake who tries again.
        """
        error = failure.value
        if isinstance(error, FlowNotFound):
            error = FlowDeleted()
        if not isinstance(error, HelixError):
            failure.raiseException()
            return
        self._refuse(self._drop_queue(), error)
        if isinstance(error, FlowDeleted):
            self._follower.deleted()
        elif isinstance(error, StoreUnavailable):
            self._stale = True
            self._recover_later()
        else:
            self._log.error(
                "What was submitted to a flow could not be stored: {error}",
                flow_id=self.log.flow_id,
                error=error,
            )

    def _drop_queue(self) -> list[_Pending]:
        dropped = list(self._queue)
        self._queue.clear()
        return dropped

    def _drop_waiting(self) -> tuple[Deferred[None], ...]:
        waiting, self._waiting = self._waiting, ()
        return waiting

    def _refuse(self, pending: Iterable[_Pending], error: HelixError) -> None:
        for one in pending:
            known = error.retry and self._is_resend(one.submission)
            one.done.errback(OutcomeUnknown() if known else error)

    # what other writers did

    def _recover_later(self) -> None:
        """The write may have happened all the same: see to it that the members learn of it."""
        if self._recovery is None and not self._closed:
            delay = RECOVERY_DELAYS[min(self._failures, len(RECOVERY_DELAYS) - 1)]
            self._failures += 1
            self._recovery = self._settings.clock.callLater(delay, self._recovery_due)

    def _recovery_due(self) -> None:
        self._recovery = None
        self.refresh()

    def _recover(self) -> None:
        self._asked = False
        recovering = Deferred.fromCoroutine(self._catch_up())
        if not recovering.called:
            self._recovering = recovering
        recovering.addCallbacks(self._recovered, self._recovery_failed).addErrback(self._crash)

    def _recovered(self, _: None) -> None:
        self._recovering = None
        if not self._closed:
            self._stale = self._asked  # somebody may have asked meanwhile
            self._failures = 0
            for done in () if self._stale else self._drop_waiting():
                done.callback(None)
            self._next()

    def _recovery_failed(self, failure: Failure) -> None:
        self._recovering = None
        if not self._closed:
            self._give_up(failure)
            for done in self._drop_waiting():
                done.errback(failure)
            self._next()

    async def _catch_up(self) -> None:
        log = self.log
        try:
            head = await self._settings.store.head(log.flow_id)
        except FlowNotFound:
            if log.is_stored:
                raise
            return
        if head.deleted_at is not None:
            raise FlowDeleted()
        if head.epoch == log.epoch:
            await self._catch_up_to(head.version)
        else:
            await self._begin_anew()
        for client_id in sorted(self._unknown):
            newest = await self._newest_op(client_id)
            client = self._clients.setdefault(client_id, _Client(0, -1))
            client.newest = max(client.newest, newest)
        self._has_orphans = self._has_orphans or bool(self._unknown)
        self._unknown = set()

    async def _catch_up_to(self, version: int) -> None:
        log = self.log
        while log.version < version and not self._closed:
            entries = await self._settings.store.entries(log.flow_id, log.epoch, log.version, PAGE)
            if not entries:
                raise StoreError("The store's log ends before its head")
            if self._closed:
                return
            log.apply(entries)
            for entry in entries:
                if entry.client_id in self._clients and entry.op_id is not None:
                    client = self._clients[entry.client_id]
                    client.newest = max(client.newest, entry.op_id)
            self._follower.committed(entries)

    async def _begin_anew(self) -> None:
        stored = await self._settings.store.load(self.log.flow_id)
        document = await replay(stored, self._settings)
        if not self._closed:
            self.log.replace(stored, document)
            self._unknown = set(self._clients)
            for client in self._clients.values():
                client.newest = -1
            self._follower.replaced()

    async def _newest_op(self, client_id: str) -> int:
        """The largest ``op_id`` of a client in the log; -1 when there is none."""
        log = self.log
        if not log.is_stored:
            return -1
        newest = await self._settings.store.newest_op(log.flow_id, log.epoch, client_id)
        return -1 if newest is None else newest

    # the end of things

    def _forget_clients(self) -> None:
        if self._has_orphans and not self.is_busy:
            self._has_orphans = False
            for client_id in [one for one, client in self._clients.items() if not client.members]:
                del self._clients[client_id]

    def _crash(self, failure: Failure) -> None:
        if not self._closed:
            self.close(SessionCrashed())
            self._follower.crash(failure)


def _op_ids(entries: Iterable[Entry], client_id: str) -> Iterator[int]:
    for entry in entries:
        if entry.client_id == client_id and entry.op_id is not None:
            yield entry.op_id
