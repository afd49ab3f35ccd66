"""Where keys come from: files, and what is no file of keys. (ACC3, ACC4, ACC8)"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from jwt.algorithms import RSAAlgorithm

from helix.config import AuthMethod, SettingError, check_auth
from helix.identity.keys import (
    MAX_KEYS,
    BadKeys,
    read_jwks,
    read_keys,
    read_pem,
    read_secret,
)
from helix.identity.setup import read_metrics_token
from tests.support.daemon import run_twistd
from tests.support.stack import Stack, make_config
from tests.support.tokens import ec_key, ed_key, jwk, jwks, private_pem, public_pem, rsa_key

SHORT = rsa.generate_private_key(65537, 1024)


def test_acc8_line_end_behind_a_secret_is_no_part_of_it() -> None:
    for end in (b"", b"\n", b"\r\n"):
        (key,) = read_secret(b" " + b"s" * 32 + b" " + end)
        assert key.key == b" " + b"s" * 32 + b" "
        assert "sss" not in repr(key)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "at least 32 bytes"),
        (b"s" * 31 + b"\n", "at least 32 bytes"),
        (public_pem(rsa_key()), "jwt:pem is wanted"),
    ],
)
def test_acc8_what_is_no_secret(content: bytes, told: str) -> None:
    with pytest.raises(BadKeys, match=told):
        read_secret(content)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no public key"),
        (b"s" * 64, "no public key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key"),
        (private_pem(rsa_key()), "the public one is wanted"),
        (private_pem(ec_key()), "the public one is wanted"),
        (public_pem(SHORT), "at least 2048 bits"),
        (public_pem(ec.generate_private_key(ec.BrainpoolP256R1())), "of no type"),
        (public_pem(x25519.X25519PrivateKey.generate()), "of no type"),
    ],
)
def test_acc8_what_is_no_public_key(content: bytes, told: str) -> None:
    with pytest.raises(BadKeys, match=told):
        read_pem(content)


OCT = {"kty": "oct", "k": "c2Vj" * 16, "kid": "secret"}

UNFIT: list[Any] = [
    7,
    {},
    {"kty": "RSA"},
    {"kty": "none"},
    {"kty": ["RSA"]},
    {**jwk(rsa_key()), "n": "!"},
    {**jwk(ec_key()), "crv": "P-999"},
    jwk(rsa_key(), use="enc"),
    jwk(rsa_key(), use=None),
    jwk(rsa_key(), key_ops=["encrypt"]),
    jwk(rsa_key(), key_ops="verify"),
    jwk(rsa_key(), alg="RSA-OAEP"),
    jwk(rsa_key(), alg="ES256"),
    jwk(rsa_key(), alg="HS256"),
    jwk(rsa_key(), alg=["RS256"]),
    {**jwk(rsa_key()), "kid": 7},
    jwk(SHORT),
    {"kty": "oct", "k": "c2Vj"},
]


@pytest.mark.parametrize("one", UNFIT, ids=range(len(UNFIT)))
def test_acc8_keys_that_check_no_tokens_are_left_out(one: Any) -> None:
    (key,) = read_jwks(json.dumps({"keys": [one, jwk(ed_key(), "good"), one]}).encode())
    assert key.kid == "good"
    with pytest.raises(BadKeys, match="no public key"):
        read_jwks(json.dumps({"keys": [one]}).encode())


def test_acc8_private_keys_of_a_jwks_are_left_out() -> None:
    private = json.loads(RSAAlgorithm.to_jwk(rsa_key()))
    assert "d" in private
    with pytest.raises(BadKeys, match="no public key"):
        read_jwks(jwks(private))


def test_acc8_secrets_count_in_a_file_alone() -> None:
    (key,) = read_jwks(jwks(OCT))
    assert (key.kid, "HS256" in key.algorithms) == ("secret", True)
    with pytest.raises(BadKeys, match="no public key"):
        read_jwks(jwks(OCT), is_public=True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JWKS"),
        (b"{}", "no JWKS"),
        (b'{"keys": {}}', "no JWKS"),
        (b'{"keys": []}', "no public key"),
        (jwks(*[{}] * (MAX_KEYS + 1)), "more than 100"),
    ],
)
def test_acc8_what_is_no_jwks(content: bytes, told: str) -> None:
    with pytest.raises(BadKeys, match=told):
        read_jwks(content)


@pytest.mark.parametrize("kind", ["hmac", "pem", "jwks"])
@pytest.mark.parametrize(
    "place", ["my-very-own-secret", "/no/such/my-very-own-secret", "a\0b", "."]
)
def test_acc4_files_that_cannot_be_read_are_not_named(kind: str, place: str) -> None:
    with pytest.raises(BadKeys, match=rf"^--auth: the file of jwt:{kind} can't be read: ") as bad:
        read_keys(AuthMethod(kind, place))
    assert "secret" not in str(bad.value)
    assert "secret" not in repr(AuthMethod(kind, place))


def test_acc8_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    for kind, content in (
        ("hmac", b"s" * 32),
        ("pem", public_pem(rsa_key())),
        ("jwks", jwks(jwk(ec_key()))),
    ):
        path.write_bytes(content)
        assert len(read_keys(AuthMethod(kind, str(path))).keys) == 1


# The start


@pytest.mark.parametrize(
    "options",
    [
        {"listen": "tcp:4000"},
        {"listen": ["tcp:4000:interface=127.0.0.1", "tcp:4001:interface=0.0.0.0"]},
        {"listen": "ssl:443:privateKey=k:certKey=c"},
        {"listen": "systemd:domain=INET:index=0"},
        {"trusted_proxy": "127.0.0.1"},
        {"listen": "unix:helix.sock", "trusted_proxy": "unix"},
    ],
)
def test_acc3_who_others_may_reach_must_say_who_comes_in(options: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=r"^--auth: .*--auth anyone"):
        check_auth(make_config(**options))
    check_auth(make_config(**options, auth="anyone"))
    check_auth(make_config(**options, auth="jwt:hmac:secret"))


def test_acc3_this_machine_alone_needs_no_auth() -> None:
    for listen in ("tcp:4000:interface=127.0.0.1", r"tcp6:4000:interface=\:\:1", "unix:a.sock"):
        check_auth(make_config(listen=listen))


def test_acc3_start_is_refused_beyond_loopback(tmp_path: Path) -> None:
    ended = run_twistd(tmp_path, "--store=memory:", "--listen", "tcp:0")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("twistd helix: --auth: other machines may reach the server")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"auth": "header:X-User"}, "needs --trusted-proxy"),
        ({"auth": ["header:A", "header:B"], "trusted_proxy": "unix"}, "once"),
        ({"jwt_audience": "helix"}, "--jwt-audience: it needs"),
        ({"jwt_issuer": "us", "auth": "anyone"}, "--jwt-issuer: it needs"),
    ],
)
def test_acc3_options_that_do_not_fit_together(options: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        check_auth(make_config(**options))


OIDC: dict[str, Any] = {"auth": "oidc:https://id.test", "oidc_client_id": "helix"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"auth": ["oidc:https://a.test", "oidc:https://b.test"]}, "oidc:ISSUER can be given once"),
        ({"oidc_client_id": ""}, "needs --oidc-client-id"),
        ({"auth": "anyone"}, "--oidc-client-id: it needs"),
        ({"auth": "anyone", "oidc_client_id": "", "oidc_scopes": "openid x"}, "--oidc-scopes: it"),
        ({"listen": "tcp:4000"}, "needs --public-url"),
        ({"trusted_proxy": "10.0.0.1"}, "needs --public-url"),
        ({"listen": "tcp:4000", "allow_host": ["a.test", "*"]}, "needs --public-url"),
    ],
)
def test_acc178_options_for_signing_in_that_do_not_fit(options: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        check_auth(make_config(**{**OIDC, **options}))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"listen": "tcp:4000", "public_url": "https://flows.test"},
        {"listen": "tcp:4000", "allow_host": "*.flows.test"},
        {"auth": ["oidc:http://127.0.0.1:4001", "anyone"]},
    ],
)
def test_acc178_options_for_signing_in_that_fit(options: dict[str, Any]) -> None:
    check_auth(make_config(**{**OIDC, **options}))


@pytest.mark.parametrize("place", ["my-very-own-secret", "a\0b", "/dev/null"])
def test_acc178_acc179_secret_that_cannot_be_read_is_not_shown(place: str) -> None:
    with pytest.raises(BadKeys, match=r"^--oidc-client-secret: the file ") as bad:
        Stack(**OIDC, oidc_client_secret=place)
    assert place not in str(bad.value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nobody",
        "Anyone",
        "anyone:",
        "jwt",
        "jwt:",
        "jwt:hmac",
        "jwt:hmac:",
        "jwt:rsa:secret",
        "hmac:secret",
        "oidc:http://secret.example.com",
        "oidc:https://secret.example.com/?x",
        "oidc:secret",
        "header:",
        "header:a b",
        "header:a:b",
        "header:\u00e9",
        "jwt:jwks:http://secret.example.com/keys",
        "jwt:jwks:http://127.0.0.1.example.com/secret",
        "jwt:jwks:https://user:secret@example.com/keys",
        "jwt:jwks:https://secret@example.com/keys",
        "jwt:jwks:https:///secret",
        "jwt:jwks:https://example.com:x/secret",
        "jwt:jwks:https://[secret/",
        "jwt:jwks:https://example.com/keys#secret",
    ],
)
def test_acc3_acc4_mistyped_auth_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(SettingError, match=r"^--auth: .+ is wanted, not what is given$") as bad:
        make_config(auth=value)
    assert "secret" not in str(bad.value)


@pytest.mark.parametrize(
    "value",
    [
        "https://example.com/keys",
        "https://example.com:8443/keys?x=y",
        "http://127.0.0.1:8000/keys",
        "http://[::1]/keys",
        "http://localhost/keys",
    ],
)
def test_acc9_addresses_that_nobody_on_the_way_can_change(value: str) -> None:
    (method,) = make_config(auth=f"jwt:jwks:{value}").auth
    assert (method.place, method.is_address) == (value, True)


def test_acc4_start_with_a_mistyped_secret_does_not_show_it(tmp_path: Path) -> None:
    for options in (
        ["--auth", "jwt:hmac:my-very-own-secret"],
        ["--auth", "jwt:hamc:my-very-own-secret"],
        ["--metrics-token", "my-very-own-secret"],
    ):
        ended = run_twistd(tmp_path, "--store=memory:", *options)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr.startswith(f"twistd helix: {options[0]}: ")
        assert ended.stderr.count("\n") == 1
        assert "own-secret" not in ended.stderr


def test_acc2_token_of_metrics_is_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("a token of 24 characters\n", encoding="utf-8")
    assert read_metrics_token(str(path)) == b"a token of 24 characters"
    assert read_metrics_token("") is None
    path.write_text("short", encoding="utf-8")
    for place, told in ((str(path), "at least 16"), ("my-own-secret", "can't be read")):
        with pytest.raises(BadKeys, match=f"^--metrics-token: .*{told}") as bad:
            read_metrics_token(place)
        assert "secret" not in str(bad.value)
