"""What Deferreds have come to, in tests in which nothing takes time."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


def result_of(deferred: Deferred[Any]) -> Any:
    """What came at once, or what it failed with."""
    came: list[Any] = []
    deferred.addBoth(came.append)
    (result,) = came
    if isinstance(result, Failure):
        result.raiseException()
    return result
