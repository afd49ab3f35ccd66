"""
The kinds of nodes of the editor: ``data/kinds.json`` says which fields each kind has.

The editor's forms are made from that file; the server accepts any data.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec


@cache
def load_kinds() -> tuple[dict[str, Any], ...]:
    """
    Read the kinds from the package's file.

    :return: each as ``{"type", "name", "category", "telling", "about", "groups": [{"title",
        "fields": [{"name", "label", "type", ...}, ...]}, ...]}``, in the editor's order; nobody
        changes them.
    """
    content = files("helix").joinpath("data", "kinds.json").read_bytes()
    return tuple(msgspec.json.decode(content)["kinds"])


@cache
def link_fields() -> frozenset[str]:
    """Tell in which fields of their data nodes name others, as lists of ids."""
    return frozenset(
        field["name"]
        for kind in load_kinds()
        for group in kind["groups"]
        for field in group["fields"]
        if field["type"] == "links"
    )
