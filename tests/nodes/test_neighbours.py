"""Who is there, what is asked of them, and messages in parts. (docs/spec.md, NOD15 to NOD18)"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from helix.nodes.asking import PATIENCE, Answers
from helix.nodes.messages import Part, decode
from helix.nodes.neighbours import HELLO, SILENCE, Neighbours
from helix.nodes.post import MAX_BYTES, MAX_HELD_BYTES, PART_PATIENCE, Parts, Post
from helix.nodes.service import UP_SECONDS
from helix.nodes.telling import Telling
from helix.telemetry.events import Telemetry
from tests.support.bus import Bus
from tests.support.world import World

# NOD15, NOD16: who is there


class Known:
    """A clock's neighbours, and what they say of them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.neighbours = Neighbours(self.clock)
        self.told: list[str] = []
        self.neighbours.on_found.append(lambda node: self.told.append(f"+{node}"))
        self.neighbours.on_gone.append(lambda node: self.told.append(f"-{node}"))


@pytest.fixture
def known() -> Known:
    return Known()


def test_nod16_a_node_is_there_until_it_was_silent_for_long(known: Known) -> None:
    known.neighbours.hear("a")
    known.clock.advance(10)
    known.neighbours.hear("b")
    known.neighbours.hear("a")
    known.clock.advance(SILENCE - 0.1)
    assert known.neighbours.present == ["b", "a"]
    known.neighbours.hear("b")
    known.clock.advance(0.2)
    assert known.neighbours.present == ["b"]
    assert known.told == ["+a", "+b", "-a"]
    known.neighbours.hear("a")
    assert known.told[3:] == ["+a"]


def test_nod16_one_that_leaves_is_gone_at_once_whatever_comes_late(known: Known) -> None:
    known.neighbours.hear("a")
    known.neighbours.leave("a")
    known.neighbours.hear("a")
    assert known.neighbours.present == []
    assert known.told == ["+a", "-a"]
    known.neighbours.leave("unknown")
    assert known.told == ["+a", "-a"]


def test_nod15_there_may_be_others_until_this_node_has_listened_for_long(known: Known) -> None:
    known.clock.advance(SILENCE)
    assert known.neighbours.may_be
    known.clock.advance(0.1)
    assert not known.neighbours.may_be
    known.neighbours.doubt()
    assert known.neighbours.may_be
    known.clock.advance(SILENCE + 0.1)
    known.neighbours.hear("a")
    assert known.neighbours.may_be


def test_nod16_no_timer_is_left_behind(known: Known) -> None:
    known.neighbours.hear("a")
    known.neighbours.leave("b")
    known.neighbours.stop()
    assert not known.clock.getDelayedCalls()
    known.neighbours.hear("c")
    known.neighbours.leave("c")
    for _ in range(3):
        known.clock.advance(SILENCE)
    assert not known.clock.getDelayedCalls()


# NOD17: questions


class Three:
    """Three nodes that know each other."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.worlds = [World(broker=self.bus.broker, seed=seed) for seed in range(3)]
        self.settle()

    def settle(self) -> None:
        for _ in range(20):
            for world in self.worlds:
                world.settle()

    def telling(self, number: int) -> Telling:
        nodes = self.worlds[number].nodes
        assert nodes is not None
        return nodes._telling

    def answer(self, number: int, answer: Deferred[bytes]) -> None:
        self.telling(number).asking.responds["count"] = lambda body: answer

    def ask(self) -> list[Answers]:
        told: list[Answers] = []
        self.telling(0).asking.ask("count", b'{"of":"f"}').addCallback(told.append)
        self.settle()
        return told


@pytest.fixture
def three() -> Iterator[Three]:
    three = Three()
    yield three
    for world in three.worlds:
        world.end()


def test_nod17_all_are_asked_and_their_answers_gathered(three: Three) -> None:
    asked: list[bytes] = []

    def respond(body: bytes) -> Deferred[bytes]:
        asked.append(body)
        return succeed(b"1")

    three.telling(1).asking.responds["count"] = respond
    three.answer(2, succeed(b"[2]"))
    assert three.ask() == [{three.telling(1).node: b"1", three.telling(2).node: b"[2]"}]
    assert asked == [b'{"of":"f"}']


@pytest.mark.parametrize("silent", ["late", "failing", "unaware", "gone", "leaving"])
def test_nod17_who_does_not_answer_in_time_is_left_out(three: Three, silent: str) -> None:
    three.answer(1, succeed(b"1"))
    late: Deferred[bytes] = Deferred()
    if silent in ("late", "leaving"):
        three.answer(2, late)
    elif silent == "failing":
        three.answer(2, fail(ZeroDivisionError()))
    elif silent == "gone":
        three.worlds[2].broker.stop()  # type: ignore[union-attr]
    told = three.ask()
    assert told == []
    if silent == "leaving":
        three.telling(2).leave()
    else:
        three.worlds[0].clock.advance(PATIENCE)
    three.settle()
    assert told == [{three.telling(1).node: b"1"}]
    if silent == "failing":
        for world in three.worlds:  # all of which see the one log
            assert len(world.failures) == 1
            world.failures.clear()
    late.callback(b"2")
    three.settle()
    assert len(told) == 1


def test_nod17_a_node_alone_or_unheard_has_its_answers_at_once(three: Three) -> None:
    three.bus.set_up(False)
    assert three.ask() == [{}]
    three.bus.set_up(True)
    alone = World(broker=Bus().broker)
    assert alone.nodes is not None
    alone.clock.advance(HELLO)
    told: list[Answers] = []
    alone.nodes._telling.asking.ask("count", b"{}").addCallback(told.append)
    assert told == [{}]
    alone.end()


def test_nod136_a_node_that_has_just_come_asks_whoever_is_there(three: Three) -> None:
    for number in (1, 2):
        three.answer(number, succeed(b"%d" % number))
    new = World(broker=three.bus.broker, seed=3)
    three.worlds.append(new)
    told: list[Answers] = []
    three.telling(3).asking.ask("count", b"{}").addCallback(told.append)
    three.settle()
    assert told == []
    new.clock.advance(PATIENCE)
    assert told == [{three.telling(1).node: b"1", three.telling(2).node: b"2"}]


def test_nod17_one_node_is_asked_by_its_id(three: Three) -> None:
    three.answer(1, succeed(b"1"))
    told: list[bytes | None] = []
    asking = three.telling(0).asking
    asking.ask_one(three.telling(1).node, "count", b"{}").addCallback(told.append)
    asking.ask_one("unknown", "count", b"{}").addCallback(told.append)
    three.settle()
    assert told == [b"1"]
    three.worlds[0].clock.advance(PATIENCE)
    assert told == [b"1", None]


def test_nod17_a_large_answer_arrives(three: Three) -> None:
    large = b'"%b"' % (b"x" * 200_000)
    three.answer(1, succeed(large))
    three.answer(2, succeed(b"2"))
    assert three.ask() == [{three.telling(1).node: large, three.telling(2).node: b"2"}]


# NOD16 of whole nodes


def test_nod16_nodes_find_each_other_and_notice_the_end(three: Three) -> None:
    ids = [three.telling(number).node for number in range(3)]
    assert set(three.telling(0).neighbours.present) == {ids[1], ids[2]}
    three.worlds[1].nodes.stopService()  # type: ignore[union-attr]
    three.settle()
    assert three.telling(0).neighbours.present == [ids[2]]
    three.worlds[2].broker.stop()  # type: ignore[union-attr]
    for _ in range(4):
        three.worlds[0].clock.advance(UP_SECONDS)
        three.worlds[0].settle()
    assert three.telling(0).neighbours.present == []


# NOD18: parts


class Sent:
    """What a node's post gives to its broker."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.post = Post(self.bus.broker(Clock()), "n", Telemetry())

    def parts(self, message: bytes) -> list[Part]:
        self.post._broker.is_up = True
        assert self.post.send("t", "x", message)
        parts = []
        for topic, part in self.bus.sent:
            assert topic == "t"
            assert len(part) <= self.post.max_bytes
            node, _, said = decode(part)
            assert node == "n"
            assert isinstance(said, Part)
            parts.append(said)
        self.bus.sent.clear()
        return parts


@pytest.mark.parametrize("size", [7501, 20_000, MAX_BYTES])
def test_nod18_large_messages_go_in_parts_and_come_whole_in_any_order(size: int) -> None:
    sent = Sent()
    message = bytes(number % 251 for number in range(size))
    others = sent.parts(b"x" * 8000)
    parts = sent.parts(message)
    got = Parts(Clock())
    assert got.take("t", "n", others[0]) is None
    for part in [*parts[:0:-1], parts[1]]:
        assert got.take("t", "n", part) is None
    assert got.take("t", "other", parts[0]) is None
    assert got.take("t", "n", parts[0]) == message


def test_nod18_beyond_the_limit_nothing_is_sent() -> None:
    sent = Sent()
    sent.post._broker.is_up = True
    assert not sent.post.send("t", "x", b"x" * (MAX_BYTES + 1))
    assert not sent.bus.sent


def test_nod18_parts_wait_for_others_for_a_while_and_take_bounded_memory() -> None:
    clock = Clock()
    got = Parts(clock)
    assert got.take("t", "n", Part(1, 0, 2, b"a")) is None
    clock.advance(PART_PATIENCE)
    assert got.take("t", "n", Part(1, 1, 2, b"b")) is None
    assert got.take("t", "n", Part(1, 0, 2, b"a")) == b"ab"
    large = b"x" * (MAX_HELD_BYTES // 4)
    for number in range(10, 16):
        assert got.take("t", "n", Part(number, 0, 2, large)) is None
    assert got._size <= MAX_HELD_BYTES
    assert got.take("t", "n", Part(15, 1, 2, b"!")) == large + b"!"
    assert got.take("t", "n", Part(10, 1, 2, b"!")) is None
