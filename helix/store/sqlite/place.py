"""The path of an SQLite file, whose file may be replaced while it is open."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from helix.errors import StoreUnavailable
from helix.store.sqlite.file import APPLICATION_ID

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100

Identity = tuple[int, int]
"""The device and the inode of a file."""


class FileReplaced(StoreUnavailable):
    """Another file replaced the one that is read, and the writer hasn't switched to it yet."""


def identity_of(path: str | Path) -> Identity:
    """:raises FileNotFoundError: when there is none."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


class Place:
    """
    The file at a path, which several threads have open.

    Writes to a file that was moved away, or removed, would be lost. So the writer checks before
    each transaction that the file is still the same. Readers follow the writer.

    :ivar current: the file that is written to; ``None`` while there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._beside: dict[str, Identity] = {}
        self.current: Identity | None = None

    def found(self) -> Identity:
        """
        Tell which file is there now.

        :raises StoreUnavailable: when there is none.
        """
        try:
            return identity_of(self._path)
        except FileNotFoundError as error:
            raise StoreUnavailable(f"The database {self._path} is gone") from error

    def check(self) -> None:
        """
        See that the file that is there now is a database of Helix, by its header alone.

        :raises StoreUnavailable: when it is none, or not yet.
        """
        try:
            with self._path.open("rb") as file:
                header = file.read(_HEADER_BYTES)
        except OSError as error:
            raise StoreUnavailable(f"{self._path} can't be read") from error
        if not header.startswith(_MAGIC) or header[68:72] != APPLICATION_ID.to_bytes(4):
            raise StoreUnavailable(
                f"{self._path}: the file that replaced the database is not a Helix database"
            )

    def opened(self) -> None:
        """Note what is there, and what lies beside it, now that it is open for writing."""
        with self._lock:
            self.current = identity_of(self._path)
            for name in self._names():
                with suppress(FileNotFoundError):
                    self._beside[name] = identity_of(name)

    def clear(self) -> None:
        """
        Remove what the file that was there before has left beside: the new one must not meet its
        write-ahead log.
        """
        with self._lock:
            for name in self._names():
                with suppress(FileNotFoundError):
                    if identity_of(name) == self._beside.pop(name, None):
                        os.unlink(name)

    def _names(self) -> list[str]:
        return [f"{self._path}{suffix}" for suffix in ("-wal", "-shm")]
