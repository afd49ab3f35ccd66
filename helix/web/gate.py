"""Finds out who makes a request by REST, before its route runs."""

from __future__ import annotations

from collections.abc import Sequence
from hmac import compare_digest

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest

from helix.access.principal import ANYBODY, STRANGER, Kind, Principal
from helix.errors import Forbidden, TokenRefused, Unauthorized
from helix.web.admission import Identification, header, principal_of
from helix.web.credentials import bearer_from

_PUBLIC = frozenset({b"healthz", b"readyz", b"status.js", b"flow", b"assets", b"auth"})
"""The first words of addresses that are for everyone: pages, their parts, and health."""

_PUBLIC_API = frozenset({b"openapi.json", b"docs", b"guests", b"auth"})

_METRICS = Principal(id="metrics", kind=Kind.SERVICE, is_admin=True)
"""Who has the token for metrics; for no other address."""


def check_admin(request: IRequest) -> None:
    """
    Check that an administrator makes a request.

    :raises Forbidden: when it is somebody else.
    """
    if not principal_of(request).is_admin:
        raise Forbidden("This is for administrators")


@attrs.frozen
class Gate:
    """
    Finds out who makes a request.

    :ivar identification: as for clients of sockets.
    :ivar has_page: whether ``/`` is a page for everyone.
    :ivar metrics_token: gives access to ``/metrics`` alone; ``None`` for no such token. If there is
        one, nobody unknown reads metrics, even if everything else is open.
    """

    identification: Identification
    has_page: bool
    metrics_token: bytes | None = attrs.field(default=None, repr=False)

    def identify(self, request: IRequest) -> Deferred[Principal]:
        """
        Identify who makes a request.

        :return: a Deferred, as `Identification.identify`'s; of `STRANGER` for what is public: who
            asks for that isn't asked who they are.
        :raises Unauthorized, KeysUnavailable: (through the Deferred) when it isn't accepted.
        """
        path: Sequence[bytes] = request.postpath
        if self._is_public(path):
            return succeed(STRANGER)
        token = bearer_from(header(request, b"authorization"))
        is_for_metrics = self.metrics_token is not None and list(path) == [b"metrics"]
        if is_for_metrics and token is not None and self._opens_metrics(token):
            return succeed(_METRICS)
        found = self.identification.identify(request, token)

        def unauthorized(failure: Failure) -> Principal:
            failure.trap(TokenRefused)
            told = failure.getErrorMessage()
            raise Unauthorized(told, had_token=token is not None) from None

        def known(principal: Principal) -> Principal:
            if is_for_metrics and principal is ANYBODY:
                raise Unauthorized(had_token=token is not None)
            return principal

        return found.addCallbacks(known, unauthorized)

    def _is_public(self, path: Sequence[bytes]) -> bool:
        first = path[0]
        if first == b"api":
            return len(path) == 2 and path[1] in _PUBLIC_API
        return first in _PUBLIC or (not first and self.has_page)

    def _opens_metrics(self, token: str) -> bool:
        assert self.metrics_token is not None
        return compare_digest(token.encode(), self.metrics_token)
