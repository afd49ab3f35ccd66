"""Admission control: checks a client's request before it gets a connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import thread_time

import attrs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IRequest

from helix.addresses import UNIX, AddressBook, AddressBudget, TrustedProxies, customer_of
from helix.auth import PROTOCOL, OriginPolicy, token_from
from helix.clients import ClientService
from helix.errors import ConnectionRefused, Draining, RateLimited
from helix.interfaces import IAuthenticator, Principal
from helix.protocol import Serializer, serializer_for
from helix.ratelimit import Charge
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


_FORWARDS = (b"x-forwarded-for", b"forwarded")
"""By which a proxy says for whom it asks."""

_log = Logger(namespace="helix.web")

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""What proxies call a scheme, and how it stands in an origin."""


def _first(request: IRequest, name: bytes) -> str:
    """The first of a list in a header: what the proxy next to the client says."""
    return (header(request, name) or "").partition(",")[0].strip()


def host_of(address: object) -> str | None:
    """The IP address of a peer; ``None`` for that of a unix socket."""
    return address.host if isinstance(address, IPv4Address | IPv6Address) else None


def body_bytes(request: IRequest) -> int:
    """How large a request's body was. (`helix.httprequest.LimitedRequest`)"""
    size: int = getattr(request, "received_bytes", 0)
    return size


@attrs.define(eq=False)
class Visitors:
    """
    Who comes, from where, and how often.

    :ivar clock: tells the time.
    :ivar proxies: who is believed about others' addresses.
    :ivar origins: which web pages may ask.
    :ivar book: what may still come from each address.
    :ivar telemetry: is told of proxies that nobody named.
    :ivar work: tells how much time the reactor's thread has taken, in seconds.
    """

    clock: IReactorTime
    proxies: TrustedProxies
    origins: OriginPolicy
    book: AddressBook
    telemetry: Telemetry
    work: Callable[[], float] = thread_time
    _warned: bool = attrs.field(default=False, init=False)

    def address(self, request: IRequest) -> str | None:
        """The IP address that a request comes from; ``None`` for a unix socket."""
        forwarded = request.requestHeaders.getRawHeaders(b"x-forwarded-for", [])
        hops = [value.decode("latin-1") for value in forwarded]
        return self.proxies.client_address(host_of(request.getClientAddress()), hops)

    def budget(self, request: IRequest) -> AddressBudget | None:
        """What may still come from there; ``None`` for this machine."""
        return self.book.budget(self.address(request), self.clock.seconds())

    def own_origin(self, request: IRequest) -> str | None:
        """
        Tell which origin a request asks, as its client sees that: what a trusted proxy says of it
        (``X-Forwarded-Proto``, ``X-Forwarded-Host``) counts.

        :return: ``None`` without a host.
        """
        scheme = "https" if request.isSecure() else "http"
        host = header(request, b"host")
        if self.proxies.trust(host_of(request.getClientAddress())):
            forwarded = _first(request, b"x-forwarded-proto")
            scheme = _SCHEMES.get(forwarded.lower(), scheme)
            host = _first(request, b"x-forwarded-host") or host
        return f"{scheme}://{host}" if host else None

    def check_page(self, request: IRequest) -> None:
        """
        Keep other sites' pages out.

        :raises OriginRefused: when a page of an origin that isn't allowed asks.
        """
        self.origins.check(header(request, b"origin"), self.own_origin(request))

    def note_forward(self, request: IRequest) -> None:
        """
        Tell of a request that a proxy on this machine made for somebody, and that counts as this
        machine's, which has no limits: the first one in the log, all in a metric.
        """
        peer = host_of(request.getClientAddress())
        forwarded = any(request.getHeader(name) is not None for name in _FORWARDS)
        if not forwarded or self.proxies.trust(peer) or customer_of(peer) is not None:
            return
        self.telemetry.emit("helix.request.forwarded_untrusted")
        if not self._warned:
            self._warned = True
            _log.warn(
                "A proxy on this machine forwards requests, and its clients have no limits: "
                "name it with --trusted-proxy {peer}",
                peer=UNIX if peer is None else peer,
            )

    def customer(self, request: IRequest) -> str | None:
        """Whose request it is, by what counts as one address; ``None`` for this machine."""
        return customer_of(self.address(request))

    def check_request(self, request: IRequest) -> None:
        """
        Count a request, and the bytes of its body.

        :raises RateLimited: when that were too many, or what was asked from there takes too much of
            the reactor's time.
        """
        self.note_forward(request)
        budget = self.budget(request)
        if budget is None:
            return
        now, size = self.clock.seconds(), body_bytes(request)
        wait = (
            budget.requests.take(now)
            or (budget.allowance.spend_size(size, now) if size else 0.0)
            or budget.work.owe(now, 0.0)
        )
        if wait:
            raise RateLimited(wait, "Too many requests from this address")

    def charge_of(self, request: IRequest) -> Charge | None:
        """
        Give what counts the work that a request makes; ``None`` for this machine, which has no
        limits. The bytes of its body were counted already.
        """
        budget = self.budget(request)
        if budget is None:
            return None
        size = body_bytes(request)

        def charge(seconds: float, written: int) -> None:
            budget.owe(seconds, max(0, written - size), self.clock.seconds())

        return charge

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

    :param visitors: knows them, and how often they ask.
    """

    def __init__(
        self,
        clients: ClientService,
        visitors: Visitors,
        authenticator: IAuthenticator,
        telemetry: Telemetry,
    ) -> None:
        self.visitors = visitors
        self._clients = clients
        self._authenticator = authenticator
        self._telemetry = telemetry

    def check_page(self, request: IRequest) -> None:
        """As `Visitors.check_page`."""
        self.visitors.check_page(request)

    def admit(self, request: IRequest, auth_token: str | None) -> Admission:
        """
        Look at the request that asks for a connection.

        :param auth_token: the token that came outside the subprotocols, if any.
        :raises ConnectionRefused, RateLimited, Draining: when there is none to be had; it has been
            counted.
        """
        try:
            budget = self.visitors.budget(request)
            if budget is not None and (wait := budget.connects.take(self.visitors.clock.seconds())):
                raise RateLimited(wait, "Too many connects from this address")
            self.visitors.check_page(request)
            serializer = serializer_for(next(iter(parameters(request, b"vsn")), None))
            offered = [
                one.strip() for one in (header(request, b"sec-websocket-protocol") or "").split(",")
            ]
            principal = self._authenticator.authenticate(token_from(auth_token, offered))
            address = self.visitors.address(request)
            self._clients.check_room(address)
        except (ConnectionRefused, RateLimited, Draining) as error:
            self._telemetry.emit("helix.connection.refused", metadata={"code": error.code})
            raise
        subprotocol = PROTOCOL if PROTOCOL in offered else None
        return Admission(serializer, principal, address, budget, subprotocol)
