"""Removes flows for good when they were deleted long ago."""

from __future__ import annotations

from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from helix.errors import StoreError
from helix.interfaces import IFlowStore
from helix.telemetry.clocks import ClockWatch

PURGE_INTERVAL = 3600.0
"""
Seconds between two purges, and from the start to the first one. That is enough time to set a clock
that was wrong when the machine started.
"""

DAY = 86_400


class PurgeService(Service):
    """
    Purges the store every hour.

    A failure is logged, and the purge is tried again an hour later. A wall clock that was set isn't
    trusted: a flow is removed only if it is overdue by all settings of the clock in the last
    ``keep_deleted`` days.

    :param watch: knows the earliest time that it can be, and remembers those days.
    :param store: started before this, stopped after it.
    :param keep_deleted: days during which a deleted flow can be restored.
    """

    name = "purge"

    _log: Final = Logger(namespace="helix.purge")

    def __init__(
        self, clock: IReactorTime, watch: ClockWatch, store: IFlowStore, keep_deleted: float
    ) -> None:
        self._watch = watch
        self._store = store
        self._seconds = keep_deleted * DAY
        self._purging: Deferred[Any] = succeed(None)
        self._loop = LoopingCall(self._purge)
        self._loop.clock = clock

    def startService(self) -> None:
        super().startService()
        self._purging = self._loop.start(PURGE_INTERVAL, now=False)

    def stopService(self) -> Deferred[Any]:
        """Stop, once the purge that may be under way is over."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()
        return self._purging

    def _purge(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._purged())

    async def _purged(self) -> None:
        try:
            count = await self._store.purge(self._watch.earliest() - self._seconds)
        except StoreError as error:
            self._log.warn("Deleted flows could not be purged: {code}", code=error.code)
        except Exception:
            self._log.failure("Deleted flows could not be purged")
        else:
            if count:
                self._log.info("Purged {count} deleted flows", count=count)
