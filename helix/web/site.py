"""The root of the site: REST, ``/``, and the sockets beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger
from twisted.web.http import Request as HTTPRequest
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site

from helix import __version__
from helix.access.principal import ANYBODY, STRANGER, Principal
from helix.channels.clients import ClientService
from helix.delivery.backlog import Backlog
from helix.documents.ids import parse_flow_id
from helix.errors import (
    Draining,
    HelixError,
    OriginRefused,
    RateLimited,
    StoreUnavailable,
    TooManyConnections,
)
from helix.flows.everywhere import SessionsEverywhere
from helix.flows.service import FlowSessionService
from helix.limits.addresses import TrustedProxies
from helix.telemetry.events import Telemetry
from helix.telemetry.figures import Figures
from helix.telemetry.metrics import CONTENT_TYPE
from helix.web.access import describe_principal
from helix.web.admission import Visitors, host_of, principal_of
from helix.web.base_path import BasePath
from helix.web.editor_files import EditorFiles
from helix.web.etags import Conditions
from helix.web.gate import Gate, check_admin
from helix.web.http_channel import Channel, HttpConnections
from helix.web.http_request import BodyLimits, LimitedRequest, Words
from helix.web.openapi import ApiDocs
from helix.web.origins import HostPolicy
from helix.web.problems import write_error, write_not_found, write_problem
from helix.web.representations import describe_completeness, describe_open_flow
from helix.web.routes import (
    make_app,
    read_limit,
    read_text,
    read_user_name,
    readable,
    to_the_end,
    write_json,
    write_known,
)
from helix.web.sharing import SharingRoutes, is_about_access
from helix.web.sign_in import SignInRoutes
from helix.web.status_page import StatusPage
from helix.web.waiting import answer_when

SESSIONS_ON_A_PAGE = 100

_SAFE_METHODS = (b"GET", b"HEAD", b"OPTIONS")


class Routes(Protocol):
    """Some routes of REST."""

    @property
    def app(self) -> Klein: ...


class Web:
    """
    The routes of pages, sessions, and for operators.

    :param editor: the built editor; without it ``/`` is the status page, too.
    :param base: the path below which the server is.
    """

    app: Final = make_app()

    def __init__(
        self,
        sessions: FlowSessionService,
        clients: ClientService,
        figures: Figures,
        status: StatusPage,
        editor: EditorFiles | None,
        base: BasePath,
    ) -> None:
        self._sessions = sessions
        self._everywhere = SessionsEverywhere(sessions)
        self._clients = clients
        self._figures = figures
        self._status = status
        self._editor = editor
        self._docs = ApiDocs.load(base)

    # pages and operations

    @app.route("/", methods=["GET"])
    def index(self, request: IRequest) -> bytes | Deferred[bytes]:
        if self._editor is not None:
            return self._editor.write_page(request)
        return self.status_page(request)

    @app.route("/status", methods=["GET"])
    def status_page(self, request: IRequest) -> Deferred[bytes]:
        check_admin(request)
        return self._status.write(request)

    @app.route("/status.js", methods=["GET"])
    def status_script(self, request: IRequest) -> bytes:
        return self._status.write_script(request)

    @app.route("/api/status", methods=["GET"])
    def server_status(self, request: IRequest) -> Deferred[bytes]:
        check_admin(request)
        return self._status.write_numbers(request)

    @app.route("/flow/<flow:flow_id>", methods=["GET"])
    def flow_page(self, request: IRequest, flow_id: str) -> bytes:
        if self._editor is None:
            return write_not_found(request)
        return self._editor.write_page(request)

    @app.route("/assets/<flow:name>", methods=["GET"])
    def asset(self, request: IRequest, name: str) -> bytes:
        if self._editor is None:
            return write_not_found(request)
        return self._editor.write_asset(request, name)

    @app.route("/healthz", methods=["GET"])
    def healthz(self, request: IRequest) -> bytes:
        return write_json(request, {"status": "ok", "version": __version__})

    @app.route("/readyz", methods=["GET"])
    def readyz(self, request: IRequest) -> bytes:
        if self._clients.draining:
            raise Draining()
        if not self._sessions.store.is_open:
            raise StoreUnavailable("The store is not open yet")
        return write_json(request, {"status": "ready"})

    @app.route("/metrics", methods=["GET"])
    def metrics(self, request: IRequest) -> Deferred[bytes]:
        check_admin(request)
        request.setHeader(b"content-type", CONTENT_TYPE)
        return self._figures.exposition()

    @app.route("/api/openapi.json", methods=["GET"])
    def openapi(self, request: IRequest) -> bytes:
        if write_known(request, self._docs.document_tag, Conditions.of(request)):
            return b""
        request.setHeader(b"content-type", b"application/json")
        return self._docs.document

    @app.route("/api/docs", methods=["GET"])
    def docs(self, request: IRequest) -> bytes:
        if write_known(request, self._docs.page_tag, Conditions.of(request)):
            return b""
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        request.setHeader(b"content-security-policy", self._docs.page_policy)
        request.setHeader(b"x-frame-options", b"DENY")
        return self._docs.page

    # who asks

    @app.route("/api/me", methods=["GET"])
    def me(self, request: IRequest) -> bytes:
        return write_json(request, describe_principal(principal_of(request)))

    # sessions

    @app.route("/api/sessions", methods=["GET"])
    async def list_sessions(self, request: IRequest) -> bytes:
        check_admin(request)
        limit = read_limit(request, SESSIONS_ON_A_PAGE)
        after = read_text(request, "after") or ""
        found = await self._everywhere.open_flows(after, limit)
        page = found.value
        listed = {
            "sessions": [describe_open_flow(flow) for flow in page.flows],
            "next": page.flows[-1].flow_id if page.is_more else None,
        }
        return write_json(request, listed | describe_completeness(found))

    @app.route("/api/sessions/<flow:flow_id>", methods=["DELETE"])
    async def close_session(self, request: IRequest, flow_id: str) -> bytes:
        check_admin(request)
        closing = self._everywhere.close(parse_flow_id(flow_id), read_user_name(request))
        closed = await to_the_end(Deferred.fromCoroutine(closing))
        answer = {"status": "session_closed", "clients_affected": closed.value}
        return write_json(request, answer | describe_completeness(closed))


def _words(app: Klein) -> Words:
    """What the addresses of an application are made of besides ids."""
    segments = [part for rule in app.url_map.iter_rules() for part in rule.rule.split("/")]
    return frozenset(part.encode() for part in segments if part and "<" not in part)


def _first_words(app: Klein) -> Words:
    """What the addresses of an application begin with."""
    firsts = [rule.rule.split("/")[1] for rule in app.url_map.iter_rules()]
    return frozenset(first.encode() for first in firsts if first)


class _Branch(Resource):
    """A part of an address without a resource of its own."""

    def __init__(self, children: dict[bytes, IResource]) -> None:
        super().__init__()
        for name, child in children.items():
            self.putChild(name, child)

    def getChild(self, path: bytes, request: IRequest) -> Resource:
        return _Branch({})

    def render(self, request: IRequest) -> bytes:
        return write_not_found(request)


class _Refusal(Resource):
    """Answers every request with an error."""

    isLeaf = True

    def __init__(self, error: HelixError) -> None:
        super().__init__()
        self._error = error

    def render(self, request: IRequest) -> bytes:
        return write_error(request, self._error)


class _Sockets(_Branch):
    """The resources under ``/socket``; each request is counted."""

    def __init__(self, children: dict[bytes, IResource], visitors: Visitors) -> None:
        super().__init__(children)
        self._visitors = visitors

    def getChildWithDefault(self, path: bytes, request: IRequest) -> IResource:
        try:
            if path != b"longpoll":  # which counts for itself
                self._visitors.check_request(request)
        except RateLimited as error:
            return _Refusal(error)
        child: IResource = super().getChildWithDefault(path, request)
        return child

    def render(self, request: IRequest) -> bytes:
        try:
            self._visitors.check_request(request)
        except RateLimited as error:
            return write_error(request, error)
        return super().render(request)


class _REST(Resource):
    """Klein's resources, after the checks of every request."""

    isLeaf = True

    def __init__(
        self,
        web: Web,
        api: Mapping[bytes, Routes],
        sharing: SharingRoutes,
        auth: SignInRoutes,
        visitors: Visitors,
        gate: Gate,
    ) -> None:
        super().__init__()
        self._visitors = visitors
        self._gate = gate
        self._pages: IResource = web.app.resource()
        self._routes: dict[tuple[bytes, ...], IResource] = {
            (b"api", word): routes.app.resource() for word, routes in api.items()
        }
        self._sharing = self._routes[b"api", b"audit"] = sharing.app.resource()
        signing_in = auth.app.resource()
        self._routes |= dict.fromkeys(auth.beginnings, signing_in)

    def render(self, request: IRequest) -> bytes | int:
        try:
            self._visitors.check_request(request)
            if request.method not in _SAFE_METHODS:
                self._visitors.check_page(request)
        except (OriginRefused, RateLimited) as error:
            return write_error(request, error)
        if not request.method.isalpha():
            return write_problem(request, 400, "bad_request", "The method is none")
        request.postpath = [readable(segment) for segment in request.postpath]
        charge = self._visitors.charge_of(request)
        began = self._visitors.work()
        try:
            return answer_when(
                request,
                self._gate.identify(request),
                partial(self._serve, request),
                partial(write_error, request),
            )
        finally:
            if charge is not None:
                charge(self._visitors.work() - began, 0)

    def _serve(self, request: Any, principal: Principal) -> bytes | int:
        request.principal = principal
        return self._route(request)

    def _route(self, request: Any) -> bytes | int:
        if principal_of(request) not in (ANYBODY, STRANGER):
            request.setHeader(b"vary", self._gate.identification.vary)
        # Routes don't depend on the host, and what parses it raises on many that clients send.
        request.own_origin = self._visitors.own_origin(request)
        request.setHost(b"localhost", 80)
        rendered: bytes | int = self._routes_of(request.postpath).render(request)
        return rendered

    def _routes_of(self, path: Sequence[bytes]) -> IResource:
        """Find who knows an address, by its segments."""
        if tuple(path[:2]) == (b"api", b"flows") and is_about_access(path[2:]):
            return self._sharing
        return self._routes.get(tuple(path[:2]), self._pages)


class Root(Resource):
    """
    ``/socket/...`` to the sockets, everything else to Klein.

    :param web: what isn't in ``api``.
    :param api: the first word below ``/api`` -> its routes.
    :param sharing: those of access, which are also below ``/api/flows``.

    :ivar words: what its addresses are made of besides ids.
    :ivar first_words: what its addresses begin with.
    """

    def __init__(
        self,
        web: Web,
        api: Mapping[bytes, Routes],
        sharing: SharingRoutes,
        auth: SignInRoutes,
        visitors: Visitors,
        gate: Gate,
        websocket: IResource,
        longpoll: IResource,
        check: IResource,
    ) -> None:
        super().__init__()
        self._rest = _REST(web, api, sharing, auth, visitors, gate)
        sockets = {b"websocket": websocket, b"longpoll": longpoll, b"check": check}
        self.putChild(b"socket", _Sockets(sockets, visitors))
        served: Sequence[Routes] = (web, sharing, auth, *api.values())
        apps = [routes.app for routes in served]
        self.words: Words = frozenset({b"socket", *sockets}).union(*map(_words, apps))
        self.first_words: Words = frozenset({b"socket"}).union(*map(_first_words, apps))

    def getChild(self, path: bytes, request: IRequest) -> Resource:
        request.prepath.pop()
        request.postpath.insert(0, path)
        return self._rest


class HelixSite(Site):
    """
    The site.

    :param hosts: by which names it may be asked for.
    :param base: the path below which it is.
    :param proxies: may open as many connections as they like.
    :param keep_alive: seconds that a connection stays open without a request.

    :ivar is_leaving: whether no connection stays open after its next request.
    """

    _log: Final = Logger(namespace="helix.web")

    noisy = False  # the start says what matters of it (`helix.announcement`)
    protocol = Channel  # type: ignore[assignment]  # Twisted wraps it, for HTTP/2

    def __init__(
        self,
        root: Root,
        limits: BodyLimits,
        hosts: HostPolicy,
        base: BasePath,
        connections: HttpConnections,
        proxies: TrustedProxies,
        keep_alive: float,
        reactor: IReactorTime,
        telemetry: Telemetry,
        backlog: Backlog,
    ) -> None:
        self.is_leaving = False
        self._connections = connections
        self._proxies = proxies
        self._telemetry = telemetry
        settings = {
            "limits": limits,
            "hosts": hosts,
            "base": base,
            "words": root.words,
            "telemetry": telemetry,
            "backlog": backlog,
        }
        kind = type("LimitedRequest", (LimitedRequest,), settings)
        super().__init__(
            root,
            requestFactory=kind,
            parsePOSTFormSubmission=False,
            timeout=keep_alive,
            reactor=reactor,
        )

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Accept a connection, or close it at once if there are too many."""
        channel: Any = super().buildProtocol(addr)
        peer = host_of(addr)
        if self._connections.enter(channel, None if self._proxies.trust(peer) else peer):
            return channel
        self._telemetry.emit("helix.connection.refused", metadata={"code": TooManyConnections.code})
        return None

    def refused_unread(self) -> None:
        """Count the answer to what could not be read."""
        self._telemetry.emit("helix.request.answered", metadata={"status": 400})
        self._log.debug("A request could not be read")

    def log(self, request: HTTPRequest) -> None:
        """Count the answer, and log it without the query, which may hold tokens."""
        self._telemetry.emit("helix.request.answered", metadata={"status": request.code})
        path = request.uri.partition(b"?")[0].decode("latin-1")
        self._log.debug(
            "{method} {path} {status}", method=request.method, path=path, status=request.code
        )
