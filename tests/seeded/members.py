"""Clients of seeded runs whom a flow may be closed to, and who may then be told nothing of it."""

from __future__ import annotations

from collections import Counter
from math import inf
from random import Random
from typing import Any

import attrs

from helix.access.principal import Principal
from tests.seeded.fates import Author, Edit
from tests.seeded.fuzzclients import FuzzClient, RelayReplica
from tests.seeded.guests import Traveller
from tests.seeded.rights import Rights
from tests.seeded.truth import Record
from tests.support.world import Client, Message, World

HIDDEN, FORBIDDEN = "flow_not_found", ("forbidden", "forbidden_path")

NARROW = "/title"
"""The path of a narrowed grant."""


@attrs.define(eq=False)
class Writer(Author):
    """
    An author whose edits may be refused for want of a right.

    :ivar rights: what everybody might do.
    :ivar sent: how often each edit was.
    :ivar forbidden_at: when each was sent and, as far as is known, might be refused for want of a
        right: it was, or there was no answer.
    :ivar refused_in: in which log each was; it may be in one that gave way to that, or have been
        in it before the store went back.
    :ivar known: what the store had of each under its number when what was refused was sent.
    """

    rights: Rights = attrs.field(kw_only=True)
    sent: Counter[Edit] = attrs.field(factory=Counter)
    forbidden_at: dict[Edit, list[float]] = attrs.field(factory=dict)
    refused_in: dict[Edit, str] = attrs.field(factory=dict)
    known: dict[Edit, set[Record]] = attrs.field(factory=dict)

    def stored(self, edit: Edit) -> set[Record]:
        """What the store has, or had, under the number of an edit."""
        return {one for one in self.truth.by(self.name) if one.entry.op_id == edit.op_id}

    def accept(self, edit: Edit, epoch: str, answer: dict[str, Any]) -> None:
        if edit.refused in FORBIDDEN:  # another time
            edit.refused = ""
        super().accept(edit, epoch, answer)

    def refuse(self, edit: Edit, error: dict[str, Any]) -> None:
        if error["code"] not in FORBIDDEN:
            super().refuse(edit, error)
        elif edit.answered is None:
            edit.refused = error["code"]
            self.refused_in[edit] = self.truth.epochs[-1] if self.truth.epochs else ""

    def _may_be(self, edit: Edit, record: Record) -> bool:
        if edit.refused not in FORBIDDEN:
            return super()._may_be(edit, record)
        if self.refused_in[edit] != record.epoch or self.truth.is_lost([record]):
            return True
        # One server refuses what another one, to which it was sent before, has yet to store.
        return self.sent[edit] > 1 and record not in self.known[edit]

    def _was_not_allowed(self, edit: Edit, first: Record) -> bool:
        # That was refused for good, so later ones went on. Who didn't hear of it sends it again.
        since = min(self.forbidden_at[edit], default=inf)
        return self.rights.was_lacking(self.client_id, edit.patch, since, first.entry)


@attrs.define(eq=False)
class Standing:
    """
    What a client was told of what it may do.

    :ivar principal: as whom it connects next.
    :ivar role: that it has, as it was told; ``None`` when it isn't joined.
    :ivar is_revoked: whether it was told that it has nothing any more, and hasn't joined since.
    """

    principal: Principal
    role: str | None = None
    is_revoked: bool = False

    def connect(self, client: FuzzClient, world: World, room: int | None) -> None:
        """As `FuzzClient.connect`, as the principal."""
        client.wire = wire = world.client(principal=self.principal)
        wire.answers_close = True
        if client.lingers:
            wire.close_delay = 0.2
        wire.socket.room = room
        client.join()

    def begin(self) -> None:
        """The client joins."""
        self.role, self.is_revoked = None, False

    def take(self, client: FuzzClient, message: Message) -> bool:
        """
        Take what the client is told; tell whether it is for the client itself, too.

        After its end nothing of the flow may come, neither entries nor who is there.
        """
        if message.topic != client.topic:
            return False
        if self.is_revoked:
            assert message.event in ("phx_close", "phx_reply"), f"told after its end: {message}"
            return False
        if message.event == "access_revoked" and message.join_ref == client.join_ref:
            client.joined, self.role, self.is_revoked = False, None, True
            return False
        if message.event == "role" and message.join_ref == client.join_ref:
            self.role = message.payload["role"]
            return False
        return message.event != "token_expiring"

    def joined(self, status: str, response: dict[str, Any]) -> bool:
        """Take the answer to a join; tell whether it is for the client itself, too."""
        if status == "ok":
            self.role = response["role"]
        return status == "ok" or response.get("code") != HIDDEN


@attrs.define(eq=False, kw_only=True)
class Member(Traveller):
    """
    A client in document mode.

    :ivar sent: of what it sent, by the ref: when that was, and what the store had of it then.
    """

    standing: Standing
    sent: dict[str, tuple[float, set[Record]]] = attrs.field(factory=dict)

    @property
    def writer(self) -> Writer:
        """Its author."""
        assert isinstance(self.author, Writer)
        return self.author

    def connect(self, world: World, room: int | None) -> None:
        self.standing.connect(self, world, room)

    def join(self) -> None:
        self.standing.begin()
        self.sent.clear()
        super().join()

    def abandon(self) -> Client | None:
        self.standing.begin()
        return super().abandon()

    def take_join(self, status: str, response: dict[str, Any]) -> None:
        if self.standing.joined(status, response):
            super().take_join(status, response)

    def take_answer(self, ref: Any, status: str, response: dict[str, Any]) -> None:
        edit = self.unanswered.get(ref)
        super().take_answer(ref, status, response)
        if edit is not None:
            at, stored = self.sent.pop(ref)
            if response.get("code") in FORBIDDEN:
                self.writer.known.setdefault(edit, set()).update(stored)
            else:
                self.writer.forbidden_at[edit].remove(at)
        if edit is not None and edit.refused in FORBIDDEN and edit in self.unanswered.values():
            edit.refused, edit.given_up = "", True  # as what was sent again may be taken

    def edit(self, random: Random) -> None:
        if self.standing.role in (None, "editor", "owner") or random.random() < 0.2:
            super().edit(random)

    def _send(self, edit: Edit) -> None:
        assert self.wire is not None
        super()._send(edit)
        at, writer = self.wire.world.clock.seconds(), self.writer
        self.sent[next(reversed(self.unanswered))] = (at, writer.stored(edit))
        writer.forbidden_at.setdefault(edit, []).append(at)
        writer.sent[edit] += 1

    @property
    def key(self) -> str:
        return self.standing.principal.id

    def _take(self, message: Message) -> None:
        if self.standing.take(self, message):
            super()._take(message)


@attrs.define(eq=False, kw_only=True)
class RelayMember(RelayReplica):
    """A client in relay mode."""

    standing: Standing

    def connect(self, world: World, room: int | None) -> None:
        self.standing.connect(self, world, room)

    def join(self) -> None:
        self.standing.begin()
        super().join()

    def abandon(self) -> Client | None:
        self.standing.begin()
        return super().abandon()

    def take_join(self, status: str, response: dict[str, Any]) -> None:
        if self.standing.joined(status, response):
            super().take_join(status, response)

    def take_answer(self, ref: Any, status: str, response: dict[str, Any]) -> None:
        if status == "error" and response.get("code") in FORBIDDEN:
            self.unanswered.discard(ref)  # it is shown the flow again
        else:
            super().take_answer(ref, status, response)

    def _take(self, message: Message) -> None:
        if self.standing.take(self, message):
            super()._take(message)
