"""Makes what ``--auth`` and the options beside it name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from treq.client import HTTPClient
from twisted.application.service import MultiService
from twisted.web.client import Agent

from helix.config import AuthMethod, Config
from helix.identity.address import AddressKeys
from helix.identity.authenticator import Authenticator, Verifier
from helix.identity.fetching import make_fetch
from helix.identity.keys import BadKeys, KeySource, read_keys
from helix.identity.tokens import TokenVerifier
from helix.interfaces import IAuthenticator

MIN_METRICS_TOKEN_BYTES = 16


class KeyService(MultiService):
    """
    All keys that check tokens; fetches those that come from an address.

    :param methods: those of ``--auth``.
    :param clock: the reactor.
    :raises BadKeys: when there are no keys in a file that should have some.

    :ivar sources: of the keys, in the order of the methods.
    """

    def __init__(self, methods: Sequence[AuthMethod], clock: Any) -> None:
        super().__init__()
        self.sources: list[KeySource] = []
        for method in methods:
            if method.is_address:
                fetch = make_fetch(HTTPClient(Agent(clock)), clock)
                source = AddressKeys(method.place, fetch, clock)
                source.setServiceParent(self)
                self.sources.append(source)
            elif method.takes_tokens:
                self.sources.append(read_keys(method))


def make_authenticator(
    config: Config,
    sources: Sequence[KeySource],
    wall: Callable[[], float],
    prefixed: Mapping[str, Verifier],
) -> IAuthenticator:
    """
    Make the authenticator that ``config`` describes.

    :param sources: of the keys of tokens.
    :param wall: tells the time, in Unix seconds.
    :param prefixed: the verifiers of tokens that count besides, by their prefixes.
    """
    verifier = None
    if sources:
        verifier = TokenVerifier(sources, wall, config.jwt_audience, config.jwt_issuer)
    return Authenticator(verifier, frozenset(config.admin), config.lets_anyone_in, prefixed)


def read_metrics_token(path: str) -> bytes | None:
    """
    Read the file of ``--metrics-token``.

    :param path: empty for none.
    :raises BadKeys: when it can't be read, or is too short.
    """
    if not path:
        return None
    try:
        token = Path(path).expanduser().read_bytes().strip()
    except (OSError, ValueError) as error:
        # Somebody may have given the token itself in place of its file: it isn't shown.
        why = error.strerror if isinstance(error, OSError) else "it is no path"
        raise BadKeys(f"--metrics-token: the file can't be read: {why}") from None
    if len(token) < MIN_METRICS_TOKEN_BYTES:
        raise BadKeys(f"--metrics-token: at least {MIN_METRICS_TOKEN_BYTES} bytes are wanted")
    return token
