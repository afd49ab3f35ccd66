"""
What a parent and its workers tell each other, one line of JSON each.

After SIGHUP a worker may be newer than its parent. So what one doesn't know of the other's messages
it ignores.
"""

from __future__ import annotations

from typing import Any

import msgspec

VERSION = 1

MAX_LINE_BYTES = 16 * 1024 * 1024
"""The largest message; figures of hundreds of workers are less."""


class Begin(msgspec.Struct, tag="begin", tag_field="kind"):
    """
    The first word of a parent to a worker.

    :ivar v: the version of this format.
    :ivar worker: its number, from 1 on.
    :ivar workers: how many there are.
    :ivar given: the parent's command line: option -> its values.
    :ivar listen: the descriptions of the endpoints. Their sockets are the descriptors from
        `FIRST_SOCKET` on.
    :ivar reactor: the name of the parent's reactor; empty for Twisted's choice.
    :ivar waits: whether it takes no connection before its store is open, since others do.
    """

    v: int
    worker: int
    workers: int
    given: dict[str, list[str]]
    listen: list[str]
    reactor: str = ""
    waits: bool = False


class Ready(msgspec.Struct, tag="ready", tag_field="kind"):
    """A worker's store is open, and it serves."""


class Failed(msgspec.Struct, tag="failed", tag_field="kind"):
    """A worker can't serve, and ends."""

    reason: str


class Ask(msgspec.Struct, tag="ask", tag_field="kind"):
    """
    Whoever sends it wants figures: a parent a worker's own, a worker those of all.

    :ivar number: of the question; the answer has it, too.
    """

    number: int


class Report(msgspec.Struct, tag="report", tag_field="kind"):
    """
    Figures: the answer to `Ask`, or a worker's last word.

    :ivar number: of the question; 0 for none.
    :ivar metrics: in Prometheus' text format.
    :ivar status: what ``/api/status`` shows.
    """

    number: int
    metrics: str
    status: dict[str, Any]


CHANNEL = 3
"""The descriptor at which a worker has its end of the channel."""

FIRST_SOCKET = 4
"""The descriptor of the first listening socket; the others follow."""

ToParent = Ready | Failed | Ask | Report

ToWorker = Ask | Report

encode = msgspec.json.Encoder().encode
decode_begin = msgspec.json.Decoder(Begin).decode
decode_to_parent = msgspec.json.Decoder(ToParent).decode
decode_to_worker = msgspec.json.Decoder(ToWorker).decode
