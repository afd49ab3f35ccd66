"""
Fan-out: sends one frame to all members of a flow. Each frame is encoded once, sent in order and in
slices, with a Deferred for its end.

The first broadcast in a turn of the reactor is sent at once. Later ones of the same turn become one
write per member. While a flow is busy, this delay grows with the cost of a round, up to `MAX_HOLD`.
So a busy flow makes few large writes instead of many small ones, and a quiet flow never waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from itertools import accumulate
from typing import cast

import attrs
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.delivery.broadcast import Broadcast, Wire
from helix.delivery.outlet import KeyedFrame, Outlet
from helix.telemetry.events import Telemetry

SLICE = 256
"""Members served before the reactor gets a turn: about a millisecond of sending."""

SPELL = 0.002
"""How long (seconds) slices go on within one turn."""

MAX_HOLD = 0.005
"""The longest time (seconds) that a broadcast waits to be joined with others."""

MAX_BATCH_BYTES = 256 * 1024
"""Payload bytes that wait at most before they are sent, whatever the time."""


class Turns:
    """
    Runs calls at the end of the reactor's turn, for all fan-outs with one timer.

    :param clock: the reactor.
    :param telemetry: told once per turn what the fan-outs delivered.

    :ivar number: of the turns that have ended.
    """

    __slots__ = (
        "_calls",
        "_clock",
        "_is_timed",
        "_telemetry",
        "broadcasts",
        "bytes_written",
        "deliveries",
        "number",
    )

    _log = Logger(namespace="helix.fanout")

    def __init__(self, clock: IReactorTime, telemetry: Telemetry) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._calls: list[Callable[[], None]] = []
        self._is_timed = False
        self.number = 0
        self.broadcasts = self.deliveries = self.bytes_written = 0

    def at_end(self, call: Callable[[], None]) -> None:
        """Call ``call`` at the end of the reactor's current turn."""
        self._calls.append(call)
        self.current()

    def current(self) -> int:
        """Give the number of the reactor's current turn, and notice when it ends."""
        if not self._is_timed:
            self._is_timed = True
            self._clock.callLater(0, self._end)
        return self.number

    def delivered(self, broadcasts: int, members: int, size: int) -> None:
        """Count ``broadcasts`` that were written as ``size`` bytes to each of ``members``."""
        self.broadcasts += broadcasts
        self.deliveries += broadcasts * members
        self.bytes_written += size * members

    def _end(self) -> None:
        self._is_timed = False
        self.number += 1
        calls, self._calls = self._calls, []
        for call in calls:
            try:
                call()
            except Exception:
                self._log.failure("A call at the end of a turn failed")
        self.tell()

    def tell(self) -> None:
        """Emit what was delivered since the last time."""
        if self.broadcasts:
            self._telemetry.emit(
                "helix.fanout.delivered",
                {
                    "broadcasts": self.broadcasts,
                    "deliveries": self.deliveries,
                    "bytes": self.bytes_written,
                },
            )
            self.broadcasts = self.deliveries = self.bytes_written = 0


class _Gone:
    """Replaces a member that left; it accepts everything and sends nothing."""

    write = staticmethod(len)


_GONE = cast(Outlet, _Gone())

_Audience = list[tuple[Wire, list[Outlet]]]


@attrs.define(eq=False)
class _Batch:
    """
    The broadcasts that go out in one write per member.

    :ivar audience: the members that get all of it.
    :ivar newcomers: members that joined meanwhile, how each writes the topic, and its first
        broadcast.
    :ivar size: bytes of the payloads.
    :ivar waiting: the Deferreds of its broadcasts.
    :ivar untaken: those of the outlets that could not take it at once.
    """

    audience: _Audience
    broadcasts: list[Broadcast] = attrs.field(factory=list)
    newcomers: deque[tuple[Outlet, str, int]] = attrs.field(factory=deque)
    size: int = 0
    waiting: list[Deferred[None]] = attrs.field(factory=list)
    untaken: list[Deferred[None]] = attrs.field(factory=list)


class Fanout:
    """
    The members of one flow as an audience.

    Broadcasts reach every member in the order of the calls. A member gets all broadcasts after
    `add`, and none after `remove`.

    :param clock: the reactor.
    :param turns: shared by the fan-outs of one reactor.
    :param failed: called with the Failure when delivering failed by a fault of ours.
    """

    __slots__ = (
        "_audience",
        "_batches",
        "_clock",
        "_delivery",
        "_failed",
        "_holding",
        "_members",
        "_sent_in",
        "_turns",
    )

    def __init__(
        self,
        clock: IReactorTime,
        turns: Turns,
        failed: Callable[[Failure], None],
    ) -> None:
        self._clock = clock
        self._turns = turns
        self._failed = failed
        self._members: dict[tuple[Outlet, str], None] = {}
        self._audience: _Audience | None = None
        self._batches: list[_Batch] = []  # two at most; a deque takes 600 bytes when it is empty
        self._delivery: Generator[None, None, None] | None = None
        self._holding = False
        self._sent_in = -1  # the turn of the last broadcast that was sent at once

    @property
    def is_empty(self) -> bool:
        return not self._members

    def add(self, outlet: Outlet, topic: str) -> None:
        """Add a member: a channel of the outlet's client, which calls the flow ``topic``."""
        self._members[outlet, topic] = None
        self._audience = None
        batch = self._open_batch()
        if batch is not None:
            batch.newcomers.append((outlet, topic, len(batch.broadcasts)))

    def remove(self, outlet: Outlet, topic: str) -> None:
        """Remove a member, also from pending broadcasts."""
        self._remove(outlet, topic)
        outlet.forget(topic)

    def hand_over(self, outlet: Outlet, topic: str, to: Fanout) -> None:
        """
        Move a member to another fan-out; it gets the later broadcasts of that one.

        It gets no more of this one's pending broadcasts, unless it was lagging.
        """
        self._remove(outlet, topic)
        to.add(outlet, topic)

    def broadcast(self, broadcast: Broadcast) -> Deferred[None]:
        """
        Send ``broadcast`` to all who are members now.

        :return: a Deferred that fires with ``None`` when every member's transport has taken the
            frame or was marked lagging. It never fails.
        """
        done: Deferred[None] = Deferred()
        self._send(broadcast, done)
        return done

    def tell(self, broadcast: Broadcast) -> None:
        """As `broadcast`, where nobody waits for its end."""
        self._send(broadcast, None)

    def flush(self) -> None:
        """Deliver at once all that waits."""
        while self._batches:
            self._advance()

    def _send(self, broadcast: Broadcast, done: Deferred[None] | None) -> None:
        turn = self._turns.current()
        if not self._holding:
            if self._sent_in != turn:
                self._sent_in = turn
                self._send_at_once(broadcast, done)
                return
            self._hold()
        size = self._append(broadcast, done)
        if size >= MAX_BATCH_BYTES and self._delivery is None:
            self.flush()

    def _hold(self) -> None:
        """Let what comes until the end of the turn wait for it."""
        self._holding = True
        self._turns.at_end(self._continue)

    def _send_at_once(self, broadcast: Broadcast, done: Deferred[None] | None) -> None:
        """The usual path of a broadcast: nothing waits."""
        audience = self._current_audience()
        if len(audience) != 1 or len(audience[0][1]) > SLICE:
            self._hold()
            self._append(broadcast, done)
            self._advance()
            return
        wire, outlets = audience[0]
        untaken: list[Deferred[None]] = []
        try:
            frame = broadcast.encoded(wire)
            if frame:
                untaken = _write(outlets, frame, (broadcast,), wire)
                self._turns.delivered(1, len(outlets), len(frame))
        except Exception:
            self._failed(Failure())
        if done is not None:
            _resolve_when_taken([done], untaken)

    def _remove(self, outlet: Outlet, topic: str) -> None:
        del self._members[outlet, topic]
        self._audience = None
        for batch in self._batches:
            for wire, outlets in batch.audience:
                if wire == (outlet.encoding, topic) and outlet in outlets:
                    outlets[outlets.index(outlet)] = _GONE
            batch.newcomers = deque(one for one in batch.newcomers if one[:2] != (outlet, topic))

    def _open_batch(self) -> _Batch | None:
        """The batch that broadcasts can still be added to."""
        under_way = 1 if self._delivery is not None else 0
        return self._batches[-1] if len(self._batches) > under_way else None

    def _append(self, broadcast: Broadcast, done: Deferred[None] | None) -> int:
        """Put a broadcast into the batch that waits, and give the bytes of that."""
        batch = self._open_batch()
        if batch is None:
            batch = _Batch(self._current_audience())
            self._batches.append(batch)
        batch.broadcasts.append(broadcast)
        batch.size += broadcast.size
        if done is not None:
            batch.waiting.append(done)
        return batch.size

    def _current_audience(self) -> _Audience:
        if self._audience is None:
            groups: dict[Wire, list[Outlet]] = {}
            for outlet, topic in self._members:
                groups.setdefault((outlet.encoding, topic), []).append(outlet)
            self._audience = list(groups.items())
        return self._audience

    def _hold_over(self) -> None:
        self._continue()
        self._turns.tell()

    def _continue(self) -> None:
        """The turn, or the hold, is over: deliver what came meanwhile."""
        started = self._clock.seconds()
        spent = 0.0
        joined = delivered = False
        while self._batches and spent < SPELL:
            delivered = True
            joined = joined or len(self._batches[0].broadcasts) > 1
            self._advance()
            spent = self._clock.seconds() - started
        if joined and not self._batches:
            self._clock.callLater(min(MAX_HOLD, max(0.0, spent)), self._hold_over)
        elif delivered or self._batches:
            self._turns.at_end(self._continue)
        else:
            self._holding = False

    def _advance(self) -> None:
        """Deliver the next slice of the first batch."""
        batch = self._batches[0]
        try:
            if self._delivery is None:
                self._delivery = self._deliver(batch)
            next(self._delivery)
        except StopIteration:
            pass
        except Exception:
            self._failed(Failure())
        else:
            return
        self._delivery = None
        if self._batches and self._batches[0] is batch:
            del self._batches[0]
        if batch.waiting:
            waiting, batch.waiting = batch.waiting, []
            _resolve_when_taken(waiting, batch.untaken)

    def _deliver(self, batch: _Batch) -> Generator[None, None, None]:
        """Write the batch to its audience, a slice for each step."""
        room = SLICE
        for wire, outlets in batch.audience:
            encoded = _Encoded(batch.broadcasts, wire)
            data, broadcasts = encoded.since(0)
            start = 0
            while start < len(outlets):
                if not room:
                    yield
                    room = SLICE
                part = outlets[start : start + room]
                start += len(part)
                room -= len(part)
                batch.untaken += _write(part, data, broadcasts, wire)
            self._turns.delivered(len(broadcasts), len(outlets), len(data))
        of_newcomers: dict[Wire, _Encoded] = {}
        while batch.newcomers:
            if not room:
                yield
                room = SLICE
                continue  # whoever it was may have left meanwhile
            newcomer, topic, first = batch.newcomers.popleft()
            wire = (newcomer.encoding, topic)
            if wire not in of_newcomers:
                of_newcomers[wire] = _Encoded(batch.broadcasts, wire)
            data, broadcasts = of_newcomers[wire].since(first)
            room -= 1
            batch.untaken += _write([newcomer], data, broadcasts, wire)
            self._turns.delivered(len(broadcasts), 1, len(data))


def _resolve_when_taken(waiting: list[Deferred[None]], untaken: list[Deferred[None]]) -> None:
    def resolve(_: object) -> None:
        for done in waiting:
            done.callback(None)

    if untaken:
        gatherResults(untaken).addCallback(resolve)
    else:
        resolve(None)


class _Encoded:
    """The broadcasts of a batch for one wire, joined."""

    __slots__ = ("_broadcasts", "_data", "_starts", "_wire")

    def __init__(self, broadcasts: list[Broadcast], wire: Wire) -> None:
        encoded = [one.encoded(wire) for one in broadcasts]
        self._broadcasts = broadcasts
        self._wire = wire
        self._starts = list(accumulate(map(len, encoded), initial=0))
        self._data = b"".join(encoded)

    def since(self, first: int) -> tuple[bytes | memoryview, list[Broadcast]]:
        """The frames from number ``first`` on, joined; and the broadcasts that have any."""
        data = memoryview(self._data)[self._starts[first] :] if first else self._data
        return data, [one for one in self._broadcasts[first:] if one.encoded(self._wire)]


def _write(
    outlets: list[Outlet], data: bytes | memoryview, broadcasts: Sequence[Broadcast], wire: Wire
) -> list[Deferred[None]]:
    """
    Write ``data``, which is the frames of ``broadcasts`` joined, to each outlet.

    :return: for each outlet that will take it later, a Deferred that fires when it has.
    """
    size = len(data)
    untaken: list[Deferred[None]] = []
    if not size:
        return untaken
    for outlet in outlets:
        try:
            taken = outlet.write(data)
        except OSError as error:
            later = outlet.settle_error(error, data, _keyed(broadcasts, wire))
        else:
            if taken == size:
                continue
            later = outlet.settle(taken, data, _keyed(broadcasts, wire))
        if later is not None:
            untaken.append(later)
    return untaken


def _keyed(broadcasts: Sequence[Broadcast], wire: Wire) -> list[KeyedFrame]:
    """Their frames, for an outlet that keeps only the newest of each kind."""
    return [one.keyed(wire) for one in broadcasts]
