"""The channel ``flow:<flow_id>`` in relay mode, for the first generation of clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from helix.channels.channel import Port, plain_refusal
from helix.delivery.protocol import EMPTY, Data, encode_json
from helix.errors import HelixError, MissingChanges, UnknownEvent
from helix.flows.service import FlowSessionService
from helix.flows.session import FlowSession
from helix.interfaces import IMember
from helix.members.relay.reading import parse_changes


class _FlowChange(msgspec.Struct, gc=False):
    changes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_change = msgspec.json.Decoder(_FlowChange).decode

_BROADCASTED = encode_json({"status": "broadcasted"})
_PONG = encode_json({"status": "pong"})


@implementer(IMember)
class RelayChannel:
    """A member in relay mode: changes are passed on as they are."""

    user_name = ""

    __slots__ = ("_flow_id", "_port", "_service", "_session", "outlet", "topic")

    _log: Final = Logger(namespace="helix.channels")

    def __init__(self, service: FlowSessionService, flow_id: str, port: Port) -> None:
        self.topic = port.topic
        self.outlet = port.outlet
        self._service = service
        self._flow_id = flow_id
        self._port = port
        self._session: FlowSession | None = None

    async def join(self, params: bytes) -> Sequence[Data]:
        self.outlet.check_room()
        self._session = await self._service.join(self._flow_id, self)
        return (EMPTY,)

    def joined(self) -> None:
        assert self._session is not None
        self._service.guard(self._session, self._session.greet, self)
        self._service.guard(self._session, self._session.announce)

    def handle(self, event: str, payload: bytes, binary: bool) -> bytes | Deferred[bytes]:
        assert self._session is not None
        if event == "flow_change":
            return self._change(self._session, payload, binary)
        if event == "ping":
            return _PONG
        raise UnknownEvent()

    def _change(
        self, session: FlowSession, payload: bytes, binary: bool
    ) -> bytes | Deferred[bytes]:
        if binary:
            sent = self._service.guard(session, session.change_binary, payload)
        else:
            changes = _read_changes(payload)
            if (arrays := parse_changes(changes)) is not None:
                edited = self._service.guard(session, session.edit, self, arrays, changes)
                return edited.addCallback(_broadcasted)
            sent = self._service.guard(session, session.change, changes)
        if not sent.called:
            sent.addErrback(lambda failure: self._log.failure("A broadcast failed", failure))
        return _BROADCASTED

    def limited(self, event: str, payload: bytes) -> None:
        """Nothing depends on the order of what is refused."""

    def refusal(self, error: HelixError) -> bytes:
        return plain_refusal(error)

    def leave(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._service.guard(session, session.leave, self)

    # IMember

    def push(self, event: str, payload: bytes) -> None:
        self._port.push(event, payload)

    def push_of(self, event: str, payload: Sequence[Data]) -> None:
        self._port.push_of(event, payload)

    def charge(self, seconds: float, size: int) -> None:
        self._port.charge(seconds, size)

    def end(self, event: str) -> None:
        if self._session is not None:
            self._session = None
            self._port.end(event)


def _broadcasted(left_out: list[str]) -> bytes:
    if not left_out:
        return _BROADCASTED
    return encode_json({"status": "broadcasted", "dropped": left_out})


def _read_changes(payload: bytes) -> msgspec.Raw:
    try:
        changes = _decode_change(payload).changes
    except msgspec.MsgspecError:
        raise MissingChanges() from None
    if changes is msgspec.UNSET:
        raise MissingChanges()
    return changes
