"""Entries and logs as the tests of the stores make them."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from helix.chain import origin_of
from helix.interfaces import IFlowStore
from helix.records import Entry, FlowHead, Summary

T0 = 1_700_000_000.25


def entry(version: int, op: tuple[str, int] | None = None, at: float | None = None) -> Entry:
    """An entry that moves a node; ``op`` is its ``(client_id, op_id)``."""
    patch = b'{"nodes":{"n1":{"position":{"x":%d}}}}' % version
    client_id, op_id = op or (None, None)
    moment = T0 + version if at is None else at
    return Entry(version, patch, moment, "Ada", client_id, op_id, (), chain_at(version))


def chain_at(version: int, epoch: str = "e1") -> bytes:
    """The chain of such a log, of which stores only know whether it is the same."""
    return version.to_bytes(8, "big", signed=True) if version else origin_of(epoch)


def entries(first: int, last: int) -> list[Entry]:
    """Entries that no client named, ``last`` too."""
    return [entry(version) for version in range(first, last + 1)]


def add(
    store: IFlowStore,
    flow_id: str,
    epoch: str,
    base: int,
    log: Sequence[Entry],
    summary: Summary,
) -> Deferred[None]:
    """Append to a log that began in ``epoch`` what follows from its chain."""
    return store.append(flow_id, epoch, base, chain_at(base, epoch), log, summary)


def take_snapshot(
    store: IFlowStore, flow_id: str, epoch: str, version: int, document: bytes
) -> Deferred[None]:
    """Keep a snapshot of what a log that began in ``epoch`` has at a version."""
    return store.snapshot(flow_id, epoch, version, chain_at(version, epoch), document)


def head_at(
    flow_id: str, epoch: str, version: int, summary: Summary, created_at: float, updated_at: float
) -> FlowHead:
    """The head of a log that began in ``epoch``."""
    chains = (chain_at(0, epoch), chain_at(version, epoch))
    return FlowHead(flow_id, epoch, version, summary, created_at, updated_at, *chains)


def keep(
    store: IFlowStore, flow_id: str, log: Sequence[Entry] = (), summary: Summary | None = None
) -> Deferred[FlowHead]:
    """Create a flow with epoch ``e1`` and this log."""
    return store.create(flow_id, "e1", T0, log, summary or Summary())
