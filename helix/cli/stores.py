"""The stores that commands open themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from helix.config import read_config
from helix.interfaces import IFlowStore

store_option = click.option(
    "--store", envvar="HELIX_STORE", show_envvar=True, help="The store, as for helix serve --store."
)
"""Gives a command the option that names a store."""


def store_url(store: str | None) -> str:
    """
    Give the URL of the store that a command is for.

    :param store: the option; ``None`` for where the daemon looks without it.
    :raises click.UsageError: when it is in another process's memory.
    """
    url = store or read_config({}, {}).store
    if url == "memory:":
        raise click.UsageError("Give a store: --store sqlite:PATH or postgresql://...")
    return url


@asynccontextmanager
async def started(store: IFlowStore) -> AsyncIterator[IFlowStore]:
    """Have a store open."""
    await store.start()
    try:
        yield store
    finally:
        await store.stop()
