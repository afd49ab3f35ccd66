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
    order.fail(5, order.take_turn(5))
    assert turns(order, 2, 9) == []
    assert turns(order, 5, 2, 9) == [5, 2, 9]


def test_dom6_what_fails_once_more_is_not_overtaken_by_what_was_on_its_way() -> None:
    order = PatchOrder()
    order.fail(1, order.take_turn(1))
    assert turns(order, 2) == []
    order.fail(1, order.take_turn(1))
    assert turns(order, 2) == []
    assert turns(order, 1, 2) == [1, 2]


def test_dom6_what_is_given_up_holds_up_nothing_for_ever() -> None:
    order = PatchOrder()
    order.fail(1, order.take_turn(1))
    assert turns(order, 2) == []
    assert turns(order, 2, 3) == [2, 3]


def test_dom6_an_earlier_one_that_fails_later_keeps_its_place() -> None:
    order = PatchOrder()
    places = {op_id: order.take_turn(op_id) for op_id in (1, 2, 3)}
    for op_id in (3, 1, 2):
        order.fail(op_id, places[op_id])
    assert turns(order, 1, 2, 3) == [1, 2, 3]


def test_dom6_what_is_remembered_is_bounded() -> None:
    order = PatchOrder()
    for op_id in range(MAX_FAILED + 10):
        order.fail(op_id)
    with pytest.raises(OutOfOrder):
        order.take_turn(MAX_FAILED + 20)


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
            place = self.order.take_turn(op_id)
        except OutOfOrder:
            fails = True
        else:
            if fails:
                self.order.fail(op_id, place)
            else:
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
