"""The authors of entries, of which a store keeps each once for a log."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256

import msgspec

from helix.records import NOBODY, Actor, Author, Entry

Parts = tuple[str, str | None, str | None, str | None, str | None]
"""The columns of an author: its name to show, the actor's id, kind and name, and the tags."""

REMEMBERED = 1024
"""Authors that are not read anew: most entries are by the same few."""

_encode = msgspec.json.Encoder().encode
decode_parts = msgspec.json.Decoder(Parts).decode


def author_of(entry: Entry) -> Author | None:
    """Give the author that is kept apart from an entry; ``None`` where its name is all of it."""
    if entry.actor is None and not entry.tags:
        return None
    return Author(entry.by, entry.actor, entry.tags)


def parts_of(author: Author) -> Parts:
    """
    Give the columns of an author.

    :raises UnicodeError: when the tags are no text.
    """
    actor = author.actor
    tags = author.tags.decode() or None
    if actor is None:
        return author.by, None, None, None, tags
    return author.by, actor.id, actor.kind, actor.name, tags


def digest_of(parts: Parts) -> bytes:
    """
    Give 16 bytes by which an author is found among those of a log.

    :raises UnicodeError: when one of the texts is none.
    """
    return sha256(_encode(parts)).digest()[:16]


def from_parts(parts: Iterable[str | None]) -> Author:
    """Turn `parts_of` around."""
    by, actor_id, kind, name, tags = parts
    actor = None if actor_id is None else Actor(actor_id, kind or "", name or "")
    return Author(by or "", actor, (tags or "").encode())


@lru_cache(REMEMBERED)
def read_author(text: str | None) -> Author:
    """
    Read an author, as its columns in a JSON array.

    :param text: ``None`` for an entry that has none.
    :raises msgspec.MsgspecError: when it is none.
    """
    return NOBODY if text is None else from_parts(decode_parts(text))
