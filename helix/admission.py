"""The door: what is asked of a client before it gets a connection."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IRequest

from helix.addresses import AddressBook, AddressBudget, TrustedProxies
from helix.auth import PROTOCOL, OriginPolicy, token_from
from helix.clients import ClientService
from helix.errors import ConnectionRefused, Draining, RateLimited
from helix.interfaces import IAuthenticator, Principal
from helix.protocol import Serializer, serializer_for
from helix.telemetry import Telemetry


@attrs.frozen
class Admission:
    """
    A client that may connect.

    :ivar address: its IP address, ``None`` for a unix socket.
    :ivar budget: of that address; ``None`` for this machine.
    :ivar subprotocol: the one to answer, if it offered ours.
    """

    serializer: type[Serializer]
    principal: Principal
    address: str | None
    budget: AddressBudget | None
    subprotocol: str | None


def header(request: IRequest, name: bytes) -> str | None:
    """The value of a request's header, as text; ``None`` without it."""
    value = request.getHeader(name)
    return None if value is None else value.decode("latin-1")


def parameters(request: IRequest, name: bytes) -> Sequence[str]:
    """The values of a query parameter, as text."""
    return [value.decode("utf-8", "replace") for value in request.args.get(name, ())]


def host_of(address: object) -> str | None:
    """The IP address of a peer; ``None`` for that of a unix socket."""
    return address.host if isinstance(address, IPv4Address | IPv6Address) else None


@attrs.frozen
class Visitors:
    """
    Who comes, from where, and how often.

    :ivar clock: tells the time.
    :ivar proxies: who is believed about others' addresses.
    :ivar book: what may still come from each address.
    """

    clock: IReactorTime
    proxies: TrustedProxies
    book: AddressBook

    def address(self, request: IRequest) -> str | None:
        """The IP address that a request comes from; ``None`` for a unix socket."""
        forwarded = request.requestHeaders.getRawHeaders(b"x-forwarded-for", [])
        hops = [value.decode("latin-1") for value in forwarded]
        return self.proxies.client_address(host_of(request.getClientAddress()), hops)

    def budget(self, request: IRequest) -> AddressBudget | None:
        """What may still come from there; ``None`` for this machine."""
        return self.book.budget(self.address(request), self.clock.seconds())

    def check_request(self, request: IRequest) -> None:
        """
        Count a request.

        :raises RateLimited: when that were too many.
        """
        budget = self.budget(request)
        if budget is not None and (wait := budget.requests.take(self.clock.seconds())):
            raise RateLimited(wait, "Too many requests from this address")

    def check_creation(self, request: IRequest) -> None:
        """
        Count a request that makes a flow.

        :raises RateLimited: when that were too many.
        """
        budget = self.budget(request)
        if budget is not None and (wait := budget.creations.take(self.clock.seconds())):
            raise RateLimited(wait, "Too many new flows from this address")


class Door:
    """
    Decides who may connect.

    :param visitors: knows them.
    :param origins: which web pages may.
    """

    def __init__(
        self,
        clients: ClientService,
        visitors: Visitors,
        authenticator: IAuthenticator,
        origins: OriginPolicy,
        telemetry: Telemetry,
    ) -> None:
        self.origins = origins
        self._visitors = visitors
        self._clients = clients
        self._authenticator = authenticator
        self._telemetry = telemetry

    def admit(self, request: IRequest, auth_token: str | None) -> Admission:
        """
        Look at the request that asks for a connection.

        :param auth_token: the token that came outside the subprotocols, if any.
        :raises ConnectionRefused, RateLimited, Draining: when there is none to be had; it has been
            counted.
        """
        try:
            budget = self._visitors.budget(request)
            if budget is not None and (
                wait := budget.connects.take(self._visitors.clock.seconds())
            ):
                raise RateLimited(wait, "Too many connects from this address")
            self.origins.check(header(request, b"origin"), header(request, b"host"))
            serializer = serializer_for(next(iter(parameters(request, b"vsn")), None))
            offered = [
                one.strip() for one in (header(request, b"sec-websocket-protocol") or "").split(",")
            ]
            principal = self._authenticator.authenticate(token_from(auth_token, offered))
            address = self._visitors.address(request)
            self._clients.check_room(address)
        except (ConnectionRefused, RateLimited, Draining) as error:
            self._telemetry.emit("helix.connection.refused", metadata={"code": error.code})
            raise
        subprotocol = PROTOCOL if PROTOCOL in offered else None
        return Admission(serializer, principal, address, budget, subprotocol)
