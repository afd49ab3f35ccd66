"""The path below which a server is served, where it has one."""

from __future__ import annotations

import attrs
from twisted.web.iweb import IRequest


@attrs.frozen
class BasePath:
    """
    The path below which everything is served.

    A proxy may remove it from what it passes on, or not: a request is served with it and without
    it. All addresses that the server tells have it.

    :ivar path: begins with a slash and doesn't end with one, ``/helix`` for one; or empty.
    """

    path: str = ""

    @property
    def first_word(self) -> str:
        """What stands before its second slash; empty without a base path."""
        return self.path[1:].partition("/")[0]

    def without(self, target: bytes) -> bytes:
        """
        Remove it from a request's target, once; what doesn't begin with it stays as it is.

        :param target: a path, and a query if there is one.
        """
        begin = self.path.encode()
        if not begin or not target.startswith(begin):
            return target
        rest = target[len(begin) :]
        if rest[:1] == b"/":
            return rest
        return b"/" + rest if rest[:1] in (b"", b"?") else target


ROOT = BasePath()
"""A server that has none."""


def base_of(request: IRequest) -> BasePath:
    """The base path of the server that a request is for. (`helix.web.http_request`)"""
    base: BasePath = getattr(request, "base", ROOT)
    return base
