"""Origins of pages, and names of the server."""

from __future__ import annotations

import pytest

from helix.errors import OriginRefused
from helix.web.origins import HostPolicy, OriginPolicy

SAME = [
    ("http://example.com", "http://example.com"),
    ("https://example.com", "https://example.com"),
    ("http://example.com:80", "http://example.com"),
    ("http://example.com", "http://example.com:80"),
    ("https://example.com", "https://example.com:443"),
    ("https://example.com:443", "https://example.com"),
    ("http://example.com:4000", "http://example.com:4000"),
    ("HTTP://EXAMPLE.com", "http://example.COM"),
    ("http://127.0.0.1:4000", "http://127.0.0.1:4000"),
    ("http://[::1]:4000", "http://[::1]:4000"),
    ("http://[::1]", "http://[::1]:80"),
    ("http://[2001:DB8::1]", "http://[2001:db8::1]"),
]
OTHER = [
    ("http://evil.com", "http://example.com"),
    ("http://example.com", "https://example.com"),
    ("https://example.com", "http://example.com"),
    ("https://example.com", "http://example.com:443"),
    ("http://example.com:4000", "http://example.com:4001"),
    ("http://example.com:4000", "http://example.com"),
    ("http://example.com", "http://example.com:4000"),
    ("http://example.com:443", "https://example.com"),
    ("https://example.com:80", "http://example.com"),
    ("http://example.com", "http://example.com:443"),
    ("http://example.com.evil.com", "http://example.com"),
    ("http://sub.example.com", "http://example.com"),
    ("http://evilexample.com", "http://example.com"),
    ("http://example.com@evil.com", "http://example.com"),
    ("http://[::1]:4000", "http://[::2]:4000"),
    ("http://[::1", "http://[::1"),
    ("http://example.com:99999", "http://example.com:99999"),
    ("http://example.com:x", "http://example.com:x"),
    ("null", "http://example.com"),
    ("null", "http://null"),
    ("", "http://example.com"),
    ("example.com", "http://example.com"),
    ("http://example.com", None),
    ("", None),
]


@pytest.mark.parametrize(("origin", "own"), SAME)
def test_con5_origin_that_is_asked_itself(origin: str, own: str) -> None:
    OriginPolicy().check(origin, own)
    OriginPolicy(["https://app.example.com"]).check(origin, own)


@pytest.mark.parametrize(("origin", "own"), OTHER)
def test_con5_other_origins_are_refused(origin: str, own: str | None) -> None:
    with pytest.raises(OriginRefused):
        OriginPolicy().check(origin, own)
    OriginPolicy(["*"]).check(origin, own)


def test_con5_no_origin() -> None:
    OriginPolicy().check(None, "http://example.com")
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
    OriginPolicy(["http://first.com", allowed]).check(origin, "http://example.com")
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
        OriginPolicy([allowed]).check(origin, "http://example.com")


WILD = "https://*.example.com"


@pytest.mark.parametrize(
    ("allowed", "origin"),
    [
        (WILD, "https://app.example.com"),
        (WILD, "https://a.b.c.example.com"),
        (WILD, "HTTPS://App.Example.com:443"),
        ("https://*.Example.com:443", "https://app.example.com"),
        ("http://*.example.com:8080", "http://app.example.com:8080"),
    ],
)
def test_con5_wildcard_stands_for_all_below_a_name(allowed: str, origin: str) -> None:
    OriginPolicy(["https://other.com", allowed]).check(origin, None)


@pytest.mark.parametrize(
    "origin",
    ["https://example.com", "http://app.example.com", "https://app.example.com:8443", "null",
     "https://appexample.com", "https://.example.com", "https://app.example.com.evil.com",
     "https://evil.com/.example.com", "https://evil.com#.example.com", "https://evil.com\\.example.com",
     "https://a..example.com", "https://evil.com:1.example.com", "https://evil.com?.example.com"],
)  # fmt: skip
def test_con5_wildcard_stands_for_nothing_else(origin: str) -> None:
    with pytest.raises(OriginRefused):
        OriginPolicy([WILD]).check(origin, None)


def test_con5_refusal_says_what_would_be_right() -> None:
    with pytest.raises(OriginRefused, match=r"than http://example\.com are.*--trusted-proxy"):
        OriginPolicy().check("https://example.com", "http://example.com")


LOCAL = ["localhost", "LOCALHOST:4000", "localhost.:80", "app.localhost", "127.0.0.1",
         "127.0.0.1:4000", "[::1]", "[::1]:4000", "192.168.1.5:80", "[2001:db8::1]", "",
         None]  # fmt: skip
NAMED = ["evil.test", "localhost.evil.test", "127.0.0.1.evil.test", "evil.test:4000", "1.2.3",
         "evillocalhost", "xn--a", "[::g]", "0x7f000001", "localhost:x"]  # fmt: skip


@pytest.mark.parametrize("host", LOCAL)
def test_sec7_what_leads_nowhere_else_may_be_asked_for(host: str | None) -> None:
    assert HostPolicy([]).allows(host)
    assert HostPolicy(["helix.test"]).allows(host)


@pytest.mark.parametrize("host", NAMED)
def test_sec7_other_names_may_not_unless_they_are_allowed(host: str) -> None:
    assert not HostPolicy([]).allows(host)
    assert not HostPolicy(["helix.test", "*.helix.test"]).allows(host)
    assert HostPolicy(["*"]).allows(host)


@pytest.mark.parametrize(
    ("allowed", "host", "may"),
    [
        ("helix.test", "helix.test", True),
        ("helix.test", "HELIX.test.:8080", True),
        ("Helix.Test.", "helix.test", True),
        ("helix.test", "a.helix.test", False),
        ("helix.test:8080", "helix.test:8080", True),
        ("helix.test:8080", "helix.test", False),
        ("helix.test:8080", "helix.test:80", False),
        ("*.helix.test", "a.helix.test", True),
        ("*.helix.test", "a.b.helix.test:4000", True),
        ("*.helix.test", "helix.test", False),
        ("*.helix.test", ".helix.test", False),
        ("*.helix.test", "evil.test.helix.test.evil", False),
    ],
)
def test_sec7_names_that_are_allowed(allowed: str, host: str, may: bool) -> None:
    assert HostPolicy([allowed]).allows(host) is may
