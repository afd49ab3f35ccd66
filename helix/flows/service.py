"""The registry of live flows: one session per flow, made on first use, ended after the last."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import attrs
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.delivery.fanout import Turns
from helix.errors import (
    Draining,
    FlowNotFound,
    FlowUnavailable,
    HelixError,
    SessionCrashed,
    SessionEnded,
    SessionNotFound,
    StoreUnavailable,
    TooManySessions,
)
from helix.flows.displacements import Displacements
from helix.flows.farewell import End
from helix.flows.joining import Joined, Past
from helix.flows.session import FlowSession, Surroundings
from helix.interfaces import IFlowStore, IMember, IOtherNodes, Relayed, Way
from helix.log.edits import Accepted, FlowState, Permit, Submission
from helix.log.live_log import LiveLog
from helix.log.remote_writes import News
from helix.log.replaying import LogSettings, load_state
from helix.members.presence import Person
from helix.members.relay.reading import parse_changes
from helix.members.roster import Nobody, Others
from helix.telemetry.events import Telemetry

MAX_CRASHES = 10
"""Crashes of one flow within `CRASH_WINDOW` after which it refuses joins."""

CRASH_WINDOW = 60.0
"""Seconds for which a crash counts."""

LOAD_TIMEOUT = 9.0
"""Seconds that joins wait for a flow: less than the 10 for which clients wait for a reply."""

SETTLE_PATIENCE = 1.0
"""Seconds without progress after which a stop no longer waits for pending submissions."""

SETTLE_TIMEOUT = 10.0
"""Seconds after which a stop no longer waits in any case."""

SETTLE_INTERVAL = 0.02
"""Seconds between two looks at whether it is."""

MAX_LOADS = 3
"""How often a flow is loaded for one request, if its session ends before the request is served."""

T = TypeVar("T")

Loader = Callable[[str, LogSettings], Coroutine[Deferred[Any], Any, LiveLog]]
"""Loads a flow by its id before its session starts."""


@attrs.define(eq=False)
class _Load:
    """
    A load under way.

    :ivar waiters: a Deferred for each join that waits for it.
    :ivar is_stale: whether the store may have more than it has read.
    """

    loading: Deferred[LiveLog] | None = None
    waiters: list[Deferred[FlowSession]] = attrs.field(factory=list)
    is_stale: bool = False

    def wait(self) -> Deferred[FlowSession]:
        """Wait for it; cancelling the wait doesn't cancel the load."""
        waiter: Deferred[FlowSession] = Deferred(self.waiters.remove)
        self.waiters.append(waiter)
        return waiter


class FlowSessionService(Service):
    """
    Owns the sessions: flow id -> `FlowSession`.

    Concurrent joins of a flow that is not live share one load and one session.

    :param clock: the reactor.
    :param logs: the store, and what else live logs share.
    :param int max_clients: members of a flow.
    :param float idle_timeout: seconds without activity after which a session ends.
    :param max_sessions: flows that may be open, or be loaded, at once.
    :param load: see `Loader`.
    :param others: the other nodes, as sessions tell them of their members; ``None`` for none.
    """

    name = "flow-sessions"

    _log: Final = Logger(namespace="helix.service")

    def __init__(
        self,
        clock: IReactorTime,
        telemetry: Telemetry,
        logs: LogSettings,
        max_clients: int = 1000,
        idle_timeout: float = 1800.0,
        max_sessions: int = 50_000,
        load: Loader = LiveLog.load,
        others: Others | None = None,
    ) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._logs = logs
        self._around = Surroundings(
            clock,
            Turns(clock, telemetry),
            telemetry,
            logs,
            max_clients,
            idle_timeout,
            others or Nobody(),
            Displacements(clock),
        )
        self._max_sessions = max_sessions
        self._load = load
        self._sessions: dict[str, FlowSession] = {}
        self._loads: dict[str, _Load] = {}
        self._crashes: dict[str, deque[float]] = {}
        self._unsettled: dict[str, Deferred[None]] = {}
        self.draining = False

    # what channels and REST ask for

    @property
    def store(self) -> IFlowStore:
        """Where the flows are kept."""
        return self._logs.store

    @property
    def nodes(self) -> IOtherNodes:
        """The other nodes on the same store."""
        return self._logs.nodes

    async def join(self, flow_id: str, member: IMember, may_create: bool = True) -> FlowSession:
        """
        Make ``member`` a member of the flow's session in relay mode; it is made if there is none.

        The caller sends its reply, then calls `FlowSession.announce`; no broadcast reaches the
        member before the caller's next ``await``.

        :param may_create: whether the member may open a flow that there isn't yet.
        :raises FlowNotFound: when it may not, and there is none.
        :raises Draining: when the server is shutting down.
        :raises FlowUnavailable: when the flow crashed more than `MAX_CRASHES` times in
            `CRASH_WINDOW`.
        :raises MaxClientsReached: when the flow is full.
        :raises FlowDeleted: when the flow is deleted.
        :raises StoreError: when it can't be loaded.
        """
        with self.refusals_told(flow_id):
            session = await self._opened(flow_id)
            _check_there(session, may_create)
            self.guard(session, session.join, member)
            return session

    async def join_document(
        self,
        flow_id: str,
        member: IMember,
        person: Person,
        resume: Past | None,
        may_create: bool = True,
    ) -> tuple[FlowSession, Joined]:
        """
        As `join`, in document mode; parameters and result as `FlowSession.join_document`.
        """
        with self.refusals_told(flow_id):
            session = await self._opened(flow_id)
            _check_there(session, may_create)
            session.hold()
            try:
                return session, await session.join_document(member, person, resume)
            finally:
                session.release()

    @contextmanager
    def refusals_told(self, flow_id: str) -> Iterator[None]:
        """Emit what refuses a join in this context, and pass it on."""
        try:
            yield
        except HelixError as error:
            self._telemetry.emit(
                "helix.session.join_refused", metadata={"flow_id": flow_id, "code": error.code}
            )
            raise

    def submit(self, flow_id: str, submission: Submission) -> Deferred[Accepted]:
        """
        Submit an edit to a stored flow's log; members of the flow see it at once.

        :return: as `CommitLoop.submit`.
        :raises FlowNotFound: (through the Deferred) when there is no such flow.
        :raises HelixError: what refuses a join, or the edit.
        """
        return Deferred.fromCoroutine(self._submit(flow_id, submission))

    async def _submit(self, flow_id: str, submission: Submission) -> Accepted:
        session = await self._opened(flow_id)
        if not session.log.is_stored:
            raise FlowNotFound()
        session.hold()
        try:
            return await session.submit(submission)
        finally:
            session.release()

    def read(self, flow_id: str, version: int | None = None) -> Deferred[FlowState]:
        """
        Read a stored flow: the durable state of its session if it is open, else from the store.

        :param version: for the past; the newest if ``None``.
        :raises FlowNotFound, FlowDeleted, VersionNotFound, StoreError: (through the Deferred)
            when that can't be.
        """
        return Deferred.fromCoroutine(self._read(flow_id, version))

    def open_state(self, flow_id: str) -> FlowState | None:
        """The durable state of a stored flow that is open; ``None`` if it isn't."""
        session = self._sessions.get(flow_id)
        return session.state() if session is not None and session.log.is_stored else None

    async def _read(self, flow_id: str, version: int | None) -> FlowState:
        state = self.open_state(flow_id) if version is None else None
        return state or await load_state(flow_id, version, self._logs)

    def refresh(self, flow_id: str) -> None:
        """Update an open flow from the store, or one that is about to be."""
        if (load := self._loads.get(flow_id)) is not None:
            load.is_stale = True
        session = self._sessions.get(flow_id)
        if session is not None:
            self.guard(session, session.refresh)

    def hear(self, flow_id: str, news: News) -> None:
        """Take what another node has told of the log of a flow, if it is open."""
        session = self._sessions.get(flow_id)
        if session is not None:
            self.guard(session, session.hear, news)

    def give_turn(self, flow_id: str, node: str) -> None:
        """Let another node have its turn at appending to the log of a flow, if it is open."""
        session = self._sessions.get(flow_id)
        if session is not None:
            session.give_turn(node)

    def forget(self, flow_id: str, by: str = "") -> None:
        """
        End the session of a flow that was deleted; its members are told, as by `close`.

        :param by: by whom, as a name to show.
        """
        session = self._sessions.get(flow_id)
        if session is not None:
            self.guard(session, session.deleted, by)

    def tell_name(self, flow_id: str, epoch: str, payload: bytes) -> None:
        """
        Tell the members in document mode that a version was named (JSON), if there are any.

        :param epoch: of the log that it is of.
        """
        session = self._sessions.get(flow_id)
        if session is not None and session.log.epoch == epoch:
            self.guard(session, session.tell_name, payload)

    def broadcast(self, flow_id: str, changes: bytes, permit: Permit | None = None) -> int:
        """
        Broadcast ``changes`` (JSON) to the members of a flow as a ``flow_update``, those on other
        nodes too. Nothing of them is stored.

        :param permit: judges how what they show differs from the document, if the flow has a
            session here.
        :return: how many members on this node those are.
        :raises Forbidden: when they aren't permitted; nobody is told of them.
        """
        session = self._sessions.get(flow_id)
        if session is None:
            self.nodes.relayed(flow_id, Relayed(Way.SHOWN, changes))
            return 0
        if permit is not None:
            self.guard(session, session.check_shown, changes, permit)
        count = session.client_count
        arrays = parse_changes(changes)
        if arrays is not None:
            told = self.guard(session, session.show, arrays, changes)
        else:
            told = self.guard(session, session.change, changes)
        told.addErrback(lambda failure: self._log.failure("A broadcast failed", failure))
        return count

    async def check_shown(self, flow_id: str, changes: bytes, permit: Permit) -> None:
        """
        Check ``changes`` for `broadcast` where the flow has no session here: it gets one.

        :raises Forbidden: when they aren't permitted.
        :raises HelixError: when the flow can't be opened.
        """
        session = await self._opened(flow_id)
        session.hold()
        try:
            self.guard(session, session.check_shown, changes, permit)
        finally:
            session.release()

    def hear_relayed(self, flow_id: str, relayed: Relayed) -> None:
        """Take what relay members on another node were sent, if the flow is open."""
        session = self._sessions.get(flow_id)
        if session is not None:
            self.guard(session, session.hear_relayed, relayed)

    def get(self, flow_id: str) -> FlowSession | None:
        """The live session of a flow, if there is one."""
        return self._sessions.get(flow_id)

    def sessions(self) -> Iterable[FlowSession]:
        """All live sessions, in no order."""
        return self._sessions.values()

    def close(self, flow_id: str, by: str = "") -> int:
        """
        End the flow's session by force.

        :param by: who does so, as a name to show.
        :return: how many members it had.
        :raises SessionNotFound: when there is none.
        """
        session = self._sessions.get(flow_id)
        if session is None:
            raise SessionNotFound()
        return self.guard(session, session.close, by)

    def guard(self, session: FlowSession, call: Callable[..., T], *args: object) -> T:
        """
        Call a method of a session; a fault in it ends that session alone.

        :raises SessionCrashed: in place of the fault.
        """
        try:
            return call(*args)
        except HelixError:
            raise
        except Exception:
            session.crash(Failure())
            raise SessionCrashed() from None

    async def settle(self) -> None:
        """
        Wait until all submissions are stored or refused: at most `SETTLE_TIMEOUT`, or
        `SETTLE_PATIENCE` if the store makes no progress.
        """
        began = progressed = self._clock.seconds()
        stored = -1
        while busy := [session for session in self._sessions.values() if session.is_busy]:
            now = self._clock.seconds()
            before, stored = stored, sum(session.log.version for session in busy)
            if stored != before:
                progressed = now
            if now - progressed >= SETTLE_PATIENCE or now - began >= SETTLE_TIMEOUT:
                self._log.warn("The last edits could not be stored in time")
                break
            await deferLater(self._clock, SETTLE_INTERVAL)

    def stopService(self) -> None:
        """End all sessions and loads. Their connections have been closed before."""
        super().stopService()
        self.draining = True
        for load in list(self._loads.values()):
            if load.loading is not None:
                load.loading.cancel()
        for session in list(self._sessions.values()):
            session.drain()

    # inside

    def _check_joinable(self, flow_id: str) -> None:
        if self.draining:
            raise Draining()
        crashes = self._crashes.get(flow_id)
        if crashes and self._recent(crashes) > MAX_CRASHES:
            raise FlowUnavailable()

    def _recent(self, crashes: deque[float]) -> int:
        oldest = self._clock.seconds() - CRASH_WINDOW
        while crashes and crashes[0] <= oldest:
            crashes.popleft()
        return len(crashes)

    async def _opened(self, flow_id: str) -> FlowSession:
        """The flow's session, which is made if there is none."""
        for _ in range(MAX_LOADS):
            self._check_joinable(flow_id)
            session = self._sessions.get(flow_id)
            if session is None:
                session = await self._loaded(flow_id)
            if session.end_reason is None:
                return session
        raise SessionEnded()

    def _loaded(self, flow_id: str) -> Deferred[FlowSession]:
        """
        Wait for the one load of the flow; giving up the wait doesn't end it.

        :raises TooManySessions: when one more may not be open.
        """
        load = self._loads.get(flow_id)
        if load is not None:
            return load.wait()
        if len(self._sessions) + len(self._loads) >= self._max_sessions:
            raise TooManySessions()
        load = self._loads[flow_id] = _Load()
        waiter = load.wait()
        load.loading = Deferred.fromCoroutine(self._load_settled(flow_id)).addTimeout(
            LOAD_TIMEOUT, self._clock, _load_timed_out
        )
        load.loading.addBoth(self._finish_load, flow_id)
        return waiter

    async def _load_settled(self, flow_id: str) -> LiveLog:
        """
        Load a flow once the last append of its previous session has ended, so that a resend of a
        pending edit gets its result.
        """
        unsettled = self._unsettled.get(flow_id)
        if unsettled is not None:
            settled: Deferred[None] = Deferred()
            unsettled.addCallback(lambda _: None if settled.called else settled.callback(None))
            await settled
        return await self._load(flow_id, self._logs)

    def _finish_load(self, result: LiveLog | Failure, flow_id: str) -> None:
        load = self._loads.pop(flow_id)
        waiters = load.waiters
        if self.draining:
            result = Failure(Draining())
        if isinstance(result, Failure):
            for waiter in waiters:
                waiter.errback(result)
        elif waiters:
            session = FlowSession(result, self._around, self._session_ended)
            self._sessions[flow_id] = session
            self._logs.nodes.opened(flow_id)
            session.hold()
            for waiter in waiters:
                waiter.callback(session)
            if load.is_stale:
                self.guard(session, session.refresh)
            session.release()

    def _forget_unsettled(self, _: None, flow_id: str) -> None:
        self._unsettled.pop(flow_id, None)

    def _session_ended(self, session: FlowSession, reason: End) -> None:
        if self._sessions.get(session.flow_id) is session:
            del self._sessions[session.flow_id]
            self._logs.nodes.closed(session.flow_id)
        if session.unsettled is not None:
            self._unsettled[session.flow_id] = session.unsettled
            session.unsettled.addCallback(self._forget_unsettled, session.flow_id)
        if reason is End.CRASHED:
            for flow_id in [one for one, c in self._crashes.items() if not self._recent(c)]:
                del self._crashes[flow_id]
            crashes = self._crashes.setdefault(session.flow_id, deque())
            crashes.append(self._clock.seconds())
            self._telemetry.emit(
                "helix.session.crashed",
                {"recent_crashes": len(crashes)},
                {"flow_id": session.flow_id},
            )


def _check_there(session: FlowSession, may_create: bool) -> None:
    """A flow that isn't stored yet is there once somebody who may create it has it open."""
    if not may_create and not session.log.is_stored and not session.client_count:
        raise FlowNotFound()


def _load_timed_out(result: T, timeout: float) -> T:
    if isinstance(result, Failure):
        result.trap(CancelledError)
        raise StoreUnavailable(f"The flow could not be loaded within {timeout:g} s")
    return result
