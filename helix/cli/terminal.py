"""The output of the command line: lines, progress bars, files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import attrs
import click
import msgspec

from helix.delivery.protocol import encode_json
from helix.printable import shown, shown_json
from helix.records import Actor

MAX_FILE_NAME = 200
"""Characters of an id that a file's name holds."""

_CLEAR_LINE = "\r\x1b[K"
"""Goes to the start of the line and clears it (ECMA-48's EL)."""


@attrs.frozen
class Progress:
    """
    Shows how far a task is, and messages meanwhile.

    :ivar update: draws the bar that many steps further; ``None`` if no bar is shown.
    """

    update: Callable[[int], None] | None = None

    def advance(self, steps: int) -> None:
        if self.update is not None:
            self.update(steps)

    def say(self, line: str, err: bool = False) -> None:
        """Write a line in place of the bar. The next step draws the bar again, below."""
        if self.update is not None:
            click.echo(_CLEAR_LINE, err=True, nl=False)
        click.echo(line, err=err)


@contextmanager
def progress(label: str, length: int) -> Iterator[Progress]:
    """Show a bar on stderr, if that is a terminal and the task has more than one step."""
    if length < 2 or not sys.stderr.isatty():
        yield Progress()
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield Progress(bar.update)


class Authored(Protocol):
    """What is by somebody, as a server tells it."""

    @property
    def by(self) -> str:
        """Who, as a name to show."""

    @property
    def actor(self) -> Actor | None:
        """Who, where that is proven."""

    @property
    def tags(self) -> dict[str, Any]:
        """What it is marked with."""


def show_author(one: Authored) -> str:
    """Say who something is by: a name, and what it is if it is no person."""
    if one.actor is None:
        return one.by
    name = one.by or one.actor.name or one.actor.id
    return name if one.actor.kind == "person" else f"{name} ({one.actor.kind})"


def show_tags(one: Authored) -> list[str]:
    """Give what something is marked with as the last cell of a line; none for nothing."""
    return [encode_json(one.tags).decode()] if one.tags else []


def described(one: object) -> object:
    """Give something as JSON is to show it: of who it is by, only what there is."""
    told = msgspec.to_builtins(one)
    if isinstance(told, dict):
        for name in ("actor", "tags"):
            if name in told and not told[name]:
                del told[name]
    return told


def file_name(flow_id: str) -> str:
    """Make a name that every file system accepts, different for each flow."""
    name = quote(flow_id, safe=" ")
    if len(name) > MAX_FILE_NAME:
        name = f"{name[:MAX_FILE_NAME]}-{sha256(flow_id.encode()).hexdigest()[:16]}"
    return f"{name}.json"


def write_output(path: Path, content: bytes) -> None:
    if str(path) == "-":
        write_data(content)
        return
    with click.open_file(str(path), "wb", atomic=True) as file:
        file.write(content + b"\n")


def show_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def write_data(data: bytes) -> None:
    """Write JSON to stdout. On a terminal, escape what the terminal would act upon."""
    click.echo(shown_json(data.decode()) if sys.stdout.isatty() else data)


def write_line(one: object, cells: Iterable[str], as_json: bool) -> None:
    """Write a line of a list: JSON, or text for people."""
    if as_json:
        write_data(encode_json(one))
    else:
        click.echo("\t".join(map(shown, cells)))


def for_stdout(name: str) -> str:
    """Prepare a name for stdout: unchanged, or escaped if stdout is a terminal."""
    return shown(name) if sys.stdout.isatty() else name
