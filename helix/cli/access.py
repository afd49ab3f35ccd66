"""``helix access``: shows and changes access in a store, also while a server runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time
from typing import Any, TypeVar

import click
import msgspec

from helix.access.roles import Role
from helix.access.sharing import FlowAccess
from helix.cli.commands import run_command
from helix.cli.stores import started, store_option, store_url
from helix.cli.terminal import counted, progress, write_line
from helix.documents.merge_patch import JsonObject
from helix.errors import FlowNotFound
from helix.interfaces import IFlowStore
from helix.log.verify import all_heads
from helix.printable import shown
from helix.records import AuditEntry
from helix.sharing.changing import change_list, describe_list
from helix.store.opening import open_store

F = TypeVar("F", bound=Callable[..., Any])

_READ_AT_ONCE = 1000
"""Of how many flows it is read at once what they give."""


@click.group()
def access() -> None:
    """
    Show and change who may do what with flows.

    The commands open the store themselves. The server may run meanwhile, and learns of a change
    within a second.
    """


def _which_flows(command: F) -> F:
    """Give a command the ways to name flows."""
    for option in (
        store_option,
        click.option(
            "--without-owner",
            is_flag=True,
            help="All flows without an owner, the deleted ones too.",
        ),
        click.option("--all", "everything", is_flag=True, help="All flows, the deleted ones too."),
        click.argument("flows", nargs=-1, metavar="[FLOW]..."),
    ):
        command = option(command)
    return command


@access.command()
@click.argument("flow")
@click.option("--json", "as_json", is_flag=True, help="A JSON object, as by REST.")
@store_option
def show(flow: str, as_json: bool, store: str | None) -> None:
    """Show what a flow gives: a line for each who has a role."""
    url = store_url(store)

    async def run(reactor: Any) -> None:
        async with started(open_store(url, reactor, read_only=True)) as opened:
            found = (await opened.access.read((flow,))).get(flow)
        if found is None:
            raise FlowNotFound()
        described = describe_list(found)
        if as_json:
            write_line(described, (), as_json=True)
            return
        for kind, who, grant in _lines(described):
            write_line(described, (kind, who, grant), as_json=False)
        for link in found.links.values():
            write_line(described, ("link", link.id, link.role.text), as_json=False)

    run_command(run)


@access.command()
@click.argument("who")
@click.argument("role", type=click.Choice([role.text for role in Role]))
@click.option("--group", is_flag=True, help="WHO is the name of a group.")
@click.option(
    "--path",
    "paths",
    multiple=True,
    metavar="PATH",
    help="A part of the document that may be changed, such as /nodes/*/data. May be repeated.",
)
@_which_flows
def grant(
    who: str,
    role: str,
    group: bool,
    paths: Sequence[str],
    flows: Sequence[str],
    everything: bool,
    without_owner: bool,
    store: str | None,
) -> None:
    """
    Give somebody a role in flows, in place of the one that the flows gave them before.

    WHO is the id of a person or a program: the sub of a token, the name that a proxy gives, or
    key:ID.
    """
    given: object = {"role": role, "paths": list(paths)} if paths else role
    patch: JsonObject = {"groups" if group else "members": {who: given}}
    _change(patch, flows, everything, without_owner, store)


@access.command()
@click.argument("who")
@click.option("--group", is_flag=True, help="WHO is the name of a group.")
@_which_flows
def revoke(
    who: str,
    group: bool,
    flows: Sequence[str],
    everything: bool,
    without_owner: bool,
    store: str | None,
) -> None:
    """
    Take somebody off the access lists of flows.

    Tokens, keys, groups, links and the general access of a flow may still give them a role.
    """
    patch: JsonObject = {"groups" if group else "members": {who: None}}
    _change(patch, flows, everything, without_owner, store)


@access.command()
@click.argument("who")
@_which_flows
def owner(
    who: str, flows: Sequence[str], everything: bool, without_owner: bool, store: str | None
) -> None:
    """
    Let somebody own flows.

    Flows that were made while the server asked nobody who they are have no owner:

        helix access owner ada@example.com --without-owner
    """
    _change({"owner": who}, flows, everything, without_owner, store)


def _change(
    patch: JsonObject,
    flows: Sequence[str],
    everything: bool,
    without_owner: bool,
    store: str | None,
) -> None:
    """Change what some flows give, and say of how many."""
    if bool(flows) + everything + without_owner != 1:
        raise click.UsageError("Give flows, or --all, or --without-owner")
    url = store_url(store)

    def edit(access: FlowAccess) -> FlowAccess:
        if without_owner and access.owner:
            return access
        return change_list(access, patch, may_disown=False)

    async def run(reactor: Any) -> None:
        change_list(FlowAccess(), patch, may_disown=False)  # which tells what is wrong with it
        async with started(open_store(url, reactor, create=False, beside=True)) as opened:
            ids = list(flows) or await _ids(opened, without_owner)
            details = msgspec.json.encode(patch)
            with progress("Changing", len(ids)) as bar:
                for flow_id in ids:
                    audited = AuditEntry(0, time(), "access.change", flow_id, details=details)
                    try:
                        await opened.access.change(flow_id, edit, audited)
                    except FlowNotFound:
                        if flows:
                            raise FlowNotFound(f"There is no flow {shown(flow_id)}") from None
                    bar.advance(1)
        click.echo(f"{counted(len(ids), 'flow', 'flows')}: changed")

    run_command(run)


async def _ids(store: IFlowStore, without_owner: bool) -> list[str]:
    """List all flows, or those that nobody owns."""
    ids = [head.flow_id for head in await all_heads(store)]
    if not without_owner:
        return ids
    found: list[str] = []
    for start in range(0, len(ids), _READ_AT_ONCE):
        some = ids[start : start + _READ_AT_ONCE]
        given = await store.access.read(some)
        found += [one for one in some if not given.get(one, FlowAccess()).owner]
    return found


def _lines(described: JsonObject) -> list[tuple[str, str, str]]:
    """Give a line for each who has a role: what they are, who they are, and the role."""
    lines = [("owner", described["owner"], "owner")] if described["owner"] else []
    for kind, part in (("member", "members"), ("group", "groups")):
        for who, given in described[part].items():
            narrowed = isinstance(given, dict)
            role = given["role"] if narrowed else given
            paths = ", ".join(given.get("paths", ())) if narrowed else ""
            lines.append((kind, who, f"{role}: {paths}" if paths else role))
    general = described["general"]
    if general["role"] is not None:
        lines.append(("general", general["who"], general["role"]))
    return lines
