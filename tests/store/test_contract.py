"""What every store does. (docs/spec.md, STO)"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from zope.interface.verify import verifyObject

from helix.errors import (
    DuplicateOperation,
    FlowDeleted,
    FlowExists,
    FlowNotFound,
    HelixError,
    StoreUnavailable,
    TooManyNames,
    VersionConflict,
    VersionNotFound,
    VersionNotNamed,
)
from helix.interfaces import IFlowStore
from helix.records import (
    LISTED_DESCRIPTION,
    LISTED_TITLE,
    Actor,
    Author,
    Entry,
    FlowHead,
    HeadQuery,
    LogEnd,
    NamedVersion,
    Scope,
    StoredFlow,
    Summary,
)
from helix.store.postgresql import queries as postgresql_queries
from helix.store.rules import (
    KEPT_BYTES,
    KEPT_DISTANCE,
    MAX_NAMED_VERSIONS,
    PAGE_BYTES,
    RECENT_ENTRIES,
)
from helix.store.sqlite import reads as sqlite_reads
from tests.store.data import T0, add, chain_at, entries, entry, head_at, keep, take_snapshot
from tests.store.places import Place

SUMMARY = Summary("Orders", "From the shop to the books", 3, 2)

# What a text may hold that a column, a separator or a pattern might not.
ODD_TEXT = "a\0b\n%_\\'\"\t\u2028\U0001f600 \x7f"


async def refused(error: type[HelixError], asked: Awaitable[Any]) -> None:
    """Await exactly this error."""
    with pytest.raises(error) as caught:
        await asked
    assert type(caught.value) is error


async def outcomes(asked: list[Deferred[None]]) -> list[Any]:
    """Give what each came to: its result, or the class of its error."""
    results = await DeferredList(asked, consumeErrors=True)
    return [result if succeeded else result.type for succeeded, result in results]


def test_sto1_it_has_what_the_interface_names(place: Place) -> None:
    assert verifyObject(IFlowStore, place.store())


# A new log.


@ensureDeferred
async def test_sto2_a_new_flow_is_empty(store: IFlowStore) -> None:
    head = await store.create("f", "e1", T0)
    assert head == head_at("f", "e1", 0, Summary(), T0, T0)
    assert await store.head("f") == head
    assert await store.load("f") == StoredFlow(head, 0, None, [])


@ensureDeferred
async def test_sto2_a_new_flow_may_have_entries(store: IFlowStore) -> None:
    log = [entry(1, ("c", 7)), entry(2)]
    head = await store.create("f", "e1", T0, log, SUMMARY)
    assert head == head_at("f", "e1", 2, SUMMARY, T0, log[-1].at)
    assert await store.load("f") == StoredFlow(head, 0, None, log)
    assert await store.newest_op("f", "e1", "c") == 7


@ensureDeferred
async def test_sto2_a_flow_is_created_once(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, 2))
    before = await store.load("f")
    await refused(FlowExists, store.create("f", "e2", T0))
    await refused(FlowExists, store.create("f", "e2", T0, replace_deleted=True))
    assert await store.load("f") == before


@ensureDeferred
async def test_sto2_a_log_that_repeats_an_operation_is_not_begun(store: IFlowStore) -> None:
    log = [entry(1, ("c", 1)), entry(2, ("c", 1))]
    await refused(DuplicateOperation, store.create("f", "e1", T0, log))
    await refused(FlowNotFound, store.head("f"))
    await keep(store, "f", log[:1])
    assert (await store.load("f")).entries == log[:1]


@ensureDeferred
async def test_sto2_a_deleted_flow_gives_way_only_when_told_to(store: IFlowStore) -> None:
    await store.create("f", "e1", T0, [entry(1, ("c", 1)), entry(2)], SUMMARY)
    await take_snapshot(store, "f", "e1", 2, b"{}")
    await store.delete("f", T0 + 9)
    await refused(FlowDeleted, store.create("f", "e2", T0 + 10))
    assert (await store.head("f")).epoch == "e1"
    head = await store.create("f", "e2", T0 + 10, replace_deleted=True)
    assert head == head_at("f", "e2", 0, Summary(), T0 + 10, T0 + 10)
    assert await store.load("f") == StoredFlow(head, 0, None, [])
    # Nothing of the old log can be reached, nor is it in the way.
    await refused(FlowNotFound, store.entries("f", "e1", 0, 10))
    assert await store.find("f", "e1", "c", [1]) == []
    assert await store.snapshot_versions("f", "e2") == []
    await add(store, "f", "e2", 0, [entry(1, ("c", 1))], Summary())
    assert await store.find("f", "e2", "c", [1]) == [entry(1, ("c", 1))]


@ensureDeferred
async def test_sto2_a_deleted_flow_stays_when_the_new_log_is_refused(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, 3))
    deleted = await store.delete("f", T0 + 9)
    log = [entry(1, ("c", 1)), entry(2, ("c", 1))]
    await refused(DuplicateOperation, store.create("f", "e2", T0, log, replace_deleted=True))
    assert await store.load("f") == StoredFlow(deleted, 0, None, entries(1, 3))


# Appending.


@ensureDeferred
async def test_nod8_it_tells_how_far_logs_have_come(store: IFlowStore) -> None:
    assert await store.ends([]) == {}
    await keep(store, "f", entries(1, 2))
    await store.create("g\x1a\U0001f600", "e2", T0)
    await keep(store, "h", entries(1, 3))
    await store.delete("h", T0)
    await keep(store, "other")
    asked = ["h", "nowhere", "f", "g\x1a\U0001f600", "f"]
    assert await store.ends(asked) == {
        "f": LogEnd("e1", 2, chain_at(2), is_deleted=False),
        "g\x1a\U0001f600": LogEnd("e2", 0, chain_at(0, "e2"), is_deleted=False),
        "h": LogEnd("e1", 3, chain_at(3), is_deleted=True),
    }
    await add(store, "f", "e1", 2, entries(3, 4), SUMMARY)
    assert (await store.ends(["f"]))["f"].version == 4


@ensureDeferred
async def test_sto3_an_append_moves_the_head(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, 2))
    assert await add(store, "f", "e1", 2, entries(3, 5), SUMMARY) is None
    head = head_at("f", "e1", 5, SUMMARY, T0, T0 + 5)
    assert await store.head("f") == head
    assert await store.load("f") == StoredFlow(head, 0, None, entries(1, 5))
    again = Summary("Orders", "Changed", 4, 2)
    await add(store, "f", "e1", 5, entries(6, 6), again)
    assert await store.head("f") == head_at("f", "e1", 6, again, T0, T0 + 6)


@pytest.mark.parametrize(("epoch", "base"), [("e1", 1), ("e1", 3), ("e1", 0), ("e2", 2)])
@ensureDeferred
async def test_sto3_an_append_to_another_version_or_epoch_conflicts(
    store: IFlowStore, epoch: str, base: int
) -> None:
    await keep(store, "f", entries(1, 2))
    before = await store.load("f")
    await refused(
        VersionConflict, add(store, "f", epoch, base, entries(base + 1, base + 2), SUMMARY)
    )
    assert await store.load("f") == before
    await add(store, "f", "e1", 2, entries(3, 3), SUMMARY)


@ensureDeferred
async def test_sto3_an_append_needs_a_flow(store: IFlowStore) -> None:
    await refused(FlowNotFound, add(store, "f", "e1", 0, entries(1, 1), SUMMARY))
    await refused(FlowNotFound, store.head("f"))
    await keep(store, "f")
    await store.delete("f", T0)
    await refused(FlowDeleted, add(store, "f", "e1", 0, entries(1, 1), SUMMARY))
    assert (await store.load("f")).entries == []


@ensureDeferred
async def test_sto3_of_two_appends_at_once_one_is_first(store: IFlowStore) -> None:
    await keep(store, "f")
    results = await outcomes(
        [add(store, "f", "e1", 0, [entry(1, (name, 1))], Summary(name)) for name in "abcd"]
    )
    won = [name for name, result in zip("abcd", results, strict=True) if result is None]
    assert [result for result in results if result is not None] == [VersionConflict] * 3
    assert (await store.load("f")).entries == [entry(1, (won[0], 1))]
    assert (await store.head("f")).summary == Summary(won[0])


@ensureDeferred
async def test_sto3_appends_that_wait_in_a_row_build_on_each_other(store: IFlowStore) -> None:
    await keep(store, "f")
    await gatherResults(
        [add(store, "f", "e1", n, entries(n + 1, n + 1), Summary("t", "", n)) for n in range(20)]
    )
    stored = await store.load("f")
    assert (stored.entries, stored.head.summary) == (entries(1, 20), Summary("t", "", 19))


@pytest.mark.parametrize("base", [0, 2])
@ensureDeferred
async def test_sto3_an_append_to_another_past_of_the_same_version_conflicts(
    store: IFlowStore, base: int
) -> None:
    await keep(store, "f", entries(1, base))
    before = await store.load("f")
    for chain in (chain_at(9), b"", chain_at(base)[:-1] + b"?"):
        for added in (entries(base + 1, base + 1), []):
            asked = store.append("f", "e1", base, chain, added, SUMMARY)
            await refused(VersionConflict, asked)
    assert await store.load("f") == before
    await add(store, "f", "e1", base, entries(base + 1, base + 1), SUMMARY)
    assert (await store.head("f")).chain == chain_at(base + 1)


# The names of submissions.


@ensureDeferred
async def test_sto4_an_operation_is_in_a_log_once(store: IFlowStore) -> None:
    await keep(store, "f", [entry(1, ("c", 5)), entry(2, ("d", 1))])
    before = await store.load("f")
    resent = [entry(3), entry(4, ("c", 5)), entry(5)]
    await refused(DuplicateOperation, add(store, "f", "e1", 2, resent, SUMMARY))
    twice = [entry(3, ("c", 6)), entry(4, ("c", 6))]
    await refused(DuplicateOperation, add(store, "f", "e1", 2, twice, SUMMARY))
    assert await store.load("f") == before
    await add(store, "f", "e1", 2, [entry(3, ("c", 6)), entry(4, ("c", 2))], SUMMARY)
    await add(store, "f", "e1", 4, [entry(5), entry(6)], SUMMARY)
    assert (await store.head("f")).version == 6


@ensureDeferred
async def test_sto4_it_is_known_what_a_submission_became(store: IFlowStore) -> None:
    log = [entry(1, ("c", 5)), entry(2, ("c", 2)), entry(3, ("d", 9)), entry(4)]
    await keep(store, "f", log)
    await keep(store, "g", [entry(1, ("c", 77))])
    assert await store.find("f", "e1", "c", [2]) == log[1:2]
    assert await store.find("f", "e1", "c", [2, 77, 9, 5, 2]) == log[:2]
    assert await store.find("f", "e1", "c", []) == []
    assert await store.newest_op("f", "e1", "c") == 5
    assert await store.newest_op("f", "e1", "d") == 9
    for nobody in [("f", "e1", "x"), ("f", "e2", "c"), ("x", "e1", "c")]:
        assert await store.find(*nobody, [5]) == []
        assert await store.newest_op(*nobody) is None


# Many flows at once.


@ensureDeferred
async def test_sto5_an_append_that_is_refused_fails_alone(store: IFlowStore) -> None:
    names = [f"flow {n}" for n in range(30)]
    await gatherResults([store.create(name, "e1", T0, [entry(1, ("c", 1))]) for name in names])
    await store.delete(names[2], T0)
    asked = []
    for n, name in enumerate(names):
        base, op = (7, 2) if n % 3 == 0 else (1, 1) if n % 3 == 1 else (1, 2)
        log = [entry(base + 1, ("c", op)), entry(base + 2)]
        asked.append(add(store, name, "e1", base, log, Summary(name)))
    results = await outcomes(asked)
    expected = [VersionConflict, DuplicateOperation, None] * 10
    expected[2] = FlowDeleted
    assert results == expected
    for name, outcome in zip(names, results, strict=True):
        stored = await store.load(name)
        assert stored.head.version == len(stored.entries) == (3 if outcome is None else 1)
        assert stored.head.summary == (Summary(name) if outcome is None else Summary())


# Loading.


@ensureDeferred
async def test_sto6_a_load_is_the_newest_snapshot_and_what_follows(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, 9))
    await take_snapshot(store, "f", "e1", 4, b'{"at":4}')
    await take_snapshot(store, "f", "e1", 7, b'{"at":7}')
    head = await store.head("f")
    assert await store.load("f") == StoredFlow(head, 7, b'{"at":7}', entries(8, 9))
    assert await store.load("f", 9) == await store.load("f")
    assert await store.load("f", 7) == StoredFlow(head, 7, b'{"at":7}', [])
    assert await store.load("f", 6) == StoredFlow(head, 4, b'{"at":4}', entries(5, 6))
    assert await store.load("f", 3) == StoredFlow(head, 0, None, entries(1, 3))
    assert await store.load("f", 0) == StoredFlow(head, 0, None, [])


@ensureDeferred
async def test_sto6_what_the_log_does_not_reach_is_not_loaded(store: IFlowStore) -> None:
    await refused(FlowNotFound, store.load("f"))
    await refused(FlowNotFound, store.load("f", 0))
    await keep(store, "f", entries(1, 3))
    for version in (4, 2**62, -1):
        await refused(VersionNotFound, store.load("f", version))


@ensureDeferred
async def test_sto6_entries_are_read_in_pages(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, 7))
    assert await store.entries("f", "e1", 0, 3) == entries(1, 3)
    assert await store.entries("f", "e1", 3, 3) == entries(4, 6)
    assert await store.entries("f", "e1", 6, 3) == entries(7, 7)
    assert await store.entries("f", "e1", 7, 3) == []
    assert await store.entries("f", "e1", 99, 3) == []
    await refused(FlowNotFound, store.entries("f", "e2", 0, 3))
    await refused(FlowNotFound, store.entries("x", "e1", 0, 3))


@ensureDeferred
async def test_sto6_a_long_log_is_read_whole_and_in_order(store: IFlowStore) -> None:
    await keep(store, "f")
    for base in range(0, 6000, 1500):
        await add(store, "f", "e1", base, entries(base + 1, base + 1500), SUMMARY)
    assert (await store.load("f")).entries == entries(1, 6000)
    assert await store.entries("f", "e1", 10, 5000) == entries(11, 5010)


@ensureDeferred
async def test_sto6_large_entries_are_read_as_small_ones_are(store: IFlowStore) -> None:
    # More than a store should ask its database for at once.
    sizes = [10, 6_000_000, 10, 3_000_000, 3_000_000, *[50_000] * 200, 10]
    log = [
        Entry(version, b'{"a":"%b"}' % (b"\\n" * (size // 2)), T0 + version)
        for version, size in enumerate(sizes, 1)
    ]
    await keep(store, "f", log)
    assert (await store.load("f")).entries == log
    assert await store.entries("f", "e1", 1, 3) == log[1:2]


@ensureDeferred
async def test_sto8_brief_lists_cut_what_is_long(store: IFlowStore) -> None:
    long = "\x1a\u00e4" * 600
    await keep(store, "f", entries(1, 1), Summary(long, long))
    await keep(store, "g", entries(1, 1), Summary("title", "description"))
    brief = {one.flow_id: one.summary for one in await store.heads(HeadQuery(brief=True))}
    assert brief["g"] == Summary("title", "description")
    cut = brief["f"]
    assert long.startswith(cut.title)
    assert long.startswith(cut.description)
    # A store may count a character that it has to write as two.
    assert LISTED_TITLE / 2 <= len(cut.title) <= LISTED_TITLE
    assert LISTED_DESCRIPTION / 2 <= len(cut.description) <= LISTED_DESCRIPTION
    (whole,) = await store.heads(HeadQuery(text="\u00e4"))
    assert whole.summary == Summary(long, long)


@ensureDeferred
async def test_sto23_a_page_of_entries_ends_by_bytes(store: IFlowStore) -> None:
    sizes = [10, PAGE_BYTES // 2, PAGE_BYTES // 2 - 100, 10, 3 * PAGE_BYTES, 10, *[1000] * 100]
    log = [
        Entry(version, b'{"a":"%b"}' % (b"x" * size), T0 + version)
        for version, size in enumerate(sizes, 1)
    ]
    await keep(store, "f", log)
    after, ends = 0, []
    while page := await store.entries("f", "e1", after, 1000):
        assert page == log[after : after + len(page)]
        assert len(page) == 1 or sum(len(entry.patch) for entry in page) <= PAGE_BYTES
        after = page[-1].version
        ends.append(after)
    assert ends == [4, 5, len(log)]
    assert await store.entries("f", "e1", 4, 1) == log[4:5]
    assert (await store.load("f")).entries == log


@ensureDeferred
async def test_sto6_a_load_beside_writes_is_of_one_moment(store: IFlowStore) -> None:
    await keep(store, "f")
    asked: list[Deferred[Any]] = []
    loads = []
    for base in range(0, 200, 2):
        summary = Summary(str(base + 2))
        asked.append(add(store, "f", "e1", base, entries(base + 1, base + 2), summary))
        asked.append(take_snapshot(store, "f", "e1", base + 2, b"{}"))
        loads.append(store.load("f"))
    for stored in await gatherResults(loads):
        version = stored.head.version
        assert stored.head.summary == (Summary(str(version)) if version else Summary())
        assert stored.entries == entries(stored.snapshot_version + 1, version)
    await gatherResults(asked)


# Snapshots.


@ensureDeferred
async def test_sto7_a_snapshot_is_kept_once(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, 3))
    await take_snapshot(store, "f", "e1", 2, b'"first"')
    await take_snapshot(store, "f", "e1", 2, b'"second"')
    assert (await store.load("f")).snapshot == b'"first"'
    assert await store.snapshot_versions("f", "e1") == [2]
    await take_snapshot(store, "f", "e2", 3, b'"another log"')
    await take_snapshot(store, "x", "e1", 3, b'"no log"')
    assert await store.snapshot_versions("f", "e1") == [2]
    await refused(FlowNotFound, store.snapshot_versions("f", "e2"))
    await refused(FlowNotFound, store.snapshot_versions("x", "e1"))


@ensureDeferred
async def test_sto7_old_snapshots_are_thinned_out(store: IFlowStore) -> None:
    far = KEPT_DISTANCE
    newest = 2 * far + 6 + RECENT_ENTRIES
    await keep(store, "f", entries(1, newest))
    for version in (500, far, far + 1, 2 * far - 1, 2 * far + 5):
        await take_snapshot(store, "f", "e1", version, b"{}")
    assert await store.snapshot_versions("f", "e1") == [far, 2 * far - 1, 2 * far + 5]
    await take_snapshot(store, "f", "e1", newest, b"{}")
    assert await store.snapshot_versions("f", "e1") == [far, 2 * far + 5, newest]


@ensureDeferred
async def test_sto7_snapshots_are_thinned_out_by_bytes(store: IFlowStore) -> None:
    """Between two of them are no more than so many bytes of patches, and those of one step."""
    large, count = KEPT_BYTES // 4, 10
    log = [
        Entry(
            version,
            b'{"a":"%b"}' % (b"x" * (large if version <= count else 1)),
            T0 + version,
            chain=chain_at(version),
        )
        for version in range(1, count + RECENT_ENTRIES + 2)
    ]
    await keep(store, "f", log)
    for version in range(1, count + 1):
        await take_snapshot(store, "f", "e1", version, b"{}")
    assert await store.snapshot_versions("f", "e1") == list(range(1, count + 1))
    await take_snapshot(store, "f", "e1", log[-1].version, b"{}")
    assert await store.snapshot_versions("f", "e1") == [4, 8, log[-1].version]


@ensureDeferred
async def test_chn6_a_snapshot_of_another_past_is_not_kept(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, 3))
    for version in (0, 1, 3):
        await store.snapshot("f", "e1", version, chain_at(7), b"{}")
    for version in (-1, 4):
        await take_snapshot(store, "f", "e1", version, b"{}")
    assert await store.snapshot_versions("f", "e1") == []
    for version in (0, 1, 3):
        await take_snapshot(store, "f", "e1", version, b"{}")
    assert await store.snapshot_versions("f", "e1") == [0, 1, 3]


# Another epoch.


@ensureDeferred
async def test_chn4_a_log_goes_on_under_another_epoch(store: IFlowStore) -> None:
    log = [entry(1, ("c", 1)), entry(2)]
    await store.create("f", "e1", T0, log, SUMMARY)
    await take_snapshot(store, "f", "e1", 1, b"{}")
    await keep(store, "other", entries(1, 2))
    before = await store.load("f")
    assert await store.renew_epoch("f", "e1", 2, chain_at(2), "e2") is None
    renewed = msgspec.structs.replace(before.head, epoch="e2")
    assert await store.load("f") == msgspec.structs.replace(before, head=renewed)
    assert (await store.head("other")).epoch == "e1"
    await refused(FlowNotFound, store.entries("f", "e1", 0, 9))
    assert await store.find("f", "e2", "c", [1]) == log[:1]
    await refused(VersionConflict, add(store, "f", "e1", 2, entries(3, 3), SUMMARY))
    await store.append("f", "e2", 2, chain_at(2), entries(3, 3), SUMMARY)
    assert (await store.head("f")).chain == chain_at(3)


@pytest.mark.parametrize("base", [("e1", 1, 2), ("e1", 2, 1), ("e1", 3, 2), ("e2", 2, 2)], ids=str)
@ensureDeferred
async def test_chn4_a_log_that_is_elsewhere_keeps_its_epoch(
    store: IFlowStore, base: tuple[str, int, int]
) -> None:
    await keep(store, "f", entries(1, 2))
    before = await store.load("f")
    epoch, version, chained = base
    asked = store.renew_epoch("f", epoch, version, chain_at(chained), "e3")
    await refused(VersionConflict, asked)
    assert await store.load("f") == before
    await refused(FlowNotFound, store.renew_epoch("x", "e1", 2, chain_at(2), "e3"))
    await store.delete("f", T0)
    await refused(FlowDeleted, store.renew_epoch("f", "e1", 2, chain_at(2), "e3"))


@ensureDeferred
async def test_chn4_of_two_who_renew_an_epoch_one_is_first(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, 2))
    asked = [store.renew_epoch("f", "e1", 2, chain_at(2), name) for name in ("e2", "e3")]
    came = await outcomes(asked)
    assert sorted(came, key=str) == [VersionConflict, None]
    assert (await store.head("f")).epoch == ("e2" if came[0] is None else "e3")


# Listing.


@ensureDeferred
async def test_sto8_flows_are_listed_newest_change_first(store: IFlowStore) -> None:
    names = ["b", "a", "\u00e9", "Z", "\U0001f600", "\uffee"]
    await gatherResults([store.create(name, "e1", T0) for name in names])
    await store.create("older", "e1", T0 - 5, [], SUMMARY)
    await add(store, "b", "e1", 0, entries(1, 1), SUMMARY)
    found = await store.heads(HeadQuery())
    order = ["b", "\U0001f600", "\uffee", "\u00e9", "a", "Z", "older"]
    assert [head.flow_id for head in found] == order
    for head in (found[0], found[-1]):
        assert head == msgspec.structs.replace(await store.head(head.flow_id), chain=b"")
    pages: list[FlowHead] = []
    before = None
    while page := await store.heads(HeadQuery(limit=2, before=before)):
        assert len(page) == 2 or len(pages) + len(page) == len(order)
        pages += page
        before = (page[-1].updated_at, page[-1].flow_id)
    assert pages == found


@ensureDeferred
async def test_sto8_a_page_of_close_times_leaves_none_out(store: IFlowStore) -> None:
    times = [T0, T0 + 2**-22, T0 + 1e-6, T0 + 0.1, T0 + 1 / 3]
    for n, at in enumerate(times):
        await store.create(f"f{n}", "e1", at)
    found: list[FlowHead] = []
    while page := await store.heads(
        HeadQuery(limit=1, before=(found[-1].updated_at, found[-1].flow_id) if found else None)
    ):
        found += page
    assert [head.updated_at for head in found] == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["5", "4", "3", "2", "1"]),
        ("STRASSE", ["2"]),
        ("stra\u00dfe", ["2"]),
        ("\u0130", ["3"]),
        ("50%", ["1"]),
        ("0_a", ["1"]),
        ("%", ["1"]),
        ("_", ["1"]),
        ("c:\\d", ["4"]),
        ("3", ["3"]),
        ("books", ["5"]),
        ("e\nf", ["4"]),
        ("\n", ["4"]),
        ("nowhere", []),
        ("5orders", []),
        ("5\norders", []),
        ("'; --", []),
    ],
)
@ensureDeferred
async def test_sto8_a_search_finds_text_in_any_case(
    store: IFlowStore, text: str, expected: list[str]
) -> None:
    summaries = [
        Summary("50% of 100_A"),
        Summary("Hauptstra\u00dfe"),
        Summary("", "\u0130stanbul"),
        Summary("C:\\dir", "e\nf"),
        SUMMARY,
    ]
    for n, summary in enumerate(summaries, 1):
        await store.create(str(n), "e1", T0 + n, [], summary)
    found = await store.heads(HeadQuery(text))
    assert [head.flow_id for head in found] == expected


@ensureDeferred
async def test_sto8_a_search_knows_the_newest_text(store: IFlowStore) -> None:
    await store.create("f", "e1", T0, [], SUMMARY)
    await add(store, "f", "e1", 0, entries(1, 1), Summary("Invoices"))
    assert await store.heads(HeadQuery("orders")) == []
    assert [head.flow_id for head in await store.heads(HeadQuery("INVOICES"))] == ["f"]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({}, ["4", "3", "2", "1", "0"]),
        ({"nodes": (2, None)}, ["4", "3", "2"]),
        ({"nodes": (None, 2)}, ["2", "1", "0"]),
        ({"nodes": (1, 3), "edges": (None, 4)}, ["2", "1"]),
        ({"edges": (8, 8)}, ["4"]),
        ({"updated": (T0 + 2, None)}, ["4", "3", "2"]),
        ({"updated": (None, T0 + 2)}, ["1", "0"]),
        ({"updated": (T0 + 1, T0 + 2), "nodes": (5, None)}, []),
        ({"text": "flow 3", "nodes": (3, 3)}, ["3"]),
        ({"nodes": (9007199254740992, None)}, []),
        ({"limit": 1, "before": (T0 + 3, "3"), "nodes": (2, None)}, ["2"]),
    ],
)
@ensureDeferred
async def test_sto8_a_list_keeps_to_counts_and_times(
    store: IFlowStore, bounds: dict[str, Any], expected: list[str]
) -> None:
    for n in range(5):
        await store.create(f"{n}", "e1", T0 + n, [], Summary(f"flow {n}", "", n, 2 * n))
    found = await store.heads(HeadQuery(**bounds))
    assert [head.flow_id for head in found] == expected


@ensureDeferred
async def test_sto8_deleted_flows_are_listed_apart(store: IFlowStore) -> None:
    for name in "abc":
        await keep(store, name)
    await store.delete("b", T0 + 1)
    assert [head.flow_id for head in await store.heads(HeadQuery())] == ["c", "a"]
    assert [head.flow_id for head in await store.heads(HeadQuery(deleted=True))] == ["b"]
    assert await store.heads(HeadQuery("a", deleted=True)) == []


SCOPED = ["a", "a/1", "a/2", "a/\U0001f600", "a0", "ab", "b", "team-\ud7ff", "team-\ue000", "z"]


@pytest.mark.parametrize(
    ("ids", "prefixes", "expected"),
    [
        ([], [], []),
        (["a", "z", "none"], [], ["z", "a"]),
        ([], ["a/"], ["a/\U0001f600", "a/2", "a/1"]),
        ([], ["a/", "a", "ab"], ["ab", "a0", "a/\U0001f600", "a/2", "a/1", "a"]),
        (
            ["b", "a/1"],
            ["a/", "team"],
            ["team-\ue000", "team-\ud7ff", "b", "a/\U0001f600", "a/2", "a/1"],
        ),
        ([], ["team-\ud7ff"], ["team-\ud7ff"]),
        ([], ["\U0010ffff"], []),
        (["a_1", "%"], ["a%", "A/"], []),
        (["\ud800"], ["a\udfff"], []),
        (["b\0"], ["a\0", "z\0x"], []),
        (["b"], [""], SCOPED[::-1]),
    ],
)
@pytest.mark.parametrize("few", [0, 2, 1000])
@ensureDeferred
async def test_acc45_a_list_keeps_to_a_scope(
    store: IFlowStore,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    ids: list[str],
    prefixes: list[str],
    expected: list[str],
) -> None:
    for module in (sqlite_reads, postgresql_queries):
        monkeypatch.setattr(module, "FEW_FLOWS", few)
    for n, name in enumerate(SCOPED):
        await store.create(name, "e1", T0 + n, [], Summary(f"flow {n}", "", n))
    scope = Scope.of(ids, prefixes)

    async def listed(**query: Any) -> list[str]:
        return [head.flow_id for head in await store.heads(HeadQuery(scope=scope, **query))]

    assert await listed() == expected
    for brief in (False, True):
        assert await listed(brief=brief, text="FLOW", limit=2) == expected[:2]
    odd = [name for name in expected if SCOPED.index(name) % 2]
    assert await listed(text="flow", nodes=(1, 1)) == [name for name in odd if name == "a/1"]
    assert await listed(updated=(T0 + 5, None)) == [
        name for name in expected if SCOPED.index(name) >= 5
    ]
    pages: list[str] = []
    before = None
    while page := await store.heads(HeadQuery(limit=1, before=before, scope=scope)):
        pages += [head.flow_id for head in page]
        before = (page[-1].updated_at, page[-1].flow_id)
    assert pages == expected
    gone = odd[:1]
    for name in gone:
        await store.delete(name, T0 + 99)
    assert await listed(deleted=True) == gone
    assert await listed() == [name for name in expected if name not in gone]


@ensureDeferred
async def test_acc45_a_scope_may_be_of_thousands(store: IFlowStore) -> None:
    await store.create("f", "e1", T0)
    await store.create("p7/f", "e1", T0 + 1)
    await store.create("g", "e1", T0 + 2)
    names = [f"f{n}" for n in range(5000)]
    scope = Scope.of(["f", *names], [f"p{n}/" for n in range(5000)])
    found = await store.heads(HeadQuery(scope=scope))
    assert [head.flow_id for head in found] == ["p7/f", "f"]


# Deleting.


@ensureDeferred
async def test_sto9_a_deleted_flow_can_be_read_and_brought_back(store: IFlowStore) -> None:
    await store.create("f", "e1", T0, [entry(1, ("c", 1)), entry(2)], SUMMARY)
    before = await store.load("f")
    deleted = await store.delete("f", T0 + 9)
    assert deleted == msgspec.structs.replace(before.head, deleted_at=T0 + 9)
    assert await store.delete("f", T0 + 10) == deleted
    assert await store.head("f") == deleted
    assert (await store.load("f")).entries == before.entries
    assert await store.entries("f", "e1", 0, 9) == before.entries
    assert await store.undelete("f") == before.head
    assert await store.undelete("f") == before.head
    assert await store.load("f") == before
    await add(store, "f", "e1", 2, entries(3, 3), SUMMARY)


@ensureDeferred
async def test_sto9_a_flow_in_use_is_deleted_and_brought_back(store: IFlowStore) -> None:
    await keep(store, "f")
    for base in range(3):
        await add(store, "f", "e1", base, entries(base + 1, base + 1), SUMMARY)
        await store.delete("f", T0)
        asked = add(store, "f", "e1", base + 1, entries(base + 2, base + 2), SUMMARY)
        await refused(FlowDeleted, asked)
        await store.undelete("f")
    await store.delete("f", T0)
    await store.purge(T0 + 1)
    await refused(FlowNotFound, add(store, "f", "e1", 3, entries(4, 4), SUMMARY))


@ensureDeferred
async def test_sto9_what_is_not_there_is_not_deleted(store: IFlowStore) -> None:
    await refused(FlowNotFound, store.delete("f", T0))
    await refused(FlowNotFound, store.undelete("f"))


@ensureDeferred
async def test_sto9_what_was_deleted_long_ago_is_removed(store: IFlowStore) -> None:
    for n, name in enumerate("abcd"):
        await keep(store, name, [entry(1, ("c", 1)), *entries(2, 50)])
        await take_snapshot(store, name, "e1", 20, b"{}")
        if name != "d":
            await store.delete(name, T0 + n)
    assert await store.purge(T0) == 0
    assert await store.purge(T0 + 2) == 2
    assert await store.purge(T0 + 2) == 0
    for gone in "ab":
        await refused(FlowNotFound, store.load(gone))
        await refused(FlowNotFound, add(store, gone, "e1", 50, entries(51, 51), SUMMARY))
    assert [head.flow_id for head in await store.heads(HeadQuery(deleted=True))] == ["c"]
    assert [head.flow_id for head in await store.heads(HeadQuery())] == ["d"]
    await keep(store, "a", [entry(1, ("c", 1))])
    assert (await store.load("a")).entries == [entry(1, ("c", 1))]


@ensureDeferred
async def test_sto19_all_logs_get_another_epoch(store: IFlowStore) -> None:
    assert await store.renew_epochs("e2") == 0
    for name in ("kept", "deleted", "gone"):
        await keep(store, name, [entry(1, ("c", 1)), entry(2)], SUMMARY)
        await take_snapshot(store, name, "e1", 1, b"{}")
    await store.delete("deleted", T0 + 9)
    await store.delete("gone", T0)
    await store.purge(T0 + 5)
    before = {name: await store.load(name) for name in ("kept", "deleted")}
    assert await store.renew_epochs("e2") == 2
    for name, loaded in before.items():
        head = msgspec.structs.replace(loaded.head, epoch="e2")
        assert await store.load(name) == msgspec.structs.replace(loaded, head=head)
        assert await store.find(name, "e1", "c", [1]) == []
        assert await store.find(name, "e2", "c", [1]) == [entry(1, ("c", 1))]
    await refused(VersionConflict, add(store, "kept", "e1", 2, entries(3, 3), SUMMARY))
    await add(store, "kept", "e2", 2, entries(3, 3), SUMMARY)


@ensureDeferred
async def test_sto19_what_is_appended_meanwhile_is_before_or_after(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, 1))
    asked = [
        add(store, "f", "e1", 1, entries(2, 2), SUMMARY),
        store.renew_epochs("e2"),
        add(store, "f", "e1", 2, entries(3, 3), SUMMARY),
    ]
    first, renewed, last = await outcomes(asked)
    assert renewed == 1
    head = await store.head("f")
    assert head.epoch == "e2"
    assert head.version == 1 + [first, last].count(None)


# Names of versions.


def named(version: int, name: str = "Before the launch", at: float = T0 + 20) -> NamedVersion:
    return NamedVersion(version, name, "Ada", at)


@ensureDeferred
async def test_sto20_versions_are_named_renamed_and_unnamed(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, 3))
    before = await store.load("f")
    assert await store.named_versions("f", "e1") == []
    assert await store.name_version("f", "e1", named(2)) is None
    assert await store.name_version("f", "e1", named(0, "Empty")) is None
    assert await store.name_version("f", "e1", named(3, "Newest")) is None
    again = named(2, "After the launch", T0 + 30)
    assert await store.name_version("f", "e1", again) == named(2)
    listed = [named(3, "Newest"), again, named(0, "Empty")]
    assert await store.named_versions("f", "e1") == listed
    assert await store.unname_version("f", "e1", 3) is None
    assert await store.named_versions("f", "e1") == listed[1:]
    assert await store.load("f") == before


@ensureDeferred
async def test_sto20_a_name_that_is_so_already_stays_with_who_gave_it(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, 1))
    await store.name_version("f", "e1", named(1))
    same = NamedVersion(1, named(1).name, "Grace", T0 + 50)
    assert await store.name_version("f", "e1", same) == named(1)
    assert await store.named_versions("f", "e1") == [named(1)]


@ensureDeferred
async def test_sto20_only_a_version_that_the_log_reaches_is_named(store: IFlowStore) -> None:
    await refused(FlowNotFound, store.name_version("f", "e1", named(0)))
    await keep(store, "f", entries(1, 2))
    for version in (3, 2**53, -1):
        await refused(VersionNotFound, store.name_version("f", "e1", named(version)))
        await refused(VersionNotNamed, store.unname_version("f", "e1", version))
    await refused(VersionNotNamed, store.unname_version("f", "e1", 2))
    assert await store.named_versions("f", "e1") == []


@ensureDeferred
async def test_sto20_names_are_bounded(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, MAX_NAMED_VERSIONS))
    await keep(store, "g", entries(1, 1))
    for first in range(0, MAX_NAMED_VERSIONS, 100):
        await gatherResults(
            [store.name_version("f", "e1", named(n)) for n in range(first, first + 100)]
        )
    more = named(MAX_NAMED_VERSIONS)
    await refused(TooManyNames, store.name_version("f", "e1", more))
    assert await store.name_version("f", "e1", named(1, "Other")) == named(1)
    await store.name_version("g", "e1", named(1))
    await store.unname_version("f", "e1", 5)
    assert await store.name_version("f", "e1", more) is None
    assert len(await store.named_versions("f", "e1")) == MAX_NAMED_VERSIONS


@ensureDeferred
async def test_sto20_names_belong_to_the_log(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, 2))
    await store.name_version("f", "e1", named(2))
    for epoch, flow_id in (("e2", "f"), ("e1", "x")):
        await refused(FlowNotFound, store.name_version(flow_id, epoch, named(1)))
        await refused(FlowNotFound, store.unname_version(flow_id, epoch, 2))
        await refused(FlowNotFound, store.named_versions(flow_id, epoch))
    # They are deleted with it, and come back with it.
    await store.delete("f", T0 + 9)
    await refused(FlowDeleted, store.name_version("f", "e1", named(1)))
    await refused(FlowDeleted, store.unname_version("f", "e1", 2))
    assert await store.named_versions("f", "e1") == [named(2)]
    await store.undelete("f")
    await store.renew_epochs("e2")
    assert await store.named_versions("f", "e2") == [named(2)]
    # Another log of the same id has none of them.
    await store.delete("f", T0 + 9)
    await store.create("f", "e3", T0 + 10, entries(1, 2), SUMMARY, replace_deleted=True)
    assert await store.named_versions("f", "e3") == []
    assert await store.name_version("f", "e3", named(2)) is None


@ensureDeferred
async def test_sto20_sto9_what_is_removed_takes_its_names_along(store: IFlowStore) -> None:
    await keep(store, "f", entries(1, 1))
    await store.name_version("f", "e1", named(1))
    await store.delete("f", T0)
    assert await store.purge(T0 + 1) == 1
    await refused(FlowNotFound, store.named_versions("f", "e1"))
    await keep(store, "f", entries(1, 1))
    assert await store.named_versions("f", "e1") == []


# What is kept comes back.


@ensureDeferred
async def test_sto10_everything_comes_back_as_it_was(store: IFlowStore) -> None:
    patch = '{"title": "\\u0000 \u00fc\U0001f600", \n "data":{"x":1.0,"y":1e400,"x":2}}'.encode()
    log = [
        Entry(1, patch, 1_700_000_000.123456, ODD_TEXT, ODD_TEXT, 2**53, (ODD_TEXT, ""), b"\0" * 8),
        Entry(2, b"{}", T0 + 1 / 3, "", "", 0, (), b"\xff" * 8),
        Entry(3, b'{"a":"' + b"x" * 300_000 + b'"}', T0 + 2**-22, "\u00e9" * 300, "c", -1),
    ]
    log[2] = msgspec.structs.replace(log[2], chain=chain_at(3))
    summary = Summary(ODD_TEXT, ODD_TEXT * 1000, 20_000, 0)
    epoch = "b0c4a5d2-0000-4000-8000-1234567890ab"
    name = "\u00fc/\U0001f600 %"
    head = await store.create(name, epoch, 1_700_000_000.1, log, summary)
    await take_snapshot(store, head.flow_id, epoch, 0, patch)
    assert head == head_at(name, epoch, 3, summary, 1_700_000_000.1, T0 + 2**-22)
    assert await store.head(head.flow_id) == head
    assert await store.load(head.flow_id) == StoredFlow(head, 0, patch, log)
    assert await store.entries(head.flow_id, epoch, 0, 9) == log
    assert await store.find(head.flow_id, epoch, ODD_TEXT, [2**53]) == log[:1]
    assert await store.heads(HeadQuery()) == [msgspec.structs.replace(head, chain=b"")]
    given = NamedVersion(2, ODD_TEXT, ODD_TEXT, T0 + 1 / 3)
    await store.name_version(head.flow_id, epoch, given)
    assert await store.named_versions(head.flow_id, epoch) == [given]


# Who it is by.

ADA = Actor("ada@example.com", "person", "Ada")

AUTHORS = [
    Author("Ada", ADA),
    Author("Ada", ADA, b'{"source":"ai"}'),
    Author("Countess", ADA),  # by the name that the client gave
    Author("", None, b'{"source":"ai"}'),
    Author("Ada"),
    Author("", Actor(ODD_TEXT, ODD_TEXT, ODD_TEXT), b'{"a":"\\u0000"}'),
    Author("", Actor("", "", "")),
]


def by(author: Author, one: Entry) -> Entry:
    return msgspec.structs.replace(one, by=author.by, actor=author.actor, tags=author.tags)


@ensureDeferred
async def test_acc100_entries_and_names_keep_their_authors(store: IFlowStore) -> None:
    count = len(AUTHORS)
    log = [
        by(AUTHORS[(version - 1) % count], entry(version, ("c", version)))
        for version in range(1, 4 * count + 1)
    ]
    await keep(store, "f", log[:count])
    await keep(store, "g", [by(AUTHORS[1], entry(1))])
    await add(store, "f", "e1", count, log[count : 2 * count], SUMMARY)
    for one in log[2 * count :]:
        await add(store, "f", "e1", one.version - 1, [one], SUMMARY)
    assert (await store.load("f")).entries == log
    assert (await store.load("g")).entries == [by(AUTHORS[1], entry(1))]
    assert await store.entries("f", "e1", 2, 9) == log[2:11]
    assert await store.find("f", "e1", "c", [3, 9]) == [log[2], log[8]]
    names = [
        NamedVersion(version, "n", author.by, T0, author.actor, author.tags)
        for version, author in enumerate(AUTHORS)
    ]
    for one in names:
        await store.name_version("f", "e1", one)
    assert await store.named_versions("f", "e1") == names[::-1]
    again = msgspec.structs.replace(names[0], name="other", actor=None, tags=b"")
    assert await store.name_version("f", "e1", again) == names[0]
    assert await store.name_version("f", "e1", names[0]) == again


@ensureDeferred
async def test_acc100_what_is_removed_takes_its_authors_along(store: IFlowStore) -> None:
    await keep(store, "f", [by(AUTHORS[0], entry(1))])
    await store.delete("f", T0)
    assert await store.purge(T0 + 1) == 1
    await keep(store, "f", [by(AUTHORS[1], entry(1)), by(AUTHORS[0], entry(2))])
    await store.delete("f", T0)
    log = [by(AUTHORS[2], entry(1)), by(AUTHORS[1], entry(2))]
    await store.create("f", "e1", T0, log, SUMMARY, replace_deleted=True)
    assert (await store.load("f")).entries == log


@ensureDeferred
async def test_acc100_many_authors_of_many_flows_go_together(store: IFlowStore) -> None:
    """Each flow numbers its own, whether they come in one batch or several."""
    flows = [f"f{n}" for n in range(5)]
    for flow_id in flows:
        await keep(store, flow_id)
    logs = {
        flow_id: [
            by(Author("Ada", ADA, b'{"n":%d}' % ((version + n) // 3)), entry(version))
            for version in range(1, 13)
        ]
        for n, flow_id in enumerate(flows)
    }
    for base in (0, 4, 8):
        await gatherResults(
            [add(store, one, "e1", base, logs[one][base : base + 4], SUMMARY) for one in flows]
        )
    for flow_id in flows:
        assert (await store.load(flow_id)).entries == logs[flow_id]


# Opening and closing.


@ensureDeferred
async def test_sto1_another_start_finds_what_was_confirmed(lasting_place: Place) -> None:
    first = lasting_place.store()
    await first.start()
    log = [entry(1, ("c", 1)), entry(2)]
    await first.create("f", "e1", T0, log, SUMMARY)
    await add(first, "f", "e1", 2, entries(3, 4), SUMMARY)
    await take_snapshot(first, "f", "e1", 3, b"{}")
    await first.name_version("f", "e1", named(3))
    await keep(first, "g", entries(1, 1))
    await first.delete("g", T0 + 9)
    before = await first.load("f"), await first.load("g")
    await first.stop()
    again = lasting_place.store()
    await again.start()
    try:
        assert (await again.load("f"), await again.load("g")) == before
        assert await again.named_versions("f", "e1") == [named(3)]
        resent = add(again, "f", "e1", 4, [entry(5, ("c", 1))], SUMMARY)
        await refused(DuplicateOperation, resent)
        await add(again, "f", "e1", 4, entries(5, 5), SUMMARY)
    finally:
        await again.stop()


@ensureDeferred
async def test_sto11_a_closed_store_refuses(place: Place) -> None:
    store = place.store()
    await refused(StoreUnavailable, store.head("f"))
    await store.start()
    await store.stop()
    await refused(StoreUnavailable, store.head("f"))
    await refused(StoreUnavailable, store.create("f", "e1", T0))
    await store.stop()


@ensureDeferred
async def test_sto11_what_comes_while_it_opens_waits_for_it(place: Place) -> None:
    store = place.store()
    started = store.start()
    created = store.create("f", "e1", T0)
    absent = store.head("g")
    appended = add(store, "h", "e1", 0, entries(1, 2), SUMMARY)
    await started
    assert (await created).version == 0
    await refused(FlowNotFound, absent)
    await refused(FlowNotFound, appended)
    await store.stop()


@ensureDeferred
async def test_sto11_what_is_under_way_is_finished(place: Place) -> None:
    store = place.store()
    await store.start()
    asked = [store.create(f"f{n}", "e1", T0) for n in range(50)]
    stopped = store.stop()
    assert len(await gatherResults(asked)) == 50
    await stopped
