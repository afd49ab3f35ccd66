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
from twisted.internet.defer import Deferred, gatherResults, succeed
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
    """

    __slots__ = ("_calls", "_clock", "_telemetry", "broadcasts", "bytes_written", "deliveries")

    _log = Logger(namespace="helix.fanout")

    def __init__(self, clock: IReactorTime, telemetry: Telemetry) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._calls: list[Callable[[], None]] = []
        self.broadcasts = self.deliveries = self.bytes_written = 0

    def at_end(self, call: Callable[[], None]) -> None:
        """Call ``call`` at the end of the reactor's current turn."""
        self._calls.append(call)
        if len(self._calls) == 1:
            self._clock.callLater(0, self._end)

    def delivered(self, broadcasts: int, members: int, size: int) -> None:
        """Count ``broadcasts`` that were written as ``size`` bytes to each of ``members``."""
        self.broadcasts += broadcasts
        self.deliveries += broadcasts * members
        self.bytes_written += size * members

    def _end(self) -> None:
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
        if self._holding:
            done, size = self._append(broadcast)
            if size >= MAX_BATCH_BYTES and self._delivery is None:
                self.flush()
            return done
        self._holding = True
        self._turns.at_end(self._continue)
        audience = self._current_audience()
        if len(audience) == 1 and len(audience[0][1]) <= SLICE:
            return self._broadcast_at_once(audience[0], broadcast)
        done, _ = self._append(broadcast)
        self._advance()
        return done

    def flush(self) -> None:
        """Deliver at once all that waits."""
        while self._batches:
            self._advance()

    def _broadcast_at_once(
        self, group: tuple[Wire, list[Outlet]], broadcast: Broadcast
    ) -> Deferred[None]:
        """The usual path of a broadcast: nothing waits, and all members fit into one slice."""
        wire, outlets = group
        try:
            frame = broadcast.encoded(wire)
            if not frame:
                return succeed(None)
            untaken = _write(outlets, frame, (broadcast.keyed(wire),))
            self._turns.delivered(1, len(outlets), len(frame))
        except Exception:
            self._failed(Failure())
            return succeed(None)
        return gatherResults(untaken).addCallback(lambda _: None) if untaken else succeed(None)

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

    def _append(self, broadcast: Broadcast) -> tuple[Deferred[None], int]:
        batch = self._open_batch()
        if batch is None:
            batch = _Batch(self._current_audience())
            self._batches.append(batch)
        batch.broadcasts.append(broadcast)
        batch.size += broadcast.size
        done: Deferred[None] = Deferred()
        batch.waiting.append(done)
        return done, batch.size

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
            self._resolve_when_taken(batch)

    @staticmethod
    def _resolve_when_taken(batch: _Batch) -> None:
        def resolve(_: object) -> None:
            for done in waiting:
                done.callback(None)

        waiting, batch.waiting = batch.waiting, []
        if batch.untaken:
            gatherResults(batch.untaken).addCallback(resolve)
        else:
            resolve(None)

    def _deliver(self, batch: _Batch) -> Generator[None, None, None]:
        """Write the batch to its audience, a slice for each step."""
        room = SLICE
        for wire, outlets in batch.audience:
            data, frames = _Encoded(batch.broadcasts, wire).since(0)
            start = 0
            while start < len(outlets):
                if not room:
                    yield
                    room = SLICE
                part = outlets[start : start + room]
                start += len(part)
                room -= len(part)
                batch.untaken += _write(part, data, frames)
            self._turns.delivered(len(frames), len(outlets), len(data))
        encoded: dict[Wire, _Encoded] = {}
        while batch.newcomers:
            if not room:
                yield
                room = SLICE
                continue  # whoever it was may have left meanwhile
            newcomer, topic, first = batch.newcomers.popleft()
            wire = (newcomer.encoding, topic)
            if wire not in encoded:
                encoded[wire] = _Encoded(batch.broadcasts, wire)
            data, frames = encoded[wire].since(first)
            room -= 1
            batch.untaken += _write([newcomer], data, frames)
            self._turns.delivered(len(frames), 1, len(data))


class _Encoded:
    """The broadcasts of a batch for one wire, joined."""

    __slots__ = ("_data", "_frames", "_starts")

    def __init__(self, broadcasts: list[Broadcast], wire: Wire) -> None:
        encoded = [one.encoded(wire) for one in broadcasts]
        self._frames = [one.keyed(wire) for one in broadcasts]
        self._starts = list(accumulate(map(len, encoded), initial=0))
        self._data = b"".join(encoded)

    def since(self, first: int) -> tuple[bytes | memoryview, list[KeyedFrame]]:
        """The frames from number ``first`` on: joined, and each one."""
        data = memoryview(self._data)[self._starts[first] :] if first else self._data
        return data, [keyed for keyed in self._frames[first:] if keyed[1]]


def _write(
    outlets: list[Outlet], data: bytes | memoryview, frames: Sequence[KeyedFrame]
) -> list[Deferred[None]]:
    """
    Write ``data``, which is the ``frames`` joined, to each outlet.

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
            later = outlet.settle_error(error, data, frames)
        else:
            if taken == size:
                continue
            later = outlet.settle(taken, data, frames)
        if later is not None:
            untaken.append(later)
    return untaken
