"""The templates: flows that come with Helix, as a start for new ones."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import attrs
import msgspec


@attrs.frozen
class Template:
    """
    One template.

    :ivar id: its name in addresses, and its file's.
    :ivar name: its name to show; also the title of its document.
    :ivar description: one or two sentences that help to choose.
    :ivar category: its field of work.
    :ivar document: the whole document of a new flow.
    """

    id: str
    name: str
    description: str
    category: str
    document: dict[str, Any]


_decode = msgspec.json.Decoder(Template).decode


def load_templates() -> tuple[Template, ...]:
    """
    Read all templates from the package's files.

    :return: by category, then by name; nobody else holds their documents.
    """
    folder = files("helix").joinpath("data", "templates")
    templates = [_decode(file.read_bytes()) for file in folder.iterdir()]
    return tuple(sorted(templates, key=lambda template: (template.category, template.name)))
