"""``twistd helix``: the options and the daemon; the only module that imports the reactor."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib.resources import files
from random import SystemRandom
from time import time
from typing import IO, Any

from autobahn.websocket import USES_NVX
from prometheus_client import disable_created_metrics
from twisted.application.reactors import installReactor
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import ILogObserver, Logger, globalLogBeginner
from twisted.python import usage
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile

from helix import __version__
from helix.announcement import Listening, lets_all_in, tell_where, tell_who
from helix.broker.opening import open_broker
from helix.config import (
    SETTINGS,
    Config,
    Setting,
    SettingError,
    check_auth,
    check_workers,
    read_config,
)
from helix.errors import HelixError
from helix.heap import bound_heap
from helix.identity.keys import BadKeys
from helix.limits.apart import WorkThread
from helix.listening import CannotListen, ListenService
from helix.store.opening import open_store
from helix.telemetry.clocks import keep_steady
from helix.telemetry.logs import log_telemetry, make_observer
from helix.telemetry.poller import bound_turns
from helix.web.editor_files import EditorFiles
from helix.wiring import Server, build_server
from helix.workers.child import (
    NoParent,
    Parent,
    opened_endpoints,
    receive_begin,
    say_failed,
    share,
)
from helix.workers.messages import Begin
from helix.workers.parent import WorkersService
from helix.workers.sockets import Opened, Unserved, hold

TWISTD_PID_FILE = "twistd.pid"
"""Where twistd writes its process id unless it is told otherwise."""

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


def _program() -> str:
    """What was called: `helix.cli.main` has a command that starts twistd under its own name."""
    return "helix serve" if os.path.basename(sys.argv[0]) == "helix" else "twistd helix"


def _option(setting: Setting) -> Callable[..., None]:
    """A method that ``usage.Options`` takes for an option, and whose docstring it shows."""

    def flag(self: Options) -> None:
        self.given[setting.name] = ["1"]

    def option(self: Options, value: str) -> None:
        self.given.setdefault(setting.name, []).append(value)

    method = flag if setting.flag else option
    default = f", default: {setting.default}" if setting.default and not setting.flag else ""
    method.__doc__ = f"{setting.help} [{setting.variable}{default}]"
    return method


def _with_settings(options: type[Options]) -> type[Options]:
    for setting in SETTINGS:
        setattr(options, f"opt_{setting.attribute}", _option(setting))
    return options


@_with_settings
class Options(usage.Options):
    """The command line of ``twistd helix``, made from `helix.config.SETTINGS`."""

    longdesc = (
        "Helix, a multiplayer server for node graphs. "
        "The environment variable in brackets sets the same option."
    )

    opt_h = usage.Options.opt_help

    config: Config

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, list[str]] = {}

    def getSynopsis(self) -> str:
        return f"Usage: {_program()} [options]"

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Any mistake ends the program with one line on standard error."""
        try:
            super().parseOptions(options)
            self.config = read_config(self.given, os.environ)
        except (usage.UsageError, SettingError) as error:
            raise SystemExit(f"{_program()}: {error}") from None
        self._write_no_process_id()
        if not USES_NVX and not self.config.allow_slow_websocket:
            raise SystemExit(
                f"{_program()}: Autobahn's NVX acceleration is missing, so WebSockets are slow: "
                "install an autobahn wheel for this platform, or start with --allow-slow-websocket"
            )

    def _write_no_process_id(self) -> None:
        """
        In the foreground, let twistd write its process id only if that is asked for.

        It refuses to start if the file names a living process. After a kill in a container, where
        process ids begin again, there always is one.
        """
        twistd: MutableMapping[str, Any] = {} if self.parent is None else self.parent
        if twistd.get("nodaemon") and twistd.get("pidfile") == TWISTD_PID_FILE:
            twistd["pidfile"] = ""


class HelixService(MultiService):
    """
    The daemon: sessions, clients, and the ports to which clients connect.

    Stopping it drains it: it closes the ports, then the clients, then the sessions.

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
            await listener.stopService()
            listener.disownServiceParent()
        await self._clients.drain()
        await self._sessions.settle()
        await super().stopService()
        await self._store.stop()
        if self._parent_process is not None:
            await self._parent_process.leave()


class ParentService(MultiService):
    """
    The parent of workers: it opens the ports, and serves at none.

    :param listeners: the ports.
    :param log: what writes the log, once twistd takes the service.
    """

    def __init__(self, reactor: Any, options: Options, log: LogOutput) -> None:
        super().__init__()
        self._reactor = reactor
        self._config = options.config
        self._log_output = log
        self._listeners = [
            _make_listener(reactor, description, Unserved()) for description in self._config.listen
        ]
        for listener in self._listeners:
            listener.setServiceParent(self)
        self._workers = WorkersService(
            reactor,
            self._listeners,
            self._config.worker_count,
            options.given,
            _twistd(options).get("reactor") or "",
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
        raise SystemExit(f"{_program()}: --listen: {error}") from None


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


def _twistd(options: Options) -> Mapping[str, Any]:
    """The options of twistd itself."""
    return options.parent or {}


def _log_file(options: Options) -> IO[str]:
    """Where twistd puts the log: ``--logfile``, or standard output."""
    twistd = _twistd(options)
    path = twistd.get("logfile")
    if path == "-" or (not path and twistd.get("nodaemon")):
        return sys.stdout
    logfile: IO[str] = LogFile.fromFullPath(path or "twistd.log")
    return logfile


class LogOutput:
    """Where the log goes: lines of this process, and whole ones of others."""

    def __init__(self, options: Options) -> None:
        self._options = options

    @cached_property
    def file(self) -> IO[str]:
        """It is opened at the first use."""
        return _log_file(self._options)

    def write(self, text: str) -> None:
        """Write whole lines, if that can be: a log that fails ends nothing."""
        with suppress(OSError):
            self.file.write(text)
            self.file.flush()


def _make_listener(
    reactor: Any, description: str, factory: IProtocolFactory, opened: Opened | None = None
) -> ListenService:
    try:
        return ListenService(reactor, description, factory, opened)
    except Exception as error:  # each endpoint parser has errors of its own
        raise SystemExit(f"{_program()}: --listen: {description!r}: {error}") from None


def _make_server(config: Config, reactor: Any, parent: Parent | None = None) -> Server:
    """Wire a server, and end the program with one line if the settings allow none."""
    keep_steady(reactor)
    bound_turns(reactor)
    bound_heap()
    disable_created_metrics()
    try:
        store = open_store(config.store, reactor, max_bytes=config.max_store_bytes)
    except (HelixError, ValueError) as error:
        raise SystemExit(f"{_program()}: --store: {error}") from None
    try:
        url = config.broker_url
        broker = None if url is None else open_broker(url, reactor, store, SystemRandom())
    except HelixError as error:
        raise SystemExit(f"{_program()}: --broker: {error}") from None
    editor = EditorFiles.load(files("helix").joinpath("editor"))
    try:
        return build_server(
            config,
            reactor,
            time,
            SystemRandom(),
            store,
            editor,
            apart=WorkThread(reactor),
            broker=broker,
            gather=None if parent is None else parent.gather,
        )
    except (BadKeys, SettingError) as error:
        raise SystemExit(f"{_program()}: {error}") from None


def makeService(options: Options) -> HelixService | ParentService:
    """Build the tree of services that ``options`` describe."""
    from twisted.internet import reactor

    config = options.config
    service: HelixService | ParentService
    try:
        check_workers(config)
    except SettingError as error:
        raise SystemExit(f"{_program()}: {error}") from None
    server = _make_server(config, reactor)  # a parent's is none but a check of the settings
    if config.worker_count > 1:
        service = ParentService(reactor, options, LogOutput(options))
    else:
        log_telemetry(server.telemetry)
        service = HelixService(
            reactor, server, config, lambda: make_observer(_log_file(options), config.log_format)
        )
        for description in config.listen:
            _make_listener(reactor, description, server.site).setServiceParent(service)
    try:
        check_auth(config)
    except SettingError as error:
        raise SystemExit(f"{_program()}: {error}") from None
    return service


def run_worker() -> None:
    """The program of a worker, which its parent starts. (`helix.workers`)"""
    try:
        begin = receive_begin()
    except NoParent as error:
        raise SystemExit(f"helix worker: {error}") from None
    if begin.reactor:
        installReactor(begin.reactor)
    from twisted.internet import reactor

    # Those of a terminal's are for the parent, which says what is to be done.
    for one in (signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    try:
        parent = Parent(reactor)
        service = _make_worker(begin, parent, reactor)
        service.privilegedStartService()
    except (SystemExit, SettingError) as error:
        say_failed(str(error))
        raise SystemExit(1) from None
    parent.connect()
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()


def _make_worker(begin: Begin, parent: Parent, reactor: Any) -> HelixService:
    config = share(read_config(begin.given, os.environ), begin.workers)
    output = open(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    observer = make_observer(output, config.log_format, begin.worker)
    globalLogBeginner.beginLoggingTo([observer])
    server = _make_server(config, reactor, parent)
    log_telemetry(server.telemetry)
    listeners = [
        _make_listener(reactor, description, server.site, opened)
        for description, opened in opened_endpoints(begin, reactor)
    ]
    late = listeners if begin.waits else []
    service = HelixService(reactor, server, config, lambda: observer, parent, late)
    if not begin.waits:
        for listener in listeners:
            listener.setServiceParent(service)
    return service
