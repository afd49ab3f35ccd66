"""Which origins of web pages, and which names of the server, requests may have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from helix.errors import OriginRefused


class OriginPolicy:
    """
    Decides which web pages may connect.

    A request without an ``Origin`` doesn't come from a page and is allowed. The origin of a page
    must be the server's own, scheme and port included, or one that the operator allows.

    :param allowed: origins such as ``https://app.example.com``; ``https://*.example.com`` stands
        for all below that name, ``*`` for every one.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._any = "*" in allowed
        origins = [normalised(origin) for origin in allowed if origin != "*"]
        self._allowed = frozenset(origin for origin in origins if _WILD not in origin)
        wild = [origin.partition(_WILD) for origin in origins if _WILD in origin]
        self._below = [(f"{scheme}://", f".{name}") for scheme, _, name in wild]

    def check(self, origin: str | None, own: str | None) -> None:
        """
        Check one request.

        :param origin: its ``Origin``.
        :param own: the server's origin, as the client sees it; ``None`` if unknown.
        :raises OriginRefused: when the page may not connect.
        """
        if origin is None or self._any:
            return
        asking = normalised(origin)
        if asking in self._allowed or (own is not None and asking == normalised(own) != ""):
            return
        if any(
            asking.startswith(scheme) and _is_below(asking[len(scheme) :], name)
            for scheme, name in self._below
        ):
            return
        raise OriginRefused(
            OriginRefused.default_message
            if own is None
            else f"Pages of other origins than {own} are not allowed: see --allow-origin, and "
            "--trusted-proxy where a proxy ends TLS"
        )


class HostPolicy:
    """
    Decides which names are allowed as ``Host`` of a request.

    With DNS rebinding, an attacker's name leads to this machine. The browser then takes its page
    for one of the server's own origin, but ``Host`` is still the attacker's name. IP addresses,
    ``localhost`` and names below it (RFC 6761) can't be redirected so, and are always allowed.

    :param allowed: names such as ``helix.example.com``, with a port where only that is meant;
        ``*.example.com`` stands for all below that name, ``*`` for every one.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        names = [name.lower().removesuffix(".") for name in allowed]
        self._any = "*" in names
        self._allowed = frozenset(name for name in names if not name.startswith("*."))
        self._below = [name[1:] for name in names if name.startswith("*.")]

    def allows(self, host: str | None) -> bool:
        """
        Tell whether a ``Host`` is allowed.

        :param host: a request's ``Host``; old clients have none.
        """
        if self._any or not host:
            return True
        name, _, port = host.lower().rpartition(":")
        if not port.isdigit():
            name = host.lower().removesuffix(":")
        name = name.removesuffix(".")
        return (
            name in self._allowed
            or f"{name}:{port}" in self._allowed
            or any(_is_below(name, below) for below in self._below)
            or _leads_nowhere_else(name)
        )


def _is_below(name: str, suffix: str) -> bool:
    """Tell whether a name has at least one label before ``suffix``, which begins with a dot."""
    return (
        name.endswith(suffix)
        and re.fullmatch(r"[a-z0-9_.-]*[a-z0-9_-]", name[: -len(suffix)]) is not None
    )


def _leads_nowhere_else(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


_WILD = "://*."

_DEFAULT_PORTS = {"http": 80, "https": 443}


def normalised(origin: str) -> str:
    """An origin as RFC 6454 compares them: lower case, without its scheme's own port."""
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not parts.scheme or not host:
        return origin.lower()
    shown = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS.get(parts.scheme):
        shown = f"{shown}:{port}"
    return f"{parts.scheme}://{shown}"
