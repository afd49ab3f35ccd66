"""The tokens by which clients are served: renewed on an open connection, and over at some time."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import msgspec
from twisted.internet.defer import Deferred

from helix.access.principal import Principal
from helix.errors import InvalidParameters
from helix.interfaces import Credentials, IAuthenticator

EXPIRY_WARNING = 60.0
"""Seconds before the end of a principal at which its client is told of that."""


class _Token(msgspec.Struct):
    access_token: str


_decode = msgspec.json.Decoder(_Token).decode


@attrs.frozen
class Tokens:
    """
    Finds out who a token's holder is, and for how long.

    :ivar wall: tells the time, in Unix seconds.
    """

    authenticator: IAuthenticator
    wall: Callable[[], float]

    def principal_of(self, payload: bytes) -> Deferred[Principal]:
        """
        Authenticate by the token of an ``access_token`` (JSON).

        :raises InvalidParameters: when there is none.
        :raises TokenRefused: (through the Deferred) when it isn't accepted.
        """
        try:
            token = _decode(payload).access_token
        except msgspec.MsgspecError:  # whose message may show what was sent
            raise InvalidParameters("access_token must be a string") from None
        return self.authenticator.authenticate(Credentials(token))

    def left(self, principal: Principal) -> float | None:
        """For how many seconds a principal still holds; ``None`` for ever."""
        return None if principal.expires_at is None else principal.expires_at - self.wall()
