"""Guests: who has come by a link, or knows the address of a flow that is open to all who do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from hmac import compare_digest
from random import Random
from typing import Any, Final

import attrs
import jwt
from twisted.logger import Logger

from helix.access.principal import Kind, Principal
from helix.access.roles import Role
from helix.access.sharing import ANYONE, NO_ACCESS, Audience, Link
from helix.documents.ids import new_id
from helix.errors import (
    FlowNotFound,
    KeysUnavailable,
    LinkNotFound,
    PasswordRefused,
    StoreError,
    TokenRefused,
)
from helix.identity.passwords import Passwords
from helix.identity.tokens import MAX_TOKEN_BYTES
from helix.interfaces import IFlowStore
from helix.limits.rate_limit import Charge

GUEST_PREFIX = "hg_"
"""How the token of a guest begins."""

GUEST_SECONDS = 3600.0
"""For how long a token of a guest holds."""

RENEWABLE_SECONDS = 86_400.0
"""Seconds after its end for which a token still tells which guest comes again."""

_AUDIENCE = "helix:guest"
_ALGORITHM = "HS256"

_ID = re.compile("[0-9A-Za-z_-]{1,64}")
"""The id of a link, and perhaps more."""

_NO_DIGEST = bytes(32)
"""Is compared where there is no link, so that this takes the same time."""


def digest_of(secret: str) -> bytes:
    """Give what is kept of the secret of a link: its SHA-256."""
    return sha256(secret.encode("utf-8", "replace")).digest()


@attrs.frozen
class Invitation:
    """
    What lets a guest in.

    :ivar role: that it gives in the flow.
    :ivar link: the link; ``None`` for the general access of the flow.
    """

    flow_id: str
    role: Role
    link: Link | None = None


class Doorkeeper:
    """
    Finds what lets a guest in.

    :param store: keeps links.
    :param wall: tells the time, in Unix seconds.
    """

    def __init__(self, store: IFlowStore, passwords: Passwords, wall: Callable[[], float]) -> None:
        self._store = store
        self._passwords = passwords
        self._wall = wall

    async def by_link(
        self, text: str, password: str | None, customer: str | None, charge: Charge | None = None
    ) -> Invitation:
        """
        Find the link that a guest has come by.

        :param text: the id of the link and its secret, with a point between them.
        :param customer: whose address it is; ``None`` for this machine.
        :param charge: is told how long it took to check the password.
        :raises LinkNotFound: when there is none such any more, or its secret is another one, all in
            the same time.
        :raises PasswordRefused: when it asks for a password, and this isn't it.
        :raises RateLimited, TooManyPending: when the password can't be checked for now.
        :raises StoreError: when the store can't tell.
        """
        link_id, _, secret = text.partition(".")
        # No store may be asked for just any text.
        found = await self._store.access.find_link(link_id if _ID.fullmatch(link_id) else "-")
        flow_id, link = found or ("", None)
        is_right = compare_digest(digest_of(secret), _NO_DIGEST if link is None else link.digest)
        if link is None or not is_right or self._is_over(link):
            raise LinkNotFound()
        if link.password:
            if password is None:
                raise PasswordRefused()
            hashed = link.password
            if not await self._passwords.matches(password, hashed, link.id, customer, charge):
                raise PasswordRefused("This is not the link's password")
        return Invitation(flow_id, link.role, link)

    async def by_address(self, flow_id: str) -> Invitation:
        """
        Find what a flow gives to everybody who knows its address.

        :raises FlowNotFound: when that is nothing, or there is no such flow.
        :raises StoreError: when the store can't tell.
        """
        given = await self._store.access.read((flow_id,), (ANYONE,))
        general = given.get(flow_id, NO_ACCESS).general
        if general.audience is not Audience.LINK:
            raise FlowNotFound()
        return Invitation(flow_id, general.role)

    def _is_over(self, link: Link) -> bool:
        return link.expires_at is not None and link.expires_at <= self._wall()


class GuestTokens:
    """
    Makes the tokens of guests, and checks them. (`helix.identity.authenticator.Verifier`)

    They say who somebody is, and by which link they have come. What they may do is decided by what
    the flow gives, so it ends at once with the link. All who use a store know each other's tokens.

    :param store: keeps the secret that signs them.
    :param wall: tells the time, in Unix seconds.
    :param random: makes the ids of guests.
    """

    _log: Final = Logger(namespace="helix.identity")

    def __init__(self, store: IFlowStore, wall: Callable[[], float], random: Random) -> None:
        self._store = store
        self._wall = wall
        self._random = random
        self._secret: bytes | None = None

    async def verify(self, token: str) -> Principal:
        """
        Give the guest of a token. It waits for nothing but the first reading of the secret.

        :raises TokenRefused: when it isn't accepted.
        :raises KeysUnavailable: when the secret can't be read yet.
        """
        guest = await self._guest_of(token)
        assert guest.expires_at is not None
        if guest.expires_at <= self._wall():
            self._log.debug("Refused a guest's token: it is over")
            raise TokenRefused("The guest's token is over: open the link again")
        return guest

    async def recognise(self, token: str | None) -> Principal | None:
        """
        Give the guest who has had a token, which may be over since a day at most.

        :param token: any; ``None`` for none.
        :return: ``None`` when it is no guest's, or older.
        :raises KeysUnavailable: when the secret can't be read yet.
        """
        if token is None or not token.startswith(GUEST_PREFIX):
            return None
        try:
            guest = await self._guest_of(token)
        except TokenRefused:
            return None
        assert guest.expires_at is not None
        return guest if self._wall() < guest.expires_at + RENEWABLE_SECONDS else None

    async def issue(
        self, invitation: Invitation, name: str, before: Principal | None = None
    ) -> tuple[str, Principal]:
        """
        Make a token for a guest.

        :param name: to show; empty for that of ``before``.
        :param before: the guest who has come again; ``None`` for a new one.
        :return: the token, and its guest, who has an end.
        :raises KeysUnavailable: when the secret can't be read yet.
        """
        link = invitation.link
        ends = [self._wall() + GUEST_SECONDS]
        if link is not None and link.expires_at is not None:
            ends.append(link.expires_at)
        guest = Principal(
            id=f"guest:{new_id(self._random)}" if before is None else before.id,
            name=name or ("" if before is None else before.name),
            kind=Kind.GUEST,
            link="" if link is None else link.id,
            expires_at=min(ends),
        )
        claims = {
            "sub": guest.id,
            "name": guest.name,
            "flow": invitation.flow_id,
            "link": guest.link,
            "exp": guest.expires_at,
            "aud": _AUDIENCE,
        }
        return GUEST_PREFIX + jwt.encode(claims, await self._key(), _ALGORITHM), guest

    async def _guest_of(self, token: str) -> Principal:
        """Give the guest of a token that is signed rightly, over or not."""
        key = await self._key()
        if len(token) > MAX_TOKEN_BYTES:
            raise TokenRefused(f"The token has more than {MAX_TOKEN_BYTES} bytes")
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token[len(GUEST_PREFIX) :],
                key,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                options={"require": ["exp", "sub", "aud"], "verify_exp": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            self._log.debug("Refused a guest's token: it was not made here")
            raise TokenRefused("The guest's token is not accepted: open the link again") from None
        return Principal(
            id=claims["sub"],
            name=claims["name"],
            kind=Kind.GUEST,
            link=claims["link"],
            expires_at=claims["exp"],
        )

    async def _key(self) -> bytes:
        if self._secret is None:
            if not self._store.is_open:
                raise KeysUnavailable("The store with the secret of guests is not open yet")
            try:
                self._secret = await self._store.credentials.secret()
            except StoreError:
                raise KeysUnavailable() from None
        return self._secret
