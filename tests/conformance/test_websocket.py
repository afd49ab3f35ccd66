"""
RFC 6455 from the server's side: what the Autobahn testsuite's cases ask of a server.

The numbers in docstrings are the testsuite's groups and cases. Helix does not echo, so a message
that the testsuite would have echoed is a heartbeat whose ``ref`` the reply repeats, or a
``flow_change`` that is relayed to its sender.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest

from helix.web.upgrade import ANSWERED_OVER
from tests.conformance.conftest import MAX_FRAME_BYTES
from tests.support.rawsocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PATH,
    PING,
    PONG,
    TEXT,
    EndOfStream,
    Frame,
    RawConnection,
    RawWebSocket,
    build_frame,
    close_payload,
    upgrade_request,
)

Connect = Callable[..., RawWebSocket]

NORMAL = 1000
PROTOCOL_ERROR = 1002
INVALID_PAYLOAD = 1007
TOO_BIG = 1009


def heartbeat(ref: str = "r", size: int = 0) -> bytes:
    """A message of ``size`` bytes (or as few as do) that is answered with its ``ref``."""
    head = b'[null,%b,"phoenix","heartbeat",{"pad":"' % json.dumps(ref, ensure_ascii=False).encode()
    return head + b"." * (size - len(head) - 3) + b'"}]'


def heartbeat_binary(ref: bytes = b"r", data: bytes = b"") -> bytes:
    """The same as a binary push."""
    sizes = bytes([0, 0, len(ref), len(b"phoenix"), len(b"heartbeat")])
    return sizes + ref + b"phoenix" + b"heartbeat" + data


def assert_answered(websocket: RawWebSocket, ref: str = "r") -> None:
    """The next thing that comes is the answer to ``heartbeat(ref)``."""
    answer = websocket.read_json()
    assert answer == [None, ref, "phoenix", "phx_reply", {"status": "ok", "response": {}}]


def assert_pong(websocket: RawWebSocket, payload: bytes = b"") -> None:
    assert websocket.read_frame() == Frame(PONG, payload)


def assert_failed(websocket: RawWebSocket, code: int) -> None:
    """The server closes with ``code``, and nothing that was sent behind the mistake is answered."""
    frame = websocket.read_frame()
    assert frame.opcode == CLOSE, frame
    assert frame.close_code == code
    frame.payload[2:].decode()
    websocket.send_frame(CLOSE, close_payload(code))
    assert websocket.read_to_end() == b""


def chopped(data: bytes, size: int) -> Iterable[bytes]:
    cuts = [*range(0, len(data), size), len(data)]
    return [data[start:end] for start, end in pairwise(cuts)]


# 1: framing

SIZES = (100, 125, 126, 127, 128, 65535, 65536, 65537)


@pytest.mark.parametrize("size", SIZES)
def test_text_of_any_size(websocket: RawWebSocket, size: int) -> None:
    """1.1.1 to 1.1.7"""
    message = heartbeat(size=size)
    assert len(message) == size
    websocket.send_frame(TEXT, message)
    assert_answered(websocket)


@pytest.mark.parametrize("size", SIZES)
def test_binary_of_any_size(websocket: RawWebSocket, size: int) -> None:
    """1.2.1 to 1.2.7"""
    message = heartbeat_binary()
    websocket.send_frame(BINARY, message + b"\xfe" * (size - len(message)))
    assert_answered(websocket)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_empty_message_is_dropped(websocket: RawWebSocket, opcode: int) -> None:
    """1.1.1 and 1.2.1: well-formed for RFC 6455, though not for Phoenix."""
    websocket.send_frame(opcode)
    websocket.send_frame(TEXT, heartbeat())
    assert_answered(websocket)


@pytest.mark.parametrize("size", [125, 126, 127, 128, 65535, 65536])
def test_relayed_frame_of_any_size(websocket: RawWebSocket, size: int) -> None:
    """1.1.2 to 1.1.7, on the way out: what the server sends has minimal lengths, too."""
    join_ref = websocket.join(f"flow:framing{size}")
    outside = len(b'[null,null,"flow:framing","flow_update",{"changes":"","timestamp":1700000000}]')
    changes = "x" * (size - outside - len(str(size)))
    websocket.send_json([join_ref, "c", f"flow:framing{size}", "flow_change", {"changes": changes}])
    frames = [websocket.read_frame(), websocket.read_frame()]
    update = next(frame for frame in frames if b"flow_update" in frame.payload)
    assert json.loads(update.payload)[4]["changes"] == changes
    assert len(update.payload) == size


@pytest.mark.parametrize("size", [100, 128, 4000, 70000])
@pytest.mark.parametrize("chop", [1, 7, 997])
def test_text_in_small_tcp_segments(websocket: RawWebSocket, size: int, chop: int) -> None:
    """1.1.8"""
    if size // chop > 4000:
        chop = size // 4000
    for part in chopped(build_frame(TEXT, heartbeat(size=size)), chop):
        websocket.send(part)
    assert_answered(websocket)


@pytest.mark.parametrize("at", range(1, 16))
def test_frame_is_cut_anywhere_in_its_head(websocket: RawWebSocket, at: int) -> None:
    """1.1.8: with another frame before and behind, in the same segments."""
    whole = build_frame(TEXT, heartbeat("one", 70))
    cut = build_frame(TEXT, heartbeat("two", 200))
    websocket.send(whole + cut[:at])
    assert_answered(websocket, "one")
    websocket.send(cut[at:] + whole)
    assert_answered(websocket, "two")
    assert_answered(websocket, "one")


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1\2\3\4"])
def test_any_mask(websocket: RawWebSocket, mask: bytes) -> None:
    websocket.send_frame(TEXT, heartbeat("masked", 301), mask=mask)
    assert_answered(websocket, "masked")


def test_many_frames_in_one_segment(websocket: RawWebSocket) -> None:
    websocket.send(b"".join(build_frame(TEXT, heartbeat(str(n))) for n in range(200)))
    for n in range(200):
        assert_answered(websocket, str(n))


# 2: pings and pongs


@pytest.mark.parametrize("payload", [b"", b"ping", bytes(range(125)), b"\xfe" * 125])
def test_ping_is_answered_with_its_payload(websocket: RawWebSocket, payload: bytes) -> None:
    """2.1 to 2.4"""
    websocket.send_frame(PING, payload)
    assert_pong(websocket, payload)


@pytest.mark.parametrize("chop", [1, 2, 5])
def test_ping_in_small_tcp_segments(websocket: RawWebSocket, chop: int) -> None:
    """2.6"""
    for part in chopped(build_frame(PING, b"\xfe" * 125), chop):
        websocket.send(part)
    assert_pong(websocket, b"\xfe" * 125)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_control_frame_over_125_bytes(websocket: RawWebSocket, opcode: int) -> None:
    """2.5"""
    websocket.send_frame(opcode, close_payload(NORMAL, b"x" * 124))
    assert_failed(websocket, PROTOCOL_ERROR)


@pytest.mark.parametrize("payload", [b"", b"unsolicited"])
def test_unsolicited_pong_is_ignored(websocket: RawWebSocket, payload: bytes) -> None:
    """2.7 to 2.9"""
    websocket.send_frame(PONG, payload)
    websocket.send_frame(PING, b"after")
    assert_pong(websocket, b"after")


@pytest.mark.parametrize("chop", [10_000, 1])
def test_ten_pings(websocket: RawWebSocket, chop: int) -> None:
    """2.10 and 2.11"""
    pings = b"".join(build_frame(PING, b"ping %d" % n) for n in range(10))
    for part in chopped(pings, chop):
        websocket.send(part)
    for n in range(10):
        assert_pong(websocket, b"ping %d" % n)


def test_replies_and_pongs_keep_their_order(websocket: RawWebSocket) -> None:
    frames = b""
    for n in range(50):
        frames += build_frame(TEXT, heartbeat(str(n))) + build_frame(PING, b"%d" % n)
    websocket.send(frames)
    for n in range(50):
        assert_answered(websocket, str(n))
        assert_pong(websocket, b"%d" % n)


# 3: reserved bits


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_reserved_bits_fail_the_connection(websocket: RawWebSocket, opcode: int, rsv: int) -> None:
    """3.1 to 3.7: and what came before is answered, what comes behind is not."""
    websocket.send(
        build_frame(TEXT, heartbeat("before"))
        + build_frame(opcode, b"", rsv=rsv)
        + build_frame(TEXT, heartbeat("behind"))
        + build_frame(PING)
    )
    assert_answered(websocket, "before")
    assert_failed(websocket, PROTOCOL_ERROR)


def test_reserved_bits_one_byte_at_a_time(websocket: RawWebSocket) -> None:
    """3.3"""
    for part in chopped(build_frame(TEXT, heartbeat("before")) + b"\xc1\x80", 1):
        websocket.send(part)
    assert_answered(websocket, "before")
    assert_failed(websocket, PROTOCOL_ERROR)


def test_no_extension_is_agreed_on(connect: Connect) -> None:
    """12 and 13: compression is not offered, so nothing may be compressed."""
    offer = ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
    websocket = connect(PATH, [offer])
    assert "sec-websocket-extensions" not in websocket.response.headers
    websocket.send_frame(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=4)
    assert_failed(websocket, PROTOCOL_ERROR)


# 4: reserved opcodes


@pytest.mark.parametrize("opcode", [*range(3, 8), *range(11, 16)])
@pytest.mark.parametrize("payload", [b"", b"payload"])
def test_reserved_opcodes_fail_the_connection(
    websocket: RawWebSocket, opcode: int, payload: bytes
) -> None:
    """4.1.1 to 4.2.5"""
    websocket.send(
        build_frame(TEXT, heartbeat("before"))
        + build_frame(opcode, payload)
        + build_frame(TEXT, heartbeat("behind"))
    )
    assert_answered(websocket, "before")
    assert_failed(websocket, PROTOCOL_ERROR)


# 5: fragmentation


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_fragmented_control_frame(websocket: RawWebSocket, opcode: int) -> None:
    """5.1 and 5.2"""
    websocket.send(build_frame(opcode, b"", fin=False) + build_frame(CONTINUATION, b""))
    assert_failed(websocket, PROTOCOL_ERROR)


@pytest.mark.parametrize("chop", [10_000, 1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_message_in_two_fragments(websocket: RawWebSocket, opcode: int, chop: int) -> None:
    """5.3 to 5.5"""
    message = heartbeat("ab") if opcode == TEXT else heartbeat_binary(b"ab")
    frames = build_frame(opcode, message[:9], fin=False) + build_frame(CONTINUATION, message[9:])
    for part in chopped(frames, chop):
        websocket.send(part)
    assert_answered(websocket, "ab")


@pytest.mark.parametrize("chop", [10_000, 1])
def test_ping_between_fragments(websocket: RawWebSocket, chop: int) -> None:
    """5.6 to 5.8"""
    message = heartbeat("ab")
    frames = (
        build_frame(TEXT, message[:9], fin=False)
        + build_frame(PING, b"between")
        + build_frame(CONTINUATION, message[9:])
    )
    for part in chopped(frames, chop):
        websocket.send(part)
    assert_pong(websocket, b"between")
    assert_answered(websocket, "ab")


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("chop", [10_000, 1])
def test_continuation_of_nothing(websocket: RawWebSocket, fin: bool, chop: int) -> None:
    """5.9 to 5.14: also right behind a whole message."""
    frames = build_frame(TEXT, heartbeat("before")) + build_frame(
        CONTINUATION, heartbeat("behind"), fin=fin
    )
    for part in chopped(frames, chop):
        websocket.send(part)
    assert_answered(websocket, "before")
    assert_failed(websocket, PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("together", [True, False])
def test_new_message_inside_a_fragmented_one(
    websocket: RawWebSocket, opcode: int, fin: bool, together: bool
) -> None:
    """5.15 to 5.18"""
    start = build_frame(TEXT, heartbeat("start")[:9], fin=False)
    inside = build_frame(opcode, heartbeat("inside"), fin=fin)
    if together:
        websocket.send(start + inside)
    else:
        websocket.send(start)
        websocket.send_frame(PING)
        assert_pong(websocket)
        websocket.send(inside)
    assert_failed(websocket, PROTOCOL_ERROR)


def test_pings_between_many_fragments(websocket: RawWebSocket) -> None:
    """5.19 and 5.20"""
    message = heartbeat("five", 250)
    first, *rest = chopped(message, 50)
    websocket.send_frame(TEXT, first, fin=False)
    for n, part in enumerate(rest):
        websocket.send_frame(PING, b"%d" % n)
        assert_pong(websocket, b"%d" % n)
        websocket.send_frame(CONTINUATION, part, fin=n == len(rest) - 1)
    assert_answered(websocket, "five")


def test_empty_fragments(websocket: RawWebSocket) -> None:
    """6.1.3"""
    websocket.send_frame(TEXT, b"", fin=False)
    websocket.send_frame(CONTINUATION, b"", fin=False)
    websocket.send_frame(CONTINUATION, heartbeat("late"), fin=False)
    websocket.send_frame(CONTINUATION, b"")
    assert_answered(websocket, "late")


# the seam: whole frames, then fragments, then whole frames


def test_fragment_behind_whole_frames_in_one_segment(websocket: RawWebSocket) -> None:
    message = heartbeat("split", 180)
    websocket.send(
        build_frame(TEXT, heartbeat("one"))
        + build_frame(TEXT, message[:60], fin=False)
        + build_frame(CONTINUATION, message[60:])
        + build_frame(TEXT, heartbeat("two"))
    )
    for ref in ("one", "split", "two"):
        assert_answered(websocket, ref)


def test_fragments_and_whole_frames_cut_everywhere(websocket: RawWebSocket) -> None:
    message = heartbeat("split", 130)
    data = (
        build_frame(TEXT, heartbeat("one", 126))
        + build_frame(PING, b"p")
        + build_frame(TEXT, message[:60], fin=False)
        + build_frame(PING, b"q")
        + build_frame(CONTINUATION, message[60:])
        + build_frame(BINARY, heartbeat_binary(b"bin"))
        + build_frame(TEXT, heartbeat("two", 127))
    )
    for cut in range(1, len(data), 5):
        websocket.send(data[:cut])
        websocket.send(data[cut:])
        assert_answered(websocket, "one")
        assert_pong(websocket, b"p")
        assert_pong(websocket, b"q")
        assert_answered(websocket, "split")
        assert_answered(websocket, "bin")
        assert_answered(websocket, "two")


def test_control_frame_behind_a_frame_that_was_cut(websocket: RawWebSocket) -> None:
    cut = build_frame(TEXT, heartbeat("cut", 300))
    websocket.send(cut[:150])
    websocket.send(cut[150:] + build_frame(PING, b"behind"))
    assert_answered(websocket, "cut")
    assert_pong(websocket, b"behind")


def test_bytes_of_a_frame_inside_a_frame_that_is_cut(websocket: RawWebSocket) -> None:
    """A payload that looks like frames is one all the same."""
    inner = build_frame(TEXT, heartbeat("inner"), mask=b"\0\0\0\0").decode("latin-1")
    message = json.dumps([None, "outer", "phoenix", "heartbeat", inner], ensure_ascii=False)
    frame = build_frame(TEXT, message.encode(), mask=b"\0\0\0\0")
    for cut in range(1, len(frame), 3):
        websocket.send(frame[:cut])
        websocket.send(frame[cut:])
        assert_answered(websocket, "outer")


def test_close_behind_whole_frames_in_one_segment(websocket: RawWebSocket) -> None:
    websocket.send(
        build_frame(TEXT, heartbeat("one"))
        + build_frame(CLOSE, close_payload(NORMAL))
        + build_frame(TEXT, heartbeat("behind"))
    )
    assert_answered(websocket, "one")
    assert websocket.read_close() == NORMAL


# 6: UTF-8

VALID_UTF8 = {
    "6.2.1": "Hello-µ@ßöäüàá-UTF-8!!",
    "6.5.1": "κόσμε",
    "6.6.2": "\0",
    "6.6.5": "\u0080",
    "6.6.7": "\u0800",
    "6.6.9": "\U00010000",
    "6.7.1": "\x7f",
    "6.7.2": "\u07ff",
    "6.7.3": "\uffff",
    "6.7.4": "\U0010ffff",
    "6.9.1": "\ud7ff",
    "6.9.2": "\ue000",
    "6.9.3": "\ufffd",
    "6.9.4": "\U0010ffff",
    "6.22": "\ufffe\U0001fffe\U0010fffe",
    "6.23": "\ufdd0\ufdef\u2028\ufeff",
}

INVALID_UTF8 = {
    "6.3.1 after valid text": b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    "6.8.1 above U+10FFFF": b"\xf4\x90\x80\x80",
    "6.8.2 five bytes": b"\xf8\x88\x80\x80\x80",
    "6.8.3 six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "6.10.1 lone continuation": b"\x80",
    "6.10.2 lone continuation": b"\xbf",
    "6.10.3 two continuations": b"\x80\xbf",
    "6.11 all continuations": bytes(range(0x80, 0xC0)),
    "6.12.1 lone start of two": b"\xc3\x20",
    "6.12.3 lone start of three": b"\xe0\x20",
    "6.12.5 lone start of four": b"\xf0\x20",
    "6.13.1 two without its last": b"\xc3",
    "6.13.2 three without its last": b"\xe1\xbd",
    "6.13.3 four without its last": b"\xf0\x9f\x98",
    "6.14 truncated, then ASCII": b"\xf0\x9f\x98a",
    "6.16.1 fe": b"\xfe",
    "6.16.2 ff": b"\xff",
    "6.17.1 overlong slash in two": b"\xc0\xaf",
    "6.17.2 overlong slash in three": b"\xe0\x80\xaf",
    "6.17.3 overlong slash in four": b"\xf0\x80\x80\xaf",
    "6.18.1 overlong U+007F": b"\xc1\xbf",
    "6.18.2 overlong U+07FF": b"\xe0\x9f\xbf",
    "6.18.3 overlong U+FFFF": b"\xf0\x8f\xbf\xbf",
    "6.19.1 overlong NUL": b"\xc0\x80",
    "6.20.1 surrogate D800": b"\xed\xa0\x80",
    "6.20.7 surrogate DFFF": b"\xed\xbf\xbf",
    "6.21.1 pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
}


@pytest.mark.parametrize("text", VALID_UTF8.values(), ids=VALID_UTF8.keys())
@pytest.mark.parametrize("size", [0, 70_000])
def test_valid_utf8(websocket: RawWebSocket, text: str, size: int) -> None:
    """6.2, 6.5 to 6.9, 6.22, 6.23: in a small frame and in a large one."""
    websocket.send_frame(TEXT, heartbeat(text, size))
    assert_answered(websocket, text)


@pytest.mark.parametrize("text", VALID_UTF8.values(), ids=VALID_UTF8.keys())
def test_valid_utf8_in_fragments_of_one_byte(websocket: RawWebSocket, text: str) -> None:
    """6.2.3 and 6.2.4"""
    first, *rest = chopped(heartbeat(text), 1)
    websocket.send(build_frame(TEXT, first, fin=False))
    websocket.send(b"".join(build_frame(CONTINUATION, part, fin=False) for part in rest))
    websocket.send_frame(CONTINUATION)
    assert_answered(websocket, text)


@pytest.mark.parametrize("text", VALID_UTF8.values(), ids=VALID_UTF8.keys())
def test_valid_utf8_in_a_frame_cut_everywhere(websocket: RawWebSocket, text: str) -> None:
    """6.2.2"""
    for part in chopped(build_frame(TEXT, heartbeat(text)), 1):
        websocket.send(part)
    assert_answered(websocket, text)


@pytest.mark.parametrize("text", INVALID_UTF8.values(), ids=INVALID_UTF8.keys())
@pytest.mark.parametrize("size", [0, 70_000])
def test_invalid_utf8(websocket: RawWebSocket, text: bytes, size: int) -> None:
    """6.3, 6.8, 6.10 to 6.21: inside JSON that would do, with good messages around."""
    message = heartbeat("bad", size).replace(b"bad", text)
    websocket.send(
        build_frame(TEXT, heartbeat("before"))
        + build_frame(TEXT, message)
        + build_frame(TEXT, heartbeat("behind"))
    )
    assert_answered(websocket, "before")
    assert_failed(websocket, INVALID_PAYLOAD)


@pytest.mark.parametrize("text", INVALID_UTF8.values(), ids=INVALID_UTF8.keys())
def test_invalid_utf8_alone(websocket: RawWebSocket, text: bytes) -> None:
    """6.3, 6.8, 6.10 to 6.21: as the whole message."""
    websocket.send_frame(TEXT, text)
    assert_failed(websocket, INVALID_PAYLOAD)


@pytest.mark.parametrize("text", INVALID_UTF8.values(), ids=INVALID_UTF8.keys())
def test_invalid_utf8_in_fragments_of_one_byte(websocket: RawWebSocket, text: bytes) -> None:
    """6.3.2"""
    first, *rest = chopped(text + b"\x20", 1)
    websocket.send(
        build_frame(TEXT, first, fin=False)
        + b"".join(build_frame(CONTINUATION, part, fin=False) for part in rest)
        + build_frame(CONTINUATION)
    )
    assert_failed(websocket, INVALID_PAYLOAD)


def test_invalid_utf8_fails_before_the_message_ends(websocket: RawWebSocket) -> None:
    """6.4.1 and 6.4.2: at the fragment that can't be right any more."""
    websocket.send_frame(TEXT, "κόσμε".encode(), fin=False)
    websocket.send_frame(PING)
    assert_pong(websocket)
    websocket.send_frame(CONTINUATION, b"\xf4\x90\x80\x80", fin=False)
    assert_failed(websocket, INVALID_PAYLOAD)


def test_invalid_utf8_fails_before_the_fragment_ends(websocket: RawWebSocket) -> None:
    """6.4.3 and 6.4.4"""
    fragment = build_frame(CONTINUATION, b"\xf4\x90\x80\x80" + b"edited" * 100, fin=False)
    websocket.send_frame(TEXT, "κόσμε".encode(), fin=False)
    websocket.send(fragment[:16])
    frame = websocket.read_frame()
    assert (frame.opcode, frame.close_code) == (CLOSE, INVALID_PAYLOAD)


def test_code_point_is_cut_by_fragments(websocket: RawWebSocket) -> None:
    """6.2.4: between each two bytes of a character, with a ping there."""
    message = heartbeat("\U0001f600")
    at = message.index("\U0001f600".encode())
    for cut in range(at, at + 5):
        websocket.send(
            build_frame(TEXT, message[:cut], fin=False)
            + build_frame(PING)
            + build_frame(CONTINUATION, message[cut:])
        )
        assert_pong(websocket)
        assert_answered(websocket, "\U0001f600")


def test_message_ends_inside_a_code_point(websocket: RawWebSocket) -> None:
    """6.13: also where each fragment could be right."""
    websocket.send_frame(TEXT, b"\xf0\x9f", fin=False)
    websocket.send_frame(CONTINUATION, b"\x98")
    assert_failed(websocket, INVALID_PAYLOAD)


def test_invalid_utf8_in_a_binary_message_is_no_matter(websocket: RawWebSocket) -> None:
    websocket.send_frame(BINARY, heartbeat_binary(data=b"\xff\xfe\xed\xa0\x80"))
    assert_answered(websocket)


# 7: close handling


def test_close_without_a_code(websocket: RawWebSocket) -> None:
    """7.3.1"""
    websocket.send_frame(CLOSE)
    assert websocket.read_close() in (None, NORMAL)


def test_close_with_half_a_code(websocket: RawWebSocket) -> None:
    """7.3.2"""
    websocket.send_frame(CLOSE, b"a")
    assert_failed(websocket, PROTOCOL_ERROR)


@pytest.mark.parametrize("reason", [b"", b"Hello World!", "κόσμε".encode(), b"x" * 123])
def test_close_with_a_reason(websocket: RawWebSocket, reason: bytes) -> None:
    """7.3.3 to 7.3.5"""
    websocket.send_frame(CLOSE, close_payload(NORMAL, reason))
    assert websocket.read_close() == NORMAL


def test_close_with_too_long_a_reason(websocket: RawWebSocket) -> None:
    """7.3.6"""
    websocket.send_frame(CLOSE, close_payload(NORMAL, b"x" * 124))
    assert_failed(websocket, PROTOCOL_ERROR)


@pytest.mark.parametrize("reason", INVALID_UTF8.values(), ids=INVALID_UTF8.keys())
def test_close_with_a_reason_of_invalid_utf8(websocket: RawWebSocket, reason: bytes) -> None:
    """7.5.1"""
    websocket.send_frame(CLOSE, close_payload(NORMAL, reason))
    assert_failed(websocket, INVALID_PAYLOAD)


@pytest.mark.parametrize(
    "code",
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999],
)
def test_close_with_a_valid_code(websocket: RawWebSocket, code: int) -> None:
    """7.7: the answer is the code, or 1000. (1012 and 1013 have been registered since.)"""
    websocket.send_frame(CLOSE, close_payload(code))
    assert websocket.read_close() in (code, NORMAL)


@pytest.mark.parametrize(
    "code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
)
def test_close_with_an_invalid_code(websocket: RawWebSocket, code: int) -> None:
    """7.9 and 7.13"""
    websocket.send_frame(CLOSE, close_payload(code))
    assert_failed(websocket, PROTOCOL_ERROR)


@pytest.mark.parametrize(
    "behind",
    [
        build_frame(TEXT, heartbeat("behind")),
        build_frame(PING, b"behind"),
        build_frame(CLOSE, close_payload(NORMAL)),
        build_frame(CONTINUATION, b"behind"),
        b"\xff" * 40,
    ],
    ids=["message", "ping", "close", "continuation", "rubbish"],
)
@pytest.mark.parametrize("together", [True, False])
def test_nothing_behind_a_close_is_answered(
    websocket: RawWebSocket, behind: bytes, together: bool
) -> None:
    """7.1.2 to 7.1.6"""
    close = build_frame(CLOSE, close_payload(NORMAL))
    if together:
        websocket.send(close + behind)
    else:
        websocket.send(close)
        websocket.send(behind)
    assert websocket.read_close() == NORMAL


def test_close_inside_a_fragmented_message(websocket: RawWebSocket) -> None:
    """7.1.4"""
    websocket.send_frame(TEXT, b"[null,", fin=False)
    websocket.send_frame(CLOSE, close_payload(NORMAL))
    assert websocket.read_close() == NORMAL


def test_close_while_much_is_on_its_way(websocket: RawWebSocket) -> None:
    """7.1.6: all that was asked for before the close is answered before it."""
    for n in range(10):
        websocket.send_frame(TEXT, heartbeat(str(n), 200_000))
    websocket.send_frame(CLOSE, close_payload(NORMAL))
    for n in range(10):
        assert_answered(websocket, str(n))
    assert websocket.read_close() == NORMAL


@pytest.mark.parametrize("mistake", [b"\x83\x80\0\0\0\0", b"\x81\x01a", b"\x81\x81\0\0\0\0\xff"])
def test_server_does_not_wait_for_an_answer_to_its_close(
    websocket: RawWebSocket, mistake: bytes
) -> None:
    """A client that never closes, and goes on sending, is cut off within seconds."""
    websocket.send(mistake)
    frame = websocket.read_frame()
    assert frame.opcode == CLOSE
    for _ in range(20):
        websocket.send_frame(TEXT, heartbeat())
    assert websocket.read_to_end() == b""


# 9: limits


def test_message_of_just_the_limit(websocket: RawWebSocket) -> None:
    """9.1"""
    websocket.send_frame(TEXT, heartbeat(size=MAX_FRAME_BYTES))
    assert_answered(websocket)


@pytest.mark.parametrize("size", [1, MAX_FRAME_BYTES, 3 * MAX_FRAME_BYTES])
@pytest.mark.parametrize("part", [10_000, 100_000, 10_000_000])
def test_frm6_message_over_the_limit_is_answered(
    websocket: RawWebSocket, size: int, part: int
) -> None:
    """The client learns of it, and goes on over the same WebSocket."""
    first, *rest = chopped(heartbeat("large", MAX_FRAME_BYTES + size), part)
    websocket.send_frame(TEXT, first, fin=not rest)
    for fragment in rest:
        websocket.send_frame(CONTINUATION, fragment, fin=fragment is rest[-1])
    reply = websocket.read_json()
    assert reply[1:4] == ["large", "phoenix", "phx_reply"]
    assert reply[4]["response"]["code"] == "frame_too_large"
    websocket.send_frame(TEXT, heartbeat("small"))
    assert_answered(websocket, "small")


def test_frm6_binary_message_over_the_limit_is_answered(websocket: RawWebSocket) -> None:
    websocket.send_frame(BINARY, heartbeat_binary(b"large", bytes(MAX_FRAME_BYTES)))
    assert websocket.read_json()[4]["response"]["code"] == "frame_too_large"
    websocket.send_frame(TEXT, heartbeat("small"))
    assert_answered(websocket, "small")


@pytest.mark.parametrize("text", [b"x" * (MAX_FRAME_BYTES + 1), b"[1," * MAX_FRAME_BYTES])
def test_frm6_what_cannot_be_told_closes(websocket: RawWebSocket, text: bytes) -> None:
    websocket.send_frame(TEXT, text)
    assert_failed(websocket, TOO_BIG)


def test_message_over_the_limit(websocket: RawWebSocket) -> None:
    """9.1: and it is refused before it has come."""
    frame = build_frame(TEXT, b"", length=ANSWERED_OVER * MAX_FRAME_BYTES + 1)
    websocket.send(build_frame(TEXT, heartbeat("before")) + frame)
    assert_answered(websocket, "before")
    assert_failed(websocket, TOO_BIG)


@pytest.mark.parametrize("part", [1024, 65536])
def test_fragments_of_just_the_limit(websocket: RawWebSocket, part: int) -> None:
    """9.3"""
    first, *rest = chopped(heartbeat(size=MAX_FRAME_BYTES), part)
    websocket.send_frame(TEXT, first, fin=False)
    for fragment in rest:
        websocket.send_frame(CONTINUATION, fragment, fin=False)
    websocket.send_frame(CONTINUATION)
    assert_answered(websocket)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_fragments_over_the_limit(websocket: RawWebSocket, opcode: int) -> None:
    """9.3: at the fragment that goes over it."""
    first, *rest = chopped(b" " * (ANSWERED_OVER * MAX_FRAME_BYTES), 32768)
    websocket.send_frame(opcode, first, fin=False)
    for fragment in rest:
        websocket.send_frame(CONTINUATION, fragment, fin=False)
    websocket.send_frame(PING)
    assert_pong(websocket)
    websocket.send_frame(CONTINUATION, b" ", fin=False)
    assert_failed(websocket, TOO_BIG)


def test_large_message_in_small_tcp_segments(websocket: RawWebSocket) -> None:
    """9.5"""
    for part in chopped(build_frame(TEXT, heartbeat(size=MAX_FRAME_BYTES)), 1024):
        websocket.send(part)
    assert_answered(websocket)


@pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION])
@pytest.mark.parametrize("length", [1 << 31, 1 << 32, 1 << 62, (1 << 63) - 1])
def test_enormous_frame_is_announced(websocket: RawWebSocket, opcode: int, length: int) -> None:
    """Nothing is kept for it, and nothing is waited for."""
    if opcode == CONTINUATION:
        websocket.send_frame(TEXT, b"[", fin=False)
    websocket.send(build_frame(opcode, b"", length=length))
    frame = websocket.read_frame()
    assert (frame.opcode, frame.close_code) == (CLOSE, TOO_BIG)


@pytest.mark.parametrize("length", [1 << 63, (1 << 63) + 5, (1 << 64) - 1])
def test_length_with_the_top_bit(websocket: RawWebSocket, length: int) -> None:
    websocket.send(build_frame(TEXT, b"", length=length))
    frame = websocket.read_frame()
    assert (frame.opcode, frame.close_code) == (CLOSE, PROTOCOL_ERROR)


@pytest.mark.parametrize(
    ("size", "length_bytes"), [(0, 2), (100, 2), (125, 2), (100, 8), (65535, 8)]
)
def test_length_that_is_not_minimal(websocket: RawWebSocket, size: int, length_bytes: int) -> None:
    frame = build_frame(TEXT, heartbeat(size=size)[:size], length_bytes=length_bytes)
    websocket.send(build_frame(TEXT, heartbeat("before")) + frame)
    assert_answered(websocket, "before")
    assert_failed(websocket, PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_frame_without_a_mask(websocket: RawWebSocket, opcode: int) -> None:
    """RFC 6455, 5.1: the server must close the connection."""
    payload = close_payload(NORMAL) if opcode == CLOSE else b'[1,1,"a","b",{}]'
    websocket.send(
        build_frame(TEXT, heartbeat("before"))
        + build_frame(opcode, payload, mask=None)
        + build_frame(TEXT, heartbeat("behind"))
    )
    assert_answered(websocket, "before")
    assert_failed(websocket, PROTOCOL_ERROR)


def test_second_mistake_while_closing(websocket: RawWebSocket) -> None:
    websocket.send(b"\x83\x80\0\0\0\0" * 5 + b"\x81\x01a")
    assert_failed(websocket, PROTOCOL_ERROR)


# 10: automatic fragmentation


def test_large_relayed_message_is_whole(websocket: RawWebSocket) -> None:
    """10.1: however the server fragments it, it is one message."""
    join_ref = websocket.join("flow:large")
    changes = {"text": "κόσμε" * 10_000}
    message = [join_ref, "c", "flow:large", "flow_change", {"changes": changes}]
    websocket.send_frame(TEXT, json.dumps(message, ensure_ascii=False).encode())
    updates = [m for m in (websocket.read_json(), websocket.read_json()) if m[3] == "flow_update"]
    assert updates[0][4]["changes"] == changes  # type: ignore[index]


def test_large_message_in_fragments_of_1300_bytes(websocket: RawWebSocket) -> None:
    """10.1.1"""
    first, *rest = chopped(heartbeat(size=65536), 1300)
    frames = build_frame(TEXT, first, fin=False)
    for part in rest:
        frames += build_frame(CONTINUATION, part, fin=False)
    websocket.send(frames + build_frame(CONTINUATION))
    assert_answered(websocket)


# the opening handshake


def test_frames_right_behind_the_handshake(connect: Connect, conformance_daemon_port: int) -> None:
    """A client that doesn't wait for the 101, against RFC 6455, 4.1, does no harm."""
    with RawConnection(conformance_daemon_port) as early:
        early.send(upgrade_request() + build_frame(TEXT, heartbeat("early")))
        assert early.read_response().status == 101
        early.send(build_frame(CLOSE, close_payload(NORMAL)))
        early.read_to_end()
    connect().assert_alive()


def test_handshake_in_small_tcp_segments(connect: Connect, conformance_daemon_port: int) -> None:
    with RawConnection(conformance_daemon_port) as slow:
        for part in chopped(upgrade_request(), 3):
            slow.send(part)
        assert slow.read_response().status == 101
    connect().assert_alive()


def test_handshake_behind_another_request(connect: Connect, conformance_daemon_port: int) -> None:
    """A connection that was kept alive can be upgraded, also in one segment with the request."""
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with RawConnection(conformance_daemon_port) as reused:
        reused.send(request + upgrade_request())
        assert reused.read_response().status == 200
        assert reused.read_response().status == 101
        reused.send(build_frame(TEXT, heartbeat()))
        assert reused.read_exactly(2)[0] == 0x81
    connect().assert_alive()


def _without(name: str) -> bytes:
    lines = upgrade_request().split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(name.encode()))


def _with(old: str, new: str) -> bytes:
    changed = upgrade_request().replace(old.encode(), new.encode())
    assert changed != upgrade_request()
    return changed


BAD_HANDSHAKES = {
    "no key": _without("sec-websocket-key"),
    "short key": _with("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="),
    "key no base64": _with("dGhlIHNhbXBsZSBub25jZQ==", "!!!!!!!!!!!!!!!!!!!!!!=="),
    "two keys": _with("Sec-WebSocket-Version", "Sec-WebSocket-Key: abc\r\nSec-WebSocket-Version"),
    "no version": _without("sec-websocket-version"),
    "unknown version": _with("Version: 13", "Version: 99"),
    "version no number": _with("Version: 13", "Version: x"),
    "no connection": _without("connection"),
    "wrong connection": _with("Connection: Upgrade", "Connection: keep-alive"),
    "no upgrade": _without("upgrade"),
    "other upgrade": _with("Upgrade: websocket", "Upgrade: h2c"),
    "no host": _without("host"),
    "port no number": _with("Host: localhost", "Host: localhost:x"),
    "unknown protocol version": _with("vsn=2.0.0", "vsn=3.0.0"),
    "fragment": _with("vsn=2.0.0", "vsn=2.0.0#x"),
    "post": _with("GET ", "POST "),
    "head": _with("GET ", "HEAD "),
    "empty subprotocol": _with("Host:", "Sec-WebSocket-Protocol: a,,b\r\nHost:"),
    "subprotocol twice": _with("Host:", "Sec-WebSocket-Protocol: a, a\r\nHost:"),
    "two origins": _with("Host:", "Origin: http://a\r\nOrigin: http://a\r\nHost:"),
    "bad origin": _with("Host:", "Origin: http://[\r\nHost:"),
}


@pytest.mark.parametrize("request_bytes", BAD_HANDSHAKES.values(), ids=BAD_HANDSHAKES.keys())
def test_bad_handshake_is_refused(
    connect: Connect, conformance_daemon_port: int, request_bytes: bytes
) -> None:
    """RFC 6455, 4.2: with a 4xx, never an upgrade, never a 5xx."""
    with RawConnection(conformance_daemon_port) as client:
        client.send(request_bytes)
        head = client.read_until(b"\r\n\r\n")
        assert 400 <= int(head.split(b" ")[1]) < 500, head
    connect().assert_alive()


REFUSED_WITH_A_PROBLEM = sorted(set(BAD_HANDSHAKES) - {"head", "no host"})


@pytest.mark.parametrize("name", REFUSED_WITH_A_PROBLEM)
def test_bad_handshake_is_answered_with_a_problem(
    connect: Connect, conformance_daemon_port: int, name: str
) -> None:
    """As all refusals are (RFC 9457); an unknown version with 426 and what is known."""
    with RawConnection(conformance_daemon_port) as client:
        client.send(BAD_HANDSHAKES[name])
        response = client.read_response()
        assert response.headers.get("content-type") == "application/problem+json", response
        assert json.loads(response.body)["status"] == response.status
        if name == "unknown version":
            assert response.status == 426
            assert "13" in response.headers["sec-websocket-version"]


def test_connection_ends_in_the_middle_of_a_frame(connect: Connect) -> None:
    for data in (b"\x81", b"\x81\xfe", build_frame(TEXT, heartbeat())[:-1], b"\x89\x85\0\0"):
        websocket = connect()
        websocket.send(data)
        websocket.close()
        websocket = connect()
        websocket.send(data)
        websocket.reset()
    connect().assert_alive()


def test_half_closed_connection_ends(websocket: RawWebSocket) -> None:
    """A FIN from the client ends the connection: there is nobody to answer to."""
    websocket.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(EndOfStream):
        websocket.read_frame()
