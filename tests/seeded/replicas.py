"""Clients in document mode for seeded runs: a copy, an outbox, and a page that may begin anew."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import attrs

from helix.documents.document import encode_document, merge
from tests.seeded.fates import Author, Edit
from tests.seeded.fuzzclients import FuzzClient, random_patch

IMPOSSIBLE = {"nodes": {"a": {"type": 7}}}
"""A patch that is refused for good."""


@attrs.define(eq=False, kw_only=True)
class Replica(FuzzClient):
    """
    A client in document mode.

    :ivar author: in whose name it edits.
    :ivar outbox: what is not acknowledged, in order.
    :ivar disorder: shuffles what is sent again, as a client does that buffers; ``None`` for none.
    :ivar only_sends: whether it makes no edits of its own: it sends those of a page that is gone.
    :ivar stopped: whether it waits, after a patch was refused for now.
    :ivar ahead: whether it was told the whole document since the last new entry: entries that were
        on their way before that may follow.
    """

    author: Author
    disorder: Random | None = None
    only_sends: bool = False
    epoch: str | None = None
    version: int = 0
    chain: str | None = None
    document: dict[str, Any] = attrs.field(factory=dict)
    next_op: int | None = 1
    outbox: list[Edit] = attrs.field(factory=list)
    unanswered: dict[str, Edit] = attrs.field(factory=dict)
    stopped: bool = False
    ahead: bool = False

    @property
    def name(self) -> str:
        """What others call it."""
        return self.author.name

    # what it does

    def join(self) -> None:
        self.stopped = self.ahead = False
        self.unanswered.clear()
        super().join()

    def look(self) -> None:
        """Take what arrived; who was refused for now tries again."""
        super().look()
        if self.joined and self.stopped:
            self.resume()

    def parameters(self) -> dict[str, Any]:
        params: dict[str, Any] = {"mode": "document", "client_id": self.author.client_id}
        if self.epoch is not None:
            params |= {"epoch": self.epoch, "version": self.version}
            params["chain"] = self.chain
        return params

    def edit(self, random: Random) -> None:
        """
        Make an edit. Most are marked by the number of it, and so change something whatever happens;
        some can't be, and some take back what was made before.
        """
        if self.only_sends:
            return
        made = self.author.edits
        patch: dict[str, Any]
        if random.random() < 0.02:
            patch = IMPOSSIBLE
        elif made and random.random() < 0.1:
            patch = self.author.undo(random.choice(made))
        else:
            patch = random_patch(random)
        if patch is not IMPOSSIBLE and random.random() < 0.8:
            patch = {**patch, "data": {self.author.client_id: len(made)}}
        self.add(patch)

    def add(self, patch: dict[str, Any]) -> None:
        """Make an edit of that."""
        edit = Edit(patch)
        self._number(edit)
        self.author.edits.append(edit)
        self.outbox.append(edit)
        if self.joined and not self.stopped:
            self._send(edit)

    def resume(self) -> None:
        """Send again what is not acknowledged, from the oldest on, in order if it is orderly."""
        self.stopped = False
        edits = list(self.outbox)
        if self.disorder is not None:
            self.disorder.shuffle(edits)
        for edit in edits:
            self._send(edit)

    def forget(self) -> None:
        """Begin anew under the same name, as a program that keeps nothing is started again."""
        self.epoch, self.version, self.chain, self.document = None, 0, None, {}
        self.next_op = None
        self.author.counts = self.author.is_orderly = False
        for edit in self.outbox:
            edit.given_up = True
        self.outbox.clear()

    def _number(self, edit: Edit) -> None:
        if self.next_op is not None:
            edit.op_id, self.next_op = self.next_op, self.next_op + 1
            edit.reused = not self.author.counts

    @property
    def is_at_rest(self) -> bool:
        return self.joined and not self.outbox

    def _send(self, edit: Edit) -> None:
        assert self.wire is not None
        payload = {"op_id": edit.op_id, "patch": edit.patch}
        self.unanswered[self.wire.push(self.topic, "patch", payload)] = edit

    # what it is told

    def take_join(self, status: str, response: dict[str, Any]) -> None:
        if status == "error":
            if response["retry"]:
                self.join()
            else:
                assert response["code"] == "flow_deleted", response  # phx_close follows
            return
        self.joined = True
        assert self.name in ("", response["client_id"])
        self.author.name = response["client_id"]
        if response["recovered"]:
            assert response["epoch"] == self.epoch
            self._take_entries(response)
            assert self.version == response["version"]
        else:
            self._take_whole(response)
        if self.next_op is None:
            self._begin_after(response["last_op_id"])
        self.resume()

    def _begin_after(self, last: int | None) -> None:
        """Count on from what the log holds; more may be on its way there."""
        self.next_op = 1 if last is None else last + 1
        for edit in self.outbox:
            self._number(edit)

    def take_answer(self, ref: Any, status: str, response: dict[str, Any]) -> None:
        edit = self.unanswered.pop(ref, None)
        if edit is None:
            return
        if status == "ok":
            assert self.epoch is not None
            self.author.accept(edit, self.epoch, response)
        elif response["retry"]:
            self.stopped = True
            return
        else:
            self.author.refuse(edit, response)
        if edit in self.outbox:
            self.outbox.remove(edit)

    def take_event(self, event: str, payload: dict[str, Any]) -> None:
        if event == "entries":
            self._take_entries(payload)
        elif event == "reset":
            self._take_whole(payload)
            self.ahead = True

    def _take_entries(self, told: dict[str, Any]) -> None:
        assert self.epoch is not None
        for entry in told["entries"]:
            if self.ahead and entry["version"] <= self.version:
                continue
            assert entry["version"] == self.version + 1, "a gap, or an entry twice"
            self._check_entry(entry)
            self.author.see(entry)
            self.document = merge(self.document, entry["patch"])
            self.version = entry["version"]
            self.ahead = False
        if not self.ahead:
            self.chain = told["chain"]
        self._check()

    def _take_whole(self, state: dict[str, Any]) -> None:
        same_log = state["epoch"] == self.epoch and not self.author.truth.went_back
        assert not same_log or state["version"] >= self.version, "back in time"
        self.epoch, self.version = state["epoch"], state["version"]
        self.chain = state["chain"]
        self.document = state["document"]
        self.author.shown_anew += 1
        self._check()

    def _check_entry(self, entry: dict[str, Any]) -> None:
        """What is told of an entry is what the store has."""
        assert self.epoch is not None
        stored = [
            (one.client_id, one.op_id, json.loads(one.patch), list(one.dropped))
            for one in self.author.truth.entries(self.epoch, entry["version"])
        ]
        told = (entry["client_id"], entry["op_id"], entry["patch"], entry.get("dropped", []))
        assert told in stored

    def _check(self) -> None:
        """What is shown is what the store has at that version, and keeps the laws."""
        assert self.epoch is not None
        durable = self.author.truth.states(self.epoch, self.version)
        told = (self.chain, encode_document(self.document))
        assert told in durable, f"{self.name} at {self.version}"
        check_parents(self.document["nodes"])


def check_parents(nodes: dict[str, Any]) -> None:
    """See that each node's parents are nodes, and that none is its own."""
    for node_id in nodes:
        above = {node_id}
        parent = nodes[node_id].get("parentId")
        while parent is not None:
            assert parent in nodes, f"{node_id} is in nothing"
            assert parent not in above, f"{node_id} is in itself"
            above.add(parent)
            parent = nodes[parent].get("parentId")
