"""How members come in: the keys, their tokens, and the flows that are shared with them."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

OWNER = "owner"
"""Who makes the flows that members join; none of these."""

FLOWS = "bench*"
"""All flows that the generator joins."""

TOKENS_LAST = 86_400  # seconds
REQUEST_TIMEOUT = 30.0  # seconds
HMAC_SECRET = b"a secret of the bench, which nobody else ever uses"


class RequestRefused(Exception):
    """A server didn't do what a measurement needs; says what it answered."""


@dataclass(frozen=True)
class Signer:
    """
    Signs tokens, as the application does whose users Helix lets in.

    :param algorithm: as tokens name it.
    :param kind: of the key, as ``--auth jwt:KIND:FILE`` names it.
    :param public: what Helix gets to check them.
    """

    algorithm: str
    kind: str
    key: Any = field(repr=False)
    public: bytes = field(repr=False)

    def token(self, principal_id: str, **claims: object) -> str:
        until = int(time.time()) + TOKENS_LAST
        return jwt.encode({"sub": principal_id, "exp": until, **claims}, self.key, self.algorithm)

    def options(self, directory: Path) -> list[str]:
        """Give the options of a server that accepts these tokens; its key goes into a file."""
        path = directory / f"{self.algorithm}.key"
        path.write_bytes(self.public)
        path.chmod(0o600)
        return ["--auth", f"jwt:{self.kind}:{path}"]


def _with_pair(algorithm: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Signer:
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Signer(algorithm, "pem", key, public)


SIGNERS: dict[str, Callable[[], Signer]] = {
    "rs256": lambda: _with_pair("RS256", rsa.generate_private_key(65537, 2048)),
    "es256": lambda: _with_pair("ES256", ec.generate_private_key(ec.SECP256R1())),
    "hs256": lambda: Signer("HS256", "hmac", HMAC_SECRET, HMAC_SECRET),
}
"""By the algorithm."""


@functools.cache
def signer(algorithm: str) -> Signer:
    """The one signer of an algorithm, for all measurements."""
    return SIGNERS[algorithm]()


@functools.cache
def _tokens(algorithm: str, count: int, grants: bool) -> list[str]:
    """So many tokens, each of somebody else. Making them takes a millisecond each."""
    claims: dict[str, object] = {"flows": {FLOWS: "editor"}, "create": [FLOWS]} if grants else {}
    return [signer(algorithm).token(member_id(number), **claims) for number in range(count)]


def member_id(number: int) -> str:
    """Who comes in by the connection of this number."""
    return f"user-{number}@example.com"


@dataclass(frozen=True)
class Admission:
    """
    How the members of a scenario come in.

    :param connections: how many there are; each has a token of its own.
    :param algorithm: that signs the tokens; empty where the server asks nobody who they are.
    :param flows: that are made beforehand, each for as many connections as the others.
    :param by_list: whether their access lists let the members in; otherwise the tokens do.
    """

    connections: int
    algorithm: str = ""
    flows: int = 0
    by_list: bool = False

    def server_options(self, directory: Path) -> list[str]:
        return signer(self.algorithm).options(directory) if self.algorithm else []

    def generator_arguments(self, directory: Path) -> list[str]:
        if not self.algorithm:
            return []
        path = directory / "tokens"
        with open(path, "wb") as file:
            for token in _tokens(self.algorithm, self.connections, not self.by_list):
                file.write(base64.urlsafe_b64encode(token.encode()).rstrip(b"=") + b"\n")
        return ["--tokens", str(path)]

    def prepare(self, port: int) -> None:
        """
        Make the flows on a server.

        :raises RequestRefused: when it refuses one.
        """
        token = ""
        if self.algorithm:
            token = signer(self.algorithm).token(OWNER, create=[FLOWS])
        members = self.connections // self.flows if self.flows else 0
        with Rest(port, token) as rest:
            for flow in range(self.flows):
                rest.ask("POST", "/api/flows", {"id": f"bench{flow}", "document": {}})
                if self.by_list:
                    its = range(flow * members, (flow + 1) * members)
                    grants = {member_id(number): "editor" for number in its}
                    rest.ask("PATCH", f"/api/flows/bench{flow}/access", {"members": grants})


class Rest:
    """
    Makes requests of a server, one after another.

    :param token: of who makes them; empty for nobody's.
    """

    def __init__(self, port: int, token: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT)
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Rest:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """
        Make a request and give its answer: JSON, or text, or ``None``.

        :raises RequestRefused: when it isn't answered well.
        """
        text = None if body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, path, text, self._headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise RequestRefused(f"{method} {path}: {error!r}") from None
        if not 200 <= answer.status < 300:
            raise RequestRefused(f"{method} {path}: {answer.status} {content[:300]!r}")
        with contextlib.suppress(ValueError):
            return json.loads(content)
        return content.decode() or None
