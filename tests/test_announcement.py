"""What the start tells of itself. (OPS17)"""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from helix.announcement import Listening, lets_all_in, tell_where, tell_who
from helix.config import read_config

LOOPBACK = Listening("tcp:4000:interface=127.0.0.1", IPv4Address("TCP", "127.0.0.1", 4000))
EVERYWHERE = Listening("tcp:4000", IPv4Address("TCP", "0.0.0.0", 4000))
SOCKET = Listening("unix:/run/helix.sock", UNIXAddress(b"/run/helix.sock"))


@pytest.mark.parametrize(
    ("port", "url"),
    [
        (LOOPBACK, "http://127.0.0.1:4000/"),
        (Listening("tcp:0", IPv4Address("TCP", "0.0.0.0", 31234)), "http://127.0.0.1:31234/"),
        (Listening("4000", IPv4Address("TCP", "10.0.0.7", 4000)), "http://10.0.0.7:4000/"),
        (Listening("tcp6:0", IPv6Address("TCP", "::", 4001)), "http://[::1]:4001/"),
        (Listening("ssl:443", IPv4Address("TCP", "127.0.0.1", 443)), "https://127.0.0.1:443/"),
        (SOCKET, "unix:/run/helix.sock"),
        (Listening("odd:thing", None), "odd:thing"),
    ],
)
def test_ops17_address_can_be_opened(port: Listening, url: str) -> None:
    config = read_config({}, {})
    assert tell_where("1.2", [port], config).startswith(f"Helix 1.2: open {url} (")
    assert f"open {url} and {url} (" in tell_where("1.2", [port, port], config)


def test_ops17_acc211_address_has_the_base_path() -> None:
    config = read_config({"base-path": ["/some/helix/"]}, {})
    told = tell_where("1.2", [LOOPBACK, SOCKET], config)
    assert "open http://127.0.0.1:4000/some/helix/ and unix:/run/helix.sock (" in told


@pytest.mark.parametrize(
    ("store", "told"),
    [
        ("memory:", "in memory alone, and gone when it stops"),
        ("sqlite:/var/lib/flows.db", "in /var/lib/flows.db"),
        ("sqlite:helix-data/flows.db", f"in {Path('helix-data/flows.db').absolute()}"),
        ("sqlite:~/flows.db", f"in {Path.home() / 'flows.db'}"),
        ("postgresql://ada:secret@db:5433/flows", "in PostgreSQL, db:5433/flows"),
        ("postgres://ada:s%40cr@et@[::1]/flows?password=secret", "in PostgreSQL, [::1]/flows"),
        ("postgresql:///flows?host=/run&password=secret", "in PostgreSQL, /flows"),
    ],
)
def test_ops17_store_is_told_without_its_password(store: str, told: str) -> None:
    config = read_config({"store": [store]}, {})
    assert tell_where("1.2", [LOOPBACK], config).endswith(f"(flows are kept {told})")


@pytest.mark.parametrize(
    ("ports", "is_open"),
    [
        ([LOOPBACK], False),
        ([LOOPBACK, SOCKET], False),
        ([Listening("tcp6:1", IPv6Address("TCP", "::1", 1))], False),
        ([EVERYWHERE], True),
        ([LOOPBACK, EVERYWHERE], True),
    ],
)
def test_ops5_ops17_who_may_come_in(ports: list[Listening], is_open: bool) -> None:
    told = tell_who(ports, read_config({}, {}))
    assert ("no client has to sign in" in told) == is_open
    assert ("listens to this machine alone" in told) != is_open
    assert "origin" not in told


def test_ops17_proxies_and_pages_of_other_origins_are_told() -> None:
    given = {"trusted-proxy": ["10.0.0.0/8"], "allow-origin": ["http://a", "https://b"]}
    told = tell_who([LOOPBACK], read_config(given, {}))
    assert "a proxy lets in" in told
    assert told.endswith("Web pages of other origins may connect: http://a, https://b")


@pytest.mark.parametrize(
    ("auth", "ways"),
    [
        (["jwt:hmac:s3cret"], "by a signed token"),
        (["jwt:pem:s3cret", "jwt:jwks:https://keys.test/s3cret"], "by a signed token"),
        (["oidc:https://id.test/s3cret"], "by signing in at id.test"),
        (["header:X-User"], "by X-User of a trusted proxy"),
        (["header:X-User", "jwt:hmac:s3cret"], "by a signed token or by X-User of a trusted proxy"),
    ],
)
def test_acc3_ops17_who_is_asked_is_told(auth: list[str], ways: str) -> None:
    config = read_config({"auth": auth, "trusted-proxy": ["unix"], "admin": ["root"]}, {})
    for ports in ([LOOPBACK], [EVERYWHERE]):
        told = tell_who(ports, config)
        assert told == f"Who comes in must show who they are: {ways}"
        assert not lets_all_in(ports, config)


def test_acc3_ops5_who_lets_anyone_in_warns() -> None:
    for auth in (["anyone"], ["anyone", "jwt:hmac:s3cret"]):
        config = read_config({"auth": auth}, {})
        assert "no client has to sign in" in tell_who([EVERYWHERE], config)
        assert lets_all_in([EVERYWHERE], config)
        assert not lets_all_in([LOOPBACK], config)
