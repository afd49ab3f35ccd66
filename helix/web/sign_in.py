"""The routes by which people sign in and out, and the one that says in which ways one may."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar
from urllib.parse import quote

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.iweb import IRequest

from helix.access.authorship import actor_of
from helix.errors import InvalidParameters, OriginRefused
from helix.identity.attempts import Reason, SignInFailed
from helix.identity.sign_in import SignIns
from helix.telemetry.events import Telemetry
from helix.web.admission import parameters, principal_of
from helix.web.base_path import ROOT, BasePath, base_of
from helix.web.cookies import Cookies, may_have_cookies
from helix.web.gate import check_admin
from helix.web.problems import write_not_found
from helix.web.routes import make_app, read_text, to_the_end, write_json
from helix.web.sign_in_page import SignInPage

MAX_TARGET_CHARACTERS = 2048

_AS_THEY_ARE = "/?&=%:@!$'()*+,;~[]"
"""What needs no encoding in an address's path and query, besides letters, digits and ``-_.``."""

_log = Logger(namespace="helix.web")

T = TypeVar("T")


def own_path(target: str | None, base: BasePath = ROOT) -> str:
    """
    Give the address of ours to which somebody wants to go after signing in.

    :param target: what the request names, with the base path or without; ``None`` for nothing.
    :param base: the path below which the server is.
    :return: a path below that, with a query if there is one; ``/`` for whatever leads elsewhere.
        What follows a ``#`` is left out, since it may be secret.
    """
    path = (target or "").partition("#")[0]
    is_plain = path.isprintable() and "\\" not in path and len(path) <= MAX_TARGET_CHARACTERS
    if is_plain and path.startswith("/"):
        path = base.without(path.encode()).decode()
        if not path.startswith(("//", "/auth/")):
            return quote(path, safe=_AS_THEY_ARE)
    return "/"


@attrs.frozen
class Ways:
    """
    In which ways clients may show who they are.

    :ivar anyone: whether they needn't.
    :ivar tokens: whether tokens count.
    :ivar header: whether a proxy names them.
    """

    anyone: bool
    tokens: bool
    header: bool


class SignInRoutes:
    """
    The routes under ``/auth``, and ``/api/auth``.

    :param ways: besides signing in.
    :param sign_ins: signs people in; ``None`` where they can't.
    :param announce: called when sessions have ended, and that is stored.
    """

    app: Final = make_app()
    beginnings: Final = (
        (b"api", b"auth"),
        (b"auth", b"sign-in"),
        (b"auth", b"callback"),
        (b"auth", b"sign-out"),
    )
    """How the addresses of the routes begin."""

    def __init__(
        self,
        ways: Ways,
        sign_ins: SignIns | None,
        cookies: Cookies,
        telemetry: Telemetry,
        announce: Callable[[], object],
    ) -> None:
        self._ways = ways
        self._sign_ins = sign_ins
        self._cookies = cookies
        self._telemetry = telemetry
        self._announce = announce
        self._page = SignInPage()

    @app.route("/api/auth", methods=["GET"])
    def auth_ways(self, request: IRequest) -> bytes:
        addresses = {"sign_in": "auth/sign-in", "sign_out": "auth/sign-out"}
        oidc = None if self._sign_ins is None else addresses
        return write_json(request, {**attrs.asdict(self._ways), "oidc": oidc})

    @app.route("/api/auth/sessions", methods=["DELETE"])
    async def end_sessions(self, request: IRequest) -> bytes:
        check_admin(request)
        if self._sign_ins is None:
            return write_not_found(request)
        principal_id = read_text(request, "principal")
        if not principal_id:
            raise InvalidParameters("principal must be the id of a person")
        ending = self._sign_ins.sessions.end_all(principal_id, actor_of(principal_of(request)))
        count = await to_the_end(self._announced(ending))
        return write_json(request, {"ended": count})

    @app.route("/auth/sign-in", methods=["GET"])
    async def sign_in(self, request: IRequest) -> bytes:
        if self._sign_ins is None:
            return write_not_found(request)
        to = own_path(read_text(request, "to"), base_of(request))
        try:
            begun = await self._sign_ins.begin(self._redirect_uri(request), to)
        except SignInFailed as failed:
            return self._write_failure(request, failed, to)
        self._cookies.set_attempt(request, begun.state, begun.record)
        return _redirect(request, begun.location)

    @app.route("/auth/callback", methods=["GET"])
    async def sign_in_callback(self, request: IRequest) -> bytes:
        if self._sign_ins is None:
            return write_not_found(request)
        query = request.uri.partition(b"?")[2].decode("latin-1")
        states = parameters(request, b"state")
        # Twice is once too often (RFC 6749, 3.1): it would be read in two ways.
        record = self._cookies.take_attempt(request, states[0] if len(states) == 1 else "")
        try:
            secret, to = await self._sign_ins.finish(self._redirect_uri(request), query, record)
        except SignInFailed as failed:
            return self._write_failure(request, failed, "/")
        self._cookies.set_session(request, secret)
        return _redirect(request, f"{base_of(request).path}{to}")

    @app.route("/auth/sign-out", methods=["POST"])
    async def sign_out(self, request: IRequest) -> bytes:
        if self._sign_ins is None:
            return write_not_found(request)
        if not self._cookies.is_own_page(request):
            raise OriginRefused("Only a page of this server can sign somebody out")
        secret = self._cookies.read_session(request, is_socket=False)
        ending = self._sign_ins.end(secret, f"{self._place(request)}/")
        location = await to_the_end(self._announced(ending))
        self._cookies.remove_session(request)
        return write_json(request, {"location": location})

    def _announced(self, ending: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
        """Tell other processes when sessions have ended."""

        def ended(result: T) -> T:
            self._announce()
            return result

        return Deferred.fromCoroutine(ending).addCallback(ended)

    def _redirect_uri(self, request: IRequest) -> str:
        if not may_have_cookies(self._cookies.origin(request) or ""):
            raise SignInFailed(Reason.ADDRESS)
        return f"{self._place(request)}/auth/callback"

    def _place(self, request: IRequest) -> str:
        """Give the address below which everything is, as browsers see it."""
        return f"{self._cookies.origin(request) or ''}{base_of(request).path}"

    def _write_failure(self, request: IRequest, failed: SignInFailed, to: str) -> bytes:
        self._telemetry.emit("helix.sign_in.failed", metadata={"reason": failed.reason.value})
        _log.debug("A sign-in failed: {reason}", reason=failed.reason.value)
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"referrer-policy", b"no-referrer")
        below = self._place(request)
        again = f"{below}/auth/sign-in?to={quote(to, safe='')}"
        return self._page.write(request, failed, again, f"{below}/")


def _redirect(request: IRequest, location: str) -> bytes:
    request.setResponseCode(303)
    request.setHeader(b"location", location.encode())
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"referrer-policy", b"no-referrer")
    return b""
