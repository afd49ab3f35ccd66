"""The name that an authenticating proxy gives a client, in a header of its own."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from helix.access.principal import FlowPattern, Kind, Principal
from helix.errors import TokenRefused
from helix.identity.claims import parse_id
from helix.limits.addresses import TrustedProxies
from helix.telemetry.events import Telemetry

_ANY_FLOW = FlowPattern.parse("*")


@attrs.frozen
class ProxyHeader:
    """
    The header in which a trusted proxy names clients.

    :ivar name: of the header.
    :ivar proxies: those that are trusted.
    :ivar telemetry: is told of who else sends the header.
    """

    name: str
    proxies: TrustedProxies
    telemetry: Telemetry

    def read(self, peer: str | None, values: Sequence[bytes]) -> str | None:
        """
        Read who a request's client is.

        :param peer: the IP address that is connected; ``None`` for a unix socket.
        :param values: of the header.
        :return: ``None`` if nobody is named.
        :raises TokenRefused: when the header comes from elsewhere, or names nobody properly.
        """
        if not values:
            return None
        if not self.proxies.trust(peer):
            self.telemetry.emit("helix.request.forged_name")
            raise TokenRefused(f"{self.name} counts from a trusted proxy only")
        if len(values) > 1:
            raise TokenRefused(f"{self.name} came more than once")
        try:
            named = values[0].decode().strip()
            return parse_id(named) if named else None
        except ValueError:  # no UTF-8 either
            raise TokenRefused(f"{self.name} holds no name") from None


def named_principal(name: str) -> Principal:
    """Give the principal whom a proxy has named: a person, who may make flows."""
    return Principal(id=name, name=name, kind=Kind.PERSON, create=(_ANY_FLOW,))
