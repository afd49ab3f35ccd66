"""What the command line shows of a flow that it has joined: entries as they arrive, and outages."""

from __future__ import annotations

from collections.abc import Callable

import click
from twisted.internet.defer import Deferred

from helix.cli.terminal import described, show_author, show_tags, show_time, write_data
from helix.client import EntriesArrived, FlowEntry, FlowEvent, Status, StatusChanged
from helix.client.events import DocumentReplaced
from helix.delivery.protocol import encode_json
from helix.errors import Disconnected
from helix.printable import shown


class Outages:
    """Writes to stderr when the server is away (each reason once), and when it is back."""

    def __init__(self) -> None:
        self._why = ""

    def told(self, event: FlowEvent) -> None:
        """A listener of a flow's."""
        if not isinstance(event, StatusChanged):
            return
        if event.status is Status.JOINED and self._why:
            click.echo("Connected.", err=True)
            self._why = ""
        elif event.status is Status.OFFLINE and event.reason is not None:
            if str(event.reason) != self._why:
                click.echo(f"Not connected, trying again: {shown(str(event.reason))}", err=True)
            self._why = str(event.reason)


class Tailing:
    """
    Shows entries as they arrive, until it can't go on.

    :ivar ended: fails with the reason.
    """

    def __init__(self, show: Callable[[FlowEntry], None]) -> None:
        self.ended: Deferred[None] = Deferred()
        self._show = show
        self._epoch: str | None = None
        self._version = 0

    def told(self, event: FlowEvent) -> None:
        """A listener of a flow's."""
        if self.ended.called:
            return
        try:
            if isinstance(event, EntriesArrived):
                for entry in event.entries:
                    self._show(entry)
                self._version = event.entries[-1].version
            elif isinstance(event, DocumentReplaced):
                click.echo(self._describe(event), err=True)
                self._epoch, self._version = event.epoch, event.version
            elif isinstance(event, StatusChanged) and event.status is Status.CLOSED:
                self.ended.errback(event.reason or Disconnected())
        except OSError as error:  # nobody reads any more
            self.ended.errback(error)

    def _describe(self, event: DocumentReplaced) -> str:
        if self._epoch == event.epoch and event.version > self._version:
            first = self._version + 1
            missed = f"{first} to {event.version}" if event.version > first else str(first)
            return f"Not shown, because they arrived during the outage: {missed}"
        if self._epoch is not None and self._epoch != event.epoch:
            return f"The flow has a new log now, at version {event.version}."
        if event.version == 0:
            return "The flow has no entries yet. Waiting for the first."
        return f"The flow is at version {event.version}. Waiting for the next."


def show_json(entry: FlowEntry) -> None:
    """Write an entry as one line of JSON."""
    write_data(encode_json(described(entry)))


def show_line(entry: FlowEntry) -> None:
    """Write an entry as one line for people."""
    patch = encode_json(entry.patch).decode()
    cells = (str(entry.version), show_time(entry.at), show_author(entry), patch, *show_tags(entry))
    click.echo("\t".join(map(shown, cells)))
