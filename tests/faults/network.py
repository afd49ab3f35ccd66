"""Hosts in network namespaces of their own, on a network whose lines can be cut either way."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import Enum
from itertools import product
from pathlib import Path

import attrs

RANGE = "198.18.0.0/15"
"""The addresses of all hosts; nobody else's (RFC 2544)."""

_CLONE_NEWNET = 0x40000000  # of sched.h; Python 3.12 has it

_OWN = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


class Way(Enum):
    """Which way nothing passes a line from one end to the other."""

    BOTH = "both ways"
    THERE = "there"
    BACK = "back"


class CannotBe(Exception):
    """There can be no such network here; it says why."""


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


@contextmanager
def _coming_back() -> Iterator[None]:
    """Bring this thread back into the namespace in which it is now."""
    own = os.open(_OWN, os.O_RDONLY)
    try:
        yield
    finally:
        _call("setns", own, _CLONE_NEWNET)
        os.close(own)


class Namespace:
    """A network namespace without a name: it goes with this process and those started in it."""

    def __init__(self) -> None:
        """:raises OSError: when we may not make one."""
        with _coming_back():
            _call("unshare", _CLONE_NEWNET)
            self._descriptor = os.open(_OWN, os.O_RDONLY)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Bring this thread into it: the sockets that it makes, and the processes, belong there."""
        with _coming_back():
            _call("setns", self._descriptor, _CLONE_NEWNET)
            yield

    @property
    def path(self) -> str:
        """By what ``ip`` finds it."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def ip(self, *commands: str) -> None:
        """
        Carry out commands of ``ip`` in it.

        :raises OSError: when one fails.
        """
        with self.entered():
            done = subprocess.run(
                ["ip", "-batch", "-"],
                input="".join(f"{command}\n" for command in commands),
                capture_output=True,
                text=True,
                timeout=10,
                check=False,
            )
        if done.returncode != 0:
            raise OSError(f"ip: {' '.join(done.stderr.split())}")

    def close(self) -> None:
        os.close(self._descriptor)


@attrs.frozen
class Host:
    """
    A machine on the network.

    :ivar addresses: its own, of which the first is where it is called.
    """

    namespace: Namespace
    addresses: Sequence[str]

    @property
    def address(self) -> str:
        return self.addresses[0]


class Network:
    """
    Hosts, each on a line of its own to one router.

    What is cut vanishes in the router without a word, as in a network; hosts see no other state of
    their line, and no refusal.
    """

    def __init__(self) -> None:
        """:raises CannotBe: where nobody may, or can, make one."""
        self._namespaces: list[Namespace] = []
        try:
            self._router = self._make()
            with self._router.entered():
                Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            with self._vanishing([("198.18.255.1", "198.18.255.2")]):
                pass
        except OSError as error:
            self.close()
            reason = f"hosts of their own need root, ip (iproute2) and network namespaces: {error}"
            raise CannotBe(reason) from None

    def _make(self) -> Namespace:
        namespace = Namespace()
        self._namespaces.append(namespace)
        namespace.ip("link set lo up")
        return namespace

    def add_host(self, addresses: int = 1) -> Host:
        """
        Make a host.

        :raises CannotBe: where its line can't be made.
        """
        namespace = self._make()
        number = len(self._namespaces)
        net = f"198.18.{number}"
        own = [f"{net}.{at}" for at in range(2, 2 + addresses)]
        try:
            self._router.ip(
                f"link add host{number} type veth peer name line netns {namespace.path}",
                f"address add {net}.1/24 dev host{number}",
                f"link set host{number} up",
            )
            namespace.ip(
                *(f"address add {address}/24 dev line" for address in own),
                "link set line up",
                f"route add default via {net}.1",
            )
        except OSError as error:
            raise CannotBe(f"there is no line between network namespaces: {error}") from None
        return Host(namespace, own)

    @contextmanager
    def cut(self, one: Sequence[str], other: Sequence[str], way: Way = Way.BOTH) -> Iterator[None]:
        """
        Let nothing pass between these addresses meanwhile, what is under way included.

        :param way: seen from ``one``.
        """
        pairs: list[tuple[str, str]] = []
        if way is not Way.BACK:
            pairs += product(one, other)
        if way is not Way.THERE:
            pairs += product(other, one)
        with self._vanishing(pairs):
            yield

    @contextmanager
    def isolated(self, host: Host) -> Iterator[None]:
        """Let nothing pass to or from a host meanwhile."""
        with self.cut(host.addresses, [RANGE]):
            yield

    @contextmanager
    def _vanishing(self, pairs: Sequence[tuple[str, str]]) -> Iterator[None]:
        rules = [f"from {source} to {target} blackhole" for source, target in pairs]
        self._router.ip(*(f"rule add {rule}" for rule in rules))
        try:
            yield
        finally:
            self._router.ip(*(f"rule delete {rule}" for rule in rules))

    def close(self) -> None:
        """Take it down; what runs on its hosts has ended."""
        while self._namespaces:
            self._namespaces.pop().close()


@contextmanager
def network() -> Iterator[Network]:
    """
    A network, as long as it is needed.

    :raises CannotBe: where there can be none.
    """
    with ExitStack() as stack:
        made = Network()
        stack.callback(made.close)
        yield made
