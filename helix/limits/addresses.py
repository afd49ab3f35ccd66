"""IP addresses: which client is behind one, and how much each may send."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from weakref import WeakValueDictionary

import attrs

from helix.limits.rate_limit import BURST_SECONDS, Allowance, Rates, TokenBucket, Work

MAX_REMEMBERED = 10_000
"""Addresses that are remembered without a connection: about 10 MB."""

MAX_HOPS = 32
"""How many proxies a request may have come through."""

CUSTOMER_BITS = 64
"""Bits of an IPv6 address that identify one customer, who has all addresses that begin so."""

UNIX = "unix"
"""Stands for all unix sockets among the trusted proxies."""

Network = IPv4Network | IPv6Network


@lru_cache(maxsize=1024)
def _parse(text: str) -> IPv4Address | IPv6Address:
    """
    Read an address without a zone; an IPv4 address in IPv6 notation becomes an IPv4 address.

    :raises ValueError: when it is none.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=1024)
def customer_of(address: str | None) -> str | None:
    """
    Give the customer to whom the limits of an address apply.

    :param address: ``None`` for the peer of a unix socket.
    :return: the address, or of IPv6 its network; ``None`` for this machine, which has no limits.
    """
    if address is None:
        return None
    parsed = _parse(address)
    if parsed.is_loopback:
        return None
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, CUSTOMER_BITS), strict=False))
    return str(parsed)


@attrs.frozen
class TrustedProxies:
    """
    The proxies that are trusted to say which client they forward.

    :ivar networks: their addresses.
    :ivar unix: whether all peers of unix sockets are trusted.
    """

    networks: Sequence[Network] = ()
    unix: bool = False

    @classmethod
    def parse(cls, trusted: Sequence[str]) -> TrustedProxies:
        """
        Read addresses, networks and ``unix``.

        :raises ValueError: when one is something else.
        """
        networks = tuple(ip_network(one) for one in trusted if one != UNIX)
        return cls(networks, UNIX in trusted)

    def client_address(self, peer: str | None, forwarded: Sequence[str]) -> str | None:
        """
        Find the address that a request comes from.

        Each proxy adds the address of its peer at the right. So the list is true from the right up
        to the first address that isn't a trusted proxy. What is left of that may be forged.

        :param peer: who is connected; ``None`` for a unix socket.
        :param forwarded: the values of its ``X-Forwarded-For``.
        :return: the address; that of the last proxy if it named none.
        """
        if not self.trust(peer):
            return peer
        hops = ",".join(forwarded).rsplit(",", MAX_HOPS)[-MAX_HOPS:]
        client = peer
        for hop in reversed(hops):
            try:
                client = str(_parse(_without_port(hop.strip())))
            except ValueError:
                break
            if not self.trust(client):
                break
        return client

    def trust(self, peer: str | None) -> bool:
        """Tell whether a peer is one of them; ``None`` for that of a unix socket."""
        if peer is None:
            return self.unix
        address = _parse(peer)
        return any(address in network for network in self.networks)


def _without_port(hop: str) -> str:
    """Some proxies add the port: ``192.0.2.1:4711``, ``[2001:db8::1]:4711``."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


@attrs.frozen
class AddressLimits:
    """
    The limits of one address.

    :ivar rates: of frames, from all its clients together.
    :ivar channels: topics joined at once, by all of them.
    :ivar connects, requests, creations: per second, on average; ten times as many in a burst.
    :ivar work_share: share of the reactor's time that its messages may take on average.
    """

    rates: Rates
    channels: int
    connects: float
    requests: float
    creations: float
    work_share: float = 0.5


class AddressBudget:
    """
    The budget of one address: what its clients may still do.

    :ivar channels: topics that its clients may join besides those that they have.
    """

    __slots__ = (
        "__weakref__",
        "allowance",
        "channels",
        "connects",
        "creations",
        "requests",
        "work",
    )

    def __init__(self, limits: AddressLimits, now: float) -> None:
        self.allowance = Allowance(limits.rates, now)
        self.channels = limits.channels
        self.connects = TokenBucket(limits.connects, limits.connects * BURST_SECONDS, now)
        self.requests = TokenBucket(limits.requests, limits.requests * BURST_SECONDS, now)
        self.creations = TokenBucket(limits.creations, limits.creations * BURST_SECONDS, now)
        self.work = Work(limits.work_share, now)

    def owe(self, seconds: float, size: int, now: float) -> float:
        """As `helix.channels.budget.ClientBudget.owe`, for all that come from there."""
        if size:
            self.allowance.owe_size(size, now)
        return self.work.owe(now, seconds)


class AddressBook:
    """
    The budgets of all connected addresses, and of those seen most recently.

    :param limits: of each.
    """

    def __init__(self, limits: AddressLimits) -> None:
        self._limits = limits
        self._budgets: WeakValueDictionary[str, AddressBudget] = WeakValueDictionary()
        self._remembered: OrderedDict[str, AddressBudget] = OrderedDict()

    def __len__(self) -> int:
        return len(self._budgets)

    def budget(self, address: str | None, now: float) -> AddressBudget | None:
        """
        Give the budget of an address; it stays the same as long as the caller keeps it.

        :param address: ``None`` for the peer of a unix socket.
        :param now: the time, in seconds.
        :return: ``None`` for this machine, which has no limits.
        """
        customer = customer_of(address)
        if customer is None:
            return None
        budget = self._budgets.get(customer)
        if budget is None:
            budget = self._budgets[customer] = AddressBudget(self._limits, now)
        self._remembered[customer] = budget
        self._remembered.move_to_end(customer)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return budget
