"""
`tests.seeded.convergence` with people whose roles change all the while.

A flow's owner, members, group and general access are changed by one server, or by another process
of which the servers learn from the store; clients come with other tokens; what proves them is
revoked; the flow is deleted and made anew by somebody else. Beside all that a run without it
promises:

- no edit is in the log whose author could not make it when it was sent to the store, as what was
  granted then says (`Rights`), a change by another process within a second;
- a change by a server counts for all who are connected to it when it is answered; by another
  process, within a second;
- who was told that they may not see the flow is told nothing more of it;
- in the end those have the flow who may read it, and nobody else has it, or is seen in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from helix.access.paths import parse_paths
from helix.access.principal import STRANGER, FlowPattern, Grant, Kind, Principal
from helix.access.roles import Role
from helix.access.sharing import Audience, FlowAccess, GeneralAccess
from helix.records import Actor, AuditEntry, Author
from tests.seeded.convergence import Convergence, Node
from tests.seeded.fates import Author as Editor
from tests.seeded.members import NARROW, Member, RelayMember, Standing, Writer
from tests.seeded.replicas import Replica
from tests.seeded.rights import AFTER_LEAVING, MAY_LAG, Rights, right_of
from tests.support.heldstore import LateStore
from tests.support.principals import KnownTokens
from tests.support.world import Client, World

EVERY = FlowPattern.parse("*")

READ_SECONDS = 0.2
"""The longest that the store lets one wait who asks what a flow gives."""

SEEN_WITHIN = 30
"""Seconds after which everybody is seen, and nobody else."""

STEP = 0.1
"""Seconds that pass at once."""


class LateAccess:
    """What flows give, of a store that takes a while to tell."""

    def __init__(self, store: Any, world: World, random: Random) -> None:
        self._store = store
        self._world = world
        self._random = random

    def read(self, *asked: Any) -> Deferred[Any]:
        found: Deferred[Any] = self._store.read(*asked)
        if self._random.random() < 0.5:
            return found
        told: Deferred[Any] = Deferred()
        seconds = self._random.uniform(0, READ_SECONDS)
        self._world.clock.callLater(seconds, found.chainDeferred, told)
        return told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class NotingStore(LateStore):
    """A store that notes when it was sent each entry."""

    def __init__(self, random: Random, beside: LateStore | None, rights: Rights) -> None:
        super().__init__(random, beside)
        self._rights = rights

    def append(self, flow_id: str, epoch: str, base: int, chain: bytes, *more: Any) -> Any:
        self._rights.sent(more[0])
        return super().append(flow_id, epoch, base, chain, *more)

    def create(self, flow_id: str, epoch: str, at: float, *more: Any, **named: Any) -> Any:
        self._rights.sent(more[0] if more else ())
        return super().create(flow_id, epoch, at, *more, **named)


@attrs.define
class Connected:
    """
    A connection of somebody.

    :ivar name: who edits by it.
    :ivar principal: as whom, when it was looked at.
    :ivar left_at: when it was found to be lost; ``None`` while it isn't.
    """

    name: str
    principal: Principal = STRANGER
    left_at: float | None = None


class Shifting(Convergence):
    """One run; parameters as those of `Convergence`."""

    def __init__(self, seed: int, make_world: Callable[..., World]) -> None:
        self._people = count()
        self._tokens = KnownTokens()
        self._connections: dict[Client, Connected] = {}
        self.rights = Rights(lambda: self._now)
        super().__init__(seed, make_world)
        relays = [RelayMember(standing=self._new_standing(is_relay=True)) for _ in self.relays]
        self.relays = [*relays]

    def _actions(self) -> Mapping[Callable[[], None], float]:
        return {
            **super()._actions(),
            self._drain: 0,  # which lets time pass for one server alone
            self._change_here: 6,
            self._change_elsewhere: 6,
            self._renew: 4,
            self._revoke: 1,
            self._come_back: 8,
            self._show: 4,
            self._point: 4,
        }

    # who is there

    def _new_standing(self, *, is_relay: bool = False) -> Standing:
        number = next(self._people)
        shown = f"relay {number}" if is_relay else ""
        return Standing(self._principal(f"p{number}", f"key:{number}", shown))

    def _principal(self, name: str, credential: str, shown: str) -> Principal:
        """Somebody, with what a token says."""
        random = self.random
        grants = []
        if random.random() < 0.4:
            role = random.choice(list(Role))
            paths = parse_paths([NARROW]) if random.random() < 0.3 else None
            grants.append((EVERY, Grant(role, paths)))
        return Principal(
            name,
            shown,
            kind=random.choice([Kind.PERSON, Kind.PERSON, Kind.SERVICE]),
            groups=frozenset(["g"] if random.random() < 0.3 else []),
            grants=tuple(grants),
            create=(EVERY,) if random.random() < 0.4 else (),
            credential=credential,
        )

    def _new_author(self, client_id: str = "") -> Editor:
        author = Writer(client_id or f"c{len(self.authors)}", self.truth, rights=self.rights)
        self.authors.append(author)
        return author

    def _add_replica(self, author: Editor) -> Replica:
        member = Member(author=author, standing=self._new_standing())
        self.replicas.append(member)
        return member

    def _reload(self) -> None:
        before = len(self.replicas)
        super()._reload()
        for heir in self.replicas[before:]:
            page = next(one for one in self.replicas if one.author is self.authors[-1])
            assert isinstance(heir, Member)
            assert isinstance(page, Member)
            heir.standing.principal = page.standing.principal
            heir.visits, page.visits, page.shown = page.visits, 0, {}

    @property
    def members(self) -> list[Any]:
        """Everybody: each a `Member` or a `RelayMember`."""
        return [*self.replicas, *self.relays]

    def _make_node(self, beside: LateStore | None) -> Node:
        node = super()._make_node(beside)
        world = node.world
        world.clock.advance(self._now - world.clock.seconds())
        late: Any = LateAccess(node.store.access, world, self.random)
        world.access._store = late
        world.access.startService()
        return node

    def _make_store(self, beside: LateStore | None) -> LateStore:
        return NotingStore(self.random, beside, self.rights)

    @property
    def _settings(self) -> dict[str, Any]:
        return {"authenticator": self._tokens}

    @property
    def _now(self) -> float:
        return max(world.clock.seconds() for world in self._worlds)

    def _replace(self, old: Node) -> None:
        old.world.access.stopService()
        super()._replace(old)

    # what happens

    def _acted(self) -> None:
        """All clocks show the same, and what everybody may do is noted."""
        now = self._now
        for world in self._worlds:
            if (late := now - world.clock.seconds()) > 0:
                world.clock.advance(late)
        for client in self.members:
            if client.wire is not None:
                name = self._name_of(client)
                self._connections.setdefault(client.wire, Connected(name)).name = name
        self._note()

    def _note(self) -> None:
        """Note what the flow gives, and who is there, or has left a short while ago."""
        now = self._now
        present: dict[str, list[Principal]] = {}
        for wire, connected in list(self._connections.items()):
            if not wire.lost:
                connected.principal = wire.connection.principal
            elif connected.left_at is None:
                connected.left_at = now
            elif now - connected.left_at > AFTER_LEAVING:
                del self._connections[wire]
            present.setdefault(connected.name, []).append(connected.principal)
        self.rights.note(self._rows(), present)

    @staticmethod
    def _name_of(client: Any) -> str:
        """By what name the entries of a client are known to be its."""
        if isinstance(client, Member):
            return client.author.client_id
        name: str = client.standing.principal.name
        return name

    def _rows(self) -> Mapping[str, Any] | None:
        """What the flow gives; ``None`` where there is none."""
        store = self.nodes[0].store
        return None if store.flow("f") is None else store.access._rows.get("f", {})

    def _time(self) -> None:
        seconds = self.random.choice([0, 0.01, 0.3, 1.2, 5])
        self._pass(seconds)
        if seconds > MAY_LAG:
            for node in self.nodes:
                self._check_node(node)

    def _pass(self, seconds: float) -> None:
        left = seconds
        while left > 0:
            for world in self._worlds:
                world.clock.advance(min(left, STEP))
            left -= STEP
            self._acted()

    def _edit_access(self) -> Callable[[FlowAccess], FlowAccess]:
        """Some change of what the flow gives."""
        random = self.random
        who = random.choice(self.members).standing.principal.id
        role = random.choice([None, *Role, Role.EDITOR, Role.EDITOR])
        kind = random.choice(["member", "member", "member", "group", "general", "owner"])

        def edit(access: FlowAccess) -> FlowAccess:
            if kind == "owner":
                return attrs.evolve(access, owner=who)
            if kind == "general":
                audience = random.choice(list(Audience))
                given = GeneralAccess(audience, min(role or Role.VIEWER, Role.EDITOR))
                if audience is Audience.RESTRICTED:
                    given = GeneralAccess()
                return attrs.evolve(access, general=given)
            listed = dict(access.members if kind == "member" else access.groups)
            name = who if kind == "member" else "g"
            listed.pop(name, None)
            if role is not None:
                listed[name] = Grant(role)
            if kind == "member":
                return attrs.evolve(access, members=listed)
            return attrs.evolve(access, groups=listed)

        return edit

    def _change_here(self) -> None:
        node = self.random.choice(self.nodes)
        audited = AuditEntry(0, self._now, "access.change", "f")
        done = node.world.access.change("f", self._edit_access(), audited)
        done.addCallback(lambda _: self._check_node(node))
        self._bear(done)

    def _change_elsewhere(self) -> None:
        audited = AuditEntry(0, self._now, "access.change", "f")
        store = self.nodes[0].store
        self._bear(store.access.change("f", self._edit_access(), audited))

    def _renew(self) -> None:
        client = self.random.choice(self.members)
        standing, wire = client.standing, client.wire
        old = standing.principal
        principal = standing.principal = self._principal(old.id, old.credential, old.name)
        if wire is not None and client.joined:
            token = f"t{len(self._tokens.principals)}"
            self._tokens.principals[token] = principal
            wire.push(client.topic, "access_token", {"access_token": token})

    def _revoke(self) -> None:
        """What proves somebody counts no more; they get something else."""
        standing = self.random.choice(self.members).standing
        old = standing.principal
        for node in self.nodes:
            node.world.registry.revoke({old.credential})
        standing.principal = self._principal(old.id, f"key:again-{next(self._people)}", old.name)

    def _come_back(self) -> None:
        """Who has lost the flow asks for it again."""
        client = self.random.choice(self.members)
        if client.wire is not None and client.standing.is_revoked:
            client.join()

    def _show(self) -> None:
        self.random.choice(self.guests).show(self.random)

    def _point(self) -> None:
        self.random.choice(self.guests).point(self.random)

    @property
    def guests(self) -> Sequence[Member]:
        return [one for one in self.replicas if isinstance(one, Member)]

    def _create(self) -> None:
        title = {"title": "another"} if self.random.random() < 0.5 else {}
        owner = self.random.choice(self.members).standing.principal
        by = Author("", Actor(owner.id, owner.kind.value))
        self._bear(self.random.choice(self.nodes).library.create(title, "f", by))

    # what has to hold

    def _check_node(self, node: Node) -> None:
        """What a server lets everybody do is what they may, if it has the flow that there is."""
        session, log = node.world.flow(), node.store.flow("f")
        if session is None or log is None or session.log.epoch != log.head.epoch:
            return
        if not session.log.is_stored:  # as far as it knows
            return
        rows = self._rows()
        for wire in node.world.clients:
            for port in () if wire.lost else wire.connection._joined_ports():
                channel: Any = port.channel
                permission = channel._standing.permission
                right = right_of(wire.connection.principal, rows)
                assert right.is_permission(permission), f"{permission}, not {right}"

    def _ease(self) -> None:
        super()._ease()
        for client in self.members:
            if client.standing.is_revoked and client.wire is not None:
                client.join()
        if self.nodes[0].store.flow("f") is None:
            self._create()
        self._acted()

    def _come_to_rest(self) -> None:
        for wire in self._abandoned:
            wire.cut()
        self.rights.rests_from = self._now
        super()._come_to_rest()
        if self.bus is not None:
            self.bus.random = None  # it keeps its order, and loses nothing
        for second in range(SEEN_WITHIN):  # who has gone is soon seen to be
            if second >= 3 and not any(map(self._wrongly_seen, self.nodes)):
                break
            self._pass(1)
            for world in self._worlds:
                world.settle()
            for client in self.members:
                client.look()

    def _is_settled(self, client: Any) -> bool:
        wire = client.wire  # which may be of somebody with an older token
        principal = wire.connection.principal if wire else client.standing.principal
        right = right_of(principal, self._rows())
        if right.role is None:
            return not client.joined
        return bool(client.is_at_rest and client.standing.role == right.role.text)

    def _check(self) -> None:
        for node in self.nodes:
            self._check_node(node)
            wrong = self._wrongly_seen(node)
            assert not wrong, wrong
            node.world.access.stopService()
        self._check_rights()
        super()._check()

    def _wrongly_seen(self, node: Node) -> str:
        """
        Tell what is wrong with whom those on a server see: who has the flow there, and on the
        others if these tell of it, and nobody else.
        """
        here, present = [], []
        for one in self.guests:
            if one.joined and one.wire and one.wire.world is node.world:
                here.append(one)
            if one.joined and (self.bus is not None or one in here):
                present.append(one)
        people: dict[str, list[Any]] = {}
        for guest in sorted(present, key=lambda guest: guest.name):
            people.setdefault(guest.key, []).append(guest.meta)
        wrong = [guest.people() for guest in here if guest.people() != people]
        return f"{wrong[0]}, not {people}" if wrong else ""

    def _check_rights(self) -> None:
        """Nothing is in a log that its author might not put there."""
        authors = {author.name: author.client_id for author in self.authors if author.name}
        checked = 0
        for record in self.truth.records():
            entry = record.entry
            name = entry.by if entry.client_id is None else authors[entry.client_id]
            if entry.client_id is not None or name.startswith("relay "):
                self.rights.check(name, entry)
                checked += 1
        self.checked = checked

    @property
    def _readers(self) -> Sequence[Replica]:
        return [one for one in self.replicas if one.joined]

    @property
    def _away(self) -> Collection[Editor]:
        return {one.author for one in self.replicas if not one.joined}

    def _document(self) -> dict[str, Any]:
        log = self.nodes[0].store.flow("f")
        assert log is not None
        document: dict[str, Any] = json.loads(
            self.truth.documents(log.head.epoch, log.head.version)[0]
        )
        return document
