"""Flow ids."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.documents.ids import parse_flow_id, parse_new_flow_id
from helix.errors import InvalidFlowId


@pytest.mark.parametrize(
    ("text", "flow_id"),
    [
        ("x", "x"),
        (" x ", "x"),
        ("\t\nx y\r ", "x y"),
        ("\u00a0\u2003x\u3000", "x"),
        ("a:b/c?d", "a:b/c?d"),
        ("__proto__", "__proto__"),
        ("\u202ex", "\u202ex"),
        ("\u00e9" * 127, "\u00e9" * 127),
        ("a" * 255, "a" * 255),
        (" " * 300 + "x", "x"),
    ],
)
def test_rel6_valid_flow_ids(text: str, flow_id: str) -> None:
    assert parse_flow_id(text) == flow_id


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "\n\t",
        "\u3000",
        "a" * 256,
        "é" * 128,
        "a\x00b",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "\ud800",
        "a\udfff",
        None,
        5,
        1.5,
        True,
        b"x",
        ["x"],
        {},
    ],
)
def test_rel6_invalid_flow_ids(value: object) -> None:
    with pytest.raises(InvalidFlowId) as refusal:
        parse_flow_id(value)
    assert refusal.value.message == "Invalid flow identifier"


@given(st.text(st.characters(), max_size=300))
def test_rel6_rule(text: str) -> None:
    flow_id = text.strip()
    encodable = all(unicodedata.category(one) != "Cs" for one in flow_id)
    clean = all(unicodedata.category(one) != "Cc" for one in flow_id)
    if encodable and clean and 1 <= len(flow_id.encode()) <= 255:
        assert parse_flow_id(text) == flow_id == parse_flow_id(flow_id)
    else:
        with pytest.raises(InvalidFlowId):
            parse_flow_id(text)


@pytest.mark.parametrize("flow_id", [".", "..", " .. "])
def test_rel6_dots_alone_are_no_new_flows_id(flow_id: str) -> None:
    """A browser takes them out of an address, encoded or not; those that are stored can be read."""
    assert parse_flow_id(flow_id) == flow_id.strip()
    with pytest.raises(InvalidFlowId):
        parse_new_flow_id(flow_id)


@pytest.mark.parametrize("flow_id", ["...", ".x", "a/..", "../a", "toString", "__proto__"])
def test_rel6_other_ids_with_dots_and_of_objects_are(flow_id: str) -> None:
    assert parse_new_flow_id(flow_id) == flow_id
