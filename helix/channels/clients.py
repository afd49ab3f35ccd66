"""The connection registry: counts all clients, closes dead ones, and drains them at a stop."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container, Sequence
from math import ceil
from random import Random
from typing import Final, Protocol

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from helix.access.principal import STRANGER
from helix.channels.connection import Connection
from helix.errors import CloseCode, Draining, TooManyConnections
from helix.limits.addresses import customer_of
from helix.telemetry.events import Telemetry

SILENCE_TIMEOUT = 60.0
"""Seconds after which a silent client counts as dead: two missed heartbeats."""

STALL_TIMEOUT = 30.0
"""Seconds for which a client may read nothing while bytes wait for it."""

SWEEP_INTERVAL = 2.0
"""Seconds between looks at who is silent or stalled."""

DRAIN_SPREAD = 2.5
"""The longest (seconds) that closing all clients is spread over."""

DRAIN_RATE = 2000.0
"""Clients closed a second while draining, where that fits into `DRAIN_SPREAD`."""

RESTART_SECONDS = 2.0
"""Seconds that a restart takes, about."""

RETURN_RATE = 500.0
"""Clients that are asked to come back in each second after that."""

DRAIN_INTERVAL = 0.05
"""Seconds between two batches."""

ABORTED_AT_ONCE = 30
"""How many clients whose transport has failed are cut off in one turn of the reactor."""

REVOKED_GRACE = 0.25
"""Seconds in which a client can read that it may do nothing more, before it is closed."""

CLOSE_GRACE = 1.0
"""Seconds that the last closed clients have to answer, before they are cut off."""


class Client(Protocol):
    """One connected client, over any transport."""

    address: str | None
    transport_name: str
    connection: Connection

    def close(self, code: CloseCode, reason: str) -> None:
        """Tell the client why it is closed, then close."""

    def abort(self) -> None:
        """Cut the client off."""


@attrs.frozen
class ClientLimits:
    """
    How many clients there may be.

    :ivar max_connections: in all.
    :ivar max_per_address: from one IP address (of IPv6: network); this machine is exempt.
    """

    max_connections: int = 20_000
    max_per_address: int = 200


class ClientService(Service):
    """
    The connection registry: counts clients, closes dead ones, and closes all before a stop.

    :param clock: the reactor.
    :param random: shuffles who is closed when.
    """

    name = "clients"

    _log: Final = Logger(namespace="helix.clients")

    def __init__(
        self, clock: IReactorTime, telemetry: Telemetry, limits: ClientLimits, random: Random
    ) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._limits = limits
        self._random = random
        self._clients: dict[Client, None] = {}
        self._by_address: Counter[str] = Counter()
        self._gone: Deferred[None] | None = None
        self._broken: deque[Client] = deque()
        self._aborting: IDelayedCall | None = None
        self.draining = False
        self._sweeping = LoopingCall(self.sweep)
        self._sweeping.clock = clock

    def __len__(self) -> int:
        return len(self._clients)

    def startService(self) -> None:
        super().startService()
        self._sweeping.start(SWEEP_INTERVAL, now=False).addErrback(
            lambda failure: self._log.failure("Looking for dead clients failed", failure)
        )

    def stopService(self) -> None:
        super().stopService()
        if self._sweeping.running:
            self._sweeping.stop()
        if self._aborting is not None:
            self._aborting.cancel()
            self._aborting = None

    def check_room(self, address: str | None) -> None:
        """
        Check whether one more client may connect from ``address``.

        :raises Draining: when the server is shutting down.
        :raises TooManyConnections: when there are as many as there may be.
        """
        if self.draining:
            raise Draining()
        if len(self._clients) >= self._limits.max_connections:
            raise TooManyConnections()
        customer = customer_of(address)
        if customer is not None and self._by_address[customer] >= self._limits.max_per_address:
            raise TooManyConnections("Too many connections from this address, try again later")

    def add(self, client: Client) -> None:
        """Count a client that has connected."""
        self._clients[client] = None
        customer = customer_of(client.address)
        if customer is not None:
            self._by_address[customer] += 1
        self._emit("helix.connection.opened", client)
        if self.draining:
            self._close(client, CloseCode.RESTART, self._restart_reason(1))

    def remove(self, client: Client) -> None:
        """Forget a client that is gone; without effect when it is not counted."""
        if client not in self._clients:
            return
        del self._clients[client]
        customer = customer_of(client.address)
        if customer is not None:
            self._by_address[customer] -= 1
            if not self._by_address[customer]:
                del self._by_address[customer]
        self._emit("helix.connection.closed", client)
        if self._gone is not None and not self._clients:
            gone, self._gone = self._gone, None
            gone.callback(None)

    def abort_soon(self, client: Client) -> None:
        """
        Cut off a client whose transport has failed: a few in each turn of the reactor, since
        thousands fail at once when a proxy or a network is gone.
        """
        self._broken.append(client)
        if self._aborting is None:
            self._aborting = self._clock.callLater(0, self._abort_some)

    @property
    def credentials(self) -> frozenset[str]:
        """By what clients came in that can be revoked."""
        held = {client.connection.principal.credential for client in self._clients}
        return frozenset(held - {""})

    def revoke(self, credentials: Container[str]) -> None:
        """
        Serve clients as strangers from now on. They are told what they may not do any more, and
        soon closed as those whose token is over.

        :param credentials: by which they came in. (`helix.access.principal.Principal`)
        """
        revoked = [
            client
            for client in self._clients
            if client.connection.principal.credential in credentials
        ]
        for client in revoked:
            client.connection.become(STRANGER)
        if revoked:
            self._clock.callLater(REVOKED_GRACE, self._close_revoked, revoked)

    def lagging(self, client: Client) -> None:
        """Emit that a client has begun to lag."""
        self._telemetry.emit("helix.connection.lagging", {}, {"transport": client.transport_name})

    def dropped(self, client: Client, code: int) -> None:
        """Emit that the server closes a client, and with which close code."""
        self._telemetry.emit(
            "helix.connection.dropped",
            metadata={"transport": client.transport_name, "code": int(code)},
        )

    def sweep(self) -> None:
        """Close clients that are silent, and clients that read nothing of what waits."""
        now = self._clock.seconds()
        for client in list(self._clients):
            blocked_since = client.connection.outlet.blocked_since
            if blocked_since is not None:
                if now - blocked_since >= STALL_TIMEOUT:
                    self._close(client, CloseCode.NOT_READING, "nothing was read for 30 s")
                    client.abort()
            elif now - client.connection.last_seen >= SILENCE_TIMEOUT:
                self._close(client, CloseCode.SILENT, "nothing was heard for 60 s")

    async def drain(self) -> None:
        """
        Close all clients with 1012, in batches, so that they don't all come back at once, and tell
        each in how many seconds to do so.

        Done when all are gone: at most `DRAIN_SPREAD` and `CLOSE_GRACE` later.
        """
        self.draining = True
        leaving = list(self._clients)
        self._random.shuffle(leaving)
        spread = min(DRAIN_SPREAD, len(leaving) / DRAIN_RATE)
        batch = -(-len(leaving) // max(1, round(spread / DRAIN_INTERVAL)))
        for start in range(0, len(leaving), max(1, batch)):
            if start:
                await self._sleep(DRAIN_INTERVAL * self._random.uniform(0.8, 1.2))
            for client in leaving[start : start + batch]:
                if client in self._clients:
                    self._close(client, CloseCode.RESTART, self._restart_reason(len(leaving)))
        await self._all_gone().addTimeout(CLOSE_GRACE, self._clock, lambda *_: None)
        for client in list(self._clients):
            client.abort()
        if leaving:  # who polls is gone with the answer, which is still to be written
            await self._sleep(DRAIN_INTERVAL)

    def _close_revoked(self, revoked: Sequence[Client]) -> None:
        for client in revoked:
            if client in self._clients:
                self._close(client, CloseCode.TOKEN_EXPIRED, "the token was revoked")

    def _close(self, client: Client, code: CloseCode, reason: str) -> None:
        """Close one of many: a fault at one keeps no other from being closed."""
        try:
            client.close(code, reason)
        except Exception:
            self._log.failure("A client could not be closed")
            self.abort_soon(client)

    def _abort_some(self) -> None:
        self._aborting = None
        for _ in range(min(ABORTED_AT_ONCE, len(self._broken))):
            self._broken.popleft().abort()
        if self._broken:
            self._aborting = self._clock.callLater(0, self._abort_some)

    def _restart_reason(self, count: int) -> str:
        """When to come back, as JSON: at random, so that of ``count`` clients few do at once."""
        wait = RESTART_SECONDS + self._random.uniform(0, count / RETURN_RATE)
        return f'{{"retry_after":{ceil(wait)}}}'

    def _all_gone(self) -> Deferred[None]:
        if not self._clients:
            return succeed(None)
        self._gone = Deferred()
        return self._gone

    def _sleep(self, seconds: float) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self._clock.callLater(seconds, done.callback, None)
        return done

    def _emit(self, event: str, client: Client) -> None:
        self._telemetry.emit(
            event, {"connections": len(self._clients)}, {"transport": client.transport_name}
        )
