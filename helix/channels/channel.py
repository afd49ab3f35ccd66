"""The interfaces between a connection and its channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twisted.internet.defer import Deferred

from helix.access.principal import Principal
from helix.delivery.outlet import Outlet
from helix.delivery.parts import Parts
from helix.delivery.protocol import Data, encode_json
from helix.errors import (
    ConnectionRefused,
    FlowNotFound,
    Forbidden,
    FrameTooLarge,
    HelixError,
    TooManyValues,
)


class Port(Protocol):
    """A channel's side of its connection."""

    topic: str

    @property
    def outlet(self) -> Outlet:
        """The way to the client."""

    @property
    def user_name(self) -> str:
        """The name that the client gave in any of its channels; empty if it gave none."""

    @property
    def principal(self) -> Principal:
        """Who the client is."""

    def push(self, event: str, payload: bytes) -> None:
        """Send this channel ``event`` with JSON ``payload``."""

    def push_of(self, event: str, payload: Sequence[Data]) -> None:
        """As `push`, with a payload in pieces; large ones are not copied."""

    def push_each(self, event: str, payloads: Parts) -> None:
        """Send this channel ``event`` with each payload. They are made as the client takes them."""

    def work(self) -> float:
        """Tell how much time the reactor's thread has taken, in seconds."""

    def charge(self, seconds: float, size: int) -> None:
        """Charge the client for work that it caused. (`helix.interfaces.IMember`)"""

    def renew(self, payload: bytes) -> Deferred[bytes]:
        """
        Serve the client by another token from now on, on all channels of its connection.

        :param payload: of an ``access_token`` (JSON).
        :return: a Deferred of the response.
        :raises InvalidParameters: when it holds no token.
        :raises TokenRefused, Forbidden: (through the Deferred) when it isn't accepted.
        """

    def end(self, event: str) -> None:
        """End the channel with ``phx_close`` or ``phx_error``, from the server's side."""


class Channel(Protocol):
    """What a connection asks of a joined topic. All refusals are `HelixError`."""

    @property
    def user_name(self) -> str:
        """The name that the client gave when it joined; empty if it gave none."""

    async def join(self, params: bytes) -> Sequence[Data]:
        """
        Join with the client's parameters (JSON).

        :return: the response, a JSON object in pieces; large ones are not copied.
        """

    def joined(self) -> None:
        """The reply to the join has been sent."""

    def handle(self, event: str, payload: bytes, binary: bool) -> bytes | Deferred[bytes] | None:
        """
        Do what a push asks for.

        :param payload: JSON, or data when ``binary``.
        :return: the response, a JSON object, or its Deferred; ``None`` for a push that gets none.
        """

    def decide_again(self) -> None:
        """
        Find out anew what the client may do, and tell it where that has changed. The channel is
        ended for good where nothing is left.
        """

    def limited(self, event: str, payload: bytes) -> None:
        """A push was refused before it came here, because of the rate limit."""

    def refusal(self, error: HelixError) -> bytes:
        """Make the response, a JSON object, that tells the client of ``error``."""

    def leave(self) -> None:
        """The client left, closed, or joined anew."""


_TOLD_IN_FULL = (FrameTooLarge, TooManyValues, Forbidden, FlowNotFound, ConnectionRefused)
"""Errors of which clients of the first generation know nothing."""


def plain_refusal(error: HelixError) -> bytes:
    """The refusal for the first generation of clients, with the time to try again if known."""
    if error.retry_after is not None or isinstance(error, _TOLD_IN_FULL):
        return full_refusal(error)
    return encode_json({"reason": error.message})


def full_refusal(error: HelixError) -> bytes:
    """The refusal with everything that a program needs."""
    refusal = {"reason": error.message, "code": error.code, "retry": error.retry}
    if error.retry_after is not None:
        refusal["retry_after"] = error.retry_after
    return encode_json(refusal)
