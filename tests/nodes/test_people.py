"""
Times, shared flows, and messages about members, pure. (docs/spec.md, NOD31, NOD32, NOD34, NOD38)
"""

from __future__ import annotations

import json

import pytest
from twisted.internet.task import Clock

from helix.members.cursors import Moving, Shift
from helix.members.roster import Changes, Piece, Pointer, Shown
from helix.nodes.messages import decode
from helix.nodes.people import (
    MAX_TOLD_META_BYTES,
    Closed,
    Open,
    Pointers,
    Present,
    Wanted,
    encode_changes,
    encode_closed,
    encode_open,
    encode_piece,
    encode_pointers,
    encode_wanted,
)
from helix.nodes.post import Post
from helix.nodes.shared import Shared, Sign
from helix.nodes.showing import BURST_BYTES, BYTES_PER_SECOND, Showing
from helix.nodes.stamps import MAX_STAMP, Stamps
from helix.nodes.start import Ignored
from helix.telemetry.events import Telemetry
from tests.support.bus import Bus

MEMBERS = {
    1: Shown("ada", "c1", b'{"client_id":"c1","name":"\\u00e9\xc3\xa9","n":1.50}', 7),
    2**53: Shown("x" * 255, "c2", b'{"client_id":"c2"}', 2**59),
}


def test_nod30_members_arrive_as_they_were() -> None:
    changes = Changes(3, 5, MEMBERS, [4, 5])
    said = decode(encode_changes("n", 9, 2, changes))
    assert said == ("n", "presence", Present(9, None, 2, changes))
    piece = Piece(3, 5, 1, 2, MEMBERS)
    said = decode(encode_piece("n", 9, "flow é", 2, piece))
    assert said == ("n", "roster", Present(9, "flow é", 2, piece))


def test_nod32_what_is_said_of_flows_arrives_as_it_was() -> None:
    flows = {"f": (1, 2), "é\U0001f600": (2, 0)}
    for said in (Open(3, flows), Open(0, {})):
        assert decode(encode_open("n", said)) == ("n", "open", said)
    closed, wanted = Closed("f", 3), Wanted(["f", "g"])
    assert decode(encode_closed("n", closed)) == ("n", "closed", closed)
    assert decode(encode_wanted("n", wanted)) == ("n", "roster?", wanted)


def test_nod35_cursors_arrive_as_they_were() -> None:
    pointers = [
        Pointer(1, 0.5, -2.0),
        Pointer(2),
        Pointer(3, 1.0, 2.0, 4, {"n": Moving(1.0, 2.0, 3.0, None)}, Shift(1.0, 1.5)),
    ]
    said = Pointers(3, 4, pointers)
    assert decode(encode_pointers("n", said)) == ("n", "cursors", said)


@pytest.mark.parametrize("size", [MAX_TOLD_META_BYTES, MAX_TOLD_META_BYTES + 1])
def test_nod41_metas_are_bounded(size: int) -> None:
    frame = json.dumps({"client_id": "c", "text": ""}, separators=(",", ":"))
    meta = frame.replace('""', '"' + "x" * (size - len(frame)) + '"').encode()
    message = encode_changes("n", 1, 1, Changes(1, 1, {1: Shown("k", "c", meta, 1)}))
    if size <= MAX_TOLD_META_BYTES:
        assert decode(message)[1] == "presence"
    else:
        with pytest.raises(Ignored, match="malformed"):
            decode(message)


# NOD38: times


def test_nod38_times_only_grow_whatever_the_clock_does() -> None:
    now = [1000.0]
    stamps = Stamps(lambda: now[0])
    given = [stamps.next() for _ in range(3)]
    now[0] = 2000.0
    given.append(stamps.next())
    now[0] = 500.0
    given += [stamps.next(), stamps.next()]
    assert given == [1_000_000, 1_000_001, 1_000_002, 2_000_000, 2_000_001, 2_000_002]


def test_nod38_what_was_heard_of_is_earlier() -> None:
    stamps = Stamps(lambda: 1.0)
    stamps.hear(5_000_000)
    assert stamps.next() == 5_000_001
    stamps.hear(3)
    stamps.hear(MAX_STAMP)  # a mistake
    assert stamps.next() == stamps.last == 5_000_002


# NOD31, NOD32: shared flows


def test_nod32_a_flow_is_shared_from_the_first_sign_to_the_last_end() -> None:
    shared = Shared(Clock())
    shared.begin("f")
    assert not shared.is_open("f")
    assert shared.hear("f", "a", 3) is Sign.NEW
    assert shared.hear("f", "a", 3) is Sign.KNOWN
    assert shared.hear("f", "b", 1) is Sign.NEW
    assert shared.is_open("f")
    assert shared.close("f", "a", 3)
    assert not shared.close("f", "a", 3)
    assert shared.is_open("f")
    assert shared.lose("b") == ["f"]
    assert not shared.is_open("f")
    shared.end("f")
    assert not shared.close("f", "a", 3)


def test_nod31_late_signs_of_old_sessions_count_for_nothing() -> None:
    shared = Shared(Clock())
    shared.begin("f")
    shared.close("f", "a", 5)  # heard before anything of it
    assert shared.hear("f", "a", 5) is Sign.OLD
    assert shared.hear("f", "a", 6) is Sign.NEW
    assert shared.hear("f", "a", 5) is Sign.OLD
    assert not shared.close("f", "a", 5)
    assert shared.is_open("f")


def test_nod31_sessions_without_a_sign_are_doubted_and_then_forgotten() -> None:
    clock = Clock()
    shared = Shared(clock)
    shared.begin("f")
    shared.hear("f", "a", 1)
    shared.hear("f", "b", 1)
    clock.advance(10)
    shared.hear("f", "b", 1)
    clock.advance(5)
    assert shared.silent(12) == [("f", "a")]
    assert shared.expire(12) == [("f", "a")]
    assert shared.silent(4) == [("f", "b")]
    assert shared.hear("f", "a", 1) is Sign.NEW


# NOD34: pace


def test_nod34_a_node_that_tells_much_pauses() -> None:
    clock = Clock()
    showing = Showing(Post(Bus().broker(clock), "n", Telemetry()), clock, clock.seconds)
    told = 0
    while not showing.pause:
        told += showing.show("f", 1, Changes(1, 1, MEMBERS))
    assert BURST_BYTES < told < BURST_BYTES + 2000
    for number in range(2, 3000):
        told += showing.show("f", 1, Changes(number, 1, MEMBERS))
    pause = showing.pause
    assert pause == pytest.approx((told - BURST_BYTES) / BYTES_PER_SECOND)
    clock.advance(pause)
    assert showing.pause == pytest.approx(0)
