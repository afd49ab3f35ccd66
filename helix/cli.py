"""``helix``: flows from the command line."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from os import environ
from pathlib import Path
from typing import Any

import click
import msgspec
from twisted.internet import defer, task
from twisted.internet.defer import CancelledError, Deferred

from helix.client import EntriesArrived, FlowClient, FlowEntry, FlowEvent, Status, StatusChanged
from helix.client.events import DocumentReplaced
from helix.client.rest import FlowsApi
from helix.config import read_config
from helix.errors import Disconnected, HelixError
from helix.protocol import encode_json
from helix.store import open_store
from helix.terminal import file_name, progress, show_time, shown, write_output
from helix.verify import all_heads, verify_flow

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""

Main = Callable[[Any], Awaitable[None]]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="helix-flows")
def main() -> None:
    """Look at flows, and change them, from the command line."""


_server = click.option(
    "--server",
    envvar="HELIX_SERVER",
    default="http://127.0.0.1:4000",
    show_default=True,
    show_envvar=True,
    help="The server's URL.",
)
_timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds to wait for the server.",
)


@main.command()
@click.option("--q", "text", default="", help="What the id, title or description must hold.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@_server
def flows(text: str, as_json: bool, server: str) -> None:
    """
    List flows, the newest change first.

    A line holds the id, the version, the numbers of nodes and edges, when the flow last changed,
    and its title, with tabs in between.
    """

    async def run(reactor: Any) -> None:
        api = _api(reactor, server)
        try:
            async for flow in api.flows(text):
                if as_json:
                    click.echo(encode_json(flow))
                    continue
                numbers = (flow.version, flow.node_count, flow.edge_count)
                cells = (flow.id, *map(str, numbers), show_time(flow.updated_at), flow.title)
                click.echo("\t".join(map(shown, cells)))
        finally:
            await api.close()

    _run(run)


@main.command()
@click.argument("flow", required=False)
@click.option("--all", "everything", is_flag=True, help="Export all flows, into a directory.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file, - for stdout (the default); with --all the directory.",
)
@_server
def export(flow: str | None, everything: bool, output: Path | None, server: str) -> None:
    """Write FLOW, or all flows, as JSON that `helix import` takes."""
    if everything == (flow is not None):
        raise click.UsageError("Name a FLOW, or say --all.")
    if everything and (output is None or (output.exists() and not output.is_dir())):
        raise click.UsageError("--all needs a directory: --output DIRECTORY.")

    async def run(reactor: Any) -> None:
        api = _api(reactor, server)
        try:
            if flow is not None:
                write_output(output or Path("-"), await api.export(flow))
            elif output is not None:
                await _export_all(api, output)
        finally:
            await api.close()

    _run(run)


@main.command("import")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE...",
)
@_server
def import_(files: tuple[str, ...], server: str) -> None:
    """
    Make a flow from each FILE (- for stdin) and write its id.

    What can't be imported is told of, and the others are imported all the same.
    """

    async def run(reactor: Any) -> None:
        api = _api(reactor, server)
        failed = 0
        try:
            with progress("Importing", len(files)) as advance:
                for file in files:
                    try:
                        imported = await api.import_(_read(file))
                        click.echo(imported.id)
                    except Disconnected:
                        raise
                    except (HelixError, OSError) as error:
                        failed += 1
                        click.echo(f"Error: {file}: {error}", err=True)
                    advance(1)
        finally:
            await api.close()
        if failed:
            raise SystemExit(1)

    _run(run)


@main.command()
@click.argument("flow")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@_timeout
@_server
def tail(flow: str, as_json: bool, timeout: float, server: str) -> None:
    """
    Write the entries of FLOW as they come, until it is deleted or Ctrl-C.

    A line holds the version, the time, who it was, and the patch, with tabs in between.
    """

    async def run(reactor: Any) -> None:
        client = _client(reactor, server, flow)
        tailing = _Tailing(_show_json if as_json else _show_line)
        client.listen(tailing.told)
        try:
            await _start(reactor, client, timeout)
            await tailing.ended
        finally:
            tailing.ended.addErrback(lambda _: None)
            await client.stop()

    _run(run)


@main.command()
@click.argument("flow")
@click.argument("patch")
@_timeout
@_server
def patch(flow: str, patch: str, timeout: float, server: str) -> None:
    """
    Change FLOW by PATCH, a JSON Merge Patch, and write the version at which the log holds it.

    PATCH is JSON, - for stdin, or @FILE. A flow that isn't there is made.
    """
    given = _read_patch(patch)

    async def run(reactor: Any) -> None:
        client = _client(reactor, server, flow)
        try:
            await _start(reactor, client, timeout)
            try:
                click.echo(str(await client.patch(given).addTimeout(timeout, reactor)))
            except defer.TimeoutError:
                raise Disconnected(
                    f"The server did not confirm the patch within {timeout:g} s; "
                    "it may have been applied"
                ) from None
        finally:
            await client.stop()

    _run(run)


@main.command()
@click.option("--store", envvar="HELIX_STORE", show_envvar=True, help="As twistd helix --store.")
def verify(store: str | None) -> None:
    """
    Replay the log of every flow in a store, and compare it with the snapshots and the head.

    Ends with status 1 at the first difference, and names the flow. The server may run meanwhile.
    """
    url = store or read_config({}, {}).store
    if url == "memory:":
        raise click.UsageError("Which store? --store sqlite:PATH or postgresql://...")

    async def run(reactor: Any) -> None:
        opened = open_store(url, reactor, read_only=True)
        await opened.start()
        try:
            heads = await all_heads(opened)
            entries = 0
            with progress("Verifying", sum(head.version for head in heads)) as advance:
                for head in heads:
                    entries += await verify_flow(opened, head.flow_id, advance)
        finally:
            await opened.stop()
        click.echo(f"{len(heads)} flows, {entries} entries: no difference")

    _run(run)


class _Tailing:
    """
    Shows entries as they come, until that can't be.

    :ivar ended: fails with why.
    """

    def __init__(self, show: Callable[[FlowEntry], None]) -> None:
        self.ended: Deferred[None] = Deferred()
        self._show = show

    def told(self, event: FlowEvent) -> None:
        if self.ended.called:
            return
        try:
            if isinstance(event, EntriesArrived):
                for entry in event.entries:
                    self._show(entry)
            elif isinstance(event, DocumentReplaced):
                click.echo(f"The flow is at version {event.version}.", err=True)
            elif isinstance(event, StatusChanged):
                self._moved(event)
        except OSError as error:  # nobody reads any more
            self.ended.errback(error)

    def _moved(self, event: StatusChanged) -> None:
        if event.status is Status.CLOSED:
            self.ended.errback(event.reason or Disconnected())
        elif event.reason is not None:
            click.echo(f"Not connected: {event.reason}", err=True)


# how a command runs


def _run(command: Main) -> None:
    """Run a command on the reactor; what it can't do is one line on stderr and status 1."""
    outcome: list[BaseException | None] = []

    async def guarded(reactor: Any) -> None:
        try:
            await command(reactor)
            outcome.append(None)
        except CancelledError:
            outcome.append(SystemExit(INTERRUPTED))
        except (HelixError, OSError, ValueError, SystemExit) as error:
            outcome.append(error)

    def start(reactor: Any) -> Deferred[None]:
        running = Deferred.fromCoroutine(guarded(reactor))

        def end() -> Deferred[None]:
            """After Ctrl-C, too, there is something to close."""
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
    if isinstance(error, OSError | SystemExit):
        raise error  # click knows what to do about a closed pipe
    if error is not None:
        raise click.ClickException(shown(str(error)))


def _api(reactor: Any, server: str) -> FlowsApi:
    return FlowsApi(reactor, server)


def _client(reactor: Any, server: str, flow: str) -> FlowClient:
    return FlowClient(reactor, server, flow, user={"name": environ.get("USER", "helix")})


async def _start(reactor: Any, client: FlowClient, timeout: float) -> None:
    why: list[HelixError] = []

    def note(event: FlowEvent) -> None:
        if isinstance(event, StatusChanged) and event.reason is not None:
            why.append(event.reason)

    forget = client.listen(note)
    try:
        await client.start().addTimeout(timeout, reactor)
    except defer.TimeoutError:
        raise why[-1] if why else Disconnected() from None
    finally:
        forget()


# reading and writing


def _read_patch(text: str) -> dict[str, Any]:
    try:
        if text == "-":
            text = sys.stdin.buffer.read().decode()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        given: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    except OSError as error:
        raise click.UsageError(f"The patch can't be read: {error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise click.UsageError(f"The patch is no JSON object: {error}") from None
    return given


def _read(path: str) -> bytes:
    with click.open_file(path, "rb") as file:
        content: bytes = file.read()
    return content


async def _export_all(api: FlowsApi, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    listed = [flow.id async for flow in api.flows()]
    with progress("Exporting", len(listed)) as advance:
        for flow_id in listed:
            write_output(directory / file_name(flow_id), await api.export(flow_id))
            advance(1)


def _show_json(entry: FlowEntry) -> None:
    click.echo(encode_json(entry))


def _show_line(entry: FlowEntry) -> None:
    patch = encode_json(entry.patch).decode()
    click.echo("\t".join(map(shown, (str(entry.version), show_time(entry.at), entry.by, patch))))
