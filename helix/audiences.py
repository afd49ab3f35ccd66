"""The members of a flow in document mode, and what all audiences share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

import msgspec
from twisted.logger import Logger

from helix.edits import FlowState
from helix.fanout import Broadcast, Fanout
from helix.interfaces import IMember
from helix.protocol import encode_json
from helix.records import Entry


class Kind(Enum):
    """The kinds of broadcast of which a lagging member needs only the newest."""

    UPDATE = "flow_update"
    CLIENT_COUNT = "client_count"
    ENTRIES = "entries"
    PRESENCE = "presence"
    CURSORS = "cursors"


class _Entry(msgspec.Struct, gc=False):
    """An entry on the wire."""

    version: int
    client_id: str | None
    op_id: int | None
    patch: msgspec.Raw
    by: str
    at: float


_encode = msgspec.json.Encoder().encode


def wire_entries(entries: Sequence[Entry]) -> bytes:
    """Make the JSON array of entries that clients are sent."""
    return _encode(
        [
            _Entry(one.version, one.client_id, one.op_id, msgspec.Raw(one.patch), one.by, one.at)
            for one in entries
        ]
    )


def wire_reset(state: FlowState) -> bytes:
    """Make the payload of a ``reset``."""
    return encode_json(
        {
            "epoch": state.head.epoch,
            "version": state.version,
            "document": msgspec.Raw(state.document),
        }
    )


class DocumentAudience:
    """
    The members in document mode. All get the same entries in the same order.

    :param fanout: the way to them.
    :param state: gives what is durable now, or ``None`` when the session has ended.
    """

    __slots__ = ("_fanout", "_state")

    _log = Logger(namespace="helix.session")

    def __init__(self, fanout: Fanout, state: Callable[[], FlowState | None]) -> None:
        self._fanout = fanout
        self._state = state

    def add(self, member: IMember) -> None:
        self._fanout.add(member.outlet, member.topic)

    def remove(self, member: IMember) -> None:
        self._fanout.remove(member.outlet, member.topic)

    def tell(self, entries: Sequence[Entry]) -> None:
        """Broadcast ``entries``; who lags gets a ``reset`` once it has caught up."""
        if self._fanout.is_empty:
            return
        payload = b'{"entries":%b}' % wire_entries(entries)
        self._broadcast(Broadcast("entries", payload, Kind.ENTRIES, later=self._reset))

    def reset(self) -> None:
        """Broadcast the whole document."""
        reset = self._reset()
        if reset is not None and not self._fanout.is_empty:
            self._broadcast(reset)

    def flush(self) -> None:
        """Deliver at once what waits."""
        self._fanout.flush()

    def _reset(self) -> Broadcast | None:
        state = self._state()
        if state is None:
            return None
        return Broadcast("reset", wire_reset(state), Kind.ENTRIES, later=self._reset)

    def _broadcast(self, broadcast: Broadcast) -> None:
        self._fanout.broadcast(broadcast).addErrback(
            lambda failure: self._log.failure("Telling the members of a flow failed", failure)
        )
