"""What somebody may do with flows: asks the store, and watches flows that somebody has open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.access.decision import FULL, Permission, decide
from helix.access.principal import Principal
from helix.access.sharing import NO_ACCESS, FlowAccess, subjects_of
from helix.errors import HelixError, StoreError
from helix.interfaces import IAccessStore
from helix.records import AuditEntry
from helix.sharing.following import Following

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
        self._following = Following(store, clock, self)
        self._watched: dict[str, _Watched] = {}
        self._unread: dict[_Watched, None] = {}

    def startService(self) -> None:
        """Follow the store, which is open."""
        super().startService()
        self._following.start()

    def stopService(self) -> None:
        super().stopService()
        self._following.stop()

    def look(self) -> None:
        """Ask the store now, in place of the next time: another node has changed something."""
        self._following.look()

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

    # what was missed

    def catch_up(self, flow_id: str, is_to_judge: bool) -> Deferred[None] | None:
        """
        Learn what a flow gives by now, if it is watched, and that isn't known anyway.

        :param is_to_judge: whether an edit is to be judged by that. Otherwise what is known will do
            while the store is out of reach.
        :return: ``None`` where what is known will do. Otherwise a Deferred that fires when all is
            known, and those whom it concerns are told, that was done before this call.
        :raises StoreError: (through the Deferred) when the store can't tell.
        """
        flow, following = self._watched.get(flow_id), self._following
        if flow is None or (following.is_recent and not self._is_behind(flow)):
            return None
        if following.is_away and not is_to_judge:
            return None
        return Deferred.fromCoroutine(self._catch_up(flow))

    async def catch_up_with_credentials(self) -> None:
        """
        Learn what was done to credentials, if that isn't known anyway, and as far as the store can
        be reached.
        """
        following = self._following
        if not (following.is_recent or following.is_away):
            with suppress(StoreError):
                await following.catch_up()

    async def _catch_up(self, flow: _Watched) -> None:
        if not self._following.is_recent:
            await self._following.catch_up()
        if self._is_behind(flow):
            await self._known(flow)

    def _is_behind(self, flow: _Watched) -> bool:
        """Whether it was changed, and isn't read since."""
        return flow.is_known and (flow.is_reading or flow in self._unread)

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
            try:
                await self._known(flow)
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

    def _known(self, flow: _Watched) -> Deferred[None]:
        """Wait until it is read."""
        waiter: Deferred[None] = Deferred(flow.waiters.remove)
        flow.waiters.append(waiter)
        if not flow.is_reading:
            self._read(flow)
        return waiter

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

    # what is done, by whatever process (`helix.sharing.following.Learner`)

    def begin(self) -> None:
        # What was done until now was asked for by who watches, unless that was long ago.
        self._read_all()

    def learn(self, entries: Sequence[AuditEntry]) -> None:
        changed = {entry.flow_id for entry in entries}
        for flow in [*map(self._watched.get, changed), *self._unread]:
            if flow is not None:
                self._read(flow)
        credentials = [entry for entry in entries if entry.credential]
        if credentials and self.on_credentials is not None:
            self.on_credentials(credentials)

    def begin_again(self) -> None:
        self._read_all()
        if self.on_set_back is not None:
            self.on_set_back()

    def _read_all(self) -> None:
        for watched in list(self._watched.values()):
            self._read(watched)
