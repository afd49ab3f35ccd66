"""
The settings of the daemon, in one table. The options, their ``HELIX_*`` variables, the checks and
the list in docs/configuration.md are made from it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import attrs

from helix.endpoints import Endpoint
from helix.limits.addresses import TrustedProxies

MAX_WORKERS = 512
"""Workers of one machine, at most."""


class SettingError(ValueError):
    """A setting has a value that isn't allowed; the message names it and says what is allowed."""


@attrs.frozen
class Setting:
    """
    One setting.

    :ivar name: the option without its dashes. The environment variable is ``HELIX_`` and this name
        in capitals and with underscores.
    :ivar default: as a user would write it; several values are separated by spaces.
    :ivar parse: turns the text into the value, or raises ``ValueError`` that says what is wanted.
    :ivar help: one sentence.
    :ivar repeatable: whether the option may be given more than once; the value is a tuple then.
    :ivar flag: whether the option takes no value.
    :ivar secret: whether a value may hold a password; such a value is never shown.
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


def _workers(text: str) -> int | None:
    if text == "auto":
        return None
    try:
        return int(_number(int, 1, MAX_WORKERS)(text))
    except ValueError:
        raise ValueError(f"auto, or a whole number from 1 to {MAX_WORKERS} is wanted") from None


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


def _frame_ancestor(text: str) -> str:
    wanted = "an origin is wanted, such as https://app.example.com"
    try:
        parts = urlsplit(text)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError(wanted) from None
    # What a browser calls that origin is compared with it, character by character.
    is_plain = re.fullmatch(r"https?://([a-z0-9_.-]+|\[[0-9a-f:]+\])(:[1-9][0-9]*)?", text)
    is_default = parts.port == {"http": 80, "https": 443}.get(parts.scheme)
    if is_plain is None or not port_fits or is_default:
        raise ValueError(f"{wanted}, in lower case and without its scheme's own port")
    return text


def _base_path(text: str) -> str:
    path = text.removesuffix("/")
    segments = path.split("/")[1:]
    is_plain = re.fullmatch(r"(/[0-9A-Za-z._~-]+)*", path) is not None
    if not is_plain or any(segment in (".", "..") for segment in segments):
        raise ValueError(
            "a path such as /helix is wanted, of letters, digits and . _ ~ - between slashes"
        )
    return path


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


def _broker(text: str) -> str:
    if text not in ("auto", "none", "postgresql"):
        kind, _, place = text.partition("://")
        if kind not in ("postgresql", "postgres", "redis", "rediss") or not place:
            raise ValueError(
                "auto, none, postgresql, postgresql://USER@HOST/DATABASE or redis://HOST is wanted"
            )
    return text


def _proxy(text: str) -> str:
    try:
        TrustedProxies.parse([text])
    except ValueError:
        raise ValueError("an address, a network such as 10.0.0.0/8, or unix is wanted") from None
    return text


@attrs.frozen
class AuthMethod:
    """
    One way in which clients show who they are.

    :ivar kind: ``anyone``, ``hmac``, ``pem``, ``jwks``, ``oidc`` or ``header``.
    :ivar place: the file or the address of keys, an issuer, or the name of a header; empty for
        ``anyone``.
    """

    kind: str
    place: str = attrs.field(default="", repr=False)

    @property
    def is_address(self) -> bool:
        """Whether its keys are fetched from an address."""
        return self.kind == "jwks" and self.place.startswith(("http://", "https://"))

    @property
    def takes_tokens(self) -> bool:
        return self.kind in _KEYS


_KEYS = ("hmac", "pem", "jwks")

_HEADER_NAME = re.compile("[0-9A-Za-z!#$%&'*+.^_`|~-]+")


def _auth(text: str) -> AuthMethod:
    kind, _, place = text.partition(":")
    if text == "anyone":
        return AuthMethod("anyone")
    if kind == "header" and _HEADER_NAME.fullmatch(place):
        return AuthMethod("header", place)
    if kind == "oidc" and is_safe_address(place) and "?" not in place:
        return AuthMethod("oidc", place)
    if kind == "jwt":
        kind, _, place = place.partition(":")
        method = AuthMethod(kind, place)
        if kind in _KEYS and place and (not method.is_address or is_safe_address(place)):
            return method
    raise ValueError(
        "anyone, jwt:hmac:FILE, jwt:pem:FILE, jwt:jwks:FILE, jwt:jwks:https://ADDRESS, "
        "oidc:https://ISSUER (both with http on this machine alone) or header:NAME is wanted"
    )


def _scopes(text: str) -> str:
    scopes = text.split()
    if "openid" not in scopes or re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", text) is None:
        raise ValueError("a list of names with spaces between them, openid among them, is wanted")
    return " ".join(scopes)


def _public_url(text: str) -> str:
    if text and (not is_safe_address(text) or urlsplit(text).path.strip("/") or "?" in text):
        raise ValueError(
            "an address without a path is wanted, such as https://flows.example.com (http on this "
            "machine alone)"
        )
    return text.rstrip("/")


def is_safe_address(text: str) -> bool:
    """Tell whether nobody on the way can change what is fetched from an address."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or port == 0 or parts.fragment or parts.username is not None:
        return False
    if parts.scheme != "http":
        return parts.scheme == "https"
    return is_loopback(host)


def is_loopback(host: str) -> bool:
    """Tell whether a host, by its name or IP address, is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _named(what: str, default: str | None = None) -> Callable[[str], str]:
    """A parser of texts that name something, and so hold a letter or a digit."""

    def parse(text: str) -> str:
        if text != default and not any(character.isalnum() for character in text):
            raise ValueError(f"{what} is wanted")
        return text

    return parse


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
        "Where to listen: a Twisted endpoint. TLS and unix sockets work too; a unix socket has "
        "mode 660 unless you give another (unix:PATH:mode=600). May be repeated.",
        repeatable=True,
    ),
    Setting(
        "store",
        "sqlite:helix-data/flows.db",
        _store,
        "Where flows are stored: sqlite:PATH, postgresql://USER@HOST/DATABASE, or memory:.",
        secret=True,
    ),
    Setting(
        "broker",
        "auto",
        _broker,
        "How the nodes on one PostgreSQL store tell each other at once what was done: postgresql, "
        "by that database, or by an address of its own of the same database, around a pooler; "
        "redis://USER:PASSWORD@HOST, or rediss:// with TLS, by Redis or Valkey; none. auto: "
        "postgresql where that is the store.",
        secret=True,
    ),
    Setting(
        "workers",
        "1",
        _workers,
        "How many nodes serve on this machine, each in a process of its own; auto: as many as it "
        "may use cores. More than one needs a PostgreSQL store and a broker.",
    ),
    Setting(
        "max-store-bytes",
        "0",
        _number(int, 0, 10**15),
        "Bytes that the SQLite file, or the tables in PostgreSQL, may hold. Beyond this, or with "
        "less than 64 MiB left on the file's disk of more than 1 GiB, the server stores nothing "
        "new. 0: only the disk limits it.",
    ),
    Setting(
        "allow-origin",
        "",
        _origin,
        "Another origin whose web pages may connect; * allows all. May be repeated.",
        repeatable=True,
    ),
    Setting(
        "allow-host",
        "",
        _host,
        "A host name that requests may use (Host), besides localhost and IP addresses. Without "
        "this option all names may be used; but no others if the server listens on loopback alone "
        "and trusts no proxy. May be repeated.",
        repeatable=True,
    ),
    Setting(
        "base-path",
        "",
        _base_path,
        "The path below which Helix is, /helix for one, behind a proxy that removes it or not. "
        "Pages, links and the log name addresses with it.",
    ),
    Setting(
        "frame-ancestors",
        "",
        _frame_ancestor,
        "The origin of pages that may show the editor in a frame, and give it a token; without "
        "this option none may. May be repeated.",
        repeatable=True,
    ),
    Setting(
        "auth",
        "",
        _auth,
        "How clients show who they are: anyone (they don't, and may do everything), jwt:hmac:FILE, "
        "jwt:pem:FILE, jwt:jwks:FILE or jwt:jwks:https://ADDRESS (a token that a key there has "
        "signed), oidc:https://ISSUER (they sign in there, in a browser), header:NAME (a trusted "
        "proxy names them). Without this option anyone, but the "
        "server doesn't start if it listens beyond loopback or trusts a proxy. May be repeated.",
        repeatable=True,
        secret=True,
    ),
    Setting(
        "jwt-audience",
        "",
        _named("an audience"),
        "An audience (aud) for which tokens may be; without this option it isn't checked. May be "
        "repeated.",
        repeatable=True,
    ),
    Setting(
        "jwt-issuer",
        "",
        _named("an issuer", ""),
        "The issuer (iss) that tokens must have; without this option it isn't checked.",
    ),
    Setting(
        "oidc-client-id",
        "",
        _named("a client id", ""),
        "The id under which the issuer of oidc: knows this server.",
    ),
    Setting(
        "oidc-client-secret",
        "",
        _named("a file", ""),
        "A file with the secret that the issuer gave with that id; without this option the server "
        "is a public client.",
        secret=True,
    ),
    Setting(
        "oidc-scopes",
        "openid profile email",
        _scopes,
        "What the issuer is asked for.",
    ),
    Setting(
        "oidc-id-claim",
        "sub",
        _named("a claim"),
        "The claim that is a person's id. email counts only if the issuer has verified it.",
    ),
    Setting(
        "oidc-groups-claim",
        "",
        _named("a claim", ""),
        "The claim with the names of a person's groups; without this option they have none.",
    ),
    Setting(
        "public-url",
        "",
        _public_url,
        "The address under which browsers reach the server; without this option it is taken from "
        "each request.",
    ),
    Setting(
        "admin",
        "",
        _named("the id of a principal"),
        "The id (sub) of an administrator, who may do everything. May be repeated.",
        repeatable=True,
    ),
    Setting(
        "metrics-token",
        "",
        _named("a file", ""),
        "A file with a token that gives access to /metrics alone, as Authorization: Bearer.",
        secret=True,
    ),
    Setting(
        "max-clients-per-flow",
        "1000",
        _number(int, 1, 1_000_000),
        "Maximum number of members of one flow.",
    ),
    Setting(
        "max-connections",
        "20000",
        _number(int, 1, 1_000_000),
        "Maximum number of connected clients.",
    ),
    Setting(
        "max-connections-per-address",
        "200",
        _number(int, 1, 1_000_000),
        "Maximum number of connected clients from one IP address; loopback is exempt.",
    ),
    Setting(
        "max-channels-per-connection",
        "100",
        _number(int, 1, 100_000),
        "Maximum number of topics that one connection may have joined.",
    ),
    Setting(
        "max-joins-per-second",
        "50",
        _number(float, 0.1, 100_000),
        "Joins per second that one connection may send on average.",
    ),
    Setting(
        "max-pushes-per-second",
        "1000",
        _number(float, 0.1, 10_000_000),
        "Other messages per second that one connection may send on average; bursts: ten times.",
    ),
    Setting(
        "max-bytes-per-second",
        "4194304",
        _number(float, 1024, 1e12),
        "Bytes per second that one connection may send on average; bursts: ten times.",
    ),
    Setting(
        "max-work-share",
        "0.5",
        _number(float, 0.01, 100_000),
        "Share of the server's time that one connection's messages may take on average; the same "
        "for all from one IP address (loopback is exempt). 1: all of the time.",
    ),
    Setting(
        "address-allowance",
        "10",
        _number(float, 1, 100_000),
        "All connections of one IP address together may have this many times the channels, joins, "
        "messages and bytes of one connection; loopback is exempt.",
    ),
    Setting(
        "max-connects-per-second",
        "20",
        _number(float, 0.1, 100_000),
        "Clients per second that may connect from one IP address on average; loopback is exempt.",
    ),
    Setting(
        "max-requests-per-second",
        "100",
        _number(float, 0.1, 100_000),
        "REST requests per second from one IP address on average; loopback is exempt.",
    ),
    Setting(
        "max-creations-per-second",
        "5",
        _number(float, 0.01, 100_000),
        "Flows per second that one IP address may create by REST; loopback is exempt.",
    ),
    Setting(
        "max-sessions",
        "50000",
        _number(int, 1, 10_000_000),
        "Maximum number of open flows.",
    ),
    Setting(
        "trusted-proxy",
        "",
        _proxy,
        "Address or network of a proxy whose X-Forwarded-For is trusted, or unix for all unix "
        "sockets. May be repeated.",
        repeatable=True,
    ),
    Setting(
        "keep-alive",
        "75",
        _number(float, 1, 86_400),
        "Seconds that an HTTP connection stays open between two requests. Use more than a proxy "
        "in front does.",
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
        "Bytes that may wait for a slow client. Beyond this the server skips updates to it.",
    ),
    Setting(
        "max-queued-bytes",
        "134217728",
        _number(int, 16 * 1024, 1e12),
        "Bytes that may wait for all clients together. Beyond this the server disconnects the "
        "clients with the most.",
    ),
    Setting(
        "compress-frames-over",
        "0",
        _number(int, 0, 1024 * 1024),
        "Frames of more bytes than this are compressed, for clients that support it; 0: never.",
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
        "Maximum number of nodes and edges together in one document.",
    ),
    Setting(
        "keep-deleted",
        "30",
        _number(float, 0, 100_000),
        "Days during which a deleted flow can be restored.",
    ),
    Setting(
        "management-deletes",
        "0",
        _flag,
        "When a client of flow_management reports that a flow was deleted, delete the flow too.",
        flag=True,
    ),
    Setting(
        "log-format",
        "text",
        _choice("text", "json"),
        "Format of the log: text, or json for one JSON object per line.",
    ),
    Setting(
        "allow-slow-websocket",
        "0",
        _flag,
        "Start even if Autobahn's NVX acceleration is missing.",
        flag=True,
    ),
)


@attrs.frozen(kw_only=True)
class Config:
    """The values of `SETTINGS`, by their attribute names."""

    listen: tuple[str, ...]
    store: str = attrs.field(repr=False)
    broker: str = attrs.field(repr=False)
    workers: int | None
    max_store_bytes: int
    allow_origin: tuple[str, ...]
    allow_host: tuple[str, ...]
    base_path: str
    frame_ancestors: tuple[str, ...]
    auth: tuple[AuthMethod, ...]
    jwt_audience: tuple[str, ...]
    jwt_issuer: str
    oidc_client_id: str
    oidc_client_secret: str = attrs.field(repr=False)
    oidc_scopes: str
    oidc_id_claim: str
    oidc_groups_claim: str
    public_url: str
    admin: tuple[str, ...]
    metrics_token: str = attrs.field(repr=False)
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

    @property
    def is_local(self) -> bool:
        """Whether this machine alone reaches the server, and no proxy lets others in."""
        return not self.trusted_proxy and all(Endpoint.parse(one).is_local for one in self.listen)

    @property
    def is_shared(self) -> bool:
        """Whether other nodes can be on the same store."""
        return self.store.startswith(("postgresql:", "postgres:"))

    @property
    def worker_count(self) -> int:
        """How many nodes serve on this machine."""
        return self.workers or len(os.sched_getaffinity(0))

    @property
    def broker_url(self) -> str | None:
        """The address of the broker; ``None`` without one."""
        if self.broker == "none" or not self.is_shared:
            return None
        return self.broker if "://" in self.broker else self.store

    @property
    def lets_anyone_in(self) -> bool:
        """Whether clients may do everything without showing who they are."""
        return not self.auth or AuthMethod("anyone") in self.auth

    @property
    def takes_tokens(self) -> bool:
        """Whether there are keys that check tokens."""
        return any(method.takes_tokens for method in self.auth)

    @property
    def issuer(self) -> str | None:
        """The issuer at which people sign in; ``None`` without one."""
        return next((one.place for one in self.auth if one.kind == "oidc"), None)

    @property
    def limits_hosts(self) -> bool:
        """Whether requests may use some names of the server alone, or addresses."""
        return "*" not in self.allow_host if self.allow_host else self.is_local

    @property
    def header_name(self) -> str | None:
        """The header in which a trusted proxy names clients; ``None`` without one."""
        return next((one.place for one in self.auth if one.kind == "header"), None)


def read_config(options: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> Config:
    """
    Read the configuration. The command line overrides the environment, which overrides defaults.

    :param options: from the command line: option -> its values, one for each time it was given.
    :raises SettingError: at the first value that isn't allowed.
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
    config = Config(**values)
    if config.broker not in ("auto", "none") and not config.is_shared:
        raise SettingError(
            "--broker: it needs --store postgresql://..., which several nodes can share; with "
            "SQLite, or in memory, there is one node"
        )
    return config


def check_workers(config: Config) -> None:
    """
    Check that there may be as many workers as are wanted.

    :raises SettingError: when there may be but one.
    """
    if config.workers != 1 and not config.is_shared:
        raise SettingError(
            "--workers: it needs --store postgresql://..., which several processes can share; with "
            "SQLite, or in memory, leave it at 1"
        )
    if config.workers != 1 and config.broker_url is None:
        raise SettingError(
            "--workers: it needs a broker, by which the workers tell each other what was done: "
            "leave out --broker none, or leave it at 1"
        )


def check_auth(config: Config) -> None:
    """
    Check that the settings that say who may come in fit together, and fit where it listens.

    :raises SettingError: when they don't.
    """
    if not config.auth and not config.is_local:
        raise SettingError(
            "--auth: other machines may reach the server, so say who may come in: --auth jwt:... "
            "or --auth header:NAME; or --auth anyone, with which everyone who reaches it may read "
            "and change every flow"
        )
    for kind, name in (("header", "header:NAME"), ("oidc", "oidc:ISSUER")):
        if sum(method.kind == kind for method in config.auth) > 1:
            raise SettingError(f"--auth: {name} can be given once")
    if config.header_name is not None and not config.trusted_proxy:
        raise SettingError(
            "--auth: header:NAME needs --trusted-proxy, the address of the proxy that sets it"
        )
    if not config.takes_tokens:
        for name, value in (("audience", config.jwt_audience), ("issuer", config.jwt_issuer)):
            if value:
                raise SettingError(f"--jwt-{name}: it needs --auth jwt:...")
    _check_sign_in(config)


def _check_sign_in(config: Config) -> None:
    if config.issuer is None:
        for setting in SETTINGS:
            given = getattr(config, setting.attribute)
            if setting.name.startswith("oidc-") and given != setting.default:
                raise SettingError(f"--{setting.name}: it needs --auth oidc:...")
        return
    if not config.oidc_client_id:
        raise SettingError(
            "--auth: oidc:ISSUER needs --oidc-client-id, the id that the issuer has given"
        )
    if not config.public_url and not config.limits_hosts:
        raise SettingError(
            "--auth: oidc:ISSUER needs --public-url, the address under which browsers reach the "
            "server, or --allow-host, since people are sent back to where they came from"
        )
