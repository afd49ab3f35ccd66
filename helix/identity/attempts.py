"""Attempts to sign in: what a browser keeps of one, which holds once; and why one fails."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from enum import Enum

import jwt
import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SIGN_IN_SECONDS = 600.0
"""Seconds that somebody has for signing in at the provider."""

MAX_USED = 10_000
"""How many states are remembered as used."""

_AUDIENCE = "helix:sign-in"

_RECORDS = "HS256"


class Reason(Enum):
    """Why nobody was signed in; also the label of a metric."""

    STATE = "state"
    REFUSED = "refused"
    AWAY = "away"
    CODE = "code"
    TOKEN = "token"
    PERSON = "person"
    BUSY = "busy"
    STORE = "store"
    ADDRESS = "address"


class SignInFailed(Exception):
    """
    Nobody was signed in.

    :ivar detail: what exactly failed, for people; without secrets.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail or reason.value)
        self.reason = reason
        self.detail = detail


class Record(msgspec.Struct, frozen=True):
    """
    What a browser keeps while somebody signs in.

    :ivar state: names the attempt, and comes back with the code.
    :ivar nonce: comes back in the ID token.
    :ivar verifier: proves that who exchanges the code began the attempt (PKCE).
    :ivar to: where to go afterwards.
    :ivar exp: until when, Unix seconds.
    """

    state: str
    nonce: str
    verifier: str
    to: str
    exp: float
    aud: str = _AUDIENCE


class Attempts:
    """
    The attempts that are under way. Only those that were used are kept in memory.

    :param wall: tells the time, in Unix seconds.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._used: OrderedDict[str, float] = OrderedDict()

    @staticmethod
    def sign(secret: bytes, record: Record) -> str:
        """Write a record so that nobody can change it without the secret."""
        return jwt.encode(msgspec.to_builtins(record), _record_key(secret), _RECORDS)

    def read(self, secret: bytes, record: str | None) -> Record:
        """
        Read what a browser has kept.

        :param record: as `sign` made it; ``None`` for nothing.
        :raises SignInFailed: when it is none, or too old.
        """
        try:
            claims = jwt.decode(
                record or "",
                _record_key(secret),
                algorithms=[_RECORDS],
                audience=_AUDIENCE,
                options={"verify_exp": False},  # by the server's clock, below
            )
            known = msgspec.convert(claims, Record)
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError):
            raise SignInFailed(Reason.STATE) from None
        if known.exp <= self._wall():
            raise SignInFailed(Reason.STATE)
        return known

    def use(self, known: Record) -> None:
        """
        Use an attempt up.

        :raises SignInFailed: when it was used before.
        """
        now = self._wall()
        while self._used and (
            len(self._used) >= MAX_USED or next(iter(self._used.values())) <= now
        ):
            self._used.popitem(last=False)
        if known.state in self._used:
            raise SignInFailed(Reason.STATE)
        self._used[known.state] = known.exp


def _record_key(secret: bytes) -> bytes:
    return HKDF(SHA256(), 32, None, _AUDIENCE.encode()).derive(secret)
