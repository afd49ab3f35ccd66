"""Opens the store that a URL names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helix.interfaces import IFlowStore
from helix.store.memory import MemoryStore


def open_store(
    url: str,
    reactor: Any,
    read_only: bool = False,
    create: bool = True,
    max_bytes: int = 0,
    beside: bool = False,
) -> IFlowStore:
    """
    Make the store that a url names. It is not started.

    :param url: ``memory:``, ``sqlite:PATH`` or ``postgresql://...`` (``postgres://...``).
    :param read_only: whether to leave it as it is, for what only reads; an SQLite file may then be
        open in a server at the same time.
    :param create: whether an SQLite file that isn't there is made.
    :param max_bytes: that an SQLite file, or the tables in PostgreSQL, may hold; 0 for as many as
        there is room for.
    :param beside: whether to write to the store's ``access`` and ``credentials`` alone, for which
        an SQLite file may be open in a server at the same time.
    :raises ValueError: when it is none of these; the message shows nothing of it, as it may hold a
        password.
    """
    # A store is imported when it is asked for: its libraries need not be there for another's sake.
    scheme, _, rest = url.partition(":")
    if url == "memory:":
        return MemoryStore()
    if scheme == "sqlite" and rest and "://" not in rest:
        from helix.store.sqlite.store import SQLiteStore

        return SQLiteStore(Path(rest).expanduser(), reactor, read_only, create, max_bytes, beside)
    if scheme in ("postgresql", "postgres") and rest.startswith("//"):
        from helix.store.postgresql.store import PostgresStore

        store: IFlowStore = PostgresStore(url, reactor, read_only=read_only, max_bytes=max_bytes)
        return store
    raise ValueError("a store must be memory:, sqlite:PATH or postgresql://USER@HOST/DATABASE")
