"""Helix's own Python client in seeded runs: all of it but its connection."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from helix.client.events import DocumentReplaced, EntriesArrived, FlowEvent, Status
from helix.client.flow import FlowClient
from helix.client.membership import _refused
from helix.client.outbox import SavedOutbox
from helix.client.socket import Reply
from helix.delivery.protocol import encode_json
from helix.errors import Disconnected, FlowDeleted, HelixError, Refused
from tests.seeded.fates import Author, Edit
from tests.seeded.fuzzclients import FuzzClient, random_patch

UNUSED: Any = object()
"""In place of what leads to a server: the run connects."""

PATIENCE = 31.0
"""Seconds after which a program has tried again whatever failed for now."""


@attrs.define
class _Kept:
    """What a program has kept. (`helix.client.keeping.Keeper`)"""

    saved: SavedOutbox | None

    def open(self, flow_id: str) -> Deferred[SavedOutbox | None]:
        return succeed(self.saved)

    def save(self) -> Deferred[None]:
        return succeed(None)

    def close(self) -> Deferred[None]:
        return succeed(None)


@attrs.define(eq=False, kw_only=True)
class Program(FuzzClient):
    """
    A program with the Python client. (`helix.client.FlowClient`)

    A flow that is deleted ends its client for good; the program then begins another one with what
    is in the outbox.

    :ivar author: in whose name it edits.
    :ivar clock: the client's, by which it tries again.
    :ivar random: draws the client's waits.
    :ivar visits: how many joins there were.
    :ivar status: of its membership, which this stands in for.
    :ivar _seen: edits that it saw in the log before they were answered.
    """

    author: Author
    clock: Clock
    random: Random
    status: Status = Status.OFFLINE
    visits: int = 0
    flow: FlowClient = attrs.field(init=False)
    _edits: dict[int, Edit] = attrs.field(factory=dict)
    _unanswered: dict[str, tuple[int | None, Deferred[bytes]]] = attrs.field(factory=dict)
    _seen: set[Edit] = attrs.field(factory=set)
    _is_over: bool = False

    def __attrs_post_init__(self) -> None:
        self._begin(None)

    @property
    def name(self) -> str:
        """What others call it, and under which it is present."""
        return self.author.name

    key = name

    @property
    def meta(self) -> dict[str, Any]:
        """What others are to see of it."""
        name = f"{self.author.client_id}/{self.visits}"
        return {"client_id": self.name, "name": name, "color": ""}

    @property
    def epoch(self) -> str | None:
        return self.flow.epoch

    @property
    def version(self) -> int:
        return self.flow.version

    @property
    def document(self) -> dict[str, Any]:
        """What it shows."""
        document = self.flow.document
        assert document is not None
        return document

    # what it does

    def join(self) -> None:
        if self._is_over:
            saved = self.flow._snapshot()
            self.flow.stop()
            self._begin(saved)
        self._lose_channel()
        self._move(Status.CONNECTING)
        super().join()

    def parameters(self) -> dict[str, Any]:
        self.visits += 1
        user = {"name": f"{self.author.client_id}/{self.visits}"}
        return {**_decoded(self.flow._parameters()), "user": user}

    def abandon(self) -> Any:
        wire = super().abandon()
        self._lose_channel()
        self._move(Status.OFFLINE)
        return wire

    def edit(self, random: Random) -> None:
        """Make an edit, most of which are marked, as `Replica.edit`."""
        if self._is_over:
            return
        patch = random_patch(random)
        if random.random() < 0.8:
            patch = {**patch, "data": {self.author.client_id: len(self.author.edits)}}
        done = self.flow.patch(patch)
        edit = Edit(patch, self.flow._replica.newest_op)
        assert edit.op_id is not None
        assert edit.op_id not in self._edits
        self._edits[edit.op_id] = edit
        self.author.edits.append(edit)
        done.addCallbacks(self._durable, self._failed, (edit,), {}, (edit,))

    @property
    def is_at_rest(self) -> bool:
        return self.joined and not self.flow.pending

    # what it is told

    def take_join(self, status: str, response: dict[str, Any]) -> None:
        if status == "error":
            if response["retry"]:
                self.join()
            else:
                assert response["code"] == "flow_deleted", response  # phx_close follows
                self._is_over = True
            return
        self.joined = True
        assert self.author.name in ("", response["client_id"])
        self.author.name = response["client_id"]
        self._told(lambda: self.flow._joined(encode_json(response)))
        self._move(Status.JOINED)

    def take_answer(self, ref: Any, status: str, response: dict[str, Any]) -> None:
        op_id, answered = self._unanswered.pop(ref, (None, None))
        if answered is None:
            return
        if status != "ok":
            answered.errback(_refused(Reply(self.join_ref, False, encode_json(response))))
            return
        if op_id is not None:
            assert self.epoch is not None
            edit = self._edits[op_id]
            if self.author.truth.went_back and edit in self._seen:
                edit.answered = None  # what was seen is lost, perhaps, and this is another one
            self.author.accept(edit, self.epoch, response)
        answered.callback(encode_json(response))

    def take_event(self, event: str, payload: dict[str, Any]) -> None:
        if event == "flow_deleted":
            self._is_over = True
        else:
            self._told(lambda: self.flow._received(event, encode_json(payload)))

    def check(self) -> None:
        """What it shows of what is confirmed is what the store has at that version."""
        chain = self.flow._replica.chain
        if self.epoch is None:
            return
        known = [one for one, _ in self.author.truth.states(self.epoch, self.version)]
        assert chain in (None, *known), f"{self.author.name} at {self.version}"

    def settle(self) -> None:
        """
        Take what the client, begun anew with what was kept, does no longer have for given up: it
        came to an end of which nobody was told.
        """
        waiting = {op.op_id for op in self.flow._replica.unconfirmed}
        for op_id, edit in self._edits.items():
            edit.given_up = edit.given_up or (edit.is_waiting and op_id not in waiting)

    # `helix.client.membership.Membership`

    def start(self) -> None:
        """The client may connect."""

    def stop(self) -> Deferred[None]:
        """The client is done."""
        return succeed(None)

    def push(self, event: str, payload: bytes) -> Deferred[bytes]:
        """Send something, as `Membership.push`."""
        if not self.joined or self.wire is None:
            return fail(Disconnected())
        told = _decoded(payload)
        answered: Deferred[bytes] = Deferred()
        ref = self.wire.push(self.topic, event, told)
        self._unanswered[ref] = told.get("op_id"), answered
        return answered

    # inside

    def _begin(self, saved: SavedOutbox | None) -> None:
        self._is_over = False
        self.status = Status.OFFLINE
        self.flow = FlowClient(
            self.clock,
            "http://127.0.0.1",
            "f",
            client_id=self.author.client_id,
            random=self.random,
            endpoint=UNUSED,
        )
        self.flow._membership = self  # type: ignore[assignment]  # stands in
        self.flow._keeper = self.flow._outgoing._keeper = _Kept(saved)
        self.flow._outgoing._push = self.push
        self.flow.listen(self._heard)
        self.flow.start().addErrback(lambda failure: failure.trap(HelixError))

    def _move(self, status: Status) -> None:
        if status is not self.status:
            self.status = status
            self.flow._moved(status, None)

    def _lose_channel(self) -> None:
        lost, self._unanswered = self._unanswered, {}
        self.joined = False
        for _, answered in lost.values():
            answered.errback(Disconnected())

    def _told(self, take: Any) -> None:
        """What the server tells continues what it told before."""
        try:
            take()
        except Disconnected as why:
            raise AssertionError(f"{self.author.client_id} was told what doesn't follow") from why
        self.check()

    def _heard(self, event: FlowEvent) -> None:
        if isinstance(event, DocumentReplaced):
            self.author.shown_anew += 1
        elif isinstance(event, EntriesArrived):
            for entry in event.entries:
                told = {
                    "version": entry.version,
                    "client_id": entry.client_id,
                    "op_id": entry.op_id,
                }
                self.author.see(told)
                if entry.client_id == self.author.name:
                    self._durable(entry.version, self._edits[entry.op_id or 0])

    def _durable(self, version: int, edit: Edit) -> None:
        # The client may also take it that what was passed has changed nothing.
        assert edit.op_id is not None
        found = self.author.truth.find(self.author.name, edit.op_id, version)
        if found and edit.answered is None:
            edit.answered, edit.shown_anew = version, self.author.shown_anew
            self._seen.add(edit)

    def _failed(self, failure: Failure, edit: Edit) -> None:
        if failure.check(Refused):
            assert isinstance(failure.value, Refused)
            self.author.refuse(edit, {"code": failure.value.code})
        else:
            failure.trap(FlowDeleted, HelixError)  # it is in the outbox


def _decoded(text: bytes) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(text)
    return decoded
