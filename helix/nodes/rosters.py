"""
Keeps the rosters of flows level with those of other nodes.
(docs/adr/0025-presence-on-several-nodes.md)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from helix.errors import SessionCrashed
from helix.flows.service import FlowSessionService
from helix.flows.session import FlowSession
from helix.members.roster import Piece
from helix.nodes.people import Closed, Open, People, Pointers, Present, Wanted
from helix.nodes.shared import Sign
from helix.nodes.telling import Telling
from helix.telemetry.events import Telemetry

ROUND = 10.0
"""Seconds after which a node says again which flows it has open, and how far they have come."""

DOUBT = 12.0
"""Seconds without a sign of another node's session after which that node is asked."""

EXPIRY = 35.0
"""Seconds without a sign of another node's session after which it is taken to have ended."""

ANNOUNCED_BYTES = 6000
"""Bytes of flow ids in one such message, about."""

ANNOUNCED_AT_ONCE = 16
"""Such messages that are sent at once."""

ANNOUNCING = 0.1
"""Seconds until the next of them."""

PATIENCE = 0.25
"""Seconds in which what was told before may still come, before it is asked for."""

MAX_PATIENCE = 10.0
"""The same after many questions."""

PIECE_BYTES = 6000
"""Bytes of the members in one message, about."""

ANSWERED_BYTES = 64 * 1024
"""Bytes of rosters that are sent at once."""

ANSWERING = 1 / 30
"""Seconds until the next of them."""

_ENTRY_BYTES = 30


@attrs.define
class _Want:
    """A roster that is asked for from ``due_at`` on, again and again."""

    due_at: float
    patience: float = PATIENCE


class _Work:
    """
    Calls ``work`` soon, and for as long as it gives the seconds until the next time.

    :param clock: the reactor.
    """

    _log: Final = Logger(namespace="helix.nodes")

    def __init__(self, clock: IReactorTime, work: Callable[[], float | None]) -> None:
        self._clock = clock
        self._work = work
        self._timer: IDelayedCall | None = None

    def begin(self, seconds: float = 0.0) -> None:
        """Call it, if no call is due."""
        if self._timer is None:
            self._timer = self._clock.callLater(seconds, self._go_on)

    def stop(self) -> None:
        """Leave no timer behind."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _go_on(self) -> None:
        self._timer = None
        try:
            seconds = self._work()
        except Exception:
            self._log.failure("Nodes are not level in who is there")
            seconds = ROUND
        if seconds is not None:
            self.begin(seconds)


class Rosters:
    """
    Hears who is on other nodes, asks for what wasn't heard, and answers.

    A node says which flows it has open, and how far their rosters have come: when it opens them, to
    a node that it finds, and every `ROUND`. Who has one of them open, too, and didn't know of this
    one, sends its roster; who has heard less of one asks for it.

    :param telling: tells the others.
    :param clock: the reactor.
    """

    def __init__(
        self,
        telling: Telling,
        sessions: FlowSessionService,
        clock: IReactorTime,
        telemetry: Telemetry,
    ) -> None:
        self._telling = telling
        self._showing = telling.showing
        self._neighbours = telling.neighbours
        self._sessions = sessions
        self._clock = clock
        self._telemetry = telemetry
        self._unsaid: dict[str, None] = {}
        self._owes_word = False
        self._wants: dict[tuple[str, str], _Want] = {}
        self._answers: dict[tuple[str, str], Iterator[tuple[int, Piece]] | None] = {}
        self._announcing = _Work(clock, self._announce)
        self._asking = _Work(clock, self._ask)
        self._answering = _Work(clock, self._answer)
        self._rounds = _Work(clock, self._round)
        telling.neighbours.on_found.append(lambda _: self.announce_all())
        telling.neighbours.on_gone.append(self._lose)

    def start(self) -> None:
        """Begin."""
        self._rounds.begin(ROUND)

    def stop(self) -> None:
        """Leave no timer behind."""
        for work in (self._announcing, self._asking, self._answering, self._rounds):
            work.stop()

    def announce(self, flow_ids: Iterable[str]) -> None:
        """Tell the others that these flows are open here."""
        self._unsaid.update(dict.fromkeys(flow_ids))
        self._announcing.begin()

    def announce_all(self) -> None:
        """Tell the others of all flows that are open here, also if there are none."""
        self._owes_word = True
        self.announce([session.flow_id for session in self._sessions.sessions()])

    def take(self, topic: str, node: str, said: People) -> None:
        """Take what another node has said, which is there."""
        if isinstance(said, Open):
            self._showing.stamps.hear(said.at)
            self._showing.shared.announced(node, said.takes_entries)
            for flow_id, (number, last) in said.flows.items():
                self._heard(flow_id, node, number, last)
        elif isinstance(said, Present):
            self._showing.stamps.hear(said.at)
            flow_id = topic if said.flow_id is None else said.flow_id
            session = self._session(flow_id, node, said.session)
            if session is not None:
                self._try(session, session.awareness.elsewhere.show, node, said.told)
                self._want(flow_id, node)
        elif isinstance(said, Pointers):
            session = self._session(topic, node, said.session)
            if session is not None:
                point = session.awareness.elsewhere.point
                self._try(session, point, node, said.number, said.pointers)
        elif isinstance(said, Closed):
            if self._showing.shared.close(said.flow_id, node, said.session):
                self._drop(said.flow_id, node)
        elif isinstance(said, Wanted):
            self._wanted(node, said)

    # inside: what is heard

    def _session(self, flow_id: str, node: str, number: int) -> FlowSession | None:
        """
        The session that hears something of a node's session; ``None`` for none, or nothing new.
        """
        session = self._sessions.get(flow_id)
        if session is None:
            return None
        sign = self._showing.shared.hear(flow_id, node, number)
        if sign is Sign.NEW:
            self._drop(flow_id, node)  # what an earlier one had
            self._answers[node, flow_id] = None
            self._answering.begin()
        return None if sign is Sign.OLD or session.end_reason is not None else session

    def _heard(self, flow_id: str, node: str, number: int, last: int) -> None:
        session = self._session(flow_id, node, number)
        if session is not None:
            self._try(session, session.awareness.elsewhere.reach, node, last)
            self._want(flow_id, node)

    def _wanted(self, node: str, said: Wanted) -> None:
        for flow_id in said.flow_ids:
            if self._sessions.get(flow_id) is None:
                self._showing.deny(node, flow_id)
            else:
                self._answers[node, flow_id] = None
                self._answering.begin()

    def _lose(self, node: str) -> None:
        for flow_id in self._showing.shared.lose(node):
            self._drop(flow_id, node)

    def _drop(self, flow_id: str, node: str) -> None:
        session = self._sessions.get(flow_id)
        if session is not None:
            self._try(session, session.awareness.elsewhere.lose, node)

    def _try(self, session: FlowSession, call: Callable[..., object], *args: object) -> None:
        """Call something of a session, which a fault in it ends."""
        with suppress(SessionCrashed):  # which is logged
            self._sessions.guard(session, call, *args)

    # what wasn't heard

    def _is_behind(self, flow_id: str, node: str) -> bool:
        session = self._sessions.get(flow_id)
        return session is not None and session.awareness.elsewhere.is_behind(node)

    def _want(self, flow_id: str, node: str) -> None:
        """Ask for a roster, if it is needed and doesn't come by itself."""
        if (node, flow_id) not in self._wants and self._is_behind(flow_id, node):
            self._wants[node, flow_id] = _Want(self._clock.seconds() + PATIENCE)
            self._asking.begin(PATIENCE)

    def _ask(self) -> float | None:
        now = self._clock.seconds()
        due: list[tuple[str, str]] = []
        for (node, flow_id), want in list(self._wants.items()):
            if not self._is_behind(flow_id, node):
                del self._wants[node, flow_id]
            elif want.due_at <= now:
                want.patience = min(4 * want.patience, MAX_PATIENCE)
                want.due_at = now + want.patience
                due.append((flow_id, node))
        self._ask_of(due)
        return PATIENCE if self._wants else None

    def _ask_of(self, due: Iterable[tuple[str, str]]) -> None:
        """
        Ask for rosters.

        :param due: for each the flow and the node.
        """
        by_node: dict[str, dict[str, None]] = {}
        for flow_id, node in due:
            by_node.setdefault(node, {})[flow_id] = None
        for node, flow_ids in by_node.items():
            for some in _grouped(flow_ids):
                self._showing.ask(node, some)
            self._telemetry.emit("helix.node.behind", {"flows": len(flow_ids)})

    # what is told

    def _round(self) -> float:
        for flow_id, node in self._showing.shared.expire(EXPIRY):
            self._drop(flow_id, node)
        self._ask_of(self._showing.shared.silent(DOUBT))
        self.announce_all()
        for session in list(self._sessions.sessions()):
            if self._showing.have_open(session.flow_id):
                self._try(session, session.awareness.repeat_cursors)
        return ROUND

    def _announce(self) -> float | None:
        if not self._neighbours.present:  # who comes is told all
            self._unsaid.clear()
            self._owes_word = False
        for _ in range(ANNOUNCED_AT_ONCE):
            flows: dict[str, tuple[int, int]] = {}
            for flow_id in next(_grouped(self._unsaid), []):
                del self._unsaid[flow_id]
                session = self._sessions.get(flow_id)
                if session is not None:
                    awareness = session.awareness
                    flows[flow_id] = (awareness.number, awareness.told_number)
            if flows or self._owes_word:
                self._owes_word = False
                self._showing.announce(flows)
        return ANNOUNCING if self._unsaid else None

    def _answer(self) -> float | None:
        size = 0
        while self._answers and size < ANSWERED_BYTES and not self._showing.pause:
            (node, flow_id), pieces = next(iter(self._answers.items()))
            session = self._sessions.get(flow_id)
            if session is None or not self._neighbours.knows(node):
                del self._answers[node, flow_id]
                continue
            if pieces is None:
                number = session.awareness.number
                pieces = iter([(number, one) for one in session.awareness.pieces(PIECE_BYTES)])
                self._answers[node, flow_id] = pieces
                log = session.log
                if log.is_stored:  # of its entries that node was told nothing before
                    size += self._telling.reached(flow_id, log.epoch, log.version, log.chain)
            piece = next(pieces, None)
            if piece is None:
                del self._answers[node, flow_id]
            else:
                size += self._showing.answer(node, flow_id, *piece)
        return max(ANSWERING, self._showing.pause) if self._answers else None


def _grouped(flow_ids: Iterable[str]) -> Iterator[list[str]]:
    """Group ids, so that a message holds those of a group."""
    group: list[str] = []
    size = 0
    for flow_id in flow_ids:
        more = _ENTRY_BYTES + len(flow_id.encode("utf-8", "backslashreplace"))
        if group and size + more > ANNOUNCED_BYTES:
            yield group
            group, size = [], 0
        group.append(flow_id)
        size += more
    if group:
        yield group
