"""Document mode: patches in, entries out, and nothing acknowledged that isn't stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from helix.channels.document import MAX_UNANSWERED
from helix.documents.document import encode_document
from helix.errors import (
    FlowNotFound,
    HelixError,
    SessionCrashed,
    StoreCorrupt,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    VersionConflict,
)
from helix.flows.lifetime import LINGER
from helix.log.commit_loop import MAX_CONFLICTS, MAX_GROUP
from helix.log.edits import Submission
from helix.log.live_log import (
    LAST_SNAPSHOT_ENTRIES,
    MISSED_BYTES,
    RECENT_BYTES,
    SNAPSHOT_BYTES,
    SNAPSHOT_ENTRIES,
)
from tests.support.editors import FLOW, NAMES, Editor, adding, join, logged, moving, node, refused
from tests.support.heldstore import HeldStore
from tests.support.world import World

MakeWorld = Callable[..., World]


@pytest.fixture
def store() -> HeldStore:
    return HeldStore()


@pytest.fixture
def world(make_world: MakeWorld, store: HeldStore) -> World:
    return make_world(store=store)


def failure_of(failed: Deferred[Any]) -> type[BaseException] | None:
    """What a Deferred failed with."""
    failures: list[Any] = []
    failed.addErrback(failures.append)
    return failures[0].type if failures else None


# joining


def test_dom1_join_is_answered_with_the_document(world: World) -> None:
    joined = join(world.client(), "me", user={"name": "Ada", "color": "#123456"})
    assert joined["client_id"] == "me"
    assert joined["version"] == 0
    assert joined["role"] == "editor"
    assert joined["recovered"] is False
    assert "entries" not in joined
    assert joined["document"] == {
        "title": "",
        "description": "",
        "viewport": {"x": 0, "y": 0, "zoom": 1},
        "data": {},
        "nodes": {},
        "edges": {},
    }
    assert joined["limits"] == {
        "max_patch_bytes": 262144,
        "max_document_bytes": 16777216,
        "max_members": 20000,
        "max_frame_bytes": 1048576,
    }
    assert len(joined["epoch"]) == 22


def test_dom3_large_answer_comes_in_parts_to_who_asks(world: World) -> None:
    editor = Editor(world, "a")
    label = '\U0001f600\u00e4"x' * 8000
    editor.patch(1, {"nodes": {"n": {**node("n"), "data": {"label": label}}}})
    assert editor.accepted() == {1: 1}
    whole = join(world.client(), "b")
    client = world.client()
    ref = client.join(FLOW, {"mode": "document", "client_id": "b", "parts": True})
    world.settle()
    received = client.received()
    at = next(n for n, message in enumerate(received) if message.event == "phx_reply")
    parts, reply = received[:at], received[at]
    assert {(part.join_ref, part.ref, part.event) for part in parts} == {(ref, None, "part")}
    assert reply.ref == ref
    assert reply.payload["response"] == {"parts": len(parts)}
    assert len(parts) > 1
    assert NAMES.read(json.loads("".join(part.payload["text"] for part in parts))) == whole


def test_dom3_small_answer_comes_whole(world: World) -> None:
    joined = join(world.client(), "a", parts=True)
    assert joined["document"]["nodes"] == {}


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({}, "client_id"),
        ({"client_id": ""}, "client_id"),
        ({"client_id": "x" * 256}, "client_id"),
        ({"client_id": 7}, "client_id"),
        ({"client_id": "c", "version": -1, "epoch": "e"}, "version"),
        ({"client_id": "c", "version": 1.5, "epoch": "e"}, "version"),
        ({"client_id": "c", "epoch": 5}, "epoch"),
        ({"client_id": "c", "user": {"name": "n" * 256}}, "name"),
        ({"client_id": "c", "user": 1}, "user"),
    ],
)
def test_dom2_parameters_that_cant_be(world: World, params: dict[str, Any], named: str) -> None:
    response = refused(world.client(), params)
    assert response["code"] == "invalid_parameters"
    assert response["retry"] is False
    assert named in response["reason"]


def test_dom2_mode_that_is_none(world: World) -> None:
    client = world.client()
    status, response = client.answer(client.join(FLOW, {"mode": "other"}))
    assert (status, response) == ("error", {"reason": "The mode of a join is relay or document"})


def test_dom3_resume_gives_what_was_missed(world: World) -> None:
    writer, reader = Editor(world, "w"), Editor(world, "r")
    writer.patch(1, adding(*"abcdefgh"))
    reader.look()
    reader.client.cut()
    writer.patch(2, moving("a", 1))
    writer.patch(3, moving("b", 2))
    joined = join(world.client(), "r", epoch=reader.epoch, version=reader.version)
    assert joined["recovered"] is True
    assert "document" not in joined
    assert [(entry["version"], entry["patch"]) for entry in joined["entries"]] == [
        (2, moving("a", 1)),
        (3, moving("b", 2)),
    ]
    assert joined["version"] == 3


def test_dom3_resume_without_a_gap_recovers_nothing(world: World) -> None:
    reader = Editor(world, "r")
    joined = join(world.client(), "r2", epoch=reader.epoch, version=0)
    assert (joined["recovered"], joined["entries"]) == (True, [])


@pytest.mark.parametrize(
    ("epoch", "version"), [("other", 1), (None, 7), (None, 2**60)], ids=["epoch", "ahead", "far"]
)
def test_dom3_resume_from_where_the_log_never_was(
    world: World, epoch: str | None, version: int
) -> None:
    writer = Editor(world, "w")
    writer.patch(1, adding("a"))
    joined = join(world.client(), "r", epoch=epoch or writer.epoch, version=version)
    assert joined["recovered"] is False
    assert joined["version"] == 1
    assert list(joined["document"]["nodes"]) == ["a"]


def test_dom3_resume_from_far_behind_reads_the_store(world: World) -> None:
    """Entries that are no longer at hand come from the log, while they are less than the whole."""
    writer = Editor(world, "w")
    writer.patch(1, {"data": {"long": "x" * 200_000}})
    for op_id in range(2, 2 + RECENT_BYTES // 110):
        writer.patch(op_id, {"data": {"n": op_id}})
    writer.look()
    assert world.flow().log.recent(1) is None
    joined = join(world.client(), "r", epoch=writer.epoch, version=1)
    assert joined["recovered"] is True
    assert [entry["version"] for entry in joined["entries"]] == list(range(2, writer.version + 1))


def test_dom3_resume_that_would_be_more_than_the_document(world: World) -> None:
    writer = Editor(world, "w")
    for op_id in range(1, 50):
        writer.patch(op_id, {"title": f"{op_id}" * 20})
    joined = join(world.client(), "r", epoch=writer.epoch, version=1)
    assert joined["recovered"] is False
    assert joined["document"]["title"] == "49" * 20


def test_dom3_resume_that_would_be_much_is_the_document(world: World) -> None:
    """Which all who join share; entries are read for one alone."""
    writer = Editor(world, "w")
    for op_id in range(1, 30):
        writer.patch(op_id, {"data": {f"n{op_id}": "x" * 250_000}})
    writer.look()
    resumed = {"epoch": writer.epoch}
    assert join(world.client(), "r", **resumed, version=20)["recovered"] is True
    assert MISSED_BYTES < 27 * 250_000
    assert join(world.client(), "s", **resumed, version=2)["recovered"] is False


def test_dom9_both_modes_count_as_members(world: World) -> None:
    relay = world.client()
    relay.join(FLOW)
    editor = Editor(world, "e")
    world.settle()
    counts = [payload["client_count"] for event, payload in relay.events() if "client_" in event]
    assert counts == [1, 2]
    editor.client.cut()
    world.settle()
    assert relay.events() == [("client_left", {"client_count": 1, "flow_id": "f"})]


def test_dom9_full_flow_refuses(make_world: MakeWorld) -> None:
    world = make_world(max_clients=1)
    world.members(1)
    response = refused(world.client(), {"client_id": "c"})
    assert (response["code"], response["retry"]) == ("max_clients_reached", True)


# patches


def test_dom4_patch_reaches_everybody_and_is_acknowledged(world: World) -> None:
    writer = Editor(world, "w", user={"name": "Ada"})
    reader = Editor(world, "r")
    writer.patch(5, adding("a"))
    assert writer.accepted() == {5: 1}
    reader.look()
    assert reader.entries == [
        {
            "version": 1,
            "client_id": "w",
            "op_id": 5,
            "patch": adding("a"),
            "by": "Ada",
            "at": 1_700_000_000.25,
        }
    ]
    assert writer.entries == reader.entries


def test_dom4_members_get_the_same_bytes_in_the_same_order(world: World) -> None:
    editors = [Editor(world, f"c{n}") for n in range(3)]
    for op_id in range(1, 6):
        for editor in editors:
            editor.patch(op_id, {"data": {f"{op_id}": editor.joined["client_id"]}})
    world.settle()
    streams = [
        [frame for frame in editor.client.raw() if b'"entries"' in frame] for editor in editors
    ]
    assert streams[0] == streams[1] == streams[2]
    assert sum(len(json.loads(frame)[4]["entries"]) for frame in streams[0]) == 15


def test_dom11_answers_and_entries_of_an_append_are_one_write(
    world: World, store: HeldStore
) -> None:
    writer, reader = Editor(world, "w"), Editor(world, "r")
    writer.patch(1, adding("a"))
    writer.accepted()
    store.holding = True
    for op_id in (2, 3, 4):
        writer.patch(op_id, moving("a", op_id))
    store.let_through()
    world.settle()
    sockets = [editor.client.socket for editor in (writer, reader)]
    before = [socket.writes for socket in sockets]
    store.let_through()
    assert [socket.writes for socket in sockets] == [n + 1 for n in before]
    assert writer.accepted() == {1: 1, 2: 2, 3: 3, 4: 4}
    assert [entry["version"] for entry in writer.entries] == [1, 2, 3, 4]


def test_dom4_reply_tells_the_effective_patch_where_it_differs(world: World) -> None:
    writer = Editor(world, "w")
    writer.patch(1, adding("a"))
    writer.patch(2, {"nodes": {"a": {"position": {"x": 3, "y": 0}}, "ghost": {"data": {"z": 1}}}})
    writer.accepted()
    assert writer.answers[1] == ("ok", {"version": 1})
    assert writer.answers[2] == (
        "ok",
        {"version": 2, "patch": moving("a", 3), "dropped": ["/nodes/ghost"]},
    )


def test_log6_patch_that_changes_nothing_takes_no_version(world: World, store: HeldStore) -> None:
    writer = Editor(world, "w")
    writer.patch(1, adding("a"))
    writer.patch(2, moving("a", 0))
    writer.patch(3, {})
    assert writer.accepted() == {1: 1, 2: 1, 3: 1}
    assert writer.answers[2] == ("ok", {"version": 1, "patch": {}})
    assert store.groups == [[1]]


@pytest.mark.parametrize(
    ("patch", "path"),
    [
        ({"nodes": {"n": {"id": "m"}}}, "/nodes/n/id"),
        ({"title": 7}, "/title"),
        ({"nodes": {"a": {"data": {"__proto__": 1}}}}, "/nodes/a/data/__proto__"),
        ([], "whole"),
    ],
)
def test_dom5_patch_that_breaks_a_rule_is_refused_whole(
    world: World, store: HeldStore, patch: Any, path: str
) -> None:
    writer = Editor(world, "w")
    writer.patch(1, adding("a"))
    if isinstance(patch, dict):
        patch = {"description": "not this either", **patch}
    writer.patch(2, patch)
    writer.patch(3, moving("a", 1))
    assert writer.refusals() == {2: ("invalid_patch", False)}
    assert path in writer.answers[2][1]["reason"]
    assert writer.answers[3] == ("ok", {"version": 2})
    assert join(world.client(), "r")["document"]["description"] == ""


@pytest.mark.parametrize(
    "payload",
    [
        {},
        [],
        {"op_id": 1},
        {"patch": {}},
        *({"op_id": op_id, "patch": {}} for op_id in (-1, "1", 1.5, 2**53 + 1)),
        *({"op_id": 1, "patch": {}, "if_version": one} for one in ("0", 0.5, True)),
    ],
)
def test_dom5_push_that_is_no_patch(world: World, payload: Any) -> None:
    client = world.client()
    join(client)
    status, response = client.answer(client.push(FLOW, "patch", payload))
    assert (status, response["code"], response["retry"]) == ("error", "invalid_parameters", False)


def test_dom5_patch_for_a_version_is_taken_at_that_version_alone(world: World) -> None:
    one, other = Editor(world, "1"), Editor(world, "2")
    one.patch(1, adding("a"), if_version=0)
    other.patch(1, adding("b"), if_version=0)
    other.patch(2, adding("c"), if_version=1)
    one.look()
    assert one.answers == {1: ("ok", {"version": 1})}
    assert other.refusals() == {1: ("precondition_failed", False)}
    assert other.answers[2] == ("ok", {"version": 2})
    one.patch(2, {"nodes": {"a": None, "c": None}})
    assert not one.refusals()
    other.patch(3, adding("b"), if_version=0)
    assert other.refusals()[3] == ("precondition_failed", False)
    assert join(world.client(), "r")["document"]["nodes"] == {}


def test_dom5_patch_for_a_version_counts_what_is_not_stored_yet(
    world: World, store: HeldStore
) -> None:
    one, other = Editor(world, "1"), Editor(world, "2")
    store.holding = True
    one.patch(1, adding("a"))
    other.patch(1, adding("b"), if_version=0)
    other.patch(2, adding("c"), if_version=1)
    world.settle()
    store.holding = False
    store.let_through()
    assert other.refusals() == {1: ("precondition_failed", False)}
    assert other.answers[2] == ("ok", {"version": 2})


def test_dom5_log3_patch_is_not_refused_by_what_is_not_stored(
    world: World, store: HeldStore
) -> None:
    """What comes before it in the same append fails, and so the flow never was at that version."""
    one, other = Editor(world, "1"), Editor(world, "2")
    store.holding = True
    one.patch(1, adding("a"))
    one.patch(2, adding("b"))
    other.patch(1, adding("c"), if_version=1)
    store.let_through()
    world.settle()
    store.fail("append", StoreUnavailable())
    store.let_through()
    one.look()
    other.look()
    assert one.refusals() == {2: ("store_unavailable", True)}
    assert other.refusals() == {1: ("store_unavailable", True)}
    store.holding = False
    other.patch(1, adding("c"), if_version=1)
    assert other.accepted() == {1: 2}


def test_dom5_patch_for_a_version_is_answered_the_same_again(world: World) -> None:
    writer = Editor(world, "w")
    writer.patch(1, adding("a"), if_version=0)
    writer.patch(2, adding("b"))
    writer.look()
    again = Editor(world, "w")
    again.patch(1, adding("a"), if_version=0)
    again.look()
    assert again.answers[1] == ("ok", {"version": 1, "duplicate": True})


def test_dom5_patch_for_a_version_heeds_what_another_node_wrote(
    make_world: MakeWorld, store: HeldStore
) -> None:
    here = make_world(store=store)
    writer = Editor(here, "w")
    there = Editor(make_world(store=HeldStore(store)), "o")
    there.patch(1, adding("a"))
    there.look()
    writer.patch(1, adding("b"), if_version=0)
    assert writer.refusals() == {1: ("precondition_failed", False)}
    assert join(here.client(), "r")["document"]["nodes"].keys() == {"a"}


def test_dom5_patch_that_is_too_large(world: World) -> None:
    writer = Editor(world, "w")
    writer.patch(1, {"data": {"long": "x" * (1 << 18)}})
    assert writer.refusals() == {1: ("patch_too_large", False)}


def test_dom5_events_that_are_none(world: World) -> None:
    client = world.client()
    join(client)
    assert client.answer(client.push(FLOW, "ping")) == ("ok", {"status": "pong"})
    for event in ("flow_change", "other"):
        status, response = client.answer(client.push(FLOW, event, {"changes": 1}))
        assert (status, response["code"]) == ("error", "unknown_event")


# the commit loop


def test_log1_nothing_is_told_before_the_store_has_it(world: World, store: HeldStore) -> None:
    writer, reader = Editor(world, "w"), Editor(world, "r")
    store.holding = True
    writer.patch(1, adding("a"))
    world.settle()
    writer.look()
    reader.look()
    assert not writer.answers
    assert not reader.entries
    assert join(world.client(), "late")["document"]["nodes"] == {}
    assert failure_of(world.service.read("f")) is FlowNotFound
    store.let_through()
    assert writer.accepted() == {1: 1}
    reader.look()
    assert reader.version == 1


def test_log1_who_joins_during_an_append_misses_nothing(world: World, store: HeldStore) -> None:
    writer = Editor(world, "w")
    writer.patch(1, adding("a", "b"))
    store.holding = True
    writer.patch(2, {"nodes": {"a": None, "b": {"position": {"x": 9}}}, "title": "t"})
    late = Editor(world, "late")
    assert late.version == 1
    assert late.document["nodes"] == {"a": node("a"), "b": node("b")}
    resumed = join(world.client(), "again", epoch=writer.epoch, version=0)
    assert resumed["version"] == 1
    assert len(resumed["entries"] if resumed["recovered"] else [1]) == 1
    store.let_through()
    late.look()
    assert late.document["nodes"] == {"b": node("b", 9)}
    assert world.service.read("f").result.version == 2  # type: ignore[attr-defined]


def test_log11_a_document_is_encoded_once_between_two_edits(
    world: World, store: HeldStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[dict[str, Any]] = []

    def encode(content: dict[str, Any]) -> bytes:
        encoded.append(content)
        return encode_document(content)

    monkeypatch.setattr("helix.log.live_log.encode_document", encode)
    writer = Editor(world, "w")
    for n in (1, 2):
        store.holding = False
        writer.patch(2 * n, {"data": {"n": n}})
        encoded.clear()
        # Also beside an edit under way, which nobody is shown.
        store.holding = True
        writer.patch(2 * n + 1, {"title": str(n)})
        for reader in range(3):
            document = join(world.client(), f"{n}-{reader}")["document"]
            assert document["data"] == {"n": n}
            assert document["title"] == str(n - 1 or "")
        assert world.service.read("f").result.document  # type: ignore[attr-defined]  # fired at once
        assert len(encoded) == 1
        store.let_through()


def test_log2_what_comes_during_an_append_is_the_next(world: World, store: HeldStore) -> None:
    a, b = Editor(world, "a"), Editor(world, "b")
    store.holding = True
    a.patch(1, adding("n"))
    for op_id in range(1, 4):
        b.patch(op_id, adding(f"b{op_id}"))
    a.patch(2, moving("n", 5))
    assert store.waiting == 1
    store.let_through()
    assert store.groups == [[1], [2, 3, 4, 5]]
    store.let_through()
    assert a.accepted() == {1: 1, 2: 5}
    assert b.accepted() == {1: 2, 2: 3, 3: 4}


def test_log2_groups_are_bounded(world: World, store: HeldStore) -> None:
    writer = Editor(world, "w")
    store.holding = True
    for op_id in range(1, MAX_GROUP + 3):
        writer.patch(op_id, {"data": {"n": op_id}})
    for _ in range(3):
        store.let_through()
    assert [len(group) for group in store.groups] == [1, MAX_GROUP, 1]
    assert len(writer.accepted()) == MAX_GROUP + 2


def test_log2_patches_that_wait_are_bounded(world: World, store: HeldStore) -> None:
    writer = Editor(world, "w")
    store.holding = True
    for op_id in range(1, MAX_UNANSWERED + 3):
        writer.patch(op_id, {"data": {"n": op_id}})
    assert writer.refusals() == {
        MAX_UNANSWERED + 1: ("too_many_pending", True),
        MAX_UNANSWERED + 2: ("out_of_order", True),
    }
    while store.waiting:
        store.let_through()
    writer.patch(MAX_UNANSWERED + 1, {"data": {"n": 0}})
    store.let_through()
    writer.look()
    assert writer.answers[MAX_UNANSWERED + 1] == ("ok", {"version": MAX_UNANSWERED + 1})


@pytest.mark.parametrize(
    ("error", "code", "retry"),
    [
        (StoreUnavailable(), "store_unavailable", True),
        (StoreFull(), "store_full", True),
        (StoreReadOnly(), "store_read_only", True),
        (StoreCorrupt(), "store_corrupt", False),
    ],
)
def test_log3_failed_append_leaves_the_document_as_it_was(
    world: World, store: HeldStore, error: HelixError, code: str, retry: bool
) -> None:
    writer, reader = Editor(world, "w"), Editor(world, "r")
    writer.patch(1, {**adding("a", "b"), "edges": {"e": {"id": "e", "source": "a", "target": "b"}}})
    before = join(world.client(), "x")["document"]
    store.fail("append", error)
    writer.patch(2, {"nodes": {"a": None, "c": node("c")}, "title": "t"})
    world.clock.advance(1)
    assert writer.refusals() == {2: (code, retry)}
    assert join(world.client(), "y")["document"] == before
    writer.patch(2, {"title": "again"})
    assert writer.refusals() == {}
    reader.look()
    assert (reader.version, reader.document["title"]) == (2, "again")
    world.failures.clear()


def test_log3_all_who_wait_are_refused_with_it(world: World, store: HeldStore) -> None:
    a, b = Editor(world, "a"), Editor(world, "b")
    store.holding = True
    a.patch(1, adding("n"))
    a.patch(2, moving("n", 1))
    b.patch(1, adding("m"))
    store.fail("create", StoreUnavailable())
    store.let_through()
    assert a.refusals() == {1: ("store_unavailable", True), 2: ("store_unavailable", True)}
    assert b.refusals() == {1: ("store_unavailable", True)}
    assert not store.waiting


def test_dom6_later_patches_dont_overtake_one_that_failed(world: World, store: HeldStore) -> None:
    writer, other = Editor(world, "w"), Editor(world, "o")
    store.fail("create", StoreUnavailable())
    writer.patch(1, {"title": "one"})
    writer.patch(2, {"title": "two"})
    assert writer.refusals() == {1: ("store_unavailable", True), 2: ("out_of_order", True)}
    other.patch(1, {"description": "others may"})
    assert other.accepted() == {1: 1}
    writer.patch(1, {"title": "one"})
    writer.patch(2, {"title": "two"})
    assert writer.accepted() == {1: 2, 2: 3}


@pytest.mark.parametrize("happens", [True, False], ids=["written after all", "not written"])
@pytest.mark.parametrize("method", ["create", "append"])
def test_log7_append_of_unknown_outcome(
    world: World, store: HeldStore, method: str, happens: bool
) -> None:
    """The members learn of it without anybody's doing, and a resend finds it."""
    writer, reader = Editor(world, "w"), Editor(world, "r")
    if method == "append":
        writer.patch(1, {"description": "first"})
        writer.look()
        reader.look()
    store.fail(method, StoreUnavailable(), happens=happens)
    writer.patch(7, {"title": "t"})
    assert writer.refusals() == {7: ("store_unavailable", True)}
    base = int(method == "append")
    world.clock.advance(0.5)
    world.settle()
    reader.look()
    assert reader.version == base + happens
    writer.patch(7, {"title": "t"})
    assert writer.refusals() == {}
    known = {"duplicate": True} if happens else {}
    assert writer.answers[7] == ("ok", {"version": base + 1, **known})
    assert logged(world).count(("w", 7)) == 1


def test_log7_store_that_is_away_is_asked_again(world: World, store: HeldStore) -> None:
    writer, reader = Editor(world, "w"), Editor(world, "r")
    store.fail("create", StoreUnavailable(), happens=True)
    for _ in range(3):
        store.fail("head", StoreUnavailable())
    writer.patch(1, {"title": "t"})
    reader.look()
    assert reader.version == 0
    for _ in range(20):
        world.clock.advance(0.5)
    world.settle()
    reader.look()
    assert (reader.version, reader.document["title"]) == (1, "t")


def test_dom2_join_while_the_store_is_away(world: World, store: HeldStore) -> None:
    Editor(world, "w").patch(1, {"title": "t"})
    store.fail("newest_op", StoreUnavailable())
    response = refused(world.client(), {"client_id": "new"})
    assert (response["code"], response["retry"]) == ("store_unavailable", True)
    assert join(world.client(), "new")["version"] == 1


class SoleWriter(HeldStore):
    """As a file to which no other process writes."""

    is_sole_writer = True


def test_dom2_join_asks_nobody_where_the_session_knows_the_whole_log(make_world: MakeWorld) -> None:
    store = SoleWriter()
    world = make_world(store=store)
    writer = Editor(world, "w")
    for op_id in (1, 2):
        writer.patch(op_id, {"title": str(op_id)})
    store.fail("newest_op", StoreUnavailable())
    assert join(world.client(), "w")["last_op_id"] == 2
    assert join(world.client(), "new")["last_op_id"] is None


def test_dom2_join_asks_while_nobody_knows_what_became_of_an_append(make_world: MakeWorld) -> None:
    store = SoleWriter()
    world = make_world(store=store)
    writer = Editor(world, "w")
    writer.patch(1, {"title": "one"})
    store.fail("append", StoreUnavailable(), happens=True)
    store.fail("head", StoreUnavailable())
    writer.patch(2, {"title": "two"})
    assert join(world.client(), "w")["last_op_id"] == 2


def test_dom2_join_asks_where_the_log_is_longer_than_what_is_in_memory(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SoleWriter()
    world = make_world(store=store)
    monkeypatch.setattr("helix.log.live_log.RECENT_BYTES", 200)
    other, writer = Editor(world, "other"), Editor(world, "w")
    writer.patch(1, {"title": "w"})
    writer.client.cut()
    for op_id in (1, 2, 3):
        other.patch(op_id, {"title": str(op_id)})
    assert join(world.client(), "w")["last_op_id"] == 1


# two services on one store


@pytest.fixture
def nodes(make_world: MakeWorld, store: HeldStore) -> tuple[World, World]:
    """Two nodes that share a store, and nothing else."""
    return make_world(store=store), make_world(store=store, seed=1)


def test_log4_other_writers_entries_come_first(
    nodes: tuple[World, World], store: HeldStore
) -> None:
    here, there = Editor(nodes[0], "here"), Editor(nodes[1], "there")
    here.patch(1, adding("a", "b"))
    there.patch(1, {"title": "there"})
    assert there.accepted() == {1: 2}
    there.patch(2, {"nodes": {"b": None}})
    here.patch(2, {"nodes": {"a": {"position": {"x": 5}}, "b": {"position": {"x": 5}}}})
    assert here.accepted() == {1: 1, 2: 4}
    assert here.answers[2][1]["patch"] == moving("a", 5)
    nodes[1].service.refresh("f")
    there.look()
    assert here.version == there.version == 4
    assert here.document == there.document
    assert (
        here.entries == there.entries[-4:] or there.entries == here.entries[-len(there.entries) :]
    )


def test_log10_flow_that_two_nodes_begin_at_once(
    nodes: tuple[World, World], store: HeldStore
) -> None:
    """One log wins; who had begun the other is reset, and keeps what it has submitted."""
    here, there = Editor(nodes[0], "here"), Editor(nodes[1], "there")
    assert here.epoch != there.epoch
    store.holding = True
    here.patch(1, adding("a"))
    there.patch(1, adding("b"))
    while store.waiting:
        store.let_through()
    assert here.accepted() == {1: 1}
    assert there.accepted() == {1: 2}
    assert there.events == ["reset"]
    assert there.epoch == here.epoch
    assert set(there.document["nodes"]) == {"a", "b"}


def begin_another(store: HeldStore) -> None:
    """Let the flow give way to an empty one, behind the backs of all who have it open."""
    store.delete("f", 0.0)
    store.create("f", "another", 0.0, replace_deleted=True)


def test_log10_what_another_log_lacks_is_applied_when_it_is_resent(
    world: World, store: HeldStore
) -> None:
    writer = Editor(world, "w")
    writer.patch(1, {"title": "t"})
    assert writer.accepted() == {1: 1}
    begin_another(store)
    world.service.refresh("f")
    writer.look()
    assert (writer.events, writer.epoch, writer.version) == (["reset"], "another", 0)
    writer.patch(1, {"title": "t"})
    assert writer.accepted() == {1: 1}
    assert logged(world) == [("w", 1)]


def test_log10_resume_that_finds_another_log_in_the_store(world: World, store: HeldStore) -> None:
    writer = Editor(world, "w")
    for op_id in range(1, 2 + RECENT_BYTES // 110):
        writer.patch(op_id, {"data": {"n": op_id}})
    writer.look()
    assert world.flow().log.recent(1) is None
    begin_another(store)
    resumed = Editor(world, "r", epoch=writer.epoch, version=1)
    for one in (writer, resumed):
        one.look()
        assert (one.epoch, one.version) == ("another", 0)
    assert writer.events == ["reset"]


def test_dom3_resume_of_what_another_node_told(
    nodes: tuple[World, World], store: HeldStore
) -> None:
    """Who changes the node isn't shown an older version than it has seen."""
    here, there = Editor(nodes[0], "here"), Editor(nodes[1], "there")
    here.patch(1, {"title": "t"})
    here.patch(2, {"title": "u"})
    here.look()
    moved = Editor(nodes[1], "here", epoch=here.epoch, version=2)
    assert (moved.joined["recovered"], moved.joined["entries"], moved.version) == (True, [], 2)
    there.look()
    assert (there.epoch, there.version) == (here.epoch, 2)


def test_dom3_resume_of_what_another_node_told_while_an_append_is_under_way(
    nodes: tuple[World, World], store: HeldStore
) -> None:
    """What the append adds is told once: by the reply, or by entries behind it."""
    here, there = Editor(nodes[0], "here"), Editor(nodes[1], "there")
    here.patch(1, {"title": "t"})
    here.look()
    there.patch(1, {"title": "u"})
    there.look()
    store.holding = True
    there.patch(2, {"title": "v"})
    moving = nodes[1].client()
    sent = {"mode": "document", "client_id": "here", "epoch": there.epoch, "version": 9}
    joining = moving.join(FLOW, sent)
    there.patch(3, {"title": "w"})
    while store.waiting:
        store.let_through()
        nodes[1].settle()
    received = moving.received()
    (reply,) = [message.payload for message in received if message.ref == joining]
    told = [one for m in received if m.event == "entries" for one in m.payload["entries"]]
    first = reply["response"]["version"]
    assert [entry["version"] for entry in told] == [*range(first + 1, 5)]
    assert reply["response"]["document"]["title"] == {3: "v", 4: "w"}[first]


@pytest.mark.parametrize("ended", [False, True])
def test_dom2_resume_while_the_store_cannot_tell_what_another_node_did(
    ended: bool, world: World, store: HeldStore
) -> None:
    writer = Editor(world, "w")
    writer.patch(1, {"title": "t"})
    writer.look()
    store.fail("head", FlowNotFound() if ended else StoreUnavailable())
    client = world.client()
    params = {"mode": "document", "client_id": "r", "epoch": writer.epoch, "version": 9}
    status, response = client.answer(client.join(FLOW, params))
    assert status == "error"
    assert response["code"] == ("flow_deleted" if ended else "store_unavailable")
    assert response["retry"] is not ended


class SlowToTell(HeldStore):
    """Looks for the newest operation at once, but says what it found only when `told` fires."""

    told: Deferred[None] | None = None

    def newest_op(self, flow_id: str, epoch: str, client_id: str) -> Deferred[int | None]:
        found = super().newest_op(flow_id, epoch, client_id)
        return found if self.told is None else self.told.addCallback(lambda _: found)


def test_log5_resend_of_what_came_by_another_node_during_the_join(
    make_world: MakeWorld, store: HeldStore
) -> None:
    there, slow = make_world(store=store), SlowToTell(store)
    here = make_world(store=slow, seed=1)
    writer = Editor(there, "w")
    writer.patch(1, {"title": "t"})
    Editor(here, "other")
    slow.told = Deferred()
    again = here.client()
    joining = again.join(FLOW, {"mode": "document", "client_id": "w"})
    writer.patch(2, {"title": "u"})
    here.service.refresh("f")
    here.settle()
    slow.told.callback(None)
    assert again.answer(joining)[0] == "ok"
    resent = again.push(FLOW, "patch", {"op_id": 2, "patch": {"title": "u"}})
    assert again.answer(resent) == ("ok", {"version": 2, "duplicate": True})


def test_log5_same_operation_on_two_nodes(nodes: tuple[World, World], store: HeldStore) -> None:
    """The client's connection moved while its patch was under way."""
    setup = Editor(nodes[0], "setup")
    setup.patch(1, adding("a"))
    here, there = Editor(nodes[0], "c"), Editor(nodes[1], "c")
    store.holding = True
    here.patch(1, moving("a", 1))
    there.patch(1, moving("a", 1))
    while store.waiting:
        store.let_through()
    assert here.accepted() == there.accepted() == {1: 2}
    assert logged(nodes[0]) == [("setup", 1), ("c", 1)]


def test_log4_writer_who_is_never_first_is_told(world: World, store: HeldStore) -> None:
    writer = Editor(world, "w")
    for _ in range(MAX_CONFLICTS + 1):
        store.fail("create", VersionConflict())
    writer.patch(1, {"title": "t"})
    assert writer.refusals() == {1: ("version_conflict", True)}
    writer.patch(1, {"title": "t"})
    assert writer.accepted() == {1: 1}


def test_log4_random_writers_on_two_nodes_agree(
    nodes: tuple[World, World], store: HeldStore
) -> None:
    random = Random(5)
    editors = [Editor(nodes[n % 2], f"c{n}") for n in range(6)]
    ops = dict.fromkeys(range(6), 0)
    store.holding = True
    for _ in range(300):
        n = random.randrange(6)
        if random.random() < 0.5 and store.waiting:
            store.let_through()
        else:
            ops[n] += 1
            key = random.choice("abcde")
            patch = random.choice(
                [adding(key), moving(key, random.random()), {"nodes": {key: None}}]
            )
            editors[n].patch(ops[n], patch)
    while store.waiting:
        store.let_through()
    for world in nodes:
        world.service.refresh("f")
        while store.waiting:
            store.let_through()
    for n, editor in enumerate(editors):
        assert set(editor.accepted()) == set(range(1, ops[n] + 1))
    assert all(editor.document == editors[0].document for editor in editors)
    names = logged(nodes[0])
    assert len(names) == len(set(names)) == editors[0].version


# the flow's own end


def test_log9_flow_is_kept_from_its_first_entry(world: World) -> None:
    editor = Editor(world, "e")
    assert failure_of(world.store.head("f")) is FlowNotFound
    assert failure_of(world.service.read("f")) is FlowNotFound
    editor.patch(1, {"title": "t"})
    head = world.store.head("f").result  # type: ignore[attr-defined]
    assert (head.version, head.summary.title, head.epoch) == (1, "t", editor.epoch)


def test_log9_patch_on_a_flow_that_was_deleted(world: World, store: HeldStore) -> None:
    writer, reader = Editor(world, "w"), Editor(world, "r")
    writer.patch(1, {"title": "t"})
    writer.look()
    reader.look()
    store.delete("f", 1.0)
    store.holding = True
    writer.patch(2, {"title": "u"})
    store.let_through()
    assert writer.refusals() == {2: ("flow_deleted", False)}
    reader.look()
    assert reader.events == ["flow_deleted", "phx_close"]
    assert world.flow() is None


def test_log9_patches_that_wait_while_the_flow_is_deleted(world: World, store: HeldStore) -> None:
    """To send them again would be in vain."""
    writer = Editor(world, "w")
    writer.patch(1, {"title": "t"})
    writer.look()
    store.holding = True
    writer.patch(2, {"title": "under way"})
    writer.patch(3, {"title": "behind it"})
    store.delete("f", 1.0)
    world.service.forget("f")
    assert writer.refusals() == dict.fromkeys((2, 3), ("flow_deleted", False))
    writer.look()
    assert writer.events == ["flow_deleted", "phx_close"]
    store.let_through()
    assert world.flow() is None


def test_dom10_join_of_a_deleted_flow_is_refused_for_good(world: World, store: HeldStore) -> None:
    store.create("f", "e", 0.0)
    store.delete("f", 1.0)
    client = world.client()
    client.join(FLOW, {"mode": "document", "client_id": "c"})
    (_, reply), (event, _) = client.events()
    assert reply["response"]["code"] == "flow_deleted"
    assert event == "phx_close"
    relay = world.client()
    relay.join(FLOW)
    assert [event for event, _ in relay.events()] == ["phx_reply", "phx_close"]


def test_log8_snapshot_when_the_tail_is_long(world: World, store: HeldStore) -> None:
    writer = Editor(world, "w")
    for op_id in range(1, SNAPSHOT_ENTRIES + 2):
        writer.patch(op_id, {"data": {"n": op_id}})
    assert store.snapshot_versions("f", writer.epoch).result == [SNAPSHOT_ENTRIES]
    stored = store.load("f").result
    assert stored.snapshot_version == SNAPSHOT_ENTRIES
    assert len(stored.entries) == 1


def test_log8_snapshot_when_the_tail_is_large(world: World, store: HeldStore) -> None:
    writer = Editor(world, "w")
    for op_id in range(1, 2 + 2 * SNAPSHOT_BYTES // 250_000):
        writer.patch(op_id, {"data": {"text": f"{op_id}".ljust(250_000)}})
    writer.look()
    asked = world.store.snapshot_versions("f", writer.epoch)
    versions = asked.result  # type: ignore[attr-defined]  # at once, from memory
    assert versions[0] == SNAPSHOT_BYTES // 250_000 + 1
    assert len(versions) == 2


def test_log8_snapshot_lacks_what_is_submitted_in_answer_to_its_last_entry(
    world: World, store: HeldStore
) -> None:
    writer = Editor(world, "w")
    for op_id in range(1, SNAPSHOT_ENTRIES):
        writer.patch(op_id, {"data": {"n": op_id}})
    store.holding = True
    session = world.flow()

    def entitling(title: str) -> Submission:
        return Submission(lambda document, _: document.stage({"title": title}))

    session.submit(entitling("last")).addCallback(lambda _: session.submit(entitling("answer")))
    store.let_through()
    assert store.waiting == 1
    stored = store.load("f").result
    assert stored.snapshot_version == SNAPSHOT_ENTRIES
    assert json.loads(stored.snapshot)["title"] == "last"
    assert join(world.client(), "r")["document"]["title"] == "last"
    store.let_through()


def test_log8_snapshot_at_the_end_of_a_session(world: World, store: HeldStore) -> None:
    writer = Editor(world, "w")
    for op_id in range(1, LAST_SNAPSHOT_ENTRIES + 1):
        writer.patch(op_id, {"data": {"n": op_id}})
    writer.client.cut()
    assert store.load("f").result.entries == []
    assert join(world.client(), "r")["document"]["data"] == {"n": LAST_SNAPSHOT_ENTRIES}


def test_ses2_last_member_who_leaves_during_an_append(world: World, store: HeldStore) -> None:
    """The session ends when the store has answered, and the edit is kept."""
    writer = Editor(world, "w")
    store.holding = True
    writer.patch(1, {"title": "t"})
    writer.client.cut()
    assert world.flow() is not None
    store.let_through()
    assert world.flow() is None
    assert join(world.client(), "r")["document"]["title"] == "t"


def test_ses9_session_without_members_stays_a_little(world: World) -> None:
    Editor(world, "w").patch(1, {"title": "t"})
    world.clients[0].cut()
    assert world.flow() is None
    edit = Submission(lambda document, _: document.stage({"title": "u"}))
    world.service.submit("f", edit)
    assert world.flow() is not None
    world.clock.advance(LINGER - 1)
    world.service.submit("f", edit)
    world.clock.advance(LINGER - 1)
    assert world.flow() is not None
    world.clock.advance(1.5)
    assert world.flow() is None


def test_ses9_session_stays_though_the_store_takes_its_time(world: World, store: HeldStore) -> None:
    Editor(world, "w").patch(1, {"title": "t"})
    world.clients[0].cut()
    store.holding = True
    world.service.submit("f", Submission(lambda document, _: document.stage({"title": "u"})))
    store.let_through()
    world.clock.advance(LINGER - 1)
    assert world.flow() is not None
    world.clock.advance(1.5)
    assert world.flow() is None


def test_ses5_fault_while_staging_ends_the_session_alone(world: World) -> None:
    editor = Editor(world, "e")
    editor.patch(1, {"title": "t"})

    def stage(document: Any, dropped: Any) -> Any:
        raise RuntimeError("a fault")

    assert failure_of(world.service.submit("f", Submission(stage))) is SessionCrashed
    editor.look()
    assert editor.events == ["phx_error"]
    assert Editor(world, "again").document["title"] == "t"
    world.failures.clear()


def test_log7_next_session_waits_for_what_the_last_was_writing(
    world: World, store: HeldStore
) -> None:
    editor = Editor(world, "e")
    store.holding = True
    editor.patch(1, {"title": "t"})
    world.service.close("f")
    late = world.client()
    ref = late.join(FLOW, {"mode": "document", "client_id": "e"})
    assert late.received() == []
    store.let_through()
    assert late.answer(ref)[1]["document"]["title"] == "t"
    store.holding = False
