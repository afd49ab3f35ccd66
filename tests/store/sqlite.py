"""SQLite stores as tests open them, in this process and in others."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from helix.store.sqlite.store import SQLiteStore

ROOT = Path(__file__).resolve().parents[2]

PAGE = 4096
"""Bytes of a page of SQLite's."""

# Runs `async def main(path)` of the test's own and exits; the imports come before anything that
# the test does to its own rights.
_FRAME = """
import os, sys, time
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react
from helix.errors import *
from helix.records import *
from helix.store.sqlite.store import SQLiteStore
from tests.store.data import T0, add, chain_at, entries, entry, keep

{body}

react(lambda _: Deferred.fromCoroutine(main(Path(sys.argv[1]))))
"""


def program(body: str, path: Path, *before: str) -> list[str]:
    """Give the command that runs ``async def main(path)`` of ``body``."""
    text = _FRAME.format(body=textwrap.dedent(body))
    return [*before, sys.executable, "-c", text, str(path)]


def run(body: str, path: Path, *before: str) -> str:
    """Run a program to its end; give what it prints."""
    ended = subprocess.run(
        program(body, path, *before),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@contextmanager
def running(body: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program beside the test, which reads its output and ends it."""
    with subprocess.Popen(
        program(body, path), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        try:
            yield started
        finally:
            started.kill()


@asynccontextmanager
async def opened(path: Path, read_only: bool = False) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path, reactor, read_only)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


def query(path: Path, sql: str) -> list[Any]:
    """Ask the file itself."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        return database.execute(sql).fetchall()


async def until(condition: Callable[[], bool]) -> None:
    """Wait, for 10 s at most, until a condition holds."""
    for _ in range(500):
        if condition():
            return
        await deferLater(reactor, 0.02)
    raise AssertionError("it did not come to hold")


def damage(path: Path, mark: bytes, others: bytes) -> int:
    """Overwrite the pages that hold a mark, and none of the others'; give how many."""
    data = bytearray(path.read_bytes())
    damaged = 0
    for start in range(PAGE, len(data), PAGE):
        page = bytes(data[start : start + PAGE])
        if mark in page and others not in page:
            data[start : start + PAGE] = b"\xff" * PAGE
            damaged += 1
    path.write_bytes(data)
    return damaged
