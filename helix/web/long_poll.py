"""Long polling, the fallback of phoenix.js: `Connection` over HTTP requests."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from helix.channels.clients import ClientService
from helix.channels.connection import Connections
from helix.delivery.backlog import Backlog
from helix.delivery.outlet import Flow, Outlet
from helix.delivery.parts import FrameSeries
from helix.delivery.protocol import V1, V2, Data, Encoding, Serializer
from helix.errors import (
    CloseCode,
    ConnectionRefused,
    Draining,
    MalformedFrame,
    OriginRefused,
    RateLimited,
)
from helix.nodes.asking import Asking
from helix.web.admission import AdmissionControl, Admitted, header, parameters
from helix.web.handed_on import HandedOn
from helix.web.poll_answers import END, HttpPoll, Poll, answer_body, write_answer
from helix.web.problems import write_error, write_not_found, write_problem
from helix.web.waiting import while_connected

POLL_TIMEOUT = 10.0
"""Seconds that a poll waits for messages."""

SESSION_TIMEOUT = 15.0
"""Seconds after the last poll at which a session ends."""

LAST_MESSAGES = 0.5
"""Seconds after a session is closed in which posts that were under way are still accepted."""

MAX_LINES = 100
"""Frames in one POST."""

TOKEN_PREFIX = "longpoll."
"""Tells our sessions' tokens from the clients' own ``token`` parameter, which has the same name."""

NODE_END = "."
"""Ends the id of the node, in the token of a session, that has the session."""

COUNT_BEGIN = "~"
"""
Begins, in the token of an answer, the number of the answers with messages so far. So the next poll
tells whether the last one came, also if a proxy has repeated it at another node.
"""

_log: Final = Logger(namespace="helix.web")


def _frame(text: bytes) -> bytes:
    return text + END


def _frame_pieces(pieces: Sequence[Data]) -> list[Data]:
    return [*pieces, END]


def _session_of(token: str) -> str:
    """The token of a session, as it began."""
    return token.partition(COUNT_BEGIN)[0]


ENCODINGS: dict[type[Serializer], Encoding] = {
    serializer: Encoding(serializer, _frame, None, _frame_pieces) for serializer in (V1, V2)
}


class Mailbox(Outlet):
    """
    The outgoing queue of a client that polls: frames wait until it asks for them.

    :param lagging: as `Outlet`'s.
    :param arrived: called when something has been put in.
    """

    __slots__ = ("_arrived",)

    def __init__(
        self,
        encoding: Encoding,
        high_water_mark: int,
        clock: IReactorTime,
        lagging: Callable[[bool], None],
        arrived: Callable[[], None],
        backlog: Backlog,
        shed: Callable[[], None],
    ) -> None:
        self._arrived = arrived
        super().__init__(encoding, high_water_mark, clock, lagging, lambda: None, backlog, shed)
        self._wait()

    def lost(self) -> None:
        super().lost()
        self._arrived = lambda: None  # so that nothing leads back to the client

    def take_all(self) -> list[Data]:
        """Empty the mailbox: the frames, oldest first, each ended by `END`, in pieces."""
        return self._take_queue()

    def _wait(self) -> None:
        """A mailbox is never clear: whether its client is alive is told by its polls."""
        self._block()
        self.blocked_since = None

    def _append(self, waiting: Data | FrameSeries, size: int) -> None:
        super()._append(waiting, size)
        self._arrived()

    def _drained(self) -> None:
        super()._drained()
        self._wait()


class PollingClient:
    """One session of long polling. (`helix.channels.clients.Client`)"""

    transport_name = "longpoll"

    def __init__(self, service: LongPollResource, admission: Admitted) -> None:
        self.token = f"{TOKEN_PREFIX}{service.node}{NODE_END}{secrets.token_urlsafe(24)}"
        self.address = admission.address
        self._service = service
        self._clock = service.connections.clock
        self._mailbox = Mailbox(
            ENCODINGS[admission.serializer],
            service.high_water_mark,
            self._clock,
            self._tell_lagging,
            self._arrived,
            service.backlog,
            lambda: self.close(CloseCode.TOO_MUCH_WAITS, ""),
        )
        self.connection = service.connections.make(
            self._mailbox, self.close, admission.budget, admission.principal
        )
        self._is_closing = self._is_gone = False
        self._answers = 0
        self._resting: IDelayedCall | None = None
        self._poll: Poll | None = None
        self._answering: IDelayedCall | None = None
        self._poll_timer: IDelayedCall | None = None
        self._expiry = self._expire_in(SESSION_TIMEOUT)

    @property
    def next_token(self) -> str:
        """The token of the next poll of who has had all answers."""
        return f"{self.token}{COUNT_BEGIN}{self._answers}" if self._answers else self.token

    @property
    def lagging(self) -> bool:
        """Whether more waits for the client than may."""
        return self._mailbox.state is Flow.LAGGING

    @property
    def owing(self) -> bool:
        """Whether its messages took so much time that nothing more is accepted for now."""
        return self._resting is not None

    def publish(self, lines: list[bytes], answer: Callable[[int], object]) -> None:
        """
        Take the lines of a POST.

        :param answer: called with the status: later, where they took too much time.
        """
        self.connection.begin()
        for line in lines:
            self.receive(line.strip())
        wait = self.connection.finish()
        if wait and not self._is_gone:
            self._resting = self._clock.callLater(wait, self._published, answer)
        else:
            answer(410 if self._is_gone else 200)

    def _published(self, answer: Callable[[int], object]) -> None:
        self._resting = None
        self.connection.touch()
        answer(410 if self._is_gone else 200)

    def poll(self, poll: Poll) -> None:
        """Answer ``poll`` with what there is, or as soon as there is something."""
        self.connection.touch()
        if self._is_closing:
            poll.answer(answer_body(500))
            return
        self._outlive(SESSION_TIMEOUT + POLL_TIMEOUT)
        self._answer(204)
        self._poll = poll
        poll.when_lost(lambda: self._poll_lost(poll))
        messages = self._mailbox.take_all()
        if messages:
            self._answer(200, messages)
        else:
            self._poll_timer = self._clock.callLater(POLL_TIMEOUT, self._answer, 204)

    def receive(self, line: bytes) -> None:
        """Take one line of a POST: a text frame, or base64 of a binary one."""
        if line[:1] in (b"[", b"{"):
            try:
                line.decode()
            except UnicodeDecodeError:
                self.connection.malformed(MalformedFrame("not UTF-8"))
            else:
                self.connection.receive(line)
            return
        try:
            data = base64.b64decode(line, validate=True)
        except binascii.Error:
            self.connection.malformed(MalformedFrame("neither JSON nor base64"))
        else:
            self.connection.receive_binary(data)

    def close(self, code: CloseCode, reason: str) -> None:
        """
        End the session; the client comes back without its token and joins again. If it did
        nothing wrong, its posts are still accepted until it knows.
        """
        if self._is_closing:
            return
        self._service.clients.dropped(self, code)
        if code is not CloseCode.RESTART:
            self.abort()
            return
        self._is_closing = True
        self._mailbox.shut()
        self._answer(500)
        self._outlive(LAST_MESSAGES)

    def abort(self) -> None:
        self._is_gone = True
        if self._expiry.active():
            self._expiry.cancel()
        if self._resting is not None:
            self._resting.reset(0)
        self._answer(500)
        if self._answering is not None:
            self._answering.cancel()
            self._answering = None
        self._service.remove(self)
        self.connection.closed()

    def _expire_in(self, seconds: float) -> IDelayedCall:
        return self._clock.callLater(seconds, self._service.expire, self.token)

    def _outlive(self, seconds: float) -> None:
        """Give the session this time from now, unless it has ended."""
        if self._expiry.active():
            # Twisted looks through all its calls for one that is to be made sooner.
            self._expiry.cancel()
            self._expiry = self._expire_in(seconds)

    def _tell_lagging(self, lagging: bool) -> None:
        if lagging:
            self._service.clients.lagging(self)

    def _arrived(self) -> None:
        """Answer at the end of the turn, so that frames of one turn are sent together."""
        if self._poll is not None and self._answering is None:
            self._answering = self._clock.callLater(0, self._deliver)

    def _deliver(self) -> None:
        self._answering = None
        if self._poll is not None:
            self._answer(200, self._mailbox.take_all())

    def _answer(self, status: int, messages: Sequence[Data] = ()) -> None:
        """Answer the poll that waits, if one does; the session now waits for the next."""
        poll, self._poll = self._poll, None
        timer, self._poll_timer = self._poll_timer, None
        if timer is not None and timer.active():
            timer.cancel()
        if poll is not None:
            self._outlive(SESSION_TIMEOUT)
            self._answers += bool(messages)
            poll.answer(answer_body(status, self.next_token, messages))

    def _poll_lost(self, poll: Poll) -> None:
        """The client hung up; it may poll again."""
        if self._poll is poll:
            self._poll = None
            self._answer(204)
            self._outlive(SESSION_TIMEOUT)


def _refuse(request: Request, failure: Failure) -> None:
    """Answer a client that may not connect; one that is gone meanwhile gets nothing."""
    if failure.check(CancelledError):
        return
    if failure.check(Draining):
        write_answer(request, 500)
    elif failure.check(ConnectionRefused, RateLimited):
        write_answer(request, 403)
    else:
        write_answer(request, 500)
        failure.raiseException()


class LongPollResource(Resource):
    """
    ``/socket/longpoll``.

    A session is of one node. What reaches another is handed on to it. (`helix.web.handed_on`)

    :param max_frame_bytes: the largest frame that a client may send.
    :param asking: asks the other nodes; ``None`` without any.

    :ivar node: this node's id; empty without others.
    """

    isLeaf = True

    def __init__(
        self,
        connections: Connections,
        clients: ClientService,
        admission: AdmissionControl,
        max_frame_bytes: int,
        high_water_mark: int,
        backlog: Backlog,
        asking: Asking | None = None,
    ) -> None:
        super().__init__()
        self.backlog = backlog
        self.node = "" if asking is None else asking.node
        self.connections = connections
        self.high_water_mark = high_water_mark
        self.clients = clients
        self._admission = admission
        self._max_frame_bytes = max_frame_bytes
        self._sessions: dict[str, PollingClient] = {}
        self._elsewhere = None
        if asking is not None:
            self._elsewhere = HandedOn(asking, connections.clock, self)

    async def take_back(self) -> None:
        """Answer the polls of other nodes' sessions, as `HandedOn.take_back`: this node ends."""
        if self._elsewhere is not None:
            await self._elsewhere.take_back()

    def expire(self, token: str) -> None:
        """End a session that has not been polled for a long time."""
        client = self._sessions.get(_session_of(token))
        if client is not None:
            client.abort()

    def remove(self, client: PollingClient) -> None:
        """Forget a session that has ended."""
        self._sessions.pop(client.token, None)
        self.clients.remove(client)

    # Sessions

    def has(self, token: str) -> bool:
        return _session_of(token) in self._sessions

    def poll(self, token: str, poll: Poll) -> None:
        client = self._sessions.get(_session_of(token))
        if client is not None and COUNT_BEGIN in token and token != client.next_token:
            client.abort()  # the last messages were lost on their way
            client = None
        if client is None:
            # Not 410, as Phoenix has it: phoenix.js up to 1.7 takes that for an open connection
            # and never joins its channels again. 500 makes every version start anew.
            poll.answer(answer_body(500))
        else:
            client.connection.control(0)
            client.poll(poll)

    def publish(
        self, token: str, content_type: str, body: bytes, answer: Callable[[int], object]
    ) -> None:
        client = self._sessions.get(_session_of(token))
        if client is None:
            answer(410)
            return
        if client.lagging or client.owing or not client.connection.control(0):
            answer(408)  # who doesn't fetch its replies isn't served more
            return
        if content_type == "application/x-ndjson":
            if body.count(b"\n") >= MAX_LINES + (body[-1:] == b"\n"):
                answer(413)
                return
            lines = [line for line in body.split(b"\n") if line.strip()]
        else:
            lines = [body]
        if any(len(line) > self._max_frame_bytes for line in lines):
            answer(413)
            return
        client.publish(lines, answer)

    # HTTP

    def render(self, request: Request) -> bytes | int:
        try:
            self._count(request)
        except RateLimited as error:
            if request.method in (b"GET", b"POST"):
                write_answer(request, 403)
                return NOT_DONE_YET
            return write_error(request, error)
        if request.postpath:
            return write_not_found(request)
        origin = header(request, b"origin")
        try:
            self._admission.check_page(request)
        except OriginRefused:
            write_answer(request, 403)
            return NOT_DONE_YET
        if origin is not None:
            request.setHeader(b"access-control-allow-origin", origin.encode("latin-1"))
            request.setHeader(b"vary", b"origin")
        if request.method == b"OPTIONS":
            return self._preflight(request)
        if request.method == b"GET":
            self._poll(request)
        elif request.method == b"POST":
            self._publish(request)
        else:
            request.setHeader(b"allow", b"GET, POST, OPTIONS")
            return write_problem(request, 405, "method_not_allowed", "Long polling takes GET, POST")
        return NOT_DONE_YET

    def _count(self, request: Request) -> None:
        """
        Count what a session asks for as its messages: here, if it is another node's.

        :raises RateLimited: when it is too much.
        """
        token = self._session_token(request)
        if token is not None and self._node_of(token) is not None:
            self._admission.visitors.check_message(request)
        elif token is None or not self.has(token):
            self._admission.visitors.check_request(request)

    @staticmethod
    def _preflight(request: Request) -> bytes:
        request.setResponseCode(204)
        request.setHeader(b"access-control-allow-methods", b"GET, POST, OPTIONS")
        request.setHeader(
            b"access-control-allow-headers",
            b"content-type, accept, x-phoenix-authtoken, x-phoenix-longpoll-token",
        )
        request.setHeader(b"access-control-max-age", b"600")
        return b""

    @staticmethod
    def _session_token(request: Request) -> str | None:
        """The newest token of ours that the request carries."""
        carried = [*parameters(request, b"token"), header(request, b"x-phoenix-longpoll-token")]
        ours = [token for token in carried if token is not None and token.startswith(TOKEN_PREFIX)]
        return ours[-1] if ours else None

    def _node_of(self, token: str) -> str | None:
        """The other node that has a session; ``None`` if that is none that can be asked."""
        if self.has(token) or self._elsewhere is None:
            return None
        node = token.removeprefix(TOKEN_PREFIX).partition(NODE_END)[0]
        return node if self._elsewhere.reaches(node) else None

    def _poll(self, request: Request) -> None:
        token = self._session_token(request)
        if token is None:
            self._open(request)
        elif (node := self._node_of(token)) is not None and self._elsewhere is not None:
            self._elsewhere.poll(node, token, HttpPoll(request))
        else:
            self.poll(token, HttpPoll(request))

    def _open(self, request: Request) -> None:
        auth_token = header(request, b"x-phoenix-authtoken")
        if auth_token is None:
            auth_token = next(iter(parameters(request, b"token")), None)
        admitted = while_connected(request, self._admission.admit(request, auth_token))
        admitted.addCallbacks(partial(self._opened, request), partial(_refuse, request))
        admitted.addErrback(partial(_log.failure, "A client of long polling could not connect"))

    def _opened(self, request: Request, admission: Admitted) -> None:
        client = PollingClient(self, admission)
        self._sessions[client.token] = client
        self.clients.add(client)
        write_answer(request, 410, client.token)

    def _publish(self, request: Request) -> None:
        token = self._session_token(request) or ""
        assert request.content is not None
        body = request.content.read()
        content_type = (header(request, b"content-type") or "").partition(";")[0].strip()
        request.notifyFinish().addErrback(lambda _: None)

        def answer(status: int) -> None:
            if not request.finished and not request._disconnected:
                write_answer(request, status)

        node = self._node_of(token)
        if node is not None and self._elsewhere is not None:
            self._elsewhere.publish(node, token, content_type, body, answer)
        else:
            self.publish(token, content_type, body, answer)
