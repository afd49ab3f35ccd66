"""What every store does with what flows give, and with the audit log. (docs/spec.md, ACC90-96)"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, gatherResults
from zope.interface.verify import verifyObject

from helix.access.paths import DocumentPath
from helix.access.principal import Grant
from helix.access.roles import Role
from helix.access.sharing import (
    ANYONE,
    NO_ACCESS,
    SIGNED_IN,
    Audience,
    FlowAccess,
    GeneralAccess,
    Link,
    group_subject,
    link_subject,
    member_subject,
    owner_subject,
)
from helix.errors import FlowExists, FlowNotFound, StoreError, TooManyGrants
from helix.interfaces import IAccessStore, IFlowStore
from helix.records import Actor, AuditEntry, HeadQuery, Scope, Summary
from helix.store import memory_access
from helix.store.postgresql import audit as postgresql_audit
from helix.store.postgresql import queries as postgresql_queries
from helix.store.sqlite import audit as sqlite_audit
from helix.store.sqlite import reads as sqlite_reads
from tests.store.data import T0, keep
from tests.store.places import Place
from tests.store.test_contract import refused

ODD = "a\0b\n%_\\'\"\t\u2028\U0001f600 \x1a\x7f"
LONG = "\U0001f600" * 255

ADA = Actor("ada", "person", "Ada")
PROMPTS = Grant(Role.EDITOR, (DocumentPath.parse("/nodes/*/data/prompt"),), {"source": "ai"})
LINK = Link("L1", Role.COMMENTER, b"\0\xff" * 16, T0, "ada", T0 + 60.5, "scrypt$x")

ALL = FlowAccess(
    "ada",
    {"bob": PROMPTS, "eve": Grant(Role.VIEWER), ODD: Grant(Role.PROPOSER, None, {ODD: [1, None]})},
    {"staff": Grant(Role.COMMENTER), ODD: PROMPTS},
    GeneralAccess(Audience.SIGNED_IN, Role.PROPOSER),
    {"L1": LINK, "L2": Link("L2", Role.VIEWER, b"", T0)},
)


def audited(action: str = "access.change", flow_id: str = "f") -> AuditEntry:
    return AuditEntry(99, T0 + 1, action, flow_id, "", ADA, b'{"role":"editor"}')


def to(access: FlowAccess) -> Callable[[FlowAccess], FlowAccess]:
    """An edit that looks at nothing."""
    return lambda _: access


def give(store: IFlowStore, flow_id: str, **access: Any) -> Deferred[FlowAccess]:
    """Change some of what a flow gives."""
    changed: Deferred[FlowAccess] = store.access.change(
        flow_id, lambda before: attrs.evolve(before, **access), audited(flow_id=flow_id)
    )
    return changed


async def actions(store: IFlowStore) -> list[str]:
    return [entry.action for entry in await store.access.audited(None, 99)]


def test_acc90_it_has_what_the_interface_names(place: Place) -> None:
    assert verifyObject(IAccessStore, place.store().access)


# What a flow gives.


@ensureDeferred
async def test_acc90_a_new_flow_gives_what_its_owner_has(store: IFlowStore) -> None:
    await store.create("f", "e1", T0, owner=ODD)
    await store.create("g", "e1", T0)
    assert await store.access.read(["f", "g", "none"]) == {
        "f": FlowAccess(ODD),
        "g": NO_ACCESS,
    }
    assert await actions(store) == []


@ensureDeferred
async def test_acc90_a_flow_that_is_not_made_gets_no_owner(store: IFlowStore) -> None:
    await store.create("f", "e1", T0, owner="ada")
    await refused(FlowExists, store.create("f", "e2", T0, owner="eve"))
    assert await store.access.read(["f"]) == {"f": FlowAccess("ada")}
    with pytest.raises(StoreError):
        await store.create("g", "e1", T0, owner="\ud800")
    await refused(FlowNotFound, store.head("g"))


@ensureDeferred
async def test_acc90_all_that_a_flow_gives_is_kept(store: IFlowStore) -> None:
    await keep(store, "f")
    assert await store.access.change("f", to(ALL), audited()) == ALL
    assert await store.access.read(["f"]) == {"f": ALL}
    seen: list[FlowAccess] = []

    def edit(before: FlowAccess) -> FlowAccess:
        seen.append(before)
        return FlowAccess(
            "eve",
            {"bob": Grant(Role.VIEWER), "new": PROMPTS},
            {},
            GeneralAccess(Audience.LINK, Role.EDITOR),
            {"L1": LINK},
        )

    after = await store.access.change("f", edit, audited())
    assert seen[-1] == ALL
    assert after == edit(ALL)
    assert await store.access.read(["f"]) == {"f": after}
    assert await store.access.change("f", to(NO_ACCESS), audited()) == NO_ACCESS
    assert await store.access.read(["f"]) == {"f": NO_ACCESS}


@ensureDeferred
async def test_acc90_long_ids_are_kept(store: IFlowStore) -> None:
    everything = FlowAccess(LONG, {LONG: PROMPTS}, {"\x1a" * 255: Grant(Role.VIEWER)})
    await keep(store, LONG[:63])
    await store.access.change(LONG[:63], to(everything), audited())
    assert await store.access.read([LONG[:63]]) == {LONG[:63]: everything}


@ensureDeferred
async def test_acc90_thousands_of_members_are_kept(store: IFlowStore) -> None:
    many = FlowAccess("ada", {f"p{n}": PROMPTS for n in range(10_000)})
    await keep(store, "f")
    await store.access.change("f", to(many), audited())
    assert await store.access.read(["f"]) == {"f": many}
    fewer = attrs.evolve(many, members={"p7": Grant(Role.VIEWER)})
    await store.access.change("f", to(fewer), audited())
    assert await store.access.read(["f"]) == {"f": fewer}


@pytest.mark.parametrize(
    "access",
    [
        FlowAccess("\ud800"),
        FlowAccess("", {"\ud800": Grant(Role.VIEWER)}),
        FlowAccess("", {"x": Grant(Role.VIEWER, None, {"\ud800": 1})}),
    ],
)
@ensureDeferred
async def test_acc90_half_a_surrogate_pair_is_refused(
    store: IFlowStore, access: FlowAccess
) -> None:
    await keep(store, "f")
    await keep(store, "g")
    with pytest.raises(StoreError):
        await store.access.change("f", to(access), audited())
    assert await store.access.read(["f"]) == {"f": NO_ACCESS}
    assert await actions(store) == []
    assert await give(store, "g", owner="ada") == FlowAccess("ada")


@ensureDeferred
async def test_acc91_a_part_is_what_some_subjects_have(store: IFlowStore) -> None:
    await keep(store, "f")
    await keep(store, "g")
    await store.access.change("f", to(ALL), audited())

    async def part(*subjects: str) -> FlowAccess:
        found = await store.access.read(["f", "g", "none"], subjects)
        assert found.keys() <= {"f", "g"}
        assert found.get("g", NO_ACCESS) == NO_ACCESS
        return found.get("f", NO_ACCESS)

    assert await part() == NO_ACCESS
    assert await part("m:none", ANYONE, "a", "%", owner_subject("eve")) == NO_ACCESS
    assert await part(owner_subject("ada")) == FlowAccess("ada")
    assert await part(member_subject(ODD), group_subject(ODD)) == FlowAccess(
        "", {ODD: ALL.members[ODD]}, {ODD: PROMPTS}
    )
    assert await part(member_subject("a"), group_subject("a")) == NO_ACCESS
    assert await part(SIGNED_IN, SIGNED_IN) == FlowAccess(general=ALL.general)
    assert await part(link_subject("L1")) == FlowAccess(links={"L1": LINK})
    several = await store.access.read(["f", "f"], [owner_subject("ada"), member_subject("bob")])
    assert several == {"f": FlowAccess("ada", {"bob": PROMPTS})}


@ensureDeferred
async def test_acc91_thousands_are_read_at_once(store: IFlowStore) -> None:
    await store.create("f", "e1", T0, owner="p7")
    names = ["f", *(f"f{n}" for n in range(2000))]
    subjects = [owner_subject(f"p{n}") for n in range(2000)]
    assert await store.access.read(names, subjects) == {"f": FlowAccess("p7")}


@ensureDeferred
async def test_acc92_what_an_edit_raises_refuses_it(store: IFlowStore) -> None:
    await store.create("f", "e1", T0, owner="ada")

    def edit(before: FlowAccess) -> FlowAccess:
        raise TooManyGrants()

    await refused(TooManyGrants, store.access.change("f", edit, audited()))
    assert await store.access.read(["f"]) == {"f": FlowAccess("ada")}
    assert await actions(store) == []


@ensureDeferred
async def test_acc92_a_change_of_nothing_is_not_kept(store: IFlowStore) -> None:
    await store.create("f", "e1", T0, owner="ada")
    same = FlowAccess("ada", general=GeneralAccess(Audience.RESTRICTED, Role.EDITOR))
    assert await store.access.change("f", to(same), audited()) == FlowAccess("ada")
    assert await actions(store) == []


@ensureDeferred
async def test_acc92_a_flow_that_is_not_there_is_not_changed(store: IFlowStore) -> None:
    await refused(FlowNotFound, give(store, "none", owner="ada"))
    assert await actions(store) == []


@ensureDeferred
async def test_acc92_of_changes_at_once_none_is_lost(store: IFlowStore) -> None:
    await keep(store, "f")

    def add(name: str) -> Callable[[FlowAccess], FlowAccess]:
        return lambda before: attrs.evolve(
            before, members={**before.members, name: Grant(Role.VIEWER)}
        )

    names = [f"p{n}" for n in range(20)]
    await gatherResults([store.access.change("f", add(name), audited(name)) for name in names])
    found = (await store.access.read(["f"]))["f"]
    assert found == FlowAccess("", {name: Grant(Role.VIEWER) for name in names})
    assert sorted(await actions(store)) == sorted(names)


# What becomes of it with the flow.


@ensureDeferred
async def test_acc93_a_deleted_flow_keeps_what_it_gives(store: IFlowStore) -> None:
    await keep(store, "f")
    await store.access.change("f", to(ALL), audited())
    await store.delete("f", T0 + 9)
    assert await store.access.read(["f"]) == {"f": ALL}
    less = await give(store, "f", members={})
    assert less == attrs.evolve(ALL, members={})
    await store.undelete("f")
    assert await store.access.read(["f"]) == {"f": less}


@ensureDeferred
async def test_acc93_it_goes_with_the_log(store: IFlowStore) -> None:
    await keep(store, "f")
    await store.access.change("f", to(ALL), audited())
    await store.delete("f", T0 + 9)
    assert await store.purge(T0 + 10) == 1
    assert await store.access.read(["f"]) == {}
    await store.create("f", "e2", T0 + 11)
    assert await store.access.read(["f"]) == {"f": NO_ACCESS}
    assert await store.access.find_link("L1") is None
    everybody = Scope.of([], [], [owner_subject("ada"), SIGNED_IN])
    assert await store.heads(HeadQuery(scope=everybody)) == []
    assert await actions(store) == ["access.change"]


@ensureDeferred
async def test_acc93_a_flow_that_replaces_a_deleted_one_has_its_own_owner(
    store: IFlowStore,
) -> None:
    await keep(store, "f")
    await store.access.change("f", to(ALL), audited())
    await store.delete("f", T0 + 9)
    await store.create("f", "e2", T0 + 10, replace_deleted=True, owner="new")
    assert await store.access.read(["f"]) == {"f": FlowAccess("new")}
    assert await store.access.find_link("L1") is None


@ensureDeferred
async def test_acc93_a_new_epoch_leaves_it(store: IFlowStore) -> None:
    head = await store.create("f", "e1", T0)
    await store.access.change("f", to(ALL), audited())
    await store.renew_epoch("f", "e1", 0, head.chain, "e2")
    await store.renew_epochs("e3")
    assert await store.access.read(["f"]) == {"f": ALL}


@ensureDeferred
async def test_acc93_it_is_durable(lasting_place: Place) -> None:
    store = lasting_place.store()
    await store.start()
    await keep(store, "f")
    await store.access.change("f", to(ALL), audited())
    await store.stop()
    store = lasting_place.store()
    await store.start()
    assert await store.access.read(["f"]) == {"f": ALL}
    assert await actions(store) == ["access.change"]
    await store.access.audit(audited("more"))
    assert [entry.number for entry in await store.access.audited(None, 9)] == [2, 1]
    await store.stop()


# Links.


@ensureDeferred
async def test_acc90_a_link_leads_to_its_flow(store: IFlowStore) -> None:
    await keep(store, "f")
    await keep(store, "g")
    await give(store, "f", links={"L1": LINK})
    await give(store, "g", links={"L2": Link("L2", Role.VIEWER, b"x", T0)}, owner="L3")
    assert await store.access.find_link("L1") == ("f", LINK)
    assert await store.access.find_link("L2") == ("g", Link("L2", Role.VIEWER, b"x", T0))
    for unknown in ("L3", "", "L", "l1", ODD, "L1\0"):
        assert await store.access.find_link(unknown) is None
    await store.delete("f", T0)
    assert await store.access.find_link("L1") is None
    await store.undelete("f")
    assert await store.access.find_link("L1") == ("f", LINK)
    await give(store, "f", links={})
    assert await store.access.find_link("L1") is None


# Lists.


@pytest.mark.parametrize(
    ("few", "listed_flows", "sought"),
    [(0, 0, 0), (0, 0, 64), (0, 1000, 64), (2, 3, 1), (99, 99, 9)],
)
@ensureDeferred
async def test_acc94_a_list_has_the_flows_of_subjects(
    store: IFlowStore, monkeypatch: pytest.MonkeyPatch, few: int, listed_flows: int, sought: int
) -> None:
    for module in (sqlite_reads, postgresql_queries):
        monkeypatch.setattr(module, "FEW_FLOWS", few)
        monkeypatch.setattr(module, "LISTED_FLOWS", listed_flows)
        monkeypatch.setattr(module, "SOUGHT_SUBJECTS", sought)
    for n, name in enumerate("abcdefg"):
        await store.create(name, "e1", T0 + n, [], Summary(f"flow {n}", "", n))
    await give(store, "a", owner="ada")
    await give(store, "b", members={"ada": Grant(Role.VIEWER), ODD: Grant(Role.EDITOR)})
    await give(store, "c", groups={"staff": Grant(Role.PROPOSER)})
    await give(store, "d", general=GeneralAccess(Audience.SIGNED_IN, Role.EDITOR))
    await give(store, "e", general=GeneralAccess(Audience.LINK, Role.EDITOR))
    await give(store, "f", owner="eve", members={"ada": Grant(Role.EDITOR)})
    own = [owner_subject("ada"), member_subject("ada")]
    ada = [*own, group_subject("staff"), SIGNED_IN]

    async def listed(scope: Scope | None, **query: Any) -> str:
        heads = await store.heads(HeadQuery(scope=scope, **query))
        return "".join(head.flow_id for head in heads)

    assert await listed(Scope.of([], [], ada)) == "fdcba"
    assert await listed(Scope.of([], [], own)) == "fba"
    assert await listed(Scope.of([], [], [member_subject(ODD)])) == "b"
    assert await listed(Scope.of([], [], [member_subject("a")])) == ""
    assert await listed(Scope.of(["g", "f", "none"], ["e"], ada)) == "gfedcba"
    assert await listed(Scope.of(["g"], ["a"], ["m:none", "m:\ud800"])) == "ga"
    for least, expected in [(2, "fdca"), (3, "fdca"), (4, "fda"), (5, "a")]:
        assert await listed(Scope.of([], [], ada, least)) == expected
    assert await listed(Scope.of(["b"], [], ada, 5)) == "ba"
    everything = Scope.of(["g"], ["e"], ada)
    assert await listed(everything, limit=2) == "gf"
    assert await listed(everything, before=(T0 + 5, "f")) == "edcba"
    assert await listed(everything, text="FLOW", nodes=(1, 3), brief=True) == "dcb"
    assert await listed(everything, updated=(T0 + 4, None)) == "gfe"
    await store.delete("f", T0)
    assert await listed(everything) == "gedcba"
    assert await listed(everything, deleted=True) == "f"
    assert await listed(Scope.of([], [], ada, 5), deleted=True) == ""


@ensureDeferred
async def test_acc94_somebody_may_be_in_thousands_of_groups(store: IFlowStore) -> None:
    await keep(store, "f")
    await give(store, "f", groups={"g7": Grant(Role.VIEWER)})
    groups = [group_subject(f"g{n}") for n in range(3000)]
    found = await store.heads(HeadQuery(scope=Scope.of([], [], groups)))
    assert [head.flow_id for head in found] == ["f"]


# The audit log.


def numbers(entries: list[AuditEntry]) -> list[int]:
    return [entry.number for entry in entries]


@ensureDeferred
async def test_acc95_it_says_who_did_what_and_when(store: IFlowStore) -> None:
    kept = [
        AuditEntry(0, T0 + 0.125, "link.create", ODD, "key:x", Actor(ODD, "guest", ODD), b"[1]"),
        AuditEntry(0, T0, "key.revoke"),
        AuditEntry(0, T0, "sign_in.end", "", "session:y", ADA),
    ]
    for entry in kept:
        await store.access.audit(entry)
    found = await store.access.audited(None, 10)
    assert [attrs_of(entry) for entry in found] == [attrs_of(entry) for entry in kept[::-1]]
    assert numbers(found) == sorted(numbers(found), reverse=True)
    assert found[0].number > found[1].number > found[2].number > 0


def attrs_of(entry: AuditEntry) -> tuple[Any, ...]:
    """All but the number."""
    actor = entry.actor
    return (entry.at, entry.action, entry.flow_id, entry.credential, actor, entry.details)


@ensureDeferred
async def test_acc95_it_is_read_by_pages(store: IFlowStore) -> None:
    for n in range(5):
        await store.access.audit(audited(f"a{n}"))
    first = await store.access.audited(None, 2)
    assert [entry.action for entry in first] == ["a4", "a3"]
    second = await store.access.audited(first[-1].number, 2)
    assert [entry.action for entry in second] == ["a2", "a1"]
    third = await store.access.audited(second[-1].number, 2)
    assert [entry.action for entry in third] == ["a0"]
    assert await store.access.audited(third[-1].number, 2) == []


@ensureDeferred
async def test_acc95_a_change_is_in_it(store: IFlowStore) -> None:
    await keep(store, "f")
    await give(store, "f", owner="ada")
    [entry] = await store.access.audited(None, 9)
    assert attrs_of(entry) == attrs_of(audited())


@ensureDeferred
async def test_acc95_the_newest_stay(store: IFlowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (memory_access, postgresql_audit, sqlite_audit):
        monkeypatch.setattr(module, "KEPT_AUDIT", 3)
    for n in range(8):
        await store.access.audit(audited(f"a{n}"))
    assert (await actions(store))[:3] == ["a7", "a6", "a5"]
    assert len(await actions(store)) == 3


@ensureDeferred
async def test_acc96_changes_are_told_in_order(store: IFlowStore) -> None:
    assert await store.access.changes(None, 9) == []
    assert await store.access.changes(0, 9) == []
    for n in range(4):
        await store.access.audit(audited(f"a{n}"))
    [newest] = await store.access.changes(None, 9)
    assert newest.action == "a3"
    assert await store.access.changes(newest.number, 9) == []
    assert [one.action for one in await store.access.changes(0, 9)] == ["a0", "a1", "a2", "a3"]
    some = await store.access.changes(0, 3)
    assert [one.action for one in some] == ["a0", "a1", "a2"]
    await keep(store, "f")
    await give(store, "f", owner="ada")
    rest = await store.access.changes(some[-1].number, 9)
    assert [one.action for one in rest] == ["a3", "access.change"]
    assert numbers(rest) == sorted(numbers(rest))


@ensureDeferred
async def test_acc96_none_comes_later_with_a_smaller_number(store: IFlowStore) -> None:
    for name in "fghij":
        await keep(store, name)
    seen: list[AuditEntry] = []
    newest = 0
    waiting = []
    for n in range(60):
        name = "fghij"[n % 5]
        waiting.append(store.access.audit(audited(f"a{n}")))
        waiting.append(give(store, name, owner=f"o{n}"))
        more = await store.access.changes(newest, 1000)
        assert all(one.number > newest for one in more)
        newest = more[-1].number if more else newest
        seen += more
    await gatherResults(waiting)
    seen += await store.access.changes(newest, 1000)
    assert numbers(seen) == numbers((await store.access.audited(None, 1000))[::-1])
    assert len(seen) == 120
