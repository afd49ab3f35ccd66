"""The files of the built editor, and how they are served."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.resources.abc import Traversable
from typing import Final

import attrs
import msgspec
from twisted.web.iweb import IRequest

from helix.web.base_path import ROOT, BasePath
from helix.web.etags import Conditions
from helix.web.problems import write_not_found
from helix.web.routes import write_known

PAGE = "index.html"

_ASSETS = "assets/"

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors {}"
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


@attrs.frozen
class PageSettings:
    """
    What the page has to know of its server, and who may show it in a frame.

    :ivar base: the path below which the server is.
    :ivar ancestors: the origins of the pages that may have it in a frame.
    :ivar anyone: whether nobody has to show who they are.
    :ivar tokens: whether the server takes tokens.
    """

    base: BasePath = ROOT
    ancestors: Sequence[str] = ()
    anyone: bool = True
    tokens: bool = False

    @property
    def policy(self) -> bytes:
        """The page's Content-Security-Policy."""
        return _POLICY.format(" ".join(self.ancestors) or "'none'").encode()

    def write(self, page: bytes) -> bytes:
        """Write it into a page as it was built, with addresses that begin with ``./``."""
        written = page.replace(b'="./', b'="%b/' % self.base.path.encode())
        if self == ALONE:
            return written
        told = {
            "base": self.base.path,
            "ancestors": self.ancestors,
            "anyone": self.anyone,
            "tokens": self.tokens,
        }
        meta = f'<meta name="helix" content="{escape(msgspec.json.encode(told).decode())}" />'
        return written.replace(b"</head>", meta.encode() + b"</head>", 1)


ALONE = PageSettings()
"""A page that nobody frames, of a server at the root that asks nobody."""


class EditorFiles:
    """
    All files of the editor, in memory; other names are not found.

    :param contents: by name, those in ``assets/`` with it.
    :param settings: what its page says.
    """

    def __init__(self, contents: Mapping[str, bytes], settings: PageSettings = ALONE) -> None:
        self._contents = contents
        self._settings = settings
        self._policy = settings.policy
        self._assets = {
            name: self._file(name, contents)
            for name in contents
            if name.startswith(_ASSETS) and not name.endswith(tuple(_CODINGS.values()))
        }
        page = settings.write(contents[PAGE])
        packed = {PAGE: page, PAGE + _CODINGS["gzip"]: gzip.compress(page, mtime=0)}
        self._page = self._file(PAGE, packed)

    def with_settings(self, settings: PageSettings) -> EditorFiles:
        """The same files, with a page that says something else."""
        return EditorFiles(self._contents, settings)

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
        named = [*_named(built.iterdir(), ""), *_named(assets.iterdir(), _ASSETS)]
        return cls(dict(named))

    def write_page(self, request: IRequest) -> bytes:
        """Make ``request`` answer the page that is the editor, as `BuiltFile.write`."""
        request.setHeader(b"content-security-policy", self._policy)
        if not self._settings.ancestors:
            request.setHeader(b"x-frame-options", b"DENY")
        request.setHeader(b"referrer-policy", b"no-referrer")
        request.setHeader(b"cross-origin-opener-policy", b"same-origin")
        return self._page.write(request, b"no-cache")

    def write_asset(self, request: IRequest, name: str) -> bytes:
        """Make ``request`` answer a script or a style, whose name changes with its content."""
        found = self._assets.get(_ASSETS + name)
        return write_not_found(request) if found is None else found.write(request, _FOREVER)


def _named(found: Iterable[Traversable], prefix: str) -> Iterator[tuple[str, bytes]]:
    for one in found:
        if one.is_file():
            yield prefix + one.name, one.read_bytes()
