"""Tokens as an embedding application signs them, and keys to sign them with."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.support.stack import NOW

SECRET = b"a secret of the application, 64 bytes: 0123456789abcdefghijklmnop"

HOUR = 3600


def claims(**more: object) -> dict[str, object]:
    """Claims of a token that a `Stack` accepts; ``None`` leaves one out."""
    given = {"sub": "alice", "exp": NOW + HOUR, **more}
    return {name: value for name, value in given.items() if value is not None}


def sign(given: dict[str, Any], key: Any = SECRET, algorithm: str = "HS256", **head: object) -> str:
    """Sign claims."""
    return jwt.encode(given, key, algorithm, headers=dict(head))


def token(**more: object) -> str:
    """A token, signed with `SECRET`; arguments as `claims`."""
    return sign(claims(**more))


def bearer(text: str) -> tuple[str, str]:
    """The header with which a token comes."""
    return "Authorization", f"Bearer {text}"


@cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    """A key, another one for each number."""
    return rsa.generate_private_key(65537, 2048)


@cache
def ec_key(curve: str = "secp256r1") -> ec.EllipticCurvePrivateKey:
    """A key on a curve."""
    curves = {one.name: one for one in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())}
    return ec.generate_private_key({**curves, "secp256k1": ec.SECP256K1()}[curve])


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    """An Ed25519 key."""
    return ed25519.Ed25519PrivateKey.generate()


def public_pem(key: Any) -> bytes:
    """The public half of a key."""
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def private_pem(key: Any) -> bytes:
    """A key itself."""
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def jwk(key: Any, kid: str | None = None, **more: object) -> dict[str, Any]:
    """The public half of a key, for a JWKS."""
    kinds: dict[type, Any] = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    (kind,) = (made for of, made in kinds.items() if isinstance(key, of))
    made: dict[str, Any] = json.loads(kind.to_jwk(key.public_key()))
    return {**made, **({} if kid is None else {"kid": kid}), **more}


def jwks(*keys: dict[str, Any]) -> bytes:
    """A JWKS."""
    return json.dumps({"keys": list(keys)}).encode()


def secret_file(directory: Path) -> Path:
    """A file with `SECRET`."""
    path = directory / "secret"
    path.write_bytes(SECRET + b"\n")
    return path
