"""The ``helix`` command: starts the server, and reads and changes flows from the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from os import environ
from pathlib import Path
from random import SystemRandom
from typing import Any

import attrs
import click
import msgspec
from twisted.internet import defer
from twisted.scripts import twistd

from helix.cli.access import access
from helix.cli.commands import run_command
from helix.cli.keys import keys
from helix.cli.stores import started, store_option, store_url
from helix.cli.tailing import Outages, Tailing, show_json, show_line
from helix.cli.terminal import (
    counted,
    described,
    for_stdout,
    progress,
    show_author,
    show_tags,
    show_time,
    write_line,
    write_output,
)
from helix.cli.transfers import export_all, import_file, tell_dropped
from helix.client import Dropped, FlowClient, FlowEvent, StatusChanged
from helix.client.rest import FlowsApi
from helix.client.tokens import Token, bearer
from helix.documents.ids import new_id
from helix.errors import Disconnected, HelixError
from helix.log.verify import all_heads, verify_flow
from helix.printable import shown
from helix.store.opening import open_store


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="helix-flows")
def main() -> None:
    """Start the Helix server; read and change flows."""


@attrs.frozen
class Server:
    """
    The server that a command asks.

    :ivar token: shows it who asks.
    """

    url: str
    token: Token | None = attrs.field(default=None, repr=False)


def _server(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name the server, and the server."""

    @click.option(
        "--server",
        "url",
        envvar="HELIX_SERVER",
        default="http://127.0.0.1:4000",
        show_default=True,
        show_envvar=True,
        help="The server's URL.",
    )
    @click.option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A file with the token that shows the server who asks; read anew when that is over. "
        "Without it, the token is the variable HELIX_TOKEN, if that is set.",
    )
    @wraps(command)
    def asking(url: str, token_file: Path | None, **arguments: object) -> None:
        command(server=Server(url, _token_of(token_file)), **arguments)

    return asking


_timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds to wait for the server.",
)


@main.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
    options_metavar="",
)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def serve(options: tuple[str, ...]) -> None:
    """
    Start the server. Ctrl-C stops it.

    `helix serve --help` lists its options. The command is `twistd --nodaemon helix`.
    """
    sys.argv[1:] = ["--nodaemon", "helix", *options]
    twistd.run()


@main.command()
@click.argument("text", required=False, default="")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@_server
def flows(text: str, as_json: bool, server: Server) -> None:
    """
    List flows, the newest change first.

    With TEXT, list only flows whose id, title or description contains TEXT (case is ignored).

    A line holds the id, the version, the numbers of nodes and edges, the time of the last change,
    and the title, separated by tabs.
    """

    async def run(reactor: Any) -> None:
        api = _api(reactor, server)
        try:
            async for flow in api.flows(text):
                numbers = (flow.version, flow.node_count, flow.edge_count)
                cells = (flow.id, *map(str, numbers), show_time(flow.updated_at), flow.title)
                write_line(flow, cells, as_json)
        finally:
            await api.close()

    run_command(run)


@main.command()
@click.argument("flow")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@_server
def versions(flow: str, as_json: bool, server: Server) -> None:
    """
    List the named versions of FLOW, the newest first.

    A line holds the version, the time it was named, who named it, and its name, separated by tabs;
    if the name is marked with tags, these follow as JSON.
    """

    async def run(reactor: Any) -> None:
        api = _api(reactor, server)
        try:
            for one in await api.versions(flow):
                cells = (
                    str(one.version),
                    show_time(one.at),
                    show_author(one),
                    one.name,
                    *show_tags(one),
                )
                write_line(described(one), cells, as_json)
        finally:
            await api.close()

    run_command(run)


@main.command()
@click.argument("flow", required=False)
@click.option("--all", "everything", is_flag=True, help="Export all flows to a directory.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file, or - for stdout (the default); with --all, the directory.",
)
@_server
def export(flow: str | None, everything: bool, output: Path | None, server: Server) -> None:
    """Write FLOW, or all flows, as JSON for `helix import`."""
    if everything == (flow is not None):
        raise click.UsageError("Give a FLOW, or --all.")
    if everything and (output is None or (output.exists() and not output.is_dir())):
        raise click.UsageError("--all needs a directory: --output DIRECTORY.")

    async def run(reactor: Any) -> None:
        api = _api(reactor, server)
        try:
            if flow is not None:
                write_output(output or Path("-"), await api.export(flow))
            elif output is not None:
                await export_all(api, output)
        finally:
            await api.close()

    run_command(run)


@main.command("import")
@click.option("--keep-ids", is_flag=True, help="Give each flow the id in its export.")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE...",
)
@_server
def import_(files: tuple[str, ...], keep_ids: bool, server: Server) -> None:
    """
    Create a flow from each FILE (- for stdin) and write its id.

    A FILE is an export, or browser data of the first editors. Each new flow gets a new id, so
    nothing is overwritten. With --keep-ids it gets the id in its export; this fails if another flow
    has that id.

    If a FILE can't be imported, the command says why and imports the others.
    """

    async def run(reactor: Any) -> None:
        api = _api(reactor, server)
        failed = 0
        try:
            with progress("Importing", len(files)) as bar:
                for file in files:
                    try:
                        imported = await import_file(api, file, keep_ids, _user_name())
                        bar.say(for_stdout(imported.id))
                        if any(msgspec.structs.astuple(imported.dropped)):
                            bar.say(tell_dropped(file, imported), err=True)
                    except Disconnected:
                        raise
                    except (HelixError, OSError) as error:
                        failed += 1
                        bar.say(shown(f"Error: {file}: {error}"), err=True)
                    bar.advance(1)
        finally:
            await api.close()
        if failed:
            raise SystemExit(1)

    run_command(run)


@main.command()
@click.argument("flow")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@_timeout
@_server
def tail(flow: str, as_json: bool, timeout: float, server: Server) -> None:
    """
    Write the entries of FLOW as they arrive.

    The command ends when the flow is deleted, or with Ctrl-C. If the server goes away, it waits.

    A line holds the version, the time, who made the entry, and the patch, separated by tabs; if
    the entry is marked with tags, these follow as JSON.
    """

    async def run(reactor: Any) -> None:
        client = _client(reactor, server, flow)
        tailing = Tailing(show_json if as_json else show_line)
        client.listen(tailing.told)
        try:
            await _start(reactor, client, timeout)
            await tailing.ended
        finally:
            tailing.ended.addErrback(lambda _: None)
            await client.stop()

    run_command(run)


@main.command()
@click.argument("flow")
@click.argument("patch")
@click.option("--tags", metavar="JSON", help="A JSON object to mark the entry with.")
@_timeout
@_server
def patch(flow: str, patch: str, tags: str | None, timeout: float, server: Server) -> None:
    """
    Apply PATCH to FLOW, and write the new version.

    PATCH is a JSON Merge Patch of the document: JSON text, - for stdin, or @FILE. If FLOW doesn't
    exist, it is created.
    """
    given = _read_patch(patch)
    marks = None if tags is None else _read_object("--tags", tags)

    async def run(reactor: Any) -> None:
        client = _client(reactor, server, flow)
        try:
            await _start(reactor, client, timeout)
            before = client.version
            dropped: list[str] = []
            client.listen(
                lambda event: dropped.extend(event.paths) if isinstance(event, Dropped) else None
            )
            try:
                version = await client.patch(given, tags=marks).addTimeout(timeout, reactor)
            except defer.TimeoutError:
                raise Disconnected(
                    f"The server did not confirm the patch within {timeout:g} s; "
                    "it may have been applied"
                ) from None
            click.echo(str(version))
            if version <= before:
                click.echo("The patch changes nothing.", err=True)
            for path in dropped:
                click.echo(shown(f"Dropped: {path}"), err=True)
        finally:
            await client.stop()

    run_command(run)


@main.command()
@store_option
def verify(store: str | None) -> None:
    """
    Check that a store agrees with its logs.

    Replays the log of every flow, and compares the result with the snapshots and the head. At the
    first difference it names the flow and ends with status 1. The server may run meanwhile. The
    command writes nothing.
    """
    url = store_url(store)

    async def run(reactor: Any) -> None:
        async with started(open_store(url, reactor, read_only=True)) as opened:
            heads = await all_heads(opened)
            entries = 0
            with progress("Verifying", sum(head.version for head in heads)) as bar:
                for head in heads:
                    entries += await verify_flow(opened, head.flow_id, bar.advance)
        flows, entries_ = counted(len(heads), "flow", "flows"), counted(entries, "entry", "entries")
        click.echo(f"{flows}, {entries_}: no difference")

    run_command(run)


@main.command("new-epoch")
@store_option
def new_epoch(store: str | None) -> None:
    """
    Tell all clients that a backup was restored.

    Gives every flow of a store a new epoch. Clients then don't continue from a version that they
    had before, because the log may reach that version with other entries. Each client takes the
    document as it is now.

    This is the last step of restoring a backup, before the server is started.
    """
    url = store_url(store)

    async def run(reactor: Any) -> None:
        async with started(open_store(url, reactor, create=False)) as opened:
            count = await opened.renew_epochs(new_id(SystemRandom()))
        click.echo(f"{counted(count, 'flow', 'flows')}: a new epoch")

    run_command(run)


main.add_command(access)
main.add_command(keys)


# what commands have in common


def _api(reactor: Any, server: Server) -> FlowsApi:
    return FlowsApi(reactor, server.url, server.token)


def _client(reactor: Any, server: Server, flow: str) -> FlowClient:
    user = {"name": _user_name()}
    return FlowClient(reactor, server.url, flow, user=user, token=server.token)


def _token_of(file: Path | None) -> Token | None:
    if file is None:
        return environ.get("HELIX_TOKEN") or None

    def read() -> str:
        return file.read_text(encoding="utf-8", errors="replace").strip()

    try:
        bearer(read())
    except OSError as error:
        raise click.UsageError(f"The token can't be read: {error}") from None
    except ValueError:  # which may show what is in the file
        raise click.UsageError(f"There is no token in {file}") from None
    return read


def _user_name() -> str:
    """The name that other members see."""
    return environ.get("USER", "helix")


async def _start(reactor: Any, client: FlowClient, timeout: float) -> None:
    why: list[HelixError] = []

    def note(event: FlowEvent) -> None:
        if isinstance(event, StatusChanged) and event.reason is not None:
            why.append(event.reason)

    client.listen(Outages().told)
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
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"The patch can't be read: {error}") from None
    return _read_object("The patch", text)


def _read_object(what: str, text: str) -> dict[str, Any]:
    try:
        given: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise click.UsageError(f"{what} is not a JSON object: {error}") from None
    return given
