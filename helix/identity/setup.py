"""Makes what ``--auth`` and the options beside it name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from treq.client import HTTPClient
from twisted.application.service import MultiService

from helix.config import AuthMethod, Config
from helix.identity.address import AddressKeys
from helix.identity.authenticator import Authenticator, Verifier, know_all
from helix.identity.code_flow import CodeFlow, OidcClient
from helix.identity.fetching import make_ask, make_fetch
from helix.identity.keys import BadKeys, KeySource, read_keys
from helix.identity.person import PersonReader
from helix.identity.provider import ProviderService
from helix.identity.sessions import Sessions
from helix.identity.sign_in import SignIns
from helix.identity.tokens import TokenVerifier
from helix.interfaces import IAuthenticator, IFlowStore
from helix.telemetry.events import Telemetry

MIN_METRICS_TOKEN_BYTES = 16


class KeyService(MultiService):
    """
    All keys that check tokens; fetches those that come from an address.

    :param methods: those of ``--auth``.
    :param clock: the reactor.
    :param http: fetches keys.
    :raises BadKeys: when there are no keys in a file that should have some.

    :ivar sources: of the keys, in the order of the methods.
    """

    def __init__(self, methods: Sequence[AuthMethod], clock: Any, http: HTTPClient) -> None:
        super().__init__()
        self.sources: list[KeySource] = []
        for method in methods:
            if method.is_address:
                fetch = make_fetch(http, clock)
                source = AddressKeys(method.place, fetch, clock)
                source.setServiceParent(self)
                self.sources.append(source)
            elif method.takes_tokens:
                self.sources.append(read_keys(method))


def make_sign_ins(
    config: Config,
    clock: Any,
    wall: Callable[[], float],
    store: IFlowStore,
    http: HTTPClient,
    telemetry: Telemetry,
    connected: Callable[[], Set[str]],
    on_ended: Callable[[str], None],
    parent: MultiService,
) -> SignIns | None:
    """
    Make what signs people in.

    :param clock: the reactor.
    :param wall: tells the time, in Unix seconds.
    :param http: asks the issuer.
    :param connected: gives the `helix.access.principal.Principal.credential` of all connections.
    :param on_ended: called with that of a session that has ended.
    :param parent: starts and stops it.
    :return: ``None`` where ``config`` names no issuer.
    :raises BadKeys: when the file with the client's secret can't be used.
    """
    if config.issuer is None:
        return None
    path = config.oidc_client_secret
    secret = _read_token("--oidc-client-secret", path).decode("latin-1") if path else None
    provider = ProviderService(config.issuer, make_fetch(http, clock), clock)
    provider.setServiceParent(parent)
    credentials = store.credentials
    sessions = Sessions(credentials, config.issuer, clock, wall, connected, on_ended)
    sessions.setServiceParent(parent)
    client = OidcClient(config.oidc_client_id, secret, config.oidc_scopes)
    reader = PersonReader(config.oidc_id_claim, config.oidc_groups_claim)
    flow = CodeFlow(provider, client, make_ask(http, clock), reader, wall)
    return SignIns(flow, sessions, credentials, telemetry)


def make_authenticator(
    config: Config,
    sources: Sequence[KeySource],
    wall: Callable[[], float],
    prefixed: Mapping[str, Verifier],
    sessions: Sessions | None = None,
    learn: Callable[[], Awaitable[None]] = know_all,
) -> IAuthenticator:
    """
    Make the authenticator that ``config`` describes.

    :param sources: of the keys of tokens.
    :param wall: tells the time, in Unix seconds.
    :param prefixed: the verifiers of tokens that count besides, by their prefixes.
    :param sessions: of who has signed in, where people can.
    :param learn: as that of `Authenticator`.
    """
    verifier = None
    if sources:
        verifier = TokenVerifier(sources, wall, config.jwt_audience, config.jwt_issuer)
    return Authenticator(
        verifier, frozenset(config.admin), config.lets_anyone_in, prefixed, sessions, learn
    )


def read_metrics_token(path: str) -> bytes | None:
    """
    Read the file of ``--metrics-token``.

    :param path: empty for none.
    :raises BadKeys: when it can't be read, or is too short.
    """
    if not path:
        return None
    token = _read_token("--metrics-token", path)
    if len(token) < MIN_METRICS_TOKEN_BYTES:
        raise BadKeys(f"--metrics-token: at least {MIN_METRICS_TOKEN_BYTES} bytes are wanted")
    return token


def _read_token(option: str, path: str) -> bytes:
    """Read a file with one line, which is secret."""
    try:
        token = Path(path).expanduser().read_bytes().strip()
    except (OSError, ValueError) as error:
        # Somebody may have given the token itself in place of its file: it isn't shown.
        why = error.strerror if isinstance(error, OSError) else "it is no path"
        raise BadKeys(f"{option}: the file can't be read: {why}") from None
    if not token:
        raise BadKeys(f"{option}: the file is empty")
    return token
