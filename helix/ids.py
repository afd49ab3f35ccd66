"""The identifiers that clients choose."""

from __future__ import annotations

import unicodedata
from base64 import urlsafe_b64encode
from hashlib import sha256
from random import Random

from helix.errors import InvalidFlowId

MAX_ID_BYTES = 255

PUBLIC_ID_BYTES = 16
"""Of a client's SHA-256 that others are shown: enough that no two clients share them."""


def parse_flow_id(text: object) -> str:
    """
    Trim a flow id and check it: 1 to 255 bytes of UTF-8 with no control characters.

    :raises InvalidFlowId: when it is anything else.
    """
    if not isinstance(text, str):
        raise InvalidFlowId()
    flow_id = text.strip()
    try:
        size = len(flow_id.encode())
    except UnicodeEncodeError:  # a lone surrogate
        raise InvalidFlowId() from None
    if not 1 <= size <= MAX_ID_BYTES or any(unicodedata.category(c) == "Cc" for c in flow_id):
        raise InvalidFlowId()
    return flow_id


def new_id(random: Random) -> str:
    """Make an identifier that nobody has or guesses: 22 characters of base64url, 128 bits."""
    return urlsafe_b64encode(random.randbytes(16)).rstrip(b"=").decode()


def public_id(client_id: str) -> str:
    """
    Tell what others call a client, from which nobody finds out its ``client_id``.

    :param client_id: what the client calls itself when it joins: a secret of it and the server.
    :return: the first 16 bytes of the UTF-8's SHA-256 as base64url, 22 characters.
    """
    digest = sha256(client_id.encode()).digest()[:PUBLIC_ID_BYTES]
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
