"""Principals for tests, and an authenticator that knows them by their tokens."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from helix.access.paths import parse_paths
from helix.access.principal import FlowPattern, Grant, Kind, Principal
from helix.access.roles import Role
from helix.errors import TokenRefused
from helix.interfaces import Credentials, IAuthenticator


def grant(role: Role, paths: list[str] | None = None) -> Grant:
    """A role, perhaps for some paths only."""
    return Grant(role, None if paths is None else parse_paths(paths))


def somebody(
    role: Role | None, paths: list[str] | None = None, flows: str = "*", **about: Any
) -> Principal:
    """A principal ``ada`` with a role in the flows of a pattern; with none in any if ``None``."""
    grants = () if role is None else ((FlowPattern.parse(flows), grant(role, paths)),)
    return Principal(**{"id": "ada", "kind": Kind.PERSON, "grants": grants, **about})


@implementer(IAuthenticator)
class KnownTokens:
    """
    Accepts the tokens that it is told of.

    :ivar principals: by their tokens.
    :ivar held: where it is a list, answers wait there until a test calls them.
    """

    def __init__(self, **principals: Principal) -> None:
        self.principals = principals
        self.held: list[Deferred[None]] | None = None

    def authenticate(self, credentials: Credentials) -> Deferred[Principal]:
        found = self.principals.get(credentials.token or "")
        if found is None:
            return fail(TokenRefused())
        if self.held is None:
            return succeed(found)
        waiting: Deferred[None] = Deferred()
        self.held.append(waiting)
        return waiting.addCallback(lambda _: found)
