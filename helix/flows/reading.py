"""Reads flows, now and at past versions, open or not."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import attrs
import msgspec

from helix.delivery.parts import SharedText
from helix.documents.decoding import decode_in_parts
from helix.documents.document import FlowDocument
from helix.errors import FlowDeleted, VersionNotFound
from helix.flows.loads import Loads
from helix.flows.service import FlowSessionService
from helix.limits.apart import Apart
from helix.log.edits import FlowState, summary_of
from helix.records import FlowHead, Summary

KEPT_BYTES = 32 * 1024 * 1024
"""Bytes of recently read documents that are kept, so that later reads share them."""

_Key = tuple[str, str, int, bytes | None]
"""A flow, an epoch, a version, and the chain of its head where that is the version."""


class FlowReader:
    """
    Reads flows: open ones from their sessions, others from the store, a few at once.

    :param loads: queues the loads from the store.
    :param apart: runs long work in a thread.
    """

    def __init__(self, service: FlowSessionService, loads: Loads, apart: Apart) -> None:
        self._service = service
        self._store = service.store
        self._loads = loads
        self._apart = apart
        self._kept: OrderedDict[_Key, FlowState] = OrderedDict()
        self._kept_bytes = 0

    async def head(self, flow_id: str) -> FlowHead:
        """
        Give a flow without its document.

        :raises FlowNotFound, FlowDeleted: when there is none.
        """
        head = await self._store.head(flow_id)
        if head.deleted_at is not None:
            raise FlowDeleted()
        return head

    async def read(self, flow_id: str, version: int | None, who: str | None) -> FlowState:
        """
        Give a flow, its head as of ``version``.

        :param version: for the past; ``None`` for the newest.
        :param who: the address that asks, as `Loads.ask` has it.
        :raises FlowNotFound, FlowDeleted, VersionNotFound: when there is none.
        :raises RateLimited: when too many wait for their turn.
        """
        if version is None and (state := self._service.open_state(flow_id)) is not None:
            return state
        head = await self.head(flow_id)
        at = head.version if version is None else version
        if at > head.version:
            raise VersionNotFound()
        key = (flow_id, head.epoch, at, head.chain if at == head.version else None)
        if (kept := self._kept.get(key)) is not None:
            return kept
        return await self._loads.ask(who, lambda: self._load(key, version))

    async def _load(self, key: _Key, version: int | None) -> FlowState:
        if (kept := self._kept.get(key)) is not None:  # by now
            self._kept.move_to_end(key)
            return kept
        state = await self._as_of_then(await self._service.read(key[0], version))
        head = state.head
        if key == (key[0], head.epoch, state.version, key[3] and head.chain):
            self._keep(key, state)
        return state

    def _keep(self, key: _Key, state: FlowState) -> None:
        if len(state.document) > KEPT_BYTES or key in self._kept:
            return
        self._kept[key] = state
        self._kept_bytes += len(state.document)
        while self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1].document)

    async def _as_of_then(self, state: FlowState) -> FlowState:
        head, shared = state.head, SharedText(state.document)
        if state.version == head.version:
            return attrs.evolve(state, document=shared)
        at, chain = head.created_at, head.origin
        if state.version:
            before = state.version - 1
            (entry,) = await self._store.entries(head.flow_id, head.epoch, before, 1)
            at, chain = entry.at, entry.chain or head.origin
        past = msgspec.structs.replace(
            head,
            version=state.version,
            summary=await self._apart(len(state.document), partial(_summary_of, state.document)),
            updated_at=at,
            chain=chain,
        )
        return attrs.evolve(state, head=past, document=shared)


def _summary_of(text: bytes) -> Summary:
    return summary_of(FlowDocument(decode_in_parts(text)))
