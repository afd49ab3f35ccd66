"""``twistd helix``: the options and the daemon; the only module that imports the reactor."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from functools import partial
from importlib.resources import files
from random import SystemRandom
from time import time
from typing import IO, Any

from autobahn.websocket import USES_NVX
from prometheus_client import disable_created_metrics
from twisted.application.reactors import installReactor
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import globalLogBeginner
from twisted.python import usage
from twisted.python.logfile import LogFile

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
from helix.listening import ListenService
from helix.serving import HelixService, LogOutput, ParentService, program
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
from helix.workers.sockets import Opened, Unserved

TWISTD_PID_FILE = "twistd.pid"
"""Where twistd writes its process id unless it is told otherwise."""


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
        return f"Usage: {program()} [options]"

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Any mistake ends the program with one line on standard error."""
        try:
            super().parseOptions(options)
            self.config = read_config(self.given, os.environ)
        except (usage.UsageError, SettingError) as error:
            raise SystemExit(f"{program()}: {error}") from None
        self._write_no_process_id()
        if not USES_NVX and not self.config.allow_slow_websocket:
            raise SystemExit(
                f"{program()}: Autobahn's NVX acceleration is missing, so WebSockets are slow: "
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


def _make_listener(
    reactor: Any, description: str, factory: IProtocolFactory, opened: Opened | None = None
) -> ListenService:
    try:
        return ListenService(reactor, description, factory, opened)
    except Exception as error:  # each endpoint parser has errors of its own
        raise SystemExit(f"{program()}: --listen: {description!r}: {error}") from None


def _make_server(config: Config, reactor: Any, parent: Parent | None = None) -> Server:
    """Wire a server, and end the program with one line if the settings allow none."""
    keep_steady(reactor)
    bound_turns(reactor)
    bound_heap()
    disable_created_metrics()
    try:
        store = open_store(config.store, reactor, max_bytes=config.max_store_bytes)
    except (HelixError, ValueError) as error:
        raise SystemExit(f"{program()}: --store: {error}") from None
    try:
        url = config.broker_url
        broker = None if url is None else open_broker(url, reactor, store, SystemRandom())
    except HelixError as error:
        raise SystemExit(f"{program()}: --broker: {error}") from None
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
        raise SystemExit(f"{program()}: {error}") from None


def makeService(options: Options) -> HelixService | ParentService:
    """Build the tree of services that ``options`` describe."""
    from twisted.internet import reactor

    config = options.config
    service: HelixService | ParentService
    try:
        check_workers(config)
    except SettingError as error:
        raise SystemExit(f"{program()}: {error}") from None
    server = _make_server(config, reactor)  # a parent's is none but a check of the settings
    if config.worker_count > 1:
        listeners = [
            _make_listener(reactor, description, Unserved()) for description in config.listen
        ]
        service = ParentService(
            reactor,
            config,
            listeners,
            options.given,
            _twistd(options).get("reactor") or "",
            LogOutput(partial(_log_file, options)),
        )
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
        raise SystemExit(f"{program()}: {error}") from None
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
    output = open(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115  # for good
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
