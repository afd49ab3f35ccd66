"""Passwords of links: hashed slowly, checked in a thread, and not to be guessed one by one."""

from __future__ import annotations

import hashlib
import unicodedata
from base64 import b64decode, b64encode
from collections import OrderedDict
from functools import partial
from hmac import compare_digest
from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from helix.errors import InvalidParameters, RateLimited
from helix.limits.apart import Apart
from helix.limits.rate_limit import Charge, TokenBucket

MAX_PASSWORD_CHARACTERS = 1024

LINK_RATE, LINK_BURST = 0.2, 20.0
"""Wrong passwords that a link takes: per second on average, and at once."""

ADDRESS_RATE, ADDRESS_BURST = 0.1, 10.0
"""Wrong passwords that an address may give, likewise."""

MAX_REMEMBERED = 10_000
"""Links, and addresses, whose wrong passwords are remembered."""

_SCHEME = "scrypt"
_COST, _BLOCK, _PARALLEL = 2**14, 8, 1
"""As RFC 7914 has them: 16 MiB, and about 50 ms."""

_SALT_BYTES = 16

_MEMORY = 128 * _COST * _BLOCK
"""Bytes that one hash takes."""


def check_password(password: str) -> None:
    """
    Check a new password.

    :raises InvalidParameters: when it is empty or too long.
    """
    if not 1 <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise InvalidParameters(
            f"password must be a string of 1 to {MAX_PASSWORD_CHARACTERS} characters"
        )


def hash_password(password: str, salt: bytes) -> str:
    """
    Hash a password. That takes long.

    :param salt: random bytes.
    :return: the hash, with the parameters by which it was made.
    """
    key = _scrypt(password, salt, _COST, _BLOCK, _PARALLEL)
    return "$".join((_SCHEME, f"{_COST},{_BLOCK},{_PARALLEL}", _text(salt), _text(key)))


def is_password(password: str, hashed: str) -> bool:
    """
    Tell whether a password is the one that was hashed. That takes long.

    :param hashed: as `hash_password` gives it, also with other parameters.
    """
    scheme, parameters, salt, key = hashed.split("$")
    cost, block, parallel = map(int, parameters.split(","))
    assert scheme == _SCHEME
    found = _scrypt(password, b64decode(salt), cost, block, parallel)
    return compare_digest(found, b64decode(key))


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    # A letter with an accent is one character on some keyboards, and two on others.
    text = unicodedata.normalize("NFKC", password).encode("utf-8", "replace")
    return hashlib.scrypt(
        text,
        salt=salt,
        n=cost,
        r=block,
        p=parallel,
        maxmem=2 * _MEMORY + 256 * cost * block,
        dklen=32,
    )


def _text(data: bytes) -> str:
    return b64encode(data).decode()


class Passwords:
    """
    Hashes passwords and checks them beside the reactor, and slows down who guesses.

    :param apart: does the work.
    :param random: makes salts.
    :param clock: tells the time, in seconds.
    """

    def __init__(self, apart: Apart, random: Random, clock: IReactorTime) -> None:
        self._apart = apart
        self._random = random
        self._clock = clock
        self._links = _Buckets(LINK_RATE, LINK_BURST)
        self._addresses = _Buckets(ADDRESS_RATE, ADDRESS_BURST)

    def hash(self, password: str, charge: Charge | None = None) -> Deferred[str]:
        """
        Hash a new password.

        :param charge: is told how long it took.
        :return: a Deferred of the hash, as text.
        :raises InvalidParameters: when it is empty or too long.
        :raises TooManyPending: (through the Deferred) when too much waits to be done.
        """
        check_password(password)
        salt = self._random.randbytes(_SALT_BYTES)
        return self._apart(_MEMORY, partial(hash_password, password, salt), charge)

    async def matches(
        self,
        password: str,
        hashed: str,
        link_id: str,
        customer: str | None,
        charge: Charge | None = None,
    ) -> bool:
        """
        Tell whether a password is the one that was hashed.

        :param link_id: of the link that it is for.
        :param customer: who tries; ``None`` for this machine. (`helix.limits.addresses`)
        :param charge: is told how long it took.
        :raises RateLimited: when there were too many wrong ones for the link, or from there; right
            ones must wait then, too.
        :raises TooManyPending: when too much waits to be done.
        """
        if len(password) > MAX_PASSWORD_CHARACTERS:
            return False
        now = self._clock.seconds()
        buckets = [self._links.of(link_id, now)]
        if customer is not None:
            buckets.append(self._addresses.of(customer, now))
        # Each is taken for a wrong one until the answer is there, or many at once would be free.
        for taken, bucket in enumerate(buckets):
            if wait := bucket.take(now):
                for other in buckets[:taken]:
                    other.give_back()
                raise RateLimited(wait, "Too many passwords were tried, try again later")
        is_right: bool = await self._apart(_MEMORY, partial(is_password, password, hashed), charge)
        if is_right:
            for bucket in buckets:
                bucket.give_back()
        return is_right


class _Buckets:
    """The token buckets of those who were seen most recently."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def of(self, name: str, now: float) -> TokenBucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = TokenBucket(self._rate, self._burst, now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > MAX_REMEMBERED:
            self._buckets.popitem(last=False)
        return bucket
