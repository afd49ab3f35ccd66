"""The tokens that requests carry: in ``Authorization``, a subprotocol, or a parameter."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from helix.errors import TokenRefused
from helix.identity.tokens import MAX_TOKEN_BYTES

PROTOCOL = "phoenix"
"""The subprotocol that we answer."""

TOKEN_PREFIX = "base64url.bearer.phx."

BEARER = "bearer "
"""How the value of ``Authorization`` begins, in any case, that has a token (RFC 6750)."""


def bearer_from(authorization: str | None) -> str | None:
    """Find the token in an ``Authorization``; ``None`` where it has another scheme."""
    if authorization is None or not authorization.lower().startswith(BEARER):
        return None
    return authorization[len(BEARER) :].strip()


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
