"""``flow_management``: the channel of those who delete flows elsewhere."""

from __future__ import annotations

import msgspec

from helix.channels import Port, plain_refusal
from helix.errors import (
    HelixError,
    InvalidFlowId,
    InvalidFlowIdParameter,
    SessionNotFound,
    UnknownEvent,
)
from helix.ids import parse_flow_id
from helix.protocol import EMPTY, encode_json
from helix.service import FlowSessionService


class _FlowDeleted(msgspec.Struct):
    flow_id: object = None


_decode_deleted = msgspec.json.Decoder(_FlowDeleted).decode


class ManagementChannel:
    """``flow_management``: ends the sessions of flows that were deleted elsewhere."""

    user_name = ""

    __slots__ = ("_port", "_service")

    def __init__(self, service: FlowSessionService, port: Port) -> None:
        self._service = service
        self._port = port

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
            count = self._service.close(flow_id, self._port.user_name)
        except SessionNotFound:
            count = 0
        return encode_json({"status": "session_closed", "clients_affected": count})

    def limited(self, event: str, payload: bytes) -> None:
        """Nothing depends on the order of what is refused."""

    def refusal(self, error: HelixError) -> bytes:
        return plain_refusal(error)

    def leave(self) -> None:
        """Nothing is held."""
