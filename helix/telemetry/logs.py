"""Log output as one JSON object per line, and telemetry events in the log."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import IO, Any

import msgspec
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    formatEvent,
    formatEventAsClassicLogText,
    formatTime,
)
from zope.interface import implementer

from helix.printable import field, shown_lines
from helix.telemetry.events import Telemetry, Values

_LOGGED = (
    "helix.session.started",
    "helix.session.ended",
    "helix.session.crashed",
)

_OF_TWISTED = re.compile(r"\w+ starting on .*|\((?:TCP|TLS|UNIX) Port .* Closed\)", re.DOTALL)
"""Twisted's lines about ports; they name neither the address nor who may connect."""

_STARTS = ("twistd {version} ", "reactor class: ")
"""How Twisted's lines about itself begin, which it writes at the start."""

_encode = msgspec.json.Encoder(enc_hook=str).encode


@implementer(ILogObserver)
class JSONObserver:
    """
    Writes each event as one line: ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, the
    event's own fields, and ``traceback`` where there is one.

    :param worker: the number of this worker, which each line has then, too.
    """

    def __init__(self, output: IO[str], worker: int | None = None) -> None:
        self._output = output
        self._fields: dict[str, object] = {} if worker is None else {"worker": worker}

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level", LogLevel.info)
        line = {
            "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(),
            "level": level.name,
            "logger": event.get("log_namespace", "-"),
            "message": event["line"] if "helix_fields" in event else formatEvent(event),
            **self._fields,
        }
        line.update(event.get("helix_fields", {}))
        if "log_failure" in event:
            line["traceback"] = event["log_failure"].getTraceback()
        self._output.write(_encode(line).decode() + "\n")
        self._output.flush()


@lru_cache(maxsize=1)
def _time_of(second: int) -> str:
    return formatTime(second)


def _ready_text(event: LogEvent) -> str:
    """What `formatEventAsClassicLogText` makes of an event of telemetry, in a third of the time."""
    system = event.get("log_system") or f"{event['log_namespace']}#{event['log_level'].name}"
    line = event["line"].replace("\n", "\n\t")
    return f"{_time_of(int(event['log_time']))} [{system}] {line}\n"


def _as_text(event: LogEvent, worker: int | None = None) -> str | None:
    """
    An event as a line; further lines of its text and traceback begin with a tab.

    :param worker: the number of this worker, which each of the lines names then.
    """
    if worker is not None:
        level = getattr(event.get("log_level"), "name", "-")
        system = event.get("log_system") or f"{event.get('log_namespace', '-')}#{level}"
        event = {**event, "log_system": f"{system}, worker {worker}"}
    is_ready = "helix_fields" in event
    text = _ready_text(event) if is_ready else formatEventAsClassicLogText(event)
    if text is None:
        return None
    text = shown_lines(text)
    return text if worker is None else text.replace("\n\t", f"\n\t[worker {worker}] ")


@implementer(ILogFilterPredicate)
class WithoutTwistedsStart:
    """Filters out Twisted's lines about its own start, ports and factories."""

    def __call__(self, event: LogEvent) -> Any:
        if "message" in event:  # by the older way to log
            text = " ".join(map(str, event["message"]))
            is_twisteds = _OF_TWISTED.fullmatch(text) is not None
        else:
            is_twisteds = (event.get("log_format") or "").startswith(_STARTS)
        return PredicateResult.no if is_twisteds else PredicateResult.maybe


def make_observer(output: IO[str], log_format: str, worker: int | None = None) -> ILogObserver:
    """
    Make the observer that writes the log, from level ``info`` up, without Twisted's start lines.

    :param log_format: ``text`` or ``json``.
    :param worker: the number of this worker, where it is one of several.
    """
    write: ILogObserver
    if log_format == "json":
        write = JSONObserver(output, worker)
    else:
        write = FileLogObserver(output, partial(_as_text, worker=worker))
    from_info_up = LogLevelFilterPredicate(defaultLogLevel=LogLevel.info)
    return FilteringLogObserver(write, [WithoutTwistedsStart(), from_info_up])


def log_telemetry(telemetry: Telemetry) -> None:
    """Log starts and ends of sessions, with the events' measurements and metadata as fields."""
    log = Logger(namespace="helix.telemetry")

    def write(name: str, measurements: Values, metadata: Values) -> None:
        fields = {"event": name, **measurements, **metadata}
        about = (*measurements.items(), *metadata.items())
        line = " ".join([name, *[f"{key}={field(value)}" for key, value in about]])
        log.info("{line}", line=line, helix_fields=fields)

    for name in _LOGGED:
        telemetry.subscribe(name, write)
