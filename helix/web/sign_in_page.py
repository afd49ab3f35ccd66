"""The page that says why somebody wasn't signed in."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files

import attrs
from twisted.web.iweb import IRequest

from helix.identity.attempts import Reason, SignInFailed

_PLACE = re.compile(r"\{(\w+)\}")

_TELL = "If that doesn't help, tell whoever runs this server; its log says what failed."


@attrs.frozen
class _Told:
    """What is told, and the HTTP status with it."""

    status: int
    title: str
    text: str


_TEXTS = {
    Reason.STATE: _Told(
        400,
        "This sign-in is over",
        "It took longer than ten minutes, was used already, or began in another browser. Also make "
        "sure that the browser takes cookies from this address.",
    ),
    Reason.REFUSED: _Told(
        403,
        "You are not signed in",
        "The sign-in service has sent you back without signing you in.",
    ),
    Reason.AWAY: _Told(
        503,
        "The sign-in service is out of reach",
        f"Helix has asked it, and got no answer. Try again in a minute. {_TELL}",
    ),
    Reason.CODE: _Told(
        502,
        "The sign-in service has turned Helix down",
        "You have signed in, but the service gave Helix no proof of that. Try again. If it happens "
        "again, tell whoever runs this server: the client id, its secret and the redirect address "
        "must be as the service knows them.",
    ),
    Reason.TOKEN: _Told(
        502,
        "The sign-in service's answer doesn't count",
        f"Helix has checked who you are, and can't be sure. Try again. {_TELL}",
    ),
    Reason.PERSON: _Told(
        403,
        "Your account can't be used here",
        "The sign-in service tells too little of it. Ask whoever runs the service, or use another "
        "account.",
    ),
    Reason.BUSY: _Told(
        503,
        "Too many people are signing in",
        "Try again in a few seconds.",
    ),
    Reason.STORE: _Told(
        503,
        "Helix can't sign you in now",
        f"It can't keep who you are at the moment. Try again in a minute. {_TELL}",
    ),
    Reason.ADDRESS: _Told(
        400,
        "Nobody can sign in at this address",
        "Without https, others on the way could read who you are. Use the address that begins with "
        "https. Whoever runs this server: give that with --public-url; or, if a proxy in front "
        "ends TLS, name it with --trusted-proxy.",
    ),
}


class SignInPage:
    """The page; it needs no script, and shows nothing secret."""

    def __init__(self) -> None:
        pages = files("helix").joinpath("pages")
        style = pages.joinpath("status.css").read_text("utf-8")
        self._page = pages.joinpath("sign-in.html").read_text("utf-8")
        self._style = style
        digest = b64encode(sha256(style.encode()).digest())
        self._policy = (
            b"default-src 'none'; style-src 'sha256-%b'; base-uri 'none'; form-action 'none'; "
            b"frame-ancestors 'none'" % digest
        )

    def write(self, request: IRequest, failed: SignInFailed, again: str, home: str) -> bytes:
        """
        Make ``request`` answer the page.

        :param again: the address at which somebody can try again.
        :param home: that of the editor.
        """
        told = _TEXTS[failed.reason]
        request.setResponseCode(told.status)
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        request.setHeader(b"content-security-policy", self._policy)
        request.setHeader(b"x-frame-options", b"DENY")
        detail = f"<p><code>{escape(failed.detail)}</code></p>\n" if failed.detail else ""
        shown = {
            "title": told.title,
            "text": told.text,
            "detail": detail,
            "again": escape(again),
            "home": escape(home),
            "style": self._style,
        }
        return _PLACE.sub(lambda place: shown[place[1]], self._page).encode()
