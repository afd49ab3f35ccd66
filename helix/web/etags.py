"""Entity tags of flows, and conditions that requests make with them (RFC 9110, 8.8.3 and 13)."""

from __future__ import annotations

import re
from hashlib import sha256

import attrs
from twisted.web.iweb import IRequest

from helix.chain import chain_text
from helix.errors import PreconditionFailed
from helix.log.edits import Check

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def tag_of(epoch: str, version: int, chain: bytes, role: str = "") -> str:
    """
    Make the strong tag of a flow at a version: no other version of any log has it.

    :param role: of the client, where the answer tells it.
    """
    end = f".{role}" if role else ""
    return f'"{epoch}.{version}.{chain_text(chain)}{end}"'


def _without_role(tag: str) -> str:
    """Give the tag of the version alone: a change doesn't depend on who asks for it."""
    parts = tag[1:-1].split(".")
    return f'"{".".join(parts[:3])}"' if len(parts) == 4 else tag


def digest_tag(source: bytes) -> str:
    """Make the strong tag of an answer that has no version, of all that it is made of."""
    return f'"{sha256(source).hexdigest()[:32]}"'


@attrs.frozen
class _Tags:
    """
    The tags that a condition names.

    :ivar everything: whether it is ``*``, which any tag matches.
    """

    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()
    everything: bool = False


def _read_tags(request: IRequest, name: bytes) -> _Tags | None:
    values = request.requestHeaders.getRawHeaders(name)
    if values is None:
        return None
    text = b",".join(values).decode("latin-1").strip()
    if text == "*":
        return _Tags(everything=True)
    found = _TAG.findall(text)
    return _Tags(
        frozenset(f'"{tag}"' for weak, tag in found if not weak),
        frozenset(f'"{tag}"' for weak, tag in found if weak),
    )


@attrs.frozen
class Conditions:
    """
    What a request demands of the current representation.

    :ivar match: of ``If-Match``; ``None`` without it, and for ``*``: what isn't there at all is
        told by other errors. What can't be read matches nothing.
    :ivar none_match: of ``If-None-Match``; ``None`` without it.
    """

    match: _Tags | None
    none_match: _Tags | None

    @classmethod
    def of(cls, request: IRequest) -> Conditions:
        """Read a request's conditions."""
        match = _read_tags(request, b"if-match")
        if match is not None and match.everything:
            match = None
        return cls(match, _read_tags(request, b"if-none-match"))

    @property
    def check(self) -> Check:
        """What judges a change by them (`check_change`); ``None`` without any."""
        if self.match is None and self.none_match is None:
            return None
        return lambda *at: self.check_change(tag_of(*at))

    def is_known(self, tag: str) -> bool:
        """Tell whether ``If-None-Match`` names a tag: the client has that representation."""
        tags = self.none_match
        return tags is not None and (tags.everything or tag in tags.strong or tag in tags.weak)

    def check_match(self, tag: str) -> None:
        """
        Check ``If-Match``.

        :raises PreconditionFailed: when it doesn't name the tag.
        """
        tags = self.match
        if tags is not None and _without_role(tag) not in map(_without_role, tags.strong):
            raise PreconditionFailed()

    def check_change(self, tag: str) -> None:
        """
        Check what a change demands: both conditions.

        :raises PreconditionFailed: when one doesn't hold for the tag.
        """
        self.check_match(tag)
        tags = self.none_match
        if tags is not None and (
            tags.everything or tag in map(_without_role, tags.strong | tags.weak)
        ):
            raise PreconditionFailed()
