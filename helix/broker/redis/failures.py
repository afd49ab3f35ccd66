"""What Redis's errors mean for Helix."""

from __future__ import annotations

import re

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from helix.broker.redis.address import RedisAddress
from helix.errors import StoreError, StoreReadOnly, StoreUnavailable
from helix.printable import shown

RIGHTS = "resetchannels &helix:* -@all +@pubsub"
"""What a user of the server needs, in the words of its ``ACL SETUSER``."""

_LONGEST = 200
"""Characters of the server's own words that are shown."""

_WORDS: dict[str, tuple[type[StoreError], str]] = {
    "NOAUTH": (StoreError, "wants a password; put it into the URL, as in redis://USER:PASSWORD@"),
    "WRONGPASS": (StoreError, "doesn't take the user and the password of the URL"),
    "NOPERM": (StoreError, f"doesn't let this user publish and subscribe; it needs {RIGHTS}"),
    "READONLY": (StoreReadOnly, "only copies another server, so not all nodes would hear it"),
    "LOADING": (StoreUnavailable, "isn't ready yet"),
    "MASTERDOWN": (StoreUnavailable, "has lost the server that it copies"),
    "CLUSTERDOWN": (StoreUnavailable, "is part of a cluster that is down"),
}


class Moved(StoreUnavailable):
    """Another server of the cluster has the channel."""

    def __init__(self, address: RedisAddress, to: RedisAddress) -> None:
        super().__init__(f"{address} leaves the messages to {to}")
        self.to = to


class Unknown(StoreError):
    """The server doesn't know the command, or doesn't let this user use it."""


def explain(text: str, address: RedisAddress) -> StoreError:
    """Turn the server's words into ours."""
    code, _, rest = text.partition(" ")
    if code == "MOVED" and (found := re.fullmatch(r"\d+ (.*):(\d{1,5})", rest)):
        host = found[1].strip("[]")
        return Moved(address, address.moved("" if host == "?" else host, int(found[2])))
    if code == "NOPERM" or "unknown command" in text:
        return Unknown(f"{address} {_WORDS['NOPERM'][1]}")
    if "without any password" in text:
        return StoreError(f"{address} has no password, but the URL does")
    if code in _WORDS:
        kind, words = _WORDS[code]
        return kind(f"{address} {words}")
    # What it repeats of a command, perhaps with a password, is in quotes.
    told = address.without_password(text.partition("'")[0])[:_LONGEST]
    return StoreError(f"{address} refuses: {shown(told)}")


def explain_loss(reason: Failure, address: RedisAddress) -> StoreUnavailable:
    """Turn what ended a connection, or an attempt to make one, into what we say."""
    if reason.check(ConnectionDone, ConnectionLost):
        return StoreUnavailable(f"{address} ended the connection")
    if reason.check(VerificationError):
        return StoreUnavailable(f"{address} shows a certificate of another host")
    if reason.check(SSL.Error):
        [errors] = getattr(reason.value, "args", ()) or ([],)
        told = ", ".join(str(one[-1]) for one in errors) or "it ended without a word"
        return StoreUnavailable(f"TLS with {address} fails: {told}")
    return StoreUnavailable(f"{address} can't be reached: {shown(reason.getErrorMessage())}")
