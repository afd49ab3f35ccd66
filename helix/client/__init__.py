"""
A flow from Python, on Twisted: read its document, patch it, be told of what others do.

`FlowClient` is what to begin with; docs/python.md has an example.
"""

from helix.client.events import (
    DocumentReplaced,
    Dropped,
    EntriesArrived,
    FlowEvent,
    Listener,
    PatchRefused,
    Status,
    StatusChanged,
)
from helix.client.flow import FlowClient
from helix.client.replica import FlowEntry

__all__ = [
    "DocumentReplaced",
    "Dropped",
    "EntriesArrived",
    "FlowClient",
    "FlowEntry",
    "FlowEvent",
    "Listener",
    "PatchRefused",
    "Status",
    "StatusChanged",
]
