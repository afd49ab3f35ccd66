"""One client connection: topic -> channel, join_ref, frames that wait for a join."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import thread_time
from typing import Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.access.principal import ANYBODY, Principal
from helix.channels.budget import ClientBudget, ConnectionLimits
from helix.channels.channel import Channel, plain_refusal
from helix.channels.port import AnyMessage, ChannelPort, PortState
from helix.channels.router import Router, key_of
from helix.channels.tokens import EXPIRY_WARNING, Tokens
from helix.delivery.outlet import Outlet
from helix.delivery.parts import FrameSeries, Parts
from helix.delivery.protocol import (
    EMPTY,
    HEAD_BYTES,
    TAIL_BYTES,
    BinaryMessage,
    Data,
    Encoding,
    Ref,
    decode_binary,
    encode_json,
)
from helix.errors import (
    CloseCode,
    FlowDeleted,
    FlowNotFound,
    Forbidden,
    FrameTooLarge,
    HelixError,
    InvalidFlowId,
    InvalidParameters,
    JoinCrashed,
    MalformedFrame,
    RateLimited,
    TooManyChannels,
    TooManyValues,
    UnmatchedTopic,
)
from helix.identity.tokens import LEEWAY
from helix.limits.addresses import AddressBudget
from helix.limits.weight import is_too_heavy
from helix.telemetry.events import Telemetry

MAX_QUEUED = 1000
"""Frames that may wait for one join; more close the connection, so none is dropped silently."""

CLOCK_SLACK = 1.0
"""Seconds by which a timer and the machine's clock may differ, unless that was set."""


def _join_ref_of(join: AnyMessage) -> Ref:
    return join.ref if join.join_ref is None else join.join_ref


def _already_closed(code: CloseCode, reason: str) -> None:
    """Replaces the callback that closes the transport, once it is gone."""


class Connection:
    """
    The protocol's state for one client, over any transport.

    :param outlet: the client's outgoing queue.
    :param router: finds channels.
    :param close: called with a `CloseCode` and a reason to close the transport.
    :param address: the budget of the client's address; ``None`` for this machine.
    :param tokens: finds out who the client is by another token, and until when.
    :param work: tells how much time the reactor's thread has taken, in seconds.

    :ivar principal: who the client is.
    :ivar last_seen: when the client last sent anything, in the clock's seconds.
    """

    __slots__ = (
        "_at_expiry",
        "_began",
        "_budget",
        "_clock",
        "_close",
        "_closed",
        "_encoding",
        "_expiring",
        "_limits",
        "_ports",
        "_router",
        "_telemetry",
        "_tokens",
        "last_seen",
        "outlet",
        "principal",
        "work",
    )

    _log: Final = Logger(namespace="helix.connection")

    def __init__(
        self,
        outlet: Outlet,
        router: Router,
        limits: ConnectionLimits,
        clock: IReactorTime,
        telemetry: Telemetry,
        close: Callable[[CloseCode, str], None],
        address: AddressBudget | None,
        tokens: Tokens,
        work: Callable[[], float] = thread_time,
        principal: Principal = ANYBODY,
    ) -> None:
        self.outlet = outlet
        self.principal = principal
        self.work = work
        self._router = router
        self._limits = limits
        self._clock = clock
        self._telemetry = telemetry
        self._close = close
        self._encoding: Encoding = outlet.encoding
        self._closed = False
        self._ports: dict[str, ChannelPort] = {}
        self.last_seen = clock.seconds()
        self._budget = ClientBudget(limits, address, self.last_seen)
        self._began: float | None = None
        self._tokens = tokens
        self._expiring: IDelayedCall | None = None
        self._await_expiry()

    def become(self, principal: Principal) -> None:
        """
        Serve the client as a principal from now on. What it may do is decided again for each of its
        channels, and it is told what has changed.

        :param principal: the same one, too, where something else than its token gives it rights.
        """
        if self._closed:
            return
        self.principal = principal
        self._await_expiry()
        for port in self._joined_ports():
            port.channel.decide_again()

    # what the transport calls

    def touch(self) -> None:
        """Note that the client has sent something, before it is read."""
        self.last_seen = self._clock.seconds()
        expiring = self._expiring
        if expiring is not None and expiring.getTime() <= self.last_seen:
            self._expire_late()

    def begin(self) -> float:
        """
        Begin to read what the client has sent, until `finish`.

        :return: how much time the reactor's thread has taken so far.
        """
        self.touch()
        self._began = began = self.work()
        return began

    def finish(self) -> float:
        """
        Count the time since `begin`.

        :return: for how many seconds nothing more may be read from the client, because it took more
            of the reactor's time than allowed.
        """
        began, self._began = self._began, None
        if began is None:
            return 0.0
        return self._budget.owe(self.work() - began, 0, self.last_seen)

    def charge(self, seconds: float, size: int) -> None:
        """Count work that the client caused; its time only where `finish` doesn't count it."""
        if self._began is not None:
            if not size:
                return
            seconds = 0.0
        self._budget.owe(seconds, size, self._clock.seconds())

    def control(self, size: int) -> bool:
        """
        Count a control frame, which also costs work: a ping, a pong, a fragment, a poll.

        :return: whether the client may send it; a client with far too many is closed.
        """
        if self._closed:
            return False
        if self._budget.spend(False, size, self.last_seen) is None:
            return True
        if not self._budget.bears_refusal(self.last_seen):
            self._close(CloseCode.RATE_LIMITED, "far too many messages")
        return False

    def receive(self, text: bytes) -> None:
        """Take one text frame. Never raises."""
        if self._closed:
            return
        if is_too_heavy(text, self._limits.max_weight):
            self._refuse_heavy(text)
            return
        try:
            message = self._encoding.serializer.decode(text)
        except MalformedFrame as error:
            self.malformed(error)
        else:
            self._receive(message, len(text))

    def receive_binary(self, data: bytes) -> None:
        """Take one binary frame. Never raises."""
        if self._closed:
            return
        try:
            message = decode_binary(data)
        except MalformedFrame as error:
            self.malformed(error)
        else:
            self._receive(message, len(data))

    def receive_too_large(
        self,
        head: bytes,
        tail: bytes,
        size: int,
        is_binary: bool,
        error: HelixError | None = None,
    ) -> bool:
        """
        Refuse a message that is larger than a frame may be; only its two ends were kept.

        :param head: its first `helix.delivery.protocol.HEAD_BYTES`.
        :param tail: its last `helix.delivery.protocol.TAIL_BYTES`.
        :param size: its bytes.
        :param error: why it is refused; by default `FrameTooLarge`.
        :return: whether the message could be recognised.
        """
        error = error or FrameTooLarge()
        if self._closed:
            return True
        message: AnyMessage
        try:
            if is_binary:
                message = decode_binary(head)
            else:
                message = self._encoding.serializer.decode_ends(head, tail)
        except MalformedFrame:
            return False
        self._budget.spend(False, size, self.last_seen)
        port = self._port_of(message.topic)
        if message.event == "phx_join":
            self._refuse(_join_ref_of(message), message, error)
        elif port is None:
            self._refuse(None, message, error)
        elif message.join_ref is None or message.join_ref == port.join_ref:
            refusal = port.channel.refusal(error)
            self._reply_error(port.join_ref, message, refusal)
        if not self._budget.bears_refusal(self.last_seen):
            self._close(CloseCode.RATE_LIMITED, "far too many messages")
        return True

    def _refuse_heavy(self, text: bytes) -> None:
        ends = text[:HEAD_BYTES], text[-TAIL_BYTES:]
        if not self.receive_too_large(*ends, len(text), False, TooManyValues()):
            self.malformed(MalformedFrame("too many values, and nothing else to be read"))

    def malformed(self, error: MalformedFrame) -> None:
        """Count a frame that can't be read; too many close the connection."""
        self._telemetry.emit("helix.frame.malformed")
        self._log.debug("Dropped a malformed frame: {error}", error=error)
        if not self._budget.bears_malformed(self.last_seen):
            self._close(CloseCode.MALFORMED_FRAMES, "too many malformed frames")

    def closed(self) -> None:
        """The transport is gone: leave all channels, and ignore what still arrives."""
        self._closed = True
        self._end_wait()
        self.outlet.lost()
        for port in list(self._ports.values()):
            self._drop(port)
        self._close = _already_closed

    # what a port calls

    @property
    def user_name(self) -> str:
        """The principal's name, else that of the channel with a name that was joined last."""
        if self.principal.name:
            return self.principal.name
        names = (
            port.channel.user_name
            for port in reversed(self._ports.values())
            if port.state is PortState.JOINED
        )
        return next(filter(None, names), "")

    def push(self, port: ChannelPort, event: str, payload: bytes) -> None:
        self._send(self._encoding.serializer.push(port.join_ref, port.topic, event, payload))

    def push_of(self, port: ChannelPort, event: str, payload: Sequence[Data]) -> None:
        pieces = self._encoding.serializer.push_of(port.join_ref, port.topic, event, payload)
        self.outlet.send_all(self._encoding.frame_pieces(pieces))

    def push_each(self, port: ChannelPort, event: str, payloads: Parts) -> None:
        push_of, frame = self._encoding.serializer.push_of, self._encoding.frame_pieces
        join_ref, topic = port.join_ref, port.topic
        frames = (frame(push_of(join_ref, topic, event, payload)) for payload in payloads)
        self.outlet.send_series(FrameSeries(frames, [text for text, _ in payloads.texts]))

    def end(self, port: ChannelPort, event: str) -> None:
        self._drop(port)
        self._send(self._encoding.serializer.close(port.join_ref, port.topic, event))

    def renew(self, payload: bytes) -> Deferred[bytes]:
        """Serve the client by another token. (`helix.channels.channel.Port.renew`)"""
        return self._tokens.principal_of(payload).addCallback(self._renewed)

    # inside

    def _renewed(self, principal: Principal) -> bytes:
        if principal.id != self.principal.id:
            raise Forbidden("The token is somebody else's: connect again with it")
        self.become(principal)
        return EMPTY

    def _joined_ports(self) -> Sequence[ChannelPort]:
        return [port for port in self._ports.values() if port.state is PortState.JOINED]

    def _end_wait(self) -> None:
        waiting, self._expiring = self._expiring, None
        if waiting is not None and waiting.active():
            waiting.cancel()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._at_expiry = then
        self._expiring = self._clock.callLater(seconds, then)

    def _await_expiry(self) -> None:
        """Wait for the end of the principal, and for when the client is to be told of that."""
        self._end_wait()
        left = self._tokens.left(self.principal)
        if left is None:
            return
        if left > EXPIRY_WARNING:
            self._wait(left - EXPIRY_WARNING, self._expires_soon)
        else:
            self._expires_soon()

    def _expires_soon(self) -> None:
        left = self._tokens.left(self.principal) or 0.0
        if left > EXPIRY_WARNING + CLOCK_SLACK:
            self._await_expiry()
            return
        if left <= 0.0:
            # It was accepted all the same. Whoever comes back with it must not be accepted again,
            # or they would come back at once, over and over.
            left += LEEWAY
        self._wait(max(0.0, left), self._expired)
        for port in self._joined_ports():
            self._warn(port)

    def _warn(self, port: ChannelPort) -> None:
        """Tell the client when its token is over."""
        port.push("token_expiring", encode_json({"expires_at": self.principal.expires_at}))

    def _expire_late(self) -> None:
        """
        The process stood still: it reads what waits in sockets before it looks at its timers. The
        principal's end comes first.
        """
        while (due := self._expiring) is not None and due.getTime() <= self.last_seen:
            due.cancel()
            self._at_expiry()

    def _expired(self) -> None:
        self._expiring = None
        if (self._tokens.left(self.principal) or 0.0) > CLOCK_SLACK:
            self._await_expiry()
        else:
            self._close(CloseCode.TOKEN_EXPIRED, "the token has expired, come back with a new one")

    def _send(self, text: bytes) -> None:
        self.outlet.send(self._encoding.frame(text))

    def _reply(self, join_ref: Ref, message: AnyMessage, response: bytes) -> None:
        self._send(
            self._encoding.serializer.reply(join_ref, message.ref, message.topic, "ok", response)
        )

    def _refuse(self, join_ref: Ref, message: AnyMessage, error: HelixError) -> None:
        self._reply_error(join_ref, message, plain_refusal(error))

    def _reply_error(self, join_ref: Ref, message: AnyMessage, response: bytes) -> None:
        self._send(
            self._encoding.serializer.reply(join_ref, message.ref, message.topic, "error", response)
        )

    def _receive(self, message: AnyMessage, size: int) -> None:
        try:
            limited = self._budget.spend(message.event == "phx_join", size, self.last_seen)
            if limited is not None and message.event != "phx_leave":
                self._limit(message, limited)
            else:
                self._route(message)
        except Exception:
            self._log.failure("A frame could not be served")
            self._close(CloseCode.INTERNAL, "the server met a fault, connect again")

    def _port_of(self, topic: str) -> ChannelPort | None:
        """Give the channel that was joined as ``topic``."""
        port = self._ports.get(topic)  # of nearly all topics, the key
        if port is None:
            port = self._ports.get(key_of(topic))
        return port if port is not None and port.topic == topic else None

    def _route(self, message: AnyMessage) -> None:
        port = self._port_of(message.topic)
        event = message.event
        if event == "phx_join":
            self._join(message, self._ports.get(key_of(message.topic)))
        elif port is None:
            self._handle_unjoined(message)
        elif message.join_ref is not None and message.join_ref != port.join_ref:
            pass  # meant for a channel that is gone
        elif event == "phx_leave":
            self._leave(message, port)
        elif port.state is PortState.JOINING:
            self._queue(message, port)
        else:
            self._handle(message, port)

    def _limit(self, message: AnyMessage, error: RateLimited) -> None:
        """Refuse a message over the rate limit; a client with far too many is closed."""
        port = self._port_of(message.topic)
        if message.event == "phx_join":
            port = self._ports.get(key_of(message.topic))
            if port is not None:
                self._drop(port)
            self._refuse_join(
                ChannelPort(self, message.topic, _join_ref_of(message)), message, error
            )
            self._close_replaced(port)
        elif port is None:
            self._refuse(None, message, error)
        elif message.join_ref is None or message.join_ref == port.join_ref:
            if not isinstance(message, BinaryMessage):
                port.channel.limited(message.event, bytes(message.payload))
            self._reply_error(port.join_ref, message, port.channel.refusal(error))
        if not self._budget.bears_refusal(self.last_seen):
            reason = f"far too many messages, come back in {error.retry_after} s"
            self._close(CloseCode.RATE_LIMITED, reason)

    def _handle_unjoined(self, message: AnyMessage) -> None:
        if message.topic == "phoenix" and message.event == "heartbeat":
            self._reply(None, message, EMPTY)
        elif message.event == "phx_leave":
            self._reply(message.join_ref, message, EMPTY)
        else:
            self._refuse(None, message, UnmatchedTopic())

    def _handle(self, message: AnyMessage, port: ChannelPort) -> None:
        binary = type(message) is BinaryMessage
        channel = port.channel
        try:
            response = channel.handle(message.event, message.payload, binary)
        except HelixError as error:
            self._reply_error(port.join_ref, message, channel.refusal(error))
        except Exception:
            self._log.failure("A channel crashed")
            port.end("phx_error")
        else:
            if isinstance(response, bytes):
                self._reply(port.join_ref, message, response)
            elif response is not None:
                self._reply_later(response, port, message)

    def _reply_later(
        self, response: Deferred[bytes], port: ChannelPort, message: AnyMessage
    ) -> None:
        about = (port, message)
        response.addCallbacks(self._answered, self._refused, about, {}, about).addErrback(
            self._crashed
        )

    def _answered(self, response: bytes, port: ChannelPort, message: AnyMessage) -> None:
        if port.state is PortState.JOINED:
            self._reply(port.join_ref, message, response)

    def _refused(self, failure: Failure, port: ChannelPort, message: AnyMessage) -> None:
        if port.state is not PortState.JOINED:
            return
        error = failure.value
        if isinstance(error, HelixError):
            self._reply_error(port.join_ref, message, port.channel.refusal(error))
        else:
            self._log.failure("A channel crashed", failure)
            port.end("phx_error")

    def _queue(self, message: AnyMessage, port: ChannelPort) -> None:
        if port.queue is None:
            port.queue = []
        if len(port.queue) < MAX_QUEUED:
            port.queue.append(message)
        else:
            self._close(CloseCode.RATE_LIMITED, "far too many messages while a join waits")

    def _leave(self, message: AnyMessage, port: ChannelPort) -> None:
        self._drop(port)
        self._reply(port.join_ref, message, EMPTY)
        self._send(self._encoding.serializer.close(port.join_ref, port.topic, "phx_close"))

    def _drop(self, port: ChannelPort) -> None:
        """Forget a channel: its member is removed, its join cancelled."""
        if self._ports.get(port.key) is port:
            self._forget(port)
        joining = port.state is PortState.JOINING
        port.state = PortState.CLOSED
        port.queue = None
        if joining:
            if port.joining is not None:
                port.joining.cancel()
            return
        try:
            port.channel.leave()
        except Exception:  # the session has seen to its own fault
            self._log.debug("A leave failed")
        del port.channel  # which has the port: garbage in circles is collected late

    def _forget(self, port: ChannelPort) -> None:
        del self._ports[port.key]
        self._budget.return_channel()

    def _join(self, message: AnyMessage, old: ChannelPort | None) -> None:
        if old is not None:
            self._drop(old)
        port = ChannelPort(self, message.topic, _join_ref_of(message))
        try:
            if isinstance(message, BinaryMessage):
                raise InvalidParameters()
            if len(self._ports) >= self._limits.max_channels:
                raise TooManyChannels()
            params = bytes(message.payload)
            port.channel = self._router.channel(port, params)
            if not self._budget.take_channel():
                raise TooManyChannels()
        except HelixError as error:
            self._refuse_join(port, message, error)
            self._close_replaced(old)
            return
        self._ports[port.key] = port
        joining = Deferred.fromCoroutine(port.channel.join(params))
        port.joining = joining
        joining.addCallbacks(
            self._joined, self._join_failed, (port, message, old), {}, (port, message, old)
        ).addErrback(self._crashed)

    def _joined(
        self,
        response: Sequence[Data],
        port: ChannelPort,
        message: AnyMessage,
        old: ChannelPort | None,
    ) -> None:
        """Reply before anything else of the channel, then serve the frames that waited."""
        port.joining = None
        port.state = PortState.JOINED
        pieces = self._encoding.serializer.reply_of(
            port.join_ref, message.ref, message.topic, "ok", response
        )
        self.outlet.send_all(self._encoding.frame_pieces(pieces))
        self._close_replaced(old)
        queued, port.queue = port.queue, None
        port.channel.joined()
        left = self._tokens.left(self.principal)
        if left is not None and left <= EXPIRY_WARNING:
            self._warn(port)
        for waited in queued or ():
            if port.state is PortState.JOINED:
                self._handle(waited, port)

    def _join_failed(
        self, failure: Failure, port: ChannelPort, message: AnyMessage, old: ChannelPort | None
    ) -> None:
        port.joining = None
        if port.state is PortState.CLOSED:  # the client left meanwhile
            self._close_replaced(old)
            return
        port.state = PortState.CLOSED
        self._forget(port)
        if isinstance(failure.value, HelixError):
            self._refuse_join(port, message, failure.value)
        else:
            self._log.failure("A join crashed", failure)
            self._refuse_join(port, message, JoinCrashed())
        self._close_replaced(old)

    def _crashed(self, failure: Failure) -> None:
        self._log.failure("A frame could not be answered", failure)
        self._close(CloseCode.INTERNAL, "the server met a fault, connect again")

    def _refuse_join(self, port: ChannelPort, message: AnyMessage, error: HelixError) -> None:
        """Refuse a join; with ``phx_close`` if no retry can succeed, so that the client stops."""
        unmatched = isinstance(error, UnmatchedTopic)
        channel: Channel | None = getattr(port, "channel", None)
        refusal = plain_refusal if channel is None else channel.refusal
        self._reply_error(None if unmatched else port.join_ref, message, refusal(error))
        if unmatched or isinstance(error, InvalidFlowId | FlowDeleted | FlowNotFound):
            self._send(self._encoding.serializer.close(port.join_ref, port.topic, "phx_close"))

    def _close_replaced(self, old: ChannelPort | None) -> None:
        if old is not None:
            self._send(self._encoding.serializer.close(old.join_ref, old.topic, "phx_close"))


@attrs.frozen
class Connections:
    """
    Makes the connections of a server, for every transport.

    :ivar router: finds their channels.
    :ivar tokens: as that of `Connection`.
    :ivar work: as that of `Connection`.
    """

    clock: IReactorTime
    router: Router
    limits: ConnectionLimits
    telemetry: Telemetry
    tokens: Tokens
    work: Callable[[], float] = thread_time

    def make(
        self,
        outlet: Outlet,
        close: Callable[[CloseCode, str], None],
        address: AddressBudget | None,
        principal: Principal = ANYBODY,
    ) -> Connection:
        """The protocol's state for a client that has connected; parameters as `Connection`'s."""
        return Connection(
            outlet,
            self.router,
            self.limits,
            self.clock,
            self.telemetry,
            close,
            address,
            self.tokens,
            self.work,
            principal,
        )
