"""What the parts of Helix ask of each other."""

from __future__ import annotations

import attrs
from zope.interface import Attribute, Interface


@attrs.frozen
class Principal:
    """
    Who acts.

    :ivar subject: their name for the server; ``None`` for a guest.
    """

    subject: str | None = None


class IMember(Interface):
    """A channel that is attached to a session."""

    topic = Attribute("The topic as its client wrote it, a string.")
    outlet = Attribute("The `helix.outlet.Outlet` of the member's connection.")

    def push(event: str, payload: bytes) -> None:
        """Send this member alone ``event`` with JSON ``payload``."""

    def end(event: str) -> None:
        """
        End the channel from the session's side and forget the session.

        :param event: ``phx_close`` for good, ``phx_error`` for a client that should join again.
        """


class IAuthenticator(Interface):
    """Who is it that connects?"""

    def authenticate(token: str | None) -> Principal:
        """
        Find out who holds ``token``.

        :param token: what the client sent, decoded; ``None`` where it sent none.
        :raises TokenRefused: when that is nobody who may connect.
        """
