"""The status of the server in a few numbers, counted from telemetry."""

from __future__ import annotations

from collections.abc import Callable

from helix.telemetry.events import Telemetry, Values


class ServerStatus:
    """
    Counts telemetry events.

    :param telemetry: whose events are counted.
    :param seconds: tells the time.

    :ivar broker: whether other nodes are heard: ``up``, ``away``, or ``none`` without a broker.
    """

    def __init__(self, telemetry: Telemetry, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._started_at = seconds()
        self._connections = self._sessions = self._members = self._patches = 0
        self._lag = self._largest_lag = 0.0
        telemetry.subscribe("helix.connection.opened", lambda *_: self._connect(1))
        telemetry.subscribe("helix.connection.closed", lambda *_: self._connect(-1))
        telemetry.subscribe("helix.session.started", lambda *_: self._open(1))
        telemetry.subscribe("helix.session.ended", lambda *_: self._open(-1))
        telemetry.subscribe("helix.session.client_joined", lambda *_: self._join(1))
        telemetry.subscribe("helix.session.client_left", lambda *_: self._join(-1))
        telemetry.subscribe("helix.flow.appended", self._appended)
        telemetry.subscribe("helix.reactor.turned", self._turned)
        self.broker = "none"
        telemetry.subscribe("helix.broker.changed", self._broker_changed)
        self._nodes = 1
        telemetry.subscribe("helix.nodes.changed", self._nodes_changed)

    def numbers(self) -> dict[str, float]:
        """
        Give them as they are now.

        :return: ``connections``, ``sessions``, ``members``; ``nodes`` that are there, with this
            one; ``patches``, stored since the start;
            ``uptime``, ``reactor_lag``, the newest, and ``reactor_lag_max``, the largest of the
            last one to two minutes, all in seconds.
        """
        return {
            "uptime": round(max(0.0, self._seconds() - self._started_at), 3),
            "connections": self._connections,
            "sessions": self._sessions,
            "members": self._members,
            "nodes": self._nodes,
            "patches": self._patches,
            "reactor_lag": round(self._lag, 6),
            "reactor_lag_max": round(self._largest_lag, 6),
        }

    def _connect(self, change: int) -> None:
        self._connections += change

    def _open(self, change: int) -> None:
        self._sessions += change

    def _join(self, change: int) -> None:
        self._members += change

    def _appended(self, _: str, measurements: Values, __: Values) -> None:
        self._patches += measurements["entries"]  # type: ignore[operator]  # a number

    def _broker_changed(self, _: str, measurements: Values, __: Values) -> None:
        self.broker = "up" if measurements["up"] else "away"

    def _nodes_changed(self, _: str, measurements: Values, __: Values) -> None:
        self._nodes = measurements["nodes"]  # type: ignore[assignment]  # a number

    def _turned(self, _: str, measurements: Values, __: Values) -> None:
        self._lag = measurements["lag"]  # type: ignore[assignment]  # numbers both
        self._largest_lag = measurements["largest_lag"]  # type: ignore[assignment]  # as above
