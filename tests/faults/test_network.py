"""The network of these tests loses what it is told to lose, and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.faults.network import CannotBe, Host, Network, Way, network

PATIENCE = 0.5
"""Seconds after which a datagram counts as lost."""

LONG = 10.0
"""Seconds in which a machine that is busy refuses a connection."""


@pytest.fixture
def made() -> Iterator[Network]:
    try:
        with network() as made:
            yield made
    except CannotBe as error:
        pytest.skip(str(error))


def listen(host: Host, at: int = 0) -> socket.socket:
    with host.namespace.entered():
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((host.addresses[at], 0))
    listener.settimeout(PATIENCE)
    return listener


def passes(sender: socket.socket, receiver: socket.socket) -> bool:
    """Whether a datagram comes."""
    sender.sendto(b"x", receiver.getsockname())
    try:
        return receiver.recv(1) == b"x"
    except TimeoutError:
        return False


def test_a_line_is_cut_either_way_and_at_one_address_alone(made: Network) -> None:
    one, other = made.add_host(), made.add_host(addresses=2)
    with listen(one) as here, listen(other) as there, listen(other, at=1) as beside:

        def what_passes() -> tuple[bool, bool, bool]:
            return passes(here, there), passes(there, here), passes(here, beside)

        seen = {}
        for way in Way:
            with made.cut(one.addresses, other.addresses[:1], way):
                seen[way] = what_passes()
            assert what_passes() == (True, True, True)
        assert seen == {
            Way.BOTH: (False, False, True),
            Way.THERE: (False, True, True),
            Way.BACK: (True, False, True),
        }
        with made.isolated(other):
            assert what_passes() == (False, False, False)


def test_nobody_is_refused_by_what_is_cut_and_all_others_by_a_host_without_a_server(
    made: Network,
) -> None:
    one, other = made.add_host(), made.add_host()
    with one.namespace.entered():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((other.address, 9), timeout=LONG)
        with made.isolated(other), pytest.raises(TimeoutError):
            socket.create_connection((other.address, 9), timeout=PATIENCE)
