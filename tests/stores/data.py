"""Entries and logs as the tests of the stores make them."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from helix.interfaces import IFlowStore
from helix.records import Entry, FlowHead, Summary

T0 = 1_700_000_000.25


def entry(version: int, op: tuple[str, int] | None = None, at: float | None = None) -> Entry:
    """An entry that moves a node; ``op`` is its ``(client_id, op_id)``."""
    patch = b'{"nodes":{"n1":{"position":{"x":%d}}}}' % version
    client_id, op_id = op or (None, None)
    return Entry(version, patch, T0 + version if at is None else at, "Ada", client_id, op_id)


def entries(first: int, last: int) -> list[Entry]:
    """Entries that no client named, ``last`` too."""
    return [entry(version) for version in range(first, last + 1)]


def keep(
    store: IFlowStore, flow_id: str, log: Sequence[Entry] = (), summary: Summary | None = None
) -> Deferred[FlowHead]:
    """Create a flow with epoch ``e1`` and this log."""
    return store.create(flow_id, "e1", T0, log, summary or Summary())
