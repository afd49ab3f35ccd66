"""
The outgoing bytes of one peer, in order, with backpressure: sent at once, or queued up to a bound.

An outlet is *clear* while its peer has taken everything, *blocked* while frames wait, and *lagging*
while more than the high-water mark waits. A lagging outlet gets only frames that must arrive. Of
all others it gets the newest of each kind once it has drained (conflation).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from enum import Enum
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from helix.delivery.backlog import Backlog, Share
from helix.delivery.parts import FrameSeries
from helix.delivery.protocol import Data, Encoding
from helix.errors import TooMuchUnread

QUEUED = -1
"""What `Outlet.write` returns when it has put the data behind what waits already."""

REFUSED = -2
"""What `Outlet.write` returns when the outlet is lagging and took nothing."""

CHUNK_BYTES = 16 * 1024
"""Bytes given to a slow transport at a time, so that slow reading still counts as progress."""

JOINED_BYTES = 16 * 1024
"""Smaller pieces are joined and sent by one call; larger ones are not copied."""

FrameKey = tuple[str, Hashable]
"""A topic, and the kind of a frame among its."""


class LateFrame(Protocol):
    """A frame that is made when it can be sent."""

    def behind(self, earlier: LateFrame) -> LateFrame:
        """Give what stands for both, ``earlier`` being of the same key and not sent either."""

    def make(self) -> bytes:
        """Make the frame; empty when there is nothing to tell any more."""


KeyedFrame = tuple[FrameKey | None, bytes | LateFrame]
"""
A frame and the key of its kind, of which only the newest counts; ``None``: every one does. A late
one stands for those before it too.
"""


class Flow(Enum):
    """Whether an outlet's peer keeps up."""

    CLEAR = "clear"
    BLOCKED = "blocked"
    LAGGING = "lagging"
    SHUT = "shut"


def _nobody(*_: object) -> None:
    """Replaces a callback, so that no reference to its owner is left."""


class Outlet:
    """
    The outgoing queue of one peer; what all transports share.

    :param encoding: how the peer wants its frames.
    :param int high_water_mark: bytes that may wait before the outlet is lagging.
    :param clock: tells the time.
    :param lagging: called with ``True`` when the outlet starts lagging, ``False`` when it ends.
    :param broken: called when the peer turns out to be gone.
    :param backlog: counts what waits for all peers.
    :param shed: called when that is too much and this peer must be disconnected; nothing waits
        for it any more.

    :ivar write: takes bytes and returns how many of them, or `QUEUED` or `REFUSED`; may raise
        ``OSError``. Only for the loop of the fan-out, which calls `settle` with any other result
        than all of them. It is exchanged as the state changes, so that this loop needs no test.
    :ivar blocked_since: since when (seconds) the peer has taken nothing, ``None`` while clear.
    """

    __slots__ = (
        "_backlog",
        "_broken",
        "_clock",
        "_corked",
        "_corked_bytes",
        "_high_water_mark",
        "_lagging",
        "_newest",
        "_queue",
        "_queued_bytes",
        "_share",
        "_shed",
        "_state",
        "_taken_bytes",
        "_waiting",
        "blocked_since",
        "encoding",
        "write",
    )

    def __init__(
        self,
        encoding: Encoding,
        high_water_mark: int,
        clock: IReactorTime,
        lagging: Callable[[bool], None],
        broken: Callable[[], None],
        backlog: Backlog,
        shed: Callable[[], None],
    ) -> None:
        self.encoding = encoding
        self.blocked_since: float | None = None
        self._clock = clock
        self._high_water_mark = high_water_mark
        self._lagging = lagging
        self._broken = broken
        self._backlog = backlog
        self._shed = shed
        self._share: Share | None = None
        self._state = Flow.CLEAR
        self._queue: deque[Data | FrameSeries] | None = None
        self._queued_bytes = 0
        self._taken_bytes = 0
        self._newest: dict[FrameKey, bytes | LateFrame] | None = None
        self._waiting: deque[tuple[int, Deferred[None]]] | None = None
        self._corked: list[Data | FrameSeries] | None = None
        self._corked_bytes = 0
        self.write: Callable[[Data], int] = self._write_clear

    # what a transport provides

    def _write_clear(self, data: Data) -> int:
        raise NotImplementedError  # pragma: no cover

    def _start_draining(self) -> None:
        """Something waits: let `_next_chunk` be fetched when the peer takes more."""
        raise NotImplementedError  # pragma: no cover

    # what the connection and the fan-out call

    @property
    def state(self) -> Flow:
        return self._state

    def send(self, data: Data) -> None:
        """Send a frame that must arrive: a reply, the end of a channel. Never raises."""
        try:
            taken = self.write(data)
        except BlockingIOError:
            taken = 0
        except OSError:
            self._fail()
            return
        if taken in (QUEUED, len(data)):
            return
        self._enqueue(data, max(taken, 0))

    def send_all(self, pieces: Iterable[Data]) -> None:
        """
        Send pieces of what must arrive, in order. Large ones are neither joined nor copied, so that
        many outlets hold the same.
        """
        for data in _gathered(pieces):
            self.send(data)

    def send_series(self, series: FrameSeries) -> None:
        """Send frames that must arrive. They are made as the peer takes them. Never raises."""
        if self._corked is not None and self._state is Flow.CLEAR:
            self._corked.append(series)
            self._corked_bytes += series.size
            return
        while self._state is Flow.CLEAR:
            frame = series.make()
            if frame is None:
                return
            self.send_all(frame)
        self._enqueue_series(series)

    def settle(self, taken: int, data: Data, frames: Sequence[KeyedFrame]) -> Deferred[None] | None:
        """
        Handle what `write` did not take of ``data``, which is the joined ``frames``.

        :return: a Deferred that fires when the peer's transport has taken the rest or the outlet
            is lagging or shut; ``None`` when that is so already.
        """
        if taken == REFUSED:
            for key, frame in frames:
                if key is not None:
                    self._keep_newest(key, frame)
                elif isinstance(frame, bytes):
                    self._enqueue(frame, 0)
            return None
        if taken != QUEUED:
            self._enqueue(data, taken)
        return self._when_taken()

    def settle_error(
        self, error: OSError, data: Data, frames: Sequence[KeyedFrame]
    ) -> Deferred[None] | None:
        """As `settle`, for a `write` that raised."""
        if isinstance(error, BlockingIOError):
            return self.settle(0, data, frames)
        self._fail()
        return None

    def check_room(self) -> None:
        """
        Check whether the peer may be sent something large.

        :raises TooMuchUnread: when more than the high-water mark waits for it.
        """
        if self._state is Flow.LAGGING or self._corked_bytes > self._high_water_mark:
            raise TooMuchUnread()

    def forget(self, topic: str) -> None:
        """Drop the frames of a topic that are kept until the outlet has drained."""
        for key in [key for key in self._newest or () if key[0] == topic]:
            self._take_newest(key)

    def cork(self) -> bool:
        """
        Gather what is sent until `uncork`, to send it as one.

        :return: whether it begins here; ``False`` where somebody gathers already, who uncorks.
        """
        if self._corked is not None:
            return False
        self._corked = []
        if self._state is Flow.CLEAR:
            self.write = self._write_corked
        return True

    def uncork(self) -> None:
        """Send what was gathered."""
        gathered, self._corked = self._corked, None
        size, self._corked_bytes = self._corked_bytes, 0
        if self._state is Flow.CLEAR:
            self.write = self._write_clear
        if not gathered:
            return
        pieces: list[Data] = []
        for one in gathered:
            if isinstance(one, FrameSeries):
                self.send_all(pieces)
                self.send_series(one)
                pieces = []
            else:
                pieces.append(one)
        if size < JOINED_BYTES and len(pieces) == len(gathered):  # as nearly always
            self.send(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        else:
            self.send_all(pieces)

    def shut(self) -> None:
        """Accept nothing more, but send what waits."""
        if self._corked is not None:
            self.uncork()
        self._leave_lagging()
        self._state = Flow.SHUT
        self.write = len  # as if all was taken
        self._forget_newest()
        self._release_waiting()

    def finish(self) -> None:
        """`shut`, and let the transport close once it has sent what waits."""
        self.shut()

    def lost(self) -> None:
        """The peer is gone: forget what waits, and the callbacks."""
        self._corked = None
        self.shut()
        self._queue = None
        self._queued_bytes = 0
        if self._share is not None:
            self._share.clear()
            self._share = None
        self.blocked_since = None
        self._lagging = self._broken = self._shed = _nobody

    # inside

    def _write_corked(self, data: Data) -> int:
        assert self._corked is not None
        self._corked.append(data)
        self._corked_bytes += len(data)
        return len(data)

    def _write_blocked(self, data: Data) -> int:
        self._enqueue(data, 0)
        return QUEUED

    @staticmethod
    def _write_lagging(data: Data) -> int:
        return REFUSED

    def _enqueue(self, data: Data, taken: int) -> None:
        if self._state is Flow.SHUT:
            return
        self._hold(data)
        self._append(memoryview(data)[taken:] if taken else data, len(data) - taken)

    def _enqueue_series(self, series: FrameSeries) -> None:
        if self._state is Flow.SHUT:
            return
        for data in series.held:
            self._hold(data)
        self._append(series, series.size)

    def _append(self, waiting: Data | FrameSeries, size: int) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.append(waiting)
        self._queued_bytes += size
        if self._state is Flow.CLEAR:
            self._block()
            self._start_draining()
        if self._state is Flow.BLOCKED and self._queued_bytes > self._high_water_mark:
            self._state = Flow.LAGGING
            self.write = self._write_lagging
            self._release_waiting()
            self._lagging(True)

    def _block(self) -> None:
        if self._state is Flow.CLEAR:
            self._state = Flow.BLOCKED
            self.blocked_since = self._clock.seconds()
            self.write = self._write_blocked

    def _keep_newest(self, key: FrameKey, frame: bytes | LateFrame) -> None:
        if self._newest is None:
            self._newest = {}
        earlier = self._take_newest(key)  # so that the newest of all comes last
        if isinstance(frame, bytes):
            self._hold(frame)
        elif not (earlier is None or isinstance(earlier, bytes)):
            frame = frame.behind(earlier)
        self._newest[key] = frame

    def _take_newest(self, key: FrameKey) -> bytes | LateFrame | None:
        kept = None if self._newest is None else self._newest.pop(key, None)
        if isinstance(kept, bytes):
            self._let_go(kept)
        return kept

    def _forget_newest(self) -> None:
        for key in list(self._newest or ()):
            self._take_newest(key)
        self._newest = None

    def _hold(self, data: Data) -> None:
        """Count what waits."""
        if self._share is None:
            self._share = Share(self._backlog, self._have_shed)
        self._share.add(data)

    def _let_go(self, data: Data) -> None:
        """Count what waits no more."""
        assert self._share is not None
        self._share.remove(data)

    def _have_shed(self) -> None:
        """The backlog's call: too much waits for all, and most of it for this peer."""
        shed = self._shed
        self.lost()
        shed()

    def _when_taken(self) -> Deferred[None] | None:
        if self._state is not Flow.BLOCKED:
            return None
        if self._waiting is None:
            self._waiting = deque()
        taken: Deferred[None] = Deferred()
        self._waiting.append((self._taken_bytes + self._queued_bytes, taken))
        return taken

    def _next_chunk(self) -> bytes | None:
        """
        Take what is to be handed to the transport next; it took all that it was given before.

        :return: about `CHUNK_BYTES`, or ``None`` when nothing waits any more.
        """
        self.blocked_since = self._clock.seconds()
        self._release_waiting(self._taken_bytes)
        self._queue_newest()
        if not self._queue:
            self._drained()
            return None
        parts: list[Data] = []
        size = 0
        while self._queue and size < CHUNK_BYTES:
            part = self._queue.popleft()
            if isinstance(part, FrameSeries):
                self._unfold(part)
                continue
            room = CHUNK_BYTES - size
            if len(part) > room:
                self._queue.appendleft(memoryview(part)[room:])
                part = memoryview(part)[:room]
            else:
                self._let_go(part)
            parts.append(part)
            size += len(part)
        if not parts:  # all that waited was a series of which nothing was left
            return self._next_chunk()
        self._queued_bytes -= size
        self._taken_bytes += size
        return b"".join(parts)

    def _take_queue(self) -> list[Data]:
        """Take all that waits, in pieces."""
        taken: list[Data] = []
        while self._queue or self._newest:
            self._queue_newest()
            while self._queue:
                one = self._queue.popleft()
                if isinstance(one, FrameSeries):
                    self._unfold(one)
                else:
                    taken.append(one)
                    self._let_go(one)
        self._queued_bytes = 0
        self._drained()
        return taken

    def _unfold(self, series: FrameSeries) -> None:
        """Put the next frame of a series, which was taken off the queue, at the front of it."""
        assert self._queue is not None
        before = series.size
        frame = series.make()
        if frame is None:
            change = -before
            for data in series.held:
                self._let_go(data)
        else:
            for piece in frame:
                self._hold(piece)
            self._queue.appendleft(series)
            self._queue.extendleft(reversed(frame))
            change = sum(map(len, frame)) + series.size - before
        # Its size was an estimate. What is behind it is so much nearer or farther.
        self._queued_bytes += change
        self._taken_bytes -= change

    def _queue_newest(self) -> None:
        """Queue the newest frame of each kind, once everything before is sent."""
        if not self._queue and self._newest:
            frames = list(self._newest.values())
            self._forget_newest()
            made = (one if isinstance(one, bytes) else one.make() for one in frames)
            told = [frame for frame in made if frame]
            self._queue = deque(told)
            self._queued_bytes = sum(map(len, told))
            for frame in told:
                self._hold(frame)

    def _drained(self) -> None:
        self._queue = self._share = None
        self.blocked_since = None
        self._leave_lagging()
        if self._state is not Flow.SHUT:
            self._state = Flow.CLEAR
            self.write = self._write_clear if self._corked is None else self._write_corked

    def _leave_lagging(self) -> None:
        if self._state is Flow.LAGGING:
            self._state = Flow.BLOCKED
            self._lagging(False)

    def _release_waiting(self, up_to: int | None = None) -> None:
        waiting = self._waiting
        while waiting and (up_to is None or waiting[0][0] <= up_to):
            waiting.popleft()[1].callback(None)
        if not waiting:
            self._waiting = None

    def _fail(self) -> None:
        broken = self._broken
        self.lost()
        broken()


def _gathered(pieces: Iterable[Data]) -> Iterator[Data]:
    """Join small pieces, which take a call each; leave large ones as they are."""
    small: list[Data] = []
    for piece in pieces:
        if len(piece) < JOINED_BYTES:
            small.append(piece)
            continue
        if small:
            yield b"".join(small)
            small = []
        yield piece
    if small:
        yield small[0] if len(small) == 1 else b"".join(small)
