"""Which upgrades of a schema there are, and which are needed."""

from __future__ import annotations

import pytest

from helix.errors import SchemaMismatch
from helix.store.upgrades import Upgrade, in_sequence, needed_upgrades, shipped_upgrades

THREE = [Upgrade(number, f"step {number}", "SELECT 1") for number in (1, 2, 3)]


def test_sto14_the_upgrades_of_sqlite_are_shipped_in_order() -> None:
    upgrades = shipped_upgrades("sqlite")
    assert [upgrade.number for upgrade in upgrades] == list(range(1, len(upgrades) + 1))
    assert upgrades[0].name == "flows"
    assert "CREATE TABLE flows" in upgrades[0].sql


@pytest.mark.parametrize("numbers", [[], [2], [0, 1], [1, 3], [1, 1], [1, 2, 2]])
def test_sto14_a_gap_between_upgrades_is_a_fault(numbers: list[int]) -> None:
    with pytest.raises(ValueError, match="numbered"):
        in_sequence([Upgrade(number, "x", "") for number in numbers])


@pytest.mark.parametrize(("current", "needed"), [(0, [1, 2, 3]), (1, [2, 3]), (3, [])])
def test_sto14_a_database_needs_what_follows_its_schema(current: int, needed: list[int]) -> None:
    assert [upgrade.number for upgrade in needed_upgrades(THREE, current)] == needed


def test_sto14_a_newer_schema_is_refused_with_what_to_do() -> None:
    with pytest.raises(SchemaMismatch, match=r"schema 4.*up to 3: run the version"):
        needed_upgrades(THREE, 4)
