"""A broker that breaks whatever an `IBroker` doesn't promise, for several nodes in one process."""

from __future__ import annotations

from random import Random

import attrs
from twisted.internet.interfaces import IReactorTime

from tests.support.bus import Bus, BusBroker


@attrs.frozen
class Manners:
    """
    How bad a bus is.

    :ivar loses: the share of messages that don't arrive, of each receiver.
    :ivar doubles: the share that arrives twice, of the others.
    :ivar delays: seconds after which one arrives, one of these, and so in any order.
    :ivar echoes: the share that its sender is told of, too.
    """

    loses: float = 0.0
    doubles: float = 0.0
    delays: tuple[float, ...] = (0.0,)
    echoes: float = 0.0


GOOD = Manners()

ALL_MANNERS = (
    GOOD,
    Manners(delays=(0.0, 0.0, 0.02, 0.3)),
    Manners(0.05, 0.05, (0.0, 0.0, 0.01), 0.1),
    Manners(0.2, 0.3, (0.0, 0.0, 0.01, 0.5, 3.0), 0.3),
    Manners(0.6, 0.3, (0.0, 2.0, 20.0), 0.5),
    Manners(loses=1.0),
)


class BadBus(Bus):
    """
    As `Bus`, but in its own ways, and it may be away for one node alone, or one-way.

    What is on its way arrives also after the subscription has ended, as with real brokers.

    :param max_bytes: of a message.

    :ivar manners: how it treats messages; may be set at any time.
    """

    def __init__(self, random: Random, manners: Manners, max_bytes: int) -> None:
        super().__init__(random)
        self.manners = manners
        self.max_bytes = max_bytes
        self._chance = random

    def broker(self, clock: IReactorTime) -> BadBroker:
        """Make one more broker."""
        return BadBroker(self, clock)

    def is_up_for(self, broker: BusBroker) -> bool:
        return self.is_up and not (isinstance(broker, BadBroker) and broker.is_away)

    def carry(self, sender: BusBroker | None, topic: str, message: bytes) -> None:
        self.sent.append((topic, message))
        for broker in self.brokers:
            is_echo = broker is sender
            if is_echo and self._chance.random() >= self.manners.echoes:
                continue
            for seconds in self._fates():
                broker.bring(seconds, topic, message)

    def _fates(self) -> list[float]:
        manners, chance = self.manners, self._chance
        if manners is GOOD:
            return [0.0]
        if chance.random() < manners.loses:
            return []
        times = 2 if chance.random() < manners.doubles else 1
        return [chance.choice(manners.delays) for _ in range(times)]


class BadBroker(BusBroker):
    """
    One node's end of a bad bus.

    :ivar is_away: whether it is, for this node alone, and says so; `set_away` changes it.
    :ivar is_mute: whether what this node publishes is lost, and nobody says so.
    :ivar is_deaf: the same of what it would be told.
    """

    def __init__(self, bus: BadBus, clock: IReactorTime) -> None:
        super().__init__(bus, clock)
        self.max_bytes = bus.max_bytes
        self.is_away = self.is_mute = self.is_deaf = False

    def set_away(self, is_away: bool) -> None:
        """Let it go away, or come back."""
        self.is_away = is_away
        self.changed()

    def lose_all(self) -> None:
        """What is on its way to this node is lost, and nobody says so."""
        for call in self._calls:
            if call.active():
                call.cancel()
        self._calls.clear()

    def die(self) -> None:
        """The node is gone: it tells nobody anything any more, whatever it still does."""
        self.is_mute = self.is_deaf = True

    def publish(self, topic: str, message: bytes) -> None:
        assert len(message) <= self.max_bytes
        if self.is_up and not self.is_mute:
            self._bus.carry(self, topic, message)

    def bring(self, seconds: float, topic: str, message: bytes) -> None:
        if self.is_deaf or topic not in self._topics:
            return

        def hear() -> None:
            if self.is_up and self._listener is not None:
                self._listener.heard(topic, message)

        self._call(hear, seconds)
