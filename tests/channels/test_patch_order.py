"""No patch overtakes one that failed for now. (docs/spec.md, DOM6)"""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.channels.patch_order import MAX_FAILED, PatchOrder
from helix.client.replica import Operation
from helix.client.sending import Sending
from helix.errors import OutOfOrder


def turns(order: PatchOrder, *op_ids: int) -> list[int]:
    """Let patches come, and give those that may be taken."""
    taken = []
    for op_id in op_ids:
        try:
            order.take_turn(op_id)
        except OutOfOrder:
            continue
        taken.append(op_id)
    return taken


def test_dom6_what_comes_behind_one_that_failed_waits_for_it() -> None:
    order = PatchOrder()
    order.take_turn(5)
    order.fail(5)
    assert turns(order, 2, 9) == []
    assert turns(order, 5, 2, 9) == [5, 2, 9]


def test_dom6_what_fails_once_more_is_not_overtaken_by_what_was_on_its_way() -> None:
    order = PatchOrder()
    order.take_turn(1)
    order.fail(1)
    assert turns(order, 2) == []
    order.take_turn(1)
    order.fail(1)
    assert turns(order, 2) == []
    assert turns(order, 1, 2) == [1, 2]


def test_dom6_what_is_given_up_holds_up_nothing_for_ever() -> None:
    order = PatchOrder()
    order.take_turn(1)
    order.fail(1)
    assert turns(order, 2) == []
    assert turns(order, 2, 3) == [2, 3]


def test_dom6_an_earlier_one_that_fails_later_keeps_its_place() -> None:
    order = PatchOrder()
    assert turns(order, 1, 2, 3) == [1, 2, 3]
    for op_id in (3, 1, 2):
        order.fail(op_id)
    assert turns(order, 1, 2, 3) == [1, 2, 3]


def test_dom6_what_is_remembered_is_bounded() -> None:
    order = PatchOrder()
    for op_id in range(MAX_FAILED + 10):
        order.refuse(op_id)
    assert len(order._patches) == MAX_FAILED
    with pytest.raises(OutOfOrder):
        order.take_turn(MAX_FAILED + 20)


def test_dom6_later_one_that_failed_first_does_not_overtake() -> None:
    """Its client may not know of the earlier one yet."""
    order = PatchOrder()
    assert turns(order, 1, 2) == [1, 2]
    order.fail(2)
    order.fail(1)
    assert turns(order, 2) == []
    assert turns(order, 1, 2) == [1, 2]


def test_dom6_what_is_sent_again_before_all_answers_came_is_not_overtaken() -> None:
    order = PatchOrder()
    assert turns(order, 1, 2) == [1, 2]
    order.fail(1)
    assert turns(order, 1, 2) == [1, 2]
    for op_id in (2, 1, 2):
        order.fail(op_id)
    assert turns(order, 1, 2) == [1, 2]


def test_dom6_what_is_sent_again_before_an_earlier_one_failed_anew_does_not_overtake_it() -> None:
    """Twice all is sent again, and in between all that is under way fails."""
    order = PatchOrder()
    assert turns(order, 1, 2) == [1, 2]
    order.fail(1)
    order.fail(2)
    assert turns(order, 1, 2) == [1, 2]
    assert turns(order, 1) == [1]
    for op_id in (1, 1, 2):
        order.fail(op_id)
    assert turns(order, 2) == []
    assert turns(order, 1, 2) == [1, 2]


class Play:
    """A client library that holds back what failed, over a network where all is late."""

    def __init__(self) -> None:
        self.order, self.sending = PatchOrder(), Sending()
        self.made = 0
        self.taken: list[int] = []
        self.to_server: deque[tuple[int, int]] = deque()
        self.to_client: deque[tuple[int, int, bool]] = deque()

    def send(self) -> None:
        self.made += 1
        self.sending.add(Operation(self.made, {}, b"{}"))

    def take(self, fails: bool = False) -> None:
        if not self.to_server:
            return
        op_id, attempt = self.to_server.popleft()
        try:
            self.order.take_turn(op_id)
        except OutOfOrder:
            fails = True
        else:
            if fails:
                self.order.fail(op_id)
            else:
                self.order.end(op_id)
                self.taken.append(op_id)
        self.to_client.append((op_id, attempt, not fails))

    def fail(self) -> None:
        self.take(fails=True)

    def hear(self) -> None:
        if not self.to_client:
            return
        op_id, attempt, is_ok = self.to_client.popleft()
        if is_ok:
            self.sending.settle(op_id)
        elif self.sending.is_newest(op_id, attempt):
            self.sending.hold(op_id)

    def resume(self) -> None:
        self.sending.resume()

    def step(self, what: str) -> None:
        getattr(self, what)()
        while (sent := self.sending.take()) is not None:
            self.to_server.append((sent[0].op_id, sent[1]))


@given(st.lists(st.sampled_from(["send", "take", "fail", "hear", "resume"]), max_size=120))
def test_dom6_patches_are_taken_in_the_order_in_which_a_client_made_them(steps: list[str]) -> None:
    play = Play()
    for what in steps:
        play.step(what)
    for _ in range(4 * play.made + 4):
        play.step("resume")
        while play.to_server:
            play.step("take")
        while play.to_client:
            play.step("hear")
    assert play.taken == [*range(1, play.made + 1)]


class Impatience:
    """
    A client that sends all again whenever one is refused, so that one patch is on its way several
    times, and a server whose store takes its time.
    """

    def __init__(self) -> None:
        self.order = PatchOrder()
        self.made = 0
        self.unanswered: list[int] = []
        self.taken: list[int] = []
        self.to_server: deque[int] = deque()
        self.to_store: deque[int] = deque()
        self.to_client: deque[tuple[int, bool]] = deque()
        self.is_stopped = False

    def send(self) -> None:
        self.made += 1
        self.unanswered.append(self.made)
        if not self.is_stopped:
            self.to_server.append(self.made)

    def resume(self) -> None:
        if self.is_stopped:
            self.is_stopped = False
            self.to_server += self.unanswered

    def take(self) -> None:
        if self.to_server:
            op_id = self.to_server.popleft()
            try:
                self.order.take_turn(op_id)
            except OutOfOrder:
                self.to_client.append((op_id, False))
            else:
                self.to_store.append(op_id)

    def store(self) -> None:
        if self.to_store:
            op_id = self.to_store.popleft()
            self.order.end(op_id)
            if op_id not in self.taken:
                self.taken.append(op_id)
            self.to_client.append((op_id, True))

    def fail(self) -> None:
        """All that waits fails: it was one append."""
        while self.to_store:
            op_id = self.to_store.popleft()
            if op_id in self.taken:
                self.order.end(op_id)
            else:
                self.order.fail(op_id)
            self.to_client.append((op_id, op_id in self.taken))

    def hear(self) -> None:
        if self.to_client:
            op_id, is_ok = self.to_client.popleft()
            if is_ok and op_id in self.unanswered:
                self.unanswered.remove(op_id)
            elif not is_ok and op_id in self.unanswered:
                self.is_stopped = True


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["send", "take", "take", "store", "fail", "hear", "resume"]),
            st.integers(1, 4),
        ),
        max_size=80,
    )
)
def test_dom6_patch_that_is_on_its_way_twice_keeps_its_place(
    steps: list[tuple[str, int]],
) -> None:
    play = Impatience()
    for what, times in steps:
        for _ in range(times):
            getattr(play, what)()
    for _ in range(4 * play.made + 4):
        play.resume()
        while play.to_server:
            play.take()
        while play.to_store:
            play.store()
        while play.to_client:
            play.hear()
    assert play.taken == [*range(1, play.made + 1)]
    assert not play.order._patches
