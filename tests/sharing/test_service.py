"""What flows give, while clients have them open. (docs/spec.md, ACC120, ACC121, ACC125)"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred
from zope.interface import implementer

from helix.access.principal import FlowPattern, Grant, Kind, Principal
from helix.access.roles import Role
from helix.access.sharing import Audience, FlowAccess, GeneralAccess, Link
from helix.errors import FlowNotFound, StoreUnavailable
from helix.interfaces import IAccessStore
from helix.records import Actor, AuditEntry, Author, FlowHead
from helix.sharing.following import CHANGES_AT_ONCE
from helix.sharing.service import AccessService
from helix.store.memory import MemoryStore
from tests.support.flowdata import node
from tests.support.heldstore import HeldStore
from tests.support.world import START, Client, World, open_memory_store

TOPIC = "flow:f"

BOTH = pytest.mark.parametrize(
    "params", [None, {"mode": "document", "client_id": "c"}], ids=["relay", "document"]
)

AUDITED = AuditEntry(0, START, "access.change", "f")

LINK = Link("L", Role.COMMENTER, b"", START)

EMPTY = FlowAccess("nobody-here")


def person(name: str, *groups: str) -> Principal:
    return Principal(name, kind=Kind.PERSON, groups=frozenset(groups))


def by(principal_id: str) -> Author:
    """Who makes a flow, and owns it."""
    return Author("", Actor(principal_id, "person"))


GUEST = Principal("guest:1", kind=Kind.GUEST, link="L")

PROGRAM = Principal("key:1", kind=Kind.SERVICE)

EDITOR = Grant(Role.EDITOR)


@pytest.fixture
def world() -> Iterator[World]:
    """A world with a stored flow ``f`` that gives nothing to anybody who is here."""
    world = World()
    world.library.create({"title": "Old"}, "f", by("nobody-here"))
    world.access.startService()
    world.settle()
    yield world
    world.access.stopService()
    assert not world.failures


def give(world: World, access: FlowAccess) -> None:
    """Another process changes what the flow gives."""
    world.store.access.change("f", lambda _: access, AUDITED)


def give_here(world: World, access: FlowAccess) -> None:
    """A request to this process does so."""
    world.access.change("f", lambda _: access, AUDITED)


def learn(world: World, seconds: float = 1.0) -> None:
    world.clock.advance(seconds)
    world.settle()


def join(world: World, principal: Principal, params: Any) -> tuple[Client, Any]:
    client = world.client(principal=principal)
    ref = client.join(TOPIC, params and params | {"client_id": principal.id})
    world.settle()
    return client, client.answer(ref)


WAYS: Sequence[tuple[str, Principal, FlowAccess, str]] = [
    ("owner", person("ada"), FlowAccess("ada"), "owner"),
    ("member", person("ada"), attrs.evolve(EMPTY, members={"ada": EDITOR}), "editor"),
    ("program", PROGRAM, attrs.evolve(EMPTY, members={"key:1": EDITOR}), "editor"),
    ("group", person("ada", "x", "y"), attrs.evolve(EMPTY, groups={"y": EDITOR}), "editor"),
    (
        "signed in",
        person("ada"),
        attrs.evolve(EMPTY, general=GeneralAccess(Audience.SIGNED_IN, Role.EDITOR)),
        "editor",
    ),
    (
        "address",
        GUEST,
        attrs.evolve(EMPTY, general=GeneralAccess(Audience.LINK, Role.PROPOSER)),
        "proposer",
    ),
    ("link", GUEST, attrs.evolve(EMPTY, links={"L": LINK}), "commenter"),
    (
        "highest",
        person("ada", "x"),
        attrs.evolve(
            EMPTY,
            members={"ada": Grant(Role.VIEWER)},
            groups={"x": Grant(Role.PROPOSER)},
            general=GeneralAccess(Audience.SIGNED_IN, Role.COMMENTER),
        ),
        "proposer",
    ),
]

EACH_WAY = pytest.mark.parametrize(
    ("who", "access", "role"), [way[1:] for way in WAYS], ids=[way[0] for way in WAYS]
)


@BOTH
@EACH_WAY
def test_acc120_acc125_each_way_to_a_role_opens_and_closes(
    world: World, params: object, who: Principal, access: FlowAccess, role: str
) -> None:
    _, (status, told) = join(world, who, params)
    assert (status, told["code"]) == ("error", "flow_not_found")
    give(world, access)
    client, (status, told) = join(world, who, params)
    assert (status, told["role"]) == ("ok", role)
    give(world, EMPTY)
    learn(world)
    reason = {"reason": "You no longer have access to this flow"}
    assert client.events()[-2:] == [("access_revoked", reason), ("phx_close", {})]
    _, (status, told) = join(world, who, params)
    assert (status, told["code"]) == ("error", "flow_not_found")


@pytest.mark.parametrize(
    ("who", "access"),
    [
        (Principal("ada", kind=Kind.GUEST), FlowAccess("ada", {"ada": EDITOR})),
        (Principal("", kind=Kind.PERSON), FlowAccess("", {"": EDITOR})),
        (PROGRAM, FlowAccess(general=GeneralAccess(Audience.SIGNED_IN, Role.EDITOR))),
        (GUEST, FlowAccess(general=GeneralAccess(Audience.SIGNED_IN, Role.EDITOR))),
        (GUEST, FlowAccess(links={"M": attrs.evolve(LINK, id="M")})),
        (person("bob", "L"), FlowAccess("ada", {"L": EDITOR}, {"bob": EDITOR}, links={"L": LINK})),
    ],
)
def test_acc120_who_is_not_meant_gets_nothing(
    world: World, who: Principal, access: FlowAccess
) -> None:
    give(world, access)
    _, (status, told) = join(world, who, None)
    assert (status, told["code"]) == ("error", "flow_not_found")


@BOTH
@pytest.mark.parametrize("change", [give, give_here])
def test_acc125_a_role_that_changes_is_told_to_whom_it_concerns(
    world: World, params: object, change: Callable[[World, FlowAccess], None]
) -> None:
    before = attrs.evolve(EMPTY, members={"ada": EDITOR, "bob": EDITOR}, groups={"x": EDITOR})
    give(world, before)
    names = ("ada", "bob", "cy")
    clients = {
        name: join(world, person(name, *["x"] * (name == "cy")), params)[0] for name in names
    }
    for client in clients.values():
        client.received()
    change(world, attrs.evolve(before, members={"ada": Grant(Role.VIEWER), "bob": EDITOR}))
    if change is give:
        learn(world)
    told = {name: dict(client.events()) for name, client in clients.items()}
    assert told["ada"]["role"] == {"role": "viewer", "may": ["read"]}
    assert "role" not in told["bob"]
    assert "role" not in told["cy"]
    change(world, attrs.evolve(before, groups={"x": Grant(Role.COMMENTER)}))
    learn(world)
    told = {name: dict(client.events()) for name, client in clients.items()}
    assert told["ada"]["role"]["role"] == "editor"
    assert told["cy"]["role"]["role"] == "commenter"
    assert "role" not in told["bob"]


@BOTH
def test_acc125_what_is_pushed_after_a_change_is_refused(world: World, params: object) -> None:
    give(world, attrs.evolve(EMPTY, members={"ada": EDITOR}))
    client, _ = join(world, person("ada"), params)
    give_here(world, attrs.evolve(EMPTY, members={"ada": Grant(Role.VIEWER)}))
    if params is None:
        ref = client.push(TOPIC, "flow_change", {"changes": {"nodes": [{"id": "n"}]}})
    else:
        ref = client.push(TOPIC, "patch", {"op_id": 1, "patch": {"title": "New"}})
    world.settle()
    status, told = client.answer(ref)
    assert (status, told["code"]) == ("error", "forbidden")


def test_acc125_others_see_the_one_who_lost_access_leave(world: World) -> None:
    give(world, FlowAccess("owner", {"ada": EDITOR}))
    params = {"mode": "document", "client_id": "o"}
    owner, _ = join(world, person("owner"), params)
    join(world, person("ada"), {"mode": "document", "client_id": "a"})
    world.settle()
    owner.received()
    give_here(world, FlowAccess("owner"))
    world.settle()
    told = dict(owner.events())
    assert list(told["presence_diff"]["leaves"]) == ["ada"]
    assert "access_revoked" not in told


def test_acc125_a_flow_that_nobody_has_open_any_more_is_not_watched(world: World) -> None:
    give(world, FlowAccess("ada"))
    client, _ = join(world, person("ada"), None)
    other, _ = join(world, person("ada"), None)
    client.push(TOPIC, "phx_leave", {})
    world.settle()
    other.cut()
    world.settle()
    assert not world.access._watched


# with another process

DOCUMENT = {"mode": "document", "client_id": "c"}

SECRET = "of somebody else"


@attrs.define
class TwoNodes:
    """Two servers on one store, of which the first isn't told what the second does."""

    here: World
    there: World

    def make_there(self, owner: str = "eve") -> None:
        """The second makes ``f``, in place of the one that there is."""
        self.there.library.delete("f").addErrback(lambda failure: failure.trap(FlowNotFound))
        self.there.library.create({"title": SECRET}, "f", by(owner))
        self.there.settle()

    @property
    def title(self) -> str:
        heads: list[FlowHead] = []
        self.there.store.head("f").addCallback(heads.append)
        return heads[0].summary.title


@pytest.fixture
def nodes() -> Iterator[TwoNodes]:
    store = HeldStore()
    here, there = World(store=store), World(store=HeldStore(store), seed=1)
    here.access.startService()
    yield TwoNodes(here, there)
    here.access.stopService()
    assert not here.failures


@BOTH
@pytest.mark.parametrize("learns", ["by being told", "by its own edit"])
def test_acc230_a_flow_made_anew_elsewhere_is_hidden_from_who_had_the_old_one(
    nodes: TwoNodes, params: Any, learns: str
) -> None:
    here = nodes.here
    here.library.create({"title": "Old"}, "f", by("ada"))
    here.access.change("f", lambda old: attrs.evolve(old, members={"bob": EDITOR}), AUDITED)
    clients = [join(here, person(name), params)[0] for name in ("ada", "bob")]
    for client in clients:
        client.received()
    nodes.make_there()
    edit: dict[str, Any] = {"op_id": 1, "patch": {"title": "Mine"}}
    event = "patch"
    if params is None:
        event, edit = "flow_change", {"changes": {"nodes": [node("n")], "edges": []}}
    ref = ""
    if learns == "by being told":
        here.service.refresh("f")
    else:
        ref = clients[1].push(TOPIC, event, edit)
    here.settle()
    for client in clients:
        told = client.received()
        assert [one.event for one in told][-2:] == ["access_revoked", "phx_close"]
        assert SECRET not in str(told)
        assert not [one for one in told if one.ref == ref and one.payload["status"] == "ok"]
    assert nodes.title == SECRET
    _, (status, told) = join(here, person("eve"), DOCUMENT)
    assert (status, told["role"]) == ("ok", "owner")


def test_acc230_who_would_have_made_a_flow_has_nothing_of_one_made_elsewhere(
    nodes: TwoNodes,
) -> None:
    maker = attrs.evolve(person("ada"), create=(FlowPattern.parse("*"),))
    client, (status, told) = join(nodes.here, maker, DOCUMENT)
    assert (status, told["role"]) == ("ok", "owner")
    client.received()
    nodes.make_there()
    ref = client.push(TOPIC, "patch", {"op_id": 1, "patch": {"title": "Mine"}})
    nodes.here.settle()
    heard = client.received()
    assert SECRET not in str(heard)
    assert [one.event for one in heard][-2:] == ["access_revoked", "phx_close"]
    assert not [one for one in heard if one.ref == ref and one.payload["status"] == "ok"]
    assert nodes.title == SECRET


def test_acc121_a_flow_whose_making_seemed_to_fail_has_its_owner_alone(nodes: TwoNodes) -> None:
    """The store has made it, and the answer was lost."""
    here = nodes.here
    clients = []
    for name in ("ada", "bob"):
        maker = attrs.evolve(person(name), create=(FlowPattern.parse("*"),))
        clients.append(join(here, maker, DOCUMENT | {"client_id": name})[0])
    here.store.fail("create", StoreUnavailable(), happens=True)
    clients[0].push(TOPIC, "patch", {"op_id": 1, "patch": {"title": "Mine"}})
    here.settle()
    learn(here)
    learn(here)
    told = [[event for event, _ in client.events()] for client in clients]
    assert "access_revoked" not in told[0]
    assert told[1][-2:] == ["access_revoked", "phx_close"]
    assert "entries" not in told[1]


def test_acc230_who_has_the_new_flow_too_goes_on(nodes: TwoNodes) -> None:
    here = nodes.here
    here.library.create({"title": "Old"}, "f", by("ada"))
    client, _ = join(here, person("ada"), DOCUMENT)
    client.received()
    nodes.make_there(owner="ada")
    here.service.refresh("f")
    here.settle()
    told = dict(client.events())
    assert told["reset"]["document"]["title"] == SECRET
    assert "access_revoked" not in told


def test_acc230_who_waits_for_a_flow_has_nothing_of_one_made_anew_meanwhile() -> None:
    store, waiting = HeldStore(), Deferred[None]()
    here = World(store=store, load=lambda _: waiting)
    nodes = TwoNodes(here, World(store=HeldStore(store), seed=1))
    nodes.there.library.create({"title": "Old"}, "f", by("ada"))
    client = here.client(principal=person("ada"))
    ref = client.join(TOPIC, DOCUMENT)
    here.settle()
    nodes.make_there()
    waiting.callback(None)
    here.settle()
    told = client.received()
    assert SECRET not in str(told)
    replies = [one.payload for one in told if (one.event, one.ref) == ("phx_reply", ref)]
    assert [reply["response"]["code"] for reply in replies] == ["flow_not_found"]


def test_acc31_log5_what_another_node_took_is_not_forbidden_when_it_is_sent_again(
    nodes: TwoNodes,
) -> None:
    """This one hasn't read it yet, and by now its author may only read."""
    here, there = nodes.here, nodes.there
    here.library.create({"title": "Old"}, "f", by("ada"))
    here.access.change("f", lambda old: attrs.evolve(old, members={"bob": EDITOR}), AUDITED)
    again, _ = join(here, person("bob"), DOCUMENT)
    first, _ = join(there, person("bob"), DOCUMENT)
    first.push(TOPIC, "patch", {"op_id": 1, "patch": {"title": "New"}})
    there.settle()
    here.access.change("f", lambda _: FlowAccess("ada", {"bob": Grant(Role.VIEWER)}), AUDITED)
    refs = [
        again.push(TOPIC, "patch", {"op_id": op_id, "patch": {"title": title}})
        for op_id, title in ((1, "New"), (2, "Newer"))
    ]
    here.settle()
    told = {one.ref: one.payload for one in again.received() if one.event == "phx_reply"}
    assert told[refs[0]] == {"status": "ok", "response": {"version": 2, "duplicate": True}}
    assert told[refs[1]]["response"]["code"] == "forbidden"
    assert nodes.title == "New"
    there.registry.stopService()


def test_acc231_log5_what_another_node_took_of_a_flow_that_is_not_known_to_be_made(
    nodes: TwoNodes,
) -> None:
    """Who may not make it is a viewer here until this node has read that it is there."""
    here, there = nodes.here, nodes.there
    every = FlowPattern.parse("*")
    maker = attrs.evolve(person("ada"), create=(every,))
    editor = attrs.evolve(person("bob"), grants=((every, EDITOR),))
    join(here, maker, DOCUMENT)
    again, (_, told) = join(here, editor, DOCUMENT)
    assert told["role"] == "viewer"
    again.received()
    nodes.make_there(owner="ada")
    first, _ = join(there, editor, DOCUMENT)
    first.push(TOPIC, "patch", {"op_id": 1, "patch": {"title": "New"}})
    there.settle()
    ref = again.push(TOPIC, "patch", {"op_id": 1, "patch": {"title": "New"}})
    here.settle()
    status, told = again.answer(ref)
    assert (status, told) == ("ok", {"version": 2, "duplicate": True})
    there.registry.stopService()


@pytest.mark.parametrize("params", [None, DOCUMENT], ids=["relay", "document"])
def test_acc233_what_waits_when_its_author_leaves_is_judged_when_its_turn_comes(
    params: Any,
) -> None:
    store = HeldStore()
    world = World(store=store)
    world.library.create({"title": "Old"}, "f", by("ada"))
    given = FlowAccess("ada", {"bob": EDITOR})
    world.access.change("f", lambda _: given, AUDITED)
    ada, _ = join(world, person("ada"), DOCUMENT)
    bob, _ = join(world, person("bob"), params)
    store.holding = True
    ada.push(TOPIC, "patch", {"op_id": 1, "patch": {"title": "New"}})
    if params is None:
        bob.push(TOPIC, "flow_change", {"changes": {"nodes": [node("n")], "edges": []}})
    else:
        bob.push(TOPIC, "patch", {"op_id": 1, "patch": {"nodes": {"n": node("n")}}})
    bob.leave(TOPIC)
    world.settle()
    world.access.change("f", lambda _: FlowAccess("ada"), AUDITED)
    while store.waiting:
        store.let_through()
        world.settle()
    assert world.flow().log.document.content["title"] == "New"
    assert not world.flow().log.document.content["nodes"]
    ada.cut()
    world.settle()
    assert not world.access._watched


# with a store that answers when it is told to


@implementer(IAccessStore)
class HeldAccess:
    """Lets answers to `read` and `changes` wait, each until the test lets it through."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store.access
        self.reads: deque[tuple[Deferred[Any], Deferred[Any]]] = deque()
        self.is_away = False

    def read(
        self, flow_ids: Sequence[str], subjects: Sequence[str] | None = None
    ) -> Deferred[dict[str, FlowAccess]]:
        answer: Deferred[dict[str, FlowAccess]] = Deferred()
        self.reads.append((self._store.read(flow_ids, subjects), answer))
        return answer

    def let_through(self) -> None:
        found, answer = self.reads.popleft()
        found.chainDeferred(answer)

    def fail(self) -> None:
        _, answer = self.reads.popleft()
        answer.errback(StoreUnavailable())

    def changes(self, after: int | None, limit: int) -> Deferred[list[AuditEntry]]:
        if self.is_away:
            answer: Deferred[list[AuditEntry]] = Deferred()
            answer.errback(StoreUnavailable())
            return answer
        return self._store.changes(after, limit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@attrs.define
class Watching:
    """A service on a held store with a flow ``f``, and what its watches were told."""

    store: MemoryStore
    held: HeldAccess
    service: AccessService
    world: World
    told: list[str] = attrs.field(factory=list)
    failures: list[Exception] = attrs.field(factory=list)
    watches: list[Any] = attrs.field(factory=list)

    def watch(self, name: str = "ada") -> Deferred[Any]:
        watching = Deferred.fromCoroutine(
            self.service.watch(person(name), "f", lambda: self.told.append(name))
        )
        watching.addCallbacks(
            self.watches.append, lambda failure: self.failures.append(failure.value)
        )
        return watching

    def give(self, access: FlowAccess) -> None:
        self.store.access.change("f", lambda _: access, AUDITED)

    def poll(self) -> None:
        self.world.clock.advance(0.5)


@pytest.fixture
def watching() -> Iterator[Watching]:
    world = World()
    store = open_memory_store()
    store.create("f", "e", START, owner="ada")
    held = HeldAccess(store)
    service = AccessService(held, world.clock)
    service.startService()
    yield Watching(store, held, service, world)
    service.stopService()
    assert not world.failures
    assert not [call for call in world.clock.getDelayedCalls() if "_poll" in str(call)]


def test_acc125_a_change_during_the_first_question_is_not_missed(watching: Watching) -> None:
    watching.watch()
    watching.give(FlowAccess("bob"))
    watching.poll()
    watching.held.let_through()
    assert not watching.watches
    watching.held.let_through()
    assert [watch.access.owner for watch in watching.watches] == ["bob"]


def test_acc125_a_change_during_a_later_question_is_not_missed(watching: Watching) -> None:
    watching.watch()
    watching.held.let_through()
    watching.give(FlowAccess("bob"))
    watching.poll()
    watching.give(FlowAccess("cy"))
    watching.poll()
    watching.held.let_through()
    watching.held.let_through()
    assert not watching.held.reads
    assert watching.watches[0].access.owner == "cy"


def test_acc125_a_change_here_is_not_undone_by_an_older_answer(watching: Watching) -> None:
    watching.watch()
    watching.held.let_through()
    watching.give(FlowAccess("bob"))
    watching.poll()
    watching.service.change("f", lambda _: FlowAccess("cy"), AUDITED)
    assert watching.watches[0].access.owner == "cy"
    while watching.held.reads:
        watching.held.let_through()
        assert watching.watches[0].access.owner == "cy"


def test_acc125_what_can_not_be_read_is_asked_for_again(watching: Watching) -> None:
    watching.watch()
    watching.held.let_through()
    watching.give(FlowAccess("bob"))
    watching.poll()
    watching.held.fail()
    watching.poll()
    watching.held.let_through()
    assert watching.watches[0].access.owner == "bob"
    watching.poll()
    assert not watching.held.reads


def test_acc125_nothing_is_missed_while_the_store_is_away(watching: Watching) -> None:
    watching.watch()
    watching.held.let_through()
    watching.held.is_away = True
    watching.poll()
    watching.give(FlowAccess("bob"))
    for _ in range(3):
        watching.poll()
    assert watching.watches[0].access.owner == "ada"
    watching.held.is_away = False
    watching.poll()
    watching.held.let_through()
    assert watching.watches[0].access.owner == "bob"


def test_acc125_a_flow_that_is_known_late_to_be_made_may_have_been_changed(
    watching: Watching,
) -> None:
    """The store may take long to answer who makes it."""
    watching.watch()
    watching.held.let_through()
    watching.give(FlowAccess("bob"))
    watching.poll()
    watching.held.let_through()
    watching.service.made("f", "ada")
    assert watching.watches[0].access.owner == "bob"
    watching.held.let_through()
    assert watching.watches[0].access.owner == "bob"
    assert not watching.held.reads


def test_acc125_who_asks_for_a_flow_made_elsewhere_may_hear_of_it_later_than_who_comes(
    watching: Watching,
) -> None:
    """What the first question is answered with is newer than the answer to that one."""
    watching.watch()
    making = Deferred.fromCoroutine(watching.service.made_elsewhere("f"))
    watching.give(FlowAccess("bob"))
    watching.poll()
    first, made_elsewhere = watching.held.reads
    watching.held.reads = deque([first])
    watching.held.let_through()
    watching.held.let_through()
    assert watching.watches[0].access.owner == "bob"
    watching.held.reads.append(made_elsewhere)
    watching.held.let_through()
    making.addCallback(lambda tell: tell())
    assert watching.watches[0].access.owner == "bob"
    while watching.held.reads:
        watching.held.let_through()
    assert watching.watches[0].access.owner == "bob"


def test_acc125_what_was_done_before_the_store_could_be_asked_is_not_missed() -> None:
    world = World()
    store = open_memory_store()
    store.create("f", "e", START, owner="ada")
    held = HeldAccess(store)
    held.is_away = True
    watching = Watching(store, held, AccessService(held, world.clock), world)
    watching.service.startService()
    watching.watch()
    held.let_through()
    watching.give(FlowAccess("bob"))
    held.is_away = False
    watching.poll()
    held.let_through()
    assert watching.watches[0].access.owner == "bob"
    watching.service.stopService()


def test_acc125_many_changes_at_once_are_known_as_soon_as_few(watching: Watching) -> None:
    watching.watch()
    watching.held.let_through()
    for _ in range(2 * CHANGES_AT_ONCE):
        watching.store.access.audit(attrs_entry("key.create", "key:1"))
    watching.give(FlowAccess("bob"))
    watching.poll()
    for _ in range(3):
        watching.world.clock.advance(0)
    watching.held.let_through()
    assert watching.watches[0].access.owner == "bob"


def test_acc125_who_waits_is_refused_where_the_store_can_not_tell(watching: Watching) -> None:
    for name in ("ada", "bob"):
        watching.watch(name)
    watching.held.fail()
    assert [type(failure) for failure in watching.failures] == [StoreUnavailable] * 2
    assert not watching.service._watched
    watching.watch()
    watching.held.let_through()
    assert watching.watches[0].access.owner == "ada"


def test_acc125_who_no_longer_waits_is_forgotten(watching: Watching) -> None:
    waiting = watching.watch()
    waiting.cancel()
    watching.held.let_through()
    assert not watching.service._watched
    assert len(watching.failures) == 1


def test_acc125_a_watch_that_fails_keeps_nothing_from_others(watching: Watching) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    Deferred.fromCoroutine(watching.service.watch(person("ada"), "f", fail))
    watching.watch()
    watching.held.let_through()
    watching.give(FlowAccess("bob"))
    watching.poll()
    watching.held.let_through()
    assert watching.told == ["ada"]
    assert len(watching.world.failures) == 1
    watching.world.failures.clear()


def test_acc125_a_store_that_was_set_back_is_read_anew(watching: Watching) -> None:
    heard: list[str] = []
    watching.service.on_set_back = lambda: heard.append("set back")
    backup = copy.deepcopy(watching.store.access)
    watching.watch()
    watching.held.let_through()
    watching.give(FlowAccess("bob"))
    watching.poll()
    watching.held.let_through()
    assert watching.watches[0].access.owner == "bob"
    watching.held._store = backup
    for _ in range(20):
        watching.poll()
    watching.held.let_through()
    assert watching.watches[0].access.owner == "ada"
    assert heard == ["set back"]
    backup.change("f", lambda _: FlowAccess("cy"), AUDITED)
    watching.poll()
    watching.held.let_through()
    assert watching.watches[0].access.owner == "cy"


def test_acc125_credentials_are_told_of_in_order(watching: Watching) -> None:
    heard: list[str] = []
    watching.service.on_credentials = lambda entries: heard.extend(e.action for e in entries)
    audit = watching.store.access.audit
    audit(attrs_entry("key.create", "key:1"))
    audit(attrs_entry("access.change", ""))
    audit(attrs_entry("key.revoke", "key:1"))
    watching.poll()
    assert heard == ["key.create", "key.revoke"]


def attrs_entry(action: str, credential: str) -> AuditEntry:
    return AuditEntry(0, START, action, credential=credential)
