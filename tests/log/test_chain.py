"""The log against its own past: chains, and stores that went back in time. (docs/spec.md, CHN)"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from helix.chain import chain_text, chained, continues, follow, origin_of, parse_chain
from helix.documents.document import empty_document, encode_document
from helix.errors import StoreCorrupt, StoreUnavailable
from helix.log.live_log import LAST_SNAPSHOT_ENTRIES, RECENT_BYTES
from helix.records import Actor, Entry, FlowHead
from tests.channels.test_document_mode import (
    Editor,
    MakeWorld,
    adding,
    failure_of,
    join,
    moving,
    refused,
)
from tests.support.heldstore import HeldStore, go_back
from tests.support.world import World

TEXTS = st.text(max_size=4)
ENTRIES = st.builds(
    Entry,
    st.integers(1, 3),
    TEXTS.map(str.encode),
    st.floats(0, 2e9),
    TEXTS,
    st.none() | TEXTS,
    st.none() | st.integers(0, 3),
    st.lists(TEXTS, max_size=2).map(tuple),
    st.just(b""),
    st.none() | st.builds(Actor, TEXTS, TEXTS, TEXTS),
    st.sampled_from([b"", b"{}", b'{"a":1}']),
)


def _whole(part: bytes, other: bytes) -> bytes:
    """The empty document with a part exchanged."""
    text = encode_document(empty_document())
    assert part in text
    return text.replace(part, other)


# What a chain is.


@given(st.sampled_from([origin_of("a"), origin_of("b")]), ENTRIES, ENTRIES)
def test_chn1_a_chain_is_of_an_entry_and_all_before_it(
    before: bytes, one: Entry, other: Entry
) -> None:
    assert len(follow(before, one)) == 8
    assert (follow(before, one) == follow(before, other)) == (one == other)
    assert follow(before, one) != follow(origin_of("c"), one)


def test_chn1_where_a_text_ends_makes_a_difference() -> None:
    one = Entry(1, b"{}", 0.0, "ab", "c", 1)
    others = [
        Entry(1, b"{}", 0.0, "a", "bc", 1),
        Entry(1, b"c{}", 0.0, "ab", "", 1),
        Entry(1, b"{}", 0.0, "abc", None, None),
    ]
    assert follow(b"\0" * 8, one) not in [follow(b"\0" * 8, other) for other in others]


def test_chn1_it_stays_what_it_is() -> None:
    """Else what is stored would be taken for damaged by the next version."""
    log = chained(
        origin_of("e1"),
        [
            Entry(1, b'{"title":"t"}', 1_700_000_000.25, "Ada", "public", 7, ("/nodes/a",)),
            Entry(2, b"{}", 1_700_000_001.5),
        ],
    )
    assert chain_text(origin_of("e1")) == "i1zE337sfTI"
    assert [chain_text(entry.chain) for entry in log] == ["jJ3vZpLbUDw", "VR-Fq8L5jfs"]


def test_acc101_the_chain_is_of_the_author_too() -> None:
    ada = Actor("ab", "person", "c")
    entries = [
        Entry(1, b"{}", 1.0, "Ada"),
        Entry(1, b"{}", 1.0, "Ada", actor=ada),
        Entry(1, b"{}", 1.0, "Ada", actor=ada, tags=b'{"source":"ai"}'),
        Entry(1, b"{}", 1.0, "Ada", tags=b'{"source":"ai"}'),
        Entry(1, b"{}", 1.0, "Ada", actor=Actor("a", "bperson", "c")),
        Entry(1, b"{}", 1.0, "Ada", actor=Actor("ab", "personc", "")),
        Entry(1, b"{}", 1.0, "Ada", actor=Actor("ab", "person", "c{}")),
        Entry(1, b"{}", 1.0, "Ada", actor=ada, tags=b"{}"),
        Entry(1, b"{}", 1.0, "Ada", actor=Actor("", "", "")),
    ]
    chains = {follow(origin_of("e"), entry) for entry in entries}
    assert len(chains) == len(entries)


def test_acc101_the_chain_of_an_author_stays_what_it_is() -> None:
    actor = Actor("ada@example.com", "person", "Ada")
    entry = Entry(1, b"{}", 1.5, "Ada", None, None, (), b"", actor, b'{"source":"ai"}')
    assert chain_text(follow(origin_of("e1"), entry)) == "s5TaKLzBjeg"


def test_chn1_a_log_continues_from_its_chain_alone() -> None:
    log = chained(origin_of("e"), [Entry(n, b"{}", 1.0) for n in range(1, 5)])
    assert continues(origin_of("e"), log)
    assert continues(log[1].chain, log[2:])
    assert not continues(log[0].chain, log[2:])
    assert not continues(origin_of("e"), [*log[:2], msgspec.structs.replace(log[2], by="Eve")])


@given(st.binary(min_size=8, max_size=8))
def test_chn2_a_chain_is_11_characters(chain: bytes) -> None:
    text = chain_text(chain)
    assert len(text) == 11
    assert parse_chain(text) == chain


@pytest.mark.parametrize(
    "text", ["", "AAAAAAAAAA", "AAAAAAAAAAB", "AAAAAAAAAAA=", "AAAAAAAAAA\n", "\u00e9" * 11]
)
def test_chn2_what_is_no_chain(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # whatever it says
        parse_chain(text)


# On the wire.


@pytest.fixture
def store() -> HeldStore:
    return HeldStore()


@pytest.fixture
def world(make_world: MakeWorld, store: HeldStore) -> World:
    return make_world(store=store)


@pytest.fixture
def nodes(make_world: MakeWorld, store: HeldStore) -> tuple[World, World]:
    return make_world(store=store), make_world(store=store, seed=1)


def chain_of(store: HeldStore, version: int) -> str:
    """The chain of the flow's log at a version."""
    return chain_text(store._logs["f"].chain(version))


def told(world: World, editor: Editor) -> list[Any]:
    """The payloads of ``entries`` and ``reset`` that a member has been sent."""
    world.settle()
    return [m.payload for m in editor.client.received() if m.event in ("entries", "reset")]


def test_chn2_all_that_tells_a_version_tells_its_chain(world: World, store: HeldStore) -> None:
    editor = Editor(world, "w")
    assert editor.joined["chain"] == chain_text(origin_of(editor.epoch))
    editor.patch(1, adding("a"))
    editor.patch(2, {"title": "t"})
    assert [(p["entries"][-1]["version"], p["chain"]) for p in told(world, editor)] == [
        (1, chain_of(store, 1)),
        (2, chain_of(store, 2)),
    ]
    assert join(world.client(), "r")["chain"] == chain_of(store, 2)
    store.renew_epochs("another")
    world.service.refresh("f")
    (reset,) = told(world, editor)
    assert (reset["version"], reset["chain"]) == (2, chain_of(store, 2))


def test_chn2_a_chain_that_cant_be_is_refused(world: World) -> None:
    response = refused(world.client(), {"client_id": "c", "epoch": "e", "version": 0, "chain": "x"})
    assert (response["code"], response["retry"]) == ("invalid_parameters", False)


def resume(world: World, editor: Editor, version: int, chain: str) -> dict[str, Any]:
    return join(world.client(), "r", epoch=editor.epoch, version=version, chain=chain)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_chn3_a_resume_compares_the_chain(world: World, store: HeldStore, version: int) -> None:
    editor = Editor(world, "w")
    editor.patch(1, adding("a", "b", "c"))
    editor.patch(2, moving("a", 1))
    editor.look()
    other = chain_text(b"\0" * 8)
    resumed = resume(world, editor, version, chain_of(store, version))
    assert resumed["recovered"] is (version > 0)  # all entries are more than the document
    resumed = resume(world, editor, version, other)
    assert resumed["recovered"] is False
    assert set(resumed["document"]["nodes"]) == set("abc")
    assert (resumed["epoch"], resumed["chain"]) == (editor.epoch, chain_of(store, 2))


def test_chn3_a_resume_compares_a_chain_that_is_not_at_hand(world: World, store: HeldStore) -> None:
    editor = Editor(world, "w")
    editor.patch(1, {"data": {"long": "x" * 200_000}})
    for op_id in range(2, 2 + RECENT_BYTES // 110):
        editor.patch(op_id, {"data": {"n": op_id}})
    editor.look()
    assert world.flow().log.recent(1) is None
    assert resume(world, editor, 2, chain_of(store, 2))["recovered"] is True
    assert resume(world, editor, 2, chain_of(store, 3))["recovered"] is False


def test_chn3_a_resume_holds_no_two_pasts(nodes: tuple[World, World], store: HeldStore) -> None:
    """What is no longer at hand is read from a store that went back, and on another way."""
    here = Editor(nodes[0], "here")
    count = 3 + RECENT_BYTES // 110
    for op_id in range(1, 3):
        here.patch(op_id, {"data": {f"long {op_id}": "x" * 200_000}})
    for op_id in range(3, count):
        here.patch(op_id, {"data": {"here": op_id}})
    here.look()
    chain = chain_of(store, 2)
    go_back(store, "f", 3)
    there = Editor(nodes[1], "there")
    for op_id in range(1, count):
        there.patch(op_id, {"data": {"there": op_id}})
    there.look()
    assert nodes[0].flow().log.recent(2) is None
    again = Editor(nodes[0], "again", epoch=here.epoch, version=2, chain=chain)
    assert again.joined["recovered"] is False
    here.look()
    assert here.events[-1:] == ["reset"]
    assert here.document == there.document


# A store that went back in time.


@pytest.mark.parametrize("follows", [0, 1, 2, 3])
def test_chn4_a_store_that_went_back_is_noticed_by_an_append(
    nodes: tuple[World, World], store: HeldStore, follows: int
) -> None:
    """Whether its log is behind, or has come as far or farther on another way."""
    here = Editor(nodes[0], "here")
    for op_id, title in enumerate(["one", "two", "three"], 1):
        here.patch(op_id, {"title": title})
    assert here.accepted() == {1: 1, 2: 2, 3: 3}
    go_back(store, "f", 1)
    there = Editor(nodes[1], "there")
    for op_id in range(1, follows + 1):
        there.patch(op_id, {"data": {"there": op_id}})
    there.look()
    assert there.epoch == here.epoch
    here.patch(4, {"description": "four"})
    assert here.accepted() == {1: 1, 2: 2, 3: 3, 4: 2 + follows}
    assert here.events == ["reset"]
    assert here.epoch != there.epoch
    expected = {
        "title": "one",
        "description": "four",
        "data": {"there": follows} if follows else {},
    }
    assert {name: here.document[name] for name in expected} == expected
    nodes[1].service.refresh("f")
    there.look()
    assert (there.epoch, there.version, there.document) == (here.epoch, here.version, here.document)


def test_chn4_two_nodes_that_notice_at_once_end_with_one_epoch(
    nodes: tuple[World, World], store: HeldStore
) -> None:
    here, there = Editor(nodes[0], "here"), Editor(nodes[1], "there")
    here.patch(1, {"title": "one"})
    here.patch(2, {"title": "two"})
    here.look()
    there.patch(1, {"data": {"there": 1}})
    there.look()
    there.events.clear()
    go_back(store, "f", 1)
    store.holding = True
    here.patch(3, {"description": "here"})
    there.patch(2, {"data": {"there": 2}})
    while store.waiting:
        store.let_through()
        for node in nodes:
            node.settle()
    assert {*here.accepted().values(), *there.accepted().values()} == {1, 2, 3}
    for node in nodes:
        node.service.refresh("f")
    here.look()
    there.look()
    assert (here.epoch, here.version, here.document) == (there.epoch, there.version, there.document)
    assert here.document["title"] == "one"
    assert here.document["description"] == "here"
    assert here.document["data"] == {"there": 2}
    assert (here.events, there.events) == (["reset"], ["reset"])


def test_chn4_an_epoch_is_made_new_though_the_store_was_away_meanwhile(
    world: World, store: HeldStore
) -> None:
    editor = Editor(world, "w")
    editor.patch(1, {"title": "one"})
    editor.patch(2, {"title": "two"})
    editor.look()
    go_back(store, "f", 1)
    store.fail("renew_epoch", StoreUnavailable(), happens=True)
    editor.patch(3, {"description": "three"})
    assert editor.refusals() == {3: ("store_unavailable", True)}
    world.clock.advance(1)
    editor.look()
    assert (editor.events, editor.version) == (["reset"], 1)
    editor.patch(3, {"description": "three"})
    assert editor.accepted()[3] == 2


def test_chn4_a_store_that_goes_back_between_two_reads_is_not_damaged(
    nodes: tuple[World, World], store: HeldStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its head told of an entry that is there no more when the entries are read."""
    here, there = Editor(nodes[0], "here"), Editor(nodes[1], "there")
    here.patch(1, {"title": "one"})
    here.look()
    nodes[1].service.refresh("f")
    there.look()
    here.patch(2, {"title": "two"})
    here.look()
    head = store.head

    def head_before(flow_id: str) -> Deferred[FlowHead]:
        monkeypatch.undo()
        told = head(flow_id)
        go_back(store, "f", 1)
        return told

    monkeypatch.setattr(store, "head", head_before)
    nodes[1].service.refresh("f")
    there.patch(1, {"description": "there"})
    assert there.accepted() == {1: 2}
    assert there.document["title"] == "one"


def test_chn4_a_join_alone_makes_no_new_epoch(world: World, store: HeldStore) -> None:
    """What a client says that it has seen may be anything."""
    editor = Editor(world, "w")
    editor.patch(1, {"title": "one"})
    editor.look()
    for version, chain in ((1, b"\1" * 8), (7, b"\2" * 8)):
        joined = resume(world, editor, version, chain_text(chain))
        assert (joined["recovered"], joined["epoch"]) == (False, editor.epoch)
    editor.look()
    assert editor.events == []


def test_chn4_who_was_told_a_lost_future_joins_what_there_is(
    nodes: tuple[World, World], store: HeldStore
) -> None:
    here = Editor(nodes[0], "here")
    for op_id in range(1, 5):
        here.patch(op_id, {"title": f"{op_id}"})
    here.look()
    chain = chain_of(store, 4)
    go_back(store, "f", 2)
    there = Editor(nodes[1], "there", epoch=here.epoch, version=4, chain=chain)
    assert (there.joined["recovered"], there.version) == (False, 2)
    for op_id in range(1, 5):
        there.patch(op_id, {"description": f"{op_id}"})
    there.look()
    again = Editor(nodes[1], "again", epoch=here.epoch, version=4, chain=chain)
    assert (again.joined["recovered"], again.version) == (False, 6)
    assert again.document == there.document


@pytest.mark.parametrize("follows", [0, 3, LAST_SNAPSHOT_ENTRIES + 9])
def test_chn6_no_snapshot_is_kept_of_a_lost_future(
    nodes: tuple[World, World], store: HeldStore, follows: int
) -> None:
    here = Editor(nodes[0], "here")
    for op_id in range(1, LAST_SNAPSHOT_ENTRIES + 6):
        here.patch(op_id, {"title": f"lost {op_id}"})
    here.look()
    go_back(store, "f", 2)
    there = Editor(nodes[1], "there")
    for op_id in range(1, follows + 1):
        there.patch(op_id, {"title": f"kept {op_id}"})
    there.look()
    here.client.cut()
    nodes[0].settle()
    assert store.snapshot_versions("f", here.epoch).result == []  # type: ignore[attr-defined]
    there.client.cut()
    nodes[1].settle()
    assert Editor(nodes[0], "new").document == there.document


# Damage.


DAMAGES = {
    "no JSON": b'{"title": "cut o',
    "no UTF-8": b'{"title": "\xff"}',
    "no object": b"[]",
    "no document": b'{"title": "t"}',
    "a number for nodes": _whole(b'"nodes":{},', b'"nodes":7,'),
    "a number for a node": _whole(b'"nodes":{},', b'"nodes":{"a":7},'),
    "an edge from nowhere": _whole(b'"edges":{},', b'"edges":{"e":{"id":"e"}},'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_sto12_a_damaged_snapshot_is_told_as_that(
    world: World, store: HeldStore, damage: str
) -> None:
    epoch, at = "e1", 0
    store.create("f", epoch, 0.0)
    store.snapshot("f", epoch, at, origin_of(epoch), DAMAGES[damage])
    for params in ({"client_id": "c"}, {"client_id": "c", "epoch": epoch, "version": 0}):
        told = refused(world.client(), params)
        assert (told["code"], told["retry"]) == ("store_corrupt", False)
        assert "snapshot of version 0" in told["reason"]
    assert failure_of(world.service.read("f")) is StoreCorrupt
    assert world.events("helix.session.crashed") == []


@pytest.mark.parametrize("patch", [b'{"title', b"7", b'{"edges":{"e":7}}', b'{"title":"\xff"}'])
def test_sto12_a_damaged_entry_is_told_as_that(
    world: World, store: HeldStore, patch: bytes
) -> None:
    store.create("f", "e1", 0.0, chained(origin_of("e1"), [Entry(1, patch, 0.0)]))
    told = refused(world.client(), {"client_id": "c"})
    assert (told["code"], told["retry"]) == ("store_corrupt", False)
    assert "entry of version 1" in told["reason"]
    assert world.events("helix.session.crashed") == []
