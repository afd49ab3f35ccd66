"""Tells Deferreds whose result is there from those that are waited for."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


def has_result(deferred: Deferred[Any]) -> bool:
    """
    Tell whether a Deferred has its result already, which isn't a failure.

    Its ``result`` then can be used at once. To add callbacks that are called at once takes five
    times as long as the calls themselves, and what is in memory is asked for with every edit.
    """
    return (
        bool(deferred.called)
        and not deferred.paused
        and not isinstance(deferred.result, Failure | Deferred)
    )
