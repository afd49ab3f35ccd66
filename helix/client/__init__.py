"""
The Python client, on Twisted: read a flow's document, patch it, and hear what others do.

Begin with `FlowClient`; docs/python.md has an example.
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
from helix.records import Actor

__all__ = [
    "Actor",
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
