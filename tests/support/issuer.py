"""An OpenID provider in memory, which does as a test says; and a browser that signs in there."""

from __future__ import annotations

import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

from treq.testing import StubTreq
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tests.support.memory_clients import Answer, MemoryConnection
from tests.support.stack import NOW, Stack
from tests.support.tokens import HOUR, jwk, jwks, rsa_key, sign

ISSUER = "https://id.test"

OWN = "https://helix.test"

CLIENT_ID = "helix client"


class Issuer(Resource):
    """
    The provider. Who is asked for at its sign-in page is signed in at once.

    :ivar claims: what its ID tokens say, besides what they must; ``None`` leaves one out.
    :ivar userinfo: what it tells in another place.
    :ivar description: changes of what it says of itself.
    :ivar key, algorithm, head: with which its ID tokens are signed.
    :ivar bodies: by path: what it answers in place of its own answer; ``None`` for nothing at all.
    :ivar statuses: by path: the status of that.
    :ivar asked: the paths that were asked for.
    :ivar seen: all that was sent to it and must be kept secret.
    """

    isLeaf = True

    def __init__(self, secret: str | None = None) -> None:
        super().__init__()
        self.secret = secret
        self.claims: dict[str, Any] = {"name": "Ada Lovelace"}
        self.userinfo: dict[str, Any] | None = None
        self.description: dict[str, Any] = {}
        self.key: Any = rsa_key()
        self.algorithm = "RS256"
        self.head: dict[str, Any] = {"kid": "one"}
        self.id_token: Any = None
        self.bodies: dict[str, bytes | None] = {}
        self.statuses: dict[str, int] = {}
        self.asked: list[str] = []
        self.seen: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}

    def sign_in(self, location: str) -> str:
        """Sign somebody in; the query with which the browser is sent back."""
        url = urlsplit(location)
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{ISSUER}/authorize"
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        assert asked["redirect_uri"] == f"{OWN}/auth/callback"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        self.seen += [code, asked["state"], asked["nonce"]]
        return f"code={code}&state={asked['state']}"

    def render(self, request: Request) -> bytes | int:
        path = request.path.decode()
        self.asked.append(path)
        request.setResponseCode(self.statuses.get(path, 200))
        if path in self.bodies:
            body = self.bodies[path]
            return NOT_DONE_YET if body is None else body
        answers = {
            "/.well-known/openid-configuration": self._describe,
            "/jwks": lambda _: jwks(jwk(rsa_key(), "one")),
            "/token": self._exchange,
            "/userinfo": self._tell,
        }
        return answers[path](request)

    def _describe(self, request: Request) -> bytes:
        described = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/jwks",
            "end_session_endpoint": f"{ISSUER}/end?from=here",
            **({"userinfo_endpoint": f"{ISSUER}/userinfo"} if self.userinfo is not None else {}),
            **self.description,
        }
        return json.dumps(described).encode()

    def _exchange(self, request: Request) -> bytes:
        assert request.method == b"POST"
        assert request.content is not None
        given = {name: one[0] for name, one in parse_qs(request.content.read().decode()).items()}
        asked = self.codes.pop(given["code"], None)
        if asked is None:
            request.setResponseCode(400)
            return b'{"error":"invalid_grant","error_description":"s3cret"}'
        self._check_client(request, given)
        digest = sha256(given["code_verifier"].encode()).digest()
        assert urlsafe_b64encode(digest).decode().rstrip("=") == asked["code_challenge"]
        assert given["redirect_uri"] == asked["redirect_uri"]
        assert given["grant_type"] == "authorization_code"
        if self.id_token is None:
            told = {
                "iss": ISSUER,
                "sub": "u1",
                "aud": CLIENT_ID,
                "iat": NOW,
                "exp": NOW + HOUR,
                "nonce": asked["nonce"],
                **self.claims,
            }
            told = {name: value for name, value in told.items() if value is not None}
            token = sign(told, self.key, self.algorithm, **self.head)
        else:
            token = self.id_token(asked["nonce"])
        self.seen += [given["code_verifier"], token, "access-1"]
        return json.dumps(
            {"access_token": "access-1", "token_type": "Bearer", "scope": "x", "id_token": token}
        ).encode()

    def _check_client(self, request: Request, given: dict[str, str]) -> None:
        assert given["client_id"] == CLIENT_ID
        ways = self.description.get("token_endpoint_auth_methods_supported")
        if self.secret is None or ways == ["client_secret_post"]:
            assert given.get("client_secret") == self.secret
            assert request.getHeader("authorization") is None
            return
        assert "client_secret" not in given
        kind, _, pair = (request.getHeader("authorization") or "").partition(" ")
        assert kind == "Basic"
        assert [unquote_plus(part) for part in b64decode(pair).decode().split(":")] == [
            CLIENT_ID,
            self.secret,
        ]

    def _tell(self, request: Request) -> bytes:
        assert request.getHeader("authorization") == "Bearer access-1"
        return json.dumps(self.userinfo).encode()


class Signing:
    """
    A server at which people sign in, behind a proxy that ends TLS.

    :ivar issuer: where they do.
    :ivar stack: the server.
    """

    def __init__(
        self, issuer: Issuer | None = None, beside: Signing | None = None, **options: object
    ) -> None:
        """
        :param issuer: where people sign in.
        :param beside: another process on the same store.
        """
        self.issuer = issuer or Issuer()
        self.stub: Any = StubTreq(self.issuer)
        given: dict[str, Any] = {
            "auth": f"oidc:{ISSUER}",
            "oidc_client_id": CLIENT_ID,
            "trusted_proxy": "127.0.0.1",
            "allow_host": "helix.test",
            **options,
        }
        if beside is not None:
            store = beside.stack.store
            given["wrap_store"] = lambda _: store
        self.stack: Stack = Stack(http=self.stub, **given)
        self.settle()

    def settle(self) -> None:
        """Let the issuer answer, and what follows from that happen."""
        for _ in range(8):
            self.stub.flush()
            self.stack.clock.advance(0)

    def browser(self) -> Browser:
        """A browser without cookies."""
        return Browser(self)


class Browser:
    """
    A browser at a server.

    :ivar cookies: by name.
    """

    def __init__(self, signing: Signing) -> None:
        self._signing = signing
        self.cookies: dict[str, str] = {}
        self.set_cookies: list[str] = []

    @property
    def cookie_header(self) -> tuple[str, str]:
        """All cookies, as they are sent."""
        return "Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def start(
        self, method: str, target: str, *headers: tuple[str, str], body: bytes | None = None
    ) -> MemoryConnection:
        """Send a request, whose answer may come later."""
        connection = self._signing.stack.connect("127.0.0.1")
        sent = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "203.0.113.9"), *headers]
        if self.cookies:
            sent.append(self.cookie_header)
        connection.request(method, target, sent, body)
        return connection

    def ask(
        self, method: str, target: str, *headers: tuple[str, str], body: bytes | None = None
    ) -> Answer:
        """Ask, and keep the cookies of the answer."""
        connection = self.start(method, target, *headers, body=body)
        self._signing.settle()
        return self.take(connection)

    def take(self, connection: MemoryConnection) -> Answer:
        """The answer to a request that was started."""
        answer = connection.answer
        self.set_cookies = answer.headers.get_all("set-cookie", [])
        for cookie in self.set_cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def get(self, target: str, *headers: tuple[str, str]) -> Answer:
        """A GET, as `ask`."""
        return self.ask("GET", target, *headers)

    def begin(self, target: str = "/auth/sign-in") -> str:
        """Begin to sign in; where the browser is sent."""
        answer = self.get(target)
        assert answer.status == 303, answer
        location: str = answer.headers["location"]
        return location

    def come_back(self, query: str) -> Answer:
        """Come back from the issuer."""
        return self.get(f"/auth/callback?{query}")

    def sign_in(self, target: str = "/auth/sign-in") -> Answer:
        """Sign in, all of it."""
        return self.come_back(self._signing.issuer.sign_in(self.begin(target)))


def own_page(origin: str = OWN) -> Sequence[tuple[str, str]]:
    """The headers of a page's request."""
    return [("Origin", origin)]
