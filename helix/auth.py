"""Who connects, from where, and whether they may: token -> principal, origin -> yes or no."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from urllib.parse import urlsplit

from zope.interface import implementer

from helix.errors import OriginRefused, TokenRefused
from helix.interfaces import IAuthenticator, Principal

PROTOCOL = "phoenix"
"""The subprotocol that we answer."""

TOKEN_PREFIX = "base64url.bearer.phx."

MAX_TOKEN_BYTES = 8192


@implementer(IAuthenticator)
class Anyone:
    """Lets everyone in, as a guest: for a server that only its own machine can reach."""

    def authenticate(self, token: str | None) -> Principal:
        return Principal()


def token_from(parameter: str | None, subprotocols: Sequence[str]) -> str | None:
    """
    Find the token of a connect: in the subprotocols (Phoenix 1.8), else in the ``token`` parameter.

    :param subprotocols: what the client offers in ``Sec-WebSocket-Protocol``.
    :raises TokenRefused: when it can't be read.
    """
    for offered in subprotocols:
        if offered.startswith(TOKEN_PREFIX):
            return _decode_token(offered.removeprefix(TOKEN_PREFIX))
    if parameter is not None and len(parameter.encode("utf-8", "replace")) > MAX_TOKEN_BYTES:
        raise TokenRefused()
    return parameter


def _decode_token(encoded: str) -> str:
    """Either alphabet of base64, padded or not."""
    if len(encoded) > 2 * MAX_TOKEN_BYTES:
        raise TokenRefused()
    standard = encoded.translate(str.maketrans("-_", "+/")).rstrip("=")
    padded = standard + "=" * (-len(standard) % 4)
    try:
        return base64.b64decode(padded, validate=True).decode()
    except (binascii.Error, ValueError):
        raise TokenRefused() from None


class OriginPolicy:
    """
    Which web pages may connect.

    A request without an ``Origin`` is no page's and is allowed. A page's must come from the host
    that it asks for, or from one of the origins that the operator allows.

    :param allowed: origins such as ``https://app.example.com``; ``*`` allows every one.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._any = "*" in allowed
        self._allowed = frozenset(_normalised(origin) for origin in allowed if origin != "*")

    def check(self, origin: str | None, host: str | None) -> None:
        """
        Check one request.

        :param origin: its ``Origin``.
        :param host: its ``Host``.
        :raises OriginRefused: when the page may not connect.
        """
        if origin is None or self._any:
            return
        asking = _normalised(origin)
        if asking in self._allowed:
            return
        scheme, separator, _ = asking.partition("://")
        if host is None or not separator or asking != _normalised(f"{scheme}://{host}"):
            raise OriginRefused()


_DEFAULT_PORTS = {"http": 80, "https": 443}


def _normalised(origin: str) -> str:
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
