"""The parent, and processes that do what a test wants. (docs/spec.md, NOD82 to NOD87)"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater
from twisted.logger import formatEvent

from helix.workers import process
from helix.workers.parent import DRAIN_SECONDS, READY_SECONDS, WorkersService
from tests.support.logs import Log, logged

__all__ = ["logged"]

PROGRAM = r"""
import json, os, signal, socket, sys, time
channel = socket.socket(fileno=3)
begin = json.loads(channel.makefile().readline())
does = open(begin["given"]["file"][0]).read()
if does == "dies":
    sys.exit(3)
if does == "says why":
    channel.sendall(b'{"kind":"failed","reason":"no store"}\n')
    sys.exit(1)
if does == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if does != "starts":
    channel.sendall(b'{"kind":"new of tomorrow"}\n{"kind":"ready"}\n')
if does == "floods":
    for n in range(32):
        os.write(1, (b"%d " % begin["worker"] + b"x" * 97 + b"\n") * 10_000)
    os.write(2, b"done\n")
if does != "deaf":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while channel.recv(65536):
    pass
"""
"""Stands in for Helix: the parent, the processes and the channel are real."""

TIMEOUT = 30.0


class Timed:
    """The reactor, whose time is a test's."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.spawnProcess: Any
        self.seconds = self.clock.seconds
        self.callLater = self.clock.callLater

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class Parent:
    """A parent of two workers that do what a file says when they start."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "does"
        self.timed = Timed()
        self.written: list[str] = []
        self.was_ready = 0
        self.failed: list[str] = []
        given = {"file": [str(self.file)]}
        self.service = WorkersService(
            self.timed, [], 2, given, "", self.written.append, self._ready, self.failed.append
        )

    def _ready(self) -> None:
        self.was_ready += 1

    def start(self, does: str) -> None:
        self.file.write_text(does)
        self.service.startService()

    @property
    def pids(self) -> list[int]:
        """The processes that there are, in the order of their starts."""
        return [worker.pid for worker in self.service._alive]


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parent]:
    monkeypatch.setattr(process, "PROGRAM", PROGRAM)
    parent = Parent(tmp_path)
    yield parent
    for pid in parent.pids:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for real processes to do something."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        await deferLater(reactor, 0.01)


async def stop(parent: Parent) -> None:
    await parent.service.stopService().addTimeout(TIMEOUT, reactor)
    assert not parent.pids
    assert not parent.timed.clock.getDelayedCalls()


def texts(logged: Log) -> list[str]:
    """What was logged."""
    return [formatEvent(event) for event in logged.events]


@ensureDeferred
async def test_nod82_a_process_that_the_system_does_not_give_is_tried_again(
    parent: Parent, logged: Log
) -> None:
    def give_none(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    parent.timed.spawnProcess = give_none
    parent.start("serves")
    await until(lambda: bool(parent.service._alive))
    parent.timed.clock.advance(0)
    told = "ended: it can't be started: Resource temporarily unavailable. It starts again in 0.5 s"
    assert sum(told in text for text in texts(logged)) == 2
    del parent.timed.spawnProcess
    parent.timed.clock.advance(0.5)
    await until(lambda: parent.was_ready == 1 and len(parent.pids) == 2)
    parent.timed.spawnProcess = give_none
    parent.service.replace()  # the old ones stay
    parent.timed.clock.advance(0)
    assert len(parent.pids) == 2
    assert any("is not replaced" in text and "can't be started" in text for text in texts(logged))
    parent.service.replace()
    await stop_soon(parent)


async def stop_soon(parent: Parent) -> None:
    """Stop while a process that can't be started has yet to end."""
    stopped = parent.service.stopService()
    parent.timed.clock.advance(0)
    await stopped.addTimeout(TIMEOUT, reactor)
    assert not parent.service._alive


@ensureDeferred
async def test_nod82_it_waits_before_a_worker_starts_again(parent: Parent, logged: Log) -> None:
    parent.start("serves")
    await until(lambda: parent.was_ready == 1 and len(parent.pids) == 2)
    await until(lambda: sum(" serves" in text for text in texts(logged)) == 2)
    parent.file.write_text("dies")
    os.kill(parent.pids[0], 9)
    for wait in (0.5, 1, 2, 4, 8):
        await until(lambda: len(parent.pids) == 1)
        parent.timed.clock.advance(wait - 0.01)
        assert len(parent.pids) == 1
        parent.timed.clock.advance(0.01)
        assert len(parent.pids) == 2
        assert not parent.failed
    await until(lambda: parent.failed != [])
    why = "worker 1 has ended more than 5 times within 120 s; the last time: status 3"
    assert parent.failed == [why]
    assert any("ended: SIGKILL. It starts again in 0.5 s" in text for text in texts(logged))
    assert any("ended: status 3. It starts again in 8 s" in text for text in texts(logged))
    await stop(parent)


@ensureDeferred
async def test_nod82_who_says_that_it_cannot_be_ends_all_at_once(
    parent: Parent, logged: Log
) -> None:
    parent.start("says why")
    await until(lambda: parent.failed != [])
    await until(lambda: not parent.pids)
    assert parent.failed == ["no store"]
    assert parent.was_ready == 0
    await stop(parent)


@ensureDeferred
async def test_nod84_a_worker_that_hangs_is_killed(parent: Parent, logged: Log) -> None:
    parent.start("deaf")
    await until(lambda: sum(" serves" in text for text in texts(logged)) == 2)
    pids = parent.pids
    stopping = parent.service.stopService()
    parent.timed.clock.advance(DRAIN_SECONDS - 0.01)
    await deferLater(reactor, 0.1)
    assert parent.pids == pids
    parent.timed.clock.advance(0.01)
    await stopping.addTimeout(TIMEOUT, reactor)
    assert not parent.pids
    assert sum("has not ended in 20 s: it is killed" in text for text in texts(logged)) == 2


@ensureDeferred
async def test_nod86_what_does_not_serve_in_time_replaces_nobody(
    parent: Parent, logged: Log
) -> None:
    parent.start("serves")
    await until(lambda: sum(" serves" in text for text in texts(logged)) == 2)
    before = parent.pids
    parent.file.write_text("starts")
    parent.service.replace()
    await until(lambda: len(parent.pids) == 3)
    parent.timed.clock.advance(READY_SECONDS - 0.01)
    await deferLater(reactor, 0.1)
    assert len(parent.pids) == 3
    parent.timed.clock.advance(0.01)
    await until(lambda: len(parent.pids) == 2)
    assert parent.pids == before
    why = "Worker 1 is not replaced, nor those after it: the new one does not serve in 60 s"
    assert why in "\n".join(texts(logged))
    await stop(parent)


@ensureDeferred
async def test_nod85_two_wishes_for_new_workers_meanwhile_are_one(
    parent: Parent, logged: Log
) -> None:
    parent.start("serves")
    await until(lambda: sum(" serves" in text for text in texts(logged)) == 2)
    for _ in range(3):
        parent.service.replace()
    await until(lambda: sum("All workers are new" in text for text in texts(logged)) == 2)
    assert sum(" serves" in text for text in texts(logged)) == 6
    assert parent.service._replacing is None
    await stop(parent)


@ensureDeferred
async def test_nod85_an_end_meanwhile_ends_the_replacement_too(parent: Parent, logged: Log) -> None:
    parent.start("serves")
    await until(lambda: sum(" serves" in text for text in texts(logged)) == 2)
    parent.file.write_text("starts")
    parent.service.replace()
    await until(lambda: len(parent.pids) == 3)
    await stop(parent)
    await until(lambda: parent.service._replacing is None)


@ensureDeferred
async def test_nod87_a_flood_comes_whole_and_fills_no_memory(parent: Parent, logged: Log) -> None:
    """32 MiB of each of two workers at once, into a log that takes its time."""
    counts = {"1": 0, "2": 0}
    pieces: list[int] = []

    def write(text: str) -> None:
        assert text.endswith("\n")
        pieces.append(len(text))
        for line in text.splitlines():
            assert line[1:] == " " + "x" * 97, "lines are mixed"
            counts[line[0]] += 1

    parent.service._write = write
    before = psutil.Process().memory_info().rss
    most = 0
    parent.start("floods")
    deadline = time.monotonic() + TIMEOUT
    while counts != {"1": 320_000, "2": 320_000}:
        assert time.monotonic() < deadline, counts
        most = max(most, psutil.Process().memory_info().rss)
        await deferLater(reactor, 0.001)
    assert max(pieces) <= 512 * 1024
    assert most - before < 16 * 1024 * 1024
    await until(lambda: sum("wrote: done" in text for text in texts(logged)) == 2)
    await stop(parent)
