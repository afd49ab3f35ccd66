"""Runs a command of ``helix`` on a reactor, to its end or until Ctrl-C."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import click
from twisted.internet import task
from twisted.internet.defer import CancelledError, Deferred

from helix.errors import HelixError
from helix.printable import shown
from helix.telemetry.clocks import keep_steady

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""

Main = Callable[[Any], Awaitable[None]]


def run_command(command: Main) -> None:
    """Run a command on the reactor. A failure is one line on stderr, and status 1."""
    outcome: list[BaseException | None] = []
    is_interrupted = False

    async def guarded(reactor: Any) -> None:
        try:
            await command(reactor)
            outcome.append(None)
        except (CancelledError, HelixError, OSError, ValueError, SystemExit) as error:
            # A cancelled command may report that as another failure.
            outcome.append(SystemExit(INTERRUPTED) if is_interrupted else error)

    def start(reactor: Any) -> Deferred[None]:
        keep_steady(reactor)
        running = Deferred.fromCoroutine(guarded(reactor))

        def end() -> Deferred[None]:
            """Close what is open, after Ctrl-C too."""
            nonlocal is_interrupted
            is_interrupted = True
            running.cancel()
            return running

        reactor.addSystemEventTrigger("before", "shutdown", end)
        return running

    try:
        task.react(start)
    except SystemExit:
        if not outcome:
            raise
    error = outcome[0]
    if isinstance(error, BrokenPipeError | SystemExit):
        raise error  # click knows what to do about a closed pipe
    if error is not None:
        raise click.ClickException(shown(str(error)))
