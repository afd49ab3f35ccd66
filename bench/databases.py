"""The stores that document mode is measured on: each made afresh for a measurement."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

FSYNCS = 50


@dataclass(frozen=True)
class Store:
    """
    Where a server keeps flows.

    :param url: for ``--store``.
    :param size_bytes: tells how much room it takes; asked when the server isn't running.
    :param process: the database's, if it is one of its own, the parent of all others.
    """

    url: str
    size_bytes: Callable[[], int]
    process: int | None = None


MakeStore = Callable[[Path], AbstractContextManager[Store]]


@contextlib.contextmanager
def memory_store(directory: Path) -> Iterator[Store]:
    yield Store("memory:", lambda: 0)


@contextlib.contextmanager
def sqlite_store(directory: Path) -> Iterator[Store]:
    """:param directory: on the disk that is to be measured."""

    def size_bytes() -> int:
        return sum(path.stat().st_size for path in directory.glob("flows.db*"))

    yield Store(f"sqlite:{directory / 'flows.db'}", size_bytes)


def postgresql_store() -> MakeStore:
    """
    Start the tests' PostgreSQL, which ends with this process.

    :raises ImportError: if it is not installed.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.support.postgres import new_database, shared_server

    server = shared_server()
    asked = "SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)::int"
    process: int = server.execute(asked)[0][0]

    @contextlib.contextmanager
    def make(directory: Path) -> Iterator[Store]:
        with new_database() as name:

            def size_bytes() -> int:
                server.execute("CHECKPOINT", name)
                size: int = server.execute("SELECT pg_database_size(current_database())", name)[0][
                    0
                ]
                return size

            yield Store(server.url(name), size_bytes, process)

    return make


def fsync_microseconds(directory: Path) -> float:
    """Measure what durability costs on a disk: a write of 4 KiB and fsync; the median."""
    path = directory / "fsync"
    took = []
    try:
        with open(path, "wb", buffering=0) as file:
            for _ in range(FSYNCS):
                started = time.perf_counter()
                file.write(bytes(4096))
                os.fsync(file.fileno())
                took.append(time.perf_counter() - started)
    finally:
        path.unlink(missing_ok=True)
    return statistics.median(took) * 1e6
