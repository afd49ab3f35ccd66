"""The order in which a client's operations are sent and resent."""

from __future__ import annotations

from collections.abc import Iterable

from helix.client.replica import Operation

WINDOW = 64
"""Operations that may be unanswered at once."""


class Sending:
    """
    The operations that the server is to be sent, or has not answered yet.

    They go out in order. When the server can't take one for now, nothing more is sent until
    `resume`, and then everything from that one on again: the server refuses what would overtake it.
    """

    def __init__(self) -> None:
        self._operations: dict[int, Operation] = {}
        self._in_flight: dict[int, int] = {}
        self._attempts = 0
        self._held = False

    def add(self, op: Operation) -> None:
        """Let an operation go out behind all others."""
        self._operations[op.op_id] = op

    def replace(self, op_id: int, parts: Iterable[Operation]) -> None:
        """Let several operations go out in place of one."""
        operations, self._operations = self._operations, {}
        self._in_flight.pop(op_id, None)
        for one_id, op in operations.items():
            for one in parts if one_id == op_id else (op,):
                self._operations[one.op_id] = one

    def take(self) -> tuple[Operation, int] | None:
        """
        Give the next operation to send, and a number for this attempt.

        :return: ``None`` when there is none, or none may be sent now.
        """
        if self._held or len(self._in_flight) >= WINDOW:
            return None
        for op_id, op in self._operations.items():
            if op_id not in self._in_flight:
                self._attempts += 1
                self._in_flight[op_id] = self._attempts
                return op, self._attempts
        return None

    def is_newest(self, op_id: int, attempt: int) -> bool:
        """Tell whether a refusal of this attempt counts: a newer one gets an answer of its own."""
        return self._in_flight.get(op_id) == attempt

    def settle(self, op_id: int) -> None:
        """Be done with an operation."""
        self._operations.pop(op_id, None)
        self._in_flight.pop(op_id, None)

    def hold(self, op_id: int) -> None:
        """Send nothing until `resume`, then from this operation on."""
        self._held = True
        for behind in reversed(self._operations):
            self._in_flight.pop(behind, None)
            if behind == op_id:
                break

    def resume(self) -> None:
        """Go on after a `hold`."""
        self._held = False

    def restart(self) -> None:
        """Send everything again: the server's channel is a new one."""
        self._held = False
        self._in_flight.clear()
