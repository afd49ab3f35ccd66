"""Work apart that a test lets go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, execute, fail

from helix.errors import HelixError
from helix.limits.apart import AT_ONCE_BYTES


class HeldWork:
    """
    Work apart, done when `go_on` is called; but not what is small, nor while it isn't `holding`.

    :ivar error: with what the next one is refused.
    """

    def __init__(self) -> None:
        self.holding = True
        self.error: HelixError | None = None
        self._held: list[Callable[[], None]] = []

    def __call__(self, size: int, work: Callable[[], Any], _charge: object = None) -> Deferred[Any]:
        if self.error is not None:
            error, self.error = self.error, None
            return fail(error)
        if not self.holding or size <= AT_ONCE_BYTES:
            return execute(work)
        done: Deferred[Any] = Deferred()
        self._held.append(lambda: execute(work).chainDeferred(done))
        return done

    @property
    def waiting(self) -> int:
        return len(self._held)

    def go_on(self) -> None:
        """Do what was asked for."""
        held, self._held = self._held, []
        for do in held:
            do()
