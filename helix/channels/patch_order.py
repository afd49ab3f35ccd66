"""The order in which a member's patches are accepted after one failed for now; with no I/O."""

from __future__ import annotations

from itertools import count
from operator import attrgetter

import attrs

from helix.errors import OutOfOrder

MAX_FAILED = 2000
"""Failed patches of one member that are remembered, to be sent again in order."""


@attrs.define(eq=False)
class _Patch:
    """
    A patch that is under way, or must be sent again.

    :ivar op_id: its number, which doesn't tell its place.
    :ivar place: when it first arrived, among the member's patches.
    :ivar came: when it last arrived.
    :ivar told: when it was last refused.
    :ivar under_way: how often it was accepted and has no answer yet. A client may send it again
        before it has all answers.
    """

    op_id: int
    place: int
    came: int
    told: int = -1
    under_way: int = 0


class PatchOrder:
    """
    Keeps a patch from overtaking an earlier one that failed and must be sent again.

    Patches count in the order in which they arrive. If a client sends a failed patch again, and has
    not sent an earlier failed one since the last time, it gives that up. But it may not know yet
    that the earlier one has failed once more: then the later one is refused, too.
    """

    __slots__ = ("_failed", "_moments", "_patches")

    def __init__(self) -> None:
        self._moments = count()
        self._patches: dict[int, _Patch] = {}
        self._failed: dict[int, _Patch] = {}  # in the order of their places

    def take_turn(self, op_id: int) -> None:
        """
        Accept a patch that arrived. `end` or `fail` follows, once its fate is known.

        :raises OutOfOrder: when others must be sent again first.
        """
        one = self._patches.get(op_id)
        now = next(self._moments)
        if one is None:
            one = self._patches[op_id] = _Patch(op_id, now, now)
        if self._failed:
            self._pass_earlier(one, one.came)
        one.came = now
        one.under_way += 1

    def _pass_earlier(self, one: _Patch, before: int) -> None:
        """
        Give up the failed patches before this one, if its client has.

        :param before: when it came the last time.
        :raises OutOfOrder: otherwise.
        """
        passed: list[_Patch] = []
        for earlier in self._failed.values():
            if earlier.place > one.place:
                break
            is_given_up = earlier.told <= one.told and earlier.came <= before
            if not (is_given_up or earlier is one):
                one.came = next(self._moments)
                self._note(one)
                raise OutOfOrder()
            passed.append(earlier)
        for earlier in passed:
            del self._failed[earlier.op_id]
            if earlier is not one:
                self._forget(earlier)

    def end(self, op_id: int) -> None:
        """Note that a patch that took its turn is stored, or refused for good."""
        one = self._patches[op_id]
        one.under_way -= 1
        self._forget(one)

    def fail(self, op_id: int) -> None:
        """Note that a patch that took its turn was refused for now."""
        one = self._patches[op_id]
        one.under_way -= 1
        self._note(one)

    def refuse(self, op_id: int) -> None:
        """Note that a patch was refused for now before it could take its turn."""
        now = next(self._moments)
        one = self._patches.setdefault(op_id, _Patch(op_id, now, now))
        one.came = now
        self._note(one)

    def _note(self, one: _Patch) -> None:
        failed = self._failed
        one.told = next(self._moments)
        if one.op_id in failed:
            return
        if len(failed) >= MAX_FAILED:
            self._forget(one)
            return
        is_last = not failed or next(reversed(failed.values())).place < one.place
        failed[one.op_id] = one
        if not is_last:
            in_order = sorted(failed.values(), key=attrgetter("place"))
            self._failed = {one.op_id: one for one in in_order}

    def _forget(self, one: _Patch) -> None:
        if not one.under_way and one.op_id not in self._failed:
            del self._patches[one.op_id]
