"""
People of a simulation whose role in a flow changes at random, and what they may have done.

Each edit of theirs is one member of the document's ``data`` that nothing else sets. So the log
tells which of them were taken, and their own record says which could have been.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from math import inf
from random import Random
from typing import Any

import attrs
import msgspec

from helix.access.principal import Grant, Kind, Principal
from helix.access.roles import Role
from helix.access.sharing import FlowAccess
from helix.documents.ids import public_id
from helix.errors import FlowNotFound
from helix.records import AuditEntry
from tests.seeded.crowdedflow import Flow
from tests.support.world import V2, Client, World

ROLES = (None, Role.VIEWER, Role.PROPOSER, Role.EDITOR, Role.EDITOR, Role.OWNER)


@attrs.define(eq=False)
class _Edit:
    """
    One edit.

    :ivar was_forbidden: whether its author lacked the right when it was sent, and ever since.
    :ivar was_allowed: whether its author had the right when it was sent, and ever since.
    :ivar code: of its answer: empty for ``ok``, ``None`` for none.
    """

    was_forbidden: bool
    was_allowed: bool
    code: str | None = None


@attrs.define(eq=False)
class Outsider:
    """
    Somebody whom a flow's access list may name.

    :param now: tells the time.
    :param lag: seconds after which a change counts, wherever it was made.

    :ivar _left_behind: edits that had no answer when they left: judged when their turn comes.
    :ivar _given: when they were given which role.
    :ivar _might_join: whether they had a role at some time since they asked to join.
    """

    name: str
    flow: Flow
    now: Callable[[], float]
    lag: float = 0.0
    _wire: Client | None = None
    _is_joined: bool = False
    _join: str = ""
    _might_join: bool = False
    _visits: int = 0
    _edits: dict[int, _Edit] = attrs.field(factory=dict)
    _waiting: dict[str, int] = attrs.field(factory=dict)
    _left_behind: list[int] = attrs.field(factory=list)
    _given: list[tuple[float, Role | None]] = attrs.field(factory=lambda: [(-inf, None)])

    @property
    def _topic(self) -> str:
        return f"flow:{self.flow.flow_id}"

    @property
    def world(self) -> World | None:
        """To which they are connected."""
        return None if self._wire is None else self._wire.world

    @property
    def _roles(self) -> list[Role | None]:
        """Those that may count now."""
        since = self.now() - self.lag
        return [role for _, role in self._given[self._first(since) :]]

    def _first(self, since: float) -> int:
        """Which role counted at a time."""
        return max(at for at, (given, _) in enumerate(self._given) if given <= since)

    @property
    def _may_edit(self) -> bool:
        """Whether they may, as far as some server knows."""
        return any(map(_edits, self._roles))

    @property
    def _may_join(self) -> bool:
        return any(role is not None for role in self._roles)

    @property
    def _surely_may_edit(self) -> bool:
        return all(map(_edits, self._roles))

    def come(self, world: World) -> None:
        """Connect, and join."""
        if self._wire is None:
            self._wire = world.client(V2, principal=Principal(self.name, kind=Kind.PERSON))
        elif self._is_joined:
            return
        self._visits += 1
        client_id = f"{self.name}, visit {self._visits}"
        self.flow.outsiders.add(public_id(client_id))
        params = {"mode": "document", "client_id": client_id, "user": {"name": client_id}}
        self._join = self._wire.join(self._topic, params)
        self._might_join = self._may_join

    def edit(self) -> None:
        """Send one edit."""
        if self._wire is None or not self._is_joined:
            return
        number = len(self._edits) + 1
        self._edits[number] = _Edit(not self._may_edit, self._surely_may_edit)
        patch = {"op_id": number, "patch": {"data": {f"{self.name}.{number}": 1}}}
        self._waiting[self._wire.push(self._topic, "patch", patch)] = number

    def shift(self, world: World, random: Random) -> None:
        """Somebody gives them another role, or none."""
        role = random.choice(ROLES)

        def edit(access: FlowAccess) -> FlowAccess:
            members = {name: one for name, one in access.members.items() if name != self.name}
            if role is not None:
                members[self.name] = Grant(role)
            return attrs.evolve(access, members=members)

        audited = AuditEntry(0, world.wall(), "access.change", self.flow.flow_id)
        changed = world.access.change(self.flow.flow_id, edit, audited)
        changed.addCallbacks(
            lambda _: self._shifted(role), lambda failure: failure.trap(FlowNotFound)
        )

    def look(self) -> None:
        """Read what has come."""
        if self._wire is None:
            return
        for message in self._wire.received():
            if message.event == "phx_reply":
                self._answered(message.ref, message.payload)
            elif message.join_ref != self._join:
                pass  # of a join before
            elif message.event in ("phx_close", "phx_error"):
                self._is_joined = False
            else:
                assert self._is_joined or message.event in ("access_revoked", "part"), message
        if self._wire.lost or self._wire.close_code is not None:
            self.cut()

    def cut(self) -> None:
        """Be gone, without a word."""
        wire, self._wire = self._wire, None
        self._is_joined = False
        self._left_behind += self._waiting.values()
        self._waiting.clear()
        if wire is not None:
            wire.cut()

    def check(self) -> None:
        """See to it that what was taken was allowed, and that what was acknowledged is there."""
        taken = self._taken()
        for number, edit in self._edits.items():
            count = taken.pop(f"{self.name}.{number}", 0)
            assert count <= 1, f"{self} {number} came twice"
            if edit.was_forbidden:
                assert not count, f"{self} {number} was taken from who may not"
                assert edit.code != "", f"{self} {number} was acknowledged to who may not"
            if edit.was_allowed:
                assert edit.code != "forbidden", f"{self} {number} was refused to who may"
            if edit.code == "" and not self.flow.store.truth.went_back:
                assert count, f"{self} {number} was acknowledged, and is lost"
        assert not taken, f"nobody sent {list(taken)}"

    def check_withdrawn(self) -> None:
        """See to it that who has lost the flow was told so."""
        assert self._may_join or not self._is_joined, f"{self} is still in"

    def __str__(self) -> str:
        return f"{self.name} in {self.flow.flow_id}"

    # inside

    def _shifted(self, role: Role | None) -> None:
        self._given.append((self.now(), role))
        self._might_join |= role is not None
        for number in (*self._waiting.values(), *self._left_behind):
            edit = self._edits[number]
            edit.was_forbidden &= not self._may_edit
            edit.was_allowed &= self._surely_may_edit

    def _answered(self, ref: Any, payload: Any) -> None:
        is_ok, response = payload["status"] == "ok", payload["response"]
        if ref == self._join:
            self._is_joined = is_ok
            if is_ok:
                assert self._might_join, f"{self} was let in"
            return
        number = self._waiting.pop(ref, None)
        if number is not None:
            self._edits[number].code = "" if is_ok else response.get("code", "other")

    def _taken(self) -> Counter[str]:
        """What of them is in the log, and how often."""
        log = self.flow.store.flow(self.flow.flow_id)
        found: Counter[str] = Counter()
        for entry in () if log is None else log.entries:
            data = msgspec.json.decode(entry.patch).get("data")
            marks = [name for name in data or () if name.startswith(f"{self.name}.")]
            found.update(marks)
            if marks:
                assert entry.actor is not None
                assert entry.actor.id == self.name, json.dumps(marks)
        return found


def _edits(role: Role | None) -> bool:
    return role is not None and role >= Role.EDITOR
