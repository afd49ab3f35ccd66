"""What a worker writes comes into the log by whole lines. (docs/spec.md, NOD87)"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from helix.workers.output import MAX_LINE_BYTES, Lines


@given(st.binary(max_size=200), st.lists(st.integers(1, 20)))
def test_nod87_all_of_it_comes_in_whole_lines(text: bytes, sizes: list[int]) -> None:
    written: list[str] = []
    lines = Lines(written.append)
    rest = text
    for size in [*sizes, len(text)]:
        lines.take(rest[:size])
        rest = rest[size:]
    lines.end()
    assert all(part.endswith("\n") for part in written)
    whole = text if text.endswith(b"\n") or not text else text + b"\n"
    assert "".join(written) == whole.decode("utf-8", "backslashreplace")


def test_nod87_a_line_without_end_is_broken() -> None:
    written: list[str] = []
    lines = Lines(written.append)
    for _ in range(100):
        lines.take(b"x" * 65_536)
        assert len(lines._rest) <= MAX_LINE_BYTES
    lines.end()
    assert sum(map(len, written)) - len(written) == 100 * 65_536
    assert len(written) == 100 * 65_536 // MAX_LINE_BYTES
