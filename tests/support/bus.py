"""A broker in one process, for tests with several nodes in one."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from helix.interfaces import IBroker, IBrokerListener, ITeller


class Bus:
    """
    What carries the messages of its brokers.

    :param random: loses, doubles and delays them; ``None`` for a bus that keeps order.

    :ivar is_up: whether it carries any; `set_up` changes it.
    :ivar sent: the messages that it took: topic, text.
    """

    def __init__(self, random: Random | None = None) -> None:
        self.random = random
        self.is_up = True
        self.brokers: list[BusBroker] = []
        self.sent: list[tuple[str, bytes]] = []

    def broker(self, clock: IReactorTime) -> BusBroker:
        """Make one more broker."""
        return BusBroker(self, clock)

    def set_up(self, is_up: bool) -> None:
        """Let it go away, or come back."""
        self.is_up = is_up
        for broker in self.brokers:
            broker.changed()

    def carry(self, sender: BusBroker | None, topic: str, message: bytes) -> None:
        """Bring a message to all but its sender, where there is one."""
        self.sent.append((topic, message))
        for broker in self.brokers:
            if broker is not sender:
                for seconds in self._fates():
                    broker.bring(seconds, topic, message)

    def is_up_for(self, broker: BusBroker) -> bool:
        """Tell whether it carries what this one sends, and brings it what others do."""
        return self.is_up

    def _fates(self) -> list[float]:
        """After how many seconds a message arrives, once for each time."""
        if self.random is None:
            return [0.0]
        fate = self.random.random()
        times = 0 if fate < 0.15 else 2 if fate < 0.3 else 1
        return [self.random.choice([0.0, 0.0, 0.01, 0.5, 3.0]) for _ in range(times)]


@implementer(IBroker)
class BusBroker:
    """One node's end of a bus."""

    max_bytes = 7500
    room = 8 << 20

    def __init__(self, bus: Bus, clock: IReactorTime) -> None:
        self._bus = bus
        self._clock = clock
        self._topics: dict[str, None] = {}
        self._listener: IBrokerListener | None = None
        self._calls: list[IDelayedCall] = []
        self.is_up = False

    def start(self, listener: IBrokerListener) -> None:
        self._listener = listener
        self._bus.brokers.append(self)
        self.changed()

    def stop(self) -> Deferred[None]:
        if self in self._bus.brokers:
            self._bus.brokers.remove(self)
        self.is_up = False
        for call in self._calls:
            if call.active():
                call.cancel()
        return succeed(None)

    def subscribe(self, topic: str) -> None:
        self._topics[topic] = None
        if self.is_up:
            self._call(lambda: self._heard_from_now_on([topic]))

    def unsubscribe(self, topic: str) -> None:
        self._topics.pop(topic, None)

    def publish(self, topic: str, message: bytes) -> None:
        assert len(message) <= self.max_bytes
        if self.is_up:
            self._bus.carry(self, topic, message)

    def tell_by_appends(self, teller: ITeller) -> None:
        """What is in memory tells nobody."""

    # inside

    def changed(self) -> None:
        """The bus went away or came back, or this is its start."""
        listener, was_up = self._listener, self.is_up
        self.is_up = self._bus.is_up_for(self)
        assert listener is not None
        if self.is_up and not was_up:
            listener.came_back()
            listener.subscribed(list(self._topics))
        elif was_up and not self.is_up:
            listener.went_away()

    def bring(self, seconds: float, topic: str, message: bytes) -> None:
        """Hear of a message, in a while."""

        def hear() -> None:
            if self.is_up and topic in self._topics and self._listener is not None:
                self._listener.heard(topic, message)

        self._call(hear, seconds)

    def _heard_from_now_on(self, topics: list[str]) -> None:
        if self.is_up and self._listener is not None:
            self._listener.subscribed(topics)

    def _call(self, call: Callable[[], None], seconds: float = 0.0) -> None:
        self._calls = [one for one in self._calls if one.active()]
        self._calls.append(self._clock.callLater(seconds, call))
