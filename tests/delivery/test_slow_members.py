"""Members who read too slowly: what they get instead, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import attrs
import psutil
import pytest

from helix.delivery.outlet import Flow
from helix.log.live_log import RECENT_BYTES
from tests.channels.test_document_mode import FLOW, Editor
from tests.support.daemon import Daemon, start_daemon
from tests.support.rawsocket import RawWebSocket
from tests.support.world import World

__all__ = ["start_daemon"]  # a fixture

MakeWorld = Callable[..., World]

MARK = 20_000
PADDING = "x" * 1000
FIRST = 90
"""Entries that make the document, before anybody lags."""


class Lagging:
    """A flow with a document of some 90 KB, one who writes, and some who have stopped reading."""

    def __init__(self, make_world: MakeWorld, count: int = 1) -> None:
        self.world = make_world(high_water_mark=MARK)
        self.writer = Editor(self.world, "w")
        self.write(*range(1, FIRST + 1))
        self.all_slow = [Editor(self.world, f"s{number}") for number in range(count)]
        self.slow = self.all_slow[0]
        for one in self.all_slow:
            one.client.socket.room = 0

    def write(self, *op_ids: int, key: int | None = None) -> None:
        """Write an entry of about a kilobyte for each ``op_id``, which is its version too."""
        for op_id in op_ids:
            value = f"{PADDING}{op_id}"
            self.writer.patch(op_id, {"data": {f"k{op_id if key is None else key}": value}})
            self.world.settle()

    def drain(self) -> list[list[int]]:
        """Let the slow one read on; give the versions of each ``entries`` frame that it gets."""
        slow = self.slow.client
        slow.socket.room = None
        self.world.settle()
        data = bytes(slow.socket.taken)
        self.slow.look()
        slow.socket.taken += data
        return [
            [entry["version"] for entry in message.payload["entries"]]
            for message in slow.received()
            if message.event == "entries"
        ]

    def converges(self) -> bool:
        """Whether the slow one has what the writer has."""
        self.writer.look()
        self.slow.look()
        same: bool = self.slow.document == self.writer.document
        return same and self.slow.version == self.writer.version


@pytest.fixture
def lagging(make_world: MakeWorld) -> Lagging:
    return Lagging(make_world)


def test_slo5_what_was_missed_comes_as_one_frame(lagging: Lagging) -> None:
    lagging.write(*range(91, 131))
    assert lagging.slow.client.lagged == [True]
    *taken, missed = lagging.drain()
    assert taken == [[version] for version in range(91, 91 + len(taken))]
    assert MARK - 2000 < 1100 * len(taken) < MARK + 2000, "what waited is not about the mark"
    assert missed == list(range(91 + len(taken), 131))
    lagging.write(131)
    assert lagging.converges()
    assert lagging.slow.events == []


def test_slo5_who_goes_on_lagging_is_caught_up_again(lagging: Lagging) -> None:
    """What it misses while it takes the one frame comes in the next."""
    lagging.write(*range(91, 131))
    slow = lagging.slow.client
    slow.socket.room = MARK + 15_000  # a part of the one frame
    lagging.world.settle()
    assert slow.outlet.state is Flow.LAGGING
    lagging.write(131, 132)
    frames = lagging.drain()
    assert frames[-2][-1] == 130
    assert frames[-1] == [131, 132]
    assert lagging.converges()
    assert lagging.slow.events == []


def test_slo5_what_the_fanout_still_holds_comes_once(lagging: Lagging) -> None:
    """Entries that were committed, but not yet broadcast, are none that were missed."""
    lagging.write(*range(91, 131))
    lagging.writer.patch(131, {"title": "at once"})
    lagging.writer.patch(132, {"title": "held"})
    assert lagging.world.flow().log.version == 132
    slow = lagging.slow.client
    slow.socket.room = None
    while slow.outlet.state is Flow.LAGGING:
        slow.wire.doWrite()
    *_, missed, held = lagging.drain()
    assert missed[-1] == 131
    assert held == [132]
    assert lagging.converges()


def test_slo5_entries_that_are_more_than_the_document_are_a_reset(make_world: MakeWorld) -> None:
    world = make_world(high_water_mark=MARK)
    writer, slow = Editor(world, "w"), Editor(world, "s")
    slow.client.socket.room = 0
    for op_id in range(1, 60):
        writer.patch(op_id, {"data": {"text": f"{PADDING}{op_id}"}})
        world.settle()
    slow.client.socket.room = None
    slow.look()
    writer.look()
    assert slow.events == ["reset"]
    assert (slow.version, slow.document) == (59, writer.document)
    writer.patch(60, {"title": "short"})
    slow.look()
    assert (slow.version, slow.document["title"]) == (60, "short")


def test_slo5_entries_that_are_not_at_hand_are_a_reset(lagging: Lagging) -> None:
    """The document is larger than all entries that are kept."""
    lagging.write(*range(91, 91 + 2 * RECENT_BYTES // 1000))
    lagging.drain()
    assert lagging.slow.events == ["reset"]
    assert lagging.converges()


def test_slo5_what_was_missed_of_two_logs_is_a_reset(lagging: Lagging) -> None:
    """The flow was deleted and made again behind the session's back."""
    lagging.write(*range(91, 131))
    store, now = lagging.world.store, lagging.world.clock.seconds()
    store.delete("f", now)
    store.create("f", "another", now, replace_deleted=True)
    lagging.world.flow().refresh()
    lagging.write(*range(131, 331))  # it has the versions that were missed of the other, at hand
    lagging.drain()
    assert lagging.slow.events == ["reset"]
    assert lagging.slow.epoch == "another"
    assert lagging.converges()


def test_slo5_those_who_need_the_document_share_it(make_world: MakeWorld) -> None:
    lagging = Lagging(make_world, count=3)
    lagging.write(*range(91, 91 + 2 * RECENT_BYTES // 1000))
    for one in lagging.all_slow:
        one.client.socket.room = 2 * MARK
    lagging.world.settle()
    whole = [one.client.outlet._queue[-1] for one in lagging.all_slow]  # type: ignore[index]
    assert all(isinstance(one, memoryview) and len(one) > 200_000 for one in whole)
    assert whole[0].obj is whole[1].obj is whole[2].obj  # type: ignore[union-attr]


def test_slo5_nothing_comes_of_a_topic_that_was_left(lagging: Lagging) -> None:
    lagging.write(*range(91, 131))
    slow = lagging.slow.client
    slow.connection.receive(slow.text(None, "bye", FLOW, "phx_leave", {}))
    slow.socket.room = None
    lagging.world.settle()
    versions = [m.payload["entries"] for m in slow.received() if m.event == "entries"]
    assert all(len(entries) == 1 for entries in versions)


# over real sockets

STUCK, READING = 5, 20
DAEMON_MARK = 64 * 1024
MESSAGE_PADDING = "y" * 20_000
MESSAGES = 150
"""Twice what the kernel's buffers and the mark hold together."""


@attrs.define(eq=False)
class Sockets:
    """Members of a daemon's flow: some read, the first of whom writes, and some have stopped."""

    daemon: Daemon
    readers: list[RawWebSocket]
    stuck: list[RawWebSocket]


@pytest.fixture
def sockets(start_daemon: Callable[..., Daemon]) -> Iterator[Sockets]:
    daemon = start_daemon("--high-water-mark", str(DAEMON_MARK))
    with ExitStack() as stack:
        readers = [stack.enter_context(RawWebSocket(daemon.port)) for _ in range(READING)]
        stuck = [
            stack.enter_context(RawWebSocket(daemon.port, receive_buffer=4096))
            for _ in range(STUCK)
        ]
        yield Sockets(daemon, readers, stuck)


def follow(client: RawWebSocket, until: int, version: int = 0) -> list[str]:
    """Read up to a version: the events that told of them, which leave out none."""
    events = []
    while version < until:
        message: list[Any] = client.read_json()
        events.append(message[3])
        if message[3] == "entries":
            for entry in message[4]["entries"]:
                assert entry["version"] == version + 1
                version = entry["version"]
        elif message[3] == "reset":
            version = message[4]["version"]
    return events


def numbers_until(client: RawWebSocket, last: int) -> list[int]:
    """Read up to a change: the numbers of all."""
    numbers: list[int] = []
    while not numbers or numbers[-1] != last:
        message: list[Any] = client.read_json()
        if message[3] == "flow_update":
            numbers.append(message[4]["changes"]["n"])
    return numbers


def test_slo5_stuck_members_in_document_mode(sockets: Sockets) -> None:
    for number, client in enumerate([*sockets.readers, *sockets.stuck]):
        reply: list[Any] = client.ask(
            FLOW, "phx_join", {"mode": "document", "client_id": f"c{number}"}
        )
        assert reply[4]["status"] == "ok"
    for version in range(1, MESSAGES + 1):
        patch = {"op_id": version, "patch": {"data": {"text": f"{MESSAGE_PADDING}{version}"}}}
        sockets.readers[0].send_json([None, str(version), FLOW, "patch", patch])
        for reader in sockets.readers:
            assert follow(reader, version, version - 1)[-1] == "entries"
    assert sockets.daemon.metric("helix_clients_lagging_total") == STUCK
    for client in sockets.stuck:
        events = follow(client, MESSAGES)
        assert events[-1] == "reset"
        assert len(events) < MESSAGES / 2
        client.assert_alive()


def test_slo4_stuck_members_cost_the_others_nothing_and_the_server_little(
    sockets: Sockets,
) -> None:
    join_refs = [client.join(FLOW) for client in [*sockets.readers, *sockets.stuck]]
    assert len(join_refs) == STUCK + READING
    process = psutil.Process(sockets.daemon.process_id)
    memory = 0
    for n in range(3 * MESSAGES):
        if n == MESSAGES:
            assert sockets.daemon.metric("helix_clients_lagging_total") == STUCK
            memory = process.memory_info().rss
        change = {"changes": {"n": n, "pad": MESSAGE_PADDING}}
        sockets.readers[0].send_json([None, str(n), FLOW, "flow_change", change])
        for reader in sockets.readers:
            assert numbers_until(reader, n) == [n]
    grown = process.memory_info().rss - memory
    assert grown < STUCK * DAEMON_MARK, "who is stuck costs more and more"
    for client in sockets.stuck:
        numbers = numbers_until(client, 3 * MESSAGES - 1)
        assert numbers[:-1] == list(range(len(numbers) - 1))
        assert len(numbers) < MESSAGES
        client.assert_alive()
