"""A worker as its parent sees it."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from helix.workers.messages import (
    CHANNEL,
    FIRST_SOCKET,
    MAX_LINE_BYTES,
    Ask,
    Begin,
    Failed,
    Report,
    ToParent,
    ToWorker,
    decode_to_parent,
    encode,
)
from helix.workers.output import Lines

PROGRAM = "from helix.tap import run_worker; run_worker()"
"""What a worker runs, in a new interpreter: so it reads the code that is there now."""


class State(Enum):
    """What a worker is doing."""

    STARTING = "starting"
    READY = "ready"
    LEAVING = "leaving"
    ENDED = "ended"


class _Channel(LineOnlyReceiver):
    """The parent's end of the channel to a worker."""

    transport: Any

    delimiter = b"\n"
    MAX_LENGTH = MAX_LINE_BYTES

    def __init__(self, heard: Callable[[ToParent], None]) -> None:
        self._heard = heard

    def lineReceived(self, line: bytes) -> None:
        try:
            message = decode_to_parent(line)
        except msgspec.MsgspecError:
            return  # of a newer worker
        self._heard(message)

    def tell(self, message: object) -> None:
        if self.transport is not None and self.transport.connected:
            self.sendLine(encode(message))


class Worker(ProcessProtocol):
    """
    One process.

    :param begin: what it is told first.
    :param log: takes whole lines of its log, of its own format.
    :param said: called when it serves.
    :param ended: called once, when it has ended and all that it wrote is in the log.

    :param asked: called with the number of its question when it wants the figures of all.
    :param reported: called with its figures, whenever it tells them.

    :ivar reason: why it can't serve, by its own word; empty for none.
    :ivar end: how it ended: ``status 1``, the name of a signal, or that it can't be started.
    """

    _log: Final = Logger(namespace="helix.workers")

    transport: Any = None

    def __init__(
        self,
        begin: Begin,
        log: Callable[[str], None],
        said: Callable[[Worker], None],
        ended: Callable[[Worker], None],
        asked: Callable[[Worker, int], None],
        reported: Callable[[Worker, Report], None],
    ) -> None:
        self.number = begin.worker
        self.state = State.STARTING
        self.reason = ""
        self.end = ""
        self.pid = 0
        self._begin = begin
        self._said = said
        self._ended = ended
        self._asked = asked
        self._reported = reported
        self._channel = _Channel(self._heard)
        self._outputs = {1: Lines(log), 2: Lines(self._complain)}
        self._ending: list[Deferred[None]] = []
        self._starting: list[Deferred[None]] = []

    def start(self, reactor: Any, sockets: Sequence[int]) -> None:
        """
        Start the process. If the system gives none, that is an end like others, a turn later.

        :param sockets: the descriptors of the listening sockets, in the order of the endpoints.
        """
        try:
            self._start(reactor, sockets)
        except OSError as error:
            reactor.callLater(0, self._finish, f"it can't be started: {error.strerror}")

    def _start(self, reactor: Any, sockets: Sequence[int]) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs, open(os.devnull, "rb") as nothing:
            ours.setblocking(False)
            descriptors: dict[int, Any] = {0: nothing.fileno(), 1: "r", 2: "r"}
            descriptors[CHANNEL] = theirs.fileno()
            descriptors.update(enumerate(sockets, FIRST_SOCKET))
            name = f"helix worker {self.number}"
            program = [sys.executable, "-P", "-c", PROGRAM, name]
            reactor.spawnProcess(self, sys.executable, program, env=None, childFDs=descriptors)
            factory = Factory.forProtocol(lambda: self._channel)
            factory.noisy = False
            reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
        self._channel.tell(self._begin)

    def drain(self) -> None:
        """Tell it to end."""
        if self.state is not State.ENDED:
            self.state = State.LEAVING
            self._signal("TERM")

    def kill(self) -> None:
        """End it."""
        if self.state is not State.ENDED:
            self.state = State.LEAVING
            self._signal("KILL")

    def when_started(self) -> Deferred[None]:
        """Give a Deferred that fires when it serves, or has ended; it may be cancelled."""
        return _wait(self._starting, self.state is not State.STARTING)

    def when_ended(self) -> Deferred[None]:
        """Give a Deferred that fires when it has ended; it may be cancelled."""
        return _wait(self._ending, self.state is State.ENDED)

    def _signal(self, name: str) -> None:
        if self.transport is None:  # it couldn't be started
            return
        try:
            self.transport.signalProcess(name)
        except ProcessExitedAlready:
            return

    def tell(self, message: ToWorker) -> None:
        """Tell it something; nothing comes of that when it has ended."""
        self._channel.tell(message)

    def _heard(self, message: ToParent) -> None:
        if isinstance(message, Ask):
            self._asked(self, message.number)
        elif isinstance(message, Report):
            self._reported(self, message)
        elif isinstance(message, Failed):
            self.reason = message.reason
        elif self.state is State.STARTING:
            self.state = State.READY
            _fire(self._starting)
            self._said(self)

    def _complain(self, text: str) -> None:
        """It writes to its standard error only what isn't by its log: the words of a crash."""
        for line in text.splitlines():
            self._log.warn("Worker {worker} wrote: {line}", worker=self.number, line=line)

    # ProcessProtocol

    def connectionMade(self) -> None:
        self.pid = self.transport.pid

    def childDataReceived(self, descriptor: int, data: bytes) -> None:
        self._outputs[descriptor].take(data)

    def processEnded(self, reason: Failure) -> None:
        for lines in self._outputs.values():
            lines.end()
        self._finish(_describe(reason))

    def _finish(self, end: str) -> None:
        self.end = end
        self.state = State.ENDED
        self._ended(self)
        _fire(self._starting)
        _fire(self._ending)


def _wait(waiting: list[Deferred[None]], is_over: bool) -> Deferred[None]:
    one: Deferred[None] = Deferred()
    if is_over:
        one.callback(None)
    else:
        waiting.append(one)
    return one


def _fire(waiting: list[Deferred[None]]) -> None:
    fired, waiting[:] = waiting[:], []
    for one in fired:
        one.callback(None)


def _describe(reason: Failure) -> str:
    """How a process ended."""
    error = reason.value
    if isinstance(error, ProcessDone):
        return "status 0"
    assert isinstance(error, ProcessTerminated)
    if error.signal is None:
        return f"status {error.exitCode}"
    try:
        return signal.Signals(error.signal).name
    except ValueError:
        return f"signal {error.signal}"
