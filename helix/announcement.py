"""The log lines at the start: version, address to open, place of the store, who may connect."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import attrs
from twisted.internet.address import IPv4Address, IPv6Address

from helix.config import Config
from helix.endpoints import Endpoint


@attrs.frozen
class Listening:
    """
    A port that is open.

    :ivar description: its endpoint, as `serverFromString` takes it.
    :ivar host: its real address, of any kind.
    """

    description: str
    host: object

    @property
    def is_beyond_loopback(self) -> bool:
        """Whether other machines may reach it."""
        ip = self._ip
        return ip is not None and not ip_address(ip).is_loopback

    def url(self, base_path: str = "") -> str:
        """The URL to open on this machine; for other endpoints the description as given."""
        ip, endpoint = self._ip, Endpoint.parse(self.description)
        if ip is None or not isinstance(self.host, IPv4Address | IPv6Address):
            return self.description
        if ip_address(ip).is_unspecified:
            ip = "127.0.0.1" if isinstance(self.host, IPv4Address) else "::1"
        scheme = "https" if endpoint.kind == "ssl" else "http"
        return f"{scheme}://{f'[{ip}]' if ':' in ip else ip}:{self.host.port}{base_path}/"

    @property
    def _ip(self) -> str | None:
        if not isinstance(self.host, IPv4Address | IPv6Address):
            return None
        return self.host.host.partition("%")[0]


def tell_where(version: str, ports: Sequence[Listening], config: Config) -> str:
    """
    Give the line with the version, the URL to open, and the place of the store; a password in that
    setting isn't shown.
    """
    urls = " and ".join(port.url(config.base_path) for port in ports)
    return f"Helix {version}: open {urls} (flows are kept {_place_of(config.store)})"


def tell_who(ports: Sequence[Listening], config: Config) -> str:
    """Give the line that says who may connect; a warning if other machines may, unasked."""
    if not config.lets_anyone_in:
        who = f"Who comes in must show who they are: {_ways(config)}"
    elif any(port.is_beyond_loopback for port in ports):
        who = (
            "Everyone who can reach Helix may read and edit every flow: it listens beyond this "
            "machine, and no client has to sign in"
        )
    else:
        who = (
            "Everyone on this machine may read and edit every flow; "
            "Helix listens to this machine alone"
        )
        if config.trusted_proxy:
            who = (
                "Everyone on this machine, and everyone whom a proxy lets in, may read and edit "
                "every flow"
            )
    if config.allow_origin:
        who += f". Web pages of other origins may connect: {', '.join(config.allow_origin)}"
    return who


def lets_all_in(ports: Sequence[Listening], config: Config) -> bool:
    """Tell whether other machines may come in, and nobody asks them who they are."""
    return config.lets_anyone_in and any(port.is_beyond_loopback for port in ports)


def _ways(config: Config) -> str:
    ways = []
    if config.takes_tokens:
        ways.append("by a signed token")
    if config.issuer is not None:
        ways.append(f"by signing in at {urlsplit(config.issuer).hostname}")
    if config.header_name is not None:
        ways.append(f"by {config.header_name} of a trusted proxy")
    return " or ".join(ways)


def _place_of(store: str) -> str:
    scheme, _, rest = store.partition(":")
    if store == "memory:":
        return "in memory alone, and gone when it stops"
    if scheme == "sqlite":
        return f"in {Path(rest).expanduser().absolute()}"
    # Names of users and what follows a question mark may come with a password.
    parts = urlsplit(store)
    return f"in PostgreSQL, {parts.netloc.rpartition('@')[2]}{parts.path}"
