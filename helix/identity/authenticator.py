"""Finds out who a client is, in all the ways that ``--auth`` names."""

from __future__ import annotations

from collections.abc import Set

import attrs
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from helix.access.principal import ANYBODY, Principal
from helix.errors import TokenRefused
from helix.identity.header import named_principal
from helix.identity.tokens import TokenVerifier
from helix.interfaces import Credentials, IAuthenticator


@implementer(IAuthenticator)
class Anyone:
    """Accepts every client, whatever it shows: for a server that asks nobody who they are."""

    def authenticate(self, credentials: Credentials) -> Deferred[Principal]:
        return succeed(ANYBODY)


@implementer(IAuthenticator)
class Authenticator:
    """
    Accepts who has a token, or is named by a proxy.

    :param verifier: of tokens; without one tokens don't count.
    :param admins: the ids of administrators.
    :param is_open: whether who shows nothing is accepted as well, and all may do everything.
    """

    def __init__(
        self, verifier: TokenVerifier | None, admins: Set[str], is_open: bool = False
    ) -> None:
        self._verifier = verifier
        self._admins = admins
        self._is_open = is_open

    def authenticate(self, credentials: Credentials) -> Deferred[Principal]:
        return Deferred.fromCoroutine(self._authenticate(credentials))

    async def _authenticate(self, credentials: Credentials) -> Principal:
        if self._verifier is not None and credentials.token is not None:
            principal = await self._verifier.verify(credentials.token)
        elif credentials.named is not None:
            principal = named_principal(credentials.named)
        elif self._is_open:
            return ANYBODY
        else:
            raise TokenRefused(
                "A token is needed" if self._verifier is not None else "No proxy says who you are"
            )
        is_admin = self._is_open or principal.is_admin or principal.id in self._admins
        return attrs.evolve(principal, is_admin=is_admin)
