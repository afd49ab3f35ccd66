"""Frames: their exact bytes, refs as they came, and what is malformed."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.delivery.protocol import (
    HEAD_BYTES,
    MAX_DEPTH,
    TAIL_BYTES,
    V1,
    V2,
    BinaryKind,
    Ref,
    Serializer,
    decode_binary,
    encode_binary,
    nests_too_deep,
    serializer_for,
)
from helix.errors import MalformedFrame, UnsupportedVersion

refs = st.none() | st.text(max_size=255) | st.integers(-(2**53), 2**53)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
JOIN_REFS: list[Ref] = ["3", 3, None, "", "\u00e9\u2603", -1, 2**53]


@pytest.mark.parametrize("ref", JOIN_REFS)
def test_frm1_v2_reply(ref: Ref) -> None:
    shown = json.dumps(ref, ensure_ascii=False).encode()
    assert (
        V2.reply(ref, ref, "flow:x", "ok", b'{"a": 1}')
        == (b"[%b,%b," % (shown, shown))
        + b'"flow:x","phx_reply",{"status":"ok","response":{"a": 1}}]'
    )


def test_frm1_v2_frames_of_the_server() -> None:
    assert V2.push("1", "flow:x", "flow_deleted", b'{"a": 1}') == (
        b'["1",null,"flow:x","flow_deleted",{"a": 1}]'
    )
    assert V2.close("1", "flow:x", "phx_close") == b'["1","1","flow:x","phx_close",{}]'
    assert V2.broadcast("flow:x", "flow_update", b"[ 1 ]") == (
        b'[null,null,"flow:x","flow_update",[ 1 ]]'
    )


def test_frm2_v1_frames_of_the_server() -> None:
    assert V1.reply(7, "8", "flow:x", "error", b'{"reason":"no"}') == (
        b'{"topic":"flow:x","event":"phx_reply","ref":"8",'
        b'"payload":{"status":"error","response":{"reason":"no"}}}'
    )
    assert V1.push("1", "flow:x", "flow_deleted", b"{}") == (
        b'{"topic":"flow:x","event":"flow_deleted","ref":null,"payload":{}}'
    )
    assert V1.close(1, "flow:x", "phx_error") == (
        b'{"topic":"flow:x","event":"phx_error","ref":1,"payload":{}}'
    )
    assert V1.broadcast("flow:x", "flow_update", b"[ 1 ]") == (
        b'{"topic":"flow:x","event":"flow_update","ref":null,"payload":[ 1 ]}'
    )


@given(refs, refs, st.text(), st.text(), json_values)
def test_frm1_v2_is_decoded(
    join_ref: Ref, ref: Ref, topic: str, event: str, payload: object
) -> None:
    shown = json.dumps(payload, ensure_ascii=False).encode()
    frame = json.dumps([join_ref, ref, topic, event], ensure_ascii=False).encode()
    message = V2.decode(b"%b , %b ]" % (frame[:-1], shown))
    assert (message.join_ref, message.ref, message.topic, message.event) == (
        join_ref,
        ref,
        topic,
        event,
    )
    assert bytes(message.payload) == shown


@given(refs, refs, st.text(), st.text(), json_values)
def test_frm1_v1_is_decoded(
    join_ref: Ref, ref: Ref, topic: str, event: str, payload: object
) -> None:
    frame = {"topic": topic, "event": event, "payload": payload, "ref": ref, "join_ref": join_ref}
    message = V1.decode(json.dumps(frame).encode())
    assert (message.join_ref, message.ref, message.topic, message.event) == (
        join_ref,
        ref,
        topic,
        event,
    )
    assert json.loads(bytes(message.payload)) == payload


def test_frm1_v1_refs_may_be_missing() -> None:
    message = V1.decode(b'{"payload": {}, "event": "e", "topic": "t", "more": [1]}')
    assert (message.join_ref, message.ref, message.topic, message.event) == (None, None, "t", "e")


@given(refs, refs, st.text(), st.text(), json_values)
def test_frm1_v2_replies_are_json_and_echo_the_refs(
    join_ref: Ref, ref: Ref, topic: str, status: str, response: object
) -> None:
    shown = json.dumps(response).encode()
    assert json.loads(V2.reply(join_ref, ref, topic, status, shown)) == [
        join_ref,
        ref,
        topic,
        "phx_reply",
        {"status": status, "response": response},
    ]
    assert json.loads(V1.reply(join_ref, ref, topic, status, shown)) == {
        "topic": topic,
        "event": "phx_reply",
        "ref": ref,
        "payload": {"status": status, "response": response},
    }


def test_frm3_binary_push_is_decoded() -> None:
    data = b"\x00\x01\x02\x06\x0b112flow:xflow_change\x00\xff[data]"
    message = decode_binary(data)
    assert (message.join_ref, message.ref) == ("1", "12")
    assert (message.topic, message.event) == ("flow:x", "flow_change")
    assert message.payload == b"\x00\xff[data]"


def test_frm3_empty_refs_are_null() -> None:
    message = decode_binary(b"\x00\x00\x00\x01\x01te")
    assert (message.join_ref, message.ref, message.payload) == (None, None, b"")


def test_frm3_binary_frames_of_the_server() -> None:
    push = encode_binary(BinaryKind.PUSH, ("1", "t", "ev"), b"data")
    assert push == b"\x00\x01\x01\x021tevdata"
    reply = encode_binary(BinaryKind.REPLY, ("1", "22", "t", "ok"), b"data")
    assert reply == b"\x01\x01\x02\x01\x02122tokdata"
    broadcast = encode_binary(BinaryKind.BROADCAST, ("t\u00e9", "e"), b"")
    assert broadcast == b"\x02\x03\x01t\xc3\xa9e"


def test_frm3_a_string_takes_255_bytes() -> None:
    assert encode_binary(BinaryKind.BROADCAST, ("t" * 255, "e"), b"")[1] == 255
    with pytest.raises(ValueError, match="255"):
        encode_binary(BinaryKind.BROADCAST, ("\u00e9" * 128, "e"), b"")


strings = st.text(max_size=60)


@given(strings, strings, strings, strings, st.binary())
def test_frm3_round_trip(join_ref: str, ref: str, topic: str, event: str, data: bytes) -> None:
    parts = [one.encode() for one in (join_ref, ref, topic, event)]
    message = decode_binary(bytes([0, *map(len, parts)]) + b"".join(parts) + data)
    assert (message.join_ref, message.ref) == (join_ref or None, ref or None)
    assert (message.topic, message.event, message.payload) == (topic, event, data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x00\x00\x00\x00",
        b"\x01\x00\x00\x01\x01te",
        b"\x02\x01\x01te",
        b"\xff" * 9,
        b"\x00\x00\x00\x01\x02te",
        b"\x00\xff\x00\x00\x00",
        b"\x00\x00\x00\x01\x01\xffe",
    ],
)
def test_frm4_malformed_binary(data: bytes) -> None:
    with pytest.raises(MalformedFrame):
        decode_binary(data)


@given(st.binary(max_size=40))
def test_frm4_any_data_is_decoded_or_malformed(data: bytes) -> None:
    for decode in (V1.decode, V2.decode, decode_binary):
        with contextlib.suppress(MalformedFrame):
            decode(data)


MALFORMED_JSON = [b"01", b'"\\q"', b'"\\u12"', b'"\x01"', b'"\n"', b"NaN", b"Infinity", b"-", b"1."]
MALFORMED_JSON += [b".5", b"1e", b"+1", b'{"a":1,}', b"[1,]", b"{1:2}", b"tru", b"1 2", b"'a'", b""]
MALFORMED_JSON += [b"[", b"]", b"{}}", b'{"a" 1}', b'"a', b"/**/1"]


@pytest.mark.parametrize("payload", MALFORMED_JSON)
def test_frm4_malformed_payload(payload: bytes) -> None:
    """What is relayed unread is checked all the same: the others parse it."""
    with pytest.raises(MalformedFrame):
        V2.decode(b'[null,"1","t","e",%b]' % payload)
    with pytest.raises(MalformedFrame):
        V1.decode(b'{"topic":"t","event":"e","ref":null,"payload":%b}' % payload)


@given(st.text(alphabet='[]{}",:\\ -+.0123eEtrufalsn\n\t', max_size=14))
def test_frm4_a_payload_that_is_taken_is_json(payload: str) -> None:
    try:
        message = V2.decode(b'[null,null,"t","e",%b]' % payload.encode())
    except MalformedFrame:
        return
    json.loads(bytes(message.payload))


@pytest.mark.parametrize(
    "text",
    [
        b"null",
        b"[]",
        b"{}",
        b"[1,2,3]",
        b'[null,"1","t","e"]',
        b'[null,"1","t","e",{},1]',
        b'[1.5,"1","t","e",{}]',
        b'[true,"1","t","e",{}]',
        b'[[],"1","t","e",{}]',
        b'[null,"1",null,"e",{}]',
        b'[null,"1","t",5,{}]',
        b'[null,"1","t\xff","e",{}]',
        b'\xef\xbb\xbf[null,"1","t","e",{}]',
        b'[null,"1","t","e",{}]x',
    ],
)
def test_frm4_malformed_v2(text: bytes) -> None:
    with pytest.raises(MalformedFrame):
        V2.decode(text)


@pytest.mark.parametrize(
    "text",
    [
        b'[null,"1","t","e",{}]',
        b'{"topic":"t","event":"e"}',
        b'{"topic":"t","payload":{}}',
        b'{"event":"e","payload":{}}',
        b'{"topic":1,"event":"e","payload":{}}',
        b'{"topic":"t","event":"e","payload":{},"ref":{}}',
        b'{"topic":"t","event":"e","payload":{},"join_ref":1.5}',
    ],
)
def test_frm4_malformed_v1(text: bytes) -> None:
    with pytest.raises(MalformedFrame):
        V1.decode(text)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("fits", "exceeds"),
    [
        (b'["%b","1","t","e",{}]' % (b"r" * 255), b'["%b","1","t","e",{}]' % (b"r" * 256)),
        (b'[null,"%b","t","e",{}]' % (b"r" * 255), b'[null,"%b","t","e",{}]' % (b"r" * 256)),
        (b'[null,1,"%b","e",{}]' % (b"t" * 512), b'[null,1,"%b","e",{}]' % (b"t" * 513)),
        (b'[null,1,"t","%b",{}]' % (b"e" * 255), b'[null,1,"t","%b",{}]' % (b"e" * 256)),
        (b'[null,%d,"t","e",{}]' % 2**53, b'[null,%d,"t","e",{}]' % (2**53 + 1)),
        (b'[%d,1,"t","e",{}]' % -(2**53), b'[%d,1,"t","e",{}]' % (-(2**53) - 1)),
    ],
)
def test_frm1_bounds(fits: bytes, exceeds: bytes) -> None:
    V2.decode(fits)
    with pytest.raises(MalformedFrame):
        V2.decode(exceeds)


@pytest.mark.parametrize(
    ("sent", "payload"),
    [
        (rb'"\ud83d"', rb'"\ufffd"'),
        (rb'"\uD83D"', rb'"\ufffd"'),
        (rb'"\udc00"', rb'"\ufffd"'),
        (rb'"\uDe00x\ud83d"', rb'"\ufffdx\ufffd"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\ude00\ud83d"', rb'"\ufffd\ufffd"'),
        (rb'"\ud83d\u0041"', rb'"\ufffd\u0041"'),
        (rb'"\ud83d\\ude00"', rb'"\ufffd\\ude00"'),
        (rb'"\\ud83d \ud83d"', rb'"\\ud83d \ufffd"'),
        (rb'{"\ud83d": [ 1 ]}', rb'{"\ufffd": [ 1 ]}'),
        (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\uD83D\uDE00"', rb'"\uD83D\uDE00"'),
    ],
)
def test_frm8_half_a_surrogate_pair(sent: bytes, payload: bytes) -> None:
    """Whole pairs, and backslashes that only look like half a pair, stay as they are."""
    assert bytes(V2.decode(b'[null,"1","t","e",%b]' % sent).payload) == payload
    text = b'{"topic":"t","event":"e","payload":%b}' % sent
    assert bytes(V1.decode(text).payload) == payload


def test_frm8_in_what_is_read() -> None:
    message = V2.decode(rb'["\ud83d","\udfff","t\ud800","e\udc00",{}]')
    assert (message.join_ref, message.ref) == ("\ufffd", "\ufffd")
    assert (message.topic, message.event) == ("t\ufffd", "e\ufffd")


@given(st.text(st.characters(exclude_categories=()), max_size=20))
def test_frm8_any_string_of_javascript(text: str) -> None:
    """Where the halves of a pair meet they are a character, as JavaScript's strings have it."""
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    message = V2.decode(b'[null,null,"t","e",%b]' % json.dumps(text).encode())
    halves = bytes(message.payload)
    assert json.loads(halves).count("\ufffd") == whole.count("\ufffd")
    json.loads(halves).encode()


@pytest.mark.parametrize("serializer", [V1, V2])
@pytest.mark.parametrize("much", [0, 1, 100_000])
def test_frm4_depth(serializer: type[Serializer], much: int) -> None:
    """The frame itself is one level."""
    head, tail = (
        (b'[null,null,"t","e",', b"]")
        if serializer is V2
        else (b'{"topic":"t","event":"e","payload":', b"}")
    )
    fits = b"".join([head, nested(MAX_DEPTH - 1), tail])
    assert bytes(serializer.decode(fits).payload) == nested(MAX_DEPTH - 1)
    with pytest.raises(MalformedFrame):
        serializer.decode(b"".join([head, nested(MAX_DEPTH + much), tail]))


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


deep_values = st.recursive(
    st.text(alphabet='[]{}"\\a', max_size=80),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='[{"\\'), inner),
    max_leaves=30,
)


@given(deep_values, st.integers(100, 140))
def test_frm4_depth_is_measured_exactly(value: Any, wrapped: int) -> None:
    """Brackets in strings don't count, and escapes hide no end of a string."""
    for _ in range(wrapped):
        value = [value]
    assert nests_too_deep(json.dumps(value).encode()) == (depth_of(value) > MAX_DEPTH)


@given(deep_values, st.integers(100, 140), st.integers(1, 4))
def test_frm4_depth_is_measured_over_slices(value: Any, wrapped: int, pad: int) -> None:
    padding = '[{"\\\\' * 10_000 + "]" * pad
    for _ in range(wrapped):
        value = [padding, value] if _ == 50 else [value]
    assert nests_too_deep(json.dumps(value).encode()) == (depth_of(value) > MAX_DEPTH)


def test_frm4_brackets_in_a_string_alone_are_not_deep() -> None:
    assert not nests_too_deep(json.dumps("[" * 2 * MAX_DEPTH).encode())


def test_frm4_siblings_are_not_deep() -> None:
    assert not nests_too_deep(json.dumps([[]] * 5000).encode())


@pytest.mark.parametrize(
    ("vsn", "serializer"),
    [(None, V1), ("", V1), ("1.0.0", V1), ("1.0.7", V1), ("2.0.0", V2), ("2.0.123", V2)],
)
def test_con1_versions(vsn: str | None, serializer: type[Serializer]) -> None:
    assert serializer_for(vsn) is serializer


@pytest.mark.parametrize(
    "vsn",
    [
        "1",
        "2.0",
        "2",
        "3.0.0",
        "1.1.0",
        "2.1.0",
        "2.0.0.0",
        "2.0.x",
        "2.0.-1",
        "2.0.",
        "v2.0.0",
        "2.0.٣",
        " 2.0.0",
        "2.0.0\n",
        "2.0.999999",
        "02.0.0",
    ],
)
def test_con2_other_versions(vsn: str) -> None:
    with pytest.raises(UnsupportedVersion):
        serializer_for(vsn)


@pytest.mark.parametrize("more", [{}, {"join_ref": "4"}])
@pytest.mark.parametrize("order", [1, -1])
def test_frm6_v1_frame_is_told_by_its_ends(more: dict[str, str], order: int) -> None:
    frame = {"topic": 'flow:\u00fc"', "event": "flow_change", "ref": 7, **more}
    names = [*frame][::order]
    split = len(names) // 2
    parts = {name: frame[name] for name in names[:split]}
    parts |= {"payload": {"x": "}" * 50_000}} | {name: frame[name] for name in names[split:]}
    text = json.dumps(parts).encode()
    found = V1.decode_ends(text[:HEAD_BYTES], text[-TAIL_BYTES:])
    assert (found.topic, found.event, found.ref) == (frame["topic"], "flow_change", 7)
    assert found.join_ref == more.get("join_ref")


@pytest.mark.parametrize(
    "text", [b"", b"[", b"{", b'["1","2","t"', b'{"topic":"t"}', b"[1,2,3,4,5]"]
)
@pytest.mark.parametrize("serializer", [V1, V2])
def test_frm6_what_its_ends_do_not_tell(serializer: Any, text: bytes) -> None:
    with pytest.raises(MalformedFrame):
        serializer.decode_ends(text, text)
