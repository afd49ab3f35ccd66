"""A flow of a simulation: its clients, and what has to hold of them once all is at rest."""

from __future__ import annotations

import json
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from helix.documents.document import encode_document
from helix.log.verify import verify_flow
from tests.seeded.fates import Author, check_fates
from tests.seeded.fuzzclients import FuzzClient, RelayReplica
from tests.seeded.guests import Guest, wrongly_seen
from tests.support.heldstore import HeldStore, LateStore


@attrs.define(eq=False)
class Flow:
    """
    A flow, and its clients.

    :param store: of some server that has, or had, the flow.
    :param kind: of those in document mode.
    :ivar outsiders: what those are called who edit it besides. (`tests.seeded.outsiders`)
    """

    flow_id: str
    store: LateStore
    kind: type[Guest] = Guest
    guests: list[Guest] = attrs.field(factory=list)
    relays: list[RelayReplica] = attrs.field(factory=list)
    outsiders: set[str] = attrs.field(factory=set)

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

    def reload(self, page: Guest) -> None:
        """Let a page begin anew under a name of its own, and leave its edits to another guest."""
        heir = self.kind(
            topic=page.topic,
            author=page.author,
            person=page.person,
            visits=page.visits,
            next_op=page.next_op,
            outbox=page.outbox,
            disorder=page.disorder,
        )
        self.guests.append(heir)
        page.author = Author(f"reloaded{len(self.guests)}", self.store.truth)
        page.author.is_orderly = page.disorder is None
        page.outbox, page.next_op, page.shown, page.visits = [], 1, {}, 0

    def hijack(self, victim: Guest, next_op: int) -> None:
        """Let somebody call themselves what others call ``victim``, and count from ``next_op``."""
        if victim.name and all(guest.author.client_id != victim.name for guest in self.guests):
            author = Author(victim.name, self.store.truth)
            self.guests.append(self.kind(topic=victim.topic, author=author, next_op=next_op))

    def check(self, failed: Callable[[Failure], object]) -> None:
        """
        See to what holds when all is at rest.

        :param failed: called with what verifying the store finds, perhaps later.
        """
        self.store.check()
        away = {guest.author for guest in self.guests if guest.wire is None}
        authors = [guest.author for guest in self.guests]
        check_fates(authors, self.store.truth, away, self.outsiders)
        self._check_documents()
        wrong = self.wrongly_seen()
        assert not wrong, wrong
        if self.store.flow(self.flow_id) is not None:
            quiet = HeldStore(self.store)
            Deferred.fromCoroutine(verify_flow(quiet, self.flow_id)).addErrback(failed)

    def _check_documents(self) -> None:
        log = self.store.flow(self.flow_id)
        epoch = "" if log is None else log.head.epoch
        durable = self.store.truth.documents(epoch, self.version)[0]
        assert all(encode_document(guest.document) == durable for guest in self.present)
        shown = json.loads(durable)
        assert all(relay.wire is None or relay.shows(shown) for relay in self.relays)

    def wrongly_seen(self) -> str:
        """Tell what is wrong with what everybody sees of who is connected; empty for nothing."""
        present = self.present
        wrong = wrongly_seen(present, present)
        count = sum(client.wire is not None for client in self.clients)
        told = {relay.count for relay in self.relays if relay.wire is not None}
        return wrong or (f"told are {told}, not {count}" if told - {count} else "")
