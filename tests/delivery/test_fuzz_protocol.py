"""The frame decoders, given anything: laws that hypothesis tries to break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helix.delivery.framing import frame_binary, frame_text
from helix.delivery.protocol import (
    MAX_DEPTH,
    V1,
    V2,
    BinaryKind,
    Message,
    Serializer,
    decode_binary,
    encode_binary,
    encode_json,
    nests_too_deep,
    serializer_for,
)
from helix.errors import MalformedFrame, UnsupportedVersion
from helix.web.websocket import SocketProtocol, unmask
from tests.support.rawsocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    build_frame,
    close_payload,
    masked,
    parse_frames,
)
from tests.support.stack import Stack

settings.register_profile("reproducible", derandomize=True, deadline=None, print_blob=True)
fuzz = settings(settings.get_profile("reproducible"), max_examples=300)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
refs = st.none() | text | st.integers(-(1 << 53), 1 << 53)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
messages = st.tuples(refs, refs, text, text, json_values)


def dumps(value: object, ascii_only: bool) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only).encode()


# Nearly messages: JSON with something done to it.
fragments = st.sampled_from(
    [b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\\u", b"d800", b"null", b"NaN", b"1e", b"-",
     b"0", b"1", b".", b"true", b" ", b"\n", b"\0", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b'"a"',
     b'"phoenix"', b'"topic":', b'"event":', b'"payload":', b'"ref":', b"[null,", b"{}"]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A message's JSON, cut, spliced and doubled."""
    data = dumps(draw(messages), draw(st.booleans()))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(len(data), at + 8)))
        data = data[:at] + draw(fragments | st.binary(max_size=3)) + data[end:]
    return data


anything = st.binary(max_size=80) | st.lists(fragments, max_size=25).map(b"".join) | mutated()

DEEP = b'[1,1,"a","b",' + b"[" * 5000 + b"]" * 5000 + b"]"


@fuzz
@given(anything)
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(DEEP)
@example(b'[null,"1","a","b",' + b"9" * 5000 + b"]")
@example(b"[null," + b"9" * 5000 + b',"a","b",{}]')
@example(b'[null,"1","a","b","' + b"[" * 200 + b'"]')
@example(b'[null,"1","a","b","\\\\"' + b"]" * 200 + b"]")
def test_text_is_decoded_or_malformed(data: bytes) -> None:
    for serializer in (V1, V2):
        assert_decoded_or_malformed(serializer, data)


def assert_decoded_or_malformed(serializer: type[Serializer], data: bytes) -> None:
    try:
        message = serializer.decode(data)
    except MalformedFrame:
        return
    assert isinstance(message, Message)
    # What was decoded can be answered and passed on.
    for made in (
        serializer.reply(message.join_ref, message.ref, message.topic, "ok", b"{}"),
        serializer.close(message.join_ref, message.topic, "phx_close"),
        serializer.push(message.join_ref, message.topic, message.event, bytes(message.payload)),
    ):
        assert isinstance(made, bytes)


@fuzz
@given(anything | st.binary(min_size=5, max_size=40).map(lambda data: b"\0" + data))
def test_binary_is_decoded_or_malformed(data: bytes) -> None:
    try:
        message = decode_binary(data)
    except MalformedFrame:
        return
    strings = [message.join_ref or "", message.ref or "", message.topic, message.event]
    encoded = [str(string).encode() for string in strings]
    head = bytes([0, *map(len, encoded)])
    assert head + b"".join(encoded) + message.payload == data


def strictly(data: bytes) -> object:
    """What Python's own parser reads, if it is JSON as RFC 8259 has it."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(data.decode(), parse_constant=refuse)


@fuzz
@given(anything)
def test_what_is_decoded_is_five_elements_of_json(data: bytes) -> None:
    """Of UTF-8: what isn't ends before, at the transport."""
    try:
        data.decode()
        message = V2.decode(data)
    except (MalformedFrame, UnicodeDecodeError):
        return
    elements = whole(strictly(data))
    assert isinstance(elements, list)
    assert elements[:4] == [message.join_ref, message.ref, message.topic, message.event]
    assert elements[4:] == [strictly(bytes(message.payload))]


def whole(value: object) -> object:
    """``value`` with U+FFFD for every half of a surrogate pair."""
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)
    if isinstance(value, list):
        return [whole(one) for one in value]
    if isinstance(value, dict):
        return {whole(key): whole(one) for key, one in value.items()}
    return value


@fuzz
@given(messages, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_v2_reads_every_message(
    message: tuple[object, ...], ascii_only: bool, indent: int | str | None
) -> None:
    data = json.dumps(message, ensure_ascii=ascii_only, indent=indent).encode()
    decoded = V2.decode(data)
    read = (decoded.join_ref, decoded.ref, decoded.topic, decoded.event)
    assert (*read, json.loads(bytes(decoded.payload))) == message


@fuzz
@given(messages, st.permutations(["join_ref", "ref", "topic", "event", "payload", "more"]))
def test_v1_reads_every_message(message: tuple[object, ...], order: list[str]) -> None:
    """In any order of the members, and with more of them."""
    values = dict(zip(["join_ref", "ref", "topic", "event", "payload"], message, strict=True))
    decoded = V1.decode(json.dumps({name: values.get(name) for name in order}).encode())
    read = (decoded.join_ref, decoded.ref, decoded.topic, decoded.event)
    assert (*read, json.loads(bytes(decoded.payload))) == message


@fuzz
@given(messages)
def test_payload_is_passed_on_as_it_came(message: tuple[object, ...]) -> None:
    payload = json.dumps(message[4], indent=1).encode()
    data = b"[%b , %b]" % (dumps(message[:4], True)[1:-1], payload)
    assert bytes(V2.decode(data).payload) == payload


@fuzz
@given(refs, refs, text, st.sampled_from(["ok", "error"]), json_values)
def test_replies_say_what_they_should(
    join_ref: str | int | None, ref: str | int | None, topic: str, status: str, value: object
) -> None:
    response = encode_json(value)
    payload = {"status": status, "response": json.loads(response)}
    v2 = strictly(V2.reply(join_ref, ref, topic, status, response))
    assert v2 == [join_ref, ref, topic, "phx_reply", payload]
    v1 = strictly(V1.reply(join_ref, ref, topic, status, response))
    assert v1 == {"topic": topic, "event": "phx_reply", "ref": ref, "payload": payload}


@fuzz
@given(refs, text, text, json_values)
def test_pushes_broadcasts_and_closes_say_what_they_should(
    join_ref: str | int | None, topic: str, event: str, value: object
) -> None:
    payload = encode_json(value)
    read = json.loads(payload)
    assert strictly(V2.push(join_ref, topic, event, payload)) == [
        join_ref,
        None,
        topic,
        event,
        read,
    ]
    assert strictly(V2.broadcast(topic, event, payload)) == [None, None, topic, event, read]
    assert strictly(V2.close(join_ref, topic, event)) == [join_ref, join_ref, topic, event, {}]
    expected = {"topic": topic, "event": event, "ref": None, "payload": read}
    assert strictly(V1.push(join_ref, topic, event, payload)) == expected
    assert strictly(V1.broadcast(topic, event, payload)) == expected
    assert strictly(V1.close(join_ref, topic, event)) == {
        **expected,
        "ref": join_ref,
        "payload": {},
    }


@fuzz
@given(
    st.sampled_from([(BinaryKind.PUSH, 3), (BinaryKind.REPLY, 4), (BinaryKind.BROADCAST, 2)]),
    st.lists(text | st.text("é", min_size=120, max_size=135), min_size=4, max_size=4),
    st.binary(max_size=50),
)
def test_binary_frames_are_laid_out_as_phoenix_has_them(
    kind: tuple[BinaryKind, int], strings: list[str], data: bytes
) -> None:
    """The kind, each string's size in one byte, the strings, the data."""
    chosen = tuple(strings[: kind[1]])
    encoded = [string.encode() for string in chosen]
    if max(map(len, encoded)) > 255:
        with pytest.raises(ValueError, match="255"):
            encode_binary(kind[0], chosen, data)
        return
    frame = encode_binary(kind[0], chosen, data)
    assert frame[0] == kind[0]
    sizes = frame[1 : 1 + kind[1]]
    at = 1 + kind[1]
    for size, string in zip(sizes, encoded, strict=True):
        assert frame[at : at + size] == string
        at += size
    assert frame[at:] == data


# depth


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


tricky_text = st.text(st.sampled_from('[]{}"\\\\/:,ué'), max_size=60)
tricky = st.recursive(
    tricky_text | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(tricky_text, inner, max_size=3),
    max_leaves=10,
)


@fuzz
@given(tricky, st.integers(MAX_DEPTH - 8, MAX_DEPTH + 8), st.booleans(), st.booleans())
def test_depth_is_what_a_recursive_definition_says(
    value: object, wraps: int, arrays: bool, ascii_only: bool
) -> None:
    for n in range(wraps):
        value = [value, "]"] if arrays or n % 2 else {'"[\\': value}
    assert nests_too_deep(dumps(value, ascii_only)) == (depth(value) > MAX_DEPTH)


@fuzz
@given(st.lists(tricky, max_size=60))
def test_wide_is_not_deep(values: list[object]) -> None:
    value = [values, ["["] * 200, ['\\"[{'] * 200]
    assert nests_too_deep(dumps(value, True)) == (depth(value) > MAX_DEPTH)


# versions and frames of the transport


@fuzz
@given(text | st.from_regex(r"\A[0-9]{0,6}(\.[0-9]{0,6}){0,3}\Z"))
@example("2.0.٣")
@example("2.0.")
@example("2.00.0")
def test_any_version_is_served_or_unsupported(vsn: str) -> None:
    try:
        serializer = serializer_for(vsn)
    except UnsupportedVersion:
        return
    assert serializer is (V2 if vsn.startswith("2.0.") else V1)


@fuzz
@given(st.binary(min_size=4, max_size=4), st.binary(max_size=60), st.integers(0, 40))
def test_unmask_is_what_the_rfc_says(mask: bytes, data: bytes, times: int) -> None:
    data = data * times
    assert unmask(mask, data) == masked(mask, data)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_frames_that_go_out_can_be_read(size: int) -> None:
    data = b"x" * size
    (sent_text,) = parse_frames(frame_text(data))
    (sent_binary,) = parse_frames(frame_binary(data))
    assert (sent_text.opcode, sent_text.payload) == (TEXT, data)
    assert (sent_binary.opcode, sent_binary.payload) == (BINARY, data)


# the fast path of the transport, against Autobahn's alone

MAX_FRAME_BYTES = 4096

MASKS = [b"\0\0\0\0", b"\x37\xfa\x21\x3d", b"\xff\x00\xff\x80"]


@st.composite
def text_messages(draw: st.DrawFn) -> bytes:
    """Heartbeats, changes of the joined flow, and rubbish."""
    ref = draw(st.sampled_from(["a", "é", "\U0001f600", "\0"]))
    size = draw(st.sampled_from([0, 0, 30, 60, 200, 4000]))
    kind = draw(st.sampled_from(["heartbeat", "heartbeat", "change", "rubbish"]))
    if kind == "rubbish":
        return draw(
            st.sampled_from([b"", b"{}", b"\xff", b"\xc3", b"[" * 300, b'["\xed\xa0\x80"]'])
        )
    if kind == "heartbeat":
        return dumps([None, ref, "phoenix", "heartbeat", "." * size], False)
    return dumps([None, ref, "flow:f", "flow_change", {"changes": ref + "." * size}], False)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """One message or mistake, as bytes."""
    mask = draw(st.sampled_from(MASKS))
    kind = draw(
        st.sampled_from(
            ["text"] * 8 + ["fragments"] * 3 + ["control"] * 3 + ["binary", "odd", "close"]
        )
    )
    if kind == "text":
        return build_frame(TEXT, draw(text_messages()), mask=mask)
    if kind == "fragments":
        message = draw(text_messages())
        cuts = sorted(draw(st.lists(st.integers(0, len(message)), min_size=1, max_size=3)))
        parts = [message[a:b] for a, b in zip([0, *cuts], [*cuts, len(message)], strict=True)]
        data = b""
        for n, part in enumerate(parts):
            fin = n == len(parts) - 1
            data += build_frame(CONTINUATION if n else TEXT, part, fin=fin, mask=mask)
            if not fin and draw(st.booleans()):
                data += build_frame(PING, b"%d" % n, mask=mask)
        return data
    if kind == "control":
        return build_frame(
            draw(st.sampled_from([PING, PONG])), draw(st.binary(max_size=125)), mask=mask
        )
    if kind == "binary":
        return build_frame(BINARY, b"\0\0\1\7\x09aphoenixheartbeat" + draw(st.binary(max_size=9)))
    if kind == "close":
        return build_frame(CLOSE, draw(st.sampled_from([b"", b"x", close_payload(1000, b"bye")])))
    payload = draw(text_messages())
    size = len(payload)
    return build_frame(
        draw(st.integers(0, 15)),
        payload,
        fin=draw(st.booleans()),
        rsv=draw(st.sampled_from([0, 0, 4, 7])),
        mask=draw(st.none() | st.just(mask)),
        length_bytes=draw(st.sampled_from([n for n in (0, 2, 8) if n or size < 126])),
    )


@contextmanager
def autobahn_alone() -> Iterator[None]:
    """No frame takes the fast path."""
    take = SocketProtocol._take_whole_frames
    SocketProtocol._take_whole_frames = lambda self, data: data  # type: ignore[method-assign]
    try:
        yield
    finally:
        SocketProtocol._take_whole_frames = take  # type: ignore[method-assign]


def exchange(segments: list[bytes]) -> tuple[list[tuple[int, object]], bytes, bool]:
    """
    Send ``segments`` on a connection that has joined a flow.

    :return: the frames that came back (of a close only its code), what another member got, and
        whether the connection was closed.
    """
    server = Stack(max_frame_bytes=MAX_FRAME_BYTES)
    try:
        peer, witness = server.open(), server.open()
        for one in (peer, witness):
            one.send_frame(TEXT, b'["j","j","flow:f","phx_join",{}]')
            server.settle()
        peer.take()
        witness.take()
        for segment in segments:
            peer.send(segment)
        server.run(2)
        answers = [
            (frame.opcode, frame.close_code if frame.opcode == CLOSE else frame.payload)
            for frame in peer.take_frames()
        ]
        return answers, witness.take(), peer.gone
    finally:
        server.stop()


def in_any_order_of_updates(answers: list[tuple[int, object]]) -> tuple[object, object]:
    """Replies and updates apart: how many of them are sent together hangs on the segments."""
    updates = [answer for answer in answers if b"flow_update" in repr(answer).encode()]
    return [answer for answer in answers if answer not in updates], updates


@settings(fuzz, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(frames(), min_size=1, max_size=8), st.data())
def test_fast_path_does_what_autobahn_does(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(sent)
    how = data.draw(st.sampled_from(["whole", "frames", "bytes", "cuts"]))
    if how == "whole":
        segments = [stream]
    elif how == "frames":
        segments = sent
    elif how == "bytes" and len(stream) < 1500:
        segments = [stream[n : n + 1] for n in range(len(stream))]
    else:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
        segments = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        segments = [segment for segment in segments if segment]
    fast = exchange(segments)
    with autobahn_alone():
        slow = exchange([stream])
    assert in_any_order_of_updates(fast[0]) == in_any_order_of_updates(slow[0])
    assert fast[1:] == slow[1:]


@settings(fuzz, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(min_size=1, max_size=60) | frames(), min_size=1, max_size=10))
def test_rubbish_harms_nobody_else(segments: list[bytes]) -> None:
    """Whatever one connection sends, another is served, and in the end nothing is left."""
    server = Stack(max_frame_bytes=MAX_FRAME_BYTES)
    try:
        timers = len(server.clock.getDelayedCalls())
        other, peer = server.open(), server.open()
        for segment in segments:
            peer.send(segment)
        other.take()
        other.send_frame(TEXT, b'[null,"1","phoenix","heartbeat",{}]')
        assert b'"ok"' in other.take()
        for one in (other, peer):
            if not one.gone:
                one.transport.peer_is_gone()
        server.run(12)
        assert len(server.clients) == 0
        assert not list(server.sessions.sessions())
        assert len(server.clock.getDelayedCalls()) == timers
    finally:
        server.stop()
