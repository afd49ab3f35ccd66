"""
The chain of a log: for each version, a hash of the log up to it. (docs/adr/0015-chain.md)

Two logs with the same chain at a version are equal up to that version. So (epoch, version, chain)
identifies a client's past, even if the store was set back and then got other entries.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from hashlib import sha256
from struct import Struct

import msgspec

from helix.records import Actor, Entry

CHAIN_BYTES = 8
"""Bytes of the SHA-256 that are kept: enough that two pasts don't collide by chance."""

_NOBODY = 2**32 - 1
"""Stands for the length of a missing ``client_id``, and of a missing actor's id."""

# The chain before, the version, the time, the op_id, and the lengths of the texts that follow.
_FIXED = Struct(">8sQdqIII").pack

# What sets the author apart from the rest, and the lengths of the texts that follow.
_AUTHOR = Struct(">cIII").pack

_encode_paths = msgspec.json.Encoder().encode


def origin_of(epoch: str) -> bytes:
    """Give the chain of version 0 of a log that begins in ``epoch``."""
    return sha256(epoch.encode()).digest()[:CHAIN_BYTES]


def follow(chain: bytes, entry: Entry) -> bytes:
    """
    Give the chain of an entry.

    :param chain: that of the version before.
    :param entry: all of it counts but its own ``chain``.
    """
    by = entry.by.encode("utf-8", "surrogatepass")
    client, size = b"", _NOBODY
    if entry.client_id is not None:
        client = entry.client_id.encode("utf-8", "surrogatepass")
        size = len(client)
    op_id = -1 if entry.op_id is None else entry.op_id
    fixed = _FIXED(chain, entry.version, entry.at, op_id, len(by), size, len(entry.patch))
    digest = sha256(fixed + by + client)
    digest.update(entry.patch)  # which may be large: it isn't copied
    digest.update(paths_text(entry.dropped))
    if entry.actor is not None or entry.tags:
        digest.update(_author_text(entry.actor, entry.tags))
    return digest.digest()[:CHAIN_BYTES]


def _author_text(actor: Actor | None, tags: bytes) -> bytes:
    """
    Give what is known of an entry's author, so that different ones differ.

    It begins with a byte that no JSON holds: no entry without an author ends with it.
    """
    if actor is None:
        return _AUTHOR(b"\0", _NOBODY, 0, 0) + tags
    texts = [one.encode("utf-8", "surrogatepass") for one in (actor.id, actor.kind, actor.name)]
    return _AUTHOR(b"\0", *map(len, texts)) + b"".join(texts) + tags


def chained(chain: bytes, entries: Iterable[Entry]) -> list[Entry]:
    """
    Give ``entries`` with their chains.

    :param chain: that of the version before them.
    """
    made = []
    for entry in entries:
        chain = follow(chain, entry)
        made.append(msgspec.structs.replace(entry, chain=chain))
    return made


def continues(chain: bytes, entries: Iterable[Entry]) -> bool:
    """
    Tell whether ``entries`` follow what has this chain.

    :param chain: that of the version before them.
    """
    for entry in entries:
        chain = follow(chain, entry)
        if entry.chain != chain:
            return False
    return True


def paths_text(paths: tuple[str, ...]) -> bytes:
    """Give what an entry dropped as it is kept: a JSON array, or nothing for none."""
    return _encode_paths(paths) if paths else b""


def chain_text(chain: bytes) -> str:
    """Give a chain as clients are shown it: base64url, 11 characters."""
    return urlsafe_b64encode(chain).rstrip(b"=").decode()


def parse_chain(text: str) -> bytes:
    """
    Turn `chain_text` around.

    :raises ValueError: when it can't be one.
    """
    chain = urlsafe_b64decode(text.encode("ascii") + b"=")
    if len(chain) != CHAIN_BYTES or chain_text(chain) != text:
        raise ValueError("a chain is 8 bytes as base64url")
    return chain
