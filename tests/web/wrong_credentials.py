"""Credentials of every kind that aren't accepted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hmac import digest
from typing import Any

import jwt
from jwt.utils import base64url_encode

from tests.support.issuer import own_page
from tests.support.stack import NOW
from tests.support.tokens import HOUR, claims, public_pem, rsa_key, sign
from tests.web.matrix import ADMINISTRATOR, APPLICATION, AUDIENCE, Client, Row, Server, token


def wrong_clients(server: Server) -> Iterator[tuple[str, Client]]:
    """Clients who aren't let in, and what is wrong with each."""
    yield "nothing", Client()
    for found in (_tokens(), _made_by_hand(), _keys(server), _guests(server)):
        for name, text in found:
            yield name, Client(text)
    yield from _cookies(server)


def _tokens() -> Iterator[tuple[str, str]]:
    """Tokens that a right key has signed, and some that another one has."""
    yield "expired", token(sub="root", exp=NOW - 60)
    yield "not valid yet", token(sub="root", nbf=NOW + HOUR)
    yield "without an end", token(sub="root", exp=None)
    yield "for another audience", token(sub="root", aud="other")
    yield "for no audience", token(sub="root", aud=None)
    yield "of another issuer", token(sub="root", iss="https://evil.test")
    yield "too long", token(sub="root", more="x" * 9000)
    yield "the id of a key", token(sub="key:1", admin=True)
    yield "the id of a guest", token(sub="guest:1", admin=True)
    yield "an unknown kid", token(head={"kid": "other"}, sub="root")
    yield "another key under our kid", token(2, sub="root")
    yield "another key without a kid", token(2, head={}, sub="root")


def _part(value: object) -> str:
    return base64url_encode(json.dumps(value).encode()).decode()


def _made_by_hand() -> Iterator[tuple[str, str]]:
    good = token(sub="root")
    head, body, signature = good.split(".")
    given = claims(sub="root", aud=AUDIENCE, iss=APPLICATION)
    yield "no token", "nonsense"
    yield "cut off", good[:-9]
    yield "without a signature", f"{head}.{body}."
    yield "with another body", f"{head}.{_part({**given, 'admin': True})}.{signature}"
    yield "alg none", jwt.encode(given, "", "none")
    yield "alg none, with a signature", f"{_part({'alg': 'none', 'kid': 'app'})}.{body}.{signature}"
    text = f"{_part({'alg': 'HS256', 'kid': 'app', 'typ': 'JWT'})}.{_part(given)}"
    by_public_key = digest(public_pem(rsa_key(1)), text.encode(), "sha256")
    yield "HS256 with the public key", f"{text}.{base64url_encode(by_public_key).decode()}"
    yield "a token called a guest's", f"hg_{good}"
    yield "a token called a key", f"hx_{good}"


def _keys(server: Server) -> Iterator[tuple[str, str]]:
    revoked, over = server.key(admin=True), server.key(admin=True, expires_in=0.5)
    row = Row("revoke_key", "DELETE", f"/api/keys/{revoked['id']}", ADMINISTRATOR, 204)
    assert server.send(server.root, row, "").status == 204
    server.stack.clock.advance(1)
    good = server.key(admin=True)["key"]
    yield "a revoked key", revoked["key"]
    yield "a key that is over", over["key"]
    yield "an unknown key", f"hx_{'A' * 43}"
    yield "a key without its beginning", good.removeprefix("hx_")
    yield "a key cut off", good[:-1]
    yield "a key in capitals", good.upper()


def _guests(server: Server) -> Iterator[tuple[str, str]]:
    found: list[bytes] = []
    server.store.credentials.secret().addCallback(found.append)
    (secret,) = found
    guest: dict[str, Any] = {
        "sub": "guest:1",
        "name": "",
        "flow": "f",
        "link": "",
        "exp": NOW + HOUR,
        "aud": "helix:guest",
    }
    yield "a guest of another server", "hg_" + sign(guest, b"x" * 32)
    yield "a guest for something else", "hg_" + sign({**guest, "aud": AUDIENCE}, secret)
    yield "a guest who is over", "hg_" + sign({**guest, "exp": NOW - 1}, secret)
    yield "a guest without the beginning", sign(guest, secret)


def _cookies(server: Server) -> Iterator[tuple[str, Client]]:
    left = server.signed_in()
    name, value = left.cookie_header
    assert left.ask("POST", "/auth/sign-out", *own_page()).status == 200
    yield "a session that was ended", Client(cookies=((name, value),))
    other = server.signed_in().cookie_header[1]
    yield "a session cut off", Client(cookies=((name, other[:-1]),))
    renamed = other.replace("__Host-helix", "helix-session")
    yield "a session under another name", Client(cookies=((name, renamed),))
