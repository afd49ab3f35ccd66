"""An answer in parts: a client sees a frame only once it has come whole, which may take minutes."""

from __future__ import annotations

from collections.abc import Iterator

from helix.protocol import encode_json

WHOLE_BYTES = 64 * 1024
"""An answer up to this size is told whole."""

PART_CHARACTERS = 32 * 1024
"""Of the answer's text in each part: some seconds over the slowest line that is one."""


def parts_of(response: bytes) -> Iterator[bytes]:
    """
    Split an answer.

    :param response: JSON.
    :return: the payloads ``{"text": ...}``, whose texts in a row are the answer.
    """
    text = response.decode()
    for at in range(0, len(text), PART_CHARACTERS):
        yield encode_json({"text": text[at : at + PART_CHARACTERS]})
