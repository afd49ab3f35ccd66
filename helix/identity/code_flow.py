"""Signing in at an OpenID provider: the code flow of OAuth, with PKCE, a state and a nonce."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from hmac import compare_digest
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus

import attrs
import msgspec
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient
from twisted.logger import Logger

from helix.errors import KeysUnavailable, TokenRefused
from helix.identity.address import FetchFailed
from helix.identity.attempts import SIGN_IN_SECONDS, Attempts, Reason, Record, SignInFailed
from helix.identity.claims import BadClaim
from helix.identity.fetching import Ask, Question, Reply
from helix.identity.person import Person, PersonReader
from helix.identity.provider import Provider, ProviderService
from helix.identity.tokens import TokenVerifier

MAX_REPLY_BYTES = 256 * 1024
"""The largest answer of a provider."""

MAX_ID_TOKEN_BYTES = 64 * 1024
"""It may name many groups."""

MAX_UNDER_WAY = 100
"""How many codes are exchanged at a time."""

_log = Logger(namespace="helix.identity")


@attrs.frozen
class OidcClient:
    """
    What the provider knows this server by.

    :ivar secret: ``None`` for a public client.
    :ivar scopes: what it is asked for, with spaces between.
    """

    id: str
    secret: str | None = attrs.field(default=None, repr=False)
    scopes: str = "openid"


@attrs.frozen
class Begun:
    """
    An attempt that has begun.

    :ivar location: where the provider asks who it is.
    :ivar record: `Record`, signed; for the same browser, and for nobody else.
    """

    location: str
    state: str
    record: str = attrs.field(repr=False)


@attrs.frozen
class SignedIn:
    """
    Somebody who has signed in.

    :ivar to: where they wanted to go.
    :ivar id_token: what the provider has said.
    """

    person: Person
    to: str
    id_token: str = attrs.field(repr=False)


class CodeFlow:
    """
    Signs people in.

    :param service: of the provider.
    :param ask: asks it.
    :param reader: makes people of its claims.
    :param wall: tells the time, in Unix seconds.
    """

    def __init__(
        self,
        service: ProviderService,
        client: OidcClient,
        ask: Ask,
        reader: PersonReader,
        wall: Callable[[], float],
    ) -> None:
        self._service = service
        self._client = client
        self._ask = ask
        self._reader = reader
        self._wall = wall
        self._verifier = TokenVerifier(
            [service], wall, [client.id], service.issuer, MAX_ID_TOKEN_BYTES
        )
        self._attempts = Attempts(wall)
        self._under_way = 0

    @property
    def issuer(self) -> str:
        return self._service.issuer

    async def begin(self, secret: bytes, redirect_uri: str, to: str) -> Begun:
        """
        Begin an attempt.

        :param secret: signs the record; of all processes that serve the same address.
        :param redirect_uri: where the provider is to send the browser back.
        :param to: where to go afterwards.
        :raises SignInFailed: when the provider is out of reach.
        """
        provider = await self._provider()
        client = self._oauth()
        record = Record(
            secrets.token_hex(16),
            secrets.token_urlsafe(24),
            client.create_code_verifier(64),
            to,
            self._wall() + SIGN_IN_SECONDS,
        )
        location = client.prepare_request_uri(
            _as_https(provider.authorization_url),
            redirect_uri,
            self._client.scopes,
            record.state,
            client.create_code_challenge(record.verifier, "S256"),
            "S256",
            nonce=record.nonce,
        )
        if provider.authorization_url.startswith("http://"):
            location = location.replace("https://", "http://", 1)
        signed = self._attempts.sign(secret, record)
        return Begun(location, record.state, signed)

    async def finish(
        self, secret: bytes, redirect_uri: str, query: str, record: str | None
    ) -> SignedIn:
        """
        End an attempt, with what the provider has sent the browser back with.

        :param query: of the address.
        :param record: what the browser has kept of it; ``None`` for nothing.
        :raises SignInFailed: when nobody is signed in.
        """
        known = self._attempts.read(secret, record)
        try:
            # The library takes https alone; where this server is, has been checked.
            given = self._oauth().parse_request_uri_response(
                f"https://helix.invalid/?{query}", known.state
            )
        except OAuth2Error as error:
            raise _refusal(error) from None
        self._attempts.use(known)
        if self._under_way >= MAX_UNDER_WAY:
            raise SignInFailed(Reason.BUSY)
        self._under_way += 1
        try:
            return await self._exchange(known, redirect_uri, given)
        finally:
            self._under_way -= 1

    def sign_out_url(self, id_token: str, back: str) -> str | None:
        """
        Give the address at which the provider signs somebody out, too.

        :param id_token: by which it knows who it is; may be empty.
        :param back: where it is to send the browser then.
        :return: ``None`` if it has none.
        """
        provider = self._service.provider
        if provider is None or not provider.end_session_url:
            return None
        hint = [("id_token_hint", id_token)] if id_token else []
        told = [("client_id", self._client.id), ("post_logout_redirect_uri", back)]
        separator = "&" if "?" in provider.end_session_url else "?"
        query = "&".join(f"{name}={quote_plus(value)}" for name, value in [*hint, *told])
        return f"{provider.end_session_url}{separator}{query}"

    def _oauth(self) -> WebApplicationClient:
        return WebApplicationClient(self._client.id)

    async def _provider(self) -> Provider:
        found = await self._service.find()
        if found is None:
            raise SignInFailed(Reason.AWAY)
        return found

    async def _exchange(
        self, known: Record, redirect_uri: str, given: Mapping[str, str]
    ) -> SignedIn:
        provider = await self._provider()
        issuer = given.get("iss")
        if issuer != self.issuer and (issuer is not None or provider.names_itself):
            raise SignInFailed(Reason.TOKEN, "iss: somebody else has sent the code")
        reply = await self._asked(self._code_question(provider, known, redirect_uri, given["code"]))
        tokens = self._read_tokens(reply)
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str):
            raise SignInFailed(Reason.TOKEN, "id_token: the provider has sent none")
        claims = await self._check_id_token(id_token, known.nonce)
        if provider.userinfo_url and self._reader.lacks(claims):
            claims = await self._with_userinfo(provider, claims, tokens["access_token"])
        try:
            return SignedIn(self._reader.read(claims), known.to, id_token)
        except BadClaim as error:
            raise SignInFailed(Reason.PERSON, str(error)) from None

    def _code_question(
        self, provider: Provider, known: Record, redirect_uri: str, code: str
    ) -> Question:
        secret = self._client.secret
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        by_body = secret is not None and not provider.takes_basic
        if secret is not None and provider.takes_basic:
            pair = f"{quote_plus(self._client.id)}:{quote_plus(secret)}"  # RFC 6749, 2.3.1
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        body = self._oauth().prepare_request_body(
            code,
            redirect_uri,
            code_verifier=known.verifier,
            client_secret=secret if by_body else None,
        )
        return Question(provider.token_url, MAX_REPLY_BYTES, headers, body.encode())

    async def _asked(self, question: Question) -> Reply:
        try:
            return await self._ask(question)
        except FetchFailed as error:
            _log.warn("The provider could not be asked: {reason}", reason=str(error))
            raise SignInFailed(Reason.AWAY) from None

    def _read_tokens(self, reply: Reply) -> dict[str, Any]:
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.warn("The provider could not be asked: status {status}", status=reply.status)
            raise SignInFailed(Reason.AWAY)
        try:
            msgspec.json.decode(reply.body, type=dict)
            tokens = self._oauth().parse_request_body_response(reply.body.decode())
        except OAuth2Error as error:
            code = _known(error.error)
            _log.warn("The provider refused a code: {code}", code=code)
            raise SignInFailed(Reason.CODE, code) from None
        except (msgspec.MsgspecError, ValueError, TypeError, AttributeError, RecursionError):
            _log.warn("The provider answered a code with no tokens: {status}", status=reply.status)
            raise SignInFailed(Reason.CODE) from None
        if not isinstance(tokens.get("access_token"), str):
            raise SignInFailed(Reason.CODE)
        return dict(tokens)

    async def _check_id_token(self, id_token: str, nonce: str) -> Mapping[str, Any]:
        """Check what OpenID Connect Core, 3.1.3.7 wants."""
        try:
            claims = await self._verifier.claims_of(id_token)
            audience, party = claims.get("aud"), claims.get("azp")
            if party != self._client.id and (party is not None or _is_for_others(audience)):
                raise BadClaim("azp", "the token was made for another client")
            if "iat" not in claims:
                raise BadClaim("iat", "the token has none")
            given = claims.get("nonce")
            if not isinstance(given, str) or not compare_digest(given.encode(), nonce.encode()):
                raise BadClaim("nonce", "the token belongs to another sign-in")
        except KeysUnavailable:
            raise SignInFailed(Reason.AWAY) from None
        except (TokenRefused, BadClaim) as error:
            _log.warn("The provider's ID token was refused: {reason}", reason=str(error))
            raise SignInFailed(Reason.TOKEN, str(error)) from None
        return claims

    async def _with_userinfo(
        self, provider: Provider, claims: Mapping[str, Any], access_token: str
    ) -> Mapping[str, Any]:
        """Add what the provider tells of the same person elsewhere."""
        headers = {"Accept": "application/json", "Authorization": f"Bearer {access_token}"}
        reply = await self._asked(Question(provider.userinfo_url, MAX_REPLY_BYTES, headers))
        try:
            told = msgspec.json.decode(reply.body, type=dict)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            told = None
        if reply.status != HTTPStatus.OK or told is None:
            _log.warn("The provider told nothing of somebody: {status}", status=reply.status)
            raise SignInFailed(Reason.AWAY)
        if told.get("sub") != claims["sub"]:  # OpenID Connect Core, 5.3.4
            raise SignInFailed(Reason.TOKEN, "sub: the provider tells of somebody else")
        return {**told, **claims}


def _as_https(url: str) -> str:
    """Write an address as the library takes it; that it may be http has been checked."""
    return url.replace("http://", "https://", 1) if url.startswith("http://") else url


def _known(code: object) -> str:
    """Give an error's code as one may show it: RFC 6749 has such words."""
    text = str(code)
    return text if text.isascii() and text.replace("_", "").isalpha() and len(text) < 64 else ""


def _refusal(error: OAuth2Error) -> SignInFailed:
    if error.error in ("mismatching_state", "missing_code"):
        return SignInFailed(Reason.STATE)
    return SignInFailed(Reason.REFUSED, _known(error.error))


def _is_for_others(audience: object) -> bool:
    return isinstance(audience, list) and len(audience) > 1
