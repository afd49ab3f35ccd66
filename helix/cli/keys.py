"""``helix keys``: makes, lists and revokes API keys in a store, also while a server runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import SystemRandom
from time import time
from typing import Any

import click
import msgspec

from helix.access.roles import Role
from helix.cli.commands import run_command
from helix.cli.stores import started, store_option, store_url
from helix.cli.terminal import show_time, write_line
from helix.errors import InvalidParameters, KeyNotFound
from helix.identity.api_keys import audit_creation, audit_revocation, describe_key, make_key
from helix.printable import shown
from helix.records import ApiKey
from helix.store.opening import open_store

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


class _Duration(click.ParamType[float]):
    """A number and its unit; the value is in seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found = re.fullmatch(r"([0-9]{1,9})([smhdw])", value)
        if found is None:
            self.fail("a number and s, m, h, d or w is wanted, such as 90d", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


@click.group()
def keys() -> None:
    """
    Make, list and revoke API keys, with which programs come in.

    The commands open the store themselves. The server may run meanwhile.
    """


@keys.command()
@click.option("--name", required=True, help="What the key is for.")
@click.option(
    "--flows",
    multiple=True,
    metavar="PATTERN",
    help="A flow's id, or the beginning of several and *. May be repeated.",
)
@click.option(
    "--role",
    type=click.Choice([role.text for role in Role]),
    default=Role.VIEWER.text,
    show_default=True,
    help="What it may do with these flows.",
)
@click.option(
    "--create",
    multiple=True,
    metavar="PATTERN",
    help="The flows that it may make, as --flows. May be repeated.",
)
@click.option("--admin", is_flag=True, help="It may do everything.")
@click.option(
    "--expires",
    type=_Duration(),
    metavar="TIME",
    help="For how long it holds: a number and s, m, h, d or w, such as 90d. Without it, for ever.",
)
@store_option
def create(
    name: str,
    flows: Sequence[str],
    role: str,
    create: Sequence[str],
    admin: bool,
    expires: float | None,
    store: str | None,
) -> None:
    """
    Make a key, and write it.

    It is written this once: the store keeps only its SHA-256. A running server knows it within a
    second.
    """
    url = store_url(store)

    async def run(reactor: Any) -> None:
        key, text = make_key(
            SystemRandom(),
            time(),
            name,
            dict.fromkeys(flows, role),
            list(create),
            is_admin=admin,
            expires_in=expires,
        )
        async with started(open_store(url, reactor, create=False, beside=True)) as opened:
            await opened.credentials.add_key(key, audit_creation(key))
        click.echo(text)
        click.echo(f"Its id is {key.id}. It is not shown again.", err=True)

    run_command(run)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@store_option
def list_(as_json: bool, store: str | None) -> None:
    """
    List all keys, the oldest first.

    A line holds the id, the name, what the key may do, until when it holds, when it was used last,
    and who made it, separated by tabs.
    """
    url = store_url(store)

    async def run(reactor: Any) -> None:
        async with started(open_store(url, reactor, read_only=True)) as opened:
            for key in await opened.credentials.keys():
                write_line(describe_key(key), _cells(key), as_json)

    run_command(run)


@keys.command()
@click.argument("key", metavar="ID|NAME")
@store_option
def revoke(key: str, store: str | None) -> None:
    """
    Revoke a key, by its id or its name.

    Nobody comes in with it any more, and who is connected with it is refused all that follows,
    within a second.
    """
    url = store_url(store)

    async def run(reactor: Any) -> None:
        async with started(open_store(url, reactor, create=False, beside=True)) as opened:
            found = _find(key, await opened.credentials.keys())
            audited = audit_revocation(found.id, time(), found.name)
            await opened.credentials.remove_key(found.id, audited)
        click.echo(shown(f"{found.name} ({found.id}): revoked"))

    run_command(run)


def _find(named: str, listed: Sequence[ApiKey]) -> ApiKey:
    """
    Find a key by its id, else by its name.

    :raises KeyNotFound: when there is none.
    :raises InvalidParameters: when several have this name.
    """
    found = [key for key in listed if key.id == named] or [
        key for key in listed if key.name == named
    ]
    if not found:
        raise KeyNotFound()
    if len(found) > 1:
        ids = ", ".join(key.id for key in found)
        raise InvalidParameters(f"Several keys have this name, so give an id: {ids}")
    return found[0]


def _cells(key: ApiKey) -> Sequence[str]:
    expires = "never" if key.expires_at is None else show_time(key.expires_at)
    used = "never" if key.used_at is None else show_time(key.used_at)
    return key.id, key.name, _rights(key), expires, used, key.created_by or "operator"


def _rights(key: ApiKey) -> str:
    """Say in a few words what a key may do."""
    if key.is_admin:
        return "everything"
    rights = [
        f"{pattern}: {grant if isinstance(grant, str) else grant['role']}"
        for pattern, grant in msgspec.json.decode(key.grants).items()
    ]
    rights += [f"{pattern}: create" for pattern in msgspec.json.decode(key.create)]
    return ", ".join(rights) or "nothing"
