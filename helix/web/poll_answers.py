"""
Answers of long polling.

The HTTP status is always 200; the client reads the ``status`` in the body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from twisted.web.server import Request

from helix.delivery.parts import SharedText, escape
from helix.delivery.protocol import Data, encode_json

END = b"\x1e"
"""Ends each frame of a mailbox: a character that no JSON text holds."""


class Poll(Protocol):
    """A poll that waits for its answer."""

    def answer(self, body: Iterable[Data]) -> None:
        """Answer it, once, with the pieces of a body."""

    def when_lost(self, call: Callable[[], object]) -> None:
        """Call this if its client is gone before it is answered."""


class HttpPoll:
    """The poll of a client that is connected to this node."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def is_lost(self) -> bool:
        """Whether its client is gone."""
        return bool(self._request._disconnected)

    def answer(self, body: Iterable[Data]) -> None:
        request = self._request
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"cache-control", b"no-store")
        for piece in body:
            request.write(piece)
        request.finish()

    def when_lost(self, call: Callable[[], object]) -> None:
        self._request.notifyFinish().addErrback(lambda _: call())


def write_answer(request: Request, status: int, token: str | None = None) -> None:
    """Finish ``request`` with a body without messages."""
    HttpPoll(request).answer(answer_body(status, token))


def answer_body(
    status: int, token: str | None = None, messages: Sequence[Data] = ()
) -> Iterator[Data]:
    """
    Make the body that a client goes by, in pieces.

    :param messages: frames as `helix.web.long_poll.Mailbox.take_all` gives them.
    """
    body: dict[str, object] = {"status": status}
    if token is not None:
        body["token"] = token
    if not messages:
        yield encode_json(body)
        return
    yield encode_json(body).removesuffix(b"}") + b',"messages":["'
    *others, last = messages
    for piece in (*others, bytes(last).removesuffix(END)):
        yield _escaped(piece)
    yield b'"]}'


def _escaped(piece: Data) -> bytes:
    """Write a piece of frames into a JSON array of strings."""
    if isinstance(piece, SharedText):
        return piece.escaped[0]
    frames = bytes(piece).decode().split(END.decode())
    return b'","'.join(map(escape, frames))
