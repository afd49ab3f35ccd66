"""How much work a text is, told before anything is made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.delivery.protocol import decode_json
from helix.documents.merge_patch import size_of
from helix.errors import MalformedFrame
from helix.limits.weight import UNWEIGHED_BYTES, is_too_heavy, least_size
from tests.support.editors import FLOW, Editor
from tests.support.stack import Stack
from tests.support.world import World

MakeWorld = Callable[..., World]

decode = msgspec.json.Decoder().decode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=30,
)


def weight(value: Any) -> int:
    """Count commas, and what may hold values, in the value itself."""
    if isinstance(value, dict):
        return 2 + max(0, len(value) - 1) + sum(map(weight, value.values()))
    if isinstance(value, list):
        return 2 + max(0, len(value) - 1) + sum(map(weight, value))
    return 0


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_lim20_what_stands_in_strings_weighs_nothing(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    padded = ['[{,\\"' * UNWEIGHED_BYTES, value]
    text = json.dumps(padded, ensure_ascii=ascii_only, indent=indent).encode(errors="replace")
    assert not is_too_heavy(text, weight(padded))
    assert is_too_heavy(text, weight(padded) - 1)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_lim21_white_space_and_escapes_are_no_size(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert least_size(text.encode(errors="replace")) <= size_of(value)


@pytest.mark.parametrize("text", [b'"' * 9000, b"[{," * 3000, b"\\" * 9000, b'"\\"' * 3000])
def test_lim20_texts_that_are_none_are_weighed(text: bytes) -> None:
    assert is_too_heavy(text, 0) in (True, False)
    least_size(text)


def test_frm8_halves_are_found_among_many_backslashes() -> None:
    """Only where there may be one, and in time that grows with the text alone."""
    many = b"\\\\" * 500_000
    text = b'["%b", "%bx", "\\ud83d\\ud83d\\ude00\\\\ud83d"]' % (many, many)
    assert decode_json(decode, text)[2] == "\ufffd\U0001f600\\ud83d"


def test_frm8_lim20_too_many_halves_are_no_text() -> None:
    with pytest.raises(MalformedFrame):
        decode_json(decode, b'["%b"]' % (b"\\ud83d" * 50_000))


def filled(value: bytes, size: int) -> bytes:
    """An array of about so many bytes."""
    return b"[%b%b]" % ((value + b",") * (size // (len(value) + 1)), value)


def test_lim20_heavy_messages_are_refused_unread(make_world: MakeWorld) -> None:
    client = make_world().client()
    client.join(FLOW, {"mode": "document", "client_id": "c"})
    client.received()
    many = [[]] * 340_000
    status, answer = client.answer(client.push(FLOW, "presence", {"a": many}))
    assert (status, answer["code"], answer["retry"]) == ("error", "too_many_values", False)
    text = "," * 900_000
    status, answer = client.answer(client.push(FLOW, "ping", {"a": text}))
    assert status == "ok", "what stands in a string is one value"
    client.send(b"[" * 1_000_000)
    assert client.answer(client.push(FLOW, "ping", {}))[0] == "ok"


def test_lim20_heavy_patches_are_refused_unread(make_world: MakeWorld) -> None:
    editor = Editor(make_world(), "e")
    editor.patch(1, {"data": {"a": [[]] * 60_000}})
    assert editor.refusals() == {1: ("too_many_values", False)}
    editor.answers.clear()
    nodes = {f"{n}": {"id": f"{n}", "position": {"x": 0, "y": 0}, "data": {}} for n in range(4500)}
    assert size_of(nodes) > 230_000
    editor.patch(2, {"nodes": nodes})
    editor.patch(3, {"nodes": {name: {"position": {"x": 1, "y": 1}} for name in nodes}})
    assert editor.accepted() == {2: 1, 3: 2}


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("PATCH", "/api/flows/f", b'{"data":{"a":%b}}' % filled(b"[]", 250_000)),
        ("PUT", "/api/flows/f", b'{"data":{"a":%b}}' % filled(b"1", 4_000_000)),
        ("POST", "/api/flows", b'{"document":{"data":{"a":%b}}}' % filled(b"{}", 4_000_000)),
        ("POST", "/api/flows/import", b'{"nodes":%b,"edges":[]}' % filled(b"{}", 8_000_000)),
        ("POST", "/api/flows/f/sync", b'{"changes":%b}' % filled(b"{}", 1_000_000)),
    ],
)
def test_lim20_heavy_bodies_are_refused_unread(method: str, target: str, body: bytes) -> None:
    stack = Stack(max_bytes_per_second=1e9)
    headers = [("Content-Type", "application/json")]
    stack.post_json("/api/flows", {"id": "f"})
    answer = stack.request(method, target, headers, body)
    assert (answer.status, answer.json["code"]) == (413, "too_many_values")
    assert stack.get("/api/flows/f").json["version"] == 0


@pytest.mark.parametrize(
    ("method", "target", "code"),
    [
        ("PATCH", "/api/flows/f", "patch_too_large"),
        ("PUT", "/api/flows/f", "document_too_large"),
        ("POST", "/api/flows", "document_too_large"),
    ],
)
def test_lim21_bodies_are_refused_by_their_size_unread(method: str, target: str, code: str) -> None:
    """Also such as can't be read at all."""
    stack = Stack(max_patch_bytes=4096, max_document_bytes=4096)
    headers = [("Content-Type", "application/json")]
    stack.post_json("/api/flows", {"id": "f"})
    answer = stack.request(method, target, headers, b"{" + b"x" * 6000)
    assert (answer.status, answer.json["code"]) == (413, code)
    answer = stack.request(method, target, headers, b"{" + b" " * 6000 + b"}")
    assert answer.status in (200, 201), "white space is no size"
