"""Gathers what all nodes together have open, and ends the sessions of a flow on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from twisted.internet.defer import Deferred, succeed

from helix.errors import SessionNotFound
from helix.flows.open_flows import open_flow, open_flows
from helix.flows.service import FlowSessionService
from helix.interfaces import Gathered
from helix.nodes.asking import Answers, Asking
from helix.nodes.neighbours import Neighbours
from helix.nodes.post import Post
from helix.records import OpenFlow, OpenFlows

T = TypeVar("T")

CLOSE, FLOW, FLOWS = "close", "flow", "flows"
"""The names of the questions."""


class _Close(msgspec.Struct, gc=False):
    flow_id: str
    by: str


class _Page(msgspec.Struct, gc=False):
    after: str
    limit: int


_encode = msgspec.json.Encoder().encode
_decode_close = msgspec.json.Decoder(_Close).decode
_decode_page = msgspec.json.Decoder(_Page).decode
_decode_flow_id = msgspec.json.Decoder(str).decode

_COUNT = msgspec.json.Decoder(int | None)
_FLOW = msgspec.json.Decoder(OpenFlow | None)
_FLOWS: msgspec.json.Decoder[OpenFlows | None] = msgspec.json.Decoder(OpenFlows)


class Gathering:
    """
    Asks the other nodes, and puts together what they answer.

    :param neighbours: which of them are there, and so should answer.
    """

    def __init__(self, post: Post, neighbours: Neighbours, asking: Asking) -> None:
        self._post = post
        self._neighbours = neighbours
        self._asking = asking

    def close(self, flow_id: str, by: str) -> Deferred[Gathered[int]]:
        """As `helix.interfaces.IOtherNodes.close`."""
        return self._gather(CLOSE, _Close(flow_id, by), _COUNT)

    def open_flow(self, flow_id: str) -> Deferred[Gathered[OpenFlow]]:
        """As `helix.interfaces.IOtherNodes.open_flow`."""
        return self._gather(FLOW, flow_id, _FLOW)

    def open_flows(self, after: str, limit: int) -> Deferred[Gathered[OpenFlows]]:
        """As `helix.interfaces.IOtherNodes.open_flows`."""
        return self._gather(FLOWS, _Page(after, limit), _FLOWS)

    # inside

    def _gather(
        self, what: str, about: object, decoder: msgspec.json.Decoder[T | None]
    ) -> Deferred[Gathered[T]]:
        if not self._post.is_up:
            return succeed(Gathered(is_complete=False))
        wanted = self._neighbours.present
        asked = self._asking.ask(what, _encode(about))
        return asked.addCallback(self._gathered, wanted, decoder)

    def _gathered(
        self, answers: Answers, wanted: Sequence[str], decoder: msgspec.json.Decoder[T | None]
    ) -> Gathered[T]:
        told: list[T] = []
        silent = set(wanted).intersection(self._neighbours.present)
        for node, answer in answers.items():
            try:
                said = decoder.decode(answer)
            except msgspec.MsgspecError:  # of another version
                continue
            silent.discard(node)
            if said is not None:
                told.append(said)
        return Gathered(told, not silent)


def answer_from(asking: Asking, sessions: FlowSessionService) -> None:
    """Let this node answer what `Gathering` asks, by the flows that it has open."""

    def close(body: bytes) -> Deferred[bytes]:
        asked = _decode_close(body)
        try:
            return succeed(_encode(sessions.close(asked.flow_id, asked.by)))
        except SessionNotFound:
            return succeed(b"null")

    def flow(body: bytes) -> Deferred[bytes]:
        session = sessions.get(_decode_flow_id(body))
        return succeed(_encode(None if session is None else open_flow(session)))

    def flows(body: bytes) -> Deferred[bytes]:
        asked = _decode_page(body)
        return succeed(_encode(open_flows(sessions.sessions(), asked.after, asked.limit)))

    asking.responds.update({CLOSE: close, FLOW: flow, FLOWS: flows})
