"""
What nodes tell each other, as JSON.

A message says which version of this format it has, so that nodes of several versions of Helix
understand, or ignore, each other. New members of a message are no new version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import msgspec

from helix.chain import chain_text, parse_chain
from helix.interfaces import Relayed, Way
from helix.log.remote_writes import News
from helix.nodes import people
from helix.nodes.people import People
from helix.nodes.start import VERSION, Ignored, Start
from helix.records import Actor, Entry

_NULL = b"null"


class _Entry(msgspec.Struct, array_like=True, gc=False):
    version: int
    patch: msgspec.Raw
    at: float
    by: str
    client_id: str | None
    op_id: int | None
    dropped: tuple[str, ...]
    chain: str
    actor: Actor | None
    tags: msgspec.Raw  # null for none


class _Log(Start, omit_defaults=True, gc=False):
    """
    ``entries``: a log has more of them.

    :ivar flow: whose log it is, where that isn't the topic.
    """

    epoch: str
    version: int
    chain: str
    entries: tuple[_Entry, ...] = ()
    flow: str = ""


class _Deleted(Start, gc=False):
    """``deleted``: a flow was deleted."""

    by: str


class _Name(Start, gc=False):
    """``name``: a version of a log was named, or isn't any more."""

    epoch: str
    told: msgspec.Raw


class _Relay(Start, omit_defaults=True, gc=False):
    """``relay``: members in relay mode are sent something."""

    way: str
    changes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # JSON, or else:
    data: bytes = b""  # of which JSON has base64
    epoch: str = ""
    version: int = 0
    chain: str = ""


class _Part(Start, gc=False):
    """``part``: of a message that is too large for one."""

    number: int
    index: int
    count: int
    data: bytes


class _Question(Start, gc=False):
    """``question``: somebody wants an answer."""

    number: int
    what: str
    body: msgspec.Raw


class _Answer(Start, gc=False):
    """``answer``: to a question of whom it is sent to."""

    number: int
    body: msgspec.Raw


@attrs.frozen
class Deleted:
    """A flow was deleted, by somebody of that name to show."""

    by: str


@attrs.frozen
class Name:
    """A version was named: what the members are told of it, JSON."""

    epoch: str
    told: bytes


@attrs.frozen
class Look:
    """
    Something was changed that the store knows.

    :ivar kind: ``flow``: this one. ``access``: what flows give. ``lost``: anything, since the node
        that says so was away. ``here``: nothing, but there is such a node. ``leaving``: there isn't
        any more. ``turn``: nothing, but the node wants to append to the log of this one.
    """

    kind: str


@attrs.frozen
class Part:
    """
    One part of a message.

    :ivar number: of the message, unlike that of others of the same node.
    :ivar index: which of ``count`` parts it is, from 0.
    """

    number: int
    index: int
    count: int
    data: bytes


@attrs.frozen
class Question:
    """
    A question to other nodes.

    :ivar number: unlike that of others of the same node.
    :ivar what: its name.
    :ivar body: JSON.
    """

    number: int
    what: str
    body: bytes


@attrs.frozen
class Answer:
    """The answer to the question of that number, JSON."""

    number: int
    body: bytes


Message = News | Deleted | Name | Relayed | Look | Part | Question | Answer | People

LOOKS = ("flow", "access", "lost", "here", "leaving", "turn")

_encode = msgspec.json.Encoder().encode
_decode_start = msgspec.json.Decoder(Start).decode
_decode_log = msgspec.json.Decoder(_Log).decode
_decode_deleted = msgspec.json.Decoder(_Deleted).decode
_decode_name = msgspec.json.Decoder(_Name).decode
_decode_relay = msgspec.json.Decoder(_Relay).decode
_decode_part = msgspec.json.Decoder(_Part).decode
_decode_question = msgspec.json.Decoder(_Question).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode


def encode_entries(
    node: str, epoch: str, entries: Sequence[Entry], max_bytes: int, flow_id: str = ""
) -> bytes:
    """
    Tell of entries, one at least.

    :param max_bytes: of the message. If they take more, it says only how far the log has come.
    :param flow_id: whose they are, where that isn't the topic.
    """
    last = entries[-1]
    told: tuple[_Entry, ...] = ()
    if sum(len(entry.patch) for entry in entries) <= max_bytes:
        told = tuple(map(_outgoing, entries))
    start = (VERSION, node, "entries", epoch, last.version, chain_text(last.chain))
    message = _encode(_Log(*start, told, flow_id))
    if len(message) <= max_bytes or not told:
        return message
    return _encode(_Log(*start, (), flow_id))


def encode_end(node: str, epoch: str, version: int, chain: bytes) -> bytes:
    """Tell how far a log has come, and nothing of its entries."""
    return _encode(_Log(VERSION, node, "entries", epoch, version, chain_text(chain)))


def encode_deleted(node: str, by: str) -> bytes:
    """Tell that a flow was deleted."""
    return _encode(_Deleted(VERSION, node, "deleted", by))


def encode_name(node: str, epoch: str, told: bytes) -> bytes:
    """Tell that a version was named."""
    return _encode(_Name(VERSION, node, "name", epoch, msgspec.Raw(told)))


def encode_relayed(node: str, relayed: Relayed) -> bytes:
    """Tell what members in relay mode are sent."""
    message = _Relay(VERSION, node, "relay", relayed.way.value)
    if relayed.way is Way.BINARY:
        message.data = relayed.changes
    else:
        message.changes = msgspec.Raw(relayed.changes)
    if relayed.way is Way.EDITED:
        message.epoch, message.version = relayed.epoch, relayed.version
        message.chain = chain_text(relayed.chain)
    return _encode(message)


def encode_look(node: str, kind: str) -> bytes:
    """Tell what `Look` says."""
    return _encode(Start(VERSION, node, kind))


def encode_part(node: str, part: Part) -> bytes:
    """Write one part of a message."""
    return _encode(_Part(VERSION, node, "part", part.number, part.index, part.count, part.data))


def encode_question(node: str, question: Question) -> bytes:
    """Ask."""
    body = msgspec.Raw(question.body)
    return _encode(_Question(VERSION, node, "question", question.number, question.what, body))


def encode_answer(node: str, answer: Answer) -> bytes:
    """Answer."""
    return _encode(_Answer(VERSION, node, "answer", answer.number, msgspec.Raw(answer.body)))


def decode(message: bytes) -> tuple[str, str, Message]:
    """
    Read a message.

    :return: who sent it, its kind, and what it says.
    :raises Ignored: when it says nothing that this version understands.
    """
    try:
        start = _decode_start(message)
    except msgspec.MsgspecError:
        raise Ignored("malformed") from None
    if not start.node:  # which is how a node calls itself
        raise Ignored("malformed")
    if start.v != VERSION:
        raise Ignored("version", start.node)
    try:
        return start.node, start.kind, _read(start, message)
    except (msgspec.MsgspecError, ValueError):
        raise Ignored("malformed") from None


def _read(start: Start, message: bytes) -> Message:
    kind = start.kind
    if kind == "entries":
        log = _decode_log(message)
        entries = [_incoming(entry) for entry in log.entries]
        chain = parse_chain(log.chain)
        return News(log.epoch, log.version, chain, entries, start.node, log.flow)
    if kind == "deleted":
        return Deleted(_decode_deleted(message).by)
    if kind == "name":
        name = _decode_name(message)
        return Name(name.epoch, bytes(name.told))
    if kind in LOOKS:
        return Look(kind)
    if kind == "part":
        part = _decode_part(message)
        if not 0 <= part.index < part.count:
            raise Ignored("malformed")
        return Part(part.number, part.index, part.count, part.data)
    if kind == "question":
        asked = _decode_question(message)
        return Question(asked.number, asked.what, bytes(asked.body))
    if kind == "answer":
        answer = _decode_answer(message)
        return Answer(answer.number, bytes(answer.body))
    if kind in _READERS:
        return _READERS[kind](message)
    raise Ignored("kind")


def _relayed(message: bytes) -> Relayed:
    told = _decode_relay(message)
    way = Way(told.way)
    changes = told.data if told.changes is msgspec.UNSET else told.changes
    chain = parse_chain(told.chain) if way is Way.EDITED else b""
    return Relayed(way, bytes(changes), told.epoch, told.version, chain)


_READERS: dict[str, Callable[[bytes], Message]] = {"relay": _relayed, **people.READERS}


def _outgoing(entry: Entry) -> _Entry:
    return _Entry(
        entry.version,
        msgspec.Raw(entry.patch),
        entry.at,
        entry.by,
        entry.client_id,
        entry.op_id,
        entry.dropped,
        chain_text(entry.chain),
        entry.actor,
        msgspec.Raw(entry.tags) if entry.tags else msgspec.Raw(_NULL),
    )


def _incoming(entry: _Entry) -> Entry:
    return Entry(
        entry.version,
        bytes(entry.patch),
        entry.at,
        entry.by,
        entry.client_id,
        entry.op_id,
        entry.dropped,
        parse_chain(entry.chain),
        entry.actor,
        b"" if bytes(entry.tags) == _NULL else bytes(entry.tags),
    )
