"""The door: what is asked of a client before it gets a connection."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.web.iweb import IRequest

from helix.auth import PROTOCOL, OriginPolicy, token_from
from helix.clients import ClientService
from helix.errors import ConnectionRefused, Draining
from helix.interfaces import IAuthenticator, Principal
from helix.protocol import Serializer, serializer_for
from helix.telemetry import Telemetry


@attrs.frozen
class Admission:
    """
    A client that may connect.

    :ivar address: its IP address, ``None`` for a unix socket.
    :ivar subprotocol: the one to answer, if it offered ours.
    """

    serializer: type[Serializer]
    principal: Principal
    address: str | None
    subprotocol: str | None


def header(request: IRequest, name: bytes) -> str | None:
    """The value of a request's header, as text; ``None`` without it."""
    value = request.getHeader(name)
    return None if value is None else value.decode("latin-1")


def parameters(request: IRequest, name: bytes) -> Sequence[str]:
    """The values of a query parameter, as text."""
    return [value.decode("utf-8", "replace") for value in request.args.get(name, ())]


def peer_address(request: IRequest) -> str | None:
    """The IP address that a request comes from; ``None`` for a unix socket."""
    peer = request.getClientAddress()
    return peer.host if isinstance(peer, IPv4Address | IPv6Address) else None


class Door:
    """
    Decides who may connect.

    :param origins: which web pages may.
    """

    def __init__(
        self,
        clients: ClientService,
        authenticator: IAuthenticator,
        origins: OriginPolicy,
        telemetry: Telemetry,
    ) -> None:
        self.origins = origins
        self._clients = clients
        self._authenticator = authenticator
        self._telemetry = telemetry

    def admit(self, request: IRequest, auth_token: str | None) -> Admission:
        """
        Look at the request that asks for a connection.

        :param auth_token: the token that came outside the subprotocols, if any.
        :raises ConnectionRefused, Draining: when there is none to be had; it has been counted.
        """
        try:
            self.origins.check(header(request, b"origin"), header(request, b"host"))
            serializer = serializer_for(next(iter(parameters(request, b"vsn")), None))
            offered = [
                one.strip() for one in (header(request, b"sec-websocket-protocol") or "").split(",")
            ]
            principal = self._authenticator.authenticate(token_from(auth_token, offered))
            address = peer_address(request)
            self._clients.check_room(address)
        except (ConnectionRefused, Draining) as error:
            self._telemetry.emit("helix.connection.refused", metadata={"code": error.code})
            raise
        subprotocol = PROTOCOL if PROTOCOL in offered else None
        return Admission(serializer, principal, address, subprotocol)
