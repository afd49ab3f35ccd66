"""Verifies JSON Web Tokens (RFC 7519, with the advice of RFC 8725)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import jwt
from twisted.logger import Logger

from helix.access.principal import Principal
from helix.errors import KeysUnavailable, TokenRefused
from helix.identity.claims import BadClaim, read_claims
from helix.identity.keys import KeySource, VerificationKey

MAX_TOKEN_BYTES = 8192

LEEWAY = 30.0
"""Seconds by which the clock of who signs tokens may differ from ours."""

MAX_TIME = 2**53
"""The largest time of a claim, in Unix seconds."""

_log = Logger(namespace="helix.identity")


@attrs.frozen
class TokenVerifier:
    """
    Checks tokens, and makes principals of them.

    :ivar sources: of keys; a key of any of them may have signed.
    :ivar wall: tells the time, in Unix seconds.
    :ivar audiences: a token must be for one of these; not checked if there are none.
    :ivar issuer: who must have issued it; not checked if empty.
    :ivar max_bytes: the largest token.
    """

    sources: Sequence[KeySource]
    wall: Callable[[], float]
    audiences: Sequence[str] = ()
    issuer: str = ""
    max_bytes: int = MAX_TOKEN_BYTES

    async def verify(self, token: str) -> Principal:
        """
        Verify a token. It waits for nothing but keys that are fetched.

        :raises TokenRefused: when it isn't accepted; says which claim is why.
        :raises KeysUnavailable: when its key may be among those that can't be fetched.
        """
        try:
            return read_claims(await self.claims_of(token))
        except BadClaim as error:
            # What is wrong with it may be told to its holder alone.
            _log.debug("Refused a token: {claim}", claim=error.claim)
            raise TokenRefused(str(error)) from None
        except TokenRefused as error:
            _log.debug("Refused a token: {reason}", reason=error.message)
            raise

    async def claims_of(self, token: str) -> Mapping[str, Any]:
        """
        Give what a token says, once its signature, audience, issuer and times are found right.

        :raises TokenRefused, BadClaim: when one isn't.
        :raises KeysUnavailable: when its key may be among those that can't be fetched.
        """
        claims = await self._claims(token)
        self._check_times(claims)
        return claims

    async def _claims(self, token: str) -> Mapping[str, Any]:
        """Give the claims of a token whose signature, audience and issuer are right."""
        if len(token) > self.max_bytes:
            raise TokenRefused(f"The token has more than {self.max_bytes} bytes")
        try:
            head = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise TokenRefused("The token is no JSON Web Token") from None
        keys = await self._candidates(head.get("kid"), head.get("alg"))
        for key in keys:
            try:
                return self._decode(token, key)
            except jwt.InvalidSignatureError:
                continue
        raise TokenRefused("The token's signature is not one of the server's keys")

    async def _candidates(self, kid: object, algorithm: object) -> Sequence[VerificationKey]:
        """
        Give the keys that may have signed a token; there is one at least.

        Each is used with an algorithm that its own type allows. What the token's header says only
        chooses among the keys.
        """
        if not isinstance(algorithm, str) or not isinstance(kid, str | None):
            raise TokenRefused("The token is no JSON Web Token")
        found = self._fitting(kid, algorithm)
        if not found:
            for source in self.sources:
                await source.renew()
            found = self._fitting(kid, algorithm)
        if not found:
            if not all(source.is_ready for source in self.sources):
                raise KeysUnavailable()
            if kid is not None and any(key.fits(None, algorithm) for key in self._keys()):
                raise BadClaim("kid", "the server has no key of this id for the token's algorithm")
            raise BadClaim("alg", "the server has no key for this algorithm")
        return found

    def _keys(self) -> Sequence[VerificationKey]:
        return [key for source in self.sources for key in source.keys]

    def _fitting(self, kid: str | None, algorithm: str) -> Sequence[VerificationKey]:
        return [key for key in self._keys() if key.fits(kid, algorithm)]

    def _decode(self, token: str, key: VerificationKey) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                token,
                key.key,
                algorithms=sorted(key.algorithms),
                audience=self.audiences or None,
                issuer=self.issuer or None,
                options={
                    "require": ["exp", "sub"],
                    "verify_aud": bool(self.audiences),
                    "verify_iss": bool(self.issuer),
                    # These are checked here: by the server's clock, and as strings.
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except jwt.MissingRequiredClaimError as error:
            raise BadClaim(error.claim, "the token has none") from None
        except jwt.InvalidAudienceError:
            raise BadClaim("aud", "the token is for another audience") from None
        except jwt.InvalidIssuerError:
            raise BadClaim("iss", "the token is of another issuer") from None
        except jwt.InvalidSignatureError:
            raise
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise TokenRefused("The token is no JSON Web Token") from None

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self.wall()
        for name in ("exp", "nbf", "iat"):
            value = claims.get(name, 0)
            if type(value) not in (int, float) or not 0 <= value <= MAX_TIME:
                raise BadClaim(name, "a time in Unix seconds is wanted")
        if claims["exp"] + LEEWAY <= now:
            raise BadClaim("exp", "the token is over")
        if claims.get("nbf", 0) - LEEWAY > now:
            raise BadClaim("nbf", "the token isn't valid yet")
        if claims.get("iat", 0) - LEEWAY > now:
            raise BadClaim("iat", "the token was issued in the future")
