"""
The commit loop of a flow: submit, stage, append, and only then acknowledge and broadcast.

A flow has at most one append under way. Edits submitted meanwhile form the next append (group
commit). Each edit of a group is staged on the edits before it, in the document itself. Its inverse
is kept in case the append fails. Until then, others see the document without these edits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final, Protocol, TypeVar
from weakref import proxy

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.at_hand import has_result
from helix.delivery.fanout import Turns
from helix.errors import (
    DuplicateOperation,
    FlowDeleted,
    FlowExists,
    FlowNotFound,
    HelixError,
    SessionCrashed,
    SessionEnded,
    StoreUnavailable,
    TooManyPending,
    VersionConflict,
)
from helix.log.commit_group import CommitGroup
from helix.log.contention import Contention
from helix.log.edits import Accepted, Preparation, Submission, summary_of
from helix.log.live_log import LiveLog
from helix.log.pace import Pace
from helix.log.remote_writes import LogFollower, News, RemoteWrites
from helix.log.replaying import LogSettings
from helix.log.staged_apart import MAX_CASCADE, StagedApart
from helix.log.submitters import Pending, Submitter, Submitters

MAX_GROUP = 500
"""Maximum entries of one append."""

MAX_GROUP_BYTES = 1024 * 1024
"""Bytes of patches after which a group takes no more."""

MAX_PENDING = 10_000
"""Submissions of one flow that may wait."""

MAX_CONFLICTS = 20
"""How often other writers may be first before waiting submissions are refused."""

T = TypeVar("T")


class Follower(LogFollower, Protocol):
    """Is told what happens to a log."""

    def deleted(self) -> None:
        """The flow is deleted."""

    def stored(self) -> None:
        """An append of this node is durable."""

    def conflicted(self) -> None:
        """Another writer's append was first, so one of this node has to be made again."""

    def settled(self) -> None:
        """Nothing is pending any more."""

    def crash(self, failure: Failure) -> None:
        """Something failed by a fault of ours."""


class CommitLoop:
    """
    Takes submissions into a log, one append at a time.

    :param log: whose document is staged on.
    :param follower: who is told.
    :param turns: those of the reactor.
    """

    __slots__ = (
        "__weakref__",
        "_appending",
        "_closed",
        "_contention",
        "_follower",
        "_group",
        "_knows_access",
        "_others",
        "_pace",
        "_preparing",
        "_queue",
        "_running",
        "_settings",
        "_settling",
        "_submitters",
        "_turns",
        "log",
    )

    _log: Final = Logger(namespace="helix.log")

    def __init__(
        self, log: LiveLog, settings: LogSettings, follower: Follower, turns: Turns
    ) -> None:
        self.log = log
        self._settings = settings
        self._follower = follower
        self._submitters = Submitters(log, settings.store)
        self._others = RemoteWrites(log, settings, self._submitters, follower)
        self._queue: list[Pending] = []  # a deque takes 600 bytes when it is empty
        self._group: CommitGroup | None = None
        me = proxy(self)  # so that its parts don't hold it
        self._contention = Contention(log, settings, self._others, lambda: me._next())
        self._turns = turns
        self._pace: Pace | None = None  # made when an append is answered at once
        self._settling: Deferred[None] | None = None
        self._appending = self._preparing = self._running = self._closed = False
        self._knows_access = False

    # what the session calls

    @property
    def is_busy(self) -> bool:
        """Whether anything is submitted or under way."""
        return (
            bool(self._queue or self._submitters.held_count)
            or self._group is not None
            or self._others.reading is not None
        )

    def submit(self, submission: Submission) -> Deferred[Accepted]:
        """
        Submit an edit to the log. Edits of one caller keep their order.

        ``client_id`` and ``op_id`` are the idempotency key: if the log holds it, the edit isn't
        staged again and gets the result of the first time. A resend of a pending edit gets its
        result, too.

        :return: a Deferred that fires once the edit is durable, before anybody is told of it.
        :raises HelixError: (through the Deferred) what `Submission.check` and `Submission.stage`
            refuse with, `TooManyPending`, `FlowDeleted`, `SessionEnded`, or what the store
            failed with; nothing was changed then, but see `StoreUnavailable`.
        """
        if self._closed:
            return fail(SessionEnded())
        if len(self._queue) + self._submitters.held_count >= MAX_PENDING:
            return fail(TooManyPending())
        pending = self._submitters.enter(submission)
        if pending.submission is not submission:
            return pending.again()
        self._queue.append(pending)
        self._next()
        return pending.done

    async def introduce(self, client_id: str) -> None:
        """
        Register a client before it submits anything; the caller must `dismiss` it later.

        :raises StoreError: when the store can't tell what it submitted before.
        """
        await self._submitters.introduce(client_id)

    def last_op_id(self, client_id: str) -> int | None:
        """
        The largest ``op_id`` of an introduced client that is in the log or pending; ``None``
        without any.
        """
        return self._submitters.last_op_id(client_id)

    def dismiss(self, client_id: str) -> None:
        """Undo one `introduce`; a client without any is forgotten."""
        self._submitters.dismiss(client_id)
        if not self.is_busy:
            self._submitters.forget_orphans()

    def confirmed(self, read: Callable[[], T]) -> T:
        """Call ``read`` while the log's document is what is durable, nothing more."""
        group = self._group
        if group is None:
            return read()
        group.undo()
        try:
            return read()
        finally:
            group.redo()

    def refresh(self) -> None:
        """Read what other writers added to the flow."""
        self._others.ask()
        self._next()

    def hear(self, news: News) -> None:
        """Take what another node has told; `refresh` where it does not continue the log."""
        if not self._closed:
            if news.node:
                self._contention.heard(news.node)
            self._others.hear(news)
            self._next()

    def give_turn(self, node: str) -> None:
        """Another node's append came second: it is to have its turn."""
        self._contention.wanted(node)

    def refreshed(self) -> Deferred[None]:
        """
        As `refresh`, and wait for it.

        :return: a Deferred that fires once the log is at least what the store has now.
        :raises HelixError: (through the Deferred) when the store can't tell, or the loop is closed.
        """
        if self._closed:
            return fail(SessionEnded())
        caught_up = self._others.wait()
        self._next()
        return caught_up

    def close(self, error: HelixError) -> Deferred[None] | None:
        """
        Accept nothing more; pending submissions fail with ``error``. An append under way goes on.

        :return: a Deferred that fires when that append has ended somehow; ``None`` without one.
        """
        if self._closed:
            return None
        self._closed = True
        self._contention.stop()
        group, self._group = self._group, None
        if group is not None:
            group.roll_back()
        self._refuse((*(group.pending if group else ()), *self._drop_queue()), error)
        self._others.close(error)
        if self._appending:
            self._settling = Deferred()
        return self._settling

    # staging and appending

    def _next(self) -> None:
        """Start the next step, unless one is under way."""
        if self._running:
            return
        self._running = True
        others = self._others
        try:
            while not (self._closed or self._group or self._preparing or others.reading):
                has_work = others.news or self._queue or (others.stale and others.asked)
                if not has_work or self._learns_access():
                    break
                if others.news:
                    others.take_news()
                    self._contention.told()
                elif others.stale:
                    if self._contention.holds_read():
                        break
                    self._catch_up()
                else:
                    if self._contention.holds_append() or self._gathers():
                        break
                    self._append(self._stage())
        except Exception:
            self.crash(Failure())
            return
        finally:
            self._running = False
        if not self._closed and not self.is_busy:
            self._submitters.forget_orphans()
            self._follower.settled()

    def _gathers(self) -> bool:
        """
        Whether the next append waits for what members submit meanwhile. Nobody else is kept waiting
        for that: a request that edits is all that its client has under way.
        """
        pace = self._pace
        if pace is None or self._queue[-1].submission.outlet is None:
            return False
        return pace.holds(self._next)

    def _learns_access(self) -> bool:
        """
        Whether what the flow gives must be learned first: by that edits are judged, and members are
        told of others'. A process that stood still may have missed that it was changed.
        """
        if self._knows_access:
            return False
        learning = self._settings.learn_access(self.log.flow_id, bool(self._queue))
        if learning is None:
            return False
        self._preparing = True
        learning.addBoth(self._access_learned).addErrback(self.crash)
        return self._preparing

    def _access_learned(self, outcome: Failure | None) -> None:
        self._preparing = False
        if isinstance(outcome, Failure):
            self._give_up(outcome)
        self._knows_access = True
        self._next()
        self._knows_access = False

    def _stage(self) -> CommitGroup:
        """Take the next submissions off the queue and apply what they change."""
        log, now = self.log, round(self._settings.wall(), 3)
        self._group = group = CommitGroup(log, now, self._settings.work)
        while self._queue and len(group.entries) < MAX_GROUP and group.size < MAX_GROUP_BYTES:
            pending = self._queue[0]
            preparation = self._preparation_of(pending)
            if preparation is not None and not preparation.fits(log.epoch, group.version):
                if not group.pending:
                    preparing = Deferred.fromCoroutine(self._prepare(pending, preparation))
                    preparing.addErrback(self.crash)
                break
            del self._queue[0]
            if self._submitters.holds_back(pending, self):
                continue
            error = group.take(pending)
            if error is None or self._submitters.is_sought_first(pending, self):
                continue
            if not self.log.is_stored and pending.submitter and not pending.was_sought:
                # Another node may have made the flow: that is read before anything is refused.
                pending.was_sought = self._others.stale = True
                self._queue.insert(0, pending)
                break
            pending.refuse(error)
        return group

    def _preparation_of(self, pending: Pending) -> Preparation | None:
        """Give what is to be made before a submission can be staged on the document as it is."""
        submission, document = pending.submission, self.log.document
        if not submission.deletes or document.edge_count <= MAX_CASCADE:
            return submission.preparation
        is_small = document.cascade_of(submission.deletes) <= MAX_CASCADE
        if is_small or pending.staged_apart is None:
            apart = self._settings.apart
            staged = None if is_small else StagedApart(submission, document.limits, apart)
            pending.staged_apart = staged
        return pending.staged_apart

    async def _prepare(self, pending: Pending, preparation: Preparation) -> None:
        """Have what the next submission goes by made of the document as it is; all others wait."""
        self._preparing = True
        try:
            await preparation.make(self.log.state)
        except HelixError as error:
            if not self._closed and pending in self._queue:
                self._queue.remove(pending)
                pending.refuse(error)
        finally:
            self._preparing = False
        self._next()

    def _append(self, group: CommitGroup) -> None:
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
            appended = store.append(
                log.flow_id, log.epoch, log.version, log.chain, group.entries, summary
            )
        else:
            appended = store.create(
                log.flow_id, log.epoch, log.created_at, group.entries, summary, owner=group.owner
            )
        self._appending = True
        self._contention.began()
        if has_result(appended):
            self._answered_at_once(group)
            self._appended(None, group)
            return
        appended.addCallbacks(
            self._appended, self._append_failed, (group,), {}, (group,)
        ).addErrback(self.crash)

    def _answered_at_once(self, group: CommitGroup) -> None:
        """The store works for no time in which edits could gather."""
        if self._pace is None:
            if not self._settings.shares_turns:
                return
            self._pace = Pace(self._settings.clock, self._turns)
        self._pace.appended(len(group.entries))

    def _append_ended(self) -> bool:
        """Note that no append is under way; tell whether anybody still waits for its result."""
        self._appending = False
        if self._settling is not None:
            self._settling.callback(None)
        return not self._closed

    def _appended(self, _: object, group: CommitGroup) -> None:
        epoch = self.log.epoch
        if not self._append_ended():
            # Nobody waits for it here any more, but the members on other nodes do.
            self._settings.nodes.appended(self.log.flow_id, epoch, group.entries)
            return
        self._group = None
        self._contention.won()
        self._follower.stored()
        is_new = not self.log.is_stored
        self.log.extend(group.entries, group.whole)
        group.count()
        if is_new:
            self._settings.made(self.log.flow_id, group.owner)
        corked = group.cork()
        try:
            self._acknowledge(group)
            # After what was told of them meanwhile: who hears of both in this order can tell that.
            self._settings.nodes.appended(self.log.flow_id, epoch, group.entries)
            if not self._closed:
                self._follower.committed(group.entries)
        finally:
            for outlet in corked:
                outlet.uncork()
        if not self._closed:
            # Who was answered may have submitted more, which is staged by now.
            self.confirmed(self.log.snapshot_if_due)
            self._next()

    def _acknowledge(self, group: CommitGroup) -> None:
        for pending in group.pending:
            if self._accept_found(pending):
                continue
            if pending.refused is not None:
                pending.refuse(pending.refused)
            elif pending.accepted is not None:
                pending.accept(pending.accepted)

    def _accept_found(self, pending: Pending) -> bool:
        """Answer a submission whose key the log holds already; tell whether it is one."""
        entry = pending.found
        if entry is None:
            return False
        log = self.log
        chain = log.chain_of(entry)
        pending.accept(Accepted(log.epoch, entry.version, entry.patch, entry.dropped, True, chain))
        return True

    # what is held back (`helix.log.submitters.Staging`)

    def released(self, ready: Sequence[Pending]) -> None:
        self._put_back(ready)
        if any(one.found is not None and one.found.version > self.log.version for one in ready):
            self._others.stale = True
        self._next()

    def unknown(self, submitter: Submitter, failure: Failure) -> None:
        """Later ones are refused, too; otherwise they would overtake a resend."""
        behind = [one for one in self._queue if one.submitter is submitter]
        self._queue = [one for one in self._queue if one.submitter is not submitter]
        error = failure.value
        assert isinstance(error, HelixError)
        self._refuse((*self._submitters.drop_held(submitter), *behind), error)
        self._next()

    def crash(self, failure: Failure) -> None:
        """A fault of ours: accept nothing more, and tell the follower."""
        if not self._closed:
            self.close(SessionCrashed())
            self._follower.crash(failure)

    # when the store says no

    def _append_failed(self, failure: Failure, group: CommitGroup) -> None:
        if not self._append_ended():
            return
        self._group = None
        group.roll_back()
        self._put_back(group.pending)
        if not failure.check(VersionConflict, FlowExists, DuplicateOperation):
            self._give_up(failure)
        else:
            told = failure.check(VersionConflict) is not None and not self._others.stale
            self._contention.lost(may_be_told=told)
            self._settings.nodes.wants_turn(self.log.flow_id)
            self._follower.conflicted()
            if self._contention.in_a_row > MAX_CONFLICTS:
                self._contention.in_a_row = 0
                self._refuse(self._drop_queue(), VersionConflict())
            self._others.stale = True
            if failure.check(DuplicateOperation):
                self._submitters.doubt(self._queue)
        self._next()

    def _give_up(self, failure: Failure) -> None:
        """
        Refuse all pending submissions; otherwise later ones would overtake a resend.
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
            # The write may have happened all the same: the members shall learn of it.
            self._submitters.knows_all = False
            self._others.ask_later(self._next)
        else:
            self._log.error(
                "Edits of a flow could not be stored: {error}",
                flow_id=self.log.flow_id,
                error=error,
            )

    def _put_back(self, pending: Sequence[Pending]) -> None:
        """Queue again what was taken off the queue, before all that was submitted later."""
        number = attrgetter("number")
        self._queue = sorted((*pending, *self._queue), key=number)

    def _drop_queue(self) -> list[Pending]:
        dropped = [*self._submitters.drop_held(), *self._queue]
        self._queue.clear()
        return dropped

    def _refuse(self, pending: Iterable[Pending], error: HelixError) -> None:
        for one in pending:
            if not self._accept_found(one):
                one.refuse(error)

    # what other writers did

    def _catch_up(self) -> None:
        """Read what others wrote before anything more is staged."""
        self._contention.reads()
        self._others.catch_up().addCallbacks(self._caught_up, self._not_caught_up).addErrback(
            self.crash
        )

    def _caught_up(self, _: None) -> None:
        self._next()

    def _not_caught_up(self, failure: Failure) -> None:
        if not self._closed:
            self._give_up(failure)
            self._others.refuse(failure)
            self._next()
