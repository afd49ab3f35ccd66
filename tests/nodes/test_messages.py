"""What nodes tell each other. (docs/spec.md, NOD3, NOD7)"""

from __future__ import annotations

import json

import pytest

from helix.chain import chained, continues, origin_of
from helix.log.remote_writes import News
from helix.nodes.messages import (
    Deleted,
    Look,
    Name,
    decode,
    encode_deleted,
    encode_entries,
    encode_look,
    encode_name,
)
from helix.nodes.start import Ignored
from helix.records import Actor, Entry

ENTRIES = chained(
    origin_of("e"),
    [
        Entry(1, b'{"title":"\\u0000\\u00e9","data":{"a": 1.0}}', 1_700_000_000.123),
        Entry(
            2,
            b'{"title":null}',
            0.1,
            "Ada\0\U0001f600",
            "c",
            2**53 - 1,
            ("/nodes/a", "/edges/b~1"),
            b"",
            Actor("ada", "person", "Ada"),
            b'{"session":"x"}',
        ),
    ],
)


def test_nod1_entries_arrive_as_they_were() -> None:
    message = encode_entries("n", "e", ENTRIES, 7500)
    assert decode(message) == ("n", "entries", News("e", 2, ENTRIES[-1].chain, ENTRIES, "n"))
    _, _, news = decode(message)
    assert isinstance(news, News)
    assert continues(origin_of("e"), news.entries)


@pytest.mark.parametrize("size", [2000, 7000, 7400, 7499, 7500, 7600, 10**6])
def test_nod3_of_large_ones_only_the_version_is_told(size: int) -> None:
    entries = chained(origin_of("e"), [Entry(1, b'{"title":"%s"}' % (b"x" * size), 1.0)])
    message = encode_entries("n", "e", entries, 7500)
    assert len(message) <= 7500
    told = entries if size <= 7000 else []
    if size in (2000, 7000, 7600, 10**6):
        assert decode(message) == ("n", "entries", News("e", 1, entries[0].chain, told, "n"))


def test_nod4_other_messages_arrive_as_they_were() -> None:
    assert decode(encode_deleted("n", "Ada")) == ("n", "deleted", Deleted("Ada"))
    assert decode(encode_name("n", "e", b'{"a": 1}')) == ("n", "name", Name("e", b'{"a": 1}'))
    for kind in ("flow", "access", "lost", "here"):
        assert decode(encode_look("n", kind)) == ("n", kind, Look(kind))


START = {"v": 1, "node": "n"}

LOG = {**START, "kind": "entries", "epoch": "e", "version": 1, "chain": "AAAAAAAAAAA"}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "malformed"),
        ("[]", "malformed"),
        ('{"v":1}', "malformed"),
        ('{"v":"1","node":"n","kind":"flow"}', "malformed"),
        ({**START, "kind": "entries"}, "malformed"),
        ({**LOG, "chain": "short"}, "malformed"),
        ({**LOG, "chain": "é" * 11}, "malformed"),
        ({**LOG, "entries": [[1]]}, "malformed"),
        ({**START, "kind": "thought", "of": "the future"}, "kind"),
        ({"v": 2, "node": "n", "kind": "entries", "epoch": 7}, "version"),
        ({"v": 0, "node": "n", "kind": "flow"}, "version"),
    ],
)
def test_nod7_what_is_not_understood_is_ignored(message: object, reason: str) -> None:
    text = message if isinstance(message, str) else json.dumps(message)
    with pytest.raises(Ignored) as caught:
        decode(text.encode())
    assert caught.value.reason == reason


def test_nod7_what_a_later_version_adds_is_left_out() -> None:
    message = json.dumps({**LOG, "more": [1], "entries": []}).encode()
    assert decode(message) == ("n", "entries", News("e", 1, bytes(8), [], "n"))
