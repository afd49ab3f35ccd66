"""Outlets: order, the states of slow peers, and that little waits for them."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Hashable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from helix.delivery.backlog import Backlog
from helix.delivery.framing import ENCODINGS, frame_text
from helix.delivery.outlet import CHUNK_BYTES, QUEUED, REFUSED, Flow, Outlet
from helix.delivery.parts import FrameSeries
from helix.delivery.protocol import V2
from helix.delivery.streams import DirectOutlet
from helix.telemetry.events import Telemetry
from tests.support.rawsocket import split_frames
from tests.support.world import HANDSHAKE, START, Client, Reactor, World

MARK = 1000
TRANSPORT_BYTES = 1 << 16
"""What a Twisted transport holds before it pauses its producer."""

BROKEN = OSError(errno.EPIPE, "gone")


def offer(outlet: Outlet, data: bytes, key: Hashable = None) -> Deferred[None] | None:
    """Write a broadcast as the fan-out does."""
    frames = [(key, data)]
    try:
        taken = outlet.write(data)
    except OSError as error:
        return outlet.settle_error(error, data, frames)
    return None if taken == len(data) else outlet.settle(taken, data, frames)


def fires(waiting: Deferred[None] | None) -> list[None]:
    """A list that gets an item each time the Deferred fires."""
    fired: list[None] = []
    assert waiting is not None
    waiting.addCallback(fired.append)
    return fired


def padded(number: int, size: int = 0) -> bytes:
    return frame_text(str(number).encode().ljust(size))


def numbers(client: Client) -> list[int]:
    return [int(text) for text in client.raw()]


Connect = Callable[[], Client]


@pytest.fixture
def connect(make_world: Callable[..., World]) -> Connect:
    """Connects clients whose high-water mark is `MARK`."""
    return make_world(high_water_mark=MARK).client


def block(client: Client) -> None:
    """Have the peer take nothing more, and one large frame on its way."""
    client.socket.room = 0
    client.outlet.send(padded(0, CHUNK_BYTES if isinstance(client.outlet, DirectOutlet) else 70000))
    assert client.outlet.state is Flow.BLOCKED


def make_lag(client: Client) -> None:
    block(client)
    client.outlet.send(padded(1, MARK + 1))
    assert client.outlet.state is Flow.LAGGING


def drain(client: Client) -> None:
    client.socket.room = None
    client.world.settle()


def test_fan4_clear_outlet_sends_at_once(connect: Connect) -> None:
    client = connect()
    assert client.outlet.state is Flow.CLEAR
    client.outlet.send(padded(1))
    assert offer(client.outlet, padded(2)) is None
    assert numbers(client) == [1, 2]
    assert client.socket.writes == 2
    assert client.outlet.blocked_since is None
    assert client.wire not in client.world.clock.writers


def test_fan4_rest_of_a_short_write_follows(connect: Connect) -> None:
    client = connect()
    client.socket.room = 3
    client.outlet.send(padded(1, 100))
    assert client.outlet.state is Flow.BLOCKED
    client.outlet.send(padded(2))
    drain(client)
    assert numbers(client) == [1, 2]
    assert client.outlet.state is Flow.CLEAR
    client.outlet.send(padded(3))
    assert numbers(client) == [3]


def test_fan4_socket_that_takes_nothing(connect: Connect) -> None:
    """``EAGAIN`` is no error."""
    client = connect()
    client.socket.room = 0
    client.outlet.send(padded(1))
    fired = fires(offer(client.outlet, padded(2)))
    assert client.outlet.write(padded(3)) == QUEUED
    assert (numbers(client), fired) == ([], [])
    drain(client)
    assert (numbers(client), fired) == ([1, 2, 3], [None])
    assert not client.lost


def test_fan4_broadcast_that_meets_eagain(connect: Connect) -> None:
    client = connect()
    client.socket.room = 0
    fired = fires(offer(client.outlet, padded(1)))
    assert (client.outlet.state, fired) == (Flow.BLOCKED, [])
    drain(client)
    assert (numbers(client), fired) == ([1], [None])


@pytest.mark.parametrize("direct", [True, False])
def test_fan4_large_frames_go_in_chunks(connect: Callable[..., Client], direct: bool) -> None:
    client = connect(direct=direct)
    sizes = [10, 5 * CHUNK_BYTES + 7, CHUNK_BYTES, 1, 9 * CHUNK_BYTES]
    client.socket.room = 5
    for number, size in enumerate(sizes):
        client.outlet.send(padded(number, size))
    while client.outlet.state is not Flow.CLEAR:
        client.socket.room = 777
        client.world.clock.turn()
    drain(client)
    assert [len(text) for text in client.raw()] == sizes


def test_fan4_nothing_overtakes_what_the_transport_has(world: World) -> None:
    """An outlet is made while the answer to the upgrade waits in the transport."""
    client = world.client()
    client.outlet.lost()
    client.wire.unregisterProducer()
    client.wire.write(HANDSHAKE)
    outlet = DirectOutlet(
        client.wire,
        client.socket,
        ENCODINGS[V2],
        MARK,
        world.clock,
        lambda _: None,
        client.abort,
        world.backlog,
        client.abort,
    )
    assert outlet.state is Flow.BLOCKED
    outlet.send(padded(1))
    assert client.socket.taken == b""
    world.settle()
    assert client.socket.taken == HANDSHAKE + padded(1)
    assert outlet.state is Flow.CLEAR
    outlet.send(padded(2))
    assert client.socket.taken == HANDSHAKE + padded(1) + padded(2)


def test_fan4_corked_frames_go_as_one(connect: Connect) -> None:
    client = connect()
    client.outlet.cork()
    client.outlet.send(padded(1))
    assert offer(client.outlet, padded(2)) is None
    client.outlet.send(padded(3))
    assert client.socket.writes == 0
    client.outlet.uncork()
    assert client.socket.writes == 1
    client.outlet.send(padded(4))
    assert numbers(client) == [1, 2, 3, 4]


def test_fan4_empty_cork_sends_nothing(connect: Connect) -> None:
    client = connect()
    client.outlet.cork()
    client.outlet.uncork()
    assert client.socket.writes == 0


def test_fan4_cork_within_a_cork_leaves_it_alone(connect: Connect) -> None:
    client = connect()
    assert client.outlet.cork()
    client.outlet.send(padded(1))
    assert not client.outlet.cork()
    client.outlet.send(padded(2))
    assert client.socket.writes == 0
    client.outlet.uncork()
    assert client.socket.writes == 1
    assert numbers(client) == [1, 2]


def test_fan4_cork_while_blocked(connect: Connect) -> None:
    client = connect()
    block(client)
    client.outlet.cork()
    client.outlet.send(padded(1))
    drain(client)
    writes = client.socket.writes
    client.outlet.send(padded(2))
    client.outlet.send(padded(3))
    assert client.socket.writes == writes
    client.outlet.uncork()
    assert client.socket.writes == writes + 1
    client.outlet.send(padded(4))
    assert numbers(client) == [0, 1, 2, 3, 4]


def test_fan4_shut_uncorks_first(connect: Connect) -> None:
    client = connect()
    client.outlet.cork()
    client.outlet.send(padded(1))
    client.outlet.shut()
    client.outlet.send(padded(2))
    client.outlet.uncork()
    assert numbers(client) == [1]


def test_slo1_lagging_only_above_the_mark(connect: Connect) -> None:
    client = connect()
    block(client)
    client.outlet.send(b"x" * (MARK - 4))
    waiting = MARK - 4 + len(padded(0, CHUNK_BYTES)) - CHUNK_BYTES
    client.outlet.send(b"x" * (MARK - waiting))
    assert client.outlet.state is Flow.BLOCKED
    client.outlet.send(b"x")
    assert client.outlet.state is Flow.LAGGING
    assert client.lagged == [True]


def test_slo1_lagging_outlet_gets_the_newest_of_each_key(connect: Connect) -> None:
    client = connect()
    make_lag(client)
    assert client.outlet.write(padded(2)) == REFUSED
    for number, key in [(2, "a"), (3, "b"), (4, "a"), (5, "c"), (6, "b"), (7, None), (8, None)]:
        assert offer(client.outlet, padded(number), key) is None
    drain(client)
    assert numbers(client) == [0, 1, 7, 8, 4, 5, 6]
    assert client.outlet.state is Flow.CLEAR
    assert client.lagged == [True, False]


def test_slo1_joined_frames_are_told_apart(connect: Connect) -> None:
    client = connect()
    make_lag(client)
    frames = [("a", padded(2)), ("b", padded(3)), ("a", padded(4)), (None, padded(5))]
    assert client.outlet.settle(REFUSED, b"".join(one for _, one in frames), frames) is None
    drain(client)
    assert numbers(client) == [0, 1, 5, 3, 4]


def test_slo1_newest_kept_again_while_the_newest_drains(connect: Connect) -> None:
    client = connect()
    make_lag(client)
    offer(client.outlet, padded(2, 40_000), "a")
    client.socket.room = 60_000 - CHUNK_BYTES
    client.world.settle()
    assert client.outlet.state is Flow.LAGGING
    offer(client.outlet, padded(3), "a")
    offer(client.outlet, padded(4), "a")
    drain(client)
    assert numbers(client) == [0, 1, 2, 4]


def test_slo1_lagging_starts_anew_with_nothing_kept(connect: Connect) -> None:
    client = connect()
    for _ in range(2):
        make_lag(client)
        offer(client.outlet, padded(2), "a")
        drain(client)
        offer(client.outlet, padded(3), "a")
        assert numbers(client) == [0, 1, 2, 3]
    assert client.lagged == [True, False, True, False]


def test_slo2_replies_reach_a_lagging_client(connect: Connect) -> None:
    client = connect()
    make_lag(client)
    for number in range(2, 50):
        client.outlet.send(padded(number))
        offer(client.outlet, padded(1000 + number), "a")
    drain(client)
    assert numbers(client) == [*range(50), 1049]


def test_slo2_nothing_is_read_from_a_lagging_client(connect: Connect) -> None:
    client = connect()
    make_lag(client)
    client.join("flow:f")
    client.world.settle()
    assert client.world.flow() is None
    assert client.wire not in client.world.clock.readers
    drain(client)
    assert client.world.flow().client_count == 1
    assert client.wire in client.world.clock.readers


def test_slo3_blocked_since_tells_of_progress(connect: Connect) -> None:
    client = connect()
    clock = client.world.clock
    clock.advance(5)
    block(client)
    assert client.outlet.blocked_since == START + 5
    client.outlet.send(padded(1, 3 * CHUNK_BYTES))
    clock.advance(5)
    client.world.settle()
    assert client.outlet.blocked_since == START + 5
    client.socket.room = CHUNK_BYTES
    client.world.settle()
    assert client.outlet.blocked_since >= START + 10
    drain(client)
    assert client.outlet.blocked_since is None


def test_fan6_deferred_fires_when_its_bytes_are_taken(connect: Connect) -> None:
    client = connect()
    client.socket.room = 1
    first = fires(offer(client.outlet, padded(1, 100)))
    second = fires(offer(client.outlet, padded(2, 200)))
    client.socket.room = len(padded(1, 100)) - 1
    client.world.settle()
    assert (first, second) == ([None], [])
    client.socket.room = 199
    client.world.settle()
    assert second == []
    drain(client)
    assert (first, second) == ([None], [None])
    assert numbers(client) == [1, 2]


def test_fan6_deferred_fires_when_lagging_begins(connect: Connect) -> None:
    client = connect()
    block(client)
    fired = fires(offer(client.outlet, padded(1)))
    assert offer(client.outlet, padded(2, MARK)) is None
    assert fired == [None]
    drain(client)
    assert fired == [None]
    assert numbers(client) == [0, 1, 2]


@pytest.mark.parametrize("end", [Outlet.shut, Outlet.finish, Outlet.lost])
def test_fan6_deferred_fires_when_the_peer_is_gone(
    connect: Connect, end: Callable[[Outlet], None]
) -> None:
    client = connect()
    block(client)
    fired = fires(offer(client.outlet, padded(1)))
    end(client.outlet)
    assert fired == [None]
    drain(client)
    assert fired == [None]


def test_fan6_callback_may_send(connect: Connect) -> None:
    client = connect()
    block(client)
    waiting = offer(client.outlet, padded(1))
    assert waiting is not None
    waiting.addCallback(lambda _: client.outlet.send(padded(2)))
    drain(client)
    assert numbers(client) == [0, 1, 2]


@pytest.mark.parametrize("how", ["send", "offer", "uncork"])
def test_fan4_broken_socket(connect: Connect, how: str) -> None:
    client = connect()
    client.socket.error = BROKEN
    if how == "send":
        client.outlet.send(padded(1))
    elif how == "offer":
        assert offer(client.outlet, padded(1)) is None
    else:
        client.outlet.cork()
        client.outlet.send(padded(1))
        client.outlet.uncork()
    assert client.outlet.state is Flow.SHUT
    client.world.settle()
    assert client.lost
    client.outlet.send(padded(2))
    assert offer(client.outlet, padded(2)) is None


def test_fan4_socket_that_breaks_while_frames_wait(connect: Connect) -> None:
    client = connect()
    block(client)
    fired = fires(offer(client.outlet, padded(1)))
    client.socket.error = BROKEN
    drain(client)
    assert client.lost
    assert fired == [None]


def test_slo2_shut_outlet_sends_what_waits_and_takes_nothing_more(connect: Connect) -> None:
    client = connect()
    block(client)
    client.outlet.send(padded(1))
    client.outlet.shut()
    client.outlet.send(padded(2))
    assert offer(client.outlet, padded(3)) is None
    drain(client)
    assert numbers(client) == [0, 1]
    assert client.outlet.state is Flow.SHUT
    assert client.outlet.blocked_since is None


def test_slo1_shut_forgets_what_a_lagging_one_was_to_get(connect: Connect) -> None:
    client = connect()
    make_lag(client)
    offer(client.outlet, padded(2), "a")
    client.outlet.shut()
    assert client.lagged == [True, False]
    drain(client)
    assert numbers(client) == [0, 1]


def test_slo4_lost_outlet_holds_nothing(connect: Connect) -> None:
    client = connect()
    make_lag(client)
    offer(client.outlet, padded(2, 500), "a")
    client.cut()
    assert client.outlet.state is Flow.SHUT
    assert client.outlet.blocked_since is None
    assert client.lagged == [True, False]
    assert [held for held in (client.outlet._queue, client.outlet._newest) if held] == []
    client.outlet.lost()
    client.outlet.shut()
    client.outlet.uncork()


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("blocked", [True, False])
def test_slo2_transport_closes_after_what_waits(
    connect: Callable[..., Client], direct: bool, blocked: bool
) -> None:
    client = connect(direct=direct)
    if blocked:
        block(client)
    client.outlet.send(padded(1))
    client.outlet.finish()
    assert (client.wire.producer is None) is not blocked
    client.wire.loseConnection()
    client.world.settle()
    assert client.lost is not blocked
    client.socket.room = None
    client.world.settle()
    assert client.lost
    assert numbers(client) == ([0, 1] if blocked else [1])


def test_fan4_transport_path_pauses_and_resumes(connect: Callable[..., Client]) -> None:
    client = connect(direct=False)
    client.socket.room = 0
    client.outlet.send(padded(0, TRANSPORT_BYTES - 20))
    assert client.outlet.state is Flow.CLEAR
    client.outlet.send(padded(1, 100))
    assert client.outlet.state is Flow.BLOCKED
    fired = fires(offer(client.outlet, padded(2)))
    client.world.settle()
    assert fired == []
    drain(client)
    assert fired == [None]
    assert client.outlet.state is Flow.CLEAR
    client.outlet.send(padded(3))
    client.world.settle()
    assert numbers(client) == [0, 1, 2, 3]


def test_slo1_transport_is_given_no_more_than_it_holds(connect: Callable[..., Client]) -> None:
    client = connect(direct=False)
    block(client)
    for number in range(1, 40):
        client.outlet.send(padded(number, CHUNK_BYTES))
    client.socket.room = 1 << 17
    for _ in range(3):
        client.world.clock.turn()
    held = len(client.wire.dataBuffer) - client.wire.offset + client.wire._tempDataLen
    assert 0 < held <= TRANSPORT_BYTES + CHUNK_BYTES
    assert client.outlet.state is Flow.LAGGING
    drain(client)
    assert numbers(client) == list(range(40))


def test_slo1_transport_path_lags(connect: Callable[..., Client]) -> None:
    client = connect(direct=False)
    make_lag(client)
    for number in (2, 3):
        offer(client.outlet, padded(number), "a")
    client.outlet.send(padded(4))
    drain(client)
    assert numbers(client) == [0, 1, 4, 3]
    assert client.lagged == [True, False]


steps = st.one_of(
    st.tuples(st.just("send"), st.integers(0, 400)),
    st.tuples(st.sampled_from(["a", "b", "keyless"]), st.integers(0, 400)),
    st.tuples(st.just("large"), st.integers(0, 3 * CHUNK_BYTES)),
    st.tuples(st.just("room"), st.integers(0, 2 * CHUNK_BYTES)),
    st.tuples(st.just("room"), st.integers(0, 300)),
    st.tuples(st.sampled_from(["turn", "cork", "uncork", "drain"]), st.just(0)),
)


class Script:
    """
    What happens to one outlet, and what is to come of it.

    :ivar sent: the number and the kind of each frame; the kinds but two are keys.
    :ivar accepted: bytes that were given to the outlet and not refused.
    :ivar must: those of them that it may not refuse, as what was gathered in a cork.
    :ivar largest: the largest broadcast among them.
    """

    def __init__(self, direct: bool) -> None:
        self.client = World(high_water_mark=MARK).client(direct=direct)
        self.outlet, self.socket = self.client.outlet, self.client.socket
        self.socket.room = 0
        self.sent: dict[int, str] = {}
        self.accepted = self.must = self.largest = 0
        self.fired: list[list[None]] = []
        self._direct = direct
        self._corked = False

    def step(self, number: int, step: str, size: int) -> None:
        if step in ("room", "turn", "drain", "cork", "uncork"):
            self._happen(step, size)
        else:
            self.sent[number] = step
            self._give(padded(number, size), step)
        held = CHUNK_BYTES if self._direct else TRANSPORT_BYTES + self.largest
        gathered = sum(map(len, self.outlet._corked or ()))
        waiting = self.accepted - len(self.socket.taken) - gathered
        assert waiting <= MARK + held + self.largest + self.must

    def end(self) -> list[int]:
        """Let the peer take everything, and return what it got."""
        if self._corked:
            self.outlet.uncork()
        drain(self.client)
        assert self.outlet.state is Flow.CLEAR
        assert all(times == [None] for times in self.fired)
        arrived = numbers(self.client)
        self.client.world.end()
        return arrived

    def _happen(self, step: str, size: int) -> None:
        if step == "room":
            self.socket.room = size
        elif step == "turn":
            self.client.world.clock.turn()
        elif step == "drain":
            drain(self.client)
            self.socket.room = 0
        elif (step == "uncork") is self._corked:
            self._corked = not self._corked
            getattr(self.outlet, step)()

    def _give(self, data: bytes, step: str) -> None:
        lagging = self.outlet.state is Flow.LAGGING
        if step == "send" or self._corked or (step == "keyless" and lagging):
            self.must += len(data)
        if step == "send":
            self.outlet.send(data)
            self.accepted += len(data)
            return
        waiting = offer(self.outlet, data, None if step == "keyless" else (step, step))
        if step == "keyless" or not lagging:
            self.accepted += len(data)
            self.largest = max(self.largest, len(data))
        if waiting is not None:
            self.fired.append(fires(waiting))
            if self._direct:
                waiting.addCallback(self._check_taken, self.accepted)

    def _check_taken(self, _: None, position: int) -> None:
        given_up = self.outlet.state in (Flow.LAGGING, Flow.SHUT)
        assert given_up or len(self.socket.taken) >= position


@settings(max_examples=600)
@given(st.booleans(), st.lists(steps, max_size=60))
def test_fan4_what_arrives_is_what_was_sent(direct: bool, steps: list[tuple[str, int]]) -> None:
    """In order and whole while under the mark; over it, the newest; and little waits."""
    script = Script(direct)
    for number, (step, size) in enumerate(steps):
        script.step(number, step, size)
    arrived = script.end()
    if not script.client.lagged:
        assert arrived == list(script.sent)
        return
    of_kind: dict[str, list[int]] = {}
    for number in arrived:
        of_kind.setdefault(script.sent[number], []).append(number)
    for kind in set(script.sent.values()):
        assert of_kind[kind] == sorted(of_kind[kind])
        if kind not in ("send", "keyless"):
            assert of_kind[kind][-1] == max(n for n, one in script.sent.items() if one == kind)
    must = [number for number in arrived if script.sent[number] in ("send", "keyless")]
    assert must == [number for number, one in script.sent.items() if one in ("send", "keyless")]


def test_fan4_real_socket() -> None:
    """Twisted's connection over the system's own sockets, whose buffers fill up."""
    ours, peers = socket.socketpair()
    peers.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    reactor = Reactor()
    wire = tcp.Connection(ours, Protocol(), reactor)
    wire.connected = 1
    wire.write(HANDSHAKE)
    states = []
    end = wire.abortConnection
    backlog = Backlog(reactor, Telemetry(), 1 << 27)
    outlet = DirectOutlet(
        wire, ours, ENCODINGS[V2], 20_000, reactor, states.append, end, backlog, end
    )
    got = bytearray()

    def read(size: int) -> None:
        reactor.turn()
        with contextlib.suppress(BlockingIOError):
            got.extend(peers.recv(size))

    waiting = []
    for number in range(3000):
        waiting.append(offer(outlet, padded(number, 200)))
        if outlet.state is Flow.LAGGING or number % 30 == 0:
            read(1500)
        while outlet.state is Flow.LAGGING:
            read(1 << 16)
    for _ in range(100_000):
        if outlet.state is Flow.CLEAR:
            break
        read(4096)
    read(1 << 20)
    read(1 << 20)
    assert got.startswith(HANDSHAKE)
    frames, rest = split_frames(bytes(got[len(HANDSHAKE) :]))
    assert not rest
    texts = [int(text) for _, text in frames]
    assert texts == list(range(3000))
    assert states
    assert all(one is None or one.called for one in waiting)
    assert any(one is not None for one in waiting)
    wire.connectionLost(Failure(ConnectionDone()))
    ours.close()
    peers.close()


# frames that are made as they are taken

FRAMES = 40


def series(made: list[int], size: int = 5000, frames: int = FRAMES) -> FrameSeries:
    """Numbered frames of one size, which note in ``made`` that they were made."""

    def make() -> Iterator[list[bytes]]:
        for number in range(frames):
            made.append(number)
            yield [padded(number, size)]

    return FrameSeries(make(), [bytes(size * frames)])


@pytest.mark.parametrize("corked", [False, True])
def test_slo7_frames_of_a_series_are_made_as_the_client_takes_them(
    connect: Connect, corked: bool
) -> None:
    client = connect()
    made: list[int] = []
    block(client)
    if corked:
        client.outlet.cork()
    client.outlet.send_series(series(made))
    client.outlet.send(padded(FRAMES))
    if corked:
        client.outlet.uncork()
    assert made == []
    assert client.outlet.state is Flow.LAGGING
    client.socket.room = 3 * CHUNK_BYTES
    client.world.settle()
    assert 0 < len(made) < FRAMES / 2
    drain(client)
    assert numbers(client) == [0, *range(FRAMES + 1)]
    assert client.outlet.state is Flow.CLEAR
    assert client.world.backlog.size == 0


def test_slo7_series_goes_out_at_once_to_who_reads(connect: Connect) -> None:
    client = connect()
    client.outlet.send_series(series([]))
    assert numbers(client) == list(range(FRAMES))
    assert client.outlet.state is Flow.CLEAR


@pytest.mark.parametrize("estimate", [1, 10_000_000])
def test_fan6_what_is_behind_a_series_counts_as_taken_when_it_is(
    make_world: Callable[..., World], estimate: int
) -> None:
    """However wrong the estimate of its size was."""
    client = make_world(high_water_mark=100_000_000).client()
    block(client)
    given = series([])
    given.size = estimate
    client.outlet.send_series(given)
    taken = fires(offer(client.outlet, padded(FRAMES, CHUNK_BYTES * 8)))
    behind = fires(offer(client.outlet, padded(FRAMES + 1, CHUNK_BYTES * 4)))
    client.socket.room = 5000 * FRAMES + CHUNK_BYTES * 2
    client.world.settle()
    assert taken == []
    client.socket.room = CHUNK_BYTES * 9
    client.world.settle()
    assert (taken, behind) == ([None], [])
    drain(client)
    assert behind == [None]


def test_slo8_series_of_who_is_gone_waits_no_more(connect: Connect) -> None:
    client = connect()
    block(client)
    client.outlet.send_series(series([]))
    assert client.world.backlog.size > 5000 * FRAMES
    client.outlet.lost()
    assert client.world.backlog.size == 0
    client.outlet.send_series(series([]))
    assert client.world.backlog.size == 0
