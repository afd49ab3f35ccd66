"""The tokens that requests carry."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helix.access.principal import ANYBODY, Principal
from helix.errors import TokenRefused
from helix.identity.authenticator import Authenticator
from helix.identity.tokens import MAX_TOKEN_BYTES
from helix.interfaces import Credentials
from helix.web.credentials import TOKEN_PREFIX, token_from


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
    for token in (None, "whatever"):
        came: list[Principal] = []
        anyone = Authenticator(None, frozenset(), is_open=True)
        anyone.authenticate(Credentials(token)).addCallback(came.append)
        assert came == [ANYBODY]
