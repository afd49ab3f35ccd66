"""What a client can join: topic -> channel, and what each channel does with a push."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from helix.errors import (
    InvalidFlowId,
    InvalidFlowIdParameter,
    InvalidParameters,
    MissingChanges,
    SessionNotFound,
    UnknownEvent,
    UnmatchedTopic,
)
from helix.ids import parse_flow_id
from helix.interfaces import IMember
from helix.outlet import Outlet
from helix.protocol import EMPTY, encode_json
from helix.service import FlowSessionService
from helix.session import FlowSession

FLOW_TOPIC = "flow:"
MANAGEMENT_TOPIC = "flow_management"


class Port(Protocol):
    """A channel's side of its connection."""

    topic: str

    @property
    def outlet(self) -> Outlet:
        """The way to the client."""

    def push(self, event: str, payload: bytes) -> None:
        """Send this channel ``event`` with JSON ``payload``."""

    def end(self, event: str) -> None:
        """End the channel with ``phx_close`` or ``phx_error``, from the server's side."""


class Channel(Protocol):
    """What a connection asks of a joined topic. All refusals are `HelixError`."""

    async def join(self, params: bytes) -> bytes:
        """
        Join with the client's parameters (JSON).

        :return: the response, a JSON object.
        """

    def joined(self) -> None:
        """The reply to the join has been sent."""

    def handle(self, event: str, payload: bytes, binary: bool) -> bytes:
        """
        Do what a push asks for.

        :param payload: JSON, or data when ``binary``.
        :return: the response, a JSON object.
        """

    def leave(self) -> None:
        """The client left, closed, or joined anew."""


class _FlowParams(msgspec.Struct):
    mode: str = "relay"


class _FlowChange(msgspec.Struct, gc=False):
    changes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _FlowDeleted(msgspec.Struct):
    flow_id: object = None


_decode_params = msgspec.json.Decoder(_FlowParams).decode
_decode_change = msgspec.json.Decoder(_FlowChange).decode
_decode_deleted = msgspec.json.Decoder(_FlowDeleted).decode

_BROADCASTED = encode_json({"status": "broadcasted"})
_PONG = encode_json({"status": "pong"})


@implementer(IMember)
class FlowChannel:
    """``flow:<flow_id>`` in relay mode: changes are passed on as they are."""

    __slots__ = ("_flow_id", "_port", "_service", "_session", "outlet", "topic")

    _log: Final = Logger(namespace="helix.channels")

    def __init__(self, service: FlowSessionService, flow_id: str, port: Port) -> None:
        self.topic = port.topic
        self.outlet = port.outlet
        self._service = service
        self._flow_id = flow_id
        self._port = port
        self._session: FlowSession | None = None

    async def join(self, params: bytes) -> bytes:
        try:
            mode = _decode_params(EMPTY if params == b"null" else params).mode
        except msgspec.MsgspecError:
            raise InvalidParameters() from None
        if mode != "relay":
            raise InvalidParameters("The mode of a join is relay")
        self._session = await self._service.join(self._flow_id, self)
        return EMPTY

    def joined(self) -> None:
        assert self._session is not None
        self._service.guard(self._session, self._session.announce)

    def handle(self, event: str, payload: bytes, binary: bool) -> bytes:
        assert self._session is not None
        if event == "flow_change":
            sent = self._change(self._session, payload, binary)
            if not sent.called:
                sent.addErrback(lambda failure: self._log.failure("A broadcast failed", failure))
            return _BROADCASTED
        if event == "ping":
            return _PONG
        raise UnknownEvent()

    def _change(self, session: FlowSession, payload: bytes, binary: bool) -> Deferred[None]:
        if binary:
            return self._service.guard(session, session.change_binary, payload)
        try:
            changes = _decode_change(payload).changes
        except msgspec.MsgspecError:
            raise MissingChanges() from None
        if changes is msgspec.UNSET:
            raise MissingChanges()
        return self._service.guard(session, session.change, changes)

    def leave(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._service.guard(session, session.leave, self)

    # IMember

    def push(self, event: str, payload: bytes) -> None:
        self._port.push(event, payload)

    def end(self, event: str) -> None:
        if self._session is not None:
            self._session = None
            self._port.end(event)


class ManagementChannel:
    """``flow_management``: ends the sessions of flows that were deleted elsewhere."""

    __slots__ = ("_service",)

    def __init__(self, service: FlowSessionService) -> None:
        self._service = service

    async def join(self, params: bytes) -> bytes:
        return EMPTY

    def joined(self) -> None:
        """Nobody is told."""

    def handle(self, event: str, payload: bytes, binary: bool) -> bytes:
        if event != "flow_deleted":
            raise UnknownEvent()
        try:
            flow_id = parse_flow_id(None if binary else _decode_deleted(payload).flow_id)
        except (msgspec.MsgspecError, InvalidFlowId):
            raise InvalidFlowIdParameter() from None
        try:
            count = self._service.close(flow_id)
        except SessionNotFound:
            count = 0
        return encode_json({"status": "session_closed", "clients_affected": count})

    def leave(self) -> None:
        """Nothing is held."""


class Router:
    """Finds the channel that serves a topic."""

    __slots__ = ("_service",)

    def __init__(self, service: FlowSessionService) -> None:
        self._service = service

    def channel(self, port: Port) -> Channel:
        """
        Make the channel for ``port.topic``.

        :raises UnmatchedTopic: when nothing serves the topic.
        :raises InvalidFlowId: when it is a flow's, but its id can't be one.
        """
        if port.topic.startswith(FLOW_TOPIC):
            flow_id = parse_flow_id(port.topic.removeprefix(FLOW_TOPIC))
            return FlowChannel(self._service, flow_id, port)
        if port.topic == MANAGEMENT_TOPIC:
            return ManagementChannel(self._service)
        raise UnmatchedTopic()
