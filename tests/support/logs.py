"""What a test logs, to be looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent, formatEvent, globalLogPublisher


class Log:
    """What was logged, at every level."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        """Twisted's call."""
        self.events.append(event)

    @property
    def failures(self) -> list[LogEvent]:
        """The events that tell of a fault."""
        return [event for event in self.events if "log_failure" in event]

    @property
    def text(self) -> str:
        """All of it, the fields of the events too."""
        return "\n".join(f"{formatEvent(event)} {event}" for event in self.events)


@pytest.fixture
def logged() -> Iterator[Log]:
    """What the test logs; a fault among it fails the test."""
    log = Log()
    globalLogPublisher.addObserver(log)
    yield log
    globalLogPublisher.removeObserver(log)
    assert not log.failures, log.failures[0]["log_failure"].getTraceback()
