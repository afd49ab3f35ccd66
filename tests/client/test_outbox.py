"""The file that keeps what is not confirmed. (PYC10)"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from helix.client.outbox import OutboxFile, SavedOperation, SavedOutbox
from helix.errors import OutboxUnusable

SAVED = SavedOutbox(
    "f",
    "me",
    9,
    [
        SavedOperation(7, msgspec.Raw(b'{"title":"a"}'), {"/title": "was"}, {"run": 7}),
        SavedOperation(9, msgspec.Raw(b"{}")),
    ],
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.json"


@contextmanager
def held(path: Path) -> Iterator[tuple[OutboxFile, SavedOutbox | None]]:
    """The file, and what it holds."""
    file = OutboxFile(path)
    saved = file.open("f")
    try:
        yield file, saved
    finally:
        file.close()


def keep(path: Path, **changes: Any) -> None:
    """Keep `SAVED`, with other values for some of its fields."""
    with held(path) as (file, _):
        file.save(SAVED)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_pyc10_what_was_saved_is_read_again(path: Path) -> None:
    with held(path) as (_, nothing):
        assert nothing is None
    keep(path)
    with held(path) as (_, saved):
        assert saved is not None
        assert (saved.client_id, saved.newest_op) == ("me", 9)
        operations = [(op.op_id, json.loads(bytes(op.patch))) for op in saved.operations]
        assert operations == [(7, {"title": "a"}), (9, {})]
        assert [op.bases for op in saved.operations] == [{"/title": "was"}, {}]
        assert [op.tags for op in saved.operations] == [{"run": 7}, {}]


def test_pyc10_file_belongs_to_one_at_a_time(path: Path) -> None:
    with held(path), pytest.raises(OutboxUnusable, match="is in use by another process"):
        OutboxFile(path).open("f")
    with held(path):
        pass


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"flow_id": "g"}, "belongs to another flow"),
        ({"format": 2}, "of a format that this version doesn't know"),
        ({"newest_op": "x"}, "is damaged"),
        ({"operations": [{"op_id": 1, "patch": {"nodes": 3}}]}, "is damaged: /nodes"),
    ],
)
def test_pyc10_file_that_cant_be_used_is_left_as_it_is(
    path: Path, changes: dict[str, Any], why: str
) -> None:
    keep(path, **changes)
    before = path.read_bytes()
    with pytest.raises(OutboxUnusable, match=why):
        OutboxFile(path).open("f")
    assert path.read_bytes() == before
    path.unlink()
    with held(path) as (_, saved):  # it was let go of
        assert saved is None


def test_pyc10_half_a_file_is_damage(path: Path) -> None:
    keep(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(OutboxUnusable, match="is damaged"):
        OutboxFile(path).open("f")


def test_pyc10_directory_that_isnt_there(tmp_path: Path) -> None:
    with pytest.raises(OutboxUnusable, match="can't be used"):
        OutboxFile(tmp_path / "nowhere" / "outbox.json").open("f")


def test_pyc10_save_that_fails_leaves_what_there_was(path: Path) -> None:
    keep(path)
    path.with_name("outbox.json.new").mkdir()  # in its way
    with held(path) as (file, _), pytest.raises(OutboxUnusable, match="can't be written"):
        file.save(SavedOutbox("f", "me", 10, []))
    with held(path) as (_, saved):
        assert saved is not None
        assert saved.newest_op == 9
