"""How much space an SQLite database may still use."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import attrs

from helix.records import StoreUsage

MIN_FREE_BYTES = 64 * 2**20
"""Bytes of the disk that stay free: for the write-ahead log, and all else that has to go on."""

SMALL_DISK_BYTES = 2**30
"""A smaller disk may be filled completely."""


@attrs.frozen
class StorageQuota:
    """
    The space that a database may use.

    :ivar path: of its file.
    :ivar usage: what it holds, of which this is told.
    """

    path: Path
    usage: StoreUsage = attrs.field(factory=StoreUsage)

    def is_full(self, database: sqlite3.Connection) -> bool:
        """Tell whether it is full. Space that was cleared counts as free."""
        pages, spare, page = (
            database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        self.usage.used_bytes = (pages - spare) * page
        disk = os.statvfs(self.path.parent)
        size, free = (blocks * disk.f_frsize for blocks in (disk.f_blocks, disk.f_bavail))
        return self.usage.is_full or (size >= SMALL_DISK_BYTES and free < MIN_FREE_BYTES)
