"""The channel ``flow_management``: clients report flows that were deleted elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from helix.access.roles import Right
from helix.channels.channel import Port, plain_refusal
from helix.delivery.protocol import EMPTY, Data, encode_json
from helix.documents.ids import parse_flow_id
from helix.errors import (
    FlowNotFound,
    HelixError,
    InvalidFlowId,
    InvalidFlowIdParameter,
    SessionNotFound,
    UnknownEvent,
)
from helix.flows.everywhere import SessionsEverywhere
from helix.flows.service import FlowSessionService
from helix.sharing.service import AccessService


class _FlowDeleted(msgspec.Struct):
    flow_id: object = None


_decode_deleted = msgspec.json.Decoder(_FlowDeleted).decode


Delete = Callable[[str, str], Deferred[Any]]
"""Deletes a stored flow: its id, and by whom, as a name to show."""


class ManagementChannel:
    """
    ``flow_management``: ends the sessions of flows that were deleted elsewhere.

    :param access: knows what flows give, and to whom.
    :param delete: also deletes the flow; ``None`` if that isn't wanted.
    """

    user_name = ""

    __slots__ = ("_access", "_delete", "_port", "_sessions")

    def __init__(
        self,
        service: FlowSessionService,
        port: Port,
        access: AccessService,
        delete: Delete | None = None,
    ) -> None:
        self._sessions = SessionsEverywhere(service)
        self._access = access
        self._port = port
        self._delete = delete

    async def join(self, params: bytes) -> Sequence[Data]:
        return (EMPTY,)

    def joined(self) -> None:
        """Nobody is told."""

    def handle(self, event: str, payload: bytes, binary: bool) -> bytes | Deferred[bytes]:
        if event == "access_token":
            return self._port.renew(payload)
        if event != "flow_deleted":
            raise UnknownEvent()
        try:
            flow_id = parse_flow_id(None if binary else _decode_deleted(payload).flow_id)
        except (msgspec.MsgspecError, InvalidFlowId):
            raise InvalidFlowIdParameter() from None
        return Deferred.fromCoroutine(self._deleted(flow_id))

    async def _deleted(self, flow_id: str) -> bytes:
        permission = await self._access.permission(self._port.principal, flow_id)
        if permission is None or not permission.allows(Right.MANAGE):
            return _closed(0)
        by = self._port.user_name
        if self._delete is None:
            return await self._close(flow_id, by)
        counted = Deferred.fromCoroutine(self._sessions.client_count(flow_id))
        try:
            await self._delete(flow_id, by)
        except FlowNotFound:  # one that isn't stored may still be open
            return await self._close(flow_id, by)
        return _closed((await counted).value)

    async def _close(self, flow_id: str, by: str) -> bytes:
        try:
            closed = await self._sessions.close(flow_id, by)
        except SessionNotFound:
            return _closed(0)
        return _closed(closed.value)

    def decide_again(self) -> None:
        """Each push asks what the client may do."""

    def limited(self, event: str, payload: bytes) -> None:
        """Nothing depends on the order of what is refused."""

    def refusal(self, error: HelixError) -> bytes:
        return plain_refusal(error)

    def leave(self) -> None:
        """Nothing is held."""


def _closed(count: int) -> bytes:
    return encode_json({"status": "session_closed", "clients_affected": count})
