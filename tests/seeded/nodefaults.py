"""What befalls a node among several: it stops, goes on, dies, and hears or says nothing."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from tests.support.badbus import BadBroker
from tests.support.nodestore import NodeStore
from tests.support.world import World


def broker_of(world: World) -> BadBroker:
    """The end of the bad bus that a node has."""
    broker = world.broker
    assert isinstance(broker, BadBroker)
    return broker


def stop(world: World, stores: Iterable[NodeStore]) -> None:
    """
    A process stops (SIGSTOP).

    :param stores: its ways to the store.
    """
    world.clock.stop()
    for store in stores:
        store.is_stopped = True


def wake(random: Random, world: World, stores: Iterable[NodeStore]) -> None:
    """A process goes on, and finds that much has come, or that it was given up."""
    broker = broker_of(world)
    fate = random.choice(["told all", "told nothing", "cut off"])
    if fate != "told all":
        broker.lose_all()
    for store in stores:
        store.is_stopped = False
        while random.random() < 0.4:
            store.give_up()
    world.clock.go_on()
    if fate == "cut off":
        broker.set_away(True)
        broker.set_away(False)


def bend(random: Random, world: World) -> None:
    """The broker fails a node in some way, or no more."""
    broker = broker_of(world)
    broker.is_mute = random.random() < 0.2
    broker.is_deaf = random.random() < 0.2
    broker.set_away(random.random() < 0.3)


def jump(random: Random, world: World) -> None:
    """Somebody sets the clock of a machine."""
    world.wall.ahead = random.choice([0, 1, -1]) * random.uniform(0, 1e5)


def heal(random: Random, world: World, stores: Iterable[NodeStore]) -> None:
    """Nothing is in the node's way any more."""
    if world.clock.is_stopped:
        wake(random, world, stores)
    for store in stores:
        store.is_away = False
    broker = broker_of(world)
    broker.is_mute = broker.is_deaf = False
    broker.set_away(False)
