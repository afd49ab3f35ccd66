"""Takes what other writers added to a flow, from them or from the store, into its live log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.chain import continues
from helix.errors import FlowDeleted, FlowNotFound, HelixError, StoreCorrupt, VersionConflict
from helix.log.live_log import PAGE, LiveLog
from helix.log.replaying import LogSettings, replay
from helix.log.submitters import Submitters
from helix.printable import field
from helix.records import Entry, FlowHead

RETRY_DELAYS = (0.5, 1.0, 2.0, 5.0)
"""Seconds between the attempts to read the store again; the last one repeats."""


MAX_NEWS = 50
"""What other nodes tell that may wait for an append to end."""


class LogFollower(Protocol):
    """Is told how a log continues."""

    def committed(self, entries: Sequence[Entry]) -> None:
        """These are the next entries; they are durable and applied."""

    def replaced(self) -> None:
        """The log was replaced by one of another epoch."""


@attrs.frozen
class News:
    """
    What another node has told of a log.

    :ivar epoch: of the log.
    :ivar version: that it has come to.
    :ivar chain: the log's at that version.
    :ivar entries: the last ones up to that version, in order; none where they were too large.
    :ivar node: that tells it.
    :ivar flow_id: whose log it is; empty where only the topic says so.
    """

    epoch: str
    version: int
    chain: bytes
    entries: Sequence[Entry] = ()
    node: str = ""
    flow_id: str = ""


class RemoteWrites:
    """
    Updates a live log: with entries that other nodes tell of, or from the store, which has those of
    other nodes and of an append that seemed to fail.

    :param log: the flow's.
    :param submitters: the clients, which may have submitted elsewhere too.
    :param follower: is told what was read.

    :ivar stale: whether the store may have more than the log; set by whoever learns so.
    :ivar asked: whether the update is wanted now, not only before the next append.
    :ivar reading: the Deferred of `catch_up`, while it reads.
    :ivar news: what other nodes have told, until `take_news`.
    """

    __slots__ = (
        "_closed",
        "_failures",
        "_flow_log",
        "_follower",
        "_settings",
        "_submitters",
        "_timer",
        "_waiting",
        "asked",
        "news",
        "reading",
        "stale",
    )

    _log: Final = Logger(namespace="helix.log")

    def __init__(
        self, log: LiveLog, settings: LogSettings, submitters: Submitters, follower: LogFollower
    ) -> None:
        self._flow_log = log
        self._settings = settings
        self._submitters = submitters
        self._follower = follower
        self._waiting: tuple[Deferred[None], ...] = ()
        self._timer: IDelayedCall | None = None
        self._failures = 0
        self._closed = False
        self.stale = self.asked = False
        self.reading: Deferred[None] | None = None
        self.news: tuple[News, ...] = ()

    def hear(self, news: News) -> None:
        """Keep what another node has told for the next `take_news`; too much is read instead."""
        if len(self.news) < MAX_NEWS:
            self.news = (*self.news, news)
        else:
            self.news = ()
            self.ask()

    def take_news(self) -> None:
        """
        Add what other nodes have told, where it continues the log; else `ask`. No append may be
        under way meanwhile.

        :raises StoreCorrupt: when an entry is not what it was.
        """
        log = self._flow_log
        heard, self.news = self.news, ()
        for news in heard:
            if self._closed:
                return
            if news.epoch != log.epoch or not log.is_stored:
                self.ask()  # it may be somebody else's flow
            elif news.version <= log.version:
                if log.chain_at(news.version) not in (news.chain, None):
                    self.ask()  # the store was set back
            else:
                new = [entry for entry in news.entries if entry.version > log.version]
                follows = bool(new) and new[0].version == log.version + 1
                if follows and continues(log.chain, new):
                    log.apply(new)
                    self._tell(new)
                else:
                    self.ask()

    def ask(self) -> None:
        """Let the next `catch_up` come soon."""
        self.stale = self.asked = True

    def wait(self) -> Deferred[None]:
        """
        As `ask`, and wait for it.

        :return: a Deferred that fires once the log is at least what the store has now.
        :raises HelixError: (through the Deferred) what `refuse` or `close` was told.
        """
        self.ask()
        done: Deferred[None] = Deferred()
        self._waiting = (*self._waiting, done)
        return done

    def ask_later(self, then: Callable[[], None]) -> None:
        """
        The store could not be reached: `ask` again later, with a longer wait each time.

        :param then: called when that has been asked.
        """
        self.stale = True
        if self._timer is None and not self._closed:
            delay = RETRY_DELAYS[min(self._failures, len(RETRY_DELAYS) - 1)]
            self._failures += 1
            self._timer = self._settings.clock.callLater(delay, self._ask_now, then)

    def catch_up(self) -> Deferred[None]:
        """
        Read the store's entries. No append may be under way meanwhile.

        :return: a Deferred that fires when the log has them, and those who waited know.
        :raises FlowNotFound, FlowDeleted, StoreError: (through the Deferred) when the flow is gone,
            or the store can't tell; those who wait are owed a `refuse` then.
        """
        self.asked = False
        reading = Deferred.fromCoroutine(self._read())
        if not reading.called:
            self.reading = reading
        return reading.addCallbacks(self._caught_up, self._failed)

    def refuse(self, error: HelixError | Failure) -> None:
        """Fail those who wait with ``error``."""
        for done in self._drop_waiting():
            done.errback(error)

    def close(self, error: HelixError) -> None:
        """Read nothing more; those who wait fail with ``error``."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.refuse(error)
        if self.reading is not None:
            self.reading.cancel()

    # inside

    def _ask_now(self, then: Callable[[], None]) -> None:
        self._timer = None
        self.ask()
        then()

    def _caught_up(self, _: None) -> None:
        self.reading = None
        if not self._closed:
            self.stale = self.asked  # somebody may have asked meanwhile
            self._failures = 0
            for done in () if self.stale else self._drop_waiting():
                done.callback(None)

    def _failed(self, failure: Failure) -> Failure:
        self.reading = None
        return failure

    def _drop_waiting(self) -> tuple[Deferred[None], ...]:
        waiting, self._waiting = self._waiting, ()
        return waiting

    async def _read(self) -> None:
        log = self._flow_log
        while True:
            try:
                head = await self._settings.store.head(log.flow_id)
            except FlowNotFound:
                if log.is_stored:
                    raise
                return
            if head.deleted_at is not None:
                raise FlowDeleted()
            if head.epoch != log.epoch:
                if await self._begin_anew():
                    break
                continue
            with suppress(FlowNotFound):  # of another epoch meanwhile: its head will say so
                if await self._follow_to(head):
                    break
                await self._renew(head)
        await self._submitters.ask_again()

    async def _follow_to(self, head: FlowHead) -> bool:
        """
        Read the entries up to the store's head.

        :return: whether they continue the log; if not, the store has another past.
        """
        log = self._flow_log
        if head.version < log.version:
            return False
        while log.version < head.version and not self._closed:
            entries = await self._settings.store.entries(log.flow_id, log.epoch, log.version, PAGE)
            # What made the flow may have seemed to fail: its members don't know whose it is.
            is_new = not log.is_stored
            tell_whose = await self._settings.made_elsewhere(log.flow_id) if is_new else None
            if self._closed:
                break
            if not entries:
                if await self._settings.store.head(log.flow_id) == head:
                    raise StoreCorrupt("The store's log ends before its head")
                return False  # it went back just now
            if not continues(log.chain, entries):
                return False
            log.apply(entries)
            if tell_whose is not None:
                tell_whose()
                if self._closed:
                    break
            self._tell(entries)
        return log.version > head.version or log.chain == head.chain or self._closed

    def _tell(self, entries: Sequence[Entry]) -> None:
        """These entries of another writer are in the log now."""
        self._submitters.count_in(entries)
        self._follower.committed(entries)

    async def _renew(self, head: FlowHead) -> None:
        """
        The store was set back: it lacks confirmed entries, or has others in their place. Give its
        log a new epoch, so that clients don't confuse the two.
        """
        log, epoch = self._flow_log, self._settings.new_epoch()
        self._log.warn(
            "The store went back in time: the log of {flow_id} was at version {version}. It"
            " continues from {head} with a new epoch",
            flow_id=field(log.flow_id),
            version=log.version,
            head=head.version,
        )
        with suppress(VersionConflict):  # another node was first
            await self._settings.store.renew_epoch(
                log.flow_id, head.epoch, head.version, head.chain, epoch
            )

    async def _begin_anew(self) -> bool:
        """
        Put the store's log in place of ours. It may be somebody else's flow by now: who may not see
        it is gone before anything of it is told, and what waits is judged anew.

        :return: whether that is done; not when the store has another one again.
        """
        store, flow_id = self._settings.store, self._flow_log.flow_id
        stored = await store.load(flow_id)
        replayed = await replay(stored, self._settings)
        tell_whose = await self._settings.made_elsewhere(flow_id)
        if (await store.head(flow_id)).epoch != stored.head.epoch:
            return False
        if not self._closed:
            self._flow_log.replace(stored, replayed)
            tell_whose()
        if not self._closed:
            self._submitters.begin_anew()
            self._follower.replaced()
        return True
