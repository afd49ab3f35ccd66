"""A flow of a simulation: its clients, and what has to hold of them once all is at rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from helix.document import encode_document
from helix.verify import verify_flow
from tests.fuzzclients import FuzzClient, RelayReplica
from tests.guests import Guest
from tests.heldstore import HeldStore, LateStore, Logs


@attrs.define(eq=False)
class Flow:
    """
    A flow, and its clients.

    :param store: of some server that has, or had, the flow.
    """

    flow_id: str
    store: LateStore
    logs: Logs = attrs.field(init=False)
    guests: list[Guest] = attrs.field(factory=list)
    relays: list[RelayReplica] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.logs = Logs(self.store)

    @property
    def clients(self) -> list[FuzzClient]:
        return [*self.guests, *self.relays]

    @property
    def present(self) -> list[Guest]:
        """The guests that are connected."""
        return [guest for guest in self.guests if guest.wire is not None]

    @property
    def version(self) -> int:
        log = self.store.flow(self.flow_id)
        return 0 if log is None else log.head.version

    def check(self, failed: Callable[[Failure], object]) -> None:
        """
        See to what holds when all is at rest.

        :param failed: called with what verifying the store finds, perhaps later.
        """
        self.logs.check()
        self._check_documents()
        self._check_submissions()
        self._check_presence()
        if self.store.flow(self.flow_id) is not None:
            quiet = HeldStore(self.store)
            Deferred.fromCoroutine(verify_flow(quiet, self.flow_id)).addErrback(failed)

    def _check_documents(self) -> None:
        log = self.store.flow(self.flow_id)
        durable = self.logs.document("" if log is None else log.head.epoch, self.version)
        assert all(encode_document(guest.document) == durable for guest in self.present)
        shown = json.loads(durable)
        assert all(relay.wire is None or relay.shows(shown) for relay in self.relays)

    def _check_submissions(self) -> None:
        """What was acknowledged is still in the log, and what changed nothing isn't."""
        for guest in self.guests:
            for op_id, version in guest.accepted.items():
                assert self.logs.holds(version, guest.name, op_id), "it is no longer there"
            if len(self.store.epochs) == 1:
                changed_nothing = guest.changed_nothing
                assert not any(self.logs.knows(guest.name, op_id) for op_id in changed_nothing)

    def _check_presence(self) -> None:
        """Everybody sees who is connected, and nobody else."""
        present = self.present
        people: dict[str, list[dict[str, Any]]] = {}
        for guest in sorted(present, key=lambda guest: guest.name):
            people.setdefault(guest.key, []).append(guest.meta)
        pointers = {one.name: one.cursor for one in present if one.cursor is not None}
        for guest in present:
            assert guest.people() == people
            others = {key: at for key, at in pointers.items() if key != guest.name}
            assert guest.pointers() == others
        count = sum(client.wire is not None for client in self.clients)
        assert all(relay.count == count for relay in self.relays if relay.wire is not None)
