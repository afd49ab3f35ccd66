"""What is subscribed to, and which of it a connection has yet to learn."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

_NAME_BYTES = 16
"""Of a topic's hash, in the name of its channel: so many that no two topics share one."""


def channel_name(scope: str, topic: str) -> str:
    """
    Name a channel: short and harmless, whatever the topic is.

    :param scope: tells the topics of one store from those of others.
    """
    named = f"{scope}\0{topic}".encode("utf-8", "surrogatepass")
    return sha256(named).digest()[:_NAME_BYTES].hex()


class Subscriptions:
    """
    The topics that are subscribed to, and the channels to which a connection listens for them.

    :ivar topics: in the order in which they came.
    """

    def __init__(self) -> None:
        self._topics: dict[str, None] = {}
        self._channels: dict[str, str] = {}  # of the connection: channel -> topic
        self._changed: dict[str, None] = {}
        self._name: Callable[[str], str] | None = None

    @property
    def topics(self) -> list[str]:
        return list(self._topics)

    @property
    def are_behind(self) -> bool:
        """Whether there are changes that the connection hasn't learned of."""
        return bool(self._changed)

    def add(self, topic: str) -> None:
        self._topics[topic] = None
        self._changed[topic] = None

    def remove(self, topic: str) -> None:
        if topic in self._topics:
            del self._topics[topic]
            self._changed[topic] = None

    def begin(self, name: Callable[[str], str]) -> None:
        """
        Begin with a new connection, which listens to nothing yet.

        :param name: gives the channel of a topic.
        """
        self._name = name
        self._channels.clear()
        self._changed = dict.fromkeys(self._topics)

    def take_changes(self, most: int) -> tuple[list[str], list[str], list[str]]:
        """
        Take some of the changes.

        :param most: how many to look at.
        :return: the channels to listen to from now on, those to listen to no more, and the topics
            that are heard from then on: also those that were removed and added again meanwhile.
        """
        new, old, topics = [], [], []
        for topic in list(self._changed)[:most]:
            del self._changed[topic]
            channel = self.channel(topic)
            if topic in self._topics:
                topics.append(topic)
                if channel not in self._channels:
                    self._channels[channel] = topic
                    new.append(channel)
            elif self._channels.pop(channel, None) is not None:
                old.append(channel)
        return new, old, topics

    def channel(self, topic: str) -> str:
        """Give the channel of a topic on this connection."""
        assert self._name is not None
        return self._name(topic)

    def topic(self, channel: str) -> str | None:
        """Give the topic for which a channel is listened to; ``None`` for none."""
        return self._channels.get(channel)
