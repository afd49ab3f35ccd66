"""What a submission's name means: what the log holds under it is a duplicate, no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from twisted.internet.defer import Deferred

from helix.errors import StoreUnavailable, VersionConflict
from helix.log.live_log import RECENT_BYTES
from helix.log.submitters import MAX_SOUGHT
from helix.records import Entry
from tests.support.editors import Editor, adding, logged
from tests.support.heldstore import HeldStore
from tests.support.world import World

MakeWorld = Callable[..., World]


class SlowToFind(HeldStore):
    """
    A store whose look-ups are answered by hand.

    :ivar questions: the numbers that were asked for and are not answered, each time those of one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.questions: list[list[int]] = []
        self._answers: list[Callable[[], None]] = []

    def find(
        self, flow_id: str, epoch: str, client_id: str, op_ids: Sequence[int]
    ) -> Deferred[list[Entry]]:
        answer: Deferred[list[Entry]] = Deferred()
        found = super().find(flow_id, epoch, client_id, op_ids)
        self.questions.append(list(op_ids))
        self._answers.append(lambda: found.chainDeferred(answer))
        return answer

    def answer(self) -> None:
        """Answer everything, also what is asked then."""
        while self._answers:
            self.answer_one()

    def answer_one(self) -> None:
        """Answer what was asked first."""
        self.questions.pop(0)
        self._answers.pop(0)()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> SlowToFind:
    """No entries are at hand: whatever is looked up, the store is asked for."""
    monkeypatch.setattr("helix.log.live_log.RECENT_BYTES", 0)
    return SlowToFind()


@pytest.fixture
def world(make_world: MakeWorld, store: SlowToFind) -> World:
    return make_world(store=store)


def titles(world: World, store: SlowToFind, *op_ids: int) -> Editor:
    """An editor whose patches with these numbers are in the log; its connection is lost."""
    writer = Editor(world, "w")
    for op_id in op_ids:
        writer.patch(op_id, {"title": f"{op_id}"})
        store.answer()
    assert list(writer.accepted()) == list(op_ids)
    writer.client.cut()
    return writer


# what is a duplicate


def test_log5_resend_is_answered_with_what_it_became(world: World, store: SlowToFind) -> None:
    writer, other = Editor(world, "w"), Editor(world, "o")
    writer.patch(1, adding("a"))
    other.patch(1, {"nodes": {"a": None}})
    late = {"title": "t", "nodes": {"a": {"position": {"x": 5}}}}
    writer.patch(2, late)
    first = writer.accepted()
    assert first == {1: 1, 2: 3}
    assert "duplicate" not in writer.answers[2][1]
    writer.client.cut()
    again = Editor(world, "w")
    again.patch(1, adding("a"))
    again.patch(2, late)
    again.patch(3, {"title": "three"})
    store.answer()
    assert again.accepted() == {**first, 3: 4}
    assert again.answers[1][1] == {"version": 1, "duplicate": True}
    told = {"patch": {"title": "t"}, "dropped": ["/nodes/a"], "duplicate": True}
    assert again.answers[2][1] == {"version": 3, **told}
    assert logged(world) == [("w", 1), ("o", 1), ("w", 2), ("w", 3)]


def test_log5_resend_after_a_restart(make_world: MakeWorld, store: SlowToFind) -> None:
    writer = titles(make_world(store=store), store, 1)
    world = make_world(store=store)
    again = Editor(world, "w", epoch=writer.epoch, version=0)
    again.patch(1, {"title": "1"})
    store.answer()
    assert again.accepted() == {1: 1}


def test_log5_resend_while_the_first_is_under_way(world: World, store: SlowToFind) -> None:
    first = Editor(world, "w")
    store.holding = True
    first.patch(1, {"title": "t"})
    first.patch(2, {"title": "u"})
    second = Editor(world, "w")
    for op_id, title in ((1, "t"), (2, "u"), (3, "v")):
        second.patch(op_id, {"title": title})
    while store.waiting:
        store.let_through()
    assert second.accepted() == {1: 1, 2: 2, 3: 3}
    assert [second.answers[op_id][1].get("duplicate") for op_id in (1, 2, 3)] == [True, True, None]
    assert logged(world) == [("w", 1), ("w", 2), ("w", 3)]
    assert store.groups == [[1], [2, 3]]


def test_log5_resend_of_what_changes_nothing_is_no_duplicate(
    world: World, store: SlowToFind
) -> None:
    """The log doesn't hold it, also when it was sent twice before it was judged."""
    first = Editor(world, "w")
    store.holding = True
    first.patch(1, {"title": "t"})
    first.patch(2, {"title": "t"})
    second = Editor(world, "w")
    second.patch(2, {"title": "t"})
    while store.waiting:
        store.let_through()
    assert second.accepted() == {2: 1}
    assert "duplicate" not in second.answers[2][1]
    assert logged(world) == [("w", 1)]


def test_log5_resend_while_the_first_fails(world: World, store: SlowToFind) -> None:
    first = Editor(world, "w")
    store.holding = True
    store.fail("create", StoreUnavailable())
    first.patch(1, {"title": "t"})
    second = Editor(world, "w")
    second.patch(1, {"title": "t"})
    second.patch(2, {"title": "u"})
    store.let_through()
    assert second.refusals() == dict.fromkeys((1, 2), ("store_unavailable", True))
    store.holding = False
    second.patch(1, {"title": "t"})
    second.patch(2, {"title": "u"})
    assert second.accepted() == {1: 1, 2: 2}


# what is none


def test_log5_numbers_may_come_in_any_order(world: World, store: SlowToFind) -> None:
    writer = Editor(world, "w")
    for op_id in (5, 3, 2**53, 0, 4):
        writer.patch(op_id, {"data": {f"{op_id}": True}})
        store.answer()
    assert writer.accepted() == {5: 1, 3: 2, 2**53: 3, 0: 4, 4: 5}
    assert set(writer.document["data"]) == {"5", "3", f"{2**53}", "0", "4"}
    assert not any("duplicate" in response for _, response in writer.answers.values())


def test_log5_what_was_refused_is_judged_again(world: World, store: SlowToFind) -> None:
    """It is refused as before, also when it is sent again behind a later one."""
    writer = Editor(world, "w")
    writer.patch(1, {"nodes": 5})
    writer.patch(2, {"title": "two"})
    assert writer.refusals() == {1: ("invalid_patch", False)}
    writer.client.cut()
    again = Editor(world, "w")
    again.patch(1, {"nodes": 5})
    again.patch(2, {"title": "two"})
    store.answer()
    assert again.refusals() == {1: ("invalid_patch", False)}
    assert again.answers[2] == ("ok", {"version": 1, "duplicate": True})


def test_log5_what_changed_nothing_is_judged_again(world: World, store: SlowToFind) -> None:
    """The log doesn't hold it, so to say "ok" of it would be to say what nobody knows."""
    titles(world, store, 1)
    other = Editor(world, "o")
    writer = Editor(world, "w")
    writer.patch(2, {"title": "1"})
    assert writer.accepted() == {2: 1}
    other.patch(1, {"title": "other"})
    writer.patch(2, {"title": "1"})
    assert writer.accepted() == {2: 3}
    assert logged(world) == [("w", 1), ("o", 1), ("w", 2)]


# the look-up


def test_log5_only_numbers_that_may_be_known_are_looked_up(world: World, store: SlowToFind) -> None:
    titles(world, store, 3, 9)
    writer = Editor(world, "w")
    for op_id in (10, 3, 11, 9):
        writer.patch(op_id, {"title": f"{op_id}"})
    assert store.questions == [[3]]
    store.answer_one()
    assert store.questions == [[9]]
    store.answer()


def test_log5_what_is_at_hand_is_not_looked_up_in_the_store(make_world: MakeWorld) -> None:
    """The entries in memory hold all of a short log, and the newest of a long one."""
    store = SlowToFind()
    world = make_world(store=store)
    Editor(world, "keeps the session")
    titles(world, store, 2, 5)
    writer = Editor(world, "w")
    for op_id in (2, 3, 5):
        writer.patch(op_id, {"title": f"{op_id}"})
    assert writer.accepted() == {2: 1, 3: 3, 5: 2}
    for op_id in range(6, 8 + RECENT_BYTES // 110):
        writer.patch(op_id, {"data": {"n": op_id}})
    writer.look()
    assert world.flow().log.recent(0) is None
    writer.client.cut()
    again = Editor(world, "w")
    again.patch(op_id, {"data": {"n": op_id}})
    again.patch(2, {"title": "2"})
    assert store.questions == [[2]]
    assert again.accepted() == {op_id: writer.version}
    store.answer()
    assert again.accepted()[2] == 1


def test_log5_look_up_keeps_a_clients_order_and_holds_up_nobody_else(
    world: World, store: SlowToFind
) -> None:
    titles(world, store, 1, 9)
    writer, other = Editor(world, "w"), Editor(world, "o")
    for op_id in (1, 3, 10, 9, 4):
        writer.patch(op_id, {"title": f"{op_id}"})
    other.patch(1, {"description": "o"})
    assert other.accepted() == {1: 3}
    assert store.questions == [[1]]
    store.answer_one()
    assert writer.accepted() == {1: 1}
    assert store.questions == [[3, 9, 4]], "one after another"
    store.answer_one()
    assert writer.accepted() == {1: 1, 3: 4, 10: 5, 9: 2, 4: 6}
    assert logged(world)[3:] == [("w", 3), ("w", 10), ("w", 4)]


def test_log5_what_is_released_overtakes_nothing_that_is_staged_again(
    make_world: MakeWorld, store: SlowToFind
) -> None:
    """Its look-up ends while another node's entries are read, which were first."""
    there, here = make_world(store=store), make_world(store=store, seed=1)
    titles(here, store, 9)
    writer, other = Editor(here, "w"), Editor(there, "o")
    store.holding = True
    writer.patch(10, {"title": "10"})
    writer.patch(3, {"title": "3"})
    other.patch(1, {"description": "d"})
    store.holding = False
    writer.patch(11, {"title": "11"})
    store._waiting.rotate(-1)
    while store.waiting:
        store.let_through()
    assert store.questions == [[3]]
    store.answer()
    assert list(writer.accepted()) == [10, 3, 11]
    assert [op_id for name, op_id in logged(here) if name == "w"] == [9, 10, 3, 11]


def test_log5_much_is_looked_up_in_parts(world: World, store: SlowToFind) -> None:
    """What a client sends again in few bytes may have become as many large patches."""
    writer = Editor(world, "w")
    writer.patch(999, {"title": "999"})
    for op_id in range(MAX_SOUGHT + 3):
        writer.patch(op_id, {"data": {f"{op_id}": op_id}})
    store.answer_one()
    assert [len(asked) for asked in store.questions] == [MAX_SOUGHT]
    store.answer_one()
    assert [len(asked) for asked in store.questions] == [2]
    store.answer_one()
    assert list(writer.accepted()) == [999, *range(MAX_SOUGHT + 3)]


def test_log5_resend_that_the_store_cant_look_up(world: World, store: SlowToFind) -> None:
    """What is behind it doesn't overtake it."""
    titles(world, store, 1, 9)
    writer = Editor(world, "w")
    store.fail("find", StoreUnavailable())
    for op_id in (3, 1, 10):
        writer.patch(op_id, {"title": f"{op_id}"})
    store.answer()
    assert set(writer.refusals()) == {3, 1, 10}
    writer.patch(11, {"title": "11"})
    assert writer.refusals()[11] == ("out_of_order", True)
    for op_id in (3, 1, 10, 11):
        writer.patch(op_id, {"title": f"{op_id}"})
    store.answer()
    assert writer.accepted() == {3: 3, 1: 1, 10: 4, 11: 5}


def test_log5_look_up_that_is_overtaken_by_the_end_of_the_session(
    world: World, store: SlowToFind
) -> None:
    titles(world, store, 1)
    writer = Editor(world, "w")
    writer.patch(1, {"title": "1"})
    writer.patch(0, {"title": "0"})
    world.flow().close()
    store.answer()
    writer.look()
    assert writer.events[-1] == "phx_error"
    assert logged(world) == [("w", 1)]


def test_log5_what_would_be_refused_is_looked_up_first(world: World, store: SlowToFind) -> None:
    """Another node may have taken it. What is behind it waits, and nobody else does."""
    writer, other = Editor(world, "w"), Editor(world, "o")
    other.patch(1, {"title": "o"})
    writer.patch(1, {"nodes": 5})
    writer.patch(2, {"description": "two"})
    other.patch(2, {"title": "oo"})
    assert store.questions == [[1]]
    assert other.accepted() == {1: 1, 2: 2}
    assert not writer.answers
    store.answer()
    assert writer.refusals() == {1: ("invalid_patch", False)}
    assert writer.answers[2] == ("ok", {"version": 3})


def test_log5_what_would_be_refused_is_refused_for_now_where_the_store_cant_tell(
    world: World, store: SlowToFind
) -> None:
    writer = Editor(world, "w")
    writer.patch(1, {"title": "one"})
    store.fail("find", StoreUnavailable())
    writer.patch(2, {"nodes": 5})
    writer.patch(3, {"title": "three"})
    store.answer()
    assert writer.refusals() == dict.fromkeys((2, 3), ("store_unavailable", True))
    for op_id, patch in ((2, {"nodes": 5}), (3, {"title": "three"})):
        writer.patch(op_id, patch)
    store.answer()
    assert writer.refusals()[2] == ("invalid_patch", False)
    assert writer.answers[3] == ("ok", {"version": 2})


def test_log10_look_up_in_a_log_that_gives_way(world: World, store: SlowToFind) -> None:
    """What the one log holds is applied to the other."""
    titles(world, store, 1, 2)
    writer = Editor(world, "w")
    writer.patch(1, {"title": "1"})
    writer.patch(2, {"title": "2"})
    store.delete("f", 0.0)
    store.create("f", "another", 0.0, replace_deleted=True)
    world.service.refresh("f")
    store.answer()
    assert writer.accepted() == {1: 1, 2: 2}
    assert writer.events == ["reset"]
    assert logged(world) == [("w", 1), ("w", 2)]


def test_log5_what_one_log_lacked_is_looked_up_in_the_next(
    make_world: MakeWorld, store: SlowToFind
) -> None:
    """Though nothing would tell that it is there: it would change nothing any more."""
    here, there = make_world(store=store), make_world(store=store, seed=1)
    titles(here, store, 9)
    writer, other = Editor(here, "w"), Editor(here, "o")
    store.holding = True
    other.patch(1, {"description": "o"})
    writer.patch(3, {"title": "3"})
    store.let_through()
    store.answer()
    assert store.waiting, "the log lacked it"
    store.holding = False
    store.renew_epochs("another")
    elsewhere = Editor(there, "w")
    elsewhere.patch(3, {"title": "3"})
    store.answer()
    assert elsewhere.accepted() == {3: 3}
    store.let_through()
    store.answer()
    assert writer.accepted() == {3: 3}
    assert writer.answers[3][1] == {"version": 3, "duplicate": True}
    assert writer.events == ["reset"]


def test_log5_session_stays_while_the_store_is_asked(world: World, store: SlowToFind) -> None:
    titles(world, store, 1, 9)
    writer = Editor(world, "w")
    writer.patch(3, {"title": "3"})
    writer.client.cut()
    assert world.flow() is not None
    store.answer()
    assert logged(world)[2:] == [("w", 3)]
    world.settle()
    assert world.flow() is None


# another node


def test_log5_what_another_node_took_meanwhile(make_world: MakeWorld, store: SlowToFind) -> None:
    """Here it waits behind an append when it turns out that the log holds it."""
    there, here = make_world(store=store), make_world(store=store, seed=1)
    Editor(there, "o").patch(1, {"description": "d"})
    late, other = Editor(here, "w"), Editor(here, "x")
    store.holding = True
    other.patch(1, {"data": {"x": 1}})
    late.patch(7, {"title": "t"})
    store.holding = False
    Editor(there, "w").patch(7, {"title": "t"})
    while store.waiting:
        store.let_through()
    assert late.accepted() == {7: 2}
    assert late.answers[7][1]["duplicate"]
    assert other.accepted() == {1: 3}
    assert logged(here).count(("w", 7)) == 1


def test_log5_what_another_node_took_before_the_log_was_read_that_far(
    make_world: MakeWorld, store: SlowToFind
) -> None:
    """It is answered once this node, too, has what it is answered with."""
    there, here = make_world(store=store), make_world(store=store, seed=1)
    first = Editor(there, "w")
    first.patch(7, {"title": "t"})
    Editor(here, "reader")
    first.patch(8, {"title": "u"})
    late = Editor(here, "w")
    assert (late.version, late.joined["last_op_id"]) == (1, 8)
    late.patch(8, {"title": "u"})
    store.answer()
    assert late.accepted() == {8: 2}
    assert late.version == 2


def test_log4_conflict_with_oneself_is_no_conflict_for_ever(
    world: World, store: SlowToFind
) -> None:
    """The store says that it holds what this node has looked up in vain."""
    titles(world, store, 1, 9)
    writer = Editor(world, "w")
    writer.patch(3, {"title": "3"})
    store.fail("append", VersionConflict())
    store.answer()
    assert writer.accepted() == {3: 3}


# the order of what failed


def test_dom6_what_is_not_sent_again_holds_up_nothing_for_ever(
    world: World, store: SlowToFind
) -> None:
    """A client that gives up what failed, or counts in a way of its own, goes on."""
    writer = Editor(world, "w")
    store.fail("create", StoreUnavailable())
    writer.patch(5, {"title": "5"})
    writer.patch(2, {"title": "2"})
    assert writer.refusals() == {5: ("store_unavailable", True), 2: ("out_of_order", True)}
    writer.patch(2, {"title": "2"})
    writer.patch(7, {"title": "7"})
    store.answer()
    writer.look()
    assert [writer.answers[op_id][1]["version"] for op_id in (2, 7)] == [1, 2]


def test_dom6_none_overtakes_what_fails_again(world: World, store: SlowToFind) -> None:
    """Those behind it are on their way again by then."""
    writer = titles(world, store, 1)
    again = Editor(world, "w")
    store.fail("append", StoreUnavailable())
    for op_id in (2, 3, 4):
        again.patch(op_id, {"data": {f"{op_id}": True}})
    assert list(again.refusals()) == [2, 3, 4]
    for op_id in (2, 3, 4):
        if op_id == 2:
            store.fail("head", StoreUnavailable())
        again.patch(op_id, {"data": {f"{op_id}": True}})
    assert again.refusals()[2] == ("store_unavailable", True)
    assert again.refusals()[3] == ("out_of_order", True)
    for op_id in (2, 3, 4):
        again.patch(op_id, {"data": {f"{op_id}": True}})
    assert again.accepted() == {2: 2, 3: 3, 4: 4}
    assert writer.accepted() == {1: 1}


def test_dom6_none_overtakes_whatever_the_numbers(world: World, store: SlowToFind) -> None:
    writer = Editor(world, "w")
    store.fail("create", StoreUnavailable())
    for op_id in (5, 2, 9):
        writer.patch(op_id, {"data": {f"{op_id}": 1}})
    assert set(writer.refusals()) == {5, 2, 9}
    writer.patch(1, {"data": {"1": 1}})
    assert writer.refusals()[1] == ("out_of_order", True)
    for op_id in (5, 2, 9, 1):
        writer.patch(op_id, {"data": {f"{op_id}": 1}})
        store.answer()
    assert writer.accepted() == {5: 1, 2: 2, 9: 3, 1: 4}


def test_dom6_what_fails_twice_is_not_overtaken_either(world: World, store: SlowToFind) -> None:
    writer = Editor(world, "w")
    store.fail("create", StoreUnavailable())
    writer.patch(1, {"title": "1"})
    writer.patch(2, {"title": "2"})
    store.fail("create", StoreUnavailable())
    writer.patch(1, {"title": "1"})
    writer.patch(2, {"title": "2"})
    assert writer.refusals()[2] == ("out_of_order", True)
    for op_id in (1, 2):
        writer.patch(op_id, {"title": f"{op_id}"})
        store.answer()
    assert writer.accepted() == {1: 1, 2: 2}


# where to count on


def test_dom1_last_op_id_says_where_to_count_on(world: World, store: SlowToFind) -> None:
    assert Editor(world, "w").joined["last_op_id"] is None
    titles(world, store, 7, 4)
    assert Editor(world, "w").joined["last_op_id"] == 7
    assert Editor(world, "v").joined["last_op_id"] is None


def test_dom1_last_op_id_counts_what_is_under_way(world: World, store: SlowToFind) -> None:
    """Else who counts on from it would name something else with a number that is taken."""
    writer = Editor(world, "w")
    store.holding = True
    writer.patch(1, {"title": "1"})
    writer.patch(2, {"title": "2"})
    again = Editor(world, "w")
    assert again.joined["last_op_id"] == 2
    again.patch(3, {"title": "3"})
    while store.waiting:
        store.let_through()
    assert again.accepted() == {3: 3}


def test_dom1_last_op_id_counts_what_another_node_took(make_world: MakeWorld) -> None:
    """Also where the client's connection from before hasn't ended yet."""
    store = HeldStore()
    here, there = make_world(store=store), make_world(store=store, seed=1)
    for world, op_id in ((here, 1), (there, 2)):
        editor = Editor(world, "w")
        editor.patch(op_id, {"title": f"{op_id}"})
        editor.look()
    assert Editor(here, "w").joined["last_op_id"] == 2


def test_dom1_last_op_id_after_a_restart(make_world: MakeWorld, store: SlowToFind) -> None:
    titles(make_world(store=store), store, 4)
    assert Editor(make_world(store=store), "w").joined["last_op_id"] == 4


# the end of the server


def test_ops16_stop_waits_for_what_was_submitted(world: World, store: SlowToFind) -> None:
    """Also behind an append that is under way, for a second."""
    writer = Editor(world, "w")
    store.holding = True
    for op_id in (1, 2):
        writer.patch(op_id, {"title": f"{op_id}"})
    writer.client.cut()
    settled = Deferred.fromCoroutine(world.service.settle())
    world.clock.advance(0.3)
    assert not settled.called
    store.let_through()
    store.let_through()
    world.clock.advance(0.3)
    assert settled.called
    assert logged(world) == [("w", 1), ("w", 2)]


def test_ops16_stop_waits_a_second_at_most(world: World, store: SlowToFind) -> None:
    writer = Editor(world, "w")
    store.holding = True
    writer.patch(1, {"title": "t"})
    settled = Deferred.fromCoroutine(world.service.settle())
    for _ in range(11):
        world.clock.advance(0.1)
    assert settled.called
    store.let_through()
