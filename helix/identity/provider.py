"""The OpenID provider at which people sign in, as it describes itself (by OpenID Discovery)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import msgspec
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from helix.config import is_safe_address
from helix.identity.address import AddressFile, AddressKeys, Fetch, FetchFailed
from helix.identity.keys import VerificationKey

MAX_DESCRIPTION_BYTES = 256 * 1024


class _Description(msgspec.Struct):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    token_endpoint_auth_methods_supported: Sequence[str] = ("client_secret_basic",)
    code_challenge_methods_supported: Sequence[str] = ("S256",)
    authorization_response_iss_parameter_supported: bool = False


_decode = msgspec.json.Decoder(_Description).decode


@attrs.frozen
class Provider:
    """
    What a provider says of itself.

    :ivar authorization_url: where people sign in.
    :ivar token_url: where a code is exchanged.
    :ivar keys_url: of the JWKS with which ID tokens are checked.
    :ivar userinfo_url: tells more of who has signed in; empty for none.
    :ivar end_session_url: where people sign out; empty for none.
    :ivar takes_basic: whether the client's secret goes into ``Authorization``, else into the body.
    :ivar names_itself: whether it sends people back with its name (RFC 9207).
    """

    authorization_url: str
    token_url: str
    keys_url: str
    userinfo_url: str = ""
    end_session_url: str = ""
    takes_basic: bool = True
    names_itself: bool = False


def read_description(content: bytes, issuer: str) -> Provider:
    """
    Read what is at ``/.well-known/openid-configuration``.

    :raises FetchFailed: when it is no description, or another issuer's, or names an address where
        others could listen.
    """
    try:
        given = _decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise FetchFailed("it doesn't describe an OpenID provider") from None
    if given.issuer != issuer:
        raise FetchFailed("its issuer is another one than --auth names, letter by letter")
    wanted = (given.authorization_endpoint, given.token_endpoint, given.jwks_uri)
    others = (given.userinfo_endpoint or "", given.end_session_endpoint or "")
    if not all(map(is_safe_address, [*wanted, *filter(None, others)])):
        raise FetchFailed("it names an address without https")
    if "S256" not in given.code_challenge_methods_supported:
        raise FetchFailed("it doesn't support PKCE with S256")
    ways = given.token_endpoint_auth_methods_supported
    return Provider(
        *wanted,
        *others,
        "client_secret_basic" in ways or "client_secret_post" not in ways,
        given.authorization_response_iss_parameter_supported,
    )


class _DescriptionFile(AddressFile):
    def __init__(self, service: ProviderService, url: str, fetch: Fetch, clock: Any) -> None:
        super().__init__("The description of the issuer", url, fetch, clock, MAX_DESCRIPTION_BYTES)
        self._service = service

    @property
    def is_ready(self) -> bool:
        return self._service.provider is not None

    def take(self, content: bytes) -> None:
        self._service.found(content)


class ProviderService(MultiService):
    """
    A provider and its keys. (`helix.identity.keys.KeySource`)

    Its description is fetched at the start, and again as long as there is none.

    :param issuer: its name, from which its address follows.

    :ivar provider: ``None`` until it is known.
    """

    def __init__(self, issuer: str, fetch: Fetch, clock: IReactorTime) -> None:
        super().__init__()
        self.issuer = issuer
        self.provider: Provider | None = None
        self._keys: AddressKeys | None = None
        self._fetch = fetch
        self._clock = clock
        url = issuer.rstrip("/") + "/.well-known/openid-configuration"
        self._description = _DescriptionFile(self, url, fetch, clock)
        self._description.setServiceParent(self)

    @property
    def keys(self) -> Sequence[VerificationKey]:
        return () if self._keys is None else self._keys.keys

    @property
    def is_ready(self) -> bool:
        return self._keys is not None and self._keys.is_ready

    async def find(self) -> Provider | None:
        """Give the provider; ``None`` where it is out of reach. It takes a bounded time."""
        if self.provider is None:
            await self._description.renew()
        return self.provider

    def renew(self) -> Deferred[None]:
        """Look for new keys, if it is time for that."""
        return succeed(None) if self._keys is None else self._keys.renew()

    def found(self, content: bytes) -> None:
        """Take a description, and fetch the keys that it names."""
        self.provider = read_description(content, self.issuer)
        self._keys = AddressKeys(self.provider.keys_url, self._fetch, self._clock)
        self._keys.setServiceParent(self)
