"""The members of a flow in document mode, and what both kinds of audiences share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

import msgspec
from msgspec import structs

from helix.chain import chain_text
from helix.delivery.broadcast import Broadcast, Superseded
from helix.delivery.fanout import Fanout
from helix.delivery.protocol import EMPTY, encode_json
from helix.interfaces import IMember
from helix.log.edits import FlowState
from helix.log.live_log import LiveLog
from helix.records import Actor, Entry


class Kind(Enum):
    """The kinds of broadcast that are conflated for a lagging member: it needs only the newest."""

    UPDATE = "flow_update"
    CLIENT_COUNT = "client_count"
    ENTRIES = "entries"
    NAMES = "version_named"
    PRESENCE = "presence"
    CURSORS = "cursors"


class _Entry(msgspec.Struct, gc=False, omit_defaults=True):
    """An entry on the wire."""

    version: int
    client_id: str | None
    op_id: int | None
    patch: msgspec.Raw
    by: str
    at: float
    dropped: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    actor: Actor | msgspec.UnsetType = msgspec.UNSET
    tags: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.json.Encoder().encode


def wire_entries(entries: Sequence[Entry]) -> bytes:
    """Make the JSON array of entries that clients are sent."""
    return _encode(
        [
            _Entry(
                one.version,
                one.client_id,
                one.op_id,
                msgspec.Raw(one.patch),
                one.by,
                one.at,
                one.dropped or msgspec.UNSET,
                one.actor or msgspec.UNSET,
                msgspec.Raw(one.tags) if one.tags else msgspec.UNSET,
            )
            for one in entries
        ]
    )


def entries_payload(entries: bytes, chain: bytes) -> bytes:
    """
    Make the payload of an ``entries``.

    :param entries: as `wire_entries` makes them.
    :param chain: the log's at the last of them.
    """
    return b'{"entries":%b,"chain":"%b"}' % (entries, chain_text(chain).encode())


def wire_reset(state: FlowState) -> bytes:
    """Make the payload of a ``reset``."""
    return encode_json(
        {
            "epoch": state.head.epoch,
            "version": state.version,
            "chain": chain_text(state.head.chain),
            "document": msgspec.Raw(state.document),
        }
    )


def _names_changed() -> Broadcast:
    """Make what stands for any number of ``version_named``."""
    return Broadcast("versions_changed", EMPTY, Kind.NAMES)


class _MissedEntries(msgspec.Struct, frozen=True, eq=False):
    """
    The entries that a lagging member has not been sent. (`helix.delivery.broadcast.Missed`)

    :ivar after: the epoch and version that it has; ``None`` if that is useless now.
    :ivar until: the last version that it missed. Later entries are still sent to it.
    """

    audience: DocumentAudience
    after: tuple[str, int] | None
    until: int

    def behind(self, earlier: _MissedEntries) -> _MissedEntries:
        return structs.replace(self, after=earlier.after)

    def make(self) -> Broadcast | None:
        return self.audience.catch_up(self.after, self.until)


class DocumentAudience:
    """
    The members in document mode. All get the same entries in the same order.

    :param fanout: the way to them.
    :param log: the flow's.
    :param state: gives what is durable now, or ``None`` when the session has ended.
    """

    __slots__ = ("_fanout", "_flow_log", "_state", "_whole")

    def __init__(self, fanout: Fanout, log: LiveLog, state: Callable[[], FlowState | None]) -> None:
        self._fanout = fanout
        self._flow_log = log
        self._state = state
        self._whole: Broadcast | None = None

    def add(self, member: IMember) -> None:
        self._fanout.add(member.outlet, member.topic)

    def remove(self, member: IMember) -> None:
        self._fanout.remove(member.outlet, member.topic)

    def tell(self, entries: Sequence[Entry]) -> None:
        """Broadcast ``entries``; a lagging member gets them in one frame once it has drained."""
        self._whole = None
        if not self._fanout.is_empty:
            after = (self._flow_log.epoch, entries[0].version - 1)
            wire, newest = wire_entries(entries), entries[-1]
            chain = self._flow_log.chain_of(newest)
            self._fanout.tell(self._entries(wire, chain, after, newest.version))

    def tell_name(self, payload: bytes) -> None:
        """Broadcast that a version was named; a lagging member learns that some were."""
        if not self._fanout.is_empty:
            missed = Superseded(_names_changed)
            self._fanout.tell(Broadcast("version_named", payload, Kind.NAMES, missed=missed))

    def reset(self) -> None:
        """Broadcast the whole document."""
        self._whole = None
        reset = self._reset()
        if reset is not None and not self._fanout.is_empty:
            self._fanout.tell(reset)

    def catch_up(self, after: tuple[str, int] | None, until: int) -> Broadcast | None:
        """
        Make the one frame that brings a member up to date: entries, or the document.

        :param after: the epoch and version that it has, if that is known.
        :param until: up to which version it missed the entries.
        :return: ``None`` when the session has ended.
        """
        return self._missed_entries(after, until) or self._reset()

    def flush(self) -> None:
        """Deliver at once what waits."""
        self._fanout.flush()

    def _missed_entries(self, after: tuple[str, int] | None, until: int) -> Broadcast | None:
        """Make a frame of the entries, if they are in memory and smaller than the document."""
        log = self._flow_log
        if after is None or after[0] != log.epoch:
            return None
        recent = log.recent(after[1])
        if recent is None:
            return None
        missed = recent[: until - after[1]]
        entries = wire_entries(missed)
        if not missed or len(entries) >= log.document.size_bytes:
            return None
        return self._entries(entries, log.chain_of(missed[-1]), after, until)

    def _entries(
        self, entries: bytes, chain: bytes, after: tuple[str, int], until: int
    ) -> Broadcast:
        payload = entries_payload(entries, chain)
        missed = _MissedEntries(self, after, until)
        return Broadcast("entries", payload, Kind.ENTRIES, missed=missed)

    def _reset(self) -> Broadcast | None:
        """Make a frame of the document; all who get it before the next edit share its bytes."""
        if self._whole is None and (state := self._state()) is not None:
            missed = _MissedEntries(self, None, state.version)
            self._whole = Broadcast("reset", wire_reset(state), Kind.ENTRIES, missed=missed)
        return self._whole
