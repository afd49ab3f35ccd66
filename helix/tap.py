"""``twistd helix``: the options and the daemon; the only module that imports the reactor."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from importlib.resources import files
from random import SystemRandom
from time import time
from typing import IO, Any

from autobahn.websocket import USES_NVX
from prometheus_client import disable_created_metrics
from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile

from helix import __version__
from helix.announcement import Listening, lets_all_in, tell_where, tell_who
from helix.broker.opening import open_broker
from helix.config import SETTINGS, Config, Setting, SettingError, check_auth, read_config
from helix.endpoints import Endpoint, complete
from helix.errors import HelixError
from helix.heap import bound_heap
from helix.identity.keys import BadKeys
from helix.limits.apart import WorkThread
from helix.socket_lock import SocketInUse, SocketLock
from helix.store.opening import open_store
from helix.telemetry.clocks import keep_steady
from helix.telemetry.logs import log_telemetry, make_observer
from helix.telemetry.poller import bound_accepts, bound_turns, bound_unsent
from helix.web.editor_files import EditorFiles
from helix.web.site import HelixSite
from helix.wiring import Server, build_server

TWISTD_PID_FILE = "twistd.pid"
"""Where twistd writes its process id unless it is told otherwise."""

BACKLOG = 4096
"""Connects that may wait to be accepted; the kernel has its own limit, often the same."""

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


class ListenService(Service):
    """
    One endpoint on which the site is served.

    :param description: as `serverFromString` takes it.
    :raises ValueError: when no endpoint can be made of it.

    :ivar description: as it was given.
    :ivar port: what listens, once it does.
    """

    def __init__(self, reactor: Any, description: str, site: HelixSite) -> None:
        self.description = description
        self._endpoint = serverFromString(reactor, complete(description, BACKLOG))
        endpoint = Endpoint.parse(description)
        # Who asks for Twisted's own lock, which has the same name, gets that.
        self._path = None if endpoint.named.get("lockfile") == "1" else endpoint.path
        self._lock: SocketLock | None = None
        self._site = site
        self.port: IListeningPort | None = None

    def privilegedStartService(self) -> None:
        """Listen while still privileged. A failure ends the start and says why."""
        failures: list[Failure] = []
        if self._path is not None:
            try:
                self._lock = SocketLock(self._path)
            except (SocketInUse, OSError) as error:
                raise SystemExit(f"{_program()}: --listen: {self.description!r}: {error}") from None
        self._endpoint.listen(self._site).addCallbacks(self._listening, failures.append)
        if failures:
            reason = failures[0].getErrorMessage()
            raise SystemExit(f"{_program()}: --listen: {self.description!r}: {reason}")

    def _listening(self, port: IListeningPort) -> None:
        bound_accepts(port)
        bound_unsent(port)
        self.port = port

    def stopService(self) -> Deferred[Any]:
        """Take no new connections."""
        super().stopService()
        port, self.port = self.port, None
        stopped = maybeDeferred(port.stopListening) if port is not None else succeed(None)
        return stopped.addBoth(self._release)

    def _release(self, result: Any) -> Any:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()
        return result


class HelixService(MultiService):
    """
    The daemon: sessions, clients, and the ports to which clients connect.

    Stopping it drains it: it closes the ports, then the clients, then the sessions.

    :param config: the settings of the server.
    :param observer: makes what writes the log; called when twistd takes the service.

    :ivar telemetry: the server's events, for code in the same process.
    """

    def __init__(
        self,
        reactor: Any,
        server: Server,
        config: Config,
        observer: Callable[[], ILogObserver],
    ) -> None:
        super().__init__()
        self._config = config
        self.telemetry = server.telemetry
        self._reactor = reactor
        self._store = server.store
        self._sessions = server.sessions
        self._clients = server.clients
        self._purge = server.purge
        self._api_keys = server.api_keys
        self._access = server.access
        self._nodes = server.nodes
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
        self._reactor.callWhenRunning(self._announce)

    def _store_failed(self, failure: Failure) -> None:
        """Nothing can be served: end, with a status that says so."""
        if isinstance(failure.value, HelixError):
            _log.critical("Helix can't start: --store: {error}", error=failure.value)
        else:
            _log.failure("Helix can't start: the store met a fault", failure)
        # Twisted exits with 0 however it is stopped, and the last thing to do is to say 1 instead.
        self._reactor.addSystemEventTrigger("after", "shutdown", _exit_failed)
        self._reactor.callWhenRunning(self._stop_reactor)

    def _stop_reactor(self) -> None:
        if self._reactor.running:
            self._reactor.stop()

    def _running(self) -> None:
        _tune_garbage_collector()
        sys.setswitchinterval(SWITCH_SECONDS)
        signal.signal(signal.SIGTERM, self._terminate)

    def _announce(self) -> None:
        """Log the server's address and who may use it, now that it is ready."""
        ports = [
            Listening(one.description, one.port.getHost())
            for one in self._listeners()
            if one.port is not None
        ]
        if not ports:  # it is stopping already
            return
        _log.info("{line}", line=tell_where(__version__, ports, self._config))
        is_open = lets_all_in(ports, self._config)
        (_log.warn if is_open else _log.info)("{line}", line=tell_who(ports, self._config))

    def _terminate(self, *_: object) -> None:
        """
        The handler of SIGTERM: drain, and exit with 0. Further signals have no effect.

        With Twisted's own handler the signal ends the process, which doesn't count as success.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        self._reactor.callFromThread(self._reactor.stop)

    def _listeners(self) -> list[ListenService]:
        return [one for one in self if isinstance(one, ListenService)]

    def stopService(self) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._sessions.draining = True
        for listener in self._listeners():
            await listener.stopService()
            listener.disownServiceParent()
        await self._clients.drain()
        await self._sessions.settle()
        await super().stopService()
        await self._store.stop()


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


def _log_file(options: Options) -> IO[str]:
    """Where twistd puts the log: ``--logfile``, or standard output."""
    twistd: Mapping[str, Any] = options.parent or {}
    path = twistd.get("logfile")
    if path == "-" or (not path and twistd.get("nodaemon")):
        return sys.stdout
    logfile: IO[str] = LogFile.fromFullPath(path or "twistd.log")
    return logfile


def makeService(options: Options) -> HelixService:
    """Build the tree of services that ``options`` describe."""
    from twisted.internet import reactor

    keep_steady(reactor)
    bound_turns(reactor)
    bound_heap()
    config = options.config
    disable_created_metrics()
    try:
        store = open_store(config.store, reactor, max_bytes=config.max_store_bytes)
    except (HelixError, ValueError) as error:
        raise SystemExit(f"{_program()}: --store: {error}") from None
    try:
        broker = None if config.broker_url is None else open_broker(config.broker_url, reactor)
    except HelixError as error:
        raise SystemExit(f"{_program()}: --broker: {error}") from None
    editor = EditorFiles.load(files("helix").joinpath("editor"))
    try:
        server = build_server(
            config,
            reactor,
            time,
            SystemRandom(),
            store,
            editor,
            apart=WorkThread(reactor),
            broker=broker,
        )
    except (BadKeys, SettingError) as error:
        raise SystemExit(f"{_program()}: {error}") from None
    log_telemetry(server.telemetry)
    service = HelixService(
        reactor, server, config, lambda: make_observer(_log_file(options), config.log_format)
    )
    for description in config.listen:
        try:
            listener = ListenService(reactor, description, server.site)
        except Exception as error:  # each endpoint parser has errors of its own
            raise SystemExit(f"{_program()}: --listen: {description!r}: {error}") from None
        listener.setServiceParent(service)
    try:
        check_auth(config)
    except SettingError as error:
        raise SystemExit(f"{_program()}: {error}") from None
    return service
