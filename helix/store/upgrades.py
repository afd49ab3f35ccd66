"""The numbered schema upgrades of a store, and which ones a database still needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files

import attrs

from helix.errors import SchemaMismatch

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")


@attrs.frozen
class Upgrade:
    """
    A step from one schema to the next.

    :ivar number: of the schema that it leads to; the first is 1.
    :ivar name: what it is about, in a word or two.
    :ivar sql: its statements.
    """

    number: int
    name: str
    sql: str


def shipped_upgrades(folder: str) -> list[Upgrade]:
    """
    Read the upgrades of one kind of database, in order, without a gap.

    :param folder: whose ``NNNN_name.sql`` below ``helix/store/schema`` they are.
    :raises ValueError: when the numbers are not 1, 2, 3 and so on.
    """
    found = []
    for path in files("helix.store").joinpath("schema", folder).iterdir():
        match = _FILE.fullmatch(path.name)
        if match:
            sql = path.read_text(encoding="utf-8")
            found.append(Upgrade(int(match[1]), match[2], sql))
    found.sort(key=lambda upgrade: upgrade.number)
    return in_sequence(found)


def in_sequence(upgrades: list[Upgrade]) -> list[Upgrade]:
    """
    Give the upgrades back.

    :raises ValueError: when their numbers are not 1, 2, 3 and so on.
    """
    numbers = [upgrade.number for upgrade in upgrades]
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise ValueError(f"the upgrades of the schema are numbered {numbers}")
    return upgrades


def needed_upgrades(upgrades: Sequence[Upgrade], current: int) -> Sequence[Upgrade]:
    """
    Tell which upgrades a database still needs, in order.

    :param current: the number of its schema; 0 for an empty database.
    :raises SchemaMismatch: when the schema is newer than all upgrades.
    """
    newest = upgrades[-1].number
    if current > newest:
        raise SchemaMismatch(
            f"The database has schema {current}, and this version of Helix knows schemas up to "
            f"{newest}: run the version that the database was last used with, or a newer one"
        )
    return upgrades[current:]


def check_current(upgrades: Sequence[Upgrade], current: int) -> None:
    """
    See that a database needs no upgrade.

    :raises SchemaMismatch: when its schema is another one.
    """
    if needed_upgrades(upgrades, current):
        raise SchemaMismatch(
            f"The database has schema {current}, and {upgrades[-1].number} is needed: "
            "start the server on it once, which upgrades it"
        )
