"""A server's flows over REST: list, export and import them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from treq.client import HTTPClient
from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.client import Agent, HTTPConnectionPool, ResponseFailed, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from helix.client.socket import Address
from helix.client.tokens import Token, ask_for, bearer
from helix.documents.ids import parse_flow_id
from helix.errors import Disconnected, Refused
from helix.records import Actor

CONNECT_TIMEOUT = 10.0
"""Seconds until a connection must be open."""

TIMEOUT = 60.0
"""Seconds until a request must be answered in full."""

FLOWS_ON_A_PAGE = 100


class ListedFlow(msgspec.Struct, frozen=True):
    """
    A flow as a list shows it.

    :ivar updated_at: Unix seconds.
    """

    id: str
    version: int
    title: str = ""
    description: str = ""
    node_count: int = 0
    edge_count: int = 0
    updated_at: float = 0.0


class ListedVersion(msgspec.Struct, frozen=True):
    """
    A version that has a name.

    :ivar by: who named it, as a name to show.
    :ivar at: when, Unix seconds.
    :ivar actor: who named it; ``None`` where nothing proves that.
    :ivar tags: what the name is marked with.
    """

    version: int
    name: str
    by: str = ""
    at: float = 0.0
    actor: Actor | None = None
    tags: dict[str, Any] = {}


class Dropped(msgspec.Struct, frozen=True):
    """How many nodes and edges of a file could not be kept, and parents of nodes that were."""

    nodes: int = 0
    edges: int = 0
    parents: int = 0


class ImportedFlow(msgspec.Struct, frozen=True):
    """A flow that was imported."""

    id: str
    title: str = ""
    dropped: Dropped = Dropped()


class _Page(msgspec.Struct):
    flows: list[ListedFlow]
    next: str | None = None


class _Versions(msgspec.Struct):
    versions: list[ListedVersion]


class _Problem(msgspec.Struct):
    detail: str | None = None
    title: str | None = None
    code: str | None = None
    retry: bool = False


_decode_page = msgspec.json.Decoder(_Page).decode
_decode_versions = msgspec.json.Decoder(_Versions).decode
_decode_problem = msgspec.json.Decoder(_Problem).decode
_decode_imported = msgspec.json.Decoder(ImportedFlow).decode


class FlowsApi:
    """
    ``/api/flows`` of a server.

    Its calls fail with `Refused` when the server says no, with `Disconnected` when it can't be
    reached or doesn't answer within `TIMEOUT`, with `InvalidFlowId` for what can't be an id.

    :param url: the server's, ``http://127.0.0.1:4000`` for one; ``ws`` and ``wss`` too.
    :param token: shows the server who asks; a function is called for each request.
    :raises ValueError: when ``url`` is no such URL, or ``token`` no token.
    """

    def __init__(self, reactor: Any, url: str, token: Token | None = None) -> None:
        if isinstance(token, str):
            bearer(token)
        self._token = token
        self._reactor = reactor
        self._url = Address.of(url).site
        self._pool = HTTPConnectionPool(reactor)
        self._http = HTTPClient(Agent(reactor, connectTimeout=CONNECT_TIMEOUT, pool=self._pool))

    def close(self) -> Deferred[None]:
        """Close what connections are left."""
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed

    async def flows(self, text: str = "") -> AsyncIterator[ListedFlow]:
        """List the flows whose id, title or description hold ``text``, the newest first."""
        cursor: str | None = None
        while True:
            query = {"limit": str(FLOWS_ON_A_PAGE)}
            query |= {"q": text} if text else {}
            query |= {"cursor": cursor} if cursor else {}
            page = _read(_decode_page, await self._request("GET", f"?{urlencode(query)}"))
            for flow in page.flows:
                yield flow
            cursor = page.next
            if cursor is None:
                return

    async def versions(self, flow_id: str) -> list[ListedVersion]:
        """List the versions of a flow that have names, the newest first."""
        address = f"/{quote(parse_flow_id(flow_id), safe='')}/versions"
        read: _Versions = _read(_decode_versions, await self._request("GET", address))
        return read.versions

    async def export(self, flow_id: str) -> bytes:
        """Give a flow as JSON that `import_` takes."""
        return await self._request("GET", f"/{quote(parse_flow_id(flow_id), safe='')}/export")

    async def import_(self, text: bytes, flow_id: str | None = None, by: str = "") -> ImportedFlow:
        """
        Make a flow from what was exported (JSON).

        :param flow_id: its id; the server makes one up if ``None``.
        :param by: who does so, as a name to show.
        """
        named = {} if flow_id is None else {"id": parse_flow_id(flow_id)}
        query = urlencode({**named, "by": by})
        imported: ImportedFlow
        imported = _read(_decode_imported, await self._request("POST", f"/import?{query}", text))
        return imported

    async def _request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        answered = Deferred.fromCoroutine(self._exchange(method, path, body))
        try:
            return await answered.addTimeout(TIMEOUT, self._reactor)
        except (CancelledError, Disconnected, Refused):
            raise
        except defer.TimeoutError:
            raise Disconnected(f"{self._url} doesn't answer in time") from None
        except ResponseFailed as error:
            why = error.reasons[0].getErrorMessage()
            raise Disconnected(f"{self._url} can't be reached: {why}") from None
        except Exception as error:  # connections fail with whatever their kind does
            raise Disconnected(f"{self._url} can't be reached: {error}") from None

    async def _exchange(self, method: str, path: str, body: bytes | None) -> bytes:
        token = await ask_for(self._token, self._reactor)
        headers = {} if token is None else bearer(token)
        if body is not None:
            headers["Content-Type"] = "application/json"
        response: IResponse = await self._http.request(
            method,
            f"{self._url}/api/flows{path}",
            data=body,
            headers=Headers({name: [value] for name, value in headers.items()}),
        )
        content: bytes = await readBody(response)
        if response.code >= 400:
            raise _refused(response.code, content)
        return content


def _refused(status: int, content: bytes) -> Refused:
    try:
        problem = _decode_problem(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = _Problem()
    reason = problem.detail or problem.title or f"The server answered {status}"
    return Refused(reason, problem.code, problem.retry)


def _read(decode: Any, text: bytes) -> Any:
    try:
        return decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Refused("The server answered what can't be understood") from None
