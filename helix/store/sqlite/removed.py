"""Flows that were removed from an SQLite database, whose rows are cleared later."""

from __future__ import annotations

import sqlite3

_CLEARED_AT_ONCE = 1000
"""Rows of removed flows that go in one transaction, so that appends don't wait long."""

_CLEAR_ENTRIES = """
    DELETE FROM entries WHERE flow = ?1 AND version <
        (SELECT min(version) FROM entries WHERE flow = ?1) + ?2
"""

_CLEAR_ACCESS = """
    DELETE FROM access WHERE flow = ?1 AND subject IN
        (SELECT subject FROM access WHERE flow = ?1 LIMIT ?2)
"""


class RemovedFlows:
    """
    The flows that are out of everybody's reach, and whose rows are still there.

    :param database: the writer's connection.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._left = [
            flow for (flow,) in database.execute("SELECT flow FROM flows WHERE flow_id IS NULL")
        ]
        self._removing: list[int] = []  # by the transaction under way

    @property
    def are_left(self) -> bool:
        """Whether `clear_some` has something to do."""
        return bool(self._left)

    def take(self, flow: int) -> None:
        """
        Take a flow out of everybody's reach, at once however long its log is.

        It is done in the transaction under way, whose end `committed` or `rolled_back` tells.
        """
        self._database.execute("UPDATE flows SET flow_id = NULL WHERE flow = ?", (flow,))
        self._removing.append(flow)

    def committed(self) -> None:
        """What was taken is to be cleared away."""
        self._left += self._removing
        self._removing.clear()

    def rolled_back(self) -> None:
        """What was taken is where it was."""
        self._removing.clear()

    def clear_some(self) -> None:
        """Clear away some of a removed flow, in a transaction of its own."""
        flow = self._left[-1]
        try:
            self._database.execute("BEGIN IMMEDIATE")
            some = (flow, _CLEARED_AT_ONCE)
            cleared = self._database.execute(_CLEAR_ENTRIES, some).rowcount
            if cleared == 0:
                cleared = self._database.execute(_CLEAR_ACCESS, some).rowcount
            if cleared == 0:
                for table in ("version_names", "snapshots", "clients", "authors", "texts", "flows"):
                    self._database.execute(f"DELETE FROM {table} WHERE flow = ?", (flow,))
            self._database.execute("COMMIT")
        except sqlite3.Error:
            # It is in nobody's way; the next start tries again.
            self._left.pop()
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
        else:
            if cleared == 0:
                self._left.pop()
