"""Finds out who a client is, in all the ways that ``--auth`` names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Set
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from helix.access.principal import ANYBODY, Principal
from helix.errors import TokenRefused
from helix.identity.header import named_principal
from helix.identity.sessions import Sessions
from helix.interfaces import Credentials, IAuthenticator


class Verifier(Protocol):
    """Knows the tokens of one kind."""

    async def verify(self, token: str) -> Principal:
        """
        Give whom a token proves. It takes a bounded time, and waits only for what must be read
        first.

        :raises TokenRefused: when it isn't accepted.
        :raises KeysUnavailable: when that can't be told yet.
        """


async def know_all() -> None:
    """Nothing is to be learned before."""


@implementer(IAuthenticator)
class Authenticator:
    """
    Accepts who has a token, is named by a proxy, or has signed in.

    :param verifier: of tokens; without one, those without a prefix don't count.
    :param admins: the ids of administrators.
    :param is_open: whether who shows nothing is accepted as well, and all may do everything.
    :param prefixed: the verifiers of tokens that begin with `PREFIX_CHARACTERS` characters such as
        ``hx_``.
    :param sessions: of who has signed in; without them nobody can.
    :param learn: sees to it that what was revoked is known, before a token with a prefix, or a
        session, is looked up.
    """

    PREFIX_CHARACTERS = 3

    def __init__(
        self,
        verifier: Verifier | None,
        admins: Set[str],
        is_open: bool = False,
        prefixed: Mapping[str, Verifier] | None = None,
        sessions: Sessions | None = None,
        learn: Callable[[], Awaitable[None]] = know_all,
    ) -> None:
        self._verifier = verifier
        self._admins = admins
        self._is_open = is_open
        self._prefixed = prefixed or {}
        self._sessions = sessions
        self._learn = learn

    def authenticate(self, credentials: Credentials) -> Deferred[Principal]:
        return Deferred.fromCoroutine(self._authenticate(credentials))

    async def _authenticate(self, credentials: Credentials) -> Principal:
        token, verifier = credentials.token, self._verifier
        if token is not None:
            kept = self._prefixed.get(token[: self.PREFIX_CHARACTERS])
            if kept is not None:
                await self._learn()
                verifier = kept
        if token is not None and verifier is not None:
            principal = await verifier.verify(token)
        elif credentials.named is not None:
            principal = named_principal(credentials.named)
        elif (found := await self._signed_in(credentials)) is not None:
            principal = found
        elif self._is_open:
            return ANYBODY
        else:
            raise TokenRefused(self._refusal(credentials))
        is_admin = self._is_open or principal.is_admin or principal.id in self._admins
        return attrs.evolve(principal, is_admin=is_admin)

    async def _signed_in(self, credentials: Credentials) -> Principal | None:
        if self._sessions is None or credentials.session is None:
            return None
        await self._learn()
        return await self._sessions.find(credentials.session)

    def _refusal(self, credentials: Credentials) -> str:
        """Say what is missing."""
        if self._sessions is not None:
            return "Sign in first" if credentials.session is None else "Sign in again"
        return "A token is needed" if self._verifier is not None else "No proxy says who you are"
