"""What the command line shows and writes: lines, bars, files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import click

MAX_FILE_NAME = 200
"""Characters of an id that a file's name holds."""


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """Show on stderr how far something is, where that is a terminal and it takes more than one."""
    if length < 2 or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update


def file_name(flow_id: str) -> str:
    """Make a name that every file system takes, and no other flow has."""
    name = quote(flow_id, safe=" ")
    if len(name) > MAX_FILE_NAME:
        name = f"{name[:MAX_FILE_NAME]}-{sha256(flow_id.encode()).hexdigest()[:16]}"
    return f"{name}.json"


def write_output(path: Path, content: bytes) -> None:
    with click.open_file(str(path), "wb", atomic=str(path) != "-") as file:
        file.write(content)
        if str(path) == "-":
            file.write(b"\n")


def show_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def shown(text: str) -> str:
    """Escape what would move the cursor, end the line, or turn the text around."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
