"""Tokens and origins."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.auth import MAX_TOKEN_BYTES, TOKEN_PREFIX, Anyone, OriginPolicy, token_from
from helix.errors import OriginRefused, TokenRefused


def test_con3_no_token() -> None:
    assert token_from(None, ()) is None
    assert token_from(None, ("phoenix", "other")) is None


def test_con3_token_in_the_parameters() -> None:
    assert token_from("s3cret", ("phoenix",)) == "s3cret"
    assert token_from("", ()) == ""


@given(st.text(max_size=200))
def test_con3_token_among_the_subprotocols(token: str) -> None:
    """Either alphabet, padded or not; it counts before the parameter."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(token.encode()).decode()
        for offered in (encoded, encoded.rstrip("=")):
            assert token_from("other", ("phoenix", TOKEN_PREFIX + offered)) == token


def test_con3_both_alphabets_differ() -> None:
    """What the property above relies on is so at all."""
    token = "\u00ff\u00fe?>~"
    standard = base64.b64encode(token.encode()).decode()
    assert standard != base64.urlsafe_b64encode(token.encode()).decode()
    assert token_from(None, (TOKEN_PREFIX + standard,)) == token


@pytest.mark.parametrize("encoded", ["a", "abcde", "a b=", "YWJj!", "\u00e9\u00e9", "/w==", "_w"])
def test_con3_token_that_cannot_be_decoded(encoded: str) -> None:
    with pytest.raises(TokenRefused):
        token_from("good", (TOKEN_PREFIX + encoded,))


def test_con3_token_too_long() -> None:
    longest = "t" * MAX_TOKEN_BYTES
    assert token_from(longest, ()) == longest
    assert token_from(None, (TOKEN_PREFIX + base64.b64encode(longest.encode()).decode(),))
    with pytest.raises(TokenRefused):
        token_from(longest + "t", ())
    with pytest.raises(TokenRefused):
        token_from("\u00e9" * (MAX_TOKEN_BYTES // 2 + 1), ())
    with pytest.raises(TokenRefused):
        token_from(None, (TOKEN_PREFIX + "YWJj" * MAX_TOKEN_BYTES,))


def test_con3_anyone_is_a_guest() -> None:
    assert Anyone().authenticate(None).subject is None
    assert Anyone().authenticate("whatever").subject is None


SAME = [
    ("http://example.com", "example.com"),
    ("https://example.com", "example.com"),
    ("http://example.com:80", "example.com"),
    ("http://example.com", "example.com:80"),
    ("https://example.com", "example.com:443"),
    ("https://example.com:443", "example.com"),
    ("http://example.com:4000", "example.com:4000"),
    ("HTTP://EXAMPLE.com", "example.COM"),
    ("http://127.0.0.1:4000", "127.0.0.1:4000"),
    ("http://[::1]:4000", "[::1]:4000"),
    ("http://[::1]", "[::1]:80"),
    ("http://[2001:DB8::1]", "[2001:db8::1]"),
]
OTHER = [
    ("http://evil.com", "example.com"),
    ("http://example.com:4000", "example.com:4001"),
    ("http://example.com:4000", "example.com"),
    ("http://example.com", "example.com:4000"),
    ("http://example.com:443", "example.com"),
    ("https://example.com:80", "example.com"),
    ("http://example.com", "example.com:443"),
    ("http://example.com.evil.com", "example.com"),
    ("http://sub.example.com", "example.com"),
    ("http://evilexample.com", "example.com"),
    ("http://example.com@evil.com", "example.com"),
    ("http://[::1]:4000", "[::2]:4000"),
    ("http://[::1", "[::1"),
    ("http://example.com:99999", "example.com:99999"),
    ("http://example.com:x", "example.com:x"),
    ("null", "example.com"),
    ("null", "null"),
    ("", "example.com"),
    ("", ""),
    ("example.com", "example.com"),
    ("http://example.com", None),
    ("http://example.com", ""),
]


@pytest.mark.parametrize(("origin", "host"), SAME)
def test_con5_origin_of_the_host_itself(origin: str, host: str) -> None:
    OriginPolicy().check(origin, host)
    OriginPolicy(["https://app.example.com"]).check(origin, host)


@pytest.mark.parametrize(("origin", "host"), OTHER)
def test_con5_other_origins_are_refused(origin: str, host: str | None) -> None:
    with pytest.raises(OriginRefused):
        OriginPolicy().check(origin, host)
    OriginPolicy(["*"]).check(origin, host)


def test_con5_no_origin() -> None:
    OriginPolicy().check(None, "example.com")
    OriginPolicy().check(None, None)


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("https://APP.example.com:443", "https://app.example.com"),
        ("https://app.example.com/", "https://app.example.com"),
        ("http://app.example.com:3000", "http://app.example.com:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("null", "null"),
        ("chrome-extension://abc", "chrome-extension://abc"),
    ],
)
def test_con5_allowed_origins(allowed: str, origin: str) -> None:
    OriginPolicy(["http://first.com", allowed]).check(origin, "example.com")
    OriginPolicy([allowed]).check(origin, None)


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        ("https://app.example.com", "http://app.example.com"),
        ("https://app.example.com", "https://app.example.com:8443"),
        ("https://app.example.com", "https://other.example.com"),
        ("https://app.example.com", "null"),
        ("null", "http://null"),
    ],
)
def test_con5_not_the_allowed_origin(allowed: str, origin: str) -> None:
    with pytest.raises(OriginRefused):
        OriginPolicy([allowed]).check(origin, "example.com")
