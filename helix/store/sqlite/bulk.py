"""SQL statements that write many rows to an SQLite database at once."""

from __future__ import annotations

from collections.abc import Iterator

import attrs


@attrs.frozen
class Bulk:
    """
    A statement for many rows, in several sizes.

    Every statement that Python executes gives up the interpreter and waits for it again, behind
    whatever the reactor does: so a thousand rows take a few statements.

    :ivar width: the number of values in a row.
    :ivar by_size: rows -> SQL, the most rows first.
    """

    width: int
    by_size: dict[int, str]

    @classmethod
    def of(cls, before: str, row: str, after: str = "") -> Bulk:
        sizes = (256, 64, 16, 4, 1)
        return cls(row.count("?"), {n: before + ",".join([row] * n) + after for n in sizes})

    def pieces(self, values: list[object]) -> Iterator[tuple[str, list[object]]]:
        """Give the statements for rows that are laid end to end, and each one's values."""
        start = 0
        for size, sql in self.by_size.items():
            count = size * self.width
            while len(values) - start >= count:
                yield sql, values[start : start + count]
                start += count


INSERT_ENTRIES = Bulk.of(
    "INSERT INTO entries (flow, version, at, by_name, client, op_id, patch, chain,"
    " dropped, author) VALUES ",
    "(?,?,?,?,?,?,CAST(? AS TEXT),?,CAST(? AS TEXT),?)",
)
UPDATE_FLOWS = Bulk.of(
    "WITH changed (flow, version, node_count, edge_count, updated_at) AS (VALUES ",
    "(?,?,?,?,?)",
    ") UPDATE flows SET version = changed.version, node_count = changed.node_count,"
    " edge_count = changed.edge_count, updated_at = changed.updated_at"
    " FROM changed WHERE flows.flow = changed.flow",
)
