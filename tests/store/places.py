"""
The stores that the contract is tested over.

A new store adds itself to `PLACES`: a name, and a function that takes a directory of its own and
gives a context manager of a `Place`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import attrs
from twisted.internet import reactor

from helix.interfaces import IFlowStore
from helix.store.memory import MemoryStore
from helix.store.postgresql.store import PostgresStore
from helix.store.sqlite.store import SQLiteStore
from tests.support.postgres import shared_server


class Place(Protocol):
    """
    Somewhere to keep flows, empty at first.

    :ivar durable: whether a store that is opened later finds what an earlier one kept.
    """

    durable: bool

    def store(self) -> IFlowStore:
        """Make another store on this place. It is not started; there is one started at a time."""


class MemoryPlace:
    durable = False

    def store(self) -> IFlowStore:
        return MemoryStore()


@contextmanager
def memory_place(directory: Path) -> Iterator[Place]:
    yield MemoryPlace()


@attrs.frozen
class PostgresPlace:
    url: str
    durable = True

    def store(self) -> IFlowStore:
        return PostgresStore(self.url, reactor)


@contextmanager
def postgres_place(directory: Path) -> Iterator[Place]:
    yield PostgresPlace(shared_server().make_schema())


@attrs.frozen
class SQLitePlace:
    path: Path
    durable = True

    def store(self) -> IFlowStore:
        return SQLiteStore(self.path, reactor)


@contextmanager
def sqlite_place(directory: Path) -> Iterator[Place]:
    yield SQLitePlace(directory / "data" / "flows.db")


PLACES: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "memory": memory_place,
    "postgresql": postgres_place,
    "sqlite": sqlite_place,
}
