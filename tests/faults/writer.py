"""
A participant (`tests.support.participant`) that rests between its edits, and may go elsewhere.

Its URL may name several places, one after another behind commas. It begins at the first, and where
it is cut off, or can't get in within `PATIENCE`, it goes to the next.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import react
from zope.interface import implementer

from helix.client import FlowClient
from tests.support.participant import Attendance, Participant, main

PATIENCE = 2
"""Seconds that one place has to take the connection."""

REST = 0.25
"""Seconds of the longest rest after an edit that was acknowledged."""


@implementer(IStreamClientEndpoint)
class Places:
    """Several places of one server, each attempt to connect at the next."""

    def __init__(self, reactor: Any, urls: list[str]) -> None:
        places = [urlsplit(url).netloc.split(":") for url in urls]
        self._places = cycle(
            TCP4ClientEndpoint(reactor, host, int(port), timeout=PATIENCE) for host, port in places
        )

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        connecting: Deferred[IProtocol] = next(self._places).connect(factory)
        return connecting


class Writer(Participant):
    """One that rests."""

    def __init__(self, reactor: Any, arguments: list[str]) -> None:
        self._reactor = reactor
        super().__init__(reactor, arguments)

    def make_client(self, reactor: Any, url: str, flow_id: str) -> FlowClient:
        urls = url.split(",")
        return FlowClient(
            reactor,
            urls[0],
            flow_id,
            client_id=self._name,
            random=self._random,
            endpoint=Places(reactor, urls),
        )

    def go_on(self, flow: Attendance) -> None:
        self._reactor.callLater(self._random.random() * REST, self.edit, flow)


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, Writer)))
