"""A client's membership of a flow: connects, joins, and rejoins when it is lost."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final, TypeVar

import attrs
import msgspec
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from helix.client.backoff import Backoff
from helix.client.events import Status
from helix.client.socket import Address, PhoenixSocket, Reply, open_socket
from helix.client.tokens import Token, ask_for, bearer
from helix.delivery.protocol import Message, encode_json
from helix.errors import Disconnected, FlowDeleted, HelixError, Refused

JOIN_TIMEOUT = 10.0
"""Seconds without a byte after which a join isn't waited for: a large document may come slowly."""

PUSH_TIMEOUT = 30.0
"""Seconds that the server has to answer a push; it answers when the store has, or can't."""

STABLE = 10.0
"""Seconds after which a join counts as one that lasted."""

FIRST_FINAL_CODE = 4500
"""From this close code on, a client is not to come back."""


T = TypeVar("T")


class _By(msgspec.Struct):
    by: str = ""


_decode_by = msgspec.json.Decoder(_By).decode


@attrs.frozen
class Owner:
    """
    The owner of a membership, as callbacks.

    What `joined` and `received` raise (`HelixError`), ends the channel, which is joined again.

    :ivar parameters: gives the parameters of the next join, as JSON.
    :ivar joined: takes the response to a join (JSON).
    :ivar received: takes an event and its payload (JSON).
    :ivar moved: takes the status, when it is another one, and why.
    """

    parameters: Callable[[], bytes]
    joined: Callable[[bytes], None]
    received: Callable[[str, bytes], None]
    moved: Callable[[Status, HelixError | None], None]


class _Refusal(msgspec.Struct):
    reason: str = "The server gave no reason"
    code: str | None = None
    retry: bool | None = None


_decode_refusal = msgspec.json.Decoder(_Refusal).decode


@attrs.define(eq=False)
class _Channel:
    """
    One join of the flow.

    :ivar ended: fires with why when it is over.
    :ivar final: why there is to be no other, once that is known.
    :ivar last_words: why it may be about to end for good.
    :ivar pause: why it may be about to end for a moment.
    """

    socket: PhoenixSocket
    join_ref: str
    ended: Deferred[HelixError]
    final: HelixError | None = None
    last_words: HelixError | None = None
    pause: HelixError | None = None
    is_joined: bool = False

    def heed(self, event: str, payload: bytes) -> None:
        """Note what an event says of the end that may follow."""
        if event == "flow_deleted":
            self.last_words = FlowDeleted(_told("The flow was deleted", payload))
        elif event == "session_ended":
            self.pause = Disconnected(_told("the session was ended", payload))
        elif event == "replaced":
            self.last_words = Refused(
                "Another client with the same client_id has taken this one's place", "replaced"
            )
        elif event == "access_revoked":
            self.last_words = _revoked(payload)

    def end(self, why: HelixError) -> None:
        self.is_joined = False
        if not self.ended.called:
            self.ended.callback(why)

    def end_for_good(self) -> None:
        self.final = self.last_words or Refused("The server closed the channel", "closed")
        self.end(self.final)


class Membership:
    """
    Keeps a client joined to a topic.

    There is at most one connection at a time. A channel that crashes is joined again on the same
    connection; all waits are jittered and grow up to half a minute, until a join has lasted.

    :param reactor: for connections and timers.
    :param endpoint: leads to the server.
    :param random: draws the waits.
    :param token: shows who the client is; renewed while it is connected.
    """

    _log: Final = Logger(namespace="helix.client")

    def __init__(
        self,
        reactor: Any,
        address: Address,
        endpoint: IStreamClientEndpoint,
        topic: str,
        owner: Owner,
        random: Random,
        token: Token | None = None,
    ) -> None:
        self.status = Status.OFFLINE
        self._reactor = reactor
        self._address = address
        self._endpoint = endpoint
        self._topic = topic
        self._owner = owner
        self._token = token
        self._backoff = Backoff(random)
        self._channel: _Channel | None = None
        self._attending: Deferred[None] | None = None
        self._is_leaving = False

    def start(self) -> None:
        """Begin to connect."""
        self._attending = Deferred.fromCoroutine(self._attend()).addErrback(self._fault)

    def stop(self) -> Deferred[None]:
        """Leave, and fire once nothing is left of the connection."""
        attending, self._attending = self._attending, None
        self._is_leaving = True
        if attending is None:
            return succeed(None)
        attending.cancel()
        return attending

    def push(self, event: str, payload: bytes) -> Deferred[bytes]:
        """
        Tell the server something.

        :param payload: JSON.
        :return: a Deferred that fires with the response (JSON), or fails with `Refused`, or with
            `Disconnected` when this channel ends before the answer.
        """
        channel = self._channel
        if channel is None or not channel.is_joined:
            return fail(Disconnected())
        answered = channel.socket.request(
            self._topic, event, payload, channel.join_ref, PUSH_TIMEOUT
        )
        return answered.addCallback(self._answered, channel)

    # the life of it

    async def _attend(self) -> None:
        while True:
            self._move(Status.CONNECTING)
            try:
                token = await ask_for(self._token, self._reactor)
                headers = {} if token is None else bearer(token)
                socket = await open_socket(
                    self._reactor, self._address, self._endpoint, self._received, headers
                )
            except Disconnected as error:
                why: HelixError = error
            else:
                socket.closed.addCallback(self._cut)
                try:
                    final, why = await self._use(socket)
                finally:
                    self._channel = None
                    socket.close()
                    await socket.closed
                if final or (socket.close_code or 0) >= FIRST_FINAL_CODE:
                    self._move(Status.CLOSED, why)
                    return
            self._move(Status.OFFLINE, why)
            await deferLater(self._reactor, self._backoff.next())

    async def _use(self, socket: PhoenixSocket) -> tuple[bool, HelixError]:
        """
        Be joined for as long as the connection lasts.

        :return: whether that was the last one, and why it is over.
        """
        while True:
            channel = await self._join(socket)
            why = await channel.ended
            if channel.final is not None:
                return True, channel.final
            if not socket.may_send:
                return False, why
            self._move(Status.OFFLINE, why)
            await deferLater(self._reactor, self._backoff.next())
            # Until now a refused join may have been told to be the last.
            if channel.final is not None:
                return True, channel.final
            self._move(Status.CONNECTING)

    async def _join(self, socket: PhoenixSocket) -> _Channel:
        """Join once. The channel that is returned may be over already."""
        answered = socket.request(
            self._topic,
            "phx_join",
            self._owner.parameters(),
            None,
            JOIN_TIMEOUT,
            is_patient=True,
        )
        channel = self._channel = _Channel(socket, socket.newest_ref, Deferred())
        try:
            reply = await answered
            if not reply.ok:
                raise _refused(reply)
            joined_at = self._reactor.seconds()
            channel.is_joined = True
            self._owner.joined(reply.response)
        except HelixError as error:
            channel.last_words = error
            if isinstance(error, Refused) and not error.retry:
                channel.end_for_good()
            channel.end(error)
            return channel
        if channel.is_joined:
            channel.ended.addCallback(self._lasted, joined_at)
            self._move(Status.JOINED)
        return channel

    # what comes

    def _received(self, message: Message) -> None:
        channel = self._channel
        if channel is None or message.topic != self._topic:
            return
        if message.join_ref is not None and str(message.join_ref) != channel.join_ref:
            return
        if message.event == "phx_close":
            channel.end_for_good()
        elif message.event == "phx_error":
            channel.end(channel.pause or Disconnected("the server ended the channel"))
        elif channel.is_joined:
            payload = bytes(message.payload)
            if message.event == "token_expiring":
                self._renew(channel)
            else:
                channel.heed(message.event, payload)
            try:
                self._owner.received(message.event, payload)
            except HelixError as error:
                channel.end(error)

    def _renew(self, channel: _Channel) -> None:
        """Show the server another token. Without one, it closes the connection after a while."""
        if self._token is None or isinstance(self._token, str):
            return
        renewing = Deferred.fromCoroutine(self._show_another(channel))
        channel.ended.addBoth(_cancel, renewing)
        renewing.addErrback(self._not_renewed)

    async def _show_another(self, channel: _Channel) -> None:
        token = await ask_for(self._token, self._reactor)
        payload = encode_json({"access_token": token})
        reply = await channel.socket.request(
            self._topic, "access_token", payload, channel.join_ref, PUSH_TIMEOUT
        )
        if not reply.ok:
            raise _refused(reply)

    def _not_renewed(self, failure: Failure) -> None:
        if failure.check(Refused):
            self._log.warn("The server takes no other token: {why}", why=failure.value)
        elif not failure.check(CancelledError, Disconnected):
            self._log.failure("A token could not be renewed", failure)

    def _answered(self, reply: Reply, channel: _Channel) -> bytes:
        if reply.ok:
            return reply.response
        if reply.join_ref != channel.join_ref:
            channel.end(Disconnected("the server doesn't know the channel"))
            raise Disconnected()
        raise _refused(reply)

    def _cut(self, why: Disconnected) -> Disconnected:
        if self._channel is not None:
            self._channel.end(why)
        return why

    def _lasted(self, why: HelixError, joined_at: float) -> HelixError:
        if self._reactor.seconds() - joined_at >= STABLE:
            self._backoff.reset()
        return why

    def _fault(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("A client left its flow because of a fault", failure)
            self._tell(Status.CLOSED, Disconnected("a fault in the client"))

    def _move(self, status: Status, reason: HelixError | None = None) -> None:
        """
        Stand otherwise, if that is news.

        :raises CancelledError: when there was a stop that a wait did not tell of: whoever was told
            of something asked for it, or the endpoint took it for a failure to connect.
        """
        if not self._is_leaving:
            self._tell(status, reason)
        if self._is_leaving:
            raise CancelledError

    def _tell(self, status: Status, reason: HelixError | None) -> None:
        if status is not self.status:
            self.status = status
            self._owner.moved(status, reason)


def _told(what: str, payload: bytes) -> str:
    """Say what happened, and by whom, where that is known."""
    try:
        by = _decode_by(payload).by
    except (msgspec.MsgspecError, UnicodeDecodeError):
        by = ""
    return f"{what} by {by}" if by else what


def _cancel(result: T, waiting: Deferred[None]) -> T:
    waiting.cancel()
    return result


def _revoked(payload: bytes) -> Refused:
    try:
        reason = _decode_refusal(payload).reason
    except (msgspec.MsgspecError, UnicodeDecodeError):
        reason = "Access was withdrawn"
    return Refused(reason, "access_revoked")


def _refused(reply: Reply) -> Refused:
    try:
        given = _decode_refusal(reply.response)
    except msgspec.MsgspecError:
        given = _Refusal()
    # Where the server doesn't say, its phx_close will.
    return Refused(given.reason, given.code, given.retry is not False)
