"""Members of one flow on several nodes in memory, who keep what they are told of each other."""

from __future__ import annotations

import json
from typing import Any

from helix.delivery.fanout import MAX_HOLD
from helix.documents.ids import public_id
from helix.members.roster import Shown
from tests.nodes.test_nodes import CountedStore
from tests.support.bus import Bus
from tests.support.phoenixpresence import PhoenixPresence
from tests.support.world import Client, World

FLOW = "flow:f"


class Person:
    """
    A client in document mode with the stock Presence, which joins again when it is told to.

    :ivar cursors: where others point, by public id.
    :ivar ends: how its channels ended: ``phx_error``, ``replaced``.
    """

    def __init__(self, world: World, name: str, key: str | None = None) -> None:
        self.name = name
        self.key = key or public_id(name)
        self.user = {"name": name} if key is None else {"name": name, "id": key}
        self.presence = PhoenixPresence()
        self.cursors: dict[str, Any] = {}
        self.ends: list[str] = []
        self.joined = False
        self.rejoins = True
        self.join(world)

    @staticmethod
    def meta(name: str, **more: Any) -> Shown:
        """Somebody as a node shows them."""
        meta = {"client_id": public_id(name), "name": name, "color": "", **more}
        return Shown(public_id(name), public_id(name), json.dumps(meta).encode(), 1)

    def join(self, world: World) -> None:
        """Join over a new connection."""
        self.world = world
        self.client: Client = world.client()
        self._join()

    def _join(self) -> None:
        self.presence.rejoin()
        self.cursors.clear()
        self.joined = True
        params = {"mode": "document", "client_id": self.name, "user": self.user}
        self.client.join(FLOW, params)

    def cut(self) -> None:
        """Lose the connection."""
        self.joined = False
        self.client.cut()

    def show(self, meta: dict[str, Any]) -> None:
        self.client.push(FLOW, "presence", meta)

    def point(self, **cursor: Any) -> None:
        self.client.push(FLOW, "cursor", cursor)

    def look(self) -> list[str]:
        """Take what has arrived; give the events."""
        events = []
        for message in self.client.received():
            events.append(message.event)
            self.presence.receive(message.event, message.payload)
            if message.event == "cursors":
                self._take_cursors(message.payload)
            elif message.event == "replaced":
                self.joined = False
                self.ends.append("replaced")
            elif message.event == "phx_error":
                self.ends.append("phx_error")
                if self.rejoins:
                    self._join()
        present = {meta["client_id"] for meta in self.metas()}
        self.cursors = {one: at for one, at in self.cursors.items() if one in present}
        return events

    def _take_cursors(self, cursors: dict[str, Any]) -> None:
        for client_id, cursor in cursors.items():
            if cursor is None:
                self.cursors.pop(client_id, None)
            elif "moved" in cursor and "moving" not in cursor:
                before = self.cursors[client_id]["moving"]
                self.cursors[client_id] = {**cursor, "moving": before}
            else:
                self.cursors[client_id] = cursor

    def metas(self) -> list[dict[str, Any]]:
        """What is seen of all."""
        return [meta for one in self.presence.state.values() for meta in one["metas"]]

    def names(self) -> list[str]:
        """Who is here, by the names in their metas."""
        self.look()
        refs = [meta["phx_ref"] for meta in self.metas()]
        assert len(set(refs)) == len(refs)
        return sorted(meta["name"] for meta in self.metas())

    def pointers(self) -> dict[str, Any]:
        """Where others point, by public id."""
        self.look()
        return self.cursors


class Crowd:
    """
    Nodes with the flow ``f`` in one store.

    :ivar people: its members, who look whenever time passes.
    """

    def __init__(self, bus: Bus, nodes: int = 2, **options: Any) -> None:
        self.bus = bus
        first = CountedStore()
        stores = [first, *(CountedStore(first) for _ in range(nodes - 1))]
        self.worlds = [
            World(store=store, broker=bus.broker, seed=seed, **options)
            for seed, store in enumerate(stores)
        ]
        self.people: list[Person] = []
        self.settle()
        self.worlds[0].library.create({"title": "Old"}, "f")

    def person(self, node: int, name: str, key: str | None = None) -> Person:
        """Let somebody join, and be seen."""
        person = Person(self.worlds[node], name, key)
        self.people.append(person)
        self.settle(0.1)
        return person

    def settle(self, seconds: float = 0.0) -> None:
        """Let time pass, in steps of 20 ms, and what is to be done be done."""
        for _ in range(max(3, round(seconds / (4 * MAX_HOLD)))):
            for world in self.worlds:
                world.settle()
            for person in self.people:
                person.look()

    def wait(self, seconds: float) -> None:
        """As `settle`, in long steps."""
        for _ in range(round(seconds)):
            for world in self.worlds:
                world.clock.advance(1.0)
            self.settle()
            for person in self.people:
                person.look()

    def lists(self) -> list[list[str]]:
        """The different lists that members see: one, if they see the same."""
        seen: list[list[str]] = []
        for person in self.people:
            if person.joined and (names := person.names()) not in seen:
                seen.append(names)
        return seen

    def sent(self) -> list[str]:
        """The kinds of messages about members that were sent since the last look."""
        kinds = [json.loads(message)["kind"] for _, message in self.bus.sent]
        self.bus.sent.clear()
        return [kind for kind in kinds if kind not in ("here", "lost", "entries", "flow")]

    def end(self) -> None:
        for world in self.worlds:
            world.end()
