"""Finds the channel of a topic that a client joins."""

from __future__ import annotations

import attrs
import msgspec

from helix.channels.channel import Channel, Port
from helix.channels.document import DocumentChannel, PatchLimits
from helix.channels.management import Delete, ManagementChannel
from helix.channels.relay import RelayChannel
from helix.delivery.protocol import EMPTY
from helix.documents.ids import parse_new_flow_id
from helix.errors import InvalidParameters, UnmatchedTopic
from helix.flows.service import FlowSessionService
from helix.sharing.service import AccessService

FLOW_TOPIC = "flow:"
MANAGEMENT_TOPIC = "flow_management"


def key_of(topic: str) -> str:
    """Give what topics have in common that mean one flow: its id is trimmed."""
    if topic.startswith(FLOW_TOPIC):
        return FLOW_TOPIC + topic.removeprefix(FLOW_TOPIC).strip()
    return topic


class _Params(msgspec.Struct):
    mode: str = "relay"


_decode_params = msgspec.json.Decoder(_Params).decode


@attrs.frozen
class Router:
    """
    Finds the channel that serves a topic.

    :ivar service: whose flows are joined.
    :ivar limits: what members in document mode are told of them.
    :ivar access: knows what flows give, and to whom.
    :ivar delete: deletes a flow of which management is told so; ``None`` where that isn't wanted.
    """

    service: FlowSessionService
    limits: PatchLimits
    access: AccessService
    delete: Delete | None = None

    def channel(self, port: Port, params: bytes) -> Channel:
        """
        Make the channel for ``port.topic``.

        :param params: the parameters of the join (JSON).
        :raises UnmatchedTopic: when nothing serves the topic.
        :raises InvalidFlowId: when it is a flow's, but its id can't be one.
        :raises InvalidParameters: when it is a flow's, and can't be joined so.
        """
        if port.topic.startswith(FLOW_TOPIC):
            flow_id = parse_new_flow_id(port.topic.removeprefix(FLOW_TOPIC))
            if _mode(params) == "document":
                return DocumentChannel(self.service, flow_id, port, self.limits, self.access)
            return RelayChannel(self.service, flow_id, port, self.access)
        if port.topic == MANAGEMENT_TOPIC:
            return ManagementChannel(self.service, port, self.access, self.delete)
        raise UnmatchedTopic()


def _mode(params: bytes) -> str:
    try:
        mode = _decode_params(EMPTY if params == b"null" else params).mode
    except msgspec.MsgspecError:
        raise InvalidParameters() from None
    if mode not in ("relay", "document"):
        raise InvalidParameters("The mode of a join is relay or document")
    return mode
