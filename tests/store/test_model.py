"""Whatever is asked, in whatever order, a store answers what the memory store answers. (STO1)"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread, deferToThread

from helix.access.principal import Grant
from helix.access.roles import Role
from helix.access.sharing import (
    ANYONE,
    SIGNED_IN,
    Audience,
    FlowAccess,
    GeneralAccess,
    Link,
)
from helix.chain import origin_of
from helix.errors import HelixError
from helix.interfaces import IFlowStore
from helix.records import (
    Actor,
    AuditEntry,
    Author,
    Entry,
    FlowHead,
    HeadQuery,
    NamedVersion,
    Scope,
    Summary,
)
from helix.store.memory import MemoryStore

FLOW_IDS = st.sampled_from(["a", "B", "\u00e9"])
EPOCHS = st.sampled_from(["e1", "e2"])
CLIENTS = st.sampled_from(["c", "C"])
OPS = st.integers(0, 4)
TIMES = st.floats(1e9, 2e9, allow_nan=False)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=3)
VERSIONS = st.integers(-1, 4)
SUMMARIES = st.builds(Summary, TEXTS, TEXTS, st.integers(0, 9), st.integers(0, 9))
CHAINS = st.sampled_from([origin_of("e1"), origin_of("e2"), b"left....", b"right..."])
BASE_CHAINS = st.none() | CHAINS
PATHS = st.lists(TEXTS, max_size=2).map(tuple)
NAMES = st.one_of(st.just((None, None)), st.tuples(CLIENTS, OPS))
PEOPLE = st.sampled_from(["ada", "b\0b", "b"])
NAMED = st.just("") | PEOPLE
LINK_IDS = st.sampled_from(["L1", "L2"])
ROLES = st.sampled_from(Role)
GRANTS = st.builds(Grant, ROLES)
LINKS = st.tuples(LINK_IDS, ROLES).map(lambda made: Link(*made, b"digest", 0.5))
ACCESSES = st.builds(
    FlowAccess,
    NAMED,
    st.dictionaries(PEOPLE, GRANTS, max_size=2),
    st.dictionaries(PEOPLE, GRANTS, max_size=2),
    st.builds(GeneralAccess, st.sampled_from(Audience), ROLES),
    st.lists(LINKS, max_size=2).map(lambda links: {link.id: link for link in links}),
)
SUBJECTS = st.lists(
    st.sampled_from([SIGNED_IN, ANYONE]) | st.tuples(st.sampled_from("omg"), PEOPLE).map(":".join),
    max_size=3,
)


AUTHORS = st.one_of(
    st.builds(Author, TEXTS),
    st.builds(
        Author,
        TEXTS,
        st.none() | st.builds(Actor, TEXTS, st.sampled_from(["person", "guest"]), TEXTS),
        st.sampled_from([b"", b'{"source":"ai"}', b'{"a":1}']),
    ),
)


def contents(most: int) -> st.SearchStrategy[list[Any]]:
    """Entries but for their versions."""
    return st.lists(st.tuples(TEXTS, AUTHORS, TIMES, NAMES, PATHS, CHAINS), max_size=most)


def call(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *arguments)


CALLS = st.one_of(
    call("create", FLOW_IDS, EPOCHS, TIMES, contents(2), SUMMARIES, st.booleans(), NAMED),
    call("append", FLOW_IDS, EPOCHS, st.integers(-1, 1), BASE_CHAINS, contents(3), SUMMARIES),
    call("append", FLOW_IDS, EPOCHS, st.just(0), st.none(), contents(3), SUMMARIES),
    call("head", FLOW_IDS),
    call("load", FLOW_IDS, st.none() | st.integers(-1, 9)),
    call("entries", FLOW_IDS, EPOCHS, st.integers(0, 6), st.integers(1, 4)),
    call("find", FLOW_IDS, EPOCHS, CLIENTS, st.lists(OPS, max_size=3)),
    call("newest_op", FLOW_IDS, EPOCHS, CLIENTS),
    call("snapshot", FLOW_IDS, EPOCHS, st.integers(0, 6), CHAINS, TEXTS.map(str.encode)),
    call("renew_epoch", FLOW_IDS, EPOCHS, st.integers(0, 6), CHAINS, EPOCHS),
    call("snapshot_versions", FLOW_IDS, EPOCHS),
    call("name_version", FLOW_IDS, EPOCHS, st.builds(NamedVersion, VERSIONS, TEXTS, TEXTS, TIMES)),
    call("unname_version", FLOW_IDS, EPOCHS, VERSIONS),
    call("named_versions", FLOW_IDS, EPOCHS),
    call("change", FLOW_IDS, ACCESSES),
    call("read", st.lists(FLOW_IDS, unique=True), st.none() | SUBJECTS),
    call("find_link", LINK_IDS),
    call("scoped", st.lists(FLOW_IDS, max_size=2), SUBJECTS, st.integers(1, 5), st.booleans()),
    call("heads", TEXTS, st.integers(1, 3), st.none() | st.tuples(TIMES, FLOW_IDS), st.booleans()),
    call("delete", FLOW_IDS, TIMES),
    call("undelete", FLOW_IDS),
    call("purge", TIMES),
    call("renew_epochs", EPOCHS),
)


def number(first: int, contents: list[Any]) -> list[Entry]:
    return [
        Entry(
            *(first + n, patch.encode(), at, author.by, *name, dropped, chain),
            author.actor,
            author.tags,
        )
        for n, (patch, author, at, name, dropped, chain) in enumerate(contents)
    ]


def ask(store: IFlowStore, called: tuple[Any, ...], heads: dict[str, FlowHead]) -> Deferred[Any]:
    """
    Call a store.

    :param heads: of the flows that are; an append's base is drawn as its distance from there, and
        its chain, ``None`` for that very chain.
    """
    match called:
        case ("create", flow_id, epoch, at, made, summary, replace, owner):
            return store.create(flow_id, epoch, at, number(1, made), summary, replace, owner)
        case ("change", flow_id, access):
            entry = AuditEntry(0, 0.5, "access.change", flow_id)
            return store.access.change(flow_id, lambda _: access, entry)
        case ("read", flow_ids, subjects):
            reading: Deferred[Any] = store.access.read(flow_ids, subjects)
            return reading
        case ("find_link", link_id):
            # Of several flows that have it, which they must not, any may be found.
            finding: Deferred[Any] = store.access.find_link(link_id)
            return finding.addCallback(lambda found: found is None)
        case ("scoped", ids, subjects, least, deleted):
            scope = Scope.of(ids, [], subjects, least)
            return store.heads(HeadQuery(scope=scope, deleted=deleted))
        case ("append", flow_id, epoch, off, chain, made, summary):
            head = heads.get(flow_id)
            base = off if head is None else head.version + off
            if chain is None:
                chain = b"" if head is None else head.chain
            return store.append(flow_id, epoch, base, chain, number(base + 1, made), summary)
        case ("heads", *query):
            return store.heads(HeadQuery(*query))
        case (name, *arguments):
            asked: Deferred[Any] = getattr(store, name)(*arguments)
            return asked
    raise AssertionError(called)


async def outcome(asked: Deferred[Any]) -> Any:
    try:
        return await asked
    except HelixError as error:
        return type(error)


async def known_heads(model: MemoryStore) -> dict[str, FlowHead]:
    heads = await model.heads(HeadQuery()) + await model.heads(HeadQuery(deleted=True))
    return {head.flow_id: await model.head(head.flow_id) for head in heads}


async def remove_all(store: IFlowStore) -> None:
    for flow_id in ("a", "B", "\u00e9"):
        await outcome(store.delete(flow_id, 0.0))
    await store.purge(float("inf"))


async def compare(store: IFlowStore, calls: list[Any]) -> None:
    model = MemoryStore()
    await model.start()
    await remove_all(store)
    for called in calls:
        known = await known_heads(model)
        expected = await outcome(ask(model, called, known))
        assert await outcome(ask(store, called, known)) == expected, called
    kept = await model.access.audited(None, 99)
    assert [one.flow_id for one in await store.access.audited(None, len(kept))] == [
        one.flow_id for one in kept
    ]
    for query in (HeadQuery(), HeadQuery(deleted=True)):
        assert await store.heads(query) == await model.heads(query)
    for flow_id in await known_heads(model):
        loaded = await model.load(flow_id)
        assert await store.load(flow_id) == loaded
        epoch = loaded.head.epoch
        assert await store.access.read([flow_id]) == await model.access.read([flow_id])
        assert await store.named_versions(flow_id, epoch) == await model.named_versions(
            flow_id, epoch
        )


@ensureDeferred
async def test_sto1_it_answers_as_the_model_does(store: IFlowStore) -> None:
    # In a thread, and of this test alone: pytest-twisted wraps a hypothesis test anew for every
    # parameter.
    @settings(max_examples=100)
    @given(st.lists(CALLS, max_size=25))
    def check(calls: list[Any]) -> None:
        blockingCallFromThread(reactor, lambda: Deferred.fromCoroutine(compare(store, calls)))

    await deferToThread(check)
