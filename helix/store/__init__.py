"""Where flows are kept: in memory, in SQLite, in PostgreSQL, behind one interface."""

from __future__ import annotations

from typing import Any

from helix.interfaces import IFlowStore


def open_store(url: str, reactor: Any) -> IFlowStore:
    """
    Make the store that ``url`` names; it is opened by its ``start``.

    :param url: ``memory:``.
    :raises ValueError: when there is no such kind of store.
    """
    if url == "memory:":
        from helix.store.memory import MemoryStore

        return MemoryStore()
    del reactor
    raise ValueError(f"{url!r} names no store")
