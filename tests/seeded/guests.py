"""Clients in document mode that show themselves, and check what they are told of each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, Protocol

import attrs

from tests.seeded.fuzzclients import NODES
from tests.seeded.replicas import Replica
from tests.support.phoenixpresence import PhoenixPresence


@attrs.define(eq=False, kw_only=True)
class Guest(Replica):
    """
    A client as the editor is one: a copy, an outbox, the presence of phoenix.js, cursors.

    Each join of it is a *visit*, whose name it joins with. So it is seen of everybody whether who
    was seen to leave is shown again: a ghost, or an update that looks like leave and join.

    :ivar person: of whom this is a tab, if not of one of its own.
    :ivar visits: how many there were.
    :ivar presence: who is here, as phoenix.js has it.
    :ivar shown: what it last said of itself.
    :ivar cursors: where the others point.
    :ivar cursor: where it last pointed in this visit.
    :ivar old_cursor: where it last pointed before, which others may see until it does so again: who
        is back before it was missed takes its own place.
    :ivar gone: the visits that it has seen end.
    """

    person: str | None = None
    visits: int = 0
    presence: PhoenixPresence = attrs.field(factory=PhoenixPresence)
    greeted: bool = False
    shown: dict[str, Any] = attrs.field(factory=dict)
    cursors: dict[str, Any] = attrs.field(factory=dict)
    cursor: dict[str, Any] | None = None
    old_cursor: dict[str, Any] | None = None
    gone: set[str] = attrs.field(factory=set)

    # what it does

    def join(self) -> None:
        self.visits += 1
        self.presence.rejoin()
        self.greeted = False
        self.cursors.clear()
        if self.cursor is not None:
            self.old_cursor = self.cursor
        self.cursor = None
        super().join()

    def parameters(self) -> dict[str, Any]:
        user = {"name": f"{self.author.client_id}/{self.visits}"}
        if self.person is not None:
            user["id"] = self.person
        return {**super().parameters(), "user": user}

    def take_join(self, status: str, response: dict[str, Any]) -> None:
        super().take_join(status, response)
        if self.joined and self.shown:
            self._show()

    def show(self, random: Random) -> None:
        """Say something of itself."""
        self.shown = {"editing": random.choice(NODES), "n": random.randrange(5)}
        if self.joined:
            self._show()

    def point(self, random: Random) -> None:
        """Move the cursor, perhaps with what is being dragged, or take it away."""
        if not self.joined or self.wire is None:
            return
        place = {"x": random.randrange(99), "y": random.randrange(99)}
        self.old_cursor = None
        self.cursor = None if random.random() < 0.1 else dict(place)
        if self.cursor is not None and random.random() < 0.5:
            self.cursor["moving"] = {f"{node}{'.' * 80}": place for node in NODES}
        self.wire.push(self.topic, "cursor", self.cursor or {})

    def hold(self) -> None:
        """Say again what is being dragged, as a page does."""
        if self.wire is not None and self.cursor is not None and "moving" in self.cursor:
            self.wire.push(self.topic, "cursor", self.cursor)

    def _show(self) -> None:
        assert self.wire is not None
        self.wire.push(self.topic, "presence", self.shown)

    # what it sees

    @property
    def key(self) -> str:
        """Under which it is present."""
        return self.name if self.person is None else self.person

    @property
    def meta(self) -> dict[str, Any]:
        """What others are to see of it."""
        name = f"{self.author.client_id}/{self.visits}"
        return {"client_id": self.name, "name": name, "color": "", **self.shown}

    def people(self) -> dict[str, list[dict[str, Any]]]:
        """Who is here: the metas by key, without refs."""
        return {
            key: sorted(
                (
                    {name: value for name, value in meta.items() if not name.startswith("phx_")}
                    for meta in one["metas"]
                ),
                key=lambda meta: str(meta["client_id"]),
            )
            for key, one in self.presence.state.items()
        }

    def pointers(self) -> dict[str, Any]:
        """Where others who are here point."""
        return {
            client_id: cursor
            for client_id, cursor in self.cursors.items()
            if cursor is not None and client_id != self.name
        }

    def take_event(self, event: str, payload: dict[str, Any]) -> None:
        if event in ("presence_state", "presence_diff"):
            self._take_presence(event, payload)
        elif event == "cursors":
            self._take_cursors(payload)
        else:
            super().take_event(event, payload)

    def _take_presence(self, event: str, payload: dict[str, Any]) -> None:
        assert self.greeted or event == "presence_state", "a diff before the state"
        self.greeted = True
        before = self._visits()
        if event == "presence_diff":
            self._check_updates(payload)
        self.presence.receive(event, payload)
        self.presence.calls.clear()
        now = self._visits()
        assert len({visit for _, visit in now.values()}) == len(now), "somebody is here twice"
        visits = {visit for _, visit in now.values()}
        assert not self.gone & visits, "who was seen to leave is here again"
        self.gone |= {visit for _, visit in before.values()} - visits
        for client_id in {client_id for client_id, _ in before.values()} - self._present():
            self.cursors.pop(client_id, None)

    def _check_updates(self, diff: dict[str, Any]) -> None:
        """Who is in both parts of a diff says something new, and the new meta names the old one."""
        joins = _metas(diff["joins"])
        for key, old in _metas(diff["leaves"]):
            new = [meta for at, meta in joins if (at, meta["name"]) == (key, old["name"])]
            assert [meta.get("phx_ref_prev") for meta in new] in ([], [old["phx_ref"]])

    def _take_cursors(self, cursors: dict[str, Any]) -> None:
        assert self.greeted, "cursors before the presence state"
        if self.wire is not None and not self.wire.lagged:
            pointing = {client_id for client_id, cursor in cursors.items() if cursor is not None}
            assert pointing <= self._present(), "a cursor of who is not here"
        self.cursors.update(cursors)

    def _present(self) -> set[str]:
        return {client_id for client_id, _ in self._visits().values()}

    def _visits(self) -> dict[str, tuple[str, str]]:
        """The client id and the visit of each meta, by its ref."""
        return {
            meta["phx_ref"]: (meta["client_id"], meta["name"])
            for _, meta in _metas(self.presence.state)
        }


@attrs.define(eq=False, kw_only=True)
class Traveller(Guest):
    """A client as the editor is one, on one node after another, each of which shows others."""

    def _take_presence(self, event: str, payload: dict[str, Any]) -> None:
        super()._take_presence(event, payload)
        self.gone.clear()  # another node may show them

    def _check_updates(self, diff: dict[str, Any]) -> None:
        """As a `Guest` does, but who vanished with a node may be back in the same diff."""
        new = {meta["phx_ref_prev"] for _, meta in _metas(diff["joins"]) if "phx_ref_prev" in meta}
        assert new <= {meta["phx_ref"] for _, meta in _metas(diff["leaves"])}


class Seen(Protocol):
    """Somebody whom guests see."""

    @property
    def name(self) -> str:
        """What others call them."""

    @property
    def key(self) -> str:
        """Under which they are present."""

    @property
    def meta(self) -> dict[str, Any]:
        """What others are to see of them."""


def wrongly_seen(guests: Sequence[Guest], everybody: Iterable[Seen]) -> str:
    """
    Tell what is wrong with what guests see of who is there, and where they point.

    :param guests: all that are there.
    :param everybody: these and whoever else is there.
    :return: empty for nothing.
    """
    people: dict[str, list[Any]] = {}
    for one in sorted(everybody, key=lambda one: one.name):
        people.setdefault(one.key, []).append(one.meta)
    names = {guest.name: guest for guest in guests}
    for guest in guests:
        if guest.people() != people:
            return f"{guest.people()}, not {people}"
        pointers = guest.pointers()
        if not pointers.keys() <= names.keys():
            return f"who is not here points: {pointers}"
        for name, other in names.items():
            seen = pointers.get(name)
            if other is not guest and seen not in (other.cursor, other.cursor or other.old_cursor):
                return f"{name} is seen at {seen}, not {other.cursor}"
    return ""


def _metas(presence: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(key, meta) for key, one in presence.items() for meta in one["metas"]]
