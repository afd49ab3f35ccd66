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
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
