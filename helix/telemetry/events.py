"""
Named telemetry events with measurements and metadata, to which other code can subscribe.

A table in docs/architecture.md lists the events. The module follows Erlang's ``telemetry``: the
emitter knows no listener, and a listener that fails harms neither the emitter nor the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.logger import Logger

Values = Mapping[str, object]
Listener = Callable[[str, Values, Values], None]
"""Takes the event's name, its measurements (numbers) and its metadata."""

EVENTS = (
    "helix.connection.opened",
    "helix.connection.closed",
    "helix.connection.refused",
    "helix.connection.lagging",
    "helix.connection.dropped",
    "helix.backlog.shed",
    "helix.request.answered",
    "helix.request.forwarded_untrusted",
    "helix.request.forged_name",
    "helix.sign_in.accepted",
    "helix.sign_in.failed",
    "helix.sign_in.ended",
    "helix.frame.malformed",
    "helix.fanout.delivered",
    "helix.flow.appended",
    "helix.flow.stored",
    "helix.flow.conflicted",
    "helix.presence.told",
    "helix.cursors.told",
    "helix.session.started",
    "helix.session.ended",
    "helix.session.crashed",
    "helix.session.client_joined",
    "helix.session.client_left",
    "helix.session.client_displaced",
    "helix.session.join_refused",
    "helix.reactor.turned",
    "helix.clock.set",
    "helix.broker.changed",
    "helix.nodes.changed",
    "helix.node.sent",
    "helix.node.received",
    "helix.node.ignored",
    "helix.node.polled",
    "helix.node.behind",
)

_NOTHING: Values = {}


class Telemetry:
    """The events of one server. Listeners are called at once, in the order they subscribed."""

    _log = Logger(namespace="helix.telemetry")

    def __init__(self) -> None:
        self._listeners: dict[str, tuple[Listener, ...]] = dict.fromkeys(EVENTS, ())

    def subscribe(self, name: str, listener: Listener) -> Callable[[], None]:
        """
        Call ``listener`` at every event of this name, or whose name starts with it and a dot.

        :param name: an event's name (``helix.session.ended``) or the start of some (``helix``).
        :return: a function that ends the subscription.
        :raises ValueError: when no event has such a name.
        """
        names = [event for event in EVENTS if event == name or event.startswith(f"{name}.")]
        if not names:
            raise ValueError(f"there is no event named {name!r}")
        for event in names:
            self._listeners[event] = (*self._listeners[event], listener)

        def unsubscribe() -> None:
            for event in names:
                kept = tuple(one for one in self._listeners[event] if one is not listener)
                self._listeners[event] = kept

        return unsubscribe

    def emit(self, name: str, measurements: Values = _NOTHING, metadata: Values = _NOTHING) -> None:
        """Tell the listeners of ``name``, which must be one of `EVENTS`."""
        for listener in self._listeners[name]:
            try:
                listener(name, measurements, metadata)
            except Exception:
                self._log.failure("A telemetry listener failed at {event}", event=name)
