"""The root of the site: Klein's REST and ``/``, and the sockets beside them."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

import msgspec
from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import INTERNAL_SERVER_ERROR
from twisted.web.http import Request as HTTPRequest
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter

from helix import __version__
from helix.admission import header, parameters
from helix.auth import OriginPolicy
from helix.clients import ClientService
from helix.errors import (
    BodyTooLarge,
    Draining,
    HelixError,
    InvalidFlowId,
    InvalidParameters,
    MalformedBody,
    MalformedFrame,
    MissingChanges,
    OriginRefused,
    UnsupportedMediaType,
)
from helix.ids import parse_flow_id
from helix.metrics import CONTENT_TYPE, Metrics
from helix.problems import write_error, write_not_found, write_problem
from helix.protocol import decode_json, encode_json
from helix.service import FlowSessionService
from helix.session import FlowSession
from helix.telemetry import Telemetry

MAX_PAGE = 1000
"""Sessions in one answer."""

IDLE_TIMEOUT = 60
"""Seconds for which an HTTP connection may be silent."""

_SAFE_METHODS = (b"GET", b"HEAD", b"OPTIONS")


class _Sync(msgspec.Struct):
    changes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_sync = msgspec.json.Decoder(_Sync).decode


class _FlowId(BaseConverter):
    """Any text in a route: a flow id may hold slashes, and whether it is one is told elsewhere."""

    regex = "(?s:.*)"
    part_isolating = False


def _json(request: IRequest, value: object, status: int = 200) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"cache-control", b"no-store")
    return encode_json(value)


def _describe(session: FlowSession) -> dict[str, object]:
    return {
        "flow_id": session.flow_id,
        "client_count": session.client_count,
        "started_at": int(session.started_at),
        "last_activity": int(session.last_activity),
    }


class Web:
    """
    REST: the twins of what the sockets can do, and what operators ask for.

    :param max_body_bytes: the largest body.
    """

    app: Final = Klein()
    app.url_map.merge_slashes = False
    app.url_map.converters["flow"] = _FlowId
    _log: Final = Logger(namespace="helix.web")

    def __init__(
        self,
        sessions: FlowSessionService,
        clients: ClientService,
        metrics: Metrics,
        origins: OriginPolicy,
        max_body_bytes: int,
    ) -> None:
        self._sessions = sessions
        self._clients = clients
        self._metrics = metrics
        self._origins = origins
        self._max_body_bytes = max_body_bytes
        self._page = files("helix").joinpath("pages", "index.html").read_bytes()

    # pages and operations

    @app.route("/", methods=["GET"])
    def index(self, request: IRequest) -> bytes:
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        request.setHeader(
            b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"
        )
        return self._page.replace(b"{version}", __version__.encode())

    @app.route("/healthz", methods=["GET"])
    def healthz(self, request: IRequest) -> bytes:
        return _json(request, {"status": "ok", "version": __version__})

    @app.route("/readyz", methods=["GET"])
    def readyz(self, request: IRequest) -> bytes:
        if self._clients.draining:
            raise Draining()
        return _json(request, {"status": "ready"})

    @app.route("/metrics", methods=["GET"])
    def metrics(self, request: IRequest) -> bytes:
        request.setHeader(b"content-type", CONTENT_TYPE)
        return self._metrics.exposition()

    # flows

    @app.route("/api/flows/<flow:flow_id>/status", methods=["GET"])
    def status(self, request: IRequest, flow_id: str) -> bytes:
        try:
            session = self._sessions.get(parse_flow_id(flow_id))
        except InvalidFlowId:
            session = None
        return _json(
            request,
            {
                "active": session is not None,
                "client_count": session.client_count if session else 0,
                "last_activity": int(session.last_activity) if session else None,
            },
        )

    @app.route("/api/flows/<flow:flow_id>/sync", methods=["POST"])
    async def sync(self, request: IRequest, flow_id: str) -> bytes:
        changes = self._sync_body(request).changes
        if changes is msgspec.UNSET:
            raise MissingChanges()
        count = await self._sessions.broadcast(parse_flow_id(flow_id), bytes(changes))
        message = f"Changes sent to {count} client{'' if count == 1 else 's'}"
        return _json(request, {"success": True, "message": message})

    # sessions

    @app.route("/api/sessions", methods=["GET"])
    def list_sessions(self, request: IRequest) -> bytes:
        limit = self._limit(request)
        after = next(iter(parameters(request, b"after")), "")
        live = sorted(
            (s for s in self._sessions.sessions() if s.flow_id > after), key=lambda s: s.flow_id
        )
        page = live[:limit]
        return _json(
            request,
            {
                "sessions": [_describe(session) for session in page],
                "next": page[-1].flow_id if len(live) > len(page) else None,
            },
        )

    @app.route("/api/sessions/<flow:flow_id>", methods=["DELETE"])
    def close_session(self, request: IRequest, flow_id: str) -> bytes:
        count = self._sessions.close(parse_flow_id(flow_id))
        return _json(request, {"status": "session_closed", "clients_affected": count})

    # errors

    @app.handle_errors(HelixError)
    def _refuse(self, request: IRequest, failure: Failure) -> bytes:
        error = failure.value
        assert isinstance(error, HelixError)
        self._log.debug("Refused a request: {code}", code=error.code)
        return write_error(request, error)

    @app.handle_errors(HTTPException)
    def _no_route(self, request: IRequest, failure: Failure) -> bytes:
        error = failure.value
        assert isinstance(error, HTTPException)
        status = error.code or INTERNAL_SERVER_ERROR
        if isinstance(error, MethodNotAllowed):
            request.setHeader(b"allow", ", ".join(sorted(error.valid_methods or ())).encode())
            return write_problem(
                request, 405, "method_not_allowed", "This address does not take that method"
            )
        if status == 404:
            return write_not_found(request)
        return write_problem(request, status, "bad_request", "The request can't be served")

    @app.handle_errors(Exception)
    def _fault(self, request: IRequest, failure: Failure) -> bytes:
        self._log.failure("A request could not be served", failure)
        return write_problem(request, 500, "internal_error", "The server met a fault", retry=True)

    # inside

    def check_origin(self, request: IRequest) -> None:
        """
        Keep other sites' pages from changing anything here.

        :raises OriginRefused: when a page of an origin that isn't allowed asks for a change.
        """
        if request.method not in _SAFE_METHODS:
            self._origins.check(header(request, b"origin"), header(request, b"host"))

    def _limit(self, request: IRequest) -> int:
        text = next(iter(parameters(request, b"limit")), "100")
        if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_PAGE):
            raise InvalidParameters(f"limit is a whole number from 1 to {MAX_PAGE}")
        return int(text)

    def _sync_body(self, request: IRequest) -> _Sync:
        media_type = (header(request, b"content-type") or "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise UnsupportedMediaType()
        text = request.content.read()
        if len(text) > self._max_body_bytes:
            raise BodyTooLarge()
        try:
            text.decode()
            return decode_json(_decode_sync, text)
        except UnicodeDecodeError:
            raise MalformedBody("The body is not UTF-8") from None
        except MalformedFrame as error:
            raise MalformedBody(f"The body can't be read: {error.message}") from None


class _Branch(Resource):
    """A part of an address with nothing of its own."""

    def __init__(self, children: dict[bytes, IResource]) -> None:
        super().__init__()
        for name, child in children.items():
            self.putChild(name, child)

    def getChild(self, path: bytes, request: IRequest) -> Resource:
        return self

    def render(self, request: IRequest) -> bytes:
        return write_not_found(request)


def _readable(segment: bytes) -> bytes:
    """A segment of an address; one that isn't UTF-8 becomes one that is no name of anything."""
    try:
        segment.decode()
    except UnicodeDecodeError:
        return b"\0"
    return segment


class _REST(Resource):
    """Klein's resource behind what is checked for every request."""

    isLeaf = True

    def __init__(self, web: Web) -> None:
        super().__init__()
        self._web = web
        self._klein: IResource = web.app.resource()

    def render(self, request: IRequest) -> bytes | int:
        if not request.method.isalpha():
            return write_problem(request, 400, "bad_request", "The method is none")
        request.postpath = [_readable(segment) for segment in request.postpath]
        try:
            self._web.check_origin(request)
        except OriginRefused as error:
            return write_error(request, error)
        # Routes don't depend on the host, and what parses it raises on many that clients send.
        request.setHost(b"localhost", 80)
        rendered: bytes | int = self._klein.render(request)
        return rendered


class Root(Resource):
    """``/socket/...`` to the sockets, everything else to Klein."""

    def __init__(self, web: Web, websocket: IResource, longpoll: IResource) -> None:
        super().__init__()
        self._rest = _REST(web)
        self.putChild(b"socket", _Branch({b"websocket": websocket, b"longpoll": longpoll}))

    def getChild(self, path: bytes, request: IRequest) -> Resource:
        request.prepath.pop()
        request.postpath.insert(0, path)
        return self._rest


class LimitedRequest(Request):
    """
    A request whose body is bounded while it arrives.

    :cvar max_body_bytes: where more is announced or comes, the answer is 413 and the end.
    """

    max_body_bytes = 0

    _received = 0
    _refused = False

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        if length is not None and length > self.max_body_bytes:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self.max_body_bytes and not self._refused:
            self._refuse()
        if not self._refused:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self._refused:
            return
        scheme, separator, rest = path.partition(b"://")
        if scheme.lower() in (b"http", b"https") and separator:  # RFC 9112, 3.2.2
            path = b"/" + rest.partition(b"/")[2]
        super().requestReceived(command, path, version)

    def _refuse(self) -> None:
        self._refused = True
        self.clientproto = b"HTTP/1.1"  # known only with the whole request
        self.setHeader(b"connection", b"close")
        body = write_problem(self, 413, "body_too_large", BodyTooLarge.default_message)
        self.setHeader(b"content-length", b"%d" % len(body))
        self.write(body)
        assert self.content is not None
        self.content.close()
        self.channel.factory.log(self)
        self.channel.loseConnection()


class HelixSite(Site):
    """
    The site.

    :param int max_body_bytes: the largest request body.
    """

    _log: Final = Logger(namespace="helix.web")

    def __init__(
        self, root: Resource, max_body_bytes: int, reactor: IReactorTime, telemetry: Telemetry
    ) -> None:
        self._telemetry = telemetry
        kind = type("LimitedRequest", (LimitedRequest,), {"max_body_bytes": max_body_bytes})
        super().__init__(
            root,
            requestFactory=kind,
            parsePOSTFormSubmission=False,
            timeout=IDLE_TIMEOUT,
            reactor=reactor,
        )

    def log(self, request: HTTPRequest) -> None:
        """Count the answer, and log it without the query, where tokens are."""
        self._telemetry.emit("helix.request.answered", metadata={"status": request.code})
        path = request.uri.partition(b"?")[0].decode("latin-1")
        self._log.debug(
            "{method} {path} {status}", method=request.method, path=path, status=request.code
        )
