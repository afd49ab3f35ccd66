"""Reads the description of an endpoint, in the format of Twisted's `serverFromString`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

import attrs

UNIX_MODE = "660"
"""The mode of a unix socket, unless the endpoint gives one: its owner and its group may connect."""


@attrs.frozen
class Endpoint:
    """
    An endpoint's description, taken apart.

    :ivar kind: ``tcp``, ``ssl``, ``unix``, or another that a plugin knows.
    :ivar arguments: those without a name, in order.
    :ivar named: those with one.
    """

    kind: str
    arguments: Sequence[str]
    named: Mapping[str, str]

    @classmethod
    def parse(cls, description: str) -> Endpoint:
        """Take a description apart; a number alone is that of a TCP port."""
        parts = re.split(r"(?<!\\):", description)
        kind = parts[0] if len(parts) > 1 else "tcp"
        pairs = [re.split(r"(?<!\\)=", part, maxsplit=1) for part in parts[len(parts) > 1 :]]
        plain = [[re.sub(r"\\(.)", r"\1", text) for text in pair] for pair in pairs]
        return cls(
            kind,
            [pair[0] for pair in plain if len(pair) == 1],
            {pair[0]: pair[1] for pair in plain if len(pair) == 2},
        )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it; ``False`` where that isn't known."""
        if self.kind == "unix":
            return True
        if self.kind not in ("tcp", "tcp6", "ssl"):
            return False
        interface = self.named.get("interface", "".join(self.arguments[1:2]))
        try:
            return ip_address(interface.partition("%")[0]).is_loopback
        except ValueError:
            return interface == "localhost"

    @property
    def path(self) -> str | None:
        """The path of a unix socket; ``None`` of everything else."""
        if self.kind != "unix":
            return None
        return self.named.get("address") or "".join(self.arguments[:1])


def complete(description: str, backlog: int) -> str:
    """
    Add to a description what it doesn't say itself.

    :param backlog: how many connects may wait to be accepted. Of thousands that come back at once,
        the 50 of Twisted's default are few; the others' kernels try again after 1, 3 and 7 s.
    """
    if description.isdigit():
        description = f"tcp:{description}"
    endpoint = Endpoint.parse(description)
    added = {}
    if endpoint.kind in ("tcp", "ssl", "unix") and len(endpoint.arguments) < 3:
        added["backlog"] = str(backlog)
    if endpoint.kind == "unix":
        # Twisted's lock is a process id, which is another process's after the next start.
        added |= {"mode": UNIX_MODE, "lockfile": "0"}
        if len(endpoint.arguments) > 1:
            del added["mode"]
    missing = [f":{name}={value}" for name, value in added.items() if name not in endpoint.named]
    return description + "".join(missing)
