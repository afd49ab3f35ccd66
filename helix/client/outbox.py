"""The outbox file: keeps a client's unconfirmed patches when its process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO, Any

import msgspec

from helix.documents.document import DocumentLimits
from helix.documents.validation import check_patch
from helix.errors import HelixError, OutboxUnusable

FORMAT = 1
"""The version of the file's format."""


class SavedOperation(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    An operation as it is kept.

    :ivar patch: JSON.
    :ivar bases: of what its texts were made (DOM4).
    :ivar tags: what it is marked with.
    """

    op_id: int
    patch: msgspec.Raw
    bases: dict[str, str] = {}
    tags: dict[str, Any] = {}


class SavedOutbox(msgspec.Struct, frozen=True):
    """
    What the file holds.

    :ivar newest_op: the largest ``op_id`` ever used: none is used twice.
    :ivar operations: in the order in which they are to be sent.
    """

    flow_id: str
    client_id: str
    newest_op: int
    operations: list[SavedOperation]
    format: int = FORMAT


_decode = msgspec.json.Decoder(SavedOutbox).decode
_encode = msgspec.json.Encoder().encode


class OutboxFile:
    """
    One file, held by one process at a time.

    It is replaced as a whole: whoever reads it finds what was saved last, or before. Its calls
    block, so they belong in a thread.

    :param path: the file; beside it come ``.lock`` and, for moments, ``.new``.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._lock: IO[bytes] | None = None

    def open(self, flow_id: str) -> SavedOutbox | None:
        """
        Take hold of the file and read it.

        :param flow_id: whose patches it is to keep.
        :return: ``None`` where there is none yet.
        :raises OutboxUnusable: when another process holds it, it belongs to another flow, or it
            can't be read.
        """
        try:
            self._lock = self._beside(".lock").open("ab")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._read(flow_id)
        except BlockingIOError:
            self.close()
            raise OutboxUnusable(f"{self.path} is in use by another process") from None
        except OSError as error:
            self.close()
            raise OutboxUnusable(f"{self.path} can't be used: {error}") from None
        except HelixError:
            self.close()
            raise

    def save(self, outbox: SavedOutbox) -> None:
        """
        Replace what the file holds, durably, or not at all.

        :raises OutboxUnusable: when that fails.
        """
        new = self._beside(".new")
        try:
            with new.open("wb") as file:
                file.write(_encode(outbox))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
            directory = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise OutboxUnusable(f"{self.path} can't be written: {error}") from None

    def close(self) -> None:
        """Let go of the file. The lock ends with the process, too."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.close()

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def _read(self, flow_id: str) -> SavedOutbox | None:
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            saved = _decode(text)
            for one in saved.operations:
                check_patch(msgspec.json.decode(one.patch), DocumentLimits())
        except (msgspec.MsgspecError, UnicodeDecodeError, HelixError) as error:
            raise OutboxUnusable(f"{self.path} is damaged: {error}") from None
        if saved.format != FORMAT:
            raise OutboxUnusable(f"{self.path} is of a format that this version doesn't know")
        if saved.flow_id != flow_id:
            raise OutboxUnusable(f"{self.path} belongs to another flow")
        return saved
