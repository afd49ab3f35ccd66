"""All clients: how many there may be, which are dead, and how they are sent away."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import pytest
from twisted.internet.defer import Deferred

from helix.channels.clients import (
    ABORTED_AT_ONCE,
    CLOSE_GRACE,
    DRAIN_INTERVAL,
    DRAIN_SPREAD,
    SILENCE_TIMEOUT,
    STALL_TIMEOUT,
    SWEEP_INTERVAL,
    ClientLimits,
)
from helix.delivery.outlet import CHUNK_BYTES, Flow
from helix.errors import CloseCode, Draining, TooManyConnections
from tests.support.world import Client, World

HERE = "192.0.2.1"
THERE = "2001:db8::1"


def started(world: World) -> World:
    world.registry.startService()
    return world


def pass_time(world: World, seconds: float) -> None:
    """Let time pass as it does: not all of it at once."""
    world.clock.pump([SWEEP_INTERVAL / 2] * round(2 * seconds / SWEEP_INTERVAL))


def test_con6_too_many_connections(make_world: Callable[..., World]) -> None:
    world = make_world(client_limits=ClientLimits(max_connections=2))
    first = world.client(address=HERE)
    world.registry.check_room(None)
    world.client()
    for address in (None, HERE, "127.0.0.1"):
        with pytest.raises(TooManyConnections):
            world.registry.check_room(address)
    first.cut()
    world.registry.check_room(HERE)
    assert len(world.registry) == 1


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        (HERE, HERE),
        (THERE, "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", HERE),
        ("0.0.0.0", "0.0.0.0"),
    ],
)
def test_con6_too_many_connections_from_one_address(
    make_world: Callable[..., World], address: str, counted: str
) -> None:
    world = make_world(client_limits=ClientLimits(max_per_address=2))
    clients = [world.client(address=address) for _ in range(2)]
    with pytest.raises(TooManyConnections, match="from this address"):
        world.registry.check_room(address)
    world.registry.check_room("198.51.100.1")
    world.registry.check_room(None)
    clients[0].cut()
    world.registry.check_room(address)
    assert world.registry._by_address == {counted: 1}


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", None])
def test_con6_loopback_and_unix_sockets_are_exempt(
    make_world: Callable[..., World], address: str | None
) -> None:
    world = make_world(client_limits=ClientLimits(max_per_address=1))
    for _ in range(5):
        world.registry.check_room(address)
        world.client(address=address)


def test_con6_forgotten_addresses_take_no_room(world: World) -> None:
    for number in range(5):
        world.client(address=f"192.0.2.{number}").cut()
    assert not world.registry._by_address


def test_con6_client_that_is_removed_twice_counts_once(world: World) -> None:
    first, _ = world.client(address=HERE), world.client(address=HERE)
    world.registry.remove(first)
    world.registry.remove(first)
    assert len(world.registry) == 1
    assert world.registry._by_address[HERE] == 1
    assert len(world.events("helix.connection.closed")) == 1


def test_ops8_connections_are_told_of(world: World) -> None:
    first, _ = world.client(), world.client()
    first.cut()
    about = {"transport": "websocket"}
    assert world.told == [
        ("helix.connection.opened", {"connections": 1}, about),
        ("helix.connection.opened", {"connections": 2}, about),
        ("helix.connection.closed", {"connections": 1}, about),
    ]


def test_cha2_silent_client_is_closed(world: World) -> None:
    started(world)
    silent, speaks = world.client(), world.client()
    for _ in range(4):
        pass_time(world, SILENCE_TIMEOUT / 2)
        speaks.send(speaks.text(None, "1", "phoenix", "heartbeat", {}))
        if silent.close_code is not None:
            break
    assert silent.close_code is CloseCode.SILENT
    assert silent.close_code == 4001
    assert speaks.close_code is None
    silence = world.clock.seconds() - silent.connection.last_seen
    assert SILENCE_TIMEOUT <= silence <= SILENCE_TIMEOUT + SWEEP_INTERVAL


def test_cha2_malformed_frames_are_no_silence(world: World) -> None:
    started(world)
    client = world.client()
    for _ in range(5):
        pass_time(world, 40)
        client.send(b"x")
    assert client.close_code is None


def stuck(world: World) -> Client:
    client = world.client()
    client.socket.room = 0
    client.outlet.send(bytes(3 * CHUNK_BYTES))
    assert client.outlet.state is not Flow.CLEAR
    return client


def test_slo3_client_that_takes_nothing_is_cut_off(world: World) -> None:
    started(world)
    client, other = stuck(world), world.client()
    pass_time(world, STALL_TIMEOUT - SWEEP_INTERVAL)
    assert client.close_code is None
    pass_time(world, 2 * SWEEP_INTERVAL)
    assert client.close_code is CloseCode.NOT_READING
    assert client.close_code == 4000
    assert client.lost
    assert other.close_code is None


def test_slo3_trickle_counts_as_progress(world: World) -> None:
    started(world)
    client = stuck(world)
    client.outlet.send(bytes(20 * CHUNK_BYTES))
    for _ in range(6):
        pass_time(world, 20)
        client.socket.room = CHUNK_BYTES
        world.settle()
    assert client.close_code is None
    pass_time(world, STALL_TIMEOUT + SWEEP_INTERVAL)
    assert client.close_code is CloseCode.NOT_READING


def test_slo3_lagging_client_is_not_taken_for_silent(make_world: Callable[..., World]) -> None:
    """It isn't read from, so it can't be heard; when it is again, it has its time anew."""
    world = started(make_world(high_water_mark=1000))
    client = stuck(world)
    for _ in range(4):
        client.outlet.send(bytes(CHUNK_BYTES))
        pass_time(world, 20)
        client.socket.room = CHUNK_BYTES
        world.settle()
    assert client.outlet.state is Flow.LAGGING
    client.socket.room = None
    world.settle()
    assert client.outlet.state is Flow.CLEAR
    pass_time(world, SILENCE_TIMEOUT - SWEEP_INTERVAL)
    assert client.close_code is None
    pass_time(world, 2 * SWEEP_INTERVAL)
    assert client.close_code is CloseCode.SILENT
    assert world.events("helix.connection.lagging") == [({}, {"transport": "websocket"})]


def test_ops12_clients_whose_transport_failed_are_cut_off_a_few_at_once(world: World) -> None:
    cut: list[Client] = []
    clients = [world.client() for _ in range(2 * ABORTED_AT_ONCE + 1)]
    for client in clients:
        client.abort = partial(cut.append, client)  # type: ignore[method-assign]  # told, not done
        world.registry.abort_soon(client)
    assert cut == []
    for turns in (1, 2, 3):
        world.clock.turn()
        assert cut == clients[: turns * ABORTED_AT_ONCE]
    world.clock.turn()
    assert cut == clients


def test_ops4_stopped_service_looks_no_more(world: World) -> None:
    started(world)
    world.registry.stopService()
    assert not world.clock.getDelayedCalls()
    started(world)
    world.client()
    pass_time(world, SILENCE_TIMEOUT + SWEEP_INTERVAL)
    assert world.clients[0].close_code is not None


def drain(world: World) -> Deferred[None]:
    return Deferred.fromCoroutine(world.registry.drain())


def closings(world: World) -> list[tuple[float, set[int]]]:
    """Drain, and see when which clients were closed."""
    batches = []
    begin = world.clock.seconds()
    done = drain(world)
    waiting = dict(enumerate(world.clients))
    while True:
        closed = {number for number, one in waiting.items() if one.close_code is not None}
        if closed:
            batches.append((world.clock.seconds() - begin, closed))
            waiting = {number: one for number, one in waiting.items() if number not in closed}
        if done.called:
            return batches
        world.clock.advance(0.005)
        assert world.clock.seconds() - begin < 10


def test_ops4_drain_of_nobody(world: World) -> None:
    assert drain(world).called


def test_ops4_few_clients_are_closed_at_once(world: World) -> None:
    for _ in range(20):
        world.client().answers_close = True
    assert [len(batch) for _, batch in closings(world)] == [20]
    assert {client.close_code for client in world.clients} == {CloseCode.RESTART}
    assert CloseCode.RESTART == 1012
    assert all(client.lost for client in world.clients)


def test_ops4_many_clients_are_closed_in_batches(make_world: Callable[..., World]) -> None:
    """In no order, spread evenly but not exactly, and in bounded time."""
    world = make_world(seed=5)
    count = 1000
    for _ in range(count):
        world.client().answers_close = True
    batches = closings(world)
    sizes = [len(batch) for _, batch in batches]
    assert sum(sizes) == count
    assert len(sizes) == round(count / 2000 / DRAIN_INTERVAL)
    assert max(sizes) - min(sizes) <= 1
    times = [at for at, _ in batches]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert all(0.8 * DRAIN_INTERVAL - 0.006 <= gap <= 1.2 * DRAIN_INTERVAL + 0.006 for gap in gaps)
    assert len({round(gap, 3) for gap in gaps}) > 1, "no jitter"
    assert batches[0][1] != set(range(sizes[0])), "not shuffled"
    other = make_world(seed=6)
    for _ in range(count):
        other.client().answers_close = True
    assert closings(other)[0][1] != batches[0][1]


def test_ops4_drain_takes_less_than_5_s(world: World) -> None:
    """Even of very many clients of whom nobody answers."""
    for _ in range(5200):
        world.client()
    begin = world.clock.seconds()
    batches = closings(world)
    world.settle()
    assert len(batches) == round(DRAIN_SPREAD / DRAIN_INTERVAL)
    assert world.clock.seconds() - begin < 5
    assert all(client.lost for client in world.clients)


def test_ops4_stuck_clients_are_cut_off(world: World) -> None:
    polite, stubborn = world.client(), world.client()
    polite.answers_close = True
    done = drain(world)
    world.clock.advance(CLOSE_GRACE / 2)
    assert polite.lost
    assert not done.called
    assert not stubborn.lost
    world.clock.advance(CLOSE_GRACE / 2)
    world.settle()
    assert stubborn.lost
    world.clock.advance(DRAIN_INTERVAL)
    assert done.called


@pytest.mark.parametrize("code", [CloseCode.RESTART, CloseCode.SILENT])
def test_ops4_fault_at_one_client_keeps_no_other_from_being_closed(
    world: World, monkeypatch: pytest.MonkeyPatch, code: CloseCode
) -> None:
    """At the drain, or while the silent ones are looked for. The fault is logged."""
    started(world)
    clients = [world.client() for _ in range(3)]

    def close(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(clients[1], "close", close)
    if code is CloseCode.SILENT:
        pass_time(world, SILENCE_TIMEOUT + SWEEP_INTERVAL)
    else:
        drain(world)
    world.settle()
    assert [client.close_code for client in clients] == [code, None, code]
    assert clients[1].lost
    assert [event["log_failure"].type for event in world.failures] == [RuntimeError]
    world.failures.clear()


def test_ops4_who_comes_during_the_drain_is_sent_away(world: World) -> None:
    first = world.client()
    done = drain(world)
    with pytest.raises(Draining):
        world.registry.check_room(None)
    late = world.client()
    assert late.close_code is CloseCode.RESTART
    first.cut()
    assert not done.called
    late.cut()
    world.clock.advance(DRAIN_INTERVAL)
    assert done.called


def test_ops4_who_goes_during_the_drain_is_not_waited_for(world: World) -> None:
    for _ in range(500):
        world.client()
    done = drain(world)
    for client in world.clients:
        client.cut()
    world.clock.pump([DRAIN_INTERVAL] * 10)
    assert done.called
    assert sum(client.close_code is not None for client in world.clients) < 500
