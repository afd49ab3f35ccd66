"""A worker's end: what it is told at its start, and its channel to the parent."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from typing import Any, Final

import attrs
import msgspec
from twisted.internet import defer
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from helix.config import Config
from helix.errors import Draining
from helix.telemetry.figures import Figures, OwnFigures
from helix.workers.messages import (
    CHANNEL,
    FIRST_SOCKET,
    MAX_LINE_BYTES,
    VERSION,
    Ask,
    Begin,
    Failed,
    Ready,
    Report,
    decode_begin,
    decode_to_worker,
    encode,
)
from helix.workers.sockets import Opened

BEGIN_SECONDS = 30.0
"""Seconds within which the parent says what is to be done."""

ASK_SECONDS = 3.0
"""Seconds within which the parent gives the figures of all workers."""

LAST_WORDS_SECONDS = 1.0
"""Seconds that the last words to the parent have to leave."""


class NoParent(Exception):
    """Nobody is there who says what to do, or it can't be understood."""


def receive_begin() -> Begin:
    """
    Wait for the parent's first word.

    :raises NoParent: when it doesn't come.
    """
    text = bytearray()
    try:
        with socket.socket(fileno=socket.dup(CHANNEL)) as channel:
            channel.settimeout(BEGIN_SECONDS)
            while not text.endswith(b"\n"):
                data = channel.recv(65536)
                if not data:
                    raise NoParent("the parent is gone")
                text += data
            channel.setblocking(False)
        begin = decode_begin(text)
    except (OSError, msgspec.MsgspecError) as error:
        raise NoParent(f"the parent says nothing: {error}") from None
    if begin.v != VERSION:
        raise NoParent(f"the parent speaks version {begin.v}, and this is {VERSION}: restart it")
    return begin


def say_failed(reason: str) -> None:
    """Tell the parent why nothing can be served, before there is a `Parent`."""
    with suppress(OSError), socket.socket(fileno=socket.dup(CHANNEL)) as channel:
        channel.send(encode(Failed(reason)) + b"\n")


def opened_endpoints(begin: Begin, reactor: Any) -> list[tuple[str, Opened]]:
    """
    Give the endpoints that the parent has opened, by their descriptions.

    :raises ValueError: when none can be made of a description.
    """
    return [
        (description, Opened(reactor, description, descriptor))
        for descriptor, description in enumerate(begin.listen, FIRST_SOCKET)
    ]


def share(config: Config, workers: int) -> Config:
    """
    Give each worker its share of the bounds of what all may hold together.

    Those of one connection, one flow or one address hold in each worker: the connections of one
    address may all be at one worker.
    """
    return attrs.evolve(
        config,
        max_connections=-(-config.max_connections // workers),
        max_sessions=-(-config.max_sessions // workers),
        max_queued_bytes=-(-config.max_queued_bytes // workers),
    )


class Parent(LineOnlyReceiver):
    """
    The parent, as a worker sees it. When it is gone, the worker drains and ends.

    It is a `helix.telemetry.figures.Figures`: those of all workers.
    """

    transport: Any

    delimiter = b"\n"
    MAX_LENGTH = MAX_LINE_BYTES

    _log: Final = Logger(namespace="helix.workers")

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._own: OwnFigures | None = None
        self._left: Deferred[None] | None = None
        self._numbers = count(1)
        self._asked: dict[int, Deferred[Report]] = {}

    def gather(self, own: OwnFigures) -> Figures:
        """
        Take a worker's own figures, which the parent asks for.

        :return: those of all workers.
        """
        self._own = own
        return self

    def connect(self) -> None:
        """Begin to hear the parent, and to be heard."""
        factory = Factory.forProtocol(lambda: self)
        factory.noisy = False
        self._reactor.adoptStreamConnection(CHANNEL, socket.AF_UNIX, factory)
        socket.close(CHANNEL)

    def ready(self) -> None:
        """Say that this worker serves."""
        self._tell(Ready())

    def failed(self, reason: str) -> None:
        """Say that this worker can't serve."""
        self._tell(Failed(reason))

    def leave(self) -> Deferred[None]:
        """Say the last word; fires when all that was said is on its way."""
        if self.transport is None or not self.transport.connected:
            return succeed(None)
        self._report(0)
        left = self._left = Deferred()
        self.transport.loseConnection()
        return left.addTimeout(LAST_WORDS_SECONDS, self._reactor, lambda *_: None)

    # Figures

    def exposition(self) -> Deferred[bytes]:
        return self._ask().addCallback(lambda report: report.metrics.encode())

    def status(self) -> Deferred[Mapping[str, object]]:
        return self._ask().addCallback(lambda report: report.status)

    def _ask(self) -> Deferred[Report]:
        number = next(self._numbers)
        asked = self._asked[number] = Deferred()
        self._tell(Ask(number))

        def answered(result: Report | Failure) -> Report | Failure:
            self._asked.pop(number, None)
            if isinstance(result, Failure) and result.check(defer.TimeoutError):
                raise Draining()  # whoever asks again is answered by another
            return result

        return asked.addTimeout(ASK_SECONDS, self._reactor).addBoth(answered)

    # inside

    def _tell(self, message: object) -> None:
        if self.transport is not None and self.transport.connected:
            self.sendLine(encode(message))

    def _report(self, number: int) -> None:
        if self._own is not None:
            self._tell(Report(number, self._own.text().decode(), dict(self._own.numbers())))

    def lineReceived(self, line: bytes) -> None:
        try:
            message = decode_to_worker(line)
        except msgspec.MsgspecError:
            return  # of a parent that is another version
        if isinstance(message, Ask):
            self._report(message.number)
        elif (asked := self._asked.get(message.number)) is not None and not asked.called:
            asked.callback(message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        left, self._left = self._left, None
        if left is not None:
            left.callback(None)
        else:
            self._log.warn("The parent is gone, so this worker ends")
            if self._reactor.running:
                self._reactor.stop()
