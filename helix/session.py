"""One live flow: its members, what they tell each other, and its idle timer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.errors import MaxClientsReached, SessionEnded
from helix.fanout import Broadcast, Fanout, Turns
from helix.interfaces import IMember
from helix.protocol import encode_json
from helix.telemetry import Telemetry

MEMBERS_ENDED_AT_ONCE = 100
"""How many members of an ended session are told so in one turn of the reactor."""


class End(Enum):
    """Why a session ended; the values are the ``reason`` of ``helix.session.ended``."""

    EMPTY = "empty"
    IDLE = "idle"
    FORCED = "forced"
    CRASHED = "crashed"
    DRAINED = "drained"


class Kind(Enum):
    """The kinds of broadcast of which a lagging member needs only the newest."""

    UPDATE = "flow_update"
    CLIENT_COUNT = "client_count"


@attrs.frozen
class Surroundings:
    """
    What all sessions of a server share.

    :ivar clock: the reactor.
    :ivar max_clients: members of a flow.
    :ivar idle_timeout: seconds without activity after which a session ends.
    """

    clock: IReactorTime
    turns: Turns
    telemetry: Telemetry
    max_clients: int
    idle_timeout: float


class FlowSession:
    """
    A flow that somebody has open.

    :param str flow_id: the flow.
    :param around: what the sessions of the server share.
    :param ended: called once with this session and why, when it has ended.

    :ivar started_at: Unix seconds.
    :ivar last_activity: when a member last joined, left or changed something, Unix seconds.
    """

    __slots__ = (
        "_around",
        "_ended",
        "_fanout",
        "_idle_timer",
        "_members",
        "end_reason",
        "flow_id",
        "last_activity",
        "started_at",
    )

    _log: Final = Logger(namespace="helix.session")

    def __init__(
        self,
        flow_id: str,
        around: Surroundings,
        ended: Callable[[FlowSession, End], None],
    ) -> None:
        self.flow_id = flow_id
        self.end_reason: End | None = None
        self._around = around
        self._ended = ended
        self._members: dict[IMember, None] = {}
        self._fanout = Fanout(around.clock, around.turns, self.crash)
        self.started_at = self.last_activity = around.clock.seconds()
        self._idle_timer: IDelayedCall = around.clock.callLater(around.idle_timeout, self._idle)
        around.telemetry.emit("helix.session.started", metadata={"flow_id": flow_id})

    @property
    def client_count(self) -> int:
        return len(self._members)

    def join(self, member: IMember) -> None:
        """
        Add a member. It gets every broadcast from here on; the others are told by `announce`.

        :raises MaxClientsReached: when the flow has as many members as it may.
        :raises SessionEnded: when the session has ended meanwhile.
        """
        self._check_alive()
        if len(self._members) >= self._around.max_clients:
            raise MaxClientsReached()
        self._members[member] = None
        self._fanout.add(member.outlet, member.topic)
        self._touch()
        self._emit("helix.session.client_joined")

    def announce(self) -> None:
        """Tell all members, the newest too, that somebody joined."""
        self._broadcast_count("client_joined")

    def leave(self, member: IMember) -> None:
        """Remove a member and tell the others; without effect when it is none."""
        if member not in self._members:
            return
        self._remove(member)
        if not self._members:
            self._end(End.EMPTY)
        else:
            self._touch()
            self._broadcast_count("client_left")

    def change(self, changes: bytes) -> Deferred[None]:
        """
        Broadcast ``changes`` (JSON, verbatim) to all members as a ``flow_update``.

        :return: as `Fanout.broadcast`.
        :raises SessionEnded: when the session has ended meanwhile.
        """
        self._check_alive()
        payload = b'{"changes":%b,"timestamp":%d}' % (changes, self._touch())
        return self._fanout.broadcast(Broadcast("flow_update", payload, Kind.UPDATE))

    def change_binary(self, data: bytes) -> Deferred[None]:
        """As `change`, for data that is relayed as a binary frame, without a timestamp."""
        self._check_alive()
        self._touch()
        return self._fanout.broadcast(Broadcast("flow_update", data, Kind.UPDATE, binary=True))

    def close(self) -> int:
        """
        End the session by force: its members get ``flow_deleted`` and their channels are closed.

        :return: how many members that were.
        """
        count = len(self._members)
        payload = encode_json(
            {"flow_id": self.flow_id, "timestamp": int(self._around.clock.seconds())}
        )
        self._dismiss(End.FORCED, "phx_close", b"flow_deleted", payload)
        return count

    def drain(self) -> None:
        """End the session because the server stops; the connections are closed by their owner."""
        self._end(End.DRAINED)

    def crash(self, failure: Failure) -> None:
        """
        End the session, and it alone, after a fault: its members get ``phx_error`` and rejoin.
        """
        if self.end_reason is not None:
            return
        self._log.failure("The session of a flow crashed", failure, flow_id=self.flow_id)
        self._dismiss(End.CRASHED, "phx_error")

    def _idle(self) -> None:
        """
        The timer's call: end the session if it was idle all the time, else wait for the rest.

        Who is still here joins again, which costs little. (To move the timer at each activity
        would cost every change something.)
        """
        left = self.last_activity + self._around.idle_timeout - self._around.clock.seconds()
        if left > 0:
            self._idle_timer = self._around.clock.callLater(left, self._idle)
        else:
            self._dismiss(End.IDLE, "phx_error")

    def _check_alive(self) -> None:
        if self.end_reason is not None:
            raise SessionEnded()

    def _touch(self) -> int:
        now = self._around.clock.seconds()
        self.last_activity = now
        return int(now)

    def _remove(self, member: IMember) -> None:
        del self._members[member]
        self._fanout.remove(member.outlet, member.topic)
        self._emit("helix.session.client_left")

    def _broadcast_count(self, event: str) -> None:
        payload = encode_json({"client_count": len(self._members), "flow_id": self.flow_id})
        self._fanout.broadcast(Broadcast(event, payload, Kind.CLIENT_COUNT)).addErrback(
            lambda failure: self._log.failure("Telling the members of a flow failed", failure)
        )

    def _dismiss(
        self, reason: End, event: str, last_words: bytes = b"", payload: bytes = b""
    ) -> None:
        """End the session and every member's channel, a slice in each turn."""
        if self.end_reason is not None:
            return
        members = iter(list(self._members))
        if reason is not End.CRASHED:
            self._fanout.flush()
        self._end(reason)
        self._dismiss_some(members, event, last_words.decode(), payload)

    def _dismiss_some(
        self, members: Iterator[IMember], event: str, last_words: str, payload: bytes
    ) -> None:
        for count, member in enumerate(members, 1):
            if last_words:
                member.push(last_words, payload)
            member.end(event)
            if count == MEMBERS_ENDED_AT_ONCE:
                self._around.turns.at_end(
                    lambda: self._dismiss_some(members, event, last_words, payload)
                )
                return

    def _end(self, reason: End) -> None:
        """Leave nothing behind: no member, no timer."""
        self.end_reason = reason
        if self._idle_timer.active():
            self._idle_timer.cancel()
        for member in list(self._members):
            self._remove(member)
        self._ended(self, reason)
        seconds = max(0.0, self._around.clock.seconds() - self.started_at)
        self._around.telemetry.emit(
            "helix.session.ended",
            {"seconds": seconds},
            {"flow_id": self.flow_id, "reason": reason.value},
        )

    def _emit(self, event: str) -> None:
        self._around.telemetry.emit(
            event, {"client_count": len(self._members)}, {"flow_id": self.flow_id}
        )
