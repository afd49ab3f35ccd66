"""Hears what other nodes on the same store do, and looks for what wasn't heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from helix.errors import FlowNotFound, StoreError
from helix.flows.service import FlowSessionService
from helix.interfaces import IBroker, IBrokerListener, Relayed
from helix.log.remote_writes import News
from helix.nodes.gathering import answer_from
from helix.nodes.messages import (
    Answer,
    Deleted,
    Look,
    Message,
    Name,
    Part,
    Question,
    decode,
)
from helix.nodes.people import People
from helix.nodes.post import Parts
from helix.nodes.rosters import Rosters
from helix.nodes.start import Ignored
from helix.nodes.telling import Telling
from helix.nodes.topics import EVERYONE, topic_of
from helix.records import LogEnd
from helix.sharing.service import AccessService
from helix.telemetry.events import Telemetry

AWAY_SECONDS = 1.0
"""How often the store is asked how far open flows have come, while the broker is away."""

UP_SECONDS = 5.0
"""The same while it is there: a message may be lost, and nobody know."""

FLOWS_AT_ONCE = 1000
"""Flows of one such question."""


@implementer(IBrokerListener)
class NodeService(Service):
    """
    Follows the other nodes while it runs.

    What a message says is taken where it continues what is here. Otherwise the store is asked, so a
    message that is lost, late or a second one does no harm.

    :param telling: tells the others.
    :param clock: the reactor.
    """

    name = "nodes"

    _log: Final = Logger(namespace="helix.nodes")

    def __init__(
        self,
        broker: IBroker,
        telling: Telling,
        sessions: FlowSessionService,
        access: AccessService,
        clock: IReactorTime,
        telemetry: Telemetry,
    ) -> None:
        self._broker = broker
        self._telling = telling
        self._sessions = sessions
        self._access = access
        self._clock = clock
        self._telemetry = telemetry
        self._parts = Parts(clock)
        self._rosters = Rosters(telling, sessions, clock, telemetry)
        self._due: dict[str, None] = {}
        self._asking: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        access.on_change = telling.access_changed
        answer_from(telling.asking, sessions)
        neighbours = telling.neighbours
        neighbours.on_found.append(self._count_nodes)
        neighbours.on_gone.append(self._count_nodes)

    def startService(self) -> None:
        """Begin, with the store open."""
        super().startService()
        self._telemetry.emit("helix.broker.changed", {"up": 0})
        self._count_nodes()
        self._broker.subscribe(EVERYONE)
        self._broker.subscribe(topic_of(self._telling.node))
        self._broker.start(self)
        self._rosters.start()
        self._wait()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._due.clear()
        self._rosters.stop()
        self._telling.leave()
        self._telling.asking.stop()
        await self._broker.stop()
        self._telling.neighbours.stop()
        if self._asking is not None:
            await self._asking

    # IBrokerListener

    def heard(self, topic: str, message: bytes) -> None:
        try:
            node, kind, said = decode(message)
        except Ignored as ignored:
            self._telemetry.emit("helix.node.ignored", metadata={"reason": ignored.reason})
            if ignored.node and self.running:  # it is there, and may understand us
                self._telling.neighbours.hear(ignored.node)
            return
        if node == self._telling.node or not self.running:
            return
        if isinstance(said, Part):
            whole = self._parts.take(topic, node, said)
            if whole is not None:
                self.heard(topic, whole)
            return
        self._telemetry.emit("helix.node.received", metadata={"kind": kind})
        if kind == "leaving":
            self._telling.neighbours.leave(node)
        else:
            self._telling.neighbours.hear(node)
            self._take(topic, node, said)

    def subscribed(self, topics: Sequence[str]) -> None:
        # What was done since they were loaded was not heard.
        self._ask(topics)
        if self.running:
            self._rosters.announce(topics)

    def came_back(self) -> None:
        self._telemetry.emit("helix.broker.changed", {"up": 1})
        self._log.info("Other nodes are heard")
        self._telling.was_away()

    def went_away(self) -> None:
        self._telemetry.emit("helix.broker.changed", {"up": 0})
        if self.running:
            self._log.warn("Other nodes are not heard: the store is asked once a second")
            self._wait()

    # inside

    def _take(self, topic: str, node: str, said: Message) -> None:
        if isinstance(said, News):
            self._sessions.hear(said.flow_id or topic, said)
        elif isinstance(said, Relayed):
            self._sessions.hear_relayed(topic, said)
        elif isinstance(said, Question):
            self._telling.asking.asked(node, said)
        elif isinstance(said, Answer):
            self._telling.asking.answered(node, said)
        elif isinstance(said, Name):
            self._sessions.tell_name(topic, said.epoch, said.told)
        elif isinstance(said, Deleted):
            looking = Deferred.fromCoroutine(self._look_whether_deleted(topic, said.by))
            looking.addErrback(lambda failure: self._log.failure("A deletion is lost", failure))
        elif isinstance(said, Look):
            self._look(topic, node, said)
        elif isinstance(said, People) and self._telling.neighbours.knows(node):
            self._rosters.take(topic, node, said)

    def _count_nodes(self, _: str = "") -> None:
        """Tell how many nodes are there, with this one."""
        count = 1 + len(self._telling.neighbours.present)
        self._telemetry.emit("helix.nodes.changed", {"nodes": count})

    def _look(self, topic: str, node: str, said: Look) -> None:
        if said.kind == "access":
            self._access.look()
        elif said.kind == "lost":
            self._telling.is_here()
            self._ask_about_all()
            self._rosters.announce_all()
        elif said.kind == "flow":
            self._sessions.refresh(topic)
        elif said.kind == "turn":
            self._sessions.give_turn(topic, node)

    async def _look_whether_deleted(self, flow_id: str, by: str) -> None:
        """The flow may be back by now, since messages may be late."""
        store = self._sessions.store
        try:
            is_deleted = (await store.head(flow_id)).deleted_at is not None
        except FlowNotFound:
            is_deleted = True
        except StoreError:
            return  # its state is asked for again, as that of all
        if is_deleted and self._sessions.get(flow_id) is not None:
            self._sessions.forget(flow_id, by)

    # what wasn't heard

    def _wait(self) -> None:
        """Ask about all flows after a while."""
        if self._timer is not None:
            self._timer.cancel()
        seconds = UP_SECONDS if self._broker.is_up else AWAY_SECONDS
        self._timer = self._clock.callLater(seconds, self._poll)

    def _poll(self) -> None:
        self._timer = None
        self._wait()  # first, so that no fault ends it
        self._telling.is_here()
        self._ask_about_all()

    def _ask_about_all(self) -> None:
        self._ask([session.flow_id for session in self._sessions.sessions()])

    def _ask(self, flow_ids: Sequence[str]) -> None:
        """Ask the store how far flows have come, and update those that are open and behind."""
        self._due.update((one, None) for one in flow_ids if self._sessions.get(one) is not None)
        if self._asking is None and self._due:
            asking = self._asking = Deferred.fromCoroutine(self._ask_for_ends())
            asking.addErrback(lambda failure: self._log.failure("Asking for flows failed", failure))
            asking.addBoth(self._asked)

    def _asked(self, _: object) -> None:
        self._asking = None

    async def _ask_for_ends(self) -> None:
        while self._due:
            some = list(self._due)[:FLOWS_AT_ONCE]
            for flow_id in some:
                del self._due[flow_id]
            try:
                ends = await self._sessions.store.ends(some)
            except StoreError:
                self._due.clear()
                return
            self._telemetry.emit("helix.node.polled", {"flows": len(some)})
            for flow_id in some:
                self._compare(flow_id, ends.get(flow_id))

    def _compare(self, flow_id: str, end: LogEnd | None) -> None:
        session = self._sessions.get(flow_id)
        if session is None:
            return
        log = session.log
        here = (
            LogEnd(log.epoch, log.version, log.chain, is_deleted=False) if log.is_stored else None
        )
        if end != here:
            self._sessions.refresh(flow_id)
