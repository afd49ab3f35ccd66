"""The cookies of who signs in: their names, and where they count."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import attrs
from twisted.web.iweb import IRequest

from helix.config import is_loopback
from helix.identity.attempts import SIGN_IN_SECONDS
from helix.identity.sessions import LONGEST_SECONDS
from helix.web.origins import normalised

SAFE_METHODS = (b"GET", b"HEAD", b"OPTIONS")

_STATE = re.compile("[0-9a-f]{32}")


def is_secure(origin: str) -> bool:
    """Tell whether browsers take secure cookies from an origin."""
    return origin.startswith("https://")


@attrs.frozen
class Cookies:
    """
    The cookies of a server. Over https their names begin with ``__Host-``: no other host, nor a
    page on the way there, can have set them.

    :ivar origin: gives the server's origin as the client of a request sees it.
    """

    origin: Callable[[IRequest], str | None]

    def read_session(self, request: IRequest, *, is_socket: bool) -> str | None:
        """
        Give the session's cookie, if it counts. It doesn't where another site's page may have made
        the browser send it, or somebody on the way have set it.

        :param is_socket: whether the request asks for a connection, which another site's page
            could read.
        """
        session = self._read(request, self._session_name(request))
        if session is None or not may_have_cookies(self.origin(request) or ""):
            return None
        counts = self.is_own_page(request) if is_socket else self._counts(request)
        return session if counts else None

    def is_own_page(self, request: IRequest) -> bool:
        """Tell whether a page of ours makes a request."""
        origin = request.getHeader(b"origin")
        if origin is None:  # browsers leave it out of a GET to the page's own origin
            return bool(request.getHeader(b"sec-fetch-site") == b"same-origin")
        own = self.origin(request)
        return own is not None and normalised(origin.decode("latin-1")) == normalised(own) != ""

    def _counts(self, request: IRequest) -> bool:
        if self.is_own_page(request):
            return True
        if request.getHeader(b"origin") is not None:
            return False
        site = request.getHeader(b"sec-fetch-site")
        if site == b"none":  # the person at the browser
            return True
        if request.method not in SAFE_METHODS:
            return False
        # A link at another site is followed, but nothing is loaded into its pages.
        return site is None or request.getHeader(b"sec-fetch-mode") == b"navigate"

    def set_session(self, request: IRequest, secret: str) -> None:
        """Let the browser keep a session's cookie."""
        self._set(request, self._session_name(request), secret, LONGEST_SECONDS)

    def remove_session(self, request: IRequest) -> None:
        """Let the browser forget the session's cookie."""
        self._set(request, self._session_name(request), "", 0)

    def set_attempt(self, request: IRequest, state: str, record: str) -> None:
        """Let the browser keep the record of a sign-in that has begun."""
        self._set(request, self._attempt_name(request, state), record, SIGN_IN_SECONDS)

    def take_attempt(self, request: IRequest, state: str) -> str | None:
        """Take that record back; ``None`` where there is none."""
        if _STATE.fullmatch(state) is None:
            return None
        name = self._attempt_name(request, state)
        record = self._read(request, name)
        if record is not None:
            self._set(request, name, "", 0)
        return record

    def _session_name(self, request: IRequest) -> str:
        return "__Host-helix" if self._is_secure(request) else "helix-session"

    def _attempt_name(self, request: IRequest, state: str) -> str:
        """Give one of 16 names, so that several tabs can sign in, and a browser keeps few."""
        name = "__Host-helix-sign-in" if self._is_secure(request) else "helix-sign-in"
        return f"{name}-{state[0]}"

    def _is_secure(self, request: IRequest) -> bool:
        return is_secure(self.origin(request) or "")

    @staticmethod
    def _read(request: IRequest, name: str) -> str | None:
        value = request.getCookie(name.encode())
        return None if value is None else value.decode("latin-1")

    def _set(self, request: Any, name: str, value: str, seconds: float) -> None:
        request.addCookie(
            name,
            value,
            path=b"/",
            max_age=b"%d" % seconds,
            secure=self._is_secure(request),
            httpOnly=True,
            sameSite=b"lax",
        )


def may_have_cookies(origin: str) -> bool:
    """Tell whether sessions are safe at an origin: over https, or on this machine."""
    host = urlsplit(origin).hostname or ""
    return is_secure(origin) or is_loopback(host) or host.endswith(".localhost")
