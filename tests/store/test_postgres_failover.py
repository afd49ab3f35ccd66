"""PostgreSQL fails over to a standby. (docs/spec.md, PGS)"""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from helix.errors import StoreError, StoreReadOnly
from helix.records import HeadQuery, Summary
from helix.store.postgresql.address import Address
from helix.store.postgresql.store import PostgresStore
from helix.store.postgresql.wire import Bounds
from tests.store.data import add, entries, entry, keep
from tests.support.daemon import free_port
from tests.support.postgres import Pair, PostgresServer, pair

__all__ = ["pair"]

BOUNDS = Bounds(start=20.0, wait=2.0, answer=2.0)


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("postgresql://u@a,b/d", ["a:5432", "b:5432"]),
        ("postgresql://u@a:1,b:2/d", ["a:1", "b:2"]),
        ("postgresql://u@a,b,c/d?port=9", ["a:9", "b:9", "c:9"]),
        ("postgresql://u@/d?host=a,b&port=1,2", ["a:1", "b:2"]),
        ("postgresql://u@a/d", ["a:5432"]),
    ],
)
def test_pgs12_an_address_may_name_several_hosts(url: str, places: list[str]) -> None:
    parsed = Address.parse(url)
    assert [str(place) for place in parsed.places] == [f"PostgreSQL at {one}" for one in places]
    assert str(parsed) == " or ".join(str(place) for place in parsed.places)


def test_pgs12_as_many_ports_as_hosts() -> None:
    with pytest.raises(StoreError, match="as many ports"):
        Address.parse("postgresql://u@a,b,c/d?port=1,2")


@ensureDeferred
async def test_pgs12_the_second_host_is_reached_when_the_first_refuses(
    postgres_server: PostgresServer, database: str
) -> None:
    """Because nobody listens there, or as the server there lets nobody in."""
    here = f"127.0.0.1:{postgres_server.port}"
    socket = str(postgres_server.socket_directory).replace("/", "%2F")
    places = {
        f"stranger@{here},{socket}:{postgres_server.port}": True,
        f"helix@127.0.0.1:{free_port()},{here}": True,
        f"helix@{here},127.0.0.1:{free_port()}": True,
        f"stranger@{here},{here}": False,
        f"helix@127.0.0.1:{free_port()},127.0.0.1:{free_port()}": False,
    }
    postgres_server.execute(f"ALTER DATABASE {database} OWNER TO stranger")
    for place, works in places.items():
        store = PostgresStore(f"postgresql://{place}/{database}", reactor, Bounds(start=0.5))
        if works:
            await store.start()
            assert await store.heads(HeadQuery()) == []
        else:
            with pytest.raises(StoreError) as caught:
                await store.start()
            assert caught.value.retry is ("helix" in place)
        await store.stop()


async def read_only_moment(pair: Pair, store: PostgresStore) -> None:
    """Let the primary end, and nothing but a standby be there for a while."""
    await deferToThread(pair.wait_for_standby)
    await deferToThread(pair.primary.kill)
    for asked in (
        add(store, "f", "e1", 2, entries(3, 3), Summary()),
        store.delete("f", 0.0),
    ):
        with pytest.raises(StoreError) as caught:
            await asked
        assert caught.value.retry


@ensureDeferred
async def test_pgs10_pgs12_a_standby_takes_over(pair: Pair) -> None:
    store = PostgresStore(pair.url, reactor, BOUNDS)
    await store.start()
    await keep(store, "f", entries(1, 2))
    await read_only_moment(pair, store)
    asked = add(store, "f", "e1", 2, [entry(3)], Summary("Taken over"))
    await deferToThread(pair.standby.promote)
    await asked
    assert (await store.load("f")).entries == entries(1, 3)
    await store.stop()
    # And a store that starts only now.
    later = PostgresStore(pair.url, reactor, BOUNDS)
    await later.start()
    assert (await later.head("f")).version == 3
    await later.stop()


@ensureDeferred
async def test_pgs10_what_is_asked_of_a_standby_waits_for_its_promotion(pair: Pair) -> None:
    """One address, behind which another server answers."""
    primary = PostgresStore(pair.primary.url(), reactor, BOUNDS)
    await primary.start()
    await keep(primary, "f", entries(1, 2))
    await primary.stop()
    await deferToThread(pair.wait_for_standby)
    store = PostgresStore(pair.standby.url(), reactor, BOUNDS)
    await store.start()
    assert (await store.head("f")).version == 2
    with pytest.raises(StoreReadOnly) as caught:
        await add(store, "f", "e1", 2, [entry(3)], Summary())
    assert caught.value.retry
    await deferToThread(pair.primary.stop)
    asked = [add(store, "f", "e1", 2, [entry(3)], Summary()), store.create("g", "e1", 0.0)]
    await deferToThread(pair.standby.promote)
    for one in asked:
        await one
    await store.stop()
