"""The token by which a client shows who it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger

from helix.errors import Disconnected, HelixError

Token = str | Callable[[], str | Deferred[str]]
"""
A token, or what gives one, now or later: it is asked before each connection and request, and again
when the server says that the token expires.
"""

TOKEN_TIMEOUT = 10.0
"""Seconds in which a token must be there."""

_TOKEN = re.compile(r"[\x21-\x7e]+")

_log = Logger(namespace="helix.client")


def bearer(token: object) -> dict[str, str]:
    """
    Give the header that carries a token.

    :raises ValueError: when no header can; the error doesn't show the token.
    """
    if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        raise ValueError("A token is a string of ASCII characters without spaces")
    return {"Authorization": f"Bearer {token}"}


async def ask_for(token: Token | None, clock: Any) -> str | None:
    """
    Get the token.

    :param clock: for `TOKEN_TIMEOUT`.
    :return: ``None`` for a client without any.
    :raises Disconnected: when what should give it doesn't.
    """
    if token is None or isinstance(token, str):
        return token
    give: Callable[[], Deferred[str]] = partial(maybeDeferred, token)
    try:
        found = await give().addTimeout(TOKEN_TIMEOUT, clock)
    except CancelledError:
        raise
    except defer.TimeoutError:
        raise Disconnected("there is no token in time") from None
    except (HelixError, OSError) as error:
        raise Disconnected(f"there is no token: {error}") from None
    except Exception:
        _log.failure("A client got no token")
        raise Disconnected("there is no token") from None
    try:
        bearer(found)
    except ValueError as error:
        raise Disconnected(f"there is no token: {error}") from None
    return found
