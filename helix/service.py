"""The registry of live flows: one session each, made on first use, gone after the last."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.errors import Draining, FlowUnavailable, HelixError, SessionCrashed, SessionNotFound
from helix.fanout import Turns
from helix.interfaces import IMember
from helix.session import End, FlowSession, Surroundings
from helix.telemetry import Telemetry

MAX_CRASHES = 10
"""Crashes of one flow within `CRASH_WINDOW` after which it refuses joins."""

CRASH_WINDOW = 60.0
"""Seconds for which a crash counts."""

LOAD_TIMEOUT = 9.0
"""Seconds that joins wait for a flow: less than the 10 for which clients wait for a reply."""

T = TypeVar("T")

Loader = Callable[[str], object]
"""Prepares a flow by its id before its first session; the result, or its Deferred, says when."""


def _nothing_to_load(flow_id: str) -> None:
    """Relay mode keeps nothing, so a session can start at once."""


class FlowSessionService(Service):
    """
    Owns the sessions: flow id -> `FlowSession`.

    Concurrent joins of a flow that is not live share one load and one session.

    :param clock: the reactor.
    :param int max_clients: members of a flow.
    :param float idle_timeout: seconds without activity after which a session ends.
    :param load: see `Loader`.
    """

    name = "flow-sessions"

    _log: Final = Logger(namespace="helix.service")

    def __init__(
        self,
        clock: IReactorTime,
        telemetry: Telemetry,
        max_clients: int = 1000,
        idle_timeout: float = 1800.0,
        load: Loader = _nothing_to_load,
    ) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._around = Surroundings(
            clock, Turns(clock, telemetry), telemetry, max_clients, idle_timeout
        )
        self._load = load
        self._sessions: dict[str, FlowSession] = {}
        self._loading: dict[str, list[Deferred[None]]] = {}
        self._crashes: dict[str, deque[float]] = {}
        self.draining = False

    # what channels and REST ask for

    async def join(self, flow_id: str, member: IMember) -> FlowSession:
        """
        Make ``member`` a member of the flow's session, which is made if there is none.

        The caller sends its reply, then calls `FlowSession.announce`; no broadcast reaches the
        member before the caller's next ``await``.

        :raises Draining: when the server is shutting down.
        :raises FlowUnavailable: when the flow crashed more than `MAX_CRASHES` times in
            `CRASH_WINDOW`.
        :raises MaxClientsReached: when the flow is full.
        """
        try:
            self._check_joinable(flow_id)
            session = self._sessions.get(flow_id)
            if session is None:
                await self._loaded(flow_id)
                self._check_joinable(flow_id)
                session = self._sessions.get(flow_id) or self._start(flow_id)
            self.guard(session, session.join, member)
        except HelixError as error:
            self._telemetry.emit(
                "helix.session.join_refused", metadata={"flow_id": flow_id, "code": error.code}
            )
            raise
        return session

    def broadcast(self, flow_id: str, changes: bytes) -> int:
        """
        Broadcast ``changes`` (JSON) to the members of a flow as a ``flow_update``.

        :return: how many members those are; none where the flow has no session.
        """
        session = self._sessions.get(flow_id)
        if session is None:
            return 0
        self.guard(session, session.change, changes).addErrback(
            lambda failure: self._log.failure("A broadcast failed", failure)
        )
        return session.client_count

    def get(self, flow_id: str) -> FlowSession | None:
        """The live session of a flow, if there is one."""
        return self._sessions.get(flow_id)

    def sessions(self) -> Iterable[FlowSession]:
        """All live sessions, in no order."""
        return self._sessions.values()

    def close(self, flow_id: str) -> int:
        """
        End the flow's session by force.

        :return: how many members it had.
        :raises SessionNotFound: when there is none.
        """
        session = self._sessions.get(flow_id)
        if session is None:
            raise SessionNotFound()
        return self.guard(session, session.close)

    def guard(self, session: FlowSession, call: Callable[..., T], *args: object) -> T:
        """
        Call something of a session's: a fault in it ends that session alone.

        :raises SessionCrashed: in place of the fault.
        """
        try:
            return call(*args)
        except HelixError:
            raise
        except Exception:
            session.crash(Failure())
            raise SessionCrashed() from None

    def stopService(self) -> None:
        """End all sessions. Their connections have been closed before."""
        super().stopService()
        self.draining = True
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

    def _loaded(self, flow_id: str) -> Deferred[None]:
        """Wait for the one load of the flow; giving up the wait doesn't end it."""
        waiter: Deferred[None] = Deferred(lambda waiter: self._loading[flow_id].remove(waiter))
        if flow_id in self._loading:
            self._loading[flow_id].append(waiter)
        else:
            self._loading[flow_id] = [waiter]
            loading: Deferred[object] = maybeDeferred(self._load, flow_id)
            loading.addTimeout(LOAD_TIMEOUT, self._clock).addBoth(self._finish_load, flow_id)
        return waiter

    def _finish_load(self, result: object, flow_id: str) -> None:
        for waiter in self._loading.pop(flow_id):
            if isinstance(result, Failure):
                waiter.errback(result)
            else:
                waiter.callback(None)

    def _start(self, flow_id: str) -> FlowSession:
        session = self._sessions[flow_id] = FlowSession(flow_id, self._around, self._session_ended)
        return session

    def _session_ended(self, session: FlowSession, reason: End) -> None:
        if self._sessions.get(session.flow_id) is session:
            del self._sessions[session.flow_id]
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
