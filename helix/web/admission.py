"""Admission control: checks a client's request before it gets a connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import thread_time

import attrs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IRequest

from helix.access.principal import ANYBODY, Principal
from helix.channels.clients import ClientService
from helix.delivery.protocol import Serializer, serializer_for
from helix.errors import ConnectionRefused, Draining, RateLimited, TokenRefused
from helix.identity.header import ProxyHeader
from helix.interfaces import Credentials, IAuthenticator
from helix.limits.addresses import UNIX, AddressBook, AddressBudget, TrustedProxies, customer_of
from helix.limits.rate_limit import Charge
from helix.telemetry.events import Telemetry
from helix.web.cookies import Cookies
from helix.web.credentials import PROTOCOL, bearer_from, token_from
from helix.web.origins import OriginPolicy


@attrs.frozen
class Admitted:
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
"""Headers in which a proxy names its client."""

_log = Logger(namespace="helix.web")

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""The schemes that proxies name, and the scheme of the origin."""


def _first(request: IRequest, name: bytes) -> str:
    """The first item of a list in a header: it comes from the proxy next to the client."""
    return (header(request, name) or "").partition(",")[0].strip()


def host_of(address: object) -> str | None:
    """The IP address of a peer; ``None`` for that of a unix socket."""
    return address.host if isinstance(address, IPv4Address | IPv6Address) else None


def principal_of(request: IRequest) -> Principal:
    """Who makes a request. (`helix.web.http_request.LimitedRequest`)"""
    principal: Principal = getattr(request, "principal", ANYBODY)
    return principal


def body_bytes(request: IRequest) -> int:
    """How large a request's body was. (`helix.web.http_request.LimitedRequest`)"""
    size: int = getattr(request, "received_bytes", 0)
    return size


@attrs.define(eq=False)
class Visitors:
    """
    The clients that make requests: their addresses, origins and rate limits.

    :ivar clock: tells the time.
    :ivar proxies: the proxies whose forwarded addresses are trusted.
    :ivar origins: the allowed origins of web pages.
    :ivar book: the budgets of addresses.
    :ivar telemetry: is told of proxies that aren't trusted.
    :ivar work: tells how much time the reactor's thread has taken, in seconds.
    :ivar public_url: the server's origin as all browsers see it; empty if each request tells.
    """

    clock: IReactorTime
    proxies: TrustedProxies
    origins: OriginPolicy
    book: AddressBook
    telemetry: Telemetry
    work: Callable[[], float] = thread_time
    public_url: str = ""
    _warned: bool = attrs.field(default=False, init=False)

    def address(self, request: IRequest) -> str | None:
        """The IP address that a request comes from; ``None`` for a unix socket."""
        forwarded = request.requestHeaders.getRawHeaders(b"x-forwarded-for", [])
        hops = [value.decode("latin-1") for value in forwarded]
        return self.proxies.client_address(host_of(request.getClientAddress()), hops)

    def budget(self, request: IRequest) -> AddressBudget | None:
        """The budget of a request's address; ``None`` for this machine."""
        return self.book.budget(self.address(request), self.clock.seconds())

    def own_origin(self, request: IRequest) -> str | None:
        """
        Give the server's origin as the client of a request sees it. The headers of a trusted proxy
        (``X-Forwarded-Proto``, ``X-Forwarded-Host``) count.

        :return: ``None`` without a host.
        """
        scheme = "https" if request.isSecure() else "http"
        host = header(request, b"host")
        if self.proxies.trust(host_of(request.getClientAddress())):
            forwarded = _first(request, b"x-forwarded-proto")
            scheme = _SCHEMES.get(forwarded.lower(), scheme)
            host = _first(request, b"x-forwarded-host") or host
        return f"{scheme}://{host}" if host else None

    def public_origin(self, request: IRequest) -> str | None:
        """Give the server's origin as browsers see it: ``--public-url``, or else `own_origin`."""
        seen: str | None = getattr(request, "own_origin", None)  # before routes replace the host
        return self.public_url or seen or self.own_origin(request)

    def check_page(self, request: IRequest) -> None:
        """
        Refuse pages of other sites.

        :raises OriginRefused: when the page's origin isn't allowed.
        """
        self.origins.check(header(request, b"origin"), self.own_origin(request))

    def note_forward(self, request: IRequest) -> None:
        """
        Report a request that an untrusted proxy on this machine forwards. It counts as a request of
        this machine, which has no limits. The first one is logged, all are counted in a metric.
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
        """The customer of a request, to whom limits apply; ``None`` for this machine."""
        return customer_of(self.address(request))

    def check_request(self, request: IRequest) -> None:
        """
        Count a request, and the bytes of its body.

        :raises RateLimited: when there are too many, or when requests from this address take too
            much of the reactor's time.
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

    def check_message(self, request: IRequest) -> None:
        """
        Count a request that is a message of a client of another node, as `check_request`.

        :raises RateLimited: when this address has sent too many.
        """
        self.note_forward(request)
        budget = self.budget(request)
        if budget is not None:
            now = self.clock.seconds()
            wait = budget.allowance.spend(False, body_bytes(request), now)
            if wait:
                raise RateLimited(wait, "Too many messages from this address")

    def charge_of(self, request: IRequest) -> Charge | None:
        """
        Give a function that counts the work of a request; ``None`` for this machine, which has no
        limits. The bytes of the body were counted already.
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

        :raises RateLimited: when there are too many.
        """
        budget = self.budget(request)
        if budget is not None and (wait := budget.creations.take(self.clock.seconds())):
            raise RateLimited(wait, "Too many new flows from this address")


@attrs.frozen
class Identification:
    """
    Finds out who makes a request.

    :ivar authenticator: accepts who may come in.
    :ivar header: in which a proxy names clients, if one does.
    :ivar cookies: of who has signed in, if people can.
    """

    authenticator: IAuthenticator
    header: ProxyHeader | None = None
    cookies: Cookies | None = None

    @property
    def vary(self) -> bytes:
        """The headers by which clients show who they are."""
        return b"authorization" if self.cookies is None else b"authorization, cookie"

    def identify(
        self, request: IRequest, token: str | None, *, is_socket: bool = False
    ) -> Deferred[Principal]:
        """
        Identify the client of a request.

        :param token: what the request carries.
        :param is_socket: whether it asks for a connection.
        :return: a Deferred that has fired, unless keys must be fetched, or the store be asked,
            first; that takes a bounded time.
        :raises TokenRefused, KeysUnavailable: (through the Deferred) when it isn't accepted.
        """
        named = None
        if self.header is not None:
            values = request.requestHeaders.getRawHeaders(self.header.name.encode(), [])
            try:
                named = self.header.read(host_of(request.getClientAddress()), values)
            except TokenRefused as error:
                return fail(error)
        session = None
        if self.cookies is not None and token is None:
            session = self.cookies.read_session(request, is_socket=is_socket)
        return self.authenticator.authenticate(Credentials(token, named, session))


class AdmissionControl:
    """
    Admission control: decides which clients may connect.

    :param visitors: knows their addresses, origins and rates.
    :param identification: knows who they are.
    """

    def __init__(
        self,
        clients: ClientService,
        visitors: Visitors,
        identification: Identification,
        telemetry: Telemetry,
    ) -> None:
        self.visitors = visitors
        self._clients = clients
        self._identification = identification
        self._telemetry = telemetry

    def check_page(self, request: IRequest) -> None:
        """As `Visitors.check_page`."""
        self.visitors.check_page(request)

    def admit(self, request: IRequest, auth_token: str | None) -> Deferred[Admitted]:
        """
        Check a request for a connection.

        :param auth_token: the token that came outside the subprotocols, if any.
        :return: a Deferred, as `Identification.identify`'s.
        :raises ConnectionRefused, RateLimited, Draining: (through the Deferred) when it is refused;
            the refusal has been counted.
        """
        return Deferred.fromCoroutine(self._admit(request, auth_token))

    async def _admit(self, request: IRequest, auth_token: str | None) -> Admitted:
        try:
            budget = self.visitors.budget(request)
            if budget is not None and (wait := budget.connects.take(self.visitors.clock.seconds())):
                raise RateLimited(wait, "Too many connects from this address")
            self.visitors.check_page(request)
            serializer = serializer_for(next(iter(parameters(request, b"vsn")), None))
            offered = [
                one.strip() for one in (header(request, b"sec-websocket-protocol") or "").split(",")
            ]
            token = token_from(auth_token, offered)
            if token is None:
                token = bearer_from(header(request, b"authorization"))
            principal = await self._identification.identify(request, token, is_socket=True)
            address = self.visitors.address(request)
            self._clients.check_room(address)
        except (ConnectionRefused, RateLimited, Draining) as error:
            self._telemetry.emit("helix.connection.refused", metadata={"code": error.code})
            raise
        subprotocol = PROTOCOL if PROTOCOL in offered else None
        return Admitted(serializer, principal, address, budget, subprotocol)
