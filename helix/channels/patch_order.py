"""The order in which a member's patches are accepted after one failed for now; with no I/O."""

from __future__ import annotations

from itertools import count
from operator import attrgetter

import attrs

from helix.errors import OutOfOrder

MAX_FAILED = 2000
"""Failed patches of one member that are remembered, to be sent again in order."""


@attrs.define
class _Failed:
    """
    A patch that must be sent again.

    :ivar op_id: its number, which doesn't tell its place.
    :ivar place: when it first arrived, among the member's patches.
    :ivar told: when it was last refused, likewise.
    """

    op_id: int
    place: int
    told: int


class PatchOrder:
    """
    Keeps a patch from overtaking an earlier one that failed and must be sent again.

    Patches count in the order in which they arrive. A client that sends a failed patch again has
    received its refusal, and the refusals of all that failed before it. Of these, it gives up the
    ones that it hasn't sent again by then. But a patch that was sent before the client knew of
    another failure of an earlier one is refused, too.
    """

    __slots__ = ("_failed", "_moments")

    def __init__(self) -> None:
        self._moments = count()
        self._failed: dict[int, _Failed] = {}  # in the order of their places

    def take_turn(self, op_id: int) -> int:
        """
        Accept a patch that arrived.

        :return: its place, for `fail`.
        :raises OutOfOrder: when others must be sent again first.
        """
        failed = self._failed
        known = failed.get(op_id)
        if known is None:
            place = next(self._moments)
            if failed:
                self.fail(op_id, place)
                raise OutOfOrder()
            return place
        for earlier in failed.values():
            if earlier is known:
                break
            if earlier.told > known.told:
                known.told = next(self._moments)
                raise OutOfOrder()
        while op_id in failed:
            del failed[next(iter(failed))]
        return known.place

    def fail(self, op_id: int, place: int | None = None) -> None:
        """
        Note that a patch was refused for now.

        :param place: the result of `take_turn`; ``None`` for one that didn't get that far.
        """
        failed = self._failed
        told = next(self._moments)
        known = failed.get(op_id)
        if known is not None:
            known.told = told
            return
        if len(failed) >= MAX_FAILED:
            return
        if place is None:
            place = told
        is_last = not failed or next(reversed(failed.values())).place < place
        failed[op_id] = _Failed(op_id, place, told)
        if not is_last:
            in_order = sorted(failed.values(), key=attrgetter("place"))
            self._failed = {one.op_id: one for one in in_order}
