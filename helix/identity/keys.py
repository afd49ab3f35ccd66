"""The keys that check tokens, and where they come from: a secret, a PEM file, a JWKS (RFC 7517)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from twisted.internet.defer import Deferred, succeed

from helix.config import AuthMethod

MIN_SECRET_BYTES = 32

MIN_RSA_BITS = 2048
"""As RFC 7518, 3.3 has it."""

MAX_JWKS_BYTES = 256 * 1024

MAX_KEYS = 100
"""The most keys of a JWKS. Each may have to be tried."""

_HMAC = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The bytes that a secret has at least (RFC 7518, 3.2)."""

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})

_CURVES = {"secp256r1": "ES256", "secp256k1": "ES256K", "secp384r1": "ES384", "secp521r1": "ES512"}


@attrs.frozen
class VerificationKey:
    """
    A key that checks signatures.

    :ivar algorithms: those that its type allows; a token can't choose others.
    :ivar kid: its id in a JWKS; ``None`` without one.
    """

    key: Any = attrs.field(repr=False)
    algorithms: frozenset[str]
    kid: str | None = None

    def fits(self, kid: object, algorithm: object) -> bool:
        """Tell whether a token with such a header may be signed with it."""
        return algorithm in self.algorithms and (None in (kid, self.kid) or kid == self.kid)


class KeySource(Protocol):
    """
    Where keys come from.

    :ivar keys: those that there are now.
    :ivar is_ready: whether they are known.
    """

    @property
    def keys(self) -> Sequence[VerificationKey]: ...

    @property
    def is_ready(self) -> bool: ...

    def renew(self) -> Deferred[None]:
        """Look for new keys, if it is time for that; it fires within a bounded time."""


@attrs.frozen
class FixedKeys:
    """Keys that stay the same. (`KeySource`)"""

    keys: Sequence[VerificationKey]
    is_ready = True

    def renew(self) -> Deferred[None]:
        return succeed(None)


class BadKeys(ValueError):
    """There are no keys in what should have some; the message says why, and shows none of it."""


def read_keys(method: AuthMethod) -> FixedKeys:
    """
    Read the file of a method.

    :raises BadKeys: when it can't be read, or holds no such keys.
    """
    kind = f"--auth: the file of jwt:{method.kind}"
    try:
        content = Path(method.place).expanduser().read_bytes()
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        # Somebody may have given the secret itself in place of its file: it isn't shown.
        why = error.strerror if isinstance(error, OSError) else "it is no path"
        raise BadKeys(f"{kind} can't be read: {why}") from None
    try:
        return FixedKeys(_READERS[method.kind](content))
    except BadKeys as error:
        raise BadKeys(f"{kind}: {error}") from None


def read_secret(content: bytes) -> Sequence[VerificationKey]:
    """
    Make a key of a file with a secret; a line's end behind it isn't part of it.

    :raises BadKeys: when it is too short, or a key of another kind.
    """
    secret = content.removesuffix(b"\n").removesuffix(b"\r")
    if b"-----BEGIN " in secret:
        raise BadKeys("it is a PEM file, so jwt:pem is wanted")
    return [VerificationKey(secret, _hmac_algorithms(secret))]


def _hmac_algorithms(secret: bytes) -> frozenset[str]:
    if len(secret) < MIN_SECRET_BYTES:
        raise BadKeys(f"a secret of at least {MIN_SECRET_BYTES} bytes is wanted")
    return frozenset(name for name, least in _HMAC.items() if len(secret) >= least)


def read_pem(content: bytes) -> Sequence[VerificationKey]:
    """
    Make a key of a PEM file with a public key.

    :raises BadKeys: when it is something else.
    """
    if b"PRIVATE KEY-----" in content:
        raise BadKeys("it holds a private key, and the public one is wanted")
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise BadKeys("it holds no public key (-----BEGIN PUBLIC KEY-----)") from None
    return [VerificationKey(key, algorithms_of(key))]


def algorithms_of(key: object) -> frozenset[str]:
    """
    Give the algorithms that the type of a key allows.

    :raises BadKeys: when there are none.
    """
    if isinstance(key, bytes):
        return _hmac_algorithms(key)
    if isinstance(key, RSAPublicKey):
        if key.key_size < MIN_RSA_BITS:
            raise BadKeys(f"an RSA key has at least {MIN_RSA_BITS} bits")
        return _RSA
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return frozenset({_CURVES[key.curve.name]})
    if isinstance(key, Ed25519PublicKey | Ed448PublicKey):
        return frozenset({"EdDSA"})
    raise BadKeys("its key is of no type that signs tokens")


def read_jwks(content: bytes, *, is_public: bool = False) -> Sequence[VerificationKey]:
    """
    Read the keys of a JWKS that sign tokens. Keys for other uses, and of types that nobody here
    knows, are left out, as RFC 7517, 5 wants it.

    :param is_public: whether everybody can read it; secrets in it are left out then.
    :raises BadKeys: when it is none, or has no key that can be used.
    """
    try:
        given = json.loads(content)
    except (ValueError, RecursionError):
        raise BadKeys("it is no JSON") from None
    listed = given.get("keys") if isinstance(given, dict) else None
    if not isinstance(listed, list):
        raise BadKeys('it is no JWKS: {"keys": [...]}')
    if len(listed) > MAX_KEYS:
        raise BadKeys(f"it has more than {MAX_KEYS} keys")
    keys = [key for one in listed if (key := _from_jwk(one, is_public)) is not None]
    if not keys:
        raise BadKeys("it has no public key for signatures")
    return keys


def _from_jwk(given: object, is_public: bool) -> VerificationKey | None:
    """Make a key of one of a JWKS; ``None`` if it can't check tokens."""
    if not isinstance(given, dict) or given.get("use", "sig") != "sig":
        return None
    operations, kid = given.get("key_ops", ["verify"]), given.get("kid")
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    if not isinstance(kid, str | None) or (is_public and given.get("kty") == "oct"):
        return None
    try:
        key = jwt.PyJWK(given).key
        algorithms = algorithms_of(key)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    if "alg" in given:
        algorithms &= {given["alg"]}
    return VerificationKey(key, algorithms, kid) if algorithms else None


_READERS = {"hmac": read_secret, "pem": read_pem, "jwks": read_jwks}
