"""The daemon's services: of a process that serves, and of the parent of several that do."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import IO, Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from helix import __version__
from helix.announcement import Listening, lets_all_in, tell_where, tell_who
from helix.config import Config
from helix.errors import HelixError
from helix.listening import CannotListen, ListenService
from helix.telemetry.logs import make_observer
from helix.wiring import Server
from helix.workers.child import Parent
from helix.workers.parent import WorkersService
from helix.workers.sockets import hold

SWITCH_SECONDS = 0.001
"""Seconds after which a busy thread yields to the reactor's thread, which asks often in a turn."""

GC_THRESHOLDS = (2_000, 4, 6_000)
"""
Thresholds of the garbage collector: a pass over the youngest 2,000 objects takes some 1 ms, over
five times as many 6. (Over 25,000 it took up to 70 while thousands connected.) A pass over all
objects takes 200 ms with a thousand flows; with Python's own thresholds it came every second under
load.
"""

_log = Logger(namespace="helix")


def program() -> str:
    """What was called: `helix.cli.main` has a command that starts twistd under its own name."""
    return "helix serve" if os.path.basename(sys.argv[0]) == "helix" else "twistd helix"


class LogOutput:
    """
    Where the log goes: lines of this process, and whole ones of others.

    :param open_file: opens it, at the first use.
    """

    def __init__(self, open_file: Callable[[], IO[str]]) -> None:
        self._open = open_file

    @cached_property
    def file(self) -> IO[str]:
        """It, open."""
        return self._open()

    def write(self, text: str) -> None:
        """Write whole lines, if that can be: a log that fails ends nothing."""
        with suppress(OSError):
            self.file.write(text)
            self.file.flush()


class HelixService(MultiService):
    """
    The daemon: sessions, clients, and the ports to which clients connect.

    Stopping it drains it: it closes the ports, then the clients, then the sessions; and lets no
    poll of another node's session wait here.

    :param config: the settings of the server.
    :param observer: makes what writes the log; called when twistd takes the service.
    :param parent_process: the parent of a worker; ``None`` where this is the only process.
    :param late: what is listened at only once the store is open.

    :ivar telemetry: the server's events, for code in the same process.
    """

    def __init__(
        self,
        reactor: Any,
        server: Server,
        config: Config,
        observer: Callable[[], ILogObserver],
        parent_process: Parent | None = None,
        late: Sequence[ListenService] = (),
    ) -> None:
        super().__init__()
        self._config = config
        self._parent_process = parent_process
        self._late = late
        self.telemetry = server.telemetry
        self._reactor = reactor
        self._store = server.store
        self._sessions = server.sessions
        self._clients = server.clients
        self._purge = server.purge
        self._api_keys = server.api_keys
        self._access = server.access
        self._nodes = server.nodes
        self._polls = server.polls
        self._site = server.site
        self._observer = observer
        server.keys.setServiceParent(self)
        server.sessions.setServiceParent(self)
        server.clients.setServiceParent(self)
        server.watchdog.setServiceParent(self)
        server.clock_watch.setServiceParent(self)

    def setServiceParent(self, parent: Any) -> None:
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer())
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        with _told_at_the_start():
            super().privilegedStartService()

    def startService(self) -> None:
        _raise_descriptor_limit()
        super().startService()
        self._store.start().addCallbacks(self._store_opened, self._store_failed)
        self._reactor.callWhenRunning(self._running)

    def _store_opened(self, _: None) -> None:
        self._purge.setServiceParent(self)
        self._api_keys.refresh().addErrback(lambda _: None)  # logged; who has one asks again
        if not self._config.lets_anyone_in:
            self._access.setServiceParent(self)
        if self._nodes is not None:
            self._nodes.setServiceParent(self)
        self._reactor.callWhenRunning(self._serves)

    def _store_failed(self, failure: Failure) -> None:
        """Nothing can be served: end, with a status that says so."""
        if not isinstance(failure.value, HelixError):
            reason = "the store met a fault"
            _log.failure("Helix can't start: {reason}", failure, reason=reason)
        else:
            reason = f"--store: {failure.value}"
            if self._parent_process is None:
                _log.critical("Helix can't start: {reason}", reason=reason)
        if self._parent_process is not None:
            self._parent_process.failed(reason)
        _end_as_failed(self._reactor)

    def _running(self) -> None:
        _tune_garbage_collector()
        sys.setswitchinterval(SWITCH_SECONDS)
        _end_well_at(self._reactor, signal.SIGTERM)

    def _serves(self) -> None:
        """Tell that the server is ready."""
        if self._parent_process is None:
            _announce(self._listeners(), self._config)
        elif self.running:
            for listener in self._late:
                listener.setServiceParent(self)
            self._parent_process.ready()

    def _listeners(self) -> list[ListenService]:
        return [one for one in self if isinstance(one, ListenService)]

    def stopService(self) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._sessions.draining = True
        self._site.is_leaving = self._parent_process is not None  # others take the next request
        for listener in self._listeners():
            await _try("closing a port", listener.stopService)
            listener.disownServiceParent()
        await _try("closing clients", self._clients.drain)
        await _try("storing the last edits", self._sessions.settle)
        await _try("answering other nodes' polls", self._polls.take_back)
        await _try("stopping services", super().stopService)
        await _try("closing the store", self._store.stop)
        if self._parent_process is not None:
            await _try("leaving the parent process", self._parent_process.leave)


async def _try(what: str, do: Callable[[], Awaitable[Any]]) -> None:
    """Take one step of a drain. If it fails, that is logged, and the next is taken all the same."""
    try:
        await do()
    except Exception:
        _log.failure("At the stop, {what} failed", what=what)


class ParentService(MultiService):
    """
    The parent of workers: it opens the ports, and serves at none.

    :param listeners: the ports.
    :param given: the command line: option -> its values.
    :param reactor_name: of Twisted, for the workers; empty for its own choice.
    :param log: where the log goes.
    """

    def __init__(
        self,
        reactor: Any,
        config: Config,
        listeners: Sequence[ListenService],
        given: Mapping[str, Sequence[str]],
        reactor_name: str,
        log: LogOutput,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._config = config
        self._log_output = log
        self._listeners = listeners
        for listener in self._listeners:
            listener.setServiceParent(self)
        self._workers = WorkersService(
            reactor,
            self._listeners,
            self._config.worker_count,
            given,
            reactor_name,
            log.write,
            self._serves,
            self._fail,
        )
        self._workers.setServiceParent(self)

    def setServiceParent(self, parent: Any) -> None:
        if isinstance(parent, Componentized):
            observer = make_observer(self._log_output.file, self._config.log_format)
            parent.setComponent(ILogObserver, observer)
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        with _told_at_the_start():
            super().privilegedStartService()
            for listener in self._listeners:
                hold(listener)

    def startService(self) -> None:
        super().startService()
        self._reactor.callWhenRunning(self._running)

    def _running(self) -> None:
        _end_well_at(self._reactor, signal.SIGTERM, signal.SIGINT)
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self._workers.replace))

    def _serves(self) -> None:
        _announce(self._listeners, self._config)

    def _fail(self, reason: str) -> None:
        _log.critical("Helix can't go on: {reason}", reason=reason)
        _end_as_failed(self._reactor)


@contextmanager
def _told_at_the_start() -> Iterator[None]:
    """End the program with one line if it can't listen."""
    try:
        yield
    except CannotListen as error:
        raise SystemExit(f"{program()}: --listen: {error}") from None


def _announce(listeners: Sequence[ListenService], config: Config) -> None:
    """Log the server's address and who may use it, now that it is ready."""
    ports = [
        Listening(one.description, one.port.getHost()) for one in listeners if one.port is not None
    ]
    if not ports:  # it is stopping already
        return
    _log.info("{line}", line=tell_where(__version__, ports, config))
    is_open = lets_all_in(ports, config)
    (_log.warn if is_open else _log.info)("{line}", line=tell_who(ports, config))


def _end_well_at(reactor: Any, *signals: signal.Signals) -> None:
    """
    Drain at a signal, and exit with 0. Further signals have no effect.

    With Twisted's own handler the signal ends the process, which doesn't count as success.
    """

    def end(*_: object) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        reactor.callFromThread(reactor.stop)

    for one in signals:
        signal.signal(one, end)


def _end_as_failed(reactor: Any) -> None:
    """End with 1. Twisted exits with 0 however it is stopped, so that is the last thing to do."""

    def stop() -> None:
        if reactor.running:
            reactor.stop()

    reactor.addSystemEventTrigger("after", "shutdown", _exit_failed)
    reactor.callWhenRunning(stop)


def _exit_failed() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _tune_garbage_collector() -> None:
    """Exclude the objects of the start from garbage collection, and check old ones seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _raise_descriptor_limit() -> None:
    """Every client takes a descriptor, and the usual soft limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
