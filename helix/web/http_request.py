"""One HTTP request: size limits, and checks for invalid requests."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import attrs
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET

from helix.access.principal import Principal
from helix.errors import BodyTooLarge, HostRefused
from helix.web.admission import header
from helix.web.answers import PacedRequest
from helix.web.base_path import ROOT
from helix.web.origins import HostPolicy
from helix.web.problems import write_not_found, write_problem

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(:[0-9]{0,5})?")
"""A ``Host`` (RFC 9110, 7.2)."""

Words = frozenset[bytes]
"""The fixed words of addresses: ``api``, ``flows``, ``metrics``."""


@attrs.frozen
class BodyLimits:
    """
    The size limits of request bodies.

    :ivar others: for all bodies without a document or a patch.
    """

    documents: int
    others: int

    def of(self, target: bytes) -> int:
        """Give the limit for a request's target."""
        path = target.partition(b"?")[0]
        takes_documents = b"/api/flows" in path and not path.endswith(b"/sync")
        return max(self.documents, self.others) if takes_documents else self.others


def split_absolute(target: bytes) -> tuple[bytes | None, bytes]:
    """
    Split a request's target if it is a whole URL, as every server must (RFC 9112, 3.2.2).

    :return: the URL's host and port, ``None`` where there is none; and the path with its query.
    """
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return None, target
    end = re.search(rb"[/?]|$", rest)
    assert end is not None
    path = rest[end.start() :]
    return rest[: end.start()], path if path.startswith(b"/") else b"/" + path


def is_literal(target: bytes, words: Words) -> bool:
    """
    Tell whether an address is written in its plain form, so that a proxy's rules match it, too:
    without empty segments before it, and with no fixed word percent-encoded.

    :param target: a path, and a query if there is one.
    """
    path = target.partition(b"?")[0]
    return not path.startswith(b"//") and not any(
        b"%" in segment and unquote_to_bytes(segment) in words for segment in path.split(b"/")
    )


class LimitedRequest(PacedRequest):
    """
    A request that is refused, and its connection closed, as soon as it is invalid or too large:
    400, 413 or 421.

    :cvar limits: of its body.
    :cvar hosts: the allowed ``Host`` names.
    :cvar words: the fixed words of addresses.
    :cvar base: the path below which the server is.

    :ivar principal: who makes it; nobody in particular, until that is known.
    :ivar own_origin: the server's, as its client sees it, once that is looked at.
    """

    principal = Principal()
    own_origin: str | None = None
    limits = BodyLimits(0, 0)
    hosts = HostPolicy(["*"])
    words: Words = frozenset()
    base = ROOT

    channel: Any  # a `helix.web.http_channel.Channel`
    _max_bytes = 0
    received_bytes = 0
    _refused = False

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        # The request itself gets to know its address only together with the whole body.
        target: bytes = self.channel._path
        self._max_bytes = self.limits.of(target)
        if problem := self._check_head(target):
            self._refuse(400, "bad_request", problem)
        elif not self.hosts.allows(header(self, b"host")):
            self._refuse(421, HostRefused.code, HostRefused.default_message)
        elif length is not None and length > self._max_bytes:
            self._refuse(413, "body_too_large", BodyTooLarge.default_message)

    def handleContentChunk(self, data: bytes) -> None:
        self.received_bytes += len(data)
        if self.received_bytes > self._max_bytes and not self._refused:
            self._refuse(413, "body_too_large", BodyTooLarge.default_message)
        if not self._refused:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if not self._refused:
            self._target = self.base.without(split_absolute(path)[1])
            super().requestReceived(command, self._target, version)

    def process(self) -> None:
        if is_literal(self._target, self.words):
            super().process()
        else:
            self.answer(write_not_found(self))

    def render(self, resrc: IResource) -> None:
        """Answer; without a body for HEAD. (Twisted's own method logs that, with the query.)"""
        self.responseHeaders.removeHeader(b"server")  # which version of what is nobody's business
        body = resrc.render(self)
        if body != NOT_DONE_YET:
            self.answer(body)

    def answer(self, body: bytes) -> None:
        """Answer with a whole body."""
        self.setHeader(b"content-length", b"%d" % len(body))
        self.write(body)
        self.finish()

    def _check_head(self, target: bytes) -> str | None:
        """Say what is wrong with the target or the host; set ``Host`` to the one that counts."""
        host, path = split_absolute(target)
        if not path.startswith(b"/") and path != b"*":
            return "The target is no address of this server"
        hosts = self.requestHeaders.getRawHeaders(b"host", [])
        if len(hosts) > 1:
            return "There is more than one Host"
        if not hosts and self.channel._version == b"HTTP/1.1":
            return "There is no Host"
        if host is not None:
            hosts = [host]
            self.requestHeaders.setRawHeaders(b"host", hosts)
        if any(_HOST.fullmatch(one) is None for one in hosts):
            return "The Host is none"
        return None

    def _refuse(self, status: int, code: str, detail: str) -> None:
        self._refused = True
        # Known to it only with the whole request.
        self.method, self.clientproto = self.channel._command, b"HTTP/1.1"
        self.uri = self.channel._path
        self.requestHeaders.removeHeader(b"expect")  # an interim answer would follow the final one
        self.setHeader(b"connection", b"close")
        body = write_problem(self, status, code, detail)
        self.setHeader(b"content-length", b"%d" % len(body))
        self.write(body)
        assert self.content is not None
        self.content.close()
        self.channel.factory.log(self)
        self.channel.read_no_more()
