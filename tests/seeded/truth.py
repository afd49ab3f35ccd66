"""What a run's store has, and whatever it ever had."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import attrs

from helix.chain import chain_text, origin_of
from helix.documents.document import FlowDocument, empty_document, encode_document
from helix.records import Entry
from helix.store.memory import _Log


@attrs.frozen(eq=False)
class Record:
    """
    An entry, and where it stands or stood.

    :ivar before: the document that it was staged on.
    """

    epoch: str
    entry: Entry
    before: bytes


@attrs.define(eq=False)
class _Known:
    """
    A log, as far as it was looked at.

    :ivar origin: its chain at version 0.
    :ivar made: the document of each version.
    """

    origin: bytes
    records: list[Record] = attrs.field(factory=list)
    made: list[bytes] = attrs.field(factory=lambda: [encode_document(empty_document())])
    document: FlowDocument = attrs.field(factory=FlowDocument.empty)

    def state(self, version: int) -> tuple[str, bytes]:
        chain = self.records[version - 1].entry.chain if version else self.origin
        return chain_text(chain), self.made[version]


class Truth:
    """
    The logs of a store: those that gave way to others, too, and the entries that it forgot.

    It has to `look` whenever something was written, and be told when a store goes back.

    :ivar went_back: whether the store ever did.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._named: dict[str, list[Record]] = {}
        self._past: dict[tuple[str, int], list[tuple[str, bytes]]] = {}
        self._lost: dict[Record, None] = {}
        self.went_back = False

    def look(self, logs: Iterable[_Log]) -> None:
        """Take in what was written to the logs."""
        for log in logs:
            epoch = log.head.epoch
            known = self._known.setdefault(epoch, _Known(log.head.origin))
            for entry in log.entries[len(known.records) :]:
                record = Record(epoch, entry, known.made[-1])
                known.records.append(record)
                known.document.apply(json.loads(entry.patch))
                known.made.append(encode_document(known.document.content))
                if entry.client_id is not None:
                    self._named.setdefault(entry.client_id, []).append(record)

    def go_back(self, epoch: str, version: int) -> None:
        """The store has forgotten what came after a version."""
        known = self._known[epoch]
        self.went_back = True
        for later in range(version + 1, len(known.made)):
            self._past.setdefault((epoch, later), []).append(known.state(later))
        self._lost.update(dict.fromkeys(known.records[version:]))
        del known.records[version:]
        del known.made[version + 1 :]
        known.document = FlowDocument(json.loads(known.made[version]))

    @property
    def epochs(self) -> list[str]:
        """Of all logs that there ever were."""
        return list(self._known)

    def states(self, epoch: str, version: int) -> list[tuple[str, bytes]]:
        """
        The chain, as clients are told it, and the document of a log at a version; then those that
        it had there before the store went back.
        """
        known = self._known.get(epoch) or _Known(origin_of(epoch))
        now = [known.state(version)] if version < len(known.made) else []
        return [*now, *self._past.get((epoch, version), ())]

    def documents(self, epoch: str, version: int) -> list[bytes]:
        """Those of `states`."""
        return [document for _, document in self.states(epoch, version)]

    def entries(self, epoch: str, version: int) -> list[Entry]:
        """Those that a log has, or had, at a version."""
        known = self._known.get(epoch)
        records = [] if known is None else known.records[version - 1 : version]
        lost = (one for one in self._lost if (one.epoch, one.entry.version) == (epoch, version))
        return [record.entry for record in (*records, *lost)]

    def find(self, name: str, op_id: int, version: int) -> list[Record]:
        """
        What became of a submission at a version: in several logs perhaps, or anew in one that had
        forgotten it.
        """
        return [
            record
            for record in self._named.get(name, ())
            if (record.entry.op_id, record.entry.version) == (op_id, version)
        ]

    def by(self, name: str) -> list[Record]:
        """What a client wrote."""
        return self._named.get(name, [])

    def is_lost(self, records: Iterable[Record]) -> bool:
        """Whether the store went back behind all of them."""
        return all(record in self._lost for record in records)

    def records(self) -> Iterator[Record]:
        """All entries that there are, or ever were."""
        for known in self._known.values():
            yield from known.records
        yield from self._lost

    def named(self) -> Iterator[list[Record]]:
        """For each log, and each client that wrote into it, what it wrote there, in order."""
        for known in self._known.values():
            by_name: dict[str, list[Record]] = {}
            for record in known.records:
                if record.entry.client_id is not None:
                    by_name.setdefault(record.entry.client_id, []).append(record)
            yield from by_name.values()

    def check(self, logs: Iterable[_Log]) -> None:
        """See to what holds for a log in itself."""
        for log in logs:
            assert [e.version for e in log.entries] == list(range(1, len(log.entries) + 1))
            assert log.entries == [one.entry for one in self._known[log.head.epoch].records]
