"""Opens the broker that a URL names."""

from __future__ import annotations

from typing import Any

from helix.interfaces import IBroker


def open_broker(url: str, reactor: Any) -> IBroker:
    """
    Make the broker that a URL names. It is not started.

    :param url: ``postgresql://...`` (``postgres://...``).
    :raises StoreError: when it can't be read; the message shows nothing of it.
    """
    # As a store is: who needs none needs no library of its either.
    from helix.broker.postgresql import PostgresBroker

    broker: IBroker = PostgresBroker(url, reactor)
    return broker
