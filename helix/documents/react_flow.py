"""The fields of one person's screen that React Flow writes into nodes and edges; with no I/O."""

from __future__ import annotations

from typing import Final

from helix.documents.merge_patch import JsonObject

PERSONAL: Final = ("selected", "dragging", "resizing", "measured", "positionAbsolute")
"""Fields of React Flow's nodes and edges that belong to one person's screen, not to documents."""

OLD_TYPE: Final = "aiFlowNode"
"""The ``type`` that the first generation's page gives each node; the kind is in ``data.type``."""

MEASURED: Final = ("width", "height")
"""Fields that React Flow 11 overwrites with its measurements."""


def is_measured(node: JsonObject) -> bool:
    """Tell whether a node's ``width`` and ``height`` are what React Flow 11 has measured."""
    style = node.get("style")
    is_sized = type(style) is dict and any(name in style for name in MEASURED)
    return is_sized or node.get("type") == OLD_TYPE or "positionAbsolute" in node
