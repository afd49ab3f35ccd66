"""Opens the broker that a URL names."""

from __future__ import annotations

from random import Random
from typing import Any

from helix.interfaces import IBroker, IFlowStore


def open_broker(url: str, reactor: Any, store: IFlowStore, random: Random) -> IBroker:
    """
    Make the broker that a URL names. It is not started.

    :param url: ``postgresql://...`` (``postgres://...``), ``redis://...`` or ``rediss://...``.
    :param store: what the nodes share; it has to be open when the broker is started.
    :param random: spreads attempts to connect.
    :raises StoreError: when the URL can't be read; the message shows nothing of it.
    """
    # As a store is: who needs none needs no library of its either.
    broker: IBroker
    if url.startswith(("redis:", "rediss:")):
        from helix.broker.redis.broker import RedisBroker

        broker = RedisBroker(url, reactor, random, store.credentials.secret)
    else:
        from helix.broker.postgresql import PostgresBroker
        from helix.store.postgresql.store import PostgresStore

        shared = store if isinstance(store, PostgresStore) else None
        broker = PostgresBroker(url, reactor, store=shared)
    return broker
