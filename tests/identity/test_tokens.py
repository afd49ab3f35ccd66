"""Which tokens are accepted, and what is said of the others. (ACC5 to ACC7)"""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from hashlib import sha256
from hmac import digest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from helix.access.principal import FlowPattern, Grant, Kind, Principal
from helix.access.roles import Role
from helix.errors import TokenRefused
from helix.identity.keys import FixedKeys, VerificationKey, read_jwks, read_pem, read_secret
from helix.identity.tokens import LEEWAY, MAX_TOKEN_BYTES, TokenVerifier
from tests.support.logs import Log, logged
from tests.support.stack import NOW
from tests.support.tokens import (
    SECRET,
    claims,
    ec_key,
    ed_key,
    jwk,
    jwks,
    private_pem,
    public_pem,
    rsa_key,
    sign,
    token,
)

__all__ = ["logged"]

RSA = rsa_key()


def verifier(
    *keys: VerificationKey, audiences: tuple[str, ...] = (), issuer: str = "", now: float = NOW
) -> TokenVerifier:
    """One that knows these keys, or else the application's secret."""
    return TokenVerifier([FixedKeys(keys or read_secret(SECRET))], lambda: now, audiences, issuer)


def verified(checker: TokenVerifier, text: str) -> Principal:
    """The principal of a token, which is known at once."""
    came: list[Any] = []
    Deferred.fromCoroutine(checker.verify(text)).addBoth(came.append)
    (result,) = came
    if isinstance(result, Failure):
        result.raiseException()
    principal: Principal = result
    return principal


def refusal(checker: TokenVerifier, text: str) -> str:
    """What is said of a token that isn't accepted."""
    with pytest.raises(TokenRefused) as refused:
        verified(checker, text)
    return refused.value.message


PEM = verifier(*read_pem(public_pem(RSA)))
JWKS = verifier(
    *read_jwks(
        jwks(
            jwk(RSA, "signs"),
            jwk(rsa_key(1), "encrypts", use="enc"),
            jwk(rsa_key(2), "wraps", key_ops=["wrapKey"]),
            jwk(ec_key(), "curve"),
        )
    )
)


def by_hand(head: dict[str, Any], body: object, signature: bytes = b"") -> str:
    """A token of parts that no library would make."""
    parts = [json.dumps(head).encode(), json.dumps(body).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def hmac_with(key: bytes) -> str:
    """A token whose HMAC is made with what is no secret. (The library refuses to make it)"""
    signed = by_hand({"alg": "HS256", "typ": "JWT"}, claims()).rpartition(".")[0]
    signature = base64.urlsafe_b64encode(digest(key, signed.encode(), sha256))
    return f"{signed}.{signature.decode().rstrip('=')}"


def test_acc5_signed_tokens_are_accepted() -> None:
    assert verified(verifier(), token()) == Principal(
        "alice", kind=Kind.PERSON, expires_at=NOW + 3600
    )
    assert verified(PEM, sign(claims(), RSA, "RS256")).id == "alice"
    assert verified(JWKS, sign(claims(), RSA, "PS384", kid="signs")).id == "alice"
    assert verified(JWKS, sign(claims(), RSA, "RS512")).id == "alice"
    assert verified(JWKS, sign(claims(), ec_key(), "ES256", kid="curve")).id == "alice"


WRONG = {
    "no token": (verifier(), "", "no JSON Web Token"),
    "garbage": (verifier(), "a.b.c", "no JSON Web Token"),
    "more garbage": (verifier(), "\u00e9\0\ud800", "no JSON Web Token"),
    "deep": (verifier(), by_hand({"alg": "HS256"}, 1).replace(".", "." + "W1tb" * 900, 1), "no"),
    "too large": (verifier(), token(name="a" * MAX_TOKEN_BYTES), "more than 8192 bytes"),
    "no object": (verifier(), by_hand({"alg": "HS256"}, [1], b"x"), "signature"),
    "cut off": (verifier(), token()[:-4], "The token"),
    "other secret": (verifier(), sign(claims(), b"o" * 32), "signature"),
    "other key": (PEM, sign(claims(), rsa_key(1), "RS256"), "signature"),
    "alg none": (verifier(), by_hand({"alg": "none"}, claims()), "alg: "),
    "alg none, jwks": (JWKS, by_hand({"alg": "none", "kid": "signs"}, claims()), "alg: "),
    "alg None": (verifier(), by_hand({"alg": None}, claims()), "no JSON Web Token"),
    "no alg": (verifier(), by_hand({"typ": "JWT"}, claims()), "no JSON Web Token"),
    "HMAC with the public key": (PEM, hmac_with(public_pem(RSA)), "alg: "),
    "RSA key as EC": (PEM, by_hand({"alg": "ES256"}, claims(), b"x" * 64), "alg: "),
    "RSA kid as EC": (
        JWKS,
        by_hand({"alg": "ES256", "kid": "signs"}, claims(), b"x" * 64),
        "kid: ",
    ),
    "unknown kid": (JWKS, sign(claims(), RSA, "RS256", kid="other"), "kid: "),
    "kid is no text": (JWKS, by_hand({"alg": "RS256", "kid": 1}, claims(), b"x"), "no JSON"),
    "key for encryption": (JWKS, sign(claims(), rsa_key(1), "RS256", kid="encrypts"), "kid: "),
    "key for wrapping": (JWKS, sign(claims(), rsa_key(2), "RS256", kid="wraps"), "kid: "),
    "key for encryption, no kid": (JWKS, sign(claims(), rsa_key(1), "RS256"), "signature"),
    "crit": (verifier(), sign(claims(), crit=["x"], x=1), "no JSON Web Token"),
    "expired": (verifier(), token(exp=NOW - LEEWAY), "exp: the token is over"),
    "no exp": (verifier(), token(exp=None), "exp: the token has none"),
    "exp as text": (verifier(), token(exp=str(NOW + 60)), "exp: a time"),
    "exp is true": (verifier(), token(exp=True), "exp: a time"),
    "exp is not a number": (verifier(), token(exp=float("nan")), "exp: a time"),
    "exp for ever": (verifier(), token(exp=float("inf")), "exp: a time"),
    "exp beyond all": (verifier(), token(exp=10**400), "exp: a time"),
    "no sub": (verifier(), token(sub=None), "sub: the token has none"),
    "empty sub": (verifier(), token(sub=" "), "sub: an id"),
    "sub is a number": (verifier(), token(sub=7), "sub: a string"),
    "not before": (verifier(), token(nbf=NOW + LEEWAY + 1), "nbf: "),
    "nbf as text": (verifier(), token(nbf="now"), "nbf: "),
    "issued later": (verifier(), token(iat=NOW + LEEWAY + 1), "iat: "),
    "no audience": (verifier(audiences=("helix",)), token(), "aud: the token has none"),
    "other audience": (verifier(audiences=("helix",)), token(aud="x"), "aud: "),
    "other audiences": (verifier(audiences=("helix",)), token(aud=["x", "y"]), "aud: "),
    "audience is a number": (verifier(audiences=("helix",)), token(aud=7), "aud: "),
    "no issuer": (verifier(issuer="us"), token(), "iss: the token has none"),
    "other issuer": (verifier(issuer="us"), token(iss="them"), "iss: "),
}


@pytest.mark.parametrize("name", WRONG)
def test_acc5_acc6_wrong_tokens_are_refused(name: str, logged: Log) -> None:
    checker, text, told = WRONG[name]
    assert told in refusal(checker, text)
    assert "Refused a token" in logged.text
    for part in filter(None, text.split(".")):
        assert len(part) < 9 or part not in logged.text


def test_acc6_clocks_may_differ_a_little() -> None:
    assert verified(verifier(), token(exp=NOW - LEEWAY + 1)).expires_at == NOW - LEEWAY + 1
    assert verified(verifier(), token(nbf=NOW + LEEWAY, iat=NOW + LEEWAY)).id == "alice"
    assert verified(verifier(), token(exp=NOW + 0.5)).expires_at == NOW + 0.5


def test_acc6_audience_and_issuer_fit() -> None:
    checker = verifier(audiences=("helix", "other"), issuer="us")
    for audience in ("helix", "other", ["x", "helix"]):
        assert verified(checker, token(aud=audience, iss="us")).id == "alice"
    assert verified(verifier(), token(aud="whatever", iss="whoever")).id == "alice"


ALGORITHMS = [
    (read_secret(b"s" * 32), {"HS256"}),
    (read_secret(b"s" * 48), {"HS256", "HS384"}),
    (read_secret(b"s" * 64), {"HS256", "HS384", "HS512"}),
    (read_pem(public_pem(RSA)), {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    (read_pem(public_pem(ec_key())), {"ES256"}),
    (read_pem(public_pem(ec_key("secp384r1"))), {"ES384"}),
    (read_pem(public_pem(ec_key("secp521r1"))), {"ES512"}),
    (read_pem(public_pem(ec_key("secp256k1"))), {"ES256K"}),
    (read_pem(public_pem(ed_key())), {"EdDSA"}),
    (read_jwks(jwks(jwk(RSA, alg="RS256"))), {"RS256"}),
    (read_jwks(jwks(jwk(ed_key()))), {"EdDSA"}),
]


@pytest.mark.parametrize(("keys", "allowed"), ALGORITHMS)
def test_acc5_algorithm_follows_from_the_key(
    keys: list[VerificationKey], allowed: set[str]
) -> None:
    assert [key.algorithms for key in keys] == [allowed]


SIGNERS = {
    "HS": SECRET,
    "RS": RSA,
    "PS": RSA,
    "ES256": ec_key(),
    "ES256K": ec_key("secp256k1"),
    "ES384": ec_key("secp384r1"),
    "ES512": ec_key("secp521r1"),
    "EdDSA": ed_key(),
}


@pytest.mark.parametrize(
    "algorithm",
    [
        *("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES256K", "ES384", "ES512", "EdDSA"),
    ],
)
def test_acc5_each_algorithm_is_checked_with_its_own_key_alone(algorithm: str) -> None:
    own = SIGNERS.get(algorithm) or SIGNERS[algorithm[:2]]
    text = sign(claims(), own, algorithm)
    for key in SIGNERS.values():
        made = read_secret(key) if isinstance(key, bytes) else read_pem(public_pem(key))
        if key is own:
            assert verified(verifier(*made), text).id == "alice"
        else:
            assert refusal(verifier(*made), text).startswith("alg: ")


def test_acc5_any_of_several_sources_may_have_signed() -> None:
    both = TokenVerifier(
        [FixedKeys(read_secret(SECRET)), FixedKeys(read_secret(b"o" * 32))], lambda: NOW
    )
    assert verified(both, token()).id == "alice"
    assert verified(both, sign(claims(sub="bob"), b"o" * 32)).id == "bob"
    assert "signature" in refusal(both, sign(claims(), b"x" * 32))


@given(st.text(max_size=60), st.integers(0, 2))
def test_acc5_no_change_of_a_token_is_accepted(other: str, part: int) -> None:
    parts = token().split(".")
    changed = ".".join([*parts[:part], other, *parts[part + 1 :]])
    if changed != token():
        refusal(verifier(), changed)


@given(st.data(), st.integers(1, 255))
def test_acc5_no_changed_byte_is_accepted(data: st.DataObject, by: int) -> None:
    own = token().encode()
    place = data.draw(st.integers(0, len(own) - 2))  # some bits of the last one mean nothing
    changed = own[:place] + bytes([own[place] ^ by]) + own[place + 1 :]
    refusal(verifier(), changed.decode("latin-1"))


# ACC7: claims


def test_acc7_claims_make_a_principal() -> None:
    text = token(
        name="Alice",
        color="#f00",
        groups=["a", "b"],
        flows={"team/*": "editor", "one": {"role": "viewer", "tags": {"source": "ai"}}},
        create=["team/*"],
        admin=True,
    )
    assert verified(verifier(), text) == Principal(
        "alice",
        "Alice",
        "#f00",
        Kind.PERSON,
        frozenset({"a", "b"}),
        NOW + 3600,
        True,
        (
            (FlowPattern("team/", True), Grant(Role.EDITOR)),
            (FlowPattern("one"), Grant(Role.VIEWER, None, {"source": "ai"})),
        ),
        (FlowPattern("team/", True),),
    )


def test_acc7_a_grant_has_paths() -> None:
    text = token(flows={"f": {"role": "editor", "paths": ["/nodes/*/data/**"]}})
    ((_, grant),) = verified(verifier(), text).grants
    assert grant.paths is not None
    assert [path.text for path in grant.paths] == ["/nodes/*/data/**"]


BAD = [
    ("sub", "a" * 256),
    ("sub", "a\nb"),
    ("sub", "\ud800"),
    ("name", 7),
    ("name", None),
    ("name", "a" * 256),
    ("name", "\x1b[31m"),
    ("color", ["red"]),
    ("color", "c" * 65),
    ("groups", "a"),
    ("groups", ["a", 1]),
    ("groups", [""]),
    ("admin", "true"),
    ("admin", 1),
    ("create", "*"),
    ("create", ["a*b"]),
    ("create", [""]),
    ("flows", ["a"]),
    ("flows", {"a*b": "viewer"}),
    ("flows", {"": "viewer"}),
    ("flows", {"a": "admin"}),
    ("flows", {"a": "Viewer"}),
    ("flows", {"a": None}),
    ("flows", {"a": {}}),
    ("flows", {"a": {"role": "editor", "path": ["/nodes"]}}),
    ("flows", {"a": {"role": "editor", "paths": []}}),
    ("flows", {"a": {"role": "editor", "paths": ["nodes"]}}),
    ("flows", {"a": {"role": "editor", "paths": None}}),
    ("flows", {"a": {"role": "editor", "tags": []}}),
    ("flows", {"a": {"role": "editor", "tags": {"a": "b" * 1024}}}),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_acc7_bad_claim_refuses_the_token_and_is_named(
    name: str, value: object, logged: Log
) -> None:
    text = sign({**claims(), name: value})
    assert refusal(verifier(), text).startswith(f"{name}: ")
    assert f"Refused a token: {name}" in logged.text
    assert not isinstance(value, str) or len(value) < 3 or value not in logged.text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["sub", "exp", "nbf", "iat", "name", "color", "groups", "flows", "create", "admin"]
        ),
        JSON,
    )
)
def test_acc7_no_claims_do_more_than_refuse(odd: dict[str, Any]) -> None:
    with suppress(TokenRefused):
        principal = verified(verifier(), sign({**claims(), **odd}))
        assert principal.id
        assert principal.is_admin is (odd.get("admin") is True)


def test_acc8_private_keys_are_no_secret() -> None:
    """What a mistake in a file's name would make of them."""
    with pytest.raises(ValueError, match="jwt:pem is wanted"):
        read_secret(private_pem(RSA))
