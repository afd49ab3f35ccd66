"""
Long polling that reached another node than the one that has the session.

This node asks that one, and passes its answer on. What is large goes in pieces, each asked for once
the one before it has come. If a piece doesn't come, the client is told that its session is gone,
and begins a new one, as after any lost connection: so it misses nothing unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Final, Protocol, TypeVar

import attrs
import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from helix.delivery.protocol import Data, encode_json
from helix.limits.rate_limit import TokenBucket
from helix.nodes.asking import Asking
from helix.web.poll_answers import HttpPoll, Poll, answer_body

T = TypeVar("T")

PIECE_BYTES = 128 * 1024
"""Bytes of a piece, which goes in a message between nodes, in base64."""

FIRST_BYTES = 4096
"""
Bytes of the first piece of a POST, after which its session is known to be there. So much never
waits.
"""

BYTES_PER_SECOND = 8 * 1024 * 1024
"""Of pieces, which a node sends on average. What is more waits, so that the broker keeps up."""

BURST_BYTES = 2 * 1024 * 1024
"""Of pieces that it sends at once."""

PATIENCE = 12.0
"""
Seconds in which a question must be answered: a poll waits for 10, and who took too much time may
have to wait as long for the answer to a POST. For so long a piece waits to be asked for, too.
"""

TAKEN_BACK_SECONDS = 1.0
"""In which what waits at other nodes must be taken back when this one ends."""

WRITING_SECONDS = 0.05
"""After which the answers to what was taken back have been written."""

_NULL = b"null"
"""There is nothing to say; of a poll: it was taken back, and the session has lost nothing."""


class Sessions(Protocol):
    """The sessions of this node."""

    def has(self, token: str) -> bool:
        """Whether there is such a session."""

    def poll(self, token: str, poll: Poll) -> None:
        """Answer a poll of a session: now, or when there is something."""

    def publish(
        self, token: str, content_type: str, body: bytes, answer: Callable[[int], object]
    ) -> None:
        """Take a POST of a session, and answer it with a status."""

    def expire(self, token: str) -> None:
        """End a session."""


class _Poll(msgspec.Struct, gc=False):
    """``poll``, and ``poll_lost``: the client is gone, or the node at which it waits will be."""

    token: str
    id: str


class _Rest(msgspec.Struct, gc=False):
    """``poll_rest``: the next piece of an answer."""

    id: str
    begin: int


class _Piece(msgspec.Struct, gc=False):
    """A piece of an answer that has ``size`` bytes."""

    size: int
    data: bytes


class _End(msgspec.Struct, gc=False):
    """``poll_end``: the client didn't get what the session has sent it."""

    token: str


class _Post(msgspec.Struct, gc=False):
    """``post``: a piece of a body that has ``size`` bytes. The answer to the last is a status."""

    token: str
    id: str
    content_type: str
    size: int
    begin: int
    data: bytes


_decode_poll = msgspec.json.Decoder(_Poll).decode
_decode_rest = msgspec.json.Decoder(_Rest).decode
_decode_piece = msgspec.json.Decoder(_Piece | None).decode
_decode_end = msgspec.json.Decoder(_End).decode
_decode_post = msgspec.json.Decoder(_Post).decode
_decode_status = msgspec.json.Decoder(int).decode


class _PollOfAnother:
    """A poll that another node has passed on."""

    def __init__(self) -> None:
        self.answered: Deferred[bytes | None] = Deferred()
        self._lost: list[Callable[[], object]] = []

    def answer(self, body: Iterable[Data]) -> None:
        if not self.answered.called:
            self.answered.callback(b"".join(body))

    def when_lost(self, call: Callable[[], object]) -> None:
        self._lost.append(call)

    def lose(self) -> None:
        """The client is gone, and this is not answered."""
        for call in self._lost:
            call()
        self.answered.callback(None)


@attrs.define(eq=False)
class _Held:
    """Pieces that wait for the next question."""

    body: bytes | bytearray
    timer: IDelayedCall


class HandedOn:
    """
    Hands long polling on to other nodes, and answers theirs.

    :param clock: the reactor.
    :param sessions: this node's.
    """

    _log: Final = Logger(namespace="helix.web")

    def __init__(self, asking: Asking, clock: IReactorTime, sessions: Sessions) -> None:
        self._asking = asking
        self._clock = clock
        self._sessions = sessions
        self._numbers = count(1)
        self._polls: dict[str, _PollOfAnother] = {}
        self._held: dict[str, _Held] = {}
        self._waiting: dict[bytes, str] = {}  # polls of this node's clients, and who is to answer
        self._all_back: Deferred[None] | None = None
        self._bucket = TokenBucket(BYTES_PER_SECOND, BURST_BYTES, clock.seconds())
        asking.responds["poll"] = self._polled
        asking.responds["poll_rest"] = self._asked_for_rest
        asking.responds["poll_lost"] = self._poll_lost
        asking.responds["poll_end"] = self._poll_ended
        asking.responds["post"] = self._posted

    def reaches(self, node: str) -> bool:
        """Whether there is another node of that id, and it can be asked."""
        return self._asking.knows(node)

    def poll(self, node: str, token: str, poll: HttpPoll) -> None:
        """Let ``node`` answer a poll of a session that it has."""
        if self._all_back is not None:
            poll.answer(answer_body(204, token))
            return
        handed = Deferred.fromCoroutine(self._hand_poll(node, token, poll))
        handed.addErrback(lambda failure: self._log.failure("A poll was not handed on", failure))

    async def take_back(self) -> None:
        """
        Let no poll wait here any more, since this node ends: its client polls again, elsewhere, and
        its session loses nothing. Done `WRITING_SECONDS` after all are answered, which takes
        `TAKEN_BACK_SECONDS` at most.
        """
        self._all_back = Deferred()
        for asked, node in list(self._waiting.items()):
            self._asking.ask_one(node, "poll_lost", asked)
        if self._waiting:
            await self._all_back.addTimeout(TAKEN_BACK_SECONDS, self._clock, lambda *_: None)
            # The reactor writes an answer in a later turn, and cuts all connections when it ends.
            await deferLater(self._clock, WRITING_SECONDS)

    def publish(
        self, node: str, token: str, content_type: str, body: bytes, answer: Callable[[int], object]
    ) -> None:
        """Let ``node`` take a POST of a session that it has."""
        handed = Deferred.fromCoroutine(self._hand_post(node, token, content_type, body))
        handed.addCallback(answer)
        handed.addErrback(lambda failure: self._log.failure("A POST was not handed on", failure))

    # of this node's clients

    async def _hand_poll(self, node: str, token: str, poll: HttpPoll) -> None:
        asked = encode_json(_Poll(token, self._new_id()))
        poll.when_lost(lambda: self._asking.ask_one(node, "poll_lost", asked))
        self._waiting[asked] = node
        try:
            first = await self._asking.ask_one(node, "poll", asked, PATIENCE)
            body: Iterable[Data] | None
            if first == _NULL:
                body = answer_body(204, token)
            else:
                body = None if first is None else await self._fetch(node, asked, first)
            if not poll.is_lost:
                poll.answer(answer_body(500) if body is None else body)
        finally:
            self._came_back(asked)
        if first != _NULL and (poll.is_lost or body is None):
            await self._asking.ask_one(node, "poll_end", encode_json(_End(token)))

    def _came_back(self, asked: bytes) -> None:
        """A poll doesn't wait any more."""
        del self._waiting[asked]
        if self._all_back is not None and not self._waiting and not self._all_back.called:
            self._all_back.callback(None)

    async def _fetch(self, node: str, asked: bytes, first: bytes) -> list[bytes] | None:
        """
        Give the body that answers a poll, in pieces; ``None`` if not all of it came.

        :param first: the answer to the question.
        """
        body: list[bytes] = []
        size, piece = 0, _read(_decode_piece, first)
        while piece is not None:
            body.append(piece.data)
            size += len(piece.data)
            if size >= piece.size:
                return body
            rest = encode_json(_Rest(_decode_poll(asked).id, size))
            answer = await self._asking.ask_one(node, "poll_rest", rest, PATIENCE)
            piece = _read(_decode_piece, answer)
        return None

    async def _hand_post(self, node: str, token: str, content_type: str, body: bytes) -> int:
        post_id, begin, status = self._new_id(), 0, 0
        while not status:
            data = body[begin : begin + (PIECE_BYTES if begin else FIRST_BYTES)]
            await self._pace(len(data))
            post = _Post(token, post_id, content_type, len(body), begin, data)
            answer = await self._asking.ask_one(node, "post", encode_json(post), PATIENCE)
            known = _read(_decode_status, answer)
            status = 410 if known is None else known
            begin += len(data)
        return status

    def _new_id(self) -> str:
        return f"{self._asking.node}{next(self._numbers)}"

    # of clients of other nodes

    def _polled(self, body: bytes) -> Deferred[bytes]:
        asked = _decode_poll(body)
        poll = self._polls[asked.id] = _PollOfAnother()

        def answered(body: bytes | None) -> Deferred[bytes]:
            del self._polls[asked.id]
            if body is None:
                return succeed(_NULL)
            return Deferred.fromCoroutine(self._piece(asked.id, body, 0))

        answer = poll.answered.addCallback(answered)
        self._sessions.poll(asked.token, poll)
        return answer

    def _poll_lost(self, body: bytes) -> Deferred[bytes]:
        poll = self._polls.get(_decode_poll(body).id)
        if poll is not None:
            poll.lose()
        return succeed(_NULL)

    def _poll_ended(self, body: bytes) -> Deferred[bytes]:
        self._sessions.expire(_decode_end(body).token)
        return succeed(_NULL)

    def _asked_for_rest(self, body: bytes) -> Deferred[bytes]:
        asked = _decode_rest(body)
        held = self._let_go(asked.id)
        if held is None:
            return succeed(_NULL)
        return Deferred.fromCoroutine(self._piece(asked.id, held, asked.begin))

    async def _piece(self, poll_id: str, body: bytes | bytearray, begin: int) -> bytes:
        # The first one doesn't wait: the poll may have waited long enough.
        is_late = not begin and self._bucket.owe(self._clock.seconds(), 0) > 0
        data = body[begin : begin + (FIRST_BYTES if is_late else PIECE_BYTES)]
        await self._pace(len(data))
        if begin + len(data) < len(body):
            self._hold(poll_id, body)
        return encode_json(_Piece(len(body), bytes(data)))

    def _posted(self, body: bytes) -> Deferred[bytes]:
        post = _decode_post(body)
        held = self._let_go(post.id)
        so_far = held if isinstance(held, bytearray) else bytearray()
        if len(so_far) != post.begin or not self._sessions.has(post.token):
            return succeed(b"410")
        so_far += post.data
        if len(so_far) < post.size:
            self._hold(post.id, so_far)
            return succeed(b"0")
        answered: Deferred[bytes] = Deferred()

        def answer(status: int) -> None:
            answered.callback(encode_json(status))

        self._sessions.publish(post.token, post.content_type, bytes(so_far), answer)
        return answered

    # of both

    async def _pace(self, size: int) -> None:
        """Wait until so many bytes more may go to another node."""
        seconds = self._bucket.owe(self._clock.seconds(), size)
        if seconds and size > FIRST_BYTES:
            await deferLater(self._clock, seconds)

    def _hold(self, key: str, body: bytes | bytearray) -> None:
        """Keep something until the next question, if that comes soon."""
        self._held[key] = _Held(body, self._clock.callLater(PATIENCE, self._held.pop, key))

    def _let_go(self, key: str) -> bytes | bytearray | None:
        held = self._held.pop(key, None)
        if held is None:
            return None
        held.timer.cancel()
        return held.body


def _read(decode: Callable[[bytes], T], answer: bytes | None) -> T | None:
    """Read an answer; ``None`` for none, or one of another version."""
    try:
        return None if answer is None else decode(answer)
    except msgspec.MsgspecError:
        return None
