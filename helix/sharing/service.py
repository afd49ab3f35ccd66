"""What somebody may do with flows: asks the store, and watches flows that somebody has open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.access.decision import FULL, Permission, decide
from helix.access.principal import Principal
from helix.access.sharing import NO_ACCESS, FlowAccess, subjects_of
from helix.errors import HelixError
from helix.interfaces import IAccessStore
from helix.records import AuditEntry

POLL_SECONDS = 0.5
"""How often the store is asked what other processes have changed."""

POLLS_TO_LOOK_BACK = 20
"""After how many of these it is asked, too, whether it was set back."""

CHANGES_AT_ONCE = 1000
"""Of how many changes each question learns."""

OnCredentials = Callable[[Sequence[AuditEntry]], object]
"""Is told what was done to credentials, in order."""


@attrs.define(eq=False)
class _Watched:
    """
    A flow that is watched.

    :ivar access: what it gives, once that is known.
    :ivar watches: the id of a principal -> who watches for that one.
    :ivar waiters: who waits until it is known.
    :ivar is_stale: whether something was changed since the store was asked last.
    :ivar is_new: whether all who watch are to be told once it is known what it gives, since it was
        nobody's before.
    :ivar learned: how often it was learned what the flow gives.
    """

    flow_id: str
    access: FlowAccess = NO_ACCESS
    watches: dict[str, dict[Watch, None]] = attrs.field(factory=dict)
    waiters: list[Deferred[None]] = attrs.field(factory=list)
    is_known: bool = False
    is_reading: bool = False
    is_stale: bool = False
    is_new: bool = False
    learned: int = 0

    def concerned(self, after: FlowAccess) -> list[Watch]:
        """List those for whom something changes if it gives something else."""
        before = self.access
        if before == after and not self.is_new:
            return []
        if self.is_new or (before.groups, before.general, before.links) != (
            after.groups,
            after.general,
            after.links,
        ):
            return [watch for of_one in self.watches.values() for watch in of_one]
        old, new = before.members, after.members
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        changed |= {before.owner, after.owner}
        return [watch for name in changed for watch in self.watches.get(name, ())]


class Watch:
    """
    What a channel holds while its client has a flow open.

    :param changed: called when something may have changed for the client.
    """

    __slots__ = ("_flow", "_forget", "_principal_id", "changed")

    def __init__(
        self,
        flow: _Watched,
        principal_id: str,
        changed: Callable[[], None],
        forget: Callable[[_Watched], None],
    ) -> None:
        self.changed = changed
        self._flow = flow
        self._principal_id = principal_id
        self._forget = forget
        flow.watches.setdefault(principal_id, {})[self] = None

    @property
    def access(self) -> FlowAccess:
        """What the flow gives now."""
        return self._flow.access

    def end(self) -> None:
        """Watch no more; also when it has ended already."""
        watches = self._flow.watches
        of_one = watches.get(self._principal_id, {})
        if self not in of_one:
            return
        del of_one[self]
        if not of_one:
            del watches[self._principal_id]
        if not watches:
            self._forget(self._flow)


class AccessService(Service):
    """
    Knows what flows give.

    While it runs, it asks the store twice a second what was done to access, so that a change by
    another process counts within a second.

    :param store: keeps what flows give.
    :param clock: the reactor.

    :ivar on_change: is told that something was changed here, when that is stored.
    :ivar on_credentials: is told what was done to credentials, by any process.
    :ivar on_set_back: is told that credentials may be others than before, without a word of that.
    """

    name = "access"

    _log: Final = Logger(namespace="helix.access")

    def __init__(self, store: IAccessStore, clock: IReactorTime) -> None:
        self.on_change: Callable[[], object] | None = None
        self.on_credentials: OnCredentials | None = None
        self.on_set_back: Callable[[], object] | None = None
        self._store = store
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._unread: dict[_Watched, None] = {}
        self._newest: int | None = None
        self._polling: IDelayedCall | None = None
        self._polls = 0
        self._is_away = self._is_urgent = False

    def startService(self) -> None:
        """Follow the store, which is open."""
        super().startService()
        self._poll()

    def stopService(self) -> None:
        super().stopService()
        polling, self._polling = self._polling, None
        if polling is not None:
            polling.cancel()

    def look(self) -> None:
        """Ask the store now, in place of the next time: another node has changed something."""
        if self._polling is not None:
            self._polling.reset(0)
        elif self.running:
            self._is_urgent = True

    # asking

    async def permission(self, principal: Principal, flow_id: str) -> Permission | None:
        """
        Decide what a principal may do with a flow.

        The store is asked in the same way whether there is such a flow or not, so that both take
        the same time.

        :return: ``None`` when the flow must look as if there were none.
        :raises StoreError: when the store can't tell.
        """
        return (await self.permissions(principal, (flow_id,)))[flow_id]

    async def permissions(
        self, principal: Principal, flow_ids: Sequence[str]
    ) -> Mapping[str, Permission | None]:
        """As `permission`, of several flows."""
        if principal.is_admin or not flow_ids:
            return dict.fromkeys(flow_ids, FULL)
        given = await self._store.read(flow_ids, subjects_of(principal))
        return {one: decide(principal, one, given.get(one, NO_ACCESS)) for one in flow_ids}

    # watching

    async def watch(self, principal: Principal, flow_id: str, changed: Callable[[], None]) -> Watch:
        """
        Watch what a flow gives, until the watch is ended.

        :param principal: who has it open.
        :param changed: called when something may have changed for that principal.
        :raises StoreError: when the store can't tell.
        """
        flow = self._watched.get(flow_id)
        if flow is None:
            flow = self._watched[flow_id] = _Watched(flow_id)
        watch = Watch(flow, principal.id, changed, self._forget)
        if not flow.is_known:
            waiter: Deferred[None] = Deferred(flow.waiters.remove)
            flow.waiters.append(waiter)
            if not flow.is_reading:
                self._read(flow)
            try:
                await waiter
            except BaseException:
                watch.end()
                raise
        return watch

    def made(self, flow_id: str, owner: str) -> None:
        """
        Note that a flow was made, so that who has it open knows whose it is.

        :param owner: the id of a principal; empty for nobody.
        """
        flow = self._watched.get(flow_id)
        if flow is not None:
            # It may be known late, after what was changed since then.
            is_known = flow.access != NO_ACCESS
            self._note_new(flow, flow.access if is_known else FlowAccess(owner))
            self._read(flow)

    async def made_elsewhere(self, flow_id: str) -> Callable[[], None]:
        """
        Ask the store what a flow gives that another process made, perhaps in place of one that is
        open here.

        :return: tells all who have it open. It is to be called when they have that flow, and before
            they are told anything of it.
        :raises StoreError: when the store can't tell.
        """
        asked = self._watched.get(flow_id)
        access, before = NO_ACCESS, 0
        if asked is not None:  # who comes to watch it later asks by themselves
            before = asked.learned
            access = (await self._store.read((flow_id,))).get(flow_id, NO_ACCESS)

        def tell() -> None:
            flow = self._watched.get(flow_id)
            if flow is None:
                return
            is_newest = flow is asked and flow.learned == before
            self._note_new(flow, access if is_newest else flow.access)
            if not is_newest:
                self._read(flow)

        return tell

    # reading and changing

    def read(self, flow_id: str) -> Deferred[FlowAccess | None]:
        """Give all that a flow gives, a deleted one too; ``None`` where there is no such flow."""
        return self._store.read((flow_id,)).addCallback(lambda given: given.get(flow_id))

    def change(
        self, flow_id: str, edit: Callable[[FlowAccess], FlowAccess], audited: AuditEntry
    ) -> Deferred[FlowAccess]:
        """
        Change what a flow gives. When it is done, who has the flow open here has been told.

        :param edit, audited: as those of `helix.interfaces.IAccessStore.change`.
        :raises FlowNotFound, StoreError: (through the Deferred) as there.
        """

        def changed(access: FlowAccess) -> FlowAccess:
            self._note(flow_id, access)
            self.announce()
            return access

        return self._store.change(flow_id, edit, audited).addCallback(changed)

    def announce(self) -> None:
        """
        Let other processes look at once: here something was done to access, or to credentials, and
        is stored.
        """
        if self.on_change is not None:
            self.on_change()

    # inside

    def _forget(self, flow: _Watched) -> None:
        self._unread.pop(flow, None)
        if self._watched.get(flow.flow_id) is flow:
            del self._watched[flow.flow_id]

    def _note_new(self, flow: _Watched, access: FlowAccess) -> None:
        """As `_note`, of a flow that wasn't there before."""
        flow.is_new = True
        self._note(flow.flow_id, access)

    def _note(self, flow_id: str, access: FlowAccess) -> None:
        """Take what a flow gives now from who has changed it."""
        flow = self._watched.get(flow_id)
        if flow is not None:
            flow.is_stale = flow.is_reading
            if flow.is_known:
                self._set(flow, access)

    def _set(self, flow: _Watched, access: FlowAccess) -> None:
        concerned = flow.concerned(access)
        flow.access, flow.is_new = access, False
        flow.learned += 1
        for watch in concerned:
            try:
                watch.changed()
            except Exception:
                self._log.failure("A channel could not be told of a change of access")

    def _read(self, flow: _Watched) -> None:
        """Ask the store what a flow gives; again, where it is asked already."""
        flow.is_stale = flow.is_reading
        if flow.is_reading:
            return
        flow.is_reading = True
        self._store.read((flow.flow_id,)).addCallbacks(
            self._was_read, self._was_not_read, (flow,), {}, (flow,)
        ).addErrback(lambda failure: self._log.failure("What a flow gives can't be read", failure))

    def _was_read(self, given: Mapping[str, FlowAccess], flow: _Watched) -> None:
        flow.is_reading = False
        if flow.is_stale:
            self._read(flow)
            return
        self._unread.pop(flow, None)
        access = given.get(flow.flow_id, NO_ACCESS)
        if flow.is_known:
            self._set(flow, access)
        else:
            flow.access, flow.is_known, flow.is_new = access, True, False
            flow.learned += 1
        waiters, flow.waiters = flow.waiters, []
        for waiter in waiters:
            waiter.callback(None)

    def _was_not_read(self, failure: Failure, flow: _Watched) -> None:
        """Who waits is refused; what is known already is asked for again with the next poll."""
        flow.is_reading = False
        if flow.is_known:
            self._unread[flow] = None
        waiters, flow.waiters = flow.waiters, []
        for waiter in waiters:
            waiter.errback(failure)
        if not isinstance(failure.value, HelixError):
            failure.raiseException()

    # what other processes do

    def _poll(self) -> None:
        self._polling = None
        self._is_urgent = False
        self._polls += 1
        if self._newest is not None and self._polls % POLLS_TO_LOOK_BACK == 0:
            asked = self._store.changes(None, 1).addCallback(self._look_back)
        else:
            asked = self._store.changes(self._newest, CHANGES_AT_ONCE).addCallback(self._learn)
        asked.addErrback(self._learn_nothing)
        asked.addErrback(lambda failure: self._log.failure("A change of access is lost", failure))
        asked.addBoth(self._wait)

    def _wait(self, is_more: object) -> None:
        if self.running:
            seconds = 0.0 if is_more is True or self._is_urgent else POLL_SECONDS
            self._polling = self._clock.callLater(seconds, self._poll)

    def _learn(self, entries: Sequence[AuditEntry]) -> bool:
        """
        Follow what was done.

        :return: whether there may be more that is known by now.
        """
        if self._is_away:
            self._is_away = False
            self._log.info("Changes of access are known again")
        is_first = self._newest is None
        self._newest = entries[-1].number if entries else self._newest or 0
        if is_first:
            # What was done until now was asked for by who watches, unless that was long ago.
            for watched in list(self._watched.values()):
                self._read(watched)
            return False
        changed = {entry.flow_id for entry in entries}
        for flow in [*map(self._watched.get, changed), *self._unread]:
            if flow is not None:
                self._read(flow)
        credentials = [entry for entry in entries if entry.credential]
        if credentials and self.on_credentials is not None:
            self.on_credentials(credentials)
        return len(entries) >= CHANGES_AT_ONCE

    def _look_back(self, entries: Sequence[AuditEntry]) -> bool:
        """
        See whether the store has less than is known: a backup was put back, perhaps.

        :return: that what is new may be asked for at once.
        """
        newest = entries[-1].number if entries else 0
        if newest < (self._newest or 0):
            self._log.warn("The store was set back, so all access is read again")
            self._newest = newest
            for watched in list(self._watched.values()):
                self._read(watched)
            if self.on_set_back is not None:
                self.on_set_back()
        return True

    def _learn_nothing(self, failure: Failure) -> None:
        failure.trap(HelixError)
        if not self._is_away:
            self._is_away = True
            self._log.warn("Changes of access can't be read: {error}", error=failure.value)
