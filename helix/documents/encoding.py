"""
Encodes JSON in a thread without blocking other threads; with no I/O.

An encoder has the interpreter to itself from the first byte to the last: 25 to 60 ms for 15 MiB.
So each member is encoded by a call of its own. (`helix.documents.decoding` is the way back.)
"""

from __future__ import annotations

from typing import Any

import msgspec

LEVELS = 2
"""How deep members get a call each: those of a document or a patch, and its nodes and edges."""

_encode = msgspec.json.Encoder(order="deterministic").encode


def encode_in_parts(value: Any, levels: int = LEVELS) -> bytes:
    """
    Encode JSON data, with the members of objects sorted by name.

    :param levels: as `LEVELS`.
    """
    if not levels or type(value) is not dict:
        return _encode(value)
    members = (
        b"%b:%b" % (_encode(name), encode_in_parts(value[name], levels - 1))
        for name in sorted(value)
    )
    return b"{%b}" % b",".join(members)
