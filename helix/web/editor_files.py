"""The files of the built editor, and how they are served."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from importlib.resources.abc import Traversable
from typing import Final

import attrs
from twisted.web.iweb import IRequest

from helix.web.etags import Conditions
from helix.web.problems import write_not_found
from helix.web.routes import write_known

PAGE = "index.html"

POLICY: Final = b"; ".join(
    [
        b"default-src 'none'",
        b"script-src 'self'",
        b"style-src 'self'",
        b"img-src 'self' data: blob:",
        b"font-src 'self'",
        b"connect-src 'self'",
        b"base-uri 'none'",
        b"form-action 'none'",
        b"frame-ancestors 'none'",
    ]
)
"""Only scripts and styles of the daemon are allowed, and connections only to the daemon."""

_FOREVER = b"public, max-age=31536000, immutable"

_CODINGS: Final = {"br": ".br", "gzip": ".gz"}
"""Content codings by preference, and the suffixes of their files."""

_MEDIA_TYPES: Final = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".woff2": b"font/woff2",
}

_ACCEPTED = re.compile(r"\s*([\w*-]+)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")


def _media_type(name: str) -> bytes:
    return _MEDIA_TYPES.get(name[name.rfind(".") :], b"application/octet-stream")


def _accepted(request: IRequest) -> frozenset[str]:
    """Tell which content codings a client takes (RFC 9110, 12.5.3), by their names alone."""
    values = request.requestHeaders.getRawHeaders(b"accept-encoding", [])
    accepted = set()
    for part in b",".join(values).decode("latin-1").lower().split(","):
        match = _ACCEPTED.fullmatch(part)
        if match is not None and float(match[2] or 1) > 0:
            accepted.add(match[1])
    return frozenset(accepted)


@attrs.frozen
class _Body:
    """A file in one content coding, and its entity tag."""

    content: bytes
    tag: str

    @classmethod
    def of(cls, content: bytes) -> _Body:
        return cls(content, f'"{sha256(content).hexdigest()[:32]}"')


@attrs.frozen
class BuiltFile:
    """
    One file of the editor.

    :ivar coded: by content coding, by preference.
    """

    media_type: bytes
    plain: _Body
    coded: Mapping[str, _Body]

    def write(self, request: IRequest, cache: bytes) -> bytes:
        """
        Make ``request`` answer the file, in the smallest coding that its client accepts.

        :param cache: the ``Cache-Control`` of the answer.
        :return: the body to answer with.
        :raises PreconditionFailed: when the client wants another representation.
        """
        accepted = _accepted(request)
        body = next((self.coded[one] for one in self.coded if one in accepted), self.plain)
        request.setHeader(b"vary", b"accept-encoding")
        known = write_known(request, body.tag, Conditions.of(request))
        request.setHeader(b"cache-control", cache)
        if known:
            return b""
        coding = next((one for one in self.coded if self.coded[one] is body), None)
        if coding is not None:
            request.setHeader(b"content-encoding", coding.encode())
        request.setHeader(b"content-type", self.media_type)
        request.setHeader(b"x-content-type-options", b"nosniff")
        request.setHeader(b"content-length", b"%d" % len(body.content))
        return body.content


class EditorFiles:
    """
    All files of the editor, in memory; other names are not found.

    :param contents: by name, those in ``assets/`` with it.
    """

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._files = {
            name: self._file(name, contents)
            for name in contents
            if not name.endswith(tuple(_CODINGS.values()))
        }

    @staticmethod
    def _file(name: str, contents: Mapping[str, bytes]) -> BuiltFile:
        coded = {
            coding: _Body.of(contents[name + ending])
            for coding, ending in _CODINGS.items()
            if name + ending in contents
        }
        return BuiltFile(_media_type(name), _Body.of(contents[name]), coded)

    @classmethod
    def load(cls, built: Traversable) -> EditorFiles | None:
        """Read the built files of a folder; ``None`` if there are none."""
        if not built.joinpath(PAGE).is_file():
            return None
        assets = built.joinpath("assets")
        named = [*_named(built.iterdir(), ""), *_named(assets.iterdir(), "assets/")]
        return cls(dict(named))

    def write_page(self, request: IRequest) -> bytes:
        """Make ``request`` answer the page that is the editor, as `BuiltFile.write`."""
        request.setHeader(b"content-security-policy", POLICY)
        request.setHeader(b"referrer-policy", b"no-referrer")
        request.setHeader(b"cross-origin-opener-policy", b"same-origin")
        return self._files[PAGE].write(request, b"no-cache")

    def write_asset(self, request: IRequest, name: str) -> bytes:
        """Make ``request`` answer a script or a style, whose name changes with its content."""
        found = self._files.get(f"assets/{name}")
        return write_not_found(request) if found is None else found.write(request, _FOREVER)


def _named(found: Iterable[Traversable], prefix: str) -> Iterator[tuple[str, bytes]]:
    for one in found:
        if one.is_file():
            yield prefix + one.name, one.read_bytes()
