"""The identifiers that clients choose, and their rules."""

from __future__ import annotations

import unicodedata
from base64 import urlsafe_b64encode
from hashlib import sha256
from random import Random

from helix.errors import InvalidFlowId, InvalidParameters

MAX_ID_BYTES = 255

NAMES_OF_OBJECTS = frozenset(
    {
        "__defineGetter__",
        "__defineSetter__",
        "__lookupGetter__",
        "__lookupSetter__",
        "__proto__",
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
    }
)
"""Members of every JavaScript object: a lookup of such a key finds the member."""

DOTS = (".", "..")
"""Browsers remove these from an address, however encoded: nothing with such a name is reachable."""

PUBLIC_ID_BYTES = 16
"""Bytes of the SHA-256 in a client's public id: enough that no two clients share them."""


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


def parse_new_flow_id(text: object) -> str:
    """
    Read the id of a new flow, as `parse_flow_id`.

    :raises InvalidFlowId: also when no browser can reach it.
    """
    flow_id = parse_flow_id(text)
    if flow_id in DOTS:
        raise InvalidFlowId()
    return flow_id


def check_key(name: str, key: str) -> str:
    """
    Check a key of an object that is sent to clients.

    :param name: its name in the error.
    :return: the key.
    :raises InvalidParameters: when it is not 1 to 255 bytes, a name that objects have of themselves
        in JavaScript, or one that addresses can't hold.
    """
    if not 1 <= len(key.encode()) <= MAX_ID_BYTES:
        raise InvalidParameters(f"{name} must be a string of 1 to {MAX_ID_BYTES} bytes")
    if key in NAMES_OF_OBJECTS or key == "prototype" or key in DOTS:
        raise InvalidParameters(f"{name} must not be {key}")
    return key


def new_id(random: Random) -> str:
    """Make a unique identifier that can't be guessed: 22 characters of base64url, 128 bits."""
    return urlsafe_b64encode(random.randbytes(16)).rstrip(b"=").decode()


def public_id(client_id: str) -> str:
    """
    Give a client's public id, from which nobody can compute its ``client_id``.

    :param client_id: the id that the client joins with: a secret between it and the server.
    :return: the first 16 bytes of the UTF-8's SHA-256 as base64url, 22 characters.
    """
    digest = sha256(client_id.encode()).digest()[:PUBLIC_ID_BYTES]
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
