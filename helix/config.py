"""
The settings of the daemon: one table, from which the options, their ``HELIX_*`` twins, the checks
and the list in docs/configuration.md come.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from helix.addresses import TrustedProxies


class SettingError(ValueError):
    """A setting has a value that can't be; the message names the setting and says what can."""


@attrs.frozen
class Setting:
    """
    One setting.

    :ivar name: the option without its dashes; also, in capitals and with underscores, the
        environment variable's name behind ``HELIX_``.
    :ivar default: as a user would write it; for a repeatable one, separated by spaces.
    :ivar parse: turns what was written into the value, or raises ``ValueError`` saying what is
        wanted.
    :ivar help: one sentence.
    :ivar repeatable: whether the option may be given more than once; the value is a tuple then.
    :ivar flag: whether the option takes no value.
    :ivar secret: whether a value may hold a password, and so is shown nowhere.
    """

    name: str
    default: str
    parse: Callable[[str], Any]
    help: str
    repeatable: bool = False
    flag: bool = False
    secret: bool = False

    @property
    def attribute(self) -> str:
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        return "HELIX_" + self.attribute.upper()


def _number(
    kind: type[int] | type[float], minimum: float, maximum: float
) -> Callable[[str], float]:
    words = "a whole number" if kind is int else "a number"

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = minimum - 1
        if not minimum <= value <= maximum:
            raise ValueError(f"{words} from {minimum:.12g} to {maximum:.12g} is wanted")
        return value

    return parse


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)} is wanted")
        return text

    return parse


def _endpoint(text: str) -> str:
    kind = text.partition(":")[0]
    if not text.strip() or (kind == text and not text.isdigit()):
        raise ValueError("a Twisted endpoint is wanted, such as tcp:4000:interface=127.0.0.1")
    return text


def _origin(text: str) -> str:
    if text == "*":
        return text
    wanted = (
        "an origin is wanted, such as https://app.example.com, https://*.example.com for all below "
        "that name, or * for every one"
    )
    try:
        parts = urlsplit(text)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError(wanted) from None
    name = (parts.hostname or "").removeprefix("*.")
    more = parts.path or parts.query or parts.fragment or parts.username is not None
    if not parts.scheme or not name or "*" in name or not port_fits or more:
        raise ValueError(wanted)
    return text


def _host(text: str) -> str:
    if re.fullmatch(r"\*|(\*\.)?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*\.?(:[0-9]{1,5})?", text) is None:
        raise ValueError(
            "a name is wanted, such as helix.example.com, *.example.com for all below that name, "
            "or * for every one"
        )
    return text


def _store(text: str) -> str:
    kind, separator, place = text.partition(":")
    known = kind in ("sqlite", "postgresql", "postgres") and bool(place)
    if text != "memory:" and not (known and separator):
        raise ValueError("sqlite:PATH, postgresql://... or memory: is wanted")
    return text


def _proxy(text: str) -> str:
    try:
        TrustedProxies.parse([text])
    except ValueError:
        raise ValueError("an address, a network such as 10.0.0.0/8, or unix is wanted") from None
    return text


def _flag(text: str) -> bool:
    values = {
        "1": True,
        "true": True,
        "yes": True,
        "0": False,
        "false": False,
        "no": False,
        "": False,
    }
    if text.lower() not in values:
        raise ValueError("1 or 0 is wanted")
    return values[text.lower()]


SETTINGS: Sequence[Setting] = (
    Setting(
        "listen",
        "tcp:4000:interface=127.0.0.1",
        _endpoint,
        "Where to listen, as a Twisted endpoint; TLS and unix sockets too, whose mode is 660 "
        "unless it is given (unix:PATH:mode=600). May be repeated.",
        repeatable=True,
    ),
    Setting(
        "store",
        "sqlite:helix-data/flows.db",
        _store,
        "Where flows are kept: sqlite:PATH, postgresql://USER@HOST/DATABASE, or memory:.",
        secret=True,
    ),
    Setting(
        "max-store-bytes",
        "0",
        _number(int, 0, 10**15),
        "Bytes that the SQLite file may hold; beyond, and on the last 64 MiB of its disk (if it "
        "has more than 1 GiB), nothing new is kept. 0: as many as there are.",
    ),
    Setting(
        "allow-origin",
        "",
        _origin,
        "Web pages of this origin may connect too; * allows every one. May be repeated.",
        repeatable=True,
    ),
    Setting(
        "allow-host",
        "",
        _host,
        "A name by which the server may be asked for (its Host), beside localhost and addresses. "
        "Without any: every one, but none where it listens on loopback alone and no proxy is "
        "trusted. May be repeated.",
        repeatable=True,
    ),
    Setting(
        "max-clients-per-flow",
        "1000",
        _number(int, 1, 1_000_000),
        "Members that one flow may have.",
    ),
    Setting(
        "max-connections",
        "20000",
        _number(int, 1, 1_000_000),
        "Clients that may be connected in all.",
    ),
    Setting(
        "max-connections-per-address",
        "200",
        _number(int, 1, 1_000_000),
        "Clients that may be connected from one IP address; loopback is exempt.",
    ),
    Setting(
        "max-channels-per-connection",
        "100",
        _number(int, 1, 100_000),
        "Topics that one connection may have joined.",
    ),
    Setting(
        "max-joins-per-second",
        "50",
        _number(float, 0.1, 100_000),
        "Joins a second that one connection may send on average.",
    ),
    Setting(
        "max-pushes-per-second",
        "1000",
        _number(float, 0.1, 10_000_000),
        "Other messages a second that one connection may send on average; at once ten times that.",
    ),
    Setting(
        "max-bytes-per-second",
        "4194304",
        _number(float, 1024, 1e12),
        "Bytes a second that one connection may send on average; at once ten times that.",
    ),
    Setting(
        "max-work-share",
        "0.5",
        _number(float, 0.01, 100_000),
        "Share of the server's time that what one connection sends may take on average, and what "
        "comes from one IP address, of which loopback is exempt; 1: all of it.",
    ),
    Setting(
        "address-allowance",
        "10",
        _number(float, 1, 100_000),
        "How many connections' worth of channels, joins, messages and bytes may come from one IP "
        "address; loopback is exempt.",
    ),
    Setting(
        "max-connects-per-second",
        "20",
        _number(float, 0.1, 100_000),
        "Clients a second that may connect from one IP address on average; loopback is exempt.",
    ),
    Setting(
        "max-requests-per-second",
        "100",
        _number(float, 0.1, 100_000),
        "REST requests a second from one IP address on average; loopback is exempt.",
    ),
    Setting(
        "max-creations-per-second",
        "5",
        _number(float, 0.01, 100_000),
        "Flows a second that may be made by REST from one IP address; loopback is exempt.",
    ),
    Setting(
        "max-sessions",
        "50000",
        _number(int, 1, 10_000_000),
        "Flows that may be open at once.",
    ),
    Setting(
        "trusted-proxy",
        "",
        _proxy,
        "A proxy's address or network, or unix for all unix sockets: its X-Forwarded-For says who "
        "its clients are. May be repeated.",
        repeatable=True,
    ),
    Setting(
        "keep-alive",
        "75",
        _number(float, 1, 86_400),
        "Seconds that an HTTP connection stays open between two requests: longer than a proxy in "
        "front keeps it.",
    ),
    Setting(
        "max-frame-bytes",
        "1048576",
        _number(int, 1024, 64 * 1024 * 1024),
        "Size of the largest frame, and of the largest change by REST, in bytes.",
    ),
    Setting(
        "high-water-mark",
        "1048576",
        _number(int, 16 * 1024, 1024 * 1024 * 1024),
        "Bytes that may wait for a client that reads slowly, before it is left out of updates.",
    ),
    Setting(
        "max-queued-bytes",
        "134217728",
        _number(int, 16 * 1024, 1e12),
        "Bytes that may wait for all clients together; beyond, those with most are cut off.",
    ),
    Setting(
        "compress-frames-over",
        "0",
        _number(int, 0, 1024 * 1024),
        "Bytes over which a frame is deflated, for clients that offer it; 0: none ever is.",
    ),
    Setting(
        "session-idle-timeout",
        "1800",
        _number(float, 1, 10_000_000),
        "Seconds without activity after which a flow's session ends.",
    ),
    Setting(
        "max-patch-bytes",
        "262144",
        _number(int, 1024, 64 * 1024 * 1024),
        "Size of the largest patch, in bytes of JSON without white space.",
    ),
    Setting(
        "max-document-bytes",
        "16777216",
        _number(int, 1024, 1024 * 1024 * 1024),
        "Size of the largest document, in bytes of JSON without white space.",
    ),
    Setting(
        "max-document-members",
        "20000",
        _number(int, 1, 10_000_000),
        "Nodes and edges that one document may have together.",
    ),
    Setting(
        "keep-deleted",
        "30",
        _number(float, 0, 100_000),
        "Days for which a deleted flow can be brought back.",
    ),
    Setting(
        "management-deletes",
        "0",
        _flag,
        "Delete the flow, too, when a client of flow_management tells that it was deleted.",
        flag=True,
    ),
    Setting(
        "log-format",
        "text",
        _choice("text", "json"),
        "How the log is written: text, or json for one JSON object a line.",
    ),
    Setting(
        "allow-slow-websocket",
        "0",
        _flag,
        "Start although Autobahn's NVX acceleration is missing.",
        flag=True,
    ),
)


@attrs.frozen(kw_only=True)
class Config:
    """The values of `SETTINGS`, by their attribute names."""

    listen: tuple[str, ...]
    store: str = attrs.field(repr=False)
    max_store_bytes: int
    allow_origin: tuple[str, ...]
    allow_host: tuple[str, ...]
    max_clients_per_flow: int
    max_connections: int
    max_connections_per_address: int
    max_channels_per_connection: int
    max_joins_per_second: float
    max_pushes_per_second: float
    max_bytes_per_second: float
    max_work_share: float
    address_allowance: float
    max_connects_per_second: float
    max_requests_per_second: float
    max_creations_per_second: float
    max_sessions: int
    trusted_proxy: tuple[str, ...]
    keep_alive: float
    max_frame_bytes: int
    high_water_mark: int
    max_queued_bytes: int
    compress_frames_over: int
    session_idle_timeout: float
    max_patch_bytes: int
    max_document_bytes: int
    max_document_members: int
    keep_deleted: float
    management_deletes: bool
    log_format: str
    allow_slow_websocket: bool


def read_config(options: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> Config:
    """
    Work out the configuration: the command line before the environment before the defaults.

    :param options: what the command line says: option -> what was given, each time it was.
    :raises SettingError: at the first value that can't be.
    """
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        if setting.name in options:
            source, given = f"--{setting.name}", list(options[setting.name])
        elif setting.variable in environment:
            source, text = setting.variable, environment[setting.variable]
            given = text.split() if setting.repeatable else [text]
        else:
            source = f"--{setting.name}"
            given = setting.default.split() if setting.repeatable else [setting.default]
        try:
            parsed = tuple(setting.parse(text) for text in given)
        except ValueError as error:
            told = "what is given" if setting.secret else repr(" ".join(given))
            raise SettingError(f"{source}: {error}, not {told}") from None
        values[setting.attribute] = parsed if setting.repeatable else parsed[-1]
    if not values["listen"]:
        raise SettingError("--listen: at least one endpoint is wanted")
    return Config(**values)
