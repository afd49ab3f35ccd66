"""What all messages of nodes begin with."""

from __future__ import annotations

import msgspec

VERSION = 1
"""Of the format. New members of a message, and new kinds, are no new version."""


class Start(msgspec.Struct, gc=False):
    """
    What all messages of all versions have.

    :ivar v: the version of the format.
    :ivar node: who sends it.
    :ivar kind: what it is about.
    """

    v: int
    node: str
    kind: str


class Ignored(Exception):
    """
    A message says nothing to this node.

    :ivar reason: ``version``, ``kind`` or ``malformed``.
    :ivar node: who sent it, where only that can be read; empty otherwise.
    """

    def __init__(self, reason: str, node: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.node = node
