"""What everybody might do with a flow in a seeded run, and when: a record of its own."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

import attrs

from helix.access.decision import Permission
from helix.access.principal import Kind, Principal
from helix.access.roles import Role
from helix.records import Entry

MAY_LAG = 1.3
"""
Seconds after which a change by another process must count: one, and the steps in which time passes.
"""

MAY_LAG_AT_REST = 2.6
"""As `MAY_LAG`, where time passes in seconds."""

AFTER_LEAVING = 30.0
"""Seconds for which what somebody had sent before they left may wait to be stored."""


@attrs.frozen
class Right:
    """
    What somebody may do.

    :ivar role: ``None`` for nothing.
    :ivar is_narrow: whether they may change the title alone.
    """

    role: Role | None = None
    is_narrow: bool = False

    def allows(self, patch: Mapping[str, Any]) -> bool:
        if self.role is None or self.role < Role.EDITOR:
            return False
        return not self.is_narrow or patch.keys() <= {"title"}

    def is_permission(self, permission: Permission | None) -> bool:
        """Tell whether the server has come to the same."""
        if permission is None or self.role is None:
            return permission is None and self.role is None
        return (permission.role, permission.paths is not None) == (self.role, self.is_narrow)


def right_of(principal: Principal, rows: Mapping[str, Any] | None) -> Right:
    """
    Find what somebody may do, by a token and by what a flow gives.

    :param rows: what the store keeps of that; ``None`` where there is no flow.
    """
    grants = [(grant.role, grant.paths is not None) for _, grant in principal.grants]
    if rows is None:
        if principal.create:
            return Right(Role.OWNER)
        return Right(Role.VIEWER if grants else None)
    subjects = ["a:", *(f"g:{group}" for group in principal.groups)]
    if principal.id:
        subjects += [f"o:{principal.id}", f"m:{principal.id}"]
        if principal.kind is Kind.PERSON:
            subjects.append("s:")
    grants += [(Role(rows[one].role), False) for one in subjects if one in rows]
    if not grants:
        return Right()
    editing = [is_narrow for role, is_narrow in grants if role >= Role.EDITOR]
    return Right(max(role for role, _ in grants), bool(editing) and all(editing))


Rows = Mapping[str, Any] | None


@attrs.define(eq=False)
class Rights:
    """
    What was given to whom, and when the store was sent which entry.

    :ivar now: tells the time.
    :ivar rests_from: when time begins to pass in seconds.
    """

    now: Callable[[], float]
    rests_from: float = attrs.field(default=inf, init=False)
    _at: list[float] = attrs.field(factory=list, init=False)
    _noted: list[tuple[Rows, Mapping[str, Sequence[Principal]]]] = attrs.field(
        factory=list, init=False
    )
    _sent: dict[bytes, float] = attrs.field(factory=dict, init=False)

    def note(self, rows: Rows, present: Mapping[str, Sequence[Principal]]) -> None:
        """
        Note what counts from now on.

        :param rows: what the flow gives; ``None`` where there is none.
        :param present: the name of an author -> as whom it is connected.
        """
        now = None if rows is None else dict(rows)
        if not self._noted or (now, present) != self._noted[-1]:
            self._at.append(self.now())
            self._noted.append((now, present))

    def sent(self, entries: Sequence[Entry]) -> None:
        """Note that the store is sent entries."""
        for entry in entries:
            self._sent[entry.chain] = self.now()

    def check(self, name: str, entry: Entry) -> None:
        """See to it that somebody could make an entry when the store was sent it."""
        at, patch = self._sent[entry.chain], json.loads(entry.patch)
        lag = MAY_LAG if at < self.rests_from else MAY_LAG_AT_REST
        first = max(0, bisect_left(self._at, at - lag) - 1)
        noted = self._noted[first : bisect_left(self._at, at + 1e-6)]
        people = [one for _, present in noted for one in present.get(name, ())]
        rights = [right_of(one, rows) for rows, _ in noted for one in people]
        assert any(right.allows(patch) for right in rights), f"{name}: {entry} by {rights}"

    def was_lacking(self, name: str, patch: Mapping[str, Any], since: float, before: Entry) -> bool:
        """
        Tell whether somebody might not make an edit at some time, as far as a server might know.

        :param since: when it was first sent; never where that is infinite.
        :param before: is an entry that the store was sent after that time.
        """
        until = self._sent[before.chain]
        lag = MAY_LAG if until < self.rests_from else MAY_LAG_AT_REST
        first = max(0, bisect_left(self._at, since - lag) - 1)
        noted = self._noted[first : bisect_left(self._at, until + 1e-6)]
        return since <= until and any(
            not right_of(one, rows).allows(patch)
            for rows, present in noted
            for one in present.get(name, ())
        )
