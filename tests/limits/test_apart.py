"""What takes long is done apart, and nobody sees a difference."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from helix.documents.decoding import PART_BYTES, decode_in_parts
from helix.documents.document import empty_document
from helix.errors import InvalidPatch, SessionEnded, StoreFull, TooManyPending
from helix.limits.apart import AT_ONCE_BYTES, MAX_WAITING, WorkThread
from helix.log.replaying import HERE_BYTES
from helix.members.relay.audience import GREETING_WAIT, MADE_WAIT, MIN_INTERVAL
from tests.support.editors import FLOW, Editor, adding, join, node
from tests.support.heldstore import HeldStore
from tests.support.heldwork import HeldWork
from tests.support.world import Client, World

MakeWorld = Callable[..., World]

LARGE = AT_ONCE_BYTES + 1


@pytest_twisted.ensureDeferred
async def test_lim27_long_work_is_done_in_another_thread_in_order() -> None:
    apart = WorkThread(reactor)
    order: list[int] = []
    charged: list[float] = []

    def work(number: int) -> tuple[int, bool]:
        order.append(number)
        return number, threading.current_thread() is threading.main_thread()

    results = await gatherResults(
        [
            apart(LARGE, lambda number=number: work(number), lambda *told: charged.append(told[0]))
            for number in range(20)
        ]
    )
    assert results == [(number, False) for number in range(20)]
    assert order == [*range(20)]
    assert len(charged) == 20
    assert min(charged) >= 0
    assert await apart(AT_ONCE_BYTES, lambda: work(20)) == (20, True)


@pytest_twisted.ensureDeferred
async def test_lim27_what_waits_is_bounded_and_what_fails_ends() -> None:
    apart = WorkThread(reactor)
    may_end = threading.Event()

    def refuse() -> None:
        assert may_end.wait(60)
        raise InvalidPatch("", "can't be")

    waiting = [apart(LARGE, refuse) for _ in range(MAX_WAITING + 1)]
    with pytest.raises(TooManyPending):
        await apart(LARGE, refuse)
    waiting[0].addErrback(lambda _: None)
    waiting[0].cancel()
    may_end.set()
    for one in waiting[1:]:
        with pytest.raises(InvalidPatch):
            await one
    assert await apart(LARGE, lambda: 1) == 1


def result_of(world: World, operation: Deferred[Any]) -> Any:
    """What an operation gives that needs nothing more."""
    results: list[Any] = []
    operation.addCallback(results.append)
    world.settle()
    (result,) = results
    return result


def document_of(world: World) -> Any:
    return json.loads(result_of(world, world.library.read("f")).document)


@pytest.fixture
def work() -> HeldWork:
    return HeldWork()


@pytest.fixture
def store() -> HeldStore:
    return HeldStore()


@pytest.fixture
def replaced(make_world: MakeWorld, work: HeldWork, store: HeldStore) -> World:
    """Where much work is done apart, and a flow ``f`` is open."""
    world = make_world(apart=work, store=store)
    result_of(world, world.library.create({"title": "a", "nodes": {"a": node("a")}}, "f"))
    join(world.client(), "somebody")
    return world


def replace(world: World, **document: object) -> Deferred[Any]:
    return world.library.replace("f", document, size=LARGE)


@pytest.mark.parametrize("is_overtaken", [False, True])
def test_lim27_a_replacement_counts_though_others_edit_meanwhile(
    replaced: World, work: HeldWork, is_overtaken: bool
) -> None:
    answer = replace(replaced, title="c", data={"x": 1})
    replaced.settle()
    if is_overtaken:
        edit = {"description": "d", "data": {"y": 2}}
        result_of(replaced, replaced.library.patch("f", edit))
    work.go_on()
    replaced.settle()
    assert work.waiting == is_overtaken  # it is made anew
    work.go_on()
    accepted = result_of(replaced, answer)
    assert accepted.version == 2 + is_overtaken
    gone: dict[str, Any] = {"description": "", "data": {"y": None}} if is_overtaken else {}
    data = gone.pop("data", {}) | {"x": 1}
    assert json.loads(accepted.patch) == {"title": "c", "nodes": {"a": None}, "data": data} | gone
    assert document_of(replaced) == empty_document() | {"title": "c", "data": {"x": 1}}


def test_lim27_who_edits_while_it_is_made_anew_comes_behind_it(
    replaced: World, work: HeldWork
) -> None:
    answer = replace(replaced, title="b")
    replaced.settle()
    editor = Editor(replaced, "e")
    editor.patch(1, {"title": "before"})
    replaced.settle()
    work.go_on()
    editor.patch(2, {"description": "behind"})
    replaced.settle()
    assert editor.accepted() == {1: 2}
    assert document_of(replaced)["title"] == "before"
    assert work.waiting == 1
    work.go_on()
    assert result_of(replaced, answer).version == 3
    assert editor.accepted() == {1: 2, 2: 4}
    wanted = empty_document() | {"title": "b", "description": "behind"}
    assert document_of(replaced) == editor.document == wanted


def test_lim27_what_is_not_durable_yet_is_seen_by_nobody(
    replaced: World, work: HeldWork, store: HeldStore
) -> None:
    work.holding, store.holding = False, True
    before = document_of(replaced)
    replacing = replace(replaced, title="b", nodes={"n": node("n")})
    replaced.settle()
    behind = replaced.library.patch("f", {"nodes": {"n": {"position": {"x": 5}}}})
    assert document_of(replaced) == before
    assert Editor(replaced, "late").document == before
    store.let_through()
    assert result_of(replaced, replacing).version == 2
    assert document_of(replaced)["nodes"] == {"n": node("n")}
    store.let_through()
    assert result_of(replaced, behind).version == 3
    assert document_of(replaced)["nodes"] == {"n": node("n", 5)}


def test_lim27_what_could_not_be_stored_is_as_if_it_had_not_been(
    replaced: World, work: HeldWork, store: HeldStore
) -> None:
    work.holding = False
    before = document_of(replaced)
    store.fail("append", StoreFull())
    replacing = replace(replaced, title="b")
    replaced.settle()
    with pytest.raises(StoreFull):
        raise failure_of(replacing)
    replaced.failures.clear()
    assert document_of(replaced) == before
    assert result_of(replaced, replaced.library.patch("f", {"title": "c"})).version == 2
    assert document_of(replaced) == before | {"title": "c"}


def test_lim27_what_can_not_be_made_anew_is_refused_alone(replaced: World, work: HeldWork) -> None:
    replacing = replace(replaced, title="b")
    replaced.settle()
    result_of(replaced, replaced.library.patch("f", {"title": "c"}))
    work.error = TooManyPending()
    work.go_on()
    with pytest.raises(TooManyPending):
        raise failure_of(replacing)
    assert result_of(replaced, replaced.library.patch("f", {"description": "d"})).version == 3
    assert document_of(replaced)["title"] == "c"


def test_lim27_a_session_that_ends_meanwhile_refuses_it(replaced: World, work: HeldWork) -> None:
    replacing = replace(replaced, title="b")
    replaced.settle()
    result_of(replaced, replaced.library.patch("f", {"title": "c"}))
    work.go_on()
    replaced.service.close("f")
    with pytest.raises(SessionEnded):
        raise failure_of(replacing)
    work.go_on()
    replaced.settle()
    assert document_of(replaced)["title"] == "c"


def test_grp2_places_of_what_a_replacement_takes_out_are_known(
    replaced: World, work: HeldWork
) -> None:
    work.holding = False
    result_of(replaced, replace(replaced, nodes={"g": node("g", 100)}))
    result_of(replaced, replace(replaced, title="b"))
    late = node("n", 7) | {"parentId": "g"}
    result_of(replaced, replaced.library.patch("f", {"nodes": {"n": late}}))
    assert document_of(replaced)["nodes"] == {"n": node("n", 107)}


def test_lim27_a_large_flow_is_loaded_and_told_apart(make_world: MakeWorld, work: HeldWork) -> None:
    work.holding = False
    world = make_world(apart=work)
    document = {"data": {"t": "x" * HERE_BYTES}}
    result_of(world, world.library.create(document, "f"))
    work.holding = True
    client = world.client()
    ref = client.join(FLOW, {"mode": "document", "client_id": "c"})
    counted = []
    while world.service.get("f") is None or not world.service.get("f").client_count:
        counted.append(work.waiting)
        work.go_on()
        world.settle()
    assert counted == [1, 1]  # the document, then it as a part of answers
    status, response = client.answer(ref)
    assert (status, response["document"]["data"]) == ("ok", document["data"])


def test_lim27_all_who_join_a_large_flow_wait_for_one_piece_of_work(
    make_world: MakeWorld, work: HeldWork
) -> None:
    world = make_world(apart=work)
    work.holding = False
    result_of(world, world.library.create({"data": {"t": "x" * HERE_BYTES}}, "f"))
    keeper = world.client()
    keeper.join(FLOW)
    world.settle()
    work.holding = True
    work.go_on()
    joins = []
    for number in range(MAX_WAITING + 10):
        client = world.client()
        joins.append((client, client.join(FLOW, {"mode": "document", "client_id": f"c{number}"})))
    joins[0][0].cut()
    world.settle()
    assert work.waiting == 1
    work.go_on()
    world.settle()
    assert {client.answer(ref)[0] for client, ref in joins[1:]} == {"ok"}
    assert work.waiting == 0


def test_lim27_a_join_for_which_there_is_no_room_may_be_tried_again(
    make_world: MakeWorld, work: HeldWork
) -> None:
    world = make_world(apart=work)
    work.holding = False
    result_of(world, world.library.create({"data": {"t": "x" * HERE_BYTES}}, "f"))
    client = world.client()
    work.error = TooManyPending()
    status, response = client.answer(client.join(FLOW, {"mode": "document", "client_id": "c"}))
    assert (status, response["code"], response["retry"]) == ("error", "too_many_pending", True)
    join(client)


# relay mode


def large_flow(make_world: MakeWorld, work: HeldWork) -> World:
    """Where a flow of two nodes, which is much work, has been opened."""
    world, work.holding = make_world(apart=work), False
    nodes = {"b": node("b") | {"parentId": "a"}, "a": node("a") | {"data": {"t": "x" * HERE_BYTES}}}
    result_of(world, world.library.create({"nodes": nodes}, "f"))
    join(world.client(), "somebody")
    work.holding = True
    return world


def shown(client: Client) -> list[Any]:
    client.world.settle()
    updates = [payload for event, payload in client.events() if event == "flow_update"]
    return [[one["id"] for one in update["changes"]["nodes"]] for update in updates]


@pytest.mark.parametrize("is_refused", [False, True])
def test_bri8_who_joins_a_large_flow_is_sent_it_when_it_is_made(
    make_world: MakeWorld, work: HeldWork, is_refused: bool
) -> None:
    world, client = large_flow(make_world, work), None
    if is_refused:
        work.error = TooManyPending()
    client = world.client()
    client.join(FLOW)
    world.settle()
    assert work.waiting == (not is_refused)
    world.clock.advance(GREETING_WAIT)
    if not is_refused:
        assert shown(client) == []
        result_of(world, world.library.patch("f", adding("c")))
        assert shown(client) == []
        work.go_on()
        world.clock.advance(MADE_WAIT)
    assert shown(client) == [["a", "b"] if is_refused else ["a", "b", "c"]]
    other = world.client()
    other.join(FLOW)
    world.settle()
    world.clock.advance(GREETING_WAIT)
    assert work.waiting == 0
    assert len(shown(other)) == 1


@pytest.mark.parametrize("is_refused", [False, True])
def test_bri11_a_large_change_reaches_relay_members_when_it_is_made(
    make_world: MakeWorld, work: HeldWork, is_refused: bool
) -> None:
    world = large_flow(make_world, work)
    client = world.client()
    client.join(FLOW)
    world.settle()
    work.go_on()
    world.clock.advance(GREETING_WAIT)
    assert shown(client) == [["a", "b"]]
    large = node("c") | {"data": {"t": "y" * HERE_BYTES}}
    replace(world, nodes={"c": large})
    world.settle()
    assert work.waiting == 1
    if is_refused:
        work.error = TooManyPending()
    work.go_on()
    world.settle()
    world.clock.advance(MIN_INTERVAL)
    assert work.waiting == (not is_refused)
    if not is_refused:
        assert shown(client) == []
        work.go_on()
        world.clock.advance(MADE_WAIT)
    assert shown(client) == [["c"]]


def test_bri8_who_edits_a_large_flow_at_once_waits_until_it_is_made(
    make_world: MakeWorld, work: HeldWork
) -> None:
    world = large_flow(make_world, work)
    client, editor = world.client(), Editor(world, "e")
    client.join(FLOW)
    world.settle()
    sent = [editor.document["nodes"][name] for name in "ab"]
    refs = [
        client.change(FLOW, {"nodes": [*sent, *map(node, names)], "edges": []})
        for names in ("c", "cd")
    ]
    world.settle()
    assert world.flow().log.version == 1
    while world.flow().log.version < 3:
        assert work.waiting
        work.go_on()
        world.settle()
    replies = [message for message in client.received() if message.ref in refs]
    assert [(one.ref, one.payload["status"]) for one in replies] == [(ref, "ok") for ref in refs]
    editor.look()
    assert [[*entry["patch"]["nodes"]] for entry in editor.entries] == [["c"], ["d"]]


# decoding in parts


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=30,
)


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_lim27_what_is_decoded_in_parts_is_the_same(
    value: Any, indent: int | None, in_array: bool
) -> None:
    large = {"a": value, "b": {"t": "x" * PART_BYTES, "c": [value, value]}, "d": [[value]] * 3}
    text = json.dumps([large, large] if in_array else large, indent=indent).encode()
    assert decode_in_parts(b" \n" + text) == json.loads(text)


@pytest.mark.parametrize(
    "end", [b"", b'"', b'"}}', b'","b":\xff}}', b'","b":01}}', b'","b":[}}', b'"}}}', b'\xff"}}']
)
def test_lim27_what_is_no_json_is_told_in_parts_too(end: bytes) -> None:
    text = b'{"a":{"t":"' + b"x" * PART_BYTES + end
    for decode in (msgspec.json.decode, decode_in_parts):
        if end == b'"}}':
            decode(text)
        else:
            with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
                decode(text)


def test_lim27_what_nests_deep_is_decoded_in_few_passes() -> None:
    text = b'{"a":' * 100 + b'"' + b"x" * PART_BYTES + b'"' + b"}" * 100
    assert decode_in_parts(text) == json.loads(text)
    with pytest.raises(RecursionError):
        decode_in_parts(b"[" * PART_BYTES + b"]" * PART_BYTES)


def failure_of(operation: Deferred[Any]) -> BaseException:
    failures: list[BaseException] = []
    operation.addErrback(lambda failure: failures.append(failure.value))
    (failure,) = failures
    return failure
