"""Exports flows from a server to files, and imports them again."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from helix.cli.terminal import counted, file_name, progress, write_output
from helix.client.rest import FlowsApi, ImportedFlow
from helix.errors import FlowDeleted, FlowNotFound, Refused
from helix.printable import shown

_GONE = (FlowDeleted.code, FlowNotFound.code)


class _Exported(msgspec.Struct):
    id: str | None = None


_decode_exported = msgspec.json.Decoder(_Exported).decode


def _read(path: str) -> bytes:
    with click.open_file(path, "rb") as file:
        content: bytes = file.read()
    return content


async def export_all(api: FlowsApi, directory: Path) -> None:
    """Write an export of each flow into a directory; create the directory if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    listed = await _all_ids(api)
    with progress("Exporting", len(listed)) as bar:
        for flow_id in listed:
            try:
                write_output(directory / file_name(flow_id), await api.export(flow_id))
            except Refused as error:
                if error.code not in _GONE:
                    raise
                bar.say(shown(f"{flow_id}: {error}"), err=True)
            bar.advance(1)


async def _all_ids(api: FlowsApi) -> list[str]:
    """
    List all flows, even while they change: read the list again until it shows no new flow.

    A flow that changes moves to the first page. A reader that is past this page misses it.
    """
    found: dict[str, None] = {}
    known = -1
    while known < len(found):
        known = len(found)
        async for flow in api.flows():
            found[flow.id] = None
    return list(found)


async def import_file(api: FlowsApi, file: str, keep_ids: bool, by: str) -> ImportedFlow:
    """
    Make a flow from a file.

    :param keep_ids: whether the flow gets the id in the file.
    :param by: the name to show for who imports it.
    """
    text = _read(file)
    return await api.import_(text, _exported_id(text) if keep_ids else None, by)


def _exported_id(text: bytes) -> str | None:
    try:
        return _decode_exported(text).id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None  # the server says what is wrong with the file


def tell_dropped(file: str, imported: ImportedFlow) -> str:
    """Say how much of a file could not be kept."""
    nodes = counted(imported.dropped.nodes, "node", "nodes")
    edges = counted(imported.dropped.edges, "edge", "edges")
    parents = imported.dropped.parents
    more = f", nor {counted(parents, 'parent', 'parents')} of nodes" if parents else ""
    return shown(f"{file}: {nodes} and {edges} could not be kept{more}")
