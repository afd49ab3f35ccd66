"""The topics on which nodes tell each other something; a flow's is its id."""

from __future__ import annotations

EVERYONE = ""
"""The topic of all nodes. No flow's id is empty."""


def topic_of(node: str) -> str:
    """The topic of one node. No flow's id has a control character."""
    return f"\0{node}"
