"""What a server tells of itself: its metrics and its status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred, succeed

from helix import __version__
from helix.telemetry.metrics import Metrics
from helix.telemetry.status import ServerStatus


class Figures(Protocol):
    """Tells what `/metrics` and `/api/status` show."""

    def exposition(self) -> Deferred[bytes]:
        """Give all metrics in Prometheus' text format."""
        ...

    def status(self) -> Deferred[Mapping[str, object]]:
        """Give ``version``, ``broker`` and the numbers of `ServerStatus`."""
        ...


@attrs.frozen
class OwnFigures:
    """Those of this process."""

    _metrics: Metrics
    _status: ServerStatus

    def exposition(self) -> Deferred[bytes]:
        return succeed(self.text())

    def status(self) -> Deferred[Mapping[str, object]]:
        return succeed(self.numbers())

    def text(self) -> bytes:
        """As `exposition`, at once."""
        return self._metrics.exposition()

    def numbers(self) -> Mapping[str, object]:
        """As `status`, at once."""
        about = {"version": __version__, "broker": self._status.broker}
        return {**about, **self._status.numbers()}
